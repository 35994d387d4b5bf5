"""Formulas in mathematical notation: what only rearranges axes is left out, sums get the axes that they are over."""

import ast
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnlite.diagnostics.formulas.tree import Dot, Entry, Leaf, call, evaluated, rebuilt

NOT_SHOWN = frozenset(["row", "column", "view", "ravel", "expand_dims", "along", "asarray"])
MEANINGS = {  # of functions whose names do not tell
    "sum_to": "sum_to(A,X) sums A over the axes along which X was broadcast",
    "rows": "rows(A) is A as a matrix: all axes but the last are merged into one",
    "one_hot": "onehot(t) is 1 at the class t and 0 at the others",
    "add_at": "add_at(A,t) adds the rows of A with the same index t",
    "window_sum": "window_sum(A,b,a) adds the b channels before each and the a behind it",
    "bags": "bags(t) has a row for each bag, with 1 at its indices and 0 elsewhere",
    "count_labels": "count_labels(t) is 1 at the labels of a sample and 0 at the other classes",
    "heads": "heads(A,h) has for each of h heads a matrix of its part of the columns of A",
    "joined": "joined(A) has the matrices of the heads side by side",
    "swapped": "swapped(A) exchanges the two features of each pair",
    "before": "before(A) is A one step earlier, and 0 at the first",
    "after": "after(A) is A one step later, and 0 at the last",
    "at_end": "at_end(A) is A at the last step of each sequence",
    "put_at_end": "put_at_end(A) puts A at the last step of each sequence, with 0 elsewhere",
    "at_start": "at_start(A) is A at the first step",
    "put_at_start": "put_at_start(A) puts A at the first step, with 0 elsewhere",
    "windows": "windows(A) holds in its last axes the entries of a window, and in those before the place of the window",
    "add_windows": "add_windows(A) adds the entries of the windows where windows(A) would take them from",
    "sum_of_windows": "sum_of_windows(A) is the sum of the entries of each window of A",
    "add_to_windows": "add_to_windows(A) adds each entry of A to all entries of its window",
    "window_max": "window_max(A) is the largest entry of each window of A",
    "window_argmax": "window_argmax(A) is the index of the first largest entry of each window in its channel of A",
    "add_at_max": "add_at_max(A,X) adds each entry of A where the first largest entry of its window of X is",
    "unpool": "unpool(A,i) puts each entry of A at its index i in its channel, with 0 elsewhere",
    "pick": "pick(A,i) is the entry of A at each index i in its channel",
    "entries": "entries(A) are those at an index of an axis, or at several",
    "put": "put(A) puts A at that index, or at those, with 0 elsewhere",
    "unfold": "unfold(A) has a column for each window of A, with its entries in all channels",
    "fold": "fold(A) adds the columns of A where unfold would take them from",
    "pad_backward": "pad_backward(A) adds to each entry the entries of A at its copies",
    "resample": "resample(A) multiplies each spatial axis of A by the matrix of its interpolation",
    "resample_backward": "resample_backward(A) multiplies each spatial axis of A by the transpose of that matrix",
    "pixel_shuffle": "pixel_shuffle(A) makes larger images of numbers from r^2 channels",
    "pixel_unshuffle": "pixel_unshuffle(A) makes r^2 channels of each",
    "channel_shuffle": "channel_shuffle(A) mixes the channels of groups",
    "pairs": "pairs(A) is A[j] - A[k] at j, k",
}
ORDINALS = {0: "first", 1: "second", 2: "third", 3: "fourth", -1: "last", -2: "last but one"}
PRODUCTS = ast.Mult, ast.MatMult, Dot


def known(node: ast.expr) -> Any:
    """Return the value of an expression of symbols; None if one of them has no value."""
    try:
        return evaluated(node, {})
    except (NameError, NotImplementedError):
        return None


def number_of(node: ast.expr) -> Any:
    """Return the number that an expression is; None if it is none."""
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
    return None


