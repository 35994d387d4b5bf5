"""Comparison of a gradient with central differences, entry by entry."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.gradients.central_differences import Differences, Index, KinkError
from nnlite.diagnostics.gradients.trial import Trial

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

    >>> Comparison("X", (2,), 2, (0,), 1.0, 2.0, False, 1, 30.0).cells()
    ['WRONG', 'dX', '(2,)', '1 of 2', '[0]', '1', '2', '30']
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
        """The row of the report: verdict, gradient, shape, wrong entries, and the worst entry's values."""
        name, shape = f"d{self.name}", str(self.shape)
        if not self.checked:
            return ["-", name, shape, "none compared", "", "", "", ""]
        worst = [str(list(self.index)) if self.index else "", f"{self.analytic:.7g}", f"{self.numeric:.7g}"]
        angle = "" if self.right or self.angle is None else f"{round(self.angle, 3):.5g}"
        return ["right" if self.right else "WRONG", name, shape, f"{self.differing} of {self.checked}", *worst, angle]


@dataclass
class Finding:
    """The comparison of one array, entry by entry.

    Attributes:
        name: of the array.
        gradient: all of it, from backward.
        indices: the entries that were compared.
        analytic, numeric: the gradient and the central difference at each of these.
        error: the estimated error of the central difference.
        excess: by how many tolerances the two differ.
        refused: why the first of the entries that have no derivative was not compared; None if all were.
    """

    name: str
    gradient: Array
    indices: list[Index]
    analytic: Array
    numeric: Array
    error: Array
    excess: Array
    refused: KinkError | None = None

    @property
    def wrong(self) -> Array:
        """Whether the two differ at each entry that was compared."""
        return self.excess > 1

    @property
    def comparison(self) -> Comparison:
        """What is reported."""
        if not self.indices:
            return Comparison(self.name, self.gradient.shape, 0, (), math.nan, math.nan, True)
        worst, count = int(np.argmax(self.excess)), int(np.count_nonzero(self.wrong))
        a, n, angle = self.analytic[worst], self.numeric[worst], angle_between(self.analytic, self.numeric)
        shape, index = self.gradient.shape, self.indices[worst]
        return Comparison(self.name, shape, len(self.indices), index, float(a), float(n), not count, count, angle)

    def only(self, kept: Array) -> "Finding":
        """The comparison of some entries alone: where ``kept`` is True, or numbers of entries in this order."""
        return replace(
            self,
            indices=[self.indices[place] for place in np.arange(len(self.indices))[kept]],
            **{name: getattr(self, name)[kept] for name in ("analytic", "numeric", "error", "excess")},
        )

    def where(self, arrays: Mapping[str, Array | None]) -> dict[str, Any]:
        """How many entries differ, and which: one, a row, those where one of the ``arrays`` is negative.

        >>> N = np.array([1.0, 1.0, 2.0])
        >>> Finding("X", 0 * N, [(0,), (1,), (2,)], 0 * N, N, 0 * N, N).where({"X": N - 1.5})
        {'entries': 1, 'size': 3, 'where': 'X[2]'}
        """
        wrong, ndim, worst = self.wrong, self.gradient.ndim, self.comparison.index
        places = [index for index, is_wrong in zip(self.indices, wrong, strict=True) if is_wrong]
        where = f"most at {entry_name(self.name, worst)}"
        for axis in reversed(range(ndim if ndim > 1 else 0)):
            if len({index[axis] for index in places}) == 1:
                where = f"{('row', 'column')[axis] if ndim == 2 else f'axis {axis}, at'} {worst[axis]}"
        for name, K in arrays.items():
            if K is not None and K.shape == self.gradient.shape and not wrong.all():
                k = np.array([K[index] for index in self.indices])
                signs = (("<", k < 0), ("<=", k <= 0), (">", k > 0), (">=", k >= 0), ("=", k == 0))
                same = [sign for sign, there in signs if np.array_equal(wrong, there)]
                where = f"where {name} {same[0]} 0" if same else where
        where = entry_name(self.name, worst) if len(places) == 1 else where
        return {"entries": len(places), "size": len(self.indices), "where": where}


