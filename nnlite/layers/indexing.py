"""Layers that index an array: one entry of an axis, and a slice of it."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.basics.shapes import UNKNOWN, Shape, no_such_axis, text, with_axes
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer
from nnlite.layers.spatial import LARGE


class _Indexing(Layer):
    """What Select and Slice share: what forward does not take has the gradient 0."""

    has_units = False
    dim: int
    index: int | slice

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        if not -X.ndim <= self.dim < X.ndim:
            raise no_such_axis(self, X.shape, self.dim)
        self.output_shape(X.shape)
        self.X_shape = X.shape
        self.taken = (slice(None),) * (self.dim % X.ndim) + (self.index,)
        return self.record_Y(X[self.taken].copy())

    def backward(self, dY: Any) -> Array:
        dY = self.check_dY(dY)
        dX = np.zeros(self.X_shape, dY.dtype)
        dX[self.taken] = dY
        return dX


class Select(_Indexing):
    """One entry of an axis, which Y does not have: ``Y = X[:, index]`` for axis 1; dX is dY there, and 0 elsewhere.

    ``Select(1, -1)`` takes the last step of sequences (N, T, D). In a graph it is ``x[:, -1]``.

    Args:
        dim: the axis.
        index: the entry; from the end if it is negative.

    Raises:
        TypeError: an argument is not a whole number.
        ShapeError: X has no such axis, or that axis no such entry.

    >>> layer = Select(1, -1)
    >>> layer.forward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([2., 4.])
    >>> layer.backward(np.array([10.0, 20.0]))
    array([[ 0., 10.],
           [ 0., 20.]])
    """

    formulas = """
        Y = entries(X, at=index, axis=dim)
        dX = put(dY, at=index, axis=dim, like=X)
    """
    index: int

    def __init__(self, dim: int, index: int) -> None:
        self.dim = whole(dim, "Select: dim")
        self.index = whole(index, "Select: index")

    def onnx(self, graph: Any, X: Any) -> Any:
        return graph.Gather(X, graph.value(self.index, np.int64), axis=self.dim)

    def output_shape(self, *shapes: Shape) -> Shape:
        if (known := with_axes(self, shapes[0], self.dim)) is None:
            return UNKNOWN
        shape, (dim,) = known
        size = shape[dim]
        if isinstance(size, int) and not -size <= self.index < size:
            raise ShapeError(f"{self}: expected more entries along axis {self.dim}, got X of shape {text(shapes[0])}")
        return (*shape[:dim], *shape[dim:][1:])

    def extra_repr(self) -> str:
        return f"dim={self.dim}, index={self.index}"


class Slice(_Indexing):
    """A slice of an axis, as Python has it: ``Y = X[:, start:stop:step]`` for axis 1; dX is dY there, and 0 elsewhere.

    In a graph it is ``x[:, start:stop:step]``.

    Args:
        dim: the axis.
        start, stop: its first entry, and the one behind its last; from the end if negative, None for the ends of X.
        step: not 0; if it is negative, in reversed order.

    Raises:
        TypeError: an argument is not a whole number.
        ValueError: the step is 0.
        ShapeError: X has no such axis.

    >>> layer = Slice(-1, 1, None)
    >>> layer.forward(np.array([1.0, 2.0, 3.0]))
    array([2., 3.])
    >>> layer.backward(np.array([10.0, 20.0]))
    array([ 0., 10., 20.])
    """

    formulas = """
        Y = entries(X, at=places, axis=dim)
        dX = put(dY, at=places, axis=dim, like=X)
    """

    def __init__(self, dim: int, start: int | None = None, stop: int | None = None, step: int = 1) -> None:
        self.dim = whole(dim, "Slice: dim")
        self.start = None if start is None else whole(start, "Slice: start")
        self.stop = None if stop is None else whole(stop, "Slice: stop")
        self.step = whole(step, "Slice: step")
        if not self.step:
            raise ValueError("Slice: step: expected another number than 0, got 0")

    @property
    def index(self) -> slice:  # type: ignore[override]
        """The slice."""
        return slice(self.start, self.stop, self.step)

    @property
    def places(self) -> Array:
        """The indices of the slice, for the formulas."""
        return np.arange(self.X_shape[self.dim])[self.index]

    def onnx(self, graph: Any, X: Any) -> Any:
        ends = (0, LARGE) if self.step > 0 else (LARGE, -LARGE)
        start, stop = (end if at is None else at for at, end in zip((self.start, self.stop), ends, strict=True))
        return graph.Slice(X, (start,), (stop,), (self.dim,), (self.step,))

    def output_shape(self, *shapes: Shape) -> Shape:
        if (known := with_axes(self, shapes[0], self.dim)) is None:
            return UNKNOWN
        shape, (dim,) = known
        size = shape[dim]
        taken = len(range(*self.index.indices(size))) if isinstance(size, int) else None
        return (*shape[:dim], taken, *shape[dim:][1:])

    def extra_repr(self) -> str:
        step = "" if self.step == 1 else f", step={self.step}"
        return f"dim={self.dim}, start={self.start}, stop={self.stop}{step}"
