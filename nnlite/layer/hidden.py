"""Hidden parts: layers and random generators in objects where a layer does not find its parts."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ReferenceType

import numpy as np

from nnlite.basics.generators import default_generator
from nnlite.layer.carried import read_names

Layer = Any  # the class in layer.py, which is built on this file


@dataclass(eq=False)
class Reference:
    """A reference to a layer that is not a part of the one that holds it.

    >>> import nnlite as nn
    >>> Reference(nn.Tanh()).layer
    Tanh()
    """

    layer: Layer


_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType)
_PLAIN = frozenset({int, float, bool, str, type(None), Reference, ReferenceType})
_OPAQUE = (type, ModuleType, *_FUNCTIONS, ReferenceType, Reference, str, bytes, int, float, np.dtype)


def check_hidden(model: Layer) -> None:
    """Raise if an object that backward goes through holds a layer with a state, where the model does not find it.

    Objects are those with attributes, sets, deques, mappings that are no dicts, and arrays of objects; they are looked
    into one level deep. Functions, methods, classes, modules and weak references are not: a function that returns a
    layer is the way to hold one that is to be no part. What the model has as a part as well may be held anywhere, and
    so may a layer without a gradient, as a teacher in distillation.

    Raises:
        TypeError: one does: the layer would not be trained, nor saved.

    >>> import nnlite as nn
    >>> class Branches(nn.Layer):
    ...     def __init__(self):
    ...         self.branches = {nn.Linear(1, 1)}
    ...     def backward(self, dY):
    ...         return sum(branch.backward(dY) for branch in self.branches)
    >>> check_hidden(Branches())
    Traceback (most recent call last):
        ...
    TypeError: Branches(): branches holds Linear(1 -> 1) in a set, which is no Layer, so it would not be trained, ...
    """
    layers = [layer for _, layer in model.named_layers()]
    found = set(map(id, layers))
    for layer in layers:
        for name, holder, part in _hidden(layer, _is_layer):
            known = not found.isdisjoint(id(each) for _, each in part.named_layers())
            has_state = part.state_dict() or any(part.named_generators())
            if not known and has_state and name in _read_by_backward(layer):
                raise TypeError(
                    f"{layer.one_line()}: {name} holds {part.one_line()} in a {type(holder).__name__}, which is no "
                    "Layer, so it would not be trained, nor saved; hold it in an attribute, or in a list, tuple or "
                    "dict; or if it is to be no part, hold a function that returns it"
                )


def _read_by_backward(layer: Layer) -> frozenset[str]:
    cls: Any = type(layer)
    return read_names(cls, "backward")


def check_hidden_generators(model: Layer) -> None:
    """Raise if an object in the model holds a random generator that would not be saved.

    Raises:
        TypeError: one does.
    """
    found = {id(generator) for _, generator in model.named_generators()} | {id(default_generator())}
    for _, layer in model.named_layers():
        for name, holder, generator in _hidden(layer, lambda each: isinstance(each, np.random.Generator)):
            if id(generator) not in found:
                raise TypeError(
                    f"{layer.one_line()}: {name} holds a random generator in a {type(holder).__name__}, where it is "
                    "not found, so it would not be saved; hold it in an attribute, or in a list, tuple or dict"
                )


def _hidden(layer: Layer, wanted: Callable[[Any], bool]) -> Iterator[tuple[str, Any, Any]]:
    """(attribute, object, part) of what is wanted and in an object."""
    for name, value in vars(layer).items():
        if type(value) in _PLAIN or (type(value) is np.ndarray and value.dtype != object):
            continue  # most of them, at a glance
        for held in _listed(value):
            if not isinstance(held, _OPAQUE) and not _is_layer(held):
                for inner in _inside(held):
                    yield from ((name, held, part) for part in _listed(inner) if wanted(part))


def _is_layer(value: Any) -> bool:
    return hasattr(type(value), "named_layers")


def _listed(value: Any) -> Iterator[Any]:
    """The value, or what is in a list, tuple or dict of values at any depth."""
    if isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _listed(part)
    elif value is not None:
        yield value


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, Set | deque):
        return list(value)
    if isinstance(value, np.ndarray):
        return value.ravel() if value.dtype == object else ()
    slots = [name for cls in type(value).__mro__ for name in _slots(cls)]
    return [*getattr(value, "__dict__", {}).values(), *(getattr(value, name, None) for name in slots)]


def _slots(cls: type) -> Iterable[str]:
    slots = vars(cls).get("__slots__", ())
    return [slots] if isinstance(slots, str) else slots
