"""The right numbers at the wrong entries."""

from collections.abc import Iterator

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.central_differences import KinkError
from nnlite.diagnostics.evidence import Evidence
from nnlite.diagnostics.mistakes.factor import matches


def swapped(evidence: Evidence, name: str) -> str | None:
    """Detect the gradient of another array."""
    for other, finding in evidence.findings.items():
        if other == name or finding.analytic.shape != evidence.findings[name].analytic.shape:
            continue
        suffix = matches(evidence, name, finding.numeric)
        if suffix is not None:
            both = evidence.fits(other, evidence.findings[name].numeric)
            return f"swapped with d{other}{suffix}" if both else f"it is the gradient of {other}{suffix}"
    return None


def another_order(evidence: Evidence, name: str) -> str | None:
    """Detect a gradient that is transposed, reversed, shifted, or permuted."""
    finding = evidence.findings[name]
    if not finding.analytic.ndim:
        return None
    for text, source in _orders(finding.analytic.shape):
        candidate = _taken(evidence, name, source)
        suffix = None if candidate is None else matches(evidence, name, candidate)
        if suffix is not None:
            return text + suffix
    if finding.analytic.size > 2 and np.isfinite(finding.numeric).all():
        ordered = np.sort(finding.analytic, axis=None), np.sort(finding.numeric, axis=None)
        if np.ptp(ordered[1]) and evidence.equal(name, *ordered) and not evidence.fits(name, finding.numeric):
            return "the right numbers in the wrong order"
    return None


def _orders(shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Yield each mistake with the flat index that every entry comes from."""
    places = np.arange(int(np.prod(shape))).reshape(shape)
    if len(shape) > 1:
        if shape[-1] == shape[-2]:
            yield "transposed", places.swapaxes(-1, -2)
        yield "transposed and then reshaped", places.swapaxes(-1, -2).reshape(shape)
        yield "in column-major (Fortran) order instead of row-major order", places.ravel().reshape(shape, order="F")
    for axis, size in enumerate(shape):
        if size > 1:
            what = ("rows", "columns")[axis] if len(shape) == 2 else f"entries along axis {axis}"
            yield f"its {what} are in reverse order", np.flip(places, axis)
            if size > 2:
                yield f"its {what} are shifted by one", np.roll(places, 1, axis)
                yield f"its {what} are shifted by one", np.roll(places, -1, axis)


def _taken(evidence: Evidence, name: str, source: Array) -> Array | None:
    """Return the true gradient in another order; entries that were not compared are computed, if it may still fit."""
    finding = evidence.findings[name]
    compared = np.argwhere(np.isfinite(finding.numeric))
    candidate = np.full(finding.analytic.shape, np.nan)
    for count, where in enumerate(map(tuple, compared)):
        index = tuple(map(int, np.unravel_index(source[where], finding.analytic.shape)))
        N = finding.numeric[index]
        try:
            candidate[where] = N if np.isfinite(N) else evidence.differences.at(name, index)
        except KinkError:
            return None
        if count == 3 and not _may_fit(finding.analytic, candidate):
            return None
    return candidate


def _may_fit(A: Array, candidate: Array) -> bool:
    """Return whether the known entries of the candidate are a multiple of those of A."""
    known = np.isfinite(candidate)
    a, c = A[known], candidate[known]
    return bool(np.allclose(a * np.sum(c * c), c * np.sum(a * c), rtol=1e-3, atol=1e-3 * np.max(np.abs(a * c))))
