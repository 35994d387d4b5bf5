"""Formulas as LaTeX and as MathML: variants of the printer, which differ in a table of forms."""

import ast
import html
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.diagnostics.formulas.printing import DOTS, MATRICES, WHOLE, Text
from nnlite.diagnostics.formulas.tree import Leaf

GREEK = set(
    """alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi chi psi omega
    Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega""".split()  # noqa: SIM905
)
_MINUS = "\N{MINUS SIGN}"
_BRACKETS = "border:solid;border-width:0 1px;border-radius:0.5em;padding:0 0.2em"  # signs stretch in some fonts only
_ROWS, _TOP = "<mrow>%s</mrow><mrow>%s</mrow>", "<mrow><mo>\N{DOWN TACK}</mo></mrow>"
FORMS = {  # in LaTeX, and in MathML
    "whole": ("$%s$", "<math displaystyle='true'>%s</math>"),
    "word": (r"\mathtt{%s}", "<mtext>%s</mtext>"),
    "letters": (r"\mathrm{%s}", "<mi>%s</mi>"),
    "hat": (r"\hat{%s}", "<mover accent='true'>%s<mo>^</mo></mover>"),
    "root": (r"\sqrt{%s}", "<msqrt>%s</msqrt>"),
    "fraction": (r"\frac{%s}{%s}", f"<mfrac>{_ROWS}</mfrac>"),
    "power": ("%s^{%s}", f"<msup>{_ROWS}</msup>"),
    "transpose": (r"%s^\top", f"<msup><mrow>%s</mrow>{_TOP}</msup>"),
    "digit": ("%s_%s", "<msub>%s<mn>%s</mn></msub>"),
    "digits": ("%s_{%s}", "<msub>%s<mn>%s</mn></msub>"),
    "index": ("%s_{%s}", "<msub><mrow>%s</mrow><mtext>%s</mtext></msub>"),
    "below": ("%s_{%s}", "<munder>%s<mtext>%s</mtext></munder>"),
    "shape": (r"\underset{%(shape)s}{%(of)s}", "<munder><mrow>%(of)s</mrow><mtext>%(shape)s</mtext></munder>"),
    "brackets": (r"\left%s%s\right%s", "<mrow><mo>%s</mo>%s<mo>%s</mo></mrow>"),
    "matrix": (r"\begin{pmatrix} %s \end{pmatrix}", f"<mtable style='{_BRACKETS}'>%s</mtable>"),
    "row": ("%s", "<mtr>%s</mtr>"),
    "cell": ("%s", "<mtd>%s</mtd>"),
    "next row": (r" \\ ", ""),
    "next cell": (" & ", ""),
    "operator": (r"\operatorname{%s}", "<mi>%s</mi>"),
    "times": (r" \odot ", "<mo>⊙</mo>"),
    "number": (r" \cdot ", "<mo>⋅</mo>"),
    "": (" ", "<mspace width='0.25em'></mspace>"),
    "minus": ("-", f"<mo>{_MINUS}</mo>"),
    "-": (" - ", f"<mo>{_MINUS}</mo>"),
    ">=": (r" \geq ", "<mo>≥</mo>"),
    "<=": (r" \leq ", "<mo>≤</mo>"),
    "!=": (r" \neq ", "<mo>≠</mo>"),
    ",": (", ", "<mo>,</mo>"),
    "by": (r" \times ", "\N{MULTIPLICATION SIGN}"),
    "partial": (r"\partial ", "<mo>∂</mo>"),
    DOTS: (r"\cdots", "<mo>⋯</mo>"),
}
FUNCTIONS = {  # that have a sign of their own
    **{name: ("\\" + name, f"<mi>{name}</mi>") for name in ("tanh", "exp", "log", "max", "min", "sin", "cos")},
    "sum": (r"\sum", "<mo>∑</mo>"),
    "sigmoid": (r"\sigma", "<mi>\N{GREEK SMALL LETTER SIGMA}</mi>"),
    "ndtr": (r"\Phi", "<mi>Φ</mi>"),
}


