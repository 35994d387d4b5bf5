"""Comparison: a gradient beside the differences, entry by entry."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.differences import Differences, Index, KinkError

ENOUGH = 32  # entries of an array that are looked at closely before it is called wrong


@dataclass(frozen=True)
class Comparison:
    """One array's gradient against the differences, at its worst entry.

    Attributes:
        name: "X", or the parameter's name.
        shape: of the array.
        checked: how many of its entries were compared.
        index: of the entry where the two differ most, measured by the tolerance.
        analytic: what backward says there.
        numeric: what the differences say there.
        right: whether they agree in all entries.
        differing: in how many they do not.
        angle: between backward's gradient and the differences, as vectors of the compared entries, in degrees; None
            where one of them is zero or not finite.

    >>> Comparison("X", (2,), 2, (0,), 1.0, 1.0, True).right
    True
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    index: tuple[int, ...]
    analytic: float
    numeric: float
    right: bool
    differing: int = 0
    angle: float | None = None

    def __str__(self) -> str:
        if not self.checked:
            return f"hidden d{self.name} {self.shape}, none of its entries could be compared"
        verdict = "right" if self.right else "WRONG"
        angle = "" if self.right or self.angle is None else f", angle {self.angle:.3g} degrees"
        return (
            f"{verdict}  d{self.name} {self.shape}, worst of {self.checked} at {entry(self.name, self.index)}: "
            f"backward {self.analytic:.9g}, differences {self.numeric:.9g}{angle}"
        )


class Finding(NamedTuple):
    """All that was compared of one array.

    Attributes:
        comparison: what is reported.
        analytic: backward's gradient, whole.
        numeric: the differences; NaN at entries that were not compared.
        error: how far rounding and the step may have moved these.
        wrong: where the two differ.
    """

    comparison: Comparison
    analytic: Array
    numeric: Array
    error: Array
    wrong: Array


class Tolerance(NamedTuple):
    """An entry is right if ``|analytic - numeric| <= atol + rtol |numeric|``, and the error of numeric.

    ``atol=None`` stands for 1e-7, or where all the entries of an array are small for a hundredth of the largest, so
    that a gradient of 1e-8 is not hidden; unless that one is itself no more than rounding.
    """

    rtol: float = 1e-6
    atol: float | None = None

    def excess(self, analytic: Array, numeric: Array, error: Array, atol: float) -> Array:
        """The difference as a multiple of what is allowed; infinite where it is NaN."""
        difference = np.abs(analytic - numeric)
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(difference == 0, 0.0, difference / (atol + self.rtol * np.abs(numeric) + error))
        return np.where(np.isnan(excess), np.inf, excess)


def compare(
    name: str, dP: Array, differences: Differences, entries: Iterable[Index], tolerance: Tolerance, strict: bool = True
) -> Finding:
    """Compare the gradient ``dP`` of the array ``name`` with the differences at ``entries``.

    Args:
        name: of an array of the trial.
        dP: its gradient.
        differences: of the trial.
        entries: which ones to compare.
        tolerance: what is right.
        strict: whether a kink is an error; else that entry is left out.

    Raises:
        KinkError: an entry is at a kink.

    >>> import nnlite as nn
    >>> from nnlite.diagnostics.trial import Trial
    >>> differences = Differences(Trial(nn.Square(), np.array([1.0, 3.0]), dY=np.array([1.0, 1.0])))
    >>> compare("X", np.array([2.0, 3.0]), differences, [(0,), (1,)], Tolerance()).wrong
    array([False,  True])
    """
    at = differences.at if strict else _or_nan(differences.at)
    indices = list(entries)
    numeric = np.array([at(name, index) for index in indices])
    analytic = np.array([dP[index] for index in indices])
    error = np.zeros(len(indices))
    atol = _atol(name, tolerance, indices, numeric, differences)
    excess = tolerance.excess(analytic, numeric, error, atol)
    where = np.flatnonzero((excess > 1) & np.isfinite(analytic) & np.isfinite(numeric))

    def refine(place: int) -> bool:
        gap = abs(analytic[place] - numeric[place])
        if not differences.doubtful(name, indices[place], numeric[place], gap):
            return False
        numeric[place], error[place] = differences.refined(name, indices[place])
        return True

    def leave_out(place: int) -> bool:
        gap = abs(analytic[place] - numeric[place])
        if not math.isnan(at(name, indices[place], gap / 4)):
            return False
        numeric[place] = math.nan  # a kink, however small, that explains the gap
        return True

    _for_each(where, refine)
    excess = tolerance.excess(analytic, numeric, error, atol)
    _for_each(np.flatnonzero((excess > 1) & np.isfinite(numeric)), leave_out)
    known = np.flatnonzero(~np.isnan(numeric))
    indices = [indices[place] for place in known]
    analytic, numeric, error, excess = analytic[known], numeric[known], error[known], excess[known]
    return _finding(name, dP, indices, analytic, numeric, error, excess)


