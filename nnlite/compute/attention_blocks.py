"""Attention, ``O = A v`` with ``A = softmax(q k^T)``, block by block: no array of T x S weights outlives its block.

Forward keeps the sum s of the exponentials ``E = exp(q k^T - m)`` of each row, and backward computes E anew. So the
memory is linear in the number of steps, and a block stays in the cache. (Rabe and Staats, Self-attention does
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
from nnlite.compute.row_reductions import row_max
from nnlite.compute.softmax import SILENT
from nnlite.compute.unbuffered import unbuffered

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
            with np.errstate(over="ignore"):  # of two of the lowest numbers, which stand for -inf
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

    def of_columns(self, X: Array) -> Any:
        """The part of an X (N, ..., d, S), the transpose of a k or v."""
        return X[self.samples, ..., : self.keys]

    def first_of(self, X: Array) -> Any:
        """A part of the shape of the block of an X that is as large as any block; see :func:`scratch`."""
        return X[: self.samples.stop - self.samples.start, ..., : self.last - self.first, : self.keys]

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
            yield Block(slice(n, min(N, n + samples)), first, last, min(S, last) if causal else S)


class Rows(NamedTuple):
    """What forward keeps of the scores, (N, ..., T, 1) each.

    Attributes:
        m: what was subtracted from the scores of each query: their maximum; None where it would change nothing.
        s: the sum of ``E = exp(scores - m)``, by which the weights are divided; 1 for a query that sees nothing.
    """

    m: Array | None
    s: Array


def scratch(shape: tuple[int, ...], like: Array) -> Array:
    """An array as large as any block of scores of this shape.

    New ones for each block would often be new pages of memory, which the system has to clear.
    """
    first = next(blocks(shape), None)  # no other is larger
    if first is None:
        return np.empty(shape, like.dtype)
    return np.empty((first.samples.stop, *shape[1:-2], first.last, shape[-1]), like.dtype)


@np.errstate(**SILENT)
def attend(q: Array, k: Array, v: Array, mask: Mask, out: Array, weights: Array | None = None) -> Rows:
    """Write O into ``out``, and the weights into ``weights`` if it is given.

    The weights of a query that sees nothing are 0, and so is its row of O.

    >>> q, k, v = np.zeros((1, 1, 2)), np.zeros((1, 2, 2)), np.array([[[1.0], [3.0]]])
    >>> out = np.empty((1, 1, 1))
    >>> attend(q, k, v, Mask(), out).s, out
    (array([[[2.]]]), array([[[2.]]]))
    """
    shape = (*q.shape[:-1], k.shape[-2])
    of_rows = (*q.shape[:-1], 1)
    rows = Rows(None if are_moderate(q, k, mask) else np.empty(of_rows, q.dtype), np.empty(of_rows, q.dtype))
    mask, kT = mask.broadcast(shape), transposed(k)
    if weights is not None and mask.causal:
        weights[...] = 0
    buffer = scratch(shape, q)
    with unbuffered(shape[-1]):
        for block in blocks(shape, mask.causal):
            S = masked_scores(q, kT, mask, block, block.first_of(buffer))
            if rows.m is not None:
                m = row_max(S.reshape(math.prod(S.shape[:-1]), S.shape[-1])).reshape(*S.shape[:-1], 1)
                m[m == -np.inf] = 0
                block.of_queries(rows.m)[...] = m
                S -= m
            E = np.exp(S, out=S)
            s = block.of_queries(rows.s)
            np.vecdot(E, np.ones(E.shape[-1], E.dtype), out=s[..., 0])
            s += s == 0
            P = dropped(E, mask, block)
            np.divide(blas.stacked_matmul(P, block.of_keys(v)), s, out=block.of_queries(out))
            if weights is not None:
                np.divide(P, s, out=block.of_scores(weights))
    return rows


@np.errstate(**SILENT)
def attend_backward(
    dO: Array, q: Array, k: Array, v: Array, rows: Rows, mask: Mask, dweights: Array | None, outs: tuple[Array, ...]
) -> None:
    """Write the gradients of q, k and v into ``outs``, given those of O and, unless None, of the weights.

    With ``A = E / s`` they are ``dv = A^T dO`` and, for ``dA = dO v^T + dweights`` and ``dS = A (dA - sum(dA A))``,
    ``dq = dS k`` and ``dk = dS^T q``. Here the rows of dO and dweights are divided by s, in place of those of E.
    """
    dq, dk, dv = outs
    shape = (*q.shape[:-1], k.shape[-2])
    mask, kT, vT = mask.broadcast(shape), transposed(k), transposed(v)
    buffers = scratch(shape, q), scratch(shape, q)
    with unbuffered(shape[-1]):
        for block in blocks(shape, mask.causal):
            S = masked_scores(q, kT, mask, block, block.first_of(buffers[0]))
            if rows.m is not None:
                S -= block.of_queries(rows.m)
            E = np.exp(S, out=S)
            s = block.of_queries(rows.s)
            g = block.of_queries(dO) / s
            P = dropped(E, mask, block)
            dP = blas.stacked_matmul(g, block.of_columns(vT), block.first_of(buffers[1]))
            if dweights is not None:
                dP += block.of_scores(dweights) / s
            dS = dA = dropped(dP, mask, block)
            dS -= np.vecdot(dA, E)[..., None] / s
            dS *= E
            blas.stacked_matmul(dS, block.of_keys(k), block.of_queries(dq))
            for X, Y, dX in (dS, block.of_queries(q), dk), (P, g, dv):
                if block.first:
                    block.of_keys(dX)[...] += blas.stacked_matmul(X.swapaxes(-1, -2), Y)
                else:
                    blas.stacked_matmul(X.swapaxes(-1, -2), Y, block.of_keys(dX))
                    dX[block.samples, ..., block.keys :, :] = 0


@np.errstate(over="ignore", invalid="ignore")
def are_moderate(q: Array, k: Array, mask: Mask) -> bool:
    """Whether no score can be too large: by the inequality of Cauchy and Schwarz, the product of the norms."""
    largest = math.sqrt(np.vecdot(q, q).max(initial=0)) * math.sqrt(np.vecdot(k, k).max(initial=0))
    if mask.added is not None:
        largest += np.abs(mask.added).max(initial=0)
    return bool(largest <= MODERATE)


def masked_scores(q: Array, kT: Array, mask: Mask, block: Block, out: Array) -> Array:
    """The scores of a block in ``out``, -inf where a key is not seen; kT are the transposed keys."""
    S = blas.stacked_matmul(block.of_queries(q), block.of_columns(kT), out)
    if mask.added is not None:
        S += block.of_scores(mask.added)
    if mask.ignored is not None:
        np.copyto(S, -np.inf, where=block.of_scores(mask.ignored))
    if mask.causal:
        later = np.arange(block.first, block.keys) > np.arange(block.first, block.last)[:, None]
        np.copyto(S[..., block.first :], -np.inf, where=later)
    return S


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
