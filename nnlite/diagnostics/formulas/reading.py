"""Formulas read as mathematics: a tree without Python's bookkeeping, with the symbols of a network in it.

What only moves axes about (``rows``, ``view``, ``[..., None]``) is left out, products with 1 too.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from nnlite.diagnostics.formulas.options import evaluated
from nnlite.diagnostics.formulas.symbols import Symbol, symbol


@dataclass(frozen=True)
class Number:
    """A number that stands in a formula.

    >>> Number(2).value
    2
    """

    value: float


@dataclass(frozen=True, eq=False)
class Factor:
    """A symbol, and its array as it stands in the formula, where that is known.

    >>> Factor(symbol("X"), np.zeros((4, 3))).shape
    (4, 3)
    """

    symbol: Symbol
    array: Any = None
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, ...] | None:
        """That of the array."""
        return None if self.array is None else np.shape(self.array)


@dataclass(frozen=True)
class Negative:
    """``-of``.

    >>> Negative(Number(1)).of
    Number(value=1)
    """

    of: "Reading"


@dataclass(frozen=True)
class Operation:
    """Two things with a sign between them: ``+ - * / ^``, and ``@`` for the matrix product.

    >>> Operation("+", Number(1), Number(2)).sign
    '+'
    """

    sign: str
    left: "Reading"
    right: "Reading"


@dataclass(frozen=True)
class Relation:
    """``[left > right]``: 1 where it holds, else 0.

    >>> Relation(">", Number(1), Number(0)).sign
    '>'
    """

    sign: str
    left: "Reading"
    right: "Reading"


@dataclass(frozen=True)
class Applied:
    """A function of something, along some axes, or its transpose.

    >>> Applied("tanh", (Factor(symbol("u1")),)).function
    'tanh'
    """

    function: str
    of: "tuple[Reading, ...]"
    axes: tuple[int, ...] | None = None  # of a sum or mean; None for all


@dataclass(frozen=True)
class Part:
    """One of several values: ``of[number]``.

    >>> Part(Factor(symbol("u1")), 0).number
    0
    """

    of: "Reading"
    number: int


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of a factor, at numbers or letters.

    >>> Entry(Factor(symbol("X")), ("n", 2)).index
    ('n', 2)
    """

    factor: Factor
    index: tuple[int | str, ...]


@dataclass(frozen=True)
class Over:
    """The sum of something over a letter in it, which runs from 0 to ``size - 1``; None where that is not known.

    >>> Over("n", 4, Number(1)).size
    4
    """

    letter: str
    size: int | None
    of: "Reading"


