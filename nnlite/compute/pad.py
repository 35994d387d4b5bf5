"""Padding of the last axes of an array with a number, or with entries from its inside, and the transpose of that."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # NumPy's names of ours


def pad(X: Array, pairs: Sequence[tuple[int, int]], mode: str, value: float = 0.0) -> Array:
    """Return X with ``before`` and ``after`` entries added to each of its last axes, a pair for each.

    The entries of mode "zeros" are ``value``. Of a negative number as many entries are left out; "circular" goes round
    what is left.

    >>> row = np.array([[1, 2, 3]])
    >>> [pad(row, [(2, 1)], mode).tolist()[0] for mode in MODES]
    [[0, 0, 1, 2, 3, 0], [3, 2, 1, 2, 3, 2], [1, 1, 1, 2, 3, 3], [2, 3, 1, 2, 3, 1]]
    >>> pad(row, [(-1, 2)], "zeros", 9)
    array([[2, 3, 9, 9]])
    >>> pad(row, [(-1, 2)], "circular")
    array([[2, 3, 2, 3]])
    """
    if mode == "circular":
        X, pairs = X[(..., *_kept(pairs, -1))], [(max(before, 0), max(after, 0)) for before, after in pairs]
    front = X.shape[: X.ndim - len(pairs)]
    sizes = [size + before + after for size, (before, after) in zip(X.shape[len(front) :], pairs, strict=True)]
    if mode == "zeros" or 0 in front:  # NumPy cannot reflect what is empty
        Y = np.full((*front, *sizes), value, X.dtype)
        Y[(..., *_kept(pairs, +1))] = X[(..., *_kept(pairs, -1))]
        return Y
    grown: Any = [(0, 0)] * len(front) + [(max(before, 0), max(after, 0)) for before, after in pairs]
    padded: Array = np.pad(X, grown, mode=MODES[mode])  # type: ignore[call-overload]
    return padded if min(map(min, pairs)) >= 0 else padded[(..., *_kept(pairs, -1))].copy()


def pad_backward(dY: Array, pairs: Sequence[tuple[int, int]], mode: str) -> Array:
    """Return dX of ``Y = pad(X, pairs, mode)``: to each entry of X the gradients of its copies are added.

    >>> pad_backward(np.array([[1, 2, 3, 4, 5, 6]]), [(2, 1)], "reflect")
    array([[ 3, 12,  6]])
    >>> pad_backward(np.array([[1, 2, 3, 4]]), [(-1, 2)], "zeros")
    array([[0, 1, 2]])
    """
    for axis, (before, after) in enumerate(pairs, dY.ndim - len(pairs)):
        size = dY.shape[axis] - before - after
        moved = np.moveaxis(dY, axis, 0)
        inside = np.zeros((size, *moved.shape[1:]), dY.dtype)
        inside[_kept([(before, after)], -1)] = moved[_kept([(before, after)], +1)]
        if mode != "zeros":
            sources = pad(np.arange(size), [(before, after)], mode)
            last = len(sources) - max(after, 0)
            for place in (*range(max(before, 0)), *range(last, len(sources))):
                inside[sources[place]] += moved[place]
        dY = np.moveaxis(inside, 0, axis)
    return dY


def _kept(pairs: Sequence[tuple[int, int]], sign: int) -> Any:
    """Where the entries that are not left out are: with sign 1 in the padded array, with -1 in the one without."""
    return tuple(slice(max(sign * low, 0), -max(sign * high, 0) or None) for low, high in pairs)
