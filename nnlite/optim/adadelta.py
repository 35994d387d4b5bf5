"""Adadelta: gradient descent scaled by averages of squared gradients and of squared updates."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import non_negative, share
from nnlite.compute.kernel import Kernel, kernel
from nnlite.layer.layer import Layer
from nnlite.optim.moments import decay_of, decayed
from nnlite.optim.optimizer import Optimizer, Schedule


class Adadelta(Optimizer):
    """Adadelta, as ``torch.optim.Adadelta`` computes it.

    With g = dPhi (-dPhi to maximize) and v = u = 0 before the first step, each step computes

        g <- g + weight_decay Phi
        v <- rho v + (1 - rho) g^2
        d = sqrt(u + eps) / sqrt(v + eps) g
        u <- rho u + (1 - rho) d^2
        Phi <- Phi - lr d

    Args:
        layer: the model, or a part of it.
        lr: learning rate, a number >= 0, or a schedule; see :class:`nnlite.Optimizer`.
        rho: factor of the averages, from 0 to 1.
        eps: added below the roots, >= 0.
        weight_decay: factor of the L2 penalty, see :meth:`penalty`; or a dict of factors by names of parameters.
        maximize: maximize the loss.
        lr_factor: factors of the learning rate by names of parameters; see :class:`nnlite.Optimizer`.

    PyTorch's ``foreach``, ``capturable`` and ``differentiable`` do not exist: each step is fused.

    Attributes:
        v, u: the averages of the squares of gradients and updates over Phi, None before the first step.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of range, a name names no parameter, or the layer has no parameters.

    Source: Zeiler, ADADELTA: an adaptive learning rate method, 2012.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [1.0, 2.0]
    >>> layer.dPhi = [10.0, -20.0]
    >>> nn.Adadelta(layer, lr=100, rho=0.75).step()
    >>> layer.Phi.round(4)
    array([0.8, 2.2], dtype=float32)
    """

    arrays = ("v", "u")

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule = 1.0,
        *,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float | Mapping[str, float] = 0.0,
        maximize: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(layer, lr, lr_factor=lr_factor)
        self.rho = share(rho, "Adadelta: rho")
        self.eps = non_negative(eps, "Adadelta: eps")
        self.weight_decay = self.check_option("weight_decay", weight_decay)
        self.maximize = maximize
        self.v: Array | None = None
        self.u: Array | None = None

    def move(self, lr: Any) -> None:
        decay, way = decay_of(self, lr)
        update = _adadelta(way, self.maximize)
        update(
            self.layer.Phi, self.layer.dPhi, self.array("v"), self.array("u"),
            decay, self.rho, 1 - self.rho, lr, self.eps,
        )  # fmt: skip

    def penalty(self) -> float:
        """The L2 penalty at Phi, ``sum(weight_decay / 2 Phi^2)``, of the parameters that are not frozen."""
        return self.l2_penalty("weight_decay")


@cache
def _adadelta(way: str, maximize: bool) -> Kernel:
    """The update; rate is 1 - rho."""

    @kernel(into=("Phi", "v", "u"))
    def adadelta(
        Phi: Array, g: Array, v: Array, u: Array, decay: float, rho: float, rate: float, lr: float, eps: float
    ) -> tuple[Array, ...]:
        Phi, g = decayed(Phi, -g if maximize else g, decay, way)
        v = rho * v + rate * g * g
        d = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        return Phi - lr * d, v, rho * u + rate * d * d

    return adadelta
