"""What operators of ONNX on spatial axes are in nnlite."""

import math
from typing import Any

import numpy as np

from nnlite.interop.onnx.convolution_operators import convolution, transposed_convolution
from nnlite.interop.onnx.onnx_windows import UNEQUAL, dilations, ends, enlarged, strides
from nnlite.interop.onnx.operands import Expanded, Operand, Reshaped, at, known, number, raise_unless, whole_numbers
from nnlite.layers.adaptive_pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from nnlite.layers.average_pooling import AvgPool1d, AvgPool2d, AvgPool3d
from nnlite.layers.max_pooling import MaxPool1d, MaxPool2d, MaxPool3d
from nnlite.layers.padding import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
)
from nnlite.layers.pixel_shuffle import PixelShuffle
from nnlite.layers.reshaping import Unflatten
from nnlite.layers.unpooling import MaxUnpool1d, MaxUnpool2d, MaxUnpool3d
from nnlite.layers.upsample import Upsample

PADS = {
    "reflect": (ReflectionPad1d, ReflectionPad2d, ReflectionPad3d),
    "edge": (ReplicationPad1d, ReplicationPad2d, ReplicationPad3d),
    "wrap": (CircularPad1d, CircularPad2d, CircularPad3d),
}


class SpatialOperators:
    """The operators of X (N, C, ...) that slide over its spatial axes, or change their sizes."""

    def Conv(self, X: Operand, W: Operand, B: Operand | None = None, **options: Any) -> Any:
        return convolution(X, W, B, options)

    def ConvTranspose(self, X: Operand, W: Operand, B: Operand | None = None, **options: Any) -> Any:
        return transposed_convolution(X, W, B, options)

    def MaxPool(self, X: Operand, *, storage_order: int, **options: Any) -> Any:
        kernel, stride, added, Y = windows(options, X, -math.inf)
        layers = MaxPool1d, MaxPool2d, MaxPool3d
        layer = layers[len(kernel) - 1]
        return layer(kernel, stride, added, dilations(options, len(kernel)), ceil_mode=bool(options["ceil_mode"]))(Y)

    def AveragePool(self, X: Operand, *, count_include_pad: int, **options: Any) -> Any:
        kernel, stride, added, Y = windows(options, X, 0.0 if count_include_pad else None)
        raise_unless(set(options.get("dilations", [1])) == {1}, "with dilations")
        layers: Any = (AvgPool1d, AvgPool2d, AvgPool3d)
        return layers[len(kernel) - 1](kernel, stride, added, bool(options["ceil_mode"]), bool(count_include_pad))(Y)

    def GlobalAveragePool(self, X: Operand) -> Any:
        raise_unless(X.ndim in (3, 4, 5), "expected one to three spatial axes")
        return (AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d)[X.ndim - 3](1)(X.node)

    def GlobalMaxPool(self, X: Operand) -> Any:
        raise_unless(X.ndim in (3, 4, 5), "expected one to three spatial axes")
        return (AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d)[X.ndim - 3](1)(X.node)

    def Pad(
        self, X: Operand, pads: Operand, value: Operand | None = None, axes: Operand | None = None, *, mode: str
    ) -> Any:
        sizes, spatial = whole_numbers(pads), X.ndim - 2
        if axes is not None:  # the sizes are those of these axes alone
            pairs, full = np.reshape(sizes, (2, -1)), np.zeros((2, X.ndim), int)
            full[:, whole_numbers(axes)] = pairs
            sizes = tuple(full.reshape(-1).tolist())
        raise_unless(mode in {"constant", *PADS}, f"with mode={mode}")
        raise_unless(spatial in (1, 2, 3), "expected one to three spatial axes")
        before, after = sizes[: X.ndim], sizes[X.ndim :]
        raise_unless(not any((*before[:2], *after[:2])), "of the batch or the channels")
        first, last = before[2:], after[2:]
        if mode == "constant":
            return enlarged(X.node, first, last, 0.0 if value is None else number(value))
        last_axis_first = tuple([each for pair in zip(first[::-1], last[::-1], strict=True) for each in pair])
        return PADS[mode][spatial - 1](last_axis_first)(X.node)

    def Resize(
        self, X: Operand, roi: Operand | None = None, scales: Operand | None = None, sizes: Operand | None = None,
        *, mode: str, coordinate_transformation_mode: str, nearest_mode: str, cubic_coeff_a: float, **options: Any,
    ) -> Any:  # fmt: skip
        places, axes = coordinate_transformation_mode, X.ndim - 2
        raise_unless(axes in (1, 2, 3), "expected one to three spatial axes")
        name: Any
        modes = {
            ("nearest", "asymmetric", "floor"): "nearest",
            ("nearest", "half_pixel", "round_prefer_ceil"): "nearest-exact",
        }
        if mode == "nearest":
            name, align = modes.get((mode, places, nearest_mode)), None
        else:
            names = {"linear": ["linear", "bilinear", "trilinear"], "cubic": ["", "bicubic", ""]}
            name = names.get(mode, [""] * 3)[axes - 1]
            align = places == "align_corners"
        usual = mode == "nearest" or align or places in ("half_pixel", "pytorch_half_pixel")
        usual = usual and (mode != "cubic" or cubic_coeff_a == -0.75) and options.get("axes") is None
        raise_unless(bool(name and usual and not options.get("antialias")), "in this mode")
        if sizes is not None:
            return Upsample(size=whole_numbers(sizes)[2:], mode=name, align_corners=align)(X.node)
        factors = [float(each) for each in known(scales).reshape(-1)] if scales is not None else []
        raise_unless(factors[:2] == [1, 1] and len(factors) == X.ndim, "expected scales of the spatial axes")
        return Upsample(scale_factor=tuple(factors[2:]), mode=name, align_corners=align)(X.node)

    def ScatterElements(
        self, data: Operand, indices: Operand, updates: Operand, *, axis: int, reduction: str = "none"
    ) -> Any:
        zeros = isinstance(data, Expanded) and data.X.array is not None and not data.X.array.any()
        raise_unless(zeros, "expected an array of zeros to put entries into")
        raise_unless(isinstance(indices, Reshaped) and indices.of.ndim in (3, 4, 5), "expected indices of MaxUnpool")
        raise_unless(axis == 2 and reduction == "none", f"with axis={axis} and reduction={reduction}")
        return Scattered(updates.node, indices.of)  # type: ignore[attr-defined]

    def DepthToSpace(self, X: Operand, *, blocksize: int, mode: str) -> Any:
        raise_unless(mode == "CRD", f"with mode={mode}")
        return PixelShuffle(blocksize)(X.node)


