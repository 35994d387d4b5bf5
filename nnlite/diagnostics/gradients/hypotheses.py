"""The mistakes that people make in a backward: each is a guess at what the gradient would be if it had been made.

One comparison decides: a guess holds if it equals what backward computed at every entry that was compared.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of
from nnlite.compute import blas
from nnlite.diagnostics.gradients.evidence import Evidence
from nnlite.diagnostics.gradients.fault import close
from nnlite.losses.loss import is_loss

MOST_SLICES = 256  # rows or columns of dY that are tried

Found = tuple[str, dict[str, Any]]  # the kind of a fault and its detail


class Guess(NamedTuple):
    """A mistake, and what it would give.

    Attributes:
        kind: of the fault.
        candidate: the gradient if it had been made, at the entries of the evidence.
        detail: of the fault.
        factors: whether a factor may come with it: "none", "named" as 2 or the batch size, or "any".
        rest: whether the candidate is what the gradient lacks.
    """

    kind: str
    candidate: Array
    detail: dict[str, Any] = {}  # noqa: RUF012 - nothing writes into it
    factors: str = "named"
    rest: bool = False


def mistake(evidence: Evidence) -> Found:
    """Return the kind of the mistake that explains a wrong gradient, and its detail.

    >>> import nnlite as nn
    >>> from nnlite.diagnostics.gradients.comparison import Examination
    >>> from nnlite.diagnostics.gradients.trial import Trial
    >>> class Wrong(nn.Square):
    ...     def backward(self, dY):
    ...         return -super().backward(dY)
    >>> differences, findings = Examination().of(Trial(Wrong(), np.array([1.0, 3.0]), dY=np.array([1.0, 1.0])))
    >>> mistake(Evidence("X", differences, findings))
    ('wrong sign', {})
    """
    with np.errstate(all="ignore"):
        guesses: list[Callable[[Evidence], Found | None]] = [partial(_first, each) for each in GUESSES]
        for tried in (_seen, *guesses, _not_linear):
            try:
                found = tried(evidence)
            except Exception:  # a layer of the user's own may fail in an experiment
                continue
            if found is not None:
                return found
    return "wrong entries", evidence.finding.where({"dY": evidence.dY, "Y": evidence.Y, "X": evidence.X})


def _first(guesses: Callable[[Evidence], Iterator[Guess]], e: Evidence) -> Found | None:
    """Return the kind and the detail of the first guess that holds."""
    return next((found for guess in guesses(e) if (found := _judged(e, guess))), None)


def _judged(e: Evidence, guess: Guess) -> Found | None:
    """Return the kind and the detail if the guess holds."""
    kind, detail = guess.kind, guess.detail
    factor = e.ratio(e.N - e.A if guess.rest else e.A, guess.candidate)
    if factor is None:
        return None
    if guess.rest:
        times = "" if close(abs(factor), 1) else f"{abs(factor):.7g} "
        detail = detail | {"term": times + detail["term"]}
        return ("missing term" if factor > 0 else "extra term", detail) if not times or len(e.N) > 2 else None
    if kind == "wrong factor" and close(factor, -1):
        return "wrong sign", {}
    if kind != "wrong factor":
        if e.equal(factor * guess.candidate, e.N):
            return None  # it is the true gradient, no mistake
        if abs(factor - 1) < 1e-5:
            return kind, detail
    sizes = e.named(factor)
    if guess.factors == "none" or (guess.factors == "named" and sizes is None):
        return None
    return kind, detail | {"factor": factor, "sizes": sizes or {}}


def _seen(e: Evidence) -> Found | None:
    """Detect a gradient that is not stored or added to, not finite, zero, or right but for float32."""
    A, unstored = e.whole, np.isnan(e.whole)
    if e.name in dict(e.layer.named_parameters()) and unstored.any():
        zero, one = e.again(0.0)[e.name], e.again(1.0)[e.name]
        unchanged = unstored & (zero == 0) & (one == 1)
        added = np.isfinite(zero).all() and np.allclose(one - zero, 1, rtol=0, atol=1e-6 * (1 + np.abs(zero).max()))
        if added and not unchanged.all():
            return "accumulated", {"added": "right" if e.equal(e.at(zero), e.N) else "wrong"}
        if unchanged.any():
            return "not stored", {"entries": int(unchanged.sum()), "size": A.size}
    if not np.isfinite(A).all():
        return "not finite", {"entries": int(A.size - np.isfinite(A).sum()), "size": A.size}
    if not A.any():
        return "zero", {}
    if np.array_equal(A, A.astype(np.float32)) and np.count_nonzero(A) > 1 and e.equal(e.A, e.N, rtol=1e-4):
        return "float32", {"method": "backward", "of": "dY"}
    return None


def _not_linear(e: Evidence) -> Found | None:
    twice = e.again(np.nan, each_of(lambda dY: 2 * np.asarray(dY), e.trial.dY)).get(e.name)
    return None if twice is None or e.equal(e.at(twice), 2 * e.A) else ("not linear in dY", {})


def _factor(e: Evidence) -> Iterator[Guess]:
    yield Guess("wrong factor", e.N)


def _any_factor(e: Evidence) -> Iterator[Guess]:
    if np.count_nonzero(e.N) > 1:
        yield Guess("wrong factor", e.N, factors="any")


def _order(e: Evidence) -> Iterator[Guess]:
    """Guess that it is the gradient of another array, or has its entries in another order."""
    for other, finding in e.findings.items():
        if other != e.name and finding.gradient.shape == e.shape:
            yield Guess("order of gradients", e.true(other, e.indices), {"other": other})
    for order, source in _orders(e.shape):
        kind, detail = ("transposed", {}) if order == "transposed" else ("order of entries", {"order": order})
        indices = [tuple(map(int, np.unravel_index(source[index], e.shape))) for index in e.indices]
        if e.may_fit(indices[:4]):
            yield Guess(kind, e.true(e.name, indices), detail)
    if len(e.N) == e.whole.size > 2 and np.ptp(e.N):
        permuted = np.empty_like(e.N)
        permuted[np.argsort(e.A)] = np.sort(e.N)
        yield Guess("order of entries", permuted, {"order": "permuted"}, factors="none")


def _orders(shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Yield each order with the flat index that every entry comes from."""
    places = np.arange(int(np.prod(shape))).reshape(shape)
    if len(shape) > 1:
        if shape[-1] == shape[-2]:
            yield "transposed", places.swapaxes(-1, -2)
        yield "transposed and then reshaped", places.swapaxes(-1, -2).reshape(shape)
        yield "column-major (Fortran) instead of row-major", places.ravel().reshape(shape, order="F")
    for axis, size in enumerate(shape):
        if size > 1:
            what = ("rows", "columns")[axis] if len(shape) == 2 else f"axis {axis}"
            yield f"{what} reversed", np.flip(places, axis)


