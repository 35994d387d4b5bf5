"""What metrics know from the loss: the threshold between two classes, the axis of the classes, what is ignored."""

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
    """The metric for what the loss is given: whether predictions are logits, the ``dim`` of classes, ``ignore_index``.

    Only options that are parameters of the metric, and have not been set, are changed.

    >>> import nnlite as nn
    >>> for_loss(nn.f1, nn.BCEWithLogitsLoss()).keywords
    {'logits': True}
    >>> for_loss(nn.accuracy, nn.CrossEntropyLoss(dim=-1)).keywords
    {'dim': -1, 'ignore_index': -100}
    """
    logits, given = getattr(loss, "logits", None), set(getattr(metric, "keywords", ()))
    own = {"dim": getattr(loss, "dim", 1), "ignore_index": getattr(loss, "ignore_index", None)}
    own = {name: value for name, value in own.items() if value is not None and (name, value) != ("dim", 1)}
    if logits is None and not own:
        return metric
    try:
        parameters = signature(metric).parameters
    except (TypeError, ValueError):  # it is written in C
        return metric
    options: dict[str, Any] = {name: value for name, value in own.items() if name in parameters and name not in given}
    if logits is not None and "logits" in parameters and not {"logits", "threshold"} & given:
        if logits:
            options["logits"] = True
        elif "threshold" in parameters:
            options["threshold"] = 0.5
    return partial(metric, **options) if options else metric
