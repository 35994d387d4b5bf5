"""Products of vectors and matrices: dot, outer and matrix product."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.shapes import UNKNOWN, Shape, broadcast_shapes, is_open, mismatch, sizes, text, width
from nnlite.compute import blas
from nnlite.compute.sums import sum_to
from nnlite.errors import ShapeError
from nnlite.layers.arithmetic import Arrays, Gate


class Dot(Gate):
    """The inner product along the last axis, ``z = x^T y``; ``dx = dz y``, ``dy = dz x``.

    X (..., D), Y (..., D), Z (...); the leading axes are broadcast.

    Raises:
        ShapeError: the sizes of the last axes differ.

    >>> layer = Dot()
    >>> layer.forward(np.array([1.0, 2.0]), np.array([10.0, 100.0]))
    array(210.)
    >>> layer.backward(np.array(2.0))
    (array([ 20., 200.]), array([2., 4.]))
    """

    sign, any_order = "xᵀy", True
    formulas = """
        Z = vecdot(X, Y)
        dX = sum_to(dZ[..., None] * Y, X)
        dY = sum_to(dZ[..., None] * X, Y)
    """
    onnx = "ReduceSum(X * Y, axes=(-1,), keepdims=0)"

    def forward(self, X: Any, Y: Any) -> Array:
        self.X, self.Y = X, Y = self.check_Xs(X, Y)
        return self.computed(np.vecdot, X, Y)

    def backward(self, dZ: Any) -> Arrays:
        dZ = self.check_dY(dZ)[..., None]
        return sum_to(dZ * self.Y, self.X.shape), sum_to(dZ * self.X, self.Y.shape)

    def output_shape(self, *shapes: Shape) -> Shape:
        X, Y = shapes
        _same_size(self, shapes, width(X), width(Y))
        return broadcast_shapes(self, _leading(X), _leading(Y))


class Outer(Gate):
    """The outer product of the last axes, ``Z = x y^T``; ``dx = dZ y``, ``dy = dZ^T x``.

    X (..., D), Y (..., M), Z (..., D, M); the leading axes are broadcast.

    >>> layer = Outer()
    >>> layer.forward(np.array([1.0, 2.0]), np.array([10.0, 100.0]))
    array([[ 10., 100.],
           [ 20., 200.]])
    >>> layer.backward(np.array([[1.0, 0.0], [0.0, 1.0]]))
    (array([ 10., 100.]), array([1., 2.]))
    """

    sign = "x yᵀ"
    formulas = """
        Z = outer(X, Y)
        dX = sum_to(matvec(dZ, Y), X)
        dY = sum_to(matvec(dZ.mT, X), Y)
    """
    onnx = "Unsqueeze(X, axes=(-1,)) * Unsqueeze(Y, axes=(-2,))"

    def forward(self, X: Any, Y: Any) -> Array:
        self.X, self.Y = X, Y = self.check_Xs(X, Y)
        if not X.ndim or not Y.ndim:
            raise ShapeError(f"{self}: expected vectors, got inputs of shapes {X.shape} and {Y.shape}")
        return self.computed(lambda X, Y: X[..., :, None] * Y[..., None, :], X, Y)

    def backward(self, dZ: Any) -> Arrays:
        dZ = self.check_dY(dZ)
        dX = np.vecdot(dZ, self.Y[..., None, :])
        dY = np.vecdot(dZ.swapaxes(-1, -2), self.X[..., None, :])
        return sum_to(dX, self.X.shape), sum_to(dY, self.Y.shape)

    def output_shape(self, *shapes: Shape) -> Shape:
        X, Y = shapes
        if () in shapes:
            raise ShapeError(f"{self}: expected vectors, got inputs of shapes {text(X)} and {text(Y)}")
        return (*broadcast_shapes(self, _leading(X), _leading(Y)), width(X), width(Y))


class MatMul(Gate):
    """The matrix product ``Z = X Y``; ``dX = dZ Y^T``, ``dY = X^T dZ``.

    X (..., N, D), Y (..., D, M), Z (..., N, M); the leading axes, stacks of matrices, are broadcast. As in NumPy, a
    vector X is a row and a vector Y a column, and Z does not have that axis: the product of two vectors is a scalar.

    Raises:
        ShapeError: X has not as many columns as Y has rows, or an input is a scalar.

    >>> layer = MatMul()
    >>> layer.forward(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 100.0]))
    array([210., 430.])
    >>> dX, dy = layer.backward(np.array([1.0, 0.0]))
    >>> dX, dy
    (array([[ 10., 100.],
            [  0.,   0.]]), array([1., 2.]))
    """

    sign = "@"
    formulas = """
        Z = X @ Y
        dX = view(sum_to(view(dZ, shape=Z_shape) @ column(Y).mT, row(X)), shape=X.shape)
        dY = view(sum_to(row(X).mT @ view(dZ, shape=Z_shape), column(Y)), shape=Y.shape)
    """
    onnx = "X @ Y"

    def forward(self, X: Any, Y: Any) -> Array:
        X, Y = self.check_Xs(X, Y)
        self.X_shape, self.Y_shape = X.shape, Y.shape
        self.X = X[None, :] if X.ndim == 1 else X  # a row
        self.Y = Y[:, None] if Y.ndim == 1 else Y  # a column
        if not X.ndim or not Y.ndim or self.X.shape[-1] != self.Y.shape[-2]:
            raise mismatch(self, [X.shape, Y.shape])
        Z = self.computed(blas.stacked_matmul, self.X, self.Y)
        self.Z_shape = Z.shape
        vectors = tuple([axis for axis, A in ((-2, X), (-1, Y)) if A.ndim == 1])
        return self.record_Y(Z.squeeze(vectors))

    def backward(self, dZ: Any) -> Arrays:
        dZ = self.check_dY(dZ).reshape(self.Z_shape)
        dX = sum_to(blas.stacked_matmul(dZ, self.Y.swapaxes(-1, -2)), self.X.shape)
        dY = sum_to(blas.stacked_matmul(self.X.swapaxes(-1, -2), dZ), self.Y.shape)
        return dX.reshape(self.X_shape), dY.reshape(self.Y_shape)

    def output_shape(self, *shapes: Shape) -> Shape:
        X, Y = shapes
        if () in shapes:
            raise ShapeError(f"{self}: expected vectors or matrices, got {text(X)} and {text(Y)}")
        if len(Y) == 1 and not is_open(Y):
            _same_size(self, shapes, width(X), width(Y))
            return _leading(X)
        if len(sizes(Y)) < 2:  # it may be a vector or not
            return UNKNOWN
        _same_size(self, shapes, width(X), width(Y[:-1]))
        if len(X) == 2 and len(Y) == 2 and not is_open(X) and not is_open(Y):
            return X[0], Y[1]
        return (..., width(Y))


def _leading(shape: Shape) -> Shape:
    """Return all axes but the last."""
    return UNKNOWN if shape == UNKNOWN else shape[:-1]


def _same_size(gate: Gate, shapes: tuple[Shape, ...], one: int | None, other: int | None) -> None:
    if None not in (one, other) and one != other:
        raise mismatch(gate, shapes)
