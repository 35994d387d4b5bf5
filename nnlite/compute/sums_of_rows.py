"""Sums of rows that are picked by their numbers: products with sparse matrices, accurate in float32."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, StandIn

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
    long = lengths > _PIECE
    inside = np.repeat(long, lengths)
    sums = np.empty((len(lengths), A.shape[1]), A.dtype)
    sums[long] = _sums_in_pieces(A, numbers[inside], lengths[long], None if weights is None else weights[inside])
    if not long.all():
        short = np.concatenate([[0], np.cumsum(lengths[~long])])
        inside = ~inside
        sums[~long] = sums_of_rows(A, numbers[inside], short, None if weights is None else weights[inside])
    return sums


def _sums_in_pieces(A: Array, numbers: Array, lengths: Array, weights: Array | None) -> Array:
    """:func:`sums_of_rows` for segments of these lengths, each cut into pieces."""
    pieces = -(-lengths // _PIECE)
    ends = np.concatenate([[0], np.cumsum(pieces)])
    within = _PIECE * (np.arange(ends[-1]) - np.repeat(ends[:-1], pieces))
    cuts = np.append(np.repeat(np.cumsum(lengths) - lengths, pieces) + within, len(numbers))
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
    if isinstance(dY, StandIn):
        out[...] = dY.apply(rows_added, dY, numbers, len(out))
        return
    if len(out) > 4 * len(numbers) and out.size > 2**20:  # most rows become 0, and a second array of them takes time
        rows, places = np.unique(numbers, return_inverse=True)
        out[...] = 0
        if len(rows):
            sums = np.empty((len(rows), out.shape[1]), out.dtype)
            add_rows_at(dY, places, bounds, sums, weights)
            out[rows] = sums
        return
    out[...] = _product(_matrix("csc", dY.dtype, numbers, bounds, weights, (len(out), len(dY))), dY)
    if dY.dtype == np.float32 and len(numbers) > _PIECE:
        counts = np.bincount(numbers)
        frequent = np.flatnonzero(counts > _PIECE)
        if len(frequent):
            inside = counts[numbers] > _PIECE
            places = np.searchsorted(frequent, numbers[inside])
            bounds = np.concatenate([[0], np.cumsum(inside)])[bounds]
            weights = None if weights is None else weights[inside]
            S = _matrix("csc", dY.dtype, places, bounds, weights, (len(frequent), len(dY))).tocsr()
            out[frequent] = sums_of_rows(dY, S.indices, S.indptr, S.data)


def rows_added(dY: Array, numbers: Array, count: int) -> Array:
    """What :func:`add_rows_at` writes into ``count`` rows, with NumPy alone.

    >>> rows_added(np.array([[1.0], [10.0], [100.0]]), np.array([2, 0, 2]), 3)
    array([[ 10.],
           [  0.],
           [101.]])
    """
    sums = np.zeros((count, dY.shape[1]), dY.dtype)
    occurrences = np.bincount(numbers, minlength=count)
    if dY.dtype != np.float32 or occurrences.max(initial=0) <= _PIECE:
        np.add.at(sums, numbers, dY)
        return sums
    order, rank = np.argsort(numbers, kind="stable"), np.empty(len(numbers), np.intp)
    rank[order] = np.arange(len(numbers)) - np.repeat(np.cumsum(occurrences) - occurrences, occurrences)
    pieces, places = np.unique(numbers * len(numbers) + rank // _PIECE, return_inverse=True)
    return rows_added(rows_added(dY, places, len(pieces)), pieces // len(numbers), count)


def _matrix(kind: str, dtype: Any, numbers: Array, bounds: Array, weights: Array | None, shape: tuple[int, int]) -> Any:
    import scipy.sparse  # its import takes longer than that of the rest of nnlite

    entries = np.ones(len(numbers), dtype) if weights is None else weights
    return getattr(scipy.sparse, f"{kind}_array")((entries, numbers, bounds), shape=shape)


def _product(S: Any, A: Array) -> Array:
    result: Array = S @ A
    return result
