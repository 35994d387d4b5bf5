"""predict: the output of a model for given rows."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import FLOATING
from nnlite.basics.checks import whole
from nnlite.basics.trees import each_of, listed, spread
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer, check_layer
from nnlite.training.feature_names import check_feature_names
from nnlite.training.rows import Rows, joined, read_only
from nnlite.training.sequences import Pieces, Sequences
from nnlite.training.shape_advice import noting_shapes


def predict(model: Layer, X: Any, *, batch_size: int = 1024) -> Any:
    """The model's output for every row of X, in evaluation mode.

    It runs on a twin of the model and writes nothing on the model itself, so any number of threads may call it at
    once. The result belongs to the caller. Of logits or probabilities (N, C), ``predict(model, X).argmax(axis=1)`` are
    the classes.

    Args:
        model: any Layer whose output, or each of several, has a row for each row of X.
        X: the rows; see :func:`nnlite.fit`. A frame must have the columns ``model.feature_names``.
            :class:`nnlite.Sequences` are padded to the longest of all; the sequences of :class:`nnlite.Pieces` are read
            as a whole.
        batch_size: how many rows to read at a time, which limits the memory.

    Raises:
        TypeError: ``batch_size`` is not a whole number, or X does not hold real numbers.
        ValueError: ``batch_size`` is below 1, or the columns of a frame are others than those of the training.
        ShapeError: the output does not have a row for each row of X.

    >>> import nnlite as nn
    >>> predict(nn.Tanh(), np.zeros((3, 2))).shape
    (3, 2)
    """
    check_layer(model, "model")
    batch_size = whole(batch_size, "batch_size", least=1)
    if type(X) is np.ndarray and X.dtype in FLOATING and X.ndim and len(X) <= batch_size:  # needs no look at its rows
        try:
            return each_of(np.array, _checked(model, model.evaluation_twin().forward(read_only(X)), len(X)))
        except ShapeError:
            pass  # it is raised below, with what may be wrong with X
    if isinstance(X, Sequences):
        X = X.padded()
    rows = Rows(X.X if isinstance(X, Pieces) else X)
    check_feature_names(model, rows)
    twin = model.evaluation_twin()
    with noting_shapes(rows, model):
        if len(rows) <= batch_size:
            everything = each_of(lambda values: read_only(values[:]), rows.X)
            return each_of(np.array, _checked(model, spread(twin.forward, everything), len(rows)))
        batches = rows.batches(batch_size)
        return joined([_checked(model, spread(twin.forward, batch.X), batch.count) for batch in batches])


def _checked(model: Layer, Ys: Any, count: int) -> Any:
    """The outputs, each of which must have a row for each row of X."""
    for Y in listed(Ys):
        if np.ndim(Y) == 0 or len(Y) != count:
            raise ShapeError(
                f"{model.one_line()}: expected an output row for each of the {count} rows of X, got shape {np.shape(Y)}"
            )
    return Ys
