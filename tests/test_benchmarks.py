"""The benchmarks run, with and without the peers, and what they measure with is right. No time is asserted."""

import doctest
import importlib
import json
import math
import re
import runpy
import sys
import warnings
from inspect import isfunction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.mpi import ended, start

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
FILES = {path.stem for path in BENCHMARKS.glob("*.py")}
PEERS = ("torch", "jax", "sklearn")


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.fixture
def harness():
    return importlib.import_module("harness")


@pytest.fixture
def results():
    return importlib.import_module("results")


# --------------------------------------------------------------------------------------- every benchmark runs


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """A function that runs a benchmark, as where no peer is installed, and returns its results, output and stderr."""
    (tmp_path / "hidden").mkdir()
    for peer in PEERS:
        (tmp_path / "hidden" / f"{peer}.py").write_text(f"raise ModuleNotFoundError('hidden', name={peer!r})")
        monkeypatch.setitem(sys.modules, peer, None)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hidden"))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    importlib.import_module("harness").leave_out.cache_clear()

    def run(name, *arguments):
        file = tmp_path / "out.json"
        monkeypatch.setattr(sys, "argv", [name, "--tiny", "--json", str(file), *arguments])
        runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
        record = json.loads(file.read_text(), parse_constant=pytest.fail)  # no NaN
        assert record["machine"]["numpy"] == np.__version__
        assert {"processor", "cores", "system", "python", "blas", "numpy", "torch", "jax"} <= set(record["machine"])
        assert record["options"]["tiny"] == "True"
        return record["results"], *capfd.readouterr()

    return run


