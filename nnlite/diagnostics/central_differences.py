"""Central differences: the derivative of J by one entry of an array, and how accurate it is."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.trial import Trial

Index = tuple[int, ...]

NARROW_STEP = 5e-3  # the cube root of float32's epsilon: there rounding and truncation errors are equal


class KinkError(ValueError):
    """Forward has no derivative at an entry, so there is nothing to compare with.

    >>> raise KinkError("X[0] = 0 is at a kink")
    Traceback (most recent call last):
        ...
    nnlite.diagnostics.central_differences.KinkError: X[0] = 0 is at a kink
    """


class Differences:
    """Central differences of a trial's J, ``(J(x + h) - J(x - h)) / (2 h)``.

    They are taken value by value and then summed, so that values that do not depend on the entry cancel exactly.

    Args:
        trial: what is differentiated.
        step: h; at least 1e-10 of the size of x.
        epsilon: the relative rounding error of forward.
        kinks: whether to raise at kinks.
        rounding: how far the rounding of intermediate values may change J, where that is known.

    >>> import nnlite as nn
    >>> differences = Differences(Trial(nn.Square(), np.array([1.0, 3.0]), dY=np.array([1.0, 1.0])))
    >>> round(differences.at("X", (1,)), 6)
    6.0
    """

    def __init__(
        self, trial: Trial, step: float = 1e-5, epsilon: float = 2.0**-52, kinks: bool = True, rounding: float = 0.0
    ) -> None:
        self.trial, self.step, self.epsilon, self.kinks, self.rounding = trial, step, epsilon, kinks, rounding
        self.arrays = trial.arrays()
        self.start = trial.values()
        self.weights = trial.weights(self.start.size)
        self.smallest = 100 * epsilon * float(np.max(np.abs(self.weights), initial=0.0))  # rounding of a backward
        self.scale = np.abs(self.weights * self.start)

    def row(self, name: str, index: Index) -> Array:
        """Return the derivative of every value by one entry: a row of the transposed Jacobian."""
        above, below, width, _ = self._around(name, index, self._step(name, index))
        return (above - below) / width

    def at(self, name: str, index: Index, bend: float | None = None) -> float:
        """Return the derivative of J by one entry.

        Args:
            name: the array.
            index: the entry.
            bend: how much the one-sided slopes may differ before the entry is tested for a kink; by default 0.01, or
                1 % of the slope.

        Where J is smooth, ``J(x + h) - 2 J(x) + J(x - h)`` is proportional to h^2: halving h divides it by 4. At a kink
        it is proportional to h, and 0 once the kink is outside of the step.

        Raises:
            KinkError: the entry is at a kink.
        """
        h = self._step(name, index)
        slope, change, noise = self._slope_and_bend(name, index, h)
        most = 1e-2 * max(1.0, abs(slope)) if bend is None else bend
        if self.kinks and abs(change) > most * h + noise + self.rounding:
            smaller = [self._slope_and_bend(name, index, h / part)[1] / change for part in (2, 4)]
            if abs(smaller[0] - 1 / 4) > 0.05 or abs(smaller[1] - 1 / 16) > 0.05:
                near = self._nearby(name, index, h)
                if near is not None:
                    return near
                raise KinkError(
                    f"{name}{list(index)} = {self.arrays[name][index]:.6g} is at a kink, where forward has no "
                    "derivative to compare with; move it away from there, for example use random numbers"
                )
        return slope

    def _nearby(self, name: str, index: Index, h: float) -> float | None:
        """Return the derivative from a step of x / 1000 if forward is smooth there, as 1/x is near its pole.

        Near a kink forward is almost linear on either side.
        """
        narrow = 1e-3 * abs(float(self.arrays[name][index]))
        if not 0 < narrow < h:
            return None
        slope, change, noise = self._slope_and_bend(name, index, narrow)
        half = self._slope_and_bend(name, index, narrow / 2)[1]
        curved = abs(change) > max(10 * noise, 1e-6 * abs(slope) * narrow)
        return slope if curved and abs(half / change - 1 / 4) < 0.05 else None

    def noise(self, name: str, index: Index) -> float:
        """Return how far rounding may move the central difference at one entry."""
        return self._slope_and_noise(name, index, self._step(name, index))[1]

    def measurable(self, name: str, index: Index, slope: float) -> bool:
        """Return whether the central difference is more than rounding: at a wider step it is about the same."""
        if abs(slope) <= max(self.smallest, 20 * self.noise(name, index)):
            return False
        wider = self._estimate(name, index, 8 * self._step(name, index))
        return wider is not None and abs(wider[0] - slope) <= 0.1 * abs(slope)

    def doubtful(self, name: str, index: Index, slope: float, gap: float) -> bool:
        """Return whether the central difference may be what causes the ``gap``: rounding, or it depends on the step."""
        if 10 * self.noise(name, index) > gap:
            return True
        steps = (self._step(name, index) / 8**power for power in (1, 3, 5))
        return any(abs(self._slope_and_noise(name, index, h)[0] - slope) > 0.01 * gap for h in steps)

    def hidden(self, name: str, index: Index, slope: float, rounding: float) -> bool:
        """Return whether the central difference is ``slope`` up to a change of J by ``rounding``."""
        above, below, width, _ = self._around(name, index, self._step(name, index))
        rounded = 10 * self.epsilon * float(np.sum(self.scale)) + 1e-6 * abs(slope * width)
        return abs(float(np.sum(self.weights * (above - below))) - slope * width) <= rounding + rounded

    def refined(self, name: str, index: Index) -> tuple[float, float]:
        """Return the derivative of J by one entry at the best of several steps, and its error.

        The rounding error shrinks as the step widens, the truncation error grows. Steps are widened until the
        truncation error shows; the best of them is the one that agrees most with its neighbour. How much neighbours
        disagree also measures the rounding of intermediate values.

        Source: Ridders, Accurate computation of F'(x) and F'(x) F''(x), 1982.
        """
        h, largest = self._step(name, index), max(1.0, abs(float(self.arrays[name][index])))
        widths = [h * 8.0**power for power in range(-5, 6) if h * 8.0**power <= largest]
        found = [estimate for width in widths if (estimate := self._estimate(name, index, width)) is not None]
        good = found[: _until_truncation(found)]
        gaps = [abs(one[0] - other[0]) for one, other in pairwise(good)]
        rounding = max([1.0, *(gap / noise for gap, (_, noise) in zip(gaps, good, strict=False) if noise)])
        scores = [(gap + rounding * noise, slope) for gap, (slope, noise) in zip(gaps, good, strict=False)]
        error, slope = min(scores, default=(0.0, self.at(name, index)))
        return slope, error

    def _estimate(self, name: str, index: Index, h: float) -> tuple[float, float] | None:
        """Return the slope and its rounding error; None where forward is not defined, such as log below 0."""
        try:
            with np.errstate(all="ignore"):
                slope, noise = self._slope_and_noise(name, index, h)
                return (slope, noise) if math.isfinite(slope) else None
        except (ValueError, ArithmeticError, Warning):
            return None

    def _slope_and_noise(self, name: str, index: Index, h: float) -> tuple[float, float]:
        """Return the central difference and its rounding error.

        The largest value always counts: it may have changed by less than its last digit.
        """
        above, below, width, _ = self._around(name, index, h)
        rounded = float(np.sum(self.scale[above != below]) + np.max(self.scale, initial=0.0))
        return float(np.sum(self.weights * (above - below))) / width, 2 * self.epsilon * rounded / width

    def _slope_and_bend(self, name: str, index: Index, h: float) -> tuple[float, float, float]:
        """Return the central difference, the second difference, and the rounding error of the latter."""
        above, below, width, lean = self._around(name, index, h)
        slope = float(np.sum(self.weights * (above - below))) / width
        bend = float(np.sum(self.weights * ((above - self.start) - (self.start - below))))
        return slope, bend, abs(slope * lean) + 32 * self.epsilon * float(np.sum(self.scale[above != below]))

    def _around(self, name: str, index: Index, h: float) -> tuple[Array, Array, float, float]:
        """Return the values above and below, the distance of the two points, and the difference of their distances."""
        P = self.arrays[name]
        before = P[index]
        try:
            P[index] = before + h
            up = float(P[index] - before)
            above = self.trial.values()
            P[index] = before - h
            down = float(before - P[index])
            below = self.trial.values()
        except ValueError as error:
            raise KinkError(
                f"{name}{list(index)} = {before:.6g} is at the edge of forward's domain, and a step of {h:.3g} "
                f"leaves it ({error}); move it inside"
            ) from error
        finally:
            P[index] = before
        return above, below, up + down, up - down

    def _step(self, name: str, index: Index) -> float:
        return max(self.step, 1e-10 * abs(float(self.arrays[name][index])))


def _until_truncation(found: list[tuple[float, float]]) -> int:
    """Return how many (slope, rounding error), from narrow to wide steps, differ by no more than rounding."""
    for number in range(2, len(found)):
        slope = found[number][0]
        if any(abs(slope - narrower) > 4 * noise for narrower, noise in found[:number]):
            after = abs(found[number + 1][0] - slope) if number + 1 < len(found) else math.inf
            before = [abs(one[0] - other[0]) for one, other in pairwise(found[number - 2 : number + 1])]
            if after >= max(before):  # rounding errors would shrink
                return number
    return len(found)


def chosen_entries(
    P: Array, most: int | None, rng: "np.random.Generator", left_out: Array | None = None
) -> Iterable[Index]:
    """Return the indices of all entries, or of ``most`` random ones, without those where ``left_out`` is True.

    >>> list(chosen_entries(np.zeros((1, 2)), None, np.random.default_rng(0)))
    [(0, 0), (0, 1)]
    """
    if left_out is None and (most is None or most >= P.size):
        return np.ndindex(P.shape)
    kept: Any = range(P.size) if left_out is None else np.flatnonzero(~left_out)
    if most is not None and most < len(kept):
        kept = rng.choice(P.size if left_out is None else kept, most, replace=False)
    return [tuple(map(int, np.unravel_index(entry, P.shape))) for entry in kept]
