"""The keys in a state dict of PyTorch that belong to the arrays of a model: by paths of modules, or by their order."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np

from nnlite.interop.torch_weights.torch_arrays import Entry, array_of
from nnlite.layer.parts import inside

Keys = Sequence[str | None]  # one for each entry; None if there is none
Use = tuple[Entry, str | None]  # with its key


def renamed(own: list[Entry], names: Mapping[str, str] | None) -> list[str]:
    """The key of each entry, where some modules have other paths.

    Raises:
        TypeError: ``names`` is not a dict of texts.
        ValueError: it has a path that the model has not.
    """
    if names is None:
        return [entry.key for entry in own]
    if not isinstance(names, Mapping) or not all(isinstance(text, str) for pair in names.items() for text in pair):
        raise TypeError(f'names: expected the paths of layers and modules, such as {{"0": "fc1"}}, got {names!r}')
    for path in names:
        if not any(_is_inside(entry.key, path) for entry in own):
            modules = ", ".join(dict.fromkeys(repr(entry.module) for entry in own))
            raise ValueError(f"names: the model has no layer with arrays at {path!r}, only at {modules}")
    return [_renamed(entry.key, names) for entry in own]


def _is_inside(key: str, path: str) -> bool:
    return not path or key == path or key.startswith(f"{path}.")


def _renamed(key: str, names: Mapping[str, str]) -> str:
    """The key with the longest path that fits replaced by the other one."""
    path = max((path for path in names if _is_inside(key, path)), key=len, default=None)
    if path is None:
        return key
    rest = key[len(path) :].removeprefix(".")
    return inside(names[path], rest) if rest else names[path]


def in_order(own: list[Entry], given: Mapping[str, Any]) -> Keys:
    """The key of each entry: the first layer with arrays gets the first module, and so on; None where none is left.

    The second of tied layers gets the next module if that has the same numbers, else the keys of the first.
    """
    uses: list[Use] = []
    first: dict[int, Use] = {}  # use of each array
    left = dict.fromkeys(given)
    for _, group in groupby(own, attrgetter("module")):
        layer = list(group)
        module = _module(next(iter(left), ""), layer)
        found: list[Use] = [(entry, None if module is None else entry.key_in(module)) for entry in layer]
        before = [first[id(entry.array)] for entry in layer if id(entry.array) in first]
        if len(before) == len(layer) and not all(_equal(*both, given) for both in zip(found, before, strict=True)):
            found = [(entry, key) for entry, (_, key) in zip(layer, before, strict=True)]
        first = {id(entry.array): (entry, key) for entry, key in found} | first
        taken = {key for _, key in found}
        left = {key: None for key in left if key not in taken}
        uses += found
    return [key for _, key in uses]


def _equal(one: Use, other: Use, given: Mapping[str, Any]) -> bool:
    """Whether both keys are given, with the same numbers."""
    if not {one[1], other[1]} <= given.keys():
        return False
    A, B = (entry.from_whole(array_of(given[str(key)])) for entry, key in (one, other))
    return np.array_equal(A, B, equal_nan=True)


def _module(key: str, layer: list[Entry]) -> str | None:
    """The path of the module to which a key belongs, if it ends with the name of one of a layer's arrays."""
    for entry in layer:
        module = key.removesuffix(entry.torch_name).removesuffix(".")
        if key and entry.key_in(module) == key:
            return module
    return None


def suggestion(own: list[Entry], given: Mapping[str, Any], fits: Callable[[Keys], bool]) -> str:
    """What to pass, for the end of a message, if other names or the order would fit."""
    if not own or not given:
        return ""
    first, key = next(iter(given)), own[0].key
    if first.endswith(f".{key}") and fits(renamed(own, names := {"": first.removesuffix(f".{key}")})):
        return f"\nEverything fits in one module: pass names={names}"
    try:
        keys = in_order(own, given)
    except TypeError:  # what is no tensor has been told
        return ""
    if not fits(keys):
        return ""
    modules = {entry.module: _module(key, [entry]) for entry, key in zip(own, keys, strict=True) if key is not None}
    return f"\nIn this order everything fits: pass names={modules} if that is meant, or by_order=True"
