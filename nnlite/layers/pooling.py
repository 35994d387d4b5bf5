"""What pooling layers share: the arguments of their windows, and X as planes, which are the channels of all samples."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.shapes import Shape
from nnlite.compute.windows import Pairs, Sizes, Windows
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer
from nnlite.layers.spatial import LARGE, LETTERS, channels_and_sizes, for_each_axis, one_if_equal

Numbers = int | Iterable[int]


class Planes(Layer):
    """Base class of layers that compute each channel of each sample by itself."""

    has_units = False
    axes: int  # the number of spatial axes
    front: Sizes = (0, 0)  # the axes of samples and channels of the last X; of one sample only the channels

    def planes_of(self, X: Array) -> Array:
        """X as planes (N C, *sizes), contiguous.

        Raises:
            ShapeError: X has other axes.
        """
        self.front = X.shape[: -self.axes]
        return np.ascontiguousarray(X).reshape(math.prod(self.front), *X.shape[-self.axes :])

    def as_given(self, planes: Array) -> Array:
        """Planes with the axes of samples and channels that X had."""
        return planes.reshape(*self.front, *planes.shape[1:])

    def sizes_of(self, X: Shape) -> tuple[Shape, tuple[int | None, ...]]:
        """The axes of samples and channels of a shape, and the spatial ones.

        Raises:
            ShapeError: it has other axes.
        """
        front, channels, known = channels_and_sizes(self, X, self.axes)
        return (*front, channels), known


class Pooling(Planes):
    """Base class of the layers that pool the windows of a kernel."""

    kernel_size: Sizes
    windows: Windows

    def set_windows(
        self, kernel_size: Numbers, stride: Numbers | None, padding: Numbers, dilation: Numbers, ceil_mode: bool
    ) -> None:
        """Check the arguments.

        Raises:
            TypeError: a number is not whole.
            ValueError: a number is too small, or the padding larger than half the kernel.
        """
        name = type(self).__name__
        self.kernel_size = for_each_axis(kernel_size, self.axes, f"{name}: kernel_size", least=1)
        self.stride = for_each_axis(
            self.kernel_size if stride is None else stride, self.axes, f"{name}: stride", least=1
        )
        self.padding = for_each_axis(padding, self.axes, f"{name}: padding", least=0)
        self.dilation = for_each_axis(dilation, self.axes, f"{name}: dilation", least=1)
        self.ceil_mode = bool(ceil_mode)
        for k, p in zip(self.kernel_size, self.padding, strict=True):
            if p > k // 2:
                raise ValueError(
                    f"{name}: padding: expected at most half of kernel_size, {k // 2} for {k}, got {p}, since a window "
                    "must not be padding only"
                )

    def windows_on(self, sizes: Sizes) -> Windows:
        """The windows on planes of these sizes.

        With ``ceil_mode`` one more window, which begins inside or in the padding before the plane, ends behind it.

        Raises:
            ShapeError: there is no window, or one without an entry of X in it.
        """
        windows = Windows(sizes, self.kernel_size, self.stride, self.dilation, self._pairs(sizes))
        for axis, letter in enumerate(LETTERS[self.axes].split(", ")):
            size, span, (before, after) = sizes[axis], windows.spans[axis], windows.padding[axis]
            if windows.outputs[axis] < 1 or size < 1:
                raise ShapeError(
                    f"{self}: expected {letter} of at least {max(1, span - before - after)}, since the kernel extends "
                    f"over {span} and the padding adds {before + after}; got {size}"
                )
            step, begins = windows.dilation[axis], range(-before, 0, windows.stride[axis])[: windows.outputs[axis]]
            if size < step and any(begin % step >= size for begin in begins):
                raise ShapeError(
                    f"{self}: expected {letter} of at least {step}, the dilation, or no padding, since no entry of X "
                    f"is in one of the windows; got {size}"
                )
        return windows

    def windows_in_onnx(self, X: Any) -> dict[str, Any]:
        """The attributes of an operator of ONNX that pools X."""
        if X.ndim == self.axes + 1:
            raise NotImplementedError("X has no axis for samples")
        pairs: Pairs = tuple((p, p) for p in self.padding)
        if self.ceil_mode:  # its last windows reach into more padding
            if None in X.shape[2:]:
                raise NotImplementedError("with ceil_mode, and sizes of X that are not known")
            reached = self.windows_on(X.shape[2:]).padding
            pairs = tuple((p, max(p, after)) for p, (_, after) in zip(self.padding, reached, strict=True))
        before, after = zip(*pairs, strict=True)
        return {"kernel_shape": self.kernel_size, "strides": self.stride, "pads": (*before, *after)}

    def windows_on_X(self, X: Sizes) -> Windows:
        """The windows on an X of this shape.

        Raises:
            ShapeError: it has other axes, or is too small for the kernel.
        """
        self.sizes_of(X)
        return self.windows_on(X[-self.axes :])

    def _pairs(self, sizes: Sizes) -> Pairs:
        """The padding before and after each axis."""
        pairs = []
        for n, k, s, d, p in zip(sizes, self.kernel_size, self.stride, self.dilation, self.padding, strict=True):
            span = (k - 1) * d + 1
            rest = n + 2 * p - span
            begin = (rest // s + 1) * s  # of one more window
            more = begin - rest if self.ceil_mode and rest % s and begin < n + p else 0
            pairs.append((p, p + more))
        return tuple(pairs)

    def output_shape(self, *shapes: Shape) -> Any:
        front, sizes = self.sizes_of(shapes[0])
        outputs = self.windows_on(tuple(LARGE if size is None else size for size in sizes)).outputs
        return *front, *(None if size is None else count for size, count in zip(sizes, outputs, strict=True))

    def extra_repr(self) -> str:
        options = {"stride": self.kernel_size, "padding": (0,) * self.axes, "dilation": (1,) * self.axes}
        shown = [f"kernel_size={one_if_equal(self.kernel_size)}"]
        shown += [
            f"{name}={one_if_equal(value)}"
            for name, default in options.items()
            if (value := getattr(self, name)) != default
        ]
        return ", ".join([*shown, *(["ceil_mode=True"] if self.ceil_mode else [])])
