"""accuracy and binary_accuracy: the share of samples that are right."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import as_array
from nnlite.basics.shapes import reshaped
from nnlite.errors import ShapeError
from nnlite.training.metrics.counted import counted
from nnlite.training.metrics.mean_over_batches import mean_over_entries
from nnlite.training.metrics.one_output import predictions
from nnlite.training.metrics.threshold import threshold_for


@mean_over_entries()
def accuracy(Y_pred: Any, Y: Any, *, dim: int = 1, ignore_index: int | None = None) -> float:
    """The share of samples whose largest prediction is that of the right class.

    Args:
        Y_pred: logits or probabilities (N, C), or with more axes (N, C, d1, ...).
        Y: class indices (N,) or (N, d1, ...), or probabilities (one-hot, say) of the shape of Y_pred.
        dim: the axis of the classes in Y_pred, -1 for sequences (N, T, C); ``fit`` and ``evaluate`` know it from the
            loss.
        ignore_index: the class index of samples to leave out; likewise known from the loss.

    Raises:
        ShapeError: the shapes do not match.
        ValueError: there is no sample.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    Y_pred, Y = counted(Y_pred, Y, "accuracy", dim, ignore_index)
    if Y_pred.ndim < 2 or Y_pred.shape[1] < 2:
        raise ShapeError(
            f"accuracy: expected predictions for two or more classes, of shape (N, C), got {Y_pred.shape}; "
            "for one output use binary_accuracy"
        )
    best = Y_pred.argmax(axis=1)
    best[np.isnan(Y_pred).any(axis=1)] = -1  # NaN is never right
    if Y.shape == Y_pred.shape:
        Y = Y.argmax(axis=1)
    return _share(best, Y, "accuracy", "class indices")


@mean_over_entries()
def binary_accuracy(
    Y_pred: Any, Y: Any, *, threshold: float | None = None, logits: bool = False, ignore_index: int | None = None
) -> float:
    """The share of elements on the right side of the threshold: ``(Y_pred > threshold) == (Y > 0.5)``.

    Args:
        Y_pred: probabilities or logits, of any shape.
        Y: 0 or 1, of the same shape.
        threshold: between class 0 and class 1; by default 0.5, for logits 0.
        logits: whether Y_pred holds logits; ``fit`` and ``evaluate`` know it from the loss.
        ignore_index: the value in Y of elements to leave out, such as -100 of padding; None to leave out none.

    Raises:
        ShapeError: the shapes differ.
        ValueError: there is no element; or, with the default threshold, a probability is outside of [0, 1].

    >>> binary_accuracy(np.array([[0.9], [0.2]]), np.array([[1], [1]]))
    0.5
    """
    Y_pred, Y = predictions(Y_pred, "binary_accuracy"), as_array(Y, "Y")
    if ignore_index is not None and Y.shape == Y_pred.shape:
        Y_pred, Y = Y_pred[ignore_index != Y], Y[ignore_index != Y]
    threshold = threshold_for(Y_pred, threshold, logits, "binary_accuracy")
    predicted = np.where(np.isnan(Y_pred), -1, Y_pred > threshold)  # NaN is never right
    return _share(predicted, Y > 0.5, "binary_accuracy", "targets")


def _share(predicted: Any, true: Any, name: str, what: str) -> float:
    if predicted.shape != true.shape:
        cure = reshaped("Y", true.shape, predicted.shape)
        raise ShapeError(f"{name}: expected {what} of shape {predicted.shape}, got {true.shape}{cure}")
    if not predicted.size:
        raise ValueError(f"{name}: empty batch: the share of no element is undefined")
    return float(np.count_nonzero(predicted == true) / predicted.size)
