"""The examples run and show what they say they show; the data are those of their sources.

Each runs with one seed; NNLITE_SWEEP=10 runs them with ten, see support/sweeps.py.
"""

import ast
import contextlib
import gzip
import io
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.case import case
from support.formulas import CROSS_ENTROPIES
from support.mpi import ended, start
from support.sweeps import seeds

import nnlite as nn

EXAMPLES = Path(__file__).parent.parent / "examples"
FILES = sorted(EXAMPLES.glob("*.py"))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that runs an example in another folder and returns its output and its progress lines."""

    def run(name, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as progress:
            runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return checked(tmp_path, out.getvalue(), progress.getvalue())

    return run


def run_alone(folder, name, *arguments):
    """The same in a fresh interpreter, whose output goes into pipes."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
    out, progress = (text.decode().replace(os.linesep, "\n") for text in (done.stdout, done.stderr))
    assert done.returncode == 0, progress
    return checked(folder, out, progress)


def checked(folder, out, progress):
    assert all(character == "\n" or character.isprintable() for character in out + progress)
    expected = r"epoch \d+/\d+  loss=.+|stopped after epoch .+|stopping after this batch;.+|interrupted in epoch .+"
    assert all(re.fullmatch(expected, line) for line in progress.splitlines())
    assert list(folder.iterdir()) == []  # it leaves no files
    return out, progress


def number(pattern, text):
    """The one number in ``text`` where ``pattern`` has its group."""
    (found,) = re.findall(pattern, text)
    return float(found)


# ------------------------------------------------------------------------------------------------- all of them


def test_the_examples_are_these():
    names = (
        "attention breast_cancer d0_linear d1_graphs d2_by_hand d3_matrix_form d4_gates dataframe digits digits_cnn "
        "dropout_batchnorm embedding exercises export feedback_alignment from_torch imbalanced input_descent names "
        "new_head optimizers own_layer parallel play plots residual signals sine sklearn_pipeline tied_autoencoder "
        "time_series vanishing xor"
    )
    assert " ".join(file.stem for file in FILES) == names


def test_under_60_lines_and_nothing_imported_but_nnlite_and_numpy():
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        imported = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
        with case(file.name):
            assert len(text.splitlines()) < 60
            needed = {
                "attention.py": {"matplotlib"},
                "dataframe.py": {"pandas"},
                "digits_cnn.py": {"matplotlib"},
                "export.py": {"onnxruntime"},
                "optimizers.py": {"matplotlib"},
                "play.py": {"matplotlib", "PIL"},
                "plots.py": {"matplotlib"},
                "sine.py": {"matplotlib"},
                "vanishing.py": {"matplotlib"},
                "sklearn_pipeline.py": {"pandas", "joblib", "nnlite.interop.sklearn", "sklearn", "dask"},
            }.get(file.name, set())
            imported = {name if name.startswith("nnlite") else name.partition(".")[0] for name in imported}
            standard = {"argparse", "contextlib", "io", "pathlib", "signal", "subprocess", "sys", "tempfile", "time"}
            assert (imported | {"numpy"}) - standard == {"numpy", "nnlite"} | needed


def test_parallel_prints_the_same_in_two_processes(tmp_path):
    results = []
    for ranks in 1, 2:
        code, out, error = ended(start(ranks, EXAMPLES / "parallel.py", "--epochs", "3"))
        assert code == 0, error
        count, result = checked(tmp_path, out, error)[0].split(":")
        assert count == ("1 process", "2 processes")[ranks - 1]
        results.append((result, error.strip()))
    assert results[0] == results[1]
    assert number("accuracy ([.0-9]+)", results[0][0]) > 0.95


def test_equal_seeds_print_the_same_in_any_process(run, tmp_path):
    alone = run_alone(tmp_path, "xor.py")
    assert alone == run("xor.py") == run("xor.py", "--seed", "0") != run("xor.py", "--seed", "1")


# --------------------------------------------------------------------------------------------------- each of them


