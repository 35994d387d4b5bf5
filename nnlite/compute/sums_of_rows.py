"""Sums of rows that are picked by their numbers: products with sparse matrices, accurate in float32."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array

_PIECE = 128  # rows that are added one after another in float32


def sums_of_rows(A: Array, numbers: Array, bounds: Array, weights: Array | None = None) -> Array:
    """Return one row for each segment: the sum of ``weights[j] * A[numbers[j]]`` over its j.

    A float32 sum of a million rows, one after another, is wrong by 1 %. So long segments are summed in pieces first,
    and then the sums of the pieces.

    Args:
        A: matrix of floating numbers.
        numbers: of the rows.
        bounds: segment i is ``bounds[i]`` to ``bounds[i + 1]``, the end excluded; the first bound is 0.
        weights: in A's dtype; all 1 by default.

    >>> sums_of_rows(np.array([[1.0], [10.0], [100.0]]), np.array([0, 2, 2]), np.array([0, 2, 3, 3]))
    array([[101.],
           [100.],
           [  0.]])
    """
    lengths = np.diff(bounds)
    if A.dtype != np.float32 or lengths.max(initial=0) <= _PIECE:
        return _product(_matrix("csr", A.dtype, numbers, bounds, weights, (len(lengths), len(A))), A)
    pieces = -(-lengths // _PIECE)
    ends = np.concatenate([[0], np.cumsum(pieces)])
    within = np.arange(ends[-1]) - np.repeat(ends[:-1], pieces)
    cuts = np.append(np.repeat(bounds[:-1], pieces) + _PIECE * within, bounds[-1])
    return sums_of_rows(sums_of_rows(A, numbers, cuts, weights), np.arange(ends[-1]), ends)


def add_rows_at(dY: Array, numbers: Array, bounds: Array, out: Array, weights: Array | None = None) -> None:
    """Set ``out`` to the transpose of :func:`sums_of_rows`: ``weights[j] * dY[i]`` is added to row ``numbers[j]``.

    Args:
        dY: a row for each segment.
        numbers: of the rows of ``out``.
        bounds: of the segments, as in :func:`sums_of_rows`.
        out: the result; rows that are not picked become 0.
        weights: in dY's dtype; all 1 by default.

    >>> out = np.empty((3, 1))
    >>> add_rows_at(np.array([[1.0], [10.0]]), np.array([2, 0, 2]), np.array([0, 1, 3]), out)
    >>> out
    array([[10.],
           [ 0.],
           [11.]])
    """
    if dY.dtype == np.float32 and len(numbers) > _PIECE:
        counts = np.bincount(numbers, minlength=len(out))
        if counts.max() > _PIECE:
            order = np.argsort(numbers, kind="stable")
            segment = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
            ends = np.concatenate([[0], np.cumsum(counts)])
            out[...] = sums_of_rows(dY, segment[order], ends, None if weights is None else weights[order])
            return
    out[...] = _product(_matrix("csc", dY.dtype, numbers, bounds, weights, (len(out), len(dY))), dY)


def _matrix(kind: str, dtype: Any, numbers: Array, bounds: Array, weights: Array | None, shape: tuple[int, int]) -> Any:
    import scipy.sparse  # its import takes longer than that of the rest of nnlite

    entries = np.ones(len(numbers), dtype) if weights is None else weights
    return getattr(scipy.sparse, f"{kind}_array")((entries, numbers, bounds), shape=shape)


def _product(S: Any, A: Array) -> Array:
    result: Array = S @ A
    return result
