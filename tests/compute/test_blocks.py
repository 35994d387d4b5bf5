"""Blocks and threads change nothing but the time."""

import os
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn
from nnlite.compute import blocks

LARGE = 4 * blocks.BLOCK  # in these tests, to keep them quick
SIZES = [0, 1, 2, blocks.BLOCK, blocks.BLOCK + 1, LARGE - 1, LARGE, LARGE + 1, 5 * blocks.BLOCK, 5 * blocks.BLOCK + 7]


@pytest.fixture(params=[1, 2, 3])
def threads(request, monkeypatch):
    """So many threads, however many cores there are."""
    monkeypatch.setattr(blocks, "LARGE", LARGE)
    monkeypatch.setattr(blocks, "_threads", lambda: request.param)
    blocks._pool.cache_clear()
    yield request.param
    blocks._pool.cache_clear()


@nn.kernel
def formula(A, B):
    return A * B - A


@pytest.mark.parametrize("size", SIZES)
def test_a_formula_gives_what_it_gives_for_the_whole(threads, size):
    A, B = np.random.default_rng(0).normal(size=(2, size))
    assert_array_equal(formula(A, B), A * B - A)


@pytest.mark.parametrize("size", SIZES)
def test_in_place_every_element_is_met_once(threads, size):
    A = np.zeros(size)
    blocks.in_blocks(lambda A: np.add(A, 1, A), [A])
    assert_array_equal(A, np.ones(size))


@pytest.mark.parametrize(
    "change",
    [np.asfortranarray, lambda A: A[:, ::-1], lambda A: A[::2], lambda A: A.T, lambda A: A.reshape(2, -1, 3)],
    ids=["Fortran", "backwards", "strided", "transposed", "three axes"],
)
def test_any_layout_gives_the_same(threads, change):
    A = np.random.default_rng(0).normal(size=(600, 900))
    B = A + 1
    assert_array_equal(formula(change(A), change(B)), change(A * B - A))


def test_without_axes_it_gives_an_array_too():
    result = formula(np.array(2.0), np.array(5.0))
    assert type(result) is np.ndarray
    assert (result.shape, float(result)) == ((), 8.0)


@pytest.mark.parametrize("kind", [nn.Tanh, nn.Sigmoid, nn.ReLU])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_a_large_activation_is_its_rows(threads, kind, dtype):
    X = np.random.default_rng(0).normal(size=(600, 500)).astype(dtype)
    dY = np.random.default_rng(1).normal(size=(600, 500)).astype(dtype)
    whole, part = kind(), kind()
    Y, dX = whole.forward(X), whole.backward(dY)
    for rows in slice(0, 200), slice(200, 600):
        assert_array_equal(Y[rows], part.forward(X[rows]))
        assert_array_equal(dX[rows], part.backward(dY[rows]))


def test_an_error_in_any_block_comes_up(threads):
    A = np.zeros(4 * blocks.BLOCK)
    for place in range(0, A.size, blocks.BLOCK):
        A[:] = 0
        A[place] = 1

        def refuse(A):
            if A.any():
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            blocks.in_blocks(refuse, [A])


def test_errstate_holds_in_every_thread(threads):
    A = np.full(4 * blocks.BLOCK, 1e308)
    with np.errstate(over="ignore"):
        assert np.isinf(formula(A, A)).all()
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        formula(A, A)


def test_two_threads_share_the_blocks_from_both_ends(monkeypatch):
    monkeypatch.setattr(blocks, "LARGE", LARGE)
    monkeypatch.setattr(blocks, "_threads", lambda: 2)
    blocks._pool.cache_clear()
    seen = {}
    both = threading.Barrier(2, timeout=10)

    def note(A):
        if threading.get_ident() not in seen:
            seen[threading.get_ident()] = A[0]
            both.wait()

    blocks.in_blocks(note, [np.arange(5.0 * blocks.BLOCK)])
    assert sorted(seen.values()) == [0, 4 * blocks.BLOCK]


def test_for_a_thread_that_is_busy_nobody_waits_and_it_holds_no_array(monkeypatch):
    monkeypatch.setattr(blocks, "LARGE", LARGE)
    monkeypatch.setattr(blocks, "_threads", lambda: 2)
    blocks._pool.cache_clear()
    end = threading.Event()
    busy = blocks._pool().submit(end.wait, 60)
    A = np.zeros(5 * blocks.BLOCK)
    results = blocks.in_blocks(lambda A: np.add(A, 1, A), [A])
    assert_array_equal(np.concatenate(results), np.ones(A.size))
    held = weakref.ref(A)
    del A, results
    assert held() is None
    assert busy.running()
    end.set()
    blocks._pool.cache_clear()


def test_after_an_interruption_no_thread_computes_any_more(monkeypatch):
    monkeypatch.setattr(blocks, "LARGE", LARGE)
    monkeypatch.setattr(blocks, "_threads", lambda: 2)
    blocks._pool.cache_clear()
    main, begun, raised, done = threading.get_ident(), threading.Event(), threading.Event(), []

    def interrupted(A):
        if threading.get_ident() != main:
            begun.set()
            raised.wait(10)
            done.append(A[0])
            return
        begun.wait(10)
        raised.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        blocks.in_blocks(interrupted, [np.arange(100.0 * blocks.BLOCK)])
    count = len(done)
    assert count < 99
    assert blocks._pool().submit(len, done).result() == count
    blocks._pool.cache_clear()


@pytest.mark.parametrize(
    ("wanted", "threads"), [("1", 1), ("2", 2), ("1000", None), ("", None), ("0", None), ("all", None)]
)
def test_OMP_NUM_THREADS_bounds_the_threads(monkeypatch, wanted, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert blocks._threads.__wrapped__() == (threads or 4)


def test_where_the_system_does_not_say_which_cores_are_ours_all_are(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert blocks._threads.__wrapped__() == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_makes_threads_of_its_own():
    program = """
import os, warnings
import numpy as np
from nnlite.compute import blocks
blocks._threads = lambda: 2
from nnlite.compute.kernels import negative
A = np.ones(blocks.LARGE)
assert (negative(A) == -1).all()
warnings.simplefilter("ignore")  # newer Pythons warn of a fork beside threads
child = os.fork()
if not child:
    os._exit(0 if (negative(A) == -1).all() else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_in_place_a_large_array_of_any_layout_is_worked_on_itself(threads):
    A = np.zeros((600, 1000))
    add_one = nn.kernel(into=("A",))(lambda A: A + 1)
    add_one(A.T)
    add_one(A[:, ::2])
    assert (A[:, ::2] == 2).all()
    assert (A[:, 1::2] == 1).all()


def test_a_large_array_that_overlaps_with_the_one_written_into_is_read_before_it_is_written():
    A = np.arange(5.0 * blocks.BLOCK)
    expected = A[1:] - 0.5 * A[:-1]
    nn.kernel(into=("A",))(lambda A, B: A - 0.5 * B)(A[1:], A[:-1])
    assert_array_equal(A[1:], expected)
