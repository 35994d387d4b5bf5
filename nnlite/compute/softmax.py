"""Softmax along the rows of a matrix, and its logarithm, in a form that neither overflows nor cancels.

With m the maximum of a row, E = exp(X - m) and s = sum(E), softmax is E / s, and its logarithm X - m - log(s). What
backward needs of them, E and s, is not computed again. Of NumPy's ways to reduce along rows, ``reduceat`` and
``vecdot`` are the fastest: for 256 rows of 64 they take 8 and 4 us, ``max(axis=1)`` and ``sum(axis=1)`` 16 and 10.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.blocks import in_blocks

quietly = np.errstate(invalid="ignore", under="ignore", divide="ignore")  # inf - inf is NaN, as it should be


def along(axis: int, function: Callable[..., Array], *arrays: Array) -> Array:
    """Return ``function(*arrays)`` of matrices with the axis as their rows, with the axes of the arrays.

    >>> along(0, softmax, np.array([[0.0, 1.0], [0.0, 1.0]]))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    result = function(*[rows(array, axis) for array in arrays])
    return from_rows(result, arrays[0].shape, axis)


def rows(X: Array, axis: int) -> Array:
    """X as a contiguous matrix with the axis as its rows.

    >>> rows(np.array([[1, 2], [3, 4]]), 0)
    array([[1, 3],
           [2, 4]])
    """
    if X.ndim == 2 and axis in (1, -1):
        return np.ascontiguousarray(X)
    moved = np.moveaxis(X, axis, -1)
    return np.ascontiguousarray(moved).reshape(math.prod(moved.shape[:-1]), X.shape[axis])


def from_rows(matrix: Array, shape: tuple[int, ...], axis: int) -> Array:
    """The array of that shape whose :func:`rows` along the axis are those of the matrix."""
    if len(shape) == 2 and axis in (1, -1):
        return matrix
    moved = [*shape]
    moved.append(moved.pop(axis))
    return np.ascontiguousarray(np.moveaxis(matrix.reshape(moved), -1, axis))


@quietly
def exponentials(X: Array) -> tuple[Array, Array, Array]:
    """Return m, E and s of a matrix X."""
    m, E, s = np.empty(len(X), X.dtype), np.empty_like(X), np.empty(len(X), X.dtype)
    in_blocks(_exponentials, [X, m, E, s])
    return m, E, s


@quietly
def softmax(X: Array) -> Array:
    """Return ``Y = E / s``."""
    Y = np.empty_like(X)
    in_blocks(_softmax, [X, Y])
    return Y


@quietly
def softmax_backward(dY: Array, Y: Array) -> Array:
    """Return ``dX = Y (dY - sum(dY Y))``."""
    dX = np.empty_like(Y)
    in_blocks(_softmax_backward, [dY, Y, dX])
    return dX


@quietly
def log_softmax(X: Array) -> tuple[Array, Array, Array]:
    """Return ``Y = X - m - log(s)``, E and s."""
    Y, E, s = np.empty_like(X), np.empty_like(X), np.empty(len(X), X.dtype)
    in_blocks(_log_softmax, [X, Y, E, s])
    return Y, E, s


@quietly
def log_softmax_backward(dY: Array, E: Array, s: Array) -> Array:
    """Return ``dX = dY - E / s sum(dY)``."""
    dX = np.empty_like(E)
    in_blocks(_log_softmax_backward, [dY, E, s, dX])
    return dX


# --- the same for one block of rows


def _exponentials(X: Array, m: Array, E: Array, s: Array) -> None:
    if X.size:
        np.maximum.reduceat(X.reshape(-1), _starts(*X.shape), out=m)
        np.subtract(X, m[:, None], E)
        np.exp(E, E)
        np.vecdot(E, _ones(X.shape[1], X.dtype), out=s)


def _softmax(X: Array, Y: Array) -> None:
    m, s = np.empty((2, len(X)), X.dtype)
    _exponentials(X, m, Y, s)
    np.divide(Y, s[:, None], Y)


def _softmax_backward(dY: Array, Y: Array, dX: Array) -> None:
    np.subtract(dY, np.vecdot(dY, Y)[:, None], dX)
    np.multiply(Y, dX, dX)


def _log_softmax(X: Array, Y: Array, E: Array, s: Array) -> None:
    m = np.empty_like(s)
    _exponentials(X, m, E, s)
    np.subtract(X, m[:, None], Y)
    np.subtract(Y, np.log(s)[:, None], Y)


def _log_softmax_backward(dY: Array, E: Array, s: Array, dX: Array) -> None:
    np.multiply(E, (np.vecdot(dY, _ones(dY.shape[1], dY.dtype)) / s)[:, None], dX)
    np.subtract(dY, dX, dX)


@cache
def _starts(rows: int, columns: int) -> Array:
    """The indices at which the rows of a matrix begin in a flat array."""
    return np.arange(0, rows * columns, columns)


@cache
def _ones(size: int, dtype: "np.dtype[Any]") -> Array:
    return np.ones(size, dtype)
