"""Axes that are exchanged, left out and joined: a layer, or the node before one that did the opposite."""

from typing import Any

from nnlite.layers.arrangement import Transpose
from nnlite.layers.reshaping import Flatten, Unflatten


def transposed(node: Any, first: int, second: int) -> Any:
    """With two axes exchanged; what an equal Transpose was made of, if there is one."""
    layer = node.call.layer if node.call else None
    if isinstance(layer, Transpose) and {layer.dim0, layer.dim1} == {first, second}:
        return node.call.inputs[0]
    return Transpose(first, second)(node)


def is_put_in(node: Any, axis: int) -> bool:
    """Whether the node is another one with this axis of size 1 put into it."""
    layer = node.call.layer if node.call else None
    return isinstance(layer, Unflatten) and (layer.dim, layer.unflattened_size) == (axis, (1, -1))


def without_axis(node: Any, axis: int) -> Any:
    """Without an axis of size 1 that is not the last one; what it was put into, if that is what was done."""
    if is_put_in(node, axis):
        return node.call.inputs[0]
    return Flatten(axis - 1, axis)(node) if axis else Flatten(0, 1)(node)


def flattened(node: Any, axis: int, ndim: int) -> Any:
    """With all axes from this one on as one; what they were made of, if it was one."""
    layer = node.call.layer if node.call else None
    if isinstance(layer, Unflatten) and layer.dim == axis and len(layer.unflattened_size) == ndim - axis:
        return node.call.inputs[0]
    return Flatten(axis)(node)
