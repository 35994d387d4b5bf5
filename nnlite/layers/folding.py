"""Unfold and Fold: the windows of an array as columns, and columns added to an array."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.shapes import Shape, is_open, sizes, text
from nnlite.compute.windows import Sizes, Windows, fold, unfold
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer
from nnlite.layers.spatial import LARGE, channels_and_sizes, for_each_axis, one_if_equal

Numbers = int | Iterable[int]


class _Folding(Layer):
    """What Unfold and Fold share: the windows."""

    flops_per_element: tuple[float, float] | None = (0, 1)
    has_units = False
    kernel_size: Sizes

    def set_windows(
        self, axes: int, kernel_size: Numbers, dilation: Numbers, padding: Numbers, stride: Numbers
    ) -> None:
        """Check the arguments that both have."""
        name = type(self).__name__
        self.axes = axes
        self.kernel_size = for_each_axis(kernel_size, axes, f"{name}: kernel_size", least=1)
        self.dilation = for_each_axis(dilation, axes, f"{name}: dilation", least=1)
        self.padding = for_each_axis(padding, axes, f"{name}: padding", least=0)
        self.stride = for_each_axis(stride, axes, f"{name}: stride", least=1)

    def windows_on(self, sizes: Sizes) -> Windows:
        """The windows on an array of these sizes.

        Raises:
            ShapeError: it is smaller than a window.
        """
        pairs = tuple((p, p) for p in self.padding)
        windows = Windows(sizes, self.kernel_size, self.stride, self.dilation, pairs)
        if min(windows.outputs) < 1 or min(sizes) < 1:
            raise ShapeError(
                f"{self}: expected sizes with padding of at least {windows.spans}, over which a window extends; got "
                f"{windows.padded}"
            )
        return windows

    def as_convolution(self, graph: Any, operator: str, X: Any, channels: int, **options: Any) -> Any:
        """In ONNX's operators: a convolution of each channel, whose kernels have a single 1 each."""
        entries = math.prod(self.kernel_size)
        W = np.tile(
            np.eye(entries, dtype=X.dtype).reshape(entries, 1, *self.kernel_size), (channels, *[1] * self.axes, 1)
        )
        options |= {"strides": self.stride, "dilations": self.dilation, "pads": (*self.padding, *self.padding)}
        return getattr(graph, operator)(X, W, group=channels, **options)

    def windows_repr(self) -> str:
        """For the repr: the windows, as far as they are not the default."""
        options = {"dilation": 1, "padding": 0, "stride": 1}
        shown = {name: one_if_equal(getattr(self, name)) for name in options}
        more = "".join(f", {name}={value}" for name, value in shown.items() if value != options[name])
        return f"kernel_size={self.kernel_size if len(self.kernel_size) != 2 else one_if_equal(self.kernel_size)}{more}"


def axes_of(kernel_size: Numbers) -> int:
    """The number of spatial axes: that of the numbers, or 2 for a single one."""
    return len(tuple(kernel_size)) if isinstance(kernel_size, Iterable) else 2


class Unfold(_Folding):
    """The windows of X as columns, with a row for each channel and entry of the kernel: im2col.

    Backward adds each entry of dY to the entry of dX that it is a copy of, which is :class:`Fold`.

    Args:
        kernel_size: of a window: a number for each spatial axis of X, one to three; or one number, for two axes.
        dilation: the distance from one entry of a window to the next: one number, or one for each axis.
        padding: how many zeros are added at both ends of each axis.
        stride: the distance from one window to the next.

    Shapes:
        X (N, C, *sizes) or (C, *sizes), Y (N, C prod(kernel_size), windows) or without the N.

    Raises:
        TypeError: a number is not whole, or X does not hold real numbers.
        ValueError: a number is too small, or there are too few or too many.
        ShapeError: X has other axes, or is smaller than a window.

    >>> import numpy as np
    >>> Unfold(2).forward(np.array([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]))
    array([[[1., 2.],
            [2., 3.],
            [4., 5.],
            [5., 6.]]])
    """

    formulas = """
        Y = unfold(X, at=windows)
        dX = fold(dY, at=windows)
    """

    def __init__(self, kernel_size: Numbers, dilation: Numbers = 1, padding: Numbers = 0, stride: Numbers = 1) -> None:
        axes = axes_of(kernel_size)
        if axes not in (1, 2, 3):
            raise ValueError(f"Unfold: kernel_size: expected one to three numbers, got {kernel_size!r}")
        self.set_windows(axes, kernel_size, dilation, padding, stride)

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        channels_and_sizes(self, X.shape, self.axes)
        self.windows = self.windows_on(X.shape[-self.axes :])
        return self.record_Y(unfold(X, self.windows))

    def backward(self, dY: Any) -> Array:
        return fold(self.check_dY(dY), self.windows)

    def onnx(self, graph: Any, X: Any) -> Any:
        if X.ndim != self.axes + 2 or X.shape[1] is None:
            raise NotImplementedError("X has no axis for samples, or an unknown number of channels")
        Y = self.as_convolution(graph, "Conv", X, X.shape[1])
        return graph.Reshape(Y, (0, X.shape[1] * math.prod(self.kernel_size), -1))

    def output_shape(self, *shapes: Shape) -> Shape:
        front, channels, known = channels_and_sizes(self, shapes[0], self.axes)
        windows = self.windows_on(tuple(LARGE if size is None else size for size in known))
        rows = None if channels is None else channels * math.prod(self.kernel_size)
        return *front, rows, None if None in known else math.prod(windows.outputs)

    def extra_repr(self) -> str:
        return self.windows_repr()


