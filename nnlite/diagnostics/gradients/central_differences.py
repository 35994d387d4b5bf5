"""Central differences: the derivative of J by one entry of an array, and how accurate it is."""

import math
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.gradients.trial import Trial

Index = tuple[int, ...]

NARROW_STEP = 5e-3  # the cube root of float32's epsilon: there rounding and truncation errors are equal


class KinkError(ValueError):
    """Forward has no derivative at an entry, so there is nothing to compare with.

    Attributes:
        edge: whether the entry is at the edge of what forward is defined for.

    >>> raise KinkError("X[0] = 0 is at a kink")
    Traceback (most recent call last):
        ...
    nnlite.diagnostics.gradients.central_differences.KinkError: X[0] = 0 is at a kink
    """

    def __init__(self, message: str, edge: bool = False) -> None:
        super().__init__(message)
        self.edge = edge


class Slope(NamedTuple):
    """What two forwards, above and below an entry, say.

    Attributes:
        row: the derivative of every number of Y by the entry: a row of the transposed Jacobian.
        slope: that of J.
        noise: how far rounding may move it.
        bend: ``J(x + h) - 2 J(x) + J(x - h)``.
        bend_noise: how far rounding may move that.
    """

    row: Array
    slope: float
    noise: float
    bend: float
    bend_noise: float


