"""One entry of a gradient, written out as a sum of products."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np

from nnlite.diagnostics.formulas.terms import (
    Applied,
    BinaryOperation,
    Entry,
    Factor,
    Negated,
    Number,
    Over,
    Reading,
    Relation,
    joined,
)

Index = tuple[int | str, ...]

SIGNS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
}
ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "tanh": np.tanh,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "max": np.maximum,
    "min": np.minimum,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "ndtr": NormalDist().cdf,
}
LETTERS = "nklmpqrstuvw"


def entry(reading: Reading, index: Index) -> Reading:
    """Return the entry at ``index`` as a formula in entries of the factors.

    Raises:
        NotImplementedError: the formula rearranges entries.

    >>> from nnlite.diagnostics.formulas.plain_text import plain
    >>> from nnlite.diagnostics.formulas.symbols import symbol
    >>> product = BinaryOperation("@", Factor(symbol("X"), transposed=True), Factor(symbol("dY")))
    >>> plain(entry(product, ("i", "j")))
    'sum_n X[n,i] dY[n,j]'
    """
    shape = shape_of(reading)
    missing = 0 if shape is None else len(shape) - len(index)
    places = list(index)
    for axis, size in enumerate(shape or ()):  # axes that exist only for a product with a vector
        if missing > 0 and size == 1:
            places.insert(axis, 0)
            missing -= 1
    return _entry(reading, tuple(places), _Letters())


def written_out(reading: Reading) -> list[Reading]:
    """Return the terms of the sum in an entry; a sum of unknown size stays one term.

    >>> from nnlite.diagnostics.formulas.plain_text import plain
    >>> from nnlite.diagnostics.formulas.symbols import symbol
    >>> [plain(term) for term in written_out(Over("n", 2, Entry(Factor(symbol("X")), ("n", 3))))]
    ['X[0,3]', 'X[1,3]']
    """
    match reading:
        case Over(letter=letter, size=size, of=of) if size is not None:
            return [term for n in range(size) for term in written_out(_at(of, letter, n))]
        case BinaryOperation(sign="+", left=left, right=right):
            return written_out(left) + written_out(right)
    return [reading]


def with_values(reading: Reading) -> Reading:
    """Return the formula with the entries replaced by their values.

    >>> from nnlite.diagnostics.formulas.symbols import symbol
    >>> with_values(Entry(Factor(symbol("X"), np.eye(2)), (0, 0)))
    Number(value=1.0)
    """
    match reading:
        case Entry(factor=factor, index=index):
            return Number(float(np.asarray(factor.array)[index]))  # type: ignore[index]
        case Over(size=size) if size is not None:
            return Number(sum(total(with_values(term)) for term in written_out(reading)))
        case Negated(of=of):
            return Negated(with_values(of))
        case BinaryOperation(sign=sign, left=left, right=right):
            return BinaryOperation(sign, with_values(left), with_values(right))
        case Relation(sign=sign, left=left, right=right):
            return Relation(sign, with_values(left), with_values(right))
        case Applied(of=of):
            return replace(reading, of=tuple(map(with_values, of)))
        case Factor(array=array) if array is not None:
            return Number(float(array))
    return reading


def total(reading: Reading) -> float:
    """Return the value of a formula in numbers.

    >>> total(BinaryOperation("*", Number(2), Negated(Number(3))))
    -6.0
    """
    match reading:
        case Number(value=value):
            return float(value)
        case Negated(of=of):
            return -total(of)
        case BinaryOperation(sign=sign, left=left, right=right):
            return float(SIGNS[sign](total(left), total(right)))
        case Relation(sign=sign, left=left, right=right):
            return float(SIGNS[sign](total(left), total(right)))
        case Applied(function=function, of=of) if function in ELEMENTWISE:
            return float(ELEMENTWISE[function](*map(total, of)))
    raise NotImplementedError(f"{reading} has no value")


class _Letters:
    """The letters of the sums so far, with their sizes."""

    def __init__(self) -> None:
        self.sizes: dict[str, int | None] = {}

    def new(self, size: int | None) -> str:
        letter = next(letter for letter in LETTERS if letter not in self.sizes)
        self.sizes[letter] = size
        return letter


def _entry(reading: Reading, index: Index, letters: _Letters) -> Reading:
    match reading:
        case Number():
            return reading
        case Factor():
            return reading if reading.symbol.scalar else Entry(reading, _broadcast(reading, index, letters.sizes))
        case Negated(of=of):
            return Negated(_entry(of, index, letters))
        case BinaryOperation(sign="."):
            raise NotImplementedError("the product of vectors in the last axes")
        case BinaryOperation(sign="@"):
            return _product(reading, index, letters)
        case BinaryOperation(sign=sign, left=left, right=right):
            return joined(sign, _entry(left, index, letters), _entry(right, index, letters))
        case Relation(sign=sign, left=left, right=right):
            return Relation(sign, _entry(left, index, letters), _entry(right, index, letters))
        case Applied(function="sum", of=(of,), axes=axes):
            return _sum(of, axes, index, letters)
        case Applied(function="T", of=(of,)):
            return _entry(of, (*index[:-2], *reversed(index[-2:])), letters)
        case Applied(function=function, of=of) if function in ELEMENTWISE:
            return Applied(function, tuple(_entry(each, index, letters) for each in of))
    raise NotImplementedError(f"{reading} rearranges entries")


def _product(product: BinaryOperation, index: Index, letters: _Letters) -> Reading:
    left, right = shape_of(product.left), shape_of(product.right)
    letter = letters.new(left[-1] if left else None)
    ahead = index[: -1 if right is None or len(right) > 1 else None] if left is None or len(left) > 1 else ()
    behind = index[-1:] if right is None or len(right) > 1 else ()
    stack = index[:-2] if right is not None and len(right) > 2 else ()
    a = _entry(product.left, (*ahead, letter), letters)
    b = _entry(product.right, (*stack, letter, *behind), letters)
    return Over(letter, left[-1] if left else None, joined("*", a, b))


def _sum(of: Reading, axes: tuple[int, ...] | None, index: Index, letters: _Letters) -> Reading:
    shape = shape_of(of)
    if shape is None and axes is None:
        raise NotImplementedError("the number of axes of the sum is unknown")
    count = len(index) + len(axes or ()) if shape is None else len(shape)
    summed = range(count) if axes is None else [axis % count for axis in axes]
    kept = list(index) if len(index) < count else [place for axis, place in enumerate(index) if axis not in summed]
    full: list[int | str] = []
    chosen: list[str] = []
    for axis in range(count):
        if axis in summed:
            chosen.append(letters.new(shape[axis] if shape else None))
            full.append(chosen[-1])
        else:
            full.append(kept.pop(0))
    inner = _entry(of, tuple(full), letters)
    for letter in reversed(chosen):
        inner = Over(letter, letters.sizes[letter], inner)
    return inner


def shape_of(reading: Reading) -> tuple[int, ...] | None:
    """Return the shape of a formula's value, or None if it is unknown.

    >>> from nnlite.diagnostics.formulas.symbols import symbol
    >>> shape_of(joined("+", Factor(symbol("X"), np.zeros((4, 3))), Factor(symbol("b"), np.zeros(3))))
    (4, 3)
    """
    match reading:
        case Number():
            return ()
        case Factor():
            return () if reading.symbol.scalar else reading.shape
        case Negated(of=of):
            return shape_of(of)
        case BinaryOperation(sign="."):
            return None
        case BinaryOperation(sign="@", left=left, right=right):
            a, b = shape_of(left), shape_of(right)
            if a is None or b is None:
                return None
            return (*np.broadcast_shapes(a[:-2], b[:-2]), *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))
        case BinaryOperation(left=left, right=right) | Relation(left=left, right=right):
            one, other = shape_of(left), shape_of(right)
            return None if one is None or other is None else np.broadcast_shapes(one, other)
        case Applied(function="T", of=(of,)):
            shape = shape_of(of)
            return None if shape is None else (*shape[:-2], *reversed(shape[-2:]))
        case Applied(function="sum", of=(of,), axes=axes, keeps_axes=kept):
            shape = shape_of(of)
            if shape is None:
                return None
            summed = range(len(shape)) if axes is None else [axis % len(shape) for axis in axes]
            return tuple(
                [1 if axis in summed else size for axis, size in enumerate(shape) if kept or axis not in summed]
            )
        case Applied(function=function, of=of) if function in ELEMENTWISE:
            known = [shape for each in of if (shape := shape_of(each)) is not None]
            return np.broadcast_shapes(*known) if len(known) == len(of) else None
    return None


def _broadcast(factor: Factor, index: Index, sizes: Mapping[str, int | None]) -> Index:
    """Return the index in the factor itself, which may be broadcast."""
    if factor.shape is None:
        return index
    own = index[len(index) - len(factor.shape) :]
    return tuple(
        0 if size == 1 and not (isinstance(place, str) and sizes.get(place) == 1) else place
        for size, place in zip(factor.shape, own, strict=True)
    )


def _at(reading: Reading, letter: str, n: int) -> Reading:
    """Return the formula with a letter replaced by a number."""
    match reading:
        case Entry(index=index):
            return replace(reading, index=tuple(n if place == letter else place for place in index))
        case Negated(of=of) | Over(of=of):
            return replace(reading, of=_at(of, letter, n))
        case BinaryOperation(left=left, right=right) | Relation(left=left, right=right):
            return replace(reading, left=_at(left, letter, n), right=_at(right, letter, n))
        case Applied(of=of):
            return replace(reading, of=tuple(_at(each, letter, n) for each in of))
    return reading
