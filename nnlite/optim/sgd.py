"""SGD: Phi <- Phi - lr * dPhi."""

from functools import partial
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import finite, non_negative
from nnlite.compute.blocks import in_blocks
from nnlite.errors import StateError
from nnlite.layer.layer import Layer
from nnlite.optim.optimizer import Optimizer, Schedule


class SGD(Optimizer):
    """Stochastic gradient descent: ``Phi <- Phi - lr * dPhi``, step for step that of ``torch.optim.SGD``.

    With g = dPhi (-dPhi to maximize), each step does in this order

        g <- g + weight_decay Phi
        v <- momentum v + (1 - dampening) g      (the first time v <- g)
        g <- v, or g + momentum v with nesterov
        Phi <- Phi - lr g

    Args:
        layer: the model, or a part of it.
        lr: learning rate, a number >= 0, or a schedule such as :class:`nnlite.StepLR`, or any function of the step,
            from 0 on. ``optimizer.lr`` may be set anew at any time.
        momentum: share of the last velocity v that is kept.
        dampening: share of the gradient that does not enter v.
        weight_decay: factor of the L2 penalty ``weight_decay / 2 |Phi|^2``.
        nesterov: look ahead; needs momentum > 0 and dampening 0.
        maximize: climb instead.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of its range, or the layer has no parameters; at a step, that the schedule gave no
            number >= 0.

    Sources: Robbins and Monro, A stochastic approximation method, 1951; Polyak, Some methods of speeding up the
    convergence of iteration methods, 1964; Sutskever, Martens, Dahl and Hinton, On the importance of initialization
    and momentum in deep learning, 2013.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [1.0, 2.0]
    >>> layer.dPhi = [10.0, 20.0]
    >>> SGD(layer, lr=0.1).step()
    >>> layer.Phi
    array([0., 0.], dtype=float32)
    """

    arrays = ("velocity",)

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule,
        *,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(layer, lr)
        self.momentum = non_negative(momentum, "SGD: momentum")
        self.dampening = finite(dampening, "SGD: dampening")
        self.weight_decay = non_negative(weight_decay, "SGD: weight_decay")
        if nesterov and not (self.momentum > 0 and self.dampening == 0):
            raise ValueError(
                "SGD: nesterov: expected momentum above 0 and no dampening, "
                f"got momentum={momentum}, dampening={dampening}"
            )
        self.nesterov = nesterov
        self.maximize = maximize
        self.velocity: Array | None = None

    def move(self, lr: float) -> None:
        """``Phi <- Phi - lr * dPhi``, in place."""
        self._rate = lr  # for _move: handing it on in a partial would cost 0.2 us
        Phi, dPhi = self.layer.Phi, self.layer.dPhi
        if not self.momentum:
            in_blocks(self._move, Phi, dPhi)
            return
        if starts := self.velocity is None:
            self.velocity = np.zeros_like(dPhi)
        elif self.velocity.shape != Phi.shape:
            raise StateError(f"SGD: {self.layer.one_line()} has grown since the first step; make a new optimizer")
        elif self.velocity.dtype != Phi.dtype:  # astype was called
            self.velocity = self.velocity.astype(Phi.dtype)
        in_blocks(partial(self._move, starts=starts), Phi, dPhi, self.velocity)

    def _move(self, Phi: Array, g: Array, v: Array | None = None, starts: bool = False) -> None:
        """One step of the given parameters, gradients and velocities."""
        if self.weight_decay:
            g = (-g if self.maximize else g) + self.weight_decay * Phi
        elif self.maximize:
            g = -g
        if v is not None:
            v *= self.momentum
            v += g if starts else (1 - self.dampening) * g
            g = g + self.momentum * v if self.nesterov else v
        Phi -= self._rate * g

    def _misfit(self, name: str, value: Any) -> str | None:
        if name == "velocity" and value is not None and not self.momentum and self.velocity is None:
            return "velocity: expected None, since momentum is 0 here"
        return super()._misfit(name, value)

    def __repr__(self) -> str:
        options = ("momentum", "dampening", "weight_decay", "nesterov", "maximize")
        shown = "".join(f", {name}={getattr(self, name)}" for name in options if getattr(self, name))
        return f"SGD({self.layer.one_line()}, lr={self.lr}{shown})"
