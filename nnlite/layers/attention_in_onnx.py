"""Attention in ONNX's operators, for the method ``onnx`` of the layers."""

from typing import Any

import numpy as np

TENSOR_TYPES = {np.dtype(np.float32): 1, np.dtype(np.float64): 11}  # onnx.TensorProto.FLOAT and DOUBLE


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
            mask = self.graph.Cast(mask, to=TENSOR_TYPES[self.graph.dtype])
        self.S += mask
        self._see(self.graph.Not(self.graph.IsInf(mask, detect_positive=0)))

    def _see(self, seen: Any) -> None:
        self.seen = seen if self.seen is None else self.graph.And(self.seen, seen)

    def weights(self) -> Any:
        """The softmax of each row over the keys that are seen; zeros where none is."""
        if self.seen is None:
            return self.graph.Softmax(self.S, axis=-1)
        lowest = np.finfo(self.graph.dtype).min  # and not -inf, of which a whole row would give NaN
        A = self.graph.Softmax(self.graph.Where(self.seen, self.S, lowest), axis=-1)
        return self.graph.Where(self.seen, A, np.zeros((), self.graph.dtype))
