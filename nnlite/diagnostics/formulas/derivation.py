"""The derivation of a network: its formulas forward, then the chain rule from the loss back to its parameters."""

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np

from nnlite.diagnostics.formulas.combined_gradient import combined_gradient
from nnlite.diagnostics.formulas.mismatches import farthest
from nnlite.diagnostics.formulas.naming import Key, Naming
from nnlite.diagnostics.formulas.operation_formulas import Line, OperationFormulas
from nnlite.diagnostics.formulas.options import evaluated
from nnlite.diagnostics.formulas.reader import Reader
from nnlite.diagnostics.formulas.terms import Applied, Number, Reading, joined

Target = int | Key  # what a gradient belongs to: the value of an edge, or a parameter


class Term(NamedTuple):
    """The gradient of one use of a value.

    Attributes:
        place: the number of the operation that uses it, in the order of forward.
        reading: the formula.
        value: its value, if the network ran.

    >>> Term(0, Number(1), None).place
    0
    """

    place: int
    reading: Reading
    value: Any


class Derivation:
    r"""The lines of a derivation.

    Args:
        naming: the network and its symbols.
        wanted: the parameters and the edges of inputs whose gradients are wanted; None for all parameters, and for the
            inputs too if only parameter nodes have parameters, as in a computational graph.

    Attributes:
        forward: its lines.
        backward: likewise.
        remarks: the formulas whose values differ from those of the layers.
        gradients: the line of each wanted gradient.
        without_formulas: the names of the classes that have no ``formulas``.
        without_forward: the names of the classes whose ``formulas`` do not define the output.

    >>> import nnlite as nn
    >>> from nnlite.diagnostics.formulas.recorded_run import record
    >>> naming = Naming(record(nn.Sequential(nn.Linear(2, 1), nn.Tanh()), None, None, nn.MSELoss()), {})
    >>> print(*Derivation(naming).backward, sep="\n")
    dL/dy^ = 2/N (y^ - y)
    dL/du1 = dL/dy^ * (1 - y^ * y^)
    dL/dW1 = X^T dL/du1
    dL/db1 = sum(dL/du1)
    """

    def __init__(self, naming: Naming, wanted: set[Target] | None = None) -> None:
        self.naming, self.recorded, self.flow = naming, naming.recorded, naming.flow
        self._operations = [
            OperationFormulas(operation, naming) for operation in self.flow.operations if operation.takes
        ]
        self.wanted = self._all_wanted() if wanted is None else wanted
        self._needed = self._find_needed()
        self._uses = self._count_uses()
        self._terms: dict[Target, list[Term]] = {}
        incomplete = [each for each in self._operations if not each.formulas.forward]
        self.without_formulas = _names(each for each in incomplete if not each.formulas.backward)
        self.without_forward = _names(each for each in incomplete if each.formulas.backward)
        self.forward = [line for operation in self._operations for line in operation.forward()]
        self.backward: list[Line] = []
        self.remarks = [remark for operation in self._operations for remark in operation.contradictions()]
        self.gradients: dict[Target, Line] = {}
        if naming.loss_edge is None:
            self._start_from_the_sum()
        for place in reversed(range(len(self._operations))):
            self._go_back_through(place)

    def _all_wanted(self) -> set[Target]:
        keys = {key for operation in self._operations for key in operation.keys.values()}
        inputs = {edge for edge in self.flow.inputs if self.flow.names[edge] != "target"}
        return {*keys, *self.naming.leaves, *(() if keys else inputs)}

    def _find_needed(self) -> set[int]:
        """Return the edges whose gradients the wanted ones depend on."""
        needed = {edge for edge in self.wanted if isinstance(edge, int)}
        for operation in self._operations:
            if not needed.isdisjoint(operation.with_gradient) or not self.wanted.isdisjoint(operation.keys.values()):
                needed.update(operation.gives)
        return needed

    def _count_uses(self) -> dict[Target, int]:
        """Return the number of terms in the sum of each needed gradient."""
        uses: dict[Target, int] = {}
        reached = set(self.flow.outputs)
        if self.naming.loss_edge is None:
            uses |= dict.fromkeys(reached & self._needed, 1)
        for operation in reversed(self._operations):
            if reached.isdisjoint(operation.gives) or self._needed.isdisjoint(operation.gives):
                continue
            reached.update(operation.with_gradient)
            targets: list[Target] = [edge for edge in operation.with_gradient if edge in self._needed]
            targets += [key for key in operation.keys.values() if key in self.wanted]
            for target in targets:
                uses[target] = uses.get(target, 0) + 1
        return uses

    def _start_from_the_sum(self) -> None:
        """Add the line of L for a network without a loss: the sum of the outputs."""
        edges = self.flow.outputs
        total = _added([Applied("sum", (self.naming.factor(edge),)) for edge in edges])
        values = self.recorded.values
        value = sum([float(np.sum(values[edge])) for edge in edges]) if self.recorded.ran else None
        self.forward.append(Line(self.naming.L, total, "no loss is given", value))
        for edge in edges:
            if edge in self._needed:
                ones = np.ones_like(values[edge]) if self.recorded.ran else None
                self._add(edge, Term(len(self._operations), Number(1), ones), "")

    def _go_back_through(self, place: int) -> None:
        operation = self._operations[place]
        if self._needed.isdisjoint(operation.gives):
            return
        for name, reading, value in operation.backward():
            target = operation.target(name)
            if target is None:
                self.backward.append(Line(operation.symbol(name), reading, operation.note, value))
            elif target in self._uses:
                self._add(target, Term(place, reading, value), operation.note)
        self._add_combined(place)

    def _add(self, target: Target, term: Term, note: str) -> None:
        """Add a term to a gradient, and the gradient's line after its last term."""
        terms = self._terms.setdefault(target, [])
        terms.append(term)
        if len(terms) < self._uses[target]:
            return
        terms.sort(key=lambda term: term.place)
        reading = _added([term.reading for term in terms])
        value = reduce(add, [term.value for term in terms]) if self.recorded.ran else None
        if isinstance(target, tuple) or target in self.naming.leaves:
            note = self.naming.path_of(target)
        line = Line(self.naming.gradient(self.naming.symbol(target)), reading, note, value)
        self.backward.append(line)
        if target in self.wanted:
            self.gradients[target] = line

    def _add_combined(self, place: int) -> None:
        """Add the gradient through the last layer and the loss together, where that has a simpler formula.

        Its value is that of the formula: where the sigmoid is saturated, the two layers one after the other return 0.
        """
        operation, last = self._operations[place], self._operations[-1]
        if last.gives != (self.naming.loss_edge,) or place < len(self._operations) - 2:
            return
        edge, before = operation.takes[0], None if operation is last else operation
        if self._uses.get(edge) != 1 or (before and before.gives != last.with_gradient):
            return
        found = combined_gradient(before.layer if before else None, last.layer)
        if found is not None:
            symbols = last.symbols | ({"X": self.naming.edges[edge]} if before else {})
            reading = Reader(symbols, last.arrays).read(found.expression)
            symbol = self.naming.gradient(self.naming.symbol(edge))
            value = evaluated(found.expression, last.arrays) if self.recorded.ran else None
            alone = next((line.value for line in self.backward if line.symbol == symbol), None)
            if value is not None and alone is not None and any(farthest(alone, value, last.arrays.maps[0].values())):
                self.remarks.append(
                    f"{found.note}: {symbol.plain} differs from that of the two layers one after the other, because "
                    f"{self.naming.symbol(last.takes[0]).plain} is saturated; use nn.BCEWithLogitsLoss."
                )
            self.backward.append(Line(symbol, reading, found.note, value))


def _added(readings: Sequence[Reading]) -> Reading:
    return reduce(lambda a, b: joined("+", a, b), readings)


def _names(operations: Iterable[OperationFormulas]) -> list[str]:
    return list(dict.fromkeys(operation.name for operation in operations))
