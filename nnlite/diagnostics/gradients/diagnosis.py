"""Diagnosis: which layer of a model has a wrong backward, and what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.gradients.central_differences import Differences, Index, KinkError
from nnlite.diagnostics.gradients.comparison import Finding, Tolerance, compare, less_rounding
from nnlite.diagnostics.gradients.evidence import Evidence
from nnlite.diagnostics.gradients.fault import Fault
from nnlite.diagnostics.gradients.form import wrong_shape
from nnlite.diagnostics.gradients.hypotheses import mistake
from nnlite.diagnostics.gradients.trial import Trial
from nnlite.diagnostics.recording import LayerCall, Recording
from nnlite.layer.layer import Layer


@dataclass
class Examination:
    """How closely gradients are compared: the arguments of :func:`nnlite.check_gradients`.

    >>> import nnlite as nn
    >>> _, findings = Examination().of(Trial(nn.Tanh(), np.ones(2), dY=np.ones(2)))
    >>> findings["X"].comparison.right
    True
    """

    step: float = 1e-5
    tolerance: Tolerance = field(default_factory=Tolerance)
    max_entries: int | None = None

    def of(
        self,
        trial: Trial,
        gradients: dict[str, Array] | None = None,
        rng: "np.random.Generator | None" = None,
        narrow: "np.dtype[Any] | None" = None,
        also: Mapping[str, Index] | None = None,
    ) -> tuple[Differences, dict[str, Finding]]:
        """Return the differences of a trial, and the comparison of each of its gradients.

        Args:
            trial: a layer, alone or in front of a loss.
            gradients: those that its backward has returned; otherwise it runs.
            rng: draws the entries.
            narrow: the dtype in which forward computes, if it is not float64.
            also: further entries to compare, by the end of an array's path.
        """
        differences = Differences(trial, self.step, narrow=narrow)
        gradients = trial.backward() if gradients is None else gradients
        findings = {}
        for name, entries in trial.entries(self.max_entries, rng or np.random.default_rng(0)).items():
            if name in gradients:
                ends = [index for path, index in (also or {}).items() if f".{path}".endswith(f".{name}")]
                entries += [index for index in ends if index not in entries and _within(index, gradients[name])]
                findings[name] = compare(name, gradients[name], differences, entries, self.tolerance)
        return differences, findings


@dataclass
class Diagnosis:
    """What is wrong with a model, and where.

    Attributes:
        faults: of the first layer that is wrong by itself; none if each is right.
        parts_right: whether that layer has parts, and these are right.
        after: how many layers after it were checked and are right.
        before: how many layers before it were not checked.
        refused: why a layer could not be compared at some entry, preferably at the edge of what it is defined for, as
            behind a layer that saturates; None if each could.
    """

    faults: tuple[Fault, ...] = ()
    parts_right: bool = False
    after: int = 0
    before: int = 0
    refused: KinkError | None = None


def diagnosis(recording: Recording, findings: dict[str, Finding], examination: Examination) -> Diagnosis:
    """Return the first layer from the output back that is wrong by itself.

    Args:
        recording: what the layers of the model received; these run again.
        findings: the comparison of each array of the whole model.
        examination: how closely to compare.

    >>> diagnosis(Recording(), {}, Examination()).faults
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
            return _located(call, faults, right, recording)
        for kink in filter(None, (finding.refused for finding in found.values())):
            cure = "; if the layer before it saturates, scale its input" if kink.edge else ""
            refused.append(KinkError(f"{call.place}: {kink}{cure}", kink.edge) if call.path else kink)
        right.append(call.layer)
    return Diagnosis(refused=max(refused, key=lambda kink: kink.edge, default=None))


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
        rounding = trial.rounding()
        findings = {name: less_rounding(each, differences, rounding) for name, each in findings.items()}
    wrong = [name for name, finding in findings.items() if finding.wrong.any()]
    mistakes = {name: mistake(Evidence(name, differences, findings, recording.forwards)) for name in wrong}
    return tuple([Fault(call.place, f"d{name}", *found) for name, found in mistakes.items()]), findings


def _within(index: Index, P: Array) -> bool:
    return len(index) == P.ndim and all(place < size for place, size in zip(index, P.shape, strict=True))


def _located(call: LayerCall, faults: tuple[Fault, ...], right: list[Layer], recording: Recording) -> Diagnosis:
    """Return the diagnosis, with which of the other layers are right, and which were not checked: those before it."""
    checked = set(map(id, right))
    parts = _leaves(call.layer)
    all_leaves = {id(each.layer) for each in recording.backwards if not any(each.layer.named_children())}
    others = all_leaves - parts - {id(call.layer)}
    after = len(others & checked)
    return Diagnosis(faults, bool(parts) and parts <= checked, after, len(others) - after)


def _leaves(layer: Layer) -> set[int]:
    """Return the ids of the layers inside that have no parts themselves."""
    inside = [part for _, part in layer.named_layers() if part is not layer]
    return {id(part) for part in inside if not any(part.named_children())}


def unexplained(model: str, findings: dict[str, Finding]) -> tuple[Fault, ...]:
    """Return the faults of a model of which each layer by itself is right.

    >>> unexplained("Own()", {})
    ()
    """
    wrong = {name: finding for name, finding in findings.items() if finding.wrong.any()}
    return tuple([Fault(model, f"d{name}", "wrong entries", finding.where({})) for name, finding in wrong.items()])
