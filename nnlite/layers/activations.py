"""Activations: tanh, sigmoid, ReLU, softmax. Their Y has the shape of X, and most backwards use the cached Y."""

import math
from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.basics.shapes import Shape, is_open, no_such_axis, text
from nnlite.compute import kernels
from nnlite.compute import softmax_of_columns as of_columns
from nnlite.compute.softmax import (
    along,
    arranged,
    log_softmax,
    log_softmax_backward,
    restored,
    softmax,
    softmax_backward,
)
from nnlite.errors import ShapeError
from nnlite.layer.flops import Flops, rows_along
from nnlite.layer.layer import Layer


class Activation(Layer):
    """Base class of layers with one input whose Y has the shape of X.

    >>> Tanh().output_shape((None, 16))
    (None, 16)
    """

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        return X


class Tanh(Activation):
    """``Y = tanh(X)``, elementwise; ``dX = dY (1 - Y^2)``.

    X and Y have the same shape, any. Y is read-only, because backward uses it.

    >>> import numpy as np
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
    onnx = "Tanh(X)"
    output_range = (-1.0, 1.0)
    flops_per_element = (1, 3)

    def forward(self, X: Any) -> Array:
        self.Y = self.keep_Y(kernels.tanh(self.check_X(X)))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return kernels.tanh_backward(self.check_dY(dY), self.Y)


class Sigmoid(Activation):
    """``Y = 1 / (1 + exp(-X))``, elementwise; ``dX = dY Y (1 - Y)``.

    X and Y have the same shape, any. Y is accurate to 4 ulp, and read-only, because backward uses it.

    It saturates: above X = 17 in float32, 37 in float64, Y is exactly 1 and dX is 0. For training a classifier, leave
    it out of the model and use :class:`nnlite.BCEWithLogitsLoss`.

    >>> import numpy as np
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
    onnx = "Sigmoid(X)"
    output_range = (0.0, 1.0)
    flops_per_element = (4, 3)

    def forward(self, X: Any) -> Array:
        self.Y = self.keep_Y(kernels.sigmoid(self.check_X(X)))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return kernels.sigmoid_backward(self.check_dY(dY), self.Y)


