"""Checks of how a model learns: its gradients, its rows, the size of a step, and a small batch learnt by heart."""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, spread
from nnlite.diagnostics.gradcheck import check_gradients
from nnlite.diagnostics.named_inputs import inputs_by_name
from nnlite.diagnostics.phi_slices import own_slices
from nnlite.diagnostics.samples import count_of, first_that_mixes, pick
from nnlite.diagnostics.sanity_checks.dry_run import Check, DryRun, first_few, row_bytes
from nnlite.diagnostics.trial import floats_as_float64
from nnlite.errors import GradientError, ShapeError
from nnlite.layer.layer import Layer
from nnlite.losses.binary_cross_entropy import BCELoss
from nnlite.losses.per_output import Losses, by_key

TRIES = 5  # to find a point at which no unit is at a kink
LARGEST, SMALLEST = 0.5, 1e-6  # what a step may move a layer by, in parts of its weights; about 1e-3 is right
UNEVEN = 1e4  # what one layer may move more than another


def correct_gradients(run: DryRun, rng: "np.random.Generator") -> Check:
    """Whether backward is the derivative of forward, at a few rows, in a few entries of each array.

    The weights are moved a little before, since at b = 0 an input of zeros is at the kink of a ReLU.

    >>> import nnlite as nn
    >>> run = DryRun.of(nn.Linear(2, 1, rng=0), nn.MSELoss(), np.eye(2), np.ones((2, 1)))
    >>> print(correct_gradients(run, np.random.default_rng(0)))
    right  gradients           backward is the derivative of forward, for X and 2 parameters
    """
    title, cure = "gradients", "nn.check_gradients(model, X, Y, loss) says more"
    if run.failure:
        return Check(title, False, f"backward fails: {run.failure}", cure)
    if run.J is None or not math.isfinite(run.J):
        return Check(title, None, "not done: there is no finite loss")
    count, problem = count_of(run.X), ""
    for _ in range(TRIES):
        rows = rng.choice(count, min(count, 4), replace=False)
        model = copy.deepcopy(run.model).astype(np.float64)
        model.Phi = model.Phi + 0.01 * rng.standard_normal(model.Phi.shape)
        try:
            X, Y = pick(run.X, rows), pick(run.Y, rows)
            if isinstance(X, np.ndarray) and X.dtype.kind != "f" and "X" not in run.gradients:
                X = (X,)  # indices, of which check_gradients makes no floats where there are several inputs
            report = check_gradients(model, X, Y, run.loss, max_entries=10, rng=rng)
        except GradientError as error:
            verdict = str(error).splitlines()[0].removeprefix(f"{model.one_line()}: ")
            return Check(title, False, verdict, cure)
        except Exception as error:  # a kink, or whatever a layer of the user's own raises
            problem = str(error)
            continue
        names = {comparison.name for comparison in report.comparisons}
        parameters = len(list(model.named_parameters()))
        inputs = f"{first_few(sorted(names - dict(model.named_parameters()).keys()))} and "
        return Check(
            title,
            True,
            f"backward is the derivative of forward, for {inputs}{parameters} parameter{'s' * (parameters != 1)}",
        )
    return Check(title, None, f"not done: {problem}")


def independent_rows(run: DryRun, rng: "np.random.Generator") -> Check:
    """Whether a sample's output is the same alone as among others.

    >>> import nnlite as nn
    >>> X = np.arange(6.0).reshape(3, 2)
    >>> run = DryRun.of(nn.Softmax(dim=0), nn.MSELoss(), X, X)
    >>> print(independent_rows(run, np.random.default_rng(0)))
    WRONG  rows                what Softmax(dim=0) says of a sample depends on the others in the batch
           -> look at its axes: the first one holds the samples
    """
    title, count = "rows", count_of(run.X)
    if count == 1:
        return Check(title, None, "not done: there is but one row")
    numbers = rng.choice(count, min(count, 4), replace=False).tolist()
    try:
        mixing = first_that_mixes(copy.deepcopy(run.model), run.X, numbers)
    except ShapeError as error:
        return Check(title, False, str(error), "look at the model's axes: the first one holds the samples")
    if mixing:
        found = f"what {mixing} says of a sample depends on the others in the batch"
        return Check(title, False, found, "look at its axes: the first one holds the samples")
    return Check(title, True, "a sample's output does not depend on the other samples")


# --------------------------------------------------------------------------------------------------- updates


