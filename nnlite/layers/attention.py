"""Attention: each query gets the mean of the values, weighted by how well their keys fit."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import finite, share
from nnlite.basics.generators import Rng, generator
from nnlite.basics.shapes import Shape, broadcast_shapes, is_open, mismatch, text, width
from nnlite.compute.attention_blocks import Mask, attend, attend_backward
from nnlite.compute.random_bits import bernoulli
from nnlite.compute.sums import sum_to
from nnlite.errors import ShapeError
from nnlite.layer.flops import Flops
from nnlite.layers.arithmetic import Gate
from nnlite.layers.attention_in_onnx import Scores
from nnlite.layers.attention_masks import checked_mask


class Attention(Gate):
    """Base class of attention: ``softmax(q k^T) v`` of stacks of matrices, with masks and a dropout of the weights.

    The weights are not kept: backward computes them anew, block by block; see
    :mod:`nnlite.compute.attention_blocks`.
    """

    absent = None  # for the formulas: what is not there
    causal: bool
    need_weights: bool

    def set_options(self, dropout: float, rng: Rng, **flags: bool) -> None:
        """Check and keep the arguments that all have."""
        name = type(self).__name__
        self.dropout = share(dropout, f"{name}: dropout")
        for flag, value in flags.items():
            if not isinstance(value, bool | np.bool_):
                raise TypeError(f"{name}: {flag}: expected True or False, got {value!r}")
            setattr(self, flag, bool(value))
        self.num_outputs = 1 + self.need_weights
        self.rng: Any = generator(rng, f"{name}: rng") if self.dropout else None

    def attend(self, q: Array, k: Array, v: Array, scores: Mask, out: Array) -> Array | None:
        """Write ``softmax(q k^T) v`` into ``out``; return the weights if they are needed."""
        shape = (*q.shape[:-1], k.shape[-2])
        if self.training and self.dropout:
            kept = bernoulli(self.rng, 1 - self.dropout, shape) if self.dropout < 1 else np.zeros(shape, bool)
            scores = scores._replace(kept=kept, factor=1 / (1 - self.dropout) if self.dropout < 1 else 0.0)
        weights = np.empty(shape, q.dtype) if self.need_weights else None
        self.q, self.k, self.v, self.scores = q, k, v, scores
        self.rows = attend(q, k, v, scores, out, weights)
        return weights

    def attend_backward(self, dO: Array, dweights: Array | None, outs: tuple[Array, ...]) -> None:
        """Write the gradients of q, k and v into ``outs``, given that of the output and, or None, of the weights."""
        attend_backward(dO, self.q, self.k, self.v, self.rows, self.scores, dweights, outs)

    @property
    def A(self) -> Array:
        """The weights of the last forward without dropout, (..., T, S), computed anew."""
        weights = np.empty((*self.q.shape[:-1], self.k.shape[-2]), self.q.dtype)
        out = np.empty((*self.q.shape[:-1], self.v.shape[-1]), self.q.dtype)
        attend(self.q, self.k, self.v, self.scores._replace(kept=None), out, weights)
        return weights

    @property
    def mask(self) -> Array | None:
        """What is added to the scores, with -inf for keys that are ignored; None if nothing is. For the formulas."""
        ignored, added, causal, *_ = self.scores
        if causal:
            T, S = self.q.shape[-2], self.k.shape[-2]
            ignored = self.scores.plus(np.arange(S) > np.arange(T)[:, None], ignored=True).ignored
        return added if ignored is None else np.where(ignored, -np.inf, 0.0 if added is None else added)

    @property
    def M(self) -> Array | None:
        """What the weights are multiplied by in a dropout; None if there is none. For the formulas."""
        return None if self.scores.kept is None else self.scores.kept * self.scores.factor

    @property
    def sum_of_E(self) -> str:
        """For the formulas: the sum of each row of E, which is not 0 for a query that sees no key: its weights are."""
        total, mask = "sum(E, axis=-1, keepdims=True)", self.mask if hasattr(self, "scores") else None
        blind = mask is not None and bool(np.isneginf(mask).all(axis=-1).any())
        return f"maximum({total}, tiny)" if blind else total

    @property
    def tiny(self) -> float:
        """The smallest normal number of the dtype, for the formulas."""
        return float(np.finfo(self.q.dtype).tiny)

    def flops_of_attention(self) -> tuple[Flops, Flops]:
        """The operations of :meth:`attend`, and of its backward: softmax, and the products of each matrix."""
        T, S, d, e = self.q.shape[-2], self.k.shape[-2], self.q.shape[-1], self.v.shape[-1]
        stack = math.prod(self.q.shape[:-2])
        Q, K, V, A, O = (np.zeros(shape, self.q.dtype) for shape in ((T, d), (S, d), (S, e), (T, S), (T, e)))  # noqa: E741
        masks = sum(array is not None for array in self.scores[:2])
        softmax, drops = (5 + masks) * stack * A.size, (self.scores.kept is not None) * stack * A.size
        back = ((Q, K.T), (O, V.T), (A.T, O), (A, K), (A.T, Q)) * stack
        forward = Flops(softmax + drops, ((Q, K.T), (A, V)) * stack)
        return forward, Flops((6 + masks) * stack * A.size + 2 * drops, back)


class ScaledDotProductAttention(Attention):
    """Attention without parameters: ``Y = A V`` with ``A = softmax(scale Q K^T)``, the softmax of each row.

    Each row of A has the weights of the S keys for one of the T queries, with sum 1. Backward: ``dV = A^T dY``,
    ``dA = dY V^T``, ``dS = A (dA - sum(dA A))`` with the sum of each row, ``dQ = scale dS K``, ``dK = scale dS^T Q``.

    Args:
        causal: whether the query at t sees the keys up to t only, counted from the first one, also if S is not T.
        scale: what the scores Q K^T are multiplied by; by default ``1 / sqrt(D)``.
        dropout: in training mode the probability with which a weight becomes 0; the others are divided by
            ``1 - dropout``.
        need_weights: whether forward also returns the weights, and backward takes their gradient.
        rng: seed or generator for the dropout; by default the one that :func:`nnlite.manual_seed` seeds.

    Shapes:
        Q (..., T, D), K (..., S, D), V (..., S, D_v), Y (..., T, D_v), the weights (..., T, S); leading axes are
        broadcast. attn_mask: an array that is broadcast to (..., T, S).

    The mask is boolean and True for a key that *takes part*, as in PyTorch's ``scaled_dot_product_attention``, or
    floating numbers that are added to the scores. (In :class:`MultiheadAttention`, as in PyTorch's, True is a key that
    is ignored.) A query whose keys are all masked gets weights of 0, and so a Y of 0.

    Raises:
        TypeError: an input does not hold real numbers, or the mask is neither boolean nor floating.
        ValueError: dropout is not from 0 to 1, or scale is not finite.
        ShapeError: the shapes of the inputs do not match.

    Source: Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, Attention is all you need, 2017.

    >>> layer = ScaledDotProductAttention(need_weights=True)
    >>> Q, K, V = np.array([[0.0, 9.0]]), np.array([[0.0, 9.0], [9.0, 0.0]]), np.array([[1.0], [2.0]])
    >>> Y, weights = layer.forward(Q, K, V)
    >>> Y.round(6), weights.round(6)
    (array([[1.]]), array([[1., 0.]]))
    >>> layer.forward(Q, K, V, [[False, True]])
    (array([[2.]]), array([[0., 1.]]))
    """

    without_gradient = masks = ("attn_mask",)

    def __init__(
        self,
        *,
        causal: bool = False,
        scale: float | None = None,
        dropout: float = 0.0,
        need_weights: bool = False,
        rng: Rng = None,
    ) -> None:
        self.set_options(dropout, rng, causal=causal, need_weights=need_weights)
        self.scale = None if scale is None else finite(scale, "ScaledDotProductAttention: scale")

    @property
    def formulas(self) -> str:  # type: ignore[override]
        """Those of forward and backward, with the weights and their gradient where they are an output."""
        return f"""
            E = exp(Q @ K.mT * factor + mask)
            A = E / {self.sum_of_E}
            {"weights = A * M" if self.need_weights else ""}
            Y = (A * M) @ V
            dA = (dY @ V.mT{" + dweights" if self.need_weights else ""}) * M
            dS = A * (dA - sum(dA * A, axis=-1, keepdims=True))
            dQ = sum_to(dS @ K * factor, Q)
            dK = sum_to(dS.mT @ Q * factor, K)
            dV = sum_to((A * M).mT @ dY, V)
        """

    def forward(self, Q: Any, K: Any, V: Any, attn_mask: Any = None) -> Any:
        Q, K, V = self.check_Xs(Q, K, V)
        self.output_shape(Q.shape, K.shape, V.shape)
        self.shapes = Q.shape, K.shape, V.shape
        self.factor = float(max(1, Q.shape[-1]) ** -0.5) if self.scale is None else self.scale
        stack = np.broadcast_shapes(Q.shape[:-2], K.shape[:-2], V.shape[:-2])
        Q, K, V = (np.broadcast_to(X, (*(stack or (1,)), *X.shape[-2:])) for X in (Q * self.factor, K, V))
        Y = np.empty((*Q.shape[:-1], V.shape[-1]), V.dtype)
        weights = self.attend(Q, K, V, self._mask((*stack, Q.shape[-2], K.shape[-2]), attn_mask, Y.dtype), Y)
        Y = Y.reshape(*stack, *Y.shape[-2:])
        if weights is None:
            return self.record_Y(Y)
        return self.record_Ys((Y, weights.reshape(*stack, *weights.shape[-2:])))

    def backward(self, dY: Any, dweights: Any = None) -> tuple[Array, ...]:
        dYs = self.check_dYs((dY, dweights)) if self.need_weights else (self.check_dY(dY),)
        dY, *more = (each.reshape(*self.q.shape[:-2], *each.shape[-2:]) for each in dYs)
        dXs = tuple([np.empty(X.shape, X.dtype) for X in (self.q, self.k, self.v)])
        self.attend_backward(dY, more[0] if more else None, dXs)
        np.multiply(dXs[0], self.factor, out=dXs[0])
        return tuple([sum_to(dX, shape) for dX, shape in zip(dXs, self.shapes, strict=True)])

    def _mask(self, shape: tuple[int, ...], attn_mask: Any, dtype: "np.dtype[Any]") -> Mask:
        if attn_mask is None:
            return Mask(causal=self.causal)
        name = self.one_line()
        mask = checked_mask(attn_mask, f"{name}: attn_mask", dtype)
        try:
            fits = np.broadcast_shapes(mask.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(f"{name}: expected attn_mask that is broadcast to {shape}, got {mask.shape}")
        return Mask(causal=self.causal).plus(mask, ignored=False)

    def onnx(self, graph: Any, Q: Any, K: Any, V: Any, attn_mask: Any = None) -> Any:
        factor = max(1, Q.shape[-1]) ** -0.5 if self.scale is None else self.scale
        scores = Scores(graph, Q * factor, K, self.causal)
        if attn_mask is not None:
            scores.add(attn_mask, ignored=False)
        A = scores.weights()
        return (A @ V, A) if self.need_weights else A @ V

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        forward, backward = self.flops_of_attention()
        scaled = Flops(forward.elementwise + self.q.size, forward.products)
        return scaled, Flops(backward.elementwise + self.q.size, backward.products)

    def output_shape(self, *shapes: Shape) -> Any:
        Q, K, V = shapes[:3] if len(shapes) > 2 else ((...,),) * 3
        if any(len(shape) < 2 and not is_open(shape) for shape in (Q, K, V)):
            raise ShapeError(f"{self}: expected Q, K and V of at least 2 axes, got {', '.join(map(text, (Q, K, V)))}")
        T, S = (None if len(shape) < 2 else width(shape[:-1]) for shape in (Q, K))
        S_of_V = None if len(V) < 2 else width(V[:-1])
        for one, other in (width(Q), width(K)), (S, S_of_V):
            if None not in (one, other) and one != other:
                raise mismatch(self, (Q, K, V))
        stack = broadcast_shapes(self, *[shape[:-2] or shape[:1] * is_open(shape) for shape in (Q, K, V)])
        Y = (*stack, T, width(V))
        return (Y, (*stack, T, S)) if self.need_weights else Y

    def extra_repr(self) -> str:
        defaults = {"causal": False, "scale": None, "dropout": 0.0, "need_weights": False}
        return ", ".join(f"{k}={getattr(self, k)!r}" for k, v in defaults.items() if getattr(self, k) != v)
