"""Values of printed formulas, computed without the code that prints them."""

from statistics import NormalDist

import numpy as np

from nnlite.diagnostics.formulas.terms import Applied, BinaryOperation, Factor, Negated, Number, Part, Relation

FUNCTIONS = {
    "tanh": np.tanh,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "take": lambda W, indices: W[indices],
    "max": np.maximum,
    "min": np.minimum,
    "sigmoid": lambda X: 1 / (1 + np.exp(-np.asarray(X))),
    "ndtr": lambda X: np.vectorize(NormalDist().cdf)(X),
    "window_sum": lambda A, before, after: np.stack(
        [A[:, max(0, c - before) : c + after + 1].sum(axis=1) for c in range(A.shape[1])], axis=1
    ),
    "broadcast": lambda X: X,  # what it is compared with has the shape
}
SIGNS = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power, "@": np.matmul}
RELATIONS = {">": np.greater, "<": np.less, "=": np.equal, ">=": np.greater_equal, "<=": np.less_equal}
# Their options are not shown, or they are layers without formulas.
OPAQUE = (
    "concatenate",
    "stack",
    "unstack",
    "split",
    "reshape",
    "flatten",
    "onehot",
    "add_at",
    "EmbeddingBag",
    "MultiLabelMarginLoss",
)


class CannotBeComputedError(Exception):
    """The formula does not show all that its value depends on."""


def computed(reading):
    match reading:
        case Number(value=value):
            return value
        case Factor(array=array) if array is not None:
            return array
        case Negated(of=of):
            return -computed(of)
        case BinaryOperation(sign="."):
            raise CannotBeComputedError("the product of vectors in the last axes")
        case BinaryOperation(sign=sign, left=left, right=right):
            return SIGNS[sign](computed(left), computed(right))
        case Relation(sign=sign, left=left, right=right):
            return RELATIONS[sign](computed(left), computed(right)).astype(float)
        case Applied(function="sum" | "mean" as function, of=(of,), axes=axes):
            return getattr(np, function)(computed(of), axis=axes, keepdims=True)
        case Applied(function="T", of=(of,)):
            return np.swapaxes(computed(of), -1, -2)
        case Applied(function=function, of=of) if function in FUNCTIONS:
            return FUNCTIONS[function](*map(computed, of))
        case Applied(function=function) if function in OPAQUE or function.endswith(("Sequential", ".backward")):
            raise CannotBeComputedError(function)
        case Part():
            raise CannotBeComputedError("a part")
    raise AssertionError(f"unknown: {reading}")
