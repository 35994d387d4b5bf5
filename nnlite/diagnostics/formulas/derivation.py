"""The derivation of a network: its formulas forward, then the chain rule from the loss back to its parameters."""

from typing import Any

import numpy as np

from nnlite.diagnostics.formulas.naming import Key, Naming
from nnlite.diagnostics.formulas.reading import Applied, Factor, Number, Reader, Reading, joined
from nnlite.diagnostics.formulas.said import Line, Said, is_leaf
from nnlite.diagnostics.formulas.together import together
from nnlite.losses.loss import Loss


class Derivation:
    """The lines of a derivation.

    Args:
        naming: the network and its symbols.
        wanted: the parameters and the edges of inputs whose gradients are wanted; None for all parameters, and for the
            inputs too where nothing but its leaves has parameters, as in a computational graph.

    Attributes:
        forward: its lines.
        backward: likewise; the last line of each wanted gradient has all its terms.
        gradients: the line of each wanted parameter or edge.
        silent: the classes of layers that say nothing of themselves.

    >>> import nnlite as nn
    >>> from nnlite.diagnostics.formulas.plain import plain
    >>> from nnlite.diagnostics.formulas.recorded import record
    >>> naming = Naming(record(nn.Sequential(nn.Linear(2, 1), nn.Tanh()), None, None, nn.MSELoss()), {})
    >>> for line in Derivation(naming).backward:
    ...     print(line.symbol.plain, "=", plain(line.reading))
    dL/dy^ = 2/N (y^ - y)
    dL/du1 = dL/dy^ * (1 - y^ * y^)
    dL/dW1 = X^T dL/du1
    dL/db1 = sum(dL/du1)
    """

    def __init__(self, naming: Naming, wanted: set[int | Key] | None = None) -> None:
        self.naming, self.recorded, self.flow = naming, naming.recorded, naming.flow
        self.wanted = self._all_wanted() if wanted is None else wanted
        self.silent: list[str] = []
        self.forward: list[Line] = []
        self.backward: list[Line] = []
        self.gradients: dict[int | Key, Line] = {}
        self._terms: dict[int | Key, list[tuple[int, Reading, Any]]] = {}  # place of the operation, term, its value
        self._said = {each.path: Said(each, naming) for each in self.flow.operations if not is_leaf(each)}
        self._write_forward()
        self._write_backward()

    def _all_wanted(self) -> set[int | Key]:
        leaves = {each.gives[0] for each in self.flow.operations if is_leaf(each)}
        inputs = {edge for edge in self.flow.inputs if self.flow.names[edge] != "target"}
        keys = {
            key
            for each in self.flow.operations
            if not is_leaf(each)
            for key in self.naming.parameters_of(each).values()
        }
        return {*keys, *leaves} if keys else {*leaves, *inputs}

    # ------------------------------------------------------------------------------------------------ forward

    def _write_forward(self) -> None:
        for said in self._said.values():
            if not said.formulas.forward:
                name = type(said.operation.layer.original or said.operation.layer).__name__
                self.silent += [name] * (name not in self.silent)
            self.forward += said.forward()
        if self.naming.loss_edge is None and self.flow.outputs:
            edges = self.flow.outputs
            values = [self.recorded.values.get(edge) for edge in edges]
            total: Any = None
            for edge, value in zip(edges, values, strict=True):
                term = Applied("sum", (self._factor(edge),))
                total = term if total is None else joined("+", total, term)
            value = sum(float(np.sum(value)) for value in values) if self.recorded.ran else None
            self.forward.append(Line(self.naming.L, total, "no loss is given", value))

    def _factor(self, edge: int) -> Reading:
        found = self.naming.edges[edge]
        return found if isinstance(found, Number) else Factor(found, self.recorded.values.get(edge))

    # ------------------------------------------------------------------------------------------------ backward

    def _write_backward(self) -> None:
        needed = self._needed()
        waiting = self._uses(needed)
        if self.naming.loss_edge is None:
            for edge in self.flow.outputs:
                if edge in needed:
                    value = np.ones_like(self.recorded.values[edge]) if self.recorded.ran else None
                    self._add(edge, len(self.flow.operations), Number(1), value, "", waiting)
        for place in reversed(range(len(self.flow.operations))):
            operation = self.flow.operations[place]
            if operation.path not in self._said or needed.isdisjoint(operation.gives):
                continue
            said = self._said[operation.path]
            for name, reading, value in said.backward():
                target = said.target(name)
                if target is None:
                    self.backward.append(Line(said.symbols[name], reading, said.note, value))  # type: ignore[arg-type]
                elif target in waiting:
                    self._add(target, place, reading, value, said.note, waiting)
            self._add_simplified(said)

    def _add(
        self, target: int | Key, place: int, term: Reading, value: Any, note: str, waiting: dict[int | Key, int]
    ) -> None:
        """Add a term to a gradient; write its line when that was the last one."""
        self._terms.setdefault(target, []).append((place, term, value))
        waiting[target] -= 1
        if waiting[target]:
            return
        terms = sorted(self._terms[target], key=lambda term: term[0])
        total, value = terms[0][1:]
        for _, term, each in terms[1:]:
            total = joined("+", total, term)
            value = None if value is None else value + each
        if isinstance(target, tuple):
            found: Any = self.naming.parameters[target]
            note = self.naming.path_of(target)
        else:
            found = self.naming.edges[target]
        line = Line(self.naming.gradient(found), total, note, value)
        self.backward.append(line)
        if target in self.wanted:
            self.gradients[target] = line

    def _add_simplified(self, said: "Said") -> None:
        """What a loss and the layer before it come to together."""
        takers = self.flow.takers(said.operation.gives[0])
        loss = self._said.get(takers[0].path) if len(takers) == 1 else None
        for one, other in ((said, loss), (None, said)):
            pair = None if other is None else together(one and one.operation.layer, other.operation.layer)
            if pair is None or other is None or len(other.operation.gives) != 1:
                continue
            first = one or other
            edge = first.operation.takes[0]
            if (
                edge in self._terms
                and len(self._terms[edge]) == 1
                and other.operation.gives == (self.naming.loss_edge,)
            ):
                symbols = dict(other.symbols) | ({"X": self.naming.edges[edge]} if one else {})
                reading = Reader(symbols, other.arrays).read(pair.expression)
                value = self._terms[edge][0][2]
                symbol = self.naming.gradient(self.naming.edges[edge])  # type: ignore[arg-type]
                self.backward.append(Line(symbol, reading, pair.note, value))

    def _needed(self) -> set[int]:
        """The edges whose gradients lead to what is wanted."""
        needed = {edge for edge in self.wanted if isinstance(edge, int)}
        for operation in self.flow.operations:
            keys = self.naming.parameters_of(operation).values()
            takes = operation.takes[:1] if isinstance(operation.layer, Loss) else operation.takes
            if not needed.isdisjoint(takes) or not self.wanted.isdisjoint(keys):
                needed.update(operation.gives)
        return needed

    def _uses(self, needed: set[int]) -> dict[int | Key, int]:
        """Of how many terms each gradient that is needed is the sum."""
        uses: dict[int | Key, int] = {}
        reached = set(self.flow.outputs)
        for operation in reversed(self.flow.operations):
            if reached.isdisjoint(operation.gives) or needed.isdisjoint(operation.gives) or is_leaf(operation):
                continue
            takes = (
                operation.takes[:1]
                if isinstance(operation.layer.original or operation.layer, Loss)
                else operation.takes
            )
            reached.update(takes)
            keys = [key for key in self.naming.parameters_of(operation).values() if key in self.wanted]
            for target in (*(edge for edge in takes if edge in needed), *keys):
                uses[target] = uses.get(target, 0) + 1
        if self.naming.loss_edge is None:
            for edge in set(self.flow.outputs) & needed:
                uses[edge] = uses.get(edge, 0) + 1
        return uses
