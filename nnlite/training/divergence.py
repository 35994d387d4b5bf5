"""Divergence: where the first number that is not finite appears in a step, and the error that says so."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed, spread
from nnlite.diagnostics.named_inputs import differentiable, inputs_by_name
from nnlite.diagnostics.places import all_finite, parameter_not_finite
from nnlite.diagnostics.recording import LayerCall, Recording
from nnlite.diagnostics.run import output_not_finite
from nnlite.diagnostics.unscaled import LARGE, Scales, unscaled_target
from nnlite.errors import DivergenceError
from nnlite.layer.layer import Layer
from nnlite.losses.per_output import Losses
from nnlite.training.batch import Batch

COLUMNS = 3  # at most so many columns are named as a likely cause
FILL = "remove or fill the rows that are not finite"
SMALLER_STEPS = (  # what may help an optimizer
    "a smaller learning rate",
    "clip_norm=1.0",
    "nnlite.sanity(model, loss, X, Y), which checks them in a second",
)
NOT_MADE = "The step was not made: the parameters are those from before it"


def loss_not_finite(
    model: Layer,
    loss: Any,
    J: float,
    where: str,
    batches: Iterable[Batch],
    state: str = NOT_MADE,
    cures: Sequence[str] = SMALLER_STEPS,
) -> DivergenceError:
    """The error for a loss J that is not finite.

    Args:
        model: the model, with the parameters that gave J.
        loss: the loss.
        J: its value.
        where: the epoch and the batch.
        batches: the batches in which the first number that is not finite may be.
        state: which parameters the model has.
        cures: what may help, beside standardized data.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 1))
    >>> batch = Batch([[0.5], [np.nan]], [[0.0], [0.0]], count=2, rows=slice(4, 6))
    >>> raise loss_not_finite(model, nn.MSELoss(), np.nan, "epoch 1, batch 3", [batch])
    Traceback (most recent call last):
        ...
    nnlite.errors.DivergenceError: the loss is nan in epoch 1, batch 3: X[5, 0] is nan. ...
    """
    batch, what = None, f"the loss is {J} in {where}"
    for batch in batches:
        if found := _entry_not_finite(batch):
            return _error(f"{what}: {found}", state, [FILL])
        if found := parameter_not_finite(model) or output_not_finite(model, batch.X):
            break
    else:
        found = "all outputs of the model are finite, so the loss itself overflows or computes the logarithm of zero"
    return _error(f"{what}: {found}", state, _cures(model, loss, batch, cures))


def gradient_not_finite(
    model: Layer, loss: Layer, where: str, batch: Batch | None, cures: Sequence[str] = SMALLER_STEPS
) -> DivergenceError:
    """The error for a gradient that is not finite though the loss is; backward runs again to find the layer.

    >>> import nnlite as nn
    >>> model, loss = nn.Sequential(nn.Linear(1, 1, bias=False, rng=0), nn.Abs(), nn.Sqrt()), nn.MSELoss()
    >>> J = loss.forward(model.forward(np.zeros((1, 1))), np.ones((1, 1)))
    >>> with np.errstate(divide="ignore", invalid="ignore"):
    ...     raise gradient_not_finite(model, loss, "epoch 1, batch 3", Batch(np.zeros((1, 1)), np.ones((1, 1)), 1))
    Traceback (most recent call last):
        ...
    nnlite.errors.DivergenceError: the gradient is not finite in epoch 1, batch 3: the first such one is dX of
    Sequential[2] Sqrt(). ...
    """
    what, dY = f"the gradient is not finite in {where}", loss.backward()
    if batch and (entry := _entry_not_finite(batch)):
        return _error(f"{what}: {entry}", NOT_MADE, [FILL])
    if not all_finite(dY):
        cause = f"the first such one is dY of the loss {loss!r}"
    else:
        with Recording().of(model) as recording:
            spread(model.backward, dY)
        cause = next(filter(None, map(_gradient_not_finite, recording.backwards)), None) or (
            "backward is finite, so on_backward_end of a callback has changed it"
        )
    return _error(f"{what}: {cause}", NOT_MADE, _cures(model, loss, batch, cures))


def _gradient_not_finite(call: LayerCall) -> str | None:
    gradients = [("dX", each) for each in listed(call.dX) if each is not None]
    gradients += [(f"d{name}", dP) for name, dP in call.gradients.items()]
    wrong = next((name for name, values in gradients if not np.isfinite(values).all()), None)
    return f"the first such one is {wrong} of {call.place}" if wrong else None


def step_not_finite(model: Layer, loss: Any, where: str, lr: float, batch: Batch | None) -> DivergenceError:
    """The error for a step on finite gradients after which a parameter of ``model`` is not finite.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.b = [np.inf]
    >>> batch = Batch(np.zeros((1, 1)), np.zeros((1, 1)), 1)
    >>> raise step_not_finite(layer, nn.MSELoss(), "epoch 1, batch 3", 1e39, batch)
    Traceback (most recent call last):
        ...
    nnlite.errors.DivergenceError: the step overflows in epoch 1, batch 3, with the learning rate 1e+39: after it b of
    Linear(1 -> 1) is not finite. ...
    """
    found = parameter_not_finite(model) or "a parameter of the loss is not finite"
    what = f"the step overflows in {where}, with the learning rate {lr:g}: after it {found}"
    return _error(what, NOT_MADE, _cures(model, loss, batch))


def parameters_not_finite(model: Layer, where: str) -> DivergenceError:
    """The error for parameters that are not finite though each step was.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.b = [np.inf]
    >>> parameters_not_finite(layer, "at the end of epoch 1")
    DivergenceError('b of Linear(1 -> 1) is not finite at the end of epoch 1: ...')
    """
    found = parameter_not_finite(model)
    return DivergenceError(f"{found} {where}: something beside the optimizers, such as a callback, has changed it")


def _error(what: str, state: str, cures: list[str]) -> DivergenceError:
    return DivergenceError(f"{what}. {state}. What may help: {'; '.join(cures)}")


def _entry_not_finite(batch: Batch) -> str | None:
    """The first entry of X or Y that is not finite, by its index in the user's own array."""
    for name, _, array in _named(batch):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row, *rest = map(int, np.argwhere(~np.isfinite(array))[0])
            value = array[(row, *rest)]
            return f"{name}[{', '.join(map(str, [batch.row(row), *rest]))}] is {value}"
    return None


