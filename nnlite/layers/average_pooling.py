"""AvgPool1d, AvgPool2d and AvgPool3d: the mean of each window."""

import math
from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.compute.pool import add_to_windows, counts_inside, window_sums
from nnlite.compute.windows import Sizes, Windows
from nnlite.layers.pooling import Numbers, Pooling


class AvgPoolNd(Pooling):
    """What AvgPool1d, AvgPool2d and AvgPool3d share: everything but the number of axes."""

    divisor_override: int | None = None
    divisors: float | Array  # one for all windows, or one for each

    def __init__(
        self,
        kernel_size: Numbers,
        stride: Numbers | None = None,
        padding: Numbers = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.set_windows(kernel_size, stride, padding, 1, ceil_mode)
        self.count_include_pad = bool(count_include_pad)

    formulas = """
        Y = sum_of_windows(X, at=windows) / divisors
        dX = add_to_windows(dY / divisors, at=windows)
    """

    @property
    def flops_per_element(self) -> tuple[float, float]:  # type: ignore[override]
        """The additions, and the division."""
        return math.prod(self.kernel_size), math.prod(self.kernel_size) + 1

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.windows = self.windows_on_X(X.shape)
        self.divisors = self.divisors_of(self.windows, X.dtype)
        Y = window_sums(self.planes_of(X), self.windows)
        Y /= self.divisors
        return self.record_Y(self.as_given(Y))

    def backward(self, dY: Any) -> Array:
        dY = self.planes_of(self.check_dY(dY))
        return self.as_given(add_to_windows(dY / self.divisors, self.windows))

    def divisors_of(self, windows: Windows, dtype: Any) -> float | Array:
        """What the sums are divided by."""
        if self.divisor_override is not None:
            return float(self.divisor_override)
        return counts(windows, self.padding if self.count_include_pad else (0,) * self.axes, dtype)

    def onnx(self, graph: Any, X: Any) -> Any:
        options = self.windows_in_onnx(X)
        if self.divisor_override is None and not self.ceil_mode:
            return graph.AveragePool(X, count_include_pad=int(self.count_include_pad), **options)
        sums = graph.AveragePool(X, count_include_pad=1, **options) * float(math.prod(self.kernel_size))
        if self.divisor_override is not None:
            return sums / float(self.divisor_override)
        return sums / self.divisors_of(self.windows_on(X.shape[2:]), X.dtype)

    def extra_repr(self) -> str:
        include = "" if self.count_include_pad else ", count_include_pad=False"
        divisor = "" if self.divisor_override is None else f", divisor_override={self.divisor_override}"
        return f"{super().extra_repr()}{include}{divisor}"


def counts(windows: Windows, padding: Sizes, dtype: Any) -> float | Array:
    """How many entries of each window are in X or in so much padding: one number if they are equal."""
    full = float(math.prod(windows.kernel))
    if all(before <= p >= after for (before, after), p in zip(windows.padding, padding, strict=True)):
        return full
    each = counts_inside(windows, padding)
    return full if each.min() == full else each.astype(dtype)


class AvgPool1d(AvgPoolNd):
    """The mean of each window of signals: ``Y[n,c,i] = sum_u X[n, c, i stride + u - padding] / kernel_size``.

    Arguments, backward and errors are those of :class:`AvgPool2d`, without divisor_override, with one spatial axis.

    Shapes:
        X (N, C, L) or (C, L), Y (N, C, L') or (C, L').

    >>> AvgPool1d(2, padding=1).forward([[[1.0, 3.0, 2.0, 4.0]]])
    array([[[0.5, 2.5, 2. ]]])
    >>> AvgPool1d(2, padding=1, count_include_pad=False).forward([[[1.0, 3.0, 2.0, 4.0]]])
    array([[[1. , 2.5, 4. ]]])
    """

    axes = 1


class _WithDivisor(AvgPoolNd):
    """What AvgPool2d and AvgPool3d have and AvgPool1d has not."""

    def __init__(
        self,
        kernel_size: Numbers,
        stride: Numbers | None = None,
        padding: Numbers = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        if divisor_override is not None:
            name = f"{type(self).__name__}: divisor_override"
            self.divisor_override = whole(divisor_override, name)
            if not self.divisor_override:
                raise ValueError(f"{name}: expected another number than 0")


class AvgPool2d(_WithDivisor):
    """The mean of each window of images: ``Y[n,c,i,j] = sum_{u,v} X[n, c, i stride + u, j stride + v] / k``.

    k is the number of the kernel's entries. In general the indices of X are ``i stride + u - padding`` and so on.
    It is a convolution of each channel whose weights are all ``1 / k``.

    Backward: ``dY[n,c,i,j] / k`` is added to each entry of dX that is in the window.

    Args:
        kernel_size: of a window: one number, or one for each spatial axis, as for stride and padding.
        stride: the distance from one window to the next; by default that of windows side by side, ``kernel_size``.
        padding: how many zeros are added at both ends of each axis; at most half of kernel_size.
        ceil_mode: whether a last window may end behind X and its padding, if it begins before the end of X. What is
            behind the padding is not counted in k.
        count_include_pad: whether the zeros of the padding are counted in k.
        divisor_override: a number by which the sums are divided in place of k.

    Shapes:
        X (N, C, H, W) or (C, H, W), Y (N, C, H', W') or (C, H', W'), with
        ``H' = (H + 2 padding - kernel_size) // stride + 1``, rounded up with ceil_mode.

    Raises:
        TypeError: a number is not whole, or X does not hold real numbers.
        ValueError: a number is too small, there are too few or too many, the padding is too large, or the divisor 0.
        ShapeError: X has other axes, or is too small for the kernel.

    Source: LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998.

    >>> import numpy as np
    >>> layer = AvgPool2d(2)
    >>> layer.forward([[[[1.0, 2.0, 5.0, 5.0], [4.0, 3.0, 5.0, 1.0]]]])
    array([[[[2.5, 4. ]]]])
    >>> layer.backward(np.array([[[[8.0, 4.0]]]]))
    array([[[[2., 2., 1., 1.],
             [2., 2., 1., 1.]]]])
    """

    axes = 2


class AvgPool3d(_WithDivisor):
    """The mean of each window of volumes, as :class:`AvgPool2d` with three spatial axes.

    Shapes:
        X (N, C, D, H, W) or (C, D, H, W), Y (N, C, D', H', W') or (C, D', H', W').

    >>> import numpy as np
    >>> AvgPool3d((1, 2, 3)).forward(np.zeros((5, 2, 6, 7, 8))).shape
    (5, 2, 6, 3, 2)
    """

    axes = 3
