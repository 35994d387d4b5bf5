"""Schedules that go up and down again and again: CyclicLR and CosineAnnealingWarmRestarts."""

import math
from dataclasses import dataclass

from nnlite.basics.checks import non_negative, one_of
from nnlite.optim.schedules import COUNT, checked, scaled

MODES = ("triangular", "triangular2", "exp_range")


@dataclass(frozen=True)
class CyclicLR:
    """Cycles of a linear increase and a linear decrease: ``base_lr + (max_lr - base_lr) u s``.

    With k cycles completed before step t, u is the share of the way from ``base_lr`` to ``max_lr``, from 0 to 1 and
    back, and s scales the cycles:

        s = 1            (triangular)
        s = 1 / 2^k      (triangular2)
        s = gamma^t      (exp_range)

    The momentum does not change, as with PyTorch's ``cycle_momentum=False``. There is no ``scale_fn``: write a function
    of the step.

    Args:
        base_lr: lowest learning rate, >= 0.
        max_lr: highest learning rate, >= 0.
        step_size_up: number of steps (batches, not epochs) of an increase, at least 1. Smith recommends 2 to 10 epochs.
        step_size_down: number of steps of a decrease, at least 1; None for as many.
        mode: "triangular", "triangular2" or "exp_range".
        gamma: factor of each step with "exp_range", >= 0.

    Raises:
        TypeError, ValueError: an argument is not a number, or out of range.

    Source: Smith, Cyclical learning rates for training neural networks, 2017.

    >>> schedule = CyclicLR(0.25, 1.25, step_size_up=2, mode="triangular2")
    >>> [schedule(step) for step in range(9)]
    [0.25, 0.75, 1.25, 0.75, 0.25, 0.5, 0.75, 0.5, 0.25]
    """

    base_lr: float
    max_lr: float
    step_size_up: int = 2000
    step_size_down: int | None = None
    mode: str = "triangular"
    gamma: float = 1.0

    def __post_init__(self) -> None:
        checked(self, base_lr=non_negative, max_lr=non_negative, step_size_up=COUNT, gamma=non_negative)
        if self.step_size_down is not None:
            checked(self, step_size_down=COUNT)
        one_of(self.mode, "CyclicLR: mode", MODES)

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        up, down = self.step_size_up, self.step_size_down or self.step_size_up
        k, t = divmod(step, up + down)
        u = t / up if t <= up else (up + down - t) / down
        height = (self.max_lr - self.base_lr) * u
        if self.mode == "exp_range":
            return self.base_lr + scaled(height, self.gamma, step)
        return self.base_lr + height * (0.5**k if self.mode == "triangular2" else 1.0)


@dataclass(frozen=True)
class CosineAnnealingWarmRestarts:
    """Cosine annealing that starts again: ``eta_min + (lr - eta_min) (1 + cos(pi t / T)) / 2``.

    t is the number of steps since the last restart, and T the number of steps to the next one: ``T_0``, then
    ``T_0 T_mult``, ``T_0 T_mult^2`` and so on.

    Args:
        lr: learning rate after each restart, >= 0.
        T_0: number of steps (batches, not epochs; see :class:`nnlite.PerEpoch`) to the first restart, at least 1.
        T_mult: factor of the number of steps after each restart, a whole number, at least 1.
        eta_min: lowest learning rate, >= 0.

    Raises:
        TypeError, ValueError: an argument is not a number, or out of range.

    Source: Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.

    >>> schedule = CosineAnnealingWarmRestarts(1.0, T_0=2, T_mult=2)
    >>> [round(schedule(step), 3) for step in range(7)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    lr: float
    T_0: int
    T_mult: int = 1
    eta_min: float = 0.0

    def __post_init__(self) -> None:
        checked(self, lr=non_negative, T_0=COUNT, T_mult=COUNT, eta_min=non_negative)

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        t, T = step, self.T_0
        if self.T_mult == 1:
            t %= T
        while t >= T:
            t, T = t - T, T * self.T_mult
        return self.eta_min + (self.lr - self.eta_min) * (1 + math.cos(math.pi * t / T)) / 2