def relative_updates(
    run: DryRun, optimizers: list[Any], original: Layer, batch_size: int, rng: "np.random.Generator"
) -> Check:
    """How far the first step moves each layer, in parts of its weights: about 1e-3 is right.

    Without an optimizer, which learning rate would do so, and whether the layers are moved alike.

    >>> import nnlite as nn
    >>> rng = np.random.default_rng(0)
    >>> run = DryRun.of(nn.Linear(1, 1, rng=0), nn.MSELoss(), np.ones((4, 1)), np.ones((4, 1)))
    >>> relative_updates(run, [], run.model, 4, rng).right
    True
    """
    title = "updates"
    if not run.can_learn:
        return run.cannot_learn(title)
    given = inputs_by_name(run.model, run.X)
    numbers = [array for name, array in given.items() if name in run.gradients]  # and no indices, which may be 0
    if numbers and not any(array.any() for array in numbers):
        return Check(title, None, "not done: X is 0 throughout, so no gradient of a W can be other than 0")
    model, loss = copy.deepcopy((run.model, run.loss))
    rows = rng.permutation(count_of(run.X))[:batch_size]
    loss.forward(spread(model.forward, pick(run.X, rows)), pick(run.Y, rows))
    spread(model.backward, loss.backward())
    before = model.Phi.copy()
    for optimizer in optimizers:
        _on_copy(optimizer, original, model).step()
    moved = _by_layer(model, before, model.Phi - before if optimizers else model.dPhi)
    if not moved:
        if optimizers and not any(optimizer.current_lr for optimizer in optimizers):
            return Check(title, None, "not done: the learning rate is 0 at the first step")
        return Check(title, None, "all weights are 0, or no optimizer moves them")
    typical = float(np.median(list(moved.values())))
    low, high = min(moved, key=moved.__getitem__), max(moved, key=moved.__getitem__)
    if not moved[low] or moved[high] > UNEVEN * moved[low]:
        found = f"layer {low} is moved by {moved[low]:.1g} of its weights where layer {high} is by {moved[high]:.1g}"
        cure = "the gradient dies on its way back: other activations or first weights, fewer layers, Residual"
        return Check(title, False, found, cure)
    if not optimizers:
        said = f"without an optimizer: lr = {1e-3 / typical:.1g} would move the layers by about 0.001 of their weights"
        return Check(title, True, said)
    said = "the first step moves " + first_few(
        (f"{path or 'the model'} by {share:.1g}" for path, share in moved.items()), 4
    )
    if moved[high] > LARGEST:
        cure = f"about 0.001 is right: divide lr by about {typical / 1e-3:.0g}"
        return Check(title, False, f"{said} of its weights, which is too much", cure)
    if moved[low] < SMALLEST and not any(callable(optimizer.lr) for optimizer in optimizers):
        cure = f"about 0.001 is right: multiply lr by about {1e-3 / typical:.0g}"
        return Check(title, False, f"{said} of its weights, which is next to nothing", cure)
    return Check(title, True, f"{said} of the weights")


def _by_layer(model: Layer, before: Array, change: Array) -> dict[str, float]:
    """|change| / |weights| of each layer with parameters of its own.

    Those that no optimizer moves are left out, and those that begin at 0; behind these, gradients of 0 mean nothing.
    """
    moved = {}
    blocked = any(not P.any() for _, P in model.named_parameters() if P.ndim > 1)
    for path, own in own_slices(model).items():
        weights, gradient, step = (float(np.linalg.norm(array[own])) for array in (before, model.dPhi, change))
        if weights and (step or not (gradient or blocked)):
            moved[path] = step / weights
    return moved


def _on_copy(optimizer: Any, original: Layer, model: Layer) -> Any:
    """The optimizer, such that it moves the same part of the copy.

    Raises:
        ValueError: it moves nothing of the original.
    """
    whole, part = original.Phi, optimizer.layer.Phi
    start = (np.lib.array_utils.byte_bounds(part)[0] - np.lib.array_utils.byte_bounds(whole)[0]) // whole.itemsize
    if not np.may_share_memory(whole, part) or start < 0 or start + part.size > whole.size:
        raise ValueError(f"optimizer: {optimizer!r} moves parameters that are not in {original.one_line()}")
    twin = copy.copy(optimizer)
    twin.layer = Layer()
    twin.layer._Phi, twin.layer._dPhi = model.Phi[start : start + part.size], model.dPhi[start : start + part.size]
    for name in optimizer.arrays:
        setattr(twin, name, copy.copy(getattr(optimizer, name)))
    return twin


