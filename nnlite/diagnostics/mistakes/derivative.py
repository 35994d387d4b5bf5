"""A derivative that is missing, that of another function, or evaluated at the wrong point."""

from collections.abc import Iterator

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import blas
from nnlite.diagnostics.central_differences import Differences
from nnlite.diagnostics.evidence import Evidence
from nnlite.diagnostics.mistakes.factor import matches


def missing_derivative(evidence: Evidence, name: str) -> str | None:
    """Detect dX = dY, a missing dY, and a derivative that is applied twice or divided by."""
    dY, N = evidence.dY, evidence.findings[name].numeric
    if dY is None or dY.shape != N.shape or name not in evidence.trial.inputs():
        return None
    slope = N / dY
    for text, candidate, scaled in (
        ("it is dY itself, the derivative of Y with respect to X is missing", dY, True),
        ("it is the derivative of Y with respect to X alone, the factor dY is missing", slope, True),
        ("the derivative of Y with respect to X is applied twice", dY * slope * slope, False),
        ("dY is divided by the derivative of Y with respect to X; multiply by it", dY / slope, False),
        ("it is dY minus the true gradient, as if for another input", dY - N, False),
    ):
        suffix = matches(evidence, name, candidate)
        if suffix == "" or (scaled and suffix):
            return text + (suffix or "")
    return None


def wrong_place(evidence: Evidence, name: str) -> str | None:
    """Detect a derivative that is evaluated at the input instead of the output, or the other way round.

    A backward that uses X where its formula needs Y is right once the layer runs on Y as its input.
    """
    inputs, finding = evidence.trial.inputs(), evidence.findings[name]
    if list(inputs) != [name] or evidence.Y is None or np.shape(inputs[name]) != evidence.Y.shape:
        return None
    compared = np.isfinite(finding.numeric)
    trial = evidence.other_X(evidence.Y)
    differences = Differences(trial, evidence.differences.step, kinks=False)
    fed = trial.backward()[name]
    if evidence.equal(name, fed[compared], finding.numeric[compared]):
        return "the derivative is evaluated at the input X instead of the output Y"
    candidate = np.full(compared.shape, np.nan)
    for index in zip(*map(np.ndarray.tolist, np.nonzero(compared)), strict=True):
        candidate[index] = differences.at(name, index)
        if not np.isfinite(candidate[index]):
            return None
    suffix = matches(evidence, name, candidate)
    return None if suffix is None else f"the derivative is evaluated at the output Y instead of the input X{suffix}"


def only_diagonal(evidence: Evidence, name: str) -> str | None:
    """Detect a dX that uses only the diagonal of the Jacobian, as if the layer were elementwise."""
    finding = evidence.findings[name]
    if evidence.dY is None or evidence.dY.shape != finding.analytic.shape:
        return None
    indices, rows = evidence.rows(name)
    own = [int(np.ravel_multi_index(index, finding.analytic.shape)) for index in indices]
    candidate = rows[np.arange(len(own)), own] * evidence.dY.ravel()[own]
    if not evidence.equal(name, finding.analytic.ravel()[own], candidate):
        return None
    return "it uses only the diagonal of the Jacobian, but each entry of X affects other entries of Y as well"


def not_transposed(evidence: Evidence, name: str) -> str | None:
    """Detect a square matrix that is transposed in neither, or in both, of forward and backward."""
    dY, X, finding = evidence.dY, evidence.X, evidence.findings[name]
    if dY is None or X is None or dY.ndim < 1 or X.shape != dY.shape or name not in evidence.trial.inputs():
        return None
    compared = np.isfinite(finding.numeric)
    for matrix, W in (evidence.arrays | dict(evidence.layer.named_parameters())).items():
        if W.shape != (dY.shape[-1], dY.shape[-1]):
            continue
        plain, turned = blas.matmul(dY, W), blas.matmul(dY, W.T)
        if evidence.fits(name, plain) and evidence.equal(name, turned[compared], finding.numeric[compared]):
            return f"{matrix} is not transposed: it is dY {matrix} instead of dY {matrix}^T"
        if evidence.fits(name, turned) and evidence.equal(name, plain[compared], finding.numeric[compared]):
            return f"{matrix} is transposed although forward multiplies by {matrix}^T: it should be dY {matrix}"
    return None


def wrong_formula(evidence: Evidence, name: str) -> str | None:
    """Detect a wrong formula of dY, X, Y, the parameters and cached arrays, also where a product follows."""
    dY = evidence.dY
    if dY is None:
        return None
    for label, D in _before(evidence, dY):
        for text, candidate in _products(evidence, name, label, D):
            suffix = matches(evidence, name, candidate)
            if suffix is not None:
                return f"it is {text}{suffix}"
    return None


def _before(evidence: Evidence, dY: Array) -> Iterator[tuple[str, Array]]:
    """Yield formulas that backward may use for the gradient before an activation."""
    yield "dY", dY
    for name, K in evidence.cached.items():
        of = {"tanh": "", "a sigmoid": "", "ReLU": "", "exp": ""}
        if name == "Y":
            of = {function: f", the derivative of {function}" for function in of}
        yield f"dY * (1 - {name}^2){of['tanh']}", dY * (1 - K * K)
        yield f"dY * {name} * (1 - {name}){of['a sigmoid']}", dY * K * (1 - K)
        yield f"dY * ({name} > 0){of['ReLU']}", dY * (K > 0)
        yield f"dY * {name}{of['exp']}", dY * K
        yield f"dY / {name}", dY / K


def _products(evidence: Evidence, name: str, label: str, D: Array) -> Iterator[tuple[str, Array]]:
    """Yield the gradient itself, and what the backward of a Linear would compute from it."""
    shape, X = evidence.findings[name].analytic.shape, evidence.X
    yield label, D
    if not D.ndim or X is None or not X.ndim:
        return
    D_rows, X_rows = D.reshape(-1, D.shape[-1]), X.reshape(-1, X.shape[-1])
    bare = ", a derivative is missing" if label == "dY" else ""
    if shape == D.shape[-1:]:
        yield f"the sum over the rows of {label}{bare}", D_rows.sum(axis=0)
    if shape == (X.shape[-1], D.shape[-1]) and len(X_rows) == len(D_rows):
        yield f"X^T times {label}{bare}", blas.matmul(X_rows.T, D_rows)
    if shape == X.shape and len(X_rows) == len(D_rows) and name in evidence.trial.inputs():
        parameters = dict(evidence.layer.named_parameters())
        for matrix, W in (evidence.arrays | parameters).items():
            if W.shape == (X.shape[-1], D.shape[-1]):
                yield (
                    f"{label} times {matrix}^T{bare if matrix in parameters else ''}",
                    blas.matmul(D_rows, W.T).reshape(shape),
                )
