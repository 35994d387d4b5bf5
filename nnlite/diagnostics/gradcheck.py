"""check_gradients: whether backward is the derivative of forward, and if not, what is wrong with it."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import whole
from nnlite.basics.generators import Rng
from nnlite.basics.trees import each_of
from nnlite.diagnostics.blur import blur_by_layer, hidden_by_rounding
from nnlite.diagnostics.comparison import Comparison, Finding, Tolerance, compare
from nnlite.diagnostics.differences import NARROW_STEP, Differences, KinkError, chosen_entries
from nnlite.diagnostics.doctor import NO_LAYER, diagnosis, first_random, narrow_layer
from nnlite.diagnostics.returned import first_misfit, misfit, shape_fault, spoiled_cache
from nnlite.diagnostics.trial import Trial, floats_as_float64
from nnlite.diagnostics.witness import Witness, witnessed
from nnlite.errors import GradientError
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.per_output import as_one_loss


@dataclass(frozen=True)
class GradientReport:
    """What :func:`check_gradients` found: a line for X and for each parameter.

    Attributes:
        comparisons: one for each array.
        fault: what is wrong, in a sentence; empty if nothing is.
        note: what could not be compared, and why; empty if all was.

    >>> print(GradientReport((Comparison("X", (2,), 2, (0,), 1.0, 1.0, True),)))
    right  dX (2,), worst of 2 at X[0]: backward 1, differences 1
    """

    comparisons: tuple[Comparison, ...]
    fault: str = ""
    note: str = ""

    @property
    def right(self) -> bool:
        """Whether every gradient is right, and nothing else is wrong."""
        return not self.fault and all(comparison.right for comparison in self.comparisons)

    @property
    def verdict(self) -> str:
        """One line: what is wrong and where, or that every gradient is right."""
        if self.right:
            return "every gradient is right"
        return self.fault or "backward is not the derivative of forward"

    def __str__(self) -> str:
        verdict = [] if self.right else [self.verdict]
        note = [self.note] if self.note else []
        return "\n".join([*verdict, *map(str, self.comparisons), *note])

    __repr__ = __str__


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

    All is done in float64 on a copy; the layer itself stays as it is. J is ``loss(layer(X), target)`` if a loss is
    given, ``layer(X, target)`` if only a target is (the layer is then a loss itself), and otherwise the sum of Y times
    random numbers, so that a mistake in no entry of dY goes unseen.

    If they differ, it looks for the reason: it walks back from the output and checks each layer alone, on the X and dY
    that it received, up to the first one that is wrong, and tries what would explain its gradient: the wrong sign or a
    factor, a matrix that is transposed, a derivative that is missing or taken at the wrong place, a term or a row that
    is left out of a sum, and so on. A reason is named only if it explains every entry that was compared.

    Args:
        layer: any Layer; containers and losses are Layers too.
        X: its input; of several a tuple, or a dict by name. Of these, whole numbers are taken for classes.
        target: the target of the loss.
        loss: a loss to put behind the layer; of several outputs a tuple or dict of losses, as ``fit`` takes it. One of
            your own has ``forward(Y, target)`` and ``backward(dJ=1.0)``.
        step: h. Where rounding blurs the differences, wider and narrower ones are tried as well.
        rtol: an entry is right if ``|analytic - numeric| <= atol + rtol |numeric|``, beyond the rounding in numeric.
        atol: likewise. By default 1e-7, but no more than a hundredth of the array's largest entry, where that is
            more than rounding.
        max_entries: compare only so many entries of each array, drawn at random. Each costs two forwards.
        rng: seed or generator for the random numbers.

    Returns:
        A report that prints as a line for each array.

    Raises:
        GradientError: a gradient is wrong, or backward writes into what it was given; the message is the report, which
            is also the error's ``report``: a line that says what is wrong and where, and the lines of the arrays.
        ValueError: at an entry of X or of a parameter there is a kink (ReLU at 0), where differences say nothing: move
            X away from it. Or forward is random or writes into its input, or J is not finite, or ``max_entries`` is
            below 1.
        TypeError: forward or backward returns None.

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
    derivative of Y by X is missing; the layer after it is right
    """
    check_layer(layer, "layer")
    loss = None if loss is None else as_one_loss(loss)
    originals = layer, loss
    layer = copy.deepcopy(layer).astype(np.float64)
    X = each_of(partial(as_array, name="X"), X)
    X = each_of(floats_as_float64, X) if isinstance(X, tuple | dict) else X.astype(np.float64)
    if loss is not None:
        loss = copy.deepcopy(loss).astype(np.float64)
    if max_entries is not None:
        whole(max_entries, "max_entries", least=1)
    rng = np.random.default_rng(rng)
    trial = Trial(layer, X, target, loss)
    gradients, witness = _run(trial, originals, rng)
    entries = {name: list(chosen_entries(P, max_entries, rng)) for name, P in trial.arrays().items()}
    tolerance = Tolerance(rtol, atol)

    def compared(differences: Differences) -> dict[str, Finding]:
        names = [name for name in entries if gradients.get(name) is not None]
        return {name: compare(name, gradients[name], differences, entries[name], tolerance) for name in names}

    findings, note = _findings(trial, witness, step, compared)
    report = GradientReport(tuple(finding.comparison for finding in findings.values()))
    if note or witness.written or not report.right:
        fault = note or diagnosis(originals[0], witness, findings, tolerance, step, max_entries)
        if NO_LAYER in fault:
            findings, hides = hidden_by_rounding(originals[0], trial, findings, step, tolerance)
            if hides:
                return GradientReport(tuple(finding.comparison for finding in findings.values()), note=hides)
        report = GradientReport(report.comparisons, fault)
        raise GradientError(str(report), report)
    return report


