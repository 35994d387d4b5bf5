"""A constant factor; and rounding to float32."""

from fractions import Fraction
from typing import Any

import numpy as np

from nnlite.diagnostics.evidence import RTOL, Evidence


def known_factor(evidence: Evidence, name: str) -> str | None:
    """Detect the wrong sign, or a factor that has a name: 2, the batch size, the number of outputs ..."""
    found = ratio(evidence, name, evidence.findings[name].numeric)
    return None if found is None else factor_text(evidence, found)


def any_factor(evidence: Evidence, name: str) -> str | None:
    """Detect any other constant factor."""
    N = evidence.findings[name].numeric
    if np.count_nonzero(np.nan_to_num(N)) < 2:
        return None
    found = ratio(evidence, name, N)
    return None if found is None else f"{times(found)} the true gradient"


def single_precision(evidence: Evidence, name: str) -> str | None:
    """Detect a backward that is right but for rounding to float32."""
    finding = evidence.findings[name]
    A = finding.analytic[np.isfinite(finding.numeric)]
    with np.errstate(over="ignore"):
        rounded = np.array_equal(A, A.astype(np.float32))
    if rounded and np.count_nonzero(A) > 1 and evidence.fits(name, finding.numeric, rtol=1e-4):
        return "rounding error, not a wrong formula: backward computes in float32; keep the dtype of dY"
    return None


def matches(evidence: Evidence, name: str, candidate: Any) -> str | None:
    """Return what to add to "it is ``candidate``": nothing, the wrong sign or a factor; None if it is not."""
    if np.shape(candidate) != evidence.findings[name].analytic.shape:
        return None
    found = ratio(evidence, name, np.asarray(candidate))
    if found is None:
        return None
    if abs(found - 1) < RTOL:
        return ""
    factor = factor_text(evidence, found, of="that")
    return None if factor is None else f", and {factor}"


def ratio(evidence: Evidence, name: str, candidate: Any) -> float | None:
    """Return c if the gradient is c times the candidate at every entry that was compared and neither is zero."""
    finding = evidence.findings[name]
    compared = np.isfinite(finding.numeric)
    A, C = finding.analytic[compared], np.asarray(candidate)[compared]
    square = float(np.sum(C * C))
    if not (np.isfinite(square) and square > 0 and np.isfinite(A).all()):
        return None
    found = float(np.sum(A * C)) / square
    rtol = min(RTOL, max(0.1 * abs(found - 1), 1e-9))
    return found if found and evidence.equal(name, A, found * C, rtol) else None


def factor_text(evidence: Evidence, factor: float, of: str = "the true gradient") -> str | None:
    """Return the factor and where it comes from, or None if it has no name."""
    if close(factor, -1):
        return "wrong sign"
    if evidence.dY is not None and evidence.dY.size == 1 and not close(abs(dJ := float(evidence.dY.item())), 1):
        if close(factor * dJ, 1):
            return "the factor dJ is missing"
        if close(factor, dJ):
            return "the factor dJ is applied twice"
    size = max(abs(factor), 1 / abs(factor))
    whys = [f"{n} is {label}" for label, n in evidence.sizes.items() if n > 1 and close(size, n)]
    if not whys and not close(size, 2):
        whys = [f"{n} is {label}" for label, n in evidence.sizes.items() if n > 1 and close(size, 2 * n)]
        whys += [f"{n} is {label}" for label, n in evidence.sizes.items() if n > 3 and close(size, n / 2)]
        if not whys:
            return None
    why = f" ({', and '.join(whys)})" if whys else ""
    return f"{times(factor)} {of}{why}"


def times(factor: float) -> str:
    """Return ``4 times`` or ``1/4 of``, or a decimal if the factor is not a simple fraction.

    >>> times(4.0), times(0.25), times(-1.5), times(0.1234567)
    ('4 times', '1/4 of', '-3/2 times', '0.1234567 times')
    """
    for simple in Fraction(round(factor)), Fraction(1, round(1 / factor) or 1), Fraction(factor).limit_denominator(20):
        if close(factor, float(simple)):
            return f"{simple} of" if abs(simple) < 1 else f"{simple} times"
    return f"{factor:.7g} times"


def close(one: float, other: float) -> bool:
    """Return whether two factors are equal up to rounding.

    >>> close(1.0, 1.0000001), close(1.0, 1.00001)
    (True, False)
    """
    return abs(one - other) <= 1e-6 * abs(other)
