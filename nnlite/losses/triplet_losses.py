"""Losses of triplets: an anchor, a positive that should be close to it, and a negative that should not."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import number
from nnlite.basics.checks import positive as above_0
from nnlite.compute.norms import distances, exponent, norms, norms_backward
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss import Loss, listing
from nnlite.losses.ranking_losses import same_shape


class TripletLoss(Loss):
    """Base class of the losses of triplets: ``J = mean(max(0, margin + d(a, p) - d(a, n)))``, with a norm for d."""

    without_gradient, same_scale = (), False
    p, eps = 2.0, 1e-6

    def __init__(self, margin: float, swap: bool, reduction: str) -> None:
        super().__init__(reduction=reduction)
        self.margin, self.swap = above_0(margin, f"{type(self).__name__}: margin"), bool(swap)

    def distances(self, X1: list[Array], X2: list[Array]) -> list[Array]:
        """Return the distances of the rows of each array of X1 to those of X2."""
        self.D, d = zip(*[distances(*pair, self.eps, self.p) for pair in zip(X1, X2, strict=True)], strict=True)
        return list(d)

    def distances_backward(self, dd: list[Array]) -> tuple[list[Array], list[Array]]:
        """Return the gradients of X1 and X2."""
        dD = [norms_backward(*each, self.p) for each in zip(dd, self.D, self.d, strict=True)]
        return dD, [-each for each in dD]

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        A, P, N = same_shape(self, anchor=anchor, positive=positive, negative=negative)
        if not A.ndim:
            raise ShapeError(f"{self.one_line()}: expected vectors, got numbers")
        self.X_shape = A.shape
        A, P, N = (X if X.ndim > 1 else X[None] for X in (A, P, N))
        X1, X2 = ([A, A, P], [P, N, N]) if self.swap else ([A, A], [P, N])
        self.d = self.distances(X1, X2)
        closest = np.minimum(self.d[1], self.d[2]) if self.swap else self.d[1]
        self.H = self.margin + self.d[0] - closest
        if len(self.X_shape) == 1:
            self.H = self.H[0]
        return self.reduce(np.maximum(self.H, 0))

    def backward(self, dJ: Any = 1.0) -> tuple[Array, Array, Array]:
        dH = np.asarray(self.scale(dJ) * (self.H >= 0), self.H.dtype).reshape(self.d[0].shape)
        dd = [dH, -dH]
        if self.swap:  # equal distances share the gradient
            _, an, pn = self.d
            share = ((an < pn) + 0.5 * (an == pn)).astype(dH.dtype)
            dd = [dH, -dH * share, dH * (share - 1)]
        dX1, dX2 = self.distances_backward(dd)
        dA, dP, dN = dX1[0] + dX1[1], dX2[0], dX2[1]
        if self.swap:
            dP += dX1[2]
            dN += dX2[2]
        return dA.reshape(self.X_shape), dP.reshape(self.X_shape), dN.reshape(self.X_shape)

    def extra_repr(self) -> str:
        margin = None if self.margin == 1 else self.margin
        return listing(super().extra_repr(), margin=margin, swap=self.swap or None)


class TripletMarginLoss(TripletLoss):
    """Hinge loss of triplets: the anchor should be closer to the positive than to the negative, by a margin.

    ``J = mean(max(0, margin + d(a, p) - d(a, n)))`` with the distance ``d(x, y) = sum(|x - y + eps|^p)^(1/p)`` along
    the last axis.

    Args:
        margin: by how much the distances should differ, above 0.
        p: the exponent of the norm, from 0 to infinity; see :class:`nnlite.PairwiseDistance`.
        eps: added to each difference, so that the distance of equal vectors has a gradient.
        swap: use d(p, n) instead of d(a, n) where it is the smaller one.
        reduction: "mean" over all n triplets, "sum" or "none".

    anchor, positive and negative (..., D) have the same shape; J is a float, or an array of shape (...). There is no
    target: in :func:`nnlite.fit` the model returns the tuple (anchor, positive, negative), and Y is ``()``.

    It has no `formulas` with ``swap``, or for p of 0 or infinity.

    Raises:
        ShapeError: the shapes differ.
        ValueError: the margin is not above 0, p is negative; or the mean over no triplets.

    Source: Schroff et al., FaceNet: a unified embedding for face recognition and clustering, 2015; of ``swap`` Balntas
    et al., Learning local feature descriptors with triplets and shallow convolutional neural networks, 2016.

    >>> import nnlite as nn
    >>> loss = TripletMarginLoss(p=1, eps=0.0)
    >>> loss.forward(np.zeros((1, 2)), np.array([[3.0, 0.0]]), np.array([[1.0, -1.0]]))
    2.0
    >>> loss.backward()
    (array([[ 0., -1.]]), array([[ 1., -0.]]), array([[-1.,  1.]]))

    A network that embeds anchors, positives and negatives with the same weights:

    >>> encoder = nn.Linear(4, 2, rng=0)
    >>> a, p, n = nn.Input("anchor"), nn.Input("positive"), nn.Input("negative")
    >>> model = nn.Graph((a, p, n), (encoder(a), nn.tied(encoder)(p), nn.tied(encoder)(n)))
    >>> rng = np.random.default_rng(0)
    >>> anchors, others = rng.normal(size=(2, 64, 4)) + [[[1, 0, 0, 0]], [[-1, 0, 0, 0]]]
    >>> history = nn.fit(model, (anchors, anchors[::-1], others), (), loss=nn.TripletMarginLoss(),
    ...                  optimizer=nn.SGD(model, lr=0.1), epochs=20, verbose=0)
    >>> history["loss"][-1] < history["loss"][0]
    True
    """

    formulas = """
        U = anchor - positive + eps
        V = anchor - negative + eps
        u = sum(abs(U) ** p, axis=-1, keepdims=True) ** (1 / p)
        v = sum(abs(V) ** p, axis=-1, keepdims=True) ** (1 / p)
        H = margin + u - v
        J = 1 / N * sum(maximum(H, 0), axis=-1 if reduction == "none" else None)
        G = (expand_dims(dJ, axis=-1) if reduction == "none" else dJ) / N * (H >= 0)
        G_u = G * sign(U) * (abs(U) / u) ** (p - 1)
        G_v = G * sign(V) * (abs(V) / v) ** (p - 1)
        danchor = G_u - G_v
        dpositive = -G_u
        dnegative = G_v
    """

    def __init__(
        self,
        margin: float = 1.0,
        *,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(margin, swap, reduction)
        self.p = exponent(p, "TripletMarginLoss: p")
        self.eps = number(eps, "TripletMarginLoss: eps")
        if swap or self.p in (0, np.inf):
            self.formulas = ""

    def extra_repr(self) -> str:
        p, eps = None if self.p == 2 else self.p, None if self.eps == 1e-6 else self.eps
        return listing(super().extra_repr(), p=f"float({str(p)!r})" if p == np.inf else p, eps=eps)


class TripletMarginWithDistanceLoss(TripletLoss):
    """Hinge loss of triplets: the anchor should be closer to the positive than to the negative, by a margin.

    ``J = mean(max(0, margin + d(a, p) - d(a, n)))`` with d a layer of two inputs that returns a number for each pair,
    such as :class:`nnlite.PairwiseDistance`. (PyTorch's argument is a function, whose gradient autograd derives.) The
    layer may have parameters: an optimizer on this loss, beside that on the model, moves them. It is called once, with
    all pairs one after another along the first axis.

    Args:
        distance_function: the layer d; None for the distance of :class:`nnlite.PairwiseDistance`.
        margin: by how much the distances should differ, above 0.
        swap: use d(p, n) instead of d(a, n) where it is the smaller one (Balntas et al., Learning local feature
            descriptors with triplets and shallow convolutional neural networks, 2016).
        reduction: "mean" over all n triplets, "sum" or "none".

    anchor, positive and negative have the same shape, with the triplets along the first axis; J is a float, or an array
    of the distances' shape. There is no target: in :func:`nnlite.fit` the model returns the tuple (anchor, positive,
    negative), and Y is the empty tuple ``()``; see :class:`nnlite.TripletMarginLoss`.

    Its `formulas` have no gradients, since they depend on d.

    Raises:
        TypeError: ``distance_function`` is no layer.
        ShapeError: the shapes differ, or d does not return a number for each pair.
        ValueError: the margin is not above 0, or the mean over no triplets.

    >>> import nnlite as nn
    >>> loss = TripletMarginWithDistanceLoss(nn.PairwiseDistance(1, eps=0.0))
    >>> loss.forward(np.zeros((1, 2)), np.array([[3.0, 0.0]]), np.array([[1.0, -1.0]]))
    2.0
    >>> loss.backward()
    (array([[ 0., -1.]]), array([[ 1., -0.]]), array([[-1.,  1.]]))
    """

    formulas = """
        u = distance(anchor, positive)
        v = minimum(distance(anchor, negative), distance(positive, negative)) if swap else distance(anchor, negative)
        H = margin + u - v
        J = 1 / N * sum(maximum(H, 0), axis=() if reduction == "none" else None)
    """

    def __init__(
        self,
        distance_function: Layer | None = None,
        *,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(margin, swap, reduction)
        if distance_function is not None:
            check_layer(distance_function, "TripletMarginWithDistanceLoss: distance_function")
        self.distance_function = distance_function

    def distance(self, X1: Array, X2: Array) -> Array:
        """Return the distance of each pair, without caching anything; for the formulas."""
        if self.distance_function is None:
            return norms(X1 - X2 + self.eps, self.p)
        d: Array = self.distance_function.evaluation_twin().forward(X1, X2)
        return d

    def distances(self, X1: list[Array], X2: list[Array]) -> list[Array]:
        if self.distance_function is None:
            return super().distances(X1, X2)
        pairs, count = len(X1) * len(X1[0]), len(X1)
        d: Array = self.distance_function.forward(np.concatenate(X1), np.concatenate(X2))
        if np.shape(d)[:1] != (pairs,):
            raise ShapeError(
                f"{self.one_line()}: expected {self.distance_function.one_line()} to return a number for each of "
                f"{pairs} pairs, got shape {np.shape(d)}"
            )
        return np.split(d, count)

    def distances_backward(self, dd: list[Array]) -> tuple[list[Array], list[Array]]:
        if self.distance_function is None:
            return super().distances_backward(dd)
        dX1, dX2 = self.distance_function.backward(np.concatenate(dd))
        self.add_tied()
        return np.split(dX1, len(dd)), [each.copy() for each in np.split(dX2, len(dd))]
