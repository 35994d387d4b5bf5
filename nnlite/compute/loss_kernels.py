"""Elementwise formulas of losses for regression, counts and classes, none of which overflows or cancels."""

import math

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.kernel import kernel
from nnlite.compute.kernels import log1p_exp_minus_abs
from nnlite.compute.tracing import Rows

# --- regression


@kernel
def absolute_error(Y: Array, t: Array) -> Array:
    return np.abs(Y - t)


@kernel
def absolute_error_backward(Y: Array, t: Array, dJ: float) -> Array:
    return np.sign(Y - t) * dJ


@kernel
def huber(Y: Array, t: Array, delta: float) -> Array:
    """``E^2 / 2`` up to an error E of delta, and ``delta (|E| - delta / 2)`` beyond, without a branch."""
    E = Y - t
    m = np.clip(E, -delta, delta)
    J: Array = m * (E - 0.5 * m)
    return J


@kernel
def huber_backward(Y: Array, t: Array, delta: float, dJ: float) -> Array:
    dY: Array = np.clip(Y - t, -delta, delta) * dJ
    return dY


@kernel(over="ignore")  # E / beta, of which no more than 1 is used
def smooth_absolute_error(Y: Array, t: Array, beta: float) -> Array:
    """``E^2 / (2 beta)`` up to an error E of beta, and ``|E| - beta / 2`` beyond, without a branch."""
    E = Y - t
    m = np.clip(E / beta, -1.0, 1.0)
    J: Array = m * (E - 0.5 * beta * m)
    return J


@kernel(over="ignore")
def smooth_absolute_error_backward(Y: Array, t: Array, beta: float, dJ: float) -> Array:
    dY: Array = np.clip((Y - t) / beta, -1.0, 1.0) * dJ
    return dY


# --- likelihoods


@kernel(divide="ignore", invalid="ignore")  # Y = -inf
def kl_divergence(Y: Array, t: Array) -> Array:
    """``t (log t - Y)`` of log-probabilities Y; t log t is 0 for t = 0."""
    return t * (np.log(np.maximum(t, 1e-37)) - Y)


@kernel(invalid="ignore", under="ignore")
def kl_divergence_of_logarithms(Y: Array, t: Array) -> Array:
    return np.exp(t) * (t - Y)


@kernel
def kl_divergence_backward(t: Array, dJ: float) -> Array:
    return t * -dJ


@kernel(under="ignore")
def kl_divergence_of_logarithms_backward(t: Array, dJ: float) -> Array:
    return np.exp(t) * -dJ


@kernel(over="ignore", under="ignore", invalid="ignore")
def poisson_of_log_rate(Y: Array, t: Array) -> Array:
    return np.exp(Y) - t * Y


@kernel(over="ignore", under="ignore", invalid="ignore")
def full_poisson_of_log_rate(Y: Array, t: Array) -> Array:
    """``exp(Y) - t Y + t log t - t + log(2 pi t) / 2`` for t > 1 is ``t (exp(D) - 1 - D) + log(2 pi t) / 2``.

    D is ``Y - log t``. The terms of the first form are as large as t log t and cancel; those of the second do not.
    """
    t1 = np.maximum(t, 1.0)
    D = Y - np.log(t1)
    return np.where(t > 1, t * (np.expm1(D) - D) + 0.5 * np.log(2 * math.pi * t1), np.exp(Y) - t * Y)


@kernel(over="ignore", under="ignore", invalid="ignore")
def poisson_of_log_rate_backward(Y: Array, t: Array, dJ: float) -> Array:
    return (np.exp(Y) - t) * dJ


@kernel(divide="ignore", invalid="ignore")
def poisson(Y: Array, t: Array, eps: float) -> Array:
    return Y - t * np.log(Y + eps)


@kernel(divide="ignore", invalid="ignore")
def full_poisson(Y: Array, t: Array, eps: float) -> Array:
    """:func:`full_poisson_of_log_rate` of a rate Y: ``t (D - log(1 + D)) + log(2 pi t) / 2`` with D = (Y - t) / t."""
    t1 = np.maximum(t, 1.0)
    D = (Y - t + eps) / t1
    log = np.where(D > -0.5, np.log1p(D), np.log((Y + eps) / t1))  # 1 + D would round a small Y + eps to 0
    return np.where(t > 1, t * (D - log) - eps + 0.5 * np.log(2 * math.pi * t1), Y - t * np.log(Y + eps))


@kernel(divide="ignore", invalid="ignore")
def poisson_backward(Y: Array, t: Array, eps: float, dJ: float) -> Array:
    """``dJ (1 - t / (Y + eps))``, which does not cancel where Y is about t."""
    return (Y - t + eps) / (Y + eps) * dJ


@kernel
def gaussian(Y: Array, t: Array, var: Array, eps: float) -> Array:
    v = np.maximum(var, eps)
    return 0.5 * (np.log(v) + (Y - t) ** 2 / v)


@kernel
def gaussian_backward(Y: Array, t: Array, var: Array, eps: float, dJ: float) -> tuple[Array, Array]:
    v = np.maximum(var, eps)
    E = (Y - t) / v
    return E * dJ, (0.5 / v - 0.5 * E * E) * dJ


# --- margins


@kernel(under="ignore")
def soft_margin(Y: Array, t: Array) -> Array:
    """``log(1 + exp(-t Y))``."""
    X = t * Y
    return log1p_exp_minus_abs(X) - np.minimum(0.0, X)


@kernel(over="ignore", under="ignore")
def soft_margin_backward(Y: Array, t: Array, dJ: float) -> Array:
    return t / (1 + np.exp(t * Y)) * -dJ


@kernel
def hinge_embedding(Y: Array, t: Array, margin: float) -> Array:
    return np.where(t > 0, Y, np.maximum(0.0, margin - Y))


@kernel
def hinge_embedding_backward(Y: Array, t: Array, margin: float, dJ: float) -> Array:
    return np.where(t > 0, 1.0, np.where(margin >= Y, -1.0, 0.0)) * dJ


@kernel(invalid="ignore")  # infinities of masked classes
def hinge_of_rows(Y: Array, y: Rows, margin: float) -> Array:
    """``max(0, margin - y + Y)``: by how much each class is above the margin below the score y of the right one."""
    return np.maximum(0.0, Y + (margin - y))


@kernel(invalid="ignore")
def hinge_of_a_label(Y: Array, y: Rows, dY: Array, margin: float) -> tuple[Array, Array, Array]:
    """Add 1 to dY for each class above the margin; the sum of :func:`hinge_of_rows`, and how many these classes are."""
    M = Y + (margin - y)
    above = np.where(M > 0, 1.0, 0.0)
    H = np.sum(np.maximum(0.0, M), axis=-1, keepdims=True)
    return dY + above, H, np.sum(above, axis=-1, keepdims=True)


@kernel
def hinge_of_rows_backward(H: Array, share: Rows) -> Array:
    return share * np.where(H > 0, 1.0, 0.0)
