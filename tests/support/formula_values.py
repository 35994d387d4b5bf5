"""Values of printed formulas, computed without the code that prints them."""

import ast
from statistics import NormalDist

import numpy as np

from nnlite.diagnostics.formulas.tree import Dot, Leaf


def earlier(A, first=0):
    """What is before the first step of A, of its shape (N, 1, H)."""
    return np.zeros_like(A) + (first if np.ndim(first) == 0 else first[:, None])


def swap(D, interleaved):
    """The other feature of the pair of each of D features."""
    return [d + 1 - 2 * (d % 2) for d in range(D)] if interleaved else [(d + D // 2) % D for d in range(D)]


FUNCTIONS = {
    "tanh": np.tanh,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "take": lambda W, indices: W[indices],
    "maximum": np.maximum,
    "minimum": np.minimum,
    "where": np.where,
    "sigmoid": lambda X: 1 / (1 + np.exp(-np.asarray(X))),
    "ndtr": lambda X: np.vectorize(NormalDist().cdf)(X),
    "window_sum": lambda A, before, after: np.stack(
        [A[:, max(0, c - before) : c + after + 1].sum(axis=1) for c in range(A.shape[1])], axis=1
    ),
    "broadcast": lambda X: X,  # what it is compared with has the shape
    "pairs": lambda Y: Y[..., :, None] - Y[..., None, :],
    "einsum": np.einsum,
    "rows": lambda X: X.reshape(-1, X.shape[-1]),
    "zeros_like": np.zeros_like,
    "heads": lambda A, number: np.stack(np.split(A, number, axis=-1), axis=1),
    "joined": lambda A: np.concatenate([*np.moveaxis(A, 1, 0)], axis=-1),
    "swapped": lambda X, interleaved: X[..., swap(X.shape[-1], interleaved)],
    "before": lambda A, *first: np.concatenate([earlier(A[:, :1], *first), A[:, :-1]], axis=1),
    "after": lambda A, *first: np.concatenate([A[:, 1:], earlier(A[:, :1], *first)], axis=1),
}
SIGNS = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.MatMult: np.matmul,
}
RELATIONS = {
    ast.Gt: np.greater,
    ast.Lt: np.less,
    ast.Eq: np.equal,
    ast.GtE: np.greater_equal,
    ast.LtE: np.less_equal,
}
# Their options are not shown, or they are layers without formulas.
OPAQUE = (
    "concatenate",
    "stack",
    "unstack",
    "split",
    "reshape",
    "flatten",
    "one_hot",
    "add_at",
    "bags",
    "count_labels",
    "windows",
    "add_windows",
    "sum_of_windows",
    "add_to_windows",
    "window_max",
    "window_argmax",
    "add_at_max",
    "unpool",
    "pick",
    "max",
    "min",
    "entries",
    "put",
    "unfold",
    "fold",
    "pad",
    "pad_backward",
    "resample",
    "resample_backward",
    "pixel_shuffle",
    "pixel_unshuffle",
    "channel_shuffle",
    "distance",
    "EmbeddingBag",
    "at_end",
    "put_at_end",
)


class CannotBeComputedError(Exception):
    """The formula does not show all that its value depends on."""


def computed(node):
    match node:
        case ast.Constant(value=value):
            return value
        case Leaf(value=value) if value is not None:
            return value
        case ast.UnaryOp(op=ast.USub(), operand=of):
            return -computed(of)
        case ast.BinOp(op=Dot()):
            raise CannotBeComputedError("the product of vectors in the last axes")
        case ast.BinOp(left=left, op=op, right=right):
            return SIGNS[type(op)](computed(left), computed(right))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return RELATIONS[type(op)](computed(left), computed(right)).astype(float)
        case ast.Call(func=ast.Name(id="sum" | "mean" as function), args=[of], keywords=keywords):
            options = {keyword.arg: keyword.value.value for keyword in keywords}
            return getattr(np, function)(computed(of), **options)
        case ast.Attribute(value=of, attr="T"):
            return np.swapaxes(computed(of), -1, -2)
        case ast.Call(func=ast.Name(id=function), args=args) if function in FUNCTIONS:
            return FUNCTIONS[function](*map(computed, args))
        case ast.Call(func=ast.Name(id=function)) if function in OPAQUE or function.endswith(
            ("Sequential", ".backward")
        ):
            raise CannotBeComputedError(function)
        case ast.Subscript():
            raise CannotBeComputedError("a part")
    raise AssertionError(f"unknown: {ast.dump(node)}")
