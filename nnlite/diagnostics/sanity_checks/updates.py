"""Checks of the user's own optimizers: the size of the first step, and whether the loss falls."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.own_parameters import own_slices
from nnlite.diagnostics.samples import count_of, pick
from nnlite.diagnostics.sanity_checks.check import Check, first_few
from nnlite.diagnostics.sanity_checks.rehearsal import Rehearsal, loss_and_gradients
from nnlite.layer.layer import Layer
from nnlite.optim.optimizer import Optimizer

TYPICAL = 1e-3  # relative update |step| / |weights| of a layer
LARGEST, SMALLEST = 0.5, 1e-6  # its bounds
UNEVEN = 1e4  # largest ratio between the relative updates of two layers
STEPS = 500  # of the optimizers, on a few rows
SLOW = "use a larger learning rate, or many epochs; with few rows each epoch has few steps"


def relative_updates(
    run: Rehearsal, optimizers: Sequence[Optimizer], original: Layer, batch_size: int, rng: "np.random.Generator"
) -> Check:
    """Check the relative update ``|step| / |weights|`` of each layer in the first step: about 1e-3 is typical.

    Without an optimizer the ratios ``|gradient| / |weights|`` of the layers are compared, and a learning rate is
    suggested.
    """
    if run.cannot_learn:
        return Check(None, run.cannot_learn)
    inputs = run.differentiable_inputs.values()  # not indices, which may all be 0
    if inputs and not any(array.any() for array in inputs):
        return Check(None, "skipped: X is all zeros, so the gradient of a weight matrix is 0")
    model, loss = run.twins()
    rows = rng.permutation(count_of(run.X))[:batch_size]
    loss_and_gradients(model, loss, pick(run.X, rows), pick(run.Y, rows))
    before = model.Phi.copy()
    twins = [_on_copy(optimizer, original, model) for optimizer in optimizers]
    all_zero = bool(twins) and not any(twin.current_lr for twin in twins)
    for twin in twins:
        twin.step()
    ratios = _by_layer(model, before, model.Phi - before if optimizers else model.dPhi)
    if not ratios and all_zero:
        return Check(None, "skipped: the learning rate is 0 at the first step")
    if not ratios:
        return Check(None, "skipped: all weights are 0, or no optimizer updates them")
    return _verdict(ratios, optimizers)


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


def _verdict(ratios: dict[str, float], optimizers: Sequence[Optimizer]) -> Check:
    """The check of these ratios: relative updates, or without an optimizer relative gradients."""
    if not any(ratios.values()):
        return Check(False, "every gradient is 0", "see targets and units above")
    typical = float(np.median(list(ratios.values())))
    low, high = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    texts = {path: f"{ratio:.1g} in {f'layer {path}' if path else 'the model'}" for path, ratio in ratios.items()}
    if not ratios[low] or ratios[high] > UNEVEN * ratios[low]:
        what = "relative update" if optimizers else "|gradient| / |weights| is"
        kind = "vanishing" if list(ratios).index(low) < list(ratios).index(high) else "exploding"
        cure = f"{kind} gradient: use another activation or initialization, fewer layers, or Residual"
        return Check(False, f"{what} {texts[low]}, {texts[high]}", cure)
    if not optimizers:
        lr = TYPICAL / typical
        return Check(True, f"without an optimizer: lr={lr:.1g} gives relative updates of about {TYPICAL}")
    found = f"relative update {first_few(texts.values(), 4)}"
    cure = f"about {TYPICAL} is typical: "
    if ratios[high] > LARGEST:
        return Check(False, f"{found}: too large", f"{cure}divide lr by about {typical / TYPICAL:.0g}")
    if ratios[low] < SMALLEST and not any(callable(optimizer.lr) for optimizer in optimizers):
        return Check(False, f"{found}: too small", f"{cure}multiply lr by about {TYPICAL / typical:.0g}")
    return Check(True, found)


def _on_copy(optimizer: Optimizer, original: Layer, model: Layer) -> Optimizer:
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
    run: Rehearsal, optimizers: Sequence[Optimizer], original: Layer, X: Any, Y: Any, start: float, floor: float
) -> str:
    """What to say if the optimizers hardly reduce the loss from ``start`` to ``floor``; empty if they do."""
    model, loss = run.twins()
    twins = [_on_copy(optimizer, original, model) for optimizer in optimizers]
    least = math.inf
    for _ in range(STEPS):
        J = loss_and_gradients(model, loss, X, Y)
        least = min(least, J)
        if not math.isfinite(J) or least - floor <= 0.9 * (start - floor):
            return ""
        for twin in twins:
            twin.step()
    return f"; with {count_of(X)} rows your optimizer only reaches {least:.3g} in {STEPS} steps"