class ReLU(Activation):
    """``Y = max(X, 0)``, elementwise; ``dX = dY`` where Y > 0, else 0. The derivative at 0 is 0.

    X and Y have the same shape, any. Y is read-only, because backward uses it.

    Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, 2010.

    >>> import numpy as np
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
    onnx = "Relu(X)"
    output_range = (0.0, math.inf)
    flops_per_element = (1, 1)

    def forward(self, X: Any) -> Array:
        self.Y = self.keep_Y(kernels.relu(self.check_X(X)))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return kernels.relu_backward(self.check_dY(dY), self.Y)


class Identity(Activation):
    """``Y = X``; ``dX = dY``. Both are copies.

    X and Y have the same shape, any.

    >>> import numpy as np
    >>> Identity().forward(np.array([1.0, 2.0]))
    array([1., 2.])
    """

    has_units = False
    formulas = """
        Y = X
        dX = dY
    """
    onnx = "Identity(X)"
    flops_per_element = (0, 0)

    def forward(self, X: Any) -> Array:
        return self.record_Y(self.check_X(X).copy())

    def backward(self, dY: Any) -> Array:
        return self.check_dY(dY).copy()


class Softmax(Activation):
    """``Y = exp(X) / sum(exp(X))`` along one axis; ``dX = Y (dY - sum(dY Y))``.

    For training a classifier, leave it out of the model: :class:`nnlite.CrossEntropyLoss` expects logits.

    Args:
        dim: the axis along which Y sums to 1.

    X and Y have the same shape. Y is read-only, because backward uses it.

    Raises:
        ShapeError: X has no such axis.

    >>> import numpy as np
    >>> layer = Softmax()
    >>> layer.forward(np.array([[0.0, 0.0], [0.0, -np.inf]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    >>> layer.backward(np.array([[1.0, 0.0], [1.0, 0.0]]))
    array([[ 0.25, -0.25],
           [ 0.  , -0.  ]])
    """

    has_units = False
    formulas = """
        Y = exp(X) / sum(exp(X), axis=dim, keepdims=True)
        dX = Y * (dY - sum(dY * Y, axis=dim, keepdims=True))
    """
    onnx = "Softmax(X, axis=dim)"
    output_range = (0.0, 1.0)
    flops_per_element = (5, 4)  # max, -, exp, sum, /; *, sum, -, *

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole(dim, "Softmax: dim")

    def forward(self, X: Any) -> Array:
        X = _with_axis(self, self.check_X(X), self.dim)
        self.Y = self.keep_Y(along(self.dim, softmax, of_columns.softmax, X))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return along(self.dim, softmax_backward, of_columns.softmax_backward, self.check_dY(dY), self.Y)  # type: ignore[no-any-return]

    def constant_output(self, Y: Array) -> float | None:
        return 1.0 if Y.ndim and Y.shape[self.dim] == 1 else None

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Activation):
    """``Y = X - log(sum(exp(X)))`` along one axis; ``dX = dY - exp(Y) sum(dY)``.

    Args:
        dim: the axis along which exp(Y) sums to 1.

    X and Y have the same shape.

    Raises:
        ShapeError: X has no such axis.

    >>> import numpy as np
    >>> layer = LogSoftmax()
    >>> layer.forward(np.array([[0.0, 0.0]]))
    array([[-0.69314718, -0.69314718]])
    >>> layer.backward(np.array([[1.0, 0.0]]))
    array([[ 0.5, -0.5]])
    """

    has_units = False
    formulas = """
        Y = X - log(sum(exp(X), axis=dim, keepdims=True))
        dX = dY - exp(Y) * sum(dY, axis=dim, keepdims=True)
    """
    onnx = "LogSoftmax(X, axis=dim)"

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole(dim, "LogSoftmax: dim")

    def forward(self, X: Any) -> Array:
        X = _with_axis(self, self.check_X(X), self.dim)
        Y, self.E, self.s = along(self.dim, log_softmax, of_columns.log_softmax, X)
        return self.record_Y(Y)

    def backward(self, dY: Any) -> Array:
        dY = self.check_dY(dY)
        backward = log_softmax_backward if self.E.ndim == 2 else of_columns.log_softmax_backward
        return restored(backward(arranged(dY, self.dim), self.E, self.s), dY.shape, self.dim)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        rows = rows_along(X, self.dim)
        return Flops(elementwise=5 * X.size + rows), Flops(elementwise=4 * X.size)  # max, -, exp, sum, log, -

    def constant_output(self, Y: Array) -> float | None:
        return 0.0 if Y.ndim and Y.shape[self.dim] == 1 else None

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmin(Softmax):
    """``Y = exp(-X) / sum(exp(-X))`` along one axis: the softmax of -X; ``dX = -Y (dY - sum(dY Y))``.

    Args:
        dim: the axis along which Y sums to 1.

    X and Y have the same shape. Y is read-only, because backward uses it.

    Raises:
        ShapeError: X has no such axis.

    >>> import numpy as np
    >>> Softmin().forward(np.array([[0.0, 0.0], [0.0, np.inf]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """

    formulas = """
        Y = exp(-X) / sum(exp(-X), axis=dim, keepdims=True)
        dX = -Y * (dY - sum(dY * Y, axis=dim, keepdims=True))
    """
    onnx = "Softmax(-X, axis=dim)"
    output_range = (0.0, 1.0)
    flops_per_element = (6, 5)

    def forward(self, X: Any) -> Array:
        X = _with_axis(self, self.check_X(X), self.dim)
        self.Y = self.keep_Y(along(self.dim, softmax, of_columns.softmax, kernels.negative(X)))
        return self.Y

    def backward(self, dY: Any) -> Array:
        dY = kernels.negative(self.check_dY(dY))
        return along(self.dim, softmax_backward, of_columns.softmax_backward, dY, self.Y)  # type: ignore[no-any-return]


class Softmax2d(Softmax):
    """The softmax over the channels at each place of an image: :class:`Softmax` along the third axis from the end.

    X and Y have the same shape, (N, C, H, W) or (C, H, W). Y is read-only, because backward uses it.

    Raises:
        ShapeError: X has another number of axes.

    >>> import numpy as np
    >>> Softmax2d().forward(np.zeros((2, 1, 3)))
    array([[[0.5, 0.5, 0.5]],
    <BLANKLINE>
           [[0.5, 0.5, 0.5]]])
    """

    output_range = (0.0, 1.0)
    flops_per_element = (5, 4)
    onnx = "Softmax(X, axis=dim)"

    def __init__(self) -> None:
        super().__init__(dim=-3)

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.output_shape(X.shape)
        return super().forward(X)

    def backward(self, dY: Any) -> Array:
        return super().backward(dY)

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if not is_open(X) and len(X) not in (3, 4):
            raise ShapeError(f"{self}: expected X of shape (N, C, H, W) or (C, H, W), got {text(X)}")
        return X

    def extra_repr(self) -> str:
        return ""


def _with_axis(layer: Layer, X: Array, dim: int) -> Array:
    """Return X if it has the axis ``dim``; a number has the axes 0 and -1, as PyTorch's."""
    if not -max(X.ndim, 1) <= dim < max(X.ndim, 1):
        raise no_such_axis(layer, X.shape, dim)
    return X
