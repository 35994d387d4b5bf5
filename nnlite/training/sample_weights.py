"""What ``fit`` makes of a loss: one with a weight for each sample."""

import copy
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.layer.layer import Layer
from nnlite.losses.binary_cross_entropy import BCELoss, BCEWithLogitsLoss
from nnlite.losses.cross_entropy import CrossEntropyLoss
from nnlite.losses.loss import Loss
from nnlite.losses.per_output import Losses


class SampleWeighted(Layer):
    """A loss in which each sample counts as much as its weight says: ``J = sum(weight * J_element) / count``.

    ``count`` is what the loss itself divides by, so weights of 1 change nothing.

    Args:
        loss: one of nnlite's losses, whose reduction is "mean" or "sum".
        class_weight: the weight of each class; those that are not in it weigh 1.
        paired: the target is a pair of the target and the weights of its rows.

    Raises:
        TypeError: another loss.
        ValueError: a class that there is not; known at the first batch.

    >>> import numpy as np, nnlite as nn
    >>> loss = SampleWeighted(nn.MSELoss(), paired=True)
    >>> loss.forward(np.array([[1.0], [1.0]]), (np.array([[0.0], [3.0]]), np.array([1.0, 0.5])))
    1.5
    >>> loss.backward()
    array([[ 1.],
           [-1.]])
    """

    def __init__(self, loss: Layer, class_weight: dict[int, float] | None = None, *, paired: bool = False) -> None:
        if isinstance(loss, Losses):
            raise TypeError("sample_weight, class_weight: they are not for a model of several outputs")
        if not isinstance(loss, Loss):
            raise TypeError(f"sample_weight, class_weight: expected one of nnlite's losses, got {loss!r}")
        if class_weight is not None:
            _check_class_weight(class_weight, loss)
        self.loss = loss
        self.elements = copy.deepcopy(loss)
        self.elements.reduction = "none"
        self.reduction = loss.reduction
        self.class_weight = class_weight
        self.paired = paired

    def forward(self, Y: Any, target: Any) -> float:
        """``J = sum(weight * J_element) / count``."""
        target, weight = target if self.paired else (target, np.ones(1))
        self.loss.forward(Y, target)
        if self.class_weight and isinstance(self.loss, CrossEntropyLoss):
            _check_labels(self.class_weight, classes=np.shape(Y)[min(1, np.ndim(Y) - 1)])
        J = self.elements.forward(Y, target)
        self.count = float(self.loss.count or 1.0)
        self.weight = np.asarray(weight, J.dtype).reshape(-1, *[1] * (J.ndim - 1))
        if self.class_weight is not None:
            self.weight = self.weight * _by_class(J, np.asarray(target), self.class_weight)
        return float(np.sum(J * self.weight)) / self.count

    def backward(self, dJ: Any = 1.0) -> Array:
        """The loss's own, of each element times its weight."""
        dY: Array = self.elements.backward(np.broadcast_to(self.weight * (dJ / self.count), self.elements._J_shape))
        return dY


def _check_class_weight(class_weight: Any, loss: Loss) -> None:
    """Raise unless it is a finite number for each of some classes, and the loss one of classes."""
    name = "class_weight"
    if not isinstance(loss, CrossEntropyLoss | BCELoss | BCEWithLogitsLoss):
        raise TypeError(f"{name}: expected a loss of classes, such as CrossEntropyLoss, got {loss!r}")
    if not isinstance(class_weight, dict) or not all(isinstance(label, int | np.integer) for label in class_weight):
        raise TypeError(f"{name}: expected a dict such as {{0: 1.0, 1: 5.0}}, got {class_weight!r}")
    if not np.isfinite(np.array(list(class_weight.values()), np.float64)).all():
        raise ValueError(f"{name}: expected finite numbers, got {class_weight!r}")
    if not isinstance(loss, CrossEntropyLoss) and not set(class_weight) <= {0, 1}:
        raise ValueError(f"{name}: {loss!r} has the classes 0 and 1, got {class_weight!r}")


def _check_labels(class_weight: dict[int, float], classes: int) -> None:
    """Raise if there is a weight for a class that the model does not know."""
    unknown = [label for label in class_weight if not 0 <= label < classes]
    if unknown:
        raise ValueError(f"class_weight: the model has the classes 0 to {classes - 1}, got a weight for {unknown[0]}")


def _by_class(J: Array, target: Array, class_weight: dict[int, float]) -> Array:
    """The weight of each element of J: that of its class, or of its most probable class."""
    if target.shape != J.shape:  # probabilities of the classes, along the second axis
        target = target.argmax(axis=min(1, target.ndim - 1))
    weight = np.ones(J.shape, J.dtype)
    for label, value in class_weight.items():
        weight[target == label] = value
    return weight


def weight_of(loss: Layer, count: int) -> float:
    """What the loss of a batch of ``count`` rows was divided by, which is what it weighs beside others; 0 for a sum.

    >>> import nnlite as nn
    >>> weight_of(nn.MSELoss(reduction="sum"), 32), weight_of(Layer(), 32)
    (0.0, 32)
    """
    return 0.0 if getattr(loss, "reduction", "mean") == "sum" else getattr(loss, "count", None) or count
