"""Pooling: the maximum, or the sum, of each window of planes (P, *sizes), which are the channels of all samples.

Both go through the entries of a window; those that stand at the same place of all windows are a slice of the planes,
see windows.py. A sum, or a maximum alone, goes along one axis after another, as a window is a product of intervals. To
know where the maxima are, the entries are compared in row-major order, so that of equal ones the first is found.

Planes are computed in blocks that stay in the cache, see blocks.py.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.blocks import in_blocks
from nnlite.compute.windows import Intervals, Windows

Slices = tuple[slice, ...]


def entries_along(axis: int, at: Windows) -> Iterator[Slices]:
    """For each entry of the kernel along an axis, where the entries of all windows are in padded planes."""
    stride, dilation, count = at.stride[axis], at.dilation[axis], at.outputs[axis]
    for first in range(0, at.kernel[axis] * dilation, dilation):
        yield (slice(None),) * (axis + 1) + (slice(first, first + (count - 1) * stride + 1, stride),)


def padded(A: Array, at: Windows, value: float) -> Array:
    """The planes with a value around them; themselves where there is no padding."""
    if not any(map(any, at.padding)):
        return A
    larger = np.full((len(A), *at.padded), value, A.dtype)  # np.pad takes ten times as long for a small array
    larger[(slice(None), *at.inside)] = A
    return larger


def _over_windows(ufunc: np.ufunc, A: Array, at: Windows) -> Array:
    """The sum or the maximum of each window of padded planes."""
    for axis in range(at.axes):
        if at.kernel[axis] == 1 and at.stride[axis] == 1:
            continue
        first, *others = [A[place] for place in entries_along(axis, at)]
        A = ufunc(first, others.pop(0)) if others else first
        for entries in others:
            ufunc(A, entries, out=A)
    return A


def window_sums(A: Array, at: Windows) -> Array:
    """The sum of each window, with zeros as padding.

    >>> window_sums(np.array([[1.0, 2.0, 3.0]]), Windows((3,), (2,), (1,), (1,), ((1, 0),)))
    array([[1., 3., 5.]])
    """
    Y = np.empty((len(A), *at.outputs), A.dtype)

    def sums(A: Array, Y: Array) -> None:
        Y[...] = _over_windows(np.add, padded(A, at, 0), at)

    in_blocks(sums, [A, Y], operations=math.prod(at.kernel))
    return Y


def add_to_windows(dY: Array, at: Windows) -> Array:
    """The transpose of :func:`window_sums`: each number is added to all entries of its window.

    >>> add_to_windows(np.array([[10.0, 20.0]]), Windows((3,), (2,), (1,), (1,), ((0, 0),)))
    array([[10., 30., 20.]])
    """
    dA = np.empty((len(dY), *at.sizes), dY.dtype)
    inside = (slice(None), *at.inside)
    aligned = at.stride == at.kernel and max(at.dilation) == 1  # then each entry is in one window at most

    def add(dA: Array, dY: Array) -> None:
        for axis in reversed(range(at.axes)):
            shape = (*dY.shape[: axis + 1], at.padded[axis], *dY.shape[axis + 2 :])
            covered = aligned and at.padded[axis] == at.outputs[axis] * at.kernel[axis]
            larger = np.empty(shape, dY.dtype) if covered else np.zeros(shape, dY.dtype)
            for place in entries_along(axis, at):
                if aligned:
                    larger[place] = dY
                else:
                    larger[place] += dY
            dY = larger
        dA[...] = dY[inside]

    in_blocks(add, [dA, dY], operations=math.prod(at.kernel))
    return dA


def window_maxima(A: Array, at: Windows) -> Array:
    """The maximum of each window; NaN if there is one in it.

    >>> window_maxima(np.array([[1.0, 3.0, 2.0]]), Windows((3,), (2,), (1,), (1,), ((1, 0),)))
    array([[1., 3., 3.]])
    """
    Y = np.empty((len(A), *at.outputs), A.dtype)

    def maxima(A: Array, Y: Array) -> None:
        Y[...] = _over_windows(np.maximum, padded(A, at, -np.inf), at)

    in_blocks(maxima, [A, Y], operations=math.prod(at.kernel))
    return Y


def maxima_and_places(A: Array, at: Windows) -> tuple[Array, Array]:
    """The maximum of each window, and its index in all planes as one vector.

    Of equal entries it is the first one; of a window with NaN in it, the last NaN.

    >>> maxima_and_places(np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 4.0]]), Windows((3,), (2,), (1,), (1,), ((0, 0),)))
    (array([[3., 3.],
           [5., 5.]]), array([[1, 1],
           [3, 4]]))
    """
    Y = np.empty((len(A), *at.outputs), A.dtype)
    places = np.empty(Y.shape, np.intp)
    starts, first, offsets = _indices(at)

    def maxima(A: Array, Y: Array, places: Array, before: Array) -> None:
        A = padded(A, at, -np.inf)
        chosen = _maxima(A, at, Y, first)
        if np.isnan(Y).any():
            chosen = _maxima(A, at, Y, first, nan=True)
        np.take(offsets, chosen, out=places, mode="clip")  # the mode that does not copy
        places += starts
        places += before

    in_blocks(maxima, [A, Y, places, plane_starts(A)], operations=4 * math.prod(at.kernel))
    return Y, places


def _maxima(A: Array, at: Windows, Y: Array, first: Array, nan: bool = False) -> Array:
    """Write the maximum of each window of padded planes into Y; return the number of the entry that it is."""
    chosen = np.empty(Y.shape, first.dtype)
    chosen[...] = first
    entries, larger, numbers = np.empty_like(Y), np.empty(Y.shape, bool), np.empty_like(chosen)
    for number, place in enumerate(at.slices()):
        where: Any = (slice(None), *place)
        if number == 0:
            Y[...] = A[where]
            continue
        entries[...] = A[where]  # once with a step, then twice without
        np.greater(entries, Y, out=larger)
        if nan:
            larger |= np.isnan(entries)
        np.multiply(larger, first.dtype.type(number), out=numbers)
        np.maximum(chosen, numbers, out=chosen)  # the last one that was larger; faster than writes under a mask
        np.maximum(Y, entries, out=Y)
    return chosen


@lru_cache(maxsize=64)
def _indices(at: Windows) -> tuple[Array, Array, Array]:
    """Where each window starts in a plane as one vector, the number of its first entry, and the offset of each entry.

    Entries in the padding have indices as if the plane went on; the first entry is the first one inside.
    """
    starts, first, offsets = np.zeros((), np.intp), np.zeros((), np.intp), np.zeros((), np.intp)
    for axis in range(at.axes):
        step, entries = math.prod(at.sizes[axis + 1 :]), math.prod(at.kernel[axis + 1 :])
        begin = np.arange(at.outputs[axis]) * at.stride[axis] - at.padding[axis][0]
        starts = np.add.outer(starts, begin * step)
        first = np.add.outer(first, np.maximum(0, -(begin // at.dilation[axis])) * entries)
        offsets = np.add.outer(offsets, np.arange(at.kernel[axis]) * at.dilation[axis] * step)
    return starts, first.astype(np.uint8 if offsets.size <= 256 else np.int32), offsets.ravel()


def maxima_in_intervals(A: Array, at: Intervals) -> tuple[Array, Array]:
    """As :func:`maxima_and_places`, of windows of unequal sizes.

    >>> maxima_in_intervals(np.array([[1.0, 3.0, 3.0]]), Intervals.of((3,), (2,)))
    (array([[3., 3.]]), array([[1, 1]]))
    """
    Y, places = np.empty((len(A), *at.outputs), A.dtype), np.empty((len(A), *at.outputs), np.intp)
    plane, rows = np.arange(math.prod(at.sizes)).reshape(at.sizes), np.arange(len(A))
    for place in np.ndindex(at.outputs):
        indices = plane[at.window(place)].ravel()
        entries = A[(slice(None), *at.window(place))].reshape(len(A), len(indices))
        largest = entries.argmax(axis=1) if len(A) else rows
        if (nan := np.isnan(entries)).any():
            last = len(indices) - 1 - nan[:, ::-1].argmax(axis=1)
            largest = np.where(nan.any(axis=1), last, largest)
        Y[(slice(None), *place)], places[(slice(None), *place)] = entries[rows, largest], indices[largest]
    places += plane_starts(A)
    return Y, places


def plane_starts(A: Array) -> Array:
    """The index of the first entry of each plane in all of them as one vector, with as many axes as the planes."""
    return np.arange(len(A)).reshape(-1, *[1] * (A.ndim - 1)) * math.prod(A.shape[1:])


def add_at_places(dY: Array, places: Array, sizes: tuple[int, ...]) -> Array:
    """Planes of these sizes, to which each number is added at its place in all planes as one vector; 0 elsewhere.

    >>> add_at_places(np.array([[10.0, 20.0]]), np.array([[1, 1]]), (3,))
    array([[ 0., 30.,  0.]])
    """
    dA = np.empty((len(dY), *sizes), dY.dtype)
    entries = dA.reshape(-1)

    def add(dA: Array, dY: Array, places: Array) -> None:
        dA[...] = 0
        np.add.at(entries, places.reshape(-1), dY.reshape(-1))  # all of them are in this block of planes

    in_blocks(add, [dA, dY, places])
    return dA


def counts_inside(at: Windows, padding: tuple[int, ...]) -> Array:
    """How many entries of each window are in the plane, or in so much padding at both ends of each axis.

    >>> counts_inside(Windows((3,), (2,), (2,), (1,), ((1, 0),)), (0,))
    array([1., 2.])
    """
    counts = np.ones(())
    for axis, padded in enumerate(padding):
        begin = np.arange(at.outputs[axis]) * at.stride[axis] - at.padding[axis][0]
        entries = begin[:, None] + np.arange(at.kernel[axis]) * at.dilation[axis]
        inside = (entries >= -padded) & (entries < at.sizes[axis] + padded)
        counts = np.multiply.outer(counts, inside.sum(axis=1))
    return counts
