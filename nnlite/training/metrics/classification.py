"""Confusion matrix, precision, recall and F1: counts of predicted against true classes."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.shapes import reshaped
from nnlite.errors import ShapeError
from nnlite.training.metrics.counted import counted
from nnlite.training.metrics.threshold import threshold_for

AVERAGES = ("binary", "macro", "micro", "weighted")


def confusion_matrix(
    Y_pred: Any,
    Y: Any,
    *,
    threshold: float | None = None,
    logits: bool = False,
    dim: int = 1,
    ignore_index: int | None = None,
) -> Array:
    """The number of samples of class i that are predicted as class j, at entry ``[i, j]``.

    A matrix is not a metric for ``fit``, but for the predictions: ``confusion_matrix(predict(model, X), Y)``. For text
    labels, numbered by ``classes, Y = np.unique(labels, return_inverse=True)``, row i and column i are those of
    ``classes[i]``: ``pd.DataFrame(matrix, index=classes, columns=classes)``. As in all metrics here the predictions are
    the first argument; in scikit-learn they are the second.

    Args:
        Y_pred: logits or probabilities (N, C), or with more axes (N, C, d1, ...), of which the largest is predicted;
            or, for two classes, those of class 1 of shape (N,) or (N, 1).
        Y: class indices (N,) or (N, d1, ...), or one-hot of the shape of Y_pred; for two classes 0 or 1 of the shape
            of Y_pred.
        threshold: for two classes in one column, between class 0 and class 1; by default 0.5, for logits 0.
        logits: whether one column holds logits.
        dim: the axis of the classes in Y_pred, -1 for sequences (N, T, C).
        ignore_index: the class index of samples to leave out, such as -100 of padding.

    Returns:
        A matrix (C, C) of integers, with rows and columns of zeros for classes that do not occur.

    Raises:
        ShapeError: the shapes do not match.
        ValueError: there is no sample; a value of Y is not a class; a prediction is NaN; or, with the default
            threshold, a probability is outside of [0, 1].

    >>> confusion_matrix(np.array([[0.9], [0.2], [0.7]]), np.array([[1], [1], [1]]))
    array([[0, 0],
           [1, 2]])
    >>> classes, Y = np.unique(["rose", "daisy", "daisy"], return_inverse=True)
    >>> classes, confusion_matrix(np.array([[0.2, 0.8], [0.1, 0.9], [0.7, 0.3]]), Y)
    (array(['daisy', 'rose'], dtype='<U5'), array([[1, 1],
           [0, 1]]))
    """
    predicted, true, classes = _classes("confusion_matrix", Y_pred, Y, threshold, logits, dim, ignore_index)
    if (predicted < 0).any():
        raise ValueError("confusion_matrix: Y_pred holds NaN, which is not a class")
    counts: Array = np.bincount(true * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes)


def precision(
    Y_pred: Any,
    Y: Any,
    *,
    average: str = "binary",
    threshold: float | None = None,
    logits: bool = False,
    dim: int = 1,
    ignore_index: int | None = None,
) -> float:
    """The share of right ones among the samples predicted as a class: ``TP / (TP + FP)``.

    It is 0 for a class that is not predicted. A sample whose prediction is NaN is not predicted as any class.

    Args:
        Y_pred: logits or probabilities; see :func:`nnlite.confusion_matrix`.
        Y: the classes, likewise.
        average: "binary", the value of class 1 of two; "macro", the mean over the classes that occur in Y or among the
            predictions; "weighted", their mean weighted by their number in Y; "micro", from the sums over all classes.
            In ``fit`` and ``evaluate`` it is set with ``functools.partial(precision, average="macro")``.
        threshold: for two classes in one column, between class 0 and class 1; by default 0.5, for logits 0.
        logits: whether one column holds logits; ``fit`` and ``evaluate`` know it from the loss.
        dim: the axis of the classes in Y_pred, -1 for sequences (N, T, C); likewise known from the loss.
        ignore_index: the class index of samples to leave out; likewise.

    Raises:
        ShapeError: the shapes do not match.
        ValueError: there is no sample; a value of Y is not a class; another average, or "binary" for more than two
            classes; or, with the default threshold, a probability is outside of [0, 1].

    >>> precision(np.array([[0.9], [0.2], [0.7]]), np.array([[1], [1], [0]]))
    0.5
    """
    right, predicted, true = _counts("precision", average, Y_pred, Y, threshold, logits, dim, ignore_index)
    return _averaged(average, right, predicted, predicted, true)


def recall(
    Y_pred: Any,
    Y: Any,
    *,
    average: str = "binary",
    threshold: float | None = None,
    logits: bool = False,
    dim: int = 1,
    ignore_index: int | None = None,
) -> float:
    """The share of the samples of a class that are predicted as that class: ``TP / (TP + FN)``.

    It is 0 for a class that does not occur. A sample whose prediction is NaN is not predicted as any class.

    Args:
        Y_pred: logits or probabilities; see :func:`nnlite.confusion_matrix`.
        Y: the classes, likewise.
        average: "binary", "macro", "weighted" or "micro"; see :func:`nnlite.precision`.
        threshold: for two classes in one column, between class 0 and class 1; by default 0.5, for logits 0.
        logits: whether one column holds logits; ``fit`` and ``evaluate`` know it from the loss.
        dim: the axis of the classes in Y_pred, -1 for sequences (N, T, C); likewise known from the loss.
        ignore_index: the class index of samples to leave out; likewise.

    Raises:
        ShapeError, ValueError: as :func:`nnlite.precision`.

    >>> recall(np.array([[0.9], [0.2], [0.3], [0.7]]), np.array([[1], [1], [1], [1]]))
    0.5
    """
    right, predicted, true = _counts("recall", average, Y_pred, Y, threshold, logits, dim, ignore_index)
    return _averaged(average, right, true, predicted, true)


def f1(
    Y_pred: Any,
    Y: Any,
    *,
    average: str = "binary",
    threshold: float | None = None,
    logits: bool = False,
    dim: int = 1,
    ignore_index: int | None = None,
) -> float:
    """The harmonic mean of precision and recall: ``2 TP / (2 TP + FP + FN)``.

    It is 0 for a class that neither occurs nor is predicted. A sample whose prediction is NaN is not predicted as any
    class.

    Args:
        Y_pred: logits or probabilities; see :func:`nnlite.confusion_matrix`.
        Y: the classes, likewise.
        average: "binary", "macro", "weighted" or "micro"; see :func:`nnlite.precision`.
        threshold: for two classes in one column, between class 0 and class 1; by default 0.5, for logits 0.
        logits: whether one column holds logits; ``fit`` and ``evaluate`` know it from the loss.
        dim: the axis of the classes in Y_pred, -1 for sequences (N, T, C); likewise known from the loss.
        ignore_index: the class index of samples to leave out; likewise.

    Raises:
        ShapeError, ValueError: as :func:`nnlite.precision`.

    >>> f1(np.array([[0.9], [0.2], [0.7]]), np.array([[1], [1], [0]]))
    0.5
    """
    right, predicted, true = _counts("f1", average, Y_pred, Y, threshold, logits, dim, ignore_index)
    return _averaged(average, 2 * right, predicted + true, predicted, true)


def in_one_column(Y_pred: Array) -> bool:
    """Whether Y_pred holds one number for each sample, that of class 1 of two, and not one for each class.

    >>> in_one_column(np.zeros((5, 1))), in_one_column(np.zeros((5, 3)))
    (True, False)
    """
    return Y_pred.ndim < 2 or Y_pred.shape[1] < 2


def true_classes(Y_pred: Array, Y: Array, name: str) -> Array:
    """The class index of each sample, as a vector.

    Raises:
        ShapeError: the shape of Y does not match that of Y_pred.
        ValueError: there is no sample, or a value is not a class.

    >>> true_classes(np.zeros((2, 3)), np.array([[0, 0, 1], [1, 0, 0]]), "accuracy")
    array([2, 0])
    """
    if not Y_pred.size:
        raise ValueError(f"{name}: empty batch: there is no sample to count")
    if in_one_column(Y_pred):
        if Y.shape != Y_pred.shape:
            cure = reshaped("Y", Y.shape, Y_pred.shape)
            raise ShapeError(f"{name}: expected targets of shape {Y_pred.shape}, got {Y.shape}{cure}")
        if not ((Y >= 0) & (Y <= 1)).all():
            raise ValueError(
                f"{name}: expected targets 0 or 1 where there is one prediction for each sample, got other values; "
                "for more classes pass predictions of shape (N, C), without argmax"
            )
        return (Y.reshape(-1) > 0.5).astype(np.intp)
    shape = Y_pred.shape[:1] + Y_pred.shape[2:]
    if Y.shape == Y_pred.shape:
        with np.errstate(invalid="ignore"):
            off = np.abs(Y.sum(axis=1, dtype=np.float64) - 1)
        if not (off < 1e-3).all():
            raise ValueError(
                f"{name}: expected targets that sum to 1 over the classes; if a sample has several labels, "
                "pass one column at a time"
            )
        Y = Y.argmax(axis=1)
        return Y.reshape(-1)
    if Y.shape != shape:
        cure = reshaped("Y", Y.shape, shape)
        raise ShapeError(f"{name}: expected class indices of shape {shape}, got {Y.shape}{cure}")
    classes = Y_pred.shape[1]
    numbers = Y.reshape(-1)
    if not ((numbers >= 0) & (numbers < classes) & (numbers == np.floor(numbers))).all():
        raise ValueError(f"{name}: expected class indices from 0 to {classes - 1}, got other values")
    return numbers.astype(np.intp)


def _classes(
    name: str, Y_pred: Any, Y: Any, threshold: float | None, logits: bool, dim: int, ignore_index: int | None
) -> tuple[Array, Array, int]:
    """The predicted class of each sample, -1 for NaN; the true one; and the number of classes."""
    Y_pred, Y = counted(Y_pred, Y, name, dim, ignore_index)
    true = true_classes(Y_pred, Y, name)
    if in_one_column(Y_pred):
        column = Y_pred.reshape(-1)
        predicted = (column > threshold_for(Y_pred, threshold, logits, name)).astype(np.intp)
        predicted[np.isnan(column)] = -1
        return predicted, true, 2
    predicted = Y_pred.argmax(axis=1)
    predicted[np.isnan(Y_pred).any(axis=1)] = -1
    return predicted.reshape(-1), true, Y_pred.shape[1]


def _counts(name: str, average: str, *arguments: Any) -> tuple[Array, Array, Array]:
    """For each class the number of samples that are rightly predicted as it, predicted as it, and of it."""
    if average not in AVERAGES:
        raise ValueError(f"{name}: average: expected one of {', '.join(map(repr, AVERAGES))}, got {average!r}")
    predicted, true, classes = _classes(name, *arguments)
    if average == "binary" and classes > 2:
        raise ValueError(
            f"{name}: average='binary' is for two classes, got {classes}; choose 'macro', for example, in fit and "
            f"evaluate as functools.partial(nn.{name}, average='macro')"
        )
    each = true[predicted == true], predicted[predicted >= 0], true
    right, predicted, true = (np.bincount(numbers, minlength=classes) for numbers in each)
    return right, predicted, true


def _averaged(average: str, part: Array, whole: Array, predicted: Array, true: Array) -> float:
    """The average of ``part / whole``, with 0 / 0 = 0."""
    if average == "binary":
        part, whole = part[1:], whole[1:]
    if average == "micro":
        part, whole = part.sum(keepdims=True), whole.sum(keepdims=True)
    shares = np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
    if len(shares) == 1:
        return float(shares[0])
    weights = true if average == "weighted" else predicted + true > 0
    return float(np.average(shares, weights=weights))