Reading = Entry | Over | Number | Factor | Negative | Operation | Relation | Applied | Part

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
    """Reads expressions.

    Args:
        symbols: what the names in them are called: a symbol, or a number that takes its place.
        arrays: what the names stand for, where that is known.
        stretched: names of which it is not known whether they are stretched, but which may be.
        one_number: the whole comes to one number, so that a sum needs no axis.

    >>> from nnlite.diagnostics.formulas.plain import plain
    >>> reader = Reader({"Y": symbol("h1"), "dY": symbol("dL/dh1")})
    >>> plain(reader.read(ast.parse("dY * (1 - Y * Y)", mode="eval").body))
    'dL/dh1 * (1 - h1 * h1)'
    """

    def __init__(
        self,
        symbols: Mapping[str, Symbol | Number],
        arrays: Mapping[str, Any] | None = None,
        stretched: frozenset[str] = frozenset(),
        one_number: bool = False,
    ) -> None:
        self.symbols = symbols
        self.arrays = arrays
        self.stretched = stretched
        self.one_number = one_number

    def read(self, node: ast.expr) -> Reading:
        """The expression as mathematics."""
        match node:
            case ast.Constant(value=value):
                return Number(value)
            case ast.Name(id=name):
                found = self.symbols.get(name) or symbol(name)
                return found if isinstance(found, Number) else Factor(found, self._array(node))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Negative(self.read(operand))
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
            axis = options.get("axis", ast.Constant(None))
            return self._along(name, each[0], axis.value if isinstance(axis, ast.Constant) else None)
        if name == "sum_to":
            return self._sum_to(each[0], each[1])
        if name == "vecdot":
            return Operation("@", turned(self.read(each[0])), self.read(each[1]))
        if name == "outer":
            return Operation("@", self.read(each[0]), turned(self.read(each[1])))
        if name == "stretched" and isinstance(read := self.read(each[0]), Number):
            return read
        if name in ("swapaxes", "transpose", "matrix_transpose"):
            return turned(self.read(each[0]), self._array(node))
        return Applied(CALLED.get(name, name), tuple(map(self.read, each)))

    def _along(self, name: str, of: ast.expr, axis: Any) -> Reading:
        """A sum or a mean; along no axis it is nothing."""
        if axis == ():
            return self.read(of)
        axes = None if axis is None or self.one_number else axis if isinstance(axis, tuple) else (axis,)
        array = self._array(of)
        if array is not None and axes is not None:
            axes = tuple(sorted(axis % np.ndim(array) for axis in axes))
        return Applied(name, (self.read(of),), axes)

    def _sum_to(self, of: ast.expr, X: ast.expr) -> Reading:
        """The sum over the axes along which X was stretched, if it was."""
        A, array = self._array(of), self._array(X)
        if A is None or array is None:
            stretched = isinstance(X, ast.Name) and X.id in self.stretched
            return Applied("sum", (self.read(of),)) if stretched else self.read(of)
        new = np.ndim(A) - np.ndim(array)
        axes = [axis for axis, size in enumerate(np.shape(A)) if axis < new or size != np.shape(array)[axis - new]]
        if not axes:
            return self.read(of)
        return Applied("sum", (self.read(of),), None if len(axes) == np.ndim(A) else tuple(axes))

    def _in_shape(self, node: ast.expr, of: Reading) -> Reading:
        return replace(of, array=self._array(node)) if isinstance(of, Factor) else of

    def _array(self, node: ast.expr) -> Any:
        """What the expression stands for, if that is known."""
        if self.arrays is None:
            return None
        try:
            return evaluated(node, self.arrays)
        except NameError:
            return None


def joined(sign: str, left: Reading, right: Reading) -> Reading:
    """``left sign right``, without what changes nothing: a product with 1, a division by 1.

    >>> joined("*", Number(1), Number(3)), joined("/", Number(2), Number(1))
    (Number(value=3), Number(value=2))
    """
    if sign == "*" and left == Number(1):
        return right
    if sign in "*/" and right == Number(1):
        return left
    if sign == "*" and is_scalar(right) and not is_scalar(left):
        return joined(sign, right, left)
    if sign == "*" and left in (Number(-1), Negative(Number(1))):
        return Negative(right)
    return Operation(sign, left, right)


def parts_of(reading: Reading) -> Iterator[Reading]:
    """A reading, and all that it is made of.

    >>> [type(part).__name__ for part in parts_of(Negative(Number(1)))]
    ['Negative', 'Number']
    """
    yield reading
    for part in fields(reading):
        value = getattr(reading, part.name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Reading):
                yield from parts_of(each)


def turned(of: Reading, array: Any = None) -> Reading:
    """What is read, transposed; ``array`` is that of the result. Of a vector, which has no other side, none is needed.

    >>> turned(Factor(symbol("X"))).transposed
    True
    """
    if not isinstance(of, Factor):
        return Applied("T", (of,))
    return replace(of, array=of.array if array is None else array, transposed=not of.transposed)


def is_scalar(reading: Reading) -> bool:
    """Whether it is a number for sure, so that a product with it needs no sign.

    >>> is_scalar(joined("/", Number(1), Factor(symbol("N", scalar=True))))
    True
    """
    match reading:
        case Number() | Entry():
            return True
        case Factor():
            return reading.symbol.scalar
        case Negative(of=of):
            return is_scalar(of)
        case Operation(left=left, right=right):
            return is_scalar(left) and is_scalar(right)
    return False
