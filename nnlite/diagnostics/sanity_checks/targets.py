"""Checks of the targets: whether the loss accepts them and the model can output them, and the loss at first."""

import math
from typing import Any

import numpy as np

from nnlite.diagnostics.last_layer import ONE_OUTPUT, constant_output, last_layer
from nnlite.diagnostics.places import all_finite
from nnlite.diagnostics.sanity_checks.check import Check, first_few, standardize
from nnlite.diagnostics.sanity_checks.rehearsal import Output, Rehearsal
from nnlite.diagnostics.unscaled import unscaled_target
from nnlite.layer.described import described
from nnlite.layer.layer import Layer
from nnlite.losses.per_output import Losses

MATCH = "make the last layer, the loss and the targets match"


def targets_in_range(run: Rehearsal) -> Check:
    """Check that the loss accepts the targets, and that the last layer can output them."""
    if not all_finite(run.Y_pred):
        return Check(None, "skipped: the model's output is not finite")
    last, remarks, missing = last_layer(run.model), [], False
    for output in run.outputs:
        loss, Y, target, name = output
        try:
            loss.forward(Y[np.arange(len(target)) % len(Y)], np.array(target))  # all targets, against any predictions
        except (TypeError, ValueError) as error:
            return Check(False, str(error), MATCH)
        if fault := _out_of_reach(last, output):
            return fault
        if len(target) > 1 and np.array_equal(target[1:], target[:-1]):
            return Check(False, f"every target in {name} is {target[0]}", "check how the targets are loaded")
        counts = output.kind.class_counts(Y, target)
        if counts is None:
            remarks.append(f"{name} ranges from {target.min():.4g} to {target.max():.4g}")
        elif counts.all():
            found = f"all {counts.size} classes occur in {name}, {counts.min():,} to {counts.max():,} times each"
            remarks.append(found)
        else:
            occur, missing = np.flatnonzero(counts), True  # a class may be rare
            remarks.append(f"only {occur.size} of the {counts.size} classes occur in {name}: {first_few(occur)}")
    if run.J is None:
        return Check(False, run.refusal, MATCH)
    if remarks:
        return Check(None if missing else True, "; ".join(remarks))
    if isinstance(run.Y_pred, np.ndarray) and not isinstance(run.loss, Losses):
        # several arrays of targets, whose ranges only the loss knows
        fault = _outside_Y_range(Output(run.loss, run.Y_pred, np.zeros(0), "Y"))
        return fault or Check(True, "the loss accepts them")
    return Check(True, "the loss accepts them")


def _out_of_reach(last: Layer | None, output: Output) -> Check | None:
    """Why the model cannot learn the targets; None if it can."""
    (loss, Y, target, name), kind = output, output.kind
    limits = described(last, "output_range", "forward") if last else None
    low, high = limits or (-math.inf, math.inf)
    if kind.too_narrow(low, high):
        return Check(False, f"{type(loss).__name__} expects logits, but the last layer is {last}", f"remove {last}")
    if fault := _outside_Y_range(output):
        return fault
    if constant := constant_output(last, Y) if last else None:
        return Check(False, constant, ONE_OUTPUT)
    output_rms = float(np.sqrt(np.mean(np.square(Y, dtype=np.float64))))
    target_rms = unscaled_target(loss, target, output_rms)
    if limits is None and target_rms:
        found = f"{name} has RMS {target_rms:.3g}, the initial outputs of the model {output_rms:.2g}"
        return Check(False, found, standardize(name))
    within = not target.size or (target.min() >= low and target.max() <= high)
    if limits is None or kind.same_scale is False or within:
        return None
    found = f"{name} ranges from {target.min():.4g} to {target.max():.4g}, the last layer {last} from "
    return Check(False, found + f"{low:g} to {high:g}", "remove that layer, or scale the targets")


def _outside_Y_range(output: Output) -> Check | None:
    """Why the loss is not made for the outputs of the model; None if it is."""
    (loss, Y, _, _), kind = output, output.kind
    low, high = kind.Y_range
    if not Y.size or (Y.min() >= low and Y.max() <= high):
        return None
    expected, cure = "outputs of at least 0", "end the model with Softplus()"
    if high == 0:
        expected, cure = "log-probabilities, at most 0", f"end the model with LogSoftmax(dim={kind.class_axis})"
    found = f"{type(loss).__name__} expects {expected}, but the outputs of the model range from "
    return Check(False, f"{found}{Y.min():.3g} to {Y.max():.3g}", cure)


def initial_loss(run: Rehearsal) -> Check:
    """Check that the loss is about that of uniform probabilities: ln 2 for two classes, ln K for K."""
    J = run.J
    if J is None:
        return Check(None, "skipped: the loss could not be computed")
    if not math.isfinite(J):
        return Check(False, f"{J}", "see data and input scale above; use smaller initial weights")
    uniform = [output.kind.uniform_prediction(output.Y) for output in run.outputs]
    if not uniform or any(each is None for each in uniform):
        return Check(None, f"{J:.3g}; the expected value is known only for classification")
    values = [_loss_of(Y, output) for Y, output in zip(uniform, run.outputs, strict=True)]
    expected = run.loss.weighted_sum(values) if isinstance(run.loss, Losses) else values[0]
    found = f"{J:.3g}, expected {_as_logarithm(expected, values)} for uniform probabilities"
    if 2 * expected < J:
        cure = "scale the inputs; use smaller initial weights in the last layer"
        return Check(False, f"{found}: confident wrong predictions", cure)
    if 0.5 * expected > J:
        return Check(None, f"{found}: the model is already trained, or X contains the target")
    return Check(True, found)


def _loss_of(Y: Any, output: Output) -> float:
    """The loss of these predictions, repeated, on all targets."""
    return float(output.loss.forward(Y[np.arange(len(output.target)) % len(Y)], output.target))


def _as_logarithm(expected: float, losses: list[float]) -> str:
    """``ln 2 = 0.693`` where the expected loss is one without a weight, and the logarithm of the number of classes."""
    classes = round(math.exp(min(expected, 20)))
    is_log = classes > 1 and math.isclose(expected, math.log(classes), rel_tol=1e-5)
    return f"ln {classes} = {expected:.3g}" if is_log and losses == [expected] else f"{expected:.3g}"
