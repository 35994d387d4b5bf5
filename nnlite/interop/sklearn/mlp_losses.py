"""The losses of scikit-learn's MLPs: sums over the outputs, and means over the rows."""

import math
from typing import Any

import numpy as np
from scipy.special import expit, xlogy

from nnlite.basics.arrays import Array
from nnlite.compute.kernel import Kernel
from nnlite.losses.binary_cross_entropy import BCEWithLogitsLoss
from nnlite.losses.cross_entropy import CrossEntropyLoss
from nnlite.losses.likelihood_losses import PoissonNLLLoss
from nnlite.losses.regression_losses import MSELoss

BY_ROWS = ("mean", "batchmean", "sum", "none")


class ClassLoss(CrossEntropyLoss):
    """The cross-entropy of the logits of several classes, of probabilities that are clipped to [eps, 1 - eps].

    The gradient is that without clipping, as scikit-learn has it. L-BFGS compares the values along its steps.
    """

    def reduce(self, J: Array, counts: Array | None = None) -> Any:
        eps = eps_of(J)
        return super().reduce(np.clip(J, -math.log1p(-eps), -math.log(eps)), counts)


class LogLoss(BCEWithLogitsLoss):
    """The binary cross-entropy of logits, of clipped probabilities, as :class:`ClassLoss`; of the rounded ones, too.

    It is summed over the outputs with ``reduction="batchmean"``.
    """

    reductions = BY_ROWS

    def reduce_kernel(self, elements: Kernel, *arguments: Any, weight: Array | None = None) -> Any:
        Z, target = arguments
        P = np.clip(expit(Z), eps_of(Z), 1 - eps_of(Z))
        return self.reduce(-xlogy(target, P) - xlogy(1 - target, 1 - P))


def eps_of(A: Array) -> float:
    """The distance of 1 to the next number of the array's dtype."""
    return float(np.finfo(A.dtype).eps)


class HalfSquaredError(MSELoss):
    """``J = sum((Y - target)^2) / 2n``, over the n rows with ``reduction="batchmean"``; ``dY = (Y - target) / n``."""

    reductions = BY_ROWS

    def forward(self, Y: Any, target: Any) -> Any:
        return super().forward(Y, target) / 2

    def backward(self, dJ: Any = 1.0) -> Array:
        return super().backward(dJ / 2)


class HalfPoissonDeviance(PoissonNLLLoss):
    """``J = sum(t log t - t - t Y + exp(Y)) / n`` of targets t and logarithms Y; ``dY = (exp(Y) - t) / n``."""

    reductions = BY_ROWS

    def forward(self, Y: Any, target: Any) -> Any:
        J = super().forward(Y, target)
        return J + self.reduce(xlogy(self.target, self.target) - self.target)
