"""Slots: how arrays get from one layer of a graph to the next."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.containers.wiring import Slots, is_loss
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer


def put(values: list[Any], gives: Slots, Y: Any) -> None:
    """Put what a layer gave where it belongs.

    Raises:
        TypeError: it is None, or not as many arrays as the layer says.

    >>> values = [None, None]
    >>> put(values, (1,), 3.0)
    >>> values
    [None, 3.0]
    """
    if Y is None:
        raise TypeError("forward returned None; did it forget to return Y?")
    Ys = listed(Y)
    if len(Ys) != len(gives):
        raise TypeError(f"expected forward to return {len(gives)} arrays (num_outputs), got {len(Ys)}")
    for slot, part in zip(gives, Ys, strict=True):
        values[slot] = part


def each_dX(layer: Layer, takes: Slots, dX: Any) -> list[tuple[int, Any]]:
    """(slot, gradient) of each array that the layer took, of what its backward gave.

    Raises:
        TypeError: a gradient is missing.

    >>> import nnlite as nn
    >>> each_dX(nn.Add(), (4, 5), (1.0, 2.0))
    [(4, 1.0), (5, 2.0)]
    """
    if dX is None and not layer.needs_dX:
        return []
    dXs, slots = listed(dX), takes[:1] if is_loss(layer) else takes  # a loss gives none for its target
    if len(dXs) != len(slots) or any(part is None for part in dXs):
        raise TypeError(
            f"expected backward to return the gradients of {len(slots)} inputs; did it forget to return dX?"
        )
    return list(zip(slots, dXs, strict=True))


def added(before: Any, part: Any) -> Array:
    """The sum of two gradients of one value.

    Raises:
        ShapeError: their shapes differ.

    >>> added(np.array(1.0), np.array(2.0))
    array(3.)
    """
    if np.shape(before) != np.shape(part):
        raise ShapeError(f"one value has gradients of two shapes, {np.shape(before)} and {np.shape(part)}")
    return np.asarray(before + part)
