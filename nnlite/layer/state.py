"""The state of a layer: parameters and buffers as properties of its class, written through and never rebound.

A parameter is trained: it has a gradient and a place in Phi. A buffer is not: it has neither. Both are arrays of a
fixed shape and dtype that assignment writes *into*, so whoever holds ``layer.W`` holds the real thing.
"""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array, as_floating
from nnlite.errors import ShapeError, StateError

Layer = Any  # the class in layer.py, which is built on this file


def declare(cls: type, parameters: tuple[str, ...], buffers: tuple[str, ...]) -> None:
    """Give the class properties for its parameters, their gradients and its buffers; None until assigned.

    Raises:
        TypeError: not tuples of names.
        ValueError: the class has such an attribute already.
    """
    for kind, names in ("parameters", parameters), ("buffers", buffers):
        if isinstance(names, str):
            raise TypeError(f"{kind}: expected a tuple of names, got the string {names!r}; add a comma")
        for name in names:
            if not isinstance(name, str) or not name.isidentifier():
                raise TypeError(f"{cls.__name__}: {kind}: expected names such as 'W', got {name!r}")
            _check_free(cls, kind, name)
            if kind == "parameters":
                _declare(cls, name, _set_parameter, f"The parameter {name}, an array; assignment writes into it.")
                _declare(cls, "d" + name, _set_gradient, f"The gradient of {name}, which backward stores.")
            else:
                _declare(cls, name, _set_buffer, f"The buffer {name}, an array; assignment writes into it.")


def _check_free(cls: type, kind: str, name: str) -> None:
    for attribute in (name, "d" + name, "_" + name, "_d" + name) if kind == "parameters" else (name, "_" + name):
        if hasattr(cls, attribute):
            raise ValueError(f"{cls.__name__}: {kind}: {attribute!r} is an attribute already; rename {name!r}")


def _declare(cls: type, name: str, assign: Any, doc: str) -> None:
    # attrgetter makes reading as cheap as a plain attribute: it runs in C.
    setattr(cls, "_" + name, None)
    setattr(cls, name, property(attrgetter("_" + name), lambda layer, value: assign(layer, name, value), doc=doc))


def _set_parameter(layer: Layer, name: str, value: Any) -> None:
    stored = getattr(layer, "_" + name)
    if stored is not None:
        write(layer, name, stored, value)
    elif value is not None:
        _check_early(layer, name)
        P = np.array(as_floating(value, f"{type(layer).__name__}: {name}", layer.dtype), order="C")
        layer.__dict__["_" + name], layer.__dict__["_d" + name] = P, np.zeros_like(P)


def _set_gradient(layer: Layer, name: str, value: Any) -> None:
    stored = getattr(layer, "_" + name)
    if stored is None:
        raise StateError(f"{layer.one_line()}: {name} is assigned, but {name[1:]} has no value")
    write(layer, name, stored, value)


def _set_buffer(layer: Layer, name: str, value: Any) -> None:
    stored = getattr(layer, "_" + name)
    if stored is not None:
        write(layer, name, stored, value)
    elif value is not None:
        _check_early(layer, name)
        array = as_array(value, f"{type(layer).__name__}: {name}")
        layer.__dict__["_" + name] = np.array(array, layer.dtype if array.dtype.kind == "f" else None, order="C")


def _check_early(layer: Layer, name: str) -> None:
    if layer._Phi is not None:
        raise StateError(f"{layer.one_line()}: {name} gets its first value after Phi was made; assign it in __init__")


def own_arrays(layer: Layer) -> None:
    """Copy the layer's parameters, gradients and buffers that are read-only or in a file, as joblib passes them on."""
    names = [prefix + name for name in layer._parameters for prefix in ("_", "_d")]
    for name in (*names, *("_" + name for name in layer._buffers)):
        array = getattr(layer, name)
        if array is not None and (type(array) is not np.ndarray or not array.flags.writeable):
            layer.__dict__[name] = np.array(array)


def write(layer: Layer, name: str, stored: Array, value: Any) -> None:
    """``stored[...] = value``, after a check of the shape.

    Raises:
        ShapeError: the shapes differ.
        TypeError: ``value`` does not hold real numbers; or ``stored`` holds integers or booleans, and ``value`` is of
            a kind that they cannot represent.
    """
    if value is stored:  # as after layer.W -= ...
        return
    if type(value) is np.ndarray and value.dtype == stored.dtype and value.shape == stored.shape:
        stored[...] = value  # backward does this in each step: without the time of a name for errors
        return
    place = f"{layer.one_line()}: {name}"
    if stored.dtype.kind == "f":
        value = as_floating(value, place, stored.dtype)
    else:
        value = as_array(value, place)
        if not np.can_cast(value.dtype, stored.dtype, "same_kind"):
            raise TypeError(f"{place}: expected {stored.dtype}, as its first value was, got {value.dtype}")
    if value.shape != stored.shape:
        raise ShapeError(f"{layer.one_line()}: expected {name} of shape {stored.shape}, got {value.shape}")
    stored[...] = value


def misfits(own: Mapping[str, Array], given: Mapping[str, Array]) -> list[str]:
    """A line for each array that is missing in ``given``, unknown, or of another shape or dtype."""
    wrong = [f"{name}: missing, expected {_kind(P)}" for name, P in own.items() if name not in given]
    wrong += [f"{name}: unknown, got {_kind(P)}" for name, P in given.items() if name not in own]
    return wrong + [
        f"{name}: expected {_kind(own[name])}, got {_kind(P)}"
        for name, P in given.items()
        if name in own and (P.shape, P.dtype) != (own[name].shape, own[name].dtype)
    ]


def _kind(P: Array) -> str:
    return f"{P.shape} {P.dtype}"
