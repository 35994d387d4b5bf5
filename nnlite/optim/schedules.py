"""Schedules: the learning rate as a function of the step, ``optimizer = SGD(model, lr=schedule)``.

A schedule knows nothing but its arguments: step t, the first of which is 0, gives the number that PyTorch's scheduler
of the same name has after t calls of its ``step()``. Any function of the step will do for one of your own.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nnlite.optim.checks import count, non_negative, one_of, positive, share, whole


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
        _check(self, lr=non_negative, factor=share, total_iters=count)

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
        _check(self, lr=non_negative, start_factor=positive, end_factor=share, total_iters=count)
        _check(self, start_factor=share)

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
        _check(self, lr=non_negative, step_size=count, gamma=non_negative)

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
        _check(self, lr=non_negative, milestones=_milestones, gamma=non_negative)
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
        _check(self, lr=non_negative, gamma=non_negative)

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
        _check(self, lr=non_negative, total_iters=count, power=non_negative)

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
        _check(self, lr=non_negative, T_max=count, eta_min=non_negative)

    def __call__(self, step: int) -> float:
        """``eta_min + (lr - eta_min) (1 + cos(pi t / T_max)) / 2``."""
        return self.eta_min + (self.lr - self.eta_min) * (1 + math.cos(math.pi * step / self.T_max)) / 2


@dataclass(frozen=True)
class OneCycleLR:
    """Up from ``lr / div_factor`` to ``lr``, then far down, to ``lr / div_factor / final_div_factor``.

    With N = total_steps and p = pct_start the rate is highest at p N - 1 and lowest at N - 1. In three phases it is
    back where it began at 2 p N - 2, and falls to the lowest from there. On the way from a to b, with u from 0 to 1,

        a + (b - a) u                        (linear)
        b + (a - b) (1 + cos(pi u)) / 2      (cos)

    The momentum stays as it is, as under PyTorch's ``cycle_momentum=False``.

    Args:
        lr: the highest learning rate, >= 0; PyTorch's ``max_lr``.
        total_steps: N, at least 1. Step N, the first after the cycle, has the lowest rate; the later ones have none.
        epochs: with ``steps_per_epoch``, in place of ``total_steps``, which is then their product.
        steps_per_epoch: see ``epochs``.
        pct_start: share of the steps on the way up, from 0 to 1.
        anneal_strategy: "cos" or "linear".
        div_factor: above 0.
        final_div_factor: above 0.
        three_phase: see above.

    Raises:
        TypeError, ValueError: an argument is no number, or out of its range; or there is no number of steps. When
            called: the step is beyond the last.

    Source: Smith and Topin, Super-convergence: very fast training of neural networks using large learning rates, 2019.

    >>> schedule = OneCycleLR(1.0, total_steps=6, pct_start=0.5, anneal_strategy="linear", div_factor=5)
    >>> [round(schedule(step), 3) for step in range(6)]
    [0.2, 0.6, 1.0, 0.667, 0.333, 0.0]
    """

    lr: float
    total_steps: int | None = None
    epochs: int | None = None
    steps_per_epoch: int | None = None
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False

    def __post_init__(self) -> None:
        _check(self, lr=non_negative, pct_start=share, div_factor=positive, final_div_factor=positive)
        one_of("OneCycleLR", "anneal_strategy", self.anneal_strategy, ("cos", "linear"))
        if self.total_steps is None:
            if self.epochs is None or self.steps_per_epoch is None:
                raise ValueError("OneCycleLR: expected total_steps, or epochs and steps_per_epoch")
            _check(self, epochs=count, steps_per_epoch=count)
            object.__setattr__(self, "total_steps", self.epochs * self.steps_per_epoch)
        _check(self, total_steps=count)
        object.__setattr__(self, "_phases", self._ends_and_rates())

    def _ends_and_rates(self) -> tuple[tuple[float, float, float], ...]:
        """(last step, rate at first, rate in the end) of each phase."""
        N: Any = self.total_steps
        first = self.lr / self.div_factor
        least = first / self.final_div_factor
        up = (self.pct_start * N - 1, first, self.lr)
        if self.three_phase:
            return up, (2 * self.pct_start * N - 2, self.lr, first), (N - 1, first, least)
        return up, (N - 1, self.lr, least)

    def __call__(self, step: int) -> float:
        """The way from a to b of the phase that the step is in."""
        N: Any = self.total_steps
        phases: tuple[tuple[float, float, float], ...] = self._phases  # type: ignore[attr-defined]
        if step >= N:
            if step > N:
                raise ValueError(f"OneCycleLR: expected a step of the {N} of this schedule, got step {step}")
            return phases[-1][2]
        begin, (end, a, b) = 0.0, phases[0]
        for phase in phases[1:]:
            if step > end:
                begin, (end, a, b) = end, phase
        u = (step - begin) / (end - begin) if end != begin else 1.0
        return a + (b - a) * u if self.anneal_strategy == "linear" else b + (a - b) / 2 * (1 + math.cos(math.pi * u))


@dataclass(frozen=True)
class SequentialLR:
    """One schedule after another: the k-th from milestone k - 1 on, where it begins with its own step 0.

    Args:
        schedulers: at least one, each with a learning rate of its own; any functions of the step.
        milestones: the step at which each but the first begins: whole numbers >= 0 that do not fall.

    Raises:
        TypeError: one of the schedules is not a function, or a milestone not a whole number.
        ValueError: the milestones are not one fewer than the schedules, or not in order.

    Source: warm-up, then decay, as in Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017.

    >>> warm_up = LinearLR(1.0, start_factor=0.25, total_iters=3)
    >>> schedule = SequentialLR([warm_up, ExponentialLR(1.0, gamma=0.5)], milestones=[3])
    >>> [schedule(step) for step in range(6)]
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]
    """

    schedulers: Sequence[Callable[[int], float]]
    milestones: Sequence[int]

    def __post_init__(self) -> None:
        _check(self, schedulers=_schedulers, milestones=_milestones)
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"SequentialLR: milestones: expected {len(self.schedulers) - 1}, one fewer than schedules, "
                f"got {len(self.milestones)}"
            )
        if list(self.milestones) != sorted(self.milestones):
            raise ValueError(f"SequentialLR: milestones: expected them in order, got {self.milestones}")

    def __call__(self, step: int) -> float:
        """What the schedule whose turn it is gives."""
        index = bisect_right(self.milestones, step)
        return self.schedulers[index](step - self.milestones[index - 1] if index else step)


def _check(schedule: Any, **checks: Callable[[str, str, Any], Any]) -> None:
    """Put what each check makes of the attribute of its name in the attribute's place."""
    for name, check in checks.items():
        object.__setattr__(schedule, name, check(type(schedule).__name__, name, getattr(schedule, name)))


def _milestones(owner: str, name: str, values: Any) -> tuple[int, ...]:
    try:
        values = tuple(values)
    except TypeError:
        raise TypeError(f"{owner}: {name}: expected a list of whole numbers, got {values!r}") from None
    return tuple(whole(owner, f"{name}[{index}]", value) for index, value in enumerate(values))


def _schedulers(owner: str, name: str, values: Any) -> tuple[Callable[[int], float], ...]:
    try:
        schedulers = tuple(values)
    except TypeError:
        raise TypeError(f"{owner}: {name}: expected a list of schedules, got {values!r}") from None
    if not schedulers:
        raise ValueError(f"{owner}: {name}: expected at least one, got none")
    for index, value in enumerate(schedulers):
        if not callable(value) or isinstance(value, type):
            raise TypeError(f"{owner}: {name}[{index}]: expected a function of the step, got {value!r}")
    return schedulers


def _power(base: float, exponent: int) -> float:
    """``base ** exponent``; inf where that overflows, which the optimizer will report."""
    try:
        return float(base**exponent)
    except OverflowError:
        return math.inf
