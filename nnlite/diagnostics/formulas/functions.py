"""The functions that formulas may call: NumPy's, and those defined here."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import kernels
from nnlite.layers.local_response_normalization import window_sum


def rows(A: Array) -> Array:
    """Merge all axes before the last one: each row of the result is a sample.

    >>> rows(np.zeros((4, 5, 3))).shape, rows(np.zeros(3)).shape
    ((20, 3), (1, 3))
    """
    return A.reshape(-1, A.shape[-1])


def row(x: Array) -> Array:
    """Return a vector as a matrix of one row, a matrix unchanged.

    >>> row(np.zeros(3)).shape, row(np.zeros((4, 3))).shape
    ((1, 3), (4, 3))
    """
    return x[None, :] if x.ndim == 1 else x


def column(x: Array) -> Array:
    """Return a vector as a matrix of one column, a matrix unchanged.

    >>> column(np.zeros(3)).shape, column(np.zeros((4, 3))).shape
    ((3, 1), (4, 3))
    """
    return x[:, None] if x.ndim == 1 else x


def view(A: Array, shape: tuple[int, ...]) -> Array:
    """Reshape A where that is not part of the mathematics; it is not shown.

    >>> view(np.zeros(3), shape=(3, 1)).shape
    (3, 1)
    """
    return np.reshape(A, shape)


def reshape(A: Array, shape: tuple[int, ...]) -> Array:
    """Reshape A; NumPy's own has the keyword ``shape`` only from 2.1 on.

    >>> reshape(np.zeros(4), shape=(2, 2)).shape
    (2, 2)
    """
    return np.reshape(A, shape)


def sum_to(A: Array, X: Array) -> Array:
    """Sum A over the axes along which X was broadcast to A's shape.

    >>> sum_to(np.ones((4, 3)), np.ones(3))
    array([4., 4., 4.])
    """
    A = np.asarray(A)
    new = A.ndim - np.ndim(X)
    summed = [axis for axis in range(A.ndim) if axis < new or A.shape[axis] != np.shape(X)[axis - new]]
    return np.asarray(A.sum(axis=tuple(summed), keepdims=True).reshape(np.shape(X)))


def broadcast(A: Array, to: tuple[int, ...]) -> Array:
    """Broadcast A to the shape ``to``.

    >>> broadcast(np.array([[1.0], [2.0]]), to=(2, 3))
    array([[1., 1., 1.],
           [2., 2., 2.]])
    """
    return np.broadcast_to(A, to)


def flatten(A: Array, start: int, end: int) -> Array:
    """Merge the axes from ``start`` to ``end``.

    >>> flatten(np.zeros((4, 3, 2)), start=1, end=-1).shape
    (4, 6)
    """
    start, end = start % A.ndim, end % A.ndim
    return A.reshape(*A.shape[:start], int(np.prod(A.shape[start : end + 1])), *A.shape[end + 1 :])


def split(A: Array, sizes: tuple[int, ...], axis: int) -> list[Array]:
    """Split A along an axis into parts of the given sizes.

    >>> split(np.arange(3.0), sizes=(2, 1), axis=0)
    [array([0., 1.]), array([2.])]
    """
    return np.split(A, np.cumsum(sizes)[:-1], axis)


def unstack(A: Array, axis: int) -> list[Array]:
    """Return the slices of A along an axis.

    >>> unstack(np.eye(2), axis=0)
    [array([1., 0.]), array([0., 1.])]
    """
    return list(np.moveaxis(A, axis, 0))


def outer(x: Array, y: Array) -> Array:
    """Return the outer product over the last axes.

    >>> outer(np.array([1.0, 2.0]), np.array([10.0, 100.0]))
    array([[ 10., 100.],
           [ 20., 200.]])
    """
    return x[..., :, None] * y[..., None, :]


def matvec(A: Array, x: Array) -> Array:
    """Return the product of a matrix and a vector in the last axes.

    >>> matvec(np.ones((4, 2, 3)), np.ones((4, 3))).shape
    (4, 2)
    """
    return np.asarray(np.vecdot(A, x[..., None, :]))


def sigmoid(X: Array) -> Array:
    """Return ``1 / (1 + exp(-X))``.

    >>> sigmoid(np.zeros(1))
    array([0.5])
    """
    X = np.asarray(X)
    return kernels.sigmoid(X if X.dtype.kind == "f" else X.astype(np.float64))


def ndtr(X: Array) -> Array:
    """Return the integral of the standard normal density up to X.

    >>> ndtr(np.zeros(1))
    array([0.5])
    """
    from scipy import special

    return np.asarray(special.ndtr(X))


def one_hot(target: Array, like: Array, axis: int, ignored: int) -> Array:
    """Return class indices as a distribution over the classes: 1 at the index, all zeros if it is ``ignored``.

    A target of the shape of ``like`` is returned unchanged.

    >>> one_hot(np.array([1, -100]), like=np.zeros((2, 3)), axis=1, ignored=-100)
    array([[0., 1., 0.],
           [0., 0., 0.]])
    """
    if np.shape(target) == like.shape:
        return target
    target = np.expand_dims(target, axis)
    classes = along(np.arange(like.shape[axis]), axis=axis, like=like)
    return np.asarray((target == classes) & (target != ignored), like.dtype)


def along(vector: Array, axis: int, like: Array) -> Array:
    """Reshape a vector to lie along one axis of ``like``.

    >>> along(np.array([1.0, 2.0]), axis=0, like=np.zeros((2, 3))).shape
    (2, 1)
    """
    shape = [1] * like.ndim
    shape[axis] = -1
    return np.reshape(vector, shape)


def add_at(A: Array, indices: Array, like: Array, ignored: int | None = None, averaged: bool = False) -> Array:
    """Return an array like ``like`` in which row k is the sum, or the mean, of the rows of A whose index is k.

    >>> add_at(np.array([[1.0], [2.0], [4.0]]), np.array([0, 2, 2]), like=np.zeros((3, 1)))
    array([[1.],
           [0.],
           [6.]])
    """
    sums, counts = np.zeros_like(like), np.zeros(len(like))
    numbers = np.ravel(indices)
    kept = np.full(numbers.shape, True) if ignored is None else numbers != ignored
    np.add.at(sums, numbers[kept], rows(A)[kept])
    np.add.at(counts, numbers[kept], 1)
    return sums / np.maximum(counts, 1).astype(like.dtype)[:, None] if averaged else sums


FUNCTIONS: dict[str, Any] = {
    function.__name__: function
    for function in (
        rows,
        row,
        column,
        view,
        reshape,
        sum_to,
        broadcast,
        flatten,
        split,
        unstack,
        outer,
        matvec,
        sigmoid,
        ndtr,
        one_hot,
        along,
        window_sum,
        add_at,
    )
}


class NumPy(Mapping[str, Any]):
    """NumPy's functions by name, and its pi.

    >>> NumPy()["exp"], "gama" in NumPy()
    (<ufunc 'exp'>, False)
    """

    def __getitem__(self, name: str) -> Any:
        if name.startswith("_") or not (name == "pi" or callable(getattr(np, name, None))):
            raise KeyError(name)
        return getattr(np, name)

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0
