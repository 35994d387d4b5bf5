"""The tree of a formula in mathematical notation: symbols, operators and functions."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from nnlite.diagnostics.formulas.symbols import Symbol


@dataclass(frozen=True)
class Number:
    """A number in a formula.

    >>> Number(2).value
    2
    """

    value: float


@dataclass(frozen=True, eq=False)
class Factor:
    """A symbol, and the value of its array in the formula, if that is known.

    >>> Factor(Symbol("X", "X"), np.zeros((4, 3))).shape
    (4, 3)
    """

    symbol: Symbol
    array: Any = None
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of the array."""
        return None if self.array is None else np.shape(self.array)


@dataclass(frozen=True)
class Negated:
    """``-of``.

    >>> Negated(Number(1)).of
    Number(value=1)
    """

    of: "Reading"


@dataclass(frozen=True)
class BinaryOperation:
    """Two operands of ``+ - * / ^``, ``@``, the matrix product, or ``.``, a product with vectors in the last axes.

    >>> BinaryOperation("+", Number(1), Number(2)).sign
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
    """A function of its arguments, over some axes; ``T`` is the transpose.

    >>> Applied("tanh", (Factor(Symbol("u1", "u1")),)).function
    'tanh'
    """

    function: str
    of: "tuple[Reading, ...]"
    axes: tuple[int, ...] | None = None  # of a sum or mean; None for all
    keeps_axes: bool = False  # as NumPy's keepdims


@dataclass(frozen=True)
class Part:
    """One of several values: ``of[number]``.

    >>> Part(Factor(Symbol("u1", "u1")), 0).number
    0
    """

    of: "Reading"
    number: int


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of a factor; its index has numbers and letters.

    >>> Entry(Factor(Symbol("X", "X")), ("n", 2)).index
    ('n', 2)
    """

    factor: Factor
    index: tuple[int | str, ...]


@dataclass(frozen=True)
class Over:
    """The sum over a letter from 0 to ``size - 1``; ``size`` is None if it is unknown.

    >>> Over("n", 4, Number(1)).size
    4
    """

    letter: str
    size: int | None
    of: "Reading"


Reading = Entry | Over | Number | Factor | Negated | BinaryOperation | Relation | Applied | Part


def joined(sign: str, left: Reading, right: Reading) -> Reading:
    """Return ``left sign right``, simplified: without products with 1 and divisions by 1.

    >>> joined("*", Number(1), Number(3)), joined("/", Number(2), Number(1))
    (Number(value=3), Number(value=2))
    """
    if sign in "*@." and left == Number(1):
        return right
    if sign in "*/@." and right == Number(1):
        return left
    if sign == "*" and is_scalar(right) and not is_scalar(left):
        return joined(sign, right, left)
    if sign == "*" and left in (Number(-1), Negated(Number(1))):
        return Negated(right)
    return BinaryOperation(sign, left, right)


def parts_of(reading: Reading) -> Iterator[Reading]:
    """Yield a term and everything in it.

    >>> [type(part).__name__ for part in parts_of(Negated(Number(1)))]
    ['Negated', 'Number']
    """
    yield reading
    for part in fields(reading):
        value = getattr(reading, part.name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Reading):
                yield from parts_of(each)


def turned(of: Reading, array: Any = None) -> Reading:
    """Return the transpose; ``array`` is its value, not needed for a vector.

    >>> turned(Factor(Symbol("X", "X"))).transposed
    True
    """
    if not isinstance(of, Factor):
        return Applied("T", (of,))
    return replace(of, array=of.array if array is None else array, transposed=not of.transposed)


def is_numeric(reading: Reading) -> bool:
    """Return whether it has only numbers, so that every product is written with a sign, as in Python.

    >>> is_numeric(joined("+", Number(1), Number(2))), is_numeric(Factor(Symbol("X", "X")))
    (True, False)
    """
    return not any(isinstance(part, Factor | Entry | Over | Part) for part in parts_of(reading))


def is_scalar(reading: Reading) -> bool:
    """Return whether it is certainly a single number, so that a product with it needs no sign.

    >>> is_scalar(joined("/", Number(1), Factor(Symbol("N", "N", scalar=True))))
    True
    """
    match reading:
        case Number() | Entry():
            return True
        case Factor():
            return reading.symbol.scalar
        case Negated(of=of):
            return is_scalar(of)
        case BinaryOperation(left=left, right=right):
            return is_scalar(left) and is_scalar(right)
    return False
