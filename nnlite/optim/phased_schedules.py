"""Schedules of several phases: OneCycleLR and SequentialLR."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nnlite.basics.checks import non_negative, one_of, positive, share
from nnlite.optim.schedules import COUNT, checked, whole_numbers


@dataclass(frozen=True)
class OneCycleLR:
    """The 1cycle policy: up from ``lr / div_factor`` to ``lr``, then down to ``lr / div_factor / final_div_factor``.

    With N = total_steps and p = pct_start the learning rate is highest at step p N - 1 and lowest at step N - 1. With
    three phases it is back at the initial one at step 2 p N - 2, and decreases from there to the lowest. Between a and
    b, with u from 0 to 1, it is

        a + (b - a) u                        (linear)
        b + (a - b) (1 + cos(pi u)) / 2      (cos)

    The momentum does not change, as with PyTorch's ``cycle_momentum=False``.

    Args:
        lr: highest learning rate, >= 0; PyTorch's ``max_lr``.
        total_steps: N, at least 1. Step N, the first after the cycle, has the lowest rate; later steps are an error,
            which ``fit`` raises before the first step where it knows their number.
        epochs: together with ``steps_per_epoch`` instead of ``total_steps``, which is their product.
        steps_per_epoch: see ``epochs``.
        pct_start: share of the steps with an increasing learning rate, from 0 to 1.
        anneal_strategy: "cos" or "linear".
        div_factor: the initial learning rate is ``lr / div_factor``; above 0.
        final_div_factor: the lowest learning rate is the initial one divided by this; above 0.
        three_phase: whether there are three phases, see above.

    Raises:
        TypeError, ValueError: an argument is not a number, or out of range, or the number of steps is not given; when
            called, the step is above N.

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
        checked(self, lr=non_negative, pct_start=share, div_factor=positive, final_div_factor=positive)
        one_of(self.anneal_strategy, "OneCycleLR: anneal_strategy", ("cos", "linear"))
        if self.total_steps is None:
            if self.epochs is None or self.steps_per_epoch is None:
                raise ValueError("OneCycleLR: expected total_steps, or epochs and steps_per_epoch")
            checked(self, epochs=COUNT, steps_per_epoch=COUNT)
            object.__setattr__(self, "total_steps", self.epochs * self.steps_per_epoch)
        checked(self, total_steps=COUNT)
        object.__setattr__(self, "_phases", self._ends_and_rates())

    def _ends_and_rates(self) -> tuple[tuple[float, float, float], ...]:
        """Return (last step, initial rate, final rate) of each phase."""
        N: Any = self.total_steps
        first = self.lr / self.div_factor
        least = first / self.final_div_factor
        up = (self.pct_start * N - 1, first, self.lr)
        if self.three_phase:
            return up, (2 * self.pct_start * N - 2, self.lr, first), (N - 1, first, least)
        return up, (N - 1, self.lr, least)

    @property
    def last_step(self) -> int:
        """The last step with a learning rate, N."""
        N: Any = self.total_steps
        return int(N)

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        N: Any = self.total_steps
        phases: tuple[tuple[float, float, float], ...] = self._phases  # type: ignore[attr-defined]
        if step >= N:
            if step > N:
                raise ValueError(f"OneCycleLR: expected a step from 0 to {N} (total_steps), got {step}")
            return phases[-1][2]
        begin, (end, a, b) = 0.0, phases[0]
        for phase in phases[1:]:
            if step > end:
                begin, (end, a, b) = end, phase
        u = (step - begin) / (end - begin) if end != begin else 1.0
        return a + (b - a) * u if self.anneal_strategy == "linear" else b + (a - b) / 2 * (1 + math.cos(math.pi * u))


@dataclass(frozen=True)
class SequentialLR:
    """Several schedules one after another; each starts with its own step 0.

    Args:
        schedulers: the schedules: functions of the step, each with a learning rate of its own, or of the epoch; see
            :class:`nnlite.PerEpoch`.
        milestones: the step at which each schedule but the first starts: whole numbers >= 0 in ascending order.

    Raises:
        TypeError: one of the schedules is not a function, or a milestone is not a whole number.
        ValueError: there is not one milestone less than schedules, they are not in order, or a schedule ends before
            the next one starts.

    Source: warm-up, then decay, as in Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017.

    >>> from nnlite import ExponentialLR, LinearLR
    >>> warm_up = LinearLR(1.0, start_factor=0.25, total_iters=3)
    >>> schedule = SequentialLR([warm_up, ExponentialLR(1.0, gamma=0.5)], milestones=[3])
    >>> [schedule(step) for step in range(6)]
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]
    """

    schedulers: Sequence[Callable[[int], float]]
    milestones: Sequence[int]

    def __post_init__(self) -> None:
        checked(self, schedulers=_schedulers, milestones=whole_numbers)
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"SequentialLR: milestones: expected {len(self.schedulers) - 1}, one fewer than schedules, "
                f"got {len(self.milestones)}"
            )
        if list(self.milestones) != sorted(self.milestones):
            raise ValueError(f"SequentialLR: milestones: expected them in ascending order, got {self.milestones}")
        for scheduler, start, stop in zip(self.schedulers, (0, *self.milestones), self.milestones, strict=False):
            last = getattr(scheduler, "last_step", None)
            if last is not None and stop - start - 1 > last:
                raise ValueError(
                    f"SequentialLR: the schedule {type(scheduler).__name__} ends after {last} steps, but the next one "
                    f"starts after {stop - start}"
                )

    @property
    def last_step(self) -> int | None:
        """The last step with a learning rate; None if the last schedule has no end."""
        last: int | None = getattr(self.schedulers[-1], "last_step", None)
        return None if last is None else last + sum(self.milestones[-1:])

    @property
    def last_epoch(self) -> int | None:
        """The last epoch with a learning rate, if the last schedule counts epochs; None if it has no end."""
        last: int | None = getattr(self.schedulers[-1], "last_epoch", None)
        return last

    @property
    def counts_epochs(self) -> bool:
        """Whether one of the schedules counts epochs."""
        return any(getattr(scheduler, "counts_epochs", False) for scheduler in self.schedulers)

    def at(self, step: int, epoch: int | None) -> float:
        """Return the learning rate of a step in an epoch."""
        index = bisect_right(self.milestones, step)
        scheduler: Any = self.schedulers[index]
        step -= self.milestones[index - 1] if index else 0
        rate: float = scheduler.at(step, epoch) if getattr(scheduler, "counts_epochs", False) else scheduler(step)
        return rate

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        index = bisect_right(self.milestones, step)
        return self.schedulers[index](step - self.milestones[index - 1] if index else step)


def _schedulers(values: Any, name: str) -> tuple[Callable[[int], float], ...]:
    try:
        schedulers = tuple(values)
    except TypeError:
        raise TypeError(f"{name}: expected a list of schedules, got {values!r}") from None
    if not schedulers:
        raise ValueError(f"{name}: expected at least one, got none")
    for index, value in enumerate(schedulers):
        if not callable(value) or isinstance(value, type):
            raise TypeError(f"{name}[{index}]: expected a function of the step, got {value!r}")
    return schedulers
