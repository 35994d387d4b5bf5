"""Substitution of a layer's options in its formulas."""

import ast
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import numpy as np

from nnlite.containers.tied import Tied
from nnlite.diagnostics.formulas.parse import Formula, names_in, part_of, with_names
from nnlite.layer.layer import Layer

SYMBOLS = ("N", "n")  # what a mean divides by: formulas keep the letter, whatever its value


class Attributes(Mapping[str, Any]):
    """A layer's attributes by name, and those of the layer that it is tied to.

    ``N`` is the number that a loss divides by.

    >>> import nnlite as nn
    >>> Attributes(nn.Softmax())["dim"]
    -1
    """

    def __init__(self, layer: Layer) -> None:
        used = layer._twin.layer if isinstance(layer, Tied) else layer
        self._holders = [used] if layer.original is None else [used, layer.original]

    def __getitem__(self, name: str) -> Any:
        for holder in self._holders:
            if hasattr(holder, name):
                return getattr(holder, name)
        if name == "N" and (count := self["count"]) is not None:  # a user's loss may have none
            return count
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(vars(self._holders[0]))

    def __len__(self) -> int:
        return len(vars(self._holders[0]))


class Options:
    """Replaces the names of a layer's options by their values.

    Args:
        layer: the layer that has the attributes.
        variables: the names of inputs, outputs and intermediate values, which are not attributes.
        lists: names of several arrays, and the names of each of these.

    >>> import nnlite as nn
    >>> options = Options(nn.Linear(2, 3, bias=False), {"X", "Y"}, {})
    >>> for line in options.put_into(Formula("Y", ast.parse("X @ W + b", mode="eval").body)):
    ...     print(line)
    Y = X @ W
    """

    def __init__(self, layer: Layer, variables: set[str], lists: dict[str, list[str]]) -> None:
        self.attributes = Attributes(layer)
        self.variables = variables
        self.lists = lists | {"d" + name: ["d" + each for each in names] for name, names in lists.items()}

    def put_into(self, formula: Formula) -> list[Formula]:
        """Return the formula with the options in it: none, one, or one for each of several arrays."""
        name, value = formula.name, formula.expression
        if name in self.lists:
            several = zip(self.lists[name], self._one_by_one(name, value), strict=True)
            return [line for each, own in several for line in self._line(each, own, formula.written)]
        if name.startswith("d") and self._stands_for(name[1:]) == []:
            return []
        return self._line(name, value, formula.written)

    def _one_by_one(self, name: str, value: ast.expr) -> Iterator[ast.expr]:
        """Yield the right side for each of the arrays that the name stands for."""
        used = names_in(value) & self.lists.keys()
        for n in range(len(self.lists[name])):
            match value:
                case ast.Subscript(value=of, slice=ast.Constant(value=int(first))):  # of ``dX, *dmore = split(dZ)``
                    yield part_of(of, first + n)
                case _ if used:  # of ``dmore = f(dZ, more)``
                    yield with_names(value, {each: self.lists[each][n] for each in used})
                case _:  # of ``Ys = split(X)``
                    yield part_of(value, n)

    def _line(self, name: str, value: ast.expr, written: str) -> list[Formula]:
        parts = self._parts(value)
        if not parts or (isinstance(parts[0], ast.Name) and parts[0].id == name):
            return []
        return [Formula(name, parts[0], written)]

    def _stands_for(self, name: str) -> list[ast.expr] | None:
        """Return what replaces a name: nothing, a number, several names; None if it stays."""
        if name in self.lists:
            return [ast.Name(each, ast.Load()) for each in self.lists[name]]
        if name in self.variables or name in SYMBOLS or name not in self.attributes:
            return None
        value = self.attributes[name]
        if value is None:
            return []
        value = value.item() if isinstance(value, np.generic) else value
        return [ast.Constant(value)] if isinstance(value, int | float) else None

    def _parts(self, node: ast.expr) -> list[ast.expr]:
        """Return the expressions that replace one."""
        match node:
            case ast.Name(id=name):
                parts = self._stands_for(name)
                return [node] if parts is None else parts
            case ast.BinOp(left=left, op=op, right=right):
                return self._joined(self._parts(left), op, self._parts(right))
            case ast.UnaryOp(op=op, operand=operand):
                return [ast.UnaryOp(op, part) for part in self._parts(operand)]
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._parts(body if self._decided(test) else orelse)
            case ast.Call(func=func, args=args, keywords=keywords):
                parts = [part for arg in args for part in self._parts(arg)]
                if args and not parts:
                    return []
                return [ast.Call(func, parts, [ast.keyword(k.arg, self._keyword(k.value)) for k in keywords])]
            case ast.Starred(value=value):
                return self._parts(value)
            case ast.List(elts=elts):
                return [ast.List([part for each in elts for part in self._parts(each)], ast.Load())]
            case ast.Attribute(value=value, attr=attr):
                return [ast.Attribute(part, attr, ast.Load()) for part in self._parts(value)]
            case ast.Subscript(value=value, slice=index):
                return [ast.Subscript(part, index, ast.Load()) for part in self._parts(value)]
            case ast.Compare(left=left, ops=ops, comparators=[right]):
                lefts, rights = self._parts(left), self._parts(right)
                return [ast.Compare(lefts[0], ops, rights)] if lefts and rights else []
        return [node]

    def _joined(self, left: list[ast.expr], op: ast.operator, right: list[ast.expr]) -> list[ast.expr]:
        if not left and isinstance(op, ast.Sub):
            return [ast.UnaryOp(ast.USub(), part) for part in right]
        if not left and isinstance(op, ast.Div):
            left = [ast.Constant(1)]
        parts = left + right
        return [reduce(lambda a, b: ast.BinOp(a, op, b), parts)] if parts else []

    def _keyword(self, value: ast.expr) -> ast.expr:
        """Return the value of ``axis=...`` if it is known before the layer runs."""
        if names_in(value) & self.variables:
            return value
        try:
            known = evaluated(value, self.attributes)
        except NameError:
            return value
        return ast.Constant(known) if isinstance(known, int | float | str | tuple | None) else value  # type: ignore[arg-type]

    def _decided(self, test: ast.expr) -> bool:
        try:
            return bool(evaluated(test, self.attributes))
        except Exception as error:
            raise ValueError(
                f"{ast.unparse(test)!r}: {error}; a condition may use only what the layer has before it runs"
            ) from None


def evaluated(expression: ast.expr, names: Mapping[str, Any]) -> Any:
    """Evaluate an expression with these names only.

    >>> evaluated(ast.parse("2 * a", mode="eval").body, {"a": 3})
    6
    """
    code = compile(ast.fix_missing_locations(ast.Expression(with_names(expression, {}))), "<formula>", "eval")
    with np.errstate(all="ignore"):  # layers handle log 0, formulas do not
        return eval(code, {"__builtins__": {}}, names)
