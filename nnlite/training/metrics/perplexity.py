"""perplexity: the measure of language models."""

from typing import Any

import numpy as np

from nnlite.basics.shapes import reshaped
from nnlite.compute.softmax import log_softmax
from nnlite.errors import ShapeError
from nnlite.training.metrics.classification import true_classes
from nnlite.training.metrics.counted import counted
from nnlite.training.metrics.mean_over_batches import mean_over_entries


@mean_over_entries(geometric=True)
def perplexity(Y_pred: Any, Y: Any, *, dim: int = 1, ignore_index: int | None = None) -> float:
    """The exponential of the mean cross-entropy, ``exp(mean(-log P(Y)))``: between how many classes a model hesitates.

    It is 1 for predictions that are right and certain, and C for equal probabilities of C classes. It is NaN if a
    prediction is NaN.

    Args:
        Y_pred: logits or log-probabilities (N, C), or with more axes (N, C, d1, ...); of probabilities pass the
            logarithm. P is their softmax.
        Y: class indices (N,) or (N, d1, ...).
        dim: the axis of the classes in Y_pred, -1 for sequences (N, T, C); ``fit`` and ``evaluate`` know it from the
            loss.
        ignore_index: the class index of samples to leave out; likewise known from the loss.

    Raises:
        ShapeError: the shapes do not match, or there are less than two classes.
        ValueError: there is no sample that counts, or a value of Y is not a class.

    Source: Jelinek, Mercer, Bahl and Baker, Perplexity: a measure of the difficulty of speech recognition tasks, 1977.

    >>> perplexity(np.log([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]]), np.array([0, 2]))
    4.0000...
    """
    Y_pred, Y = counted(Y_pred, Y, "perplexity", dim, ignore_index)
    if Y_pred.ndim < 2 or Y_pred.shape[1] < 2:
        raise ShapeError(f"perplexity: expected logits of two or more classes, of shape (N, C), got {Y_pred.shape}")
    expected = Y_pred.shape[:1] + Y_pred.shape[2:]
    if Y.shape != expected:
        cure = reshaped("Y", Y.shape, expected)
        raise ShapeError(f"perplexity: expected class indices of shape {expected}, got {Y.shape}{cure}")
    true = true_classes(Y_pred, Y, "perplexity")
    rows = np.moveaxis(Y_pred, 1, -1).reshape(-1, Y_pred.shape[1])
    log_P = log_softmax(np.ascontiguousarray(rows, np.float64))[0]
    with np.errstate(over="ignore"):
        return float(np.exp(-np.mean(log_P[np.arange(len(true)), true])))
