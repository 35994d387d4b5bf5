"""Checks of how a model learns: gradients, independence of samples, size of a step, overfitting a small batch."""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, listed, spread
from nnlite.diagnostics.check_gradients import check_gradients
from nnlite.diagnostics.phi_slices import own_slices
from nnlite.diagnostics.restored_state import restorer
from nnlite.diagnostics.samples import copies, count_of, first_that_mixes, pick
from nnlite.diagnostics.sanity_checks.check import Check, first_few
from nnlite.diagnostics.sanity_checks.dry_run import DryRun, row_bytes
from nnlite.diagnostics.trial import floats_as_float64
from nnlite.errors import GradientError, ShapeError
from nnlite.layer.layer import Layer
from nnlite.layers.activations import LogSoftmax
from nnlite.losses.loss import arguments_of, original_loss
from nnlite.losses.per_output import Losses, by_key

TRIES = 5  # to find a point at which no unit is at a kink
LARGEST, SMALLEST = 0.5, 1e-6  # bounds of the relative update |step| / |weights| of a layer; about 1e-3 is typical
UNEVEN = 1e4  # largest ratio between the relative updates of two layers


def correct_gradients(run: DryRun, rng: "np.random.Generator") -> Check:
    """Check that backward is the derivative of forward, on four rows and ten entries of each array.

    The weights are first moved a little, since with b = 0 an input of zeros is at the kink of a ReLU.

    >>> import nnlite as nn
    >>> run = DryRun.of(nn.Linear(2, 1, rng=0), nn.MSELoss(), np.eye(2), np.ones((2, 1)))
    >>> print(correct_gradients(run, np.random.default_rng(0)))
    right  gradients      match finite differences for X and 2 parameters
    """
    title, cure = "gradients", "see nn.check_gradients(model, X, Y, loss)"
    if run.writes:
        write = run.writes[0]
        found = f"{write.place}: {write.method} modifies {write.array} in place"
        return Check(title, False, found, "compute a new array instead")
    if run.failure:
        return Check(title, False, f"backward fails: {run.failure}", cure)
    if run.J is None or not math.isfinite(run.J):
        return Check(title, None, "skipped: no finite loss")
    count, problem = count_of(run.X), ""
    for _ in range(TRIES):
        rows = rng.choice(count, min(count, 4), replace=False)
        model, loss = run.float64_copies()
        model.Phi = model.Phi + 0.01 * rng.standard_normal(model.Phi.shape)
        try:
            report = check_gradients(model, pick(run.X, rows), pick(run.Y, rows), loss, max_entries=10, rng=rng)
        except GradientError as error:
            verdict = error.report.verdict if error.report else str(error)
            return Check(title, False, verdict.removeprefix(f"{model.one_line()}: "), cure)
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
    title, count = "rows", count_of(run.X)
    if count == 1:
        return Check(title, None, "skipped: only one row")
    numbers = rng.choice(count, min(count, 4), replace=False).tolist()
    try:
        mixing = first_that_mixes(copy.deepcopy(run.model), run.X, numbers)
    except ShapeError as error:
        return Check(title, False, str(error), "check the axes of the layers: axis 0 holds the samples")
    if mixing:
        found = f"{mixing}: the output for a sample depends on the other samples in the batch"
        return Check(title, False, found, "check its axes: axis 0 holds the samples")
    return Check(title, True, "the output for a sample does not depend on other samples")


# --------------------------------------------------------------------------------------------------- updates


def relative_updates(
    run: DryRun, optimizers: list[Any], original: Layer, batch_size: int, rng: "np.random.Generator"
) -> Check:
    """Check the relative update ``|step| / |weights|`` of each layer in the first step: about 1e-3 is typical.

    Without an optimizer the ratios ``|gradient| / |weights|`` of the layers are compared, and a learning rate is
    suggested.

    >>> import nnlite as nn
    >>> rng = np.random.default_rng(0)
    >>> run = DryRun.of(nn.Linear(1, 1, rng=0), nn.MSELoss(), np.ones((4, 1)), np.ones((4, 1)))
    >>> relative_updates(run, [], run.model, 4, rng).right
    True
    """
    title = "updates"
    if not run.can_learn:
        return run.cannot_learn(title)
    inputs = run.differentiable_inputs.values()  # not indices, which may all be 0
    if inputs and not any(array.any() for array in inputs):
        return Check(title, None, "skipped: X is all zeros, so the gradient of a weight matrix is 0")
    model, loss = copy.deepcopy((run.model, run.loss))
    rows = rng.permutation(count_of(run.X))[:batch_size]
    Y_pred = spread(model.forward, pick(run.X, rows))
    loss.forward(*arguments_of(loss, Y_pred, pick(run.Y, rows)))
    spread(model.backward, loss.backward())
    before = model.Phi.copy()
    twins = [_on_copy(optimizer, original, model) for optimizer in optimizers]
    rates = [twin.current_lr for twin in twins]
    for twin in twins:
        twin.step()
    ratios = _by_layer(model, before, model.Phi - before if optimizers else model.dPhi)
    if not ratios:
        if optimizers and not any(rates):
            return Check(title, None, "skipped: the learning rate is 0 at the first step")
        return Check(title, None, "skipped: all weights are 0, or no optimizer updates them")
    return _verdict(title, ratios, optimizers)


