"""Losses for two classes: BCELoss of probabilities and BCEWithLogitsLoss of logits."""

from types import MappingProxyType
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import kernels
from nnlite.losses.loss import (
    Loss,
    any_nan,
    check_probabilities,
    finite_weight,
    listing,
    not_a_probability,
    times_weight,
)


class BCELoss(Loss):
    """Binary cross-entropy of probabilities: ``J = mean(-(t log Y + (1 - t) log(1 - Y)))``.

    Backward: ``dY = (Y - t) / (Y (1 - Y)) / n``. The logarithms are clamped to at least -100 and Y (1 - Y) to at least
    1e-12, so J and dY are finite for Y = 0 and Y = 1. Behind a Sigmoid the gradient is 0 where that saturates (inputs
    above 17 in float32, 37 in float64); :class:`BCEWithLogitsLoss` combines both without that limit.

    Args:
        weight: factor of each element's loss, broadcast to Y's shape. The mean still divides by n.
        reduction: "mean" over all n elements, "sum" or "none".

    Y and the target t have the same shape, any, and values from 0 to 1; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ, or the weight cannot be broadcast.
        ValueError: a value is NaN or outside [0, 1], with its index; or the mean over no elements.

    >>> loss = BCELoss()
    >>> loss.forward(np.array([[0.89], [0.32]]), np.array([[1.0], [0.0]]))
    0.2510...
    >>> loss.backward()
    array([[-0.56179775],
           [ 0.73529412]])
    """

    logits, same_scale, uniform_value = False, True, 0.5
    flops_per_element = (9, 6)
    formulas = """
        J = -1 / N * sum(
            weight * (target * log(Y) + (1 - target) * log(1 - Y)), axis=() if reduction == "none" else None
        )
        dY = dJ / N * weight * ((1 - target) / (1 - Y) - target / Y)
    """
    combined_formulas = MappingProxyType({"Y = sigmoid(X)": ("dX = dJ / N * weight * (Y - target)", "")})
    bounds = "clips logarithms at -100"

    def __init__(self, *, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.weight = finite_weight(weight, "BCELoss: weight")
        self.flops_per_element = (9, 6) if weight is None else (10, 7)

    def forward(self, Y: Any, target: Any) -> Any:
        self.Y, self.target = Y, t = self.check_pair(Y, target)
        check_probabilities(self, t)
        J = self.reduce_kernel(kernels.binary_cross_entropy, Y, t, weight=self.weight)
        if any_nan(J):  # the logarithm of a negative number, or Y was NaN
            not_a_probability(self, "prediction", Y, "put a Sigmoid before it, or use BCEWithLogitsLoss")
        return J

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        dY = kernels.binary_cross_entropy_backward(self.Y, self.target, scale)
        return times_weight(self, self.weight, dY)

    def probabilities(self, Y: Array) -> Array:
        return Y

    def best_prediction(self, target: Array, constant: bool) -> Array:
        best = np.asarray(target, np.float64)
        return np.broadcast_to(best.mean(axis=0), best.shape) if constant else best

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), weight=self.weight)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of logits: a Sigmoid and a :class:`BCELoss` in one, accurate for every logit.

    ``J = mean((1 - t) softplus(Z) + p t softplus(-Z))`` with p = ``pos_weight`` and softplus(Z) = log(1 + exp(Z)).
    Backward: ``dZ = ((1 + (p - 1) t) sigmoid(Z) - p t) / n``, which is ``(sigmoid(Z) - t) / n`` for p = 1.

    Args:
        weight: factor of each element's loss, broadcast to Z's shape. The mean still divides by n.
        pos_weight: factor p of the positive class (t = 1), broadcast to Z's shape; above 1 it increases recall, below 1
            precision.
        reduction: "mean" over all n elements, "sum" or "none".

    Logits Z and target t, with values from 0 to 1, have the same shape, any; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ, or a weight cannot be broadcast.
        ValueError: a target is NaN or outside [0, 1], with its index; or the mean over no elements.

    >>> loss = BCEWithLogitsLoss()
    >>> loss.forward(np.array([-1000.0, 0.0]), np.array([1.0, 1.0]))
    500.346...
    >>> loss.backward()
    array([-0.5 , -0.25])
    """

    logits, same_scale, uniform_value = True, False, 0.0
    flops_per_element = (8, 6)
    formulas = """
        J = 1 / N * sum(
            weight * (
                (1 - target) * Y
                + (1 if pos_weight is None else 1 + (pos_weight - 1) * target) * log(1 + exp(-Y))
            ),
            axis=() if reduction == "none" else None,
        )
        dY = dJ / N * weight * (
            (1 if pos_weight is None else 1 + (pos_weight - 1) * target) * sigmoid(Y) - pos_weight * target
        )
    """

    def __init__(self, *, weight: Any = None, pos_weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.weight = finite_weight(weight, "BCEWithLogitsLoss: weight")
        self.pos_weight = finite_weight(pos_weight, "BCEWithLogitsLoss: pos_weight")
        more, positive = weight is not None, pos_weight is not None
        self.flops_per_element = (8 + more + 6 * positive, 6 + more + 2 * positive)

    def forward(self, Y: Any, target: Any) -> Any:
        self.Z, self.target = Z, t = self.check_pair(Y, target)
        check_probabilities(self, t)
        inputs: tuple[Array, ...] = (Z, t)
        formula = kernels.binary_cross_entropy_with_logits
        if self.pos_weight is not None:
            self.pt = times_weight(self, self.pos_weight, t)
            inputs = (Z, t, self.pt)
            formula = kernels.weighted_cross_entropy_with_logits
        J = self.reduce_kernel(formula, *inputs, weight=self.weight)
        if any_nan(J):  # perhaps of 0 * inf, whose limit is 0
            elements = formula(*inputs)
            elements[np.isinf(Z) & np.isnan(elements)] = 0
            J = self.reduce(times_weight(self, self.weight, elements))
        return J

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        if self.pos_weight is None:
            dZ = kernels.binary_cross_entropy_with_logits_backward(self.Z, self.target, scale)
        else:
            dZ = kernels.weighted_cross_entropy_with_logits_backward(self.Z, self.target, self.pt, scale)
        return times_weight(self, self.weight, dZ)

    def probabilities(self, Y: Array) -> Array:
        return kernels.sigmoid(Y)

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), weight=self.weight, pos_weight=self.pos_weight)
