"""Checks of the numbers and words that users give; ``name`` says in an error whose they are: "SGD: lr"."""

import math
import operator
from numbers import Real


def number(value: float, name: str) -> float:
    """``value`` as a Python float: a NumPy scalar would turn float32 parameters into float64.

    Raises:
        TypeError: it is not a real number.
    """
    if not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    return float(value)


def finite(value: float, name: str) -> float:
    """``value`` as a float, if it is finite.

    Raises:
        TypeError, ValueError: it is no number, or not finite.
    """
    result = number(value, name)
    if not math.isfinite(result):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return result


def non_negative(value: float, name: str) -> float:
    """``value`` as a float, if it is finite and >= 0.

    Raises:
        TypeError, ValueError: it is not.
    """
    result = finite(value, name)
    if result < 0:
        raise ValueError(f"{name}: expected a number >= 0, got {value}")
    return result


def positive(value: float, name: str) -> float:
    """``value`` as a float, if it is finite and above 0.

    Raises:
        TypeError, ValueError: it is not.
    """
    result = finite(value, name)
    if result <= 0:
        raise ValueError(f"{name}: expected a number above 0, got {value}")
    return result


def share(value: float, name: str) -> float:
    """``value`` as a float, if it lies between 0 and 1, both included.

    Raises:
        TypeError, ValueError: it does not.
    """
    result = number(value, name)
    if not 0 <= result <= 1:
        raise ValueError(f"{name}: expected a number from 0 to 1, got {value}")
    return result


def whole(value: int, name: str, least: int | None = None) -> int:
    """``value`` as an int, if it is a whole number and not below ``least``.

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


def one_of(value: str, name: str, choices: tuple[str, ...]) -> str:
    """``value``, if it is one of the ``choices``.

    Raises:
        ValueError: it is not.
    """
    if value not in choices:
        raise ValueError(f"{name}: expected {' or '.join(map(repr, choices))}, got {value!r}")
    return value
