"""Layers that move entries between channels and spatial axes, or among the channels: they compute nothing."""

import math
from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.basics.shapes import Shape, is_open, sizes, text
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer


class PixelShuffle(Layer):
    """Make images larger with numbers from their channels: ``Y[n, c, h r + i, w r + j] = X[n, c r^2 + i r + j, h, w]``.

    Backward moves each entry of dY back to where it came from, which is :class:`PixelUnshuffle`. With a convolution in
    front, it is a learned upsampling.

    Args:
        upscale_factor: the factor r by which height and width grow.

    Shapes:
        X (..., C r^2, H, W), Y (..., C, H r, W r).

    Raises:
        TypeError: the factor is not a whole number, or X does not hold real numbers.
        ValueError: the factor is below 1.
        ShapeError: X has less than three axes, or its channels are no multiple of r^2.

    Source: Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel convolutional
    neural network, 2016.

    >>> PixelShuffle(2).forward([[[1.0]], [[2.0]], [[3.0]], [[4.0]]])
    array([[[1., 2.],
            [3., 4.]]])
    """

    flops_per_element = (0, 0)
    has_units = False
    formulas = """
        Y = pixel_shuffle(X, r=upscale_factor)
        dX = pixel_unshuffle(dY, r=upscale_factor)
    """

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = whole(upscale_factor, "PixelShuffle: upscale_factor", least=1)

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.output_shape(X.shape)
        return self.record_Y(pixel_shuffle(X, self.upscale_factor))

    def backward(self, dY: Any) -> Array:
        return pixel_unshuffle(self.check_dY(dY), self.upscale_factor)

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,), r = shapes, self.upscale_factor
        front, (channels, height, width) = images(self, X)
        if channels is not None and channels % r**2:
            raise ShapeError(f"{self}: expected channels that are a multiple of {r**2}, got X of shape {text(X)}")
        return *front, times(channels, 1, r**2), times(height, r), times(width, r)

    def onnx(self, graph: Any, X: Any) -> Any:
        if X.ndim != 4:
            raise NotImplementedError("its operator DepthToSpace is for X of four axes")
        return graph.DepthToSpace(X, blocksize=self.upscale_factor, mode="CRD")

    def extra_repr(self) -> str:
        return f"{self.upscale_factor}"


