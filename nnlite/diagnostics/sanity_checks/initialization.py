"""Checks of a model before its first step: its loss, its activations, and whether its units differ."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.named_inputs import inputs_by_name
from nnlite.diagnostics.samples import alike
from nnlite.diagnostics.sanity_checks.dry_run import Check, DryRun, columns, first_few
from nnlite.diagnostics.trace import all_finite
from nnlite.diagnostics.unit_activity import Activity, activities
from nnlite.layer.layer import Layer
from nnlite.losses.binary_cross_entropy import BCELoss, BCEWithLogitsLoss
from nnlite.losses.cross_entropy import CrossEntropyLoss

CLOSED_SHARE = 0.8  # a layer of which more is closed lets too little through; a ReLU begins with a half


def initial_loss(run: DryRun) -> Check:
    """Whether the loss is about that of a guess which knows nothing: ln 2 of two classes, ln K of K.

    >>> import nnlite as nn
    >>> model = nn.Linear(1, 1)
    >>> model.W = [[0.0]]
    >>> X, Y = np.arange(4.0)[:, None], np.array([[0], [1], [0], [1]])
    >>> print(initial_loss(DryRun.of(model, nn.BCEWithLogitsLoss(), X, Y)))
    right  loss at first       0.693; that of a guess is ln 2 = 0.693
    """
    title, J = "loss at first", run.J
    if J is None:
        return Check(title, None, "not done: the loss does not take the targets")
    if not math.isfinite(J):
        cure = "look at the data and the scale above; smaller first weights"
        return Check(title, False, f"it is {J}", cure)
    guesses = [_guess(loss, Y) for loss, Y, _, _ in run.outputs]
    if any(guess is None for guess in guesses):
        return Check(title, None, f"{J:.3g}; for this loss no value is known beforehand, as ln 2 is for two classes")
    guess = _loss_of_guesses(run, guesses)
    said = f"{J:.3g}; that of a guess is {_in_words(guess, run)}"
    times = J / guess
    if times > 2:
        cure = "scale the inputs, and begin with smaller weights in the last layer"
        return Check(title, False, f"{said}: the model begins sure of wrong answers", cure)
    if times < 0.5:
        return Check(title, None, f"{said}: the model has learnt before, or the target is in X")
    return Check(title, True, said)


def _guess(loss: Layer, Y: Array) -> Array | None:
    """Predictions that favour nothing; None where the loss is not one of classes."""
    if isinstance(loss, BCELoss):
        return np.full_like(Y, 0.5)
    if isinstance(loss, BCEWithLogitsLoss | CrossEntropyLoss):
        return np.zeros_like(Y)
    return None


def _loss_of_guesses(run: DryRun, guesses: list[Any]) -> float:
    """The loss when the model says nothing but guesses."""
    rows = np.arange(len(run.outputs[0][2]))
    values = [loss.forward(guess[rows % len(guess)], target)
              for (loss, _, target, _), guess in zip(run.outputs, guesses, strict=True)]  # fmt: skip
    return float(sum(values))


def _in_words(guess: float, run: DryRun) -> str:
    if len(run.outputs) == 1:
        loss, Y, _, _ = run.outputs[0]
        choices = Y.shape[min(1, Y.ndim - 1)] if isinstance(loss, CrossEntropyLoss) else 2
        if math.isclose(guess, math.log(choices), rel_tol=1e-3):
            return f"ln {choices} = {guess:.3g}"
    return f"{guess:.3g}"


def active_units(run: DryRun) -> Check:
    """Whether gradients pass through the activations: units that are dead, and entries that are saturated.

    Sources: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010;
    Lu, Shin, Su and Karniadakis, Dying ReLU and initialization, 2020.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 4, rng=0), nn.Tanh())
    >>> X = np.arange(8.0)[:, None]
    >>> print(active_units(DryRun.of(model, nn.MSELoss(), X, np.tile(X, 4))))
    right  units               1 Tanh(): 0 of 4 dead, 38 % saturated
    """
    title = "units"
    given = inputs_by_name(run.model, run.X)
    for name, values in (given | {"the model's output": run.Y_pred}).items():
        if not all_finite(values):
            return Check(title, None, f"not done: {name} is not finite")
    try:
        found = [each for each in activities(run.model, run.X) if each.units]
    except Exception as error:  # of a layer of the user's own
        return Check(title, None, f"not done: {type(error).__name__}: {error}")
    if not found:
        return Check(title, None, "there is no activation")
    found.sort(key=lambda each: (each.dead / each.units, each.saturated), reverse=True)
    said = first_few((_in_a_word(each) for each in found), 2)
    if any(2 * each.dead > each.units or each.saturated > CLOSED_SHARE for each in found):
        return Check(title, False, said, "scale the inputs; smaller first weights, he_uniform before ReLU; b at 0")
    return Check(title, True, said)


def _in_a_word(each: Activity) -> str:
    name = f"{each.path} {each.layer}".strip()
    return f"{name}: {each.dead} of {each.units} dead, {100 * each.saturated:.0f} % saturated"


def unequal_units(run: DryRun) -> Check:
    """Whether the units of a layer differ: those with equal weights and equal gradients stay equal for ever.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 3, weight_init=nn.initializers.zeros), nn.Tanh(),
    ...                       nn.Linear(3, 1, weight_init=nn.initializers.zeros))
    >>> X = np.arange(4.0)[:, None]
    >>> print(unequal_units(DryRun.of(model, nn.MSELoss(), X, X)))
    WRONG  symmetry            0.W: 3 of 3 units are equal to another one, and will stay so
           -> begin with random weights, other ones in each column
    """
    title = "symmetry"
    if not run.can_learn:
        return run.cannot_learn(title)
    matrices = [(name, P) for name, P in run.model.named_parameters() if P.ndim > 1 and P.shape[-1] > 1]
    for name, P in matrices:
        equal = _equal_columns(columns(P), columns(run.gradients[name]))
        if equal:
            found = f"{name}: {equal} of {P.shape[-1]} units are equal to another one, and will stay so"
            return Check(title, False, found, "begin with random weights, other ones in each column")
    return Check(title, True, "no two units are equal" if matrices else "there is no layer of several units")


def _equal_columns(W: Array, dW: Array) -> int:
    """How many columns have a twin: equal in W, and in dW but for rounding."""
    groups: dict[bytes, list[int]] = {}
    for column in range(W.shape[1]):
        groups.setdefault((W[:, column] + 0.0).tobytes(), []).append(column)  # + 0.0 makes 0 of -0
    size = float(np.abs(dW).max(initial=0))
    twins = 0
    for group in groups.values():
        for column in group:
            twins += any(alike(dW[:, column], dW[:, other], size) for other in group if other != column)
    return twins
