"""Normalization by mean and variance: statistics of rows and columns, and the affine maps that apply them.

With mu a mean, v the mean of (X - mu)^2, in a second pass, and scale = 1 / sqrt(v + eps):
Y = (X - mu) scale gamma + beta. X - mu is computed first: X scale - mu scale would cancel where mu is large. A mean is
that of the differences to one of the numbers, so that it is exact where all are equal. Rounded to float32, a mean of
10,000 is wrong by up to 0.0005: so it is two numbers, mu and the rest that was rounded off, and X - mu is corrected by
the rest, which costs nothing where it enters the numbers of a channel.

With H = (X - mu) scale and dH = dY gamma, where the statistics depend on X,
dX = scale (dH - mean(dH) - H mean(dH H)); where they are given numbers, dX = scale dH.

Numbers of each channel meet arrays in two layouts: (N, C) has a channel in each column; (N, C, ...) has a channel of a
sample in each row of a matrix.
"""

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.blocks import BLOCK
from nnlite.compute.kernel import kernel
from nnlite.compute.sums import column_sum
from nnlite.compute.tracing import Columns, Rows

SILENT: dict[str, Any] = {"invalid": "ignore", "over": "ignore"}  # inf - inf is NaN; squares overflow before X

_WIDE = 2**10  # elements in a row, beyond which the time of starting a loop does not matter

# --- each row by its own statistics, with a gamma and beta for each column


@kernel(**SILENT)
def layer_norm(
    X: Array, first: Rows, gamma: Columns, beta: Columns, part: float, eps: float
) -> tuple[Array, Array, Array]:
    """Y, mu - first and scale; ``part`` is 1 / (number of columns), ``first`` the first column."""
    D = X - first
    mean = np.sum(D, axis=-1, keepdims=True) * part
    D = D - mean
    scale = 1 / np.sqrt(np.sum(D * D, axis=-1, keepdims=True) * part + eps)
    return D * scale * gamma + beta, mean, scale


@kernel(**SILENT)
def layer_norm_backward(
    dY: Array, X: Array, first: Rows, mean: Rows, scale: Rows, gamma: Columns, part: float
) -> tuple[Array, Array, Array]:
    """Gradients of X, gamma and beta, with the ``mean`` of X - first."""
    H = (X - first - mean) * scale
    dH = dY * gamma
    a = np.sum(dH, axis=-1, keepdims=True) * part
    b = np.sum(dH * H, axis=-1, keepdims=True) * part
    return (dH - H * b - a) * scale, np.sum(dY * H, axis=0), np.sum(dY, axis=0)


@kernel(**SILENT)
def rms_norm(X: Array, gamma: Columns, part: float, eps: float) -> tuple[Array, Array]:
    """``Y = X scale gamma`` with scale = 1 / sqrt(mean(X^2) + eps), and scale."""
    scale = 1 / np.sqrt(np.sum(X * X, axis=-1, keepdims=True) * part + eps)
    return X * scale * gamma, scale


@kernel(**SILENT)
def rms_norm_backward(dY: Array, X: Array, scale: Rows, gamma: Columns, part: float) -> tuple[Array, Array]:
    """Gradients of X and gamma."""
    H = X * scale
    dH = dY * gamma
    b = np.sum(dH * H, axis=-1, keepdims=True) * part
    return (dH - H * b) * scale, np.sum(dY * H, axis=0)


# --- statistics and affine maps with numbers of each row, or each column


def _centered_affine(X: Any, mu: Any, scale: Any, shift: Any) -> Any:
    return (X - mu) * scale + shift


def _backward(dY: Any, X: Any, mu: Any, A: Any, B: Any, C: Any) -> Any:
    return dY * A - (X - mu) * B - C


@kernel(**SILENT)
def _row_moments(X: Array, first: Rows, part: float) -> tuple[Array, Array, Array]:
    D = X - first
    mean = np.sum(D, axis=-1, keepdims=True) * part
    D = D - mean
    mu = first + mean
    return mu, mean - (mu - first), np.sum(D * D, axis=-1, keepdims=True) * part


@kernel(**SILENT)
def _row_affine(X: Array, mu: Rows, scale: Rows, shift: Rows) -> Array:
    return _centered_affine(X, mu, scale, shift)


@kernel(**SILENT)
def _row_sums(dY: Array, X: Array, mu: Rows) -> tuple[Array, Array]:
    D = X - mu
    return np.sum(dY, axis=-1, keepdims=True), np.sum(dY * D, axis=-1, keepdims=True)


@kernel(**SILENT)
def _row_backward(dY: Array, X: Array, mu: Rows, A: Rows, B: Rows, C: Rows) -> Array:
    return _backward(dY, X, mu, A, B, C)


@kernel(**SILENT)
def _column_differences(X: Array, first: Columns) -> Array:
    return np.sum(X - first, axis=0)


@kernel(**SILENT)
def _column_deviations(X: Array, mu: Columns) -> tuple[Array, Array]:
    D = X - mu
    return np.sum(D, axis=0), np.sum(D * D, axis=0)


@kernel(**SILENT)
def _column_affine(X: Array, mu: Columns, scale: Columns, shift: Columns) -> Array:
    return _centered_affine(X, mu, scale, shift)


@kernel(**SILENT)
def _column_sums(dY: Array, X: Array, mu: Columns) -> tuple[Array, Array]:
    return np.sum(dY, axis=0), np.sum(dY * (X - mu), axis=0)


