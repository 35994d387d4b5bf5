"""Checks of how a model learns: gradients, independence of samples, overfitting a small batch."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, listed, spread
from nnlite.diagnostics.check_gradients import check_gradients
from nnlite.diagnostics.run import restorer
from nnlite.diagnostics.samples import copies, count_of, first_that_mixes, pick
from nnlite.diagnostics.sanity_checks.check import Check, first_few
from nnlite.diagnostics.sanity_checks.dry_run import DryRun, row_bytes
from nnlite.diagnostics.sanity_checks.updates import SLOW, too_slow
from nnlite.diagnostics.trial import floats_as_float64
from nnlite.errors import GradientError, ShapeError
from nnlite.layer.layer import Layer
from nnlite.layers.activations import LogSoftmax
from nnlite.losses.loss import arguments_of, original_loss
from nnlite.losses.per_output import Losses, by_key

CURE = "see nn.check_gradients(model, X, Y, loss)"
TRIES = 5  # to find a point at which no unit is at a kink


def correct_gradients(run: DryRun, rng: "np.random.Generator") -> Check:
    """Check that backward is the derivative of forward, on four rows and ten entries of each array.

    In evaluation mode and, if the output is another one then, in training mode. The weights are first moved a little,
    since with b = 0 an input of zeros is at the kink of a ReLU.

    >>> import nnlite as nn
    >>> run = DryRun.of(nn.Linear(2, 1, rng=0), nn.MSELoss(), np.eye(2), np.ones((2, 1)))
    >>> print(correct_gradients(run, np.random.default_rng(0)))
    right  gradients      match finite differences for X and 2 parameters
    """
    title = "gradients"
    if run.writes:
        write = run.writes[0]
        found = f"{write.place}: {write.method} modifies {write.array} in place"
        return Check(title, False, found, "compute a new array instead")
    if run.failure:
        return Check(title, False, f"backward fails: {run.failure}", CURE)
    if run.J is None or not math.isfinite(run.J):
        return Check(title, None, "skipped: no finite loss")
    check = _gradients(run, rng, training=False)
    if check.right and _depends_on_mode(run):
        in_training = _gradients(run, rng, training=True)
        if in_training.right is False:
            return in_training
    return check


def _gradients(run: DryRun, rng: "np.random.Generator", *, training: bool) -> Check:
    title, count, problem = "gradients", count_of(run.X), ""
    for _ in range(TRIES):
        rows = rng.choice(count, min(count, 4), replace=False)
        model, loss = run.float64_copies()
        model.train(training)
        model.Phi = model.Phi + 0.01 * rng.standard_normal(model.Phi.shape)
        try:
            report = check_gradients(model, pick(run.X, rows), pick(run.Y, rows), loss, max_entries=10, rng=rng)
        except GradientError as error:
            verdict = error.report.verdict if error.report else str(error)
            mode = "in training mode: " * training
            return Check(title, False, mode + verdict.removeprefix(f"{model.one_line()}: "), CURE)
        except Exception as error:  # a kink, or an error raised by a layer of the user's own
            problem = str(error)
            continue
        names = {comparison.name for comparison in report.comparisons}
        parameters = dict(model.named_parameters())
        checked = f"{len(parameters)} parameter{'s' * (len(parameters) != 1)}"
        inputs = sorted(names - parameters.keys())
        if inputs:
            checked = f"{first_few(inputs)} and {checked}"
        return Check(title, True, f"match finite differences for {checked}")
    return Check(title, None, f"skipped: {problem}")


def _depends_on_mode(run: DryRun) -> bool:
    """Whether the model computes another output in training mode, as with dropout."""
    model = copy.deepcopy(run.model).train()
    try:
        Y = spread(model.forward, copies(run.X))
    except Exception:  # it needs more rows, for instance
        return False
    return not all(map(np.array_equal, listed(Y), listed(run.Y_pred)))


def independent_rows(run: DryRun, rng: "np.random.Generator") -> Check:
    """Check that the output for a sample is the same alone as in a batch.

    >>> import nnlite as nn
    >>> X = np.arange(6.0).reshape(3, 2)
    >>> run = DryRun.of(nn.Softmax(dim=0), nn.MSELoss(), X, X)
    >>> print(independent_rows(run, np.random.default_rng(0)))
    WRONG  rows           Softmax(dim=0): the output for a sample depends on the other
                          samples in the batch
           -> check its axes: axis 0 holds the samples
    """
    title, count, axis = "rows", count_of(run.X), getattr(original_loss(run.loss), "batch_axis", 0)
    cure = f"axis {axis} holds the samples"
    if count == 1:
        return Check(title, None, "skipped: only one row")
    numbers = rng.choice(count, min(count, 4), replace=False).tolist()
    try:
        mixing = first_that_mixes(copy.deepcopy(run.model), run.X, numbers, axis)
    except ShapeError as error:
        return Check(title, False, str(error), f"check the axes of the layers: {cure}")
    if mixing:
        found = f"{mixing}: the output for a sample depends on the other samples in the batch"
        return Check(title, False, found, f"check its axes: {cure}")
    return Check(title, True, "the output for a sample does not depend on other samples")


# ----------------------------------------------------------------------------------------------- overfitting


def overfits_small_batch(
    run: DryRun, rng: "np.random.Generator", optimizers: Sequence[Any] = (), original: Layer | None = None
) -> Check:
    """Check that the model can overfit eight rows or, if it is too small for that, two.

    Conjugate gradients, which need no learning rate, take up to 300 steps on a copy. The check passes when the loss
    falls by nine tenths of what is possible, also measured from the loss of the best constant prediction. Then the
    optimizers, those of the model ``original``, take up to 500 steps on the same rows; a loss that hardly falls may be
    intended.

    Source of the method: Polak and Ribiere, Note sur la convergence de methodes de directions conjuguees, 1969.

    >>> import nnlite as nn
    >>> X = np.arange(4.0)[:, None]
    >>> run = DryRun.of(nn.Linear(1, 1, rng=0), nn.MSELoss(), X, 3 * X - 1)
    >>> overfits_small_batch(run, np.random.default_rng(0)).right
    True
    """
    title = "overfitting"
    if not run.can_learn:
        return run.cannot_learn(title)
    order = _different_rows(run, rng)
    larger = slow = ""
    for count in sorted({min(size, len(order)) for size in (8, 4, 2)}, reverse=True):
        X, Y = pick(run.X, order[:count]), pick(run.Y, order[:count])
        first, constant, last, floor, steps = _fitted(run, X, Y)
        least = f" (minimum {floor:.3g})" if floor > 1e-3 * first else ""
        rows = f"{count} row{'s' * (count > 1)}"
        text = f"{rows}: loss from {first:.3g} to {last:.3g}{least} in {steps} steps of conjugate gradients"
        start = min(first, constant) if constant - floor > 1e-9 * (first - floor) else first
        if optimizers and original is not None and not larger and first != floor:
            slow = too_slow(run, optimizers, original, X, Y, start, floor)
        if last - floor <= 0.1 * (start - floor) or first == floor:
            return Check(title, None if slow else True, text + larger + slow, SLOW * bool(slow))
        if start < first:
            text += f"; a constant prediction has {constant:.3g}"
        larger = larger or f"; with {count} rows only to {last:.3g}"
    cure = "see gradients, units and targets above; does every layer pass X on?"
    return Check(title, False, f"cannot overfit {text}", cure)


def _different_rows(run: DryRun, rng: "np.random.Generator") -> list[int]:
    """Up to eight rows, no two equal in X; first those with new targets."""
    order = rng.permutation(count_of(run.X)).tolist()
    inputs, targets = ([row_bytes(values, row) for row in order] for values in (run.X, run.Y))
    known: set[bytes] = set()
    asked: set[bytes] = set()
    new: list[int] = []
    other: list[int] = []
    for row, x, y in zip(order, inputs, targets, strict=True):
        if x not in known:
            (other if y in asked else new).append(row)
        known.add(x)
        asked.add(y)
    return (new + other)[:8]


def _fitted(run: DryRun, X: Any, Y: Any) -> tuple[float, float, float, float, int]:
    """The initial loss, that of the best constant, the final loss, the minimum for any model, and the steps."""
    model, loss = run.float64_copies()
    X = each_of(floats_as_float64, X)
    restore = restorer(model, loss)

    def of_Phi(Phi: Array) -> tuple[float, Array]:
        restore()
        model.Phi = Phi
        J = loss.forward(*arguments_of(loss, spread(model.forward, copies(X)), Y))
        spread(model.backward, loss.backward())
        return J, model.dPhi.copy()

    Phi = model.Phi.copy()
    first = of_Phi(Phi)[0]
    Y_pred = spread(model.forward, copies(X))
    floor, constant = _floor(loss, Y_pred, Y), _floor(loss, Y_pred, Y, single=True)
    last, steps = _least(of_Phi, Phi)
    return first, constant, min(last, first), min(floor, last, first), steps


def _floor(loss: Layer, Y_pred: Any, Y: Any, *, single: bool = False) -> float:
    """The minimum of the loss over all predictions (not 0 for soft targets), or over all constant ones."""
    if isinstance(loss, Losses):
        predictions, targets = by_key(Y_pred), by_key(Y)
        pairs = [(each, predictions[key], targets[key]) for key, each in loss.by_output.items()]
        return loss.weighted_sum(_floor(*pair, single=single) for pair in pairs)
    if (best := original_loss(loss).best_prediction(Y, single)) is not None:
        return float(loss.forward(best, Y))
    Ys = [np.asarray(each, np.float64) for each in listed(Y_pred)]  # several if the loss has several inputs
    starts = [each[:1] if single and each.ndim else each for each in Ys]
    ends = np.cumsum([each.size for each in starts])[:-1]

    low, high = original_loss(loss).Y_range
    axis = min(original_loss(loss).class_axis, Ys[0].ndim - 1)
    distributions = LogSoftmax(dim=axis) if high == 0 else None

    def of_Z(Z: Array) -> tuple[float, Array]:
        parts = zip(np.split(Z, ends), starts, Ys, strict=True)
        given = tuple([np.broadcast_to(part.reshape(start.shape), like.shape) for part, start, like in parts])
        if distributions is not None:
            given = (distributions.forward(given[0]),)
        J = loss.forward(*arguments_of(loss, given if isinstance(Y_pred, tuple) else given[0], Y))
        dYs = listed(loss.backward())
        if distributions is not None:
            dYs = [distributions.backward(dYs[0])]
        pairs = zip(dYs, starts, strict=True)
        return J, np.concatenate([(dY.sum(axis=0) if dY.shape != start.shape else dY).ravel() for dY, start in pairs])

    return _least(of_Z, np.concatenate([each.ravel() for each in starts]), at_least=low)[0]


def _least(
    function: Callable[[Array], tuple[float, Array]], start: Array, at_least: float = -math.inf
) -> tuple[float, int]:
    """The minimum that conjugate gradients find from ``start``, of values not below ``at_least``, and their steps.

    They are NumPy's work alone: L-BFGS-B wakes the threads of SciPy's own BLAS in each step, which NumPy's wait for.
    """
    from scipy.optimize import minimize  # here, since nothing else needs it

    def finite(Z: Array) -> tuple[float, Array]:
        try:
            J, gradient = function(Z if at_least == -math.inf else at_least + Z**2)
        except ValueError:  # a loss that rejects predictions that are not finite
            return 1e300, np.zeros_like(Z)
        if not (np.isfinite(J) and np.isfinite(gradient).all()):
            return 1e300, np.zeros_like(Z)
        return J, gradient if at_least == -math.inf else 2 * Z * gradient

    first = start if at_least == -math.inf else np.sqrt(np.maximum(start - at_least, 1e-3))
    result = minimize(finite, first, jac=True, method="CG", options={"maxiter": 300, "gtol": 1e-8})
    return float(result.fun), int(result.nit)
