"""The formulas of one layer's step with its arrays: what they use, and one entry with the numbers put in."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnlite.diagnostics.formulas.notation import in_notation, known
from nnlite.diagnostics.formulas.one_entry import added, entry, in_numbers
from nnlite.diagnostics.formulas.operation_formulas import farthest
from nnlite.diagnostics.formulas.printing import Text, in_python
from nnlite.diagnostics.formulas.substitution import COUNT, Attributes, Substitution
from nnlite.diagnostics.formulas.tree import Entry, Formula, Leaf, evaluated, mapped
from nnlite.diagnostics.formulas.typeset import MathML
from nnlite.layer.layer import Layer
from nnlite.losses.loss import is_loss


class Worked(NamedTuple):
    """A formula whose value is that of the layer.

    Attributes:
        line: the formula.
        formula: in Python, without what only matters for other shapes than those of the step.
        used: the arrays that it uses besides those of the step, such as a cached Y or the parameter W, by name.
        entry: one entry of the result, with the numbers put in; empty if it is no sum of products.
    """

    line: Formula
    formula: str
    used: dict[str, Any]
    entry: str


def worked(lines: Sequence[Formula], arrays: Mapping[str, Any], layer: Layer) -> Iterator[Worked]:
    """Yield the formulas of a step that come to the layer's own numbers.

    A layer may cache something else under a name of its formulas; such a formula is left out.

    Args:
        lines: the formulas.
        arrays: what the layer's forward or backward received and returned, by name.
        layer: the layer.

    >>> import nnlite as nn
    >>> from nnlite.diagnostics.formulas.layer_formulas import formulas_of
    >>> arrays = {"X": np.array([[0.0, 1.0]]), "Y": np.tanh([[0.0, 1.0]])}
    >>> next(worked(formulas_of(nn.Tanh()).forward, arrays, nn.Tanh())).entry
    'Y[0,1] = tanh(1) = 0.7616'
    """
    attributes = Attributes(layer)
    names: dict[str, Any] = {"pi": np.pi, "dJ": np.ones(()) if is_loss(layer) else None} | dict(arrays)
    for line in lines:
        missing = (name for name in sorted(line.names) if names.get(name) is None)
        besides = {name: attributes[name] for name in missing if name in attributes}
        leaves = {name: Leaf(name, (names | besides).get(name), scalar=name == COUNT) for name in line.names}
        (tree,) = Substitution({name: [leaf] for name, leaf in leaves.items()}).parts(line.expression)
        try:
            value = evaluated(tree, attributes)
        except Exception:  # of a cache of another shape
            continue
        own = arrays.get(line.name)
        if own is not None and (np.shape(own) != np.shape(value) or any(farthest(value, own, arrays.values()))):
            continue
        names[line.name] = value if own is None else own
        used = {name: array for name, array in besides.items() if isinstance(array, np.ndarray)}
        formula = f"{line.name} = {in_python(_for_these_shapes(tree))}"
        yield Worked(line, formula, used, _entry(line.name, tree, np.shape(value)))


def as_mathml(line: Formula, values: Mapping[str, Any]) -> str:
    """Return a formula, in the layer's own names, as MathML; the shapes of arrays that are known are below them."""
    math = MathML()
    leaves = {name: [Leaf(name, values.get(name), scalar=name == COUNT)] for name in line.names}
    (tree,) = Substitution(leaves).parts(line.expression)
    return math.whole(f"{math(Leaf(line.name, values.get(line.name)))}<mo>=</mo>{math(in_notation(tree))}")


def _for_these_shapes(tree: ast.expr) -> ast.expr:
    """Return a formula without ``rows`` of a matrix, and without ``sum_to`` where nothing was broadcast."""

    def change(part: ast.expr) -> ast.expr | None:
        match part:
            case ast.Call(func=ast.Name(id="rows"), args=[of]) if np.ndim(known(of)) == 2:
                return mapped(of, change)
            case ast.Call(func=ast.Name(id="sum_to"), args=[of, X]) if np.shape(known(of)) == np.shape(known(X)):
                return mapped(of, change)
        return None

    return mapped(tree, change)


def _entry(name: str, tree: ast.expr, shape: tuple[int, ...]) -> str:
    """Return the entry in the first row and the second column."""
    if 0 in shape:
        return ""
    index = tuple([min(int(axis == len(shape) - 1), size - 1) for axis, size in enumerate(shape)])
    try:
        _, terms, total = in_numbers(entry(in_notation(tree), index))
    except (NotImplementedError, TypeError, ValueError):
        return ""
    text = Text(digits=4)
    left = Entry(Leaf(name), index) if index else Leaf(name)
    numbers = "" if len(terms) == 1 and isinstance(terms[0], ast.Constant) else f"{text(added(terms))} = "
    return f"{text(left)} = {numbers}{text.number(total)}"
