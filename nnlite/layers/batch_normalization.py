"""BatchNorm: normalization of each channel over the batch."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array
from nnlite.compute.sums import column_sum
from nnlite.layers.channel_normalization import RunningNorm, mean_over_samples
from nnlite.layers.normalization import features_of


class BatchNorm(RunningNorm):
    """Base class of BatchNorm1d, BatchNorm2d and BatchNorm3d: mu and v are over all samples and positions.

    Attributes:
        ranks: the processes over whose shares of the batch mu and v are, which :class:`nnlite.DataParallel` sets while
            a step runs; None for the samples of this process alone.
    """

    onnx = RunningNorm.onnx  # forward differs from that of RunningNorm among several processes alone
    ranks: Any = None
    cure = "; choose a batch_size that leaves no batch of one sample, or call eval()"
    defaults = {"eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True, "bias": True}  # noqa: RUF012

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.make_state(num_features, eps, momentum, affine, track_running_stats, bias, dtype)

    def forward_without_values(self, X: Array) -> None:
        if self.ranks is not None and not self.by_given:
            self.tracked(*self._over_ranks(np.zeros((3, 1, self.channels), X.dtype), X))  # those of the others

    def backward_without_values(self, dY: Array) -> None:
        if self.ranks is not None and not self.by_given:
            for _ in range(2):  # the others add up two sums
                self.group_sums(self._zero(dY))

    def group_sums(self, sums: Array) -> Array:
        of_group = sums if len(sums) == 1 else column_sum(sums)[None]
        return of_group if self.ranks is None else self.ranks.total(of_group)

    def group_moments(self, X: Array) -> tuple[Array, Array, Array]:
        """Those of all samples; over several processes those of all their samples."""
        own = self._own_moments(X)
        return own if self.ranks is None else self._over_ranks(own, X)

    def _over_ranks(self, own: Any, X: Array) -> tuple[Array, Array, Array]:
        mu, rest, v = (each.astype(np.float64) for each in own)
        self.n, mu, v = self.ranks.moments(self.group_size(X.shape), mu + rest, v)
        if self.n < 2:
            raise ValueError(f"{self}: expected more than one value for each mean and variance, got one{self.cure}")
        first = mu.astype(X.dtype)
        return first, (mu - first).astype(X.dtype), v.astype(X.dtype)

    def _own_moments(self, X: Array) -> tuple[Array, Array, Array]:
        """Of several samples v is the mean of theirs, plus the variance of their means."""
        mu, rest, v = super().group_moments(X)
        if len(mu) == 1:
            return mu, rest, v
        of_batch = mean_over_samples(mu)
        D = mu - of_batch + rest
        rest_of_batch = mean_over_samples(D)
        return of_batch, rest_of_batch, mean_over_samples(v + (D - rest_of_batch) ** 2)

    def group_size(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape) // self.num_features

    def check_size(self, shape: tuple[int, ...]) -> None:
        if self.ranks is None:
            super().check_size(shape)

    def update(self, mu: Array, v: Array) -> None:
        batches: Any = self.num_batches_tracked
        batches += 1
        self.move_running(mu, v, 1 / int(batches) if self.momentum is None else self.momentum)

    def reset_running_stats(self) -> None:
        """Set the running statistics to those of a new layer: mean 0, variance 1, no batches."""
        for buffer, start in (self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0):
            if buffer is not None:
                buffer[...] = start

    @classmethod
    def from_saved(cls, num_features: Any, **options: Any) -> "BatchNorm":
        """A layer with as many features as the array has."""
        return cls(features_of(num_features), **options)


class BatchNorm1d(BatchNorm):
    """Normalize each feature over the batch: ``Y = (X - mu) / sqrt(v + eps) gamma + beta``.

    In training mode mu and v are the mean and the variance of each channel over all samples and positions, v of the n
    numbers, not of n - 1, and computed in a second pass from X - mu. The gradient goes through both: with
    H = (X - mu) / sqrt(v + eps) and dH = dY gamma, ``dX = (dH - mean(dH) - H mean(dH H)) / sqrt(v + eps)``.
    The running statistics become ``(1 - momentum) running + momentum new``, the variance with n - 1. In evaluation mode
    mu and v are the running statistics, which are given numbers: ``dX = dH / sqrt(v + eps)``.

    Args:
        num_features: the number C of features, or channels.
        eps: added to the variance.
        momentum: the weight of a batch in the running statistics; None for their mean over all batches.
        affine: whether there are gamma and beta, which start at 1 and 0.
        track_running_stats: whether there are running statistics; without them, evaluation mode uses those of the batch
            as well.
        bias: whether there is a beta, if there is a gamma.
        dtype: dtype of parameters and buffers; X is converted to it if there is a gamma.

    Shapes:
        X and Y (N, C) or (N, C, L); gamma, beta, running_mean and running_var (C,). num_batches_tracked is a number. A
        batch without samples changes no running statistics.

    Raises:
        TypeError: num_features is not a whole number.
        ValueError: num_features is below 1, eps not above 0, momentum not from 0 to 1; or the statistics of a batch
            would be those of a single value.
        ShapeError: X has another number of axes or of channels.

    Source: Ioffe and Szegedy, Batch normalization, 2015.

    >>> layer = BatchNorm1d(1)
    >>> layer.forward([[0], [1], [2], [3]]).round(4)
    array([[-1.3416],
           [-0.4472],
           [ 0.4472],
           [ 1.3416]], dtype=float32)
    >>> layer.running_mean, layer.running_var.round(4)  # 0.9 + 0.1 * 5 / 3
    (array([0.15], dtype=float32), array([1.0667], dtype=float32))
    """

    numbers_of_axes, expected = (2, 3), "(N, C) or (N, C, L)"


class BatchNorm2d(BatchNorm):
    """Normalize each channel over the batch and all positions, as :class:`BatchNorm1d` does, of X (N, C, H, W).

    Raises:
        TypeError, ValueError: as BatchNorm1d.
        ShapeError: X has another number of axes or of channels.

    >>> layer = BatchNorm2d(3)
    >>> layer.forward(np.ones((4, 3, 2, 2))).shape, layer.running_mean
    ((4, 3, 2, 2), array([0.1, 0.1, 0.1], dtype=float32))
    """

    numbers_of_axes, expected = (4,), "(N, C, H, W)"


class BatchNorm3d(BatchNorm):
    """Normalize each channel over the batch and all positions, as :class:`BatchNorm1d` does, of X (N, C, D, H, W).

    Raises:
        TypeError, ValueError: as BatchNorm1d.
        ShapeError: X has another number of axes or of channels.

    >>> BatchNorm3d(3).forward(np.ones((4, 3, 2, 2, 2))).shape
    (4, 3, 2, 2, 2)
    """

    numbers_of_axes, expected = (5,), "(N, C, D, H, W)"
