"""The formulas of one layer's step with its arrays: what they use, and one entry with the numbers put in."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from nnlite.diagnostics.formulas.in_symbols import InSymbols, farthest
from nnlite.diagnostics.formulas.notation import in_notation, known
from nnlite.diagnostics.formulas.one_entry import entry, in_numbers
from nnlite.diagnostics.formulas.printing import Line, Text, in_python
from nnlite.diagnostics.formulas.substitution import Attributes
from nnlite.diagnostics.formulas.tree import Formula, evaluated, mapped
from nnlite.layer.layer import Layer
from nnlite.losses.loss import is_loss


class Worked(NamedTuple):
    """A formula of a step.

    Attributes:
        line: in mathematical notation, with the arrays.
        formula: in Python, without what only matters for other shapes than those of the step.
        used: the arrays that it uses besides those of the step, such as a cached Y or the parameter W, by name.
        entry: one entry of the result, with the numbers put in; empty if it is no sum of products.
    """

    line: Line
    formula: str
    used: Mapping[str, Any] = {}
    entry: str = ""


def worked(formulas: Sequence[Formula], arrays: Mapping[str, Any], layer: Layer) -> Iterator[Worked]:
    """Yield the formulas of a step.

    A layer may cache something else under a name of its formulas; one that does not come to the layer's own numbers is
    shown as it is written.

    Args:
        formulas: the formulas.
        arrays: what the layer's forward or backward received and returned, by name.
        layer: the layer.

    >>> import nnlite as nn
    >>> from nnlite.diagnostics.formulas.layer_formulas import formulas_of
    >>> arrays = {"X": np.array([[0.0, 1.0]]), "Y": np.tanh([[0.0, 1.0]])}
    >>> next(worked(formulas_of(nn.Tanh()).forward, arrays, nn.Tanh())).entry
    'Y[0,1] = tanh(1) = 0.7616'
    """
    symbols = InSymbols({"dJ": np.ones(()) if is_loss(layer) else None} | dict(arrays), Attributes(layer))
    for formula in formulas:
        name, own = formula.name, arrays.get(formula.name)
        used = {each: symbols.value(each) for each in sorted(formula.names) if symbols.values.get(each) is None}
        tree = symbols.read(formula.expression)
        value, expression = None, in_notation(InSymbols({}, {}).read(formula.expression))
        with suppress(Exception):  # of a cache of another shape, or of a name without a value
            expression = in_notation(tree)
            value = evaluated(tree, symbols.attributes)
        line = Line(name, expression, "", value if own is None else own)
        if value is None or (own is not None and not _same(value, own, arrays)):
            yield Worked(line, str(formula))
            continue
        symbols.values[name] = line.value
        caches = {each: array for each, array in used.items() if isinstance(array, np.ndarray)}
        yield Worked(line, f"{name} = {in_python(_for_these_shapes(tree))}", caches, _entry(line))


def _same(value: Any, own: Any, arrays: Mapping[str, Any]) -> bool:
    return np.shape(own) == np.shape(value) and not any(farthest(value, own, arrays.values()))


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


def _entry(line: Line) -> str:
    """Return the entry in the first row and the second column."""
    shape = np.shape(line.value)
    if 0 in shape or line.expression is None:
        return ""
    index = tuple([min(int(axis == len(shape) - 1), size - 1) for axis, size in enumerate(shape)])
    try:
        found = in_numbers(Line(line.symbol, entry(line.expression, index), "", index=index))
    except (NotImplementedError, TypeError, ValueError):
        return ""
    numbers, total = found.then
    sides = [total] if isinstance(numbers, ast.Constant) else [numbers, total]
    return " = ".join(map(Text(digits=4), (found.left, *sides)))