def _verdict(title: str, ratios: dict[str, float], optimizers: list[Any]) -> Check:
    """The check of these ratios: relative updates, or without an optimizer relative gradients."""
    if not any(ratios.values()):
        return Check(title, False, "every gradient is 0", "see targets and units above")
    typical = float(np.median(list(ratios.values())))
    low, high = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    if not ratios[low] or ratios[high] > UNEVEN * ratios[low]:
        what = "relative update" if optimizers else "|gradient| / |weights| is"
        found = f"{what} {ratios[low]:.1g} in {_layer(low)}, {ratios[high]:.1g} in {_layer(high)}"
        order = list(ratios)
        kind = "vanishing" if order.index(low) < order.index(high) else "exploding"
        cure = f"{kind} gradient: use another activation or initialization, fewer layers, or Residual"
        return Check(title, False, found, cure)
    if not optimizers:
        lr = 1e-3 / typical
        return Check(title, True, f"without an optimizer: lr={lr:.1g} gives relative updates of about 0.001")
    found = "relative update " + first_few((f"{ratio:.1g} in {_layer(path)}" for path, ratio in ratios.items()), 4)
    if ratios[high] > LARGEST:
        cure = f"about 0.001 is typical: divide lr by about {typical / 1e-3:.0g}"
        return Check(title, False, f"{found}: too large", cure)
    if ratios[low] < SMALLEST and not any(callable(optimizer.lr) for optimizer in optimizers):
        cure = f"about 0.001 is typical: multiply lr by about {1e-3 / typical:.0g}"
        return Check(title, False, f"{found}: too small", cure)
    return Check(title, True, found)


def _layer(path: str) -> str:
    return f"layer {path}" if path else "the model"


def _by_layer(model: Layer, before: Array, change: Array) -> dict[str, float]:
    """|change| / |weights| of each layer with parameters of its own.

    Layers that no optimizer updates are left out, and so are those whose weights are 0, behind which gradients of 0
    mean nothing.
    """
    ratios = {}
    blocked = any(not P.any() for _, P in model.named_parameters() if P.ndim > 1)
    for path, own in own_slices(model).items():
        weights, gradient, step = (float(np.linalg.norm(array[own])) for array in (before, model.dPhi, change))
        if weights and (step or not (gradient or blocked)):
            ratios[path] = step / weights
    return ratios


def _on_copy(optimizer: Any, original: Layer, model: Layer) -> Any:
    """A copy of the optimizer that updates the same part of the copied model.

    Raises:
        ValueError: its parameters are not those of the original.
    """
    whole, part = original.Phi, optimizer.layer.Phi
    start = (np.lib.array_utils.byte_bounds(part)[0] - np.lib.array_utils.byte_bounds(whole)[0]) // whole.itemsize
    if not np.may_share_memory(whole, part) or start < 0 or start + part.size > whole.size:
        raise ValueError(f"optimizer: {optimizer!r} updates parameters that are not in {original.one_line()}")
    twin = copy.copy(optimizer)
    twin.epochs_done = optimizer.epochs_done or 0
    twin.layer = copy.deepcopy(optimizer.layer)  # for the names of the parameters
    twin.layer._Phi, twin.layer._dPhi = model.Phi[start : start + part.size], model.dPhi[start : start + part.size]
    for name in optimizer.arrays:
        setattr(twin, name, copy.copy(getattr(optimizer, name)))
    return twin


# ----------------------------------------------------------------------------------------------- overfitting


def overfits_small_batch(run: DryRun, rng: "np.random.Generator") -> Check:
    """Check that the model can overfit eight rows or, if it is too small for that, two.

    L-BFGS, which needs no learning rate, takes up to 300 steps on a copy. The check passes when the loss falls by nine
    tenths of what is possible, also measured from the loss of the best constant prediction.

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
    larger = ""
    for count in sorted({min(size, len(order)) for size in (8, 4, 2)}, reverse=True):
        X, Y = pick(run.X, order[:count]), pick(run.Y, order[:count])
        first, constant, last, floor, steps = _fitted(run, X, Y)
        least = f" (minimum {floor:.3g})" if floor > 1e-3 * first else ""
        rows = f"{count} row{'s' * (count > 1)}"
        text = f"{rows}: loss from {first:.3g} to {last:.3g}{least} in {steps} steps of L-BFGS"
        start = min(first, constant) if constant - floor > 1e-9 * (first - floor) else first
        if last - floor <= 0.1 * (start - floor) or first == floor:
            return Check(title, True, text + larger)
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
    distributions = LogSoftmax(dim=min(1, Ys[0].ndim - 1)) if high == 0 else None

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
    """The minimum that L-BFGS finds from ``start``, of values that are ``at_least`` as large, and its steps."""
    from scipy.optimize import minimize  # here, since nothing else needs it

    def finite(values: Array) -> tuple[float, Array]:
        try:
            J, gradient = function(values)
        except ValueError:  # a loss that rejects predictions that are not finite
            return 1e300, np.zeros_like(values)
        return (J, gradient) if np.isfinite(J) and np.isfinite(gradient).all() else (1e300, np.zeros_like(values))

    options = {"maxiter": 300, "ftol": 1e-12, "gtol": 1e-8}
    bounds = None if at_least == -math.inf else [(at_least, None)] * start.size
    result = minimize(finite, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return float(result.fun), int(result.nit)
