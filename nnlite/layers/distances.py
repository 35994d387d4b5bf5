"""Similarity and distance of the vectors of two inputs."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import non_negative, number, whole
from nnlite.basics.shapes import UNKNOWN, Shape, broadcast_shapes, text, with_axes
from nnlite.compute.norms import distances, exponent, norms_backward
from nnlite.compute.sums import sum_to
from nnlite.errors import ShapeError
from nnlite.layers.arithmetic import Arrays, Gate


class CosineSimilarity(Gate):
    """Cosine of the angle between vectors, ``y = x1^T x2 / (n1 n2)`` with ``n = max(|x|, eps)``.

    Backward: ``dx1 = dy (x2 / n2 - y x1 / n1) / n1``, and ``dx2`` likewise; without the second term where ``|x|`` is at
    most ``eps``, and n thus constant. (PyTorch's gradient has that term there too.)

    Args:
        dim: the axis of the vectors, after broadcasting.
        eps: the smallest length to divide by.

    X1 and X2 are broadcast; Y has their shape without the axis ``dim``.

    Raises:
        ShapeError: the shapes of the inputs do not match, or they have no axis ``dim``.

    >>> layer = CosineSimilarity()
    >>> layer.forward(np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]]))
    array([0.8])
    >>> layer.backward(np.array([1.0]))
    (array([[-0.096,  0.072]]), array([[0.3, 0. ]]))
    """

    formulas = """
        n1 = maximum(sqrt(sum(X1 ** 2, axis=dim, keepdims=True)), eps)
        n2 = maximum(sqrt(sum(X2 ** 2, axis=dim, keepdims=True)), eps)
        Y = sum(X1 * X2 / (n1 * n2), axis=dim)
        dX1 = sum_to(expand_dims(dY, axis=dim) / n1 * (X2 / n2 - (n1 > eps) * expand_dims(Y, axis=dim) * X1 / n1), X1)
        dX2 = sum_to(expand_dims(dY, axis=dim) / n2 * (X1 / n1 - (n2 > eps) * expand_dims(Y, axis=dim) * X2 / n2), X2)
    """

    def __init__(self, dim: int = 1, *, eps: float = 1e-8) -> None:
        self.dim = whole(dim, "CosineSimilarity: dim")
        self.eps = non_negative(eps, "CosineSimilarity: eps")

    def forward(self, X1: Any, X2: Any) -> Array:
        self.X1, self.X2 = X1, X2 = self.check_Xs(X1, X2)
        self.output_shape(X1.shape, X2.shape)
        X1, X2 = (np.moveaxis(X, self.dim, -1) for X in np.broadcast_arrays(X1, X2))
        self.n1, self.n2 = (np.maximum(np.sqrt(np.vecdot(X, X)), self.eps) for X in (X1, X2))
        self.Y = np.asarray(np.vecdot(X1, X2) / self.n1 / self.n2)
        return self.keep_Y(self.Y)

    def backward(self, dY: Any) -> Arrays:
        dY = self.check_dY(dY)

        def gradient(X: Array, n: Array, other: Array, its_n: Array) -> Array:
            dX = other * self._kept(dY / n / its_n) - X * self._kept((n > self.eps) * dY * self.Y / n / n)
            return sum_to(dX, X.shape)

        return gradient(self.X1, self.n1, self.X2, self.n2), gradient(self.X2, self.n2, self.X1, self.n1)

    def onnx(self, graph: Any, X1: Any, X2: Any) -> Any:
        n1, n2 = (graph.Max(graph.ReduceL2(X, axes=(self.dim,)), self.eps) for X in (X1, X2))
        return graph.ReduceSum(X1 * X2 / (n1 * n2), axes=(self.dim,), keepdims=0)

    def _kept(self, values: Array) -> Array:
        """A number for each vector, with the axis of the vectors."""
        return np.expand_dims(values, self.dim)

    def output_shape(self, *shapes: Shape) -> Shape:
        if (known := with_axes(self, broadcast_shapes(self, *shapes), self.dim)) is None:
            return UNKNOWN
        shape, (dim,) = known
        return (*shape[:dim], *shape[dim:][1:])

    def extra_repr(self) -> str:
        return f"dim={self.dim}" + f", eps={self.eps}" * (self.eps != 1e-8)


class PairwiseDistance(Gate):
    """Distance of vectors along the last axis: the p-norm ``y = sum(|d|^p)^(1/p)`` of ``d = x1 - x2 + eps``.

    Backward: ``dx1 = dy sign(d) (|d| / y)^(p-1)`` and ``dx2 = -dx1``; 0 where y is 0. For ``p=math.inf`` y is the
    largest ``|d|``, and dy is divided equally among the entries that have it; for ``p=0`` y counts the entries that
    are not 0, and its gradient is 0.

    Args:
        p: the exponent of the norm, from 0 to infinity.
        eps: added to each difference, so that the distance of equal vectors is not 0, where it has no gradient.
        keepdim: whether the last axis remains in Y, with size 1.

    X1 (..., D) and X2 (..., D) are broadcast; Y (...), or (..., 1) with ``keepdim``.

    Raises:
        ShapeError: the shapes of the inputs do not match, or they are scalars.

    >>> layer = PairwiseDistance(eps=0.0)
    >>> layer.forward(np.array([[3.0, 4.0]]), np.array([[0.0, 0.0]]))
    array([5.])
    >>> layer.backward(np.array([10.0]))
    (array([[6., 8.]]), array([[-6., -8.]]))
    """

    formulas = """
        D = X1 - X2 + eps
        Y = sum(abs(D) ** p, axis=-1, keepdims=keepdim) ** (1 / p)
        G = view(dY, shape=kept_shape) * sign(D) * (abs(D) / view(Y, shape=kept_shape)) ** (p - 1)
        dX1 = sum_to(G, X1)
        dX2 = -sum_to(G, X2)
    """

    def __init__(self, p: float = 2.0, *, eps: float = 1e-6, keepdim: bool = False) -> None:
        self.p = exponent(p, "PairwiseDistance: p")
        self.eps = number(eps, "PairwiseDistance: eps")
        self.keepdim = keepdim
        if self.p in (0, math.inf):
            self.formulas = ""  # no powers

    def forward(self, X1: Any, X2: Any) -> Array:
        X1, X2 = self.check_Xs(X1, X2)
        if X1.shape != X2.shape or not X1.ndim:
            self.output_shape(X1.shape, X2.shape)  # an error if they do not match
        self.X1_shape, self.X2_shape = X1.shape, X2.shape
        self.D, self.y = distances(X1, X2, self.eps, self.p)
        self.kept_shape = (*self.y.shape, 1)
        return self.record_Y(self.y.reshape(self.kept_shape) + 0 if self.keepdim else self.y.copy())

    def backward(self, dY: Any) -> Arrays:
        dD = norms_backward(self.check_dY(dY).reshape(self.y.shape), self.D, self.y, self.p)
        return sum_to(dD, self.X1_shape), sum_to(-dD, self.X2_shape)

    def onnx(self, graph: Any, X1: Any, X2: Any) -> Any:
        D, last = graph.Abs(X1 - X2 + self.eps), {"axes": (-1,), "keepdims": int(self.keepdim)}
        if self.p == 0:
            return graph.ReduceSum(graph.Sign(D), **last)
        if self.p == math.inf:
            return graph.ReduceMax(D, **last)
        return graph.ReduceL2(D, **last) if self.p == 2 else graph.ReduceSum(D**self.p, **last) ** (1 / self.p)

    def output_shape(self, *shapes: Shape) -> Shape:
        shape = broadcast_shapes(self, *shapes)
        if shape == ():
            raise ShapeError(f"{self}: expected vectors, got inputs of shapes {' and '.join(map(text, shapes))}")
        leading = shape if shape == UNKNOWN else shape[:-1]
        return (*leading, 1) if self.keepdim else leading

    def extra_repr(self) -> str:
        p = "float('inf')" if self.p == math.inf else self.p
        return f"p={p}" + f", eps={self.eps}" * (self.eps != 1e-6) + ", keepdim=True" * self.keepdim
