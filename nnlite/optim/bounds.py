"""Bounds of parameters, by their names, as SciPy wants them: an array of lower and one of upper bounds over Phi."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import number
from nnlite.layer.layer import Layer
from nnlite.optim.by_name import ByName

NONE = (-math.inf, math.inf)


def bounds_over_Phi(layer: Layer, bounds: Any, option: str) -> tuple[Array, Array]:
    """The lower and the upper bound of each entry of Phi.

    Args:
        layer: the layer.
        bounds: a pair (low, high) of numbers, or None for no limit; or a dict of such pairs by names of parameters.
        option: what to call them in an error.

    Raises:
        TypeError: a pair is none, or a key is not a string.
        ValueError: low is above high, or a key names no parameter.

    >>> import nnlite as nn
    >>> bounds_over_Phi(nn.Linear(2, 1), {"W": (0, None)}, "bounds")
    (array([  0.,   0., -inf]), array([inf, inf, inf]))
    """
    if not isinstance(bounds, Mapping):
        pair = _pair(bounds, option)
        return np.full(layer.Phi.size, pair[0]), np.full(layer.Phi.size, pair[1])
    pairs = [NONE]
    numbers = {}  # of the pairs by names: equal pairs have one number, so two keys that agree are no conflict
    for key, value in bounds.items():
        pair = _pair(value, f"{option}[{key!r}]")
        pairs += [] if pair in pairs else [pair]
        numbers[key] = pairs.index(pair)
    low, high = np.empty(layer.Phi.size), np.empty(layer.Phi.size)
    for part, index in ByName(layer, numbers, 0.0, option).runs:
        low[part], high[part] = pairs[int(index)]
    return low, high


def _pair(bounds: Any, name: str) -> tuple[float, float]:
    """(low, high) as floats, infinite where there is no limit."""
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise TypeError(
            f"{name}: expected a pair (low, high), such as (0, None), or a dict of pairs by names, got {bounds!r}"
        )
    low, high = (each if value is None else number(value, name) for value, each in zip(bounds, NONE, strict=True))
    if not low <= high:
        raise ValueError(f"{name}: expected low <= high, got {bounds!r}")
    return low, high
