"""Loops that Numba compiles: accurate exp and log, with or without a cache, in threads and after a fork."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn
from nnlite.compute import kernels
from nnlite.compute.log1p import log1p
from nnlite.compute.numba_source import numba_source
from nnlite.compute.tracing import trace

numba = pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def with_numba():
    nn.set_kernels("numba")
    yield
    nn.set_kernels("numpy")


def every_exponent():
    """float32 numbers of both signs with every exponent, denormal numbers too, and 2^9 different rests."""
    bits = np.arange(0, 0x7F800000, 2**14, dtype=np.uint32)
    rests = np.random.default_rng(0).integers(0, 2**14, bits.size, dtype=np.uint32)
    positive = (bits | rests).view(np.float32)
    return np.concatenate([positive, -positive])


def ulps(got, exact):
    return np.abs(got.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32))


def test_exp_is_within_2_ulp_of_exact():
    X = every_exponent()
    X = np.concatenate([X, np.linspace(-104, 89, 300_001, dtype=np.float32)])
    with np.errstate(over="ignore", under="ignore"):
        exact = np.exp(X.astype(np.float64))
        finite = exact <= np.finfo(np.float32).max
    got = kernels.exp(X)
    assert ulps(got[finite], exact[finite]).max() <= 2
    assert (got[~finite] == np.inf).all()


def test_log_is_within_2_ulp_of_exact():
    X = every_exponent()
    X = np.concatenate([X[X > 0], np.linspace(0.5, 2, 300_001, dtype=np.float32)])
    assert ulps(kernels.log(X), np.log(X.astype(np.float64)))[X != 1].max() <= 2
    assert kernels.log(np.ones(1, np.float32)) == 0


def test_log1p_is_within_2_ulp_of_exact_from_minus_1_to_1():
    X = every_exponent()
    X = np.concatenate([X[np.abs(X) < 1], np.linspace(-1, 1, 300_002, dtype=np.float32)[1:]])
    X = X[X != 0]
    got = nn.kernel(lambda X: log1p(X))(X)
    assert ulps(got, np.log1p(X.astype(np.float64))).max() <= 2


def test_tanh_is_within_3_ulp_of_exact_and_its_sign_is_that_of_the_number():
    X = np.concatenate([every_exponent(), np.linspace(-10, 10, 300_001, dtype=np.float32), np.float32([0.0, -0.0])])
    got = kernels.tanh(X)
    assert ulps(got, np.tanh(X.astype(np.float64))).max() <= 3
    assert np.abs(got).max() == 1
    assert_array_equal(np.signbit(got), np.signbit(X))
    assert_array_equal(kernels.tanh(np.float32([np.nan, np.inf, -np.inf])), [np.nan, 1, -1])


def test_exp_and_log_of_special_numbers():
    inf, nan, tiny = np.inf, np.nan, np.finfo(np.float32).smallest_subnormal
    X = np.float32([nan, inf, -inf, 0.0, -0.0, 1e30, -1e30, 88.73, -103.9, -104])
    assert_array_equal(kernels.exp(X), np.float32([nan, inf, 0, 1, 1, inf, 0, inf, tiny, 0]))
    X = np.float32([nan, inf, -inf, 0.0, -0.0, -tiny, -1.0, 1.0])
    assert_array_equal(kernels.log(X), np.float32([nan, inf, nan, -inf, -inf, nan, nan, 0]))
    got = nn.kernel(lambda X: log1p(X))(np.float32([nan, -1, -2, 0.0, 1e-45]))
    assert_array_equal(got, np.float32([nan, -inf, nan, 0, 1e-45]))


def test_a_read_only_array_takes_the_loop(monkeypatch):
    A = np.arange(3, dtype=np.float32)
    monkeypatch.setattr(nn.compute.numba_function, "numpy_function", lambda *_: None)  # which cannot be called
    multiply = nn.kernel(lambda A, B: A * B)
    A.flags.writeable = False
    assert_array_equal(multiply(A, A), [0, 1, 4])
    assert_array_equal(multiply(A, A + 1), [0, 2, 6])


# --- the cache


def compiled(formula):
    """The loop of a formula, compiled or read from the cache."""
    from nnlite.compute.numba_function import compiled

    real = numba.float64[::1]
    loop = compiled("formula", numba_source(trace(formula), (), np.dtype(float)), numba.void(real, real))
    out = np.empty(2)
    loop(np.array([1.0, 3.0]), out)
    assert_array_equal(out, formula(np.array([1.0, 3.0])))
    return loop


def test_compiled_loops_are_cached_and_a_change_of_the_formula_is_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    formulas = [lambda X: X * 3 + 1, lambda X: X * 3 + 2]
    assert [sum(compiled(each).stats.cache_hits.values()) for each in formulas * 2] == [0, 0, 1, 1]
    folder = tmp_path / "nnlite" / "kernels"
    assert len([*folder.glob("formula_*.py")]) == 2
    assert sorted(each.suffix for each in folder.iterdir()) == ["", ".py", ".py"]  # and no temporary file


@pytest.mark.parametrize("place", ["a file", "below a file", "__pycache__ is a file"])
def test_without_a_folder_that_can_be_written_loops_are_compiled(place, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    folder = {"a file": tmp_path / "file", "below a file": tmp_path / "file" / "below"}.get(place, tmp_path)
    if place == "__pycache__ is a file":
        for each in tmp_path / "nnlite" / "kernels" / "__pycache__", tmp_path / "numba":  # Numba's second choice
            each.parent.mkdir(parents=True, exist_ok=True)
            each.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    assert not compiled(lambda X: X * 5 + 1).stats.cache_hits


def test_without_a_home_loops_are_compiled(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pathlib.Path.home", no_home)
    assert not compiled(lambda X: X * 5 + 1).stats.cache_hits


PROGRAM = """
    import os, threading, time, warnings
    import numpy as np
    import nnlite as nn
    from nnlite.compute import kernels, numba_function

    loops, compile_ = [], numba_function.compiled

    def compiled(*arguments):
        loops.append(compile_(*arguments))
        return loops[-1]

    numba_function.compiled = compiled
    X = np.linspace(-3, 3, 2**19 + 5, dtype=np.float32)  # large: in several threads
    results, start = [None] * 8, threading.Barrier(8)

    def use(place):
        start.wait()
        results[place] = kernels.sigmoid(X)

    threads = [threading.Thread(target=use, args=(place,)) for place in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    exact = 1 / (1 + np.exp(-X.astype(float)))
    assert all(np.allclose(each, exact, rtol=1e-6, atol=0) for each in results)
    warnings.simplefilter("ignore")  # newer Pythons warn of a fork beside threads
    child = os.fork()
    if not child:
        same = (kernels.sigmoid(X) == results[0]).all()
        first = (kernels.relu_backward(X, X) == X).all()
        os._exit(0 if same and first else 1)
    assert os.waitpid(child, 0)[1] == 0
    print([sum(each.stats.cache_hits.values()) for each in loops])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_threads_and_processes_use_a_kernel_at_once_and_a_fork_and_later_processes_find_it_cached(tmp_path):
    program = textwrap.dedent(PROGRAM)
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "NNLITE_KERNELS": "numba", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "error", "-c", program]

    def started():
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def hits(process):
        out, err = process.communicate(timeout=100)
        assert err == ""
        return out.strip()

    assert {hits(process) for process in [started(), started()]} <= {"[0]", "[1]"}  # compiled, or read, once
    assert hits(started()) == "[1]"


def test_sums_of_columns_of_a_million_rows_in_float32():
    sums = nn.kernel(lambda X: (np.sum(X, axis=0), np.sum(X * X, axis=0)))
    for value, width in (0.1, 1), (1000.3, 3):
        X = np.full((1_000_000, width), value, np.float32)
        of_values, of_squares = sums(X)
        np.testing.assert_allclose(of_values, X.sum(axis=0, dtype=np.float64), rtol=1e-5)
        np.testing.assert_allclose(of_squares, (X[0] ** 2).astype(np.float64) * 1e6, rtol=1e-5)
