"""Formulas as LaTeX and as MathML, which browsers typeset without a script."""

import ast
import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnlite.diagnostics.formulas.printing import DOTS, MATRICES, WHOLE, Text
from nnlite.diagnostics.formulas.tree import Leaf

GREEK = {
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi", "pi"),
    *("rho", "sigma", "tau", "phi", "chi", "psi", "omega"),
    *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"),
}


class LaTeX(Text):
    r"""Formulas as LaTeX: ``\frac{\partial L}{\partial W_1} = X^\top \frac{\partial L}{\partial u_1}``."""

    signs: Mapping[str, str] = {
        "times": r" \odot ",
        "number": r" \cdot ",
        "": " ",
        "minus": "-",
        ">=": r" \geq ",
        "<=": r" \leq ",
        "!=": r" \neq ",
    }
    functions: Mapping[str, str] = {
        **{name: "\\" + name for name in ("tanh", "exp", "log", "max", "min", "sin", "cos", "sum")},
        "sigmoid": r"\sigma",
        "ndtr": r"\Phi",
    }
    after_scalar = MATRICES
    partial, top, dots, comma, between = r"\partial ", r"\top", r"\cdots", ", ", r" \times "

    def sign(self, sign: str) -> str:
        return self.signs.get(sign, f" {sign} ")

    def symbol(self, name: str) -> str:
        """Return a symbol: final digits are an index, ``^`` is a hat, names of Greek letters are letters."""
        if gradient := _gradient(name):
            above, below = (self.partial + self.symbol(part) for part in gradient.groups())
            return self.fraction(above, below)
        if name == DOTS:
            return self.dots
        stem, index, hat = re.fullmatch(r"(.*?)_?(\d*)(\^?)", name, re.DOTALL).groups()  # type: ignore[union-attr]
        text = self.letter(stem) if stem else name
        text = self.hat(text) if hat else text
        return self.index(text, index) if index and stem else text

    def leaf(self, leaf: Leaf) -> str:
        text = self.symbol(leaf.id)
        if leaf.transposed:
            text = self.transposed(self.bracketed(text) if _gradient(leaf.id) else text)
        return self.shaped(text, np.shape(leaf.value))

    def entry(self, of: ast.expr, index: str) -> str:
        text = self.symbol(of.id) if isinstance(of, Leaf) else self(of)
        return self.subscript(self.bracketed(text) if isinstance(of, Leaf) and _gradient(of.id) else text, index)

    def part(self, of: str, index: str) -> str:
        return self.subscript(of, f"[{index}]")

    def transposed(self, of: str) -> str:
        return self.superscript(of, self.top)

    def over(self, letter: str) -> str:
        return self.function("sum", letter) + self.sign("")

    def call(self, name: str, axes: str, args: Sequence[str]) -> str:
        if name == "sqrt":
            return self.root(args[0])
        return (
            self.bracketed(args[0], "||")
            if name == "abs"
            else self.function(name, axes) + self.bracketed(self.comma.join(args))
        )

    def power(self, base: ast.expr, exponent: ast.expr, numeric: bool) -> str:
        closed = isinstance(base, Leaf) and _gradient(base.id)
        return self.superscript(self.bracketed(self(base)) if closed else self.within(base, WHOLE), self(exponent))

    def quotient(self, left: ast.expr, right: ast.expr) -> str:
        if isinstance(left, ast.UnaryOp):
            return self.sign("minus") + self.quotient(left.operand, right)
        return self.fraction(self(left), self(right))

    def within(self, node: ast.expr, strength: int, *, right: bool = False) -> str:
        """Return an operand, in brackets if it needs them; a fraction needs none, but as the base of a power."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and strength < WHOLE:
            return self(node)
        return super().within(node, strength, right=right)

    def inline(self, sign: str) -> str:
        """Return a sign of the legend within a sentence: ``*``, ``sum_2`` or ``[a > b]``."""
        name, _, axes = sign.partition("_")
        axes = axes if re.fullmatch(r"[-\d,]+|last", axes) else ""
        if sign == "*":
            return self.whole(self.sign("times").strip())
        return self.whole(self.function(name, axes) if axes else self.word(sign) if "(" in sign else sign)

    # What MathML writes differently.

    def whole(self, formula: str) -> str:
        return f"${formula}$"

    def letter(self, stem: str) -> str:
        return f"\\{stem}" if stem in GREEK else stem if len(stem) == 1 else rf"\mathrm{{{_escaped(stem)}}}"

    def word(self, text: str) -> str:
        return rf"\mathtt{{{_escaped(text)}}}"

    def hat(self, text: str) -> str:
        return rf"\hat{{{text}}}"

    def index(self, text: str, index: str) -> str:
        return f"{text}_{index}" if len(index) == 1 else self.subscript(text, index)

    def subscript(self, text: str, index: str) -> str:
        closed = f"{{{text}}}" if re.search(r"_(\w|\{[^{}]*\})$", text) else text
        return f"{closed}_{{{_escaped(index)}}}"

    def superscript(self, text: str, power: str) -> str:
        return f"{text}^{power}" if power == self.top else f"{text}^{{{power}}}"

    def fraction(self, above: str, below: str) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def root(self, text: str) -> str:
        return rf"\sqrt{{{text}}}"

    def shaped(self, text: str, shape: tuple[int, ...]) -> str:
        return rf"\underset{{{self.between.join(map(str, shape))}}}{{{text}}}" if shape else text

    def function(self, name: str, axes: str) -> str:
        written = self.functions.get(name, rf"\operatorname{{{_escaped(name)}}}")
        return written + (f"_{{{axes}}}" if axes else "")

    def bracketed(self, text: str, kind: str = "()") -> str:
        return rf"\left{kind[0]}{text}\right{kind[1]}"

    def note(self, text: str) -> str:
        return _escaped(text).replace("->", r"$\to$")

    def matrix(self, rows: Any) -> str:
        inner = r" \\ ".join(" & ".join(f"{value:.4g}" for value in row) for row in rows)
        return rf"\begin{{pmatrix}} {inner} \end{{pmatrix}}"


class MathML(LaTeX):
    """Formulas as MathML."""

    minus = "\N{MINUS SIGN}"
    signs: Mapping[str, str] = {
        "times": "⊙",
        "number": "⋅",
        "minus": minus,
        "-": minus,
        ">=": "≥",
        "<=": "≤",
        "!=": "≠",
    }
    functions: Mapping[str, str] = {"sigmoid": "\N{GREEK SMALL LETTER SIGMA}", "ndtr": "\N{GREEK CAPITAL LETTER PHI}"}
    partial, top, dots, comma = "<mo>∂</mo>", "<mo>\N{DOWN TACK}</mo>", "<mo>⋯</mo>", "<mo>,</mo>"
    between = "\N{MULTIPLICATION SIGN}"

    def whole(self, formula: str) -> str:
        return f"<math displaystyle='true'>{formula}</math>" if formula else ""

    def inline(self, sign: str) -> str:
        return html.escape(sign) if sign.startswith("[") else super().inline(sign)

    def sign(self, sign: str) -> str:
        return f"<mo>{html.escape(self.signs.get(sign, sign))}</mo>" if sign else "<mspace width='0.25em'></mspace>"

    def number(self, value: Any) -> str:
        return f"<mn>{super().number(value).replace('-', self.minus)}</mn>"

    def letter(self, stem: str) -> str:
        return f"<mi>{html.unescape(f'&{stem};') if stem in GREEK else html.escape(stem)}</mi>"

    def word(self, text: str) -> str:
        return f"<mtext>{html.escape(text)}</mtext>"

    def hat(self, text: str) -> str:
        return f"<mover accent='true'>{text}<mo>^</mo></mover>"

    def index(self, text: str, index: str) -> str:
        return f"<msub>{text}<mn>{index}</mn></msub>"

    def subscript(self, text: str, index: str) -> str:
        return f"<msub>{_row(text)}{self.word(index)}</msub>"

    def superscript(self, text: str, power: str) -> str:
        return f"<msup>{_row(text)}{_row(power)}</msup>"

    def fraction(self, above: str, below: str) -> str:
        return f"<mfrac>{_row(above)}{_row(below)}</mfrac>"

    def root(self, text: str) -> str:
        return f"<msqrt>{text}</msqrt>"

    def shaped(self, text: str, shape: tuple[int, ...]) -> str:
        return f"<munder>{_row(text)}{self.word(self.between.join(map(str, shape)))}</munder>" if shape else text

    def function(self, name: str, axes: str) -> str:
        if name == "sum":
            return f"<munder><mo>∑</mo>{self.word(re.sub('<.*?>', '', axes))}</munder>" if axes else "<mo>∑</mo>"
        written = f"<mi>{self.functions.get(name) or html.escape(name)}</mi>"
        return self.subscript(written, axes) if axes else written

    def bracketed(self, text: str, kind: str = "()") -> str:
        return _row(f"<mo>{kind[0]}</mo>{text}<mo>{kind[1]}</mo>")

    def matrix(self, rows: Any) -> str:
        short = MathML(digits=4)
        cells = ("".join(f"<mtd>{short.number(value)}</mtd>" for value in row) for row in rows)
        return self.bracketed(f"<mtable>{''.join(f'<mtr>{row}</mtr>' for row in cells)}</mtable>")


def _gradient(symbol: str) -> re.Match[str] | None:
    """Return the match of L and u1 in ``dL/du1``; None if it is no gradient."""
    return re.fullmatch(r"d([^/]+)/d(.+)", symbol)


def _row(markup: str) -> str:
    return f"<mrow>{markup}</mrow>"


def _escaped(text: str) -> str:
    for sign in "_&%#$":
        text = text.replace(sign, "\\" + sign)
    return text
