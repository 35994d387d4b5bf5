"""MaxPool1d, MaxPool2d and MaxPool3d: the largest entry of each window."""

import math
from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.shapes import Shape
from nnlite.compute.pool import add_at_places, maxima_and_places, plane_starts, window_maxima
from nnlite.layers.pooling import Numbers, Planes, Pooling


class Maxima(Planes):
    """Base class of MaxPool and AdaptiveMaxPool: backward, and the indices."""

    X: Array  # as planes
    windows: Any
    places: Array | None  # of the maxima in all planes as one vector

    def set_return_indices(self, return_indices: bool) -> None:
        """Return them, as a second output, or not."""
        self.return_indices = bool(return_indices)
        self.num_outputs = 1 + self.return_indices

    @property
    def formulas(self) -> str:  # type: ignore[override]
        """With the indices, if they are returned."""
        return f"""
            Y = window_max(X, at=windows)
            {"indices = window_argmax(X, at=windows)" if self.return_indices else ""}
            dX = add_at_max(dY, X, at=windows)
        """

    def with_indices(self, Y: Array) -> Any:
        """What forward returns: Y, or Y and in row-major order the index of each maximum in its channel."""
        Y = self.record_Y(self.as_given(Y))
        if not self.return_indices or self.places is None:
            return Y
        return Y, self.as_given(self.places - plane_starts(self.X))

    def find_maxima(self) -> tuple[Array, Array]:
        """The maxima and their places."""
        raise NotImplementedError

    def backward(self, dY: Any, dindices: Any = None) -> Array:
        dY = self.planes_of(self.check_dY(dY))
        places = self.find_maxima()[1] if self.places is None else self.places
        return self.as_given(add_at_places(dY, places, self.windows.sizes))

    def twice(self, Y: Shape) -> Any:
        """The shape of what forward returns, for that of Y."""
        return (Y, Y) if self.return_indices else Y

    def indices_repr(self) -> str:
        """For the repr."""
        return ", return_indices=True" if self.return_indices else ""


class MaxPoolNd(Pooling, Maxima):
    """What MaxPool1d, MaxPool2d and MaxPool3d share: everything but the number of axes."""

    def __init__(
        self,
        kernel_size: Numbers,
        stride: Numbers | None = None,
        padding: Numbers = 0,
        dilation: Numbers = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.set_windows(kernel_size, stride, padding, dilation, ceil_mode)
        self.set_return_indices(return_indices)

    @property
    def flops_per_element(self) -> tuple[float, float]:  # type: ignore[override]
        """A comparison for each entry of a window; backward adds."""
        return math.prod(self.kernel_size), 1

    def forward(self, X: Any) -> Any:
        X = self.check_X(X)
        self.windows = self.windows_on_X(X.shape)
        self.X = self.planes_of(X)
        if self.training or self.return_indices:
            Y, self.places = self.find_maxima()
        else:  # a backward after it is rare: it finds the places
            Y, self.places = window_maxima(self.X, self.windows), None
        return self.with_indices(Y)

    def find_maxima(self) -> tuple[Array, Array]:
        return maxima_and_places(self.X, self.windows)

    def onnx(self, graph: Any, X: Any) -> Any:
        if self.return_indices:
            raise NotImplementedError("with return_indices")
        options = self.windows_in_onnx(X)
        before, after = options["pads"][: self.axes], options["pads"][self.axes :]
        if any(p >= k for p, k in zip(after, self.kernel_size, strict=True)):  # which onnxruntime refuses
            X = graph.Pad(X, (0, 0, *before, 0, 0, *after), -math.inf)
            options["pads"] = (0,) * len(options["pads"])
        return graph.MaxPool(X, dilations=self.dilation, **options)

    def output_shape(self, *shapes: Shape) -> Any:
        return self.twice(super().output_shape(*shapes))

    def extra_repr(self) -> str:
        return super().extra_repr() + self.indices_repr()


class MaxPool1d(MaxPoolNd):
    """The largest entry of each window of signals: ``Y[n,c,i] = max_u X[n, c, i stride + u dilation - padding]``.

    Arguments, backward and errors are those of :class:`MaxPool2d`, with one spatial axis.

    Shapes:
        X (N, C, L) or (C, L), Y and indices (N, C, L') or (C, L').

    >>> MaxPool1d(3, stride=1).forward([[[1.0, 3.0, 2.0, 0.0]]])
    array([[[3., 3.]]])
    """

    axes = 1


class MaxPool2d(MaxPoolNd):
    """The largest entry of each window of images: ``Y[n,c,i,j] = max_{u,v} X[n, c, i stride + u, j stride + v]``.

    In general the indices of X are ``i stride + u dilation - padding`` and so on. What is outside of X is not compared.
    A window with NaN in it has NaN.

    Backward: ``dY[n,c,i,j]`` is added to the entry of dX that is the maximum, of equal ones to the first in the order
    of rows. The other entries are 0.

    Args:
        kernel_size: of a window: one number, or one for each spatial axis, as for stride, padding and dilation.
        stride: the distance from one window to the next; by default that of windows side by side, ``kernel_size``.
        padding: by how many entries the first and the last windows may reach over the ends of each axis; at most half
            of kernel_size.
        dilation: the distance from one entry of a window to the next.
        return_indices: whether forward returns ``(Y, indices)``: the index of each maximum among the entries of its
            channel in row-major order, for :class:`MaxUnpool2d`. They have no gradient, and backward uses none.
        ceil_mode: whether a last window may end behind X and its padding, if it begins before the end of X.

    Shapes:
        X (N, C, H, W) or (C, H, W), Y and indices (N, C, H', W') or (C, H', W'), with
        ``H' = (H + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1``, rounded up with ceil_mode.

    Raises:
        TypeError: a number is not whole, or X does not hold real numbers.
        ValueError: a number is too small, there are too few or too many, or the padding is too large.
        ShapeError: X has other axes, or is too small for the kernel.

    Source: Ranzato, Huang, Boureau and LeCun, Unsupervised learning of invariant feature hierarchies with applications
    to object recognition, 2007.

    >>> import numpy as np
    >>> layer = MaxPool2d(2)
    >>> layer.forward([[[[1.0, 2.0, 5.0, 5.0], [4.0, 3.0, 5.0, 0.0]]]])
    array([[[[4., 5.]]]])
    >>> layer.backward(np.array([[[[10.0, 20.0]]]]))
    array([[[[ 0.,  0., 20.,  0.],
             [10.,  0.,  0.,  0.]]]])
    """

    axes = 2


class MaxPool3d(MaxPoolNd):
    """The largest entry of each window of volumes, as :class:`MaxPool2d` with three spatial axes.

    Shapes:
        X (N, C, D, H, W) or (C, D, H, W), Y and indices (N, C, D', H', W') or (C, D', H', W').

    >>> import numpy as np
    >>> MaxPool3d((1, 2, 3)).forward(np.zeros((5, 2, 6, 7, 8))).shape
    (5, 2, 6, 3, 2)
    """

    axes = 3
