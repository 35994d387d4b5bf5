"""Layers that change the shape and nothing else."""

import math
from typing import Any

from nnlite.arrays import Array
from nnlite.checks import whole
from nnlite.errors import ShapeError
from nnlite.layer import Layer


class Flatten(Layer):
    """Merge the axes ``start_dim`` to ``end_dim`` of X into one, in row-major order; backward gives them back.

    Args:
        start_dim: first axis to merge; the default keeps the batch axis.
        end_dim: last axis to merge, included.

    X and Y have one floating dtype.

    Raises:
        ShapeError: X has no such axes, or they stand in the wrong order.

    >>> import numpy as np
    >>> Flatten().forward(np.zeros((5, 8, 8))).shape
    (5, 64)
    """

    formulas = """
        Y = flatten(X, start=start_dim, end=end_dim)
        dX = reshape(dY, shape=X.shape)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = whole(start_dim, "Flatten: start_dim")
        self.end_dim = whole(end_dim, "Flatten: end_dim")

    def forward(self, X: Any) -> Array:
        """Give X's values the new shape."""
        X = self.check_X(X)
        axes = range(-X.ndim, X.ndim)
        if self.start_dim not in axes or self.end_dim not in axes:
            raise ShapeError(f"{self}: X has no such axes, its shape is {X.shape}")
        start, end = self.start_dim % X.ndim, self.end_dim % X.ndim
        if start > end:
            raise ShapeError(f"{self}: axis {start} comes after axis {end} in X of shape {X.shape}")
        self.X_shape = X.shape
        merged = math.prod(X.shape[start : end + 1])
        Y = X.copy().reshape(*X.shape[:start], merged, *X.shape[end + 1 :])
        return self.record_Y(Y)

    def backward(self, dY: Any) -> Array:
        """Give dY's values X's shape."""
        return self.check_dY(dY).copy().reshape(self.X_shape)

    def extra_repr(self) -> str:
        """``start_dim=1, end_dim=-1``."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
