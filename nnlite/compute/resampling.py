"""Resampling of spatial axes: each axis is multiplied by a sparse matrix of the weights of its interpolation."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array

CUBIC = -0.75  # the parameter a of Keys's cubic convolution, as PyTorch and OpenCV have it


@lru_cache(maxsize=64)
def interpolation(size: int, outputs: int, step: float, mode: str, align_corners: bool, dtype: Any) -> Any:
    """The matrix (outputs, size) of an interpolation along one axis, in SciPy's CSR format.

    Output i is at ``(i + 1/2) step - 1/2`` on the axis of the inputs, or at ``i (size - 1) / (outputs - 1)`` if the
    first and the last of both stand at the same places, ``align_corners``.

    >>> interpolation(2, 4, 0.5, "linear", False, np.float64).toarray()
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    import scipy.sparse  # its import takes longer than that of the rest of nnlite

    numbers = np.arange(outputs)
    if mode in ("nearest", "nearest-exact"):  # in float32, as PyTorch rounds
        half = np.float32(0.5 if mode == "nearest-exact" else 0)
        sources = np.floor((numbers.astype(np.float32) + half) * np.float32(step))[:, None]
        weights = np.ones((outputs, 1))
    else:
        places = numbers * ((size - 1) / max(outputs - 1, 1)) if align_corners else (numbers + 0.5) * step - 0.5
        if mode == "linear":
            places = np.maximum(places, 0)
        first = np.floor(places)
        t = places - first
        if mode == "linear":
            sources, weights = first[:, None] + [0, 1], np.stack([1 - t, t], axis=1)
        else:
            sources = first[:, None] + [-1, 0, 1, 2]
            weights = np.stack([_outer(1 + t), _inner(t), _inner(1 - t), _outer(2 - t)], axis=1)
    columns = np.clip(sources, 0, size - 1).astype(np.intp)
    rows = np.broadcast_to(numbers[:, None], columns.shape)
    matrix = scipy.sparse.coo_array((weights.ravel(), (rows.ravel(), columns.ravel())), (outputs, size)).tocsr()
    matrix.eliminate_zeros()  # 0 times an infinite number is not a number
    return matrix.astype(dtype)


def _inner(t: Array) -> Array:
    """The weight of an entry at a distance of at most 1."""
    return ((CUBIC + 2) * t - (CUBIC + 3)) * t * t + 1


def _outer(t: Array) -> Array:
    """The weight of an entry at a distance from 1 to 2."""
    return ((CUBIC * t - 5 * CUBIC) * t + 8 * CUBIC) * t - 4 * CUBIC


def resample(X: Array, matrices: Sequence[Any]) -> Array:
    """Multiply each of the last axes of X by a matrix.

    >>> import scipy.sparse
    >>> resample(np.array([[1.0, 10.0]]), [scipy.sparse.csr_array([[1, 0], [1, 1], [0, 2]])])
    array([[ 1., 11., 20.]])
    """
    for axis, matrix in enumerate(matrices, X.ndim - len(matrices)):
        moved = np.moveaxis(X, axis, 0)
        product = matrix @ moved.reshape(matrix.shape[1], moved[:1].size)
        X = np.moveaxis(product.reshape(len(product), *moved.shape[1:]), 0, axis)
    return np.ascontiguousarray(X)


def resample_backward(dY: Array, matrices: Sequence[Any]) -> Array:
    """DX of ``Y = resample(X, matrices)``: the product with the transposed matrices."""
    return resample(dY, [matrix.T for matrix in matrices])
