"""WeightedLoss: a loss in which each sample has a weight."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer
from nnlite.losses.binary_cross_entropy import BCELoss, BCEWithLogitsLoss
from nnlite.losses.class_loss import ClassLoss
from nnlite.losses.cross_entropy import CrossEntropyLoss
from nnlite.losses.likelihood_losses import NLLLoss
from nnlite.losses.loss import Loss
from nnlite.losses.loss_arguments import arguments_of
from nnlite.losses.per_output import Losses, by_key


class WeightedLoss(Loss):
    """A loss with a weight for each sample: ``J = sum(w J_element) / sum(w)``.

    So a weight of 0 is the same as leaving the sample out, and a weight of 2 the same as having it twice. If the
    loss's reduction is "sum", ``J = sum(w J_element)``. What the loss itself leaves out or weighs (``ignore_index`` and
    ``weight`` of CrossEntropyLoss) counts in the denominator as it does there.

    Args:
        loss: the loss, whose elements are what its ``forward`` returns with ``reduction="none"``.
        class_weight: the weight of each class; classes that are not in it weigh 1.

    Raises:
        TypeError: class weights for a loss that is not one of classes.
        ValueError: a weight that is negative or not finite, or of a class that does not exist.

    >>> import nnlite as nn
    >>> loss = WeightedLoss(nn.MSELoss())
    >>> loss.forward(np.array([[1.0], [1.0]]), np.array([[0.0], [3.0]]), np.array([3.0, 1.0]))
    1.75
    >>> loss.backward()
    array([[ 1.5],
           [-1. ]])
    """

    without_gradient = ("target", "weight")

    def __init__(self, loss: Loss, class_weight: dict[int, float] | None = None) -> None:
        if class_weight is not None:
            _check_class_weight(class_weight, loss)
        self.reduction = loss.reduction
        self.loss = loss
        self.logits = getattr(loss, "logits", None)
        self.dim, self.ignore_index = getattr(loss, "dim", 1), getattr(loss, "ignore_index", None)
        self.class_weight = class_weight

    def forward(self, Y: Any, target: Any, weight: Any = None) -> float:
        if self.class_weight and isinstance(self.loss, ClassLoss):
            _check_labels(self.class_weight, classes=np.shape(Y)[self.loss.axis_of_classes(np.asarray(Y))])
        self.loss.reduction = "none"
        try:
            J: Array = np.asarray(self.loss.forward(*arguments_of(self.loss, Y, target)))
        finally:
            self.loss.reduction = self.reduction
        W = np.ones(J.shape, J.dtype)
        if weight is not None:
            if J.shape[: weight.ndim] != weight.shape:
                what = f"each of the {len(weight)} rows" if weight.ndim == 1 else f"each entry of {weight.shape}"
                raise ShapeError(
                    f"sample_weight: expected {self.loss!r} to return the loss of {what} with "
                    f'reduction="none", got shape {J.shape}'
                )
            W *= weight.reshape(*weight.shape, *[1] * (J.ndim - weight.ndim))
        if self.class_weight is not None:
            W *= _by_class(J, np.asarray(target), self.class_weight, getattr(self.loss, "axis", 1))
        self.W, self.count = W, 1.0
        if self.reduction == "mean":  # 0 where all weights of a batch are 0, which then has no gradient
            self.count = float(np.sum(W if self.loss.counts is None else W * self.loss.counts))
            if self.loss.mean_divides_by is not None:
                W /= self.loss.mean_divides_by
        elif self.reduction == "batchmean":  # each row counts 1, not each element
            self.count = float(np.sum(W)) * len(W) / W.size
        return float(np.sum(J * W)) / (self.count or 1.0)

    def backward(self, dJ: Any = 1.0) -> Any:
        return self.loss.backward(self.W * (dJ / (self.count or 1.0)))


def weighted(loss: Layer, class_weight: Any, rows: Any) -> Layer:
    """``loss`` with a weight for each sample; each loss of several outputs.

    Args:
        loss: a Loss, or the Losses of several outputs.
        class_weight: the weight of each class, "balanced" or None; for several outputs a tuple or dict of them, as the
            losses are.
        rows: the rows to train on, which balanced weights are computed from.

    >>> import nnlite as nn
    >>> weighted(nn.MSELoss(), None, None)
    WeightedLoss(
      (loss): MSELoss()
    )
    """
    Y, numbers = getattr(rows, "Y", None), getattr(rows, "numbers", None)
    if not isinstance(loss, Losses):
        return _weighted(loss, class_weight, Y, numbers)
    losses = by_key(loss.losses)
    weights: dict[Any, Any] = dict.fromkeys(losses)
    if class_weight is not None:
        if type(class_weight) is not type(loss.losses) or not by_key(class_weight).keys() <= losses.keys():
            raise TypeError(
                f"class_weight: expected a {type(loss.losses).__name__} of the class weights of each output "
                f"{', '.join(map(str, losses))}, got {class_weight!r}"
            )
        weights |= by_key(class_weight)
    targets = by_key(Y) if isinstance(Y, tuple | dict) else {}
    parts = {
        key: None if part is None else _weighted(part, weights[key], targets.get(key), numbers)
        for key, part in losses.items()
    }
    return Losses(parts if isinstance(loss.losses, dict) else tuple(parts.values()), loss.weights)


def _weighted(loss: Any, class_weight: Any, Y: Any, numbers: Array | None) -> WeightedLoss:
    balance = isinstance(class_weight, str) and class_weight == "balanced"
    return WeightedLoss(loss, balanced(Y, numbers, loss) if balance else class_weight)


def check_weights_act(loss: Layer, rows: Any, rows_per_step: int) -> None:
    """Raise a ValueError if each step is on one row, in whose loss ``w J / w`` its weight cancels.

    Args:
        loss: the loss, weighted or not.
        rows: the rows to train on.
        rows_per_step: the number of rows of a step.

    >>> import nnlite as nn
    >>> check_weights_act(nn.CrossEntropyLoss(weight=[1.0, 5.0]), None, 1)
    """
    Y = getattr(rows, "Y", None)
    if rows_per_step > 1 or Y is None:
        return
    targets = by_key(Y) if isinstance(loss, Losses) else {0: Y}
    for key, each in (loss.by_output if isinstance(loss, Losses) else {0: loss}).items():
        plain = each.loss if isinstance(each, WeightedLoss) else each
        classes = classes_of(targets.get(key), plain)
        found = {}
        if isinstance(each, WeightedLoss):
            found["sample_weight"] = None if np.ndim(rows.weight) > 1 else rows.weight
        if classes is not None and isinstance(each, WeightedLoss) and each.class_weight:
            found["class_weight"] = [each.class_weight.get(label, 1.0) for label in np.unique(classes).tolist()]
        if classes is not None and isinstance(plain, CrossEntropyLoss | NLLLoss):
            found[f"{plain.one_line()}: weight"] = plain.weight
        for name, weight in found.items():
            if weight is not None and getattr(plain, "reduction", "mean") != "sum" and _differ(weight):
                raise ValueError(
                    f"{name}: with one row in a step the loss w J / w does not depend on its weight w; use a larger "
                    f'batch_size or accumulate_steps, or {type(plain).__name__}(reduction="sum")'
                )


def _differ(weight: Any) -> bool:
    positive = np.asarray(weight)[np.asarray(weight) > 0]
    return positive.size > 0 and bool(positive.min() != positive.max())


def classes_of(Y: Any, loss: Any) -> Array | None:
    """The class of each row, if the loss is one of classes and the targets are an array with one class for each row.

    >>> import nnlite as nn
    >>> classes_of(np.array([[0.0], [1.0]]), nn.BCELoss())
    array([0, 1])
    """
    if not isinstance(Y, np.ndarray) or not isinstance(loss, ClassLoss | BCELoss | BCEWithLogitsLoss):
        return None
    if Y.ndim == 2 and Y.shape[1] > 1 and isinstance(loss, ClassLoss):
        if not _are_distributions(Y):  # the classes of the steps of sequences
            return None
        labels: Array = Y.argmax(axis=1)  # one-hot, or probabilities
        return labels
    if Y.size != len(Y) or not np.array_equal(Y, np.rint(Y)):
        return None
    return Y.reshape(-1).astype(np.int64)


def _are_distributions(Y: Array) -> bool:
    return bool((Y >= 0).all() and np.allclose(Y.sum(axis=1), 1, atol=1e-3))


def balanced(Y: Any, numbers: Array | None, loss: Any) -> dict[int, float]:
    """The weight of each class that makes all classes count the same: ``rows / (classes * rows of the class)``.

    Args:
        Y: the targets.
        numbers: the indices of the rows to train on; None for all of them.
        loss: a loss of classes.

    Raises:
        ValueError: the targets are not an array with one class for each row.

    >>> import nnlite as nn
    >>> balanced(np.array([0, 0, 0, 1]), None, nn.CrossEntropyLoss())
    {0: 0.6666666666666666, 1: 2.0}
    """
    classes = classes_of(Y, loss)
    if classes is None:
        raise ValueError(
            'class_weight="balanced": expected a loss of classes, such as CrossEntropyLoss, and a target Y with one '
            "class for each row; pass a dict such as {0: 1.0, 1: 5.0}"
        )
    classes = classes if numbers is None else classes[numbers]
    labels, counts = np.unique(classes, return_counts=True)
    return {int(label): len(classes) / (len(labels) * int(n)) for label, n in zip(labels, counts, strict=True)}


def _check_class_weight(class_weight: Any, loss: Loss) -> None:
    """Raise unless it has a finite number >= 0 for each of some classes, and the loss is one of classes."""
    name = "class_weight"
    if not isinstance(loss, ClassLoss | BCELoss | BCEWithLogitsLoss):
        raise TypeError(f"{name}: expected a loss of classes, such as CrossEntropyLoss, got {loss!r}")
    if not isinstance(class_weight, dict) or not all(isinstance(label, int | np.integer) for label in class_weight):
        cure = ""
        if isinstance(class_weight, list | tuple | np.ndarray):
            cure = f"; pass dict(enumerate({name}))"
        elif isinstance(class_weight, dict):
            cure = "; its keys are the class indices in Y, those of np.unique(labels, return_inverse=True)[1]"
        raise TypeError(f'{name}: expected "balanced" or a dict such as {{0: 1.0, 1: 5.0}}, got {class_weight!r}{cure}')
    values = np.array(list(class_weight.values()), np.float64)
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(f"{name}: expected finite numbers >= 0, got {class_weight!r}")
    if not isinstance(loss, ClassLoss) and not set(class_weight) <= {0, 1}:
        raise ValueError(f"{name}: {loss!r} has the classes 0 and 1, got {class_weight!r}")


def _check_labels(class_weight: dict[int, float], classes: int) -> None:
    """Raise if there is a weight for a class that the model does not have."""
    unknown = [label for label in class_weight if not 0 <= label < classes]
    if unknown:
        raise ValueError(f"class_weight: the model has the classes 0 to {classes - 1}, got a weight for {unknown[0]}")


def _by_class(J: Array, target: Array, class_weight: dict[int, float], axis: int) -> Array:
    """The weight of each element of J: that of its class, or of its most probable class."""
    if target.shape != J.shape:  # probabilities of the classes, along the axis
        target = target.argmax(axis=axis)
    weight = np.ones(J.shape, J.dtype)
    for label, value in class_weight.items():
        weight[target == label] = value
    return weight


def weight_of(loss: Any, count: int) -> float:
    """What the loss of a batch of ``count`` rows was divided by, which is its weight in a mean; 0 for a sum.

    >>> import nnlite as nn
    >>> weight_of(nn.MSELoss(reduction="sum"), 32), weight_of(nn.MSELoss(), 32)
    (0.0, 32)
    """
    if getattr(loss, "reduction", "mean") == "sum":  # a tied loss has none of its own
        return 0.0
    divided_by: float | None = getattr(loss, "count", None)
    return count if divided_by is None else divided_by
