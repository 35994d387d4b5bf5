"""Formulas as text, LaTeX and MathML: one printer, whose variants write symbols, fractions and products differently."""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnlite.diagnostics.formulas.notation import axes_of, axis_index, is_numeric, is_scalar, number_of
from nnlite.diagnostics.formulas.tree import Dot, Entry, Leaf, mapped

SUM, MINUS, PRODUCT, MATRICES, POWER, WHOLE = range(6)  # precedence of operators
STRENGTH: dict[type, int] = {
    ast.Add: SUM,
    ast.Sub: SUM,
    ast.Mult: PRODUCT,
    ast.Div: PRODUCT,
    ast.MatMult: MATRICES,
    Dot: MATRICES,
    ast.Pow: POWER,
}
RELATIONS: dict[type, str] = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "=", ast.NotEq: "!="}
CALLED = {"maximum": "max", "minimum": "min", "one_hot": "onehot", "absolute": "abs"}
TIMES = r" \times "  # in a shape
DOTS = "..."  # the terms of a sum that are left out
GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "pi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Pi",
        "Sigma",
        "Phi",
        "Psi",
        "Omega",
    ]
)


def number_text(value: Any, digits: int = 6) -> str:
    """Return a number as formulas show it: of 1/3 the first digits."""
    return str(value) if isinstance(value, bool) else f"{value:.{digits}g}"


def is_sum(node: ast.expr) -> bool:
    """Return whether it is a sum over a letter, ``sum(X[n] for n in range(4))``."""
    return isinstance(node, ast.Call) and bool(node.args) and isinstance(node.args[0], ast.GeneratorExp)


def strength_of(node: ast.expr) -> int:
    """Return the precedence of an expression."""
    if isinstance(node, ast.UnaryOp) or (number_of(node) or 0) < 0:
        return MINUS
    return STRENGTH[type(node.op)] if isinstance(node, ast.BinOp) else SUM if is_sum(node) else WHOLE


class Text:
    """Formulas as plain text: ``dL/dW1 = X^T dL/du1``. ``*`` is elementwise; a matrix product has no sign.

    With ``shapes``, each symbol has its shape before it, between two marks, for :func:`with_shapes_below`.
    """

    signs: Mapping[str, str] = {"times": " * ", "": " ", "minus": "-"}
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
            case Entry(value=of):
                index = node.index
                if isinstance(of, Leaf) and of.transposed:
                    of, index = Leaf(of.id), (*index[:-2], *reversed(index[-2:]))
                return self.entry(of, ",".join(map(str, index)))
            case ast.Subscript(value=of, slice=index):
                return self.part(self.within(of, WHOLE), self._index(index))
            case ast.Attribute(value=of, attr="T"):
                return self.transposed(self.within(of, WHOLE))
            case ast.Call(args=[ast.GeneratorExp(elt=term, generators=[over])]):
                return self.over(self(over.target)) + self.within(term, PRODUCT)
            case ast.Call(func=ast.Name(id=name), args=args):
                return self.call(CALLED.get(name, name), axis_index(axes_of(node)), [self(arg) for arg in args])
            case ast.BinOp():
                return self.operation(node)
        return self.word(in_python(node))

    def _index(self, index: ast.expr) -> str:
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        return ",".join(in_python(part) for part in parts)

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
            case ast.Pow():
                return self.power(left, right, is_numeric(node))
            case ast.Div():
                return self.quotient(left, right)
        first = self.within(left, PRODUCT if isinstance(left, ast.Constant) else MINUS)
        if is_numeric(right):
            return first + self.sign("number") + self.within(right, PRODUCT, right=True)
        if is_scalar(left):
            return first + self.sign("") + self.within(right, self.after_scalar, right=True)
        return first + self.sign("times") + self.within(right, PRODUCT, right=True)

    def within(self, node: ast.expr, strength: int, *, right: bool = False) -> str:
        """Return an operand, in brackets if its precedence is below ``strength``."""
        loose = strength_of(node) < strength or (right and strength_of(node) == MINUS)
        return self.bracketed(self(node)) if loose else self(node)

    # What variants write differently.

    def sign(self, sign: str) -> str:
        return self.signs.get(sign, " * " if sign == "number" else f" {sign} ")

    def number(self, value: Any) -> str:
        return number_text(value, self.digits)

    def symbol(self, name: str) -> str:
        return name

    def word(self, text: str) -> str:
        return text

    def leaf(self, leaf: Leaf) -> str:
        closed = f"({leaf.id})" if leaf.transposed and not leaf.id.isalnum() else leaf.id
        return self.shaped(closed + "^T" * leaf.transposed, np.shape(leaf.value))

    def shaped(self, text: str, shape: tuple[int, ...]) -> str:
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
        return (
            (self.bracketed(self(base)) if hat else self.within(base, WHOLE))
            + ("**" if numeric else "^")
            + self.within(exponent, WHOLE)
        )

    def quotient(self, left: ast.expr, right: ast.expr) -> str:
        slash = "/" if is_scalar(left) and is_scalar(right) else " / "
        return self.within(left, MINUS) + slash + self.within(right, MATRICES, right=True)

    def bracketed(self, text: str, kind: str = "()") -> str:
        return f"{kind[0]}{text}{kind[1]}"

    def inline(self, sign: str) -> str:
        """Return a sign of the legend within a sentence."""
        return sign


def in_python(node: ast.expr) -> str:
    """Return an expression that has no notation of its own as Python."""
    return ast.unparse(mapped(node, lambda part: ast.Name(part.id) if isinstance(part, Leaf) else None))


