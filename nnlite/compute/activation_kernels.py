"""Elementwise formulas of the activations, forward and backward."""

import math

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import kernels
from nnlite.compute.blocks import in_blocks
from nnlite.compute.kernel import kernel
from nnlite.compute.log1p import log1p
from nnlite.compute.tracing import Columns

_PHI_0 = 1 / math.sqrt(2 * math.pi)  # the density of the standard normal distribution at 0
_TWO_C = 2 * math.sqrt(2 / math.pi)


@kernel
def times(dY: Array, D: Array) -> Array:
    return dY * D


# --- rectifiers


def leaky_relu(X: Array, slope: float) -> Array:
    """``X`` above 0, ``slope X`` elsewhere: for usual slopes the larger of the two."""
    usual = isinstance(slope, float) and 0 < slope <= 1  # a slope that is trained, and logged, may become another one
    return (_larger if usual else _chosen)(X, slope)


@kernel(all="ignore")
def _larger(X: Array, slope: float) -> Array:
    Y: Array = np.maximum(slope * X, X)
    return Y


@kernel(all="ignore")
def _chosen(X: Array, slope: float) -> Array:
    return np.where(X > 0, X, slope * X)


@kernel(all="ignore")
def leaky_relu_backward(dY: Array, X: Array, slope: float) -> Array:
    return dY * np.where(X > 0, 1.0, slope)


@kernel(all="ignore")
def rectified(X: Array, slopes: Array) -> tuple[Array, Array]:
    """:func:`leaky_relu` with a slope for each element, and the derivative D."""
    D = np.where(X > 0, 1.0, slopes)
    return X * D, D


@kernel(all="ignore")
def prelu(X: Array, W: Columns) -> tuple[Array, Array]:
    """:func:`leaky_relu` with a slope for each column, and the derivative D."""
    D = np.where(X > 0, 1.0, W)
    return X * D, D


@kernel(all="ignore")
def prelu_slope_backward(dY: Array, X: Array) -> Array:
    """The gradient of the slope of each element, ``dY min(X, 0)``."""
    return dY * np.minimum(0.0, X)


def _exponential_linear(X: Array, negative: float, rate: float) -> Array:
    """``X`` above 0, ``negative (exp(rate X) - 1)`` elsewhere.

    ``exp(Z) - 1`` has no correct digit for small Z. It is ``2 T / (1 - T)`` with T = tanh(Z / 2), which has them all.
    np.expm1 is slow on processors without AVX-512.
    """
    T = np.tanh(0.5 * rate * np.minimum(0.0, X))
    Y: Array = np.maximum(0.0, X) + 2 * negative * (T / (1 - T))
    return Y


@kernel(all="ignore")
def exponential_linear(X: Array, negative: float, rate: float) -> Array:
    return _exponential_linear(X, negative, rate)


@kernel(all="ignore")
def scaled_exponential_linear(X: Array, scale: float, alpha: float) -> Array:
    return scale * _exponential_linear(X, alpha, 1.0)


def exponential_linear_backward(dY: Array, X: Array, positive: float, negative: float, rate: float) -> Array:
    """The derivative is ``positive`` above 0, ``negative exp(rate X)`` elsewhere: often ``exp(min(0, rate X))``."""
    if positive == negative == 1:
        return _continuous_backward(dY, X, rate)
    return _steps_backward(dY, X, positive, negative, rate)


@kernel(all="ignore")
def _continuous_backward(dY: Array, X: Array, rate: float) -> Array:
    return dY * np.exp(rate * np.minimum(0.0, X))


@kernel(all="ignore")
def _steps_backward(dY: Array, X: Array, positive: float, negative: float, rate: float) -> Array:
    return dY * np.where(X > 0, positive, negative * np.exp(rate * np.minimum(0.0, X)))


# --- smooth activations


@kernel(all="ignore")
def gelu(X: Array, tail: Array) -> Array:
    """``Y = X P`` with P the integral of the normal density up to X, of which ``tail`` is that up to -|X|.

    For a large X, infinite too, tail is 0; far below 0 Y is -0.0.
    """
    Y: Array = np.maximum(-0.0, X) - np.minimum(np.abs(X), 40.0) * tail
    return Y


