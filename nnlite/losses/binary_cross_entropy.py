"""BCELoss and BCEWithLogitsLoss: two classes."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import kernels
from nnlite.compute.blocks import elementwise
from nnlite.losses.loss import Loss, any_nan, check_probabilities, finite_weight, listing, not_a_probability, weighted

_LOG_FLOOR = kernels.constants(-100)
_SPREAD_FLOOR = kernels.constants(1e-12)


class BCELoss(Loss):
    """Binary cross-entropy of probabilities: ``J = mean(-(t log Y + (1 - t) log(1 - Y)))``.

    Backward: ``dY = (Y - t) / (Y (1 - Y)) / n``. The logarithms are kept above -100 and Y (1 - Y) above 1e-12, so
    that a wrong certainty costs 100 and not infinity. After a saturated Sigmoid (inputs above 17 in float32, 37 in
    float64) no gradient is left: :class:`BCEWithLogitsLoss` does both at once without that limit.

    Args:
        weight: factor of each element's loss, of a shape that broadcasts to Y's. The mean still divides by n.
        reduction: "mean" over all n elements, "sum" or "none".

    Y, with values from 0 to 1, and target t, likewise, have one shape, any; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ, or the weight's does not broadcast.
        ValueError: a value outside [0, 1] or NaN, with its index; the mean over no element.

    >>> loss = BCELoss()
    >>> loss.forward(np.array([[0.89], [0.32]]), np.array([[1.0], [0.0]]))
    0.2510...
    >>> loss.backward()
    array([[-0.56179775],
           [ 0.73529412]])
    """

    formulas = """
        J = -1 / N * sum(
            weight * (target * log(Y) + (1 - target) * log(1 - Y)), axis=() if reduction == "none" else None
        )
        dY = dJ / N * weight * ((1 - target) / (1 - Y) - target / Y)
    """

    def __init__(self, *, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.weight = finite_weight(weight, "BCELoss: weight")

    def forward(self, Y: Any, target: Any) -> Any:
        self.Y, self.target = Y, t = self.check_pair(Y, target)
        check_probabilities(self, t)
        J = elementwise(_bce, Y, t)
        J = self.reduce(J if self.weight is None else weighted(self, self.weight, J))
        if any_nan(J):  # the logarithm of a negative number, or Y was NaN
            not_a_probability(self, "prediction", Y, "put a Sigmoid before it, or take BCEWithLogitsLoss")
        return J

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        dY = elementwise(_bce_backward, self.Y, self.target)
        dY *= scale
        return weighted(self, self.weight, dY)

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), weight=self.weight)


@np.errstate(divide="ignore", invalid="ignore")  # log 0 is -inf, and NaN is looked for
def _bce(Y: Array, t: Array, out: Array | None = None) -> Array:
    floor = _LOG_FLOOR[Y.dtype]
    log_Y, log_not_Y = np.maximum(np.log(Y), floor), np.maximum(np.log1p(-Y), floor)
    J: Array = np.subtract((t - kernels.ONE[t.dtype]) * log_not_Y, t * log_Y, out)
    return J


def _bce_backward(Y: Array, t: Array, out: Array | None = None) -> Array:
    spread = Y * (kernels.ONE[Y.dtype] - Y)
    dY: Array = np.divide(Y - t, np.maximum(spread, _SPREAD_FLOOR[Y.dtype]), out)
    return dY


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of scores: a Sigmoid and a :class:`BCELoss` in one, exact for every finite score.

    ``J = mean((1 - t) Z + (1 + (p - 1) t) log(1 + exp(-Z)))`` with p = ``pos_weight``. Backward:
    ``dZ = ((1 + (p - 1) t) sigmoid(Z) - p t) / n``, which is ``(sigmoid(Z) - t) / n`` for p = 1.

    Args:
        weight: factor of each element's loss, of a shape that broadcasts to Z's. The mean still divides by n.
        pos_weight: factor p of the positive part (t = 1), of a shape that broadcasts to Z's; above 1 it favours
            recall, below 1 precision.
        reduction: "mean" over all n elements, "sum" or "none".

    Scores Z and target t, with values from 0 to 1, have one shape, any; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ, or a weight's does not broadcast.
        ValueError: a target outside [0, 1] or NaN, with its index; the mean over no element.

    >>> loss = BCEWithLogitsLoss()
    >>> loss.forward(np.array([-1000.0, 0.0]), np.array([1.0, 1.0]))
    500.346...
    >>> loss.backward()
    array([-0.5 , -0.25])
    """

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

    def forward(self, Y: Any, target: Any) -> Any:
        Z, t = self.check_pair(Y, target)
        self.Z, self.target = Z, t
        # pt = p t and q = (1 - t) + p t; without pos_weight they are t and 1.
        self.pt = t if self.pos_weight is None else weighted(self, self.pos_weight, t)
        self.q = 1 if self.pos_weight is None else 1 - t + self.pt
        check_probabilities(self, t)
        with np.errstate(invalid="ignore", under="ignore"):
            J = np.asarray((1 - t) * Z + self.q * kernels.softplus(-Z))
        infinite = np.isinf(Z)
        if infinite.any():  # 0 * inf above: the limit is 0 where the target agrees
            J[infinite] = np.where(t == (Z > 0), 0, np.inf)[infinite]
        return self.reduce(weighted(self, self.weight, J))

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        dZ: Array = self.q * elementwise(kernels.sigmoid, self.Z) - self.pt
        dZ *= scale
        return weighted(self, self.weight, dZ)

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), weight=self.weight, pos_weight=self.pos_weight)
