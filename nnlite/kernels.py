"""Formulas that several layers share, each in the form that neither overflows nor loses digits."""

from typing import Any

import numpy as np

from nnlite import blas
from nnlite.arrays import FLOATING, Array


def constants(value: float) -> dict[np.dtype[Any], Array]:
    """``value`` as a 0-d array of each dtype: a ufunc takes it in half the time that a Python number costs.

    >>> constants(1)[np.dtype(np.float32)]
    array(1., dtype=float32)
    """
    return {dtype: np.array(value, dtype) for dtype in FLOATING}


ZERO = constants(0)
ONE = constants(1)

_BLOCK = 128  # rows that column_sum adds in one go
_ONES = {dtype: np.ones(_BLOCK, dtype) for dtype in FLOATING}


@np.errstate(over="ignore", under="ignore")
def sigmoid(X: Array, out: Array | None = None) -> Array:
    """``1 / (1 + exp(-X))``, right to 4 ulp wherever that is a normal number; below, it is 0.

    exp may overflow: 1 / inf is the right 0. ``0.5 (1 + tanh(X / 2))`` would be as fast, but has no correct digit left
    below X = -20.

    >>> sigmoid(np.array([-100.0, 0.0, 1e4]))
    array([3.72007598e-44, 5.00000000e-01, 1.00000000e+00])
    """
    one = ONE[X.dtype]
    out = np.negative(X, out)
    np.exp(out, out)
    np.add(one, out, out)
    return np.divide(one, out, out)


def softplus(X: Array) -> Array:
    """``log(1 + exp(X))`` as ``max(X, 0) + log1p(exp(-|X|))``.

    >>> softplus(np.array([-1000.0, 0.0, 1000.0]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    return np.maximum(X, 0) + np.log1p(np.exp(-np.abs(X)))


def softmax(X: Array, axis: int) -> Array:
    """``exp(X - m) / sum(exp(X - m))`` along ``axis``, with ``m = max(X)``, so that nothing overflows.

    >>> softmax(np.array([1000.0, 1000.0]), axis=-1)
    array([0.5, 0.5])
    """
    with np.errstate(invalid="ignore", under="ignore"):  # inf - inf is nan, as it should be
        E: Array = np.exp(X - X.max(axis=axis, keepdims=True))
        E /= E.sum(axis=axis, keepdims=True)
        return E


def log_softmax(X: Array, axis: int) -> Array:
    """``X - m - log(sum(exp(X - m)))`` along ``axis``, with ``m = max(X)``; never ``log(softmax(X))``.

    >>> log_softmax(np.array([0.0, -1000.0]), axis=-1)
    array([    0., -1000.])
    """
    with np.errstate(invalid="ignore", under="ignore"):
        Y: Array = X - X.max(axis=axis, keepdims=True)
        Y -= np.log(np.exp(Y).sum(axis=axis, keepdims=True))
        return Y


@np.errstate(invalid="ignore")
def inner(A: Array, B: Array, axis: int) -> Array:
    """``sum(A * B)`` along ``axis``.

    >>> inner(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]), axis=1)
    array([50.])
    """
    result: Array = np.vecdot(A, B, axis=axis)  # type: ignore[call-overload] # NumPy's stub knows of no axis
    return result


def column_sum(Y: Array, out: Array) -> None:
    """``out = sum over the rows of Y``, with Y of shape (N, M) and ``out`` of shape (M,).

    NumPy adds such rows one after another: a million rows of 0.1 in float32 come out wrong by 1 %. Here blocks
    of rows are summed first, and then their sums; each sum is a product with a row of ones, which is also
    three times faster than ``Y.sum(axis=0)``.

    >>> out = np.empty(1, np.float32)
    >>> column_sum(np.full((1_000_000, 1), 0.1, np.float32), out)
    >>> abs(out[0] - 100_000) < 0.1
    np.True_
    """
    ones = _ONES[Y.dtype]
    while len(Y) > _BLOCK:
        blocks = (Y[start : start + _BLOCK] for start in range(0, len(Y), _BLOCK))
        Y = np.stack([blas.matmul(ones[: len(block)], block) for block in blocks])
    blas.matmul(ones[: len(Y)], Y, out=out)