class Scattered(Operand):
    """The entries of channels that are flattened, before they are reshaped into the output of a MaxUnpool."""

    def __init__(self, updates: Any, indices: Operand) -> None:
        super().__init__(None, None, 1, floating=True)
        self.updates, self.indices = updates, indices

    @property
    def node(self) -> Any:
        raise NotImplementedError("expected an operator that reshapes the scattered entries")

    def reshaped(self, sizes: tuple[int, ...]) -> Any:
        """The node of the MaxUnpool whose output has these sizes on its spatial axes."""
        own = [at(self.indices.shape, axis) for axis in range(2, self.indices.ndim)]
        kernel = [size - each + 1 for size, each in zip(sizes, own, strict=True)]
        raise_unless(min(kernel) >= 1, f"expected an output of at least {own}, got {sizes}")
        X = Unflatten(2, tuple(own))(self.updates) if len(own) > 1 else self.updates
        return (MaxUnpool1d, MaxUnpool2d, MaxUnpool3d)[len(own) - 1](tuple(kernel), stride=1)(X, self.indices.node)


def windows(options: dict[str, Any], X: Operand, value: float | None) -> tuple[Any, Any, Any, Any]:
    """Kernel, stride and padding of a pooling layer, and X, to which unequal padding is added, of this value."""
    kernel = tuple(options["kernel_shape"])
    axes = len(kernel)
    raise_unless(axes in (1, 2, 3), "expected one to three spatial axes")
    stride, before, after = strides(options, axes), *ends(options, X, kernel)
    if before == after:
        return kernel, stride, before, X.node
    raise_unless(value is not None, UNEQUAL)
    return kernel, stride, (0,) * axes, enlarged(X.node, before, after, value)
