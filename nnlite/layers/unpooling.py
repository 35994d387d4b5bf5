"""MaxUnpool1d, MaxUnpool2d and MaxUnpool3d: the maxima that MaxPool found, put back where they were."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import whole
from nnlite.basics.shapes import Shape
from nnlite.compute.windows import Sizes
from nnlite.errors import ShapeError
from nnlite.layers.pooling import Numbers, Planes
from nnlite.layers.spatial import for_each_axis, one_if_equal


class MaxUnpoolNd(Planes):
    """What MaxUnpool1d, MaxUnpool2d and MaxUnpool3d share: everything but the number of axes."""

    without_gradient = ("indices", "output_size")
    flops_per_element: tuple[float, float] | None = (0, 0)
    formulas = """
        Y = unpool(X, indices, sizes=sizes)
        dX = pick(dY, indices, sizes=sizes)
    """

    def __init__(self, kernel_size: Numbers, stride: Numbers | None = None, padding: Numbers = 0) -> None:
        name = type(self).__name__
        self.kernel_size = for_each_axis(kernel_size, self.axes, f"{name}: kernel_size", least=1)
        steps = self.kernel_size if stride is None else stride
        self.stride = for_each_axis(steps, self.axes, f"{name}: stride", least=1)
        self.padding = for_each_axis(padding, self.axes, f"{name}: padding", least=0)

    def forward(self, X: Any, indices: Any, output_size: Any = None) -> Array:
        X = self.check_X(X)
        self.sizes = self.sizes_for(X.shape, output_size)
        rows = self.planes_of(X).reshape(math.prod(self.front), math.prod(X.shape[-self.axes :]))
        self.indices = self.check_indices(indices, X.shape).reshape(rows.shape)
        Y = np.zeros((len(rows), math.prod(self.sizes)), X.dtype)
        np.put_along_axis(Y, self.indices, rows, axis=1)
        self.outputs = X.shape[-self.axes :]
        return self.record_Y(self.as_given(Y.reshape(len(rows), *self.sizes)))

    def backward(self, dY: Any) -> Array:
        rows = self.planes_of(self.check_dY(dY)).reshape(len(self.indices), math.prod(self.sizes))
        dX = np.take_along_axis(rows, self.indices, axis=1)
        return self.as_given(dX.reshape(len(rows), *self.outputs))

    def sizes_for(self, X: Shape, output_size: Sequence[int] | None = None) -> Any:
        """The spatial sizes of Y for an X of this shape: those given, or the smallest that MaxPool may have had.

        Raises:
            ShapeError: X has other axes, or MaxPool does not give its sizes for such an input.
        """
        _, known = self.sizes_of(X)
        usual = tuple(
            None if n is None else (n - 1) * s + k - 2 * p
            for n, k, s, p in zip(known, self.kernel_size, self.stride, self.padding, strict=True)
        )
        sizes: Any = usual
        if output_size is not None:
            given = tuple([whole(size, f"{self}: output_size") for size in output_size])
            sizes = given[2:] if len(given) == self.axes + 2 else given
            if len(sizes) != self.axes or any(
                abs(size - n) >= s for size, n, s in zip(sizes, usual, self.stride, strict=True) if n is not None
            ):
                raise ShapeError(
                    f"{self}: expected output_size of less than stride from {usual} on each axis, got {output_size}"
                )
        if any(size is not None and size < 1 for size in sizes):
            raise ShapeError(f"{self}: expected X whose output has sizes of at least 1, not {sizes}; got X of {X}")
        return sizes

    def check_indices(self, indices: Any, shape: Sizes) -> Array:
        """The indices as an array.

        Raises:
            TypeError: they are not whole numbers.
            ShapeError: they have another shape than X.
            ValueError: one is outside of its channel of Y.
        """
        array = as_array(indices, lambda: f"{self}: indices")
        if array.dtype.kind not in "iu":
            raise TypeError(f"{self}: indices: expected whole numbers, got dtype {array.dtype}")
        if array.shape != shape:
            raise ShapeError(f"{self}: expected indices of shape {shape}, that of X, got {array.shape}")
        most = math.prod(self.sizes) - 1
        if array.size and (array.min() < 0 or array.max() > most):
            raise ValueError(
                f"{self}: indices: expected 0 to {most}, for a Y of sizes {self.sizes}, got {array.min()} to "
                f"{array.max()}; pass the shape of what was pooled as output_size"
            )
        return array.astype(np.intp)

    def output_shape(self, *shapes: Shape) -> Any:
        front, _ = self.sizes_of(shapes[0])
        return *front, *self.sizes_for(shapes[0])

    def onnx(self, graph: Any, X: Any, indices: Any) -> Any:
        if X.ndim == self.axes + 1 or None in X.shape[1:]:
            raise NotImplementedError("X has no axis for samples, or another size than that of the batch is not known")
        sizes, channels = self.sizes_for(X.shape), X.shape[1]
        shape = graph.Concat(graph.Slice(graph.Shape(X), (0,), (1,)), (channels, math.prod(sizes)), axis=0)
        zeros = graph.Expand(np.zeros((1, 1, 1), X.dtype), shape)
        rows = [graph.Reshape(A, (0, channels, math.prod(X.shape[2:]))) for A in (indices, X)]
        return graph.Reshape(graph.ScatterElements(zeros, *rows, axis=2), (0, channels, *sizes))

    def extra_repr(self) -> str:
        stride = "" if self.stride == self.kernel_size else f", stride={one_if_equal(self.stride)}"
        padding = f", padding={one_if_equal(self.padding)}" if any(self.padding) else ""
        return f"kernel_size={one_if_equal(self.kernel_size)}{stride}{padding}"


class MaxUnpool1d(MaxUnpoolNd):
    """The inverse of :class:`nnlite.MaxPool1d` where the maxima were, and 0 elsewhere; see :class:`MaxUnpool2d`.

    Shapes:
        X and indices (N, C, L) or (C, L), Y (N, C, L') or (C, L').

    >>> import numpy as np
    >>> MaxUnpool1d(2).forward(np.array([[[3.0, 5.0]]]), np.array([[[1, 2]]]))
    array([[[0., 3., 5., 0.]]])
    """

    axes = 1


class MaxUnpool2d(MaxUnpoolNd):
    """The inverse of :class:`nnlite.MaxPool2d` where the maxima were, and 0 elsewhere.

    Each entry of X is put at its index among the entries of its channel of Y, in row-major order. Of several with the
    same index, which windows that overlap may have, the last one stays. Backward: dX has the entries of dY at the
    indices; these have no gradient.

    Args:
        kernel_size, stride, padding: those of MaxPool2d.

    ``forward(X, indices, output_size=None)``: where MaxPool2d gives the same shape for several, ``output_size`` is the
    shape, or the spatial sizes, of what was pooled.

    Shapes:
        X and indices (N, C, H, W) or (C, H, W), Y (N, C, H', W') or (C, H', W'), with ``H' = (H - 1) stride -
        2 padding + kernel_size`` and likewise W', or less than one stride more or less.

    Raises:
        TypeError: a number or an index is not whole, or X does not hold real numbers.
        ValueError: a number is too small, or an index is outside of Y.
        ShapeError: X has other axes, indices another shape than X, or MaxPool2d does not give X for output_size.

    Source: Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014.

    >>> import numpy as np
    >>> from nnlite import MaxPool2d
    >>> Y, indices = MaxPool2d(2, return_indices=True).forward(np.array([[[[1.0, 2.0, 5.0], [4.0, 3.0, 6.0]]]]))
    >>> MaxUnpool2d(2).forward(Y, indices, output_size=(2, 3))
    array([[[[0., 0., 0.],
             [4., 0., 0.]]]])
    """

    axes = 2


class MaxUnpool3d(MaxUnpoolNd):
    """The inverse of :class:`nnlite.MaxPool3d` where the maxima were, and 0 elsewhere; see :class:`MaxUnpool2d`.

    Shapes:
        X and indices (N, C, D, H, W) or (C, D, H, W), Y (N, C, D', H', W') or (C, D', H', W').

    >>> import numpy as np
    >>> MaxUnpool3d(2).forward(np.ones((1, 1, 1, 1, 1)), np.array([[[[[7]]]]])).ravel()
    array([0., 0., 0., 0., 0., 0., 0., 1.])
    """

    axes = 3
