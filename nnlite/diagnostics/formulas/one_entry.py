"""One entry of a gradient, written out as a sum of products, and with the numbers put in."""

import ast
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import islice
from typing import Any

import numpy as np

from nnlite.diagnostics.formulas.notation import axes_of, joined, known
from nnlite.diagnostics.formulas.printing import DOTS, Line
from nnlite.diagnostics.formulas.substitution import Substitution
from nnlite.diagnostics.formulas.tree import Dot, Entry, Leaf, call, evaluated, mapped, sum_over

Index = tuple[int | str, ...]

ELEMENTWISE = {
    *("tanh", "exp", "log", "sqrt", "abs", "absolute", "sign", "maximum", "minimum", "sigmoid", "ndtr", "sin", "cos"),
}
MOST_TERMS = 6  # of a sum that is written out whole
LETTERS = "nklmpqrstuvw"


def entry(node: ast.expr, index: Index) -> ast.expr:
    """Return the entry at ``index`` as a formula in entries of the symbols.

    Raises:
        NotImplementedError: the formula rearranges entries.
    """
    shape = shape_of(node)
    missing = 0 if shape is None else len(shape) - len(index)
    places = list(index)
    for axis, size in enumerate(shape or ()):  # axes that exist only for a product with a vector
        if missing > 0 and size == 1:
            places.insert(axis, 0)
            missing -= 1
    sizes = dict.fromkeys(index, None) if shape is None else dict(zip(places, shape, strict=False))
    return _Entry({letter: size for letter, size in sizes.items() if isinstance(letter, str)}).of(node, tuple(places))


def written_out(node: ast.expr, *, last_first: bool = False) -> Iterator[ast.expr]:
    """Yield the terms of the sum in an entry, from the first or from the last; a sum of unknown size stays one term."""
    match node:
        case ast.Call(args=[ast.GeneratorExp(elt=term, generators=[over])]) if (count := known(over.iter)) is not None:
            letter = ast.unparse(over.target)
            for n in reversed(count) if last_first else count:
                for each in Substitution({letter: [ast.Constant(n)]}).parts(term):
                    yield from written_out(each, last_first=last_first)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            for each in (right, left) if last_first else (left, right):
                yield from written_out(each, last_first=last_first)
        case _:
            yield node


def added(terms: Sequence[ast.expr]) -> ast.expr:
    """Return the sum of the terms."""
    return reduce(lambda a, b: ast.BinOp(a, ast.Add(), b), terms)


def in_numbers(line: Line) -> Line:
    """Return the line of an entry as a sum of products, the same in numbers, and the number."""
    assert line.expression is not None
    terms = list(islice(written_out(line.expression), MOST_TERMS + 1))
    if len(terms) > MOST_TERMS:  # of many only the first three and the last: there may be a million
        terms = [*terms[:3], Leaf(DOTS), next(written_out(line.expression, last_first=True))]
    numbers = list(map(with_values, terms))
    total = float(known(line.expression))
    return Line(line.symbol, added(terms), "", total, (added(numbers), ast.Constant(total)), line.index)


def with_values(node: ast.expr) -> ast.expr:
    """Return the formula with its entries, and the sums in it, replaced by their values."""

    def value_of(part: ast.expr) -> ast.expr | None:
        is_sum = isinstance(part, ast.Call) and part.args and isinstance(part.args[0], ast.GeneratorExp)
        value = known(part) if is_sum or isinstance(part, Leaf | Entry) else None
        return None if value is None else ast.Constant(float(value))

    return mapped(node, value_of)


def shape_of(node: ast.expr) -> tuple[int, ...] | None:
    """Return the shape of a formula's value, or None if it is unknown."""
    if isinstance(node, ast.Constant) or (isinstance(node, Leaf) and node.scalar):
        return ()
    letters: defaultdict[str, int] = defaultdict(int)  # of a sum around it: any term of that has the shape
    try:
        shape: tuple[int, ...] = np.shape(evaluated(node, letters))
        return shape
    except (NameError, NotImplementedError, ValueError, TypeError, KeyError):
        return None  # unknown, or the notation leaves out what it depends on


def _mean(count: int, total: ast.expr) -> ast.expr:
    return joined(ast.Mult(), ast.BinOp(ast.Constant(1), ast.Div(), ast.Constant(count)), total)


def _balanced(terms: Sequence[ast.expr]) -> ast.expr:
    """Return the sum of the terms, nested no deeper than necessary: there may be thousands."""
    if len(terms) < 2:
        return terms[0] if terms else ast.Constant(0)
    half = len(terms) // 2
    return ast.BinOp(_balanced(terms[:half]), ast.Add(), _balanced(terms[half:]))


def _within(places: ast.expr, index: Index) -> Index:
    """Return the index in X of what has the given index in ``X[:, t]``.

    Raises:
        NotImplementedError: a slice with ends, or an expression.
    """
    rest, found = list(index), []
    for place in places.elts if isinstance(places, ast.Tuple) else [places]:
        match place:
            case ast.Slice(lower=None, upper=None, step=None):
                found.append(rest.pop(0))
            case ast.Name(id=one) | ast.Constant(value=int(one)):
                found.append(one)
            case _:
                raise NotImplementedError("an index that is an expression")
    return (*found, *rest)


