"""evaluate: the loss and the metrics of a model on given rows."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, SupportsFloat

import numpy as np

from nnlite.basics.checks import whole
from nnlite.basics.trees import each_of, listed, spread
from nnlite.diagnostics.trace import all_finite
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.per_output import Losses, as_one_loss, by_key
from nnlite.training.metrics.over_all_rows import sees_all_rows
from nnlite.training.rows import Rows, joined
from nnlite.training.sample_weights import weight_of
from nnlite.training.streams import Stream, not_empty, rows_or_stream

Metric = Callable[[Any, Any], float]


class Means:
    """The loss and the metrics over the batches seen so far.

    A batch weighs as much as it has rows; in the loss, as much as the loss itself divided by (with class weights, say,
    the sum of its rows' weights). So each is what all rows in one batch would give. For the metrics marked with
    :func:`nnlite.over_all_rows` the predictions and targets of all batches are kept, in copies, since a model or a
    stream of batches may fill the same array again.

    >>> import nnlite as nn
    >>> means = Means(nn.MSELoss(), {})
    >>> means.add(2, 1.0, None, None)
    >>> means.add(1, 4.0, None, None)
    >>> means.values()
    {'loss': 2.0}
    """

    def __init__(self, loss: Layer, metrics: dict[str, Metric]) -> None:
        self.metrics = metrics
        self.rows = self.batches = 0
        self.loss: Any = loss
        self.one = not isinstance(loss, Losses)
        self.parts = by_key(loss.losses) if isinstance(loss, Losses) else {"": loss}
        for key in self.parts:
            if f"loss_{key}" in metrics:
                raise ValueError(f"metrics: there are two series called 'loss_{key}'; give the function another name")
        self.loss_totals = dict.fromkeys(self.parts, 0.0)
        self.loss_weights = dict.fromkeys(self.parts, 0.0)
        self.totals = {name: 0.0 for name, metric in metrics.items() if not sees_all_rows(metric)}
        self.over_all_rows = [name for name in metrics if name not in self.totals]
        self.kept: list[tuple[Any, Any]] = []  # Y_pred and Y of each batch, if anybody asks for all rows

    def add(self, count: int, J: float, Y_pred: Any, Y: Any) -> None:
        """Take in one batch of ``count`` rows."""
        self.rows += count
        self.batches += 1
        Js = (J,) if self.one else self.loss.Js
        for key, part in zip(self.parts, Js, strict=True):
            weight = weight_of(self.parts[key], count)
            self.loss_totals[key] += part * (weight or 1)
            self.loss_weights[key] += weight
        for name in self.totals:
            self.totals[name] += self._value(name, Y_pred, Y) * count
        if self.over_all_rows:
            self.kept.append((each_of(np.array, Y_pred), each_of(np.array, Y)))

    def state_dict(self) -> dict[str, Any]:
        """What has been taken in so far."""
        names = "rows", "batches", "loss_totals", "loss_weights", "totals", "over_all_rows", "kept"
        state = {name: getattr(self, name) for name in names}
        lists = {name: list(state[name].values()) for name in ("loss_totals", "loss_weights", "totals")}
        return state | lists | {"means": list(self.totals)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state_dict` gave.

        Raises:
            ValueError: the metrics are others: they have not seen the rows so far.
        """
        then, now = {*state["means"], *state["over_all_rows"]}, set(self.metrics)
        if then != now or {*state["over_all_rows"]} != {*self.over_all_rows}:
            raise ValueError(
                f"metrics: expected those of before in the middle of an epoch, {sorted(then)}, got {sorted(now)}"
            )
        self.rows, self.batches, self.kept = state["rows"], state["batches"], list(state["kept"])
        self.loss_totals = dict(zip(self.parts, state["loss_totals"], strict=True))
        self.loss_weights = dict(zip(self.parts, state["loss_weights"], strict=True))
        self.totals = dict(zip(state["means"], state["totals"], strict=True))

    def so_far(self) -> dict[str, float]:
        """Name and mean of each, without the metrics over all rows; the loss is a sum where the loss itself is one."""
        losses = {f"loss_{key}": total / (self.loss_weights[key] or 1) for key, total in self.loss_totals.items()}
        each = losses if len(losses) > 1 else {}
        means = {name: total / self.rows for name, total in self.totals.items()}
        return {"loss": sum(losses.values()), **each, **means}

    def values(self) -> dict[str, float]:
        """As :meth:`so_far`, with the metrics over all rows, which are computed each time this is called."""
        values = self.so_far()
        if not self.over_all_rows:
            return values
        Y_pred, Y = (joined(batches) for batches in zip(*self.kept, strict=True))
        values |= {name: self._value(name, Y_pred, Y) for name in self.over_all_rows}
        losses = [name for name in values if name not in self.metrics]
        return {name: values[name] for name in [*losses, *self.metrics]}

    def _value(self, name: str, Y_pred: Any, Y: Any) -> float:
        value = self.metrics[name](Y_pred, Y)
        if np.ndim(value) or not isinstance(value, SupportsFloat):
            raise TypeError(f"metrics: expected {name} to return a number, got {value!r}")
        return float(value)


def evaluate(
    model: Layer,
    X: Any,
    Y: Any = None,
    *,
    loss: Any,
    metrics: Sequence[Metric] = (),
    batch_size: int = 1024,
) -> dict[str, float]:
    """The loss and the metrics on the rows X, Y, in evaluation mode: ``{"loss": ..., "accuracy": ...}``.

    Each is the value on all rows, however they fall into batches; the loss is NaN where a prediction is. Nothing is
    written on the model or the loss.

    Args:
        model: any Layer.
        X: the rows, or batches that come ready-made, and
        Y: the targets of rows; see :func:`nnlite.fit`.
        loss: a loss such as ``BCELoss()``, whose reduction is "mean" or "sum"; see :func:`nnlite.fit`.
        metrics: functions ``(Y_pred, Y) -> float``; their names become the keys. Those marked with
            :func:`nnlite.over_all_rows`, such as :func:`nnlite.f1`, are called once, on the predictions of all rows,
            which are kept in memory for them.
        batch_size: how many rows to take at a time.

    Raises:
        TypeError, ValueError: as :func:`nnlite.fit`.

    >>> import numpy as np, nnlite as nn
    >>> evaluate(nn.Identity(), np.ones((3, 1)), np.zeros((3, 1)), loss=nn.MSELoss())
    {'loss': 1.0}
    """
    check_layer(model, "model")
    loss = one_loss(loss)
    rows = rows_or_stream(X, Y)
    not_empty(rows, "X")
    batch_size = whole(batch_size, "batch_size", least=1)
    return evaluate_rows(model, rows, loss, named(metrics), batch_size)


def evaluate_rows(
    model: Layer, rows: Rows | Stream, loss: Layer, metrics: dict[str, Metric], batch_size: int
) -> dict[str, float]:
    """As :func:`evaluate`, with everything checked."""
    model, loss = model.evaluation_twin(), loss.evaluation_twin()
    means = Means(loss, metrics)
    for count, X, Y in rows.batches(batch_size):
        Y_pred = spread(model.forward, X)
        means.add(count, loss_of(loss, Y_pred, Y), Y_pred, Y)
    return means.values()


def loss_of(loss: Layer, Y_pred: Any, Y: Any) -> float:
    """The loss; NaN also where the loss itself refuses predictions that are not finite."""
    try:
        J: float = loss.forward(Y_pred, Y)
    except (TypeError, ValueError) as error:
        if isinstance(Y_pred, tuple | dict) and not isinstance(loss, Losses):
            error.add_note("the model gives several outputs: pass a loss for each, in a tuple or dict as they are")
            raise
        if isinstance(error, TypeError) or all_finite(Y_pred):
            raise
        return math.nan
    return J


def named(metrics: Sequence[Metric]) -> dict[str, Metric]:
    """The metrics under the names of their functions.

    Raises:
        TypeError: one is not a function.
        ValueError: two have one name, or one is called "loss".

    >>> import nnlite as nn
    >>> list(named([nn.accuracy]))
    ['accuracy']
    """
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


def one_loss(loss: Any) -> Layer:
    """``loss`` itself, or one that is the sum of those in a tuple or dict.

    Raises:
        TypeError: something that is not a loss.
        ValueError: its output is not one number.

    >>> import nnlite as nn
    >>> one_loss(nn.MSELoss())
    MSELoss()
    """
    joint = as_one_loss(loss)
    if any(getattr(each, "reduction", "mean") == "none" for each in listed(loss)):
        raise ValueError('loss: expected one number per batch, so reduction="mean" or "sum", got "none"')
    return joint
