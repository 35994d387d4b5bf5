"""Arrays as text: small ones as numbers, large ones as their range."""

from typing import Any

import numpy as np

DIGITS = 4


def array_text(values: Any, most: int = 12) -> str | None:
    """The numbers of a small array, one line per row; None if there are more than ``most``.

    >>> print(array_text(np.array([[1.0, -0.25], [1 / 3, 2.0]])))
    [[ 1.     -0.25  ]
     [ 0.3333  2.    ]]
    >>> array_text(0.5), array_text(np.zeros(100)) is None
    ('0.5', True)
    """
    array = np.asarray(values)
    if array.size > most:
        return None
    if array.ndim == 0:
        return scalar_text(array.item())
    return np.array2string(array, precision=DIGITS, suppress_small=_near_one(array), threshold=most)


def array_range(values: Any) -> str:
    """The range of an array, and how many of its entries are not finite.

    >>> array_range(np.arange(100.0)), array_range(np.array([]))
    ('from 0 to 99', 'empty')
    """
    array = np.asarray(values)
    if not array.size:
        return "empty"
    finite = array[np.isfinite(array)]
    odd = f", {array.size - finite.size} not finite" if finite.size < array.size else ""
    low, high = (scalar_text(number.item()) for number in (finite.min(), finite.max())) if finite.size else ("", "")
    return f"from {low} to {high}{odd}" if finite.size else odd[2:]


def scalar_text(number: float) -> str:
    """A number in four digits; an integer, which may be an index, in all of its digits.

    >>> scalar_text(1 / 3), scalar_text(123456), scalar_text(True)
    ('0.3333', '123456', '1')
    """
    return f"{number:.{DIGITS}g}" if isinstance(number, float) else str(int(number))


def _near_one(array: Any) -> bool:
    """Whether the numbers are best printed without exponents."""
    sizes = np.abs(array[np.isfinite(array) & (array != 0)])
    return not sizes.size or bool(1e-3 < sizes.max() < 1e5)
