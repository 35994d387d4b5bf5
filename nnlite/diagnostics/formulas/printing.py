"""The printer of formulas, and the lines that they stand in: as text; LaTeX and MathML are variants in typeset.py."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.diagnostics.formulas.notation import axes_of, axis_index, is_numeric, is_scalar, number_of
from nnlite.diagnostics.formulas.tree import Dot, Entry, Leaf, mapped

SUM, MINUS, PRODUCT, MATRICES, POWER, WHOLE = range(6)  # precedence of operators
_STRENGTHS = {
    SUM: (ast.Add, ast.Sub),
    PRODUCT: (ast.Mult, ast.Div, ast.FloorDiv),
    MATRICES: (ast.MatMult, Dot),
    POWER: (ast.Pow,),
}
STRENGTH: dict[type, int] = {op: strength for strength, ops in _STRENGTHS.items() for op in ops}
RELATIONS: dict[type, str] = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "=", ast.NotEq: "!="}
CALLED = {"maximum": "max", "minimum": "min", "one_hot": "onehot", "absolute": "abs"}
DOTS = "..."  # the terms of a sum that are left out


def strength_of(node: ast.expr) -> int:
    """Return the precedence of an expression."""
    if isinstance(node, ast.UnaryOp) or (number_of(node) or 0) < 0:
        return MINUS
    is_sum = isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.GeneratorExp)
    return STRENGTH[type(node.op)] if isinstance(node, ast.BinOp) else SUM if is_sum else WHOLE


class Text:
    """Formulas as plain text: ``dL/dW1 = X^T dL/du1``. ``*`` is elementwise; a matrix product has no sign.

    With ``shapes``, each symbol has its shape before it, between two marks, for ``shapes_below`` of page.py.
    """

    signs: Mapping[str, str] = {"times": " * ", "number": " * ", "": " ", "minus": "-"}
    after_scalar = POWER  # the strength that the right side of a product with a scalar needs

    def __init__(self, shapes: bool = False, digits: int = 6) -> None:
        self.shapes, self.digits = shapes, digits

    def __call__(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=str(text)):
                return self.word(repr(text))
            case ast.Constant(value=value):
                return self.number(value)
            case Leaf():
                return self.leaf(node)
            case ast.Name(id=name):
                return self.symbol(name)
            case ast.UnaryOp(operand=of):
                return self.sign("minus") + self.within(of, PRODUCT)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                relation = self.sign(RELATIONS.get(type(op), type(op).__name__))
                return self.bracketed(self(left) + relation + self(right), "[]")
            case Entry(value=of, index=index):
                if isinstance(of, Leaf) and of.transposed:
                    of, index = Leaf(of.id), (*index[:-2], *reversed(index[-2:]))
                return self.entry(of, ",".join(map(str, index)))
            case ast.Subscript(value=of, slice=places):
                each = places.elts if isinstance(places, ast.Tuple) else [places]
                return self.part(self.within(of, WHOLE), ",".join(map(in_python, each)))
            case ast.Attribute(value=of, attr="T"):
                return self.transposed(self.within(of, WHOLE))
            case ast.Call(args=[ast.GeneratorExp(elt=term, generators=[over])]):
                return self.over(ast.unparse(over.target)) + self.within(term, PRODUCT)
            case ast.Call(func=ast.Name(id=name), args=args):
                return self.call(CALLED.get(name, name), axis_index(axes_of(node)), [self(arg) for arg in args])
            case ast.BinOp():
                return self.operation(node)
        return self.word(in_python(node))

    def operation(self, node: ast.BinOp) -> str:
        """Return two operands with the sign between them."""
        left, right = node.left, node.right
        match node.op:
            case ast.Add():
                return self.within(left, SUM) + self.sign("+") + self.within(right, SUM, right=True)
            case ast.Sub():
                return self.within(left, SUM) + self.sign("-") + self.within(right, PRODUCT, right=True)
            case ast.MatMult() | Dot():
                return self.within(left, MATRICES) + self.sign("") + self.within(right, MATRICES, right=True)
            case ast.FloorDiv():
                return self.within(left, MINUS) + self.sign("//") + self.within(right, MATRICES, right=True)
            case ast.Pow():
                return self.power(left, right, is_numeric(node))
            case ast.Div():
                return self.quotient(left, right)
        first = self.within(left, PRODUCT if isinstance(left, ast.Constant) else MINUS)
        if is_numeric(right) or not is_scalar(left):
            return (
                first + self.sign("number" if is_numeric(right) else "times") + self.within(right, PRODUCT, right=True)
            )
        return first + self.sign("") + self.within(right, self.after_scalar, right=True)

    def within(self, node: ast.expr, strength: int, *, right: bool = False) -> str:
        """Return an operand, in brackets if its precedence is below ``strength``."""
        loose = strength_of(node) < strength or (right and strength_of(node) == MINUS)
        return self.bracketed(self(node)) if loose else self(node)

    # What LaTeX and MathML write differently.

    def sign(self, sign: str) -> str:
        return self.signs.get(sign, f" {sign} ")

    def number(self, value: Any) -> str:
        return str(value) if isinstance(value, bool) else f"{value:.{self.digits}g}"

    def symbol(self, name: str) -> str:
        return name

    word = symbol

    def leaf(self, leaf: Leaf) -> str:
        text = f"({leaf.id})" if leaf.transposed and not leaf.id.isalnum() else leaf.id
        text, shape = text + "^T" * leaf.transposed, np.shape(leaf.value)
        return f"\0({','.join(map(str, shape))})\1{text}" if self.shapes and shape else text

    def entry(self, of: ast.expr, index: str) -> str:
        return f"{Text()(of)}[{index}]"

    def part(self, of: str, index: str) -> str:
        return f"{of}[{index}]"

    def transposed(self, of: str) -> str:
        return f"{of}^T"

    def over(self, letter: str) -> str:
        return f"sum_{letter} "

    def call(self, name: str, axes: str, args: Sequence[str]) -> str:
        return f"{name}{'_' * bool(axes)}{axes}({', '.join(args)})"

    def power(self, base: ast.expr, exponent: ast.expr, numeric: bool) -> str:
        hat = isinstance(base, Leaf) and not base.id.isalnum()
        text = self.bracketed(self(base)) if hat else self.within(base, WHOLE)
        return text + ("**" if numeric else "^") + self.within(exponent, WHOLE)

    def quotient(self, left: ast.expr, right: ast.expr) -> str:
        slash = "/" if is_scalar(left) and is_scalar(right) else " / "
        return self.within(left, MINUS) + slash + self.within(right, MATRICES, right=True)

    def bracketed(self, text: str, kind: str = "()") -> str:
        return f"{kind[0]}{text}{kind[1]}"

    def inline(self, sign: str) -> str:
        """Return a sign of the legend within a sentence: ``*``, ``sum_2`` or ``[a > b]``."""
        return sign


@dataclass(frozen=True, eq=False)
class Line:
    """One formula of a derivation.

    Attributes:
        symbol: the left side.
        expression: the right side; None for an input or a parameter.
        note: the place of the layer or of the parameter.
        value: the value, if the network ran.
        then: further right sides, equal to the first.
        index: of the entry that it is about.
    """

    symbol: str
    expression: ast.expr | None
    note: str
    value: Any = None
    then: tuple[ast.expr, ...] = ()
    index: tuple[int | str, ...] = ()

    @property
    def left(self) -> ast.expr:
        """The left side."""
        return Entry(Leaf(self.symbol), self.index) if self.index else Leaf(self.symbol, self.value)

    @property
    def sides(self) -> list[ast.expr]:
        """The left side and the right sides."""
        return [self.left, *([] if self.expression is None else [self.expression, *self.then])]

    def __str__(self) -> str:
        return " = ".join(map(Text(), self.sides))

    __repr__ = __str__


def in_python(node: ast.expr) -> str:
    """Return an expression that has no notation of its own as Python."""
    return ast.unparse(mapped(node, lambda part: ast.Name(part.id) if isinstance(part, Leaf) else None))
