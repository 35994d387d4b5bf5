"""Warmup: a schedule whose first learning rates are smaller."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from nnlite.basics.checks import non_negative
from nnlite.optim.schedules import COUNT, checked


@dataclass(frozen=True)
class Warmup:
    """Linear warm-up of any schedule: its learning rate times ``min(1, (t + 1) / steps)``.

    Unlike in :class:`nnlite.SequentialLR`, the schedule counts from the first step of the training on, so that its
    length remains what it is. It may count epochs, ``Warmup(PerEpoch(schedule), 500)``; in
    ``PerEpoch(Warmup(schedule, 5))`` the warm-up takes epochs. For Adam a warm-up of ``2 / (1 - beta2)`` steps, 2,000
    by default, needs no tuning.

    Args:
        schedule: a schedule such as :class:`nnlite.CosineAnnealingLR`, any function of the step, or a number.
        steps: number of steps of the warm-up, at least 1; the last of them has the full learning rate.

    Raises:
        TypeError, ValueError: ``schedule`` is neither a function nor a number >= 0, or ``steps`` is not a whole number
            above 0.

    Sources: Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017; Ma and Yarats, On the
    adequacy of untuned warmup for adaptive optimization, 2021.

    >>> from nnlite import StepLR
    >>> schedule = Warmup(StepLR(1.0, step_size=5, gamma=0.5), steps=4)
    >>> [schedule(step) for step in range(7)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.5]
    """

    schedule: Callable[[int], float] | float
    steps: int

    def __post_init__(self) -> None:
        checked(self, schedule=_schedule, steps=COUNT)

    @property
    def last_step(self) -> int | None:
        """The last step with a learning rate; None if the schedule has no end."""
        last: int | None = getattr(self.schedule, "last_step", None)
        return last

    @property
    def last_epoch(self) -> int | None:
        """The last epoch with a learning rate, if the schedule counts epochs; None if it has no end."""
        last: int | None = getattr(self.schedule, "last_epoch", None)
        return last

    @property
    def counts_epochs(self) -> bool:
        """Whether the schedule counts epochs."""
        return getattr(self.schedule, "counts_epochs", False)

    def at(self, step: int, epoch: int | None) -> float:
        """Return the learning rate of a step in an epoch."""
        schedule: Any = self.schedule
        return self._warmed(step, schedule.at(step, epoch) if self.counts_epochs else schedule(step))

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self._warmed(step, self.schedule(step) if callable(self.schedule) else self.schedule)

    def _warmed(self, step: int, lr: float) -> float:
        if not isinstance(lr, Real):
            return lr  # the optimizer reports it
        return lr * min(1.0, (step + 1) / self.steps)


def _schedule(value: Any, name: str) -> Any:
    if isinstance(value, type):
        raise TypeError(f"{name}: expected a schedule or a number, got the class itself; write {value.__name__}(...)")
    return value if callable(value) else non_negative(value, name)