@kernel(**SILENT)
def _column_backward(dY: Array, X: Array, mu: Columns, A: Columns, B: Columns, C: Columns) -> Array:
    return _backward(dY, X, mu, A, B, C)


class ChannelsInColumns(NamedTuple):
    """The layout of arrays (N, C). Statistics are those of the columns, (1, C).

    There is a loop for each row. So of large arrays k rows are made one of k C numbers: with C = 16 this takes half of
    the time.
    """

    shape: tuple[int, ...]

    @property
    def values(self) -> int:
        """The number of values that a statistic is over."""
        return self.shape[0]

    @property
    def k(self) -> int:
        """How many rows are made one."""
        return _rows_in_one(*self.shape)

    def moments(self, X: Array) -> tuple[Array, Array, Array]:
        """The mean of each column as mu and rest, and the mean of the squared deviations from it."""
        k, n, first = self.k, X.dtype.type(len(X)), X[:1]
        X = self._wide(X, k)
        mu = first + self._sum(_column_differences(X, self._each(first, k)), k) / n
        rest, v = (self._sum(each, k) / n for each in _column_deviations(X, self._each(mu, k)))
        return mu, rest, np.maximum(v - rest**2, 0)

    def affine(self, X: Array, mu: Array, scale: Array, shift: Array) -> Array:
        """``(X - mu) scale + shift``, with arrays (1, C)."""
        k = self.k
        each = (self._each(numbers, k) for numbers in (mu, scale, shift))
        return _column_affine(self._wide(X, k), *each).reshape(self.shape)

    def sums(self, dY: Array, X: Array, mu: Array) -> tuple[Array, Array]:
        """The column sums of dY and dY (X - mu)."""
        k = self.k
        sums = _column_sums(self._wide(dY, k), self._wide(X, k), self._each(mu, k))
        return self._sum(sums[0], k), self._sum(sums[1], k)

    def backward(self, dY: Array, X: Array, mu: Array, A: Array, B: Array, C: Array) -> Array:
        """``dY A - (X - mu) B - C``."""
        k = self.k
        each = (self._each(numbers, k) for numbers in (mu, A, B, C))
        return _column_backward(self._wide(dY, k), self._wide(X, k), *each).reshape(self.shape)

    def _wide(self, X: Array, k: int) -> Array:
        return X.reshape(len(X) // k, k * self.shape[1])

    def _each(self, numbers: Array, k: int) -> Array:
        """A number for each column, k times."""
        return (numbers if k == 1 else numbers.reshape(1, -1).repeat(k, axis=0)).reshape(-1)

    def _sum(self, sums: Array, k: int) -> Array:
        """The sums of the C columns, (1, C), from those of k C."""
        return (sums if k == 1 else column_sum(sums.reshape(k, -1))).reshape(1, -1)


@cache
def _rows_in_one(N: int, C: int) -> int:
    k = 1
    while N % (2 * k) == 0 and 2 * k * C <= _WIDE and N * C >= BLOCK:
        k *= 2
    return k


class ChannelsInRows(NamedTuple):
    """The layout of arrays (N, C, ...). Statistics are those of each channel of each sample, (N, C)."""

    shape: tuple[int, ...]

    @property
    def values(self) -> int:
        """The number of values that a statistic is over."""
        return math.prod(self.shape[2:])

    def moments(self, X: Array) -> tuple[Array, Array, Array]:
        """The mean of each channel of each sample as mu and rest, and the mean of the squared deviations from it."""
        if self.values == 1:
            zeros = np.zeros(self.shape[:2], X.dtype)
            return X.reshape(self.shape[:2]), zeros, zeros
        matrix = self._matrix(X)
        mu, rest, v = _row_moments(matrix, np.ascontiguousarray(matrix[:, :1]), 1 / self.values)
        return mu.reshape(self.shape[:2]), rest.reshape(self.shape[:2]), v.reshape(self.shape[:2])

    def affine(self, X: Array, mu: Array, scale: Array, shift: Array) -> Array:
        """``(X - mu) scale + shift``, with arrays (N, C) or (1, C)."""
        return _row_affine(self._matrix(X), *map(self._rows, (mu, scale, shift))).reshape(self.shape)

    def sums(self, dY: Array, X: Array, mu: Array) -> tuple[Array, Array]:
        """The sums of dY and dY (X - mu) of each channel of each sample."""
        if self.values == 1:
            return dY.reshape(self.shape[:2]).copy(), (dY * (X - mu.reshape(X.shape))).reshape(self.shape[:2])
        sums = _row_sums(self._matrix(dY), self._matrix(X), self._rows(mu))
        return sums[0].reshape(self.shape[:2]), sums[1].reshape(self.shape[:2])

    def backward(self, dY: Array, X: Array, mu: Array, A: Array, B: Array, C: Array) -> Array:
        """``dY A - (X - mu) B - C``."""
        matrices, numbers = map(self._matrix, (dY, X)), map(self._rows, (mu, A, B, C))
        return _row_backward(*matrices, *numbers).reshape(self.shape)

    def _matrix(self, X: Array) -> Array:
        return X.reshape(self.shape[0] * self.shape[1], self.values)

    def _rows(self, numbers: Array) -> Array:
        N = self.shape[0]
        return (numbers if len(numbers) == N else numbers.repeat(N, axis=0)).reshape(-1, 1)
