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
from nnlite.compute.windows import Places, Windows

COLUMNS = 2**17  # numbers in the columns of several images, about: 512 KiB of float32; up to four times of a single one
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
    for part in _parts(windows, X.shape[:2], X.dtype, rows=len(W)):
        part.block.inside[...] = X[part.images, :, *part.entries].swapaxes(0, 1)
        product = part.block.product(matrix, part.block.columns(groups)).reshape(len(W), -1)
        if b is not None:
            product += b[:, None]
        Y[part.images, :, *part.outputs] = part.block.of_windows(product).swapaxes(0, 1)
    return Y


def convolve_transposed(dY: Array, W: Array, windows: Windows, groups: int = 1) -> Array:
    """The transpose of the linear map X -> Y of :func:`convolve`: dX of shape (N, C, *sizes).

    ``dX[n, c, i stride + k dilation - padding] += sum_o dY[n,o,i] W[o,c,k]``

    Where windows are dense along the last axes, dX may as well be read from columns of dY along them. So some of the
    axes, l, can be read, and products added along the others, k: which of them is fastest, :func:`_read_axes` knows.

    >>> dY, W = np.array([[[1.0, 2.0, 3.0]]]), np.array([[[-1.0, 1.0]]])
    >>> convolve_transposed(dY, W, Windows((4,), (2,), (1,), (1,), ((0, 0),)))
    array([[[-1., -1., -1.,  3.]]])
    """
    M, C = len(W) // groups, W.shape[1]
    dX = np.zeros((len(dY), C * groups, *windows.sizes), dY.dtype)
    read = _read_axes(windows, M, C)
    along, across = _of_last_axes(windows, read)
    rows = C * math.prod(across.kernel)
    parts = np.flip(W.reshape(groups, M, rows, *windows.kernel[windows.axes - read :]), tuple(range(3, 3 + read)))
    matrix = parts.swapaxes(1, 2).reshape(groups, rows, -1)
    places: Places = ()
    for part in _parts(along, dY.shape[:2], dY.dtype, rows=groups * rows):
        part.block.inside[...] = dY[part.images, :, *part.entries].swapaxes(0, 1)
        product = part.block.product(matrix, part.block.columns(groups))
        if read == windows.axes:
            dX[part.images, :, *part.outputs] = part.block.of_windows(product).swapaxes(0, 1)
            continue
        if part.outputs is not places:  # else those of the part before, of other images
            places = part.outputs
            entries, own = across.part(places)
        block = part.block.beside(own, C * groups)
        block.add_columns(block.rows(part.block.of_windows(product)))
        dX[part.images, :, *entries] += block.inside.swapaxes(0, 1)
    return dX


def _read_axes(windows: Windows, M: int, C: int) -> int:
    """Along how many of the last axes :func:`convolve_transposed` reads columns: at most those with dense windows.

    In nanoseconds for each window, measured: a copy 0.15, an addition 0.8, and a product 0.02, of 16 rows at least.
    """

    def cost(read: int) -> float:
        rows = C * math.prod(windows.kernel[: windows.axes - read])
        columns = M * math.prod(windows.kernel[windows.axes - read :])
        return 0.15 * columns + 0.8 * rows + 0.02 * columns * max(rows, 16)

    dense = 0
    for span, stride, pair in zip(windows.spans, windows.stride, windows.padding, strict=True):
        dense = dense + 1 if stride == 1 and max(pair) < span else 0
    return min(range(dense + 1), key=cost)


def _of_last_axes(windows: Windows, count: int) -> tuple[Windows, Windows]:
    """The windows on dY along the last axes, of a flipped kernel, and those on X along the others."""
    others = windows.axes - count
    ones, nothing = (1,) * windows.axes, ((0, 0),) * windows.axes
    spans_and_pairs = list(zip(windows.spans, windows.padding, strict=True))[others:]
    flipped = tuple((span - 1 - before, span - 1 - after) for span, (before, after) in spans_and_pairs)
    along = Windows(
        windows.outputs,
        ones[:others] + windows.kernel[others:],
        ones,
        ones[:others] + windows.dilation[others:],
        nothing[:others] + flipped,
    )
    across = Windows(
        windows.sizes,
        windows.kernel[:others] + ones[others:],
        windows.stride,
        windows.dilation,
        windows.padding[:others] + nothing[others:],
    )
    return along, across


