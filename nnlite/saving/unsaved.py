"""What a file would lose: arrays and numbers of a layer that are not declared, nor made again by its constructor."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.generators import default_generator
from nnlite.layer.cache import cached_names
from nnlite.layer.carried import accumulated_names, carried_names, temporary_names
from nnlite.layer.hidden import check_hidden, check_hidden_generators
from nnlite.layer.layer import Layer
from nnlite.layer.parts import held

METHODS = ("forward", "backward")


def check_kept(model: Layer) -> None:
    """Raise if what training changes in a layer is not found: hidden layers and generators, undeclared arrays.

    An array or number is state, and must be declared, where forward or backward goes on from it.

    >>> import nnlite as nn
    >>> class Count(nn.Layer):
    ...     calls = 0
    ...     def forward(self, X):
    ...         self.calls += 1
    ...         return X
    >>> check_kept(nn.Sequential(Count()))
    Traceback (most recent call last):
        ...
    TypeError: 0 Count(): forward changes calls and goes on from it the next time, but calls is not declared, ...

    Raises:
        TypeError: there is some, which would not be saved.
    """
    check_hidden(model)
    check_hidden_generators(model)
    for path, layer in model.named_layers():
        cls: Any = type(layer)
        for method in METHODS:
            for name in sorted(accumulated_names(cls, method) - {*layer._parameters, *layer._buffers}):
                if isinstance(getattr(layer, name, None), np.ndarray | np.number | int | float):
                    place = f"{path} {layer.one_line()}".strip()
                    raise TypeError(
                        f"{place}: {method} changes {name} and goes on from it the next time, but {name} is not "
                        f"declared, so it would not be saved; {_how_to_declare(layer, name)}"
                    )


def check_made_again(layer: Layer, place: str, kind: Any, arguments: dict[str, Any]) -> None:
    """Raise if a layer, or one that it makes, holds an array that its constructor would not make again.

    Args:
        layer: the layer.
        place: what to call it.
        kind: how a file makes it again.
        arguments: from what.

    Raises:
        TypeError: it does.
    """
    given = [each for _, each in held("", arguments, Layer)]
    outside = {id(part) for each in given for _, part in each.named_layers()}
    parts = {path: part for path, part in layer.named_layers() if id(part) not in outside}
    arrays = [(path, part, name) for path, part in parts.items() for name in _undeclared(part, arguments)]
    if not arrays:
        return
    again = dict(_made(kind, arguments).named_layers())
    for path, part, name in arrays:
        cls: Any = type(part)
        other = vars(again[path]).get(name) if path in again else None
        in_forward = other is None and any(name in carried_names(cls, method) for method in METHODS)  # as a mask is
        if not in_forward and not _equal(vars(part)[name], other):
            raise TypeError(
                f"{place}: the array {name} of {part.one_line()} would not be saved, and the constructor makes another "
                f"one; {_how_to_declare(part, name)}, or make it an argument of the constructor"
            )


def _undeclared(layer: Layer, arguments: dict[str, Any]) -> Iterator[str]:
    """The attributes with arrays that are no state, no cache, no temporaries and no arguments."""
    cls: Any = type(layer)
    left_out = cached_names(cls).union(*(temporary_names(cls, method) for method in METHODS))
    left_out |= {"_Phi", "_dPhi"}.union(*({"_" + name, "_d" + name} for name in (*layer._parameters, *layer._buffers)))
    passed = set(map(id, _arrays_in(arguments)))
    for name, value in vars(layer).items():
        is_array = isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
        if is_array and name not in left_out and id(value) not in passed:
            yield name


def _arrays_in(value: Any) -> Iterator[Array]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _arrays_in(part)


def _made(kind: Any, arguments: dict[str, Any]) -> Layer:
    """What a file would make; nothing is drawn from generators, and the arguments stay as they are."""
    default = default_generator().bit_generator
    state = default.state
    try:
        made: Layer = kind.make(**copy.deepcopy(arguments))
        return made
    finally:
        default.state = state


def _equal(one: Array, other: Any) -> bool:
    same = isinstance(other, np.ndarray) and (one.dtype, one.shape) == (other.dtype, other.shape)
    return same and one.tobytes() == other.tobytes()


def _how_to_declare(layer: Layer, name: str) -> str:
    buffers = "".join(f'"{each}", ' for each in (*layer._buffers, name))
    return f"declare it, class {type(layer).__name__}(nnlite.Layer, buffers=({buffers.rstrip()}))"
