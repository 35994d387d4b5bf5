"""Masks for attention: that of padding, and those that a layer is given, checked and put together."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import whole
from nnlite.compute.attention_blocks import Mask
from nnlite.errors import ShapeError


def padding_mask(lengths: Any, T: int | None = None) -> Array:
    """Return a boolean (N, T) that is True at padding: at the steps of each of N sequences that are after its end.

    It is what :class:`nnlite.MultiheadAttention` takes as ``key_padding_mask``, where the lengths do as well.

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
    with np.errstate(over="ignore"):  # of float64's lowest number, which stands for -inf
        return array.astype(dtype, copy=False)


def mask_of_heads(
    name: Callable[[], str],
    shape: tuple[int, int, int, int],
    causal: bool,
    padding: Array | None,
    attn_mask: Any,
    dtype: "np.dtype[Any]",
) -> Mask:
    """Both masks of a MultiheadAttention, each as it is broadcast to scores of this shape, (N, h, T, S).

    ``padding`` is what :func:`checked_padding` returns.

    Raises:
        TypeError: attn_mask holds neither booleans nor floating numbers; ``name()`` is that of the layer.
        ShapeError: it has another shape.
    """
    mask, (N, h, T, S) = Mask(causal=causal), shape
    if attn_mask is not None:
        given = checked_mask(attn_mask, f"{name()}: attn_mask", dtype)
        allowed = (T, S), (N, T, S), (N, h, T, S), (N * h, T, S)
        if given.shape not in allowed:
            expected = ", ".join(map(str, dict.fromkeys(allowed)))
            raise ShapeError(f"{name()}: expected attn_mask of shape {expected}, got {given.shape}")
        if given.ndim == 3:
            given = given[:, None] if len(given) == N else given.reshape(N, h, T, S)
        mask = mask.plus(given, ignored=True)
    if padding is not None:
        mask = mask.plus(padding[:, None, None], ignored=True)
    return mask


def checked_padding(
    name: Callable[[], str], shape: tuple[int, int], key_padding_mask: Any, dtype: "np.dtype[Any]"
) -> Array | None:
    """The key_padding_mask of a MultiheadAttention, (N, S), also if it was given as lengths.

    Raises:
        TypeError: it holds neither booleans nor floating numbers, nor lengths; ``name()`` is that of the layer.
        ShapeError: it has another shape.
        ValueError: a length is below 0 or above S.
    """
    if key_padding_mask is None:
        return None
    given, (N, S) = as_array(key_padding_mask, f"{name()}: key_padding_mask"), shape
    if given.ndim == 1 and given.dtype.kind in "iu":  # the lengths of the sequences
        given = padding_mask(given, S)
    given = checked_mask(given, f"{name()}: key_padding_mask", dtype)
    if given.shape != shape:
        expected = f"{shape}, or {(N,)} of lengths"
        raise ShapeError(
            f"{name()}: expected key_padding_mask of shape {expected}, got {given.shape} of dtype {given.dtype}"
        )
    return given


def finite_at_padding(X: Array, padding: Array | None) -> Array:
    """X with zeros in place of the steps of padding, if there is a NaN or an infinity in them.

    A weight of 0 would not keep these out: 0 times NaN is NaN, in Y and in the gradients of all weights.

    >>> X = np.array([[[1.0], [np.nan]]])
    >>> finite_at_padding(X, np.array([[False, True]]))
    array([[[1.],
            [0.]]])
    """
    if padding is None:
        return X
    ignored = padding if padding.dtype == bool else np.isneginf(padding)
    if np.isfinite(X[ignored]).all():
        return X
    return np.where(ignored[..., None], X.dtype.type(0), X)
