"""Losses that compare two inputs: the order of scores, and embeddings."""

from functools import partial
from typing import Any

import numpy as np

from nnlite.basics.arrays import FLOATING, Array, as_array, as_floating
from nnlite.basics.checks import number
from nnlite.basics.shapes import reshaped
from nnlite.compute import ranking_kernels
from nnlite.errors import ShapeError
from nnlite.losses.loss import Loss, listing
from nnlite.losses.margin_losses import check_signs

EPSILON = 1e-12  # what PyTorch adds to the squared lengths of embeddings


class MarginRankingLoss(Loss):
    """Hinge loss of the order of two scores: ``J = mean(max(0, margin - t (X1 - X2)))``.

    The target t is 1 where X1 should be the larger one, by the margin at least, and -1 where X2 should. Backward:
    ``dX1 = -t / n`` where the maximum is not 0, and ``dX2 = -dX1``.

    Args:
        margin: by how much the scores should differ.
        reduction: "mean" over all n elements, "sum" or "none".

    X1, X2 and t have the same shape, any; J is a float, or an array of that shape. In :func:`nnlite.fit` the model
    returns the tuple (X1, X2).

    Raises:
        ShapeError: the shapes differ.
        ValueError: a target is not -1 or 1, with its index; or the mean over no elements.

    >>> loss = MarginRankingLoss(margin=0.5)
    >>> loss.forward(np.array([3.0, 2.0]), np.array([1.0, 3.0]), np.array([1, 1]))
    0.75
    >>> loss.backward()
    (array([ 0. , -0.5]), array([-0. ,  0.5]))
    """

    same_scale = False
    flops_per_element = (4, 8)
    formulas = """
        H = margin - target * (X1 - X2)
        J = 1 / N * sum(maximum(H, 0), axis=() if reduction == "none" else None)
        dX1 = -dJ / N * (H >= 0) * target
        dX2 = dJ / N * (H >= 0) * target
    """

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = number(margin, "MarginRankingLoss: margin")

    def forward(self, X1: Any, X2: Any, target: Any) -> Any:
        self.X1, self.X2 = X1, X2 = same_shape(self, X1=X1, X2=X2)
        self.target = target = signs(self, target, X1.shape, X1.dtype)
        return self.reduce_kernel(ranking_kernels.margin_ranking, X1, X2, target, self.margin)

    def backward(self, dJ: Any = 1.0) -> tuple[Array, Array]:
        scale = self.scale(dJ)
        dX1: Array = ranking_kernels.margin_ranking_backward(self.X1, self.X2, self.target, self.margin, scale)
        return dX1, -dX1

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), margin=self.margin or None)


