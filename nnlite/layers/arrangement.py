"""Layers that join, split and transpose arrays: concat, stack, split and transpose."""

import operator
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.basics.shapes import UNKNOWN, Shape, common_shape, is_open, no_such_axis, sizes, text, with_axes
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer
from nnlite.layers.arithmetic import Arrays, Gate


class Concat(Gate):
    """Join the inputs along an existing axis; backward splits dY at the same places.

    Args:
        dim: the axis along which to join. The sizes of the other axes must be equal.

    Raises:
        ShapeError: the sizes of other axes differ, or there is no axis ``dim``.

    >>> layer = Concat()
    >>> layer.forward(np.array([1.0, 2.0]), np.array([3.0]))
    array([1., 2., 3.])
    >>> layer.backward(np.array([10.0, 20.0, 30.0]))
    (array([10., 20.]), array([30.]))
    """

    formulas = """
        Y = concatenate([X, *more], axis=dim)
        dX, *dmore = split(dY, sizes=diff(ends, prepend=0), axis=dim)
    """
    onnx = "Concat(X, *more, axis=dim)"

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole(dim, "Concat: dim")

    def forward(self, X: Any, *more: Any) -> Array:
        Xs = self.check_Xs(X, *more)
        Y = self.computed(lambda *Xs: np.concatenate(Xs, self.dim), *Xs)
        self.ends = list(accumulate(X.shape[self.dim] for X in Xs))
        return Y

    def backward(self, dY: Any) -> Arrays:
        return tuple([part.copy() for part in np.split(self.check_dY(dY), self.ends[:-1], self.dim)])

    def output_shape(self, *shapes: Shape) -> Shape:
        axes = next((len(shape) for shape in shapes if not is_open(shape)), None)
        if axes is None and self.dim >= 0:
            return UNKNOWN
        dim = self.dim - (axes or 0) if self.dim >= 0 else self.dim
        common = list(common_shape(self, shapes, joined=dim))
        joined = [sizes(shape)[dim] if len(sizes(shape)) >= -dim else None for shape in shapes]
        common[dim] = None if None in joined else sum(size for size in joined if size)
        return tuple(common)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Stack(Gate):
    """Join inputs of the same shape along a new axis; backward splits dY along it.

    Args:
        dim: position of the new axis in Y.

    Raises:
        ShapeError: the shapes differ, or ``dim`` is out of range.

    >>> layer = Stack()
    >>> layer.forward(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([[1., 3.],
           [2., 4.]])
    >>> layer.backward(np.array([[10.0, 30.0], [20.0, 40.0]]))
    (array([10., 20.]), array([30., 40.]))
    """

    formulas = """
        Y = stack([X, *more], axis=dim)
        dX, *dmore = unstack(dY, axis=dim)
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole(dim, "Stack: dim")

    def forward(self, X: Any, *more: Any) -> Array:
        return self.computed(lambda *Xs: np.stack(Xs, self.dim), *self.check_Xs(X, *more))

    def backward(self, dY: Any) -> Arrays:
        return tuple([np.array(part) for part in np.moveaxis(self.check_dY(dY), self.dim, 0)])

    def onnx(self, graph: Any, *Xs: Any) -> Any:
        return graph.Concat(*[graph.Unsqueeze(X, axes=(self.dim,)) for X in Xs], axis=self.dim)

    def output_shape(self, *shapes: Shape) -> Shape:
        if (known := with_axes(self, (*common_shape(self, shapes), None), self.dim)) is None:
            return UNKNOWN
        (*shape, _), (dim,) = known
        shape.insert(len(shape) + 1 + dim, len(shapes))
        return tuple(shape)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Split(Layer):
    """Split X along an axis into a tuple of parts; ``backward(*dYs)`` joins their gradients.

    Args:
        sizes: sizes of the parts along the axis.
        dim: the axis along which to split.

    Raises:
        TypeError: a size is not a whole number.
        ValueError: a size is below 0, or there is no size.
        ShapeError: the sizes do not add up to that of the axis, or X has no such axis.

    >>> layer = Split([2, 1])
    >>> layer.forward(np.array([1.0, 2.0, 3.0]))
    (array([1., 2.]), array([3.]))
    >>> layer.backward(np.array([10.0, 20.0]), np.array([30.0]))
    array([10., 20., 30.])
    """

    formulas = """
        Ys = split(X, sizes=sizes, axis=dim)
        dX = concatenate([*dYs], axis=dim)
    """
    onnx = "Split(X, split=sizes, axis=dim, outputs=num_outputs)"

    def __init__(self, sizes: Sequence[int], dim: int = -1) -> None:
        try:
            self.sizes = tuple(map(operator.index, sizes))
        except TypeError:
            raise TypeError(f"Split: sizes: expected whole numbers such as [2, 1], got {sizes!r}") from None
        if not self.sizes or min(self.sizes) < 0:
            raise ValueError(f"Split: sizes: expected at least one, and none below 0, got {sizes!r}")
        self.num_outputs = len(self.sizes)
        self.dim = whole(dim, "Split: dim")

    def forward(self, X: Any) -> Arrays | Array:
        X = self.check_X(X)
        if not -X.ndim <= self.dim < X.ndim or X.shape[self.dim] != sum(self.sizes):
            raise ShapeError(f"{self}: expected {sum(self.sizes)} along axis {self.dim}, got X of shape {X.shape}")
        ends = list(accumulate(self.sizes))
        Ys = tuple([part.copy() for part in np.split(X, ends[:-1], self.dim)])
        return self.record_Y(Ys[0]) if len(Ys) == 1 else self.record_Ys(Ys)

    def backward(self, *dYs: Any) -> Array:
        dYs = (self.check_dY(*dYs),) if self.num_outputs == 1 else self.check_dYs(dYs)
        return np.concatenate(dYs, self.dim)

    def output_shape(self, *shapes: Shape) -> Any:
        (X,) = shapes
        if (known := with_axes(self, X, self.dim)) is None:
            return UNKNOWN
        shape, (dim,) = known
        if shape[dim] not in (None, sum(self.sizes)):
            raise ShapeError(f"{self}: expected {sum(self.sizes)} along axis {self.dim}, got X of shape {text(X)}")
        after = shape[dim:][1:]
        parts = tuple((*shape[:dim], size, *after) for size in self.sizes)
        return parts if len(parts) > 1 else parts[0]

    def extra_repr(self) -> str:
        return f"{list(self.sizes)}, dim={self.dim}"


class Transpose(Layer):
    """Swap two axes of X; backward swaps those of dY.

    Args:
        dim0: the first axis.
        dim1: the second axis.

    Raises:
        ShapeError: X has no such axes.

    >>> Transpose().forward(np.zeros((5, 3, 2))).shape
    (5, 2, 3)
    """

    has_units = False
    formulas = """
        Y = swapaxes(X, axis1=dim0, axis2=dim1)
        dX = swapaxes(dY, axis1=dim0, axis2=dim1)
    """

    def __init__(self, dim0: int = -2, dim1: int = -1) -> None:
        self.dim0 = whole(dim0, "Transpose: dim0")
        self.dim1 = whole(dim1, "Transpose: dim1")

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        if not all(-X.ndim <= dim < X.ndim for dim in (self.dim0, self.dim1)):
            raise no_such_axis(self, X.shape, self.dim0, self.dim1)
        return self.record_Y(X.swapaxes(self.dim0, self.dim1).copy())

    def backward(self, dY: Any) -> Array:
        return self.check_dY(dY).swapaxes(self.dim0, self.dim1).copy()

    def onnx(self, graph: Any, X: Any) -> Any:
        order = np.arange(X.ndim)
        order[[self.dim0, self.dim1]] = order[[self.dim1, self.dim0]]
        return graph.Transpose(X, perm=order.tolist())

    def output_shape(self, *shapes: Shape) -> Shape:
        if (known := with_axes(self, shapes[0], self.dim0, self.dim1)) is None:
            return UNKNOWN
        shape, (dim0, dim1) = list(known[0]), known[1]
        shape[dim0], shape[dim1] = shape[dim1], shape[dim0]
        return tuple(shape)

    def extra_repr(self) -> str:
        return f"dim0={self.dim0}, dim1={self.dim1}"
