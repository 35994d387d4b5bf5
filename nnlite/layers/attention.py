"""Attention: each query gets the mean of the values, weighted by how well their keys fit."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import finite, share
from nnlite.basics.generators import Rng, generator
from nnlite.basics.shapes import Shape, broadcast_shapes, is_open, mismatch, text, width
from nnlite.compute import blas
from nnlite.compute.attention_weights import attention_weights, attention_weights_backward
from nnlite.compute.random_bits import bernoulli
from nnlite.compute.sums import sum_to
from nnlite.errors import ShapeError
from nnlite.layer.flops import Flops
from nnlite.layers.arithmetic import Gate
from nnlite.layers.attention_in_onnx import Scores
from nnlite.layers.attention_masks import Masks, checked_mask


class Attention(Gate):
    """Base class of attention: ``O = A V`` with ``A = softmax(Q K^T)``, of stacks of matrices, and their gradients."""

    M: Array | None = None  # the factors of dropout
    added: Array | None = None  # the numbers added to the scores
    ignored: Array | None = None  # the keys that a query does not see
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

    def attend(self, q: Array, k: Array, v: Array, masks: Masks, out: Array | None = None) -> Array:
        """``softmax(q k^T) v``, written into ``out`` if it is given; q is that of the scores, with their scale."""
        self.q, self.k, self.v = q, k, v
        S = blas.stacked_matmul(q, k.swapaxes(-1, -2))
        self.added, self.ignored = masks.added, masks.ignored
        self.A = attention_weights(S, self.ignored, self.added)
        self.M = self._drawn() if self.training and self.dropout else None
        return blas.stacked_matmul(self.A if self.M is None else self.A * self.M, v, out)

    def attend_backward(self, dO: Array, dweights: Array | None, outs: Sequence[Array | None]) -> tuple[Array, ...]:
        """The gradients of q, k and v, given that of the output and that of the weights, if there is one.

        Args:
            dO: the gradient of what :meth:`attend` returned.
            dweights: the gradient of :meth:`weights`, or None.
            outs: the arrays to write them into, or None.
        """
        dA = blas.stacked_matmul(dO, self.v.swapaxes(-1, -2))
        if dweights is not None:
            dA += dweights
        P = self.A
        if self.M is not None:
            P, dA = P * self.M, dA * self.M
        dS = attention_weights_backward(dA, self.A)
        products = [(dS, self.k), (dS.swapaxes(-1, -2), self.q), (P.swapaxes(-1, -2), dO)]
        return tuple([blas.stacked_matmul(*pair, out) for pair, out in zip(products, outs, strict=True)])

    def weights(self) -> Array:
        """The weights that the values were multiplied by: those of a dropout included; a new array."""
        return self.A.copy() if self.M is None else self.A * self.M

    def _drawn(self) -> Array:
        """The factors of dropout: 0, or what makes the expectation 1."""
        if self.dropout == 1:
            return np.zeros_like(self.A)
        M = bernoulli(self.rng, 1 - self.dropout, self.A.shape).astype(self.A.dtype)
        M *= 1 / (1 - self.dropout)
        return M

    @property
    def mask(self) -> Array | None:
        """What is added to the scores, with -inf for keys that are ignored; None if nothing is. For the formulas."""
        if self.ignored is None:
            return self.added
        added = np.zeros((), self.A.dtype) if self.added is None else self.added
        return np.where(self.ignored, -np.inf, added)

    def flops_of_attention(self) -> tuple[Flops, Flops]:
        """The operations of :meth:`attend`, and of its backward: softmax, and the products of each matrix."""
        stack = self.A.size // max(1, self.A.shape[-2] * self.A.shape[-1])
        Q, K, V = [np.zeros((X.shape[-2], X.shape[-1]), X.dtype) for X in (self.q, self.k, self.v)]
        A, O = np.zeros((len(Q), len(K)), Q.dtype), np.zeros((len(Q), V.shape[1]), Q.dtype)  # noqa: E741
        back = ((O, V.T), (A.T, O), (A, K), (A.T, Q)) * stack
        masked = (self.added is not None) + (self.ignored is not None) + (self.M is not None)
        forward = Flops(elementwise=(5 + masked) * self.A.size, products=((Q, K.T), (A, V)) * stack)
        return forward, Flops(elementwise=(4 + 2 * (self.M is not None)) * self.A.size, products=back)


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
            A = E / sum(E, axis=-1, keepdims=True)
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
        Y = self.attend(Q * self.factor, K, V, self._masks(Q, K, attn_mask))
        return self.record_Ys((Y, self.weights())) if self.need_weights else self.record_Y(Y)

    def backward(self, dY: Any, dweights: Any = None) -> tuple[Array, ...]:
        dY, *more = self.check_dYs((dY, dweights)) if self.need_weights else (self.check_dY(dY),)
        dQ, dK, dV = self.attend_backward(dY, more[0] if more else None, (None,) * 3)
        dQ *= self.factor
        return tuple([sum_to(dX, shape) for dX, shape in zip((dQ, dK, dV), self.shapes, strict=True)])

    def _masks(self, Q: Array, K: Array, attn_mask: Any) -> Masks:
        masks, name = Masks(), self.one_line()
        stack = np.broadcast_shapes(Q.shape[:-2], K.shape[:-2])
        T, S = Q.shape[-2], K.shape[-2]
        if self.causal:
            masks.add_causal(T, S)
        if attn_mask is not None:
            mask = checked_mask(attn_mask, f"{name}: attn_mask", Q.dtype)
            shape = (*stack, T, S)
            try:
                fits = np.broadcast_shapes(mask.shape, shape) == shape
            except ValueError:
                fits = False
            if not fits:
                raise ShapeError(f"{name}: expected attn_mask that is broadcast to {shape}, got {mask.shape}")
            masks.add(mask, ignored=False)
        return masks

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