class Fold(_Folding):
    """The sum of windows, which are the columns of X: each entry is added where :class:`Unfold` would take it from.

    Backward is Unfold. Of an array A, ``Fold(Unfold(A))`` is A times the number of windows that an entry is in.

    Args:
        output_size: the spatial sizes of Y: as many as the kernel has axes, or one number for two axes.
        kernel_size, dilation, padding, stride: as of :class:`Unfold`.

    Shapes:
        X (N, C prod(kernel_size), windows) or without the N, Y (N, C, *output_size).

    Raises:
        TypeError: a number is not whole, or X does not hold real numbers.
        ValueError: a number is too small, or there are too few or too many.
        ShapeError: X has other axes, or not as many columns as Y has windows; or Y is smaller than a window.

    >>> import numpy as np
    >>> Fold((3,), (2,)).forward(np.array([[[1.0, 2.0], [10.0, 20.0]]]))
    array([[[ 1., 12., 20.]]])
    """

    formulas = """
        Y = fold(X, at=windows)
        dX = unfold(dY, at=windows)
    """

    def __init__(
        self,
        output_size: Numbers,
        kernel_size: Numbers,
        dilation: Numbers = 1,
        padding: Numbers = 0,
        stride: Numbers = 1,
    ) -> None:
        axes = axes_of(output_size)
        if axes not in (1, 2, 3):
            raise ValueError(f"Fold: output_size: expected one to three numbers, got {output_size!r}")
        self.set_windows(axes, kernel_size, dilation, padding, stride)
        self.output_size = for_each_axis(output_size, axes, "Fold: output_size", least=1)
        self.windows = self.windows_on(self.output_size)

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.output_shape(X.shape)
        return self.record_Y(fold(X, self.windows))

    def backward(self, dY: Any) -> Array:
        return unfold(self.check_dY(dY), self.windows)

    def onnx(self, graph: Any, X: Any) -> Any:
        if X.ndim != 3 or X.shape[1] is None:
            raise NotImplementedError("X has no axis for samples, or an unknown number of channels")
        windows = self.windows
        left = [
            size - span - (count - 1) * stride
            for size, span, count, stride in zip(
                windows.padded, windows.spans, windows.outputs, self.stride, strict=True
            )
        ]
        X = graph.Reshape(X, (0, X.shape[1], *windows.outputs))
        channels = X.shape[1] // math.prod(self.kernel_size)
        return self.as_convolution(graph, "ConvTranspose", X, channels, output_padding=left)

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        known = sizes(X)
        if is_open(X):
            known = (None,) * (2 - len(known)) + known
        entries, columns = math.prod(self.kernel_size), math.prod(self.windows.outputs)
        rows = known[-2] if len(known) > 1 else -1
        if len(known) not in (2, 3) or (rows is not None and rows % entries) or known[-1] not in (None, columns):
            expected = f"(N, C * {entries}, {columns}) or (C * {entries}, {columns})"
            raise ShapeError(f"{self}: expected X of shape {expected}, got {text(X)}")
        front: Shape = (...,) if is_open(X) else X[:-2]
        return *front, None if rows is None else rows // entries, *self.output_size

    def extra_repr(self) -> str:
        size = self.output_size if len(self.output_size) != 2 else one_if_equal(self.output_size)
        return f"{size}, {self.windows_repr()}"
