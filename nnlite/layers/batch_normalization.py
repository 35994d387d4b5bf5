"""BatchNorm, InstanceNorm and GroupNorm: they differ in what a mean and a variance are over."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array
from nnlite.basics.checks import positive, whole
from nnlite.compute.normalization_kernels import ChannelsInRows
from nnlite.compute.sums import column_sum
from nnlite.layers.channel_normalization import ChannelNorm, RunningNorm
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


class GroupNorm(ChannelNorm):
    """Normalize each group of channels of each sample: ``Y = (X - mu) / sqrt(v + eps) gamma + beta``.

    mu and v are over the positions of C / G channels that follow one another; gamma and beta belong to single channels.
    dX is as that of :class:`LayerNorm`. A group of one value gives beta.

    Args:
        num_groups: the number G of groups.
        num_channels: the number C of channels, a multiple of G.
        eps: added to the variance.
        affine: whether there are gamma and beta, which start at 1 and 0.
        bias: whether there is a beta, if there is a gamma.
        dtype: dtype of gamma and beta; X is converted to it.

    Shapes:
        X and Y (N, C, ...).

    Raises:
        TypeError: num_groups or num_channels is not a whole number.
        ValueError: they are below 1, C is not a multiple of G, or eps is not above 0.
        ShapeError: X has no second axis, or of another size than C.

    Source: Wu and He, Group normalization, 2018.

    >>> GroupNorm(2, 4, eps=1e-12).forward([[1, 3, 10, 30]])
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    formulas = """
        mu = mean(view(X, shape=grouped), axis=-1, keepdims=True)
        v = mean((view(X, shape=grouped) - mu) ** 2, axis=-1, keepdims=True)
        H = (view(X, shape=grouped) - mu) / sqrt(v + eps)
        Y = view(H, shape=X.shape) * along(gamma, axis=1, like=X) + along(beta, axis=1, like=X)
        dgamma = sum(dY * view(H, shape=X.shape), axis=others)
        dbeta = sum(dY, axis=others)
        dH = view(dY * along(gamma, axis=1, like=X), shape=grouped)
        dG = (dH - mean(dH, axis=-1, keepdims=True) - H * mean(dH * H, axis=-1, keepdims=True)) / sqrt(v + eps)
        dX = view(dG, shape=X.shape)
    """

    over_samples = False

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.num_groups = whole(num_groups, "GroupNorm: num_groups", least=1)
        self.num_channels = self.channels = whole(num_channels, "GroupNorm: num_channels", least=1)
        if self.num_channels % self.num_groups:
            raise ValueError(f"GroupNorm: num_channels: expected a multiple of {num_groups} groups, got {num_channels}")
        self.eps = positive(eps, "GroupNorm: eps")
        self.affine, self.bias = bool(affine), bool(bias)
        self.make_parameters(self.num_channels, self.affine, self.affine and self.bias, dtype)

    def group_size(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape[1:]) // self.num_groups

    def group_sums(self, sums: Array) -> Array:
        channels = self.num_channels // self.num_groups
        of_groups: Array = np.add.reduce(sums.reshape(len(sums), -1, channels), axis=2)
        return of_groups.repeat(channels, axis=1)

    def group_moments(self, X: Array) -> tuple[Array, Array, Array]:
        channels = self.num_channels // self.num_groups
        mu, rest, v = (each.repeat(channels, axis=1) for each in ChannelsInRows(self.grouped).moments(X))
        return mu, rest, v

    @property
    def grouped(self) -> tuple[int, ...]:
        """The shape with an axis for the groups and one for what is in them."""
        return (len(self.X), self.num_groups, self.group_size(self.X.shape))

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}" + self.options_repr(eps=1e-5, affine=True, bias=True)

    def saved_arguments(self) -> dict[str, Any]:
        """For files."""
        return self.saved_with("num_channels", "num_groups", "eps", "affine", "bias")

    @classmethod
    def from_saved(cls, num_channels: Any, **options: Any) -> "GroupNorm":
        """A layer with as many channels as the array has."""
        return cls(num_channels=features_of(num_channels), **options)

    def onnx(self, graph: Any, X: Any) -> Any:
        if None in X.shape[1:]:
            raise NotImplementedError("the size of an axis behind the first is not known")
        H = self.normalized(graph, graph.Reshape(X, (0, self.num_groups, -1)), (2,))
        H = graph.Reshape(H, (0, *X.shape[1:]))
        return H * self.along_channels(graph, self.gamma, X) + self.along_channels(graph, self.beta, X)


def mean_over_samples(numbers: Array) -> Array:
    """The mean of (N, C) over N, (1, C)."""
    if len(numbers) == 1:
        return numbers
    first = numbers[:1]
    mean: Array = first + column_sum(numbers - first) / numbers.dtype.type(len(numbers))  # exact where all are equal
    return mean