class LaTeX(Text):
    r"""Formulas as LaTeX: ``\frac{\partial L}{\partial W_1} = X^\top \frac{\partial L}{\partial u_1}``.

    Symbols are taken apart: final digits are an index, ``^`` is a hat, ``dL/du1`` a fraction.
    """

    column, space = 0, " "  # of FORMS; behind a left side
    after_scalar = MATRICES

    def form(self, name: str, *parts: str) -> str:
        """Return the parts in one of the forms."""
        return FORMS[name][self.column] % parts

    def escaped(self, text: str) -> str:
        return re.sub(r"([_&%#$])", r"\\\1", text)

    def sign(self, sign: str) -> str:
        return self.form(sign) if sign in FORMS else f" {sign} "

    def word(self, text: str) -> str:
        return self.form("word", self.escaped(text))

    def symbol(self, name: str) -> str:
        if gradient := _gradient(name):
            return self.form("fraction", *[self.sign("partial") + self.symbol(part) for part in gradient.groups()])
        if name == DOTS:
            return self.sign(DOTS)
        stem, index, hat = re.fullmatch(r"(.*?)_?(\d*)(\^?)", name, re.DOTALL).groups()  # type: ignore[union-attr]
        text = self.letter(stem) if stem else name
        text = self.form("hat", text) if hat else text
        return self.form("digit" if len(index) == 1 else "digits", text, index) if index and stem else text

    def letter(self, stem: str) -> str:
        one = "\\" + stem if stem in GREEK else stem if len(stem) == 1 else ""
        return one or self.form("letters", self.escaped(stem))

    def leaf(self, leaf: Leaf) -> str:
        text, shape = self.symbol(leaf.id), np.shape(leaf.value)
        if leaf.transposed:
            text = self.transposed(self.bracketed(text) if _gradient(leaf.id) else text)
        sizes = self.sign("by").join(map(str, shape))
        return FORMS["shape"][self.column] % {"of": text, "shape": sizes} if shape else text

    def entry(self, of: ast.expr, index: str) -> str:
        text = self.symbol(of.id) if isinstance(of, Leaf) else self(of)
        return self.part(self.bracketed(text) if isinstance(of, Leaf) and _gradient(of.id) else text, index, "%s")

    def part(self, of: str, index: str, around: str = "[%s]") -> str:
        closed = f"{{{of}}}" if re.search(r"_(\w|\{[^{}]*\})$", of) else of
        return self.form("index", closed, self.escaped(around % index))

    def transposed(self, of: str) -> str:
        return self.form("transpose", of)

    def function(self, name: str, axes: str) -> str:
        known = FUNCTIONS.get(name)
        written = known[self.column] if known else self.form("operator", self.escaped(name))
        return self.form("below" if name == "sum" else "index", written, axes) if axes else written

    def over(self, letter: str) -> str:
        return self.function("sum", letter) + self.sign("")

    def call(self, name: str, axes: str, args: Sequence[str]) -> str:
        if name in ("sqrt", "abs"):
            return self.form("root", args[0]) if name == "sqrt" else self.bracketed(args[0], "||")
        return self.function(name, axes) + self.bracketed(self.sign(",").join(args))

    def power(self, base: ast.expr, exponent: ast.expr, numeric: bool) -> str:
        closed = isinstance(base, Leaf) and _gradient(base.id)
        return self.form("power", self.bracketed(self(base)) if closed else self.within(base, WHOLE), self(exponent))

    def quotient(self, left: ast.expr, right: ast.expr) -> str:
        if isinstance(left, ast.UnaryOp):
            return self.sign("minus") + self.quotient(left.operand, right)
        return self.form("fraction", self(left), self(right))

    def within(self, node: ast.expr, strength: int, *, right: bool = False) -> str:
        """Return an operand, in brackets if it needs them; a fraction needs none, but as the base of a power."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and strength < WHOLE:
            return self(node)
        return super().within(node, strength, right=right)

    def bracketed(self, text: str, kind: str = "()") -> str:
        return self.form("brackets", kind[0], text, kind[1])

    def inline(self, sign: str) -> str:
        name, _, axes = sign.partition("_")
        if sign == "*":
            return self.whole(self.sign("times").strip())
        if re.fullmatch(r"[-\d,]+|last", axes):
            return self.whole(self.function(name, axes))
        return self.whole(self.word(sign) if "(" in sign else sign)

    def whole(self, formula: str) -> str:
        """Return a formula as it stands in a page."""
        return self.form("whole", formula) if formula else ""

    def note(self, text: str) -> str:
        """Return the place of a layer, which stands beside a formula."""
        return self.escaped(text).replace("->", r"$\to$")

    def matrix(self, rows: Any) -> str:
        """Return a matrix of numbers."""
        short = type(self)(digits=4)
        cells = [self.form("next cell").join(self.form("cell", short.number(one)) for one in row) for row in rows]
        return self.form("matrix", self.form("next row").join(self.form("row", row) for row in cells))


class MathML(LaTeX):
    """Formulas as MathML, which browsers typeset without a script."""

    column, space = 1, ""

    def escaped(self, text: str) -> str:
        return html.escape(text)

    def sign(self, sign: str) -> str:
        return self.form(sign) if sign in FORMS else f"<mo>{html.escape(sign)}</mo>"

    def number(self, value: Any) -> str:
        return f"<mn>{super().number(value).replace('-', _MINUS)}</mn>"

    def letter(self, stem: str) -> str:
        return f"<mi>{html.unescape(f'&{stem};') if stem in GREEK else html.escape(stem)}</mi>"

    def inline(self, sign: str) -> str:
        return html.escape(sign) if sign.startswith("[") else super().inline(sign)

    def note(self, text: str) -> str:
        return html.escape(text)


def _gradient(symbol: str) -> re.Match[str] | None:
    """Return the match of L and u1 in ``dL/du1``; None if it is no gradient."""
    return re.fullmatch(r"d([^/]+)/d(.+)", symbol)