class _Entry:
    """The entries of one formula, whose sums have different letters.

    Args:
        sizes: of each letter so far, None if it is unknown.
    """

    def __init__(self, sizes: dict[str, int | None]) -> None:
        self.sizes = sizes

    def of(self, node: ast.expr, index: Index) -> ast.expr:
        match node:
            case ast.Constant():
                return node
            case Leaf(scalar=scalar):
                return node if scalar else Entry(node, self._broadcast(node.value, index))
            case ast.UnaryOp(operand=of):
                return ast.UnaryOp(ast.USub(), self.of(of, index))
            case ast.BinOp(op=ast.MatMult()):
                return self._product(node, index)
            case ast.BinOp(left=left, op=op, right=right) if not isinstance(op, Dot):
                return joined(op, self.of(left, index), self.of(right, index))
            case ast.Compare(left=left, ops=ops, comparators=[right]):
                return ast.Compare(self.of(left, index), ops, [self.of(right, index)])
            case ast.Attribute(value=of, attr="T"):
                return self.of(of, (*index[:-2], *reversed(index[-2:])))
            case ast.Subscript(value=of, slice=places) if isinstance(of, Leaf):
                return Entry(of, _within(places, index))
            case ast.Call(args=[ast.GeneratorExp(elt=term, generators=over)]):
                return call("sum", ast.GeneratorExp(self.of(term, index), over))
            case ast.Call(func=ast.Name(id="rows")):
                return Entry(node, index)
            case ast.Call(func=ast.Name(id="sum" | "mean" as name), args=[of]):
                return self._sum(name, node, of, index)
            case ast.Call(func=ast.Name(id="einsum"), args=[ast.Constant(value=str(spec)), *of]):
                return self._einsum(spec, of, index)
            case ast.Call(func=ast.Name(id="add_at"), args=[of, indices], keywords=options):
                return self._add_at(node, of, known(indices), index, *(known(each.value) for each in options))
            case ast.Call(func=ast.Name(id=name), args=args) if name in ELEMENTWISE:
                return call(name, *(self.of(arg, index) for arg in args))
        raise NotImplementedError("it rearranges entries")

    def _new(self, size: int | None) -> str:
        letter = next(letter for letter in LETTERS if letter not in self.sizes)
        self.sizes[letter] = size
        return letter

    def _product(self, product: ast.BinOp, index: Index) -> ast.expr:
        left, right = shape_of(product.left), shape_of(product.right)
        letter = self._new(left[-1] if left else None)
        ahead = index[: -1 if right is None or len(right) > 1 else None] if left is None or len(left) > 1 else ()
        behind = index[-1:] if right is None or len(right) > 1 else ()
        stack = index[:-2] if right is not None and len(right) > 2 else ()
        a, b = self.of(product.left, (*ahead, letter)), self.of(product.right, (*stack, letter, *behind))
        return self._sum_over([letter], joined(ast.Mult(), a, b))

    def _sum(self, name: str, node: ast.Call, of: ast.expr, index: Index) -> ast.expr:
        shape, axes = shape_of(of), axes_of(node)
        if shape is None and (not axes or name == "mean"):
            raise NotImplementedError("the number of axes of the sum is unknown")
        count = len(index) + len(axes) if shape is None else len(shape)
        summed = [axis % count for axis in axes] if axes else list(range(count))
        kept = list(index) if len(index) < count else [place for n, place in enumerate(index) if n not in summed]
        sizes = [None] * count if shape is None else shape
        full = [self._new(size) if axis in summed else kept.pop(0) for axis, size in enumerate(sizes)]
        total = self._sum_over([full[axis] for axis in summed], self.of(of, tuple(full)))
        return total if name == "sum" else _mean(math.prod(sizes[axis] or 0 for axis in summed), total)

    def _sum_over(self, letters: Sequence[Any], term: ast.expr) -> ast.expr:
        for letter in reversed(letters):
            term = sum_over(letter, self.sizes[letter], term)
        return term

    def _add_at(
        self, node: ast.expr, of: ast.expr, indices: Any, index: Index, ignored: Any = None, averaged: Any = False
    ) -> ast.expr:
        """Return the sum, or the mean, of the entries in the rows whose index is that of the row."""
        (row, *column), shape = index, shape_of(of)
        if indices is None or shape is None or isinstance(row, str):
            return Entry(node, index)
        places = [] if row == ignored else np.argwhere(np.reshape(indices, shape[:-1]) == row).tolist()
        total = _balanced([self.of(of, (*place, *column)) for place in places])
        return _mean(len(places), total) if averaged and len(places) > 1 else total

    def _einsum(self, spec: str, of: list[ast.expr], index: Index) -> ast.expr:
        """Return the sum of products that ``einsum("nd,dm->nm", X, W)`` stands for."""
        inputs, arrow, output = spec.replace(" ", "").partition("->")
        if not arrow or "." in spec or len(output) != len(index):
            raise NotImplementedError("einsum without an arrow, or with an ellipsis")
        places: dict[str, Any] = dict(zip(output, index, strict=True))
        sizes: dict[str, Any] = {}
        for letters, each in zip(inputs.split(","), of, strict=True):
            sizes |= dict(zip(letters, shape_of(each) or [None] * len(letters), strict=True))
        summed = [letter for letter in sizes if letter not in places]
        places |= {letter: self._new(sizes[letter]) for letter in summed}
        factors = [
            self.of(each, tuple([places[letter] for letter in letters]))
            for letters, each in zip(inputs.split(","), of, strict=True)
        ]
        product = reduce(lambda a, b: joined(ast.Mult(), a, b), factors)
        return self._sum_over([places[letter] for letter in summed], product)

    def _broadcast(self, value: Any, index: Index) -> Index:
        """Return the index in an array that may be broadcast to what the index is of."""
        if value is None:
            return index
        own = index[len(index) - np.ndim(value) :]
        one = (
            size == 1 and self.sizes.get(str(place), 0) != 1 for size, place in zip(np.shape(value), own, strict=True)
        )
        return tuple([0 if first else place for first, place in zip(one, own, strict=True)])
