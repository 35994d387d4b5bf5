"""Adamax: Adam with the infinity norm."""

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


class Adamax(Optimizer):
    """Adamax, the variant of Adam with the infinity norm, as ``torch.optim.Adamax`` computes it.

    With g = dPhi (-dPhi to maximize), betas = (b1, b2) and m = u = 0 before the first step, step t = 1, 2, ... computes

        g <- g + weight_decay Phi
        m <- b1 m + (1 - b1) g
        u <- max(b2 u, |g| + eps)
        Phi <- Phi - lr / (1 - b1^t) m / u

    Args:
        layer: the model, or a part of it.
        lr: learning rate, a number >= 0, or a schedule; see :class:`nnlite.Optimizer`.
        betas: factors of the average and of the maximum, from 0 to below 1.
        eps: added to |g|, >= 0.
        weight_decay: factor of the L2 penalty, see :meth:`penalty`; or a dict of factors by names of parameters.
        maximize: maximize the loss.
        lr_factor: factors of the learning rate by names of parameters; see :class:`nnlite.Optimizer`.

    PyTorch's ``foreach``, ``capturable`` and ``differentiable`` do not exist: each step is fused.

    Attributes:
        m, u: the average and the maximum over Phi, None before the first step.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of range, a name names no parameter, or the layer has no parameters.

    Source: Kingma and Ba, Adam: a method for stochastic optimization, 2015.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [1.0, 2.0]
    >>> layer.dPhi = [10.0, -20.0]
    >>> nn.Adamax(layer, lr=0.25).step()
    >>> layer.Phi
    array([0.75, 2.25], dtype=float32)
    """

    arrays = ("m", "u")

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule = 2e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float | Mapping[str, float] = 0.0,
        maximize: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(layer, lr, lr_factor=lr_factor)
        self.betas = check_betas(betas, "Adamax: betas")
        self.eps = non_negative(eps, "Adamax: eps")
        self.weight_decay = self.check_option("weight_decay", weight_decay)
        self.maximize = maximize
        self.m: Array | None = None
        self.u: Array | None = None

    def move(self, lr: Any) -> None:
        (beta1, beta2), t = self.betas, self.steps + 1
        decay, way = decay_of(self, lr)
        update = _adamax(way, self.maximize, beta1 > 0.5)
        update(
            self.layer.Phi, self.layer.dPhi, self.array("m"), self.array("u"),
            decay, 1 - beta1, beta2, lr / (1 - beta1**t), self.eps,
        )  # fmt: skip

    def penalty(self) -> float:
        """The L2 penalty at Phi, ``sum(weight_decay / 2 Phi^2)``, of the parameters that are not frozen."""
        return self.l2_penalty("weight_decay")


@cache
def _adamax(way: str, maximize: bool, near: bool) -> Kernel:
    """The update; rate1 is 1 - b1, lr is corrected for the bias."""

    @kernel(into=("Phi", "m", "u"))
    def adamax(
        Phi: Array, g: Array, m: Array, u: Array, decay: float, rate1: float, beta2: float, lr: float, eps: float
    ) -> tuple[Array, ...]:
        Phi, g = decayed(Phi, -g if maximize else g, decay, way)
        m, u = lerp(m, g, rate1, near), np.maximum(beta2 * u, np.abs(g) + eps)
        return Phi - lr * m / u, m, u

    return adamax
