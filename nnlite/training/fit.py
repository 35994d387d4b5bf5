"""fit: the training loop."""

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from numbers import Real
from typing import Any

import numpy as np

from nnlite.arrays import Array, listed, spread
from nnlite.diagnostics.trace import first_not_finite
from nnlite.errors import DivergenceError
from nnlite.initializers import Rng
from nnlite.layer import Layer, check_layer, may_leave_out_dX
from nnlite.optim.optimizer import Optimizer
from nnlite.parameters import check_ties, check_whole
from nnlite.training.data import Rows
from nnlite.training.evaluate import Means, Metric, evaluate_rows, loss_of, named, not_empty, one_loss
from nnlite.training.history import History
from nnlite.training.interrupts import Interrupts
from nnlite.training.losses import Losses
from nnlite.training.predict import at_least
from nnlite.training.progress import progress


def fit(
    model: Layer,
    X: Any,
    Y: Any,
    *,
    loss: Any,
    optimizer: Optimizer | Sequence[Optimizer],
    epochs: int = 1,
    batch_size: int = 32,
    shuffle: bool = True,
    validation_data: tuple[Any, Any] | None = None,
    validation_split: float = 0.0,
    metrics: Sequence[Metric] = (),
    verbose: int = 1,
    on_nan: str = "raise",
    rng: Rng = None,
) -> History:
    """Train a model: for each batch of each epoch forward, loss, backward, step.

    Args:
        model: any Layer. It trains in training mode and gets its mode back at the end.
        X: the rows: an array, a nested list, or any object with ``len`` and row indexing, such as ``np.memmap``, which
            is read a batch at a time. Never written. For a model of several inputs a tuple of these, or a dict.
        Y: their targets, likewise, in the form that the loss expects.
        loss: a loss such as ``BCELoss()``, whose reduction is "mean" or "sum". For a model of several outputs a tuple
            or dict of losses, as the model's output is; what is trained on is their sum. Y is then a tuple or dict,
            too, and so is what metrics are given.
        optimizer: one, or a list of several on different parts of the model.
        epochs: how many times to go through the rows.
        batch_size: rows per step; the last batch of an epoch has what is left.
        shuffle: put the rows in a new random order each epoch.
        validation_data: (X, Y) to evaluate after each epoch.
        validation_split: share of the rows, from 0 to 1, drawn at random, to hold back for validation instead.
        metrics: functions ``(Y_pred, Y) -> float``, such as :func:`nnlite.accuracy`. Those of the training rows are
            means over the epoch, while the model learns, as the loss is.
        verbose: 0 is silent; 1 shows a bar on a terminal or in a notebook, and lines where stderr is a file.
        on_nan: "raise" a DivergenceError when the loss is NaN or infinite, or "stop" with a warning and return.
        rng: seed or generator for the order of the rows.

    Returns:
        The series "loss", "val_loss" and one or two for each metric, a value an epoch; of several losses also each, as
        "loss_0" or "loss_" and its name.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the message names it. Nothing is trained then: the
            metrics and one batch of the validation data are tried out before the first step.
        DivergenceError: the loss is NaN or infinite; the parameters are those from before that step. Or the parameters
            are, at the end of an epoch.
        KeyboardInterrupt: on Ctrl-C, after the batch in hand; SIGTERM likewise ends in SystemExit(143).

    One model must not be trained by two threads at once.

    >>> import nnlite as nn
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> Y = np.array([[0], [1], [1], [0]])
    >>> rng = np.random.default_rng(0)
    >>> model = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng), nn.Sigmoid())
    >>> history = fit(model, X, Y, loss=nn.BCELoss(), optimizer=nn.SGD(model, lr=1.0), epochs=300, verbose=0, rng=rng)
    >>> history["loss"][-1] < 0.1
    True
    """
    check_layer(model, "model")
    check_whole(model)
    check_ties(model)
    loss = one_loss(loss)
    optimizers = _optimizers(optimizer, model, loss)
    epochs, batch_size = at_least("epochs", epochs, 0), at_least("batch_size", batch_size, 1)
    metrics_by_name = named(metrics)
    if on_nan not in ("raise", "stop"):
        raise ValueError(f"on_nan: expected 'raise' or 'stop', got {on_nan!r}")
    rng = np.random.default_rng(rng)
    rows = Rows(X, Y)
    not_empty(rows, "X")
    rows, validation = _split(rows, validation_data, validation_split, rng)

    history = History()
    shown = progress(epochs, math.ceil(len(rows) / batch_size), verbose)
    # A loss that overflows is reported as a DivergenceError, so NumPy need not warn of it as well.
    with Interrupts() as interrupted, _training(model), shown, np.errstate(over="ignore", invalid="ignore"):
        if validation is not None:
            _try_out(model, validation, loss, metrics_by_name, batch_size)
        for epoch in range(1, epochs + 1):
            means = Means(loss, metrics_by_name)
            for count, X_batch, Y_batch in rows.batches(batch_size, rng if shuffle else None):
                Y_pred = spread(model.forward, X_batch)
                J = loss_of(loss, Y_pred, Y_batch)
                if not math.isfinite(J):
                    place = f"epoch {epoch}, batch {means.batches + 1}"
                    _diverged(model, [(X_batch, Y_batch)], J, place, "before this step", on_nan)
                    return history
                means.add(count, J, Y_pred, Y_batch)
                spread(model.backward, loss.backward())
                for each in optimizers:
                    each.step()
                shown.batch(means.values)
                if interrupted:
                    return history  # and the signal takes its course as the with statement ends
            values = means.values()
            if not np.isfinite(model.Phi).all():
                place = f"epoch {epoch}, but then"
                _diverged(model, [(X_batch, Y_batch)], values["loss"], place, "the end of this epoch", on_nan)
                return history
            if validation is not None:
                validated = evaluate_rows(model, validation, loss, metrics_by_name, batch_size)
                values |= {f"val_{name}": value for name, value in validated.items()}
                if not math.isfinite(values["val_loss"]):
                    place = f"epoch {epoch}, validation"
                    seen = ((X, Y) for _, X, Y in validation.batches(batch_size))
                    _diverged(model, seen, values["val_loss"], place, "the end of this epoch", on_nan)
                    return history
            history.add(values)
            shown.epoch(epoch, values)
    return history


