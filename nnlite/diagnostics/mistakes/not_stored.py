"""Gradients that are not stored, not finite, zero, or not linear in dY."""

import numpy as np

from nnlite.basics.trees import each_of
from nnlite.diagnostics.evidence import Evidence


def not_stored(evidence: Evidence, name: str) -> str | None:
    """Detect a backward that adds to the stored gradient, or does not store one."""
    finding = evidence.findings[name]
    if name not in dict(evidence.layer.named_parameters()) or not np.isnan(finding.analytic).any():
        return None
    zero, one = evidence.again(0.0)[name], evidence.again(1.0)[name]
    unchanged = np.isnan(finding.analytic) & (zero == 0) & (one == 1)
    if unchanged.all():
        return "backward does not store it"
    added = np.allclose(one - zero, 1, rtol=0, atol=1e-6 * (1 + np.max(np.abs(zero), initial=0.0)))
    if added and np.isfinite(zero).all():
        compared = np.isfinite(finding.numeric)
        right = evidence.equal(name, zero[compared], finding.numeric[compared])
        rest = "otherwise it is right" if right else "and the added value is wrong as well"
        return f"backward adds to the stored gradient instead of overwriting it; {rest}"
    if unchanged.any():
        return f"{np.count_nonzero(unchanged)} of {unchanged.size} entries are not stored"
    return None


def not_finite(evidence: Evidence, name: str) -> str | None:
    """Detect NaN and infinity."""
    A = evidence.findings[name].analytic
    count = np.count_nonzero(~np.isfinite(A))
    return f"not finite in {count} of {A.size} entries" if count else None


def nothing(evidence: Evidence, name: str) -> str | None:
    """Detect a gradient of zeros."""
    return "zero everywhere" if not evidence.findings[name].analytic.any() else None


def not_linear(evidence: Evidence, name: str) -> str:
    """Detect a gradient that is not linear in dY; no explanation by itself."""
    finding = evidence.findings[name]
    twice = evidence.again(np.nan, dY=each_of(lambda dY: 2 * np.asarray(dY), evidence.trial.dY)).get(name)
    compared = np.isfinite(finding.numeric)
    if twice is None or evidence.equal(name, twice[compared], 2 * finding.analytic[compared]):
        return ""
    return "; it is not linear in dY: for 2 dY it is not twice as large"
