"""NAdam: Adam with Nesterov momentum."""

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


class NAdam(Optimizer):
    """NAdam, Adam with Nesterov momentum, as ``torch.optim.NAdam`` computes it.

    With g = dPhi (-dPhi to maximize), betas = (b1, b2), m = v = 0 and p = 1 before the first step, step t = 1, 2, ...
    computes

        g <- g + weight_decay Phi      (or Phi <- (1 - lr weight_decay) Phi with decoupled_weight_decay)
        mu_t = b1 (1 - 0.96^(t momentum_decay) / 2)
        p <- mu_t p
        m <- b1 m + (1 - b1) g
        v <- b2 v + (1 - b2) g^2
        s = sqrt(v / (1 - b2^t)) + eps
        Phi <- Phi - lr (1 - mu_t) / (1 - p) g / s - lr mu_(t+1) / (1 - mu_(t+1) p) m / s

    The product p has double precision; PyTorch has it in its default dtype.

    Args:
        layer: the model, or a part of it.
        lr: learning rate, a number >= 0, or a schedule; see :class:`nnlite.Optimizer`.
        betas: factors of the two averages, from 0 to below 1.
        eps: added to the denominator, >= 0.
        weight_decay: factor of the L2 penalty, see :meth:`penalty`; or a dict of factors by names of parameters.
        momentum_decay: how fast the momentum grows, >= 0.
        decoupled_weight_decay: decay the parameters themselves, as :class:`nnlite.AdamW` does.
        maximize: maximize the loss.
        lr_factor: factors of the learning rate by names of parameters; see :class:`nnlite.Optimizer`.

    PyTorch's ``foreach``, ``capturable`` and ``differentiable`` do not exist: each step is fused.

    Attributes:
        m, v: the averages over Phi, None before the first step.
        mu_product: p.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of range, a name names no parameter, or the layer has no parameters.

    Source: Dozat, Incorporating Nesterov momentum into Adam, 2016.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [1.0, 2.0]
    >>> layer.dPhi = [10.0, -20.0]
    >>> nn.NAdam(layer, lr=0.25, betas=(0.0, 0.999)).step()
    >>> layer.Phi
    array([0.75, 2.25], dtype=float32)
    """

    arrays = ("m", "v", "mu_product")

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule = 2e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float | Mapping[str, float] = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(layer, lr, lr_factor=lr_factor)
        self.betas = check_betas(betas, "NAdam: betas")
        self.eps = non_negative(eps, "NAdam: eps")
        self.weight_decay = self.check_option("weight_decay", weight_decay)
        self.momentum_decay = non_negative(momentum_decay, "NAdam: momentum_decay")
        self.decoupled_weight_decay = decoupled_weight_decay
        self.maximize = maximize
        self.m: Array | None = None
        self.v: Array | None = None
        self.mu_product = 1.0

    def move(self, lr: Any) -> None:
        (beta1, beta2), t = self.betas, self.steps + 1
        m, v = self.array("m"), self.array("v")
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (step * self.momentum_decay)) for step in (t, t + 1))
        self.mu_product *= mu
        decay, way = decay_of(self, lr, self.decoupled_weight_decay)
        update = _nadam(way, self.maximize, beta1 > 0.5)
        update(
            self.layer.Phi, self.layer.dPhi, m, v, decay, 1 - beta1, beta2, 1 - beta2, 1 - beta2**t, self.eps,
            lr * (1 - mu) / (1 - self.mu_product), lr * mu_next / (1 - self.mu_product * mu_next),
        )  # fmt: skip

    def penalty(self) -> float:
        """The L2 penalty at Phi, ``sum(weight_decay / 2 Phi^2)``, or 0 with ``decoupled_weight_decay``."""
        return 0.0 if self.decoupled_weight_decay else self.l2_penalty("weight_decay")


@cache
def _nadam(way: str, maximize: bool, near: bool) -> Kernel:
    """The update; rate1 is 1 - b1, rate2 is 1 - b2, unbias is 1 - b2^t, lr_g and lr_m are the factors of g and m."""

    @kernel(into=("Phi", "m", "v"))
    def nadam(
        Phi: Array, g: Array, m: Array, v: Array,
        decay: float, rate1: float, beta2: float, rate2: float, unbias: float, eps: float, lr_g: float, lr_m: float,
    ) -> tuple[Array, ...]:  # fmt: skip
        Phi, g = decayed(Phi, -g if maximize else g, decay, way)
        m, v = lerp(m, g, rate1, near), beta2 * v + rate2 * g * g
        s = np.sqrt(v / unbias) + eps
        return Phi - lr_g * g / s - lr_m * m / s, m, v

    return nadam