class Differences:
    """Central differences of a trial's J, ``(J(x + h) - J(x - h)) / (2 h)``.

    They are taken number by number of Y and then summed, so that those that do not depend on the entry cancel exactly.

    Args:
        trial: what is differentiated.
        step: h; at least 1e-10 of the size of x.
        kinks: whether to raise at kinks.
        narrow: the dtype in which forward computes, if it is not float64. Steps are wider then, and kinks are not seen.

    >>> import nnlite as nn
    >>> differences = Differences(Trial(nn.Square(), np.array([1.0, 3.0]), dY=np.array([1.0, 1.0])))
    >>> round(differences.at("X", (1,)), 6)
    6.0
    """

    def __init__(self, trial: Trial, step: float = 1e-5, kinks: bool = True, narrow: "np.dtype | None" = None) -> None:
        self.trial, self.kinks = trial, kinks and narrow is None
        self.step = step if narrow is None else max(step, NARROW_STEP)
        self.epsilon = float(np.finfo(narrow or np.float64).eps)
        self.arrays = trial.arrays()
        self.start = trial.values()
        self.weights = trial.weights(self.start.size)
        self.scale = np.abs(self.weights * self.start)

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
            KinkError: the entry is at a kink, or at the edge of what forward is defined for.
        """
        h = self._step(name, index)
        found = self.slope(name, index)
        most = 1e-2 * max(1.0, abs(found.slope)) if bend is None else bend
        if not self.kinks:
            return found.slope
        if abs(found.bend) > most * h + found.bend_noise:
            smaller = [self.slope(name, index, h / part).bend / found.bend for part in (2, 4)]
            smooth = abs(smaller[0] - 1 / 4) <= 0.05 and abs(smaller[1] - 1 / 16) <= 0.05
            near = found.slope if smooth else self._near_a_pole(name, index, h)
        elif bend is not None and abs(found.slope) > 20 * found.noise:  # a jump has a slope proportional to 1 / h
            near = found.slope if abs(self.slope(name, index, h / 8).slope) < 4 * abs(found.slope) else None
        else:
            return found.slope
        if near is None:
            raise self.kink(name, index)
        return near

    def kink(self, name: str, index: Index) -> KinkError:
        """Return the error that refuses an entry at a kink."""
        return KinkError(
            f"{name}{list(index)} = {self.arrays[name][index]:.6g} is at a kink, where forward has no "
            "derivative to compare with; move it away from there, for example use random numbers"
        )

    def _near_a_pole(self, name: str, index: Index, h: float) -> float | None:
        """Return the derivative from a step of x / 1000 if forward is smooth there, as 1/x is near its pole.

        Near a kink forward is almost linear on either side.
        """
        narrow = 1e-3 * abs(float(self.arrays[name][index]))
        if not 0 < narrow < h:
            return None
        found, half = self.slope(name, index, narrow), self.slope(name, index, narrow / 2)
        curved = abs(found.bend) > max(10 * found.bend_noise, 1e-6 * abs(found.slope) * narrow)
        return found.slope if curved and abs(half.bend / found.bend - 1 / 4) < 0.05 else None

    def measurable(self, name: str, index: Index) -> bool:
        """Return whether the central difference is more than rounding: at a wider step it is about the same."""
        found, wider = self.slope(name, index), self._slopes(name, index, (1,))
        rounding = 100 * self.epsilon * float(np.max(np.abs(self.weights), initial=0.0))  # that of a backward
        large = abs(found.slope) > max(rounding, 20 * found.noise)
        return large and bool(wider) and abs(wider[0].slope - found.slope) <= 0.1 * abs(found.slope)

    def doubtful(self, name: str, index: Index, gap: float) -> bool:
        """Return whether the central difference may be what causes the ``gap``: rounding, or it depends on the step."""
        found, narrower = self.slope(name, index), self._slopes(name, index, (-1, -3, -5))
        return 10 * found.noise > gap or any(abs(each.slope - found.slope) > 0.01 * gap for each in narrower)

    def refined(self, name: str, index: Index) -> tuple[float, float]:
        """Return the derivative of J by one entry at the best of several steps, and its error.

        The rounding error shrinks as the step widens, the truncation error grows. Steps are widened until the
        truncation error shows; the best of them is the one that agrees most with its neighbour. How much neighbours
        disagree also measures the rounding of intermediate values.

        Source: Ridders, Accurate computation of F'(x) and F'(x) F''(x), 1982.
        """
        found = self._slopes(name, index, range(-5, 6))
        good = found[: _until_truncation(found)]
        gaps = [abs(one.slope - other.slope) for one, other in pairwise(good)]
        rounding = max([1.0, *(gap / each.noise for gap, each in zip(gaps, good, strict=False) if each.noise)])
        scores = [(gap + rounding * each.noise, each.slope) for gap, each in zip(gaps, good, strict=False)]
        error, slope = min(scores, default=(0.0, self.at(name, index)))
        return slope, error

    def _slopes(self, name: str, index: Index, powers: Iterable[int]) -> list[Slope]:
        """Return the slopes for 8^power times the usual step, up to x or 1, where forward is defined there."""
        h, largest, found = self._step(name, index), max(1.0, abs(float(self.arrays[name][index]))), []
        for step in (h * 8.0**power for power in powers):
            with suppress(ValueError, ArithmeticError, Warning), np.errstate(all="ignore"):
                if step <= largest and math.isfinite((each := self.slope(name, index, step)).slope):
                    found.append(each)
        return found

    def slope(self, name: str, index: Index, h: float | None = None) -> Slope:
        """Return the central difference at one entry, by default with the usual step.

        Raises:
            KinkError: the step leaves what forward is defined for.
        """
        P, h = self.arrays[name], self._step(name, index) if h is None else h
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
                f"leaves it ({error}); move it inside",
                edge=True,
            ) from error
        finally:
            P[index] = before
        difference, width = above - below, up + down
        slope = float(np.sum(self.weights * difference)) / width
        bend = float(np.sum(self.weights * ((above - self.start) - (self.start - below))))
        moved = float(np.sum(self.scale[above != below]))
        largest = float(np.max(self.scale, initial=0.0))  # it may have changed by less than its last digit
        noise = 2 * self.epsilon * (moved + largest) / width
        return Slope(difference / width, slope, noise, bend, abs(slope * (up - down)) + 32 * self.epsilon * moved)

    def _step(self, name: str, index: Index) -> float:
        return max(self.step, 1e-10 * abs(float(self.arrays[name][index])))


def _until_truncation(found: list[Slope]) -> int:
    """Return how many slopes, from narrow to wide steps, differ by no more than rounding."""
    for number in range(2, len(found)):
        slope = found[number].slope
        if any(abs(slope - narrower.slope) > 4 * narrower.noise for narrower in found[:number]):
            after = abs(found[number + 1].slope - slope) if number + 1 < len(found) else math.inf
            before = [abs(one.slope - other.slope) for one, other in pairwise(found[number - 2 : number + 1])]
            if after >= max(before):  # rounding errors would shrink
                return number
    return len(found)
