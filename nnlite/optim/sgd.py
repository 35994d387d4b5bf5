"""SGD: stochastic gradient descent, Phi <- Phi - lr * dPhi."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.checks import finite, non_negative
from nnlite.compute.kernel import Kernel, kernel
from nnlite.layer.layer import Layer
from nnlite.optim.optimizer import Optimizer, Schedule


class SGD(Optimizer):
    """Stochastic gradient descent: ``Phi <- Phi - lr * dPhi``, as ``torch.optim.SGD`` computes it.

    With g = dPhi (-dPhi to maximize), each step computes in this order

        g <- g + weight_decay Phi
        v <- momentum v + (1 - dampening) g      (v <- g in the first step)
        g <- v, or g + momentum v with nesterov
        Phi <- Phi - lr g

    Args:
        layer: the model, or a part of it.
        lr: learning rate, a number >= 0, or a schedule such as :class:`nnlite.StepLR`: a function of the step, which
            counts from 0; or of the epoch, see :class:`nnlite.PerEpoch`. ``optimizer.lr`` can be changed at any time.
        momentum: factor of the previous velocity v.
        dampening: share of the gradient that is not added to v.
        weight_decay: factor of the L2 penalty ``weight_decay / 2 |Phi|^2``, see :meth:`penalty`; or a dict of factors
            by names of parameters, such as ``{"W": 1e-4}`` to leave biases out, see :class:`nnlite.Optimizer`.
        nesterov: use Nesterov momentum; needs momentum > 0 and dampening 0.
        maximize: maximize the loss.
        lr_factor: factors of the learning rate by names of parameters, such as ``{"0": 0.1, "1": 0}``, which moves part
            0 slowly and freezes part 1; see :class:`nnlite.Optimizer`.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of range, a name names no parameter, or the layer has no parameters; in a step, the
            schedule returned something else than a finite number >= 0.

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
        weight_decay: float | Mapping[str, float] = 0.0,
        nesterov: bool = False,
        maximize: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(layer, lr, lr_factor=lr_factor)
        self.momentum = non_negative(momentum, "SGD: momentum")
        self.dampening = finite(dampening, "SGD: dampening")
        self.weight_decay = self.check_option("weight_decay", weight_decay)
        if nesterov and not (self.momentum > 0 and self.dampening == 0):
            raise ValueError(
                "SGD: nesterov: expected momentum above 0 and no dampening, "
                f"got momentum={momentum}, dampening={dampening}"
            )
        self.nesterov = nesterov
        self.maximize = maximize
        self.velocity: Array | None = None

    def move(self, lr: Any) -> None:
        Phi, dPhi = self.layer.Phi, self.layer.dPhi
        weight_decay: Any = self.weight_decay
        if type(weight_decay) is dict:
            weight_decay = self.over_Phi("weight_decay")
        decays = type(weight_decay) is not float or weight_decay != 0
        if not self.momentum:
            _descent(decays, self.maximize)(Phi, dPhi, lr, weight_decay)
            return
        starts = self.velocity is None
        velocity = self.array("velocity")
        update = _momentum(decays, self.maximize, self.nesterov, self.dampening != 0 and not starts)
        update(Phi, dPhi, velocity, lr, weight_decay, self.momentum, self.dampening)

    def penalty(self) -> float:
        """The L2 penalty at Phi, ``sum(weight_decay / 2 Phi^2)``, of the parameters that are not frozen."""
        return self.l2_penalty("weight_decay")

    def _misfit(self, name: str, value: Any) -> str | None:
        if name == "velocity" and value is not None and not self.momentum and self.velocity is None:
            return "velocity: expected None, since momentum is 0"
        return super()._misfit(name, value)


@cache
def _descent(decays: bool, maximize: bool) -> Kernel:
    """The update without momentum."""

    @kernel(into=("Phi",))
    def sgd(Phi: Array, g: Array, lr: float, weight_decay: float) -> Array:
        g = -g if maximize else g
        g = g + weight_decay * Phi if decays else g
        return Phi - lr * g

    return sgd


@cache
def _momentum(decays: bool, maximize: bool, nesterov: bool, dampens: bool) -> Kernel:
    """The update with momentum."""

    @kernel(into=("Phi", "v"))
    def sgd_momentum(
        Phi: Array, g: Array, v: Array, lr: float, weight_decay: float, momentum: float, dampening: float
    ) -> tuple[Array, Array]:
        g = -g if maximize else g
        g = g + weight_decay * Phi if decays else g
        v = momentum * v + ((1 - dampening) * g if dampens else g)
        return Phi - lr * (g + momentum * v if nesterov else v), v

    return sgd_momentum