@dataclass
class Examination:
    """How closely gradients are compared: the arguments of :func:`nnlite.check_gradients`.

    An entry is right if ``|analytic - numeric| <= atol + rtol |numeric| + error of numeric``. ``atol=None`` stands for
    1e-7, or for a hundredth of the array's largest entry where that is smaller, so that gradients of 1e-8 are checked
    too; unless the largest entry is itself only rounding.

    >>> import nnlite as nn
    >>> _, findings = Examination().of(Trial(nn.Tanh(), np.ones(2), dY=np.ones(2)))
    >>> findings["X"].comparison.right
    True
    """

    step: float = 1e-5
    rtol: float = 1e-6
    atol: float | None = None
    max_entries: int | None = None

    def of(
        self,
        trial: Trial,
        gradients: dict[str, Array] | None = None,
        rng: "np.random.Generator | None" = None,
        narrow: "np.dtype[Any] | None" = None,
        also: Mapping[str, Index] | None = None,
    ) -> tuple[Differences, dict[str, Finding]]:
        """Return the differences of a trial, and the comparison of each of its gradients.

        Args:
            trial: a layer, alone or in front of a loss.
            gradients: those that its backward has returned; otherwise it runs.
            rng: draws the entries.
            narrow: the dtype in which forward computes, if it is not float64.
            also: further entries to compare, by the end of an array's path.
        """
        differences, findings = Differences(trial, self.step, narrow=narrow), {}
        gradients = trial.backward() if gradients is None else gradients
        for name, entries in trial.entries(self.max_entries, rng or np.random.default_rng(0)).items():
            if name in gradients:
                shape = gradients[name].shape
                ends = [index for path, index in (also or {}).items() if f".{path}".endswith(f".{name}")]
                within = [each for each in ends if len(each) == len(shape) and all(map(operator.lt, each, shape))]
                indices = list(dict.fromkeys(entries + within))
                findings[name] = self.compare(name, gradients[name], differences, indices)
        return differences, findings

    def compare(self, name: str, dP: Array, differences: Differences, indices: list[Index]) -> Finding:
        """Compare a gradient with the differences at ``indices``, but for those where forward has no derivative."""
        refused: list[KinkError] = []

        def at(index: Index, bend: float | None = None) -> float:
            try:
                return differences.at(name, index, bend)
            except KinkError as error:
                refused.append(error)
                return math.nan

        numeric = np.array([at(index) for index in indices])
        analytic = np.array([dP[index] for index in indices])
        error = np.zeros(len(indices))
        atol = self._atol(name, differences, indices, numeric)

        def examine(place: int) -> bool:
            """Measure an entry better, or leave it out at a small kink; returns whether that changed it."""
            index, seen = indices[place], numeric[place]
            if math.isfinite(analytic[place]) and differences.doubtful(name, index, abs(analytic[place] - seen)):
                numeric[place], error[place] = differences.refined(name, index)
            gap = abs(analytic[place] - numeric[place])
            if self._excess(analytic[place], numeric[place], error[place], atol) > 1 and math.isnan(at(index, gap / 4)):
                numeric[place] = math.nan
            return bool(numeric[place] != seen)

        _for_each(np.flatnonzero((self._excess(analytic, numeric, error, atol) > 1) & np.isfinite(numeric)), examine)
        excess = self._excess(analytic, numeric, error, atol)
        found = Finding(name, dP, indices, analytic, numeric, error, excess, refused[0] if refused else None)
        return found.only(~np.isnan(numeric))

    def _atol(self, name: str, differences: Differences, indices: list[Index], numeric: Array) -> float:
        if self.atol is not None or np.isnan(numeric).all():
            return 1e-7 if self.atol is None else self.atol
        largest = int(np.nanargmax(np.abs(numeric)))
        size = abs(float(numeric[largest]))
        return size / 100 if size < 1e-5 and differences.measurable(name, indices[largest]) else 1e-7

    def _excess(self, analytic: Array, numeric: Array, error: Array, atol: float) -> Array:
        """The difference as a multiple of the tolerance; infinite where it is NaN."""
        difference = np.abs(analytic - numeric)
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(difference == 0, 0.0, difference / (atol + self.rtol * np.abs(numeric) + error))
        return np.where(np.isnan(excess), np.inf, excess)


def less_rounding(finding: Finding, differences: Differences) -> Finding:
    """Return the finding without the wrong entries where a narrower step measures nothing but rounding."""
    h, kept = differences.step / 8, ~finding.wrong  # so near, a small kink further on is not seen either
    for place in np.flatnonzero(finding.wrong):
        found = differences.slope(finding.name, finding.indices[place], h)
        gap = abs(found.slope - finding.analytic[place])
        kept[place] = not gap <= 5 * found.noise + 1e-6 * abs(found.slope)  # a NaN is kept
    left = finding.only(kept)
    if not kept.all() and not left.refused:
        where = entry_name(finding.name, finding.indices[int(np.argmin(kept))])
        left.refused = KinkError(f"{where}: rounding hides its derivative from central differences; scale the inputs")
    return left


def without_kinks(
    findings: dict[str, Finding], differences: Differences, examination: Examination
) -> dict[str, Finding]:
    """Return the findings without the wrong entries that are right once all arrays are moved a little.

    Where a maximum of equal numbers is taken, as in a constant part of an image, J has many kinks at one entry. The
    slopes on both sides may then be equal by chance, and the gradient that backward returns need be neither.
    """
    trial, rng = differences.trial, np.random.default_rng(0)
    before = {name: P.copy() for name, P in trial.arrays().items()}
    try:
        for P in trial.arrays().values():
            P += 100 * differences.step * rng.uniform(0.5, 1.5, P.shape) * rng.choice([-1, 1], P.shape)
        trial.forward()
        gradients, moved = trial.backward(), Differences(trial, differences.step)

        def still_wrong(finding: Finding, places: Array) -> Array:
            indices = [finding.indices[place] for place in places]
            again = examination.compare(finding.name, gradients[finding.name], moved, indices)
            wrong = {index for index, is_wrong in zip(again.indices, again.wrong, strict=True) if is_wrong}
            return np.array([index in wrong for index in indices])

        kept = {}
        for name, finding in findings.items():
            places, kept[name] = np.flatnonzero(finding.wrong), np.ones(len(finding.indices), bool)
            if len(places) and not still_wrong(finding, places[:: max(1, len(places) // ENOUGH)]).all():
                kept[name][places] = still_wrong(finding, places)
    except Exception:  # forward is not defined there
        return findings
    finally:
        for name, P in trial.arrays().items():
            P[...] = before[name]
    left = {name: finding.only(kept[name]) for name, finding in findings.items()}
    for name, finding in findings.items():
        if not kept[name].all() and not left[name].refused:
            left[name].refused = differences.kink(name, finding.indices[int(np.argmin(kept[name]))])
    return left


def _for_each(places: Array, act: Callable[[int], bool]) -> None:
    """Call ``act`` at each place, first at evenly spaced ones; the others are skipped if it fails at all of these."""
    first = places[:: max(1, len(places) // ENOUGH)]
    acted = [act(int(place)) for place in first]
    if any(acted):
        for place in np.setdiff1d(places, first):
            act(int(place))


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
