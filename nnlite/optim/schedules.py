"""Schedules: the learning rate as a function of the step, ``optimizer = SGD(model, lr=schedule)``.

``schedule(t)`` is the learning rate that PyTorch's scheduler of the same name has after t calls of its ``step()``. A
schedule of your own is any function of the step, which counts from 0: ``lr=lambda t: 0.1 / (1 + t)`` is its LambdaLR.
OneCycleLR and SequentialLR are in phased_schedules.py, those that repeat in cyclic_schedules.py; Warmup and PerEpoch,
which change what another schedule does, are in warmup.py and per_epoch.py.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nnlite.basics.checks import non_negative, positive, share, whole

COUNT = partial(whole, least=1)


@dataclass(frozen=True)
class ConstantLR:
    """Constant warm-up: ``factor * lr`` for t < total_iters, then ``lr``.

    Args:
        lr: final learning rate, >= 0.
        factor: factor of the learning rate during the warm-up, from 0 to 1.
        total_iters: number of steps of the warm-up, at least 1.

    Raises:
        TypeError, ValueError: an argument is not a number, or out of range.

    Source: the constant warm-up of He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016.

    >>> schedule = ConstantLR(0.8, factor=0.25, total_iters=2)
    >>> [schedule(step) for step in range(4)]
    [0.2, 0.2, 0.8, 0.8]
    """

    lr: float
    factor: float = 1.0 / 3
    total_iters: int = 5

    def __post_init__(self) -> None:
        checked(self, lr=non_negative, factor=share, total_iters=COUNT)

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.lr * self.factor if step < self.total_iters else self.lr


@dataclass(frozen=True)
class LinearLR:
    """Linear warm-up or decay: ``lr (s + (e - s) min(t, n) / n)``.

    Args:
        lr: learning rate, >= 0; the final one is ``lr * end_factor``.
        start_factor: s, above 0 and at most 1.
        end_factor: e, from 0 to 1.
        total_iters: n, the first step with the final value; at least 1.

    Raises:
        TypeError, ValueError: an argument is not a number, or out of range.

    Source: Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017.

    >>> schedule = LinearLR(1.0, start_factor=0.25, total_iters=3)
    >>> [schedule(step) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    lr: float
    start_factor: float = 1.0 / 3
    end_factor: float = 1.0
    total_iters: int = 5

    def __post_init__(self) -> None:
        checked(self, lr=non_negative, start_factor=positive, end_factor=share, total_iters=COUNT)
        checked(self, start_factor=share)

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        done = min(step, self.total_iters) / self.total_iters
        return self.lr * (self.start_factor + (self.end_factor - self.start_factor) * done)


@dataclass(frozen=True)
class StepLR:
    """Step decay: ``lr gamma^k`` with ``k = floor(t / step_size)``.

    Args:
        lr: initial learning rate, >= 0.
        step_size: number of steps (batches, not epochs; see :class:`nnlite.PerEpoch`) between two decays, at least 1.
        gamma: factor of each decay, >= 0.

    Raises:
        TypeError, ValueError: an argument is not a number, or out of range.

    Source: Szegedy et al., Going deeper with convolutions, 2015.

    >>> schedule = StepLR(0.5, step_size=2, gamma=0.5)
    >>> [schedule(step) for step in range(5)]
    [0.5, 0.5, 0.25, 0.25, 0.125]
    """

    lr: float
    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        checked(self, lr=non_negative, step_size=COUNT, gamma=non_negative)

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        return scaled(self.lr, self.gamma, step // self.step_size)


@dataclass(frozen=True)
class MultiStepLR:
    """Step decay at given steps: ``lr gamma^k``, where k is the number of milestones <= t.

    Args:
        lr: initial learning rate, >= 0.
        milestones: the steps of the decays: whole numbers >= 0, in any order; a repeated one counts twice.
        gamma: factor of each decay, >= 0.

    Raises:
        TypeError, ValueError: an argument is not a number, or out of range.

    Source: He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016.

    >>> schedule = MultiStepLR(0.5, milestones=[1, 3], gamma=0.5)
    >>> [schedule(step) for step in range(5)]
    [0.5, 0.25, 0.25, 0.125, 0.125]
    """

    lr: float
    milestones: Sequence[int]
    gamma: float = 0.1

    def __post_init__(self) -> None:
        checked(self, lr=non_negative, milestones=whole_numbers, gamma=non_negative)
        object.__setattr__(self, "milestones", tuple(sorted(self.milestones)))

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        return scaled(self.lr, self.gamma, bisect_right(self.milestones, step))


@dataclass(frozen=True)
class ExponentialLR:
    """Exponential decay: ``lr gamma^t``.

    Args:
        lr: initial learning rate, >= 0.
        gamma: factor of each step, >= 0.

    Raises:
        TypeError, ValueError: an argument is not a number, or out of range.

    Source: Senior, Heigold, Ranzato and Yang, An empirical study of learning rates in deep neural networks for speech
    recognition, 2013.

    >>> schedule = ExponentialLR(1.0, gamma=0.5)
    >>> [schedule(step) for step in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    lr: float
    gamma: float

    def __post_init__(self) -> None:
        checked(self, lr=non_negative, gamma=non_negative)

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        return scaled(self.lr, self.gamma, step)


@dataclass(frozen=True)
class PolynomialLR:
    """Polynomial decay to 0: ``lr (1 - min(t, n) / n)^power``.

    Args:
        lr: initial learning rate, >= 0.
        total_iters: n, the first step with a learning rate of 0; at least 1.
        power: exponent, >= 0; 1 is linear decay.

    Raises:
        TypeError, ValueError: an argument is not a number, or out of range.

    Source: Chen, Papandreou, Kokkinos, Murphy and Yuille, DeepLab: semantic image segmentation with deep convolutional
    nets, atrous convolution, and fully connected CRFs, 2018.

    >>> schedule = PolynomialLR(1.0, total_iters=4, power=2.0)
    >>> [schedule(step) for step in range(6)]
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    lr: float
    total_iters: int = 5
    power: float = 1.0

    def __post_init__(self) -> None:
        checked(self, lr=non_negative, total_iters=COUNT, power=non_negative)

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        left: float = (1 - min(step, self.total_iters) / self.total_iters) ** self.power
        return self.lr * left


@dataclass(frozen=True)
class CosineAnnealingLR:
    """Cosine annealing: ``eta_min + (lr - eta_min) (1 + cos(pi t / T_max)) / 2``.

    It has the period 2 T_max: after step T_max the learning rate increases again, to ``lr`` at step 2 T_max.

    Args:
        lr: initial learning rate, >= 0.
        T_max: number of steps from ``lr`` to ``eta_min``, at least 1.
        eta_min: lowest learning rate, >= 0.

    Raises:
        TypeError, ValueError: an argument is not a number, or out of range.

    Source: Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.

    >>> schedule = CosineAnnealingLR(1.0, T_max=2)
    >>> [round(schedule(step), 3) for step in range(5)]
    [1.0, 0.5, 0.0, 0.5, 1.0]
    """

    lr: float
    T_max: int
    eta_min: float = 0.0

    def __post_init__(self) -> None:
        checked(self, lr=non_negative, T_max=COUNT, eta_min=non_negative)

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.eta_min + (self.lr - self.eta_min) * (1 + math.cos(math.pi * step / self.T_max)) / 2


def checked(schedule: Any, /, **checks: Callable[[Any, str], Any]) -> None:
    """Replace each named attribute of the frozen schedule by what its check returns."""
    for name, check in checks.items():
        object.__setattr__(schedule, name, check(getattr(schedule, name), f"{type(schedule).__name__}: {name}"))


def whole_numbers(values: Any, name: str) -> tuple[int, ...]:
    """Return ``values`` as a tuple of ints >= 0.

    Raises:
        TypeError, ValueError: one is not a whole number >= 0.
    """
    try:
        values = tuple(values)
    except TypeError:
        raise TypeError(f"{name}: expected a list of whole numbers, got {values!r}") from None
    return tuple(whole(value, f"{name}[{index}]", least=0) for index, value in enumerate(values))


def scaled(lr: float, gamma: float, exponent: int) -> float:
    """Return ``lr * gamma ** exponent``: inf if the power overflows, which the optimizer reports; 0 if lr is 0."""
    try:
        return float(lr * gamma**exponent)
    except OverflowError:
        return math.copysign(math.inf, lr) if lr else 0.0