def _parts(e: Evidence) -> Iterator[Guess]:
    """Guess, in a composite layer, that the dX of a part or dY itself is missing, or counted twice."""
    if e.name in e.trial.inputs() and any(e.layer.named_children()):
        for term, T in [("dY", e.dY), *e.parts()]:
            if T is not None and T.shape == e.shape:
                yield Guess("missing term", e.at(T), {"term": term}, rest=True)


def _derivative(e: Evidence) -> Iterator[Guess]:
    if e.dY is not None and e.dY.shape == e.shape and e.name in e.trial.inputs():
        dY = e.at(e.dY)
        yield Guess("missing derivative", dY, {"term": "dY itself"})
        yield Guess("missing dY", e.N / dY, {"dY": "dY"})
        yield Guess("derivative applied twice", e.N * e.N / dY, factors="none")
        yield Guess("divided by the derivative", dY * dY / e.N, factors="none")


def _transpose(e: Evidence) -> Iterator[Guess]:
    """Guess that a square matrix is transposed in neither, or in both, of forward and backward."""
    dY, X = e.dY, e.X
    if dY is None or X is None or not dY.ndim or X.shape != dY.shape or e.name not in e.trial.inputs():
        return
    for name, W in (e.arrays | dict(e.layer.named_parameters())).items():
        if W.shape == (dY.shape[-1], dY.shape[-1]):
            one, other = (f"dY {name}", dY @ W), (f"dY {name}^T", dY @ W.T)
            for (used, product), (right, true) in (one, other), (other, one):
                if e.equal(e.at(true), e.N):
                    yield Guess("missing transpose", e.at(product), {"used": used, "right": right}, factors="none")


def _point(e: Evidence) -> Iterator[Guess]:
    """Guess that the derivative is evaluated at the input instead of the output, or the other way round.

    A backward that uses X where its formula needs Y is right once the layer runs on Y as its input.
    """
    inputs = e.trial.inputs()
    if list(inputs) == [e.name] and e.Y is not None and np.shape(inputs[e.name]) == e.Y.shape:
        on_Y, gradients = e.on(e.Y)
        if e.equal(e.at(gradients[e.name]), e.N):
            yield Guess("wrong point", e.A, {"used": "the input X", "right": "the output Y"}, factors="none")
        slopes = np.array([on_Y.at(e.name, index) for index in e.indices])
        yield Guess("wrong point", slopes, {"used": "the output Y", "right": "the input X"})


def _axis(e: Evidence) -> Iterator[Guess]:
    """Guess that dY is summed over the wrong axis, for a bias or anything else that forward broadcasts."""
    if e.dY is None or len(e.N) < e.whole.size or np.any(np.count_nonzero(e.rows, axis=0) > 1):
        return
    D = (e.rows * e.dY.ravel()).sum(axis=0).reshape(e.dY.shape)  # dY before the sum
    yield Guess("wrong axis", np.full(len(e.N), D.sum()), {"how": "summed", "axis": "all axes"}, factors="none")
    for axis in range(D.ndim):
        for how, total in ("summed", D.sum(axis=axis)), ("averaged", D.mean(axis=axis)):
            if total.size == e.whole.size:
                detail = {"how": how, "axis": f"axis {axis}"}
                yield Guess("wrong axis", e.at(total.reshape(e.shape)), detail, factors="none")


