"""AdaptiveAvgPool and AdaptiveMaxPool: pooling to a given size, whatever the sizes of X."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.basics.shapes import Shape
from nnlite.compute.pool import maxima_in_intervals
from nnlite.compute.windows import Intervals, Sizes
from nnlite.errors import ShapeError
from nnlite.layer.flops import Flops
from nnlite.layers.max_pooling import Maxima
from nnlite.layers.pooling import Planes
from nnlite.layers.spatial import LETTERS

Outputs = int | None | Iterable[int | None]


class AdaptivePooling(Planes):
    """Base class of AdaptiveAvgPool and AdaptiveMaxPool."""

    output_size: tuple[int | None, ...]
    windows: Intervals

    def set_output_size(self, output_size: Outputs) -> None:
        """Check the argument.

        Raises:
            TypeError: a number is not whole.
            ValueError: a number is too small, or there are too few or too many.
        """
        name = f"{type(self).__name__}: output_size"
        given = tuple(output_size) if isinstance(output_size, Iterable) else (output_size,) * self.axes
        if len(given) != self.axes:
            raise ValueError(f"{name}: expected a number, or {self.axes} of them, one for each axis, got {output_size}")
        self.output_size = tuple(None if size is None else whole(size, name, least=1) for size in given)

    def windows_on(self, X: Sizes) -> Intervals:
        """The windows on an X of this shape.

        Raises:
            ShapeError: X has other axes, or a spatial axis of size 0.
        """
        self.check_shape(X)
        sizes = X[-self.axes :]
        return Intervals.of(sizes, tuple(n if m is None else m for n, m in zip(sizes, self.output_size, strict=True)))

    def check_shape(self, X: Shape) -> tuple[Shape, tuple[int | None, ...]]:
        """The axes of samples and channels, and the spatial ones.

        Raises:
            ShapeError: there are others, or a spatial one has size 0.
        """
        front, sizes = self.sizes_of(X)
        for letter, size in zip(LETTERS[self.axes].split(", "), sizes, strict=True):
            if size == 0:
                raise ShapeError(f"{self}: expected {letter} of at least 1, got 0")
        return front, sizes

    def output_shape(self, *shapes: Shape) -> Any:
        front, sizes = self.check_shape(shapes[0])
        return *front, *(n if m is None else m for n, m in zip(sizes, self.output_size, strict=True))

    def pooled_in_onnx(self, graph: Any, operator: str, X: Any) -> Any:
        """X pooled by an operator of ONNX, MaxPool or AveragePool; None if windows differ in size."""
        if X.ndim == self.axes + 1:
            raise NotImplementedError("X has no axis for samples")
        if set(self.output_size) == {1}:
            return getattr(graph, f"Global{operator}")(X)
        sizes = self.output_shape(X.shape)[2:]
        if None in X.shape[2:]:
            raise NotImplementedError("the spatial sizes of X are not known")
        if any(n % m for n, m in zip(X.shape[2:], sizes, strict=True)):
            return None
        kernel = tuple(n // m for n, m in zip(X.shape[2:], sizes, strict=True))
        return getattr(graph, operator)(X, kernel_shape=kernel, strides=kernel)

    def extra_repr(self) -> str:
        size = self.output_size
        return f"output_size={size[0] if len(set(size)) == 1 else size}"


class AdaptiveAvgPoolNd(AdaptivePooling):
    """What AdaptiveAvgPool1d, 2d and 3d share: the mean of a window is that of the means along one of its axes."""

    def __init__(self, output_size: Outputs) -> None:
        self.set_output_size(output_size)

    @property
    def formulas(self) -> str:  # type: ignore[override]
        """With a matrix of means for each axis; before forward, for a batch."""
        one_sample = len(getattr(self, "front", "NC")) == 1
        n, inputs, outputs = "" if one_sample else "n", "hwd"[: self.axes], "ijk"[: self.axes]
        means = ",".join(map("".join, zip(outputs, inputs, strict=True)))
        names = ", ".join(f"M{axis + 1}" for axis in range(self.axes))
        return f"""
            Y = einsum('{n}c{inputs},{means}->{n}c{outputs}', X, {names})
            dX = einsum('{n}c{outputs},{means}->{n}c{inputs}', dY, {names})
        """

    M1 = property(lambda self: self.windows.means(0), doc="The means along the first spatial axis, for the formulas.")
    M2 = property(lambda self: self.windows.means(1), doc="The means along the second one.")
    M3 = property(lambda self: self.windows.means(2), doc="The means along the third one.")

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        sums = len(self.planes_of(X)) * self.windows.entries
        return Flops(sums + Y.size), Flops(sums + Y.size)

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.windows = self.windows_on(X.shape)
        Y = self.planes_of(X)
        if max(self.windows.outputs) == 1:  # one sum over all axes at once
            k = math.prod(self.windows.sizes)
            Y = np.add.reduce(Y.reshape(len(Y), k), axis=1) / k
            return self.record_Y(self.as_given(Y.reshape(-1, *self.windows.outputs)))
        for axis, intervals in enumerate(self.windows.along, 1):
            means = [np.mean(Y[along(axis, entries)], axis, keepdims=True) for entries in intervals]
            Y = np.concatenate(means, axis)
        return self.record_Y(self.as_given(Y))

    def onnx(self, graph: Any, X: Any) -> Any:
        if (Y := self.pooled_in_onnx(graph, "AveragePool", X)) is not None:
            return Y
        windows = self.windows_on(X.shape)
        means = [windows.means(axis).astype(X.dtype) for axis in range(self.axes)]
        Y = X @ means[-1].T.copy()
        if self.axes > 1:
            Y = means[-2] @ Y
        if self.axes == 3:
            *_, h, w = windows.outputs
            Y = means[0] @ graph.Reshape(Y, (0, 0, 0, h * w))
            Y = graph.Reshape(Y, (0, 0, 0, h, w))
        return Y

    def backward(self, dY: Any) -> Array:
        dX = self.planes_of(self.check_dY(dY))
        if max(self.windows.outputs) == 1:
            means = dX / math.prod(self.windows.sizes)
            dX = np.empty((len(dX), *self.windows.sizes), dX.dtype)
            dX[...] = means
            return self.as_given(dX)
        for axis in range(self.axes, 0, -1):
            means, shape = dX, list(dX.shape)
            shape[axis] = self.windows.sizes[axis - 1]
            dX = np.zeros(shape, means.dtype)
            for i, entries in enumerate(self.windows.along[axis - 1]):
                dX[along(axis, entries)] += means[along(axis, slice(i, i + 1))] / (entries.stop - entries.start)
        return self.as_given(dX)


def along(axis: int, entries: slice) -> tuple[slice, ...]:
    """The index of entries along an axis."""
    return (slice(None),) * axis + (entries,)


class AdaptiveMaxPoolNd(AdaptivePooling, Maxima):
    """What AdaptiveMaxPool1d, 2d and 3d share: everything but the number of axes."""

    def __init__(self, output_size: Outputs, return_indices: bool = False) -> None:
        self.set_output_size(output_size)
        self.set_return_indices(return_indices)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        Y = Y[0] if self.return_indices else Y
        return Flops(len(self.X) * self.windows.entries), Flops(Y.size)

    def forward(self, X: Any) -> Any:
        X = self.check_X(X)
        self.windows = self.windows_on(X.shape)
        self.X = self.planes_of(X)
        Y, self.places = self.find_maxima()
        return self.with_indices(Y)

    def find_maxima(self) -> tuple[Array, Array]:
        return maxima_in_intervals(self.X, self.windows)

    def onnx(self, graph: Any, X: Any) -> Any:
        if self.return_indices:
            raise NotImplementedError("with return_indices")
        if (Y := self.pooled_in_onnx(graph, "MaxPool", X)) is not None:
            return Y
        for axis, intervals in enumerate(self.windows_on(X.shape).along, 2):
            parts = [graph.Slice(X, (each.start,), (each.stop,), (axis,)) for each in intervals]
            X = graph.Concat(*[graph.ReduceMax(part, axes=(axis,)) for part in parts], axis=axis)
        return X

    def output_shape(self, *shapes: Shape) -> Any:
        return self.twice(super().output_shape(*shapes))

    def extra_repr(self) -> str:
        return super().extra_repr() + self.indices_repr()


class AdaptiveAvgPool1d(AdaptiveAvgPoolNd):
    """Means of as many windows of signals as asked for, as :class:`AdaptiveAvgPool2d` with one spatial axis.

    Shapes:
        X (N, C, L) or (C, L), Y (N, C, output_size) or (C, output_size).

    >>> AdaptiveAvgPool1d(2).forward([[[1.0, 2.0, 6.0, 5.0, 1.0]]])
    array([[[3., 4.]]])
    """

    axes = 1


class AdaptiveAvgPool2d(AdaptiveAvgPoolNd):
    """Means of as many windows of images as asked for: ``Y[n,c,i,j] = mean X[n, c, i0 : i1, j0 : j1]``.

    Of H rows the window i of H' has those from ``i0 = floor(i H / H')`` to below ``i1 = ceil((i + 1) H / H')``, and
    likewise the columns. So each entry of X is in a window; where H is no multiple of H', some are in two. With
    ``output_size`` 1 it is the mean of each channel: global average pooling.

    Backward: to each entry of dX that is in the window, ``dY[n,c,i,j]`` divided by their number is added.

    Args:
        output_size: the spatial sizes of Y: one number, or one for each axis; None for that of X.

    Shapes:
        X (N, C, H, W) or (C, H, W), Y (N, C, H', W') or (C, H', W').

    Raises:
        TypeError: a number is not whole, or X does not hold real numbers.
        ValueError: a number is too small, or there are too few or too many.
        ShapeError: X has other axes, or one of size 0.

    Sources: He, Zhang, Ren and Sun, Spatial pyramid pooling in deep convolutional networks, 2014; Lin, Chen and Yan,
    Network in network, 2014, of global average pooling.

    >>> import numpy as np
    >>> layer = AdaptiveAvgPool2d((1, 2))
    >>> layer.forward([[[[1.0, 2.0, 6.0], [3.0, 4.0, 0.0]]]])
    array([[[[2.5, 3. ]]]])
    >>> layer.backward(np.array([[[[4.0, 8.0]]]]))
    array([[[[1., 3., 2.],
             [1., 3., 2.]]]])
    """

    axes = 2


class AdaptiveAvgPool3d(AdaptiveAvgPoolNd):
    """Means of as many windows of volumes as asked for, as :class:`AdaptiveAvgPool2d` with three spatial axes.

    Shapes:
        X (N, C, D, H, W) or (C, D, H, W), Y (N, C, D', H', W') or (C, D', H', W').

    >>> import numpy as np
    >>> AdaptiveAvgPool3d((None, 2, 1)).forward(np.zeros((5, 2, 6, 7, 8))).shape
    (5, 2, 6, 2, 1)
    """

    axes = 3


class AdaptiveMaxPool1d(AdaptiveMaxPoolNd):
    """The largest entries of as many windows of signals as asked for, as :class:`AdaptiveMaxPool2d` with one axis.

    Shapes:
        X (N, C, L) or (C, L), Y and indices (N, C, output_size) or (C, output_size).

    >>> AdaptiveMaxPool1d(2).forward([[[1.0, 2.0, 6.0, 5.0, 1.0]]])
    array([[[6., 6.]]])
    """

    axes = 1


class AdaptiveMaxPool2d(AdaptiveMaxPoolNd):
    """The largest entries of as many windows of images as asked for: ``Y[n,c,i,j] = max X[n, c, i0 : i1, j0 : j1]``.

    The windows are those of :class:`AdaptiveAvgPool2d`. A window with NaN in it has NaN.

    Backward: ``dY[n,c,i,j]`` is added to the entry of dX that is the maximum, of equal ones to the first in the order
    of rows. The other entries are 0.

    Args:
        output_size: the spatial sizes of Y: one number, or one for each axis; None for that of X.
        return_indices: whether forward returns ``(Y, indices)``, as of :class:`MaxPool2d`.

    Shapes:
        X (N, C, H, W) or (C, H, W), Y and indices (N, C, H', W') or (C, H', W').

    Raises:
        TypeError: a number is not whole, or X does not hold real numbers.
        ValueError: a number is too small, or there are too few or too many.
        ShapeError: X has other axes, or one of size 0.

    Source: He, Zhang, Ren and Sun, Spatial pyramid pooling in deep convolutional networks, 2014.

    >>> import numpy as np
    >>> AdaptiveMaxPool2d((1, 2), return_indices=True).forward(np.array([[[[1.0, 2.0, 6.0], [3.0, 4.0, 0.0]]]]))
    (array([[[[4., 6.]]]]), array([[[[4, 2]]]]))
    """

    axes = 2


class AdaptiveMaxPool3d(AdaptiveMaxPoolNd):
    """The largest entries of as many windows of volumes as asked for, as :class:`AdaptiveMaxPool2d` with three axes.

    Shapes:
        X (N, C, D, H, W) or (C, D, H, W), Y and indices (N, C, D', H', W') or (C, D', H', W').

    >>> import numpy as np
    >>> AdaptiveMaxPool3d((None, 2, 1)).forward(np.zeros((5, 2, 6, 7, 8))).shape
    (5, 2, 6, 2, 1)
    """

    axes = 3
