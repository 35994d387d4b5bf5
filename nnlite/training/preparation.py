"""What ``fit`` does around its loop: before the first step, while it lasts, and after each epoch."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.layer.layer import Layer, can_skip_dX
from nnlite.losses.per_output import Losses
from nnlite.optim.optimizer import Optimizer
from nnlite.training.divergence import diverged
from nnlite.training.evaluate import Metric, evaluate_rows
from nnlite.training.metrics.over_all_rows import sees_all_rows
from nnlite.training.rows import Rows
from nnlite.training.streams import Stream


@contextmanager
def in_training(model: Layer) -> Iterator[None]:
    """Training mode, and no dX of the model's own input, which nobody would read; then all as it was."""
    before = [(layer, layer.training, layer.needs_dX) for _, layer in model.named_layers()]
    model.train()
    model.needs_dX = not can_skip_dX(model)
    try:
        yield
    finally:
        for layer, training, needs_dX in before:
            layer.training = training
            layer.needs_dX = needs_dX


def optimizers_of(optimizer: Any, model: Layer, loss: Layer) -> list[Optimizer]:
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


def try_out(model: Layer, validation: Rows | Stream, loss: Layer, metrics: dict[str, Metric], batch_size: int) -> None:
    """Validate on one batch, so that a mistake in the validation data comes up before anything is trained.

    Metrics that must see all rows get all of them.
    """
    rows = validation if any(map(sees_all_rows, metrics.values())) else validation.head(batch_size)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            evaluate_rows(model, rows, loss, metrics, batch_size)
    except Exception as error:
        error.add_note("on the validation data, tried out before training")
        raise


def validated(
    model: Layer, validation: Rows | Stream, loss: Layer, metrics: dict[str, Metric], batch_size: int, epoch: int
) -> dict[str, float]:
    """The loss and the metrics on the validation rows, as "val_loss" and so on.

    Raises:
        DivergenceError: the loss is not finite.
    """
    try:
        values = evaluate_rows(model, validation, loss, metrics, batch_size)
    except Exception as error:
        error.add_note(f"on the validation data, at the end of epoch {epoch}")
        raise
    if not math.isfinite(values["loss"]):
        place = f"epoch {epoch}, validation"
        raise diverged(model, values["loss"], place, "the end of this epoch", validation.batches(batch_size))
    return {f"val_{name}": value for name, value in values.items()}
