"""Masks for attention: that of padding, and the check of those that a layer is given."""

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
