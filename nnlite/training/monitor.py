"""Watching one of the epoch's values, for the callbacks that go by it."""

from collections.abc import Callable

from nnlite.basics.checks import one_of
from nnlite.training.training_state import Training

LARGER = ("acc", "precision", "recall", "f1", "auc", "r2", "score")  # of what is so called, more is better


def better(mode: str, monitor: str, min_delta: float = 0.0) -> Callable[[float, float], bool]:
    """Whether a new value of ``monitor`` is better than the best one so far, by more than ``min_delta``.

    Raises:
        ValueError: another mode than "min", "max" and "auto", which goes by the name.

    >>> better("auto", "val_accuracy")(0.9, 0.8), better("min", "loss", min_delta=0.1)(0.75, 0.8)
    (True, False)
    """
    one_of(mode, "mode", ("min", "max", "auto"))
    if mode == "max" or (mode == "auto" and any(word in monitor.lower() for word in LARGER)):
        return lambda new, best: new > best + min_delta
    return lambda new, best: new < best - min_delta


def monitored(state: Training, monitor: str) -> float:
    """The epoch's value that is watched.

    Raises:
        KeyError: there is none of that name; the message has those that there are.
    """
    if monitor not in state.values:
        raise KeyError(f"monitor: there is no {monitor!r} among {list(state.values)}")
    return state.values[monitor]
