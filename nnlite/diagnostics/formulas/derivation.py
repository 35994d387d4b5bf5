"""The derivation of a network: its formulas forward, then the chain rule from the loss back to its parameters."""

from collections.abc import Sequence
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

Target = int | Key  # what a gradient is of: the value of an edge, or a parameter


class Term(NamedTuple):
    """What one use of a value adds to its gradient.

    Attributes:
        place: of the operation that uses it, as they run.
        reading: the formula.
        value: what it came to, where the network ran.

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
            inputs too where nothing but its leaves has parameters, as in a computational graph.

    Attributes:
        forward: its lines.
        backward: likewise.
        remarks: where formulas do not come to what the layers gave.
        gradients: the line of each gradient that is wanted.
        silent: the classes of the layers that say nothing of themselves.
        silent_forward: and of those whose formulas are of backward alone.

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
        self._said = [OperationFormulas(operation, naming) for operation in self.flow.operations if operation.takes]
        self.wanted = self._all_wanted() if wanted is None else wanted
        self._needed = self._find_needed()
        self._uses = self._count_uses()
        self._terms: dict[Target, list[Term]] = {}
        unsaid = [said for said in self._said if not said.formulas.forward]
        self.silent = list(dict.fromkeys(said.name for said in unsaid if not said.formulas.backward))
        self.silent_forward = list(dict.fromkeys(said.name for said in unsaid if said.formulas.backward))
        self.forward = [line for said in self._said for line in said.forward()]
        self.backward: list[Line] = []
        self.remarks = [remark for said in self._said for remark in said.contradictions()]
        self.gradients: dict[Target, Line] = {}
        if naming.loss_edge is None:
            self._start_from_the_sum()
        for place in reversed(range(len(self._said))):
            self._go_back_through(place)

    def _all_wanted(self) -> set[Target]:
        keys = {key for said in self._said for key in said.keys.values()}
        inputs = {edge for edge in self.flow.inputs if self.flow.names[edge] != "target"}
        return {*keys, *self.naming.leaves, *(() if keys else inputs)}

    def _find_needed(self) -> set[int]:
        """The edges whose gradients lead to what is wanted."""
        needed = {edge for edge in self.wanted if isinstance(edge, int)}
        for said in self._said:
            if not needed.isdisjoint(said.with_gradient) or not self.wanted.isdisjoint(said.keys.values()):
                needed.update(said.operation.gives)
        return needed

    def _count_uses(self) -> dict[Target, int]:
        """Of how many terms each gradient that is needed is the sum."""
        uses: dict[Target, int] = {}
        reached = set(self.flow.outputs)
        if self.naming.loss_edge is None:
            uses |= dict.fromkeys(reached & self._needed, 1)
        for said in reversed(self._said):
            if reached.isdisjoint(said.operation.gives) or self._needed.isdisjoint(said.operation.gives):
                continue
            reached.update(said.with_gradient)
            targets: list[Target] = [edge for edge in said.with_gradient if edge in self._needed]
            targets += [key for key in said.keys.values() if key in self.wanted]
            for target in targets:
                uses[target] = uses.get(target, 0) + 1
        return uses

    def _start_from_the_sum(self) -> None:
        """Where there is no loss, L is the sum of the outputs."""
        edges = self.flow.outputs
        total = _added([Applied("sum", (self.naming.factor(edge),)) for edge in edges])
        values = self.recorded.values
        value = sum([float(np.sum(values[edge])) for edge in edges]) if self.recorded.ran else None
        self.forward.append(Line(self.naming.L, total, "no loss is given", value))
        for edge in edges:
            if edge in self._needed:
                ones = np.ones_like(values[edge]) if self.recorded.ran else None
                self._add(edge, Term(len(self._said), Number(1), ones), "")

    def _go_back_through(self, place: int) -> None:
        said = self._said[place]
        if self._needed.isdisjoint(said.operation.gives):
            return
        for name, reading, value in said.backward():
            target = said.target(name)
            if target is None:
                self.backward.append(Line(said.symbol(name), reading, said.note, value))
            elif target in self._uses:
                self._add(target, Term(place, reading, value), said.note)
        self._add_what_is_simpler(place)

    def _add(self, target: Target, term: Term, note: str) -> None:
        """Add a term to a gradient; write its line when that was the last one."""
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

    def _add_what_is_simpler(self, place: int) -> None:
        """The same once more, where the last layer and the loss together come to something simple.

        Its value is the formula's own: where the sigmoid is saturated, the two layers one after the other give 0.
        """
        said, last = self._said[place], self._said[-1]
        if last.operation.gives != (self.naming.loss_edge,) or place < len(self._said) - 2:
            return
        edge, before = said.operation.takes[0], None if said is last else said
        if self._uses.get(edge) != 1 or (before and before.operation.gives != last.with_gradient):
            return
        found = combined_gradient(before.operation.layer if before else None, last.operation.layer)
        if found is not None:
            symbols = last.symbols | ({"X": self.naming.edges[edge]} if before else {})
            reading = Reader(symbols, last.arrays).read(found.expression)
            symbol = self.naming.gradient(self.naming.symbol(edge))
            value = evaluated(found.expression, last.arrays) if self.recorded.ran else None
            alone = next((line.value for line in self.backward if line.symbol == symbol), None)
            if value is not None and alone is not None and any(farthest(alone, value, last.arrays.maps[0].values())):
                self.remarks.append(
                    f"{found.note}, {symbol.plain} is not what the layers give one after the other: "
                    f"{self.naming.symbol(last.operation.takes[0]).plain} is saturated, at the end of its range, where "
                    "they lose the gradient; nn.BCEWithLogitsLoss keeps it."
                )
            self.backward.append(Line(symbol, reading, found.note, value))


def _added(readings: Sequence[Reading]) -> Reading:
    return reduce(lambda a, b: joined("+", a, b), readings)