def _cures(model: Layer, loss: Any, batch: Batch | None, others: Sequence[str] = SMALLER_STEPS) -> list[str]:
    """What may help: standardized inputs and targets where sanity would find them unscaled, and the others."""
    cures = [*others]
    if batch is None:
        return cures
    X = batch.X
    keys = {key: key for key in X} if isinstance(X, dict) else tuple(range(len(X))) if isinstance(X, tuple) else 0
    inputs = differentiable(model, inputs_by_name(model, keys))
    losses = loss.by_output if isinstance(loss, Losses) else {0: loss}
    for name, key, array in _named(batch):
        if not array.size or not np.isfinite(array).all():
            continue
        scales = Scales.of(array)
        if name[0] == "X":
            unscaled = scales.unscaled if key in inputs.values() else []
        else:
            each = losses.get(key)
            target_rms = unscaled_target(getattr(each, "loss", each), array)  # of a WeightedLoss that in it
            order = np.argsort(-scales.rms).tolist() if each is not None and target_rms else []
            unscaled = [column for column in order if scales.rms[column] > LARGE]
        if unscaled:
            cures.insert(0, f"standardize {name}: {', '.join(map(scales.describe, unscaled[:COLUMNS]))}")
    return cures


def _named(batch: Batch) -> Iterator[tuple[str, Any, Array]]:
    """(name, key, array) of X and Y, or of each array in them."""
    for name, values in ("X", batch.X), ("Y", batch.Y):
        if isinstance(values, dict):
            yield from ((f"{name}[{key!r}]", key, np.asarray(each)) for key, each in values.items())
        elif isinstance(values, tuple):  # None: the target of an output without a loss
            pairs = enumerate(values)
            yield from ((f"{name}[{number}]", number, np.asarray(each)) for number, each in pairs if each is not None)
        else:
            yield name, 0, np.asarray(values)
