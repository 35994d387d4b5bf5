"""Attention, ``O = A v`` with ``A = softmax(q k^T)``, block by block: no array of T x S weights outlives its block.

Forward keeps the logarithm L of the sum of exponentials of each row, and backward computes ``A = exp(q k^T - L)`` anew.
So the memory is linear in the number of steps, and a block stays in the cache. (Rabe and Staats, Self-attention does
not need O(n^2) memory, 2021; Dao, Fu, Ermon, Rudra and Re, FlashAttention, 2022.)

The arrays are stacks of matrices with the same leading axes, at least one: q (N, ..., T, d), k (N, ..., S, d) and
v (N, ..., S, e).
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import blas
from nnlite.compute.softmax import SILENT

BLOCK = 2**17  # scores in a block: 512 kB in float32
ROWS = 64  # queries in a block, unless there are fewer
MODERATE = 30.0  # size of scores up to which exp neither overflows nor vanishes, so that no maximum is subtracted


class Mask(NamedTuple):
    """What changes the scores (N, ..., T, S), and the weights; the arrays are broadcast to them.

    Attributes:
        ignored: booleans: the keys that a query does not see; None if there are none.
        added: numbers that are added; None if there are none.
        causal: whether the query at t sees the keys up to t only.
        kept: booleans: the weights that a dropout keeps; None if it keeps all.
        factor: what these are multiplied by.
    """

    ignored: Array | None = None
    added: Array | None = None
    causal: bool = False
    kept: Array | None = None
    factor: float = 1.0

    def plus(self, array: Array, ignored: bool) -> "Mask":
        """With another array: numbers to add, or booleans that are ``ignored`` where a key is not seen, or else seen.

        >>> mask = Mask().plus(np.array([0.5, -np.inf]), True).plus(np.array([True, False]), False)
        >>> mask.added, mask.ignored
        (array([ 0.5, -inf]), array([False,  True]))
        """
        if array.dtype.kind == "f":
            return self._replace(added=array if self.added is None else self.added + array)
        unseen = array if ignored else ~array
        return self._replace(ignored=unseen if self.ignored is None else self.ignored | unseen)

    def broadcast(self, shape: tuple[int, ...]) -> "Mask":
        """With arrays of the shape of the scores: views."""
        ignored, added, kept = (
            A if A is None else np.broadcast_to(A, shape) for A in (self.ignored, self.added, self.kept)
        )
        return self._replace(ignored=ignored, added=added, kept=kept)


class Block(NamedTuple):
    """The scores of some queries of some samples: those from ``first`` to ``last``, with the first ``keys`` keys."""

    samples: slice
    first: int
    last: int
    keys: int

    def of_queries(self, X: Array) -> Any:
        """The part of an X (N, ..., T, d)."""
        return X[self.samples, ..., self.first : self.last, :]

    def of_keys(self, X: Array) -> Any:
        """The part of an X (N, ..., S, d)."""
        return X[self.samples, ..., : self.keys, :]

    def of_scores(self, X: Array) -> Any:
        """The part of an X (N, ..., T, S)."""
        return X[self.samples, ..., self.first : self.last, : self.keys]


def blocks(shape: tuple[int, ...], causal: bool = False) -> Iterator[Block]:
    """The blocks of scores of this shape, (N, ..., T, S), in order.

    >>> [(block.samples.start, block.first, block.keys) for block in blocks((2, 4, 128, 512), causal=True)]
    [(0, 0, 64), (0, 64, 128), (1, 0, 64), (1, 64, 128)]
    """
    N, *stack, T, S = shape
    row = max(1, math.prod(stack) * S)
    rows = max(1, min(T, max(ROWS, BLOCK // row)))
    samples = max(1, BLOCK // (row * rows))
    for n in range(0, N, samples):
        for first in range(0, max(1, T), rows):  # one without queries, if there are none
            last = min(T, first + rows)
            yield Block(slice(n, n + samples), first, last, min(S, last) if causal else S)


@np.errstate(**SILENT)
def attend(q: Array, k: Array, v: Array, mask: Mask, out: Array, weights: Array | None = None) -> Array:
    """Write O into ``out``, and the weights into ``weights`` if it is given; return L, (N, ..., T, 1).

    L is inf for a query that sees nothing, whose weights and whose row of O are 0.

    >>> q, k, v = np.zeros((1, 1, 2)), np.zeros((1, 2, 2)), np.array([[[1.0], [3.0]]])
    >>> out = np.empty((1, 1, 1))
    >>> np.exp(attend(q, k, v, Mask(), out)), out
    (array([[[2.]]]), array([[[2.]]]))
    """
    shape = (*q.shape[:-1], k.shape[-2])
    L, mask = np.empty((*q.shape[:-1], 1), q.dtype), mask.broadcast(shape)
    if weights is not None and mask.causal:
        weights[...] = 0
    for block in blocks(shape, mask.causal):
        S, moderate = masked_scores(q, k, mask, block)
        m: Any = 0.0
        if not moderate:
            m = np.maximum.reduce(S, axis=-1, keepdims=True, initial=-np.inf)
            m[m == -np.inf] = 0
            S -= m
        E = np.exp(S, out=S)
        s = np.vecdot(E, np.ones(E.shape[-1], E.dtype))[..., None]
        empty = s == 0
        block.of_queries(L)[...] = np.where(empty, np.inf, np.log(s) + m)
        s += empty
        P = dropped(E, mask, block)
        block.of_queries(out)[...] = blas.stacked_matmul(P, block.of_keys(v)) / s
        if weights is not None:
            np.divide(P, s, out=block.of_scores(weights))
    return L


@np.errstate(**SILENT)
def attend_backward(
    dO: Array, q: Array, k: Array, v: Array, L: Array, mask: Mask, dweights: Array | None, outs: tuple[Array, ...]
) -> None:
    """Write the gradients of q, k and v into ``outs``, given those of O and, unless None, of the weights."""
    dq, dk, dv = outs
    shape = (*q.shape[:-1], k.shape[-2])
    mask = mask.broadcast(shape)
    for block in blocks(shape, mask.causal):
        S, _ = masked_scores(q, k, mask, block)
        S -= block.of_queries(L)
        A = np.exp(S, out=S)
        P = dropped(A, mask, block)
        dP = blas.stacked_matmul(block.of_queries(dO), transposed(block.of_keys(v)))
        if dweights is not None:
            dP += block.of_scores(dweights)
        dS = dA = dropped(dP, mask, block)
        dS -= np.vecdot(dA, A)[..., None]
        dS *= A
        blas.stacked_matmul(dS, block.of_keys(k), block.of_queries(dq))
        for X, Y, dX in (dS, q, dk), (P, dO, dv):
            if block.first:
                block.of_keys(dX)[...] += blas.stacked_matmul(X.swapaxes(-1, -2), block.of_queries(Y))
            else:
                blas.stacked_matmul(X.swapaxes(-1, -2), block.of_queries(Y), block.of_keys(dX))
                dX[block.samples, ..., block.keys :, :] = 0


def masked_scores(q: Array, k: Array, mask: Mask, block: Block) -> tuple[Array, bool]:
    """The scores of a block, and whether those of them that are seen are moderate."""
    S = blas.stacked_matmul(block.of_queries(q), transposed(block.of_keys(k)))
    if mask.added is not None:
        S += block.of_scores(mask.added)
    moderate = bool(max(S.max(initial=0), -S.min(initial=0)) <= MODERATE)
    if mask.ignored is not None:
        np.copyto(S, -np.inf, where=block.of_scores(mask.ignored))
    if mask.causal:
        later = np.arange(block.first, block.keys) > np.arange(block.first, block.last)[:, None]
        np.copyto(S[..., block.first :], -np.inf, where=later)
    return S, moderate


def dropped(A: Array, mask: Mask, block: Block) -> Array:
    """A with the dropout of the block: a new array if there is one."""
    if mask.kept is None:
        return A
    P: Array = A * block.of_scores(mask.kept)
    P *= mask.factor
    return P


def transposed(X: Array) -> Array:
    """The transposed matrices as contiguous ones, with which NumPy's stacked products are twice as fast or more."""
    return np.ascontiguousarray(X.swapaxes(-1, -2))