@pytest.mark.parametrize("seed", seeds(1))
def test_breast_cancer_reaches_096_on_test_rows(seed, run):
    out, progress = run("breast_cancer.py", "--seed", str(seed))
    assert number(r"loss .+, accuracy (\S+)", out) >= 0.96
    assert number(r"loss (\S+),", out) < 0.2
    assert "(0): Linear(30 -> 16)\n  (1): Tanh()" in out
    assert re.search(r"total +641 +2,564", out)  # 30*16+16 + 16*8+8 + 8*1+1 numbers of 4 bytes
    assert "epoch 1/" in progress


@pytest.mark.parametrize("seed", seeds(1))
def test_digits_reaches_097_on_test_rows(seed, run):
    out, progress = run("digits.py", "--seed", str(seed))
    assert number(r"loss .+, accuracy (\S+)", out) >= 0.97
    assert all(line.count("val") == 2 for line in progress.splitlines())  # of the loss and of the accuracy
    assert "epoch 1/" in progress


@pytest.mark.parametrize("seed", seeds(1))
def test_digits_cnn_reaches_0985_and_draws(seed, run, tmp_path_factory):
    figure = tmp_path_factory.mktemp("figures") / "digits.png"
    out, _ = run("digits_cnn.py", "--seed", str(seed), "--figure", str(figure))
    assert number(r"loss .+, accuracy (\S+)", out) >= (0.985 if seed == 0 else 0.975)
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert figure.stat().st_size > 10_000


@pytest.mark.parametrize("seed", seeds(1))
def test_signals_are_told_apart_by_convolutions_alone(seed, run):
    out, _ = run("signals.py", "--seed", str(seed))
    assert number(r"accuracy of convolutions: (\S+),", out) > 0.97 > 0.93 > number(r"dense layers: (\S+),", out)


@pytest.mark.parametrize("seed", seeds(1))
def test_dropout_batchnorm_shows_what_each_is_for(seed, run):
    out, _ = run("dropout_batchnorm.py", "--seed", str(seed))
    row = r"^(plain|Dropout|BatchNorm|BatchNorm, Dropout) +(training|other images) +(.+)$"
    losses = {row[:2]: [float(value) for value in row[2].split()] for row in re.findall(row, out, re.MULTILINE)}
    assert len(losses) == 8
    of_5, of_40 = ({key: row[column] for key, row in losses.items()} for column in (2, 5))
    for images in "training", "other images":
        assert of_5["BatchNorm", images] < 0.5 < 1.2 < of_5["plain", images]
        assert of_5["BatchNorm, Dropout", images] < 1 < 1.5 < of_5["Dropout", images]
    assert of_40["plain", "training"] < 0.05 < of_40["Dropout", "training"]
    assert of_40["BatchNorm", "training"] < 0.05 < of_40["BatchNorm, Dropout", "training"]
    assert all(row[-1] > 0.9 for row in losses.values())  # accuracies


def test_d2_derives_the_network_and_computes_every_formula_by_hand(run):
    derived, by_hand = run("d2_by_hand.py")[0].split("The same by hand")
    lines = re.findall(r"^(\S+) = (.+?)  +(\S+)$", by_hand, re.MULTILINE)
    left = ["L", "dL/dy^", "dL/du3", "dL/dU", "dL/dc", "dL/dh2"]
    left += ["dL/du2", "dL/dW2", "dL/db2", "dL/dh1", "dL/du1", "dL/dW1", "dL/db1"]
    assert [name for name, _, _ in lines] == left
    assert all(float(difference) < 1e-12 for _, _, difference in lines)
    assert list(dict.fromkeys(re.findall(r"^  (dL/\S+) = ", derived, re.MULTILINE))) == left[1:]
    found = re.findall(r"target (.), prediction (\S+):  (\S+)", by_hand)
    assert found == [tuple(map(str, entropy)) for entropy in CROSS_ENTROPIES]


