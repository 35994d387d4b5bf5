"""Metrics of one output of a model that has several."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.training.metrics.mean_over_batches import is_mean_over_batches, mark


class OutputMetric:
    """A metric of one output of a model of several.

    Args:
        metric: ``(Y_pred, Y) -> float``, of the output's predictions and targets.
        key: the name of the output, or its number in a tuple.

    >>> OutputMetric(lambda Y_pred, Y: Y_pred - Y, "a")({"a": 3, "b": 4}, {"a": 1})
    2
    """

    def __init__(self, metric: Callable[[Any, Any], float], key: Any) -> None:
        self.metric = metric
        self.key = key
        self.mean_over_batches = is_mean_over_batches(metric)
        self.over_entries, self.geometric = mark(metric, "over_entries"), mark(metric, "geometric")

    def __call__(self, Y_pred: Any, Y: Any) -> float:
        targets = dict(enumerate(Y)) if isinstance(Y, tuple) else Y
        if targets.get(self.key) is None:
            raise TypeError(f"metrics: the targets Y have no entry {self.key!r}, which a metric of that output needs")
        try:
            return self.metric(Y_pred[self.key], targets[self.key])
        except Exception as error:
            error.add_note(f"in a metric of output {self.key!r}")
            raise


def predictions(Y_pred: Any, name: str) -> Array:
    """The predictions as an array.

    Raises:
        TypeError: they are those of several outputs; the message has the line to write.

    >>> predictions((np.zeros((2, 3)), np.zeros((2, 1))), "accuracy")
    Traceback (most recent call last):
        ...
    TypeError: accuracy: expected the predictions of one output, got those of 2; ... metrics=([nnlite.accuracy], [])
    """
    several = isinstance(Y_pred, tuple) and any(isinstance(each, np.ndarray) for each in Y_pred)
    if several or isinstance(Y_pred, dict):
        one = f"{{{next(iter(Y_pred), 'name')!r}: [nnlite.{name}]}}"
        if several:
            one = f"([nnlite.{name}]{', []' * (len(Y_pred) - 1)})"
        raise TypeError(
            f"{name}: expected the predictions of one output, got those of {len(Y_pred)}; name the output that the "
            f"metric is for, in fit by metrics={one}"
        )
    return as_array(Y_pred, "Y_pred")
