"""What the formulas of several optimizers have in common: averages of gradients, and weight decay."""

from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.checks import number
from nnlite.optim.optimizer import Optimizer


def check_betas(betas: tuple[float, float], name: str) -> tuple[float, float]:
    """Return the factors of two averages, each from 0 to below 1, as floats.

    Raises:
        TypeError, ValueError: they are not.
    """
    try:
        first, second = betas
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected two numbers, such as (0.9, 0.999), got {betas!r}") from None
    checked = number(first, f"{name}[0]"), number(second, f"{name}[1]")
    for index, beta in enumerate(checked):
        if not 0 <= beta < 1:
            raise ValueError(f"{name}[{index}]: expected a number from 0 to below 1, got {beta}")
    return checked


def decay_of(optimizer: Optimizer, lr: Any, decoupled: bool = False) -> tuple[Any, str]:
    """The number, or the array over Phi, that :func:`decayed` needs, and the way: "none", "L2" or "decoupled"."""
    weight_decay: Any = optimizer.over_Phi("weight_decay")
    if type(weight_decay) is float and weight_decay == 0:
        return 0.0, "none"
    return (1 - lr * weight_decay, "decoupled") if decoupled else (weight_decay, "L2")


def decayed(Phi: Array, g: Array, decay: float, way: str) -> tuple[Array, Array]:
    """Parameters and gradient with weight decay, in a kernel."""
    if way == "decoupled":
        return Phi * decay, g
    return Phi, (g + decay * Phi if way == "L2" else g)


def lerp(start: Array, end: Array, weight: float, near: bool) -> Array:
    """``start + weight (end - start)`` in a kernel, as ``torch.lerp`` rounds it: from the end that is nearer.

    ``near`` is ``weight < 0.5``, so ``beta > 0.5`` for the average ``beta m + (1 - beta) g``.
    """
    return start + weight * (end - start) if near else end - (end - start) * (1 - weight)
