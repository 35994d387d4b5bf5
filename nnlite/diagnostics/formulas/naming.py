"""The symbols of the arrays and parameters of a network: X, u1 = X W1 + b1, h1 = tanh(u1) ... y^, and L."""

import ast
import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from nnlite.basics.arrays import as_array
from nnlite.basics.trees import each_of, listed
from nnlite.containers.branches import Residual
from nnlite.containers.nodes import Parameter
from nnlite.containers.program import Operation, Program
from nnlite.containers.sequential import Sequential
from nnlite.containers.tied import Tied, tied
from nnlite.diagnostics.formulas.tree import Leaf
from nnlite.diagnostics.run import Run
from nnlite.layer.layer import Layer
from nnlite.layer.parts import inside
from nnlite.layers.activations import Activation
from nnlite.losses.loss import is_loss

Key = tuple[Layer, str]  # a layer and the name of one of its parameters
Target = int | Key  # what has a symbol, and a gradient: the value of an edge, or a parameter


class Naming:
    """The symbols of a network.

    The output of a layer is u with a number, that of an activation h with the number of its input; parameters have the
    number of the layer's output. The last output is y^, the target y, the loss L.

    Args:
        program: the network.
        run: its forward and backward, if it ran.
        names: other symbols, by the path of a parameter ("0.W"), of a layer for its output ("0"), by the name of an
            input, or by "target" or "loss".
        dYs: the gradients of the outputs, if they were given.

    Attributes:
        symbols: of each edge and parameter.
        numbers: the values of the edges that are constant numbers, which have no symbol.
        paths: what each path stands for.
        counts: the number of each operation, by its path.
        divisors: what the means of losses divide by, by symbol; None if it is unknown.
        L: the symbol of the loss.

    Raises:
        TypeError: ``names`` is not a dict of strings.
        ValueError: ``names`` has an unknown key, or a symbol twice.

    >>> import nnlite as nn
    >>> program = Program.of(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)))
    >>> list(Naming(program, names={"2.W": "U"}).symbols.values())
    ['X', 'y^', 'u1', 'W1', 'b1', 'h1', 'U', 'b2']
    """

    def __init__(
        self, program: Program, run: Run | None = None, names: Mapping[str, str] | None = None, dYs: Sequence[Any] = ()
    ) -> None:
        names = {} if names is None else names
        self.program, self.run, self._given_dYs = program, run, dYs
        self.values: dict[int, Any] = {} if run is None else run.values
        self.shapes = program.shapes() if run is None else {}  # known without running
        self.symbols: dict[Target, str] = {}
        self.numbers: dict[int, float] = {}
        self.divisors: dict[str, float | None] = {}
        self.paths: dict[str, Target] = {}
        self.counts: dict[str, int] = {}
        if not isinstance(names, Mapping) or not all(isinstance(each, str) for pair in names.items() for each in pair):
            raise TypeError(f"explain: names: expected a dict of symbols by path, as {{'0.W': 'U'}}, got {names!r}")
        self._names, self._taken = dict(names), set(names.values())
        if len(self._taken) < len(names):
            raise ValueError(f"explain: names: a symbol is used twice: {', '.join(names.values())}")
        last = program.operations[-1].path if self.loss_edge is not None else "loss"
        self.L = self._named(last if last in self._names else "loss", "L")
        self._name_what_is_given()
        self._name_outputs()
        symbols = [self.unused(f"dY{n}" if len(dYs) > 1 else "dY") for n, _ in enumerate(dYs, start=1)]
        self.dYs: list[ast.expr] = [Leaf(symbol, dY) for symbol, dY in zip(symbols, dYs, strict=True)]
        for operation in program.operations:
            self._name_what_it_computes(operation)
        for operation in program.operations:  # a layer may be tied to a later one, or to one outside
            self._name_parameters(operation)
        if self._names:
            unknown, known = ", ".join(map(repr, self._names)), ", ".join(self.paths)
            raise ValueError(f"explain: names: unknown {unknown}; known are {known}")

    def gradient(self, target: Target) -> str:
        """Return the symbol of the gradient of an edge or a parameter."""
        return f"d{self.L}/d{self.symbols[target]}"

    def leaf(self, edge: int) -> ast.expr:
        """Return the number or the symbol of an edge, with its value."""
        if edge in self.numbers:
            return ast.Constant(self.numbers[edge])
        return Leaf(self.symbols[edge], self.values.get(edge))

    def path_of(self, target: Target) -> str:
        """Return the path of a parameter, or of the operation that computes an edge."""
        return next((path for path, stands_for in self.paths.items() if stands_for == target), "")

    def unused(self, name: str) -> str:
        """Return a symbol like ``name`` that nothing has yet."""
        new, tries = name, 0
        while new in self._taken:
            tries += 1
            new = f"{name}{'_' if name[-1:].isdigit() else ''}{tries}"
        self._taken.add(new)
        return new

    def count(self, value: float | None, of_samples: bool) -> str:
        """Return the symbol of what the mean of a loss divides by: N if that is the number of samples, else n."""
        letter = "N" if of_samples else "n"
        same = value is None if of_samples else value is not None
        if letter not in self.divisors or not (same and self.divisors[letter] == value):
            letter = self.unused(letter)
        self.divisors[letter] = value
        return letter

    @property
    def parameters(self) -> list[Key]:
        """The parameters that have a symbol, in the order of the operations."""
        return [key for key in self.symbols if isinstance(key, tuple)]

    @cached_property
    def leaves(self) -> list[int]:
        """The edges of the parameters that are nodes of a graph."""
        return [each.gives[0] for each in self.program.operations if isinstance(each.layer, Parameter)]

    @cached_property
    def loss_edge(self) -> int | None:
        """The edge of the loss; None if there is no loss, so that L is the sum of the outputs."""
        last = self.program.operations[-1] if self.program.operations else None
        if self._given_dYs or len(self.program.outputs) != 1 or last is None or last.gives != self.program.outputs:
            return None
        edge = self.program.outputs[0]
        scalar = edge in self.values and np.ndim(self.values[edge]) == 0
        return edge if scalar or is_loss(last.layer) else None

    def _name_what_is_given(self) -> None:
        alone = [is_loss(operation.computes) for operation in self.program.operations] == [True]
        for edge in self.program.inputs:
            name = self.program.names[edge]
            scores = alone and name == "Y"
            self._name(name, "y" if name == "target" else "y^" if scores else name, edge)
        arrays = {edge: value for edge, value in self.program.constants.items() if value is not None and value.ndim}
        for number, edge in enumerate(arrays, start=1):
            self.symbols[edge] = self.unused(f"C{number}")
        for edge, value in self.program.constants.items():
            if value is None:  # an argument that was left out
                self.symbols[edge] = "none"
            elif edge not in arrays:
                self.numbers[edge] = value.item()

    def _name_outputs(self) -> None:
        """Name the outputs of the model: the first input of the loss, if there is one."""
        edges: tuple[int, ...] = self.program.outputs
        if self.loss_edge is not None:
            self.symbols[self.loss_edge] = self.L
            last = self.program.operations[-1]
            edges = last.takes[:1] if is_loss(last.layer) else ()
        edges = tuple([edge for edge in edges if edge not in self.symbols and edge not in self.leaves])
        for number, edge in enumerate(edges, start=1):
            self._name(self.program.names[edge], "y^" if len(edges) == 1 else f"y{number}^", edge)

    def _name_what_it_computes(self, operation: Operation) -> None:
        layer, path = operation.computes, operation.path
        if isinstance(layer, Parameter):  # a node of a graph whose output is the parameter
            name, place = layer.name or f"p{_last(path)}", inside(path, "value")
            self.symbols[operation.gives[0]] = self._named(path if path in self._names else place, name)
            self.paths[place] = operation.gives[0]
            return
        number = max(self.counts.values(), default=0)
        stem = "h" if isinstance(layer.original or layer, Activation) else "u"
        if stem == "u" or number == 0 or f"h{number}" in self._taken:
            number += not (operation.gives == (self.loss_edge,) and is_loss(layer))
        self.counts[path] = number
        for n, edge in enumerate(operation.gives):
            if edge not in self.symbols:
                letter = chr(ord("a") + n) if len(operation.gives) > 1 else ""
                self._name(self.program.names[edge], f"{stem}{number}{letter}", edge)
        if layer.original is None:
            self._name_parameters(operation)

    def _name_parameters(self, operation: Operation) -> None:
        for name, key in used_parameters(operation.computes):
            if key not in self.symbols and operation.path in self.counts:
                self._name(inside(operation.path, name), f"{_last(name)}{self.counts[operation.path]}", key)

    def _name(self, path: str, name: str, target: Target) -> None:
        self.symbols[target] = self._named(path, name, target)

    def _named(self, path: str, name: str, target: Target | None = None) -> str:
        """Return the symbol of what is at the path: the user's, or ``name``."""
        if path in self.paths:  # the output of a single layer may have the name of its input
            return self.unused(name)
        if target is not None:
            self.paths[path] = target
        return self._names.pop(path) if path in self._names else self.unused(name)


