"""Describing a model: its architecture as data for JSON, its arrays by name.

The description lists the layers, each after those that it is made of or tied to, and refers to them by number::

    {"layers": [{"class": "Linear", "arguments": {...}}, ..., {"class": "Sequential", "arguments": {"layers":
        [{"layer": 0}, ...]}}], "parameters": ["0.W", "0.b"], "buffers": [], "generators": [], "dtype": "<f4",
     "training": true}

The last layer is the model. Layers that the constructor of another one makes are not listed. Each random generator is
there once, with its state and the names of all attributes that hold it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnlite.basics.arrays import FLOATING, Array
from nnlite.layer.flat import MAX_DEPTH
from nnlite.layer.layer import Layer, check_layer
from nnlite.layer.parts import inside
from nnlite.saving.archive import dtype_code
from nnlite.saving.json_values import generator_state, pack
from nnlite.saving.registry import Kind, how_to_register, kind_of
from nnlite.saving.unsaved import check_kept, check_made_again

# ------------------------------------------------------------------------------------------------ describe


def describe(model: Layer, arrays: dict[str, Array]) -> dict[str, Any]:
    """Return ``model`` as data for JSON, and put its arrays into ``arrays``.

    Args:
        model: any layer.
        arrays: gets the parameters and buffers under their names, and the other arrays.

    Raises:
        TypeError: a class is unregistered, an argument of a constructor cannot be saved, or an array would be lost.
        ValueError: a layer is tied to one outside of the model, or the name of a parameter is in ``arrays`` already.

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
    model.own_parts()  # which brings them to one dtype
    return _Description(model, arrays).data()


class _Description:
    """A model as data for JSON, while it is made."""

    def __init__(self, model: Layer, arrays: dict[str, Array]) -> None:
        self.model, self.arrays = model, arrays
        self.parameters, self.buffers = dict(model.named_parameters()), dict(model.named_buffers())
        state = self.parameters | self.buffers
        if taken := sorted(state.keys() & arrays.keys()):
            raise ValueError(f"{model.one_line()}: there are arrays called {', '.join(taken)} already")
        arrays |= state
        self.names = {id(array): name for name, array in state.items()}
        self.paths = {id(layer): path for path, layer in model.named_layers()}
        self.found: dict[int, tuple[Layer, Kind, dict[str, Any]]] = {}
        _find(model, self.paths, self.found)
        check_kept(model)
        for layer, kind, values in self.found.values():
            check_made_again(layer, f"{self.paths[id(layer)]} {layer.one_line()}".strip(), kind, values)
        self.numbers: dict[int, int | None] = {}  # of the layers; None while one is being added
        self.entries: list[dict[str, Any]] = []
        self.generators, self.generator_numbers = _generators(model, arrays)

    def data(self) -> dict[str, Any]:
        """The description as a whole."""
        model = self.model
        self.add(model)
        check_size(self.entries)
        modes = [layer.training for _, layer in model.named_layers()]
        description = {
            "layers": self.entries,
            "parameters": list(self.parameters),
            "buffers": list(self.buffers),
            "generators": self.generators,
            "dtype": dtype_code(model.dtype),
            "training": modes[0] if len(set(modes)) == 1 else modes,
        }
        if model.feature_names is not None:
            description["feature_names"] = list(model.feature_names)
        return description

    def add(self, layer: Layer) -> None:
        """Append the entry of a layer, after those of the layers that its constructor gets."""
        self.numbers[id(layer)] = None
        _, kind, arguments = self.found[id(layer)]
        packed = {name: self.argument(layer, name, value) for name, value in arguments.items()}
        self.numbers[id(layer)] = len(self.entries)
        self.entries.append({"class": kind.cls.__name__, "arguments": packed})

    def argument(self, layer: Layer, name: str, value: Any) -> Any:
        """An argument of its constructor."""
        place = inside(self.paths[id(layer)], name)

        def other(value: Any, _: str) -> Any:
            if isinstance(value, Layer):
                return self.reference(value)
            if isinstance(value, np.dtype) and value in FLOATING:
                return {"dtype": dtype_code(value)}
            if isinstance(value, np.random.Generator):
                number = self.generator_numbers.get(id(value))
                return pack(value, self.arrays, place) if number is None else {"generator": number}
            what = f"{layer.one_line()}: its {name} is or contains a {type(value).__name__}"
            raise TypeError(f"{what}, so {how_to_register(layer, name)}")

        if id(value) in self.names:
            return {"array": self.names[id(value)]}
        return pack(value, self.arrays, place, other)

    def reference(self, layer: Layer) -> dict[str, Any]:
        """What refers to the entry of a layer, which is added first; or to a part of what another entry makes."""
        if id(layer) in self.found:
            if id(layer) not in self.numbers:
                self.add(layer)
            number = self.numbers[id(layer)]
            if number is None:
                raise ValueError(f"{layer.one_line()}: a layer in it is tied to what it makes itself, and not a part")
            return {"layer": number}
        for holder, _, _ in reversed(self.found.values()):  # those that it is made of come after it
            for path, part in holder.named_layers():
                if part is layer:
                    return {"part": [self.reference(holder)["layer"], path]}
        raise ValueError(
            f"{layer.one_line()} is not in {self.model.one_line()}, but a layer there is tied to it; save both"
        )


def _find(layer: Layer, paths: dict[int, str], found: dict[int, Any]) -> None:
    """Find every layer that a constructor gets as an argument, each after the one that it is an argument of."""
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


def _generators(model: Layer, arrays: dict[str, Array]) -> tuple[list[dict[str, Any]], dict[int, int]]:
    """The state of each random generator with the names of the attributes that hold it; its number by its id."""
    entries: list[dict[str, Any]] = []
    numbers: dict[int, int] = {}
    for name, generator in model.named_generators():
        if id(generator) not in numbers:
            state = pack(generator_state(generator, f"{model.one_line()}: {name}"), arrays, name)
            numbers[id(generator)] = len(entries)
            entries.append({"state": state, "names": []})
        entries[numbers[id(generator)]]["names"].append(name)
    return entries, numbers


def check_size(entries: list[Any]) -> None:
    """Raise if the layers nest too deeply or are tied to one another too often for a model to be built in a short time.

    The time that it takes to build a layer grows with the number of layers in it, each tied one counted as what it is
    tied to, and with their depth. The sum of these products may be 20 for each entry, which is four levels of layers
    everywhere, and 400,000 more.

    Raises:
        ValueError: it is more; or layers nest more than 100 deep; or an entry refers to a later one.
    """
    depths: list[int] = []
    sizes: list[int] = []
    work = 0
    for entry in entries:
        parts = list(_references(entry))
        if not all(type(part) is int and 0 <= part < len(sizes) for part in parts):
            raise ValueError("it refers to layers that are not there")
        depths.append(1 + max((depths[part] for part in parts), default=0))
        sizes.append(1 + sum(sizes[part] for part in parts))
        if depths[-1] > MAX_DEPTH:
            raise ValueError(f"layers nest more than {MAX_DEPTH} deep")
        work += sizes[-1] * depths[-1]
        if work > 400_000 + 20 * len(entries):
            raise ValueError("its layers nest too deeply, or are tied to one another too often, for so many")


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
