"""Padding of the last axes of an array with numbers from its own inside, and the transpose of that."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # NumPy's names of ours


def pad(X: Array, pairs: Sequence[tuple[int, int]], mode: str) -> Array:
    """Return X with ``before`` and ``after`` entries added to each of its last axes, a pair for each.

    >>> row = np.array([[1, 2, 3]])
    >>> [pad(row, [(2, 1)], mode).tolist()[0] for mode in MODES]
    [[0, 0, 1, 2, 3, 0], [3, 2, 1, 2, 3, 2], [1, 1, 1, 2, 3, 3], [2, 3, 1, 2, 3, 1]]
    """
    each: Any = [(0, 0)] * (X.ndim - len(pairs)) + list(pairs)
    if 0 in X.shape[: X.ndim - len(pairs)]:  # NumPy cannot reflect what is empty
        return np.zeros([size + before + after for size, (before, after) in zip(X.shape, each, strict=True)], X.dtype)
    return np.pad(X, each, mode=MODES[mode])  # type: ignore[call-overload, no-any-return]


def pad_backward(dY: Array, pairs: Sequence[tuple[int, int]], mode: str) -> Array:
    """Return dX of ``Y = pad(X, pairs, mode)``: to each entry of X the gradients of its copies are added.

    >>> pad_backward(np.array([[1, 2, 3, 4, 5, 6]]), [(2, 1)], "reflect")
    array([[ 3, 12,  6]])
    """
    for axis, (before, after) in enumerate(pairs, dY.ndim - len(pairs)):
        size = dY.shape[axis] - before - after
        moved = np.moveaxis(dY, axis, 0)
        inside = moved[before : before + size].copy()
        if mode != "zeros":
            sources = np.pad(np.arange(size), (before, after), mode=MODES[mode])  # type: ignore[call-overload]
            for place in (*range(before), *range(before + size, len(sources))):
                inside[sources[place]] += moved[place]
        dY = np.moveaxis(inside, 0, axis)
    return dY
