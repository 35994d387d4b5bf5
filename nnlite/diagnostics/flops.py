"""Floating-point operations (FLOPs) of a layer's forward and backward, and the matrices that it multiplies."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.containers.sequential import Sequential
from nnlite.layer.described import described
from nnlite.layer.layer import Layer
from nnlite.layers.activations import LogSoftmax
from nnlite.layers.bilinear import Bilinear
from nnlite.layers.embedding import Embedding
from nnlite.layers.embedding_bag import EmbeddingBag
from nnlite.layers.linear import Linear
from nnlite.layers.reshaping import Flatten
from nnlite.losses.binary_cross_entropy import BCELoss, BCEWithLogitsLoss
from nnlite.losses.cross_entropy import CrossEntropyLoss
from nnlite.losses.likelihood_losses import NLLLoss
from nnlite.losses.loss import Loss
from nnlite.losses.margin_losses import MultiMarginLoss
from nnlite.losses.multi_label_losses import MultiLabelMarginLoss, MultiLabelSoftMarginLoss


@dataclass(frozen=True, eq=False)
class Flops:
    """The floating-point operations of one forward or one backward.

    They are counted from the formula in the layer's docstring, in its numerically stable form, given what forward
    caches. Each ``+ - * /``, comparison or function of a number (such as ``exp``) is one operation; a sum or maximum
    costs one for each number that goes in; a product of an (N, D) and a (D, M) matrix costs ``2 N D M``. Scalars
    computed once per batch, copies, checks and the preparation of the target are not counted.

    Attributes:
        elementwise: operations on single numbers.
        products: the pairs of matrices that are multiplied. Only shape, dtype and memory layout matter, so Y can stand
            for dY. If there are any, these products alone are the roof that a profile measures against.
        reads: the arrays that are read besides the inputs; None for all parameters and the whole cache.

    >>> Flops(elementwise=15, products=((np.ones((5, 2)), np.ones((2, 3))),)).total
    75
    """

    elementwise: int = 0
    products: tuple[tuple[Array, Array], ...] = ()
    reads: tuple[Array, ...] | None = None

    @property
    def total(self) -> int:
        """Elementwise operations plus those of the matrix products."""
        return self.elementwise + sum(2 * A.size * int(B.shape[1]) for A, B in self.products)


@singledispatch
def flops(layer: Layer, X: Any, Y: Any) -> tuple[Flops, Flops] | None:
    """Count the operations of ``layer``'s forward and backward, after forward(X) returned Y; None if unknown.

    X is the first input. For a container, only what it computes itself is counted, not its layers. A layer of your own
    whose count is proportional to the size of Y says so, ``flops_per_element = 1, 1``; register another count with
    ``flops.register``:

    >>> class Double(Layer):
    ...     def forward(self, X):
    ...         return 2 * X
    ...     def backward(self, dY):
    ...         return 2 * dY
    >>> @flops.register
    ... def _(layer: Double, X, Y):
    ...     return Flops(elementwise=X.size), Flops(elementwise=X.size)
    >>> forward, backward = flops(Double(), np.ones(4), np.ones(4))
    >>> forward.total
    4
    """
    per_element = described(layer, "flops_per_element", "forward", "backward")
    if per_element is None:
        return None
    forward, backward = per_element
    if isinstance(layer, Loss):  # its Y is a sum of as many elements as X has
        forward, Y = forward + (layer.reduction != "none"), X
    return Flops(elementwise=round(forward * np.size(Y))), Flops(elementwise=round(backward * np.size(Y)))


def known_flops(layer: Layer, X: Any, Y: Any) -> tuple[Flops, Flops] | None:
    """:func:`flops`, but None for a subclass that overrides forward or backward, whose count is unknown.

    >>> from nnlite.layers.activations import Tanh
    >>> class Loud(Tanh):
    ...     def forward(self, X):
    ...         return super().forward(2 * X)
    >>> X = np.ones(4)
    >>> known_flops(Loud(), X, X) is None
    True
    """
    cls = type(layer)
    owner: Any = next(base for base in cls.__mro__ if base in flops.registry)
    if owner is not object and (cls.forward is not owner.forward or cls.backward is not owner.backward):
        return None
    return flops(layer, X, Y)


@flops.register
def _(layer: Linear, X: Any, Y: Any) -> tuple[Flops, Flops]:
    rows, dY = layer.X.reshape(-1, layer.in_features), Y.reshape(-1, layer.out_features)
    bias = 0 if layer.b is None else Y.size
    forward = Flops(elementwise=bias, products=((rows, layer.W),))
    if not layer.needs_dX:
        return forward, Flops(elementwise=bias, products=((rows.T, dY),), reads=(layer.X,))
    return forward, Flops(elementwise=bias, products=((rows.T, dY), (dY, layer.W.T)), reads=(layer.X, layer.W))


@flops.register
def _(layer: Bilinear, X: Any, Y: Any) -> tuple[Flops, Flops]:
    W, dY = layer.W.reshape(layer.out_features, -1), Y.reshape(-1, layer.out_features)
    bias = 0 if layer.b is None else Y.size
    forward = Flops(elementwise=layer.P.size + bias, products=((layer.P, W.T),))
    if not layer.needs_dX:
        return forward, Flops(elementwise=bias, products=((dY.T, layer.P),), reads=(layer.P,))
    # The products of each row of dP with x2 and x1: * and + for each number in it.
    reads = layer.P, layer.X1, layer.X2, layer.W
    return forward, Flops(elementwise=bias + 4 * layer.P.size, products=((dY.T, layer.P), (dY, W)), reads=reads)


def _for_each_element(forward: int, backward: int) -> Callable[[Layer, Any, Any], tuple[Flops, Flops]]:
    def count(layer: Layer, X: Any, Y: Any) -> tuple[Flops, Flops]:
        return Flops(elementwise=forward * np.size(X)), Flops(elementwise=backward * np.size(X))

    return count


flops.register(Sequential, _for_each_element(0, 0))
flops.register(Flatten, _for_each_element(0, 0))


@flops.register
def _(layer: Embedding, X: Any, Y: Any) -> tuple[Flops, Flops]:
    return Flops(reads=(Y,)), Flops(elementwise=Y.size, reads=(layer.indices, layer.dW))


@flops.register
def _(layer: EmbeddingBag, X: Any, Y: Any) -> tuple[Flops, Flops]:
    numbers = len(layer.numbers) * layer.embedding_dim  # of the rows that are looked up
    weighted, mean = layer.weights is not None, layer.mode == "mean"
    forward = Flops(elementwise=(1 + weighted) * numbers + mean * Y.size)
    summed = Y.size if layer.mode == "max" else (1 + weighted) * numbers
    return forward, Flops(elementwise=summed + mean * Y.size + 2 * weighted * layer.needs_dX * numbers)


@flops.register
def _(layer: LogSoftmax, X: Any, Y: Any) -> tuple[Flops, Flops]:
    rows = _rows(X, layer.dim)
    return Flops(elementwise=5 * np.size(X) + rows), Flops(elementwise=4 * np.size(X))  # max, -, exp, sum, log, -


@flops.register
def _(layer: BCELoss, X: Any, Y: Any) -> tuple[Flops, Flops]:
    more = layer.weight is not None
    summed = layer.reduction != "none"
    return Flops(elementwise=(9 + more + summed) * np.size(X)), Flops(elementwise=(6 + more) * np.size(X))


@flops.register
def _(layer: BCEWithLogitsLoss, X: Any, Y: Any) -> tuple[Flops, Flops]:
    more, positive = layer.weight is not None, layer.pos_weight is not None  # p t, + and * in forward, * in backward
    forward = 10 + more + 3 * positive + (layer.reduction != "none")
    return Flops(elementwise=forward * np.size(X)), Flops(elementwise=(6 + more + positive) * np.size(X))


@flops.register
def _(layer: CrossEntropyLoss, X: Any, Y: Any) -> tuple[Flops, Flops]:
    rows = _rows(X, layer.axis)
    summed = layer.reduction != "none"
    return Flops(elementwise=7 * np.size(X) + (1 + summed) * rows), Flops(elementwise=5 * np.size(X))


@flops.register
def _(layer: NLLLoss, X: Any, Y: Any) -> tuple[Flops, Flops]:
    rows = _rows(X, layer.axis)  # -, *, sum; *, -
    return Flops(elementwise=(2 + (layer.reduction != "none")) * rows), Flops(elementwise=2 * rows)


@flops.register
def _(layer: MultiMarginLoss, X: Any, Y: Any) -> tuple[Flops, Flops]:
    rows = _rows(X, layer.axis)  # -, +, max, *, sum; >, *, sum
    forward = (3 + layer.p) * np.size(X) + (1 + (layer.reduction != "none")) * rows
    return Flops(elementwise=forward), Flops(elementwise=3 * np.size(X) + rows)


@flops.register
def _(layer: MultiLabelMarginLoss, X: Any, Y: Any) -> tuple[Flops, Flops]:
    rows = _rows(X, -1)  # -, +, max, sum, >, count, + for each label; /
    forward = (7 * layer.most_labels + 1) * np.size(X) + (1 + (layer.reduction != "none")) * rows
    return Flops(elementwise=forward), Flops(elementwise=np.size(X))


@flops.register
def _(layer: MultiLabelSoftMarginLoss, X: Any, Y: Any) -> tuple[Flops, Flops]:
    more = layer.weight is not None
    forward = (11 + more) * np.size(X) + (1 + (layer.reduction != "none")) * _rows(X, -1)
    return Flops(elementwise=forward), Flops(elementwise=(6 + more) * np.size(X))


def _rows(X: Any, axis: int) -> int:
    """The number of rows of X along ``axis``."""
    sizes = list(np.shape(X))
    del sizes[axis]
    return math.prod(sizes)
