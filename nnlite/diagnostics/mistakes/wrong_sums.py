"""Sums: a term that is missing or counted twice, a sum over the wrong axis, or a wrong dY."""

from collections.abc import Iterable, Iterator

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.evidence import Evidence
from nnlite.diagnostics.mistakes.factor import close, times

MOST_SLICES = 256  # rows or columns of dY that are tried


def slices(evidence: Evidence, name: str) -> str | None:
    """Detect one row or column of dY that is left out, used alone, or counted twice."""
    dY, finding = evidence.dY, evidence.findings[name]
    if dY is None or not dY.ndim:
        return None
    indices, rows = evidence.rows(name)
    A = np.array([finding.analytic[index] for index in indices])
    N = np.array([finding.numeric[index] for index in indices])
    terms = (rows * dY.ravel()).reshape(len(indices), *dY.shape)
    for axis in sorted({0, dY.ndim - 1}):
        if not 1 < dY.shape[axis] <= MOST_SLICES:
            continue
        sums = np.moveaxis(terms, axis + 1, 1).reshape(len(indices), dY.shape[axis], -1).sum(axis=2)
        names = {1: ["entry"], 2: ["row", "column"]}.get(dY.ndim, [f"along axis {n}, slice" for n in range(dY.ndim)])
        what = names[axis]
        for place in range(dY.shape[axis]):
            for text, candidate in (
                (f"only {what} {place} of dY is used", sums[:, place]),
                (f"{what} {place} of dY is left out", N - sums[:, place]),
                (f"{what} {place} of dY is counted twice", N + sums[:, place]),
            ):
                if evidence.equal(name, A, candidate):
                    return text
    return None


def part_missing(evidence: Evidence, name: str) -> str | None:
    """Detect, in a composite layer, that the dX of a part or dY itself is missing, or counted twice."""
    if name not in evidence.trial.inputs() or not any(evidence.layer.named_children()):
        return None
    dY = [] if evidence.dY is None else [("dY", evidence.dY)]
    return _missing(evidence, name, [*dY, *evidence.parts()])


def term_missing(evidence: Evidence, name: str) -> str | None:
    """Detect a term that is missing or counted twice, such as the gradient of one use of a value that is used twice."""
    return None if evidence.dY is None else _missing(evidence, name, _terms(evidence, evidence.dY))


def _missing(evidence: Evidence, name: str, terms: Iterable[tuple[str, Array]]) -> str | None:
    finding = evidence.findings[name]
    compared = np.isfinite(finding.numeric)
    rest = (finding.numeric - finding.analytic)[compared]
    for label, T in terms:
        if T.shape != finding.analytic.shape:
            continue
        term = T[compared]
        factor = float(np.sum(rest * term)) / float(np.sum(term * term) or 1)
        if not factor or not evidence.equal(name, rest, factor * term):
            continue
        if close(factor, 1):
            return f"the term {label} is missing"
        if close(factor, -1):
            return f"the term {label} is added once too often"
        if len(rest) > 2:
            return f"the term {times(abs(factor))} {label} is {'missing' if factor > 0 else 'added in error'}"
    return None


def _terms(evidence: Evidence, dY: Array) -> Iterator[tuple[str, Array]]:
    """Yield the terms that the gradient of an activation may be a sum of."""
    yield "dY", dY
    for one, K in evidence.cached.items():
        yield f"dY * {one}", dY * K
        yield f"dY * (1 - {one}^2)", dY * (1 - K * K)
        for other, L in evidence.cached.items():
            if one <= other:
                yield f"dY * {one} * {other}", dY * K * L
            yield f"dY * {one} * (1 - {other})", dY * K * (1 - L)


def other_axis(evidence: Evidence, name: str) -> str | None:
    """Detect a sum over the wrong axis of dY, for a bias or anything else that forward broadcasts."""
    finding = evidence.findings[name]
    if evidence.dY is None or not np.isfinite(finding.numeric).all():
        return None
    indices, rows = evidence.rows(name)
    if len(indices) < finding.analytic.size or np.any(np.count_nonzero(rows, axis=0) > 1):
        return None
    D = (rows * evidence.dY.ravel()).sum(axis=0).reshape(evidence.dY.shape)  # dY before the sum
    if evidence.fits(name, np.full(finding.analytic.shape, D.sum())):
        return "summed over all axes of dY"
    for axis in range(D.ndim):
        total = D.sum(axis=axis)
        if total.size == finding.analytic.size and evidence.fits(name, total.reshape(finding.analytic.shape)):
            return f"summed over the wrong axis of dY, axis {axis}"
        mean = D.mean(axis=axis)
        if mean.size == finding.analytic.size and evidence.fits(name, mean.reshape(finding.analytic.shape)):
            return f"averaged over the wrong axis of dY, axis {axis}"
    return None


def other_dY(evidence: Evidence, name: str) -> str | None:
    """Detect the gradient for another dY."""
    dY, finding = evidence.dY, evidence.findings[name]
    if dY is None:
        return None
    indices, rows = evidence.rows(name)
    A = np.array([finding.analytic[index] for index in indices])
    for text, other in _other_dYs(dY):
        if evidence.equal(name, A, np.sum(rows * other.ravel(), axis=1)):
            return text
    return None


def _other_dYs(dY: Array) -> Iterator[tuple[str, Array]]:
    yield "dY is ignored: it is the gradient for dY = 1", np.ones_like(dY)
    yield "the sign of dY is lost", np.abs(dY)
    yield "dY is squared", dY * dY
    if dY.ndim == 2 and dY.shape[0] == dY.shape[1]:
        yield "dY is transposed", dY.T
    for axis, size in enumerate(dY.shape):
        if size > 1:
            what = ("rows", "columns")[axis] if dY.ndim == 2 else f"entries along axis {axis}"
            yield f"the {what} of dY are in reverse order", np.flip(dY, axis)
            total = np.broadcast_to(dY.sum(axis=axis, keepdims=True), dY.shape)
            yield f"dY is summed over its {what} first", total
            yield f"dY is averaged over its {what} first", total / size
