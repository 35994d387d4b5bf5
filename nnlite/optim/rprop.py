"""Rprop: resilient propagation, for full batches."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import number
from nnlite.compute.kernel import Kernel, kernel
from nnlite.layer.layer import Layer
from nnlite.optim.optimizer import Optimizer, Schedule


class Rprop(Optimizer):
    """Rprop, resilient propagation, as ``torch.optim.Rprop`` computes it; for full batches.

    With g = dPhi (-dPhi to maximize), etas = (eta-, eta+), step_sizes = (low, high), h = 0 and d = lr before the first
    step, each step computes

        d <- min(max(e d, low), high)      (e = eta+ where g h > 0, eta- where g h < 0, else 1)
        h <- g, or 0 where g h < 0
        Phi <- Phi - sign(h) d

    The sign of NaN is 0, as in PyTorch: a parameter whose gradient is NaN stays.

    Args:
        layer: the model, or a part of it.
        lr: the first step size d of each parameter, a number >= 0; a schedule counts in the first step only.
        etas: factors that decrease and increase the step sizes; 0 < eta- < 1 < eta+.
        step_sizes: the smallest and the largest step size.
        maximize: maximize the loss.
        lr_factor: factors of the first step size by names of parameters; see :class:`nnlite.Optimizer`.

    PyTorch's ``foreach``, ``capturable`` and ``differentiable`` do not exist: each step is fused.

    Attributes:
        h, d: the last gradient and the step size over Phi, None before the first step.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of range, a name names no parameter, or the layer has no parameters.

    Source: Riedmiller and Braun, A direct adaptive method for faster backpropagation learning: the RPROP algorithm,
    1993.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [1.0, 2.0]
    >>> layer.dPhi = [10.0, -20.0]
    >>> nn.Rprop(layer, lr=0.25).step()
    >>> layer.Phi
    array([0.75, 2.25], dtype=float32)
    """

    arrays = ("h", "d")

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule = 1e-2,
        *,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        maximize: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(layer, lr, lr_factor=lr_factor)
        self.etas = _two(etas, "Rprop: etas")
        if not 0 < self.etas[0] < 1 < self.etas[1]:
            raise ValueError(f"Rprop: etas: expected 0 < eta- < 1 < eta+, got {etas}")
        self.step_sizes = _two(step_sizes, "Rprop: step_sizes")
        if not 0 <= self.step_sizes[0] <= self.step_sizes[1]:
            raise ValueError(f"Rprop: step_sizes: expected 0 <= smallest <= largest, got {step_sizes}")
        self.maximize = maximize
        self.h: Array | None = None
        self.d: Array | None = None

    def move(self, lr: Any) -> None:
        h, d = self.array("h"), self.array("d", lr)
        _rprop(self.maximize)(self.layer.Phi, self.layer.dPhi, h, d, *self.etas, *self.step_sizes)


def _two(values: tuple[float, float], name: str) -> tuple[float, float]:
    """Return two numbers as floats.

    Raises:
        TypeError: they are not.
    """
    try:
        first, second = values
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected two numbers, got {values!r}") from None
    return number(first, f"{name}[0]"), number(second, f"{name}[1]")


@cache
def _rprop(maximize: bool) -> Kernel:
    @kernel(into=("Phi", "h", "d"))
    def rprop(
        Phi: Array, g: Array, h: Array, d: Array, eta_minus: float, eta_plus: float, low: float, high: float
    ) -> tuple[Array, ...]:
        g = -g if maximize else g
        agrees = g * h
        eta = np.where(agrees > 0, eta_plus, np.where(agrees < 0, eta_minus, 1.0))
        d = np.minimum(np.maximum(eta * d, low), high)
        h = np.where(agrees < 0, 0.0, g)
        return Phi - np.where(h > 0, d, np.where(h < 0, -d, 0.0)), h, d

    return rprop
