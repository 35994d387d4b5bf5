"""Formulas that several layers share, each in the form that neither overflows nor loses digits."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import FLOATING, Array


def constants(value: float) -> dict[np.dtype[Any], Array]:
    """``value`` as a 0-d array of each dtype: a ufunc takes it in half the time that a Python number costs.

    >>> constants(1)[np.dtype(np.float32)]
    array(1., dtype=float32)
    """
    return {dtype: np.array(value, dtype) for dtype in FLOATING}


ZERO = constants(0)
ONE = constants(1)


@np.errstate(over="ignore", under="ignore")
def sigmoid(X: Array, out: Array | None = None) -> Array:
    """``1 / (1 + exp(-X))``, right to 4 ulp wherever that is a normal number; below, it is 0.

    exp may overflow: 1 / inf is the right 0. ``0.5 (1 + tanh(X / 2))`` would be as fast, but has no correct digit left
    below X = -20.

    >>> sigmoid(np.array([-100.0, 0.0, 1e4]))
    array([3.72007598e-44, 5.00000000e-01, 1.00000000e+00])
    """
    one = ONE[X.dtype]
    out = np.negative(X, out)
    np.exp(out, out)
    np.add(one, out, out)
    return np.divide(one, out, out)


def softplus(X: Array) -> Array:
    """``log(1 + exp(X))`` as ``max(X, 0) + log1p(exp(-|X|))``.

    >>> softplus(np.array([-1000.0, 0.0, 1000.0]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    return np.maximum(X, 0) + np.log1p(np.exp(-np.abs(X)))


def softmax(X: Array, axis: int) -> Array:
    """``exp(X - m) / sum(exp(X - m))`` along ``axis``, with ``m = max(X)``, so that nothing overflows.

    >>> softmax(np.array([1000.0, 1000.0]), axis=-1)
    array([0.5, 0.5])
    """
    with np.errstate(invalid="ignore", under="ignore"):  # inf - inf is nan, as it should be
        E: Array = np.exp(X - _largest(X, axis))
        E /= E.sum(axis=axis, keepdims=True)
        return E


def log_softmax(X: Array, axis: int) -> Array:
    """``X - m - log(sum(exp(X - m)))`` along ``axis``, with ``m = max(X)``; never ``log(softmax(X))``.

    >>> log_softmax(np.array([0.0, -1000.0]), axis=-1)
    array([    0., -1000.])
    """
    with np.errstate(invalid="ignore", under="ignore"):
        Y: Array = X - _largest(X, axis)
        Y -= np.log(np.exp(Y).sum(axis=axis, keepdims=True))
        return Y


def _largest(X: Array, axis: int) -> Array:
    """``max(X)`` along ``axis``, which is kept. NumPy takes long for short rows, so they are turned into columns."""
    if X.ndim > 1 and X.shape[axis] < 64:
        columns = np.ascontiguousarray(X.swapaxes(0, axis))
        return np.maximum.reduce(columns, axis=0, keepdims=True).swapaxes(0, axis)
    return np.maximum.reduce(X, axis=axis, keepdims=True)
