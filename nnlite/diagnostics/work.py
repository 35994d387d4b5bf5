"""work: how many operations a layer takes, and which matrices it multiplies."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, singledispatch
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.containers.sequential import Sequential
from nnlite.layer.layer import Layer
from nnlite.layers.activations import Identity, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from nnlite.layers.arrangement import Flatten
from nnlite.layers.linear import Linear
from nnlite.losses.bce import BCELoss, BCEWithLogitsLoss
from nnlite.losses.cross_entropy import CrossEntropyLoss
from nnlite.losses.mse import MSELoss


@dataclass(frozen=True, eq=False)
class Work:
    """What one forward or one backward has to do.

    It is counted by the formula that the layer's docstring states, in the form that neither overflows nor loses
    digits, with at hand what forward keeps. Each ``+ - * /``, comparison or function of a number, be it ``exp``, is
    one operation; a sum or maximum takes one for each number that goes in, and a product of an (N, D) and a (D, M)
    matrix ``2 N D M``. What is done once a batch, copies, checks and the making of the target count nothing.

    Attributes:
        elements: operations on single numbers.
        products: the pairs of matrices that are multiplied. A matrix of the same shape, dtype and layout will do, such
            as Y for dY. Where there are any, their bare products are the roof that a profile measures against.
        reads: the arrays that it reads beside its inputs; None for all its parameters and its cache.

    >>> Work(elements=15, products=((np.ones((5, 2)), np.ones((2, 3))),)).operations
    75
    """

    elements: int = 0
    products: tuple[tuple[Array, Array], ...] = ()
    reads: tuple[Array, ...] | None = None

    @property
    def operations(self) -> int:
        """Those on single numbers and those of the products."""
        return self.elements + sum(2 * A.size * int(B.shape[1]) for A, B in self.products)


@singledispatch
def work(layer: Layer, X: Any, Y: Any) -> tuple[Work, Work] | None:
    """The work of ``layer``'s forward and backward, after it gave Y for its first input X; None if it is not known.

    A container's is what it does beside its parts. ``work.register`` tells that of a layer of your own; layers know
    nothing of it:

    >>> class Double(Layer):
    ...     def forward(self, X):
    ...         return 2 * X
    ...     def backward(self, dY):
    ...         return 2 * dY
    >>> @work.register
    ... def _(layer: Double, X, Y):
    ...     return Work(elements=X.size), Work(elements=X.size)
    >>> forward, backward = work(Double(), np.ones(4), np.ones(4))
    >>> forward.operations
    4
    """
    return None


def known_work(layer: Layer, X: Any, Y: Any) -> tuple[Work, Work] | None:
    """:func:`work`, but None for a subclass with a forward or backward of its own: that may do anything.

    >>> class Loud(Tanh):
    ...     def forward(self, X):
    ...         return super().forward(2 * X)
    >>> X = np.ones(4)
    >>> known_work(Loud(), X, X) is None
    True
    """
    cls = type(layer)
    known: Any = next(base for base in cls.__mro__ if base in work.registry)
    if known is object or cls.forward is not known.forward or cls.backward is not known.backward:
        return None
    return work(layer, X, Y)


@work.register
def _(layer: Linear, X: Any, Y: Any) -> tuple[Work, Work]:
    rows, dY = layer.X.reshape(-1, layer.in_features), Y.reshape(-1, layer.out_features)
    bias = 0 if layer.b is None else Y.size
    forward = Work(elements=bias, products=((rows, layer.W),))
    if not layer.needs_dX:
        return forward, Work(elements=bias, products=((rows.T, dY),), reads=(layer.X,))
    return forward, Work(elements=bias, products=((rows.T, dY), (dY, layer.W.T)), reads=(layer.X, layer.W))


def _for_each_element(forward: int, backward: int) -> Callable[[Layer, Any, Any], tuple[Work, Work]]:
    def count(forward: int, backward: int, layer: Layer, X: Any, Y: Any) -> tuple[Work, Work]:
        return Work(elements=forward * np.size(X)), Work(elements=backward * np.size(X))

    return partial(count, forward, backward)


work.register(Sequential, _for_each_element(0, 0))
work.register(Flatten, _for_each_element(0, 0))
work.register(Identity, _for_each_element(0, 0))
work.register(ReLU, _for_each_element(1, 1))
work.register(Tanh, _for_each_element(1, 3))
work.register(Sigmoid, _for_each_element(4, 3))
work.register(Softmax, _for_each_element(5, 4))  # max, -, exp, sum, /; *, sum, -, *


@work.register
def _(layer: LogSoftmax, X: Any, Y: Any) -> tuple[Work, Work]:
    rows = _rows(X, layer.dim)
    return Work(elements=5 * np.size(X) + rows), Work(elements=4 * np.size(X))  # max, -, exp, sum, log, -


@work.register
def _(layer: MSELoss, X: Any, Y: Any) -> tuple[Work, Work]:
    summed = layer.reduction != "none"
    return Work(elements=(2 + summed) * np.size(X)), Work(elements=np.size(X))


@work.register
def _(layer: BCELoss, X: Any, Y: Any) -> tuple[Work, Work]:
    more = layer.weight is not None
    summed = layer.reduction != "none"
    return Work(elements=(9 + more + summed) * np.size(X)), Work(elements=(6 + more) * np.size(X))


@work.register
def _(layer: BCEWithLogitsLoss, X: Any, Y: Any) -> tuple[Work, Work]:
    more, positive = layer.weight is not None, layer.pos_weight is not None  # p t, + and * in forward, * in backward
    forward = 10 + more + 3 * positive + (layer.reduction != "none")
    return Work(elements=forward * np.size(X)), Work(elements=(6 + more + positive) * np.size(X))


@work.register
def _(layer: CrossEntropyLoss, X: Any, Y: Any) -> tuple[Work, Work]:
    rows = _rows(X, layer.axis)
    summed = layer.reduction != "none"
    return Work(elements=7 * np.size(X) + (1 + summed) * rows), Work(elements=5 * np.size(X))


def _rows(X: Any, axis: int) -> int:
    """How many rows X has along ``axis``."""
    sizes = list(np.shape(X))
    del sizes[axis]
    return math.prod(sizes)