def _or_nan(at: Callable[..., float]) -> Callable[..., float]:
    def found(*arguments: Any) -> float:
        try:
            return at(*arguments)
        except KinkError:
            return math.nan

    return found


def _atol(name: str, tolerance: Tolerance, indices: list[Index], numeric: Array, differences: Differences) -> float:
    if tolerance.atol is not None:
        return tolerance.atol
    if np.isnan(numeric).all():
        return 1e-7
    largest = int(np.nanargmax(np.abs(numeric)))
    size = abs(float(numeric[largest]))
    if size >= 1e-5 or not differences.measurable(name, indices[largest], float(numeric[largest])):
        return 1e-7
    return size / 100


def _for_each(places: Array, act: Callable[[int], bool]) -> None:
    """``act`` at each place; but if it is in vain at many of them, spread over all, the rest is not asked either."""
    first = places[:: max(1, len(places) // ENOUGH)]
    acted = [act(int(place)) for place in first]
    if any(acted):
        for place in np.setdiff1d(places, first):
            act(int(place))


def _finding(
    name: str, dP: Array, indices: list[Index], analytic: Array, numeric: Array, error: Array, excess: Array
) -> Finding:
    """Put back in the array's shape what was measured, and sum it up."""
    whole, errors, wrong = np.full(dP.shape, np.nan), np.zeros(dP.shape), np.zeros(dP.shape, bool)
    for place, index in enumerate(indices):
        whole[index], errors[index], wrong[index] = numeric[place], error[place], excess[place] > 1
    differing = int(np.count_nonzero(wrong))
    if not indices:
        comparison = Comparison(name, dP.shape, 0, (), math.nan, math.nan, True)
    else:
        worst = int(np.argmax(excess))
        comparison = Comparison(
            name,
            dP.shape,
            len(indices),
            indices[worst],
            float(analytic[worst]),
            float(numeric[worst]),
            not differing,
            differing,
            angle_between(analytic, numeric),
        )
    return Finding(comparison, dP, whole, errors, wrong)


def angle_between(a: Array, b: Array) -> float | None:
    """The angle between two vectors in degrees, also where it is tiny; None if one is zero or not finite.

    Source: Kahan, How futile are mindless assessments of roundoff in floating-point computation?, section 12, 2006.

    >>> angle_between(np.array([1.0, 0.0]), np.array([1.0, 1.0]))
    45.0
    """
    with np.errstate(all="ignore"):
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
        angle = 2 * math.degrees(math.atan2(float(np.linalg.norm(a - b)), float(np.linalg.norm(a + b))))
    return angle if math.isfinite(angle) else None


def entry(name: str, index: Index) -> str:
    """``W[2, 1]``; of a number only its name.

    >>> entry("W", (2, 1)), entry("X", ())
    ('W[2, 1]', 'X')
    """
    return f"{name}[{', '.join(map(str, index))}]" if index else name
