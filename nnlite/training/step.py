"""Step: forward, loss, backward, and what then moves the parameters."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import number, whole
from nnlite.basics.trees import spread
from nnlite.containers.stateful import stateful_layers
from nnlite.diagnostics.last_layer import ONE_OUTPUT, constant_output
from nnlite.layer.layer import Layer
from nnlite.optim.by_name import ByName, option
from nnlite.optim.clipping import clip_to, scale_parts_to_norms, scale_to_norm
from nnlite.optim.optimizer import Optimizer
from nnlite.training.batch import Batch
from nnlite.training.divergence import SMALLER_STEPS, gradient_not_finite, loss_not_finite, step_not_finite
from nnlite.training.evaluate import carry, loss_of, start
from nnlite.training.weighted_loss import weight_of

UNWRITTEN = 1.2345e-30  # in dPhi, until the first backward writes there
LARGE_STEP = 1e10  # a longer one is taken back if a parameter overflows


class Step:
    """A step of training: forward, loss, backward, update.

    1. ``forward``: the predictions and the loss.
    2. ``backward``: dPhi, summed over ``accumulate_steps`` batches to what they would give as one batch.
    3. ``update``: ``on_backward_end``, where callbacks may change dPhi; a check that dPhi is finite; clipping; the
       optimizers.

    A step that diverges is not made: parameters and optimizers are as they were after the last one. ``undo`` puts back
    what forward has changed: buffers and random generators.

    Args:
        model: the model.
        loss: its loss, weighted or not.
        optimizers: they move the parameters of parts of the model or of the loss, each its own.
        accumulate_steps: how many batches make a step.
        clip_norm: the largest norm of the gradients that the optimizers apply; or a dict of those of parts, by names of
            parameters of the model; None for no limit.
        clip_value: the largest absolute value of an entry of them; None for no limit.
        on_backward_end: what to call between backward and clipping.
        where: returns the epoch and the batch, for errors.
        cures: what may help against divergence, for errors.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1, bias=False)
    >>> layer.W = [[0.0]]
    >>> step = Step(layer, nn.MSELoss(), [nn.SGD(layer, lr=0.5)], accumulate_steps=2)
    >>> for x, rows in (1.0, 3), (5.0, 1):  # dW = -2 x
    ...     Y_pred, J = step.forward(Batch(np.full((rows, 1), x), np.ones((rows, 1)), rows))
    ...     step.backward()
    ...     step.update()
    >>> layer.W  # 0.5 (3 * 2 + 1 * 10) / 4
    array([[2.]], dtype=float32)
    """

    def __init__(
        self,
        model: Layer,
        loss: Layer,
        optimizers: Sequence[Optimizer],
        *,
        accumulate_steps: int = 1,
        clip_norm: float | Mapping[str, float] | None = None,
        clip_value: float | None = None,
        on_backward_end: Sequence[Callable[[], object]] = (),
        where: Callable[[], str] = lambda: "this batch",
        cures: Sequence[str] = SMALLER_STEPS,
    ) -> None:
        self.model = model
        self.loss = loss
        self.optimizers = optimizers
        self.moved = [optimizer.layer for optimizer in optimizers]
        self.trained = [model, *(layer for layer in self.moved if not np.may_share_memory(layer.Phi, model.Phi))]
        self.accumulate_steps = whole(accumulate_steps, "accumulate_steps", least=1)
        self.clip_norm: Any = clip_norm
        self.clip_norms: list[tuple[float, list[slice]]] = []  # by names: each limit, and the slices of dPhi
        if isinstance(clip_norm, Mapping):
            self.clip_norms = ByName(model, clip_norm, 0.0, "clip_norm").groups()
            self.clip_norm = option(clip_norm, "clip_norm") or None
            clip_norm = None
        for name, limit in ("clip_norm", clip_norm), ("clip_value", clip_value):
            if limit is not None and not number(limit, name) >= 0:
                raise ValueError(f"{name}: expected a number >= 0, got {limit}")
        self.clip_value = clip_value
        self.on_backward_end = on_backward_end
        self.where = where
        self.cures = cures
        self.begun = False  # the first backward has been looked at
        self.batch: Batch | None = None  # until the step is made, or has been put off
        self.J = math.nan  # the loss of the last batch
        self.buffers = [buffer for layer in (model, loss) for _, buffer in layer.named_buffers()]
        held = [generator for layer in (model, loss) for _, generator in layer.named_generators()]
        self.generators = list({id(generator): generator for generator in held}.values())
        self.before: tuple[list[Array], list[Any]] | None = None  # of the buffers and generators
        self.stateful = stateful_layers(model)
        self.total: Array | None = None  # of the gradients since the last step, each times its weight
        self.weight = 0.0
        self.count = 0

    def forward(self, batch: Batch) -> tuple[Any, float]:
        """The model's predictions for the batch, and their loss.

        Raises:
            DivergenceError: the loss is not finite.
            ValueError: at the first batch, the model ends with a softmax over a single class.
        """
        self.begin(batch)
        Y_pred = spread(self.model.forward, batch.X)
        if not self.begun:
            self.check_output(Y_pred)
        J = loss_of(self.loss, Y_pred, batch)
        if not math.isfinite(J):
            self.undo()  # at once, so that a buffer of this batch is not named as the cause
            raise loss_not_finite(self.model, self.loss, J, self.where(), [batch], cures=self.cures)
        self.J = J
        return Y_pred, J

    def check_output(self, Y_pred: Any) -> None:
        """Raise a ValueError if the model can return nothing else."""
        if constant := constant_output(self.model, Y_pred):
            raise ValueError(f"model: {constant}, so nothing is learnt; {ONE_OUTPUT}")

    def begin(self, batch: Batch) -> None:
        """Note the batch, and what its forward may change."""
        self.batch = batch
        start(self.stateful, batch)
        if self.buffers or self.generators:
            states = [generator.bit_generator.state for generator in self.generators]
            self.before = [buffer.copy() for buffer in self.buffers], states

    def store_gradients(self) -> None:
        """Backward of the loss and the model."""
        spread(self.model.backward, self.loss.backward())

    def backward(self) -> None:
        """Store the gradients of that loss; where batches are accumulated, add them to those before.

        Raises:
            DivergenceError: a sum of gradients is not finite.
        """
        if self.begun:
            self.store_gradients()
        else:
            self._first_backward()
        self.count += 1
        if self.accumulate_steps > 1 and self.batch is not None:
            weight = weight_of(self.loss, self.batch.count)
            term = np.concatenate([layer.dPhi for layer in self.trained]) * (weight or 1.0)
            self.total = term if self.total is None else self.total + term
            self.weight += weight
            if not self.is_finite(self.total):
                self.total, self.weight, self.count = None, 0.0, 0
                raise gradient_not_finite(self.model, self.loss, self.where(), self.batch)

    def is_finite(self, total: Array) -> bool:
        """Whether a sum of gradients is finite."""
        return bool(np.isfinite(total).all())

    def _first_backward(self) -> None:
        """Backward, and a warning if it stores no gradient for a parameter, as under a misspelt name."""
        for layer in self.trained:
            layer.dPhi = np.full_like(layer.dPhi, UNWRITTEN)
        self.store_gradients()
        self.begun = True
        names = []
        for layer in self.trained:
            unwritten = layer.dPhi.dtype.type(UNWRITTEN)
            for name, dP in layer.named_gradients():
                if dP.size and (dP == unwritten).all():
                    dP[...] = 0
                    names.append(name)
        if names:
            text = f"backward stores no gradient for {', '.join(names)}, so it is not trained; assign self.dW for W"
            warnings.warn(f"{self.model.one_line()}: {text}", UserWarning, stacklevel=5)  # at the line that calls fit

    def update(self) -> None:
        """Move the parameters, if enough batches have been accumulated."""
        if self.count >= self.accumulate_steps:
            self.finish()
        carry(self.stateful)
        self.batch = None

    def undo(self) -> None:
        """Put buffers and generators back to what they were before the forward of a step that is not made."""
        if self.before is not None:
            buffers, states = self.before
            for buffer, old in zip(self.buffers, buffers, strict=True):
                buffer[...] = old
            for generator, state in zip(self.generators, states, strict=True):
                generator.bit_generator.state = state

    def finish(self) -> None:
        """Move the parameters; at the end of an epoch there may be fewer batches than make a step.

        Raises:
            DivergenceError: dPhi is not finite, or the parameters overflow.
        """
        if not self.count:
            return
        self.count = 0
        if self.total is not None:
            self._store_total()
        for call in self.on_backward_end:
            call()
        norm, lr = self._norm_and_lr()
        if self.clip_norms:
            scale_parts_to_norms(self.model.dPhi, self.clip_norms, self._gradients())
        elif self.clip_norm is not None:
            scale_to_norm(self._gradients(), self.clip_norm)
        if self.clip_value is not None:
            clip_to(self._gradients(), self.clip_value)
        if lr < LARGE_STEP and lr * norm < LARGE_STEP:
            for optimizer in self.optimizers:
                optimizer.step()
        else:
            self._large_step(lr)

    def _gradients(self) -> list[Array]:
        """The parts of dPhi that the optimizers apply."""
        return [part for optimizer in self.optimizers for part in optimizer.moved_gradients()]

    def _norm_and_lr(self) -> tuple[float, float]:
        """The norm of the gradients that the optimizers apply, inf where its square overflows; the largest rate.

        Raises:
            DivergenceError: a gradient is not finite.
            ValueError: a schedule returns no learning rate; nothing has been moved then.
        """
        squares = lr = 0.0
        for optimizer in self.optimizers:
            rate = optimizer.current_lr
            if optimizer.lr_factor is None:
                dPhi = optimizer.layer.dPhi
                squares += float(dPhi.dot(dPhi))  # the cheapest reduction that shows NaN and infinity
            else:
                squares += sum(float(dPhi.dot(dPhi)) for dPhi in optimizer.moved_gradients())
                rate *= max([1.0, *optimizer.lr_factor.values()])
            if rate > lr:
                lr = rate
        if not squares < math.inf and not all(np.isfinite(part).all() for part in self._gradients()):
            raise gradient_not_finite(self.model, self.loss, self.where(), self.batch)
        return math.sqrt(squares), lr

    def _large_step(self, lr: float) -> None:
        """Let the optimizers step, and take the step back if a parameter overflows."""
        before = [
            (optimizer, optimizer.layer.Phi.copy(), {name: _copied(value) for name, value in vars(optimizer).items()})
            for optimizer in self.optimizers
        ]
        for optimizer in self.optimizers:
            optimizer.step()
        if not all(np.isfinite(layer.Phi).all() for layer in self.moved):
            error = step_not_finite(self.model, self.loss, self.where(), lr, self.batch)
            for optimizer, Phi, attributes in before:
                optimizer.layer.Phi = Phi
                vars(optimizer).clear()
                vars(optimizer).update(attributes)
            raise error

    def _store_total(self) -> None:
        """Write the mean of the accumulated gradients into those of the layers, and start again."""
        gradients: Any = self.total
        gradients, start = gradients / (self.weight or 1.0), 0
        for layer in self.trained:
            stop = start + layer.dPhi.size
            layer.dPhi = gradients[start:stop]
            start = stop
        self.total, self.weight = None, 0.0

    def state_dict(self) -> dict[str, Any]:
        """The gradients that have been accumulated since the last step, and the states that layers carry."""
        state = {"total": self.total, "weight": self.weight, "count": self.count}
        states = {path: layer.state for path, layer in self.stateful}
        return state | {"states": states} if states else state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            TypeError, ValueError: it did not return that.
        """
        total, size = state["total"], sum(layer.dPhi.size for layer in self.trained)
        if total is not None and np.shape(total) != (size,):
            raise ValueError(f"expected the sum of {size} gradients, got an array of shape {np.shape(total)}")
        weight, count = number(state["weight"], "weight"), whole(state["count"], "count", least=0)
        states = {path: layer.checked_state(state["states"][path]) for path, layer in self.stateful}
        for path, layer in self.stateful:
            layer.state = states[path]
        self.total, self.weight, self.count = total, weight, count


def _copied(value: Any) -> Any:
    return copy(value) if isinstance(value, np.ndarray | list | dict) else value
