"""Attention in ONNX's operators, for the method ``onnx`` of the layers."""

from typing import Any

import numpy as np


class Scores:
    """The masked scores of queries (..., T, d) and keys (..., S, d), from which :meth:`weights` follow.

    Args:
        graph: the ONNX graph.
        q: the queries, with the scale of the scores.
        k: the keys.
        causal: whether the query at t sees the keys up to t only.
    """

    def __init__(self, graph: Any, q: Any, k: Any, causal: bool) -> None:
        self.graph, self.seen = graph, None
        axes = [*range(k.ndim)]
        self.S = q @ graph.Transpose(k, perm=(*axes[:-2], axes[-1], axes[-2]))
        if causal:
            T, S = self.S.shape[-2:]
            if None in (T, S):
                raise NotImplementedError("with causal=True the number of steps must be known")
            self._see(np.arange(S) <= np.arange(T)[:, None])

    def add(self, mask: Any, ignored: bool) -> None:
        """Add numbers, or note which keys are seen: booleans are True at them, or where they are ``ignored``."""
        if mask.dtype == bool:
            self._see(self.graph.Not(mask) if ignored else mask)
            return
        if mask.dtype != self.graph.dtype:
            mask = self.graph.Cast(mask, to=self.graph.dtype)
        self.S += mask
        self._see(self.graph.Not(self.graph.IsInf(mask, detect_positive=0)))

    def see_lengths(self, lengths: Any) -> None:
        """Note that of each sample so many keys are seen, the first ones; the scores are those of heads."""
        S = self.S.shape[-1]
        if S is None:
            raise NotImplementedError("with lengths the number of steps must be known")
        self._see(self.graph.Less(np.arange(S), self.graph.Unsqueeze(lengths, (1, 2, 3))))

    def _see(self, seen: Any) -> None:
        self.seen = seen if self.seen is None else self.graph.And(self.seen, seen)

    def weights(self) -> Any:
        """The softmax of each row over the keys that are seen; zeros where none is."""
        if self.seen is None:
            return self.graph.Softmax(self.S, axis=-1)
        lowest = np.finfo(self.graph.dtype).min  # and not -inf, of which a whole row would give NaN
        A = self.graph.Softmax(self.graph.Where(self.seen, self.S, lowest), axis=-1)
        return self.graph.Where(self.seen, A, np.zeros((), self.graph.dtype))


def heads_in_onnx(layer: Any, graph: Any, inputs: tuple[Any, Any, Any], key_padding_mask: Any, attn_mask: Any) -> Any:
    """The outputs of a MultiheadAttention for Q, K and V, of which those that are left out are None."""
    Q, K, V = inputs
    K = Q if K is None else K
    V = K if V is None else V
    shape = (0, 0, layer.num_heads, layer.embed_dim // layer.num_heads)
    q, k, v = (
        graph.Transpose(graph.Reshape(X @ W + b, shape), perm=(0, 2, 1, 3))
        for X, W, b in ((Q, layer.W_q, layer.b_q), (K, layer.W_k, layer.b_k), (V, layer.W_v, layer.b_v))
    )
    scores = Scores(graph, q * layer.scale, k, layer.causal)
    if attn_mask is not None:
        scores.add(graph.Unsqueeze(attn_mask, (1,)) if attn_mask.ndim == 3 else attn_mask, ignored=True)
    if key_padding_mask is not None and key_padding_mask.ndim == 1:
        scores.see_lengths(key_padding_mask)
    elif key_padding_mask is not None:
        scores.add(graph.Unsqueeze(key_padding_mask, (1, 2)), ignored=True)
    A = scores.weights()
    O = graph.Reshape(graph.Transpose(A @ v, perm=(0, 2, 1, 3)), (0, 0, layer.embed_dim))  # noqa: E741
    Y = O @ layer.W_o + layer.b_o
    if not layer.need_weights:
        return Y
    return Y, graph.ReduceMean(A, axes=(1,), keepdims=0) if layer.average_attn_weights else A
