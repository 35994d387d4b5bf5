"""Checks of arguments. ``name`` is the name of the argument in an error, such as "SGD: lr"."""

import math
import operator
from numbers import Real

import numpy as np


def number(value: float, name: str) -> float:
    """Return ``value`` as a Python float, since a NumPy scalar would promote float32 arrays to float64.

    Raises:
        TypeError: it is not a real number.
    """
    if not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    return float(value)


def finite(value: float, name: str) -> float:
    """Return ``value`` as a finite float.

    Raises:
        TypeError, ValueError: it is not a number, or not finite.
    """
    result = number(value, name)
    if not math.isfinite(result):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return result


def non_negative(value: float, name: str) -> float:
    """Return ``value`` as a finite float >= 0.

    Raises:
        TypeError, ValueError: it is not.
    """
    result = finite(value, name)
    if result < 0:
        raise ValueError(f"{name}: expected a number >= 0, got {value}")
    return result


def positive(value: float, name: str) -> float:
    """Return ``value`` as a finite float above 0.

    Raises:
        TypeError, ValueError: it is not.
    """
    result = finite(value, name)
    if result <= 0:
        raise ValueError(f"{name}: expected a number above 0, got {value}")
    return result


def share(value: float, name: str) -> float:
    """Return ``value`` as a float from 0 to 1.

    Raises:
        TypeError, ValueError: it is not.
    """
    result = number(value, name)
    if not 0 <= result <= 1:
        raise ValueError(f"{name}: expected a number from 0 to 1, got {value}")
    return result


def whole(value: int, name: str, least: int | None = None) -> int:
    """Return ``value`` as an int that is at least ``least``.

    Raises:
        TypeError, ValueError: it is not.
    """
    try:
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected a whole number, got {value!r}") from None
    if least is not None and result < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")
    return result


def boolean(value: bool, name: str) -> bool:
    """Return ``value`` if it is True or False; a text such as "no" would count as True.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def one_of(value: str, name: str, choices: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of the ``choices``.

    Raises:
        ValueError: it is not.
    """
    if value not in choices:
        raise ValueError(f"{name}: expected {' or '.join(map(repr, choices))}, got {value!r}")
    return value
