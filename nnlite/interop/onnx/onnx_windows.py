"""Windows as attributes of ONNX's operators have them: strides, dilations, and what is added at the ends of axes."""

from typing import Any

from nnlite.interop.onnx.operands import Operand, at, raise_unless
from nnlite.layers.padding import ConstantPad1d, ConstantPad2d, ConstantPad3d

UNEQUAL = "with different padding at the two ends of an axis"


def strides(options: dict[str, Any], axes: int) -> tuple[int, ...]:
    """The step of the windows along each axis."""
    return tuple(options.get("strides", [1] * axes))


def dilations(options: dict[str, Any], axes: int) -> tuple[int, ...]:
    """The distance of the entries of a window along each axis."""
    return tuple(options.get("dilations", [1] * axes))


def ends(options: dict[str, Any], X: Operand, kernel: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How many entries are added before and after each axis."""
    axes, way = len(kernel), options["auto_pad"]
    if way == "NOTSET":
        pads = options.get("pads", [0, 0] * axes)
        return tuple(pads[:axes]), tuple(pads[axes:])
    if way == "VALID":
        return (0,) * axes, (0,) * axes
    raise_unless(way in ("SAME_UPPER", "SAME_LOWER"), f"with auto_pad={way}")
    less, more = [], []
    for axis, (k, step, d) in enumerate(
        zip(kernel, strides(options, axes), dilations(options, axes), strict=True), X.ndim - axes
    ):
        added = (k - 1) * d
        if step > 1:  # the last window begins less than a step before the end
            added = max(0, added - (at(X.shape, axis) - 1) % step)
        less.append(added // 2)
        more.append(added - added // 2)
    return (tuple(less), tuple(more)) if way == "SAME_UPPER" else (tuple(more), tuple(less))


def enlarged(node: Any, before: tuple[int, ...], after: tuple[int, ...], value: Any) -> Any:
    """With so many entries of this value before and after each axis, or without so many where they are negative."""
    last_axis_first = [each for pair in zip(before[::-1], after[::-1], strict=True) for each in pair]
    return (ConstantPad1d, ConstantPad2d, ConstantPad3d)[len(before) - 1](tuple(last_axis_first), value)(node)