@contextmanager
def _training(model: Layer) -> Iterator[None]:
    """Training mode, and no dX of the model's own input, which nobody would read; then all as it was."""
    before = [(layer, layer.training, layer.needs_dX) for _, layer in model.named_layers()]
    model.train()
    model.needs_dX = not may_leave_out_dX(model)
    try:
        yield
    finally:
        for layer, training, needs_dX in before:
            layer.training = training
            layer.needs_dX = needs_dX


def _optimizers(optimizer: Any, model: Layer, loss: Layer) -> list[Optimizer]:
    """The optimizers as a list, each of which moves something that is trained here."""
    optimizers = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    if not optimizers:
        raise ValueError("optimizer: expected at least one, got an empty list")
    for each in optimizers:
        if not isinstance(each, Optimizer):
            raise TypeError(f"optimizer: expected one such as SGD(model, lr=0.1), got {each!r}")
        trained = [model, *(listed(loss.losses) if isinstance(loss, Losses) else [loss])]
        if not any(_lies_in(each.layer.Phi, layer.Phi) for layer in trained):
            raise ValueError(
                f"optimizer: {each!r} moves parameters that are not in {model.one_line()}; make it from this model"
            )
    for one, other in combinations(optimizers, 2):
        if np.may_share_memory(one.layer.Phi, other.layer.Phi):
            raise ValueError(f"optimizer: {one!r} and {other!r} move the same parameters")
    return optimizers


def _lies_in(part: Array, whole: Array) -> bool:
    low, high = np.lib.array_utils.byte_bounds(whole)
    start, stop = np.lib.array_utils.byte_bounds(part)
    return low <= start and stop <= high


def _try_out(model: Layer, validation: Rows, loss: Layer, metrics: dict[str, Metric], batch_size: int) -> None:
    """Validate on one batch, so that a mistake in the validation data comes up before anything is trained."""
    numbers = np.arange(len(validation)) if validation.numbers is None else validation.numbers
    try:
        evaluate_rows(model, validation.subset(numbers[:batch_size]), loss, metrics, batch_size)
    except Exception as error:
        error.add_note("on the validation data, tried out before training")
        raise


def _split(
    rows: Rows, data: tuple[Any, Any] | None, share: float, rng: "np.random.Generator"
) -> tuple[Rows, Rows | None]:
    """The rows to train on, and those to validate on."""
    if data is not None:
        if share:
            raise ValueError("validation_split: expected 0 where validation_data is given")
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise TypeError("validation_data: expected a pair (X, Y)")
        validation = Rows(*data, names=("validation X", "validation Y"))
        not_empty(validation, "validation X")
        return rows, validation
    if not isinstance(share, Real) or not 0 <= share < 1:
        raise ValueError(f"validation_split: expected a share from 0 to below 1, got {share!r}")
    if not share:
        return rows, None
    held_back = round(len(rows) * float(share))
    if not 0 < held_back < len(rows):
        raise ValueError(
            f"validation_split: {share} of {len(rows)} rows leaves {held_back} to validate on and "
            f"{len(rows) - held_back} to train on; expected at least one of each"
        )
    order = rng.permutation(len(rows))
    return rows.subset(order[:-held_back]), rows.subset(order[-held_back:])


def _diverged(model: Layer, batches: Iterable[tuple[Any, Any]], J: float, place: str, kept: str, on_nan: str) -> None:
    """Raise a DivergenceError that says where it began, or warn."""
    cause = next(filter(None, (_cause(model, X, Y) for X, Y in batches)), "the loss overflows on finite predictions")
    message = (
        f"the loss is {J} in {place}: {cause}. The parameters are those from {kept}. "
        "Likely causes: a learning rate that is too large, or inputs that are not scaled"
    )
    if on_nan == "raise":
        raise DivergenceError(message)
    warnings.warn(message, RuntimeWarning, stacklevel=3)


def _cause(model: Layer, X: Any, Y: Any) -> str | None:
    finite = all(np.isfinite(each).all() for each in listed(Y))
    return first_not_finite(model, X) if finite else "Y itself holds a value that is not finite"