def convolve_weights(X: Array, dY: Array, windows: Windows, groups: int = 1) -> Array:
    """``dW[o,c,k] = sum_{n,i} X[n, c, i stride + k dilation - padding] dY[n,o,i]``, of shape (M, C / groups, *kernel).

    >>> X, dY = np.array([[[1.0, 2.0, 4.0, 7.0]]]), np.array([[[1.0, 0.0, 2.0]]])
    >>> convolve_weights(X, dY, Windows((4,), (2,), (1,), (1,), ((0, 0),)))
    array([[[ 9., 16.]]])
    """
    with np.errstate(invalid="ignore"):
        dW = _sum_of_products(X, dY, windows, groups, _WASTE)
    if np.isfinite(dW).all():
        return dW
    # The products of windows that cross the end of a row are multiplied by 0, and 0 * inf is NaN: where X or dY is not
    # finite, they are left out.
    return _sum_of_products(X, dY, windows, groups, waste=1)


def _sum_of_products(X: Array, dY: Array, windows: Windows, groups: int, waste: float) -> Array:
    """The sum of dY columns(X)^T over all parts."""
    M, C = dY.shape[1], X.shape[1]
    transposed = np.zeros((groups, C // groups * math.prod(windows.kernel), M // groups), X.dtype)
    for part in _parts(windows, X.shape[:2], X.dtype, rows=M, waste=waste):
        part.block.inside[...] = X[part.images, :, *part.entries].swapaxes(0, 1)
        dY_of_part = dY[part.images, :, *part.outputs].swapaxes(0, 1)
        rows = part.block.rows(dY_of_part).reshape(groups, M // groups, -1)
        transposed += stacked_matmul(part.block.columns(groups), rows.swapaxes(1, 2))
    return transposed.swapaxes(1, 2).reshape(M, C // groups, *windows.kernel)


class _Part(NamedTuple):
    """A few images, or a part of one: the block that they are copied into, and where they are in X and in Y."""

    block: "Block"
    images: slice
    entries: tuple[slice, ...]
    outputs: tuple[slice, ...]


def _parts(
    windows: Windows, shape: tuple[int, ...], dtype: "np.dtype[np.generic]", rows: int, waste: float = _WASTE
) -> Iterator[_Part]:
    """The parts of an X of shape (N, C, ...) of which columns, and products of ``rows`` rows, fit into the cache."""
    N, C = shape
    rows = max(C * math.prod(windows.kernel), rows)
    most = max(1, 4 * COLUMNS // rows)  # windows of a single image
    count = max(1, COLUMNS // (rows * math.prod(windows.outputs)))
    count = -(-N // -(-N // count)) if N else 1  # all parts alike
    pieces = [(places, *windows.part(places)) for places in windows.split(most)]
    block: Block | None = None
    for low in range(0, N, count):
        images = slice(low, min(low + count, N))
        for places, entries, own in pieces:
            if block is None or block.images != images.stop - low or not block.is_for(own):
                block = Block(own, C, images.stop - low, dtype, waste)
            yield _Part(block, images, entries, places)


class Block:
    """Images one after another in a buffer (C, length), with zeros as padding before each of them and each row.

    Attributes:
        inside: the images without padding, (C, images, *sizes), to be written into.
        steps: how far apart in the buffer neighbours along each axis are.
        extents: the numbers of windows that are computed along each axis, at least those that there are.
    """

    def __init__(
        self, windows: Windows, channels: int, images: int, dtype: "np.dtype[np.generic]", waste: float = _WASTE
    ) -> None:
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
            if windows.stride[axis] != 1 or not neighbours or lengths[axis] > waste * windows.outputs[axis]:
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
        self._product: Array | None = None
        self._beside: Block | None = None

    def is_for(self, windows: Windows) -> bool:
        """Whether the block has these windows."""
        return self.windows is windows or self.windows == windows

    def columns(self, groups: int) -> Array:
        """A matrix for each group, with a column for each window and a row for each entry of it."""
        channels, count = len(self.buffer), math.prod(self.windows.kernel)
        if count == 1:
            return self.entries.reshape(groups, channels // groups, -1)
        if self._columns is None:
            self._columns = np.empty(self.entries.shape, self.buffer.dtype)
        np.copyto(self._columns, self.entries)
        return self._columns.reshape(groups, channels // groups * count, -1)

    def product(self, matrices: Array, columns: Array) -> Array:
        """Of a matrix for each group and its columns, in a buffer of this block."""
        if self._product is None:
            self._product = np.empty((*matrices.shape[:2], columns.shape[2]), self.buffer.dtype)
        return stacked_matmul(matrices, columns, self._product)

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
        """A dY (M, images, *outputs) as a matrix like that of a product, (M, windows), with zeros for the others."""
        if self._rows is None:
            self._rows = np.zeros((len(dY), self.images * math.prod(self.extents)), self.buffer.dtype)
        self.of_windows(self._rows)[...] = dY
        return self._rows

    def beside(self, windows: Windows, channels: int) -> "Block":
        """A block of as many other images, made anew only if its windows are not those of the last one."""
        if self._beside is None or not self._beside.is_for(windows):
            self._beside = Block(windows, channels, self.images, self.buffer.dtype)
        return self._beside
