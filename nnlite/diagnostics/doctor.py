"""The gradient doctor: which layer of a model has a wrong backward, and what is wrong with it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, listed
from nnlite.diagnostics.blur import blur_by_layer, without_hidden
from nnlite.diagnostics.comparison import Finding, Tolerance, compare, entry
from nnlite.diagnostics.differences import NARROW_STEP, Differences, Index, chosen_entries
from nnlite.diagnostics.evidence import Evidence
from nnlite.diagnostics.returned import shape_fault
from nnlite.diagnostics.symptoms.reasons import reason
from nnlite.diagnostics.trial import Trial, floats_as_float64
from nnlite.diagnostics.witness import Visit, Witness
from nnlite.layer.layer import Layer

WRONG = "backward is not the derivative of forward"
NO_LAYER = "though no layer in it is wrong by itself"


@dataclass
class Patient:
    """A layer that is wrong by itself, on the X and dY that it received.

    Attributes:
        visit: what it received.
        trial: to run it again.
        differences: of the trial.
        findings: what was compared, by the name of the array.
        fault: what is known already, such as a wrong shape.

    >>> import nnlite as nn
    >>> X = np.ones(2)
    >>> trial = Trial(nn.Tanh(), X, dY=X)
    >>> Patient(Visit("Tanh()", trial.layer, X, None, X), trial, Differences(trial), {}).fault
    ''
    """

    visit: Visit
    trial: Trial
    differences: Differences
    findings: dict[str, Finding]
    fault: str = ""


def diagnosis(
    model: Layer,
    witness: Witness,
    findings: dict[str, Finding],
    tolerance: Tolerance,
    step: float,
    max_entries: int | None,
) -> str:
    """What is wrong with a model whose gradients are not what the differences say, and where: one sentence.

    Args:
        model: as it is called.
        witness: what the layers of a copy of it received; these are run again.
        findings: what was compared of the whole model.
        tolerance: as of :func:`nnlite.check_gradients`.
        step: likewise.
        max_entries: likewise.

    >>> import nnlite as nn
    >>> witness = Witness()
    >>> witness.written.append("Own(): backward writes into its dY")
    >>> diagnosis(nn.Tanh(), witness, {}, Tolerance(), 1e-5, None)
    'Own(): backward writes into its dY; make a new array in place of it'
    """
    wrong = [finding for finding in findings.values() if not finding.comparison.right]
    found, right = _first_wrong(witness, findings, tolerance, step, max_entries) if wrong else (None, [])
    sentences = [f"{written}; make a new array in place of it" for written in witness.written[:1]]
    if found is not None and (not witness.written or found.visit.place in witness.written[0]):
        what = found.fault or _reasons(found, witness)
        sentences.append(f"{_heading(model, found, right)}: {what}{_right_after(found, right)}")
    elif wrong and not sentences:
        where = "; ".join(f"d{finding.comparison.name}: {_where(finding)}" for finding in wrong[:3])
        sentences.append(f"{model.one_line()}: {WRONG}, {NO_LAYER}: {where}")
    return "; ".join(sentences)


def _first_wrong(
    witness: Witness, findings: dict[str, Finding], tolerance: Tolerance, step: float, max_entries: int | None
) -> tuple[Patient | None, list[Layer]]:
    """The first layer that is wrong by itself on the way back from the output, and those before it, which are right."""
    right: list[Layer] = []
    worst = {name: finding.comparison.index for name, finding in findings.items() if not finding.comparison.right}
    for visit in witness.visits:
        try:
            with np.errstate(all="ignore"):
                patient = _examined(visit, worst, tolerance, step, max_entries)
        except Exception:  # nothing is said of a layer that does not run without its container
            continue
        if patient is not None:
            return patient, right
        right.append(visit.layer)
    return None, right


def _examined(
    visit: Visit, worst: dict[str, Index], tolerance: Tolerance, step: float, max_entries: int | None
) -> Patient | None:
    """The layer of the visit as a patient, if it is wrong by itself."""
    X, dY = (each_of(floats_as_float64, values) for values in (visit.X, visit.dY))
    trial = Trial(visit.layer, X, visit.target, dY=dY)
    if visit.narrow is None:
        differences = Differences(trial, step)
    else:
        differences = Differences(trial, max(step, NARROW_STEP), float(np.finfo(visit.narrow).eps), kinks=False)
    gradients = trial.backward()
    arrays = {name: P for name, P in trial.arrays().items() if gradients.get(name) is not None}
    for name, P in arrays.items():
        if gradients[name].shape != P.shape:
            return Patient(visit, trial, differences, {}, shape_fault(name, P, gradients[name]))
    rng = np.random.default_rng(0)
    found = {}
    for name, P in arrays.items():
        entries = list(chosen_entries(P, max_entries, rng))
        own = name not in trial.inputs()
        ends = [index for path, index in worst.items() if own and (path == name or path.endswith(f".{name}"))]
        entries += [index for index in ends if len(index) == P.ndim and index not in entries and _within(index, P)]
        found[name] = compare(name, gradients[name], differences, entries, tolerance, strict=False)
    if any(visit.layer.named_children()) and not all(finding.comparison.right for finding in found.values()):
        blur = sum(blur_by_layer(trial).values())
        found = {name: without_hidden(name, each, differences, blur, tolerance)[0] for name, each in found.items()}
    if all(finding.comparison.right for finding in found.values()):
        return None
    return Patient(visit, trial, differences, found)


def _within(index: Index, P: Array) -> bool:
    return all(place < size for place, size in zip(index, P.shape, strict=True))


def _heading(model: Layer, patient: Patient, right: list[Layer]) -> str:
    parts = _leaves(patient.visit.layer)
    own = ", though each layer in it is right" if parts and parts <= set(map(id, right)) else ""
    if patient.visit.place == model.one_line():
        return f"{patient.visit.place}: {WRONG}{own}"
    return f"{model.one_line()}: {WRONG} in {patient.visit.place}{own}"


def _right_after(patient: Patient, right: list[Layer]) -> str:
    own = _leaves(patient.visit.layer)
    after = [layer for layer in right if id(layer) not in own and not any(layer.named_children())]
    if not after:
        return ""
    return f"; the {len(after)} layers after it are right" if len(after) > 1 else "; the layer after it is right"


def _leaves(layer: Layer) -> set[int]:
    """The layers in it that have none in them, by id."""
    inside = [part for _, part in layer.named_layers() if part is not layer]
    return {id(part) for part in inside if not any(part.named_children())}


def _reasons(patient: Patient, witness: Witness) -> str:
    """What is wrong with each array of the layer; those that suffer from the same together."""
    evidence = Evidence(patient.trial, patient.differences, patient.findings, witness)
    names: dict[str, list[str]] = {}
    for name, finding in patient.findings.items():
        if not finding.comparison.right:
            names.setdefault(reason(evidence, name), []).append(f"d{name}")
    return "; ".join(f"{', '.join(which)}: {text}" for text, which in names.items())


def _where(finding: Finding) -> str:
    comparison = finding.comparison
    at = entry(comparison.name, comparison.index)
    return f"differs in {comparison.differing} of {comparison.checked} entries, most at {at}"


# ------------------------------------------------------------------------------------ what needs no differences


def first_random(before: Witness, after: Witness) -> str | None:
    """The place of the first layer that gave two outputs for one X.

    >>> first_random(Witness(), Witness()) is None
    True
    """
    for one, other in zip(before.forwards, after.forwards, strict=False):
        if not _equal(one.Y, other.Y):
            return one.place
    return None


def _equal(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(listed(one), listed(other), strict=True))


def narrow_layer(witness: Witness) -> tuple[str, "np.dtype[Any]"] | None:
    """The place of the first layer that computes in less than float64, and its dtype.

    >>> narrow_layer(Witness()) is None
    True
    """
    return next(((visit.place, dtype) for visit in witness.forwards if (dtype := visit.narrow) is not None), None)
