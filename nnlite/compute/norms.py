"""The p-norms of vectors along the last axis."""

import math

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import number
from nnlite.compute.kernel import kernel


def exponent(p: float, name: str) -> float:
    """Return ``p`` as a float from 0 to infinity.

    Raises:
        TypeError, ValueError: it is not.
    """
    result = number(p, name)
    if not result >= 0:
        raise ValueError(f"{name}: expected a number >= 0, got {p}")
    return result


def distances(X1: Array, X2: Array, eps: float, p: float) -> tuple[Array, Array]:
    """``D = X1 - X2 + eps``, and its :func:`norms`.

    >>> distances(np.array([[3.0, 0.0]]), np.array([[0.0, 4.0]]), eps=0.0, p=2)
    (array([[ 3., -4.]]), array([5.]))
    """
    if p == 2 and X1.shape == X2.shape and X1.dtype == X2.dtype and X1.ndim > 1 and X1.size:
        D, y = _euclidean(X1.reshape(-1, X1.shape[-1]), X2.reshape(-1, X1.shape[-1]), eps)
        return D.reshape(X1.shape), y.reshape(X1.shape[:-1])
    D = X1 - X2
    D += eps
    return D, norms(D, p)


@kernel
def _euclidean(X1: Array, X2: Array, eps: float) -> tuple[Array, Array]:
    D = X1 - X2 + eps
    return D, np.sqrt(np.sum(D * D, axis=-1, keepdims=True))


def norms(D: Array, p: float) -> Array:
    """The p-norm along the last axis.

    >>> norms(np.array([[3.0, -4.0]]), 2), norms(np.array([[3.0, -4.0]]), math.inf)
    (array([5.]), array([4.]))
    """
    if p == 2:
        return np.asarray(np.sqrt(np.vecdot(D, D)))
    A = np.abs(D)
    if p == math.inf:
        return np.asarray(A.max(axis=-1, initial=0))
    if p == 0:
        return np.asarray(np.sign(A).sum(axis=-1))
    return np.asarray(A.sum(axis=-1) if p == 1 else np.sum(A**p, axis=-1) ** (1 / p))


def norms_backward(dY: Array, D: Array, y: Array, p: float) -> Array:
    """The gradient of D; 0 where the norm y is 0.

    >>> norms_backward(np.array([10.0]), np.array([[3.0, -4.0]]), np.array([5.0]), 2)
    array([[ 6., -8.]])
    """
    dY, y = dY[..., None], y[..., None]
    if p == 0:
        return np.zeros_like(D)
    if p == 1:
        return np.asarray(dY * np.sign(D))
    if p == math.inf:
        largest = np.abs(D) == y
        return np.asarray(dY * np.sign(D) * largest / np.maximum(largest.sum(axis=-1, keepdims=True), 1, dtype=D.dtype))
    y = np.where(y == 0, y.dtype.type(1), y)
    if p == 2:
        return np.asarray(D * (dY / y))
    ratio = np.where(D == 0, D.dtype.type(1), np.abs(D) / y)  # no negative power of 0
    with np.errstate(divide="ignore"):  # where y is infinite
        return np.asarray(dY * np.sign(D) * ratio ** (p - 1))
