"""ClassLoss: the base class of losses whose target is a class index, and the checks that they share."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, StandIn
from nnlite.basics.checks import whole
from nnlite.basics.frames import numbered
from nnlite.errors import ShapeError
from nnlite.losses.loss import Loss, TargetError


class ClassLoss(Loss):
    """Base class of losses of the scores of C classes, whose target is the class index of each sample.

    The classes are axis ``dim`` of Y, or the only one; the target has Y's shape without that axis.
    """

    same_scale = False
    predictions = "logits"  # what Y holds, in errors
    weight: Array | None = None  # of each class
    ignore_index: int | None = None  # class index of samples that do not count
    dim: int = 1

    @property
    def class_axis(self) -> int:  # type: ignore[override]
        """The axis of the classes, if Y has several."""
        return self.dim

    def set_dim(self, dim: int) -> None:
        """Set the axis of the classes.

        Raises:
            ValueError: it is that of the samples.
        """
        self.dim = whole(dim, f"{type(self).__name__}: dim", least=None)
        if self.dim == 0:
            raise ValueError(f"{type(self).__name__}: dim: expected the axis of the classes, such as 1 or -1, got 0")

    @property
    def shown_dim(self) -> int | None:
        """For the repr: the axis of the classes, None where it is 1."""
        return None if self.dim == 1 else self.dim

    def axis_of_classes(self, Y: Array) -> int:
        """Return the axis of the classes.

        Raises:
            ShapeError: Y is a number, it has no axis ``dim`` after that of the samples, or there are less than two
                classes.
        """
        if Y.ndim == 0:
            raise ShapeError(f"{self}: expected {self.predictions} of shape (N, C), got a scalar")
        axis = 0 if Y.ndim == 1 else self.dim + Y.ndim * (self.dim < 0)
        if Y.ndim > 1 and not 0 < axis < Y.ndim:
            raise ShapeError(
                f"{self}: expected {self.predictions} with the classes along axis {self.dim}, got shape {Y.shape}"
            )
        if Y.shape[axis] < 2:
            raise ShapeError(
                f"{self}: expected {self.predictions} of at least 2 classes along axis {axis}, got shape {Y.shape}; "
                "for two classes with one output use BCEWithLogitsLoss"
            )
        return axis

    def class_counts(self, Y: Array, target: Array) -> Array | None:
        if target.ndim == Y.ndim:  # probabilities of the classes
            return None
        counted = target[target != self.ignore_index] if self.ignore_index is not None else target
        return np.bincount(counted.reshape(-1).astype(np.intp), minlength=Y.shape[self.axis_of_classes(Y)])

    def weight_of_classes(self, classes: int, dtype: "np.dtype[np.floating]") -> Array | None:
        """Return the weight of each class in that dtype; None without weights.

        Raises:
            ShapeError: there is not one weight for each class.
        """
        if self.weight is None:
            return None
        if self.weight.shape != (classes,):
            raise ShapeError(f"{self}: weight: expected shape ({classes},), one per class, got {self.weight.shape}")
        return self.weight.astype(dtype)

    def weights_of(self, labels: Array, counted: Array | None, classes: int, dtype: Any) -> Array | None:
        """Return how much each sample counts: the weight of its class, 0 if it is ignored; None if each counts 1.

        Raises:
            ShapeError: there is not one weight for each class.
        """
        weight = self.weight_of_classes(classes, dtype)
        if weight is None:
            return None if counted is None else counted.astype(dtype)
        weights: Array = labels.apply(np.take, weight, labels) if isinstance(labels, StandIn) else weight[labels]
        return weights if counted is None else weights * counted

    def indices(self, target: Array, classes: int) -> tuple[Array, Array | None]:
        """Return the class index of each sample, in one row, 0 for ignored ones; and which count, None if all do.

        Raises:
            TypeError: the target does not hold whole numbers.
            ValueError: a class index does not exist; it is named with its index.
        """
        if target.dtype.kind not in "iu":
            raise TypeError(
                f"{self}: expected class indices of a whole-number dtype, got {target.dtype}; "
                "pass target.astype(np.int64)"
            )
        labels = target.reshape(-1).astype(np.intp, copy=False)
        without_sign = target.view(np.uint64) if target.dtype == np.int64 else target.astype(np.uint64)  # -1 is large
        ignored = self.ignore_index
        none_ignored = ignored is None or not 0 <= ignored < classes
        if none_ignored and np.maximum.reduce(without_sign, axis=None, initial=0) < classes:
            return labels, None
        outside = without_sign >= classes
        counted = np.ones(target.shape, bool) if ignored is None else target != ignored
        wrong = outside & counted
        if wrong.any():
            index = tuple(map(int, np.argwhere(wrong)[0]))
            raise TargetError(
                f"{self}: expected class indices from 0 to {classes - 1}, got {target[index]} at {index}; "
                f"{numbered('target')}",
                index,
            )
        counted = counted.reshape(-1)
        return np.where(counted, labels, 0), counted

    def target_error(self, target: tuple[int, ...], Y: tuple[int, ...], or_else: str = "") -> ShapeError:
        """Return the error that says which shape of the target was expected for Y's shape, and the cure."""
        axis = 0 if len(Y) == 1 else self.dim % len(Y)
        expected = Y[:axis] + Y[axis + 1 :]
        cure = ""
        if target == (*expected, 1):
            cure = "; pass target[..., 0]"
        elif len(Y) > 2 and target == Y[:-1]:
            cure = f"; if the classes are the last axis of Y, write {type(self).__name__}(dim=-1)"
        elif len(Y) > 2 and target == Y[:1] + Y[2:]:
            cure = f"; if the classes are axis 1 of Y, write {type(self).__name__}(dim=1)"
        return ShapeError(
            f"{self}: expected class indices of shape {expected}{or_else}, got a target of shape {target}{cure}"
        )