def _terms(e: Evidence) -> Iterator[Guess]:
    """Guess that a term of an activation's gradient is missing, or counted twice."""
    if e.dY is None or e.dY.shape != e.shape:
        return
    terms = {"dY": e.dY}
    for one, K in e.cached.items():
        terms |= {f"dY * {one}": e.dY * K, f"dY * (1 - {one}^2)": e.dY * (1 - K * K)}
        terms |= {f"dY * {one} * {other}": e.dY * K * L for other, L in e.cached.items() if one <= other}
        terms |= {f"dY * {one} * (1 - {other})": e.dY * K * (1 - L) for other, L in e.cached.items()}
    for term, T in terms.items():
        yield Guess("missing term", e.at(T), {"term": term}, rest=True)


def _another_dY(e: Evidence) -> Iterator[Guess]:
    """Guess that it is the gradient for another dY, such as one without a row."""
    dY = e.dY
    if dY is None:
        return
    yield Guess("missing dY", e.rows.sum(axis=1), {"dY": "dJ" if is_loss(e.layer) else "dY"})
    changes = {"its absolute value": np.abs(dY), "its square": dY * dY}
    if dY.ndim == 2 and dY.shape[0] == dY.shape[1]:
        changes["its transpose"] = dY.T
    names = {1: ["entry"], 2: ["row", "column"]}.get(dY.ndim, [f"axis {n}, slice" for n in range(dY.ndim)])
    for axis, (name, size) in enumerate(zip(names, dY.shape, strict=True)):
        for place in range(size if 1 < size <= MOST_SLICES else 0):
            own = np.isin(np.indices(dY.shape)[axis], place)
            for use, share in ("used alone", own), ("left out", 1 - own), ("counted twice", 1 + own):
                detail = {"part": f"{name} {place}", "use": use}
                yield Guess("part of dY", e.rows @ (share * dY).ravel(), detail, factors="none")
        if size > 1:
            total = np.broadcast_to(dY.sum(axis=axis, keepdims=True), dY.shape)
            changes |= {f"with each {name} reversed": np.flip(dY, axis), f"its sum over each {name}": total}
            changes[f"its mean over each {name}"] = total / size
    for change, other in changes.items():
        yield Guess("another dY", e.rows @ other.ravel(), {"change": change}, factors="none")


def _diagonal(e: Evidence) -> Iterator[Guess]:
    if e.dY is not None and e.dY.shape == e.shape:
        own = [int(np.ravel_multi_index(index, e.shape)) for index in e.indices]
        yield Guess("only the diagonal", e.rows[np.arange(len(own)), own] * e.dY.ravel()[own], factors="none")


def _formula(e: Evidence) -> Iterator[Guess]:
    """Guess at a wrong formula of dY, X, Y and cached arrays, also where the products of a Linear follow."""
    if e.dY is None:
        return
    parameters = dict(e.layer.named_parameters())
    for kind, matrices in ("missing derivative", parameters), ("another matrix", e.arrays):
        for product, candidate in _products(e, "dY", e.dY, matrices):
            yield Guess(kind, e.at(candidate), {"term": product})
    for name, K in e.cached.items():
        for term, D, function in (
            (f"dY * (1 - {name}^2)", e.dY * (1 - K * K), "tanh"),
            (f"dY * {name} * (1 - {name})", e.dY * K * (1 - K), "a sigmoid"),
            (f"dY * ({name} > 0)", e.dY * (K > 0), "ReLU"),
            (f"dY * {name}", e.dY * K, "exp"),
            (f"dY / {name}", e.dY / K, ""),
        ):
            for product, candidate in _products(e, term, D, parameters | e.arrays):
                detail = {"term": product, "function": function if name == "Y" else ""}
                yield Guess("another derivative", e.at(candidate), detail)


def _products(e: Evidence, term: str, D: Array, matrices: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    """Yield the gradient itself, and what the backward of a Linear would compute from it."""
    if e.shape == D.shape:
        yield term, D
    if not D.ndim or e.X is None or not e.X.ndim:
        return
    D_rows, X_rows = D.reshape(-1, D.shape[-1]), e.X.reshape(-1, e.X.shape[-1])
    if e.shape == D.shape[-1:]:
        yield f"the sum over the rows of {term}", D_rows.sum(axis=0)
    if e.shape == (X_rows.shape[-1], D_rows.shape[-1]) and len(X_rows) == len(D_rows):
        yield f"X^T times {term}", blas.matmul(X_rows.T, D_rows)
    if e.shape == e.X.shape and len(X_rows) == len(D_rows) and e.name in e.trial.inputs():
        for matrix, W in matrices.items():
            if W.shape == (X_rows.shape[-1], D_rows.shape[-1]):
                yield f"{term} times {matrix}^T", blas.matmul(D_rows, W.T).reshape(e.shape)


GUESSES = (
    _factor, _order, _parts, _derivative, _transpose, _point, _axis, _another_dY, _any_factor, _terms, _diagonal,
    _formula,
)  # fmt: skip
