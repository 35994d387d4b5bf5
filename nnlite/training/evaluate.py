"""evaluate: the loss and the metrics of a model on given rows."""

import math
from typing import Any

import numpy as np

from nnlite.basics.checks import whole
from nnlite.basics.frames import indexed, is_frame
from nnlite.basics.trees import spread
from nnlite.containers.stateful import Stateful, stateful_layers
from nnlite.diagnostics.places import all_finite
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss import TargetError
from nnlite.losses.loss_arguments import arguments_of
from nnlite.losses.per_output import Losses, as_one_loss
from nnlite.training.batch import Batch
from nnlite.training.feature_names import check_feature_names
from nnlite.training.measurements import Measurements, Metric, named
from nnlite.training.rows import Rows
from nnlite.training.shape_advice import noting_shapes
from nnlite.training.sharing import Sharing
from nnlite.training.streams import Stream, rows_or_stream
from nnlite.training.weighted_loss import weighted


def evaluate(
    model: Layer,
    X: Any,
    Y: Any = None,
    *,
    loss: Any,
    metrics: Any = (),
    batch_size: int = 1024,
) -> dict[str, float]:
    """The loss and the metrics on the rows X, Y, in evaluation mode: ``{"loss": ..., "accuracy": ...}``.

    Each is the value on all rows, whatever the batch size; the loss is NaN where a prediction is. The model and the
    loss are not changed.

    Args:
        model: any Layer.
        X: the rows, or a dataset or batches of pairs (X, Y); see :func:`nnlite.fit`.
        Y: the targets of the rows.
        loss: a loss such as ``BCELoss()``, whose reduction is "mean" or "sum"; see :func:`nnlite.fit`.
        metrics: functions ``(Y_pred, Y) -> float``; their names become the keys. They are called once, on the
            predictions of all rows, which are kept in memory for them; those marked with
            :func:`nnlite.mean_over_batches`, such as :func:`nnlite.accuracy`, on each batch. For a model of several
            outputs also a tuple or dict of lists; see :func:`nnlite.fit`.
        batch_size: how many rows to read at a time.

    Raises:
        TypeError, ValueError: as :func:`nnlite.fit`.

    >>> import numpy as np, nnlite as nn
    >>> evaluate(nn.Identity(), np.ones((3, 1)), np.zeros((3, 1)), loss=nn.MSELoss())
    {'loss': 1.0}
    """
    check_layer(model, "model")
    loss, rows = as_loss(loss), rows_or_stream(X, Y)
    check_feature_names(model, rows)
    batch_size = whole(batch_size, "batch_size", least=1)
    return evaluate_rows(model, rows, loss, named(metrics), batch_size)


def evaluate_rows(
    model: Layer,
    rows: Rows | Stream,
    loss: Layer,
    metrics: dict[str, Metric],
    batch_size: int,
    sharing: Sharing | None = None,
) -> dict[str, float]:
    """As :func:`evaluate`, with checked arguments; batches in turn by the processes that share them."""
    model, loss = model.evaluation_twin(), loss.evaluation_twin()
    if getattr(rows, "by_step", False):  # only some steps of its batches count
        loss = weighted(loss, None, rows)
    measurements = Measurements(loss, metrics) if sharing is None else sharing.measurements(loss, metrics)
    stateful = stateful_layers(model)
    first, step = (0, 1) if sharing is None else (sharing.rank, sharing.ranks)
    with noting_shapes(rows, model):
        for batch in rows.batches(batch_size, first=first, step=step):
            start(stateful, batch)
            Y_pred = spread(model.forward, batch.X)
            measurements.add(batch, loss_of(loss, Y_pred, batch), Y_pred)
            carry(stateful)
    return measurements.values()


def start(stateful: list[tuple[str, Stateful]], batch: Batch) -> None:
    """Let the layers start anew where the sequences of the batch begin."""
    for _, layer in stateful if batch.starts else ():
        layer.reset_state()


def carry(stateful: list[tuple[str, Stateful]]) -> None:
    """Let the layers go on from here in the next batch."""
    for _, layer in stateful:
        layer.carry_state()


def loss_of(loss: Layer, Y_pred: Any, batch: Batch) -> float:
    """The loss of the batch; NaN also where the loss refuses predictions that are not finite.

    >>> import numpy as np, nnlite as nn
    >>> loss_of(nn.BCELoss(), np.array([np.nan]), Batch(None, np.array([1.0]), count=1))
    nan
    """
    inputs = arguments_of(loss, Y_pred, batch.Y)
    weight = {} if batch.weight is None else {"weight": batch.weight}
    try:
        J: float = loss.forward(*inputs, **weight)
    except (TypeError, ValueError) as error:
        _note_target(error, loss, Y_pred, batch)
        if isinstance(Y_pred, tuple | dict) and not isinstance(loss, Losses):
            error.add_note("the model has several outputs: pass a tuple or dict of losses, one for each")
            raise
        if isinstance(error, TypeError) or all_finite(Y_pred):
            raise
        return math.nan
    return J


def _note_target(error: Exception, loss: Layer, Y_pred: Any, batch: Batch) -> None:
    """Add to an error about the target the row of the user's own Y, or the line that gives Y the right shape."""
    rows = batch.source
    if rows is None:
        return
    name = rows.names[1]
    if isinstance(error, TargetError) and error.index:
        row = batch.row(error.index[0])
        code = ""
        if is_frame(rows.given[1]) and isinstance(rows.Y, np.ndarray) and rows.Y[row].item(0) == -1:
            code = "; -1 is the code of a missing value in pandas: leave out the row"
        error.add_note(f"this is row {row} of {name}{code}")
    if isinstance(error, ShapeError) and isinstance(rows.Y, np.ndarray):
        given, target = rows.given[1], batch.Y
        cure, twin = "", loss.evaluation_twin()
        line = indexed(name.split()[-1] if name.startswith("validation") else name.split()[0], given)
        column = "[:, None]" if target.ndim == 1 else "[..., None]"
        candidates = [(target[..., None], column), (target[..., :1].reshape(-1), "[:, 0]")]
        if isinstance(Y_pred, np.ndarray) and np.squeeze(target).shape == np.squeeze(Y_pred).shape:
            candidates.append((target.reshape(Y_pred.shape), f".reshape{(-1, *Y_pred.shape[1:])}".replace(",)", ")")))
        for other, index in candidates:
            if not cure and other.size == target.size and _accepts(twin, Y_pred, other):
                cure = f"; pass {line}{index}"
        error.add_note(f"{name}, of type {type(given).__name__}, has the shape {rows.Y.shape}{cure}")


def _accepts(loss: Layer, Y_pred: Any, target: Any) -> bool:
    try:
        loss.forward(*arguments_of(loss, Y_pred, target))
    except (TypeError, ValueError):
        return False
    return True


def as_loss(loss: Any) -> Layer:
    """``loss`` itself, or the sum of the losses in a tuple or dict.

    Raises:
        TypeError: something that is not a loss.
        ValueError: a loss returns an array, or one is used for two outputs.

    >>> import nnlite as nn
    >>> as_loss(nn.MSELoss())
    MSELoss()
    """
    joint = as_one_loss(loss)
    losses = joint.by_output.values() if isinstance(joint, Losses) else [joint]
    if any(getattr(each.original or each, "reduction", "mean") == "none" for each in losses):
        raise ValueError('loss: expected one number per batch, so reduction="mean" or "sum", got "none"')
    return joint
