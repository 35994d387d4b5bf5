"""Elementwise formulas of losses that compare two scores."""

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.kernel import kernel


@kernel
def margin_ranking(X1: Array, X2: Array, t: Array, margin: float) -> Array:
    """``max(0, margin - t (X1 - X2))``."""
    J: Array = np.maximum(0.0, margin - t * (X1 - X2))
    return J


@kernel
def margin_ranking_backward(X1: Array, X2: Array, t: Array, margin: float, dJ: float) -> Array:
    """The gradient of X1, also where the loss is exactly 0, as PyTorch's; that of X2 is the negative of it."""
    return np.where(margin - t * (X1 - X2) >= 0, -t * dJ, 0.0)
