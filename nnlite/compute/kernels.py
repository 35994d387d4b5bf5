"""Formulas that several layers share, each in the form that neither overflows nor loses digits."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import FLOATING, Array
from nnlite.compute import blas


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
        E: Array = np.exp(X - _largest(X, axis))
        E /= E.sum(axis=axis, keepdims=True)
        return E


def log_softmax(X: Array, axis: int) -> Array:
    """``X - m - log(sum(exp(X - m)))`` along ``axis``, with ``m = max(X)``; never ``log(softmax(X))``.

    >>> log_softmax(np.array([0.0, -1000.0]), axis=-1)
    array([    0., -1000.])
    """
    with np.errstate(invalid="ignore", under="ignore"):
        Y: Array = X - _largest(X, axis)
        Y -= np.log(np.exp(Y).sum(axis=axis, keepdims=True))
        return Y


def _largest(X: Array, axis: int) -> Array:
    """``max(X)`` along ``axis``, which is kept. NumPy takes long for short rows, so they are turned into columns."""
    if X.ndim > 1 and X.shape[axis] < 64:
        columns = np.ascontiguousarray(X.swapaxes(0, axis))
        return np.maximum.reduce(columns, axis=0, keepdims=True).swapaxes(0, axis)
    return np.maximum.reduce(X, axis=axis, keepdims=True)


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


def sum_over(X: Array, axes: tuple[int, ...]) -> Array:
    """The sum of X over the axes, which stay with size 1; right in float32 over a million rows too.

    Args:
        X: a floating array.
        axes: in ascending order, none negative.

    >>> sum_over(np.array([[1.0, 2.0], [3.0, 4.0]]), (0,))
    array([[4., 6.]])
    """
    shape = [1 if axis in axes else size for axis, size in enumerate(X.shape)]
    if len(axes) == X.ndim:
        return np.asarray(np.add.reduce(X, axis=None)).reshape(shape)
    rows = np.moveaxis(X, axes, range(len(axes))).reshape(math.prod(X.shape[axis] for axis in axes), math.prod(shape))
    out = np.empty(rows.shape[1], X.dtype)
    column_sum(rows, out)
    return out.reshape(shape)


def sum_to(dZ: Array, shape: tuple[int, ...]) -> Array:
    """DZ summed over the axes along which an array of ``shape`` was stretched to dZ's shape.

    >>> sum_to(np.ones((5, 2)), (2,)), sum_to(np.ones((5, 2)), (5, 1)).shape
    (array([5., 5.]), (5, 1))
    """
    if dZ.shape == shape:
        return np.asarray(dZ)  # a ufunc gives a scalar for a 0-d array
    new = dZ.ndim - len(shape)
    stretched = [axis for axis, size in enumerate(dZ.shape) if axis < new or size != shape[axis - new]]
    return sum_over(dZ, tuple(stretched)).reshape(shape)
