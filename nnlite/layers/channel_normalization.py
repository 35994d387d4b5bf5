"""Normalization with a gamma and a beta for each channel: what BatchNorm, InstanceNorm and GroupNorm have in common."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array
from nnlite.basics.checks import positive, share, whole
from nnlite.basics.shapes import Shape, is_open, text
from nnlite.compute.normalization_kernels import ChannelsInColumns, ChannelsInRows
from nnlite.compute.sums import column_sum
from nnlite.errors import ShapeError
from nnlite.layers.normalization import Normalization


class ChannelNorm(Normalization, parameters=("gamma", "beta")):
    """Base class of layers that normalize X (N, C, ...): ``Y = (X - mu) / sqrt(v + eps) gamma + beta``.

    A mu and a v belong to a group of numbers. Subclasses say which by :meth:`group_moments` and :meth:`group_sums`,
    and :class:`RunningNorm` where they are given numbers instead.
    """

    channels: int
    eps: float
    expected: str = "(N, C, ...)"  # shapes of X, for errors
    numbers_of_axes: tuple[int, ...] = ()  # that X may have; any from 2 on if there are none
    without_samples: int = 0  # the number of axes of an X that has none for samples
    flops_per_element = (6, 8)  # in training mode: sum, -, *, sum, *, +; sum, -, *, sum, *, *, -, -
    over_samples: bool = True  # whether a group extends over all samples

    def group_size(self, shape: tuple[int, ...]) -> int:
        """The number of values that have one mu and v, in an X of this shape."""
        raise NotImplementedError

    def group_sums(self, sums: Array) -> Array:
        """The sum of each group, (N, C) or (1, C), of the sums of the channels of each sample, (N, C)."""
        return sums

    def group_moments(self, X: Array) -> tuple[Array, Array, Array]:
        """The mean of the group of each channel of each sample as mu and rest, and its variance, (N, C) or (1, C)."""
        return self.layout.moments(X)

    def statistics(self, X: Array) -> tuple[Array, Array, Array]:
        """What X is normalized by: the mean as mu and rest, and v, (N, C) or (1, C)."""
        return self.group_moments(X)

    def given_statistics(self, X: Array) -> tuple[Array, Array, Array] | None:
        """As :meth:`statistics`, if they are not those of X."""
        return None

    @property
    def channel(self) -> int:
        """The axis of the channels, for the formulas."""
        return 0 if self.X.ndim == self.without_samples else 1

    @property
    def others(self) -> tuple[int, ...]:
        """The axes of X but that of the channels, for the formulas."""
        return tuple(axis for axis in range(self.X.ndim) if axis != self.channel)

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of a group, for the formulas."""
        return self.others if self.over_samples else self.others[self.channel :]

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.check_shape(X.shape)
        X = np.ascontiguousarray(X)
        given = self.given_statistics(X)
        self.X, self.by_given, self.n = X, given is not None, self.group_size(X.shape)
        if not X.size:
            self.forward_without_values(X)
            return self.record_Y(np.empty_like(X))
        shape = (1, *X.shape) if X.ndim == self.without_samples else X.shape
        self.layout = (ChannelsInColumns if len(shape) == 2 and self.over_samples else ChannelsInRows)(shape)
        self.mu, self.rest, v = self.statistics(X) if given is None else given
        self.scale = 1 / np.sqrt(v + self.eps)
        A = self._times_gamma(self.scale)
        shift = (self._zero(X) if self.beta is None else self.beta[None]) - self.rest * A
        return self.record_Y(self.layout.affine(X, self.mu, A, shift).reshape(X.shape))

    def backward(self, dY: Any) -> Array:
        dY = np.ascontiguousarray(self.check_dY(dY))
        if not dY.size:
            self.backward_without_values(dY)
            self._store(self._zero(dY), self._zero(dY))
            return np.empty_like(dY)
        layout, mu, scale = self.layout, self.mu, self.scale
        sum_dY, sum_dYH = layout.sums(dY, self.X, mu)  # of each channel of each sample
        sum_dYH -= self.rest * sum_dY
        sum_dYH *= scale  # where H = (X - mu - rest) scale
        self._store(sum_dYH, sum_dY)
        A = self._times_gamma(scale)
        if self.by_given:
            dX = layout.affine(dY, self._zero(dY), A, self._zero(dY))
        else:
            part = scale * (1 / self.n)
            sum_dH, sum_dHH = (self.group_sums(self._times_gamma(each)) for each in (sum_dY, sum_dYH))
            B = scale * part * sum_dHH
            dX = layout.backward(dY, self.X, mu, A, B, part * sum_dH - self.rest * B)
        return dX.reshape(dY.shape)

    def forward_without_values(self, X: Array) -> None:
        """What else to do for an X without samples; nothing, but in :class:`BatchNorm` over several processes."""

    def backward_without_values(self, dY: Array) -> None:
        """Likewise in backward."""

    def along_channels(self, graph: Any, parameter: Array | None, X: Any) -> Any:
        """In ONNX's operators: gamma or beta along axis 1 of X."""
        behind = tuple(range(1, X.ndim - 1))
        return graph.Unsqueeze(parameter, axes=behind) if behind and parameter is not None else parameter

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if not is_open(X):
            self.check_shape(X)
        return X

    def check_shape(self, shape: Shape) -> None:
        """Raise unless X may have this shape, as far as it is known."""
        axes = len(shape)
        allowed = axes in self.numbers_of_axes if self.numbers_of_axes else axes >= 2
        if not allowed or shape[0 if axes == self.without_samples else 1] not in (None, self.channels):
            raise ShapeError(f"{self}: expected X of shape {self.expected} with C = {self.channels}, got {text(shape)}")

    def _store(self, dgamma: Array, dbeta: Array) -> None:
        """Store the gradients, the sums of their parts for each sample."""
        if self.gamma is not None:
            column_sum(dgamma, self.dgamma)
        if self.beta is not None:
            column_sum(dbeta, self.dbeta)

    def _times_gamma(self, numbers: Array) -> Array:
        return numbers if self.gamma is None else numbers * self.gamma

    def _zero(self, X: Array) -> Array:
        return np.zeros((1, self.channels), X.dtype)


