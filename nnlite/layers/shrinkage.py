"""Activations that make small numbers smaller, or 0."""

from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.checks import non_negative
from nnlite.compute import activation_kernels as kernels
from nnlite.compute.kernels import relu_backward
from nnlite.layers.activations import Activation


class Tanhshrink(Activation):
    """``Y = X - tanh(X)``; ``dX = dY tanh(X)^2``.

    X and Y have the same shape, any.

    >>> import numpy as np
    >>> layer = Tanhshrink()
    >>> layer.forward(np.array([0.0, 2.0]))
    array([0.        , 1.03597242])
    >>> layer.backward(np.array([1.0, 1.0]))
    array([0.        , 0.92934918])
    """

    formulas = """
        Y = X - tanh(X)
        dX = dY * tanh(X) ** 2
    """
    onnx = "X - Tanh(X)"
    flops_per_element = (3, 1)

    def forward(self, X: Any) -> Array:
        Y, self.D = kernels.tanhshrink(self.check_X(X))
        return self.record_Y(Y)

    def backward(self, dY: Any) -> Array:
        return kernels.times(self.check_dY(dY), self.D)


class Softshrink(Activation):
    """``Y = X - lambd`` above lambd, ``X + lambd`` below -lambd, and 0 between; ``dX = dY`` where Y is not 0, else 0.

    X and Y have the same shape, any. Y is read-only, because backward uses it.

    Args:
        lambd: at least 0: half the width of the interval that becomes 0.

    Source: Donoho, De-noising by soft-thresholding, 1995.

    >>> import numpy as np
    >>> layer = Softshrink(0.5)
    >>> layer.forward(np.array([-2.0, 0.5, 1.0]))
    array([-1.5,  0. ,  0.5])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([1., 0., 1.])
    """

    formulas = """
        Y = X - minimum(maximum(X, -lambd), lambd)
        dX = dY * (abs(X) > lambd)
    """
    onnx = "Shrink(X, lambd=lambd, bias=lambd)"
    flops_per_element = (3, 1)

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = non_negative(lambd, "Softshrink: lambd")

    def forward(self, X: Any) -> Array:
        self.Y = self.keep_Y(kernels.softshrink(self.check_X(X), self.lambd))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return relu_backward(self.check_dY(dY), self.Y)

    def extra_repr(self) -> str:
        return f"lambd={self.lambd}"


class Hardshrink(Activation):
    """``Y = X`` where ``|X|`` is above lambd, else 0; ``dX = dY`` where Y is not 0, else 0.

    X and Y have the same shape, any. Y is read-only, because backward uses it.

    Args:
        lambd: at least 0: half the width of the interval that becomes 0.

    Source: Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage, 1994.

    >>> import numpy as np
    >>> layer = Hardshrink(0.5)
    >>> layer.forward(np.array([-2.0, 0.5, 1.0]))
    array([-2.,  0.,  1.])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([1., 0., 1.])
    """

    formulas = """
        Y = X * (abs(X) > lambd)
        dX = dY * (abs(X) > lambd)
    """
    onnx = "Shrink(X, lambd=lambd, bias=0.0)"
    flops_per_element = (2, 1)

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = non_negative(lambd, "Hardshrink: lambd")

    def forward(self, X: Any) -> Array:
        self.Y = self.keep_Y(kernels.hardshrink(self.check_X(X), self.lambd))
        return self.Y

    def backward(self, dY: Any) -> Array:
        return relu_backward(self.check_dY(dY), self.Y)

    def extra_repr(self) -> str:
        return f"lambd={self.lambd}"