def _run(
    trial: Trial, originals: tuple[Layer, Layer | None], rng: "np.random.Generator"
) -> tuple[dict[str, Array], Witness]:
    """The gradients of one forward and backward, and what the layers received in it.

    Raises:
        ValueError: forward writes into its input or is random, or J is not finite.
        GradientError: a gradient is missing, or has the wrong shape.
    """
    layer, original = trial.layer, originals[0]
    with witnessed(layer, trial.loss, originals) as before:
        Y = trial.forward()
    if before.written:
        raise ValueError(f"{before.written[0]}; make a new array in place of it")
    if trial.loss is None:
        trial.dY = each_of(lambda Y: rng.uniform(0.5, 1.5, np.shape(Y)) * _alternating(np.shape(Y)), Y)
    with witnessed(layer, trial.loss, originals) as witness:
        start = trial.J()
        if not np.isfinite(start):
            raise ValueError(f"{original.one_line()}: there is no gradient to check where the output is {start}")
        random = first_random(before, witness)
        if random:
            raise ValueError(f"{random}: forward is random: it gave two outputs for one X; fix its seed")
        try:
            gradients = trial.backward()
        except Exception as error:
            fault = first_misfit(witness.visits, trial.losses())
            if fault:
                raise _without_comparisons(fault) from error
            for used in trial.losses():
                if not _takes_dJ(used):
                    where = (originals[1] or original).one_line()
                    error.add_note(f"{where}: backward of a loss takes dJ: def backward(self, dJ=1.0)")
            raise
    fault = next((misfit(visit, layer in trial.losses()) for visit in witness.visits if visit.layer is layer), None)
    if fault:
        raise _without_comparisons(first_misfit(witness.visits, trial.losses()) or fault)
    fault = next(iter(witness.learnt_in), None) or (
        None if witness.written else spoiled_cache(trial, gradients, witness)
    )
    if fault:
        raise _without_comparisons(fault)
    for name, P in trial.arrays().items():
        if name in gradients and gradients[name].shape != P.shape:
            raise _without_comparisons(f"{original.one_line()}: {shape_fault(name, P, gradients[name])}")
    return gradients, witness


def _takes_dJ(loss: Layer) -> bool:
    """Whether backward can be handed dJ."""
    try:
        inspect.signature(type(loss).backward).bind(loss, 1.0)
    except TypeError:
        return False
    return True


def _without_comparisons(fault: str) -> GradientError:
    """The error where there is nothing to compare with the differences."""
    return GradientError(fault, GradientReport((), fault))


def _findings(
    trial: Trial, witness: Witness, step: float, compared: Callable[[Differences], dict[str, Finding]]
) -> tuple[dict[str, Finding], str]:
    """What is found of each array, and a note if it is no more than the noise of float32."""
    narrow = narrow_layer(witness)
    try:
        findings = compared(Differences(trial, step))
    except KinkError:
        if narrow is None:
            return compared(Differences(trial, step, blur=sum(blur_by_layer(trial).values()))), ""
    else:
        if narrow is None or all(finding.comparison.right and not finding.error.any() for finding in findings.values()):
            return findings, ""
    where, dtype = narrow
    findings = compared(Differences(trial, max(step, NARROW_STEP), float(np.finfo(dtype).eps), kinks=False))
    if not all(finding.comparison.right for finding in findings.values()):
        return findings, ""
    return findings, (
        f"{where}: noise and not an error: forward computes in {dtype} although X is float64; with wide steps every "
        "gradient agrees as far as that rounding lets one see; keep the dtype of X"
    )


def _alternating(shape: tuple[int, ...]) -> Array:
    """1 and -1 in turn."""
    return np.resize([1.0, -1.0], shape)
