"""ASGD: gradient descent with falling steps, and the average of the parameters along its path."""

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


class ASGD(Optimizer):
    """Averaged stochastic gradient descent, as ``torch.optim.ASGD`` computes it.

    With g = dPhi (-dPhi to maximize), step t = 1, 2, ... computes

        g <- g + weight_decay Phi
        eta = lr / (1 + lambd lr (t - 1))^alpha
        Phi <- (1 - lambd eta) Phi - eta g
        average <- average + (Phi - average) / max(1, t - 1 - t0)

    Until step t0 + 2 the average is Phi itself; from there on it is the mean of Phi over the steps. To use it, write
    ``model.Phi = optimizer.average`` when training is over.

    Args:
        layer: the model, or a part of it.
        lr: learning rate, a number >= 0, or a schedule, whose rate counts in the step that it is of (in PyTorch, in the
            next one); see :class:`nnlite.Optimizer`.
        lambd: decay of parameters and of the learning rate, >= 0.
        alpha: power of the decay of the learning rate, >= 0.
        t0: the number of steps before averaging, >= 0.
        weight_decay: factor of the L2 penalty, see :meth:`penalty`; or a dict of factors by names of parameters.
        maximize: maximize the loss.
        lr_factor: factors of the learning rate by names of parameters; see :class:`nnlite.Optimizer`.

    PyTorch's ``foreach``, ``capturable`` and ``differentiable`` do not exist: each step is fused.

    Attributes:
        average: the average over Phi, None before the first step.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of range, a name names no parameter, or the layer has no parameters.

    Sources: Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992; Bottou, Large-scale
    machine learning with stochastic gradient descent, 2010.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi, layer.dPhi = [1.0, 2.0], [1.0, -2.0]
    >>> optimizer = nn.ASGD(layer, lr=0.25, lambd=0.0, t0=0)
    >>> for _ in range(3):
    ...     optimizer.step()
    >>> layer.Phi, optimizer.average
    (array([0.25, 3.5 ], dtype=float32), array([0.375, 3.25 ], dtype=float32))
    """

    arrays = ("average",)

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule = 1e-2,
        *,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float | Mapping[str, float] = 0.0,
        maximize: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(layer, lr, lr_factor=lr_factor)
        self.lambd = non_negative(lambd, "ASGD: lambd")
        self.alpha = non_negative(alpha, "ASGD: alpha")
        self.t0 = non_negative(t0, "ASGD: t0")
        self.weight_decay = self.check_option("weight_decay", weight_decay)
        self.maximize = maximize
        self.average: Array | None = None

    def move(self, lr: Any) -> None:
        Phi, g, average = self.layer.Phi, self.layer.dPhi, self.array("average")
        if self.lr_factor is not None:  # frozen parameters do not change in the average either
            g = np.where(lr > 0, g, g.dtype.type(0))
        decay, way = decay_of(self, lr)
        eta = lr / (1 + self.lambd * lr * self.steps) ** self.alpha
        _asgd(way, self.maximize)(Phi, g, decay, 1 - self.lambd * eta, eta)
        rate = 1 / max(1.0, self.steps - self.t0)
        if rate < 1:
            _averaged(average, Phi, rate)
        else:
            average[...] = Phi

    def penalty(self) -> float:
        """The L2 penalty at Phi, ``sum((weight_decay + lambd) / 2 Phi^2)``, of the parameters that are not frozen."""
        return self.l2_penalty("weight_decay") + self.l2_penalty("lambd")


@cache
def _asgd(way: str, maximize: bool) -> Kernel:
    """The update of Phi; shrink is 1 - lambd eta."""

    @kernel(into=("Phi",))
    def asgd(Phi: Array, g: Array, decay: float, shrink: float, eta: float) -> Array:
        _, g = decayed(Phi, -g if maximize else g, decay, way)
        return Phi * shrink - eta * g

    return asgd


@kernel(into=("average",))
def _averaged(average: Array, Phi: Array, rate: float) -> Array:
    return average + (Phi - average) * rate
