"""Differences: the derivative of a layer, entry by entry, and how far it can be trusted."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.trial import Trial

Index = tuple[int, ...]

NARROW_STEP = 5e-3  # the cube root of float32's rounding: where rounding and the step itself err alike


class KinkError(ValueError):
    """At an entry forward has no derivative, so that there is nothing to compare with.

    >>> raise KinkError("X[0] = 0 is at a kink")
    Traceback (most recent call last):
        ...
    nnlite.diagnostics.differences.KinkError: X[0] = 0 is at a kink
    """


class Differences:
    """Central differences of a trial's J, ``(J(x + h) - J(x - h)) / (2 h)``.

    They are summed over the values after they are taken, value by value: what an entry does not move cancels, and
    its rounding does not stand in the way.

    Args:
        trial: what is differentiated.
        step: h; where x is large, at least a ten thousand millionth of its size.
        epsilon: the rounding of what forward computes.
        kinks: whether to look for them.
        blur: how far the rounding of what is computed on the way may move J, where that is known.

    >>> import nnlite as nn
    >>> differences = Differences(Trial(nn.Square(), np.array([1.0, 3.0]), dY=np.array([1.0, 1.0])))
    >>> round(differences.at("X", (1,)), 6)
    6.0
    """

    def __init__(
        self, trial: Trial, step: float = 1e-5, epsilon: float = 2.0**-52, kinks: bool = True, blur: float = 0.0
    ) -> None:
        self.trial, self.step, self.epsilon, self.kinks, self.blur = trial, step, epsilon, kinks, blur
        self.arrays = trial.arrays()
        self.start = trial.values()
        self.weights = trial.weights(self.start.size)
        self.rounding = 100 * epsilon * float(np.max(np.abs(self.weights), initial=0.0))  # that of backward
        self.scale = np.abs(self.weights * self.start)

    def row(self, name: str, index: Index) -> Array:
        """The derivative of every value by one entry: a row of the Jacobian."""
        above, below, width, _ = self._around(name, index, self._step(name, index))
        return (above - below) / width

    def at(self, name: str, index: Index, bend: float | None = None) -> float:
        """The derivative of J by one entry.

        Args:
            name: of the array.
            index: of the entry.
            bend: by how much the slopes on the two sides may differ before a kink is looked for; by default by 0.01, or
                1 % of the slope.

        Where J is smooth, ``J(x + h) - 2 J(x) + J(x - h)`` shrinks with h^2: to a quarter when h is halved, to a
        sixteenth when it is halved again. At a kink it shrinks with h, and to nothing when the kink is left behind.

        Raises:
            KinkError: the entry is at a kink.
        """
        h = self._step(name, index)
        slope, change, noise = self._slope_and_bend(name, index, h)
        most = 1e-2 * max(1.0, abs(slope)) if bend is None else bend
        if self.kinks and abs(change) > most * h + noise + self.blur:
            smaller = [self._slope_and_bend(name, index, h / part)[1] / change for part in (2, 4)]
            if abs(smaller[0] - 1 / 4) > 0.05 or abs(smaller[1] - 1 / 16) > 0.05:
                near = self._nearby(name, index, h)
                if near is not None:
                    return near
                raise KinkError(
                    f"{name}{list(index)} = {self.arrays[name][index]:.6g} is at a kink, where forward has no "
                    "derivative to compare with; move it away, for example to random numbers"
                )
        return slope

    def _nearby(self, name: str, index: Index, h: float) -> float | None:
        """The derivative from steps of a thousandth of x, where forward is curved there, as 1/x beside its pole.

        At a kink forward is as good as straight on either side.
        """
        narrow = 1e-3 * abs(float(self.arrays[name][index]))
        if not 0 < narrow < h:
            return None
        slope, change, noise = self._slope_and_bend(name, index, narrow)
        half = self._slope_and_bend(name, index, narrow / 2)[1]
        curved = abs(change) > max(10 * noise, 1e-6 * abs(slope) * narrow)
        return slope if curved and abs(half / change - 1 / 4) < 0.05 else None

    def noise(self, name: str, index: Index) -> float:
        """How far rounding may move the difference at one entry."""
        return self._slope_and_noise(name, index, self._step(name, index))[1]

    def measurable(self, name: str, index: Index, slope: float) -> bool:
        """Whether the difference is more than rounding: that of what is computed on the way to Y is known to nobody."""
        if abs(slope) <= max(self.rounding, 20 * self.noise(name, index)):
            return False
        wider = self._estimate(name, index, 8 * self._step(name, index))
        return wider is not None and abs(wider[0] - slope) <= 0.1 * abs(slope)

    def doubtful(self, name: str, index: Index, slope: float, gap: float) -> bool:
        """Whether the difference may be at fault for the ``gap``: that is rounding, or narrower ones are others."""
        if 10 * self.noise(name, index) > gap:
            return True
        steps = (self._step(name, index) / 8**power for power in (1, 3, 5))
        return any(abs(self._slope_and_noise(name, index, h)[0] - slope) > 0.01 * gap for h in steps)

    def hidden(self, name: str, index: Index, slope: float, blur: float) -> bool:
        """Whether the difference is another than ``slope`` by no more than a ``blur`` of J explains."""
        above, below, width, _ = self._around(name, index, self._step(name, index))
        rounded = 10 * self.epsilon * float(np.sum(self.scale)) + 1e-6 * abs(slope * width)
        return abs(float(np.sum(self.weights * (above - below))) - slope * width) <= blur + rounded

    def refined(self, name: str, index: Index) -> tuple[float, float]:
        """The derivative of J by one entry at the best of several steps, and its error.

        A step that is too small drowns in rounding, one that is too large leaves the tangent. As steps widen, what
        rounding does shrinks and what leaves the tangent grows; so they are widened up to where that begins, and of
        them the best is where its neighbour agrees most. How far they disagree shows how much is rounded on the way
        to Y, beside what is known of Y.

        Source: Ridders, Accurate computation of F'(x) and F'(x) F''(x), 1982.
        """
        h, largest = self._step(name, index), max(1.0, abs(float(self.arrays[name][index])))
        widths = [h * 8.0**power for power in range(-5, 6) if h * 8.0**power <= largest]
        found = [estimate for width in widths if (estimate := self._estimate(name, index, width)) is not None]
        good = found[: _where_the_tangent_ends(found)]
        gaps = [abs(one[0] - other[0]) for one, other in pairwise(good)]
        rounding = max([1.0, *(gap / noise for gap, (_, noise) in zip(gaps, good, strict=False) if noise)])
        scores = [(gap + rounding * noise, slope) for gap, (slope, noise) in zip(gaps, good, strict=False)]
        error, slope = min(scores, default=(0.0, self.at(name, index)))
        return slope, error

    def _estimate(self, name: str, index: Index, h: float) -> tuple[float, float] | None:
        """The slope and its noise; None where forward is not defined, as a logarithm below 0."""
        try:
            with np.errstate(all="ignore"):
                slope, noise = self._slope_and_noise(name, index, h)
                return (slope, noise) if math.isfinite(slope) else None
        except (ValueError, ArithmeticError, Warning):
            return None

    def _slope_and_noise(self, name: str, index: Index, h: float) -> tuple[float, float]:
        """The difference, and what forward rounds, over the width.

        The largest value counts in any case: it may have moved by less than its last digit.
        """
        above, below, width, _ = self._around(name, index, h)
        rounded = float(np.sum(self.scale[above != below]) + np.max(self.scale, initial=0.0))
        return float(np.sum(self.weights * (above - below))) / width, 2 * self.epsilon * rounded / width

    def _slope_and_bend(self, name: str, index: Index, h: float) -> tuple[float, float, float]:
        """The difference, the bend, and the bend that rounding alone may show."""
        above, below, width, lean = self._around(name, index, h)
        slope = float(np.sum(self.weights * (above - below))) / width
        bend = float(np.sum(self.weights * ((above - self.start) - (self.start - below))))
        return slope, bend, abs(slope * lean) + 32 * self.epsilon * float(np.sum(self.scale[above != below]))

    def _around(self, name: str, index: Index, h: float) -> tuple[Array, Array, float, float]:
        """The values above and below, how far these are apart, and by how much the one is farther off."""
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
                f"{name}{list(index)} = {before:.6g} is at the edge of where forward is defined, and a step of {h:.3g} "
                f"goes beyond it ({error}); move it inside"
            ) from error
        finally:
            P[index] = before
        return above, below, up + down, up - down

    def _step(self, name: str, index: Index) -> float:
        return max(self.step, 1e-10 * abs(float(self.arrays[name][index])))


def _where_the_tangent_ends(found: list[tuple[float, float]]) -> int:
    """How many of the slopes, from narrow to wide and each with its noise, differ by no more than rounding."""
    for number in range(2, len(found)):
        slope = found[number][0]
        if any(abs(slope - narrower) > 4 * noise for narrower, noise in found[:number]):
            after = abs(found[number + 1][0] - slope) if number + 1 < len(found) else math.inf
            before = [abs(one[0] - other[0]) for one, other in pairwise(found[number - 2 : number + 1])]
            if after >= max(before):  # rounding would shrink
                return number
    return len(found)


def chosen_entries(P: Array, most: int | None, rng: "np.random.Generator") -> Iterable[Index]:
    """The indices of all entries, or of ``most`` random ones.

    >>> list(chosen_entries(np.zeros((1, 2)), None, np.random.default_rng(0)))
    [(0, 0), (0, 1)]
    """
    if most is None or most >= P.size:
        return np.ndindex(P.shape)
    chosen: Any = rng.choice(P.size, most, replace=False)
    return [tuple(map(int, np.unravel_index(entry, P.shape))) for entry in chosen]
