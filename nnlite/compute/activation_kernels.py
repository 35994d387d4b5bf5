"""Elementwise formulas of the activations. Many return Y and its derivative D at once, so that backward is dY * D."""

import math

import numpy as np

from nnlite.basics.arrays import Array
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


@kernel(all="ignore")
def leaky_relu(X: Array, slope: float) -> tuple[Array, Array]:
    """``D = 1`` above 0, ``slope`` elsewhere, and ``Y = X D``."""
    D = np.where(X > 0, 1.0, slope)
    return X * D, D


@kernel(all="ignore")
def rectified(X: Array, slopes: Array) -> tuple[Array, Array]:
    """:func:`leaky_relu` with a slope for each element."""
    D = np.where(X > 0, 1.0, slopes)
    return X * D, D


@kernel(all="ignore")
def prelu(X: Array, W: Columns) -> tuple[Array, Array]:
    """:func:`leaky_relu` with a slope for each column."""
    D = np.where(X > 0, 1.0, W)
    return X * D, D


@kernel(all="ignore")
def prelu_slope_backward(dY: Array, X: Array) -> Array:
    """The gradient of the slope of each element, ``dY min(X, 0)``."""
    return dY * np.minimum(X, 0.0)


@kernel(all="ignore")
def exponential_linear(X: Array, positive: float, negative: float, rate: float) -> tuple[Array, Array]:
    """``Y = positive X`` above 0, ``negative (exp(rate X) - 1)`` elsewhere, and D.

    U is the exponential, rounded. ``U - 1`` would have no correct digit for small X; its error, ``U (rate X - log U)``
    to first order, is corrected. np.expm1 takes 10 times as long as np.exp in float32.
    """
    Z = rate * np.minimum(X, 0.0)
    U = np.exp(Z)
    expm1 = (U - 1) + U * (np.maximum(Z, -80.0) - np.log(np.maximum(U, 1e-37)))  # far left U is 0, and so is 0 * 5
    return np.where(X > 0, positive * X, negative * expm1), np.where(X > 0, positive, negative * rate * U)


# --- smooth activations


@kernel(all="ignore")
def gelu(X: Array, P: Array) -> tuple[Array, Array]:
    """``Y = X P`` and ``D = P + X p`` with p the density of the normal distribution, and P its integral at X."""
    a = np.minimum(np.abs(X), 40.0)  # a square that does not overflow; the density is 0 there
    return X * P, P + X * (np.exp(-0.5 * a * a) * _PHI_0)


@kernel(all="ignore")
def gelu_float32(X: Array) -> tuple[Array, Array]:
    """:func:`gelu` with P from a polynomial: relative error below 1e-6 for X above -5, and 4e-6 as far as P is normal.

    The integral from -infinity to -a is ``exp(-a^2 / 2)`` times a polynomial in ``1 / (1 + 0.3 a)``, with relative
    error 6e-8; it is fitted to scipy.special.erfcx, and 5 times as fast as scipy.special.ndtr.
    """
    a = np.minimum(np.abs(X), 20.0)
    t = 1 / (1 + 0.3 * a)
    tail = 0.0384118388 * t - 0.169329044
    for coefficient in (0.228996286, -0.0768904507, 0.142800255, 0.094571017, 0.121949044, 0.11948368, 7.40311096e-6):
        tail = tail * t + coefficient
    E = np.exp(-0.5 * a * a)
    tail = tail * E
    P = np.where(X > 0, 1 - tail, tail)
    return X * P, P + X * (E * _PHI_0)


def normal_integral(X: Array) -> Array:
    """The integral of the normal density up to X, ``(1 + erf(X / sqrt(2))) / 2``, accurate where it is small too.

    >>> normal_integral(np.array([0.0, -20.0]))
    array([5.00000000e-01, 2.75362412e-89])
    """
    from scipy.special import ndtr

    double = np.ascontiguousarray(X, np.float64)
    P = np.empty_like(double)
    in_blocks(lambda X, P: ndtr(X, out=P), [double.reshape(-1), P.reshape(-1)])
    return P.reshape(X.shape).astype(X.dtype, copy=False)


