"""Conversion of parsed formulas to mathematical notation, with the symbols of a network.

Functions that only rearrange axes (``rows``, ``view``, ``[..., None]``) and products with 1 are left out.
"""

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nnlite.diagnostics.formulas.options import evaluated
from nnlite.diagnostics.formulas.symbols import Symbol, symbol
from nnlite.diagnostics.formulas.terms import (
    Applied,
    BinaryOperation,
    Factor,
    Negated,
    Number,
    Part,
    Reading,
    Relation,
    joined,
    turned,
)

SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "^",
    ast.MatMult: "@",
}
RELATIONS: dict[type[ast.cmpop], str] = {
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Eq: "=",
    ast.NotEq: "!=",
}
BOOKKEEPING = frozenset(["rows", "row", "column", "view", "expand_dims", "along", "asarray"])
CALLED = {"maximum": "max", "minimum": "min", "one_hot": "onehot", "absolute": "abs"}


class Reader:
    """Converts syntax trees to trees of terms.

    Args:
        symbols: the symbol of each name, or the number that replaces it.
        arrays: the values of the names, if they are known.
        broadcast: names of arrays that are broadcast, where the values are unknown.
        one_number: whether the result is a single number, so that a sum needs no axis.

    >>> from nnlite.diagnostics.formulas.plain_text import plain
    >>> reader = Reader({"Y": symbol("h1"), "dY": symbol("dL/dh1")})
    >>> plain(reader.read(ast.parse("dY * (1 - Y * Y)", mode="eval").body))
    'dL/dh1 * (1 - h1 * h1)'
    """

    def __init__(
        self,
        symbols: Mapping[str, Symbol | Number],
        arrays: Mapping[str, Any] | None = None,
        broadcast: frozenset[str] = frozenset(),
        one_number: bool = False,
    ) -> None:
        self.symbols = symbols
        self.arrays = arrays
        self.broadcast = broadcast
        self.one_number = one_number

    def read(self, node: ast.expr) -> Reading:
        """Return the expression as a tree of terms."""
        match node:
            case ast.Constant(value=int() | float() as value):
                return Number(value)
            case ast.Name(id=name):
                found = self.symbols.get(name) or symbol(name)
                return found if isinstance(found, Number) else Factor(found, self._array(node))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Negated(self.read(operand))
            case ast.BinOp(left=left, op=op, right=right):
                return joined(SIGNS[type(op)], self.read(left), self.read(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in RELATIONS:
                return Relation(RELATIONS[type(op)], self.read(left), self.read(right))
            case ast.Attribute(value=value, attr="T" | "mT"):
                return turned(self.read(value), self._array(node))
            case ast.Subscript(value=value, slice=ast.Constant(value=int(number))):
                return Part(self.read(value), number)
            case ast.Subscript(value=value):
                return self._in_shape(node, self.read(value))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                return self._call(node, name, args, {keyword.arg: keyword.value for keyword in keywords})
        return Factor(Symbol(ast.unparse(node), rf"\mathtt{{{ast.unparse(node)}}}"))

    def _call(self, node: ast.Call, name: str, args: list[ast.expr], options: dict[Any, ast.expr]) -> Reading:
        each = [part for arg in args for part in (arg.elts if isinstance(arg, ast.List) else [arg])]
        if name in BOOKKEEPING:
            return self._in_shape(node, self.read(each[0]))
        if name in ("sum", "mean"):
            axis, keepdims = (_literal(options.get(key)) for key in ("axis", "keepdims"))
            return self._along(name, each[0], axis, bool(keepdims))
        if name == "sum_to":
            return self._sum_to(each[0], each[1])
        if name == "vecdot":
            return BinaryOperation(".", turned(self.read(each[0])), self.read(each[1]))
        if name == "matvec":
            return BinaryOperation(".", self.read(each[0]), self.read(each[1]))
        if name == "outer":
            return BinaryOperation(".", self.read(each[0]), turned(self.read(each[1])))
        if name == "broadcast" and isinstance(read := self.read(each[0]), Number):
            return read
        if name in ("swapaxes", "transpose", "matrix_transpose"):
            return turned(self.read(each[0]), self._array(node))
        return Applied(CALLED.get(name, name), tuple(map(self.read, each)))

    def _along(self, name: str, of: ast.expr, axis: Any, keeps_axes: bool) -> Reading:
        """Return a sum or a mean; over no axes, or of a number, that is its argument."""
        if axis == ():
            return self.read(of)
        axes = None if axis is None or self.one_number else axis if isinstance(axis, tuple) else (axis,)
        array = self._array(of)
        if array is not None and axes is not None:
            if not np.ndim(array):
                return self.read(of)
            axes = tuple(sorted(axis % np.ndim(array) for axis in axes))
        return Applied(name, (self.read(of),), axes, keeps_axes)

    def _sum_to(self, of: ast.expr, X: ast.expr) -> Reading:
        """Return the sum over the axes along which X was broadcast, if any."""
        A, array = self._array(of), self._array(X)
        if A is None or array is None:
            broadcast = isinstance(X, ast.Name) and X.id in self.broadcast
            return Applied("sum", (self.read(of),)) if broadcast else self.read(of)
        new = np.ndim(A) - np.ndim(array)
        axes = [axis for axis, size in enumerate(np.shape(A)) if axis < new or size != np.shape(array)[axis - new]]
        if not axes:
            return self.read(of)
        return Applied("sum", (self.read(of),), None if len(axes) == np.ndim(A) else tuple(axes), new == 0)

    def _in_shape(self, node: ast.expr, of: Reading) -> Reading:
        return replace(of, array=self._array(node)) if isinstance(of, Factor) else of

    def _array(self, node: ast.expr) -> Any:
        """Return the value of the expression, if it is known."""
        if self.arrays is None:
            return None
        try:
            return evaluated(node, self.arrays)
        except NameError:
            return None


def _literal(option: ast.expr | None) -> Any:
    """Return the value of an option, if it is known before the layer runs."""
    try:
        return None if option is None else ast.literal_eval(option)
    except ValueError:
        return None
