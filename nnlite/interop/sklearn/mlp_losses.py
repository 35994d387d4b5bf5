"""The losses of scikit-learn's MLPs: sums over the outputs, and means over the rows."""

from typing import Any

from scipy.special import xlogy

from nnlite.basics.arrays import Array
from nnlite.losses.binary_cross_entropy import BCEWithLogitsLoss
from nnlite.losses.likelihood_losses import PoissonNLLLoss
from nnlite.losses.regression_losses import MSELoss

BY_ROWS = ("mean", "batchmean", "sum", "none")


class LogLoss(BCEWithLogitsLoss):
    """The binary cross-entropy of logits, summed over the outputs with ``reduction="batchmean"``."""

    reductions = BY_ROWS


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
