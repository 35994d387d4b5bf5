"""Checks of the user's own optimizers: the size of the first step, and whether the loss falls."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import spread
from nnlite.diagnostics.own_parameters import own_slices
from nnlite.diagnostics.samples import copies, count_of, pick
from nnlite.diagnostics.sanity_checks.check import Check, first_few
from nnlite.diagnostics.sanity_checks.dry_run import DryRun
from nnlite.layer.layer import Layer
from nnlite.losses.loss import arguments_of

LARGEST, SMALLEST = 0.5, 1e-6  # bounds of the relative update |step| / |weights| of a layer; about 1e-3 is typical
UNEVEN = 1e4  # largest ratio between the relative updates of two layers
STEPS = 500  # of the optimizers, on a few rows
SLOW = "use a larger learning rate, or many epochs; with few rows each epoch has few steps"


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


def too_slow(
    run: DryRun, optimizers: Sequence[Any], original: Layer, X: Any, Y: Any, start: float, floor: float
) -> str:
    """What to say if the optimizers hardly reduce the loss of a few rows in 500 steps; empty if they do.

    Args:
        run: the dry run.
        optimizers: those of the user.
        original: their model.
        X: the rows.
        Y: their targets.
        start: the loss to reduce: that at first, or of the best constant prediction if this is less.
        floor: the minimum for any model.
    """
    model, loss = copy.deepcopy((run.model, run.loss))
    twins = [_on_copy(optimizer, original, model) for optimizer in optimizers]
    least = math.inf
    for _ in range(STEPS):
        J = loss.forward(*arguments_of(loss, spread(model.forward, copies(X)), Y))
        least = min(least, J)
        if not math.isfinite(J) or least - floor <= 0.9 * (start - floor):
            return ""
        spread(model.backward, loss.backward())
        for twin in twins:
            twin.step()
    return f"; with {count_of(X)} rows your optimizer only reaches {least:.3g} in {STEPS} steps"
