"""The formulas of one operation, in the symbols of the network."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnlite.basics.shapes import UNKNOWN, Shape, is_open, sizes
from nnlite.containers.program import Operation
from nnlite.diagnostics.formulas.in_symbols import InSymbols, farthest
from nnlite.diagnostics.formulas.layer_formulas import formulas_of
from nnlite.diagnostics.formulas.naming import Key, Naming, Target, used_parameters
from nnlite.diagnostics.formulas.notation import in_notation
from nnlite.diagnostics.formulas.printing import Line, Text
from nnlite.diagnostics.formulas.substitution import COUNT, Attributes
from nnlite.diagnostics.formulas.tree import Formula, Leaf, call, evaluated
from nnlite.layer.described import with_gradient
from nnlite.losses.loss import is_loss


class OperationFormulas(InSymbols):
    """The formulas of one operation, in the symbols of the network.

    Attributes:
        given: the values of what it takes and returns, and of its parameters.
        with_gradient: the edges of the inputs that have a gradient.
        forward: its lines.
        backward: (name, line) of each gradient and intermediate value.
        contradictions: a sentence for each formula whose value differs from that of the layer.
    """

    def __init__(self, operation: Operation, naming: Naming) -> None:
        self.naming, self.operation, self.layer = naming, operation, operation.computes
        self.takes, self.gives = operation.takes, operation.gives
        self.name = type(self.layer.original or self.layer).__name__
        self.note = " ".join(filter(None, (operation.path, operation.layer.one_line())))
        constants = naming.program.constants
        omitted = [place for place, edge in enumerate(self.takes) if constants.get(edge, 0) is None]
        self.formulas = formulas = formulas_of(self.layer, len(operation.takes), omitted)
        self.parameters: dict[str, Key] = {
            name: key for name, key in used_parameters(self.layer) if key in naming.symbols
        }
        given = [None if place in omitted else edge for place, edge in enumerate(self.takes)]
        places = with_gradient(self.layer, given)
        self.with_gradient = tuple([self.takes[place] for place in places])
        self._inputs = [formulas.inputs[place] for place in places]
        self._edges = dict(zip(formulas.inputs, operation.takes, strict=False))
        self._edges |= zip(formulas.outputs, operation.gives, strict=False)
        super().__init__(self._values(), Attributes(self.layer) if naming.run else {})
        self.symbols = self._symbols()
        self.given = list(self.values.values())
        self.contradictions: list[str] = []
        self.forward = [line for _, line in self._forward()]
        self.backward = [*self._backward()]

    def target(self, name: str) -> Target | None:
        """Return the input's edge or the parameter whose gradient is ``name``; None for an intermediate value."""
        value = name.removeprefix("d")
        if value == name:
            return None
        return self.parameters.get(value) or (self._edges[value] if value in self.formulas.inputs else None)

    def computed(self, expression: ast.expr, one_number: bool = False, **more: ast.expr) -> tuple[ast.expr, Any]:
        """Return a formula in the symbols of the network, in mathematical notation, and its value if that is known."""
        tree = self.read(expression, **more)
        try:
            value = evaluated(tree, Attributes(self.layer))
        except NameError:
            value = None
        shapes = self.naming.shapes  # known without running
        given = {name: shapes[edge] for name, edge in self._edges.items()} if shapes else {}
        broadcast = [self.symbols[name] for name in given if is_broadcast(given[name], shapes[self.gives[0]])]
        return in_notation(tree, frozenset(broadcast), one_number), value

    def leaf(self, name: str) -> ast.expr:
        if name in self._edges and self._edges[name] in self.naming.numbers:
            return ast.Constant(self.naming.numbers[self._edges[name]])
        if name.startswith("d") and self._edges.get(name[1:]) == self.naming.loss_edge is not None:
            return Leaf("1", self.value(name))
        if name == COUNT and self._divides_by_one:
            return Leaf("1", 1)
        return super().leaf(name)

    @property
    def _divides_by_one(self) -> bool:
        return is_loss(self.layer) and getattr(self.layer, "reduction", "mean") in ("sum", "none")

    def _symbols(self) -> dict[str, str]:
        named: dict[str, Target] = {**self._edges, **self.parameters}
        found = {name: self.naming.symbols.get(target, "") for name, target in named.items()}
        found |= {"d" + name: self.naming.gradient(target) for name, target in named.items() if found[name]}
        lines = (*self.formulas.forward, *self.formulas.backward)
        names = dict.fromkeys(name for line in lines for name in (line.name, *sorted(line.names)))
        return found | {name: self._own_symbol(name) for name in names if name not in found and name != "pi"}

    def _own_symbol(self, name: str) -> str:
        """Return the symbol of an intermediate value or an attribute: its name with the number of the operation."""
        if name == COUNT:
            return "1" if self._divides_by_one else self._symbol_of_the_count()
        numbered = not is_loss(self.layer) and not name[-1].isdigit()
        return self.naming.unused(f"{name}{self.naming.counts[self.operation.path]}" if numbered else name)

    def _symbol_of_the_count(self) -> str:
        """Return N if the mean of a loss divides by the number of samples, n if by another number."""
        count, edge = self.attributes.get(COUNT), self.takes[0]
        shape = np.shape(self.naming.values[edge]) if self.naming.run else self.naming.shapes.get(edge, ())
        one_column = shape[1:] == (1,) or (len(shape) == 1 and shape != UNKNOWN)
        return self.naming.count(count, of_samples=one_column if count is None else shape[:1] == (count,))

    def _values(self) -> dict[str, Any]:
        """Return what is known of the names in the formulas: what the layer took and returned, and its parameters."""
        run, values = self.naming.run, self.naming.values
        if run is None:
            return {}
        found = {name: values[edge] for name, edge in self._edges.items()}
        found |= {name: getattr(*key) for name, key in self.parameters.items()}
        taken = run.call(self.operation).dYs or ()
        if self.gives == (self.naming.loss_edge,):
            taken = (np.ones_like(values[self.gives[0]]),)
        return found | dict(zip(["d" + name for name in self.formulas.outputs], taken, strict=False))

    def _forward(self) -> Iterator[tuple[str, Line]]:
        """Yield the lines of its forward by name; for a layer without formulas, its call."""
        values = self.naming.values
        if not self.formulas.forward:
            applied = call(self.name, *map(self.naming.leaf, self.takes))
            for edge in self.gives:
                yield "", Line(self.naming.symbols[edge], applied, self.note, values.get(edge))
        given = {name: values.get(self._edges[name]) for name in self.formulas.outputs}
        yield from self._lines(self.formulas.forward, given)

    def _backward(self) -> Iterator[tuple[str, Line]]:
        """Yield the lines of its backward by name; without a formula, the layer's call."""
        run, operation, given = self.naming.run, self.operation, {}
        if run is not None:
            dXs = run.gradients_of_inputs(operation)
            given = {"d" + self.formulas.inputs[place]: dX for place, dX in dXs.items()}
            gradients = run.call(operation).gradients if operation.computes is operation.layer else {}
            given |= {"d" + name: dP for name, dP in gradients.items()}
        if run is None or run.call(operation).dYs is not None:
            yield from self._lines(self.formulas.backward, given)
        defined = {line.name for line in self.formulas.backward}
        edge = self.naming.loss_edge
        taken = [ast.Constant(1) if each == edge else Leaf(self.naming.gradient(each)) for each in self.gives]
        for name in ("d" + name for name in (*self.parameters, *self._inputs)):
            if name not in defined:
                yield (
                    name,
                    Line(
                        self.symbols.get(name, name), call(f"{self.name}.backward", *taken), self.note, given.get(name)
                    ),
                )

    def _lines(self, formulas: Sequence[Formula], given: Mapping[str, Any]) -> Iterator[tuple[str, Line]]:
        """Yield the line of each formula with its value: the layer's own where there is one.

        Raises:
            ValueError: a formula cannot be evaluated, or has a value of another shape than the layer's.
        """
        last = {line.name: line for line in formulas}
        for line in formulas:
            target = self.target(line.name)
            one_number = isinstance(target, tuple) and getattr(*target).size == 1
            try:
                expression, value = self.computed(line.expression, one_number)
            except Exception as error:
                raise ValueError(f"{self.name}: {line.written}: {type(error).__name__}: {error}") from error
            own = given.get(line.name) if last[line.name] is line else None
            if own is not None and value is not None:
                self._compare(line, expression, value, own)
            value = value if own is None else own
            if value is not None:
                self.values[line.name] = value
            yield line.name, Line(self.symbols[line.name], expression, self.note, value)

    def _compare(self, line: Formula, expression: ast.expr, value: Any, own: Any) -> None:
        """Note where a formula's value differs from that of the layer."""
        if np.shape(value) != np.shape(own):
            raise ValueError(
                f"{self.name}: {line.written}: expected an array of shape {np.shape(own)}, "
                f"that of the layer's own result, got {np.shape(value)}"
            )
        for found, expected in farthest(value, own, self.given):
            why = ""
            if not np.isfinite(found):
                why = ": the layer is saturated and bounds its result"
                bounds = getattr(self.layer, "bounds", "")
                why += f" ({self.name} {bounds})" if bounds else ""
            formula = f"{self.symbols[line.name]} = {Text()(expression)}"
            self.contradictions.append(
                f"{self.note}: {formula} is {found:.4g}, but the layer computes {expected:.4g}{why}."
            )


def is_broadcast(shape: Shape, to: Shape) -> bool:
    """Return whether an array of the one shape is certainly broadcast to the other.

    >>> is_broadcast((3,), (..., 3)), is_broadcast((..., 1), (..., 3)), is_broadcast((...,), (..., 3))
    (True, True, False)
    """
    own, other = sizes(shape), sizes(to)
    longer = not is_open(shape) and (is_open(to) or len(other) > len(own))
    pairs = zip(reversed(own), reversed(other), strict=False)
    return longer or any(size == 1 and wide is not None and wide != 1 for size, wide in pairs)
