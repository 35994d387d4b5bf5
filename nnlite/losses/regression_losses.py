"""Losses for regression: MSELoss, L1Loss, SmoothL1Loss, HuberLoss."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import non_negative, positive
from nnlite.compute import kernels, loss_kernels
from nnlite.losses.loss import Loss, listing


class MSELoss(Loss):
    """Mean squared error: ``J = mean((Y - target)^2)``; ``dY = 2 (Y - target) / n``.

    Args:
        reduction: "mean" over all n elements, "sum" or "none".

    Y and target have the same shape, any; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ.
        ValueError: the mean over no elements.

    >>> import numpy as np
    >>> loss = MSELoss()
    >>> loss.forward(np.array([1.0, 3.0]), np.array([0.0, 1.0]))
    2.5
    >>> loss.backward()
    array([1., 2.])
    """

    logits, same_scale = False, True
    formulas = """
        J = 1 / N * sum((Y - target) ** 2, axis=() if reduction == "none" else None)
        dY = 2 * dJ / N * (Y - target)
    """
    flops_per_element = (2, 1)

    def forward(self, Y: Any, target: Any) -> Any:
        self.Y, self.target = Y, target = self.check_pair(Y, target)
        return self.reduce_kernel(kernels.squared_error, Y, target)

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        return kernels.squared_error_backward(self.Y, self.target, scale)

    def best_prediction(self, target: Array, constant: bool) -> Array:
        best = np.asarray(target, np.float64)
        return np.broadcast_to(best.mean(axis=0), best.shape) if constant else best


class L1Loss(Loss):
    """Mean absolute error: ``J = mean(|Y - target|)``; ``dY = sign(Y - target) / n``, 0 where Y is the target.

    Args:
        reduction: "mean" over all n elements, "sum" or "none".

    Y and target have the same shape, any; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ.
        ValueError: the mean over no elements.

    >>> import numpy as np
    >>> loss = L1Loss()
    >>> loss.forward(np.array([1.0, 3.0]), np.array([2.0, 3.0]))
    0.5
    >>> loss.backward()
    array([-0.5,  0. ])
    """

    logits, same_scale = False, True
    formulas = """
        J = 1 / N * sum(abs(Y - target), axis=() if reduction == "none" else None)
        dY = dJ / N * sign(Y - target)
    """
    flops_per_element = (2, 3)

    def forward(self, Y: Any, target: Any) -> Any:
        self.Y, self.target = Y, target = self.check_pair(Y, target)
        return self.reduce_kernel(loss_kernels.absolute_error, Y, target)

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        return loss_kernels.absolute_error_backward(self.Y, self.target, scale)


class SmoothL1Loss(Loss):
    """Absolute error with a rounded corner: the mean of ``E^2 / (2 beta)`` for E < beta, else of ``E - beta / 2``.

    E is ``|Y - target|``. ``dY = (Y - target) / beta / n`` for E < beta, else ``sign(Y - target) / n``. It is
    ``HuberLoss(delta=beta)`` divided by beta; with ``beta=0`` it is :class:`L1Loss`.

    Args:
        beta: the error at which the loss becomes linear, at least 0.
        reduction: "mean" over all n elements, "sum" or "none".

    Y and target have the same shape, any; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ.
        ValueError: beta is negative or not finite; or the mean over no elements.

    Source: Girshick, Fast R-CNN, 2015.

    >>> import numpy as np
    >>> loss = SmoothL1Loss(beta=2.0)
    >>> loss.forward(np.array([1.0, 5.0]), np.array([0.0, 1.0]))
    1.625
    >>> loss.backward()
    array([0.25, 0.5 ])
    """

    logits, same_scale = False, True
    formulas = """
        E = abs(Y - target)
        J = 1 / N * sum(
            (E < beta) * E ** 2 / (2 * beta) + (E >= beta) * (E - beta / 2) if beta else E,
            axis=() if reduction == "none" else None,
        )
        dY = dJ / N * (maximum(minimum((Y - target) / beta, 1), -1) if beta else sign(Y - target))
    """
    flops_per_element = (7, 5)

    def __init__(self, *, beta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.beta = non_negative(beta, "SmoothL1Loss: beta")

    def forward(self, Y: Any, target: Any) -> Any:
        self.Y, self.target = Y, target = self.check_pair(Y, target)
        if not self.beta:
            return self.reduce_kernel(loss_kernels.absolute_error, Y, target)
        return self.reduce_kernel(loss_kernels.smooth_absolute_error, Y, target, self.beta)

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        if not self.beta:
            return loss_kernels.absolute_error_backward(self.Y, self.target, scale)
        return loss_kernels.smooth_absolute_error_backward(self.Y, self.target, self.beta, scale)

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), beta=None if self.beta == 1 else self.beta)


class HuberLoss(Loss):
    """Squared error that becomes linear: the mean of ``E^2 / 2`` for E < delta, else of ``delta (E - delta / 2)``.

    E is ``|Y - target|``. ``dY`` is ``(Y - target) / n``, limited to ``delta / n`` in size, so that outliers count less
    than in :class:`MSELoss`.

    Args:
        delta: the error at which the loss becomes linear, above 0.
        reduction: "mean" over all n elements, "sum" or "none".

    Y and target have the same shape, any; J is a float, or an array of that shape.

    Raises:
        ShapeError: the shapes differ.
        ValueError: delta is not a finite number above 0; or the mean over no elements.

    Source: Huber, Robust estimation of a location parameter, 1964.

    >>> import numpy as np
    >>> loss = HuberLoss(delta=2.0)
    >>> loss.forward(np.array([1.0, 5.0]), np.array([0.0, 1.0]))
    3.25
    >>> loss.backward()
    array([0.5, 1. ])
    """

    logits, same_scale = False, True
    formulas = """
        E = abs(Y - target)
        J = 1 / N * sum(
            (E < delta) * E ** 2 / 2 + (E >= delta) * delta * (E - delta / 2),
            axis=() if reduction == "none" else None,
        )
        dY = dJ / N * maximum(minimum(Y - target, delta), -delta)
    """
    flops_per_element = (6, 4)

    def __init__(self, *, delta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.delta = positive(delta, "HuberLoss: delta")

    def forward(self, Y: Any, target: Any) -> Any:
        self.Y, self.target = Y, target = self.check_pair(Y, target)
        return self.reduce_kernel(loss_kernels.huber, Y, target, self.delta)

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        return loss_kernels.huber_backward(self.Y, self.target, self.delta, scale)

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), delta=None if self.delta == 1 else self.delta)
