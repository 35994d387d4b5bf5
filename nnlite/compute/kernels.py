"""Elementwise formulas of layers and losses, each in a form that neither overflows nor cancels."""

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.kernel import kernel
from nnlite.compute.log1p import log1p

# --- activations


@kernel
def tanh(X: Array) -> Array:
    return np.tanh(X)


@kernel
def tanh_backward(dY: Array, Y: Array) -> Array:
    return dY * (1 - Y * Y)


@kernel(all="ignore")
def sigmoid(X: Array) -> Array:
    """``1 / (1 + exp(-X))``, within 4 ulp wherever that is a normal number; 0 below.

    exp may overflow: 1 / inf is the right 0. ``0.5 (1 + tanh(X / 2))`` has no correct digit left below X = -20.
    """
    return 1 / (1 + np.exp(-X))


@kernel
def sigmoid_backward(dY: Array, Y: Array) -> Array:
    return dY * (Y * (1 - Y))


@kernel
def relu(X: Array) -> Array:
    return np.maximum(0.0, X)  # of equal numbers it is the second: -0.0 for -0.0, as PyTorch's


@kernel
def relu_backward(dY: Array, Y: Array) -> Array:
    """The product ``dY * (Y != 0)`` would be NaN where dY is infinite."""
    return np.where(Y != 0, dY, 0.0)


# --- powers and the like


@kernel
def negative(X: Array) -> Array:
    return -X


@kernel(all="ignore")
def exp(X: Array) -> Array:
    return np.exp(X)


@kernel(all="ignore")
def exp_backward(dY: Array, Y: Array) -> Array:
    return dY * Y


@kernel(divide="ignore", invalid="ignore")
def log(X: Array) -> Array:
    return np.log(X)


@kernel(all="ignore")
def log_backward(dY: Array, X: Array) -> Array:
    return dY / X


@kernel
def square(X: Array) -> Array:
    return X * X


@kernel
def square_backward(dY: Array, X: Array) -> Array:
    return 2 * (dY * X)


@kernel(invalid="ignore")
def sqrt(X: Array) -> Array:
    return np.sqrt(X)


@kernel(divide="ignore", invalid="ignore")
def sqrt_backward(dY: Array, Y: Array) -> Array:
    return dY / (Y + Y)


@kernel(all="ignore")
def reciprocal(X: Array) -> Array:
    """np.reciprocal takes almost three times as long."""
    return 1 / X


@kernel(all="ignore")
def reciprocal_backward(dY: Array, Y: Array) -> Array:
    return -(dY * (Y * Y))


@kernel
def absolute(X: Array) -> Array:
    return np.abs(X)


@kernel
def absolute_backward(dY: Array, X: Array) -> Array:
    return dY * np.sign(X)


# --- logarithms of one plus


def log1p_exp_minus_abs(X: Array) -> Array:
    """``log(1 + exp(-|X|))``: with max(X, 0) it is log(1 + exp(X)), and with max(-X, 0) it is log(1 + exp(-X))."""
    return log1p(np.exp(-np.abs(X)))


@kernel(all="ignore")
def softplus(X: Array) -> Array:
    """``log(1 + exp(X))``."""
    return np.maximum(0.0, X) + log1p_exp_minus_abs(X)


@kernel(all="ignore")
def softplus_backward(dY: Array, X: Array) -> Array:
    """The derivative is the sigmoid."""
    return dY / (1 + np.exp(-X))


# --- losses


@kernel
def squared_error(Y: Array, t: Array) -> Array:
    return (Y - t) ** 2


@kernel
def squared_error_backward(Y: Array, t: Array, dJ: float) -> Array:
    return 2 * dJ * (Y - t)


@kernel(divide="ignore", invalid="ignore")  # log 0 is -inf, of a negative number NaN
def binary_cross_entropy(Y: Array, t: Array) -> Array:
    """``-(t log Y + (1 - t) log(1 - Y))`` of probabilities Y, with logarithms of at least -100."""
    return (t - 1) * np.maximum(log1p(-Y), -100.0) - t * np.maximum(np.log(Y), -100.0)


@kernel
def binary_cross_entropy_backward(Y: Array, t: Array, dJ: float) -> Array:
    """``dJ (Y - t) / (Y (1 - Y))``, with a denominator of at least 1e-12."""
    return (Y - t) / np.maximum(Y * (1 - Y), 1e-12) * dJ


@kernel(all="ignore")
def binary_cross_entropy_with_logits(Z: Array, t: Array) -> Array:
    """``(1 - t) log(1 + exp(Z)) + t log(1 + exp(-Z))`` of logits Z: a sum without negative terms, so none cancel.

    Where Z is infinite, a factor of 0 gives NaN, and the limit is 0.
    """
    return log1p_exp_minus_abs(Z) + (np.where(Z > 0, 1.0, 0.0) - t) * Z


@kernel(all="ignore")
def binary_cross_entropy_with_logits_backward(Z: Array, t: Array, dJ: float) -> Array:
    """``dJ (sigmoid(Z) - t)``."""
    return (1 / (1 + np.exp(-Z)) - t) * dJ


@kernel(all="ignore")
def weighted_cross_entropy_with_logits(Z: Array, t: Array, pt: Array) -> Array:
    """``(1 - t) log(1 + exp(Z)) + p t log(1 + exp(-Z))``, with p the weight of the positive class."""
    softplus = log1p_exp_minus_abs(Z)
    return (1 - t + pt) * softplus + (1 - t) * np.maximum(0.0, Z) - pt * np.minimum(0.0, Z)


@kernel(all="ignore")
def weighted_cross_entropy_with_logits_backward(Z: Array, t: Array, pt: Array, dJ: float) -> Array:
    """``dJ ((1 - t + p t) sigmoid(Z) - p t)``."""
    return ((1 - t + pt) / (1 + np.exp(-Z)) - pt) * dJ
