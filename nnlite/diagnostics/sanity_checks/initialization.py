"""Checks of a model before its first step: its loss, its activations, and whether its units differ."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.named_inputs import inputs_by_name
from nnlite.diagnostics.places import all_finite
from nnlite.diagnostics.samples import alike
from nnlite.diagnostics.sanity_checks.check import Check
from nnlite.diagnostics.sanity_checks.dry_run import DryRun
from nnlite.diagnostics.unit_activity import Activity, activities
from nnlite.diagnostics.unscaled import columns
from nnlite.losses.class_loss import ClassLoss
from nnlite.losses.loss import original_loss
from nnlite.losses.per_output import Losses

SATURATED_SHARE = 0.8  # a layer with more saturated entries passes too little gradient; half of a ReLU's are 0 at first


def initial_loss(run: DryRun) -> Check:
    """Check that the loss is about that of uniform probabilities: ln 2 for two classes, ln K for K.

    >>> import nnlite as nn
    >>> model = nn.Linear(1, 1)
    >>> model.W = [[0.0]]
    >>> X, Y = np.arange(4.0)[:, None], np.array([[0], [1], [0], [1]])
    >>> print(initial_loss(DryRun.of(model, nn.BCEWithLogitsLoss(), X, Y)))
    right  initial loss   0.693, expected ln 2 = 0.693 for uniform probabilities
    """
    title, J = "initial loss", run.J
    if J is None:
        return Check(title, None, "skipped: the loss could not be computed")
    if not math.isfinite(J):
        return Check(title, False, f"{J}", "see data and input scale above; use smaller initial weights")
    uniform = [original_loss(loss).uniform_prediction(Y) for loss, Y, _, _ in run.outputs]
    if not uniform or any(each is None for each in uniform):
        return Check(title, None, f"{J:.3g}; the expected value is known only for classification")
    expected = _loss_of(uniform, run)
    found = f"{J:.3g}, expected {_as_logarithm(expected, run)} for uniform probabilities"
    if 2 * expected < J:
        cure = "scale the inputs; use smaller initial weights in the last layer"
        return Check(title, False, f"{found}: confident wrong predictions", cure)
    if 0.5 * expected > J:
        return Check(title, None, f"{found}: the model is already trained, or X contains the target")
    return Check(title, True, found)


def _loss_of(predictions: list[Any], run: DryRun) -> float:
    """The loss of these predictions on all targets."""
    rows = np.arange(len(run.outputs[0][2]))
    values = [loss.forward(Y[rows % len(Y)], target)
              for (loss, _, target, _), Y in zip(run.outputs, predictions, strict=True)]  # fmt: skip
    return run.loss.weighted_sum(values) if isinstance(run.loss, Losses) else values[0]


def _as_logarithm(expected: float, run: DryRun) -> str:
    """``ln 2 = 0.693`` where the expected loss is the logarithm of the number of classes."""
    if len(run.outputs) == 1:
        loss, Y, _, _ = run.outputs[0]
        classes = Y.shape[min(1, Y.ndim - 1)] if isinstance(loss, ClassLoss) else 2
        if math.isclose(expected, math.log(classes), rel_tol=1e-3):
            return f"ln {classes} = {expected:.3g}"
    return f"{expected:.3g}"


def active_units(run: DryRun) -> Check:
    """Check that gradients pass through the activations: few dead units and few saturated entries.

    Sources: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010;
    Lu, Shin, Su and Karniadakis, Dying ReLU and initialization, 2020.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 4, rng=0), nn.Tanh())
    >>> X = np.arange(8.0)[:, None]
    >>> print(active_units(DryRun.of(model, nn.MSELoss(), X, np.tile(X, 4))))
    right  units          1 Tanh(): 0 of 4 units dead, 38 % saturated
    """
    title = "units"
    given = inputs_by_name(run.model, run.X)
    for name, values in (given | {"the model's output": run.Y_pred}).items():
        if not all_finite(values):
            return Check(title, None, f"skipped: {name} is not finite")
    try:
        found = [each for each in activities(run.model, run.X) if each.units]
    except Exception as error:  # raised by a layer of the user's own
        return Check(title, None, f"skipped: {type(error).__name__}: {error}")
    if not found:
        return Check(title, None, "the model has no activation")
    found.sort(key=lambda each: (each.dead / each.units, each.saturated), reverse=True)
    text = "; ".join(map(_shares, found[:2])) + "; ..." * (len(found) > 2)
    if any(2 * each.dead > each.units or each.saturated > SATURATED_SHARE for each in found):
        cure = "scale the inputs; use smaller initial weights, he_uniform before ReLU, b = 0"
        return Check(title, False, text, cure)
    return Check(title, True, text)


def _shares(each: Activity) -> str:
    name = f"{each.path} {each.layer}".strip()
    return f"{name}: {each.dead} of {each.units} units dead, {100 * each.saturated:.0f} % saturated"


def unequal_units(run: DryRun) -> Check:
    """Check that the units of a layer differ: those with equal weights and equal gradients stay equal in training.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 3, weight_init=nn.initializers.zeros), nn.Tanh(),
    ...                       nn.Linear(3, 1, weight_init=nn.initializers.zeros))
    >>> X = np.arange(4.0)[:, None]
    >>> print(unequal_units(DryRun.of(model, nn.MSELoss(), X, X)))
    WRONG  symmetry       0.W: 3 of 3 units are equal to another and will stay equal
           -> initialize with random weights
    """
    title = "symmetry"
    if not run.can_learn:
        return run.cannot_learn(title)
    matrices = [(name, P) for name, P in run.model.named_parameters() if P.ndim > 1 and P.shape[-1] > 1]
    for name, P in matrices:
        equal = _equal_columns(columns(P), columns(run.gradients[name]))
        if equal:
            found = f"{name}: {equal} of {P.shape[-1]} units are equal to another and will stay equal"
            return Check(title, False, found, "initialize with random weights")
    return Check(title, True, "no two units are equal" if matrices else "no layer has several units")


def _equal_columns(W: Array, dW: Array) -> int:
    """The number of columns that equal another one in W, and in dW up to rounding."""
    groups: dict[bytes, list[int]] = {}
    for column in range(W.shape[1]):
        groups.setdefault((W[:, column] + 0.0).tobytes(), []).append(column)  # + 0.0 makes 0 of -0
    size = float(np.abs(dW).max(initial=0))
    count = 0
    for group in groups.values():
        for column in group:
            count += any(alike(dW[:, column], dW[:, other], size) for other in group if other != column)
    return count
