"""What ONNX's normalizations are in nnlite."""

from typing import Any

import numpy as np

from nnlite.interop.onnx.operands import (
    Operand,
    at,
    known,
    parameter,
    raise_unless,
)
from nnlite.layers.batch_normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d
from nnlite.layers.group_normalization import GroupNorm
from nnlite.layers.instance_normalization import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from nnlite.layers.local_response_normalization import LocalResponseNorm
from nnlite.layers.normalization import LayerNorm, RMSNorm


class NormalizationOperators:
    """The operators; see Operators."""

    def BatchNormalization(
        self,
        X: Operand,
        scale: Operand,
        B: Operand,
        mean: Operand,
        var: Operand,
        *,
        epsilon: float,
        momentum: float,
        training_mode: int = 0,
    ) -> Any:
        if training_mode:
            raise NotImplementedError("expected evaluation mode")
        cls = {2: BatchNorm1d, 3: BatchNorm1d, 4: BatchNorm2d, 5: BatchNorm3d}.get(X.ndim)
        layer = channel_norm(cls, scale, B, epsilon, momentum=round(1 - momentum, 7), track_running_stats=True)
        layer.running_mean, layer.running_var = known(mean), known(var)
        return layer(X.node)

    def InstanceNormalization(self, X: Operand, scale: Operand, B: Operand, *, epsilon: float) -> Any:
        cls = {3: InstanceNorm1d, 4: InstanceNorm2d, 5: InstanceNorm3d}.get(X.ndim)
        return channel_norm(cls, scale, B, epsilon)(X.node)

    def LayerNormalization(
        self, X: Operand, scale: Operand, B: Operand | None = None, *, axis: int, epsilon: float, stash_type: int
    ) -> Any:
        gamma = parameter(scale)
        if axis % X.ndim + gamma.ndim != X.ndim or (B is not None and known(B).shape != gamma.shape):
            raise NotImplementedError("expected a scale of the shape of the last axes")
        layer = LayerNorm(gamma.shape, epsilon, bias=B is not None, dtype=gamma.dtype)
        layer.gamma = gamma
        if B is not None:
            layer.beta = parameter(B)
        return layer(X.node)

    def GroupNormalization(
        self, X: Operand, scale: Operand, bias: Operand, *, num_groups: int, epsilon: float, **_: Any
    ) -> Any:
        gamma, beta = parameter(scale), parameter(bias)
        raise_unless(len(gamma) == at(X.shape, 1), "expected a scale for each channel")
        layer = GroupNorm(num_groups, len(gamma), epsilon, dtype=gamma.dtype)
        layer.gamma, layer.beta = gamma, beta
        return layer(X.node)

    def RMSNormalization(self, X: Operand, scale: Operand, *, axis: int, epsilon: float, **_: Any) -> Any:
        gamma = parameter(scale)
        raise_unless(axis % X.ndim + gamma.ndim == X.ndim, "expected a scale of the shape of the last axes")
        layer = RMSNorm(gamma.shape, epsilon, dtype=gamma.dtype)
        layer.gamma = gamma
        return layer(X.node)

    def LRN(self, X: Operand, *, size: int, alpha: float, beta: float, bias: float) -> Any:
        if size % 2 == 0:
            raise NotImplementedError("expected an odd size")
        return LocalResponseNorm(size, alpha, beta, bias)(X.node)


def channel_norm(cls: Any, scale: Operand, B: Operand, epsilon: float, **options: Any) -> Any:
    """A layer with gamma and beta; without those that are constants 1 and 0."""
    raise_unless(cls is not None, "of this number of axes")
    gamma, beta = known(scale), known(B)
    bias = B.trained or bool(np.any(beta))
    affine = bias or scale.trained or bool(np.any(gamma != 1))
    layer = cls(len(gamma), epsilon, affine=affine, bias=bias, dtype=gamma.dtype, **options)
    if affine:
        layer.gamma = gamma
    if bias:
        layer.beta = beta
    return layer
