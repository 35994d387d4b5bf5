"""Lion: descent along the sign of an interpolated momentum."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.kernel import Kernel, kernel
from nnlite.layer.layer import Layer
from nnlite.optim.moments import check_betas, decay_of, decayed
from nnlite.optim.optimizer import Optimizer, Schedule


class Lion(Optimizer):
    """Lion, evolved sign momentum.

    With g = dPhi (-dPhi to maximize), betas = (b1, b2) and m = 0 before the first step, each step computes

        Phi <- (1 - lr weight_decay) Phi
        Phi <- Phi - lr sign(b1 m + (1 - b1) g)
        m <- b2 m + (1 - b2) g

    PyTorch does not have it. Its steps are larger than Adam's: lr should be 3 to 10 times smaller, and weight_decay as
    many times larger.

    Args:
        layer: the model, or a part of it.
        lr: learning rate, a number >= 0, or a schedule; see :class:`nnlite.Optimizer`.
        betas: factors of m in the update, and in its average; from 0 to below 1.
        weight_decay: factor of the decoupled decay; or a dict of factors by names of parameters.
        maximize: maximize the loss.
        lr_factor: factors of the learning rate by names of parameters; see :class:`nnlite.Optimizer`.

    Attributes:
        m: the average of the gradients over Phi, None before the first step.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of range, a name names no parameter, or the layer has no parameters.

    Source: Chen et al., Symbolic discovery of optimization algorithms, 2023.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [1.0, 2.0]
    >>> layer.dPhi = [10.0, -20.0]
    >>> nn.Lion(layer, lr=0.25).step()
    >>> layer.Phi
    array([0.75, 2.25], dtype=float32)
    """

    arrays = ("m",)

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule = 1e-4,
        *,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float | Mapping[str, float] = 0.0,
        maximize: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(layer, lr, lr_factor=lr_factor)
        self.betas = check_betas(betas, "Lion: betas")
        self.weight_decay = self.check_option("weight_decay", weight_decay)
        self.maximize = maximize
        self.m: Array | None = None

    def move(self, lr: Any) -> None:
        beta1, beta2 = self.betas
        decay, way = decay_of(self, lr, decoupled=True)
        update = _lion(way, self.maximize)
        update(self.layer.Phi, self.layer.dPhi, self.array("m"), decay, beta1, 1 - beta1, beta2, 1 - beta2, lr)


@cache
def _lion(way: str, maximize: bool) -> Kernel:
    """The update; rate1 is 1 - b1, rate2 is 1 - b2."""

    @kernel(into=("Phi", "m"))
    def lion(
        Phi: Array, g: Array, m: Array,
        decay: float, beta1: float, rate1: float, beta2: float, rate2: float, lr: float,
    ) -> tuple[Array, Array]:  # fmt: skip
        Phi, g = decayed(Phi, -g if maximize else g, decay, way)
        return Phi - lr * np.sign(beta1 * m + rate1 * g), beta2 * m + rate2 * g

    return lion
