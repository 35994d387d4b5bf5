"""Logged arrays: each call is a node with its value; what is written in place, decided on or sized is known."""

import operator

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from nnlite.compute import blas
from nnlite.compute.call_log import CallLog, UnwritableError
from nnlite.compute.kernel import kernel
from nnlite.compute.logged_numpy import running
from nnlite.compute.logged_size import Size


@pytest.fixture
def log():
    return CallLog(rows=5)


def named(log):
    return [getattr(node.function, "__name__", node.function) for node in log.nodes]


def test_calls_of_all_kinds_are_logged_with_their_values(log):
    X = log.give("X", np.arange(10.0).reshape(5, 2))
    with running(log):
        Y = np.exp(-X) @ X.T + np.asarray(X).sum(axis=1)
        Z = np.where(Y > 1, Y, 0.0)[:, :2]
    expected = np.exp(-X.node.value) @ X.node.value.T + X.node.value.sum(axis=1)
    assert_array_equal(Y.node.value, expected)
    assert_array_equal(Z.node.value, np.where(expected > 1, expected, 0)[:, :2])
    assert named(log) == ["negative", "exp", "getattr", "matmul", "sum", "add", "greater", "where", "getitem"]


def test_a_kernel_is_logged_as_its_ufuncs_or_whole(log):
    @kernel
    def squares(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        return X * X + 2 * Y

    X = log.give("X", np.ones(3))
    assert_array_equal(squares(X, X).node.value, [3, 3, 3])
    assert named(log) == ["multiply", "multiply", "add"]
    whole = CallLog(rows=5, whole_kernels=True)
    Y = squares(whole.give("X", np.ones(3)), whole.give("Y", np.ones(3)))
    assert_array_equal(Y.node.value, [3, 3, 3])
    assert [node.function for node in whole.nodes] == [squares]


def test_an_array_that_is_written_into_is_another_value_unless_a_view_shares_its_memory(log):
    X = log.give("X", np.ones(3))
    Y = X * 2
    before = Y.node
    Y += 1
    assert Y.node is not before
    assert_array_equal(before.value, [2, 2, 2])
    assert not log.mutated
    Z = X * 2
    view = Z.reshape(3, 1)
    view[0] = 7
    assert log.mutated == {Z.node}
    assert log.nodes[-1].function is operator.setitem
    assert_array_equal(Z.node.value, [7, 2, 2])


def test_what_is_written_into_state_is_stored(log):
    X, dW = log.give("X", np.ones((5, 2))), log.give("dW", np.zeros((2, 2)))
    with running(log):
        blas.matmul(X.T, X, dW)
        dW += 1
        dW[...] = dW * 2
    assert [name for name, _ in log.stored] == ["dW"] * 3
    assert_array_equal(dW.node.value, np.full((2, 2), 12))


def test_sizes_are_multiples_of_the_number_of_rows(log):
    X = log.give("X", np.ones((5, 3)))
    rows, columns = X.shape
    assert isinstance(rows, Size)
    assert not isinstance(columns, Size)
    assert (X.size.times, (2 * X.size).times, X.reshape(-1).shape[0].times) == (3, 6, 3)
    assert (1 / X.size).node.function is operator.truediv
    assert (X.size - 1).node.value == 14


def test_decisions_are_noted_and_can_be_flipped():
    for flipped, outcomes in (-1, [True, False]), (0, [False, False]), (1, [True, True]):
        log = CallLog(rows=5, flipped=flipped)
        X = log.give("X", np.ones(3))
        assert [bool((X > 0).all()), bool((X > 1).any())] == outcomes
        assert [outcome for _, outcome in log.decisions] == [True, False]


@pytest.mark.parametrize(
    "call",
    [
        float,
        lambda X: np.full(3, 1.0)[X],
        lambda X: [row for row in X],  # noqa: C416
        lambda X: np.add(X, 1, out=np.zeros((5, 2))),
        lambda X: np.add.at(X, [0], 1),
        lambda X: np.lib.stride_tricks.as_strided(X, (2, 2)),
        lambda X: np.stack([1.0, 2.0])[...].__setitem__(slice(None), X),
    ],
)
def test_what_cannot_be_logged_is_an_error(log, call):
    X = log.give("X", np.ones((5, 2)))
    with running(log), pytest.raises(UnwritableError):
        call(X)


def test_other_arrays_and_other_threads_see_the_functions_as_they_are(log):
    before = np.asarray, np.zeros, blas.matmul
    with running(log):
        assert type(np.zeros(3)) is np.ndarray
        assert type(np.asarray([1])) is np.ndarray
        assert_array_equal(blas.matmul(np.ones((2, 3)), np.ones((3, 1))), [[3], [3]])
    assert (np.asarray, np.zeros, blas.matmul) == before
    assert not log.nodes
