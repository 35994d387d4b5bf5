"""The formulas of one operation, in the symbols of the network."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.containers.argument_names import is_plain
from nnlite.containers.branches import Residual
from nnlite.containers.program import Operation
from nnlite.diagnostics.formulas.layer_formulas import formulas_of
from nnlite.diagnostics.formulas.mismatches import Mismatch, computed, mismatches
from nnlite.diagnostics.formulas.namespace import namespace
from nnlite.diagnostics.formulas.naming import Key, Naming
from nnlite.diagnostics.formulas.options import SYMBOLS
from nnlite.diagnostics.formulas.parse import Formula, names_in
from nnlite.diagnostics.formulas.plain_text import plain
from nnlite.diagnostics.formulas.reader import Reader
from nnlite.diagnostics.formulas.recorded_run import is_broadcast
from nnlite.diagnostics.formulas.symbols import Symbol, symbol
from nnlite.diagnostics.formulas.terms import Applied, Factor, Number, Reading
from nnlite.losses.binary_cross_entropy import BCELoss

_SATURATED = ": the layer is saturated and bounds its result"


@dataclass(frozen=True, eq=False)
class Line:
    """One formula of a derivation.

    Attributes:
        symbol: the left side.
        reading: the right side; None for an input or a parameter.
        note: the place of the layer or of the parameter.
        value: the value, if the network ran.
        then: further right sides, equal to the first.

    >>> Line(symbol("L"), Number(1), "")
    L = 1
    """

    symbol: Symbol
    reading: Reading | None
    note: str
    value: Any = None
    then: tuple[Reading, ...] = ()

    def __str__(self) -> str:
        readings = [] if self.reading is None else [self.reading, *self.then]
        return " = ".join([self.symbol.plain, *map(plain, readings)])

    __repr__ = __str__


class OperationFormulas:
    """The formulas of one operation, in the symbols of the network.

    Attributes:
        layer: the layer.
        takes: the edges of its inputs.
        gives: the edges of its outputs.
        name: of the layer's class.
        note: its place in the model, and its repr.
        formulas: in the layer's own names.
        keys: the parameters that it uses, by their names in its formulas.
        with_gradient: the edges of the inputs that have a gradient.
        symbols: the network's symbols of the names in its formulas, or the numbers that replace them.
        arrays: the values of these names; None if the network did not run.
        mismatches: the formulas whose values differ from those of the layer.

    >>> import nnlite as nn
    >>> from nnlite.diagnostics.formulas.plain_text import plain
    >>> from nnlite.diagnostics.formulas.recorded_run import record
    >>> naming = Naming(record(nn.Sequential(nn.Tanh(), nn.Tanh())), {})
    >>> operation = OperationFormulas(naming.flow.operations[0], naming)
    >>> [(name, plain(reading)) for name, reading, value in operation.backward()]
    [('dX', 'dL/dh1 * (1 - h1 * h1)')]
    """

    def __init__(self, operation: Operation, naming: Naming) -> None:
        self.naming, self.path, self.layer = naming, operation.path, operation.layer
        self.takes, self.gives = operation.takes, operation.gives
        layer, recorded = operation.layer, naming.recorded
        self.name = type(layer.original or layer).__name__
        self.note = " ".join(filter(None, (operation.path, layer.one_line())))
        self.formulas = formulas_of(layer, len(operation.takes))
        self.keys = naming.parameters_of(operation)
        self.is_loss = naming.is_loss(operation)
        places = range(2) if is_plain(layer, Residual) else layer.differentiable_inputs(len(self.takes))
        self.with_gradient = tuple([self.takes[place] for place in places])
        self._inputs = [self.formulas.inputs[place] for place in places]
        self.edges = dict(zip(self.formulas.inputs, operation.takes, strict=False))
        self.edges |= zip(self.formulas.outputs, operation.gives, strict=False)
        self.symbols = self._symbols()
        self.arrays: Any = None
        self.mismatches: list[Mismatch] = []
        if recorded.ran:
            arrays = {name: recorded.values[edge] for name, edge in self.edges.items()}
            names = ["d" + name for name in self.formulas.outputs]
            if operation.gives == (naming.loss_edge,):
                arrays[names[0]] = np.ones_like(recorded.values[operation.gives[0]])
            arrays |= zip(names, recorded.taken.get(operation.path, ()), strict=False)
            self.arrays = namespace(layer, arrays)
            self.mismatches = self._compare(list(arrays.values()))

    def _symbols(self) -> dict[str, Symbol | Number]:
        found = {name: self.naming.edges[edge] for name, edge in self.edges.items()}
        found |= {name: self.naming.parameters[key] for name, key in self.keys.items()}
        found |= {"d" + name: self.naming.gradient(it) for name, it in found.items() if isinstance(it, Symbol)}
        for name, edge in self.edges.items():
            if edge == self.naming.loss_edge:
                found["d" + name] = Number(1)
        lines = (*self.formulas.forward, *self.formulas.backward)
        names = {name for line in lines for name in (line.name, *names_in(line.expression))}
        return found | {name: self._own_symbol(name) for name in names - found.keys()}

    def _own_symbol(self, name: str) -> Symbol | Number:
        """Return the symbol of an intermediate value or an attribute: its name with the number of the operation."""
        if name in SYMBOLS:
            by_one = self.is_loss and getattr(self.layer, "reduction", "mean") in ("sum", "none")
            return Number(1) if by_one else symbol(name, scalar=True)
        if self.is_loss or name[-1].isdigit():
            return symbol(name)
        return symbol(f"{name}{self.naming.numbers[self.path]}")

    def symbol(self, name: str) -> Symbol:
        """Return the network's symbol of the value that the layer calls ``name``."""
        found = self.symbols[name]
        return found if isinstance(found, Symbol) else symbol(name)

    def target(self, name: str) -> int | Key | None:
        """Return the input's edge or the parameter whose gradient is ``name``; None for an intermediate value."""
        value = name.removeprefix("d")
        if value == name:
            return None
        return self.keys.get(value) or (self.edges[value] if value in self.formulas.inputs else None)

    def forward(self) -> Iterator[Line]:
        """Yield the lines of its forward; for a layer without formulas, its call."""
        if not self.formulas.forward:
            applied = Applied(self.name, tuple(map(self.naming.factor, self.takes)))
            for edge in self.gives:
                yield Line(self.naming.symbol(edge), applied, self.note, self.naming.recorded.values.get(edge))
        for line in self.formulas.forward:
            yield Line(self.symbol(line.name), self._read(line), self.note, self._value(line))

    def backward(self) -> Iterator[tuple[str, Reading, Any]]:
        """Yield (name, formula, value) of each gradient and intermediate value; without a formula, the layer's call."""
        known = self._gradients()
        for line in self.formulas.backward:
            reading = self._read(line)
            yield line.name, reading, known[line.name] if line.name in known else self._value(line)
        known_names = {line.name for line in self.formulas.backward}
        taken = tuple([self._gradient(edge) for edge in self.gives])
        for name in ("d" + name for name in (*self.keys, *self._inputs)):
            if name not in known_names:
                yield name, Applied(f"{self.name}.backward", taken), known.get(name)

    def _gradients(self) -> dict[str, Any]:
        """Return the gradients from the layer's backward, by name."""
        recorded, path = self.naming.recorded, self.path
        known = dict(zip(["d" + name for name in self._inputs], recorded.given.get(path, ()), strict=False))
        return known | {"d" + name: dP for name, dP in recorded.gradients.get(path, {}).items()}

    def _compare(self, taken: list[Any]) -> list[Mismatch]:
        given = {name: self.naming.recorded.values[self.edges[name]] for name in self.formulas.outputs}
        lines = (*self.formulas.forward, *self.formulas.backward)
        if self.path not in self.naming.recorded.taken:  # its backward has not run
            lines = self.formulas.forward
        return list(mismatches(lines, self.arrays, given | self._gradients(), taken, self.name))

    def contradictions(self) -> Iterator[str]:
        """Yield a sentence for each formula whose value differs from that of the layer."""
        for line, found, expected in self.mismatches:
            formula = f"{self.symbol(line.name).plain} = {plain(self._read(line))}"
            end = "" if np.isfinite(found) else _SATURATED
            if end and isinstance(self.layer, BCELoss):
                end += " (BCELoss clips logarithms at -100)"
            yield f"{self.note}: {formula} is {found:.4g}, but the layer computes {expected:.4g}{end}."

    def _read(self, line: Formula) -> Reading:
        target = self.target(line.name)
        alone = isinstance(target, tuple) and getattr(*target).size == 1
        shapes, gives = self.naming.recorded.shapes, self.gives
        broadcast = [
            name for name, edge in self.edges.items() if shapes and is_broadcast(shapes[edge], shapes[gives[0]])
        ]
        return Reader(self.symbols, self.arrays, frozenset(broadcast), one_number=alone).read(line.expression)

    def _value(self, line: Formula) -> Any:
        """Return the value of a formula: the layer's own where there is one."""
        if self.arrays is None:
            return None
        if line.name in self.edges:
            return self.naming.recorded.values[self.edges[line.name]]
        value = computed(line, self.arrays, self.name)
        if value is not None:
            self.arrays[line.name] = value
        return value

    def _gradient(self, edge: int) -> Reading:
        if edge == self.naming.loss_edge:
            return Number(1)
        return Factor(self.naming.gradient(self.naming.symbol(edge)))
