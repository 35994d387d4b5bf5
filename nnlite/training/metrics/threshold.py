"""The threshold between two classes: 0.5 for probabilities, 0 for logits."""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array


def threshold_for(Y_pred: Array, threshold: float | None, logits: bool, name: str) -> float:
    """The given threshold; by default 0 for logits and 0.5 for probabilities.

    Raises:
        ValueError: by default, Y_pred is to hold probabilities, but a value is outside of [0, 1].

    >>> threshold_for(np.array([3.0]), None, True, "f1")
    0.0
    >>> threshold_for(np.array([3.0]), None, False, "f1")
    Traceback (most recent call last):
        ...
    ValueError: f1: expected probabilities from 0 to 1, got 3.0 at index (0,); for logits pass logits=True
    """
    if threshold is not None:
        return threshold
    if logits:
        return 0.0
    outside = (Y_pred < 0) | (Y_pred > 1)
    if outside.any():
        index = tuple(map(int, np.argwhere(outside)[0])) if Y_pred.ndim else ()
        raise ValueError(
            f"{name}: expected probabilities from 0 to 1, got {Y_pred[index]} at index {index}; for logits pass "
            "logits=True"
        )
    return 0.5


def for_loss(metric: Callable[..., float], loss: Any) -> Callable[..., float]:
    """The metric for the predictions that the loss is given: with ``logits=True`` where they are logits.

    Only a metric with a parameter ``logits`` is changed, and only if neither it nor its threshold has been set.

    >>> import nnlite as nn
    >>> for_loss(nn.f1, nn.BCEWithLogitsLoss()).keywords
    {'logits': True}
    """
    if getattr(loss, "logits", None) is None or {"logits", "threshold"} & set(getattr(metric, "keywords", ())):
        return metric
    try:
        parameters = signature(metric).parameters
    except (TypeError, ValueError):  # it is written in C
        return metric
    if "logits" not in parameters:
        return metric
    if loss.logits:
        return partial(metric, logits=True)
    return partial(metric, threshold=0.5) if "threshold" in parameters else metric
