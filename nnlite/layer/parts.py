"""What the attributes of a layer hold: layers and generators, alone or in lists, tuples and dicts at any depth."""

import weakref
from collections.abc import Iterator
from operator import is_
from types import EllipsisType
from typing import Any, TypeVar

from numpy import ndarray

from nnlite.basics.arrays import FLOATING

T = TypeVar("T")

PLAIN = frozenset(  # types of what holds no layers
    {ndarray, int, float, bool, str, type(None), EllipsisType, weakref.ref, *map(type, FLOATING)}
)


def inside(path: str, name: str) -> str:
    """The path of what is called ``name`` in the layer at ``path``."""
    return f"{path}.{name}" if path else name


def held(name: str, value: Any, kind: type[T]) -> Iterator[tuple[str, T]]:
    """(name, object) of what is of the kind in an attribute: itself, or in a list, tuple or dict at any depth."""
    if isinstance(value, kind):
        yield name, value
    elif isinstance(value, list | tuple | dict):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            if type(part) not in PLAIN:
                yield from held(f"{name}.{key}", part, kind)


def twins_in(value: Any, kind: Any) -> Any:
    """The value with each layer, which is of the kind, replaced by its twin; the value itself if there are none."""
    if isinstance(value, kind):
        return value.evaluation_twin()
    if isinstance(value, (list, tuple)):  # without a union of types, which each call would make anew
        twins = [part if type(part) in PLAIN else twins_in(part, kind) for part in value]
        if not all(map(is_, twins, value)):
            return type(value)(*twins) if hasattr(value, "_fields") else type(value)(twins)  # a namedtuple, or not
    elif isinstance(value, dict):
        twins_by_key = {key: twins_in(part, kind) for key, part in value.items()}
        if any(twins_by_key[key] is not part for key, part in value.items()):
            return twins_by_key
    return value
