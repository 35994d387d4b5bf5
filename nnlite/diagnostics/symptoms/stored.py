"""Gradients that are not stored, not numbers, or nothing; and what depends on dY in another way than it has to."""

import numpy as np

from nnlite.basics.trees import each_of
from nnlite.diagnostics.evidence import Evidence


def not_stored(evidence: Evidence, name: str) -> str | None:
    """Backward adds to the gradient that is stored, or leaves it as it is."""
    finding = evidence.findings[name]
    if name not in dict(evidence.layer.named_parameters()) or not np.isnan(finding.analytic).any():
        return None
    zero, one = evidence.again(0.0)[name], evidence.again(1.0)[name]
    kept = np.isnan(finding.analytic) & (zero == 0) & (one == 1)
    if kept.all():
        return "backward does not store it"
    added = np.allclose(one - zero, 1, rtol=0, atol=1e-6 * (1 + np.max(np.abs(zero), initial=0.0)))
    if added and np.isfinite(zero).all():
        compared = np.isfinite(finding.numeric)
        right = evidence.equal(name, zero[compared], finding.numeric[compared])
        rest = "apart from that it is right" if right else "and what is added is wrong as well"
        return f"added to what is stored and not stored in place of it; {rest}"
    if kept.any():
        return f"{np.count_nonzero(kept)} of {kept.size} entries are not stored"
    return None


def not_finite(evidence: Evidence, name: str) -> str | None:
    """Backward gives NaN or infinity."""
    A = evidence.findings[name].analytic
    count = np.count_nonzero(~np.isfinite(A))
    return f"not finite in {count} of {A.size} entries" if count else None


def nothing(evidence: Evidence, name: str) -> str | None:
    """Backward gives 0 everywhere."""
    return "zero everywhere" if not evidence.findings[name].analytic.any() else None


def not_linear(evidence: Evidence, name: str) -> str:
    """Whether twice the dY gives something else than twice the gradient; no reason by itself."""
    finding = evidence.findings[name]
    twice = evidence.again(np.nan, dY=each_of(lambda dY: 2 * np.asarray(dY), evidence.trial.dY)).get(name)
    compared = np.isfinite(finding.numeric)
    if twice is None or evidence.equal(name, twice[compared], 2 * finding.analytic[compared]):
        return ""
    return ", and twice the dY does not give twice the gradient"
