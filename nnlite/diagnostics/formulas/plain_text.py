"""Formulas as plain text: ``dL/dW1 = X^T dL/du1``. ``*`` is elementwise; a matrix product has no sign."""

from typing import NamedTuple

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

SUM, MINUS, PRODUCT, MATRICES, POWER, WHOLE = range(6)  # precedence of operators


class Piece(NamedTuple):
    """A piece of text, and the shape to print below it.

    >>> Piece("X", (4, 3)).text
    'X'
    """

    text: str
    shape: tuple[int, ...] | None = None


Pieces = list[Piece]


def plain(reading: Reading) -> str:
    """Return a term as text.

    >>> plain(BinaryOperation("+", Number(1), Number(2)))
    '1 + 2'
    """
    return "".join(piece.text for piece in pieces(reading))


def pieces(reading: Reading) -> Pieces:
    """Return the text in pieces, each with its shape.

    >>> pieces(Negated(Number(1)))
    [Piece(text='-', shape=None), Piece(text='1', shape=None)]
    """
    match reading:
        case Number(value=value):
            return [Piece(number_text(value))]
        case Factor(symbol=name, transposed=transposed):
            closed = f"({name.plain})" if transposed and not name.plain.isalnum() else name.plain
            return [Piece(closed + "^T" * transposed, reading.shape)]
        case Entry(factor=factor):
            return [Piece(f"{factor.symbol.plain}[{entry_index(reading)}]")]
        case Over(letter=letter, of=of):
            return [Piece(f"sum_{letter} "), *within(of, PRODUCT)]
        case Negated(of=of):
            return [Piece("-"), *within(of, PRODUCT)]
        case Relation(sign=sign, left=left, right=right):
            return [Piece("["), *pieces(left), Piece(f" {sign} "), *pieces(right), Piece("]")]
        case Part(of=of, number=n):
            return [*within(of, WHOLE), Piece(f"[{n}]")]
        case Applied(function="T", of=(of,)):
            return [*within(of, WHOLE), Piece("^T")]
        case Applied(function=function, of=of, axes=axes):
            listed = [piece for each in of for piece in (Piece(", "), *pieces(each))][1:]
            return [Piece(f"{function}{index(axes)}("), *listed, Piece(")")]
        case BinaryOperation(sign="^", left=left, right=right):
            hat = isinstance(left, Factor) and not left.symbol.plain.isalnum()
            power = "**" if is_numeric(reading) else "^"
            return [*(bracketed(left) if hat else within(left, WHOLE)), Piece(power), *within(right, WHOLE)]
        case BinaryOperation(sign="+" | "-" as sign, left=left, right=right):
            return [*within(left, SUM), Piece(f" {sign} "), *within(right, SUM if sign == "+" else PRODUCT, right=True)]
        case BinaryOperation(sign="@" | ".", left=left, right=right):
            return [*within(left, MATRICES), Piece(" "), *within(right, MATRICES, right=True)]
        case BinaryOperation(sign="/", left=left, right=right):
            slash = "/" if is_scalar(left) and is_scalar(right) else " / "
            return [*within(left, MINUS), Piece(slash), *within(right, MATRICES, right=True)]
        case BinaryOperation(left=left, right=right):
            times = " " if is_scalar(left) and not is_numeric(right) else " * "
            first = PRODUCT if isinstance(left, Number) else MINUS
            return [
                *within(left, first),
                Piece(times),
                *within(right, PRODUCT if times == " * " else POWER, right=True),
            ]


def within(reading: Reading, strength: int, *, right: bool = False) -> Pieces:
    """Return the text, in brackets if its precedence is below ``strength``.

    >>> "".join(piece.text for piece in within(BinaryOperation("+", Number(1), Number(2)), PRODUCT))
    '(1 + 2)'
    """
    negative = isinstance(reading, Negated) or (isinstance(reading, Number) and reading.value < 0)
    loose = strength_of(reading) < strength or (right and negative)
    return bracketed(reading) if loose else pieces(reading)


def bracketed(reading: Reading) -> Pieces:
    """Return the text in brackets.

    >>> "".join(piece.text for piece in bracketed(Number(1)))
    '(1)'
    """
    return [Piece("("), *pieces(reading), Piece(")")]


def strength_of(reading: Reading) -> int:
    """Return the precedence of a term.

    >>> strength_of(Number(1)) > strength_of(Negated(Number(1)))
    True
    """
    match reading:
        case Negated():
            return MINUS
        case BinaryOperation(sign="+" | "-") | Over():
            return SUM
        case BinaryOperation(sign="*" | "/"):
            return PRODUCT
        case BinaryOperation(sign="@" | "."):
            return MATRICES
        case BinaryOperation():
            return POWER
        case Number(value=value) if value < 0:
            return MINUS
    return WHOLE


def index(axes: tuple[int, ...] | None) -> str:
    """Return the axes of a sum as an index, counted from 1 as in mathematics.

    >>> index((0,)), index(None), index((-1,))
    ('_1', '', '_last')
    """
    if axes is None:
        return ""
    return "_" + ",".join("last" if axis == -1 else str(axis + 1) if axis >= 0 else str(axis) for axis in axes)


def entry_index(entry: Entry) -> str:
    """Return the index of an entry, in the factor's own axes.

    >>> from nnlite.diagnostics.formulas.symbols import symbol
    >>> entry_index(Entry(Factor(symbol("X"), transposed=True), ("i", "n")))
    'n,i'
    """
    index = entry.index
    return ",".join(map(str, (*index[:-2], *reversed(index[-2:])) if entry.factor.transposed else index))


def number_text(value: float) -> str:
    """Return a number as formulas show it.

    >>> number_text(2), number_text(0.5), number_text(1 / 3)
    ('2', '0.5', '0.333333')
    """
    return str(value) if isinstance(value, bool) else f"{value:.6g}"


def lines(*parts: Piece) -> list[str]:
    r"""Return the line of text and, if there are shapes, a line with each of them below its symbol.

    >>> print(*lines(Piece("X", (4, 3)), Piece(" "), Piece("W1", (3, 2))), sep="\n")
    X     W1
    (4,3) (3,2)
    """
    text, under = "", ""
    for part in parts:
        if part.shape:
            space = len(under) + 1 - len(text) if under else 0
            if space > 0:  # the shape before it is too wide: move the word to the right
                place = text.rfind(" ") + 1
                text = text[:place] + " " * space + text[place:]
            under = under.ljust(len(text)) + f"({','.join(map(str, part.shape))})"
        text += part.text
    return [text, under] if under else [text]
