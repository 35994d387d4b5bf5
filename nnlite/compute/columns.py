"""Convolution and its two derivatives, for any number of spatial axes: products with the columns of few images.

The windows of an image, each written as a column, make a matrix, and a convolution is a product with it::

    Y = W columns(X)        dW = dY columns(X)^T        dX = sum of the columns of W^T dY, each where its entries were

The matrix is as many times larger than X as a kernel has entries, and to write it into memory would take longer than
the product. So it is made for a few images, or for a part of a large one, in a buffer that stays in the L2 cache, and
is made again for dW rather than kept.

What makes its copies fast: images lie one after another in a :class:`Block`, with zeros between them and between their
rows, and these zeros are the padding of both neighbours. So if the stride is 1, the entries of all windows that stand
at the same place of the kernel are a *single* range of the block, a copy of consecutive memory. The columns then have
a few more windows than there are, across the ends of rows; these products are dropped.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nnlite.basics.arrays import Array
from nnlite.compute.blas import stacked_matmul
from nnlite.compute.windows import Windows

COLUMNS = 2**18  # numbers in a matrix of columns, about: 1 MiB of float32, which leaves room in L2 for the rest
_WASTE = 1.25  # how many times more windows may be computed, for ranges of consecutive memory


def convolve(X: Array, W: Array, windows: Windows, groups: int = 1, b: Array | None = None) -> Array:
    """``Y[n,o,i] = sum_{c,k} X[n, c, i stride + k dilation - padding] W[o,c,k] + b[o]``, with i and k multi-indices.

    Args:
        X: of shape (N, C, *sizes).
        W: of shape (M, C / groups, *kernel).
        windows: of the kernel on X.
        groups: the channels of X and Y are divided into as many groups, each convolved by itself.
        b: of shape (M,).

    Returns:
        Y of shape (N, M, *outputs).

    >>> X, W = np.array([[[1.0, 2.0, 4.0, 7.0]]]), np.array([[[-1.0, 1.0]]])
    >>> convolve(X, W, Windows((4,), (2,), (1,), (1,), ((0, 0),)))
    array([[[1., 2., 3.]]])
    """
    Y = np.empty((len(X), len(W), *windows.outputs), X.dtype)
    matrix = W.reshape(groups, len(W) // groups, -1)
    for part in _parts(windows, X.shape[:2], X.dtype):
        part.block.inside[...] = X[part.images, :, *part.entries].swapaxes(0, 1)
        product = stacked_matmul(matrix, part.block.columns(groups)).reshape(len(W), -1)
        if b is not None:
            product += b[:, None]
        Y[part.images, :, *part.outputs] = part.block.of_windows(product).swapaxes(0, 1)
    return Y


def convolve_transposed(dY: Array, W: Array, windows: Windows, groups: int = 1) -> Array:
    """The transpose of the linear map X -> Y of :func:`convolve`: dX of shape (N, C, *sizes).

    ``dX[n, c, i stride + k dilation - padding] += sum_o dY[n,o,i] W[o,c,k]``

    >>> dY, W = np.array([[[1.0, 2.0, 3.0]]]), np.array([[[-1.0, 1.0]]])
    >>> convolve_transposed(dY, W, Windows((4,), (2,), (1,), (1,), ((0, 0),)))
    array([[[-1., -1., -1.,  3.]]])
    """
    shape = (len(dY), W.shape[1] * groups, *windows.sizes)
    dX = np.zeros(shape, dY.dtype)
    matrix = W.reshape(groups, len(W) // groups, -1).swapaxes(1, 2)
    for part in _parts(windows, shape[:2], dY.dtype):
        products = part.block.rows(dY[part.images, :, *part.outputs])
        part.block.add_columns(stacked_matmul(matrix, products.reshape(groups, len(W) // groups, -1)))
        dX[part.images, :, *part.entries] += part.block.inside.swapaxes(0, 1)
    return dX


def convolve_weights(X: Array, dY: Array, windows: Windows, groups: int = 1) -> Array:
    """``dW[o,c,k] = sum_{n,i} X[n, c, i stride + k dilation - padding] dY[n,o,i]``, of shape (M, C / groups, *kernel).

    >>> X, dY = np.array([[[1.0, 2.0, 4.0, 7.0]]]), np.array([[[1.0, 0.0, 2.0]]])
    >>> convolve_weights(X, dY, Windows((4,), (2,), (1,), (1,), ((0, 0),)))
    array([[[ 9., 16.]]])
    """
    M, C = dY.shape[1], X.shape[1]
    transposed = np.zeros((groups, C // groups * math.prod(windows.kernel), M // groups), X.dtype)
    for part in _parts(windows, X.shape[:2], X.dtype):
        part.block.inside[...] = X[part.images, :, *part.entries].swapaxes(0, 1)
        rows = part.block.rows(dY[part.images, :, *part.outputs]).reshape(groups, M // groups, -1)
        transposed += stacked_matmul(part.block.columns(groups), rows.swapaxes(1, 2))
    return transposed.swapaxes(1, 2).reshape(M, C // groups, *windows.kernel)


class _Part(NamedTuple):
    """A few images, or a part of one: the block that they are copied into, and where they are in X and in Y."""

    block: "Block"
    images: slice
    entries: tuple[slice, ...]
    outputs: tuple[slice, ...]


def _parts(windows: Windows, shape: tuple[int, ...], dtype: "np.dtype[np.generic]") -> Iterator[_Part]:
    """The parts of an X of shape (N, C, ...) of which the columns fit into the cache."""
    N, C = shape
    most = max(1, COLUMNS // (C * math.prod(windows.kernel)))  # windows
    count = max(1, most // math.prod(windows.outputs))
    count = -(-N // -(-N // count)) if N else 1  # all parts alike
    block: Block | None = None
    for low in range(0, N, count):
        images = slice(low, min(low + count, N))
        for entries, outputs, own in windows.split(most):
            if block is None or (block.windows, block.images) != (own, images.stop - low):
                block = Block(own, C, images.stop - low, dtype)
            yield _Part(block, images, entries, outputs)


class Block:
    """Images one after another in a buffer (C, length), with zeros as padding before each of them and each row.

    Attributes:
        inside: the images without padding, (C, images, *sizes), to be written into.
        steps: how far apart in the buffer neighbours along each axis are.
        extents: the numbers of windows that are computed along each axis, at least those that there are.
    """

    def __init__(self, windows: Windows, channels: int, images: int, dtype: "np.dtype[np.generic]") -> None:
        self.windows, self.images = windows, images
        lengths = []  # of an axis with the padding in front, which serves the neighbour before as well
        for size, (before, _), count, stride, span in zip(
            windows.sizes, windows.padding, windows.outputs, windows.stride, windows.spans, strict=True
        ):
            reach = (count - 1) * stride + span
            lengths.append(max(before + size, reach - before, count))
        self.steps = [math.prod(lengths[axis + 1 :]) for axis in range(windows.axes)]
        image = math.prod(lengths)
        self.extents = list(windows.outputs)
        for axis in reversed(range(windows.axes)):
            neighbours = windows.stride[axis - 1] == 1 if axis else True
            if windows.stride[axis] != 1 or not neighbours or lengths[axis] > _WASTE * windows.outputs[axis]:
                break
            self.extents[axis] = lengths[axis]
        last = sum(
            ((extent - 1) * stride + span - 1) * step
            for extent, stride, span, step in zip(self.extents, windows.stride, windows.spans, self.steps, strict=True)
        )
        self.buffer = np.zeros((channels, (images - 1) * image + max(last + 1, image)), dtype)
        row, number = self.buffer.strides
        strides = (row, image * number, *(step * number for step in self.steps))
        self.padded = as_strided(self.buffer, (channels, images, *lengths), strides)
        self.inside = self.padded[:, :, *windows.inside]
        self.entries = as_strided(  # (C, *kernel, images, *extents): for each entry of the kernel, that of all windows
            self.buffer,
            (channels, *windows.kernel, images, *self.extents),
            (
                row,
                *(d * step * number for d, step in zip(windows.dilation, self.steps, strict=True)),
                image * number,
                *(s * step * number for s, step in zip(windows.stride, self.steps, strict=True)),
            ),
        )
        self._columns: Array | None = None
        self._rows: Array | None = None

    def columns(self, groups: int) -> Array:
        """A matrix for each group, with a column for each window and a row for each entry of it."""
        if self._columns is None:
            self._columns = np.empty(self.entries.shape, self.buffer.dtype)
        np.copyto(self._columns, self.entries)
        channels = len(self.buffer)
        return self._columns.reshape(groups, channels // groups * math.prod(self.windows.kernel), -1)

    def add_columns(self, columns: Array) -> None:
        """Set the block to the sum of columns, each added where :meth:`columns` would read it."""
        self.buffer[...] = 0
        parts = columns.reshape(self.entries.shape)
        for entry in np.ndindex(self.windows.kernel):
            place = self.entries[:, *entry]
            np.add(place, parts[:, *entry], out=place)

    def of_windows(self, product: Array) -> Array:
        """Of a matrix with a column for each window that is computed those that there are, (rows, images, *outputs)."""
        inside = tuple(slice(count) for count in self.windows.outputs)
        return product.reshape(-1, self.images, *self.extents)[:, :, *inside]

    def rows(self, dY: Array) -> Array:
        """DY (images, M, *outputs) as a matrix like that of a product, (M, windows), with zeros for the others."""
        if self._rows is None:
            self._rows = np.zeros((dY.shape[1], self.images * math.prod(self.extents)), self.buffer.dtype)
        self.of_windows(self._rows)[...] = dY.swapaxes(0, 1)
        return self._rows
