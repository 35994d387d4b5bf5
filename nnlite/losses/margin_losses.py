"""Losses of two classes coded as -1 and 1, and of several: SoftMarginLoss, HingeEmbeddingLoss, MultiMarginLoss."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import finite
from nnlite.compute import loss_kernels
from nnlite.compute.softmax import from_rows, rows
from nnlite.layer.flops import Flops, rows_along
from nnlite.losses.class_loss import ClassLoss
from nnlite.losses.loss import Loss, finite_weight, listing, refuse


class SoftMarginLoss(Loss):
    """Logistic loss of two classes coded as -1 and 1: ``J = mean(log(1 + exp(-t Y)))``.

    ``dY = -t / (1 + exp(t Y)) / n``. For classes coded as 0 and 1 it is :class:`nnlite.BCEWithLogitsLoss`.

    Args:
        reduction: "mean" over all n elements, "sum" or "none".

    Y and the target t, of -1 and 1, have the same shape, any; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ.
        ValueError: a target is neither -1 nor 1, with its index; or the mean over no elements.

    >>> loss = SoftMarginLoss()
    >>> loss.forward(np.array([-1000.0, 0.0]), np.array([1.0, -1.0]))
    500.346...
    >>> loss.backward()
    array([-0.5 ,  0.25])
    """

    logits, same_scale, uniform_value = True, False, 0.0
    formulas = """
        J = 1 / N * sum(log(1 + exp(-target * Y)), axis=() if reduction == "none" else None)
        dY = -dJ / N * target / (1 + exp(target * Y))
    """
    flops_per_element = (7, 5)

    def forward(self, Y: Any, target: Any) -> Any:
        self.Y, self.target = Y, target = self.check_pair(Y, target)
        check_signs(self, target)
        return self.reduce_kernel(loss_kernels.soft_margin, Y, target)

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        return loss_kernels.soft_margin_backward(self.Y, self.target, scale)


class HingeEmbeddingLoss(Loss):
    """Loss of distances Y between pairs that belong together, t = 1, or do not, t = -1.

    J is the mean of Y where t is 1, and of ``max(0, margin - Y)`` where t is -1; ``dY`` is ``1 / n`` there, and here
    ``-1 / n`` for Y up to the margin, else 0.

    Args:
        margin: the distance from which pairs that do not belong together cost nothing.
        reduction: "mean" over all n elements, "sum" or "none".

    Y and the target t, of -1 and 1, have the same shape, any; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ.
        ValueError: a target is neither -1 nor 1, with its index; or the mean over no elements.

    Source: Hadsell, Chopra and LeCun, Dimensionality reduction by learning an invariant mapping, 2006.

    >>> loss = HingeEmbeddingLoss()
    >>> loss.forward(np.array([0.5, 0.25]), np.array([1.0, -1.0]))
    0.625
    >>> loss.backward()
    array([ 0.5, -0.5])
    """

    logits, same_scale, Y_range = False, False, (0.0, math.inf)
    formulas = """
        J = 1 / N * sum(
            (target > 0) * Y + (target < 0) * maximum(margin - Y, 0), axis=() if reduction == "none" else None
        )
        dY = dJ / N * target * ((target > 0) + (target < 0) * (Y <= margin))
    """
    flops_per_element = (3, 3)

    def __init__(self, *, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = finite(margin, "HingeEmbeddingLoss: margin")

    def forward(self, Y: Any, target: Any) -> Any:
        self.Y, self.target = Y, target = self.check_pair(Y, target)
        check_signs(self, target)
        return self.reduce_kernel(loss_kernels.hinge_embedding, Y, target, self.margin)

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        return loss_kernels.hinge_embedding_backward(self.Y, self.target, self.margin, scale)

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), margin=None if self.margin == 1 else self.margin)


class MultiMarginLoss(ClassLoss):
    """Hinge loss of C classes: ``J = mean(w sum(H^p) / C)`` with ``H = max(0, margin - y + Y)``.

    y is the score of the right class, whose own entry of H is 0, and w the weight of that class. Each class above the
    margin has the gradient ``w p H^(p - 1) / C / n``, and the right one minus their sum.

    Args:
        p: 1 or 2, the power.
        margin: by how much the score of the right class should exceed the others.
        weight: factor of each class, of shape (C,). The mean still divides by the number n of samples.
        dim: the axis of the classes: 1 as in PyTorch, or -1 for the last, as of sequences (N, T, C).
        reduction: "mean" over all n samples, "sum" or "none".

    Shapes, with C classes, at least 2:
        scores Y (N, C) or (N, C, d1, ...) or (C,), the classes in axis ``dim``; target: class indices of Y's shape
        without that axis; J a float, or an array of the target's shape.

    Raises:
        TypeError: class indices that are not whole numbers.
        ShapeError: the shape of the target or of the weight does not match.
        ValueError: p is neither 1 nor 2, a class index outside 0 ... C-1, or the mean over no samples.

    Source: Crammer and Singer, On the algorithmic implementation of multiclass kernel-based vector machines, 2001.

    >>> loss = MultiMarginLoss()
    >>> loss.forward(np.array([[0.1, 0.2, 0.4, 0.8]]), np.array([3]))
    0.32499...
    >>> loss.backward()
    array([[ 0.25,  0.25,  0.25, -0.75]])
    """

    logits = True
    predictions = "scores"
    formulas = """
        Q = one_hot(target, like=Y, axis=axis, ignored=-1)
        H = (1 - Q) * maximum(margin - sum(Q * Y, axis=axis, keepdims=True) + Y, 0)
        w = sum(along(weight, axis=axis, like=Y) * Q, axis=axis, keepdims=True)
        J = 1 / N * sum(w * mean(H ** p, axis=axis, keepdims=True), axis=axis if reduction == "none" else None)
        G = w / classes * (2 * H if p == 2 else H > 0)
        dY = (expand_dims(dJ, axis=axis) if reduction == "none" else dJ) / N * (
            G - Q * sum(G, axis=axis, keepdims=True)
        )
    """

    def __init__(
        self, *, p: int = 1, margin: float = 1.0, weight: Any = None, dim: int = 1, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.set_dim(dim)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p: expected 1 or 2, got {p!r}")
        self.p = int(p)
        self.margin = finite(margin, "MultiMarginLoss: margin")
        self.weight = finite_weight(weight, "MultiMarginLoss: weight")

    def forward(self, Y: Any, target: Any) -> Any:
        self.count = None  # no gradient until this forward has ended well
        Y = self.check_X(Y, "Y")
        self.axis = self.axis_of_classes(Y)
        self.shape, self.classes = Y.shape, Y.shape[self.axis]
        target = as_array(target, "MultiMarginLoss: target")
        if target.shape != Y.shape[: self.axis] + Y.shape[self.axis + 1 :]:
            raise self.target_error(target.shape, Y.shape)
        labels, _ = self.indices(target, self.classes)
        weight = self.weight_of_classes(self.classes, Y.dtype)
        Y = rows(Y, self.axis)
        self.index = np.arange(0, Y.size, self.classes) + labels
        self.share = (np.ones(len(Y), Y.dtype) if weight is None else weight[labels])[:, None] / self.classes
        self.H = loss_kernels.hinge_of_rows(Y, Y.reshape(-1)[self.index][:, None], self.margin)
        self.H.reshape(-1)[self.index] = 0
        J = self.share[:, 0] * np.add.reduce(self.H if self.p == 1 else self.H * self.H, axis=1)
        return self.reduce(J.reshape(target.shape))

    def backward(self, dJ: Any = 1.0) -> Array:
        share = np.asarray(self.scale(dJ), self.H.dtype).reshape(-1, 1) * self.share  # of each sample
        dY = loss_kernels.hinge_of_rows_backward(self.H, share) if self.p == 1 else 2 * share * self.H
        dY.reshape(-1)[self.index] = -np.add.reduce(dY, axis=1)
        return from_rows(dY, self.shape, self.axis)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        rows = rows_along(X, self.axis)  # -, +, max, *, sum; >, *, sum
        forward = (3 + self.p) * X.size + (1 + (self.reduction != "none")) * rows
        return Flops(elementwise=forward), Flops(elementwise=3 * X.size + rows)

    def extra_repr(self) -> str:
        p, margin = (None if value == 1 else value for value in (self.p, self.margin))
        return listing(super().extra_repr(), p=p, margin=margin, weight=self.weight, dim=self.shown_dim)


def check_signs(loss: Loss, target: Array) -> None:
    """Check that every target is -1 or 1.

    Raises:
        ValueError: one is not; it is named with its index.
    """
    right = np.abs(target) == 1
    if not right.all():
        cure = "for two classes coded as 0 and 1 pass 2 * target - 1"
        refuse(loss, "target", target, right, "to be -1 or 1", cure)
