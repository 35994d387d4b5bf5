"""RMSprop: gradient descent scaled by the root of an average of squared gradients."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import non_negative
from nnlite.compute.kernel import Kernel, kernel
from nnlite.layer.layer import Layer
from nnlite.optim.moments import decay_of, decayed, lerp
from nnlite.optim.optimizer import Optimizer, Schedule


class RMSprop(Optimizer):
    """RMSprop, as ``torch.optim.RMSprop`` computes it.

    With g = dPhi (-dPhi to maximize) and v = m = u = 0 before the first step, each step computes

        g <- g + weight_decay Phi
        v <- alpha v + (1 - alpha) g^2
        m <- alpha m + (1 - alpha) g      (only if centered)
        s = sqrt(v) + eps, or sqrt(v - m^2) + eps if centered
        u <- momentum u + g / s
        Phi <- Phi - lr u

    Args:
        layer: the model, or a part of it.
        lr: learning rate, a number >= 0, or a schedule; see :class:`nnlite.Optimizer`.
        alpha: factor of the averages, >= 0.
        eps: added to the root, >= 0.
        weight_decay: factor of the L2 penalty, see :meth:`penalty`; or a dict of factors by names of parameters.
        momentum: factor of the previous update u, >= 0.
        centered: divide by an estimate of the standard deviation instead of the RMS.
        maximize: maximize the loss.
        lr_factor: factors of the learning rate by names of parameters; see :class:`nnlite.Optimizer`.

    PyTorch's ``foreach``, ``capturable`` and ``differentiable`` do not exist: each step is fused.

    Attributes:
        v: the average of the squares over Phi, None before the first step.
        m: if centered, the average of the gradient.
        u: with momentum, the update.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of range, a name names no parameter, or the layer has no parameters.

    Sources: Tieleman and Hinton, Lecture 6.5, RMSprop, 2012; centered: Graves, Generating sequences with recurrent
    neural networks, 2013.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [1.0, 2.0]
    >>> layer.dPhi = [10.0, -20.0]
    >>> nn.RMSprop(layer, lr=0.25, alpha=0.75).step()
    >>> layer.Phi
    array([0.5, 2.5], dtype=float32)
    """

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule = 1e-2,
        *,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float | Mapping[str, float] = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        maximize: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(layer, lr, lr_factor=lr_factor)
        self.alpha = non_negative(alpha, "RMSprop: alpha")
        self.eps = non_negative(eps, "RMSprop: eps")
        self.weight_decay = self.check_option("weight_decay", weight_decay)
        self.momentum = non_negative(momentum, "RMSprop: momentum")
        self.centered = centered
        self.maximize = maximize
        self.arrays = ("v", *(["m"] if centered else []), *(["u"] if self.momentum else []))
        self.v: Array | None = None
        self.m: Array | None = None
        self.u: Array | None = None

    def move(self, lr: Any) -> None:
        decay, way = decay_of(self, lr)
        update = _rmsprop(self.centered, self.momentum > 0, way, self.maximize, self.alpha > 0.5)
        update(
            self.layer.Phi, self.layer.dPhi, *map(self.array, self.arrays),
            decay, self.alpha, 1 - self.alpha, self.momentum, lr, self.eps,
        )  # fmt: skip

    def penalty(self) -> float:
        """The L2 penalty at Phi, ``sum(weight_decay / 2 Phi^2)``, of the parameters that are not frozen."""
        return self.l2_penalty("weight_decay")


@cache
def _rmsprop(centered: bool, moves: bool, way: str, maximize: bool, near: bool) -> Kernel:
    """The update, with arrays m if centered and u if it moves on; rate is 1 - alpha."""

    @kernel(into=("Phi", "v"))
    def rmsprop(
        Phi: Array, g: Array, v: Array,
        decay: float, alpha: float, rate: float, momentum: float, lr: float, eps: float,
    ) -> tuple[Array, ...]:  # fmt: skip
        Phi, g = decayed(Phi, -g if maximize else g, decay, way)
        v = alpha * v + rate * g * g
        return Phi - lr * g / (np.sqrt(v) + eps), v

    @kernel(into=("Phi", "v", "u"))
    def rmsprop_momentum(
        Phi: Array, g: Array, v: Array, u: Array,
        decay: float, alpha: float, rate: float, momentum: float, lr: float, eps: float,
    ) -> tuple[Array, ...]:  # fmt: skip
        Phi, g = decayed(Phi, -g if maximize else g, decay, way)
        v = alpha * v + rate * g * g
        u = momentum * u + g / (np.sqrt(v) + eps)
        return Phi - lr * u, v, u

    @kernel(into=("Phi", "v", "m"))
    def rmsprop_centered(
        Phi: Array, g: Array, v: Array, m: Array,
        decay: float, alpha: float, rate: float, momentum: float, lr: float, eps: float,
    ) -> tuple[Array, ...]:  # fmt: skip
        Phi, g = decayed(Phi, -g if maximize else g, decay, way)
        v, m = alpha * v + rate * g * g, lerp(m, g, rate, near)
        return Phi - lr * g / (np.sqrt(v - m * m) + eps), v, m

    @kernel(into=("Phi", "v", "m", "u"))
    def rmsprop_centered_momentum(
        Phi: Array, g: Array, v: Array, m: Array, u: Array,
        decay: float, alpha: float, rate: float, momentum: float, lr: float, eps: float,
    ) -> tuple[Array, ...]:  # fmt: skip
        Phi, g = decayed(Phi, -g if maximize else g, decay, way)
        v, m = alpha * v + rate * g * g, lerp(m, g, rate, near)
        u = momentum * u + g / (np.sqrt(v - m * m) + eps)
        return Phi - lr * u, v, m, u

    if centered:
        return rmsprop_centered_momentum if moves else rmsprop_centered
    return rmsprop_momentum if moves else rmsprop
