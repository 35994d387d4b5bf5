"""What one operation says of itself, in the symbols of the network."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nnlite.containers.node import Parameter
from nnlite.diagnostics.flow import Operation
from nnlite.diagnostics.formulas.functions import namespace
from nnlite.diagnostics.formulas.naming import Key, Naming
from nnlite.diagnostics.formulas.of_layer import formulas_of
from nnlite.diagnostics.formulas.options import evaluated
from nnlite.diagnostics.formulas.parse import names_in
from nnlite.diagnostics.formulas.reading import Applied, Factor, Number, Reader, Reading
from nnlite.diagnostics.formulas.recorded import stretches
from nnlite.diagnostics.formulas.symbols import Symbol, symbol
from nnlite.losses.loss import Loss


@dataclass(frozen=True, eq=False)
class Line:
    """One formula of the derivation.

    Attributes:
        symbol: what it is for.
        reading: what that is equal to.
        note: the place of the layer, or of the parameter.
        value: what it came to, where the network ran.
        then: what that is equal to in turn.

    >>> Line(symbol("L"), Number(1), "").value is None
    True
    """

    symbol: Symbol
    reading: Reading | None
    note: str
    value: Any = None
    then: tuple[Reading, ...] = ()


class Said:
    """What one operation says of itself, in the symbols of the network."""

    def __init__(self, operation: Operation, naming: Naming) -> None:
        self.operation, self.naming = operation, naming
        layer, recorded = operation.layer, naming.recorded
        self.formulas: Formulas = formulas_of(layer, len(operation.takes))
        self.note = " ".join(filter(None, (operation.path, layer.one_line())))
        self.keys = naming.parameters_of(operation)
        edges = dict(zip(self.formulas.inputs, operation.takes, strict=False))
        edges |= zip(self.formulas.outputs, operation.gives, strict=False)
        self.edges: dict[str, int] = edges
        self.symbols: dict[str, Symbol | Number] = {name: naming.edges[edge] for name, edge in edges.items()}
        self.symbols |= {name: naming.parameters[key] for name, key in self.keys.items()}
        self.symbols |= {
            "d" + name: naming.gradient(found)
            for name, found in list(self.symbols.items())
            if isinstance(found, Symbol)
        }
        for name in self.formulas.outputs:
            if edges.get(name) is not None and edges[name] == naming.loss_edge:
                self.symbols["d" + name] = Number(1)
        self._name_the_rest(layer)
        self.arrays: Any = None
        if recorded.ran:
            arrays = {name: recorded.values.get(edge) for name, edge in edges.items()}
            arrays |= zip(
                ("d" + name for name in self.formulas.outputs), recorded.taken.get(operation.path, ()), strict=False
            )
            self.arrays = namespace(layer, arrays)

    def _name_the_rest(self, layer: Any) -> None:
        """Values on the way, and arrays that the layer holds: by their own names, with the operation's number."""
        is_loss = isinstance(layer, Loss)
        number = "" if is_loss else str(self.naming.numbers[self.operation.path])
        names = {line.name for line in (*self.formulas.forward, *self.formulas.backward)}
        for line in (*self.formulas.forward, *self.formulas.backward):
            names |= {node.id for node in ast.walk(line.expression) if isinstance(node, ast.Name)}
        for name in names - self.symbols.keys():
            if name in ("N", "n"):
                one = is_loss and layer.reduction != "mean"
                self.symbols[name] = Number(1) if one else symbol(name, scalar=True)
            else:
                self.symbols[name] = symbol(name + number * (not name[-1].isdigit()))

    def target(self, name: str) -> int | Key | None:
        """What the gradient called ``name`` is for: an input's edge or a parameter; None for a value on the way."""
        if not name.startswith("d"):
            return None
        if name[1:] in self.keys:
            return self.keys[name[1:]]
        return self.edges[name[1:]] if name[1:] in self.formulas.inputs else None

    def forward(self) -> Iterator[Line]:
        layer = self.operation.layer
        if not self.formulas.forward:
            of = tuple([self._taken(edge) for edge in self.operation.takes])
            reading = Applied(type(layer.original or layer).__name__, of)
            for edge in self.operation.gives:
                yield Line(self.naming.edges[edge], reading, self.note, self.naming.recorded.values.get(edge))  # type: ignore[arg-type]
        for line in self.formulas.forward:
            reading = self._reader().read(line.expression)
            value = self._value(line.name, line.expression)
            yield Line(self.symbols[line.name], reading, self.note, value)  # type: ignore[arg-type]

    def backward(self) -> Iterator[tuple[str, Reading, Any]]:
        """(name, reading, value) of each formula, and of each gradient of which there is none."""
        recorded, path = self.naming.recorded, self.operation.path
        names = ["d" + name for name in self.formulas.inputs]
        known: Mapping[str, Any] = dict(zip(names, recorded.given.get(path, ()), strict=False))
        known = known | {"d" + name: dP for name, dP in recorded.gradients.get(path, {}).items()}
        said = set()
        for line in self.formulas.backward:
            said.add(line.name)
            target = self.target(line.name)
            alone = isinstance(target, tuple) and getattr(*target).size == 1
            reading = self._reader(one_number=alone).read(line.expression)
            value = known.get(line.name)
            yield line.name, reading, self._value(line.name, line.expression) if value is None else value
        for name in ("d" + name for name in (*self.keys, *self.formulas.inputs)):
            if name not in said and not isinstance(self.operation.layer, Loss):
                call = f"{type(self.operation.layer.original or self.operation.layer).__name__}.backward"
                taken = tuple([self._gradient(edge) for edge in self.operation.gives])
                yield name, Applied(call, taken), known.get(name)

    def _reader(self, *, one_number: bool = False) -> Reader:
        shapes, gives = self.naming.recorded.shapes, self.operation.gives
        stretched = [name for name, edge in self.edges.items() if shapes and stretches(shapes[edge], shapes[gives[0]])]
        return Reader(self.symbols, self.arrays, frozenset(stretched), one_number)

    def _value(self, name: str, expression: Any) -> Any:
        """What a formula comes to; that which the layer gave, if it did."""
        if self.arrays is None:
            return None
        edge = self.edges.get(name)
        if edge is not None:
            return self.naming.recorded.values.get(edge)
        self.arrays[name] = value = evaluated(expression, self.arrays)
        return value

    def _taken(self, edge: int) -> Reading:
        found = self.naming.edges[edge]
        return found if isinstance(found, Number) else Factor(found, self.naming.recorded.values.get(edge))

    def _gradient(self, edge: int) -> Reading:
        if edge == self.naming.loss_edge:
            return Number(1)
        return Factor(self.naming.gradient(self.naming.edges[edge]))  # type: ignore[arg-type]


def is_leaf(operation: Operation) -> bool:
    """Whether it is a parameter that is a node of a graph.

    >>> import nnlite as nn
    >>> is_leaf(Operation("0", nn.Parameter(1.0), (), (0,)))
    True
    """
    return isinstance(operation.layer, Parameter)
