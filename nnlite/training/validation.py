"""Validation: the rows that are held back or given, tried before the first step and evaluated after each epoch."""

import math
from collections.abc import Iterator
from numbers import Real
from typing import Any

import numpy as np

from nnlite.layer.layer import Layer
from nnlite.training.divergence import loss_not_finite
from nnlite.training.evaluate import evaluate_rows
from nnlite.training.measurements import Metric
from nnlite.training.metrics.mean_over_batches import is_mean_over_batches
from nnlite.training.rows import Rows
from nnlite.training.streams import Stream, is_stream, not_empty


def split(
    rows: Rows | Stream, data: Any, share: float, rng: "np.random.Generator"
) -> tuple[Rows | Stream, Rows | Stream | None]:
    """The rows to train on, and those to validate on: ``data``, a random ``share`` of the rows, or None.

    Raises:
        TypeError: data is neither a pair nor a stream of batches.
        ValueError: share is not from 0 to below 1, or leaves no row on one side.

    >>> training, validation = split(Rows(np.zeros((4, 1)), np.zeros(4)), None, 0.25, np.random.default_rng(0))
    >>> len(training), len(validation)
    (3, 1)
    """
    if data is not None:
        if share:
            raise ValueError("validation_split: expected 0 where validation_data is given")
        return rows, _validation(data)
    if not isinstance(share, Real) or not 0 <= share < 1:
        raise ValueError(f"validation_split: expected a share from 0 to below 1, got {share!r}")
    if not share:
        return rows, None
    if isinstance(rows, Stream):
        raise ValueError("validation_split: expected rows X and Y, got batches; pass validation_data")
    held_back = round(len(rows) * float(share))
    if not 0 < held_back < len(rows):
        raise ValueError(
            f"validation_split: {share} of {len(rows)} rows leaves {held_back} to validate on and "
            f"{len(rows) - held_back} to train on; expected at least one of each"
        )
    order = rng.permutation(len(rows))
    return rows.subset(order[:-held_back]), rows.subset(order[-held_back:])


def _validation(data: Any) -> Rows | Stream:
    batches = isinstance(data, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in data)
    if isinstance(data, tuple | list) and len(data) == 2 and not batches:
        X, Y = data
        rows = Rows(X, Y, names=("validation X", "validation Y"))
        not_empty(rows, "validation X")
        return rows
    if isinstance(data, Iterator):
        raise TypeError(
            "validation_data: a generator can be read only once, so pass the function that makes it, got a "
            f"{type(data).__name__}"
        )
    if not batches and (isinstance(data, np.ndarray | tuple | list) or not is_stream(data)):
        raise TypeError(
            "validation_data: expected a pair (X, Y), or a function that returns an iterable of such pairs, got "
            f"{type(data).__name__}"
        )
    return Stream(data, "validation_data")


class Validation:
    """The evaluation of a model on the validation rows; without rows it does nothing.

    >>> import nnlite as nn
    >>> validation = Validation(nn.Identity(), Rows(np.ones((2, 1)), np.zeros((2, 1))), nn.MSELoss(), {}, batch_size=1)
    >>> validation.values(epoch=1)
    {'val_loss': 1.0}
    """

    def __init__(
        self, model: Layer, rows: Rows | Stream | None, loss: Layer, metrics: dict[str, Metric], batch_size: int
    ) -> None:
        self.model = model
        self.rows = rows
        self.loss = loss
        self.metrics = metrics
        self.batch_size = batch_size

    def try_out(self) -> None:
        """Evaluate one batch, so that a mistake in the validation data is found before anything is trained.

        Metrics over all rows get all of them.
        """
        if self.rows is not None:
            means = all(map(is_mean_over_batches, self.metrics.values()))
            rows = self.rows.head(self.batch_size) if means else self.rows
            with np.errstate(over="ignore", invalid="ignore"):
                self._evaluated(rows, "tried before training")

    def values(self, epoch: int) -> dict[str, float]:
        """The loss and the metrics at the end of the epoch, as "val_loss" and so on.

        Raises:
            DivergenceError: the loss is not finite.
        """
        if self.rows is None:
            return {}
        values = self._evaluated(self.rows, f"at the end of epoch {epoch}")
        if not math.isfinite(values["loss"]):
            state = "The parameters are those from the end of this epoch"
            batches = self.rows.batches(self.batch_size)
            raise loss_not_finite(self.model, values["loss"], f"epoch {epoch}, validation", batches, state)
        return {f"val_{name}": value for name, value in values.items()}

    def _evaluated(self, rows: Rows | Stream, when: str) -> dict[str, float]:
        try:
            return evaluate_rows(self.model, rows, self.loss, self.metrics, self.batch_size)
        except Exception as error:
            error.add_note(f"on the validation data, {when}")
            raise
