"""Diagnosis: which layer of a model has a wrong backward, and what is wrong with it."""

import numpy as np

from nnlite.diagnostics.gradients.central_differences import Index, KinkError
from nnlite.diagnostics.gradients.comparison import Examination, Finding, less_rounding, without_kinks
from nnlite.diagnostics.gradients.evidence import Evidence
from nnlite.diagnostics.gradients.fault import Fault
from nnlite.diagnostics.gradients.form import wrong_shape
from nnlite.diagnostics.gradients.hypotheses import mistake
from nnlite.diagnostics.gradients.report import GradientReport
from nnlite.diagnostics.gradients.trial import Trial
from nnlite.diagnostics.recording import LayerCall, Recording
from nnlite.layer.layer import Layer


def diagnosis(
    recording: Recording, findings: dict[str, Finding], examination: Examination
) -> tuple[GradientReport, KinkError | None]:
    """Return what is wrong with the first layer from the output back that is wrong by itself.

    Also why a layer could not be compared at some entry, preferably at the edge of what it is defined for, as behind a
    layer that saturates; None if each could.

    Args:
        recording: what the layers of the model received; these run again.
        findings: the comparison of each array of the whole model.
        examination: how closely to compare.

    >>> diagnosis(Recording(), {}, Examination())[0].faults
    ()
    """
    right: list[Layer] = []
    refused: list[KinkError] = []
    worst = {name: finding.comparison.index for name, finding in findings.items() if finding.wrong.any()}
    for call in recording.backwards:
        try:
            with np.errstate(all="ignore"):
                faults, found = _examined(call, worst, examination, recording)
        except Exception:  # a layer that does not run without its container cannot be judged
            continue
        if faults:
            return _located(call, faults, right, recording), None
        for kink in filter(None, (finding.refused for finding in found.values())):
            cure = "; if the layer before it saturates, scale its input" if kink.edge else ""
            refused.append(KinkError(f"{call.place}: {kink}{cure}", kink.edge) if call.path else kink)
        right.append(call.layer)
    return GradientReport(), max(refused, key=lambda kink: kink.edge, default=None)


def _examined(
    call: LayerCall, worst: dict[str, Index], examination: Examination, recording: Recording
) -> tuple[tuple[Fault, ...], dict[str, Finding]]:
    """Return the faults of a layer by itself, and its comparisons."""
    trial = Trial.of(call)
    trial.forward()
    gradients, arrays = trial.backward(), trial.arrays()
    for name, P in arrays.items():
        if name in gradients and (fault := wrong_shape(call.place, name, P, gradients[name])):
            return (fault,), {}
    differences, findings = examination.of(trial, gradients, narrow=call.narrow, also=worst)
    if any(call.layer.named_children()) and any(finding.wrong.any() for finding in findings.values()):
        findings = {name: less_rounding(each, differences) for name, each in findings.items()}
        findings = without_kinks(findings, differences, examination)
    wrong = [name for name, finding in findings.items() if finding.wrong.any()]
    mistakes = {name: mistake(Evidence(name, differences, findings, recording.forwards)) for name in wrong}
    return tuple([Fault(call.place, f"d{name}", *found) for name, found in mistakes.items()]), findings


def _located(call: LayerCall, faults: tuple[Fault, ...], right: list[Layer], recording: Recording) -> GradientReport:
    """Return the faults, with which of the other layers are right, and which were not checked: those before it."""
    checked = set(map(id, right))
    parts = _leaves(call.layer)
    all_leaves = {id(each.layer) for each in recording.backwards if not any(each.layer.named_children())}
    others = all_leaves - parts - {id(call.layer)}
    after = len(others & checked)
    return GradientReport((), faults, bool(parts) and parts <= checked, after, len(others) - after)


def _leaves(layer: Layer) -> set[int]:
    """Return the ids of the layers inside that have no parts themselves."""
    inside = [part for _, part in layer.named_layers() if part is not layer]
    return {id(part) for part in inside if not any(part.named_children())}
