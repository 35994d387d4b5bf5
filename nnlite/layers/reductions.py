"""Reductions over axes: sum, mean, maximum and minimum."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.basics.shapes import UNKNOWN, Shape, is_open, no_such_axis, with_axes
from nnlite.compute.sums import sum_over
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer


class Sum(Layer):
    """``Y = sum(X)`` over all axes or some; ``dX = dY``, broadcast to X's shape.

    Args:
        dim: the axis or axes to sum over; None for all.
        keepdim: whether these axes remain in Y, with size 1.

    Raises:
        ShapeError: X has no such axis.

    >>> layer = Sum(dim=0)
    >>> layer.forward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([4., 6.])
    >>> layer.backward(np.array([10.0, 20.0]))
    array([[10., 20.],
           [10., 20.]])
    """

    sign = "Σ"
    formulas = """
        Y = sum(X, axis=dim, keepdims=keepdim)
        dX = broadcast(view(dY, shape=kept_shape), to=X.shape)
    """

    def __init__(self, dim: int | tuple[int, ...] | None = None, *, keepdim: bool = False) -> None:
        name = f"{type(self).__name__}: dim"
        self.dim: int | tuple[int, ...] | None = None
        if dim is not None:
            self.dim = tuple(whole(axis, name) for axis in dim) if isinstance(dim, tuple) else whole(dim, name)
        self.keepdim = keepdim

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.X_shape = X.shape
        self.axes = self._axes(X)
        Y = sum_over(X, self.axes)
        self.kept_shape = Y.shape
        return self.record_Y(Y if self.keepdim else Y.reshape(_without(X.shape, self.axes)))

    def backward(self, dY: Any) -> Array:
        return np.broadcast_to(self.check_dY(dY).reshape(self.kept_shape), self.X_shape).copy()

    def onnx(self, graph: Any, X: Any) -> Any:
        return self.reduced(graph.ReduceSum, X)

    def reduced(self, operator: Any, X: Any) -> Any:
        """An operator of ONNX that reduces X along ``dim``."""
        if self.dim == ():
            return X
        axes = None if self.dim is None else tuple(np.atleast_1d(self.dim).tolist())
        return operator(X, axes=axes, keepdims=int(self.keepdim))

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if self.dim is None and is_open(X):
            return UNKNOWN if self.keepdim else ()
        dims = range(len(X)) if self.dim is None else np.atleast_1d(self.dim).tolist()
        if (known := with_axes(self, X, *dims)) is None:
            return UNKNOWN
        X, summed = known
        axes = zip(range(-len(X), 0), X, strict=True)
        if self.keepdim:
            return tuple([1 if axis in summed else size for axis, size in axes])
        return tuple([size for axis, size in axes if axis not in summed])

    def extra_repr(self) -> str:
        return f"dim={self.dim}" + ", keepdim=True" * self.keepdim

    def _axes(self, X: Array) -> tuple[int, ...]:
        dims = range(X.ndim) if self.dim is None else np.atleast_1d(self.dim).tolist()
        if any(not -X.ndim <= dim < X.ndim for dim in dims):
            raise no_such_axis(self, X.shape, *dims)
        if len({dim % X.ndim for dim in dims}) < len(dims):
            raise ShapeError(f"{self}: the same axis is given twice for X of shape {X.shape}")
        return tuple(sorted(dim % X.ndim for dim in dims))


def _without(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


class Mean(Sum):
    """``Y = mean(X)`` over all axes or some; ``dX = dY / n``, broadcast to X's shape.

    Args:
        dim: the axis or axes to average over; None for all.
        keepdim: whether these axes remain in Y, with size 1.

    The mean of no elements is NaN.

    Raises:
        ShapeError: X has no such axis.

    >>> layer = Mean(dim=0)
    >>> layer.forward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([2., 3.])
    >>> layer.backward(np.array([10.0, 20.0]))
    array([[ 5., 10.],
           [ 5., 10.]])
    """

    formulas = """
        Y = mean(X, axis=dim, keepdims=keepdim)
        dX = broadcast(view(dY, shape=kept_shape), to=X.shape) / n
    """

    def forward(self, X: Any) -> Array:
        Y = super().forward(X)
        self.n = math.prod(self.X_shape[axis] for axis in self.axes)
        Y /= self.n or np.nan
        return Y

    def backward(self, dY: Any) -> Array:
        dX = super().backward(dY)
        dX /= self.n or 1
        return dX

    def onnx(self, graph: Any, X: Any) -> Any:
        return self.reduced(graph.ReduceMean, X)


class Extremum(Sum):
    """The largest or the smallest entry; dY goes to all entries that equal it, in equal parts."""

    extremum: Any  # the ufunc of two entries: np.maximum or np.minimum

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.X_shape, self.axes = X.shape, self._axes(X)
        if not all(X.shape[axis] for axis in self.axes):
            raise ShapeError(f"{self}: expected at least one entry, got X of shape {X.shape}")
        Y = np.asarray(self.extremum.reduce(X, self.axes, keepdims=True))
        self.kept_shape = Y.shape
        self.A = X == Y
        return self.record_Y(Y if self.keepdim else Y.reshape(_without(X.shape, self.axes)))

    def backward(self, dY: Any) -> Array:
        dY = self.check_dY(dY).reshape(self.kept_shape)
        count = np.sum(self.A, axis=self.axes, keepdims=True, dtype=dY.dtype)
        dX: Array = np.where(self.A, dY / np.maximum(count, 1), dY.dtype.type(0))
        return dX


class Max(Extremum):
    """``Y = max(X)`` over all axes or some; dY goes to the largest entries, in equal parts where several are.

    Where an entry is NaN, Y is NaN and its gradient 0.

    Args:
        dim: the axis or axes of which the largest entry is taken; None for all.
        keepdim: whether these axes remain in Y, with size 1.

    Raises:
        ShapeError: X has no such axis, or there is no entry.

    >>> layer = Max(dim=1)
    >>> layer.forward(np.array([[1.0, 2.0], [3.0, 3.0]]))
    array([2., 3.])
    >>> layer.backward(np.array([10.0, 20.0]))
    array([[ 0., 10.],
           [10., 10.]])
    """

    sign = "max"
    formulas = """
        Y = max(X, axis=dim, keepdims=keepdim)
        A = X == max(X, axis=dim, keepdims=True)
        dX = A * view(dY, shape=kept_shape) / sum(A, axis=dim, keepdims=True)
    """
    extremum = np.maximum

    def onnx(self, graph: Any, X: Any) -> Any:
        return self.reduced(graph.ReduceMax, X)


class Min(Extremum):
    """``Y = min(X)`` over all axes or some; dY goes to the smallest entries, in equal parts where several are.

    Where an entry is NaN, Y is NaN and its gradient 0.

    Args:
        dim: the axis or axes of which the smallest entry is taken; None for all.
        keepdim: whether these axes remain in Y, with size 1.

    Raises:
        ShapeError: X has no such axis, or there is no entry.

    >>> layer = Min(dim=1)
    >>> layer.forward(np.array([[1.0, 2.0], [3.0, 3.0]]))
    array([1., 3.])
    >>> layer.backward(np.array([10.0, 20.0]))
    array([[10.,  0.],
           [10., 10.]])
    """

    sign = "min"
    formulas = """
        Y = min(X, axis=dim, keepdims=keepdim)
        A = X == min(X, axis=dim, keepdims=True)
        dX = A * view(dY, shape=kept_shape) / sum(A, axis=dim, keepdims=True)
    """
    extremum = np.minimum

    def onnx(self, graph: Any, X: Any) -> Any:
        return self.reduced(graph.ReduceMin, X)
