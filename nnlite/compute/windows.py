"""Windows that slide over the spatial axes of an array (N, C, *sizes): of convolutions, pooling and patches.

The window at position i along an axis holds the entries ``i stride + k dilation - padding`` for k = 0, 1, ... below the
kernel's size; positions outside the array are padding. So the entries at the same k of all windows are a slice with a
step, :meth:`Windows.slices`, one for each entry of the kernel: pooling is a maximum of these slices. A convolution
multiplies all windows at once, see columns.py.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nnlite.basics.arrays import Array
from nnlite.compute.pad import pad, pad_backward

Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
Places = tuple[slice, ...]


@dataclass(frozen=True)
class Windows:
    """The windows of one kernel over spatial axes of given sizes; a tuple has a number for each of these axes.

    Attributes:
        sizes: of the spatial axes, without padding.
        kernel: the sizes of a window.
        stride: the distance from one window to the next.
        dilation: the distance from one entry of a window to the next.
        padding: the numbers of entries that are added before and after each axis.

    >>> windows = Windows(sizes=(5,), kernel=(3,), stride=(2,), dilation=(1,), padding=((1, 0),))
    >>> windows.outputs
    (2,)
    >>> windows.of(np.array([0, 1, 2, 3, 4, 5]))
    array([[0, 1, 2],
           [2, 3, 4]])
    """

    sizes: Sizes
    kernel: Sizes
    stride: Sizes
    dilation: Sizes
    padding: Pairs

    @property
    def axes(self) -> int:
        """The number of spatial axes."""
        return len(self.sizes)

    @cached_property
    def padded(self) -> Sizes:
        """The sizes with padding."""
        return tuple(size + sum(pair) for size, pair in zip(self.sizes, self.padding, strict=True))

    @cached_property
    def spans(self) -> Sizes:
        """The distance from the first to the last entry of a window, and 1."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @cached_property
    def outputs(self) -> Sizes:
        """The number of windows along each axis; below 1 where a window is larger than the padded array."""
        return tuple((p - e) // s + 1 for p, e, s in zip(self.padded, self.spans, self.stride, strict=True))

    @property
    def inside(self) -> tuple[slice, ...]:
        """Where the array is in the padded one."""
        return tuple(slice(low, low + size) for (low, _), size in zip(self.padding, self.sizes, strict=True))

    def without_padding(self) -> "Windows":
        """The same windows, of an array that has been padded."""
        return Windows(self.padded, self.kernel, self.stride, self.dilation, ((0, 0),) * self.axes)

    def slices(self) -> Iterator[tuple[slice, ...]]:
        """For each entry of the kernel, in row-major order, where the entries of all windows are in the padded array.

        >>> windows = Windows((5,), (3,), (2,), (1,), ((0, 0),))
        >>> [np.arange(5)[at] for at in windows.slices()]
        [array([0, 2]), array([1, 3]), array([2, 4])]
        """
        for entry in np.ndindex(self.kernel):
            firsts = tuple(k * d for k, d in zip(entry, self.dilation, strict=True))
            yield tuple(
                slice(first, first + (count - 1) * s + 1, s)
                for first, count, s in zip(firsts, self.outputs, self.stride, strict=True)
            )

    def window(self, place: Sizes) -> tuple[slice, ...]:
        """Where the entries of one window are in the array, without those in the padding.

        >>> Windows((5,), (3,), (2,), (2,), ((1, 1),)).window((0,))
        (slice(1, 4, 2),)
        """
        begins = (i * s - low for i, s, (low, _) in zip(place, self.stride, self.padding, strict=True))
        return tuple(
            slice(begin if begin >= 0 else begin % d, max(0, min(begin + span, size)), d)
            for begin, span, d, size in zip(begins, self.spans, self.dilation, self.sizes, strict=True)
        )

    def of(self, A: Array) -> Array:
        """All windows of the padded array (..., *padded): a view (..., *outputs, *kernel), not to be written into."""
        steps = A.strides[A.ndim - self.axes :]
        shape = (*A.shape[: A.ndim - self.axes], *self.outputs, *self.kernel)
        strides = (
            *A.strides[: A.ndim - self.axes],
            *(s * step for s, step in zip(self.stride, steps, strict=True)),
            *(d * step for d, step in zip(self.dilation, steps, strict=True)),
        )
        return as_strided(A, shape, strides, writeable=False)

    def split(self, most: int) -> Iterator[Places]:
        """Where the windows are in parts of about ``most`` of them.

        The first axis is split first, the others only if a part of one position along it is still too large.
        """
        steps, rest = [], math.prod(self.outputs)
        for count in self.outputs:
            rest //= count
            steps.append(min(count, max(1, most // max(rest, 1))))
        along = [
            [slice(low, min(low + step, count)) for low in range(0, count, step)]
            for count, step in zip(self.outputs, steps, strict=True)
        ]
        return itertools.product(*along)

    def part(self, places: Places) -> tuple[Places, "Windows"]:
        """Where the entries of some of the windows are, and these windows on them.

        >>> Windows((5,), (3,), (1,), (1,), ((1, 1),)).part((slice(0, 2),))
        ((slice(0, 3, None),), Windows(sizes=(3,), kernel=(3,), stride=(1,), dilation=(1,), padding=((1, 0),)))
        """
        along = [self._part(axis, place.start, place.stop) for axis, place in enumerate(places)]
        entries, sizes, padding = zip(*along, strict=True)
        return entries, Windows(sizes, self.kernel, self.stride, self.dilation, padding)

    def _part(self, axis: int, low: int, high: int) -> tuple[slice, int, tuple[int, int]]:
        """The entries of the windows from ``low`` to ``high`` along an axis, their number, and their padding."""
        size, stride, before = self.sizes[axis], self.stride[axis], self.padding[axis][0]
        first, last = low * stride - before, (high - 1) * stride - before + self.spans[axis]
        start = min(max(first, 0), size)
        stop = max(start, min(last, size))
        return slice(start, stop), stop - start, (max(0, min(-first, last - first)), max(0, last - max(size, first)))


@dataclass(frozen=True)
class Intervals:
    """Windows of unequal sizes that cover axes of given sizes, those of adaptive pooling.

    Of n entries along an axis, window i of m has those from ``floor(i n / m)`` to below ``ceil((i + 1) n / m)``. So
    each entry is in a window, and where n is no multiple of m, some are in two.

    Attributes:
        sizes: of the axes.
        along: for each axis, the entries that are in each window.

    >>> Intervals.of((5,), (2,)).along
    ((slice(0, 3, None), slice(2, 5, None)),)
    """

    sizes: Sizes
    along: tuple[tuple[slice, ...], ...]

    @classmethod
    def of(cls, sizes: Sizes, outputs: Sizes) -> "Intervals":
        """So many windows along axes of these sizes."""
        along = [
            tuple([slice(i * n // m, -(-(i + 1) * n // m)) for i in range(m)])
            for n, m in zip(sizes, outputs, strict=True)
        ]
        return cls(sizes, tuple(along))

    @property
    def outputs(self) -> Sizes:
        """The number of windows along each axis."""
        return tuple(map(len, self.along))

    @property
    def entries(self) -> int:
        """The number of entries of all windows together."""
        return math.prod(sum(each.stop - each.start for each in intervals) for intervals in self.along)

    def window(self, place: Sizes) -> tuple[slice, ...]:
        """Where the entries of one window are."""
        return tuple(intervals[i] for i, intervals in zip(place, self.along, strict=True))

    def means(self, axis: int) -> Array:
        """The means along an axis as a matrix, with a row for each window.

        >>> Intervals.of((3,), (2,)).means(0)
        array([[0.5, 0.5, 0. ],
               [0. , 0.5, 0.5]])
        """
        matrix = np.zeros((len(self.along[axis]), self.sizes[axis]))
        for row, entries in zip(matrix, self.along[axis], strict=True):
            row[entries] = 1 / (entries.stop - entries.start)
        return matrix


def unfold(X: Array, at: Windows) -> Array:
    """The windows of X (..., C, *sizes) as columns, (..., C prod(kernel), number of windows), with zeros as padding.

    >>> unfold(np.array([[1, 2, 3]]), Windows((3,), (2,), (1,), (1,), ((1, 0),)))
    array([[0, 1, 2],
           [1, 2, 3]])
    """
    view = at.of(pad(X, at.padding, "zeros"))
    entries_first = np.moveaxis(view, range(-at.axes, 0), range(-2 * at.axes, -at.axes))
    *samples, channels = X.shape[: -at.axes]
    return entries_first.copy().reshape(*samples, channels * math.prod(at.kernel), math.prod(at.outputs))


def fold(columns: Array, at: Windows) -> Array:
    """The transpose of :func:`unfold`: each entry of a column is added where it would come from.

    >>> fold(np.array([[7, 1, 10], [20, 2, 30]]), Windows((3,), (2,), (1,), (1,), ((1, 0),)))
    array([[21, 12, 30]])
    """
    *samples, rows, _ = columns.shape
    entries = columns.reshape(*samples, rows // math.prod(at.kernel), *at.kernel, *at.outputs)
    padded: Any = np.zeros((*entries.shape[: -2 * at.axes], *at.padded), columns.dtype)
    for entry, place in zip(np.ndindex(at.kernel), at.slices(), strict=True):
        padded[..., *place] += entries[..., *entry, *[slice(None)] * at.axes]
    return pad_backward(padded, at.padding, "zeros")