@kernel(all="ignore")
def gelu_float32(X: Array) -> tuple[Array, Array]:
    """:func:`gelu` and the tail: relative error below 1e-6 for X above -5, and 4e-6 as far as the tail is normal.

    It is ``exp(-a^2 / 2) p / q`` with polynomials p and q of a = |X|, fitted to scipy.special.erfcx with relative error
    3e-7 up to a = 12.6, and three times as fast as scipy.special.ndtr.
    """
    a = np.minimum(np.abs(X), 20.0)
    p = ((0.398885424 * a + 2.82223891) * a + 8.59609798) * a + 11.9676672
    q = (((a + 7.06882917) * a + 22.6347299) * a + 36.2894465) * a + 23.9353422
    tail = np.exp(-0.5 * a * a) * p / q
    return np.maximum(-0.0, X) - a * tail, tail


@kernel(all="ignore")
def gelu_backward(dY: Array, X: Array, tail: Array) -> Array:
    """The derivative is ``P + X p`` with p the density."""
    return dY * (np.where(X > 0, 1 - tail, tail) + X * (_PHI_0 * np.exp(-0.5 * X * X)))


def normal_tail(X: Array) -> Array:
    """The integral of the normal density up to -|X|, ``(1 - erf(|X| / sqrt(2))) / 2``, accurate where it is small too.

    >>> normal_tail(np.array([0.0, -20.0]))
    array([5.00000000e-01, 2.75362412e-89])
    """
    from scipy.special import ndtr

    tail = np.empty(X.shape)
    in_blocks(lambda X, P: ndtr(-np.abs(X), out=P), [np.ascontiguousarray(X, np.float64).reshape(-1), tail.reshape(-1)])
    return tail.astype(X.dtype, copy=False)


# The next two return a denominator too, so that backward needs no exponential.


@kernel(all="ignore")
def gelu_tanh(X: Array) -> tuple[Array, Array]:
    """``Y = X / V`` with ``1 / V = (1 + tanh(U)) / 2 = sigmoid(2 U)``, which does not cancel; U is of order three."""
    V = 1 + np.exp(X * (-_TWO_C - 0.044715 * _TWO_C * (X * X)))
    return X / V, V


@kernel(all="ignore")
def gelu_tanh_backward(dY: Array, X: Array, V: Array) -> Array:
    S = 1 / V
    return dY * (S + S * (X * (1 - S) * (_TWO_C + 3 * 0.044715 * _TWO_C * (X * X))))


@kernel(all="ignore")
def silu(X: Array) -> tuple[Array, Array]:
    """``Y = X / V`` with 1 / V the sigmoid."""
    V = 1 + np.exp(-X)
    return X / V, V


@kernel(all="ignore")
def silu_backward(dY: Array, X: Array, V: Array) -> Array:
    """The derivative is ``S (1 + X (1 - S))`` with S the sigmoid."""
    S = 1 / V
    return dY * S * (1 + X * (1 - S))


@kernel(all="ignore")
def mish(X: Array) -> tuple[Array, Array]:
    """``Y = X T`` with ``T = tanh(log(1 + exp(X)))``, and E, the exponential.

    T is ``a / (a + 2)`` with a = E (E + 2). From X = 20 on it is 1, and E is that of 20, so that nothing overflows.
    """
    E = np.exp(np.minimum(X, 20.0))
    a = E * (E + 2)
    return X * (a / (a + 2)), E


@kernel(all="ignore")
def mish_backward(dY: Array, X: Array, E: Array) -> Array:
    """The derivative is ``T + X (1 - T^2) sigmoid(X)``, of which the product is ``4 E (E + 1) / (a + 2)^2``."""
    a = E * (E + 2)
    b = 1 / (a + 2)
    dX: Array = dY * (a * b + np.minimum(X, 20.0) * (4 * E * (E + 1) * b * b))
    return dX


def softplus(X: Array, beta: float, threshold: float) -> Array:
    """``Y = log(1 + exp(beta X)) / beta``, and X where beta X is above the threshold."""
    return kernels.softplus(X) if _is_plain(X, beta, threshold) else _cut_softplus(X, beta, threshold)


