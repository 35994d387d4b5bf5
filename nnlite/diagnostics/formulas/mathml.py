"""Formulas as MathML, which browsers typeset without a script."""

import ast
import html
from collections.abc import Mapping, Sequence
from typing import Any

from nnlite.diagnostics.formulas.printing import (
    GREEK,
    WHOLE,
    LaTeX,
    gradient_parts,
    number_text,
    parts_of_symbol,
)
from nnlite.diagnostics.formulas.tree import Leaf

MINUS, TIMES, TOP = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{DOWN TACK}"


class MathML(LaTeX):
    """Formulas as MathML."""

    signs: Mapping[str, str] = {
        "times": "⊙",
        "": "",
        "minus": MINUS,
        "-": MINUS,
        "number": "⋅",
        ">=": "≥",
        "<=": "≤",
        "!=": "≠",
    }
    functions: Mapping[str, str] = {
        "sigmoid": "\N{GREEK SMALL LETTER SIGMA}",
        "ndtr": "\N{GREEK CAPITAL LETTER PHI}",
        "sum": "∑",
    }

    def sign(self, sign: str) -> str:
        written = self.signs.get(sign, sign)
        return f"<mo>{html.escape(written)}</mo>" if written else "<mspace width='0.25em'></mspace>"

    def number(self, value: Any) -> str:
        return f"<mn>{number_text(value).replace('-', MINUS)}</mn>"

    def symbol(self, name: str) -> str:
        if parts := gradient_parts(name):
            above, below = (_row("<mo>∂</mo>" + self.symbol(part)) for part in parts)
            return f"<mfrac>{above}{below}</mfrac>"
        stem, index, hat = parts_of_symbol(name)
        text = f"<mi>{html.unescape(f'&{stem};') if stem in GREEK else html.escape(stem)}</mi>"
        text = f"<mover accent='true'>{text}<mo>^</mo></mover>" if hat else text
        return f"<msub>{text}<mn>{index}</mn></msub>" if index else text

    def word(self, text: str) -> str:
        return f"<mtext>{html.escape(text)}</mtext>"

    def shaped(self, text: str, shape: tuple[int, ...]) -> str:
        return f"<munder>{_row(text)}<mtext>{TIMES.join(map(str, shape))}</mtext></munder>" if shape else text

    def entry(self, of: ast.expr, index: str) -> str:
        text = self.symbol(of.id) if isinstance(of, Leaf) else self(of)
        closed = isinstance(of, Leaf) and (gradient_parts(of.id) or parts_of_symbol(of.id)[1])
        return self.part(self.bracketed(text) if closed else text, index)

    def part(self, of: str, index: str) -> str:
        return f"<msub>{_row(of)}<mtext>{html.escape(index)}</mtext></msub>"

    def transposed(self, of: str) -> str:
        return f"<msup>{_row(of)}<mo>{TOP}</mo></msup>"

    def over(self, letter: str) -> str:
        return f"<munder><mo>∑</mo>{letter}</munder>"

    def call(self, name: str, axes: str, args: Sequence[str]) -> str:
        if name == "sqrt":
            return f"<msqrt>{args[0]}</msqrt>"
        if name == "abs":
            return f"<mo>|</mo>{args[0]}<mo>|</mo>"
        return self.function(name, axes) + self.bracketed("<mo>,</mo>".join(args))

    def function(self, name: str, axes: str) -> str:
        written = f"<mi>{self.functions.get(name) or html.escape(name)}</mi>"
        return f"<msub>{written}<mtext>{axes}</mtext></msub>" if axes else written

    def power(self, base: ast.expr, exponent: ast.expr, numeric: bool) -> str:
        closed = isinstance(base, Leaf) and gradient_parts(base.id)
        text = self.bracketed(self(base)) if closed else self.within(base, WHOLE)
        return f"<msup>{_row(text)}{_row(self(exponent))}</msup>"

    def quotient(self, left: ast.expr, right: ast.expr) -> str:
        if isinstance(left, ast.UnaryOp):
            return self.sign("minus") + self.quotient(left.operand, right)
        return f"<mfrac>{_row(self(left))}{_row(self(right))}</mfrac>"

    def bracketed(self, text: str, kind: str = "()") -> str:
        return _row(f"<mo>{kind[0]}</mo>{text}<mo>{kind[1]}</mo>")

    def inline(self, sign: str) -> str:
        return self.whole(self.of_legend(sign))

    def of_legend(self, sign: str) -> str:
        return super().of_legend(sign) if sign[-1].isdigit() or sign == "*" else self.word(sign)

    def matrix(self, rows: list[list[str]]) -> str:
        cells = ("".join(f"<mtd><mn>{cell}</mn></mtd>" for cell in row) for row in rows)
        return self.bracketed(f"<mtable>{''.join(f'<mtr>{row}</mtr>' for row in cells)}</mtable>")

    def whole(self, markup: str) -> str:
        """Return a formula as an element of a page."""
        return f"<math displaystyle='true'>{markup}</math>" if markup else ""


def _row(markup: str) -> str:
    return f"<mrow>{markup}</mrow>"
