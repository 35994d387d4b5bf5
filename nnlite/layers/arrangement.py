"""Layers that join, split and rearrange arrays: concat, stack, split, transpose, reshape and flatten."""

import math
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

    def output_shape(self, *shapes: Shape) -> Shape:
        if (known := with_axes(self, shapes[0], self.dim0, self.dim1)) is None:
            return UNKNOWN
        shape, (dim0, dim1) = list(known[0]), known[1]
        shape[dim0], shape[dim1] = shape[dim1], shape[dim0]
        return tuple(shape)

    def extra_repr(self) -> str:
        return f"dim0={self.dim0}, dim1={self.dim1}"


class Reshape(Layer):
    """Reshape X, in row-major order; backward reshapes dY to X's shape.

    Args:
        shape: the sizes of Y, the batch axis included; one of them may be -1, and is inferred.

    Raises:
        TypeError: a size is not a whole number.
        ValueError: a size is below -1, or more than one is -1.
        ShapeError: X has another number of elements.

    >>> Reshape(-1, 8, 8).forward(np.zeros((5, 64))).shape
    (5, 8, 8)
    """

    formulas = """
        Y = reshape(X, shape=shape)
        dX = reshape(dY, shape=X.shape)
    """

    def __init__(self, *shape: int) -> None:
        try:
            self.shape = tuple(map(operator.index, shape))
        except TypeError:
            raise TypeError(f"Reshape: expected whole numbers such as Reshape(-1, 8, 8), got {shape!r}") from None
        if min(self.shape, default=0) < -1 or self.shape.count(-1) > 1:
            raise ValueError(f"Reshape: expected sizes of at least 0, and -1 for at most one of them, got {shape!r}")

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.X_shape = X.shape
        try:
            return self.record_Y(X.copy().reshape(self.shape))
        except ValueError:
            raise ShapeError(f"{self}: cannot reshape X of shape {X.shape}") from None

    def backward(self, dY: Any) -> Array:
        return self.check_dY(dY).copy().reshape(self.X_shape)

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if is_open(X) or None in X:
            return tuple(None if size == -1 else size for size in self.shape)
        values = math.prod(size for size in X if isinstance(size, int))
        rest = abs(math.prod(self.shape))
        if (not rest or values % rest) if -1 in self.shape else values != rest:
            raise ShapeError(f"{self}: cannot reshape X of shape {text(X)}")
        return tuple(values // rest if size == -1 else size for size in self.shape)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.shape))


class Flatten(Layer):
    """Merge the axes ``start_dim`` to ``end_dim`` of X into one, in row-major order; backward restores X's shape.

    Args:
        start_dim: first axis to merge; the default does not merge the batch axis.
        end_dim: last axis to merge, included.

    Raises:
        ShapeError: X has no such axes, or ``start_dim`` comes after ``end_dim``.

    >>> import numpy as np
    >>> Flatten().forward(np.zeros((5, 8, 8))).shape
    (5, 64)
    """

    formulas = """
        Y = flatten(X, start=start_dim, end=end_dim)
        dX = reshape(dY, shape=X.shape)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = whole(start_dim, "Flatten: start_dim")
        self.end_dim = whole(end_dim, "Flatten: end_dim")

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        axes = range(-X.ndim, X.ndim)
        if self.start_dim not in axes or self.end_dim not in axes:
            raise no_such_axis(self, X.shape, self.start_dim, self.end_dim)
        start, end = self.start_dim % X.ndim, self.end_dim % X.ndim
        if start > end:
            raise ShapeError(f"{self}: axis {start} comes after axis {end} in X of shape {X.shape}")
        self.X_shape = X.shape
        merged = math.prod(X.shape[start : end + 1])
        Y = X.copy().reshape(*X.shape[:start], merged, *X.shape[end + 1 :])
        return self.record_Y(Y)

    def backward(self, dY: Any) -> Array:
        return self.check_dY(dY).copy().reshape(self.X_shape)

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if (known := with_axes(self, X, self.start_dim, self.end_dim)) is None:
            return UNKNOWN
        shape, (start, end) = known
        if start > end:
            axes = len(sizes(shape))
            raise ShapeError(f"{self}: axis {start + axes} comes after axis {end + axes} in X of shape {text(X)}")
        merged = shape[start:][: end - start + 1]
        known_sizes = [size for size in merged if isinstance(size, int)]
        size = math.prod(known_sizes) if len(known_sizes) == len(merged) or 0 in known_sizes else None
        return *shape[:start], size, *shape[end:][1:]

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
