"""Checks of the numbers that optimizers, schedules and clipping are given; ``owner`` names who was given them."""

import math
import operator
from numbers import Real


def number(owner: str, name: str, value: float) -> float:
    """``value`` as a Python float: a NumPy scalar would turn float32 parameters into float64.

    Raises:
        TypeError: it is not a real number.

    >>> number("SGD", "lr", 1)
    1.0
    """
    if not isinstance(value, Real):
        raise TypeError(f"{owner}: {name}: expected a number, got {value!r}")
    return float(value)


def finite(owner: str, name: str, value: float) -> float:
    """``value`` as a float, if it is finite.

    Raises:
        TypeError, ValueError: it is no number, or not finite.

    >>> finite("SGD", "dampening", -1)
    -1.0
    """
    result = number(owner, name, value)
    if not math.isfinite(result):
        raise ValueError(f"{owner}: {name}: expected a finite number, got {value}")
    return result


def non_negative(owner: str, name: str, value: float) -> float:
    """``value`` as a float, if it is finite and >= 0.

    Raises:
        TypeError, ValueError: it is not.

    >>> non_negative("SGD", "lr", 0)
    0.0
    """
    result = finite(owner, name, value)
    if result < 0:
        raise ValueError(f"{owner}: {name}: expected a number >= 0, got {value}")
    return result


def positive(owner: str, name: str, value: float) -> float:
    """``value`` as a float, if it is finite and above 0.

    Raises:
        TypeError, ValueError: it is not.

    >>> positive("OneCycleLR", "div_factor", 25)
    25.0
    """
    result = finite(owner, name, value)
    if result <= 0:
        raise ValueError(f"{owner}: {name}: expected a number above 0, got {value}")
    return result


def share(owner: str, name: str, value: float) -> float:
    """``value`` as a float, if it lies between 0 and 1, both included.

    Raises:
        TypeError, ValueError: it does not.

    >>> share("ConstantLR", "factor", 1)
    1.0
    """
    result = number(owner, name, value)
    if not 0 <= result <= 1:
        raise ValueError(f"{owner}: {name}: expected a number from 0 to 1, got {value}")
    return result


def whole(owner: str, name: str, value: int, least: int = 0) -> int:
    """``value`` as an int, if it is a whole number and not below ``least``.

    Raises:
        TypeError, ValueError: it is not.

    >>> whole("ReduceLROnPlateau", "patience", 10)
    10
    """
    try:
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"{owner}: {name}: expected a whole number, got {value!r}") from None
    if result < least:
        raise ValueError(f"{owner}: {name}: expected at least {least}, got {value}")
    return result


def count(owner: str, name: str, value: int) -> int:
    """``value`` as an int, if it is a whole number and at least 1.

    Raises:
        TypeError, ValueError: it is not.

    >>> count("StepLR", "step_size", 30)
    30
    """
    return whole(owner, name, value, least=1)


def one_of(owner: str, name: str, value: str, choices: tuple[str, ...]) -> str:
    """``value``, if it is one of the ``choices``.

    Raises:
        ValueError: it is not.

    >>> one_of("ReduceLROnPlateau", "mode", "min", ("min", "max"))
    'min'
    """
    if value not in choices:
        raise ValueError(f"{owner}: {name}: expected {' or '.join(map(repr, choices))}, got {value!r}")
    return value
