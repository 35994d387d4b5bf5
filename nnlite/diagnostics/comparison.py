"""Comparison of a gradient with central differences, entry by entry."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.central_differences import Differences, Index, KinkError

ENOUGH = 32  # entries of an array that are examined closely before it is called wrong


@dataclass(frozen=True)
class Comparison:
    """One array's gradient beside the central differences.

    Attributes:
        name: "X", or the parameter's name.
        shape: of the array.
        checked: how many entries were compared.
        index: of the entry where the two differ most, relative to the tolerance.
        analytic: the gradient from backward there.
        numeric: the central difference there.
        right: whether they agree at all entries.
        differing: at how many entries they do not.
        angle: between the gradient and the central differences, as vectors of the compared entries, in degrees; None
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

    def cells(self) -> list[str]:
        """Return the row of the report: verdict, gradient, shape, wrong entries, and the worst entry's values.

        >>> Comparison("X", (2,), 2, (0,), 1.0, 2.0, False, 1, 30.0).cells()
        ['WRONG', 'dX', '(2,)', '1 of 2', '[0]', '1', '2', '30']
        >>> Comparison("X", (2,), 0, (), math.nan, math.nan, True).cells()
        ['-', 'dX', '(2,)', 'none compared', '', '', '', '']
        """
        name, shape = f"d{self.name}", str(self.shape)
        if not self.checked:
            return ["-", name, shape, "none compared", "", "", "", ""]
        worst = [str(list(self.index)) if self.index else "", f"{self.analytic:.7g}", f"{self.numeric:.7g}"]
        angle = "" if self.right or self.angle is None else f"{round(self.angle, 3):.5g}"
        return ["right" if self.right else "WRONG", name, shape, f"{self.differing} of {self.checked}", *worst, angle]


class Finding(NamedTuple):
    """The comparison of one array, with all its numbers.

    Attributes:
        comparison: what is reported.
        analytic: the whole gradient from backward.
        numeric: the central differences; NaN at entries that were not compared.
        error: the estimated error of these.
        wrong: where the two differ.
    """

    comparison: Comparison
    analytic: Array
    numeric: Array
    error: Array
    wrong: Array


class Tolerance(NamedTuple):
    """An entry is right if ``|analytic - numeric| <= atol + rtol |numeric| + error of numeric``.

    ``atol=None`` stands for 1e-7, or for a hundredth of the array's largest entry where that is smaller, so that
    gradients of 1e-8 are checked too; unless the largest entry is itself only rounding.
    """

    rtol: float = 1e-6
    atol: float | None = None

    def excess(self, analytic: Array, numeric: Array, error: Array, atol: float) -> Array:
        """Return the difference as a multiple of the tolerance; infinite where it is NaN."""
        difference = np.abs(analytic - numeric)
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(difference == 0, 0.0, difference / (atol + self.rtol * np.abs(numeric) + error))
        return np.where(np.isnan(excess), np.inf, excess)


def compare(
    name: str, dP: Array, differences: Differences, entries: Iterable[Index], tolerance: Tolerance, strict: bool = True
) -> Finding:
    """Compare the gradient ``dP`` of the array ``name`` with the differences at ``entries``.

    Args:
        name: an array of the trial.
        dP: its gradient.
        differences: of the trial.
        entries: the indices to compare.
        tolerance: when an entry is right.
        strict: whether a kink is an error; otherwise the entry is not compared.

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
        numeric[place] = math.nan  # a small kink explains the gap
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
    """Call ``act`` at each place, first at evenly spaced ones; the others are skipped if it fails at all of these."""
    first = places[:: max(1, len(places) // ENOUGH)]
    acted = [act(int(place)) for place in first]
    if any(acted):
        for place in np.setdiff1d(places, first):
            act(int(place))


def _finding(
    name: str, dP: Array, indices: list[Index], analytic: Array, numeric: Array, error: Array, excess: Array
) -> Finding:
    """Return the measured entries in the array's shape, with their comparison."""
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
    """Return the angle between two vectors in degrees, accurate also if tiny; None if one is zero or not finite.

    Source: Kahan, How futile are mindless assessments of roundoff in floating-point computation?, section 12, 2006.

    >>> angle_between(np.array([1.0, 0.0]), np.array([1.0, 1.0]))
    45.0
    """
    with np.errstate(all="ignore"):
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
        angle = 2 * math.degrees(math.atan2(float(np.linalg.norm(a - b)), float(np.linalg.norm(a + b))))
    return angle if math.isfinite(angle) else None


def entry_name(name: str, index: Index) -> str:
    """Return ``W[2, 1]``, or only the name of a 0-d array.

    >>> entry_name("W", (2, 1)), entry_name("X", ())
    ('W[2, 1]', 'X')
    """
    return f"{name}[{', '.join(map(str, index))}]" if index else name
