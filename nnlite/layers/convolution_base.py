"""What convolutions and transposed ones share: arguments, parameters, an X of one sample, and letters of formulas."""

import math
from collections.abc import Callable, Iterable
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, floating_dtype
from nnlite.basics.checks import whole
from nnlite.basics.generators import Rng, generator
from nnlite.compute.sums import column_sum
from nnlite.compute.windows import Windows
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer
from nnlite.layers.spatial import for_each_axis, one_if_equal

Numbers = int | Iterable[int]


class Convolution(Layer, parameters=("W", "b")):
    """Base class of convolutions and transposed ones: their arguments, their parameters, and X of one sample."""

    torch_names: ClassVar = {"W": "weight", "b": "bias"}
    axes: int  # the number of spatial axes
    W: Array
    b: Array | None
    dW: Array
    db: Array | None
    X: Array
    windows: Windows
    batched: bool = True  # whether the last X had an axis of samples

    def set_sizes(
        self, in_channels: int, out_channels: int, kernel_size: Numbers, stride: Numbers, dilation: Numbers, groups: int
    ) -> None:
        """Check the arguments that all convolutions have."""
        name = type(self).__name__
        self.in_channels = whole(in_channels, f"{name}: in_channels", least=1)
        self.out_channels = whole(out_channels, f"{name}: out_channels", least=1)
        self.kernel_size = for_each_axis(kernel_size, self.axes, f"{name}: kernel_size", least=1)
        self.stride = for_each_axis(stride, self.axes, f"{name}: stride", least=1)
        self.dilation = for_each_axis(dilation, self.axes, f"{name}: dilation", least=1)
        self.groups = whole(groups, f"{name}: groups", least=1)
        for argument, channels in ("in_channels", self.in_channels), ("out_channels", self.out_channels):
            if channels % self.groups:
                raise ValueError(f"{name}: {argument}: expected a multiple of groups = {self.groups}, got {channels}")

    def draw(self, weight_init: Callable[..., Array], dtype: DTypeLike, rng: Rng) -> Array:
        """The first W, (groups, out_channels / groups, in_channels / groups, *kernel), each group drawn by itself."""
        name = type(self).__name__
        if not callable(weight_init):
            raise TypeError(f"{name}: weight_init: expected a function such as he_normal, got {weight_init!r}")
        self.dtype = floating_dtype(dtype)
        shape = (self.out_channels // self.groups, self.in_channels // self.groups, *self.kernel_size)
        rng = generator(rng, f"{name}: rng")
        drawn = [weight_init(shape, dtype=self.dtype, rng=rng) for _ in range(self.groups)]
        for W in drawn:
            if np.shape(W) != shape:
                raise ShapeError(f"{name}: expected weight_init to return shape {shape}, got {np.shape(W)}")
        return np.stack(drawn)

    def with_samples(self, A: Array) -> Array:
        """An X or dY with an axis of samples in front."""
        return A if self.batched else A[None]

    def as_given(self, A: Array) -> Array:
        """A Y or dX without the axis of samples, if X had none."""
        return A if self.batched else A[0]

    @property
    def channel(self) -> int:
        """The axis of the channels, for the formulas."""
        return int(self.batched)

    @property
    def others(self) -> tuple[int, ...]:
        """The axes but that of the channels, for the formulas."""
        return tuple(axis for axis in range(self.axes + 1 + self.batched) if axis != self.channel)

    @property
    def W_of_groups(self) -> tuple[int, ...]:
        """The shape of W with an axis for the groups, for the formulas."""
        return (self.groups, len(self.W) // self.groups, *self.W.shape[1:])

    @property
    def Y_shape(self) -> tuple[int, ...] | None:
        """The shape of Y, for the formulas."""
        return self._Y_shape

    @property
    def shape_of_groups(self) -> tuple[int, ...]:
        """The shape of what has an entry for each window, with an axis for the groups, for the formulas."""
        return (*self.X.shape[: self.batched], *self.W_of_groups[:2], *self.windows.outputs)

    def store_db(self, dY: Array) -> None:
        """Set db to the sum over all axes of dY but that of the channels."""
        if (db := self.db) is not None:
            sums = np.add.reduce(dY.reshape(*dY.shape[:2], math.prod(dY.shape[2:])), axis=2)
            column_sum(sums, out=db)

    def products(self, windows: int) -> tuple[tuple[Array, Array], ...]:
        """The products of a group: of W and columns, of W^T and rows, and for dW; each has a column for each window."""
        W = self.W[: len(self.W) // self.groups].reshape(len(self.W) // self.groups, -1)
        rows, columns = (np.zeros((count, windows), W.dtype) for count in W.shape)
        return (W, columns), (W.T, rows), (rows, columns.T)

    def extra_repr(self) -> str:
        options = dict.fromkeys(("stride", "padding", "output_padding", "dilation", "groups", "padding_mode"))
        shown = {name: getattr(self, name, None) for name in options}
        shown = {name: one_if_equal(value) if isinstance(value, tuple) else value for name, value in shown.items()}
        defaults = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros"}
        text = "".join(f", {name}={value!r}" for name, value in shown.items() if value not in (None, defaults[name]))
        bias = ", bias=False" if self.b is None else ""
        dtype = f", dtype={self.dtype}" if self.dtype != np.float32 else ""
        kernel = f"kernel_size={one_if_equal(self.kernel_size)}"
        return f"{self.in_channels} -> {self.out_channels}, {kernel}{text}{bias}{dtype}"


def letters(layer: Convolution) -> tuple[str, str, str]:
    """Of the axes of the windows of X, of W and of Y, for einsum; g of the groups, if there are several."""
    n, g = "n" if layer.batched else "", "g" if layer.groups > 1 else ""
    outputs, kernel = "ijh"[: layer.axes], "uvw"[: layer.axes]
    return f"{n}{g}c{outputs}{kernel}", f"{g}oc{kernel}", f"{n}{g}o{outputs}"