def joined(op: ast.operator, left: ast.expr, right: ast.expr) -> ast.expr:
    """Return ``left op right``, simplified: no products with 1, scalars first, sums of numbers computed."""
    one, other = number_of(left), number_of(right)
    if one is not None and other is not None and isinstance(op, ast.Add | ast.Sub):
        return ast.Constant(one + other if isinstance(op, ast.Add) else one - other)
    if one == 1 and isinstance(op, PRODUCTS):
        return right
    if other == 1 and isinstance(op, (*PRODUCTS, ast.Div, ast.Pow)):
        return left
    if isinstance(op, ast.Mult) and is_scalar(right) and not is_scalar(left):
        return joined(op, right, left)
    if isinstance(op, ast.Mult) and one == -1:
        return ast.UnaryOp(ast.USub(), right)
    return ast.BinOp(left, op, right)


def is_scalar(node: ast.expr) -> bool:
    """Return whether it is certainly a single number, so that a product with it needs no sign."""
    match node:
        case ast.Constant() | Entry():
            return True
        case Leaf(scalar=scalar):
            return scalar
        case ast.UnaryOp(operand=of):
            return is_scalar(of)
        case ast.BinOp(left=left, right=right):
            return is_scalar(left) and is_scalar(right)
    return False


def is_numeric(node: ast.expr) -> bool:
    """Return whether it has only numbers, so that every product is written with a sign, as in Python."""
    return not any(isinstance(part, Leaf | ast.Subscript) for part in ast.walk(node))


def turned(of: ast.expr, value: Any = None) -> ast.expr:
    """Return the transpose; ``value`` is that of the transpose, not needed for a vector."""
    if isinstance(of, Leaf):
        return Leaf(of.id, of.value if value is None else value, not of.transposed, of.scalar)
    return ast.Attribute(of, "T", ast.Load())


def in_notation(node: ast.expr, broadcast: frozenset[str] = frozenset(), one_number: bool = False) -> ast.expr:
    """Return a layer's formula, with the symbols of the network in it, in mathematical notation.

    Args:
        node: the formula.
        broadcast: symbols of arrays that are broadcast, where the values are unknown.
        one_number: whether the result is a single number, so that a sum needs no axis.
    """
    return _Notation(broadcast, one_number).read(node)


class _Notation(NamedTuple):
    """The options of :func:`in_notation`, and how each kind of expression is read."""

    broadcast: frozenset[str]
    one_number: bool

    def read(self, node: ast.expr) -> ast.expr:
        match node:
            case Leaf(id="1"):
                return ast.Constant(1)
            case ast.UnaryOp(op=ast.UAdd(), operand=of):
                return self.read(of)
            case ast.BinOp(left=left, op=op, right=right):
                return joined(op, self.read(left), self.read(right))
            case ast.UnaryOp(op=ast.USub()) | ast.Compare():
                return rebuilt(node, lambda part: [self.read(part)])
            case ast.Attribute(value=of, attr="T" | "mT"):
                return turned(self.read(of), known(node))
            case ast.Subscript(value=of, slice=index) if _adds_axes(index):
                return _in_shape(node, self.read(of))
            case ast.Subscript(value=of, slice=index):
                return ast.Subscript(self.read(of), index, ast.Load())
            case ast.Call(func=ast.Name(id="sum"), args=[ast.GeneratorExp(elt=term, generators=over)]):
                return call("sum", ast.GeneratorExp(self.read(term), over))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                given = [part for arg in args for part in (arg.elts if isinstance(arg, ast.List) else [arg])]
                options = {each.arg: _literal(each.value) for each in keywords}
                return self._call(node, name, given, options)
        return node

    def _call(self, node: ast.Call, name: str, args: list[ast.expr], options: dict[Any, Any]) -> ast.expr:
        if name in NOT_SHOWN:
            return _in_shape(node, self.read(args[0]))
        if name == "rows":
            value = known(args[0])
            shown = value is not None and np.ndim(value) != 2
            return call("rows", self.read(args[0])) if shown else _in_shape(node, self.read(args[0]))
        if name in ("sum", "mean"):
            return self._along(name, args[0], options.get("axis"), bool(options.get("keepdims")))
        if name == "add_at":  # what is not shown decides which rows an entry is the sum of
            hidden = {each.arg: known(each.value) for each in node.keywords if each.arg in ("ignored", "averaged")}
            return call(name, *map(self.read, args), **hidden)
        if name == "sum_to":
            return self._sum_to(args[0], args[1])
        if name in ("vecdot", "matvec", "outer"):
            left, right = map(self.read, args)
            left = turned(left) if name == "vecdot" else left
            return joined(Dot(), left, turned(right) if name == "outer" else right)
        if name == "broadcast" and number_of(of := self.read(args[0])) is not None:
            return of
        if name in ("swapaxes", "transpose", "matrix_transpose"):
            return turned(self.read(args[0]), known(node))
        return call(name, *map(self.read, args))

    def _along(self, name: str, of: ast.expr, axis: Any, keepdims: bool) -> ast.expr:
        """Return a sum or a mean; over no axes, or of a number, that is its argument."""
        if axis == ():
            return self.read(of)
        axes = None if axis is None or self.one_number else axis if isinstance(axis, tuple) else (axis,)
        value = known(of)
        if value is not None and axes is not None:
            if not np.ndim(value):
                return self.read(of)
            axes = tuple(sorted(axis % np.ndim(value) for axis in axes))
        return call(name, self.read(of), axis=axes, keepdims=keepdims)

    def _sum_to(self, of: ast.expr, X: ast.expr) -> ast.expr:
        """Return the sum over the axes along which X was broadcast, if any."""
        A, array = known(of), known(X)
        if A is None or array is None:
            summed = isinstance(X, Leaf) and X.id in self.broadcast
            return call("sum", self.read(of), axis=None, keepdims=False) if summed else self.read(of)
        new = np.ndim(A) - np.ndim(array)
        axes = [axis for axis, size in enumerate(np.shape(A)) if axis < new or size != np.shape(array)[axis - new]]
        if not axes:
            return self.read(of)
        return call("sum", self.read(of), axis=None if len(axes) == np.ndim(A) else tuple(axes), keepdims=new == 0)


