"""RAdam: Adam with a rectified variance of the adaptive learning rate."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import non_negative
from nnlite.compute.kernel import Kernel, kernel
from nnlite.layer.layer import Layer
from nnlite.optim.moments import check_betas, decay_of, decayed, lerp
from nnlite.optim.optimizer import Optimizer, Schedule


class RAdam(Optimizer):
    """RAdam, rectified Adam, as ``torch.optim.RAdam`` computes it.

    With g = dPhi (-dPhi to maximize), betas = (b1, b2), m = v = 0 before the first step and R = 2 / (1 - b2) - 1,
    step t = 1, 2, ... computes

        g <- g + weight_decay Phi      (or Phi <- (1 - lr weight_decay) Phi with decoupled_weight_decay)
        m <- b1 m + (1 - b1) g
        v <- b2 v + (1 - b2) g^2
        r = R - 2 t b2^t / (1 - b2^t)
        c = sqrt((r - 4) (r - 2) R / ((R - 4) (R - 2) r)) sqrt(1 - b2^t) / (sqrt(v) + eps), or 1 where r <= 5
        Phi <- Phi - lr c m / (1 - b1^t)

    Args:
        layer: the model, or a part of it.
        lr: learning rate, a number >= 0, or a schedule; see :class:`nnlite.Optimizer`.
        betas: factors of the two averages, from 0 to below 1.
        eps: added to the denominator, >= 0.
        weight_decay: factor of the L2 penalty, see :meth:`penalty`; or a dict of factors by names of parameters.
        decoupled_weight_decay: decay the parameters themselves, as :class:`nnlite.AdamW` does.
        maximize: maximize the loss.
        lr_factor: factors of the learning rate by names of parameters; see :class:`nnlite.Optimizer`.

    PyTorch's ``foreach``, ``capturable`` and ``differentiable`` do not exist: each step is fused.

    Attributes:
        m, v: the averages over Phi, None before the first step.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of range, a name names no parameter, or the layer has no parameters.

    Source: Liu et al., On the variance of the adaptive learning rate and beyond, 2020.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [1.0, 2.0]
    >>> layer.dPhi = [10.0, -20.0]
    >>> nn.RAdam(layer, lr=0.25).step()
    >>> layer.Phi
    array([-1.5,  7. ], dtype=float32)
    """

    arrays = ("m", "v")

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float | Mapping[str, float] = 0.0,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(layer, lr, lr_factor=lr_factor)
        self.betas = check_betas(betas, "RAdam: betas")
        self.eps = non_negative(eps, "RAdam: eps")
        self.weight_decay = self.check_option("weight_decay", weight_decay)
        self.decoupled_weight_decay = decoupled_weight_decay
        self.maximize = maximize
        self.m: Array | None = None
        self.v: Array | None = None

    def move(self, lr: Any) -> None:
        (beta1, beta2), t = self.betas, self.steps + 1
        unbias1, unbias2 = 1 - beta1**t, 1 - beta2**t
        R = 2 / (1 - beta2) - 1
        r = R - 2 * t * beta2**t / unbias2
        rectified = r > 5
        factor = ((r - 4) * (r - 2) * R / ((R - 4) * (R - 2) * r)) ** 0.5 if rectified else 1.0
        decay, way = decay_of(self, lr, self.decoupled_weight_decay)
        update = _radam(rectified, way, self.maximize, beta1 > 0.5)
        update(
            self.layer.Phi, self.layer.dPhi, self.array("m"), self.array("v"),
            decay, 1 - beta1, beta2, 1 - beta2, unbias1, unbias2**0.5, factor, lr, self.eps,
        )  # fmt: skip

    def penalty(self) -> float:
        """The L2 penalty at Phi, ``sum(weight_decay / 2 Phi^2)``, or 0 with ``decoupled_weight_decay``."""
        return 0.0 if self.decoupled_weight_decay else self.l2_penalty("weight_decay")


@cache
def _radam(rectified: bool, way: str, maximize: bool, near: bool) -> Kernel:
    """The update; rate1 is 1 - b1, rate2 is 1 - b2, unbias1 is 1 - b1^t, root is sqrt(1 - b2^t)."""

    @kernel(into=("Phi", "m", "v"))
    def radam(
        Phi: Array, g: Array, m: Array, v: Array, decay: float, rate1: float, beta2: float, rate2: float,
        unbias1: float, root: float, factor: float, lr: float, eps: float,
    ) -> tuple[Array, ...]:  # fmt: skip
        Phi, g = decayed(Phi, -g if maximize else g, decay, way)
        m, v = lerp(m, g, rate1, near), beta2 * v + rate2 * g * g
        update = m / unbias1 * lr
        if rectified:
            update = update * (root / (np.sqrt(v) + eps)) * factor
        return Phi - update, m, v

    return radam