def used_parameters(layer: Layer) -> Iterator[tuple[str, Key]]:
    """Yield (name, key) of each parameter that a layer uses, also of another layer or of layers in it."""
    for path, part in layer.named_layers():
        for name in part._parameters:
            if getattr(part, name) is not None:
                yield inside(path, name), (part, name)
    if layer.original is not None:
        own = set(layer._parameters)
        yield from ((name, key) for name, key in used_parameters(layer.original) if name not in own)


def _last(path: str) -> Any:
    return path.rpartition(".")[2]


def named(
    model: Layer, X: Any, target: Any, loss: Layer | None, dY: Any, names: Mapping[str, str] | None
) -> tuple[Layer, Naming]:
    """Run a copy of the model and the loss forward and backward; without X only find the operations.

    Without a loss the gradient of the output is ``dY``, or 1, that of its sum.
    """
    model, loss = _with_tied_chains_apart(model, loss)
    if X is None:
        return model, Naming(Program.of(model, loss), None, names)
    run = Run(model, loss)
    run.model.needs_dX = True
    target = None if target is None else each_of(partial(as_array, name="target"), target)
    Y = run.forward(each_of(partial(as_array, name="X"), X), target)
    dYs = None if dY is None else each_of(partial(as_array, name="dY"), dY)
    run.backward(dYs if dYs is not None or loss is not None or isinstance(Y, float) else each_of(np.ones_like, Y))
    return run.model, Naming(run.program, run, names, [] if dYs is None else listed(dYs))


def _with_tied_chains_apart(model: Layer, loss: Layer | None) -> tuple[Layer, Layer | None]:
    """Return the model, or a copy in which each chain that is tied as a whole is a chain of tied layers."""
    if not any(map(_is_tied_chain, dict(model.named_layers()).values())):
        return model, loss
    model, loss = copy.deepcopy((model, loss))
    for part in list(dict(model.named_layers()).values()):
        if isinstance(part, Sequential):
            part.layers[:] = map(_apart, part.layers)
    return _apart(model), loss


def _is_tied_chain(layer: Layer) -> bool:
    return isinstance(layer, Tied) and type(layer.original) in (Sequential, Residual)


def _apart(layer: Any) -> Layer:
    if not _is_tied_chain(layer):
        return layer  # type: ignore[no-any-return]
    return type(layer.original)(*[_apart(tied(each)) for each in layer.original.layers])  # type: ignore[no-any-return]
