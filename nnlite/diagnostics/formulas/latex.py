r"""Formulas as LaTeX: ``\frac{\partial L}{\partial W_1} = X^\top \frac{\partial L}{\partial u_1}``."""

from nnlite.diagnostics.formulas.plain_text import (
    MATRICES,
    MINUS,
    PRODUCT,
    SUM,
    WHOLE,
    entry_index,
    index,
    number_text,
    strength_of,
)
from nnlite.diagnostics.formulas.terms import (
    Applied,
    BinaryOperation,
    Entry,
    Factor,
    Negated,
    Number,
    Over,
    Part,
    Reading,
    Relation,
    is_numeric,
    is_scalar,
)

FUNCTIONS = {
    "tanh": r"\tanh",
    "exp": r"\exp",
    "log": r"\log",
    "max": r"\max",
    "min": r"\min",
    "sin": r"\sin",
    "cos": r"\cos",
    "sigmoid": r"\sigma",
    "ndtr": r"\Phi",
    "sum": r"\sum",
}
RELATIONS = {">=": r"\geq", "<=": r"\leq", "!=": r"\neq"}


def latex(reading: Reading) -> str:
    r"""Return a term as LaTeX.

    >>> latex(BinaryOperation("/", Number(1), Number(2)))
    '\\frac{1}{2}'
    """
    match reading:
        case Number(value=value):
            return number_text(value)
        case Factor():
            return _factor(reading)
        case Entry(factor=factor):
            text = factor.symbol.latex
            text = rf"\left({text}\right)" if _is_fraction(factor) else text if "_" not in text else f"{{{text}}}"
            return f"{text}_{{{entry_index(reading)}}}"
        case Over(letter=letter, of=of):
            return rf"\sum_{{{letter}}} {_within(of, PRODUCT)}"
        case Negated(of=of):
            return f"-{_within(of, PRODUCT)}"
        case Relation(sign=sign, left=left, right=right):
            return rf"\left[{latex(left)} {RELATIONS.get(sign, sign)} {latex(right)}\right]"
        case Part(of=of, number=n):
            return rf"{_within(of, WHOLE)}_{{[{n}]}}"
        case Applied(function="T", of=(of,)):
            return rf"{_within(of, WHOLE)}^\top"
        case Applied(function="sqrt", of=(of,)):
            return rf"\sqrt{{{latex(of)}}}"
        case Applied(function="abs", of=(of,)):
            return rf"\left|{latex(of)}\right|"
        case Applied(function=function, of=of, axes=axes):
            axis = index(axes).removeprefix("_")
            name = FUNCTIONS.get(function, rf"\operatorname{{{function.replace('_', chr(92) + '_')}}}")
            name += f"_{{{axis}}}" if axis else ""
            return rf"{name}\left({', '.join(map(latex, of))}\right)"
        case BinaryOperation():
            return _operation(reading)


def _operation(reading: BinaryOperation) -> str:
    left, right = reading.left, reading.right
    match reading.sign:
        case "+":
            return f"{latex(left)} + {_within(right, SUM, right=True)}"
        case "-":
            return f"{latex(left)} - {_within(right, PRODUCT, right=True)}"
        case "@" | ".":
            return f"{_within(left, MATRICES)} {_within(right, MATRICES, right=True)}"
        case "^":
            base = _bracketed(left) if _is_fraction(left) else _within(left, WHOLE)
            return f"{base}^{{{latex(right)}}}"
        case "/" if isinstance(left, Negated):
            return rf"-\frac{{{latex(left.of)}}}{{{latex(right)}}}"
        case "/":
            return rf"\frac{{{latex(left)}}}{{{latex(right)}}}"
    if is_numeric(right):
        return rf"{_within(left, PRODUCT)} \cdot {_within(right, PRODUCT, right=True)}"
    if is_scalar(left):
        return f"{_within(left, MINUS)} {_within(right, MATRICES, right=True)}"
    return rf"{_within(left, MINUS)} \odot {_within(right, PRODUCT, right=True)}"


def _factor(factor: Factor) -> str:
    text = factor.symbol.latex
    if factor.transposed:
        text = (rf"\left({text}\right)" if _is_fraction(factor) else text) + r"^\top"
    if not factor.shape:
        return text
    shape = r" \times ".join(map(str, factor.shape))
    return rf"\underset{{{shape}}}{{{text}}}"


def _is_fraction(reading: Reading) -> bool:
    return isinstance(reading, Factor) and reading.symbol.latex.startswith(r"\frac")


def _within(reading: Reading, strength: int, *, right: bool = False) -> str:
    """Return the LaTeX, in brackets if its precedence is below ``strength``; a fraction needs none."""
    if isinstance(reading, BinaryOperation) and reading.sign == "/":
        return latex(reading)
    negative = isinstance(reading, Negated) or (isinstance(reading, Number) and reading.value < 0)
    loose = strength_of(reading) < strength or (right and negative)
    return _bracketed(reading) if loose else latex(reading)


def _bracketed(reading: Reading) -> str:
    return rf"\left({latex(reading)}\right)"
