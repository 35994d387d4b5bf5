"""The benchmarks run, with and without the peers, and what they measure with is right. No time is asserted."""

import doctest
import importlib
import json
import math
import runpy
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

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


def check_results(results, contenders):
    for result in results:
        assert [timing["name"] for timing in result["timings"]] == contenders
        assert all(seconds > 0 for timing in result["timings"] for seconds in timing["seconds"])
        assert result["threads"] == 1
        assert result["work"] > 0
        assert result["unit"] in ("FLOP", "B")
    return [result["step"] for result in results]


def test_the_benchmarks_are_these():
    programs = {"backward", "inference", "scaling", "startup", "training_step"}
    assert programs | {"contenders", "floors", "harness", "passes", "results"} == FILES


def test_training_step(run, tmp_path):
    peers = "fit,numpy,torch,torch-compile,jax,sklearn"
    results, out, err = run("training_step", "--against", peers, "--plot", str(tmp_path / "out.png"))
    assert check_results(results, ["nnlite", "fit", "numpy"]) == ["30-16-8-1, batch 32, float32"]
    assert [line for line in err.splitlines() if "left out" in line] == [
        f"left out: {package} is not installed (extra: bench)" for package in ("torch", "jax", "scikit-learn")
    ]
    assert "its time / nnlite's" in out
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_backward(run):
    results, out, err = run("backward", "--against", "numpy,torch")
    steps = ["Linear 32 x 30 x 16 backward, float32", "Tanh 8 x 64 backward, float32"]
    assert check_results(results, ["nnlite", "numpy"]) == steps
    assert [result["work"] for result in results] == [4 * 32 * 30 * 16 + 32 * 16, 3 * 512 * 4]
    assert "GFLOP/s" in out
    assert "GB/s" in out
    assert err.count("left out: torch is not installed") == 1


def test_inference(run):
    results, _, err = run("inference", "--against", "numpy,torch,sklearn")
    assert check_results(results, ["nnlite", "numpy"]) == ["20-64-64-1, 1 rows, float32"]
    assert results[0]["work"] == 2 * (20 * 64 + 64 * 64 + 64)
    assert err.count("left out") == 2


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


# ---------------------------------------------------------------------------------------------- the floors


@pytest.mark.parametrize("way", ["forward", "backward"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_floor_of_every_layer_computes_what_nnlite_does(way, dtype):
    backward, harness, passes = map(importlib.import_module, ("backward", "harness", "passes"))
    for layer in backward.LAYERS:
        shape = (48, 30, 16) if layer == "Linear" else (16, 64)
        runs = passes.nnlite(layer, shape, dtype, way), passes.numpy(layer, shape, dtype, way)
        values = [run(2) for run in runs]
        own, floor = (list(map(np.asarray, value if isinstance(value, tuple) else (value,))) for value in values)
        assert harness.difference(own, floor) <= backward.AGREE[dtype], layer
        assert len(own) == (3 if layer == "Linear" and way == "backward" else 1)


# ------------------------------------------------------------------------------------------- the instrument


@pytest.mark.parametrize("name", ["harness", "results", "scaling"])
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

def first(): return repeated(lambda: 1.0)
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
def race(harness, tmp_path, monkeypatch):
    """A race of contenders of CONTENDERS."""
    (tmp_path / "some.py").write_text(CONTENDERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    harness.leave_out.cache_clear()

    def race(*names):
        names = [f"some:{name}" for name in names]
        return harness.race(names, {}, threads=1, agree=1e-4, **{**harness.TINY, "rounds": 3})

    return race


def test_contenders_are_timed_once_a_round_but_for_one_whose_package_is_missing(race, capfd):
    timings = race("first", "close", "absent", "loud", "absent")
    assert [timing.name for timing in timings] == ["first", "close", "loud"]
    assert [len(timing.seconds) for timing in timings] == [3, 3, 3]
    said = capfd.readouterr().err
    assert said.count("left out") == 1
    assert "left out: not_installed_anywhere is not installed (extra: bench)\n" in said


@pytest.mark.parametrize("name", ["far", "lost"])
def test_contenders_that_disagree_are_refused(name, race, harness):
    with pytest.raises(harness.DisagreementError, match=f"after 20 steps {name} is .* away from first, .* 1e-04"):
        race("first", name)


def test_the_first_contender_is_not_left_out(race, harness):
    with pytest.raises(harness.NotInstalledError, match="not_installed_anywhere"):
        race("absent", "first")


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
    worker._ask = {3: 6.0}.get
    assert worker.seconds(3) == 2.0


def test_a_worker_has_the_threads_and_the_cores_that_it_is_given(race, harness):
    with closing(harness.Worker("some:threads", {}, 1)) as worker:
        assert list(map(float, worker.value(1))) == [1.0, 1.0]
    variables = harness.environment(2, "mkl")
    names = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NNLITE_BLAS"
    assert [variables[name] for name in names] == ["2", "2", "2", "mkl"]


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
