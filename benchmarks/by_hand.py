"""Layers in straight-line NumPy: the shortest chain of calls that we know, into arrays made beforehand.

Nothing is checked, and large arrays are not divided into blocks; the formulas do not overflow, but ignore NaN and
infinity. Each function takes the inputs of a layer and returns its forward and its backward, which uses the arrays of
the last forward. It is what a careful programmer would write, and no lower bound: blocks, threads and Numba beat it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Passes = tuple[Callable[[], Any], Callable[[], Any]]


def linear(X: np.ndarray, dY: np.ndarray, W: np.ndarray, b: np.ndarray) -> Passes:
    """Forward: a product and a sum. Backward: two products, and the column sum as a product with a row of ones."""
    Y, dX, dW, db = map(np.empty_like, (dY, X, W, b))
    ones, XT, WT = np.ones(len(X), X.dtype), X.T, W.T

    def forward() -> np.ndarray:
        np.dot(X, W, out=Y)
        return np.add(Y, b, out=Y)

    def backward() -> tuple[np.ndarray, ...]:
        np.dot(XT, dY, out=dW)
        np.dot(ones, dY, out=db)
        np.dot(dY, WT, out=dX)
        return dX, dW, db

    return forward, backward


def tanh(X: np.ndarray, dY: np.ndarray) -> Passes:
    Y, dX, one = np.empty_like(X), np.empty_like(X), np.array(1, X.dtype)

    def backward() -> np.ndarray:
        np.multiply(Y, Y, out=dX)
        np.subtract(one, dX, out=dX)
        return np.multiply(dY, dX, out=dX)

    return lambda: np.tanh(X, out=Y), backward


def sigmoid(X: np.ndarray, dY: np.ndarray) -> Passes:
    Y, dX, one = np.empty_like(X), np.empty_like(X), np.array(1, X.dtype)

    def backward() -> np.ndarray:
        np.subtract(one, Y, out=dX)
        np.multiply(Y, dX, out=dX)
        return np.multiply(dY, dX, out=dX)

    return lambda: logistic(X, one, Y), backward


def logistic(X: np.ndarray, one: np.ndarray, out: np.ndarray) -> np.ndarray:
    """``out = 1 / (1 + exp(-X))``."""
    np.negative(X, out=out)
    np.exp(out, out=out)
    np.add(out, one, out=out)
    return np.divide(one, out, out=out)


def relu(X: np.ndarray, dY: np.ndarray) -> Passes:
    Y, dX, zero, zeros = np.empty_like(X), np.empty_like(X), np.array(0, X.dtype), np.zeros_like(X)
    positive = np.empty_like(X)  # numbers, since a product with a bool array takes almost three times as long

    def backward() -> np.ndarray:
        np.greater(Y, zero, out=positive)
        return np.multiply(dY, positive, out=dX)

    return lambda: np.maximum(X, zeros, out=Y), backward  # against a number it is not vectorized


def softmax(X: np.ndarray, dY: np.ndarray) -> Passes:
    Y, dX, ones = np.empty_like(X), np.empty_like(X), np.ones(X.shape[1], X.dtype)
    row = np.empty((len(X), 1), X.dtype)

    def forward() -> np.ndarray:
        np.maximum.reduce(X, axis=1, keepdims=True, out=row)
        np.subtract(X, row, out=Y)
        np.exp(Y, out=Y)
        np.dot(Y, ones, out=row[:, 0])
        return np.divide(Y, row, out=Y)

    def backward() -> np.ndarray:
        np.vecdot(dY, Y, out=row[:, 0])
        np.subtract(dY, row, out=dX)
        return np.multiply(dX, Y, out=dX)

    return forward, backward


def log_softmax(X: np.ndarray, dY: np.ndarray) -> Passes:
    Y, dX, ones = np.empty_like(X), np.empty_like(X), np.ones(X.shape[1], X.dtype)
    row = np.empty((len(X), 1), X.dtype)

    def forward() -> np.ndarray:
        np.maximum.reduce(X, axis=1, keepdims=True, out=row)
        np.subtract(X, row, out=Y)
        np.exp(Y, out=dX)
        np.dot(dX, ones, out=row[:, 0])
        np.log(row, out=row)
        return np.subtract(Y, row, out=Y)

    def backward() -> np.ndarray:
        np.dot(dY, ones, out=row[:, 0])
        np.exp(Y, out=dX)
        np.multiply(dX, row, out=dX)
        return np.subtract(dY, dX, out=dX)

    return forward, backward


def mse_loss(Y: np.ndarray, target: np.ndarray) -> Passes:
    error, dY, factor = np.empty_like(Y), np.empty_like(Y), np.array(2 / Y.size, Y.dtype)
    flat = error.reshape(-1)

    def forward() -> float:
        np.subtract(Y, target, out=error)
        return float(np.dot(flat, flat)) / Y.size

    return forward, lambda: np.multiply(error, factor, out=dY)


def bce_loss(Y: np.ndarray, target: np.ndarray) -> Passes:
    """The mean of ``-log(1 - Y) - t (log Y - log(1 - Y))``."""
    a, c, dY, one = np.empty_like(Y), np.empty_like(Y), np.empty_like(Y), np.array(1, Y.dtype)
    share = np.array(1 / Y.size, Y.dtype)

    def forward() -> float:
        np.log(Y, out=a)
        np.subtract(one, Y, out=c)
        np.log(c, out=c)
        np.subtract(a, c, out=a)
        return -float(np.add.reduce(c, axis=None) + np.dot(a.reshape(-1), target.reshape(-1))) / Y.size

    def backward() -> np.ndarray:
        np.subtract(one, Y, out=c)
        np.multiply(Y, c, out=c)
        np.subtract(Y, target, out=dY)
        np.divide(dY, c, out=dY)
        return np.multiply(dY, share, out=dY)

    return forward, backward


def bce_with_logits_loss(Z: np.ndarray, target: np.ndarray) -> Passes:
    """The mean of ``max(Z, 0) - t Z + log(1 + exp(-|Z|))``."""
    a, dZ, one, zero = np.empty_like(Z), np.empty_like(Z), np.array(1, Z.dtype), np.array(0, Z.dtype)
    share = np.array(1 / Z.size, Z.dtype)

    def forward() -> float:
        np.abs(Z, out=a)
        np.negative(a, out=a)
        np.exp(a, out=a)
        np.log1p(a, out=a)
        J = np.add.reduce(a, axis=None)
        np.maximum(Z, zero, out=a)
        return float(J + np.add.reduce(a, axis=None) - np.dot(Z.reshape(-1), target.reshape(-1))) / Z.size

    def backward() -> np.ndarray:
        logistic(Z, one, dZ)
        np.subtract(dZ, target, out=dZ)
        return np.multiply(dZ, share, out=dZ)

    return forward, backward


def cross_entropy_loss(Z: np.ndarray, target: np.ndarray) -> Passes:
    E, dZ, ones = np.empty_like(Z), np.empty_like(Z), np.ones(Z.shape[1], Z.dtype)
    row, total, sample = np.empty((len(Z), 1), Z.dtype), np.empty((len(Z), 1), Z.dtype), np.arange(len(Z))
    share = np.array(1 / len(Z), Z.dtype)

    def forward() -> float:
        np.maximum.reduce(Z, axis=1, keepdims=True, out=row)
        np.subtract(Z, row, out=E)
        picked = np.add.reduce(E[sample, target])
        np.exp(E, out=E)
        np.dot(E, ones, out=total[:, 0])
        np.log(total, out=row)
        return float(np.add.reduce(row, axis=None) - picked) / len(Z)

    def backward() -> np.ndarray:
        np.divide(share, total, out=row)
        np.multiply(E, row, out=dZ)
        dZ[sample, target] -= share
        return dZ

    return forward, backward


LAYERS = {"Linear": linear, "Tanh": tanh, "Sigmoid": sigmoid, "ReLU": relu, "Softmax": softmax,
          "LogSoftmax": log_softmax, "MSELoss": mse_loss, "BCELoss": bce_loss,
          "BCEWithLogitsLoss": bce_with_logits_loss, "CrossEntropyLoss": cross_entropy_loss}  # fmt: skip
