"""What operators of ONNX on spatial axes are in nnlite."""

import math
from typing import Any

from nnlite.interop.onnx.operands import Operand, known, number, parameter, raise_unless, whole_numbers
from nnlite.layers.adaptive_pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from nnlite.layers.average_pooling import AvgPool1d, AvgPool2d, AvgPool3d
from nnlite.layers.convolution import Conv1d, Conv2d, Conv3d
from nnlite.layers.max_pooling import MaxPool1d, MaxPool2d, MaxPool3d
from nnlite.layers.padding import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
)
from nnlite.layers.pixel_shuffle import PixelShuffle
from nnlite.layers.transposed_convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from nnlite.layers.upsample import Upsample

PADS = {
    "constant": (ConstantPad1d, ConstantPad2d, ConstantPad3d),
    "reflect": (ReflectionPad1d, ReflectionPad2d, ReflectionPad3d),
    "edge": (ReplicationPad1d, ReplicationPad2d, ReplicationPad3d),
    "wrap": (CircularPad1d, CircularPad2d, CircularPad3d),
}


class SpatialOperators:
    """The operators of X (N, C, ...) that slide over its spatial axes, or change their sizes."""

    def Conv(self, X: Operand, W: Operand, B: Operand | None = None, **options: Any) -> Any:
        return convolution((Conv1d, Conv2d, Conv3d), X, W, B, options)

    def ConvTranspose(self, X: Operand, W: Operand, B: Operand | None = None, **options: Any) -> Any:
        raise_unless("output_shape" not in options, "with output_shape")
        more = tuple(options.get("output_padding", [0] * (parameter(W).ndim - 2)))
        return convolution((ConvTranspose1d, ConvTranspose2d, ConvTranspose3d), X, W, B, options, output_padding=more)

    def MaxPool(self, X: Operand, *, storage_order: int, **options: Any) -> Any:
        kernel, stride, added, Y = windows(options, X, -math.inf)
        dilation = tuple(options.get("dilations", (1,) * len(kernel)))
        layers = MaxPool1d, MaxPool2d, MaxPool3d
        return layers[len(kernel) - 1](kernel, stride, added, dilation, ceil_mode=bool(options["ceil_mode"]))(Y)

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
        raise_unless(axes is None, "with axes")
        raise_unless(spatial in (1, 2, 3) and mode in PADS, f"with mode={mode}, or of more spatial axes than three")
        before, after = sizes[: X.ndim], sizes[X.ndim :]
        raise_unless(not any((*before[:2], *after[:2])), "of the batch or the channels")
        ends = tuple(
            each for pair in zip(before[:1:-1], after[:1:-1], strict=True) for each in pair
        )  # the last axis first
        if mode == "constant":
            return PADS[mode][spatial - 1](ends, 0.0 if value is None else number(value))(X.node)
        return PADS[mode][spatial - 1](ends)(X.node)

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

    def DepthToSpace(self, X: Operand, *, blocksize: int, mode: str) -> Any:
        raise_unless(mode == "CRD", f"with mode={mode}")
        return PixelShuffle(blocksize)(X.node)


def convolution(classes: Any, X: Operand, W: Operand, B: Operand | None, options: dict[str, Any], **more: Any) -> Any:
    """A layer of one of the classes, which have one, two and three spatial axes."""
    kernel = parameter(W)
    axes = kernel.ndim - 2
    raise_unless(W.trained and 1 <= axes <= 3, "expected an initializer with 1 to 3 spatial axes")
    raise_unless(options["group"] > 0, "expected a group of at least 1")
    layer = classes[axes - 1].from_saved(
        W=kernel,
        groups=options["group"],
        bias=B is not None,
        stride=tuple(options.get("strides", [1] * axes)),
        padding=padding(options, kernel.shape[2:]),
        dilation=tuple(options.get("dilations", [1] * axes)),
        **more,
    )
    if B is not None:
        layer.b = parameter(B)
    return layer(X.node)


def windows(options: dict[str, Any], X: Operand, value: float | None) -> tuple[Any, Any, Any, Any]:
    """Kernel, stride and padding of a pooling layer, and X, to which unequal padding is added, of this value."""
    kernel, axes = tuple(options["kernel_shape"]), len(options["kernel_shape"])
    raise_unless(axes in (1, 2, 3), "expected one to three spatial axes")
    stride, pads = tuple(options.get("strides", [1] * axes)), options.get("pads", [0, 0] * axes)
    before, after = tuple(pads[:axes]), tuple(pads[axes:])
    raise_unless(options["auto_pad"] in ("NOTSET", "VALID"), f"with auto_pad={options['auto_pad']}")
    if before == after:
        return kernel, stride, before, X.node
    raise_unless(value is not None, "with different padding at the two ends of an axis")
    ends = tuple(each for pair in zip(before[::-1], after[::-1], strict=True) for each in pair)
    return kernel, stride, 0, PADS["constant"][axes - 1](ends, value)(X.node)


def padding(options: dict[str, Any], kernel: tuple[int, ...]) -> Any:
    """The argument ``padding`` of a convolution."""
    if options["auto_pad"] != "NOTSET":
        known = {"VALID": "valid", "SAME_UPPER": "same"}
        raise_unless(options["auto_pad"] in known, f"with auto_pad={options['auto_pad']}")
        return known[options["auto_pad"]]
    pads = options.get("pads", [0, 0] * len(kernel))
    before, after = tuple(pads[: len(kernel)]), tuple(pads[len(kernel) :])
    if before == after:
        return before
    added = [(k - 1) * d for k, d in zip(kernel, options.get("dilations", [1] * len(kernel)), strict=True)]
    same = (*(each // 2 for each in added), *(each - each // 2 for each in added))
    raise_unless((*before, *after) == same, "with different padding at the two ends of an axis")
    return "same"
