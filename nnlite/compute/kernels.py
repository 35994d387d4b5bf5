"""Elementwise formulas of layers and losses, each in a form that neither overflows nor cancels.

They have the signature ``formula(*arrays, out=None)`` that :func:`nnlite.compute.blocks.elementwise` expects: they
compute in ``out``, or in a new array where that is None, and return it. Softmax and log-softmax, which reduce along an
axis, return a new array.
"""

from typing import Any

import numpy as np

from nnlite.basics.arrays import FLOATING, Array


def constants(value: float) -> dict[np.dtype[Any], Array]:
    """``value`` as a 0-d array of each dtype: twice as fast as an operand of a ufunc as a Python number."""
    return {dtype: np.array(value, dtype) for dtype in FLOATING}


ZERO = constants(0)
ONE = constants(1)
_LOG_FLOOR = constants(-100)
_VARIANCE_FLOOR = constants(1e-12)


# --- activations


def tanh_backward(dY: Array, Y: Array, out: Array | None = None) -> Array:
    """``dX = dY (1 - Y^2)``."""
    out = np.multiply(Y, Y, out)
    np.subtract(ONE[Y.dtype], out, out)
    return np.multiply(dY, out, out)


@np.errstate(over="ignore", under="ignore")
def sigmoid(X: Array, out: Array | None = None) -> Array:
    """``1 / (1 + exp(-X))``, within 4 ulp wherever that is a normal number; 0 below.

    exp may overflow: 1 / inf is the right 0. ``0.5 (1 + tanh(X / 2))`` is as fast, but has no correct digit left below
    X = -20.
    """
    one = ONE[X.dtype]
    out = np.negative(X, out)
    np.exp(out, out)
    np.add(one, out, out)
    return np.divide(one, out, out)


def sigmoid_backward(dY: Array, Y: Array, out: Array | None = None) -> Array:
    """``dX = dY Y (1 - Y)``."""
    out = np.subtract(ONE[Y.dtype], Y, out)
    np.multiply(Y, out, out)
    return np.multiply(dY, out, out)


def relu(X: Array, out: Array | None = None) -> Array:
    """``max(X, 0)``."""
    return np.maximum(X, ZERO[X.dtype], out=out)


def relu_backward(dY: Array, Y: Array, out: Array | None = None) -> Array:
    """``dX = dY`` where Y > 0, else 0."""
    # np.where takes ten times as long, and dY * (Y > 0) is nan where dY is infinite. The product of integers is not:
    # the bits of dY times 0 or 1.
    if Y.itemsize > 8:  # long double
        return np.positive(np.where(Y == 0, ZERO[Y.dtype], dY), out)
    bits = f"i{Y.itemsize}"
    out = np.empty_like(Y) if out is None else out
    passes = np.not_equal(Y, ZERO[Y.dtype], out=out.view(bits))
    np.multiply(dY.view(bits), passes, out=passes)
    return out


def softplus(X: Array, out: Array | None = None) -> Array:
    """``log(1 + exp(X))``, computed as ``max(X, 0) + log1p(exp(-|X|))``."""
    positive = np.maximum(X, ZERO[X.dtype])
    out = np.abs(X, out)
    np.negative(out, out)
    np.exp(out, out)
    np.log1p(out, out)
    return np.add(positive, out, out)


# --- powers and the like


def square_backward(dY: Array, X: Array, out: Array | None = None) -> Array:
    """``dX = 2 dY X``."""
    out = np.multiply(dY, X, out)
    return np.add(out, out, out)


def sqrt_backward(dY: Array, Y: Array, out: Array | None = None) -> Array:
    """``dX = dY / (2 Y)``."""
    out = np.add(Y, Y, out)
    return np.divide(dY, out, out)


def reciprocal(X: Array, out: Array | None = None) -> Array:
    """``1 / X``; np.reciprocal takes almost three times as long."""
    return np.divide(ONE[X.dtype], X, out)


def reciprocal_backward(dY: Array, Y: Array, out: Array | None = None) -> Array:
    """``dX = -dY Y^2``."""
    out = np.multiply(Y, Y, out)
    np.multiply(dY, out, out)
    return np.negative(out, out)


def abs_backward(dY: Array, X: Array, out: Array | None = None) -> Array:
    """``dX = dY sign(X)``."""
    out = np.sign(X, out)
    return np.multiply(dY, out, out)


# --- binary cross-entropy


@np.errstate(divide="ignore", invalid="ignore")  # log 0 is -inf, of a negative number nan
def binary_cross_entropy(Y: Array, t: Array, out: Array | None = None) -> Array:
    """``-(t log Y + (1 - t) log(1 - Y))`` of probabilities Y, with logarithms of at least -100."""
    floor = _LOG_FLOOR[Y.dtype]
    log_Y, log_not_Y = np.maximum(np.log(Y), floor), np.maximum(np.log1p(-Y), floor)
    J: Array = np.subtract((t - ONE[t.dtype]) * log_not_Y, t * log_Y, out)
    return J


def binary_cross_entropy_backward(Y: Array, t: Array, out: Array | None = None) -> Array:
    """``(Y - t) / (Y (1 - Y))``, with a denominator of at least 1e-12."""
    variance = Y * (ONE[Y.dtype] - Y)
    dY: Array = np.divide(Y - t, np.maximum(variance, _VARIANCE_FLOOR[Y.dtype]), out)
    return dY


@np.errstate(invalid="ignore", under="ignore")
def binary_cross_entropy_with_logits(Z: Array, t: Array, pt: Array, out: Array | None = None) -> Array:
    """``(1 - t) softplus(Z) + p t softplus(-Z)`` of logits Z: a sum without negative terms, so that none cancel.

    Here softplus(Z) is ``max(Z, 0) + softplus(-|Z|)`` and softplus(-Z) is ``-min(Z, 0) + softplus(-|Z|)``. Where Z is
    infinite, a factor of 0 gives nan, and the limit is 0.
    """
    zero, negative = ZERO[Z.dtype], ONE[t.dtype] - t
    out = softplus(-np.abs(Z), out)
    np.multiply(out, negative + pt, out)
    np.add(out, negative * np.maximum(Z, zero), out)
    J: Array = np.subtract(out, pt * np.minimum(Z, zero), out)
    return J


# --- softmax


def softmax(X: Array, axis: int) -> Array:
    """``exp(X - m) / sum(exp(X - m))`` along ``axis``, with ``m = max(X)``, so that nothing overflows."""
    if not X.size:
        return X.copy()
    with np.errstate(invalid="ignore", under="ignore"):  # inf - inf is nan, as it should be
        E: Array = np.exp(X - _maximum(X, axis))
        E /= E.sum(axis=axis, keepdims=True)
        return E


def log_softmax(X: Array, axis: int) -> Array:
    """``X - m - log(sum(exp(X - m)))`` along ``axis``, with ``m = max(X)``; never ``log(softmax(X))``."""
    if not X.size:
        return X.copy()
    with np.errstate(invalid="ignore", under="ignore"):
        Y: Array = X - _maximum(X, axis)
        Y -= np.log(np.exp(Y).sum(axis=axis, keepdims=True))
        return Y


def _maximum(X: Array, axis: int) -> Array:
    """``max(X)`` along ``axis``, which remains with size 1. NumPy is slow along short rows: they become columns."""
    if X.ndim > 1 and X.shape[axis] < 64:
        columns = np.ascontiguousarray(X.swapaxes(0, axis))
        return np.maximum.reduce(columns, axis=0, keepdims=True).swapaxes(0, axis)
    return np.maximum.reduce(X, axis=axis, keepdims=True)
