"""Schedules: the learning rate as a function of the step, ``optimizer = SGD(model, lr=schedule)``.

A schedule knows nothing but its arguments: step t, the first of which is 0, gives the number that PyTorch's scheduler
of the same name has after t calls of its ``step()``. Any function of the step will do for one of your own. Those of
several phases are in phases.py.
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
    """A part of the learning rate at first: ``factor * lr`` for t < total_iters, then ``lr``.

    Args:
        lr: learning rate in the end, >= 0.
        factor: from 0 to 1.
        total_iters: how many steps take the part, at least 1.

    Raises:
        TypeError, ValueError: an argument is no number, or out of its range.

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
        """``factor * lr`` for t < total_iters, then ``lr``."""
        return self.lr * self.factor if step < self.total_iters else self.lr


@dataclass(frozen=True)
class LinearLR:
    """A warm-up along a straight line: ``lr (s + (e - s) min(t, n) / n)``.

    Args:
        lr: learning rate in the end, >= 0, times ``end_factor``.
        start_factor: s, above 0 and at most 1.
        end_factor: e, from 0 to 1.
        total_iters: n, the step that is the first to have the last value; at least 1.

    Raises:
        TypeError, ValueError: an argument is no number, or out of its range.

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
        """``lr (s + (e - s) min(t, n) / n)``."""
        done = min(step, self.total_iters) / self.total_iters
        return self.lr * (self.start_factor + (self.end_factor - self.start_factor) * done)


@dataclass(frozen=True)
class StepLR:
    """A fall by the same factor again and again: ``lr gamma^k`` with ``k = floor(t / step_size)``.

    Args:
        lr: learning rate at first, >= 0.
        step_size: steps from one fall to the next, at least 1.
        gamma: the factor, >= 0.

    Raises:
        TypeError, ValueError: an argument is no number, or out of its range.

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
        """``lr gamma^floor(t / step_size)``."""
        return self.lr * _power(self.gamma, step // self.step_size)


@dataclass(frozen=True)
class MultiStepLR:
    """A fall by the same factor at given steps: ``lr gamma^k``, where k is how many milestones are <= t.

    Args:
        lr: learning rate at first, >= 0.
        milestones: whole numbers >= 0, in any order; one that stands twice counts twice.
        gamma: the factor, >= 0.

    Raises:
        TypeError, ValueError: an argument is no number, or out of its range.

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
        """``lr gamma^k``, where k is how many milestones are <= t."""
        return self.lr * _power(self.gamma, bisect_right(self.milestones, step))


@dataclass(frozen=True)
class ExponentialLR:
    """A fall by the same factor at each step: ``lr gamma^t``.

    Args:
        lr: learning rate at first, >= 0.
        gamma: the factor, >= 0.

    Raises:
        TypeError, ValueError: an argument is no number, or out of its range.

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
        """``lr gamma^t``."""
        return self.lr * _power(self.gamma, step)


@dataclass(frozen=True)
class PolynomialLR:
    """A fall to 0 along a power of the steps left: ``lr (1 - min(t, n) / n)^power``.

    Args:
        lr: learning rate at first, >= 0.
        total_iters: n, the step that is the first to have 0; at least 1.
        power: >= 0; 1 is a straight line.

    Raises:
        TypeError, ValueError: an argument is no number, or out of its range.

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
        """``lr (1 - min(t, n) / n)^power``."""
        left: float = (1 - min(step, self.total_iters) / self.total_iters) ** self.power
        return self.lr * left


@dataclass(frozen=True)
class CosineAnnealingLR:
    """Half a wave of the cosine down to ``eta_min``: ``eta_min + (lr - eta_min) (1 + cos(pi t / T_max)) / 2``.

    After step T_max it rises again, to be back at ``lr`` at step 2 T_max, and so on.

    Args:
        lr: learning rate at first, >= 0.
        T_max: steps of the way down, at least 1.
        eta_min: the lowest learning rate, >= 0.

    Raises:
        TypeError, ValueError: an argument is no number, or out of its range.

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
        """``eta_min + (lr - eta_min) (1 + cos(pi t / T_max)) / 2``."""
        return self.eta_min + (self.lr - self.eta_min) * (1 + math.cos(math.pi * step / self.T_max)) / 2


def checked(schedule: Any, **checks: Callable[[Any, str], Any]) -> None:
    """Put what each check makes of the attribute of its name in the attribute's place."""
    for name, check in checks.items():
        object.__setattr__(schedule, name, check(getattr(schedule, name), f"{type(schedule).__name__}: {name}"))


def whole_numbers(values: Any, name: str) -> tuple[int, ...]:
    """``values`` as ints, if they are whole numbers >= 0.

    Raises:
        TypeError, ValueError: they are not.

    >>> whole_numbers([30, 80], "MultiStepLR: milestones")
    (30, 80)
    """
    try:
        values = tuple(values)
    except TypeError:
        raise TypeError(f"{name}: expected a list of whole numbers, got {values!r}") from None
    return tuple(whole(value, f"{name}[{index}]", least=0) for index, value in enumerate(values))


def _power(base: float, exponent: int) -> float:
    """``base ** exponent``; inf where that overflows, which the optimizer will report."""
    try:
        return float(base**exponent)
    except OverflowError:
        return math.inf
