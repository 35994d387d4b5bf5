"""Smooth activations: those made of the sigmoid and its relatives, and gated linear units."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import number, one_of, positive, whole
from nnlite.basics.shapes import Shape, no_such_axis, with_axes
from nnlite.compute import activation_kernels as kernels
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer
from nnlite.layers.activations import Activation


class GELU(Activation):
    """``Y = X ndtr(X)`` with ndtr the integral of the standard normal density; ``dX = dY (ndtr(X) + X density(X))``.

    With ``approximate="tanh"`` it is ``Y = 0.5 X (1 + tanh(sqrt(2 / pi) (X + 0.044715 X^3)))``. Both are accurate far
    below 0, where ``1 + erf`` and ``1 + tanh`` have no correct digit. X and Y have the same shape, any.

    Args:
        approximate: "none" or "tanh". In float32 they take about the same time; in float64 "none" uses scipy.special,
            which computes 60 million values a second in one thread.

    Raises:
        ValueError: ``approximate`` is something else.

    Source: Hendrycks and Gimpel, Gaussian error linear units, 2016.

    >>> layer = GELU()
    >>> layer.forward(np.array([-1.0, 0.0, 1.0]))
    array([-0.15865525,  0.        ,  0.84134475])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([-0.08331547,  0.5       ,  1.08331547])
    """

    formulas = """
        P = ndtr(X) if exact else sigmoid(sqrt(8 / pi) * (X + 0.044715 * X ** 3))
        dP = exp(-X ** 2 / 2) / sqrt(2 * pi) if exact else P * (1 - P) * sqrt(8 / pi) * (1 + 0.134145 * X ** 2)
        Y = X * P
        dX = dY * (P + X * dP)
    """
    onnx = """(
        Gelu(X, approximate=approximate) if opset >= 20
        else X * (1 + Erf(X / 2**0.5)) * 0.5 if exact
        else X * (1 + Tanh((2 / pi) ** 0.5 * (X + 0.044715 * X * X * X))) * 0.5
    )"""
    output_range = (-0.17005, math.inf)
    flops_per_element = (23, 9)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = one_of(approximate, "GELU: approximate", ("none", "tanh"))

    @property
    def exact(self) -> bool:
        """Whether it is the first of the two formulas."""
        return self.approximate == "none"

    def forward(self, X: Any) -> Array:
        self.X = X = self.check_X(X)
        if not self.exact:
            Y, self.V = kernels.gelu_tanh(X)
        elif X.dtype == np.float32:
            Y, self.tail = kernels.gelu_float32(X)
        else:
            self.tail = kernels.normal_tail(X)
            Y = kernels.gelu(X, self.tail)
        return self.record_Y(Y)

    def backward(self, dY: Any) -> Array:
        dY = self.check_dY(dY)
        return (
            kernels.gelu_backward(dY, self.X, self.tail)
            if self.exact
            else kernels.gelu_tanh_backward(dY, self.X, self.V)
        )

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Activation):
    """``Y = X sigmoid(X)``, called swish too; ``dX = dY S (1 + X (1 - S))`` with S the sigmoid.

    X and Y have the same shape, any.

    Source: Elfwing, Uchibe and Doya, Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning, 2017.

    >>> layer = SiLU()
    >>> layer.forward(np.array([-1.0, 0.0, 1.0]))
    array([-0.26894142,  0.        ,  0.73105858])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0.07232949, 0.5       , 0.92767051])
    """

    formulas = """
        S = sigmoid(X)
        Y = X * S
        dX = dY * S * (1 + X * (1 - S))
    """
    onnx = "X * Sigmoid(X)"
    output_range = (-0.27847, math.inf)
    flops_per_element = (4, 6)

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        Y, self.V = kernels.silu(self.X)
        return self.record_Y(Y)

    def backward(self, dY: Any) -> Array:
        return kernels.silu_backward(self.check_dY(dY), self.X, self.V)


class Mish(Activation):
    """``Y = X T`` with ``T = tanh(log(1 + exp(X)))``; ``dX = dY (T + X (1 - T^2) sigmoid(X))``.

    X and Y have the same shape, any.

    Source: Misra, Mish: a self regularized non-monotonic activation function, 2020.

    >>> layer = Mish()
    >>> layer.forward(np.array([-1.0, 0.0, 1.0]))
    array([-0.30340146,  0.        ,  0.86509839])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0.05921676, 0.6       , 1.04903622])
    """

    formulas = """
        T = tanh(log(1 + exp(X)))
        Y = X * T
        dX = dY * (T + X * (1 - T ** 2) * sigmoid(X))
    """
    onnx = "Mish(X) if opset >= 18 else X * Tanh(Softplus(X))"
    output_range = (-0.30885, math.inf)
    flops_per_element = (7, 14)

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        Y, self.E = kernels.mish(self.X)
        return self.record_Y(Y)

    def backward(self, dY: Any) -> Array:
        return kernels.mish_backward(self.check_dY(dY), self.X, self.E)


class Softplus(Activation):
    """``Y = log(1 + exp(beta X)) / beta``; ``dX = dY sigmoid(beta X)``. Where ``beta X`` is above threshold, Y is X.

    X and Y have the same shape, any.

    Args:
        beta: above 0; the larger it is, the closer Y is to max(X, 0).
        threshold: from where on Y is X.

    Raises:
        ValueError: ``beta`` is not above 0.

    Source: Dugas, Bengio, Belisle, Nadeau and Garcia, Incorporating second-order functional knowledge for better option
    pricing, 2001.

    >>> layer = Softplus()
    >>> layer.forward(np.array([-1.0, 0.0, 30.0]))
    array([ 0.31326169,  0.69314718, 30.        ])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0.26894142, 0.5       , 1.        ])
    """

    formulas = """
        Y = log(1 + exp(beta * X)) / beta
        dX = dY * sigmoid(beta * X)
    """
    onnx = (
        "Softplus(X) if beta == 1 and threshold >= 20 else Softplus(X * beta) / beta if threshold >= 20 else "
        "Where(X * beta > threshold, X, Softplus(X * beta) / beta)"
    )
    output_range = (0.0, math.inf)
    flops_per_element = (9, 5)

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = positive(beta, "Softplus: beta")
        self.threshold = number(threshold, "Softplus: threshold")

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        return self.record_Y(kernels.softplus(self.X, self.beta, self.threshold))

    def backward(self, dY: Any) -> Array:
        return kernels.softplus_backward(self.check_dY(dY), self.X, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class LogSigmoid(Activation):
    """``Y = -log(1 + exp(-X))``, the logarithm of the sigmoid; ``dX = dY sigmoid(-X)``.

    X and Y have the same shape, any.

    >>> layer = LogSigmoid()
    >>> layer.forward(np.array([-1000.0, 0.0]))
    array([-1.00000000e+03, -6.93147181e-01])
    >>> layer.backward(np.array([1.0, 1.0]))
    array([1. , 0.5])
    """

    formulas = """
        Y = -log(1 + exp(-X))
        dX = dY * sigmoid(-X)
    """
    onnx = "-Softplus(-X)"
    output_range = (-math.inf, 0.0)
    flops_per_element = (6, 3)

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        return self.record_Y(kernels.log_sigmoid(self.X))

    def backward(self, dY: Any) -> Array:
        return kernels.log_sigmoid_backward(self.check_dY(dY), self.X)


class Softsign(Activation):
    """``Y = X / (1 + |X|)``; ``dX = dY / (1 + |X|)^2``.

    X and Y have the same shape, any.

    Source: Bergstra, Desjardins, Lamblin and Bengio, Quadratic polynomials learn better image features, 2009.

    >>> layer = Softsign()
    >>> layer.forward(np.array([-1.0, 0.0, 3.0]))
    array([-0.5 ,  0.  ,  0.75])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0.25  , 1.    , 0.0625])
    """

    formulas = """
        Y = X / (1 + abs(X))
        dX = dY / (1 + abs(X)) ** 2
    """
    onnx = "Softsign(X)"
    output_range = (-1.0, 1.0)
    flops_per_element = (3, 2)

    def forward(self, X: Any) -> Array:
        Y, self.V = kernels.softsign(self.check_X(X))
        return self.record_Y(Y)

    def backward(self, dY: Any) -> Array:
        return kernels.softsign_backward(self.check_dY(dY), self.V)


class GLU(Layer):
    """Gated linear unit: ``Y = A sigmoid(B)`` with A and B the halves of X along an axis.

    Backward: ``dA = dY S`` and ``dB = dY Y (1 - S)`` with S the sigmoid of B. Y is read-only, because backward uses it.

    Args:
        dim: the axis that is halved.

    Shapes:
        X (..., 2 n, ...), Y (..., n, ...).

    Raises:
        ShapeError: X has no such axis, or its size is odd.

    Source: Dauphin, Fan, Auli and Grangier, Language modeling with gated convolutional networks, 2017.

    >>> layer = GLU()
    >>> layer.forward(np.array([[2.0, 4.0, 0.0, 0.0]]))
    array([[1., 2.]])
    >>> layer.backward(np.array([[1.0, 1.0]]))
    array([[0.5, 0.5, 0.5, 1. ]])
    """

    formulas = """
        A = split(X, sizes=halves, axis=dim)[0]
        S = sigmoid(split(X, sizes=halves, axis=dim)[1])
        Y = A * S
        dX = concatenate([dY * S, dY * Y * (1 - S)], axis=dim)
    """
    flops_per_element = (4, 5)

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole(dim, "GLU: dim")

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        if not -X.ndim <= self.dim < X.ndim:
            raise no_such_axis(self, X.shape, self.dim)
        half, odd = divmod(X.shape[self.dim], 2)
        if odd:
            self.output_shape(X.shape)  # an error
        self.halves = [half, half]
        before = (slice(None),) * (self.dim % X.ndim)
        Y, self.V = kernels.glu(X[(*before, slice(half))], X[(*before, slice(half, None))])
        self.Y = self.keep_Y(Y)
        return self.Y

    def backward(self, dY: Any) -> Array:
        return np.concatenate(kernels.glu_backward(self.check_dY(dY), self.Y, self.V), axis=self.dim)

    def onnx(self, graph: Any, X: Any) -> Any:
        if not (size := X.shape[self.dim]):
            raise NotImplementedError("the size of the axis that is halved is not known")
        A, B = graph.Split(X, split=(size // 2, size // 2), axis=self.dim, outputs=2)
        return A * graph.Sigmoid(B)

    def output_shape(self, *shapes: Shape) -> Shape:
        known = with_axes(self, shapes[0], self.dim)
        if known is None:
            return (...,)
        shape, (axis,) = known
        size = shape[axis]
        if isinstance(size, int) and size % 2:
            raise ShapeError(f"{self}: expected an even size of axis {self.dim}, got {size} in shape {shapes[0]}")
        halved = [*shape]
        halved[axis] = size // 2 if isinstance(size, int) else None
        return tuple(halved)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
