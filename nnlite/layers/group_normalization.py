"""GroupNorm: normalization of groups of channels of each sample."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array
from nnlite.basics.checks import positive, whole
from nnlite.compute.normalization_kernels import ChannelsInRows
from nnlite.layers.channel_normalization import ChannelNorm
from nnlite.layers.normalization import features_of


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
