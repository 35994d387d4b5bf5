"""Clipping: a limit for the gradients, between ``backward`` and ``step``."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from nnlite.basics.arrays import Array
from nnlite.basics.checks import number
from nnlite.compute.blocks import BLOCK
from nnlite.layer.layer import Layer, check_layer

ROW = 1024  # elements whose squares are added in float32


def clip_grad_norm(layer: Layer | Sequence[Layer], max_norm: float, norm_type: float = 2.0) -> float:
    """Scale dPhi so that its norm is at most ``max_norm``; return the norm before.

        |dPhi| = (sum |g_i|^p)^(1/p), or max |g_i| where p is inf
        dPhi <- min(1, max_norm / (|dPhi| + 1e-6)) dPhi

    It is one norm of all parameters together, as in ``torch.nn.utils.clip_grad_norm_``, but no intermediate sum leaves
    the range of float32: the norm of finite gradients is finite, unless it is beyond the range of a Python float.

    Args:
        layer: the model, a part of it, or a list of parts that do not overlap, such as those that several optimizers
            move.
        max_norm: >= 0; inf only measures.
        norm_type: p, above 0, or inf.

    Returns:
        The norm before clipping. If it is NaN or infinite, dPhi is multiplied by NaN or 0, as in PyTorch.

    Raises:
        TypeError: ``layer`` is not a Layer, or another argument not a number.
        ValueError: ``max_norm`` is negative, or ``norm_type`` not above 0.

    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.dPhi = [3.0, -4.0]
    >>> clip_grad_norm(layer, max_norm=1.0)
    5.0
    >>> layer.dPhi.round(3)
    array([ 0.6, -0.8], dtype=float32)
    """
    gradients = _gradients(layer, "clip_grad_norm: layer")
    max_norm, p = number(max_norm, "clip_grad_norm: max_norm"), number(norm_type, "clip_grad_norm: norm_type")
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm: max_norm: expected a number >= 0, got {max_norm}")
    if not p > 0:
        raise ValueError(f"clip_grad_norm: norm_type: expected a number above 0, or inf, got {p}")
    return scale_to_norm(gradients, max_norm, p)


def scale_to_norm(gradients: list[Array], max_norm: float, p: float = 2.0) -> float:
    """:func:`clip_grad_norm` of these arrays; return their norm before."""
    norm = _norm(gradients, p)
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # it may be NaN
        for dPhi in gradients:
            _scale(dPhi, factor)
    return norm


def scale_parts_to_norms(dPhi: Array, limits: list[tuple[float, list[slice]]], gradients: list[Array]) -> None:
    """:func:`clip_grad_norm` of several parts of dPhi, each with a norm of its own.

    Args:
        dPhi: the gradient of a model.
        limits: (max_norm, slices of dPhi) of each part.
        gradients: the arrays that count; each is a contiguous part of dPhi, or outside of it.

    >>> dPhi = np.array([3.0, 4.0, 30.0, 40.0, 50.0])
    >>> scale_parts_to_norms(dPhi, [(1.0, [slice(0, 2)]), (10.0, [slice(2, 5)])], [dPhi[:4]])
    >>> dPhi.round(3)
    array([ 0.6,  0.8,  6. ,  8. , 50. ])
    """
    bounds = [(each, *byte_bounds(each)) for each in gradients]
    for max_norm, slices in limits:
        found = []
        for low, high in [byte_bounds(dPhi[part]) for part in slices]:
            for each, start, stop in bounds:
                first, last = max(low, start) - start, min(high, stop) - start
                if first < last:
                    found.append(each[first // each.itemsize : last // each.itemsize])
        scale_to_norm(found, max_norm)


def clip_grad_value(layer: Layer | Sequence[Layer], clip_value: float) -> None:
    """Clip each entry of dPhi to the range from ``-clip_value`` to ``clip_value``; NaN stays.

    Args:
        layer: the model, a part of it, or a list of parts.
        clip_value: >= 0.

    Raises:
        TypeError: ``layer`` is not a Layer, or ``clip_value`` not a number.
        ValueError: ``clip_value`` is negative or NaN.

    Source: Mikolov, Statistical language models based on neural networks, 2012.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.dPhi = [3.0, -0.25]
    >>> clip_grad_value(layer, 0.5)
    >>> layer.dPhi
    array([ 0.5 , -0.25], dtype=float32)
    """
    gradients = _gradients(layer, "clip_grad_value: layer")
    bound = number(clip_value, "clip_grad_value: clip_value")
    if not bound >= 0:
        raise ValueError(f"clip_grad_value: clip_value: expected a number >= 0, got {bound}")
    clip_to(gradients, bound)


def clip_to(gradients: list[Array], bound: float) -> None:
    """:func:`clip_grad_value` of these arrays."""
    for dPhi in gradients:
        with np.errstate(over="ignore", under="ignore"):  # a bound beyond float32 is inf, or 0
            limit: Any = dPhi.dtype.type(bound)
        np.clip(dPhi, -limit, limit, out=dPhi)


def _gradients(layer: Layer | Sequence[Layer], name: str) -> list[Array]:
    """The dPhi of the layer, or of each in a list."""
    layers: list[Any] = list(layer) if isinstance(layer, list | tuple) else [layer]
    for each in layers:
        check_layer(each, name)
    return [each.dPhi for each in layers]


@np.errstate(over="ignore", under="ignore")
def _norm(gradients: list[Array], p: float) -> float:
    """The p-norm: from the squares, or, where they may be out of range, relative to the largest element."""
    if p == 2 and 1e-20 < (total := sum(map(sum_of_squares, gradients))) < math.inf:
        return math.sqrt(total)
    blocks = [g[start : start + BLOCK] for g in gradients for start in range(0, g.size, BLOCK)]
    largest = float(np.max([np.abs(block).max() for block in blocks], initial=0))
    if p == math.inf or largest == 0 or not math.isfinite(largest):
        return largest
    total = sum(float(np.sum((np.abs(block.astype(np.float64)) / largest) ** p)) for block in blocks)
    return float(largest * np.float64(total) ** (1 / p))


def sum_of_squares(g: Array) -> float:
    """Short rows in the vector's own dtype, then their sums in float64: all in float32 would lose half the digits."""
    rest = g.size % ROW
    rows, tail = g[: g.size - rest].reshape(-1, ROW), g[g.size - rest :]
    total = float(np.vdot(tail, tail))
    return total + float(np.vecdot(rows, rows).sum(dtype=np.float64)) if rows.size else total


@np.errstate(invalid="ignore", under="ignore")
def _scale(g: Array, factor: float) -> None:
    if 0 < factor < float(np.finfo(g.dtype).tiny):  # such a number has few digits: in two steps, none is lost
        g *= math.sqrt(factor)
        factor = math.sqrt(factor)
    g *= factor
