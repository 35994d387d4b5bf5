"""A layer's formulas with symbols for its names: those of a network, or in a step the names themselves."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from nnlite.diagnostics.formulas.substitution import COUNT, Substitution
from nnlite.diagnostics.formulas.tree import Leaf, names_in
from nnlite.diagnostics.samples import largest


class InSymbols:
    """The names of a layer's formulas as symbols, which are here the names themselves.

    Attributes:
        values: of the names, as far as they are known: what the layer received and returned, its parameters.
        attributes: the layer's, which hold the other values.
        symbols: of the names that have another one.
    """

    symbols: Mapping[str, str] = {}

    def __init__(self, values: dict[str, Any], attributes: Mapping[str, Any]) -> None:
        self.values, self.attributes = values, attributes

    def value(self, name: str) -> Any:
        """Return the value of a name; None if it is unknown."""
        value = self.values.get(name)
        return self.attributes.get(name) if value is None else value

    def leaf(self, name: str) -> ast.expr:
        """Return what replaces a name: its symbol, with its value."""
        value = self.value(name)
        if name == "pi" and value is None and name not in self.symbols:
            return Leaf(name, np.pi, scalar=True)
        return Leaf(self.symbols.get(name, name), value, scalar=name == COUNT)

    def read(self, expression: ast.expr, **more: ast.expr) -> ast.expr:
        """Return an expression with symbols in place of the names, of which ``more`` replaces some."""
        leaves = {name: [more.get(name) or self.leaf(name)] for name in names_in(expression)}
        (tree,) = Substitution(leaves).parts(expression)
        return tree  # type: ignore[no-any-return]


def farthest(found: Any, expected: Any, given: Iterable[Any]) -> Iterator[tuple[float, float]]:
    """Yield the two values at the entry where they differ most, unless they agree up to rounding.

    Args:
        found: an array.
        expected: another one.
        given: what they are computed from; sizes and dtypes of these determine the rounding error.
    """
    floating = [array for array in map(np.asarray, (found, expected, *given)) if array.dtype.kind == "f"]
    eps = max([float(np.finfo(array.dtype).eps) for array in floating], default=0.0)
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    size = max(largest(found), largest(expected))
    from_terms = max([largest(array) for array in floating], default=0.0)  # terms may cancel
    within = np.sqrt(eps) * size + 1000 * eps * from_terms
    apart = ~np.isclose(found, expected, rtol=0, atol=within, equal_nan=True)
    if apart.any():
        with np.errstate(invalid="ignore"):
            distance = np.where(apart, np.nan_to_num(np.abs(found - expected), nan=np.inf), -1)
        at = np.unravel_index(distance.argmax(), distance.shape)
        yield float(found[at]), float(expected[at])
