"""check_gradients: whether backward is the derivative of forward, and if not, what is wrong with it."""

import copy
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn, cast

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import non_negative, positive, whole
from nnlite.basics.generators import Rng, generator
from nnlite.basics.trees import each_of, listed
from nnlite.diagnostics.gradients.central_differences import Differences
from nnlite.diagnostics.gradients.comparison import Examination, Finding, less_rounding
from nnlite.diagnostics.gradients.diagnosis import diagnosis
from nnlite.diagnostics.gradients.fault import Fault
from nnlite.diagnostics.gradients.form import likely_cause, wrong_conduct, wrong_return
from nnlite.diagnostics.gradients.report import GradientReport
from nnlite.diagnostics.gradients.trial import Trial, floats_as_float64, is_floating
from nnlite.diagnostics.recording import Recording
from nnlite.errors import GradientError
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss import is_loss
from nnlite.losses.per_output import as_one_loss, check_target


def check_gradients(
    layer: Layer,
    X: Any,
    target: Any = None,
    loss: Any = None,
    *,
    step: float = 1e-5,
    rtol: float = 1e-6,
    atol: float | None = None,
    max_entries: int | None = None,
    rng: Rng = 0,
) -> GradientReport:
    """Compare backward with central differences, ``(J(x + h) - J(x - h)) / (2 h)``, for X and each parameter.

    Everything runs in float64 on a copy; the layer itself does not change. J is ``loss(layer(X), target)`` if a loss is
    given, ``layer(X, target)`` if only a target is (the layer is then a loss itself), and otherwise the sum of Y times
    random numbers, so that no entry of dY can be ignored unnoticed. Inputs that the layer names in ``without_gradient``
    keep their dtype and are not compared. Generators and buffers that the layer holds are put back before each forward,
    so dropout and batch normalisation can be checked in training mode.

    If they differ, the layers are checked one by one from the output back, each on the X and dY that it received, up to
    the first one that is wrong. Then the usual mistakes are tried on its gradient. A mistake is named only if it
    explains every entry that was compared.

    The error's ``report`` has it as values: ``report.fault`` is the first :class:`Fault`, with the fields ``layer``,
    ``array`` such as "dW", ``kind`` and ``detail``, and ``report.faults`` has one for each wrong array. The kinds:

    - "missing derivative", "derivative applied twice", "divided by the derivative", "another derivative" (of another
      function), "wrong point" (at X instead of Y, or the other way round), "only the diagonal" (of the Jacobian);
    - "missing dY" (the gradient for dY = 1), "another dY" (its absolute value ...), "part of dY" (a row left out ...),
      "wrong axis", "sum over the batch missing";
    - "wrong sign", "wrong factor" (with its name: 2, the batch size ...), "missing term", "extra term";
    - "transposed", "missing transpose" (dY W instead of dY W^T), "another matrix" (than that of forward), "order of
      entries", "order of gradients" (that of another array), "wrong shape", "wrong number of gradients", "missing
      gradient" (None);
    - "not stored", "accumulated" (added to the stored gradient), "zero", "not finite", "float32" (rounding);
    - "modified in place" (X or dY), "modified cache", "updated parameter", "random backward", "layer run twice" (in one
      forward);
    - "not linear in dY", and "wrong entries" where no usual mistake explains them.

    Args:
        layer: any Layer; containers and losses are Layers too.
        X: the input; several as a tuple, or as a dict by name. Integers among several are not compared; a single X of
            integers is converted, unless it is in ``without_gradient``.
        target: the target of the loss.
        loss: a :class:`nnlite.Loss` behind the layer; for several outputs a tuple or dict of losses, as in ``fit``.
        step: h. Where rounding dominates, wider and narrower steps are tried as well.
        rtol: an entry is right if ``|analytic - numeric| <= atol + rtol |numeric|``, beyond the rounding error.
        atol: see ``rtol``. By default 1e-7, or a hundredth of the array's largest entry where that is smaller but more
            than rounding.
        max_entries: compare at most this many entries of each array, drawn at random. Each costs two forwards.
        rng: seed or generator for the random numbers.

    Returns:
        A report that prints as a table with a row for each array.

    Raises:
        GradientError: a gradient is wrong, or backward modifies an array in place. The message is the report, which is
            also the error's ``report``; its ``verdict`` says what is wrong and where.
        ValueError: no layer is wrong, and an entry is at a kink (ReLU at 0), where there is no derivative, or behind a
            layer so saturated that the loss is at the edge of what it is defined for: move X away from there. Or
            forward modifies its input in place, or is random with a generator that the layer does not hold, or J is
            not finite. Or X is empty, a loss has no target, ``step`` or ``max_entries`` is not above 0, or ``rtol`` or
            ``atol`` is negative.
        TypeError: forward or backward returned None; ``loss`` is not a Loss; a target without a loss.

    >>> import nnlite as nn
    >>> report = check_gradients(nn.Linear(2, 3, rng=0), np.ones((4, 2)))
    >>> report.right, [c.name for c in report.comparisons]
    (True, ['X', 'W', 'b'])
    >>> class Wrong(nn.Tanh):
    ...     def backward(self, dY):
    ...         return dY
    >>> try:
    ...     check_gradients(nn.Sequential(nn.Linear(2, 3, rng=0), Wrong(), nn.Square()), np.ones((4, 2)))
    ... except nn.GradientError as error:
    ...     print(error.report.verdict)
    ...     print(error.report.fault.kind)
    Sequential[1] Wrong(): dX: it is dY itself, the derivative of forward is missing; the layer after it is right; the
    layer before it was not checked
    missing derivative
    """
    check_layer(layer, "layer")
    loss = None if loss is None else as_one_loss(loss)
    if target is not None and loss is None and not is_loss(layer):
        raise TypeError(f"check_gradients: got a target, but {layer.one_line()} is not a nnlite.Loss; pass loss= too")
    check_target(loss, target)
    step = positive(step, "check_gradients: step")
    rtol = non_negative(rtol, "check_gradients: rtol")
    atol = None if atol is None else non_negative(atol, "check_gradients: atol")
    if max_entries is not None:
        whole(max_entries, "check_gradients: max_entries", least=1)
    examination = Examination(step, rtol, atol, max_entries)
    rng = generator(rng, "check_gradients: rng")
    originals = layer, loss
    layer, loss = copy.deepcopy((layer, loss))  # together: a loss may hold the model, to penalize its weights
    for each in (loss, layer):
        if each is not None and not each._adopted:
            each.astype(np.float64)
    X = each_of(partial(as_array, name="X"), X)
    single = not isinstance(X, tuple | dict) and layer.differentiable_inputs(1)
    converted = single and not is_floating(X)
    X = X.astype(np.float64) if single else each_of(floats_as_float64, X)
    trial = Trial(layer, X, target, loss)
    try:
        gradients, recording = _run(trial, originals, rng)
    except Exception as error:
        if converted:
            error.add_note("X was converted to float64; if it holds indices, name its argument in without_gradient")
        raise
    narrow = next((call for call in recording.forwards if call.narrow is not None), None)
    differences, findings = examination.of(trial, gradients, rng, None if narrow is None else narrow.narrow)
    comparisons = tuple(finding.comparison for finding in findings.values())
    wrong = not all(comparison.right for comparison in comparisons)
    if narrow is not None and not wrong:
        found = GradientReport((), (Fault(narrow.place, "", "float32", {"method": "forward", "of": "X"}),))
    elif wrong or recording.writes or any(finding.refused for finding in findings.values()):
        found = _diagnosed(originals[0].one_line(), differences, recording, findings, examination)
    else:
        return GradientReport(comparisons)
    report = replace(found, comparisons=comparisons)
    raise GradientError(str(report), report)


