"""Softmax of the rows of a matrix, and its logarithm, in a form that neither overflows nor cancels.

With m the maximum of a row, E = exp(X - m) and s = sum(E), softmax is E / s, and its logarithm X - m - log(s). What
backward needs of them, E and s, is not computed again.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.kernel import kernel
from nnlite.compute.tracing import Rows

_FEW = 16  # columns, for which a loop over them takes longer than to make them rows
SILENT: dict[str, Any] = {"invalid": "ignore", "under": "ignore", "divide": "ignore"}  # inf - inf is NaN


@kernel(**SILENT)
def exponentials(X: Array) -> tuple[Array, Array, Array]:
    """E, m and s."""
    m = np.max(X, axis=-1, keepdims=True)
    E = np.exp(X - m)
    return E, m, np.sum(E, axis=-1, keepdims=True)


@kernel(**SILENT)
def softmax(X: Array) -> Array:
    """``Y = E / s``."""
    E = np.exp(X - np.max(X, axis=-1, keepdims=True))
    return E / np.sum(E, axis=-1, keepdims=True)


@kernel(**SILENT)
def softmax_backward(dY: Array, Y: Array) -> Array:
    """``dX = Y (dY - sum(dY Y))``."""
    return Y * (dY - np.sum(dY * Y, axis=-1, keepdims=True))


@kernel(**SILENT)
def log_softmax(X: Array) -> tuple[Array, Array, Array]:
    """``Y = X - m - log(s)``, E and s."""
    shifted = X - np.max(X, axis=-1, keepdims=True)
    E = np.exp(shifted)
    s = np.sum(E, axis=-1, keepdims=True)
    return shifted - np.log(s), E, s


@kernel(**SILENT)
def log_softmax_backward(dY: Array, E: Array, s: Rows) -> Array:
    """``dX = dY - E / s sum(dY)``."""
    return dY - E * (np.sum(dY, axis=-1, keepdims=True) / s)


@kernel(**SILENT)
def times_row(E: Array, factor: Rows) -> Array:
    """Each row of E times its factor."""
    return E * factor


@kernel(**SILENT)
def expected_minus_given(E: Array, s: Rows, Q: Array, dJ: Rows) -> Array:
    """``dJ (E / s sum(Q) - Q)``: the backward of cross-entropy for the distributions Q."""
    return dJ * (E * (np.sum(Q, axis=-1, keepdims=True) / s) - Q)


def along(axis: int, of_rows: Callable[..., Any], of_columns: Callable[..., Any], *arrays: Array) -> Any:
    """What the function of rows, or that of columns, returns for the :func:`arranged` arrays; Y, the first, as X was.

    >>> from nnlite.compute import softmax_of_columns
    >>> along(0, softmax, softmax_of_columns.softmax, np.array([[0.0, 1.0], [0.0, 1.0]]))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    first, *others = (arranged(array, axis) for array in arrays)
    returned = (of_rows if first.ndim == 2 else of_columns)(first, *others)
    if not isinstance(returned, tuple):
        return restored(returned, arrays[0].shape, axis)
    Y, *cached = returned
    return restored(Y, arrays[0].shape, axis), *cached


def arranged(X: Array, axis: int) -> Array:
    """X as a matrix with the axis as its rows, or as a stack of matrices (A, C, B) with the axis as their columns.

    >>> arranged(np.zeros((4, 3)), 1).shape, arranged(np.zeros((4, 3, 8, 8)), 1).shape
    ((4, 3), (4, 3, 64))
    """
    axis %= max(X.ndim, 1)
    behind = math.prod(X.shape[axis + 1 :])
    if behind < _FEW or not X.size:
        return rows(X, axis)
    return np.ascontiguousarray(X).reshape(math.prod(X.shape[:axis]), X.shape[axis], behind)


def restored(Y: Array, shape: tuple[int, ...], axis: int) -> Array:
    """The array of that shape which is :func:`arranged` as Y."""
    return from_rows(Y, shape, axis % max(len(shape), 1)) if Y.ndim == 2 else Y.reshape(shape)


def rows(X: Array, axis: int) -> Array:
    """X as a contiguous matrix with the axis as its rows.

    >>> rows(np.array([[1, 2], [3, 4]]), 0)
    array([[1, 3],
           [2, 4]])
    """
    if X.ndim == 2 and axis in (1, -1):
        return np.ascontiguousarray(X)
    if not X.ndim:
        return X.reshape(1, 1)
    moved = np.moveaxis(X, axis, -1)
    return np.ascontiguousarray(moved).reshape(math.prod(moved.shape[:-1]), X.shape[axis])


def from_rows(matrix: Array, shape: tuple[int, ...], axis: int) -> Array:
    """The array of that shape whose :func:`rows` along the axis are those of the matrix."""
    if len(shape) == 2 and axis in (1, -1):
        return matrix
    if not shape:
        return matrix.reshape(())
    moved = [*shape]
    moved.append(moved.pop(axis))
    return np.ascontiguousarray(np.moveaxis(matrix.reshape(moved), -1, axis))
