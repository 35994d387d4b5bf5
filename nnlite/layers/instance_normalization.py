"""InstanceNorm: normalization of each channel of each sample."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array
from nnlite.layers.channel_normalization import RunningNorm, mean_over_samples
from nnlite.layers.normalization import features_of


class InstanceNorm(RunningNorm):
    """Base class of InstanceNorm1d, InstanceNorm2d and InstanceNorm3d: mu and v are over the positions of a sample."""

    defaults = {"eps": 1e-5, "momentum": 0.1, "affine": False, "track_running_stats": False, "bias": True}  # noqa: RUF012
    over_samples = False

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.make_state(num_features, eps, momentum, affine, track_running_stats, bias, dtype)

    def group_size(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape[1:] if len(shape) == self.without_samples else shape[2:])

    def update(self, mu: Array, v: Array) -> None:
        self.move_running(mean_over_samples(mu), mean_over_samples(v), self.momentum or 0.0)

    @classmethod
    def from_saved(cls, num_features: Any, **options: Any) -> "InstanceNorm":
        """A layer with as many features as the array has."""
        return cls(features_of(num_features), **options)


class InstanceNorm1d(InstanceNorm):
    """Normalize each channel of each sample over its positions: ``Y = (X - mu) / sqrt(v + eps) gamma + beta``.

    mu and v are those of each channel of each sample, in evaluation mode too, unless ``track_running_stats``. Otherwise
    as :class:`BatchNorm1d`, also dX.

    Args:
        num_features: the number C of channels.
        eps: added to the variance.
        momentum: the weight of a batch in the running statistics, which are means over its samples; None for 0, as in
            PyTorch.
        affine: whether there are gamma and beta, which start at 1 and 0.
        track_running_stats: whether there are running statistics, which evaluation mode uses. ``num_batches_tracked``
            remains 0, as in PyTorch.
        bias: whether there is a beta, if there is a gamma.
        dtype: dtype of parameters and buffers; X is converted to it if there is a gamma.

    Shapes:
        X and Y (N, C, L) or (C, L).

    Raises:
        TypeError: num_features is not a whole number.
        ValueError: num_features is below 1, eps not above 0, momentum not from 0 to 1; or statistics would be those of
            a single value.
        ShapeError: X has another number of axes or of channels.

    Source: Ulyanov, Vedaldi and Lempitsky, Instance normalization, 2016.

    >>> InstanceNorm1d(2, eps=1e-12).forward([[[1.0, 3.0], [10.0, 30.0]]])
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """

    numbers_of_axes, without_samples, expected = (2, 3), 2, "(N, C, L) or (C, L)"


class InstanceNorm2d(InstanceNorm):
    """Normalize each channel of each sample over its positions, as InstanceNorm1d: X (N, C, H, W) or (C, H, W).

    Raises:
        TypeError, ValueError: as InstanceNorm1d.
        ShapeError: X has another number of axes or of channels.

    >>> InstanceNorm2d(3).forward(np.ones((4, 3, 2, 2))).shape
    (4, 3, 2, 2)
    """

    numbers_of_axes, without_samples, expected = (3, 4), 3, "(N, C, H, W) or (C, H, W)"


class InstanceNorm3d(InstanceNorm):
    """Normalize each channel of each sample over its positions, as InstanceNorm1d: X (N, C, D, H, W), or no N.

    Raises:
        TypeError, ValueError: as InstanceNorm1d.
        ShapeError: X has another number of axes or of channels.

    >>> InstanceNorm3d(3).forward(np.ones((3, 2, 2, 2))).shape
    (3, 2, 2, 2)
    """

    numbers_of_axes, without_samples, expected = (4, 5), 4, "(N, C, D, H, W) or (C, D, H, W)"