class PixelUnshuffle(Layer):
    """Make images smaller, with more channels: ``Y[n, c r^2 + i r + j, h, w] = X[n, c, h r + i, w r + j]``.

    Backward is :class:`PixelShuffle`, whose inverse this is.

    Args:
        downscale_factor: the factor r by which height and width shrink.

    Shapes:
        X (..., C, H r, W r), Y (..., C r^2, H, W).

    Raises:
        TypeError: the factor is not a whole number, or X does not hold real numbers.
        ValueError: the factor is below 1.
        ShapeError: X has less than three axes, or height or width is no multiple of r.

    >>> PixelUnshuffle(2).forward([[[1.0, 2.0], [3.0, 4.0]]]).ravel()
    array([1., 2., 3., 4.])
    """

    flops_per_element = (0, 0)
    has_units = False
    formulas = """
        Y = pixel_unshuffle(X, r=downscale_factor)
        dX = pixel_shuffle(dY, r=downscale_factor)
    """

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = whole(downscale_factor, "PixelUnshuffle: downscale_factor", least=1)

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.output_shape(X.shape)
        return self.record_Y(pixel_unshuffle(X, self.downscale_factor))

    def backward(self, dY: Any) -> Array:
        return pixel_shuffle(self.check_dY(dY), self.downscale_factor)

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,), r = shapes, self.downscale_factor
        front, (channels, height, width) = images(self, X)
        if any(n is not None and n % r for n in (height, width)):
            raise ShapeError(f"{self}: expected height and width that are multiples of {r}, got X of shape {text(X)}")
        return *front, times(channels, r**2), times(height, 1, r), times(width, 1, r)

    def onnx(self, graph: Any, X: Any) -> Any:
        *front, channels, height, width = X.shape
        if len(front) != 1 or None in (channels, height, width):
            raise NotImplementedError("X needs four axes, whose sizes but the batch's are known")
        r = self.downscale_factor
        apart = graph.Reshape(X, (0, channels, height // r, r, width // r, r))
        moved = graph.Transpose(apart, perm=(0, 1, 3, 5, 2, 4))
        return graph.Reshape(moved, (0, channels * r**2, height // r, width // r))

    def extra_repr(self) -> str:
        return f"{self.downscale_factor}"


class ChannelShuffle(Layer):
    """Mix the channels of several groups: ``Y[n, k g + i] = X[n, i C / g + k]``, for group i and channel k of a group.

    Between convolutions with ``groups`` it lets each group see all the others. Backward moves the entries back.

    Args:
        groups: the number g of groups.

    Shapes:
        X and Y (N, C, ...).

    Raises:
        TypeError: groups is not a whole number, or X does not hold real numbers.
        ValueError: groups is below 1.
        ShapeError: X has less than three axes, or its channels are no multiple of groups.

    Source: Zhang et al., ShuffleNet: an extremely efficient convolutional neural network for mobile devices, 2018.

    >>> ChannelShuffle(2).forward([[[1.0], [2.0], [3.0], [4.0]]]).ravel()
    array([1., 3., 2., 4.])
    """

    flops_per_element = (0, 0)
    has_units = False
    formulas = """
        Y = channel_shuffle(X, groups=groups)
        dX = channel_shuffle(dY, groups=X.shape[1] // groups)
    """

    def __init__(self, groups: int) -> None:
        self.groups = whole(groups, "ChannelShuffle: groups", least=1)

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.output_shape(X.shape)
        return self.record_Y(channel_shuffle(X, self.groups))

    def backward(self, dY: Any) -> Array:
        dY = self.check_dY(dY)
        return channel_shuffle(dY, dY.shape[1] // self.groups)

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if is_open(X):
            return X
        if len(X) < 3 or (isinstance(X[1], int) and X[1] % self.groups):
            raise ShapeError(
                f"{self}: expected X of shape (N, C, ...) with C a multiple of {self.groups}, got {text(X)}"
            )
        return X

    def onnx(self, graph: Any, X: Any) -> Any:
        _, channels, *sizes = X.shape
        if None in (channels, *sizes):
            raise NotImplementedError("X needs known sizes but that of the batch")
        apart = graph.Reshape(X, (0, self.groups, channels // self.groups, math.prod(sizes)))
        return graph.Reshape(graph.Transpose(apart, perm=(0, 2, 1, 3)), (0, channels, *sizes))

    def extra_repr(self) -> str:
        return f"{self.groups}"


def pixel_shuffle(X: Array, r: int) -> Array:
    """Y of :class:`PixelShuffle`."""
    *front, channels, height, width = X.shape
    apart = X.reshape(*front, channels // r**2, r, r, height, width)
    n = len(front)
    moved = apart.transpose(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return moved.copy().reshape(*front, channels // r**2, height * r, width * r)


def pixel_unshuffle(X: Array, r: int) -> Array:
    """Y of :class:`PixelUnshuffle`."""
    *front, channels, height, width = X.shape
    apart = X.reshape(*front, channels, height // r, r, width // r, r)
    n = len(front)
    moved = apart.transpose(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return moved.copy().reshape(*front, channels * r**2, height // r, width // r)


def channel_shuffle(X: Array, groups: int) -> Array:
    """Y of :class:`ChannelShuffle`."""
    apart = X.reshape(len(X), groups, X.shape[1] // groups, *X.shape[2:])
    return apart.swapaxes(1, 2).copy().reshape(X.shape)


def times(size: int | None, factor: int, divisor: int = 1) -> int | None:
    """Return a size times a factor and through a divisor; None if it is unknown."""
    return None if size is None else size * factor // divisor


def images(layer: Layer, X: Shape) -> tuple[Shape, tuple[int | None, ...]]:
    """Return the parts of a shape (..., C, H, W): the first axes, and the last three.

    Raises:
        ShapeError: there are less than three axes.
    """
    known = sizes(X)
    if is_open(X):
        known = (None,) * (3 - len(known)) + known
    if len(known) < 3:
        raise ShapeError(f"{layer}: expected X of shape (..., C, H, W), got {text(X)}")
    return ((..., *known[:-3]) if is_open(X) else X[:-3]), known[-3:]