# --------------------------------------------------------------------------------------------------- overfit


def overfits_small_batch(run: DryRun, rng: "np.random.Generator") -> Check:
    """Whether the model can learn a batch of eight rows by heart, or if it is too small for that, of two.

    L-BFGS takes up to 300 steps on a copy, which needs no learning rate. It has learnt them when the loss has lost nine
    tenths of what it can lose, also from where the best single answer to all rows would bring it.

    Source of the method: Liu and Nocedal, On the limited memory BFGS method, 1989.

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
    said = ""
    for count in sorted({min(size, len(order)) for size in (8, 4, 2)}, reverse=True):
        X, Y = pick(run.X, order[:count]), pick(run.Y, order[:count])
        first, constant, last, floor, steps = _fitted(run, X, Y)
        least = f" (the least is {floor:.3g})" if floor > 1e-3 * first else ""
        text = f"{count} row{'s' * (count > 1)}: the loss goes from {first:.3g} to {last:.3g}{least} in {steps} steps"
        start = min(first, constant) if constant - floor > 1e-9 * (first - floor) else first
        if last - floor <= 0.1 * (start - floor) or first == floor:
            return Check(title, True, text + said)
        if start < first:
            text += f", where one answer for all has {constant:.3g}"
        said = said or f"; of {count} only to {last:.3g}"
    cure = "see gradients, units and targets above; does the way from X to the output go through every layer?"
    return Check(title, False, f"it cannot learn {text}", cure)


def _different_rows(run: DryRun, rng: "np.random.Generator") -> list[int]:
    """Up to eight rows, no two alike in X; first those whose targets are new."""
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
    """The loss before, of the best single answer, and after, the least of any model, and the number of steps."""
    model, loss = copy.deepcopy((run.model, run.loss))
    model.astype(np.float64)
    X = each_of(floats_as_float64, X)

    def of_Phi(Phi: Array) -> tuple[float, Array]:
        model.Phi = Phi
        J = loss.forward(spread(model.forward, X), Y)
        spread(model.backward, loss.backward())
        return J, model.dPhi.copy()

    Phi = model.Phi.copy()
    first = of_Phi(Phi)[0]
    Y_pred = spread(model.forward, X)
    floor, constant = _floor(loss, Y_pred, Y), _floor(loss, Y_pred, Y, single=True)
    last, steps = _least(of_Phi, Phi)
    return first, constant, min(last, first), min(floor, last, first), steps


def _floor(loss: Layer, Y_pred: Any, Y: Any, *, single: bool = False) -> float:
    """The least that the loss can be, whatever is predicted (for soft targets not 0), or of a single answer to all."""
    if isinstance(loss, Losses):
        predictions, targets = by_key(Y_pred), by_key(Y)
        pairs = [(each, predictions[key], targets[key]) for key, each in by_key(loss.losses).items()]
        return sum(_floor(*pair, single=single) for pair in pairs)
    if isinstance(loss, BCELoss):
        best = np.asarray(Y, np.float64)
        return float(loss.forward(np.broadcast_to(best.mean(axis=0), best.shape) if single else best, Y))
    shape = np.shape(Y_pred)
    single = single and len(shape) > 0

    def of_Z(Z: Array) -> tuple[float, Array]:
        J = loss.forward(np.broadcast_to(Z.reshape(-1, *shape[1:]), shape), Y)
        dZ = np.asarray(loss.backward(), np.float64)
        return J, (dZ.sum(axis=0) if single else dZ).ravel()

    start = np.asarray(Y_pred, np.float64)
    return _least(of_Z, (start[:1] if single else start).ravel())[0]


def _least(function: Callable[[Array], tuple[float, Array]], start: Array) -> tuple[float, int]:
    """The least value that is found from ``start`` on, and in how many steps."""
    from scipy.optimize import minimize  # here, since nothing else needs it

    def finite(values: Array) -> tuple[float, Array]:
        try:
            J, gradient = function(values)
        except ValueError:  # a loss that refuses what is not finite
            return 1e300, np.zeros_like(values)
        return (J, gradient) if np.isfinite(J) and np.isfinite(gradient).all() else (1e300, np.zeros_like(values))

    options = {"maxiter": 300, "ftol": 1e-12, "gtol": 1e-8}
    result = minimize(finite, start, jac=True, method="L-BFGS-B", options=options)
    return float(result.fun), int(result.nit)
