"""LPPool1d, LPPool2d and LPPool3d: the p-norm of each window."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import positive
from nnlite.compute.pool import add_to_windows, window_sums
from nnlite.compute.windows import Windows
from nnlite.layer.flops import Flops
from nnlite.layers.average_pooling import counts
from nnlite.layers.pooling import Numbers, Pooling


class LPPoolNd(Pooling):
    """What LPPool1d, LPPool2d and LPPool3d share: everything but the number of axes."""

    weights: float | Array  # the size of the kernel by that of each window, of which some may end behind X

    formulas = """
        Y = (sum_of_windows(X ** norm_type, at=windows) * weights) ** (1 / norm_type)
        D = where(Y == 0, 0, dY * weights * Y ** (1 - norm_type))
        dX = X ** (norm_type - 1) * add_to_windows(D, at=windows)
    """

    def __init__(
        self, norm_type: float, kernel_size: Numbers, stride: Numbers | None = None, ceil_mode: bool = False
    ) -> None:
        self.norm_type = positive(norm_type, f"{type(self).__name__}: norm_type")
        self.set_windows(kernel_size, stride, 0, 1, ceil_mode)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        sums = math.prod(self.kernel_size) * Y.size
        return Flops(np.size(X) + sums + Y.size), Flops(2 * np.size(X) + sums + 3 * Y.size)

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.windows = self.windows_on_X(X.shape)
        self.X = self.planes_of(X)
        self.weights = self.weights_for(self.windows, X.dtype)
        with np.errstate(invalid="ignore"):  # NaN for a negative number to a power that is not whole
            S = window_sums(self.X**self.norm_type, self.windows)
            S *= self.weights
            self.Y = S ** (1 / self.norm_type)
        return self.keep_Y(self.as_given(self.Y))

    def backward(self, dY: Any) -> Array:
        dY = self.planes_of(self.check_dY(dY))
        p, zero = self.norm_type, self.Y == 0
        with np.errstate(invalid="ignore", divide="ignore"):
            D = dY * self.weights * np.where(zero, 1, self.Y) ** (1 - p)
            D[zero] = 0
            return self.as_given(self.X ** (p - 1) * add_to_windows(D, self.windows))

    def onnx(self, graph: Any, X: Any) -> Any:
        sums = graph.AveragePool(X**self.norm_type, count_include_pad=1, **self.windows_in_onnx(X))
        sums = sums * float(math.prod(self.kernel_size))
        if self.ceil_mode:
            sums = sums * self.weights_for(self.windows_on(X.shape[2:]), X.dtype)
        return sums ** (1 / self.norm_type)

    def weights_for(self, windows: Windows, dtype: Any) -> float | Array:
        """The size of the kernel by that of each window."""
        return math.prod(self.kernel_size) / counts(windows, (0,) * self.axes, dtype)

    def extra_repr(self) -> str:
        return f"{self.norm_type:g}, {super().extra_repr()}"


class LPPool1d(LPPoolNd):
    """The p-norm of each window of signals: ``Y[n,c,i] = (sum_u X[n, c, i stride + u]^p)^(1/p)``.

    Arguments, backward and errors are those of :class:`LPPool2d`, with one spatial axis.

    Shapes:
        X (N, C, L) or (C, L), Y (N, C, L') or (C, L').

    >>> LPPool1d(2, 2).forward([[[3.0, 4.0, 0.0, -2.0]]])
    array([[[5., 2.]]])
    """

    axes = 1


class LPPool2d(LPPoolNd):
    """The p-norm of each window of images: ``Y[n,c,i,j] = (sum_{u,v} X[n, c, i stride + u, j stride + v]^p)^(1/p)``.

    With p = 1 it is the sum, and for large p nearly the maximum. The powers are of X itself, not of its absolute value:
    for an odd p the sum may be negative, and Y NaN.

    Backward: ``dY[n,c,i,j] Y[n,c,i,j]^(1 - p) X^(p - 1)`` is added to each entry of dX that is in the window; 0 where Y
    is 0.

    Args:
        norm_type: p, above 0.
        kernel_size: of a window: one number, or one for each spatial axis, as for stride.
        stride: the distance from one window to the next; by default that of windows side by side, ``kernel_size``.
        ceil_mode: whether a last window may end behind X, if it begins before the end of X. Its sum is multiplied by
            the number of the kernel's entries and divided by the number of those in X.

    Shapes:
        X (N, C, H, W) or (C, H, W), Y (N, C, H', W') or (C, H', W'), with ``H' = (H - kernel_size) // stride + 1``,
        rounded up with ceil_mode.

    Raises:
        TypeError: a number is not whole, or norm_type or X not real.
        ValueError: a number is too small, or there are too few or too many.
        ShapeError: X has other axes, or is smaller than a window.

    Source: Sermanet, Chintala and LeCun, Convolutional neural networks applied to house numbers digit classification,
    2012.

    >>> layer = LPPool2d(2, 2)
    >>> layer.forward([[[[2.0, 4.0], [5.0, 2.0]]]])
    array([[[[7.]]]])
    """

    axes = 2


class LPPool3d(LPPoolNd):
    """The p-norm of each window of volumes, as :class:`LPPool2d` with three spatial axes.

    Shapes:
        X (N, C, D, H, W) or (C, D, H, W), Y (N, C, D', H', W') or (C, D', H', W').

    >>> import numpy as np
    >>> LPPool3d(2, (1, 2, 3)).forward(np.zeros((5, 2, 6, 7, 8))).shape
    (5, 2, 6, 3, 2)
    """

    axes = 3
