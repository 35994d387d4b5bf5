"""Slots: putting the outputs and gradients of a layer where the next layers of a graph find them."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.containers.wiring import Slots
from nnlite.errors import ShapeError
from nnlite.layer.described import with_gradient
from nnlite.layer.layer import Layer


def put(values: list[Any], gives: Slots, Y: Any) -> None:
    """Put the outputs of a layer into their slots.

    Raises:
        TypeError: forward returned None, or another number of arrays than ``num_outputs``.
    """
    if Y is None:
        raise TypeError("forward returned None; did it forget to return Y?")
    Ys = listed(Y)
    if len(Ys) != len(gives):
        raise TypeError(f"expected forward to return {len(gives)} arrays (num_outputs), got {len(Ys)}")
    for slot, part in zip(gives, Ys, strict=True):
        values[slot] = part


def each_dX(layer: Layer, takes: tuple[int | None, ...], dX: Any) -> list[tuple[int, Any]]:
    """(slot, gradient) of each input that has a gradient, from the return value of backward.

    Args:
        layer: the layer.
        takes: the slots of its inputs; None for one that is left out.
        dX: what its backward returned.

    Raises:
        TypeError: a gradient is missing.
    """
    if dX is None and not layer.needs_dX:
        return []
    slots: list[Any] = [takes[place] for place in with_gradient(layer, takes)]
    dXs = [] if dX is None and not slots else listed(dX)
    if len(dXs) != len(slots) or any(part is None for part in dXs):
        raise TypeError(
            f"expected backward to return the gradients of {len(slots)} inputs, got {_told(dXs)}; did it forget one? "
            "(inputs without one: without_gradient)"
        )
    return list(zip(slots, dXs, strict=True))


def added(before: Any, part: Any) -> Array:
    """The sum of two gradients of the same value.

    Raises:
        ShapeError: their shapes differ.
    """
    if np.shape(before) != np.shape(part):
        raise ShapeError(f"one value has gradients of two shapes, {np.shape(before)} and {np.shape(part)}")
    return np.asarray(before + part)


def _told(dXs: list[Any]) -> str:
    return "None" if dXs == [None] else f"{sum(part is not None for part in dXs)}"
