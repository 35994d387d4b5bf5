"""Softmax and its logarithm along an axis that is not the last: of the columns of each matrix of a stack (A, C, B).

To make the columns rows, and rows columns again, takes longer than the softmax itself. NumPy's reductions along the
middle axis, and its operations with a number for each column, go through the memory in order. Here they are called for
one block of matrices after another.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.blocks import in_blocks
from nnlite.compute.sums import column_sum
from nnlite.compute.unbuffered import unbuffered

_MANY = 128  # numbers from which on float32 must not be added one after another


def softmax(X: Array) -> Array:
    """``Y = E / s``."""

    def block(X: Array, Y: Array) -> None:
        np.subtract(X, np.maximum.reduce(X, axis=1, keepdims=True), Y)
        np.exp(Y, Y)
        np.divide(Y, _sums(Y), Y)

    Y = np.empty_like(X)
    _in_blocks(block, X, Y)
    return Y


def softmax_backward(dY: Array, Y: Array) -> Array:
    """``dX = Y (dY - sum(dY Y))``."""

    def block(dY: Array, Y: Array, dX: Array) -> None:
        np.multiply(dY, Y, dX)
        np.subtract(dY, _sums(dX), dX)
        np.multiply(Y, dX, dX)

    dX = np.empty_like(Y)
    _in_blocks(block, dY, Y, dX)
    return dX


def log_softmax(X: Array) -> tuple[Array, Array, Array]:
    """``Y = X - m - log(s)``, E and s."""

    def block(X: Array, Y: Array, E: Array, s: Array) -> None:
        np.subtract(X, np.maximum.reduce(X, axis=1, keepdims=True), Y)
        np.exp(Y, E)
        s[...] = _sums(E)
        np.subtract(Y, np.log(s), Y)

    Y, E, s = np.empty_like(X), np.empty_like(X), np.empty((len(X), 1, X.shape[2]), X.dtype)
    _in_blocks(block, X, Y, E, s)
    return Y, E, s


def log_softmax_backward(dY: Array, E: Array, s: Array) -> Array:
    """``dX = dY - E / s sum(dY)``."""

    def block(dY: Array, E: Array, s: Array, dX: Array) -> None:
        np.multiply(E, _sums(dY) / s, dX)
        np.subtract(dY, dX, dX)

    dX = np.empty_like(E)
    _in_blocks(block, dY, E, s, dX)
    return dX


@np.errstate(invalid="ignore", under="ignore", divide="ignore")  # inf - inf is NaN
def _in_blocks(block: Callable[..., None], *arrays: Any) -> None:
    with unbuffered(arrays[0].shape[2]):
        in_blocks(block, arrays)


def _sums(X: Array) -> Array:
    """The sum of each column, (A, 1, B)."""
    if X.shape[1] < _MANY:
        return np.add.reduce(X, axis=1, keepdims=True)
    return np.stack([column_sum(matrix)[None] for matrix in X])