@pytest.mark.parametrize("seed", seeds(1))
def test_xor_is_learned(seed, run):
    out, progress = run("xor.py", "--seed", str(seed))
    rows = np.array([line.split() for line in out.splitlines() if re.match(r" *\d +\d", line)], float)
    before, after = rows[:4], rows[4:]
    for table in before, after:
        np.testing.assert_array_equal(table[:, :3], [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]])
    assert np.max(np.abs(before[:, 3] - before[:, 2])) > 0.4
    assert np.max(np.abs(after[:, 3] - after[:, 2])) < 0.05
    assert "epoch 1/" in progress


def test_own_layer_has_right_gradients_and_learns(run):
    out, progress = run("own_layer.py")
    assert re.search(r"^right  dX +\(5, 3\)", out, re.MULTILINE)
    assert re.search(r"^right  dalpha +\(3,\)", out, re.MULTILINE)
    assert number(r"after (\S+)", out) < 0.01 < 0.2 < number(r"before (\S+),", out)
    slopes = np.array(re.search(r"initialized to 0.25: \[(.+)\]", out)[1].split(), float)
    assert np.all(np.abs(slopes) < 2)
    assert np.ptp(slopes) > 0.1
    assert "epoch 1/" in progress


def test_own_layer_is_about_ten_lines():
    tree = ast.parse((EXAMPLES / "own_layer.py").read_text(encoding="utf-8"))
    (layer,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    code = [line for line in ast.unparse(layer).splitlines() if line.strip()]
    assert len(code) <= 11


@pytest.mark.parametrize("seed", seeds(1))
def test_d3_walks_back_and_its_autoencoder_beats_two_principal_components(seed, run):
    out, progress = run("d3_matrix_form.py", "--seed", str(seed))
    walk = re.findall(r"^ +(\d\.\d) \S.*  \d\.\d{5}$", out, re.MULTILINE)
    assert walk == ["1.3", "1.2", "1.1", "1.0", "0.2", "0.1", "0.0"]
    assert re.findall(r"dL/dW\d", out.split("Backward")[1]) == ["dL/dW4", "dL/dW3", "dL/dW2", "dL/dW1"]
    names = ["two principal components", "the autoencoder"]
    components, autoencoder = (number(rf"{name} +(\d\S+)", out) for name in names)
    assert 0 < autoencoder < components
    picture = out.splitlines()[-8:]
    assert all(len(line) == 36 and set(line) <= set(" .:-=+*#%@") for line in picture)
    assert len(set(picture)) > 4
    assert "epoch 1/" in progress


# --------------------------------------------------------------------------------------------------------- the data


def test_the_penguins_are_what_their_source_says():
    packed = (EXAMPLES / "data" / "penguins.csv.gz").read_bytes()
    assert packed[4:8] == bytes(4)
    header, *lines = gzip.decompress(packed).decode("ascii").splitlines()
    table = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    # Of palmerpenguins: 344 penguins; the means without missing values as its own introduction gives them.
    species = [row["species"] for row in table]
    assert [species.count(name) for name in ("Adelie", "Chinstrap", "Gentoo")] == [152, 68, 124]
    assert [[row["sex"] for row in table].count(sex) for sex in ("male", "female", "")] == [168, 165, 11]
    assert {row["two_eggs"] for row in table} == {"True", "False"}
    numbers = [[float(row[name]) for row in table if row[name]] for name in header.split(",")[3:7]]
    np.testing.assert_allclose([np.mean(each) for each in numbers], [43.92, 17.15, 200.9, 4202], rtol=2.5e-4)
    assert [len(each) for each in numbers] == [342] * 4


def test_play_writes_a_page_and_a_film(run, tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("play")
    out, _ = run("play.py", "--page", str(folder / "play.html"), "--film", str(folder / "film.gif"))
    assert "15 frames" in out  # before, 7 of forward, two of which are the parameters, and 7 of backward
    assert (folder / "play.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with Image.open(folder / "film.gif") as film:
        assert 10 < film.n_frames <= 15  # frames that are alike are stored as one


def test_plots_draws_six_pictures(run, tmp_path_factory):
    file = tmp_path_factory.mktemp("plots") / "plots.png"
    out, _ = run("plots.py", "--figure", str(file))
    assert number("lr 0.03: loss ([.0-9]+)", out) < number("lr 0.003: loss ([.0-9]+)", out)
    assert number("accuracy ([.0-9]+)", out) > 0.85
    assert file.read_bytes().startswith(b"\x89PNG")


def test_exercises_end_with_the_bug_that_is_found(run):
    out, _ = run("exercises.py")
    assert "the term dY * Y * (1 - Y) is missing" in out
    assert out.count("all is right\n") == 1
    assert float(re.search(r"d2.b: largest difference (\S+)", out)[1]) > 1e-3
    assert float(re.search(r"d0.W: largest difference (\S+)", out)[1]) < 1e-9
    assert out.endswith("found after 2 guesses:\n  Sequential[2] Linear(5 -> 3, dtype=float64): db: zero everywhere\n")
    assert max(map(len, out.splitlines())) <= 80


def test_d0_has_the_linear_layer_entry_by_entry(run):
    out, _ = run("d0_linear.py")
    assert "dx_11 = dy_11 w_11 + dy_12 w_12 + dy_13 w_13 = 10 * 1 + 20 * 2 + 30 * 3 = 140" in out
    assert "dx_12 = dy_11 w_21 + dy_12 w_22 + dy_13 w_23 = 10 * 4 + 20 * 5 + 30 * 6 = 320" in out
    products = re.findall(r"(-?\S+) \* (\S+) = (-?\S+)", out.split("outer product")[1].split("db_j")[0])
    assert len(products) == 6
    assert all(float(x) * float(dy) == float(dw) for x, dy, dw in products)
    assert "dL/dW1[1,2] = X[0,1] dL/dy^[0,2]\n              = (-1) * 30\n              = -30\n" in out
    assert "shape (4, 2, 4, 3), and 75% of its entries are 0" in out  # only those of one row by itself: a quarter
    assert "Contracted with dY it is dX: True" in out
    assert "68,719,476,736 entries: 256 GiB" in out


def test_d1_shows_the_worked_numbers(run):
    out, _ = run("d1_graphs.py")
    for x in 0, 1, 2:
        assert f"x = {x}: f(g(x)) = {(1 + 4 * x) ** 2}, derivative {8 + 32 * x}, by hand {8 + 32 * x}\n" in out
    assert "[16. 23. 30.], by hand [16. 23. 30.]" in out  # 4 (1, 2, 3) + 3 (4, 5, 6)
    assert "J = (a + 2 b) c = -10\n    d/da: -2.0\n    d/db: -4.0\n    d/dc: 5.0\n" in out
    assert "J = (a + b) (b + 1) = 6\n    d/da: 2.0\n    d/db: 5.0\n" in out
    titles = ["backward  2  Multiply()", "backward  1  Add()", "backward  0  Add()", "sum       b"]
    assert [line for line in out.splitlines() if line.startswith(("backward", "sum"))] == titles
    # phi = (1, 2), x = (3, 4), y = 1: g = 3 + 8 - 1 = 10, and the gradients are 2 g phi, -2 g and 2 g x
    assert "= 100\n    d/dx: [20. 40.]\n    d/dy: -20.0\n    d/dphi.value: [60. 80.]\n" in out
    assert "= [0.4 1.2], and L = 25" in out  # 0.4 * 3 + 1.2 * 4 - 1 = 5


def test_d4_has_the_gates_and_the_five_nodes(run):
    out, _ = run("d4_gates.py")
    gates = dict(re.findall(r"^  (\w+)\(\) +Z = (.+?) +dX", out, re.MULTILINE))
    assert gates["Maximum"] == "[3.0, 2.0]"
    assert "dX = [0.0, 20.0]      dY = [10.0, 0.0]" in out  # to the larger input
    assert "dX = [30.0, 20.0]     dY = [10.0, 40.0]" in out  # the product swaps its inputs
    forward, backward = out.split("five nodes")[1].split("The central difference")[0].split("Backward")
    numbers = [re.findall(r"^ +=? *(?:.* )?= (-?\d+(?:\.\d+)?)$", part, re.MULTILINE) for part in (forward, backward)]
    assert list(map(float, numbers[0])) == [0.5, 2, 1, -1, 0.3679, 1.368, 0.7311]
    assert list(map(float, numbers[1])) == [-0.5344, -0.5344, -0.1966, 0.1966, 0.09831, 0.3932]
    assert "dy/dx = 0.393224; it takes" in out
    values = [float(y) for y in re.findall(r": y = (\S+),", out)]
    assert len(values) == 4
    assert values == sorted(values, reverse=True)
    assert "y = 0.7311, dy/dtheta = 0.0983, dy/dx = 0.3932" in out


def test_input_descent_goes_down(run):
    out, _ = run("input_descent.py")
    assert "step  0: predicted 8" in out
    assert re.search(r"predicted 3, probability of a 3: 0\.[5-9]", out)
    assert number(r"largest change of a pixel is (\S+),", out) < 0.5


def test_tied_autoencoder_has_half_the_parameters_and_almost_the_same_error(run):
    out, _ = run("tied_autoencoder.py")
    assert "Tied: 1,104 parameters" in out  # 64 * 16 + 16 + 64
    assert "Two matrices: 2,128 parameters" in out  # 2 * 64 * 16 + 16 + 64
    tied, two = (float(error) for error in re.findall(r"test images: (\S+)", out))
    assert two < tied < 0.02
    assert "0.W (64, 16), 0.b (16,), 2.b (64,)" in out
    assert out.count("right  d") == 4


@pytest.mark.parametrize("seed", seeds(1))
def test_feedback_alignment_learns_and_its_gradient_turns_towards_the_true_one(seed, run):
    out, progress = run("feedback_alignment.py", "--seed", str(seed))
    in_one_line = " ".join(out.split())
    assert in_one_line.count("Sequential[2] FeedbackLinear(128 -> 10): dX: it is dY times B^T; multiply by") == 2
    angles = {name: (float(one), float(other)) for name, one, other in re.findall(r"^d(\S+) +(\S+) +(\S+)$", out, re.M)}
    assert list(angles) == ["X", "0.W", "0.b", "2.W", "2.b"]
    for name in "X", "0.W", "0.b":
        before, after = angles[name]
        assert before > 75
        assert after < min(65, before - 20)
    assert angles["2.W"] == angles["2.b"] == (0, 0)
    assert number(r"test images: (\S+)", out) > 0.93
    assert "epoch 1/" in progress


@pytest.mark.parametrize("seed", seeds(1))
def test_dataframe_classifies_three_species(seed, run):
    out, progress = run("dataframe.py", "--seed", str(seed))
    names = ["Adelie", "Chinstrap", "Gentoo"]
    matrix = np.array([re.search(rf"^{name} +(\d+) +(\d+) +(\d+)$", out, re.MULTILINE).groups() for name in names], int)
    assert matrix.sum() == 86
    assert number(r"accuracy: (\S+);", out) == round(np.trace(matrix) / 86, 3) > 0.95
    assert re.search(rf"the first is predicted as ({'|'.join(names)})$", out, re.MULTILINE)
    assert "epoch 1/" in progress


@pytest.mark.parametrize("seed", seeds(1))
def test_sklearn_pipeline_finds_a_width(seed, run):
    out, _ = run("sklearn_pipeline.py", "--seed", str(seed))
    scores = re.findall(r"^\d +(\(.+\)) +0\.[02] +(\S+)$", out, re.MULTILINE)
    assert [widths for widths, _ in scores] == ["(1,)", "(1,)", "(8,)", "(8,)", "(16, 8)", "(16, 8)"]
    best = re.search(r"'netclassifier__hidden': (\(.+?\))", out)[1]
    top = max(float(score) for _, score in scores)
    assert best == next(widths for widths, score in scores if float(score) == top)
    assert number(r"other penguins (\S+)", out) > 0.95
    assert re.search(r"^ +Adelie +Chinstrap +Gentoo$", out, re.MULTILINE)


@pytest.mark.parametrize("seed", seeds(1))
def test_sine_forecasts_and_draws(seed, run, tmp_path_factory):
    """In a short form: the noise has a standard deviation of 0.1, so that no prediction of one step is better."""
    figure = tmp_path_factory.mktemp("figures") / "sine.png"
    out, _ = run("sine.py", "--seed", str(seed), "--epochs", "15", "--plot", str(figure))
    assert 0.1 < number(r"one step ahead: RMS error (\S+);", out) < 0.13
    for ahead, at_most in (10, 0.15), (30, 0.3), (60, 0.45):
        assert number(rf"forecast of {ahead} steps: RMS error (\S+);", out) < at_most
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("seed", seeds(1))
def test_time_series_stops_early_and_beats_the_last_value(seed, run):
    out, progress = run("time_series.py", "--seed", str(seed))
    best, last = (number(rf"R\^2 {which}.+: (\S+)", out) for which in ("on the end", "if the last"))
    assert 0.99 < best < 1
    assert last < 0.6
    assert "held back: rows 960 to 1199" in out  # the last fifth of 1200
    assert re.search(r"^stopped after epoch \d+: val_loss has not improved for 10 epochs; restored", progress, re.M)


@pytest.mark.parametrize("seed", seeds(1))
def test_embedding_sees_the_order_of_words_and_finds_those_of_one_meaning(seed, run):
    out, progress = run("embedding.py", "--seed", str(seed))
    bag, in_order = (float(accuracy) for accuracy in re.findall(r"accuracy (\S+)", out))
    assert bag < 0.65
    assert in_order > 0.99
    words = re.findall(r"closest to (.+): (.+), (.+), (.+), (.+)$", out, re.MULTILINE)
    meanings = [{"good", "great", "lovely", "brilliant", "funny"}, {"bad", "poor", "awful", "boring", "dull"}]
    assert list(map(set, words)) == meanings
    assert "epoch 1/" in progress


@pytest.mark.parametrize("seed", seeds(1))
def test_attention_sorts_and_reads_the_letter_that_it_writes(seed, run, tmp_path_factory):
    figure = tmp_path_factory.mktemp("figures") / "attention.png"
    out, _ = run("attention.py", "--seed", str(seed), "--steps", "200", "--figure", str(figure))
    assert number(r"of 1,000 new words (\S+)% are right", out) > 90
    assert number(r"is the one that is written: (\S+)%", out) > 50
    sorted_words = re.findall(r"^(\w{8}) -> (\w{8})$", out, re.MULTILINE)
    assert len(sorted_words) == 3
    assert any("".join(sorted(word)) == written for word, written in sorted_words)
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert figure.stat().st_size > 10_000


@pytest.mark.parametrize("seed", seeds(1))
def test_names_writes_letters_with_three_models(seed, run):
    out, _ = run("names.py", "--seed", str(seed), "--epochs", "1")
    losses = {name: float(loss) for name, loss in re.findall(r"^(\w+), .+ parameters: loss (\S+),", out, re.MULTILINE)}
    assert list(losses) == ["MLP", "GRU", "transformer"]
    assert max(losses.values()) < 3.1  # the entropy of its letters is 3.1 nats
    assert out.count("    Once upon a midnight dreary, while I pondered, ") == 3


@pytest.mark.parametrize("seed", seeds(1))
def test_optimizers_all_learn_and_those_on_all_rows_reach_the_lowest_loss(seed, run, tmp_path_factory):
    plot = tmp_path_factory.mktemp("plot") / "optimizers.png"
    out, _ = run("optimizers.py", "--seed", str(seed), "--plot", str(plot))
    rows = {name: (int(steps), float(loss), float(accuracy)) for name, steps, loss, accuracy in re.findall(
        r"^(\S+) +\S+ +(\d+) +\d+\.\d\d +(\S+) +(\S+)$", out, re.MULTILINE)}  # fmt: skip
    optimizers = {name for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    optimizers = {name for name in optimizers if issubclass(getattr(nn, name), nn.Optimizer)} - {"Optimizer"}
    assert rows.keys() == optimizers | {"L-BFGS"}
    assert all(steps == 280 for name, (steps, _, _) in rows.items() if name != "L-BFGS")
    assert all(loss < 0.1 and accuracy > 0.92 for _, loss, accuracy in rows.values())
    assert rows["L-BFGS"][0] < 100
    assert max(rows[name][1] for name in ("L-BFGS", "Rprop")) < 1e-3
    assert plot.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("seed", seeds(1))
def test_imbalanced_weights_raise_the_recall_and_the_interrupted_training_is_the_same(seed, run):
    out, progress = run("imbalanced.py", "--seed", str(seed))
    plain, weighted, resumed = re.findall(r"^class_weight=\S+: .+, recall (\S+), f1 (\S+)$", out, re.MULTILINE)
    assert float(weighted[1]) > 0.65
    assert float(plain[0]) < float(weighted[0])
    assert weighted == resumed
    assert "resumed after an interrupt, and bit-identical: True" in out
    assert "interrupted in epoch 6, after batch 1" in progress


@pytest.mark.parametrize("seed", seeds(1))
def test_new_head_is_trained_alone(seed, run):
    out, _ = run("new_head.py", "--seed", str(seed))
    assert "the body has not changed: True" in out
    assert number(r"accuracy with a new head: (\S+)", out) > 0.75


def test_weights_of_a_larger_file_of_pytorch_are_read_and_written_back(run):
    pytest.importorskip("safetensors")
    out, _ = run("from_torch.py")
    assert out.splitlines() == [
        "in the file: 6 arrays of float16",
        "largest difference from the formula: below 1e-5",
        "the same names: True",
    ]


def test_a_program_that_was_written_out_trains_to_the_same_loss(run):
    out, _ = run("export.py")
    assert "u1 = X.dot(W1) + b1 " in out
    assert "h1[j] = tanhf(u1[j]);" in out
    alone, ours = re.search(r"20th step: (\S+) with NumPy alone, (\S+) with nnlite", out).groups()
    assert alone == ours
    onnx = re.search(r"largest difference: (\S+) under onnxruntime, (\S+) read back", out).groups()
    assert all(float(difference) < 1e-6 for difference in onnx)


@pytest.mark.parametrize("seed", seeds(1))
def test_the_gradient_of_an_lstm_does_not_vanish_where_that_of_an_rnn_does(seed, run, tmp_path_factory):
    plot = tmp_path_factory.mktemp("plot") / "vanishing.png"
    out, _ = run("vanishing.py", "--seed", str(seed), "--plot", str(plot))
    rows = {name: [float(each) for each in rest.split()] for name, rest in re.findall(r"(?m)^(\w+) +(\d.*)$", out)}
    assert rows["RNN"][0] < 0.05 < 0.5 < rows["LSTM"][0]
    assert rows["LSTM"][2] < rows["RNN"][2]
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_residual_layers_learn_where_a_chain_does_not(run):
    out, _ = run("residual.py")
    chain, residual = (float(accuracy) for accuracy in re.findall(r"accuracy (\S+)", out))
    assert chain < 0.2 < 0.93 < residual
    (first, _), (through, _) = re.findall(r"first layer (\S+), of the last (\S+)", out)
    assert float(first) < 1e-5 < 0.1 < float(through)
