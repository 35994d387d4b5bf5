"""check_gradients: whether backward is the derivative of forward, and if not, what is wrong with it."""

import copy
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import non_negative, positive, whole
from nnlite.basics.generators import Rng, generator
from nnlite.basics.trees import each_of, listed
from nnlite.diagnostics.central_differences import NARROW_STEP, Differences, KinkError, chosen_entries
from nnlite.diagnostics.comparison import Comparison, Finding, Tolerance, compare
from nnlite.diagnostics.diagnosis import diagnosis, first_random, narrow_layer
from nnlite.diagnostics.failed_call import likely_cause
from nnlite.diagnostics.recording import Recording
from nnlite.diagnostics.returned_gradients import first_wrong_return, modified_cache, shape_fault, wrong_return
from nnlite.diagnostics.rounding import hidden_by_rounding, rounding_by_layer
from nnlite.diagnostics.text_table import text_table
from nnlite.diagnostics.trial import Trial, floats_as_float64, is_floating
from nnlite.errors import GradientError
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss import is_loss
from nnlite.losses.per_output import as_one_loss, check_target

WIDTH = 80  # columns of a terminal
HEAD = ["", "gradient", "shape", "wrong", "worst at", "backward", "numerical", "angle"]


@dataclass(frozen=True)
class GradientReport:
    """The result of :func:`check_gradients`: a comparison for X and for each parameter.

    ``print`` shows a table: in how many entries backward and the central differences differ, both at the worst entry,
    and, where they differ, the angle between the two gradients in degrees.

    Attributes:
        comparisons: one for each array.
        fault: what is wrong, as a sentence; empty if nothing is.
        note: what could not be compared, and why; empty if everything was.

    >>> print(GradientReport((Comparison("X", (2,), 2, (0,), 1.0, 1.0, True),)))
           gradient  shape   wrong  worst at  backward  numerical
    -------------------------------------------------------------
    right  dX        (2,)   0 of 2       [0]         1          1
    """

    comparisons: tuple[Comparison, ...]
    fault: str = ""
    note: str = ""

    @property
    def right(self) -> bool:
        """Whether every gradient is right and nothing else is wrong."""
        return not self.fault and all(comparison.right for comparison in self.comparisons)

    @property
    def verdict(self) -> str:
        """One sentence: what is wrong and where, or that every gradient is right."""
        if self.right:
            return "every gradient is right"
        return self.fault or "backward is not the derivative of forward"

    def __str__(self) -> str:
        verdict = [] if self.right else textwrap.wrap(self.verdict, WIDTH, **_WHOLE_WORDS)
        note = textwrap.wrap(self.note, WIDTH, **_WHOLE_WORDS)
        return "\n".join([*verdict, *self._table(), *note])

    __repr__ = __str__

    def _table(self) -> list[str]:
        if not self.comparisons:
            return []
        rows = [HEAD, *(comparison.cells() for comparison in self.comparisons)]
        angles = any(row[-1] for row in rows[1:])
        return [text_table([row if angles else row[:-1] for row in rows], left=3)]


_WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


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
    the first one that is wrong. Then the mistakes that are usual are tried on its gradient: the wrong sign or a factor,
    a transposed matrix, a derivative that is missing or taken at the wrong point, a term or a row that is missing in a
    sum, and so on. A mistake is named only if it explains every entry that was compared.

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
        ValueError: an entry of X or of a parameter is at a kink (ReLU at 0), where there is no derivative: move X away
            from it. Or forward modifies its input in place, or is random with a generator that the layer does not hold,
            or J is not finite. Or X is empty, a loss has no target, ``step`` or ``max_entries`` is not above 0, or
            ``rtol`` or ``atol`` is negative.
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
    Sequential(3 layers): backward is not the derivative of forward in Sequential[1] Wrong(): dX: it is dY itself, the
    derivative of Y with respect to X is missing; the layer after it is right; the layer before it was not checked
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
    originals = layer, loss
    layer, loss = copy.deepcopy((layer, loss))  # together: a loss may hold the model, to penalize its weights
    for each in (loss, layer):
        if each is not None and not each._adopted:
            each.astype(np.float64)
    X = each_of(partial(as_array, name="X"), X)
    single = not isinstance(X, tuple | dict) and layer.differentiable_inputs(1)
    converted = single and not is_floating(X)
    X = X.astype(np.float64) if single else each_of(floats_as_float64, X)
    rng = generator(rng, "check_gradients: rng")
    trial = Trial(layer, X, target, loss)
    try:
        gradients, recording = _run(trial, originals, rng)
    except Exception as error:
        if converted:
            error.add_note("X was converted to float64; if it holds indices, name its argument in without_gradient")
        raise
    untrained = trial.untrained()
    entries = {
        name: list(chosen_entries(P, max_entries, rng, untrained.get(name))) for name, P in trial.arrays().items()
    }
    tolerance = Tolerance(rtol, atol)

    def compared(differences: Differences) -> dict[str, Finding]:
        names = [name for name in entries if gradients.get(name) is not None]
        return {name: compare(name, gradients[name], differences, entries[name], tolerance) for name in names}

    findings, fault = _findings(trial, recording, step, compared)
    report = _report(findings, fault)
    if report.right and not recording.writes:
        return report
    if not fault:
        found = diagnosis(originals[0], recording, findings, tolerance, step, max_entries)
        if found.unexplained:
            findings, note = hidden_by_rounding(originals[0], trial, findings, step, tolerance)
            if note:
                return _report(findings, note=note)
        fault = found.sentence
    report = GradientReport(report.comparisons, fault)
    raise GradientError(str(report), report)