def _in_shape(node: ast.expr, of: ast.expr) -> ast.expr:
    """Return a symbol with the value of an expression that only rearranges its axes."""
    return Leaf(of.id, known(node), of.transposed, of.scalar) if isinstance(of, Leaf) else of


def _literal(option: ast.expr) -> Any:
    """Return the value of an option, if it is known before the layer runs."""
    try:
        return ast.literal_eval(option)
    except ValueError:
        return None


def _adds_axes(index: ast.expr) -> bool:
    """Return whether an index such as ``[..., None]`` only adds axes."""
    parts = _literal(index)
    return parts is not None and all(part in (None, ...) for part in (parts if isinstance(parts, tuple) else [parts]))


def axes_of(node: ast.Call) -> tuple[int, ...]:
    """Return the axes of a sum or a mean; none if it is over all."""
    for keyword in node.keywords:
        match keyword:
            case ast.keyword(arg="axis", value=ast.Constant(value=tuple() as axes)):
                return axes
    return ()


def axis_index(axes: Sequence[int]) -> str:
    """Return the axes of a sum as an index, counted from 1 as in mathematics."""
    return ",".join("last" if axis == -1 else str(axis + 1) if axis >= 0 else str(axis) for axis in axes)


def legend(nodes: Sequence[ast.expr]) -> Iterator[tuple[str, str]]:
    """Yield the signs in formulas, each with its meaning: "*", "elementwise", and the sums, as "sum_2"."""
    parts = [part for node in nodes for part in ast.walk(node)]
    products = [part for part in parts if isinstance(part, ast.BinOp)]
    if any(isinstance(part.op, ast.Mult) and _has_sign(part) for part in products):
        yield "*", "is elementwise"
    if any(isinstance(part.op, ast.MatMult | Dot) for part in products):
        yield "", "a matrix product has no sign"
    calls = [part for part in parts if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)]
    for name, axes in dict.fromkeys((part.func.id, tuple(axes_of(part))) for part in calls):  # type: ignore[attr-defined]
        if axes:
            places = [ORDINALS.get(axis, str(axis + 1 if axis >= 0 else axis)) for axis in axes]
            yield f"{name}_{axis_index(axes)}", f"is the {name} over the {' and the '.join(places)} axis"
    if any(isinstance(part, ast.Compare) for part in parts):
        yield "[a > b]", "is 1 where that holds and 0 elsewhere"
    used = {part.func.id for part in calls}  # type: ignore[attr-defined]
    yield from (tuple(MEANINGS[name].split(" ", 1)) for name in MEANINGS if name in used)  # type: ignore[misc]


def _has_sign(product: ast.BinOp) -> bool:
    return is_numeric(product.right) or not is_scalar(product.left)
