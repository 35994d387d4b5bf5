"""Adam: gradient descent with averages of the gradient and of its square."""

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


class Adam(Optimizer):
    """Adam, adaptive moment estimation, as ``torch.optim.Adam`` computes it.

    With g = dPhi (-dPhi to maximize), betas = (b1, b2) and m = v = 0 before the first step, step t = 1, 2, ... computes

        g <- g + weight_decay Phi      (or Phi <- (1 - lr weight_decay) Phi with decoupled_weight_decay)
        m <- b1 m + (1 - b1) g
        v <- b2 v + (1 - b2) g^2
        Phi <- Phi - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)

    With amsgrad, the largest v until now replaces v in the last line.

    Args:
        layer: the model, or a part of it.
        lr: learning rate, a number >= 0, or a schedule; see :class:`nnlite.Optimizer`.
        betas: factors of the two averages, from 0 to below 1.
        eps: added to the denominator, >= 0.
        weight_decay: factor of the L2 penalty, see :meth:`penalty`; or a dict of factors by names of parameters.
        amsgrad: use the AMSGrad variant.
        maximize: maximize the loss.
        decoupled_weight_decay: decay the parameters themselves, as :class:`nnlite.AdamW` does.
        lr_factor: factors of the learning rate by names of parameters; see :class:`nnlite.Optimizer`.

    PyTorch's ``foreach``, ``fused``, ``capturable`` and ``differentiable`` do not exist: each step is fused.

    Attributes:
        m, v: the averages over Phi, None before the first step.
        v_max: with amsgrad, the largest v.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of range, a name names no parameter, or the layer has no parameters.

    Sources: Kingma and Ba, Adam: a method for stochastic optimization, 2015; Reddi, Kale and Kumar, On the convergence
    of Adam and beyond, 2018.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [1.0, 2.0]
    >>> layer.dPhi = [10.0, -20.0]
    >>> nn.Adam(layer, lr=0.25).step()
    >>> layer.Phi
    array([0.75, 2.25], dtype=float32)
    """

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float | Mapping[str, float] = 0.0,
        amsgrad: bool = False,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(layer, lr, lr_factor=lr_factor)
        name = type(self).__name__
        self.betas = check_betas(betas, f"{name}: betas")
        self.eps = non_negative(eps, f"{name}: eps")
        self.weight_decay = self.check_option("weight_decay", weight_decay)
        self.amsgrad = amsgrad
        self.maximize = maximize
        self.decoupled_weight_decay = decoupled_weight_decay
        self.arrays = ("m", "v", "v_max") if amsgrad else ("m", "v")
        self.m: Array | None = None
        self.v: Array | None = None
        self.v_max: Array | None = None

    def move(self, lr: Any) -> None:
        (beta1, beta2), t = self.betas, self.steps + 1
        decay, way = decay_of(self, lr, self.decoupled_weight_decay)
        update = _adam(self.amsgrad, way, self.maximize, beta1 > 0.5)
        update(
            self.layer.Phi, self.layer.dPhi, *map(self.array, self.arrays), decay, 1 - beta1, beta2, 1 - beta2,
            lr / (1 - beta1**t), (1 - beta2**t) ** 0.5, self.eps,
        )  # fmt: skip

    def penalty(self) -> float:
        """The L2 penalty at Phi, ``sum(weight_decay / 2 Phi^2)``, or 0 with ``decoupled_weight_decay``."""
        return 0.0 if self.decoupled_weight_decay else self.l2_penalty("weight_decay")


@cache
def _adam(amsgrad: bool, way: str, maximize: bool, near: bool) -> Kernel:
    """The update; rate1 is 1 - b1, rate2 is 1 - b2, lr and root are corrected for the bias."""

    def averages(Phi: Array, g: Array, m: Array, v: Array, decay: Any, rate1: Any, beta2: Any, rate2: Any) -> Any:
        Phi, g = decayed(Phi, -g if maximize else g, decay, way)
        return Phi, lerp(m, g, rate1, near), beta2 * v + rate2 * g * g

    @kernel(into=("Phi", "m", "v"))
    def adam(
        Phi: Array, g: Array, m: Array, v: Array,
        decay: float, rate1: float, beta2: float, rate2: float, lr: float, root: float, eps: float,
    ) -> tuple[Array, ...]:  # fmt: skip
        Phi, m, v = averages(Phi, g, m, v, decay, rate1, beta2, rate2)
        return Phi - lr * m / (np.sqrt(v) / root + eps), m, v

    @kernel(into=("Phi", "m", "v", "v_max"))
    def adam_amsgrad(
        Phi: Array, g: Array, m: Array, v: Array, v_max: Array,
        decay: float, rate1: float, beta2: float, rate2: float, lr: float, root: float, eps: float,
    ) -> tuple[Array, ...]:  # fmt: skip
        Phi, m, v = averages(Phi, g, m, v, decay, rate1, beta2, rate2)
        v_max = np.maximum(v_max, v)
        return Phi - lr * m / (np.sqrt(v_max) / root + eps), m, v, v_max

    return adam_amsgrad if amsgrad else adam