def parts_of_symbol(name: str) -> tuple[str, str, bool]:
    """Return the stem, the index and whether there is a hat: final digits are an index, ``^`` is a hat."""
    stem, index, hat = re.fullmatch(r"(.*?)_?(\d*)(\^?)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return (stem, index, bool(hat)) if stem else (name, "", False)


def gradient_parts(name: str) -> tuple[str, str] | None:
    """Return L and u1 for ``dL/du1``; None if it is no gradient."""
    found = re.fullmatch(r"d([^/]+)/d(.+)", name)
    return (found[1], found[2]) if found else None


class LaTeX(Text):
    r"""Formulas as LaTeX: ``\frac{\partial L}{\partial W_1} = X^\top \frac{\partial L}{\partial u_1}``."""

    signs: Mapping[str, str] = {
        "times": r" \odot ",
        "": " ",
        "minus": "-",
        "number": r" \cdot ",
        ">=": r" \geq ",
        "<=": r" \leq ",
        "!=": r" \neq ",
    }
    after_scalar = MATRICES
    functions: Mapping[str, str] = {
        **{name: "\\" + name for name in ("tanh", "exp", "log", "max", "min", "sin", "cos", "sum")},
        "sigmoid": r"\sigma",
        "ndtr": r"\Phi",
    }

    def sign(self, sign: str) -> str:
        return self.signs.get(sign, f" {sign} ")

    def symbol(self, name: str) -> str:
        if parts := gradient_parts(name):
            return rf"\frac{{\partial {self.symbol(parts[0])}}}{{\partial {self.symbol(parts[1])}}}"
        if name == DOTS:
            return r"\cdots"
        stem, index, hat = parts_of_symbol(name)
        text = f"\\{stem}" if stem in GREEK else stem if len(stem) == 1 else rf"\mathrm{{{escaped(stem)}}}"
        text = rf"\hat{{{text}}}" if hat else text
        return text + (f"_{index}" if len(index) == 1 else f"_{{{index}}}" if index else "")

    def word(self, text: str) -> str:
        return rf"\mathtt{{{escaped(text)}}}"

    def leaf(self, leaf: Leaf) -> str:
        text = self.symbol(leaf.id)
        if leaf.transposed:
            text = self.transposed(self.bracketed(text) if gradient_parts(leaf.id) else text)
        return self.shaped(text, np.shape(leaf.value))

    def shaped(self, text: str, shape: tuple[int, ...]) -> str:
        return f"\\underset{{{TIMES.join(map(str, shape))}}}{{{text}}}" if shape else text

    def entry(self, of: ast.expr, index: str) -> str:
        text = self.symbol(of.id) if isinstance(of, Leaf) else self(of)
        closed = isinstance(of, Leaf) and gradient_parts(of.id)
        text = self.bracketed(text) if closed else text if "_" not in text else f"{{{text}}}"
        return f"{text}_{{{index}}}"

    def part(self, of: str, index: str) -> str:
        return rf"{of}_{{[{escaped(index)}]}}"

    def transposed(self, of: str) -> str:
        return rf"{of}^\top"

    def over(self, letter: str) -> str:
        return rf"\sum_{{{letter}}} "

    def call(self, name: str, axes: str, args: Sequence[str]) -> str:
        if name == "sqrt":
            return rf"\sqrt{{{args[0]}}}"
        if name == "abs":
            return rf"\left|{args[0]}\right|"
        return self.function(name, axes) + self.bracketed(", ".join(args))

    def function(self, name: str, axes: str) -> str:
        """Return the name of a function, with the axes of a sum."""
        written = self.functions.get(name, rf"\operatorname{{{escaped(name)}}}")
        return written + (f"_{{{axes}}}" if axes else "")

    def power(self, base: ast.expr, exponent: ast.expr, numeric: bool) -> str:
        closed = isinstance(base, Leaf) and gradient_parts(base.id)
        return (self.bracketed(self(base)) if closed else self.within(base, WHOLE)) + f"^{{{self(exponent)}}}"

    def quotient(self, left: ast.expr, right: ast.expr) -> str:
        if isinstance(left, ast.UnaryOp):
            return self.sign("minus") + self.quotient(left.operand, right)
        return rf"\frac{{{self(left)}}}{{{self(right)}}}"

    def within(self, node: ast.expr, strength: int, *, right: bool = False) -> str:
        """Return an operand, in brackets if it needs them; a fraction needs none, but as the base of a power."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and strength < WHOLE:
            return self(node)
        return super().within(node, strength, right=right)

    def bracketed(self, text: str, kind: str = "()") -> str:
        return rf"\left{kind[0]}{text}\right{kind[1]}"

    def inline(self, sign: str) -> str:
        return f"${self.of_legend(sign)}$"

    def of_legend(self, sign: str) -> str:
        """Return a sign of the legend."""
        if sign == "*":
            return self.sign("times").strip()
        name, _, axes = sign.partition("_")
        return self.function(name, axes) if axes else sign

    def note(self, text: str) -> str:
        """Return the note of a line."""
        return escaped(text).replace("->", r"$\to$")

    def matrix(self, rows: list[list[str]]) -> str:
        """Return numbers as a matrix."""
        inner = r" \\ ".join(map(" & ".join, rows))
        return rf"\begin{{pmatrix}} {inner} \end{{pmatrix}}"


def escaped(text: str) -> str:
    """Return text for LaTeX."""
    for sign in "_&%#$":
        text = text.replace(sign, "\\" + sign)
    return text