class RunningNorm(ChannelNorm, buffers=("running_mean", "running_var", "num_batches_tracked")):
    """Base class of BatchNorm and InstanceNorm: in evaluation mode mu and v may be those of the training."""

    formulas = """
        mu = along(running_mean, axis=channel, like=X) if uses_running else mean(X, axis=axes, keepdims=True)
        v = along(running_var, axis=channel, like=X) if uses_running else mean((X - mu) ** 2, axis=axes, keepdims=True)
        H = (X - mu) / sqrt(v + eps)
        Y = H * along(gamma, axis=channel, like=X) + along(beta, axis=channel, like=X)
        dgamma = sum(dY * H, axis=others)
        dbeta = sum(dY, axis=others)
        dH = dY * along(gamma, axis=channel, like=X)
        mean_dHH = mean(dH * H, axis=axes, keepdims=True)
        dX = (dH if uses_running else dH - mean(dH, axis=axes, keepdims=True) - H * mean_dHH) / sqrt(v + eps)
    """

    torch_optional: ClassVar = ("num_batches_tracked",)  # PyTorch has it since 0.4.1, and reads files without it

    defaults: dict[str, Any]  # the options of the constructor
    cure: str = ""  # what to do about single values, for the error
    momentum: float | None
    running_mean: Array | None
    running_var: Array | None
    num_batches_tracked: Array | None

    def make_state(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        bias: bool,
        dtype: DTypeLike,
    ) -> None:
        """Check the arguments of the constructor; make parameters and buffers."""
        name = type(self).__name__
        self.num_features = self.channels = whole(num_features, f"{name}: num_features", least=1)
        self.eps = positive(eps, f"{name}: eps")
        self.momentum = None if momentum is None else share(momentum, f"{name}: momentum")
        self.affine, self.track_running_stats, self.bias = bool(affine), bool(track_running_stats), bool(bias)
        self.make_parameters(self.num_features, self.affine, self.affine and self.bias, dtype)
        if self.track_running_stats:
            self.running_mean = np.zeros(self.num_features, self.dtype)
            self.running_var = np.ones(self.num_features, self.dtype)
            self.num_batches_tracked = np.array(0)

    @property
    def uses_running(self) -> bool:
        """Whether mu and v are the running statistics."""
        return not self.training and self.running_mean is not None

    def update(self, mu: Array, v: Array) -> None:
        """Update the running statistics by those of a batch, where v divides by n - 1."""
        raise NotImplementedError

    def move_running(self, mu: Array, v: Array, factor: float) -> None:
        """Move the running statistics towards those of a batch, (1, C), by a factor of the difference."""
        pairs: Any = (self.running_mean, mu), (self.running_var, v)
        for running, new in pairs:
            running *= 1 - factor
            running += factor * new[0]

    def given_statistics(self, X: Array) -> tuple[Array, Array, Array] | None:
        if self.running_mean is not None and self.running_var is not None and not self.training:
            return self.running_mean[None].astype(X.dtype), self._zero(X), self.running_var[None].astype(X.dtype)
        self.check_size(X.shape)
        return None

    def check_size(self, shape: tuple[int, ...]) -> None:
        """Raise where the statistics of an X of this shape would be those of single values."""
        if self.group_size(shape) == 1:
            raise ValueError(
                f"{self}: expected more than one value for each mean and variance, got X of shape {shape}{self.cure}"
            )

    def statistics(self, X: Array) -> tuple[Array, Array, Array]:
        return self.tracked(*super().statistics(X))

    def tracked(self, mu: Array, rest: Array, v: Array) -> tuple[Array, Array, Array]:
        """The statistics of a batch, by which the running ones are updated in training mode."""
        if self.training and self.running_mean is not None:
            self.update(mu + rest, v * (self.n / (self.n - 1)))
        return mu, rest, v

    def extra_repr(self) -> str:
        return str(self.num_features) + self.options_repr(**self.defaults)

    def saved_arguments(self) -> dict[str, Any]:
        """For files."""
        return self.saved_with("num_features", *self.defaults)

    def onnx(self, graph: Any, X: Any) -> Any:
        one, zero = np.ones(self.channels, X.dtype), np.zeros(self.channels, X.dtype)
        gamma, beta = one if self.gamma is None else self.gamma, zero if self.beta is None else self.beta
        if X.ndim == self.without_samples:
            raise NotImplementedError("X has no axis for samples")
        if self.running_mean is not None:
            statistics = self.running_mean, self.running_var
            return graph.BatchNormalization(
                X, gamma, beta, *statistics, epsilon=self.eps, momentum=1 - (self.momentum or 0)
            )
        if not self.over_samples:
            return graph.InstanceNormalization(X, gamma, beta, epsilon=self.eps)
        axes = (0, *range(2, X.ndim))
        return self.normalized(graph, X, axes) * self.along_channels(graph, self.gamma, X) + self.along_channels(
            graph, self.beta, X
        )


def mean_over_samples(numbers: Array) -> Array:
    """The mean of (N, C) over N, (1, C)."""
    if len(numbers) == 1:
        return numbers
    first = numbers[:1]
    mean: Array = first + column_sum(numbers - first) / numbers.dtype.type(len(numbers))  # exact where all are equal
    return mean
