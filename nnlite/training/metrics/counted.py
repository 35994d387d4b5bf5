"""The predictions and targets that count: with the classes on axis 1, and without those of the ignored class."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.errors import ShapeError
from nnlite.training.metrics.one_output import predictions


def counted(Y_pred: Any, Y: Any, name: str, dim: int = 1, ignore_index: int | None = None) -> tuple[Array, Array]:
    """The predictions, with the classes on axis 1, and the targets; where some are ignored, the others in one row.

    Args:
        Y_pred: logits or probabilities.
        Y: class indices, of Y_pred's shape without the axis of the classes; or of Y_pred's shape.
        name: of the metric.
        dim: the axis of the classes in Y_pred, unless that is a vector.
        ignore_index: the class index of samples to leave out; None to leave out none.

    Raises:
        TypeError: the predictions are those of several outputs.
        ShapeError: Y_pred has no axis ``dim``, or its classes seem to be the last axis, and ``dim`` is 1.

    >>> Y_pred, Y = counted(np.zeros((2, 3, 4)), [[0, 1, -100], [3, -100, -100]], "accuracy", -1, -100)
    >>> Y_pred.shape, Y
    ((3, 4), array([0, 1, 3]))
    """
    Y_pred, Y = predictions(Y_pred, name), as_array(Y, "Y")
    if Y_pred.ndim > 1 and dim != 1:
        if not -Y_pred.ndim < dim < Y_pred.ndim or dim == 0:
            raise ShapeError(
                f"{name}: expected predictions with the classes along axis {dim}, got shape {Y_pred.shape}"
            )
        Y = np.moveaxis(Y, dim, 1) if Y.shape == Y_pred.shape else Y
        Y_pred = np.moveaxis(Y_pred, dim, 1)
    expected = Y_pred.shape[:1] + Y_pred.shape[2:]
    if dim == 1 and Y_pred.ndim > 2 and Y_pred.shape[-1] > 1 and Y.shape == Y_pred.shape[:-1] != expected:
        raise ShapeError(
            f"{name}: expected class indices of shape {expected}, got {Y.shape}; if the classes are the last axis of "
            "Y_pred, pass dim=-1"
        )
    if ignore_index is None:
        return Y_pred, Y
    counts = ignore_index != Y
    if counts.all():
        return Y_pred, Y
    if Y.shape == expected:
        return np.moveaxis(Y_pred, 1, -1)[counts] if Y_pred.ndim > 1 else Y_pred[counts], Y[counts]
    if Y.shape == Y_pred.shape and (Y_pred.ndim < 2 or Y_pred.shape[1] == 1):
        return Y_pred[counts], Y[counts]
    return Y_pred, Y
