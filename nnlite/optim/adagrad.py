"""Adagrad: gradient descent scaled by the root of the sum of squared gradients."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import non_negative
from nnlite.compute.kernel import Kernel, kernel
from nnlite.layer.layer import Layer
from nnlite.optim.moments import decay_of, decayed
from nnlite.optim.optimizer import Optimizer, Schedule


class Adagrad(Optimizer):
    """Adagrad, as ``torch.optim.Adagrad`` computes it.

    With g = dPhi (-dPhi to maximize) and v = initial_accumulator_value before the first step, step t = 1, 2, ...
    computes

        g <- g + weight_decay Phi
        v <- v + g^2
        Phi <- Phi - lr / (1 + (t - 1) lr_decay) g / (sqrt(v) + eps)

    Args:
        layer: the model, or a part of it.
        lr: learning rate, a number >= 0, or a schedule; see :class:`nnlite.Optimizer`.
        lr_decay: decay of the learning rate, >= 0.
        weight_decay: factor of the L2 penalty, see :meth:`penalty`; or a dict of factors by names of parameters.
        initial_accumulator_value: first value of v, >= 0.
        eps: added to the root, >= 0.
        maximize: maximize the loss.
        lr_factor: factors of the learning rate by names of parameters; see :class:`nnlite.Optimizer`.

    PyTorch's ``foreach``, ``fused`` and ``differentiable`` do not exist: each step is fused.

    Attributes:
        v: the sum of the squares over Phi, None before the first step.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of range, a name names no parameter, or the layer has no parameters.

    Source: Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic optimization, 2011.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [1.0, 2.0]
    >>> layer.dPhi = [10.0, -20.0]
    >>> nn.Adagrad(layer, lr=0.25).step()
    >>> layer.Phi
    array([0.75, 2.25], dtype=float32)
    """

    arrays = ("v",)

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule = 1e-2,
        *,
        lr_decay: float = 0.0,
        weight_decay: float | Mapping[str, float] = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        maximize: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(layer, lr, lr_factor=lr_factor)
        self.lr_decay = non_negative(lr_decay, "Adagrad: lr_decay")
        self.weight_decay = self.check_option("weight_decay", weight_decay)
        start = non_negative(initial_accumulator_value, "Adagrad: initial_accumulator_value")
        self.initial_accumulator_value = start
        self.eps = non_negative(eps, "Adagrad: eps")
        self.maximize = maximize
        self.v: Array | None = None

    def move(self, lr: Any) -> None:
        decay, way = decay_of(self, lr)
        v = self.array("v", self.initial_accumulator_value)
        lr = lr / (1 + self.steps * self.lr_decay)
        _adagrad(way, self.maximize)(self.layer.Phi, self.layer.dPhi, v, decay, lr, self.eps)

    def penalty(self) -> float:
        """The L2 penalty at Phi, ``sum(weight_decay / 2 Phi^2)``, of the parameters that are not frozen."""
        return self.l2_penalty("weight_decay")


@cache
def _adagrad(way: str, maximize: bool) -> Kernel:
    @kernel(into=("Phi", "v"))
    def adagrad(Phi: Array, g: Array, v: Array, decay: float, lr: float, eps: float) -> tuple[Array, Array]:
        Phi, g = decayed(Phi, -g if maximize else g, decay, way)
        v = v + g * g
        return Phi - lr * g / (np.sqrt(v) + eps), v

    return adagrad
