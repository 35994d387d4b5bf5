"""A model as plain data and arrays.

The description lists the layers, each after those that it is made of or tied to, and refers to them by their number::

    {"layers": [{"class": "Linear", "arguments": {...}}, ..., {"class": "Sequential", "arguments": {"layers":
        [{"layer": 0}, ...]}}], "parameters": ["0.W", "0.b"], "dtype": "<f4", "training": true}

The last one is the model. What a layer makes itself, in its constructor, does not stand in the list.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnlite.basics.arrays import FLOATING, Array
from nnlite.layer.layer import Layer, check_layer, inside
from nnlite.saving.archive import dtype_code
from nnlite.saving.json_values import DEPTH, pack
from nnlite.saving.registry import Kind, how_to_register, kind_of

# ------------------------------------------------------------------------------------------------ describe


def describe(model: Layer, arrays: dict[str, Array]) -> dict[str, Any]:
    """``model`` as plain data: its architecture, dtype and modes; its parameters and other arrays go into ``arrays``.

    Args:
        model: any layer.
        arrays: what they are added to, the parameters under their names.

    Raises:
        TypeError: a class is not registered, or an argument of a constructor is nothing that can be saved.
        ValueError: a layer is tied to one outside of the model, or the name of a parameter is taken.

    >>> import nnlite as nn
    >>> arrays = {}
    >>> describe(nn.Sequential(nn.Linear(2, 1), nn.Tanh()), arrays)["layers"]
    [{'class': 'Linear', 'arguments': {'W': {'array': '0.W'}, 'bias': True}},
     {'class': 'Tanh', 'arguments': {}},
     {'class': 'Sequential', 'arguments': {'layers': [{'layer': 0}, {'layer': 1}]}}]
    >>> list(arrays)
    ['0.W', '0.b']
    """
    check_layer(model, "describe")
    model.Phi  # noqa: B018 - a layer made of layers becomes their owner, and brings them to one dtype
    parameters = dict(model.named_parameters())
    if taken := sorted(parameters.keys() & arrays.keys()):
        raise ValueError(f"{model.one_line()}: there are arrays called {', '.join(taken)} already")
    arrays |= parameters
    paths = {id(layer): path for path, layer in model.named_layers()}
    found: dict[int, tuple[Layer, Kind, dict[str, Any]]] = {}
    _find(model, paths, found)

    numbers: dict[int, int | None] = {}  # None while the layer is looked at
    entries: list[dict[str, Any]] = []

    def add(layer: Layer) -> None:
        numbers[id(layer)] = None
        _, kind, arguments = found[id(layer)]
        packed = {name: argument(layer, name, value) for name, value in arguments.items()}
        numbers[id(layer)] = len(entries)
        entries.append({"class": kind.cls.__name__, "arguments": packed})

    def argument(layer: Layer, name: str, value: Any) -> Any:
        def other(value: Any, _: str) -> dict[str, Any]:
            if isinstance(value, Layer):
                return refer(value)
            if isinstance(value, np.dtype) and value in FLOATING:
                return {"dtype": dtype_code(value)}
            what = f"{layer.one_line()}: its {name} is, or holds, a {type(value).__name__}"
            raise TypeError(f"{what}, so {how_to_register(layer, name)}")

        for parameter in layer._parameters:
            if value is not None and value is getattr(layer, parameter):
                return {"array": inside(paths[id(layer)], parameter)}
        return pack(value, arrays, inside(paths[id(layer)], name), other)

    def refer(layer: Layer) -> dict[str, Any]:
        if id(layer) in found:
            if id(layer) not in numbers:
                add(layer)
            number = numbers[id(layer)]
            if number is None:
                raise ValueError(f"{layer.one_line()}: a layer in it is tied to what it makes itself, and not a part")
            return {"layer": number}
        for holder, _, _ in reversed(found.values()):  # those that it is made of come after it
            for path, part in holder.named_layers():
                if part is layer:
                    return {"part": [refer(holder)["layer"], path]}
        raise ValueError(f"{layer.one_line()} is not in {model.one_line()}, but a layer there is tied to it; save both")

    add(model)
    check_size(entries)
    modes = [layer.training for _, layer in model.named_layers()]
    return {
        "layers": entries,
        "parameters": list(parameters),
        "dtype": dtype_code(model.dtype),
        "training": modes[0] if len(set(modes)) == 1 else modes,
    }


def _find(layer: Layer, paths: dict[int, str], found: dict[int, Any]) -> None:
    """Everything that constructors were given: with kind and arguments, each after what it stands in."""
    if id(layer) in found:
        return
    if id(layer) not in paths:
        raise ValueError(f"{layer.one_line()} is an argument of a layer, but not a part of it")
    kind = kind_of(layer)
    arguments = kind.arguments(layer)
    if not isinstance(arguments, dict):
        raise TypeError(f"{layer.one_line()}: expected its arguments by name in a dict, got {arguments!r}")
    found[id(layer)] = layer, kind, arguments
    if layer.original is None:
        for part in _layers_in(list(arguments.values())):
            _find(part, paths, found)


def _layers_in(value: Any) -> Iterator[Layer]:
    if isinstance(value, Layer):
        yield value
    elif type(value) in (list, tuple, dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _layers_in(part)


def check_size(entries: list[Any]) -> None:
    """Raise if the layers nest too deeply, or are tied to one another in a way that makes them too many.

    Raises:
        ValueError: for each tied layer counted as what it is tied to, there are more than 1000, and 100 times as many
            as entries; or an entry refers to a later one.

    >>> check_size([{"class": "Sequential", "arguments": {"layers": [{"layer": 0}]}}])
    Traceback (most recent call last):
        ...
    ValueError: it refers to layers that are not there
    """
    depths: list[int] = []
    sizes: list[int] = []
    for entry in entries:
        parts = list(_references(entry))
        if not all(type(part) is int and 0 <= part < len(sizes) for part in parts):
            raise ValueError("it refers to layers that are not there")
        depths.append(1 + max((depths[part] for part in parts), default=0))
        sizes.append(1 + sum(sizes[part] for part in parts))
        if depths[-1] > DEPTH:
            raise ValueError(f"layers nest more than {DEPTH} deep")
        if sizes[-1] > 1000 + 100 * len(entries):
            raise ValueError("its tied layers stand for too many others")


def _references(entry: Any) -> Iterator[Any]:
    """The numbers of the layers that an entry refers to."""
    waiting = list(entry["arguments"].values())
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            if "layer" in value:
                yield value["layer"]
            if "part" in value:
                yield value["part"][0]
