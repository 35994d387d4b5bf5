"""Activations: layers that keep the shape, and take their derivative from the output Y that they keep."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.basics.shapes import Shape
from nnlite.compute import kernels
from nnlite.compute.blocks import elementwise
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer


class Activation(Layer):
    """A layer whose Y has the shape of X.

    >>> Tanh().output_shape((None, 16))
    (None, 16)
    """

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        return X


class Tanh(Activation):
    """``Y = tanh(X)``, elementwise; ``dX = dY (1 - Y^2)``.

    X and Y have any shape and one floating dtype. Y is read-only, since backward needs it.

    >>> layer = Tanh()
    >>> layer.forward(np.array([0.0, 1.0]))
    array([0.        , 0.76159416])
    >>> layer.backward(np.array([1.0, 1.0]))
    array([1.        , 0.41997434])
    """

    formulas = """
        Y = tanh(X)
        dX = dY * (1 - Y * Y)
    """

    def forward(self, X: Any) -> Array:
        self.Y = self.keep_Y(elementwise(np.tanh, self.check_X(X)))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return elementwise(_tanh_backward, self.check_dY(dY), self.Y)


def _tanh_backward(dY: Array, Y: Array, out: Array | None = None) -> Array:
    out = np.multiply(Y, Y, out)
    np.subtract(kernels.ONE[Y.dtype], out, out)
    return np.multiply(dY, out, out)


class Sigmoid(Activation):
    """``Y = 1 / (1 + exp(-X))``, elementwise; ``dX = dY Y (1 - Y)``.

    X and Y have any shape and one floating dtype. Y is read-only, since backward needs it; it is right to 4 ulp.
    Far out Y is exactly 0 or 1 and the gradient 0: from X = 17 in float32, 37 in float64. As the last layer of a
    classifier it is better left out, with :class:`nnlite.BCEWithLogitsLoss` for the loss.

    >>> layer = Sigmoid()
    >>> layer.forward(np.array([0.0, 1.0]))
    array([0.5       , 0.73105858])
    >>> layer.backward(np.array([1.0, 1.0]))
    array([0.25      , 0.19661193])
    """

    formulas = """
        Y = sigmoid(X)
        dX = dY * Y * (1 - Y)
    """

    def forward(self, X: Any) -> Array:
        self.Y = self.keep_Y(elementwise(kernels.sigmoid, self.check_X(X)))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return elementwise(_sigmoid_backward, self.check_dY(dY), self.Y)


def _sigmoid_backward(dY: Array, Y: Array, out: Array | None = None) -> Array:
    out = np.subtract(kernels.ONE[Y.dtype], Y, out)
    np.multiply(Y, out, out)
    return np.multiply(dY, out, out)


class ReLU(Activation):
    """``Y = max(X, 0)``, elementwise; ``dX = dY`` where Y > 0, else 0. The derivative at 0 is taken to be 0.

    X and Y have any shape and one floating dtype. Y is read-only, since backward needs it.

    Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, 2010.

    >>> layer = ReLU()
    >>> layer.forward(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0., 0., 1.])
    """

    formulas = """
        Y = maximum(X, 0)
        dX = dY * (Y > 0)
    """

    def forward(self, X: Any) -> Array:
        self.Y = self.keep_Y(elementwise(_relu, self.check_X(X)))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return elementwise(_relu_backward, self.check_dY(dY), self.Y)


def _relu(X: Array, out: Array | None = None) -> Array:
    return np.maximum(X, kernels.ZERO[X.dtype], out=out)


def _relu_backward(dY: Array, Y: Array, out: Array | None = None) -> Array:
    # np.where takes ten times as long, and dY * (Y > 0) makes nan of an infinite dY. Whole numbers do not: the bits of
    # dY times 0 or 1.
    if Y.itemsize > 8:  # long double
        return np.positive(np.where(Y == 0, kernels.ZERO[Y.dtype], dY), out)
    bits = f"i{Y.itemsize}"
    out = np.empty_like(Y) if out is None else out
    passes = np.not_equal(Y, kernels.ZERO[Y.dtype], out=out.view(bits))
    np.multiply(dY.view(bits), passes, out=passes)
    return out


class Identity(Activation):
    """``Y = X``, ``dX = dY``, each a copy, so that nobody's array has two owners.

    X and Y have any shape and one floating dtype.

    >>> Identity().forward(np.array([1.0, 2.0]))
    array([1., 2.])
    """

    formulas = """
        Y = X
        dX = dY
    """

    def forward(self, X: Any) -> Array:
        return self.record_Y(self.check_X(X).copy())

    def backward(self, dY: Any) -> Array:
        return self.check_dY(dY).copy()


class Softmax(Activation):
    """``Y = exp(X) / sum(exp(X))`` along one axis; ``dX = Y (dY - sum(dY Y))``.

    Before a cross-entropy it is better left out: :class:`nnlite.CrossEntropyLoss` takes the scores themselves.

    Args:
        dim: the axis whose entries sum to 1.

    X and Y have one shape and one floating dtype. Y is read-only, since backward needs it.

    Raises:
        ShapeError: X has no such axis.

    >>> layer = Softmax()
    >>> layer.forward(np.array([[0.0, 0.0], [0.0, -np.inf]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    >>> layer.backward(np.array([[1.0, 0.0], [1.0, 0.0]]))
    array([[ 0.25, -0.25],
           [ 0.  , -0.  ]])
    """

    formulas = """
        Y = exp(X) / sum(exp(X), axis=dim, keepdims=True)
        dX = Y * (dY - sum(dY * Y, axis=dim, keepdims=True))
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole(dim, "Softmax: dim")

    def forward(self, X: Any) -> Array:
        X = _with_axis(self, self.check_X(X), self.dim)
        self.Y = self.keep_Y(kernels.softmax(X, self.dim))
        return self.Y

    def backward(self, dY: Any) -> Array:
        dY = self.check_dY(dY)
        dX: Array = self.Y * (dY - np.sum(dY * self.Y, axis=self.dim, keepdims=True))
        return dX

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Activation):
    """``Y = X - log(sum(exp(X)))`` along one axis; ``dX = dY - exp(Y) sum(dY)``.

    Args:
        dim: the axis over which exp(Y) sums to 1.

    X and Y have one shape and one floating dtype. Y is read-only, since backward needs it.

    Raises:
        ShapeError: X has no such axis.

    >>> layer = LogSoftmax()
    >>> layer.forward(np.array([[0.0, 0.0]]))
    array([[-0.69314718, -0.69314718]])
    >>> layer.backward(np.array([[1.0, 0.0]]))
    array([[ 0.5, -0.5]])
    """

    formulas = """
        Y = X - log(sum(exp(X), axis=dim, keepdims=True))
        dX = dY - exp(Y) * sum(dY, axis=dim, keepdims=True)
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole(dim, "LogSoftmax: dim")

    def forward(self, X: Any) -> Array:
        X = _with_axis(self, self.check_X(X), self.dim)
        self.Y = self.keep_Y(kernels.log_softmax(X, self.dim))
        return self.Y

    def backward(self, dY: Any) -> Array:
        dY = self.check_dY(dY)
        with np.errstate(under="ignore"):
            dX: Array = dY - np.exp(self.Y) * np.sum(dY, axis=self.dim, keepdims=True)
        return dX

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


def _with_axis(layer: Layer, X: Array, dim: int) -> Array:
    """X itself, if it has the axis ``dim``."""
    if not -X.ndim <= dim < X.ndim:
        raise ShapeError(f"{layer}: expected X with an axis {dim}, got shape {X.shape}")
    return X
