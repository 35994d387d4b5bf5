"""Losses for several labels of each sample: MultiLabelMarginLoss, MultiLabelSoftMarginLoss."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.compute import kernels, loss_kernels
from nnlite.errors import ShapeError
from nnlite.layer.flops import Flops, rows_along
from nnlite.losses.loss import Loss, TargetError, any_nan, check_probabilities, finite_weight, listing, times_weight


class MultiLabelMarginLoss(Loss):
    """Hinge loss of several labels: ``J = mean(sum_jk max(0, 1 - (Y_j - Y_k)) / C)``.

    j runs over the labels of a sample, k over the other classes. Each pair whose scores differ by less than 1 adds
    ``-1 / C / n`` to ``dY_j`` and ``1 / C / n`` to ``dY_k``.

    Args:
        reduction: "mean" over all n samples, "sum" or "none".

    Shapes, with C classes:
        scores Y (N, C) or (C,); the target has that shape: the class indices of the labels in front, then -1, behind
        which nothing counts; J a float, or an array of shape (N,) or ().

    The work is that of as many hinge losses as the sample with most labels has.

    Raises:
        TypeError: class indices that are not whole numbers.
        ShapeError: the shapes differ.
        ValueError: a class index outside -1 ... C-1, with its index; a target of 0 and 1 for each class; or the mean
            over no samples.

    >>> loss = MultiLabelMarginLoss()
    >>> loss.forward(np.array([[0.1, 0.2, 0.4, 0.8]]), np.array([[3, 0, -1, 1]]))
    0.85...
    >>> loss.backward()
    array([[-0.5,  0.5,  0.5, -0.5]])
    """

    logits, same_scale = True, False
    formulas = """
        T = count_labels(target, like=Y)
        P = outer(T, T == 0)
        H = maximum(1 - pairs(Y), 0)
        J = 1 / N * sum(P * H, axis=(-2, -1) if reduction == "none" else None) / classes
        G = (expand_dims(dJ, axis=(-2, -1)) if reduction == "none" else dJ) / N * P * (H > 0) / classes
        dY = sum(G, axis=-2) - sum(G, axis=-1)
    """

    def forward(self, Y: Any, target: Any) -> Any:
        self.count = None  # no gradient until this forward has ended well
        Y = self.check_X(Y, "Y")
        labels = self._labels(as_array(target, "MultiLabelMarginLoss: target"), Y)
        self.shape, self.classes, self.most_labels = Y.shape, Y.shape[-1], labels.shape[1]
        Y, samples = np.reshape(Y, (len(labels), self.classes)), np.arange(len(labels))
        others = Y.copy()
        n, place = np.nonzero(labels >= 0)
        others[n, labels[n, place]] = -np.inf  # max(0, 1 - Y_j - inf) is 0
        J, dY = np.zeros((len(Y), 1), Y.dtype), np.zeros_like(others)
        for label in labels.T:
            y = np.where(label >= 0, Y[samples, label], Y.dtype.type(np.inf))[:, None]
            dY, H, above = loss_kernels.hinge_of_a_label(others, y, dY, 1.0)
            dY[samples, label] -= above[:, 0]
            J += H
        self.dY = dY / Y.dtype.type(self.classes)
        return self.reduce((J / Y.dtype.type(self.classes)).reshape(self.shape[:-1]))

    def backward(self, dJ: Any = 1.0) -> Array:
        share = np.asarray(self.scale(dJ), self.dY.dtype).reshape(-1, 1)  # of all samples, or of each
        dY: Array = self.dY * share
        return dY.reshape(self.shape)

    def _labels(self, target: Array, Y: Array) -> Array:
        """Return the class indices of each sample, in rows as long as the longest, with -1 behind the last one.

        Raises:
            TypeError, ShapeError, ValueError: the target is wrong.
        """
        if Y.ndim not in (1, 2):
            raise ShapeError(f"{self}: expected scores of shape (N, C) or (C,), got {Y.shape}")
        if target.shape != Y.shape:
            raise ShapeError(f"{self}: expected a target of Y's shape {Y.shape}, got {target.shape}")
        classes = Y.shape[-1]
        as_indices = f"pass -np.sort(-np.where(target, np.arange({classes}), -1))"
        if target.dtype.kind not in "iu":
            raise TypeError(
                f"{self}: expected class indices of a whole-number dtype, got {target.dtype}; for a target of 0 and 1 "
                f"for each class {as_indices}, else target.astype(np.int64)"
            )
        least, most = (int(target.min()), int(target.max())) if target.size else (-1, -1)
        if least < -1 or most >= classes:
            outside = (target < -1) | (target >= classes)
            index = tuple(map(int, np.argwhere(outside)[0]))
            raise TargetError(
                f"{self}: expected class indices from 0 to {classes - 1}, then -1, got {target[index]} at {index}",
                index,
            )
        if classes > 2 and least >= 0 and most <= 1:
            raise ValueError(
                f"{self}: expected class indices, then -1, got 0 or 1 for each class; {as_indices}, or use "
                "MultiLabelSoftMarginLoss"
            )
        behind = np.reshape(target, (target.size // max(classes, 1), classes)) < 0
        lengths = np.where(behind.any(axis=1), behind.argmax(axis=1), classes) if target.size else np.zeros(0, int)
        labels = np.reshape(target, behind.shape)[:, : lengths.max(initial=0)].astype(np.intp)
        labels[np.arange(labels.shape[1]) >= lengths[:, None]] = -1
        return labels

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        rows = rows_along(X, -1)  # -, +, max, sum, >, count, + for each label; /
        forward = (7 * self.most_labels + 1) * X.size + (1 + (self.reduction != "none")) * rows
        return Flops(elementwise=forward), Flops(elementwise=X.size)


class MultiLabelSoftMarginLoss(Loss):
    """Mean over the classes of the binary cross-entropy of logits: ``J = mean(sum(softplus(Z) - t Z) / C)``.

    ``dZ = (sigmoid(Z) - t) / C / n``. :class:`nnlite.BCEWithLogitsLoss` has the same mean; the losses of
    ``reduction="none"`` and their sum are here those of samples, not of single elements.

    Args:
        weight: factor of each class, broadcast to Z's shape. The mean still divides by n.
        reduction: "mean" over all n samples, "sum" or "none".

    Shapes, with C classes:
        logits Z and target t, with values from 0 to 1, (..., C); J a float, or an array of that shape without C.

    Raises:
        ShapeError: the shapes differ, are those of a number, or the weight cannot be broadcast.
        ValueError: a target is NaN or outside [0, 1], with its index; or the mean over no elements.

    >>> loss = MultiLabelSoftMarginLoss()
    >>> loss.forward(np.array([[0.0, 1000.0]]), np.array([[1.0, 0.0]]))
    500.346...
    >>> loss.backward()
    array([[-0.25,  0.5 ]])
    """

    logits, same_scale, uniform_value = True, False, 0.0
    formulas = """
        J = 1 / N * sum(
            mean(weight * ((1 - target) * Y + log(1 + exp(-Y))), axis=-1),
            axis=() if reduction == "none" else None,
        )
        dY = (expand_dims(dJ, axis=-1) if reduction == "none" else dJ) / N / classes * weight * (sigmoid(Y) - target)
    """

    def __init__(self, *, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.weight = finite_weight(weight, "MultiLabelSoftMarginLoss: weight")

    def forward(self, Y: Any, target: Any) -> Any:
        self.Z, self.target = Z, t = self.check_pair(Y, target)
        if not Z.ndim or not Z.shape[-1]:
            raise ShapeError(f"{self}: expected logits of shape (N, C) or (C,), got {Z.shape}")
        check_probabilities(self, t)
        self.classes = Z.shape[-1]
        elements = times_weight(self, self.weight, kernels.binary_cross_entropy_with_logits(Z, t))
        J = np.asarray(np.add.reduce(elements, axis=-1) / self.classes)
        if any_nan(J):  # perhaps of 0 * inf, whose limit is 0
            elements[np.isinf(Z) & np.isnan(elements)] = 0
            J = np.asarray(np.add.reduce(elements, axis=-1) / self.classes)
        return self.reduce(J)

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        scale = (scale if type(scale) is float else np.broadcast_to(scale[..., None], self.Z.shape)) / self.classes
        dZ = kernels.binary_cross_entropy_with_logits_backward(self.Z, self.target, scale)
        return times_weight(self, self.weight, dZ)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        more, rows = self.weight is not None, rows_along(X, -1)
        forward = (9 + more) * X.size + (1 + (self.reduction != "none")) * rows
        return Flops(elementwise=forward), Flops(elementwise=(6 + more) * X.size)

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), weight=self.weight)
