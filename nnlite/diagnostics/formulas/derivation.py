"""The derivation of a network: its formulas forward, then the chain rule from the loss back to its parameters."""

import ast
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add, itemgetter

import numpy as np

from nnlite.diagnostics.formulas.in_symbols import farthest
from nnlite.diagnostics.formulas.layer_formulas import one_formula
from nnlite.diagnostics.formulas.naming import Naming, Target
from nnlite.diagnostics.formulas.notation import joined, known
from nnlite.diagnostics.formulas.operation_formulas import OperationFormulas
from nnlite.diagnostics.formulas.printing import Line
from nnlite.diagnostics.formulas.tree import call, names_in


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
    >>> from nnlite.containers.program import Program
    >>> program = Program.of(nn.Sequential(nn.Linear(2, 1), nn.Tanh()), nn.MSELoss())
    >>> print(*Derivation(Naming(program)).backward, sep="\n")
    dL/dy^ = 2/N (y^ - y)
    dL/du1 = dL/dy^ * (1 - y^ * y^)
    dL/dW1 = X^T dL/du1
    dL/db1 = sum(dL/du1)
    """

    def __init__(self, naming: Naming, wanted: set[Target] | None = None) -> None:
        self.naming, self.program = naming, naming.program
        self.operations = [OperationFormulas(each, naming) for each in self.program.operations if each.takes]
        self.wanted = self._all_wanted() if wanted is None else wanted
        self._needed = self._find_needed()
        self._uses = self._count_uses()
        self._terms: dict[Target, list[tuple[int, Line]]] = {}  # and the operation's place in the order of forward
        incomplete = [each for each in self.operations if not each.formulas.forward]
        self.without_formulas = _names(each for each in incomplete if not each.formulas.backward)
        self.without_forward = _names(each for each in incomplete if each.formulas.backward)
        self.forward = [line for operation in self.operations for line in operation.forward]
        self.backward: list[Line] = []
        self.remarks = [remark for operation in self.operations for remark in operation.contradictions]
        self.gradients: dict[Target, Line] = {}
        if naming.loss_edge is None:
            self._start_from_the_outputs()
        for place in reversed(range(len(self.operations))):
            self._go_back_through(place)

    def _all_wanted(self) -> set[Target]:
        keys = {key for operation in self.operations for key in operation.parameters.values()}
        inputs = {edge for edge in self.program.inputs if self.program.names[edge] != "target"}
        return {*keys, *self.naming.leaves, *(() if keys else inputs)}

    def _find_needed(self) -> set[int]:
        """Return the edges whose gradients the wanted ones depend on."""
        needed = {edge for edge in self.wanted if isinstance(edge, int)}
        for operation in self.operations:
            uses_wanted = not self.wanted.isdisjoint(operation.parameters.values())
            if uses_wanted or not needed.isdisjoint(operation.with_gradient):
                needed.update(operation.gives)
        return needed

    def _count_uses(self) -> dict[Target, int]:
        """Return the number of terms in the sum of each needed gradient."""
        uses: dict[Target, int] = {}
        reached = set(self.program.outputs)
        if self.naming.loss_edge is None:
            uses |= dict.fromkeys(reached & self._needed, 1)
        for operation in reversed(self.operations):
            if reached.isdisjoint(operation.gives) or self._needed.isdisjoint(operation.gives):
                continue
            reached.update(operation.with_gradient)
            targets: list[Target] = [edge for edge in operation.with_gradient if edge in self._needed]
            for target in (*targets, *(key for key in operation.parameters.values() if key in self.wanted)):
                uses[target] = uses.get(target, 0) + 1
        return uses

    def _start_from_the_outputs(self) -> None:
        """Add the line of L for a network without a loss: the sum of the outputs, times dY if that is given."""
        edges, naming = self.program.outputs, self.naming
        factors = naming.dYs or [ast.Constant(1)] * len(edges)
        terms = [joined(ast.Mult(), dY, naming.leaf(edge)) for dY, edge in zip(factors, edges, strict=True)]
        total = _added([call("sum", term, axis=None, keepdims=False) for term in terms])
        value = sum([float(np.sum(known(term))) for term in terms]) if naming.run else None
        self.forward.append(Line(naming.L, total, "" if naming.dYs else "no loss is given", value))
        dYs = [np.ones_like(naming.values[edge]) for edge in edges] if naming.run else None
        dYs = [known(dY) for dY in naming.dYs] or dYs
        for n, edge in enumerate(edges):
            if edge in self._needed:
                term = Line(naming.gradient(edge), factors[n], "", dYs[n] if dYs else None)
                self._add(edge, len(self.operations), term)

    def _go_back_through(self, place: int) -> None:
        operation = self.operations[place]
        if self._needed.isdisjoint(operation.gives):
            return
        for target, line in self._used(operation):
            if target is None:
                self.backward.append(line)
            else:
                self._add(target, place, line)
        self._add_combined(place)

    def _used(self, operation: OperationFormulas) -> list[tuple[Target | None, Line]]:
        """Return the lines of its backward that a needed gradient depends on: in another mode not all are."""
        names, used = set[str](), []
        for name, line in reversed(operation.backward):
            target = operation.target(name)
            if target in self._uses if target is not None else line.symbol in names:
                assert line.expression is not None
                used.append((target, line))
                names |= names_in(line.expression)
        return used[::-1]

    def _add(self, target: Target, place: int, term: Line) -> None:
        """Add the gradient of one use to that of a value, and the line of the sum after its last term."""
        placed = self._terms.setdefault(target, [])
        placed.append((place, term))
        if len(placed) < self._uses[target]:
            return
        terms = [each for _, each in sorted(placed, key=itemgetter(0))]
        value = reduce(add, [each.value for each in terms]) if self.naming.run else None
        of_parameter = isinstance(target, tuple) or target in self.naming.leaves
        note = self.naming.path_of(target) if of_parameter else term.note
        total = _added([each.expression for each in terms if each.expression is not None])
        line = Line(self.naming.gradient(target), total, note, value)
        self.backward.append(line)
        if target in self.wanted:
            self.gradients[target] = line

    def _add_combined(self, place: int) -> None:
        """Add the gradient through the last layer and the loss together, where that has a simpler formula.

        Its value is that of the formula: where the sigmoid is saturated, the two layers one after the other return 0.
        """
        operation, last = self.operations[place], self.operations[-1]
        if last.gives != (self.naming.loss_edge,) or place < len(self.operations) - 2:
            return
        edge, before = operation.takes[0], None if operation is last else operation
        if before and before.gives != last.with_gradient:
            return
        behind = "" if before is None else "; ".join(map(str, before.formulas.forward))
        text, note = getattr(last.layer, "combined_formulas", {}).get(behind, ("", ""))
        if not text:
            return
        combined = one_formula(last.layer, text, last.formulas)
        expression, value = last.computed(combined.expression, X=self.naming.leaf(edge))
        symbol = self.naming.gradient(edge)
        note = f"{before.name} with {last.name}" if before else note
        alone = next((line.value for line in self.backward if line.symbol == symbol), None)
        if value is not None and alone is not None and any(farthest(alone, value, last.given)):
            self.remarks.append(
                f"{note}: {symbol} differs from that of the two layers one after the other, because "
                f"{self.naming.symbols[last.takes[0]]} is saturated; use nn.BCEWithLogitsLoss."
            )
        self.backward.append(Line(symbol, expression, note, value))


def _added(expressions: Sequence[ast.expr]) -> ast.expr:
    return reduce(lambda a, b: joined(ast.Add(), a, b), expressions)


def _names(operations: Iterable[OperationFormulas]) -> list[str]:
    return list(dict.fromkeys(operation.name for operation in operations))
