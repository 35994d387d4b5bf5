"""Measurements: the loss and the metrics over the batches of an epoch or of an evaluation."""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, SupportsFloat

import numpy as np

from nnlite.basics.checks import whole
from nnlite.basics.trees import each_of
from nnlite.layer.layer import Layer
from nnlite.losses.per_output import Losses, by_key
from nnlite.training.batch import Batch
from nnlite.training.metrics.mean_over_batches import is_mean_over_batches, mark
from nnlite.training.metrics.one_output import OutputMetric
from nnlite.training.metrics.threshold import for_loss
from nnlite.training.rows import joined
from nnlite.training.weighted_loss import weight_of

Metric = Callable[[Any, Any], float]


class Measurements:
    """The loss and the metrics over the batches seen so far, equal to those of all their rows in one batch.

    In the mean of the loss a batch weighs what the loss divided by (the number of elements, or the sum of the
    weights); in the mean of a metric marked with :func:`nnlite.mean_over_batches` its number of rows, or for those of
    nnlite the number of entries that are not ignored. For other metrics copies of all predictions and targets are kept.

    Args:
        loss: the loss, or the :class:`Losses` of several outputs, that computes the J of each batch.
        metrics: functions ``(Y_pred, Y) -> float`` by name.
        tried: whether it is known that the metrics work; if not, they are tried on the first batch.

    >>> import nnlite as nn
    >>> measurements = Measurements(nn.MSELoss(), {})
    >>> measurements.add(Batch(None, None, count=2), 1.0, None)
    >>> measurements.add(Batch(None, None, count=1), 4.0, None)
    >>> measurements.values()
    {'loss': 2.0}
    """

    def __init__(self, loss: Layer, metrics: dict[str, Metric], *, tried: bool = True) -> None:
        self.loss: Any = loss
        self.several = isinstance(loss, Losses)
        losses = loss.by_output if isinstance(loss, Losses) else {"": loss}
        self.losses = list(losses.values())
        self.metrics = {name: _for_output(metric, loss) for name, metric in metrics.items()}
        self.loss_names = [f"loss_{key}" for key in losses]
        for name in self.loss_names:
            if name in metrics:
                raise ValueError(f"metrics: there are two series called {name!r}; give the function another name")
        self.over_all_rows = [name for name, metric in metrics.items() if not is_mean_over_batches(metric)]
        self.tried = tried
        self.clear()

    @property
    def names(self) -> list[str]:
        """The names of the values."""
        return ["loss", *(self.loss_names if self.several else ()), *self.metrics]

    def clear(self) -> None:
        """Start again, without batches."""
        self.rows = 0
        self.loss_totals = [0.0] * len(self.losses)
        self.loss_weights = [0.0] * len(self.losses)
        self.totals = {name: 0.0 for name in self.metrics if name not in self.over_all_rows}
        self.weights = dict.fromkeys(self.totals, 0.0)
        self.kept: list[tuple[Any, Any]] = []  # Y_pred and Y of each batch, for the metrics over all rows

    def add(self, batch: Batch, J: float, Y_pred: Any) -> None:
        """Add a batch with its loss and its predictions."""
        self.rows += batch.count
        Y, rows = batch.Y, batch.count
        if batch.inside is not None and self.metrics:  # metrics get the steps that count
            Y_pred, Y = Y_pred[batch.inside], Y[batch.inside]
            rows = len(Y)
        for number, loss in enumerate(self.losses):
            weight = weight_of(loss, batch.count)
            self.loss_totals[number] += (self.loss.Js[number] if self.several else J) * (weight or 1)
            self.loss_weights[number] += weight
        for name in self.totals:
            if weight := _entries(self.metrics[name], Y, rows):
                value = self._value(name, Y_pred, Y)
                self.totals[name] += (_logarithm(value) if mark(self.metrics[name], "geometric") else value) * weight
                self.weights[name] += weight
        if self.over_all_rows:
            self._try_out(Y_pred, Y)
            # Copies, since a model or a stream may reuse its arrays.
            self.kept.append((each_of(_copied, Y_pred), each_of(_copied, Y)))

    def _try_out(self, Y_pred: Any, Y: Any) -> None:
        """Call the metrics over all rows once, so that a wrong one is an error before the first step.

        Errors that may come from having few rows, such as those of a single class, are not counted.
        """
        if not self.tried:
            self.tried = True
            for name in self.over_all_rows:
                with suppress(ValueError, ArithmeticError, Warning):
                    self._value(name, Y_pred, Y)

    def so_far(self) -> dict[str, float]:
        """The value of each by name, without the metrics over all rows; the loss is a sum if its reduction is."""
        losses = [total / (weight or 1) for total, weight in zip(self.loss_totals, self.loss_weights, strict=True)]
        each = dict(zip(self.loss_names, losses, strict=True)) if len(losses) > 1 else {}
        means = {name: self._mean(name) for name in self.totals}
        total = self.loss.weighted_sum(losses) if self.several else losses[0]
        return {"loss": total, **each, **means}

    def values(self) -> dict[str, float]:
        """The value of each by name; the metrics over all rows are computed at each call."""
        values = self.so_far()
        if not self.over_all_rows:
            return values
        Y_pred, Y = (joined(batches) for batches in zip(*self.kept, strict=True))
        values |= {name: self._value(name, Y_pred, Y) for name in self.over_all_rows}
        losses = [name for name in values if name not in self.metrics]
        return {name: values[name] for name in [*losses, *self.metrics]}

    def _mean(self, name: str) -> float:
        mean = self.totals[name] / self.weights[name] if self.weights[name] else math.nan
        with np.errstate(over="ignore"):
            return float(np.exp(mean)) if mark(self.metrics[name], "geometric") else mean

    def _value(self, name: str, Y_pred: Any, Y: Any) -> float:
        value = self.metrics[name](Y_pred, Y)
        if np.ndim(value) or not isinstance(value, SupportsFloat):
            raise TypeError(f"metrics: expected {name} to return a number, got {value!r}")
        return float(value)

    def state_dict(self) -> dict[str, Any]:
        """The totals so far, for a checkpoint in the middle of an epoch."""
        names = "rows", "loss_totals", "loss_weights", "over_all_rows", "kept"
        state = {name: getattr(self, name) for name in names}
        totals = {"totals": list(self.totals.values()), "weights": list(self.weights.values())}
        return state | totals | {"means": list(self.totals)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            ValueError: the metrics are others, which have not seen the rows so far.
        """
        then, now = {*state["means"], *state["over_all_rows"]}, set(self.metrics)
        if then != now or {*state["over_all_rows"]} != {*self.over_all_rows}:
            raise ValueError(f"metrics: expected those of the interrupted epoch, {sorted(then)}, got {sorted(now)}")
        self.rows, self.kept = whole(state["rows"], "rows", least=0), list(state["kept"])
        totals, self.loss_totals, self.loss_weights = (
            [float(each) for each in state[name]] for name in ("totals", "loss_totals", "loss_weights")
        )
        self.totals = dict(zip(state["means"], totals, strict=True))
        weights = state.get("weights", [self.rows] * len(totals))  # which older files do not hold
        self.weights = dict(zip(state["means"], map(float, weights), strict=True))


def _entries(metric: Metric, Y: Any, rows: int) -> float:
    """How much a batch counts in the mean of a metric: its rows, or the entries of Y that are not ignored."""
    if not mark(metric, "over_entries"):
        return rows
    if isinstance(metric, OutputMetric):
        return _entries(metric.metric, by_key(Y).get(metric.key), rows)
    if not isinstance(Y, np.ndarray):
        return rows
    ignored = getattr(metric, "keywords", {}).get("ignore_index")
    return Y.size if ignored is None else int(np.count_nonzero(ignored != Y))


def _logarithm(value: float) -> float:
    return math.log(value) if value > 0 else math.nan


def _copied(values: Any) -> Any:
    return None if values is None else np.array(values)  # None: the target of an output without a loss


def _for_output(metric: Metric, loss: Any) -> Metric:
    """The metric for what the loss is given, of its own output if it is of one."""
    if not isinstance(metric, OutputMetric):
        return for_loss(metric, loss)
    outputs = by_key(loss.losses) if isinstance(loss, Losses) else {}
    if metric.key not in outputs:
        listing = ", ".join(map(str, outputs))
        which = f"the losses are of {listing}" if outputs else "there is one loss, so pass a list"
        raise TypeError(f"metrics: expected those of the outputs as the losses name them, got {metric.key!r}; {which}")
    return OutputMetric(for_loss(metric.metric, outputs[metric.key]), metric.key)


def named(metrics: Any) -> dict[str, Metric]:
    """The metrics by the names of their functions, those of one output of several followed by its name or number.

    Raises:
        TypeError: a metric is not a function.
        ValueError: two have one name, or one is called "loss".

    >>> import nnlite as nn
    >>> list(named([nn.accuracy]))
    ['accuracy']
    >>> list(named({"a": [nn.accuracy, nn.f1], "b": nn.r2})), list(named(([nn.accuracy], [nn.r2])))
    (['accuracy_a', 'f1_a', 'r2_b'], ['accuracy_0', 'r2_1'])
    """
    if isinstance(metrics, dict) or (isinstance(metrics, tuple) and any(isinstance(each, list) for each in metrics)):
        found: dict[str, Metric] = {}
        for key, each in by_key(metrics).items():
            own = named(each if isinstance(each, list | tuple) else [] if each is None else [each])
            found |= {f"{name}_{key}": OutputMetric(metric, key) for name, metric in own.items()}
        return found
    if not isinstance(metrics, list | tuple):
        raise TypeError(f"metrics: expected a list of functions such as [nnlite.accuracy], got {metrics!r}")
    result: dict[str, Metric] = {}
    for metric in metrics:
        function = metric.func if isinstance(metric, partial) else metric
        if not callable(function):
            raise TypeError(f"metrics: expected functions such as nnlite.accuracy, got {metric!r}")
        name = getattr(function, "__name__", type(function).__name__)
        if name in result or name == "loss":
            raise ValueError(f"metrics: there are two series called {name!r}; give one function another name")
        result[name] = metric
    return result
