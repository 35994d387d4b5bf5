"""r2: the coefficient of determination."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import as_array
from nnlite.basics.shapes import reshaped
from nnlite.errors import ShapeError
from nnlite.training.metrics.one_output import predictions


def r2(Y_pred: Any, Y: Any) -> float:
    """The share of the targets' variance that is explained: ``1 - sum((Y - Y_pred)^2) / sum((Y - mean(Y))^2)``.

    For several outputs it is the mean of theirs. An output whose targets are all equal counts 1 if it is predicted
    exactly, else 0. It is NaN if a prediction or a target is NaN.

    Args:
        Y_pred: predictions (N,) or (N, outputs), or with more axes.
        Y: targets of the same shape.

    Raises:
        ShapeError: the shapes differ.
        ValueError: there are fewer than two samples, which have no variance, or no output.

    >>> r2(np.array([[2.5], [0.0], [2.0], [8.0]]), np.array([[3.0], [-0.5], [2.0], [7.0]]))
    0.9486...
    """
    Y_pred, Y = predictions(Y_pred, "r2"), as_array(Y, "Y")
    if Y_pred.shape != Y.shape or not Y.ndim:
        cure = reshaped("Y", Y.shape, Y_pred.shape)
        raise ShapeError(f"r2: expected targets of the shape of the predictions, {Y_pred.shape}, got {Y.shape}{cure}")
    if len(Y) < 2 or not Y.size:
        raise ValueError(f"r2: expected two or more samples with one or more outputs, got shape {Y.shape}")
    Y_pred, Y = (each.reshape(len(Y), -1).astype(np.float64) for each in (Y_pred, Y))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        errors, Y = Y - Y_pred, Y - Y[0]  # equal targets are now exactly 0
        constant = ~Y.any(axis=0)
        scale = np.where(constant, 1.0, np.abs(Y).max(axis=0))  # so that no square overflows or underflows
        errors, Y = errors / scale, Y / scale
        unexplained = np.square(errors).sum(axis=0) / np.where(constant, 1.0, np.square(Y - Y.mean(axis=0)).sum(axis=0))
        wrong = errors.any(axis=0) & ~np.isnan(unexplained)
        return float(np.mean(1 - np.where(constant & wrong, 1.0, unexplained)))
