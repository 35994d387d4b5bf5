"""Masks of attention: which keys a query does not see, and what is added to the scores."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import whole
from nnlite.errors import ShapeError


def padding_mask(lengths: Any, T: int | None = None) -> Array:
    """Return a boolean (N, T) that is True at padding: at the steps of each of N sequences that are after its end.

    It is what :class:`nnlite.MultiheadAttention` takes as ``key_padding_mask``.

    Args:
        lengths: the number of steps of each sequence, integers (N,).
        T: the number of steps of the padded sequences; by default the largest length.

    Raises:
        TypeError: lengths are no integers, or T is not a whole number.
        ShapeError: lengths have not one axis.
        ValueError: a length is below 0 or above T.

    >>> padding_mask([3, 1])
    array([[False, False, False],
           [False,  True,  True]])
    """
    lengths = as_array(lengths, "padding_mask: lengths")
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"padding_mask: lengths: expected integers, got dtype {lengths.dtype}")
    if lengths.ndim != 1:
        raise ShapeError(f"padding_mask: expected lengths of shape (N,), got {lengths.shape}")
    T = int(lengths.max(initial=0)) if T is None else whole(T, "padding_mask: T", least=0)
    if wrong := np.flatnonzero((lengths < 0) | (lengths > T)).tolist():
        raise ValueError(f"padding_mask: lengths: expected from 0 to {T}, got {lengths[wrong[0]]} at {wrong[0]}")
    mask: Array = np.arange(T) >= lengths[:, None]
    return mask


class Masks:
    """What is known of the scores of a batch, of shape (..., T, S), besides the queries and keys.

    Attributes:
        ignored: booleans that are broadcast to the scores: the keys that a query does not see; None if it sees all.
        added: numbers that are broadcast to the scores and added to them; None if there are none.

    >>> masks = Masks()
    >>> masks.add(np.array([[0.5, -np.inf]]), ignored=True)
    >>> masks.add(np.array([[True, False]]), ignored=True)
    >>> masks.added, masks.ignored
    (array([[ 0.5, -inf]]), array([[ True, False]]))
    """

    def __init__(self) -> None:
        self.ignored: Array | None = None
        self.added: Array | None = None

    def add(self, mask: Array, ignored: bool) -> None:
        """Take another mask: numbers to add, or booleans that are ``ignored`` where a key is not seen."""
        if mask.dtype.kind == "f":
            self.added = mask if self.added is None else self.added + mask
        else:
            unseen = mask if ignored else ~mask
            self.ignored = unseen if self.ignored is None else self.ignored | unseen

    def add_causal(self, T: int, S: int) -> None:
        """Let the query at t see the keys up to t only."""
        self.add(np.arange(S) > np.arange(T)[:, None], ignored=True)


def checked_mask(mask: Any, name: str, dtype: "np.dtype[Any]") -> Array:
    """The mask as an array of booleans, or of numbers of this dtype.

    Raises:
        TypeError: it holds neither booleans nor floating numbers.
    """
    array = as_array(mask, name)
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind != "f":
        raise TypeError(f"{name}: expected booleans, or floating numbers that are added, got dtype {array.dtype}")
    return array.astype(dtype, copy=False)
