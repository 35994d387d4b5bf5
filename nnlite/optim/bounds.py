"""Bounds of parameters, by their names, in SciPy's form: an array of lower and one of upper bounds over Phi."""

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
    """The lower and the upper bound of each entry of Phi, as numbers of its dtype.

    A bound that the dtype does not have is rounded inward, so that what is within the bounds in float64 is so in
    float32; where no number is between the two, both are rounded to the nearest.

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
    dtype = layer.Phi.dtype
    if not isinstance(bounds, Mapping):
        pair = _rounded(*_pair(bounds, option), dtype)
        return np.full(layer.Phi.size, pair[0]), np.full(layer.Phi.size, pair[1])
    pairs = [NONE]
    numbers = {}  # of the pairs by names: equal pairs have one number, so two keys that agree are no conflict
    for key, value in bounds.items():
        pair = _rounded(*_pair(value, f"{option}[{key!r}]"), dtype)
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


def _rounded(low: float, high: float, dtype: "np.dtype[Any]") -> tuple[float, float]:
    """The bounds rounded inward to numbers of the dtype."""
    with np.errstate(over="ignore"):
        nearest = np.array([low, high]).astype(dtype)
        above, below = np.nextafter(nearest, np.array([math.inf, -math.inf], dtype)).tolist()
    least, most = nearest.tolist()
    inner = (above if least < low else least), (below if most > high else most)
    return inner if inner[0] <= inner[1] else (least, most)
