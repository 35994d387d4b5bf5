"""Layers that change the shape of an array and keep the order of its elements: reshape, flatten and unflatten."""

import math
import operator
from collections.abc import Sequence
from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.basics.shapes import UNKNOWN, Shape, is_open, no_such_axis, sizes, text, with_axes
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer


class Reshape(Layer):
    """Reshape X, in row-major order; backward reshapes dY to X's shape.

    Args:
        shape: the sizes of Y, the batch axis included; one of them may be -1, and is inferred.

    Raises:
        TypeError: a size is not a whole number.
        ValueError: a size is below -1, or more than one is -1.
        ShapeError: X has another number of elements.

    >>> import numpy as np
    >>> Reshape(-1, 8, 8).forward(np.zeros((5, 64))).shape
    (5, 8, 8)
    """

    has_units = False
    formulas = """
        Y = reshape(X, shape=shape)
        dX = reshape(dY, shape=X.shape)
    """
    onnx = "Reshape(X, shape)"

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

    flops_per_element = (0, 0)
    has_units = False
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

    def onnx(self, graph: Any, X: Any) -> Any:
        start, end = self.start_dim % X.ndim, self.end_dim % X.ndim
        return graph.Reshape(X, _sizes_for_onnx(X.shape, start, end + 1, (-1,)))

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


class Unflatten(Layer):
    """Split the axis ``dim`` of X into several, in row-major order; backward restores X's shape.

    Args:
        dim: the axis to split.
        unflattened_size: the sizes of the new axes; one of them may be -1, and is inferred.

    Raises:
        TypeError: a size is not a whole number.
        ValueError: there is no size, one is below -1, or more than one is -1.
        ShapeError: X has no such axis, or its size is not the product of the new ones.

    >>> import numpy as np
    >>> Unflatten(1, (8, 8)).forward(np.zeros((5, 64))).shape
    (5, 8, 8)
    """

    flops_per_element = (0, 0)
    has_units = False
    formulas = """
        Y = reshape(X, shape=Y_shape)
        dX = reshape(dY, shape=X.shape)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim = whole(dim, "Unflatten: dim")
        given = f"whole numbers such as (8, 8), got {unflattened_size!r}"
        try:
            self.unflattened_size = tuple(map(operator.index, unflattened_size))
        except TypeError:
            raise TypeError(f"Unflatten: unflattened_size: expected {given}") from None
        if min(self.unflattened_size, default=-2) < -1 or self.unflattened_size.count(-1) > 1:
            raise ValueError(f"Unflatten: unflattened_size: expected {given}; at most one may be -1")

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.X_shape, parts = X.shape, self.unflattened_size
        if -1 not in parts and -X.ndim <= self.dim < X.ndim and math.prod(parts) == X.shape[self.dim]:
            dim = self.dim % X.ndim
            self.Y_shape = (*X.shape[:dim], *parts, *X.shape[dim + 1 :])
        else:
            self.Y_shape = tuple(map(int, self.output_shape(X.shape)))  # type: ignore[arg-type]
        return self.record_Y(X.copy().reshape(self.Y_shape))

    def backward(self, dY: Any) -> Array:
        return self.check_dY(dY).copy().reshape(self.X_shape)

    def onnx(self, graph: Any, X: Any) -> Any:
        dim = self.dim % X.ndim
        return graph.Reshape(X, _sizes_for_onnx(X.shape, dim, dim + 1, self.unflattened_size))

    def output_shape(self, *shapes: Shape) -> Shape:
        if (known := with_axes(self, shapes[0], self.dim)) is None:
            return UNKNOWN
        shape, (dim,) = known
        parts: Shape = self.unflattened_size
        size, rest = shape[dim], abs(math.prod(self.unflattened_size))
        if -1 in parts:
            fits = not isinstance(size, int) or (rest > 0 and size % rest == 0)
            inferred = size // rest if isinstance(size, int) and fits else None
            parts = tuple(inferred if part == -1 else part for part in parts)
        else:
            fits = size in (None, rest)
        if not fits:
            raise ShapeError(f"{self}: cannot split axis {self.dim} of X of shape {text(shapes[0])}")
        return (*shape[:dim], *parts, *shape[dim:][1:])

    def extra_repr(self) -> str:
        return f"{self.dim}, {self.unflattened_size}"


def _sizes_for_onnx(shape: Shape, start: int, end: int, between: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes after those of the axes from ``start`` to ``end`` are replaced; in ONNX 0 keeps a size as it is."""
    behind = shape[end:]
    if end - start != len(between) and None in behind:
        raise NotImplementedError("the size of an axis behind those that change is not known")
    sizes = tuple(size for size in behind if isinstance(size, int))
    return (0,) * start + between + (sizes if len(sizes) == len(behind) else (0,) * len(behind))
