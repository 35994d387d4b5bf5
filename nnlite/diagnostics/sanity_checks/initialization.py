"""Checks of a model before its first step: its activations, and whether its units differ."""

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.named_inputs import inputs_by_name
from nnlite.diagnostics.places import all_finite
from nnlite.diagnostics.samples import alike
from nnlite.diagnostics.sanity_checks.check import Check
from nnlite.diagnostics.sanity_checks.rehearsal import Rehearsal
from nnlite.diagnostics.unit_activity import Activity, activities
from nnlite.diagnostics.unscaled import columns

SATURATED_SHARE = 0.8  # a layer with more saturated entries passes too little gradient; half of a ReLU's are 0 at first


def active_units(run: Rehearsal) -> Check:
    """Check that gradients pass through the activations: few dead units and few saturated entries.

    Sources: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010;
    Lu, Shin, Su and Karniadakis, Dying ReLU and initialization, 2020.
    """
    for name, values in (inputs_by_name(run.model, run.X) | {"the model's output": run.Y_pred}).items():
        if not all_finite(values):
            return Check(None, f"skipped: {name} is not finite")
    try:
        found = [each for each in activities(run.model, run.X) if each.units]
    except Exception as error:  # raised by a layer of the user's own
        return Check(None, f"skipped: {type(error).__name__}: {error}")
    if not found:
        return Check(None, "the model has no activation")
    found.sort(key=lambda each: (each.dead / each.units, each.saturated), reverse=True)
    text = "; ".join(map(_shares, found[:2])) + "; ..." * (len(found) > 2)
    if any(2 * each.dead > each.units or each.saturated > SATURATED_SHARE for each in found):
        return Check(False, text, "scale the inputs; use smaller initial weights, he_uniform before ReLU, b = 0")
    return Check(True, text)


def _shares(each: Activity) -> str:
    name = f"{each.path} {each.layer}".strip()
    return f"{name}: {each.dead} of {each.units} units dead, {100 * each.saturated:.0f} % saturated"


def unequal_units(run: Rehearsal) -> Check:
    """Check that the units of a layer differ: those with equal weights and equal gradients stay equal in training."""
    if run.cannot_learn:
        return Check(None, run.cannot_learn)
    matrices = [(name, P) for name, P in run.model.named_parameters() if P.ndim > 1 and P.shape[-1] > 1]
    for name, P in matrices:
        if equal := _equal_columns(columns(P), columns(run.gradients[name])):
            found = f"{name}: {equal} of {P.shape[-1]} units are equal to another and will stay equal"
            return Check(False, found, "initialize with random weights")
    return Check(True, "no two units are equal" if matrices else "no layer has several units")


def _equal_columns(W: Array, dW: Array) -> int:
    """The number of columns that equal another one in W, and in dW up to rounding."""
    groups: dict[bytes, list[int]] = {}
    for column in range(W.shape[1]):
        groups.setdefault((W[:, column] + 0.0).tobytes(), []).append(column)  # + 0.0 makes 0 of -0
    size = float(np.abs(dW).max(initial=0))
    return sum(
        any(alike(dW[:, column], dW[:, other], size) for other in group if other != column)
        for group in groups.values()
        for column in group
    )
