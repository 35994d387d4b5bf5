"""Diagnosis: which layer of a model has a wrong backward, and what is wrong with it."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, listed
from nnlite.diagnostics.central_differences import NARROW_STEP, Differences, Index, chosen_entries
from nnlite.diagnostics.comparison import Finding, Tolerance, compare, entry_name
from nnlite.diagnostics.evidence import Evidence
from nnlite.diagnostics.mistakes.reasons import reason
from nnlite.diagnostics.recording import LayerCall, Recording
from nnlite.diagnostics.returned_gradients import shape_fault
from nnlite.diagnostics.rounding import rounding_by_layer, without_hidden
from nnlite.diagnostics.trial import Trial, floats_as_float64
from nnlite.layer.layer import Layer

WRONG = "backward is not the derivative of forward"


class Diagnosis(NamedTuple):
    """What is wrong with a model.

    Attributes:
        sentence: the layer and its mistake.
        unexplained: whether gradients of the model are wrong, but no layer by itself is.

    >>> Diagnosis("Own(): dX: wrong sign").unexplained
    False
    """

    sentence: str
    unexplained: bool = False


@dataclass
class WrongLayer:
    """A layer whose backward is wrong on the X and dY that it received.

    Attributes:
        call: what it received.
        trial: the layer on these.
        differences: of the trial.
        findings: the comparison of each array, by name.
        fault: what is known without a comparison, such as a wrong shape.

    >>> import nnlite as nn
    >>> X = np.ones(2)
    >>> trial = Trial(nn.Tanh(), X, dY=X)
    >>> WrongLayer(LayerCall("", "Tanh()", trial.layer, (X,), {}, X), trial, Differences(trial), {}).fault
    ''
    """

    call: LayerCall
    trial: Trial
    differences: Differences
    findings: dict[str, Finding]
    fault: str = ""


def diagnosis(
    model: Layer,
    recording: Recording,
    findings: dict[str, Finding],
    tolerance: Tolerance,
    step: float,
    max_entries: int | None,
) -> Diagnosis:
    """Return what is wrong with a model whose gradients differ from central differences, and where.

    Args:
        model: the model to name in messages.
        recording: what the layers of a copy of it received; these run again.
        findings: the comparison of each array of the whole model.
        tolerance: see :func:`nnlite.check_gradients`.
        step: likewise.
        max_entries: likewise.

    >>> import nnlite as nn
    >>> from nnlite.diagnostics.recording import InPlaceWrite
    >>> recording = Recording()
    >>> recording.writes.append(InPlaceWrite("Own()", "backward", "dY"))
    >>> diagnosis(nn.Tanh(), recording, {}, Tolerance(), 1e-5, None).sentence
    'Own(): backward modifies dY in place; compute a new array instead'
    """
    wrong = [finding for finding in findings.values() if not finding.comparison.right]
    found, right = _first_wrong(recording, findings, tolerance, step, max_entries) if wrong else (None, [])
    write = next(iter(recording.writes), None)
    sentences = [str(write)] if write else []
    repeated = _run_repeatedly(recording)
    if wrong and repeated and write is None and (found is None or any(found.call.layer.named_children())):
        return Diagnosis(f"{model.one_line()}: {WRONG}: {repeated}", unexplained=found is None)
    if found is not None and (write is None or write.place == found.call.place):
        what = found.fault or _reasons(found, recording)
        sentences.append(f"{_heading(model, found, right)}: {what}{_others(found, right, recording)}")
    elif wrong and write is None:
        where = "; ".join(f"d{finding.comparison.name}: {_where(finding)}" for finding in wrong[:3])
        return Diagnosis(f"{model.one_line()}: {WRONG}, although each layer in it is right: {where}", unexplained=True)
    return Diagnosis("; ".join(sentences))


def _run_repeatedly(recording: Recording) -> str:
    """Return which layer is run several times in one forward, although a layer has one cache."""
    for call in recording.backwards:
        count = sum(other.layer is call.layer for other in recording.forwards)
        if count > 1:
            what = f"{call.place} is run {count} times in one forward, and a layer caches its last run only"
            return f"{what}; use nnlite.tied(layer) for each further one"
    return ""


def _first_wrong(
    recording: Recording, findings: dict[str, Finding], tolerance: Tolerance, step: float, max_entries: int | None
) -> tuple[WrongLayer | None, list[Layer]]:
    """Return the first layer from the output back that is wrong by itself, and the right ones checked before it."""
    right: list[Layer] = []
    worst = {name: finding.comparison.index for name, finding in findings.items() if not finding.comparison.right}
    for call in recording.backwards:
        try:
            with np.errstate(all="ignore"):
                wrong = _checked(call, worst, tolerance, step, max_entries)
        except Exception:  # a layer that does not run without its container cannot be judged
            continue
        if wrong is not None:
            return wrong, right
        right.append(call.layer)
    return None, right


def _checked(
    call: LayerCall, worst: dict[str, Index], tolerance: Tolerance, step: float, max_entries: int | None
) -> WrongLayer | None:
    """Return the layer of the call if it is wrong by itself."""
    X, dY = (each_of(floats_as_float64, values) for values in (call.X, call.dY))
    trial = Trial(call.layer, X, call.target, dY=dY)
    if call.narrow is None:
        differences = Differences(trial, step)
    else:
        differences = Differences(trial, max(step, NARROW_STEP), float(np.finfo(call.narrow).eps), kinks=False)
    gradients = trial.backward()
    arrays = {name: P for name, P in trial.arrays().items() if gradients.get(name) is not None}
    for name, P in arrays.items():
        if gradients[name].shape != P.shape:
            return WrongLayer(call, trial, differences, {}, shape_fault(name, P, gradients[name]))
    rng, untrained = np.random.default_rng(0), trial.untrained()
    found = {}
    for name, P in arrays.items():
        entries = list(chosen_entries(P, max_entries, rng, untrained.get(name)))
        own = name not in trial.inputs()
        ends = [index for path, index in worst.items() if own and (path == name or path.endswith(f".{name}"))]
        entries += [index for index in ends if len(index) == P.ndim and index not in entries and _within(index, P)]
        found[name] = compare(name, gradients[name], differences, entries, tolerance, strict=False)
    if any(call.layer.named_children()) and not all(finding.comparison.right for finding in found.values()):
        rounding = sum(rounding_by_layer(trial).values())
        found = {name: without_hidden(name, each, differences, rounding, tolerance)[0] for name, each in found.items()}
    if all(finding.comparison.right for finding in found.values()):
        return None
    return WrongLayer(call, trial, differences, found)


def _within(index: Index, P: Array) -> bool:
    return all(place < size for place, size in zip(index, P.shape, strict=True))


def _heading(model: Layer, wrong: WrongLayer, right: list[Layer]) -> str:
    parts = _leaves(wrong.call.layer)
    own = ", although each layer in it is right" if parts and parts <= set(map(id, right)) else ""
    if wrong.call.place == model.one_line():
        return f"{wrong.call.place}: {WRONG}{own}"
    return f"{model.one_line()}: {WRONG} in {wrong.call.place}{own}"


def _others(wrong: WrongLayer, right: list[Layer], recording: Recording) -> str:
    """Return which of the other layers are right, and which were not checked: those before the wrong one."""
    own = _leaves(wrong.call.layer) | {id(wrong.call.layer)}
    leaves = {id(call.layer) for call in recording.backwards if not any(call.layer.named_children())} - own
    after = len(leaves & set(map(id, right)))
    before = len(leaves) - after
    told = ""
    if after:
        told += f"; the {after} layers after it are right" if after > 1 else "; the layer after it is right"
    if before:
        told += f"; the {before} layers before it were" if before > 1 else "; the layer before it was"
        told += " not checked"
    return told


def _leaves(layer: Layer) -> set[int]:
    """Return the ids of the layers inside that have no parts themselves."""
    inside = [part for _, part in layer.named_layers() if part is not layer]
    return {id(part) for part in inside if not any(part.named_children())}


def _reasons(wrong: WrongLayer, recording: Recording) -> str:
    """Return what is wrong with each array of the layer; arrays with the same mistake are named together."""
    evidence = Evidence(wrong.trial, wrong.differences, wrong.findings, recording)
    names: dict[str, list[str]] = {}
    for name, finding in wrong.findings.items():
        if not finding.comparison.right:
            names.setdefault(reason(evidence, name), []).append(f"d{name}")
    return "; ".join(f"{', '.join(which)}: {text}" for text, which in names.items())


def _where(finding: Finding) -> str:
    comparison = finding.comparison
    at = entry_name(comparison.name, comparison.index)
    return f"differs in {comparison.differing} of {comparison.checked} entries, most at {at}"


def first_random(before: Recording, after: Recording) -> str | None:
    """Return the place of the first layer that returned two outputs for one X, or None.

    >>> first_random(Recording(), Recording()) is None
    True
    """
    for one, other in zip(before.forwards, after.forwards, strict=False):
        if not _equal(one.Y, other.Y):
            return one.place
    return None


def _equal(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(listed(one), listed(other), strict=True))


def narrow_layer(recording: Recording) -> tuple[str, "np.dtype[Any]"] | None:
    """Return the place and the dtype of the first layer that computes in less than float64, or None.

    >>> narrow_layer(Recording()) is None
    True
    """
    return next(((call.place, dtype) for call in recording.forwards if (dtype := call.narrow) is not None), None)
