"""Losses for regression: MSELoss."""

from typing import Any

from nnlite.basics.arrays import Array
from nnlite.compute import kernels
from nnlite.losses.loss import Loss


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

    logits = False
    formulas = """
        J = 1 / N * sum((Y - target) ** 2, axis=() if reduction == "none" else None)
        dY = 2 * dJ / N * (Y - target)
    """

    def forward(self, Y: Any, target: Any) -> Any:
        self.Y, self.target = Y, target = self.check_pair(Y, target)
        return self.reduce_kernel(kernels.squared_error, Y, target)

    def backward(self, dJ: Any = 1.0) -> Array:
        scale = self.scale(dJ)
        return kernels.squared_error_backward(self.Y, self.target, scale)
