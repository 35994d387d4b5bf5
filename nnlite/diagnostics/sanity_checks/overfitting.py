"""Check of a model that overfits a few rows, and the smallest loss that any model could have on them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, listed, spread
from nnlite.diagnostics.gradients.trial import floats_as_float64
from nnlite.diagnostics.run import restorer
from nnlite.diagnostics.samples import copies, count_of, pick
from nnlite.diagnostics.sanity_checks.check import Check, counted
from nnlite.diagnostics.sanity_checks.rehearsal import Rehearsal, loss_and_gradients, row_bytes
from nnlite.diagnostics.sanity_checks.updates import SLOW, too_slow
from nnlite.layer.layer import Layer
from nnlite.layers.activations import Identity, LogSoftmax
from nnlite.layers.elementwise import Square
from nnlite.losses.loss import original_loss
from nnlite.losses.loss_arguments import arguments_of
from nnlite.losses.per_output import Losses, by_key
from nnlite.optim.optimizer import Optimizer

Differentiated = Callable[[Array], tuple[float, Array]]


def overfits_small_batch(
    run: Rehearsal, rng: "np.random.Generator", optimizers: Sequence[Optimizer] = (), original: Layer | None = None
) -> Check:
    """Check that the model can overfit eight rows or, if it is too small for that, two.

    Conjugate gradients, which need no learning rate, take up to 300 steps on a copy. The check passes when the loss
    falls by nine tenths of what is possible, also measured from the loss of the best constant prediction. Then the
    optimizers, those of the model ``original``, take up to 500 steps on the same rows; a loss that hardly falls may be
    intended.

    Source of the method: Polak and Ribiere, Note sur la convergence de methodes de directions conjuguees, 1969.
    """
    if run.cannot_learn:
        return Check(None, run.cannot_learn)
    order = _different_rows(run, rng)
    larger = slow = text = ""
    for count in sorted({min(size, len(order)) for size in (8, 4, 2)}, reverse=True):
        X, Y = pick(run.X, order[:count]), pick(run.Y, order[:count])
        first, constant, last, floor, steps = _fitted(run, X, Y)
        least = f" (minimum {floor:.3g})" if floor > 1e-3 * first else ""
        text = f"{counted(count, 'row')}: loss from {first:.3g} to {last:.3g}{least} in {steps} steps"
        text += " of conjugate gradients"
        start = min(first, constant) if constant - floor > 1e-9 * (first - floor) else first
        if optimizers and original is not None and not larger and first != floor:
            slow = too_slow(run, optimizers, original, X, Y, start, floor)
        if last - floor <= 0.1 * (start - floor) or first == floor:
            return Check(None if slow else True, text + larger + slow, SLOW * bool(slow))
        if start < first:
            text += f"; a constant prediction has {constant:.3g}"
        larger = larger or f"; with {count} rows only to {last:.3g}"
    return Check(False, f"cannot overfit {text}", "see gradients, units and targets above; does every layer pass X on?")


def _different_rows(run: Rehearsal, rng: "np.random.Generator") -> list[int]:
    """Up to eight rows, no two equal in X; first those with new targets."""
    known, asked = set[bytes](), set[bytes]()
    new: list[int] = []
    other: list[int] = []
    for row in rng.permutation(count_of(run.X)).tolist():
        x, y = row_bytes(run.X, row), row_bytes(run.Y, row)
        if x not in known:
            (other if y in asked else new).append(row)
        known.add(x)
        asked.add(y)
    return (new + other)[:8]


def _fitted(run: Rehearsal, X: Any, Y: Any) -> tuple[float, float, float, float, int]:
    """The initial loss, that of the best constant, the final loss, the minimum for any model, and the steps."""
    model, loss = run.float64_twins()
    X = each_of(floats_as_float64, X)
    restore = restorer(model, loss)

    def of_Phi(Phi: Array) -> tuple[float, Array]:
        restore()
        model.Phi = Phi
        return loss_and_gradients(model, loss, X, Y), model.dPhi.copy()

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
    allowed = [_allowed(loss, each) for each in Ys]

    def of_Z(Z: Array) -> tuple[float, Array]:
        parts = zip(np.split(Z, ends), starts, Ys, strict=True)
        Zs = [np.broadcast_to(part.reshape(start.shape), like.shape) for part, start, like in parts]
        given = tuple([layer.forward(each) for layer, each in zip(allowed, Zs, strict=True)])
        J = loss.forward(*arguments_of(loss, given if isinstance(Y_pred, tuple) else given[0], Y))
        dZs = [layer.backward(dY) for layer, dY in zip(allowed, listed(loss.backward()), strict=True)]
        pairs = zip(dZs, starts, strict=True)
        return J, np.concatenate([(dZ.sum(axis=0) if dZ.shape != start.shape else dZ).ravel() for dZ, start in pairs])

    Z = np.concatenate([each.ravel() for each in starts])
    return _least(of_Z, np.sqrt(np.maximum(Z, 1e-3)) if isinstance(allowed[0], Square) else Z)[0]


def _allowed(loss: Layer, Y: Array) -> Layer:
    """A layer whose outputs are those that the loss is made for: all numbers, those above 0, or log-probabilities."""
    kind = original_loss(loss)
    low, high = kind.Y_range
    if high == 0:
        return LogSoftmax(dim=min(kind.class_axis, Y.ndim - 1))
    return Square() if low == 0 else Identity()


def _least(function: Differentiated, start: Array) -> tuple[float, int]:
    """The minimum that conjugate gradients find from ``start``, and their steps.

    They are NumPy's work alone: L-BFGS-B wakes the threads of SciPy's own BLAS in each step, which NumPy's wait for.
    """
    from scipy.optimize import minimize  # here, since nothing else needs it

    def finite(Z: Array) -> tuple[float, Array]:
        try:
            J, gradient = function(Z)
        except ValueError:  # a loss that rejects predictions that are not finite
            return 1e300, np.zeros_like(Z)
        return (J, gradient) if np.isfinite(J) and np.isfinite(gradient).all() else (1e300, np.zeros_like(Z))

    result = minimize(finite, start, jac=True, method="CG", options={"maxiter": 300, "gtol": 1e-8})
    return float(result.fun), int(result.nit)