def softplus_backward(dY: Array, X: Array, beta: float, threshold: float) -> Array:
    """The derivative is ``sigmoid(beta X)``, and 1 where beta X is above the threshold."""
    if _is_plain(X, beta, threshold):
        return kernels.softplus_backward(dY, X)
    return _cut_softplus_backward(dY, X, beta, threshold)


def _is_plain(X: Array, beta: float, threshold: float) -> bool:
    """Whether ``log(1 + exp(X))`` is X above the threshold, since ``1 + exp(-17)`` rounds to 1 in float32."""
    return beta == 1 and threshold >= 17 and X.dtype == np.float32


@kernel(all="ignore")
def _cut_softplus(X: Array, beta: float, threshold: float) -> Array:
    """Above the threshold the exponential of -|beta X| is left out."""
    Z = beta * X
    E = np.where(threshold < Z, 0.0, np.exp(-np.abs(Z)))
    Y: Array = (np.maximum(0.0, Z) + log1p(E)) / beta
    return Y


@kernel(all="ignore")
def _cut_softplus_backward(dY: Array, X: Array, beta: float, threshold: float) -> Array:
    Z = -beta * X
    dX: Array = dY / (1 + np.where(-threshold > Z, 0.0, np.exp(Z)))
    return dX


@kernel(all="ignore")
def log_sigmoid(X: Array) -> Array:
    Y: Array = np.minimum(0.0, X) - log1p(np.exp(-np.abs(X)))
    return Y


@kernel(all="ignore")
def log_sigmoid_backward(dY: Array, X: Array) -> Array:
    dX: Array = dY / (1 + np.exp(X))
    return dX


@kernel(all="ignore")
def softsign(X: Array) -> tuple[Array, Array]:
    """``Y = X / V`` and V."""
    V = 1 + np.abs(X)
    return X / V, V


@kernel(all="ignore")
def softsign_backward(dY: Array, V: Array) -> Array:
    dX: Array = dY / (V * V)
    return dX


@kernel(all="ignore")
def glu(A: Array, B: Array) -> tuple[Array, Array]:
    """``Y = A / V`` and V, with 1 / V the sigmoid of B."""
    V = 1 + np.exp(-B)
    return A / V, V


@kernel(all="ignore")
def glu_backward(dY: Array, Y: Array, V: Array) -> tuple[Array, Array]:
    """The gradients of A and B."""
    return dY / V, dY * Y * (1 - 1 / V)


# --- piecewise linear activations. Where they are constant, dX is 0 even if dY is infinite.


@kernel
def hardtanh(X: Array, low: float, high: float) -> Array:
    Y: Array = np.clip(X, low, high)
    return Y


@kernel
def hardtanh_backward(dY: Array, Y: Array, low: float, high: float) -> Array:
    return np.where((low != Y) & (high != Y), dY, 0.0)


@kernel
def hardsigmoid(X: Array) -> Array:
    Y: Array = np.clip(X + 3, 0.0, 6.0) / 6
    return Y


@kernel
def hardsigmoid_backward(dY: Array, X: Array) -> Array:
    return np.where(np.abs(X) < 3, dY / 6, 0.0)


@kernel(all="ignore")
def hardswish(X: Array) -> Array:
    Y: Array = X * np.clip(X + 3, 0.0, 6.0) / 6
    return Y


@kernel(all="ignore")
def hardswish_backward(dY: Array, X: Array) -> Array:
    return np.where(X <= -3, 0.0, np.where(X < 3, dY * (X / 3 + 0.5), dY))


@kernel
def threshold(X: Array, threshold: float, value: float) -> Array:
    return np.where(threshold >= X, value, X)


@kernel
def threshold_backward(dY: Array, X: Array, threshold: float) -> Array:
    return np.where(threshold >= X, 0.0, dY)


# --- shrinkage


@kernel
def tanhshrink(X: Array) -> tuple[Array, Array]:
    T = np.tanh(X)
    return X - T, T * T


@kernel
def softshrink(X: Array, lambd: float) -> Array:
    Y: Array = X - np.clip(X, -lambd, lambd)
    return Y


@kernel
def hardshrink(X: Array, lambd: float) -> Array:
    return np.where(np.abs(X) <= lambd, 0.0, X)
