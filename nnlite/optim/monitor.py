"""Monitor: one of the values of an epoch, and which of two is better; for all that watch one while a model trains."""

import re
from typing import Any

from nnlite.basics.checks import one_of

LOWER = {"error", "deviance", "perplexity", "brier", "mse", "rmse", "mae", "mape", "nll", "bce", "cer", "wer"}
HIGHER = {"accuracy", "acc", "precision", "recall", "sensitivity", "specificity", "f1", "auc", "r2", "iou", "dice"}


def direction(name: str, mode: str, owner: str) -> str:
    """``"min"`` or ``"max"``: the mode, or with ``mode="auto"`` what the words in the name say.

    Args:
        name: of the value, such as "val_loss" or "roc_auc".
        mode: "min" if lower values are better, "max" if higher ones are, or "auto".
        owner: what to call the caller in an error, such as "EarlyStopping".

    Raises:
        ValueError: another mode; or "auto" for a name that does not tell.
    """
    if one_of(mode, f"{owner}: mode", ("min", "max", "auto")) != "auto":
        return mode
    words = set(re.findall("[a-z]+[0-9]*", name.lower()))
    negated = words & {"neg", "negative"}  # as in scikit-learn's "neg_log_loss", of which higher is better
    if "loss" in words and not negated:  # also one of an output called "accuracy"
        return "min"
    lower, higher = words & LOWER, words & HIGHER
    if bool(lower) == bool(higher) or negated:
        raise ValueError(
            f"{owner}: the name {name!r} does not tell whether lower or higher values are better; "
            'pass mode="min" or mode="max"'
        )
    return "min" if lower else "max"


class Monitor:
    """A value of the epoch that something watches.

    Args:
        owner: who watches it, for errors.
        name: of the value, such as "val_loss".
        mode: "min" if lower values are better, "max" if higher ones are, or "auto", by the name.
        min_delta: the least difference that counts as an improvement.

    Raises:
        TypeError: the name is not a string.
        ValueError: another mode, or "auto" where the name does not tell.

    >>> monitor = Monitor("EarlyStopping", "val_accuracy", "auto")
    >>> monitor.is_better(0.9, 0.8)
    True
    """

    def __init__(self, owner: str, name: str, mode: str, min_delta: float = 0.0) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{owner}: monitor: expected a name such as 'val_loss', got {name!r}")
        self.owner = owner
        self.name = name
        self.mode = direction(name, mode, owner)
        self.min_delta = min_delta

    def is_better(self, new: float, best: float) -> bool:
        """Whether a new value is an improvement on the best one."""
        return new > best + self.min_delta if self.mode == "max" else new < best - self.min_delta

    def check(self, state: Any) -> None:
        """Check before training that there will be the value, as far as it is known.

        Raises:
            ValueError: it is one of the validation, and there are no validation data.
        """
        base = self.name.removeprefix("val_")
        missing = base != self.name and base in state.means.names and state.validation is None
        if missing and self.name not in state.extra:  # where a callback may have announced a value of its own
            raise ValueError(
                f"{self.owner}: monitor: there is no {self.name!r} without validation data; pass validation_split=0.2 "
                f"or validation_data=(X, Y) to fit, or monitor={base!r}"
            )

    def value(self, state: Any) -> float:
        """The value of the epoch.

        Raises:
            KeyError: there is none of that name; the message lists those that there are.
        """
        if self.name not in state.values:
            raise KeyError(f"{self.owner}: monitor: there is no {self.name!r} among {list(state.values)}")
        value: float = state.values[self.name]
        return value