class CosineEmbeddingLoss(Loss):
    """Loss of the cosine c of two embeddings: ``1 - c`` if they are similar, else ``max(0, c - margin)``.

    The target is 1 for rows of X1 and X2 that are similar and -1 for those that are not. As PyTorch,
    ``c = x1^T x2 / (n1 n2)`` with ``n^2 = |x|^2 + 1e-12``. Backward: ``dx1 = dc (x2 / n2 - c x1 / n1) / n1`` and
    ``dx2`` likewise.

    Args:
        margin: the cosine, from -1 to 1, below which embeddings that are not similar cost nothing.
        reduction: "mean" over all n rows, "sum" or "none".

    X1 and X2 (N, D), target (N,); or (D,) and a number. J is a float, or an array of the target's shape. In
    :func:`nnlite.fit` the model returns the tuple (X1, X2).

    Raises:
        ShapeError: the shapes differ.
        ValueError: the margin is not from -1 to 1, a target is not -1 or 1, with its index; or the mean over no rows.

    >>> loss = CosineEmbeddingLoss()
    >>> loss.forward(np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]]), np.array([1]))
    0.2...
    >>> dX1, dX2 = loss.backward()
    >>> dX1
    array([[ 0.096, -0.072]])
    """

    same_scale = False
    formulas = """
        n1 = sqrt(sum(X1 ** 2, axis=-1, keepdims=True) + EPSILON)
        n2 = sqrt(sum(X2 ** 2, axis=-1, keepdims=True) + EPSILON)
        c = sum(X1 * X2, axis=-1, keepdims=True) / (n1 * n2)
        t = expand_dims(target, axis=-1)
        S = (1 + t) / 2 * (1 - c) + (1 - t) / 2 * maximum(c - margin, 0)
        J = 1 / N * sum(S, axis=-1 if reduction == "none" else None)
        G = (expand_dims(dJ, axis=-1) if reduction == "none" else dJ) / (2 * N) * ((1 - t) * (c >= margin) - (1 + t))
        dX1 = G / n1 * (X2 / n2 - c * X1 / n1)
        dX2 = G / n2 * (X1 / n1 - c * X2 / n2)
    """
    EPSILON = EPSILON

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = number(margin, "CosineEmbeddingLoss: margin")
        if not -1 <= self.margin <= 1:
            raise ValueError(f"CosineEmbeddingLoss: margin: expected a number from -1 to 1, got {margin}")

    def forward(self, X1: Any, X2: Any, target: Any) -> Any:
        self.X1, self.X2 = X1, X2 = same_shape(self, X1=X1, X2=X2)
        if not 1 <= X1.ndim <= 2:
            raise ShapeError(f"{self}: expected X1 and X2 of shape (N, D) or (D,), got {X1.shape}")
        self.target = t = signs(self, target, X1.shape[:-1], X1.dtype)
        self.n1, self.n2 = (np.sqrt(np.vecdot(X, X) + X.dtype.type(EPSILON)) for X in (X1, X2))
        self.c = np.asarray(np.vecdot(X1, X2) / self.n1 / self.n2)
        return self.reduce(np.where(t > 0, 1 - self.c, np.maximum(self.c - self.margin, 0)))

    def backward(self, dJ: Any = 1.0) -> tuple[Array, Array]:
        scale = self.scale(dJ)
        dc = np.where(self.target > 0, -1, self.c >= self.margin).astype(self.c.dtype) * scale
        a, b1, b2 = dc / self.n1 / self.n2, dc * self.c / self.n1 / self.n1, dc * self.c / self.n2 / self.n2
        dX1 = a[..., None] * self.X2 - b1[..., None] * self.X1
        return dX1, a[..., None] * self.X1 - b2[..., None] * self.X2

    def extra_repr(self) -> str:
        return listing(super().extra_repr(), margin=self.margin or None)


def same_shape(loss: Loss, **inputs: Any) -> list[Array]:
    """Return the inputs as floating arrays of one dtype, the widest of theirs.

    Raises:
        TypeError: an input does not hold real numbers.
        ShapeError: the shapes differ.
    """
    loss.count = None  # backward is an error until this forward has succeeded
    first, *others = inputs.values()
    if (
        first.__class__ is np.ndarray
        and first.dtype in FLOATING
        and all(
            each.__class__ is np.ndarray and each.dtype == first.dtype and each.shape == first.shape for each in others
        )
    ):
        return [first, *others]
    arrays = {name: as_array(X, partial("{0}: {1}".format, loss, name)) for name, X in inputs.items()}
    if len({X.dtype for X in arrays.values()}) > 1 or next(iter(arrays.values())).dtype not in FLOATING:
        floating = [as_floating(X, "").dtype for X in arrays.values() if X.dtype.kind == "f"]
        dtype = np.result_type(*floating) if floating else loss.dtype
        arrays = {name: as_floating(X, name, dtype) for name, X in arrays.items()}
    (first, shape), *others = ((name, X.shape) for name, X in arrays.items())
    for name, other in others:
        if other != shape:
            cure = reshaped(name, other, shape)
            raise ShapeError(f"{loss.one_line()}: expected {name} of {first}'s shape {shape}, got {other}{cure}")
    return list(arrays.values())


def signs(loss: Loss, given: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return the target as floating numbers -1 and 1 of this shape.

    Raises:
        TypeError: it does not hold real numbers.
        ShapeError: it has another shape.
        ValueError: one is neither -1 nor 1; it is named with its index.
    """
    target: Array = given
    if type(given) is not np.ndarray or given.dtype != dtype:
        target = as_floating(given, lambda: f"{loss}: target", dtype)
    if target.shape != shape:
        cure = reshaped("target", target.shape, shape)
        raise ShapeError(f"{loss}: expected a target of shape {shape}, got {target.shape}{cure}")
    check_signs(loss, target)
    return target