def _raise(fault: Fault, cause: Exception | None = None) -> NoReturn:
    """Raise the error where there is nothing to compare with central differences."""
    report = GradientReport((), (fault,))
    raise GradientError(str(report), report) from cause


def _run(
    trial: Trial, originals: tuple[Layer, Layer | None], rng: "np.random.Generator"
) -> tuple[dict[str, Array], Recording]:
    """Return the gradients of one forward and backward, and what the layers received in it.

    Raises:
        ValueError: forward modifies its input in place or is random, or J is not finite.
        GradientError: a gradient is missing or has the wrong shape, or backward modifies what it must not.
    """
    layer, original = trial.layer, originals[0]
    with Recording(careful=True).of(layer, trial.loss, originals) as before:
        try:
            Y = trial.forward()
        except Exception as error:
            _add_cause(error, before)
            raise
    if before.writes:
        raise ValueError(str(before.writes[0]))
    _check_not_empty(trial, before.last("").Y)
    if trial.loss is None:  # not constant, since backward may ignore dY, and of both signs
        trial.dY = each_of(lambda Y: rng.uniform(0.5, 1.5, np.shape(Y)) * np.resize([1.0, -1.0], np.shape(Y)), Y)
    with Recording(careful=True).of(layer, trial.loss, originals) as recording:
        start = trial.J()
        if not np.isfinite(start):
            raise ValueError(f"{original.one_line()}: there is no gradient to check where the output is {start}")
        for one, other in zip(before.forwards, recording.forwards, strict=False):
            if not all(map(partial(np.array_equal, equal_nan=True), listed(one.Y), listed(other.Y))):
                raise ValueError(
                    f"{one.place}: forward is random: it returned two outputs for one X; let the layer hold its "
                    "generator, such as self.rng = np.random.default_rng(0)"
                )
        try:
            gradients = trial.backward()
        except Exception as error:
            if fault := _first_wrong_return(recording):
                _raise(fault, error)
            _add_cause(error, recording)
            raise
    if any(call.layer is layer and wrong_return(call) for call in recording.backwards):
        _raise(cast(Fault, _first_wrong_return(recording)))
    fault = wrong_conduct(trial, gradients, recording)
    if fault:
        _raise(fault)
    return gradients, recording


