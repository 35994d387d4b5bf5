"""The weights of attention: the softmax of masked scores, and its backward."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array


def attention_weights(scores: Array, ignored: Array | None, added: Array | None) -> Array:
    """Return the softmax of ``scores + added`` over the last axis, with 0 at ``ignored``; it is written into scores.

    A row of which everything is ignored gets zeros.

    >>> attention_weights(np.zeros((2, 2)), np.array([[False, True], [True, True]]), None)
    array([[1., 0.],
           [0., 0.]])
    """
    S: Any = scores
    if added is not None:
        S += added
    if ignored is not None:
        np.copyto(S, -np.inf, where=ignored)
    m = np.maximum.reduce(S, axis=-1, keepdims=True, initial=-np.inf)
    S -= np.where(m == -np.inf, S.dtype.type(0), m)
    np.exp(S, out=S)
    s = np.add.reduce(S, axis=-1, keepdims=True)
    S /= np.where(s == 0, S.dtype.type(1), s)
    return scores


def attention_weights_backward(dA: Array, A: Array) -> Array:
    """``dS = A (dA - sum(dA A))``, written into dA."""
    dA -= np.vecdot(dA, A)[..., None]
    dA *= A
    return dA