def _report(findings: dict[str, Finding], fault: str = "", note: str = "") -> GradientReport:
    return GradientReport(tuple(finding.comparison for finding in findings.values()), fault, note)


def _run(
    trial: Trial, originals: tuple[Layer, Layer | None], rng: "np.random.Generator"
) -> tuple[dict[str, Array], Recording]:
    """Return the gradients of one forward and backward, and what the layers received in it.

    Raises:
        ValueError: forward modifies its input in place or is random, or J is not finite.
        GradientError: a gradient is missing, or has the wrong shape.
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
    if trial.loss is None:
        trial.dY = each_of(lambda Y: rng.uniform(0.5, 1.5, np.shape(Y)) * _alternating(np.shape(Y)), Y)
    with Recording(careful=True).of(layer, trial.loss, originals) as recording:
        start = trial.J()
        if not np.isfinite(start):
            raise ValueError(f"{original.one_line()}: there is no gradient to check where the output is {start}")
        random = first_random(before, recording)
        if random:
            raise ValueError(
                f"{random}: forward is random: it returned two outputs for one X; let the layer hold its generator, "
                "such as self.rng = np.random.default_rng(0)"
            )
        try:
            gradients = trial.backward()
        except Exception as error:
            fault = first_wrong_return(recording.backwards)
            if fault:
                raise _without_comparisons(fault) from error
            _add_cause(error, recording)
            raise
    own = next((call for call in recording.backwards if call.layer is layer), None)
    fault = None if own is None else wrong_return(own)
    if fault:
        raise _without_comparisons(first_wrong_return(recording.backwards) or fault)
    if recording.draws:
        raise _without_comparisons(f"{recording.draws[0]}: backward draws random numbers; use those that forward drew")
    if recording.updates:
        where, _, parameter = recording.updates[0]
        raise _without_comparisons(f"{where}: backward modifies {parameter}; leave the update to the optimizer")
    fault = None if recording.writes else modified_cache(trial, gradients, recording)
    if fault:
        raise _without_comparisons(fault)
    for name, P in trial.arrays().items():
        if name in gradients and gradients[name].shape != P.shape:
            raise _without_comparisons(f"{original.one_line()}: {shape_fault(name, P, gradients[name])}")
    return gradients, recording


def _check_not_empty(trial: Trial, Y: Any) -> None:
    """Raise a ValueError if the output is empty, or every array that there is a gradient for."""
    if not any(map(np.size, listed(Y))) or (not trial.arrays() and not all(map(np.size, listed(trial.X)))):
        X, Y = (" and ".join(str(np.shape(each)) for each in listed(values)) for values in (trial.X, Y))
        raise ValueError(f"check_gradients: nothing to compare: X has shape {X}, Y {Y}; pass at least one sample")


def _add_cause(error: Exception, recording: Recording) -> None:
    """Add the likely cause to an error that a layer raised."""
    cause = likely_cause(recording.failed, error) if recording.failed else None
    if cause:
        error.add_note(cause)


def _without_comparisons(fault: str) -> GradientError:
    """Return the error where there is nothing to compare with central differences."""
    report = GradientReport((), fault)
    return GradientError(str(report), report)


def _findings(
    trial: Trial, recording: Recording, step: float, compared: Callable[[Differences], dict[str, Finding]]
) -> tuple[dict[str, Finding], str]:
    """Return the comparison of each array, and a sentence if only the rounding of float32 makes them differ."""
    narrow = narrow_layer(recording)
    try:
        findings = compared(Differences(trial, step))
    except KinkError:
        if narrow is None:
            return compared(Differences(trial, step, rounding=sum(rounding_by_layer(trial).values()))), ""
    else:
        if narrow is None or all(finding.comparison.right and not finding.error.any() for finding in findings.values()):
            return findings, ""
    where, dtype = narrow
    findings = compared(Differences(trial, max(step, NARROW_STEP), float(np.finfo(dtype).eps), kinks=False))
    if not all(finding.comparison.right for finding in findings.values()):
        return findings, ""
    return findings, (
        f"{where}: rounding error, not a wrong backward: forward computes in {dtype} although X is float64; "
        "keep the dtype of X"
    )


def _alternating(shape: tuple[int, ...]) -> Array:
    """Return 1 and -1 in turn."""
    return np.resize([1.0, -1.0], shape)
