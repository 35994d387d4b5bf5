"""Sharing: what a training asks where several processes share its batches; nnlite.parallel answers."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Sharing(Protocol):
    """The processes that share the batches of a training, as the attribute ``sharing`` of a callback.

    Attributes:
        rank: the number of this process, from 0.
        ranks: how many there are.
    """

    rank: int
    ranks: int

    def kind_of_step(self, kind: Callable[..., Any]) -> Callable[..., Any]:
        """What makes, in place of this class, a step whose loss and gradient are those of the rows of all processes."""

    def measurements_in_training(self, loss: Any, metrics: Any, *, tried: bool) -> Any:
        """Measurements of batches of which each process has a share, and all have the loss."""

    def measurements(self, loss: Any, metrics: Any) -> Any:
        """Measurements of batches of which each is evaluated by one process."""

    def agree_to_stop(self, state: Any) -> None:
        """Stop the training in all processes if it stops in one; all call it after the same batch."""


def sharing_of(callbacks: Sequence[Any]) -> Sharing | None:
    """That of the first callback that has one.

    >>> sharing_of([print]) is None
    True
    """
    return next((each.sharing for each in callbacks if getattr(each, "sharing", None) is not None), None)
