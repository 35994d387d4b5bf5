"""The formulas of dropout, for masks of the shape of X and masks with a number for each channel."""

from math import prod

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.kernel import kernel
from nnlite.compute.tracing import Rows


@kernel
def elements(X: Array, M: Array) -> Array:
    return X * M


@kernel
def channels(X: Array, M: Rows) -> Array:
    return X * M


@kernel
def shifted_elements(X: Array, M: Array, alpha: float, c: float) -> Array:
    return X * M + (alpha * M + c)


@kernel
def shifted_channels(X: Array, M: Rows, alpha: float, c: float) -> Array:
    return X * M + (alpha * M + c)


def masked(X: Array, M: Array) -> Array:
    """``X M``, where M has the shape of X or ends with axes of size 1.

    >>> masked(np.ones((2, 3)), np.array([[0.0], [2.0]]))
    array([[0., 0., 0.],
           [2., 2., 2.]])
    """
    return elements(X, M) if M.shape == X.shape else channels(*_by_channel(X, M)).reshape(X.shape)


def masked_and_shifted(X: Array, M: Array, alpha: float, c: float) -> Array:
    """``X M + alpha M + c``, likewise.

    >>> masked_and_shifted(np.ones((2, 3)), np.array([[0.0], [2.0]]), 5.0, 1.0)
    array([[ 1.,  1.,  1.],
           [13., 13., 13.]])
    """
    if M.shape == X.shape:
        return shifted_elements(X, M, alpha, c)
    return shifted_channels(*_by_channel(X, M), alpha, c).reshape(X.shape)


def _by_channel(X: Array, M: Array) -> tuple[Array, Array]:
    """X as a matrix with a row for each channel, and M as a column."""
    rows = prod(M.shape)
    return np.ascontiguousarray(X).reshape(rows, X.size // max(rows, 1)), M.reshape(rows, 1)
