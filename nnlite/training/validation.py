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
from nnlite.training.sequences import Pieces, Sequences
from nnlite.training.sharing import Sharing
from nnlite.training.sources import is_dataset, is_keras_sequence
from nnlite.training.streams import Stream, is_stream, not_empty, of_dataset, rows_or_stream
from nnlite.training.weighted_loss import classes_of


def split(
    rows: Rows | Stream, data: Any, share: float, *, shuffle: bool, loss: Any
) -> tuple[Rows | Stream, Rows | Stream | None]:
    """The rows to train on, and those to validate on: ``data``, a ``share`` of the rows, or None.

    Which rows are held back depends on the rows alone, so that another training of the same model holds back the same
    ones: a fixed choice at random, in which the classes have their shares if the loss is one of classes; without
    ``shuffle`` the last rows.

    Raises:
        TypeError: data is neither a pair nor a stream of batches.
        ValueError: share is not from 0 to below 1, or leaves no row on one side.

    >>> training, validation = split(Rows(np.zeros((4, 1)), np.zeros(4)), None, 0.25, shuffle=False, loss=None)
    >>> training.numbers, validation.numbers
    (array([0, 1, 2]), array([3]))
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
    count = len(rows)
    held_back = round(count * float(share))
    if not 0 < held_back < count:
        raise ValueError(
            f"validation_split: {share} of {count} rows leaves {held_back} to validate on and {count - held_back} to "
            "train on; expected at least one of each"
        )
    order, chosen = np.arange(count), np.arange(count - held_back, count)
    if shuffle:
        order = np.random.default_rng(0).permutation(count)
        classes = classes_of(rows.Y, loss)
        if classes is not None:
            order = order[np.argsort(classes[order], kind="stable")]
        chosen = (2 * np.arange(held_back) + 1) * count // (2 * held_back)  # evenly spaced, through all classes
    return rows.subset(np.sort(np.delete(order, chosen))), rows.subset(np.sort(order[chosen]))


def _validation(data: Any) -> Rows | Stream:
    if isinstance(data, Sequences | Pieces):
        return rows_or_stream(data, None)
    if is_dataset(data) or is_keras_sequence(data):
        return of_dataset(data, "validation_data")
    if isinstance(data, tuple) and len(data) == 3:
        raise TypeError(
            "validation_data: expected a pair (X, Y), got 3 entries; in validation each row counts once, so pass no "
            "weights"
        )
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
        self,
        model: Layer,
        rows: Rows | Stream | None,
        loss: Layer,
        metrics: dict[str, Metric],
        batch_size: int,
        sharing: Sharing | None = None,
    ) -> None:
        self.model = model
        self.rows = rows
        self.loss = loss
        self.metrics = metrics
        self.batch_size = batch_size
        self.sharing = sharing

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
        values = self._evaluated(self.rows, f"at the end of epoch {epoch}", self.sharing)
        if not math.isfinite(values["loss"]):
            state = "The parameters are those from the end of this epoch"
            batches = self.rows.batches(self.batch_size)
            raise loss_not_finite(self.model, self.loss, values["loss"], f"epoch {epoch}, validation", batches, state)
        return {f"val_{name}": value for name, value in values.items()}

    def _evaluated(self, rows: Rows | Stream, when: str, sharing: Sharing | None = None) -> dict[str, float]:
        try:
            return evaluate_rows(self.model, rows, self.loss, self.metrics, self.batch_size, sharing)
        except Exception as error:
            error.add_note(f"on the validation data, {when}")
            raise
