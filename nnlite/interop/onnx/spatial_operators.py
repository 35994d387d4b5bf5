"""What operators of ONNX on spatial axes are in nnlite."""

from typing import Any

from nnlite.interop.onnx.operands import Operand, number, parameter, raise_unless, whole_numbers
from nnlite.layers.convolution import Conv1d, Conv2d, Conv3d
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

    def Pad(
        self, X: Operand, pads: Operand, value: Operand | None = None, axes: Operand | None = None, *, mode: str
    ) -> Any:
        sizes, spatial = whole_numbers(pads), X.ndim - 2
        raise_unless(axes is None, "with axes")
        raise_unless(spatial in (1, 2, 3), "expected one to three spatial axes")
        before, after = sizes[: X.ndim], sizes[X.ndim :]
        raise_unless(not any((*before[:2], *after[:2])), "of the batch or the channels")
        ends = tuple(
            each for pair in zip(before[:1:-1], after[:1:-1], strict=True) for each in pair
        )  # the last axis first
        if mode == "constant":
            return PADS[mode][spatial - 1](ends, 0.0 if value is None else number(value))(X.node)
        return PADS[mode][spatial - 1](ends)(X.node)

    def DepthToSpace(self, X: Operand, *, blocksize: int, mode: str) -> Any:
        raise_unless(mode == "CRD", f"with mode={mode}")
        return PixelShuffle(blocksize)(X.node)


def convolution(classes: Any, X: Operand, W: Operand, B: Operand | None, options: dict[str, Any], **more: Any) -> Any:
    """A layer of one of the classes, which have one, two and three spatial axes."""
    kernel = parameter(W)
    axes = kernel.ndim - 2
    raise_unless(W.trained and 1 <= axes <= 3, "expected an initializer with 1 to 3 spatial axes")
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