def _first_wrong_return(recording: Recording) -> Fault | None:
    return next((fault for call in recording.backwards if (fault := wrong_return(call))), None)


def _check_not_empty(trial: Trial, Y: Any) -> None:
    """Raise a ValueError if the output is empty, or every array that there is a gradient for."""
    if not any(map(np.size, listed(Y))) or (not trial.arrays() and not all(map(np.size, listed(trial.X)))):
        X, Y = (" and ".join(str(np.shape(each)) for each in listed(values)) for values in (trial.X, Y))
        raise ValueError(f"check_gradients: nothing to compare: X has shape {X}, Y {Y}; pass at least one sample")


def _add_cause(error: Exception, recording: Recording) -> None:
    """Add the likely cause to an error that a layer raised."""
    if recording.failed and (cause := likely_cause(recording.failed, error)):
        error.add_note(cause)


def _diagnosed(
    model: str, differences: Differences, recording: Recording, findings: dict[str, Finding], examination: Examination
) -> GradientReport:
    """Return what is wrong.

    Raises:
        KinkError: no layer is wrong, and at some entry there is no derivative to compare with.
    """
    wrong = any(finding.wrong.any() for finding in findings.values())
    kink = next((finding.refused for finding in findings.values() if finding.refused), None)
    found, refused = diagnosis(recording, findings, examination) if wrong or kink else (GradientReport(), None)
    if recording.writes:
        write = recording.writes[0]
        fault = Fault(write.place, "", "modified in place", {"modified": write.array})
        same = found.fault is not None and found.fault.layer == write.place
        return replace(found, faults=(fault, *found.faults)) if same else GradientReport((), (fault,))
    runs = Counter(id(call.layer) for call in recording.forwards)
    twice = next((call for call in recording.backwards if runs[id(call.layer)] > 1), None)
    if twice and wrong and (found.parts_right or not found.faults):
        detail = {"part": twice.place, "times": runs[id(twice.layer)]}
        return GradientReport((), (Fault(model, "", "layer run twice", detail),))
    if found.faults:
        return found
    left = [less_rounding(finding, differences) for finding in findings.values()]
    refusals = [*(finding.refused for finding in left if finding.refused), *([refused] if refused else [])]
    if refusals:
        raise max(refusals, key=lambda kink: kink.edge)
    wrongs = [finding for finding in left if finding.wrong.any()]  # the loss holds the model, for instance
    faults = [Fault(model, f"d{finding.name}", "wrong entries", finding.where({})) for finding in wrongs]
    return GradientReport((), tuple(faults), parts_right=True)
