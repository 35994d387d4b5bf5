"""predict: what a model says of new rows."""

from typing import Any

import numpy as np

from nnlite.basics.checks import whole
from nnlite.basics.trees import each_of, listed, spread
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer, check_layer
from nnlite.training.rows import Rows, joined, read_only


def predict(model: Layer, X: Any, *, batch_size: int = 1024) -> Any:
    """The model's output for every row of X, in evaluation mode.

    It works on a twin of the model and writes nothing on the model itself, so any number of threads may call it at
    once. The result is the caller's own.

    Args:
        model: any Layer whose output has a row for each row of X; of several outputs each.
        X: the rows; see :func:`nnlite.fit`.
        batch_size: how many rows to take at a time; it bounds the memory.

    Raises:
        TypeError: ``batch_size`` is not a whole number, or X does not hold real numbers.
        ValueError: ``batch_size`` is below 1.
        ShapeError: the output has not a row for each row of X.

    >>> import nnlite as nn
    >>> predict(nn.Tanh(), np.zeros((3, 2))).shape
    (3, 2)
    """
    check_layer(model, "model")
    batch_size = whole(batch_size, "batch_size", least=1)
    rows = Rows(X)
    twin = model.evaluation_twin()
    try:
        if len(rows) <= batch_size:
            Y = _rows_kept(model, spread(twin.forward, each_of(_all_rows, rows.X)), len(rows))
            return each_of(np.array, Y)
        return joined(
            [_rows_kept(model, spread(twin.forward, batch.X), batch.count) for batch in rows.batches(batch_size)]
        )
    except ShapeError as error:
        if isinstance(rows.X, np.ndarray) and rows.X.ndim == 1:
            error.add_note("X has one axis, so each number is a row of its own; a single sample is X[None, :]")
        raise


def _all_rows(values: Any) -> Any:
    return read_only(values[:])


def _rows_kept(model: Layer, Ys: Any, count: int) -> Any:
    for Y in listed(Ys):
        if np.ndim(Y) == 0 or len(Y) != count:
            raise ShapeError(
                f"{model.one_line()}: expected an output row for each of the {count} rows of X, got shape {np.shape(Y)}"
            )
    return Ys
