"""roc_auc: how well predictions rank the samples of a class before the others."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.softmax import log_softmax
from nnlite.training.metrics.classification import in_one_column, true_classes
from nnlite.training.metrics.counted import counted


def roc_auc(Y_pred: Any, Y: Any, *, logits: bool = False, dim: int = 1, ignore_index: int | None = None) -> float:
    """The area under the ROC curve: ``P(s1 > s0) + P(s1 = s0) / 2`` of a sample of class 1 and one of class 0.

    With s1 and s0 the predictions for them. For more classes it is the mean over the classes of each against the rest.
    It is NaN if a prediction is NaN.

    Args:
        Y_pred: logits or probabilities of class 1, (N,) or (N, 1); or probabilities (N, C), or with more axes
            (N, C, d1, ...).
        Y: 0 or 1 of the shape of Y_pred; or class indices (N,) or (N, d1, ...), or one-hot of the shape of Y_pred.
        logits: whether Y_pred of shape (N, C) holds logits, whose softmax over the classes is then computed first;
            ``fit`` and ``evaluate`` know it from the loss.
        dim: the axis of the classes in Y_pred, -1 for sequences (N, T, C); likewise known from the loss.
        ignore_index: the class index of samples to leave out; likewise.

    Raises:
        ShapeError: the shapes do not match.
        ValueError: there is no sample; a value of Y is not a class; probabilities (N, C) do not sum to 1 over the
            classes; or no sample, or every one, is of a class, so that there are no pairs to compare.

    Source: Hanley and McNeil, The meaning and use of the area under a ROC curve, 1982.

    >>> roc_auc(np.array([[0.1], [0.4], [0.35], [0.8]]), np.array([[0], [0], [1], [1]]))
    0.75
    """
    Y_pred, Y = counted(Y_pred, Y, "roc_auc", dim, ignore_index)
    true = true_classes(Y_pred, Y, "roc_auc")
    if in_one_column(Y_pred):
        return _of_class(1, Y_pred.reshape(-1), true)
    classes = Y_pred.shape[1]
    P = np.moveaxis(Y_pred, 1, 0).reshape(classes, -1)
    if logits:  # the logarithm of the softmax, which has the same order and does not underflow
        P = log_softmax(np.ascontiguousarray(P.T, np.float64))[0].T
    else:
        with np.errstate(invalid="ignore"):
            off = np.abs(P.sum(axis=0, dtype=np.float64) - 1)
        if not (off[~np.isnan(P).any(axis=0)] <= 1e-3).all():
            raise ValueError(
                "roc_auc: expected probabilities that sum to 1 over the classes; for logits pass logits=True"
            )
    return float(np.mean([_of_class(number, scores, true) for number, scores in enumerate(P)]))


def _of_class(number: int, scores: Array, true: Array) -> float:
    """The area for one class against the rest."""
    is_it = true == number
    positives = int(np.count_nonzero(is_it))
    negatives = len(true) - positives
    if not positives or not negatives:
        raise ValueError(
            f"roc_auc: {'all' if positives else 'none'} of the {len(true)} samples are of class {number}; "
            "expected at least one that is and one that is not"
        )
    if np.isnan(scores).any():
        return float("nan")
    values, place = np.unique(scores, return_inverse=True)
    above = np.bincount(place[is_it], minlength=len(values))
    beside = np.bincount(place[~is_it], minlength=len(values))
    below = np.cumsum(beside) - beside
    pairs_twice = int(np.sum(above * (2 * below + beside)))  # integers, so that ties are counted exactly
    return pairs_twice / (2 * positives * negatives)
