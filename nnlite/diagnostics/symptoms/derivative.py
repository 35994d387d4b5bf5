"""A derivative that is missing, of another function, or taken at another place."""

from collections.abc import Iterator

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import blas
from nnlite.diagnostics.differences import Differences
from nnlite.diagnostics.evidence import Evidence
from nnlite.diagnostics.symptoms.factor import matches


def missing_derivative(evidence: Evidence, name: str) -> str | None:
    """DX is dY itself, or dX is the derivative alone, or the derivative stands there twice or below the line."""
    dY, N = evidence.dY, evidence.findings[name].numeric
    if dY is None or dY.shape != N.shape or name not in evidence.trial.inputs():
        return None
    slope = N / dY
    for text, candidate, scaled in (
        ("it is dY itself, the derivative of Y by X is missing", dY, True),
        ("it is the derivative of Y by X alone, dY is missing", slope, True),
        ("the derivative of Y by X is multiplied in twice", dY * slope * slope, False),
        ("divided by the derivative of Y by X and not multiplied", dY / slope, False),
        ("it is dY less the true gradient, as if it belonged to another input", dY - N, False),
    ):
        beside = matches(evidence, name, candidate)
        if beside == "" or (scaled and beside):
            return text + (beside or "")
    return None


def wrong_place(evidence: Evidence, name: str) -> str | None:
    """The derivative is taken at the input in place of the output, or at the output in place of the input.

    A backward that puts X into the formula for Y is right when it is fed Y for X: then it meets the Y it needs.
    """
    inputs, finding = evidence.trial.inputs(), evidence.findings[name]
    if list(inputs) != [name] or evidence.Y is None or np.shape(inputs[name]) != evidence.Y.shape:
        return None
    compared = np.isfinite(finding.numeric)
    trial = evidence.other_X(evidence.Y)
    differences = Differences(trial, evidence.differences.step, kinks=False)
    fed = trial.backward()[name]
    if evidence.equal(name, fed[compared], finding.numeric[compared]):
        return "the derivative is taken at the input X in place of the output Y"
    candidate = np.full(compared.shape, np.nan)
    for index in zip(*map(np.ndarray.tolist, np.nonzero(compared)), strict=True):
        candidate[index] = differences.at(name, index)
        if not np.isfinite(candidate[index]):
            return None
    beside = matches(evidence, name, candidate)
    return None if beside is None else f"the derivative is taken at the output Y in place of the input X{beside}"


def only_diagonal(evidence: Evidence, name: str) -> str | None:
    """Each entry of dX counts only the entry of Y at its own place, as after an activation, where all of them count."""
    finding = evidence.findings[name]
    if evidence.dY is None or evidence.dY.shape != finding.analytic.shape:
        return None
    indices, rows = evidence.rows(name)
    own = [int(np.ravel_multi_index(index, finding.analytic.shape)) for index in indices]
    candidate = rows[np.arange(len(own)), own] * evidence.dY.ravel()[own]
    if not evidence.equal(name, finding.analytic.ravel()[own], candidate):
        return None
    return "only the diagonal of the Jacobian counts: what an entry of X does to the other entries of Y is left out"


def not_transposed(evidence: Evidence, name: str) -> str | None:
    """A square matrix stands in backward as in forward, where one of the two has its transpose.

    With ``Y = X W`` it is dX that shows it, and dW as well where forward has W^T: then it is that of X W.
    """
    dY, X, finding = evidence.dY, evidence.X, evidence.findings[name]
    if dY is None or X is None or dY.ndim < 1 or X.shape != dY.shape or name not in evidence.trial.inputs():
        return None
    compared = np.isfinite(finding.numeric)
    for matrix, W in (evidence.arrays | dict(evidence.layer.named_parameters())).items():
        if W.shape != (dY.shape[-1], dY.shape[-1]):
            continue
        plain, turned = blas.matmul(dY, W), blas.matmul(dY, W.T)
        if evidence.fits(name, plain) and evidence.equal(name, turned[compared], finding.numeric[compared]):
            return f"{matrix} is not transposed: it is dY {matrix} in place of dY {matrix}^T"
        if evidence.fits(name, turned) and evidence.equal(name, plain[compared], finding.numeric[compared]):
            return f"{matrix} is transposed in one of the two: forward has {matrix}^T, so dX is dY {matrix}"
    return None


def wrong_formula(evidence: Evidence, name: str) -> str | None:
    """A formula out of dY, X, Y, the parameters and what the layer keeps, of activations or in front of a product."""
    dY = evidence.dY
    if dY is None:
        return None
    for label, D in _before(evidence, dY):
        for text, candidate in _products(evidence, name, label, D):
            beside = matches(evidence, name, candidate)
            if beside is not None:
                return f"it is {text}{beside}"
    return None


def _before(evidence: Evidence, dY: Array) -> Iterator[tuple[str, Array]]:
    """What may be taken for the gradient in front of an activation."""
    yield "dY", dY
    for name, K in evidence.kept.items():
        of = {"tanh": "", "a sigmoid": "", "ReLU": "", "exp": ""}
        if name == "Y":
            of = {function: f", the derivative of {function}" for function in of}
        yield f"dY * (1 - {name}^2){of['tanh']}", dY * (1 - K * K)
        yield f"dY * {name} * (1 - {name}){of['a sigmoid']}", dY * K * (1 - K)
        yield f"dY * ({name} > 0){of['ReLU']}", dY * (K > 0)
        yield f"dY * {name}{of['exp']}", dY * K
        yield f"dY / {name}", dY / K


def _products(evidence: Evidence, name: str, label: str, D: Array) -> Iterator[tuple[str, Array]]:
    """The gradient itself, or what the backward of a Linear makes of it."""
    shape, X = evidence.findings[name].analytic.shape, evidence.X
    yield label, D
    if not D.ndim or X is None or not X.ndim:
        return
    D_rows, X_rows = D.reshape(-1, D.shape[-1]), X.reshape(-1, X.shape[-1])
    bare = ", so that a derivative is missing" if label == "dY" else ""
    if shape == D.shape[-1:]:
        yield f"the sum over the rows of {label}{bare}", D_rows.sum(axis=0)
    if shape == (X.shape[-1], D.shape[-1]) and len(X_rows) == len(D_rows):
        yield f"X^T times {label}{bare}", blas.matmul(X_rows.T, D_rows)
    if shape == X.shape and len(X_rows) == len(D_rows) and name in evidence.trial.inputs():
        learnt = dict(evidence.layer.named_parameters())
        for matrix, W in (evidence.arrays | learnt).items():
            if W.shape == (X.shape[-1], D.shape[-1]):
                yield (
                    f"{label} times {matrix}^T{bare if matrix in learnt else ''}",
                    blas.matmul(D_rows, W.T).reshape(shape),
                )