@kernel(all="ignore")
def gelu_tanh(X: Array) -> tuple[Array, Array]:
    """``Y = X S`` with ``S = (1 + tanh(U)) / 2 = sigmoid(2 U)``, which does not cancel, and D; U is of order three."""
    squared = X * X
    S = 1 / (1 + np.exp(-X * (_TWO_C + 0.044715 * _TWO_C * squared)))
    Y = X * S
    return Y, S + Y * (1 - S) * (_TWO_C + 3 * 0.044715 * _TWO_C * squared)


@kernel(all="ignore")
def silu(X: Array) -> tuple[Array, Array]:
    """``Y = X S`` with S the sigmoid, and ``D = S + Y (1 - S)``."""
    S = 1 / (1 + np.exp(-X))
    Y = X * S
    return Y, S + Y * (1 - S)


@kernel(all="ignore")
def mish(X: Array) -> tuple[Array, Array]:
    """``Y = X T`` with ``T = tanh(log(1 + exp(X)))``, and D.

    With exp(X) = n / m, T is ``n (n + 2 m) / (n (n + 2 m) + 2 m^2)``: one of n and m is 1, so nothing overflows.
    """
    E = np.exp(-np.abs(X))
    n, m = np.where(X > 0, 1.0, E), np.where(X > 0, E, 1.0)
    a, b = n * (n + 2 * m), 2 * m * m
    T = a / (a + b)
    return X * T, T + X * (n / (1 + E)) * (1 + T) * (b / (a + b))  # b / (a + b) is 1 - T


@kernel(all="ignore")
def softplus(X: Array, beta: float, threshold: float) -> tuple[Array, Array]:
    """``Y = log(1 + exp(beta X)) / beta`` and D; above ``beta X = threshold`` Y is X."""
    Z = beta * X
    E = np.exp(-np.abs(Z))
    Y = (np.maximum(Z, 0.0) + log1p(E)) / beta
    D = np.where(Z > 0, 1.0, E) / (1 + E)
    return np.where(threshold < Z, X, Y), np.where(threshold < Z, 1.0, D)


@kernel(all="ignore")
def log_sigmoid(X: Array) -> tuple[Array, Array]:
    """``Y = -log(1 + exp(-X))`` and ``D = sigmoid(-X)``."""
    E = np.exp(-np.abs(X))
    return np.minimum(X, 0.0) - log1p(E), np.where(X > 0, E, 1.0) / (1 + E)


@kernel(all="ignore")
def softsign(X: Array) -> tuple[Array, Array]:
    R = 1 / (1 + np.abs(X))
    return X * R, R * R


@kernel(all="ignore")
def glu(A: Array, B: Array) -> tuple[Array, Array]:
    """``Y = A S`` and S, the sigmoid of B."""
    S = 1 / (1 + np.exp(-B))
    return A * S, S


@kernel(all="ignore")
def glu_backward(dY: Array, Y: Array, S: Array) -> tuple[Array, Array]:
    """The gradients of A and B."""
    return dY * S, dY * Y * (1 - S)


# --- piecewise linear activations. Where they are constant, dX is 0 even if dY is infinite.


@kernel
def hardtanh(X: Array, low: float, high: float) -> Array:
    return np.minimum(np.maximum(low, X), high)


@kernel
def hardtanh_backward(dY: Array, Y: Array, low: float, high: float) -> Array:
    return np.where((low != Y) & (high != Y), dY, 0.0)


@kernel
def hardsigmoid(X: Array) -> Array:
    Y: Array = np.minimum(np.maximum(0.0, X + 3), 6.0) / 6
    return Y


@kernel
def hardsigmoid_backward(dY: Array, X: Array) -> Array:
    return np.where(np.abs(X) < 3, dY / 6, 0.0)


@kernel(all="ignore")
def hardswish(X: Array) -> Array:
    Y: Array = X * np.minimum(np.maximum(0.0, X + 3), 6.0) / 6
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
    return X - np.minimum(np.maximum(-lambd, X), lambd)


@kernel
def hardshrink(X: Array, lambd: float) -> Array:
    return np.where(np.abs(X) <= lambd, 0.0, X)
