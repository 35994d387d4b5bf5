"""PerEpoch: a schedule that counts epochs instead of steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from nnlite.errors import StateError


@dataclass(frozen=True)
class PerEpoch:
    """A schedule as a function of the epoch, which counts from 0: all steps of an epoch have one learning rate.

    The epoch is ``optimizer.epochs_done``, which ``fit`` counts, also in a stream of batches of unknown length. In a
    loop by hand, set it to 0 and add 1 after each epoch. In :class:`nnlite.SequentialLR` it may follow a warm-up that
    counts steps; its epochs are those of the whole training.

    Args:
        schedule: a schedule such as :class:`nnlite.StepLR`, whose numbers of steps then are numbers of epochs, or any
            function of the epoch.

    Raises:
        TypeError: ``schedule`` is not a function.
        ValueError: it counts epochs already.
        StateError: in ``optimizer.step()``, if ``epochs_done`` is not set, as it is in :func:`nnlite.fit`.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 1, rng=0))
    >>> optimizer = nn.SGD(model, lr=PerEpoch(nn.StepLR(0.5, step_size=1, gamma=0.5)))
    >>> history = nn.fit(model, [[1.0], [2.0]], [[1.0], [2.0]], loss=nn.MSELoss(), optimizer=optimizer, epochs=3,
    ...                  batch_size=1, callbacks=[nn.LearningRateLogger()], verbose=0)
    >>> history["lr"], optimizer.steps, optimizer.epochs_done
    ([0.5, 0.25, 0.125], 6, 3)
    """

    schedule: Callable[[int], float]

    counts_epochs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not callable(self.schedule) or isinstance(self.schedule, type):
            raise TypeError(f"PerEpoch: schedule: expected a function of the epoch, got {self.schedule!r}")
        if getattr(self.schedule, "counts_epochs", False):
            raise ValueError(f"PerEpoch: schedule: it counts epochs already: {self.schedule!r}")

    @property
    def last_epoch(self) -> int | None:
        """The last epoch with a learning rate; None if the schedule has no end."""
        last: int | None = getattr(self.schedule, "last_step", None)
        return last

    def at(self, step: int, epoch: int | None) -> float:
        """Return the learning rate of an epoch.

        Raises:
            StateError: the epoch is None.
        """
        if epoch is None:
            raise StateError(
                "PerEpoch: fit counts the epochs; in a loop by hand, write optimizer.epochs_done = 0 before the first "
                "epoch and optimizer.epochs_done += 1 after each"
            )
        return self.schedule(epoch)

    def __call__(self, step: int) -> float:
        """Raise: a step does not tell the epoch."""
        raise StateError(
            "PerEpoch: a step does not tell the epoch, which the optimizer knows: pass lr=PerEpoch(...) itself; in a "
            "schedule of your own, write schedule(step // steps_per_epoch)"
        )
