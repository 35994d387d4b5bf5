"""The code of the README runs from top to bottom and prints the pages that the README shows; what it names exists."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind):
    """The code blocks of one kind, in order."""
    return re.findall(rf"^```{kind}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_code_of_the_readme_runs_and_prints_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        for block in blocks("python"):
            exec(block, names)
    assert names["history"]["val_binary_accuracy"][-1] > 0.95
    lines = iter(out.getvalue().splitlines())
    shown = [line for page in blocks("text") for line in page.splitlines()]
    assert len(shown) > 10
    assert [line for line in shown if line != "..." and line not in lines] == []  # in this order
    assert re.search(r"^right +dgamma +\(3,\)", "\n".join(lines), re.MULTILINE)
    assert len(re.findall(r"^right +dX +\(5, 3\)", out.getvalue(), re.MULTILINE)) == 2  # NoisyScale's, BentIdentity's
    nn, model = names["nn"], names["model"]
    nn.save(model, "own.npz")
    same = nn.load("own.npz")
    assert (nn.predict(same, names["X"]) == nn.predict(model, names["X"])).all()
    states = [dict(each.named_generators())["1.rng"].bit_generator.state for each in (same, model)]
    assert states[0] == states[1]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("neuron.png", "play.html", "training.npz", "model.npz", "own.npz"),
        *("mlp.safetensors", "mlp_program.py", "mlp_program.npz"),
    }


def test_a_network_takes_15_lines():
    assert len([line for line in blocks("python")[0].splitlines() if line.strip()]) <= 15


def test_the_files_to_read_first_are_seven_and_as_long_as_it_says():
    text = re.search(r"read these seven files in this order.*?\n\n", README, re.DOTALL)[0]
    files = [(ROOT / path).read_text(encoding="utf-8") for path in re.findall(r"`(nnlite/[\w/]+\.py)`", text)]
    assert len(files) == 7
    lines = sum(len(file.splitlines()) for file in files)
    assert f"about {round(lines, -2):,} lines" in text


def test_there_are_two_commands():
    commands = [line for line in blocks("sh")[0].splitlines() if line and not line.startswith("#")]
    assert len(commands) == 2


@pytest.mark.parametrize("file", ["README.md", "examples/README.md", "benchmarks/README.md"])
def test_files_that_a_readme_names_exist(file):
    path = ROOT / file
    text = path.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\((\S+?)\)", text) if "://" not in link]
    paths = [*re.findall(r"\b(?:nnlite|tests|examples|benchmarks)/[\w./]*", text), *re.findall(r"\.ci/\w+", text)]
    assert [link for link in links if not (path.parent / link).exists()] == []
    assert [name for name in paths if not (ROOT / name.rstrip(".")).exists()] == []
    programs = {each.name for each in [*ROOT.glob("examples/*.py"), *ROOT.glob("benchmarks/*.py")]}
    assert set(re.findall(r"`(\w+\.py)`", text)) <= programs
