"""Substitution of names in formulas: of a layer's options by their values, of its names by symbols of a network."""

import ast
import copy
from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from nnlite.containers.tied import Tied
from nnlite.diagnostics.formulas.tree import Entry, Formula, evaluated, names_in, part_of, rebuilt
from nnlite.layer.layer import Layer

COUNT = "N"  # what the mean of a loss divides by: formulas keep the letter, whatever its value


class Substitution:
    """Replaces names by expressions; a name that nothing replaces drops out of its sum, product or call.

    Args:
        replacements: the expressions that replace a name: none, one, or several, which a call has as arguments.
    """

    letters: frozenset[str] | set[str] = frozenset()  # of the sums around, which are no names of the layer

    def __init__(self, replacements: Mapping[str, Sequence[ast.expr]]) -> None:
        self.replacements = replacements

    def replaced(self, name: str) -> Sequence[ast.expr] | None:
        """Return what replaces a name; None if it stays."""
        return self.replacements.get(name)

    def option(self, value: ast.expr) -> ast.expr:
        """Return what replaces the value of a keyword argument."""
        return next(iter(self.parts(value)), value)

    def choice(self, node: ast.IfExp) -> list[ast.expr]:
        """Return what replaces ``A if test else B``."""
        return [ast.IfExp(*(self.option(part) for part in (node.test, node.body, node.orelse)))]

    def parts(self, node: Any) -> list[Any]:
        """Return the expressions that replace one."""
        match node:
            case ast.Name(id=name):
                found = None if name in self.letters else self.replaced(name)
                return [node] if found is None else list(found)
            case ast.BinOp(left=left, op=op, right=right):
                return _operation(self.parts(left), op, self.parts(right))
            case ast.IfExp():
                return self.choice(node)
            case ast.Starred(value=value):
                return self.parts(value)
            case Entry(value=value):
                numbers = {letter: found[0].value for letter, found in self.replacements.items()}  # type: ignore[attr-defined]
                return [Entry(value, [numbers.get(place, place) for place in node.index])]  # type: ignore[arg-type]
            case ast.keyword(arg=name, value=value):
                return [ast.keyword(name, self.option(value))]
            case ast.Slice():
                return [ast.Slice(*(part and self.option(part) for part in (node.lower, node.upper, node.step)))]
            case ast.GeneratorExp(elt=term, generators=[over]):
                letter, within = ast.unparse(over.target), copy.copy(self)
                within.letters = {*self.letters, letter}
                over = ast.comprehension(over.target, self.option(over.iter), [], 0)
                return [ast.GeneratorExp(part, [over]) for part in within.parts(term)]
            case ast.UnaryOp(op=op, operand=of):  # these two of each of several
                return [ast.UnaryOp(op, part) for part in self.parts(of)]
            case ast.Attribute(value=of, attr=name):
                return [ast.Attribute(part, name, ast.Load()) for part in self.parts(of)]
        new = rebuilt(node, self.parts)
        if isinstance(node, ast.Call):
            new.func = node.func
        return [] if any(getattr(node, field, None) and not getattr(new, field) for field in NEEDED) else [new]


NEEDED = "args", "value", "left", "comparators"  # the fields without which an expression drops out


def _operation(left: list[ast.expr], op: ast.operator, right: list[ast.expr]) -> list[ast.expr]:
    if not left and isinstance(op, ast.Sub):
        return [ast.UnaryOp(ast.USub(), part) for part in right]
    if not left and isinstance(op, ast.Div):
        left = [ast.Constant(1)]
    parts = left + right
    return [reduce(lambda a, b: ast.BinOp(a, op, b), parts)] if parts else []


class Attributes(Mapping[str, Any]):
    """A layer's attributes by name, and those of the layer that it is tied to; N is what a loss divides by."""

    def __init__(self, layer: Layer) -> None:
        used = layer.twin if isinstance(layer, Tied) else layer
        self.holders = [used] if layer.original is None else [used, layer.original]

    def __getitem__(self, name: str) -> Any:
        for holder in self.holders:
            if hasattr(holder, name):
                return getattr(holder, name)
        if name == "N" and (count := self["count"]) is not None:  # a user's loss may have none
            return count
        raise KeyError(name)

    def __iter__(self) -> Any:
        return iter(vars(self.holders[0]))

    def __len__(self) -> int:
        return len(vars(self.holders[0]))


class Options(Substitution):
    """Replaces the names of a layer's options by their values.

    Args:
        layer: the layer that has the attributes.
        variables: the names of inputs, outputs and intermediate values, which are not attributes.
        lists: names of several arrays, and the names of each of these.
        none: names of inputs that are None.
    """

    def __init__(
        self, layer: Layer, variables: set[str], lists: dict[str, list[str]], none: Collection[str] = ()
    ) -> None:
        self.attributes, self.variables, self.none = Attributes(layer), variables, none
        self.lists = lists | {"d" + name: ["d" + each for each in names] for name, names in lists.items()}

    def put_into(self, formula: Formula) -> list[Formula]:
        """Return the formula with the options in it: none, one, or one for each of several arrays."""
        name, value = formula.name, formula.expression
        if name in self.lists:
            each = [(one, self._for_one(n, name, value)) for n, one in enumerate(self.lists[name])]
        else:
            each = [] if name.startswith("d") and self.replaced(name[1:]) == [] else [(name, value)]
        lines = [(one, self.parts(own)) for one, own in each]
        same = (isinstance(parts[0], ast.Name) and parts[0].id == one for one, parts in lines if parts)
        kept = [(one, parts[0]) for one, parts in lines if parts]
        return [Formula(one, own, formula.written) for (one, own), drops in zip(kept, same, strict=True) if not drops]

    def _for_one(self, n: int, name: str, value: ast.expr) -> ast.expr:
        """Return the right side for one of the arrays that the name stands for."""
        used = names_in(value) & self.lists.keys()
        match value:
            case ast.Subscript(value=of, slice=ast.Constant(value=int(first))):  # of ``dX, *dmore = split(dZ)``
                return part_of(of, first + n)
            case _ if used:  # of ``dmore = f(dZ, more)``
                names = {each: [ast.Name(self.lists[each][n], ast.Load())] for each in used}
                (own,) = Substitution(names).parts(value)
                return own  # type: ignore[no-any-return]
        return part_of(value, n)  # of ``Ys = split(X)``

    def replaced(self, name: str) -> Sequence[ast.expr] | None:
        if name in self.none:
            return []
        if name in self.lists:
            return [ast.Name(each, ast.Load()) for each in self.lists[name]]
        if name in self.variables or name == COUNT or name not in self.attributes:
            return None
        value = self.attributes[name]
        value = value.item() if isinstance(value, np.generic) else value
        return [] if value is None else [ast.Constant(value)] if isinstance(value, int | float) else None

    def option(self, value: ast.expr) -> ast.expr:
        """Return the value of ``axis=...`` if it is known before the layer runs."""
        if names_in(value) & (self.variables | self.letters):
            return value
        try:
            known = evaluated(value, self.attributes)
        except (NameError, NotImplementedError):
            return value
        return ast.Constant(known) if isinstance(known, int | float | str | tuple | None) else value  # type: ignore[arg-type]

    def choice(self, node: ast.IfExp) -> list[ast.expr]:
        try:
            return self.parts(node.body if evaluated(node.test, self.attributes) else node.orelse)
        except Exception as error:
            raise ValueError(
                f"{ast.unparse(node.test)!r}: {error}; a condition may use only what the layer has before it runs"
            ) from None
