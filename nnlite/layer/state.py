"""State: parameters as the properties of a class, written through and never rebound."""

from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlite.basics.arrays import Array, as_floating
from nnlite.errors import ShapeError, StateError

if TYPE_CHECKING:
    from nnlite.layer.layer import Layer


def declare(cls: type["Layer"], name: str) -> None:
    """Give the class ``cls`` the parameter ``name`` and its gradient ``d`` + ``name``; None until assigned."""
    # attrgetter makes reading as cheap as a plain attribute: it runs in C.
    setattr(cls, "_" + name, None)
    setattr(cls, "_d" + name, None)
    setattr(cls, name, property(attrgetter("_" + name), _parameter_setter(name)))
    setattr(cls, "d" + name, property(attrgetter("_d" + name), _gradient_setter(name)))


def write(layer: "Layer", name: str, stored: Array, value: Any) -> None:
    """``stored[...] = value``, after a check of the shape.

    Raises:
        ShapeError: the shapes differ.
        TypeError: ``value`` does not hold real numbers.
    """
    if value is stored:  # as after layer.W -= ...
        return
    value = as_floating(value, f"{layer.one_line()}: {name}", stored.dtype)
    if value.shape != stored.shape:
        raise ShapeError(f"{layer.one_line()}: expected {name} of shape {stored.shape}, got {value.shape}")
    stored[...] = value


def misfits(own: Mapping[str, Array], given: Mapping[str, Array]) -> list[str]:
    """A line for each parameter that is missing in ``given``, unknown, or of another shape or dtype.

    >>> misfits({"W": np.zeros(2), "b": np.zeros(1)}, {"W": np.zeros(3)})
    ['b: missing, expected (1,) float64', 'W: expected (2,) float64, got (3,) float64']
    """
    wrong = [f"{name}: missing, expected {_kind(P)}" for name, P in own.items() if name not in given]
    wrong += [f"{name}: unknown, got {_kind(P)}" for name, P in given.items() if name not in own]
    return wrong + [
        f"{name}: expected {_kind(own[name])}, got {_kind(P)}"
        for name, P in given.items()
        if name in own and (P.shape, P.dtype) != (own[name].shape, own[name].dtype)
    ]


def _kind(P: Array) -> str:
    return f"{P.shape} {P.dtype}"


def _parameter_setter(name: str) -> Any:
    def assign(layer: "Layer", value: Any) -> None:
        stored = getattr(layer, "_" + name)
        if stored is not None:
            write(layer, name, stored, value)
        elif layer._Phi is not None:
            raise StateError(
                f"{layer.one_line()}: {name} gets its first value after Phi was made; assign it in __init__"
            )
        elif value is not None:
            P = np.array(as_floating(value, name, layer.dtype), order="C")
            vars(layer)["_" + name], vars(layer)["_d" + name] = P, np.zeros_like(P)

    return assign


def _gradient_setter(name: str) -> Any:
    def assign(layer: "Layer", value: Any) -> None:
        stored = getattr(layer, "_d" + name)
        if stored is None:
            raise StateError(f"{layer.one_line()}: d{name} is assigned, but {name} has no value")
        write(layer, "d" + name, stored, value)

    return assign