def check_results(results, contenders, kernels=("numpy",)):
    assert [result["kernels"] for result in results] == [*kernels] * (len(results) // len(kernels))
    for result in results:
        assert [timing["name"] for timing in result["timings"]] == contenders
        assert all(seconds > 0 for timing in result["timings"] for seconds in timing["seconds"])
        assert result["threads"] == 1
        assert result["work"] > 0
        assert result["unit"] in ("FLOP", "B")
    return [result["step"] for result in results]


def test_the_benchmarks_are_these():
    programs = {
        "attention",
        "backward",
        "convolution",
        "inference",
        "lenet",
        "optimizer_step",
        "parallel",
        "parallel_model",
        "recurrent",
        "scaling",
        "sklearn_mlp",
        "startup",
        "tables",
        "training_step",
    }
    assert programs | {"by_hand", "cases", "contenders", "harness", "passes", "results"} == FILES


def test_training_step(run, tmp_path):
    peers = "program,fit,numpy,plain,torch,torch-compile,jax,sklearn"
    results, out, err = run("training_step", "--against", peers, "--plot", str(tmp_path / "out.png"))
    assert check_results(results, ["nnlite", "program", "fit", "numpy", "plain"]) == ["30-16-8-1, batch 32, float32"]
    assert results[0]["what"]["sizes"] == [30, 16, 8, 1]
    assert [line for line in err.splitlines() if "left out" in line] == [
        f"left out: {package} is not installed (extra: bench)" for package in ("torch", "jax", "scikit-learn")
    ]
    assert "its time / nnlite's" in out
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_contenders_that_run_nnlite_are_measured_with_both_ways_of_computing_kernels(harness):
    functions = vars(importlib.import_module("contenders"))
    running = {
        name for name, each in functions.items() if isfunction(each) and {"network", "SGD"} <= {*each.__code__.co_names}
    }
    assert running == set(harness.OWN)


def test_backward(run):
    results, out, err = run("backward", "--against", "floor,numpy,torch")
    steps = ["Linear 32 x 30 x 16 backward, float32", "Tanh 8 x 64 backward, float32"]
    assert check_results(results, ["nnlite", "floor", "numpy"]) == steps
    assert [result["work"] for result in results] == [4 * 32 * 30 * 16 + 32 * 16, 3 * 512 * 4]
    assert "GFLOP/s" in out
    assert "GB/s" in out
    assert err.count("left out: torch is not installed") == 1


def test_both_ways_of_computing_kernels(run, tmp_path):
    pytest.importorskip("numba")
    given = ["--kernels", "numpy", "numba", "--layers", "ReLU", "--pass", "forward", "--shape", "4,8"]
    results, out, _ = run("backward", *given, "--plot", str(tmp_path / "out.png"))
    steps = ["ReLU 4 x 8 forward, float32"] * 2
    assert check_results(results, ["nnlite", "floor", "numpy"], ("numpy", "numba")) == steps
    assert results[0]["timings"][0] != results[1]["timings"][0]
    assert results[0]["timings"][1:] == results[1]["timings"][1:]  # the peers run once
    assert "numba" in out
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


OWN_LAYER = """
import numpy as np
import nnlite as nn

class Twice(nn.Layer, parameters=("alpha",)):
    def __init__(self, features=8):
        self.alpha = np.ones(features)

    def forward(self, X):
        self.X = X
        return 2 * X * self.alpha

    def backward(self, dY):
        self.dalpha = np.sum(2 * dY * self.X, axis=0)
        return 2 * dY * self.alpha
"""


def test_a_layer_that_somebody_wrote(run, tmp_path, monkeypatch):
    (tmp_path / "my_layers.py").write_text(OWN_LAYER)
    monkeypatch.chdir(tmp_path)
    results, _, _ = run("backward", "--layer", "my_layers:Twice", "--shape", "4,8")
    assert check_results(results, ["nnlite", "floor"]) == ["my_layers:Twice 4 x 8 backward, float32"]
    sys.modules.pop("my_layers")


def test_the_layer_of_an_example(run):
    results, _, _ = run(
        "backward", "--layer", f"{BENCHMARKS.parent / 'examples/own_layer.py'}:PReLU(8)", "--shape", "4,8"
    )
    assert check_results(results, ["nnlite", "floor"])
    sys.modules.pop("own_layer")


def test_a_shape_that_a_layer_cannot_have_is_refused(run, capfd):
    for given in ("4", "0,8", "4,8,2"):
        with pytest.raises(SystemExit):
            run("backward", "--layers", "Tanh", "--shape", given)
        assert "expected N,D" in capfd.readouterr().err
    with pytest.raises(SystemExit):
        run("backward", "--layer", "PReLU")
    assert "expected module:constructor" in capfd.readouterr().err


def test_optimizer_step(run):
    results, _, err = run("optimizer_step", "--against", "floor,numpy,torch", "--optimizers", "SGD")
    assert check_results(results, ["nnlite", "floor", "numpy"]) == ["SGD, 641 parameters, float32"]
    assert results[0]["work"] == 5 * 641 * 4
    assert err.count("left out: torch is not installed") == 1


def test_every_optimizer_of_the_benchmark_steps():
    optimizers, nn = importlib.import_module("optimizer_step"), importlib.import_module("nnlite")
    assert [optimizers.parameters(sizes) for sizes in optimizers.NETWORKS] == [641, 10_000, 1_000_000]
    for rule in optimizers.RULES:
        if hasattr(nn, rule):
            Phi = optimizers.nnlite(rule, (3, 2), "float32")(3)
            assert np.isfinite(Phi).all()
            assert Phi.any()


def test_inference(run):
    results, _, err = run("inference", "--against", "numpy,torch,sklearn")
    assert check_results(results, ["nnlite", "numpy"]) == ["20-64-64-1, 1 rows, float32"]
    assert results[0]["work"] == 2 * (20 * 64 + 64 * 64 + 64)
    assert err.count("left out") == 2


def test_convolution(run):
    results, _, err = run("convolution", "--against", "floor,torch")
    assert check_results(results, ["nnlite", "floor"]) == ["Conv2d 1 -> 8, 5 x 5, 64 images of 28 x 28"]
    assert results[0]["work"] == 3 * 2 * (64 * 28 * 28) * 8 * 25
    assert err.count("left out: torch is not installed") == 1


def test_attention(run):
    results, _, err = run("attention", "--against", "floor,torch")
    assert check_results(results, ["nnlite", "floor"]) == ["4 heads of 16, 16 sequences of 32 steps"]
    # Four maps of all steps, and in each head the scores and the sums of values; in backward twice as many.
    assert results[0]["work"] == 3 * (4 * 2 * (16 * 32) * 64 * 64 + 4 * 16 * 2 * (32 * 32 * 16) * 2)
    assert err.count("left out: torch is not installed") == 1


def test_recurrent(run):
    results, _, err = run("recurrent", "--against", "floor,torch")
    assert check_results(results, ["nnlite", "floor"]) == ["LSTM 8 -> 32, 16 sequences of 100 steps"]
    # Of each step all gates from x, h and 1, and the gradient of h; at the end those of all weights, and of x.
    assert results[0]["work"] == 2 * (100 * 16) * (4 * 32) * ((8 + 32 + 1) + 32 + (8 + 32 + 1) + 8)
    assert err.count("left out: torch is not installed") == 1


def test_lenet(run):
    results, _, err = run("lenet", "--against", "torch")
    assert [result["step"] for result in results] == ["LeNet-5, 64 images of 28 x 28"]
    assert [each["name"] for each in results[0]["timings"]] == ["nnlite"]
    assert err.count("left out: torch is not installed") == 1


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_sklearn_mlp_makes_the_same_fits(solver, monkeypatch):
    pytest.importorskip("sklearn")
    sklearn_mlp, harness = map(importlib.import_module, ("sklearn_mlp", "harness"))
    monkeypatch.setitem(sklearn_mlp.EPOCHS, "breast cancer", 5)
    with warnings.catch_warnings():
        own, theirs = (
            make("breast cancer", solver, "float64")(1) for make in (sklearn_mlp.nnlite, sklearn_mlp.sklearn)
        )
    assert harness.difference(own, theirs) <= sklearn_mlp.AGREE["float64"]


def test_sklearn_mlp_compares_cpu_times(monkeypatch, capsys):
    pytest.importorskip("sklearn")
    sklearn_mlp = importlib.import_module("sklearn_mlp")
    monkeypatch.setitem(sklearn_mlp.EPOCHS, "breast cancer", 2)
    monkeypatch.setattr(sys, "argv", ["sklearn_mlp", "--cpu", "--tiny"])
    with warnings.catch_warnings():
        sklearn_mlp.main()
    assert re.search(r"^\| breast cancer, adam, 2 epochs \| \d+ \| \d\.\d\d \|$", capsys.readouterr().out, re.MULTILINE)


def test_scaling(run):
    results, out, err = run("scaling", "--against", "torch")
    assert [(result["sweep"], result["in"]) for result in results] == [
        ("batch", "batch"), ("width", "parameters"),
    ]  # fmt: skip
    assert results[0]["x"] == [4, 8]
    assert results[1]["x"] == [2 * (4 * 4 + 4), 2 * (8 * 8 + 8)]
    for result in results:
        (times,) = result["times"]
        assert times["contender"] == "nnlite"
        assert len(times["median"]) == len(result["memory"]["peak_bytes"]) == len(result["points"]) == 2
        assert all(peak > model > 0 for peak, model in zip(*list(result["memory"].values())[2:], strict=True))
    assert "standard error" in out
    assert err.count("left out: torch is not installed") == 1


def test_tables(tmp_path, monkeypatch, capsys):
    tables = importlib.import_module("tables")
    timings = [{"name": "nnlite", "seconds": [1e-6, 2e-6]}, {"name": "torch", "seconds": [3e-6, 8e-6]}]
    results = [
        {"step": "Tanh", "threads": threads, "kernels": kernels, "timings": timings,
         "what": {"layer": "Tanh", "shape": [8, 64], "way": "backward"}}
        for threads in (1, 2) for kernels in ("numpy", "numba")
    ]  # fmt: skip
    for name in tables.RUNS:
        file = {"machine": {"processor": "a machine"}, "results": results}
        (tmp_path / f"{name}.json").write_text(json.dumps(file))
    monkeypatch.setattr(sys, "argv", ["tables", str(tmp_path), "--plot", str(tmp_path / "out.png")])
    tables.main()  # all have been run
    out = capsys.readouterr().out
    assert "processor a machine" in out
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert "| Tanh | 3.5 / 3.5 / 3.5 / 3.5 | 3.5 / 3.5 / 3.5 / 3.5 | - |" in out
    assert "| Tanh | 1.5 / 1.5 | 1.5 / 1.5 | 3.5 / 3.5 | 3.5 / 3.5 | - / - | - / - |" in out  # us, torch, floor


def test_every_run_of_the_tables_is_a_command_that_its_benchmark_accepts(monkeypatch):
    tables, harness = map(importlib.import_module, ("tables", "harness"))

    class Accepted(Exception):  # noqa: N818
        pass

    def stop(*_):
        raise Accepted

    monkeypatch.setattr(harness.Field, "__enter__", stop)
    for program, *options in tables.RUNS.values():
        monkeypatch.setattr(sys, "argv", [program, *options])
        module = importlib.import_module(program)
        with pytest.raises(Accepted):
            module.main()


def test_startup(run):
    results, out, err = run("startup", "--against", "torch")
    for entry in results["runs"]:
        assert list(entry["values"]) == ["numpy", "nnlite"]
        assert all(value > 0 for values in entry["values"].values() for value in values)
    assert {entry["what"] for entry in results["runs"]} >= {"import", "process"}
    numpy, nnlite = results["disk"]["numpy"], results["disk"]["nnlite"]
    assert numpy["own"] == numpy["whole"] > 1e6  # NumPy needs nothing
    assert nnlite["whole"] > nnlite["own"] + numpy["own"]
    assert "with dependencies" in out
    assert err.count("left out: torch is not installed") == 1


def test_an_unknown_peer_is_refused_before_anything_runs(harness, capsys):
    parser = harness.arguments("", ("numpy", "torch"), default=["numpy"])
    assert parser.parse_args([]).against == ["numpy"]
    assert parser.parse_args(["--against", "torch,numpy"]).against == ["torch", "numpy"]
    assert parser.parse_args(["--against", ""]).against == []
    with pytest.raises(SystemExit):
        parser.parse_args(["--against", "numpi"])
    assert "unknown numpi; the peers are numpy, torch" in capsys.readouterr().err


# ------------------------------------------------------------------------------------ the layers and their floors


@pytest.mark.parametrize("way", ["forward", "backward"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_straight_line_numpy_computes_what_nnlite_does(way, dtype):
    backward, by_hand, harness, passes = map(importlib.import_module, ("backward", "by_hand", "harness", "passes"))
    for layer in by_hand.LAYERS:
        shape = (48, 30, 16) if layer == "Linear" else (16, 64)
        runs = passes.nnlite(layer, shape, dtype, way), passes.numpy(layer, shape, dtype, way)
        values = [run(2) for run in runs]
        own, floor = (list(map(np.asarray, value if isinstance(value, tuple) else (value,))) for value in values)
        assert harness.difference(own, floor) <= backward.AGREE[dtype], layer
        assert len(own) == (3 if layer == "Linear" and way == "backward" else 1)


def test_a_contender_is_there_only_where_it_has_something_to_do():
    peers, every = importlib.import_module("backward").peers, ["floor", "functions", "numpy", "torch"]
    assert peers("Tanh", "forward", every) == every
    assert peers("Tanh", "backward", every) == ["floor", "numpy", "torch"]
    assert peers("Linear", "forward", every) == ["floor", "numpy", "torch"]
    assert peers("NLLLoss", "forward", every) == ["torch"]
    assert peers("NLLLoss", "backward", every) == ["floor", "torch"]
    assert peers("own_layer:PReLU", "backward", every) == ["floor"]


def test_every_layer_of_the_table_that_exists_runs():
    backward, cases, passes = map(importlib.import_module, ("backward", "cases", "passes"))
    layers = backward.available()
    assert set(cases.FIRST) <= set(layers)
    for layer in layers:
        shape = (8, 64, 4) if layer == "Linear" else (8, 64)
        Y, gradients = (
            passes.nnlite(layer, shape, "float32", "forward")(1),
            passes.nnlite(layer, shape, "float32", "backward")(1),
        )
        assert np.size(Y) > 0, layer
        assert len(gradients) >= len(cases.CASES[layer].gradients), layer
        assert passes.functions(layer, shape, "float32", "forward")(1) == ()
        for way, arrays in zip(("forward", "backward"), cases.CASES[layer].arrays, strict=True):
            assert (backward.work(layer, shape, way, "float32")[0] > 0) == (arrays > 0 or layer == "Linear")
            if arrays or layer == "Linear":
                assert passes.floor(layer, shape, "float32", way)(1) == ()


@pytest.mark.parametrize("threads", ["1", "2", "3"])
@pytest.mark.parametrize("size", [1, 5, 2**15, 2**15 + 1, 2**18, 2**18 + 7])
def test_the_floor_covers_each_element_once(size, threads, monkeypatch):
    passes = importlib.import_module("passes")
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    source, target = np.ones(size, np.float32), np.zeros(size, np.float32)
    passes.divided(lambda source, target: np.add(source, target, out=target), source, target)()
    assert (target == 1).all()


# ------------------------------------------------------------------------------------------- the instrument


@pytest.mark.parametrize("name", ["harness", "results", "scaling", "tables"])
def test_its_examples(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


def test_ratios_are_taken_within_a_round(results):
    # The third round was slow for both, which no ratio must show: 6/3, 8/4, 60/20, 5/2, 4/1 are 2, 2, 2.5, 3, 4 sorted.
    own, theirs = results.Timing("own", (3.0, 4.0, 20.0, 2.0, 1.0)), results.Timing("peer", (6.0, 8.0, 60.0, 5.0, 4.0))
    assert own.ratios(theirs) == (2.0, 2.5, 3.0)
    assert (own.median, own.minimum) == (3.0, 1.0)


def test_columns_of_a_table_stand_below_each_other(results):
    assert results.table([("step", "us"), ("forward", "10.0"), ("a", "2.5")]) == (
        "step       us\n" "forward  10.0\n" "a         2.5"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "others", "expected"),
    [
        ([3.0], [4.0], 0.25),
        ([[1.0, 2.0], [0.0, 5.0]], [[1.0, 2.0], [0.0, 10.0]], 0.5),
        ([[0.0]], [[0.0]], 0.0),
        ([[1.0, 2.0]], [[1.0]], math.inf),
        ([1.0], [1.0, 1.0], math.inf),
        ([math.nan, 1.0], [1.0, 1.0], math.nan),
        ([1.0, math.nan], [1.0, 1.0], math.nan),
    ],
)
def test_difference_is_the_largest_as_a_share_of_the_largest(values, others, expected, harness):
    apart = harness.difference(list(map(np.array, values)), list(map(np.array, others)))
    assert apart == pytest.approx(expected, nan_ok=True)


CONTENDERS = """
import os
from contenders import repeated

def nnlite(): return repeated(lambda: 1.0)
def first(): return repeated(lambda: 1.0)
def empty(): return repeated(lambda: ())
def close(): return repeated(lambda: 1.00009)
def far(): return repeated(lambda: 1.0002)
def lost(): return repeated(lambda: float("nan"))
def loud():
    print("hello")
    return repeated(lambda: 1.0)
def absent(): import not_installed_anywhere
def threads():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return repeated(lambda: (float(os.environ["OPENBLAS_NUM_THREADS"]), float(cores)))
"""


@pytest.fixture
def field(harness, tmp_path, monkeypatch):
    """A Field of contenders of CONTENDERS."""
    (tmp_path / "some.py").write_text(CONTENDERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    harness.leave_out.cache_clear()
    options = harness.arguments("", ()).parse_args(["--tiny"])
    with harness.Field(options) as field:
        yield field


@pytest.fixture
def race(harness, field):
    """A function that races these contenders; "nnlite" is the first."""

    def race(*names):
        workers = []
        for name in names:
            worker = field.worker(name, 1)
            worker.build(f"some:{name}", {})
            workers.append(worker)
        return harness.race(workers, agree=1e-4, **{**harness.TINY, "rounds": 3})

    return race


def test_contenders_are_timed_once_a_round(race):
    timings = race("first", "close", "loud")
    assert [timing.name for timing in timings] == ["first", "close", "loud"]
    assert [len(timing.seconds) for timing in timings] == [3, 3, 3]


def test_a_peer_whose_package_is_missing_is_left_out_and_named_once(field, capfd):
    steps = [list(field.compare(step, "some", {}, peers=["close", "absent"], agree=1e-4)) for step in "ab"]
    for (result,), step in zip(steps, "ab", strict=True):
        assert (result.step, [timing.name for timing in result.timings]) == (step, ["nnlite", "close"])
    said = capfd.readouterr().err
    assert said.count("left out") == 1
    assert "left out: not_installed_anywhere is not installed (extra: bench)\n" in said


def test_one_process_serves_all_steps(field):
    for _ in range(2):
        list(field.compare("a", "some", {}, peers=["close"], agree=1e-4))
    assert list(field.workers) == [("nnlite", 1, "numpy"), ("close", 1, "")]


def test_a_contender_that_returns_an_empty_tuple_agrees_with_all(race):
    assert len(race("first", "empty")) == 2


@pytest.mark.parametrize("name", ["far", "lost"])
def test_contenders_that_disagree_are_refused(name, race, field, harness):
    with pytest.raises(harness.DisagreementError, match=f"after 20 steps {name} is .* away from first, .* 1e-04"):
        race("first", name)
    with pytest.raises(SystemExit, match="a: not comparable"):
        list(field.compare("a", "some", {}, peers=[name], agree=1e-4))


def test_the_first_contender_is_not_left_out(field, race, harness):
    with pytest.raises(harness.NotInstalledError, match="not_installed_anywhere"):
        race("absent")
    with pytest.raises(SystemExit, match="a: no_such_module"):
        list(field.compare("a", "no_such_module", {}, agree=1e-4))


def test_contenders_take_turns_with_a_warm_up_and_a_pause_before_each(harness, monkeypatch):
    log = []
    monkeypatch.setattr(harness.time, "sleep", lambda seconds: log.append(("pause", seconds)))

    def contender(name, cost):
        return SimpleNamespace(seconds=lambda steps: log.append((name, steps)) or cost)

    taken = harness.take_turns([contender("A", 0.01), contender("B", 0.25)], rounds=2, seconds=1.0, pause=0.5)
    assert taken == [(0.01, 0.01), (0.25, 0.25)]
    turns = [("pause", 0.5), ("A", 10), ("A", 100), ("pause", 0.5), ("B", 1), ("B", 4)]
    assert log == [("A", 3), ("B", 3), *turns, *turns]


def test_a_time_is_that_of_one_step(harness):
    worker = object.__new__(harness.Worker)
    worker._ask = lambda *request: {("run", 3, ""): 6.0}[request]
    assert worker.seconds(3) == 2.0


def test_a_worker_has_the_threads_and_the_cores_that_it_is_given(field, harness):
    worker = field.worker("threads", 1)
    worker.build("some:threads", {})
    assert list(map(float, worker.value(1))) == [1.0, 1.0]
    variables = harness.environment(2, "mkl", "numba")
    names = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NNLITE_BLAS", "NNLITE_KERNELS"
    assert [variables[name] for name in names] == ["2", "2", "2", "mkl", "numba"]


def test_a_way_of_computing_kernels_that_is_not_there_is_refused(harness, monkeypatch, capsys):
    parser = harness.arguments("", ())
    with pytest.raises(SystemExit):
        parser.parse_args(["--kernels", "numpi"])
    monkeypatch.setattr(harness.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        parser.parse_args(["--kernels", "numpy", "numba"])
    err = capsys.readouterr().err
    assert "expected numpy or numba, got numpi" in err
    assert "numba is not installed (extra: fast)" in err


def test_with_several_threads_there_is_a_pause(harness):
    parse = harness.arguments("", ()).parse_args
    assert [harness.turns(parse([]), threads)["pause"] for threads in (1, 2)] == [0.0, 0.05]
    assert harness.turns(parse(["--blas", "mkl"]), 2)["pause"] == 0.25


def test_a_plot_or_a_file_that_cannot_be_written_is_refused_at_once(harness, tmp_path, monkeypatch, capsys):
    parser = harness.arguments("", ("torch",))
    with pytest.raises(SystemExit):
        parser.parse_args(["--json", str(tmp_path / "missing" / "out.json")])
    monkeypatch.setattr(harness.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        parser.parse_args(["--plot", str(tmp_path / "out.png")])
    err = capsys.readouterr().err
    assert "missing" in err
    assert "matplotlib is not installed (extra: plot)" in err


# ------------------------------------------------------------------------------------------------ exponents


def test_the_exponent_is_that_of_the_upper_half_with_the_error_of_a_fitted_slope():
    # In log2: x = 0 1 2 | 3 4 5 6 and above the middle y = 0 2 2 4, a slope of 1.2 with residuals -0.2 0.6 -0.6 0.2:
    # error = sqrt(0.8 / (4 - 2) / (2.25 + 0.25 + 0.25 + 2.25)).
    scaling = importlib.import_module("scaling")
    exponent, error = scaling.fit([1, 2, 4, 8, 16, 32, 64], [99, 99, 99, 1, 4, 4, 16])
    assert exponent == pytest.approx(1.2)
    assert error == pytest.approx(math.sqrt(0.08))
    assert scaling.fit([1, 100, 101], [7, 1, 1.01]) == (pytest.approx(1), None)


def test_sweeps_go_by_half_octaves():
    scaling = importlib.import_module("scaling")
    assert scaling.octaves(2, 16) == [2, 3, 4, 6, 8, 12, 16]
    assert scaling.parameters((3, 4, 2)) == 3 * 4 + 4 + 4 * 2 + 2
    assert scaling.model_bytes((3, 4, 2), rows=10, itemsize=8) == 8 * (2 * 26 + 10 * (3 + 4 + 2))


def test_parallel_measures_both_numbers_of_processes():
    arguments = ["--sizes", "8", "4", "2", "--batch", "16", "--rounds", "2"]
    code, out, error = ended(start(1, BENCHMARKS / "parallel.py", *arguments))
    assert code == 0, error
    assert [line.split(":")[0] for line in out.splitlines()[1:]] == ["1 process", "2 processes"]


def test_the_model_of_several_processes_is_its_formula_and_finds_its_own_numbers():
    model = importlib.import_module("parallel_model")
    # 8 processes: 2 log2(8) = 6 latencies, and 2 * 7/8 of the bytes
    assert model.sum_seconds(8, 4e9, 1e-3, 1e9) == pytest.approx(6e-3 + 7.0)
    alone = model.step_seconds(1, 100, 4000, (1.0, 0.01), (1.0, 1.0))
    assert alone == pytest.approx(2.0)  # nothing is sent
    together = model.step_seconds(4, 100, 4000, (1.0, 0.01), (1e-3, 1e6))
    assert together == pytest.approx(1.25 + 4e-3 + 6e-3 + 2 * (4e-3 + 1.5 * 64e-6))
    seconds = {size: model.sum_seconds(2, size, 3e-6, 5e9) for size in model.SIZES}
    assert model.fitted(seconds) == pytest.approx((3e-6, 5e9))


def test_parallel_model_predicts_and_draws(tmp_path):
    arguments = ["--tiny", "--repeats", "2", "--plot", str(tmp_path / "speedup.png")]
    code, out, error = ended(start(1, BENCHMARKS / "parallel_model.py", *arguments))
    assert code == 0, error
    assert "16,777,216 bytes" in out
    assert re.search(r"^30-16-8-1, 64 rows( +\d+\.\d){7}$", out, re.MULTILINE)
    assert re.search(r"^30-16-8-1: fastest with [\d,]+, half of each used up to [\d,]+$", out, re.MULTILINE)
    assert (tmp_path / "speedup.png").stat().st_size > 5000
