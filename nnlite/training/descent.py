"""Descent: a training as a method of SciPy sees it, a function to minimize that is told when an iteration is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of
from nnlite.optim.clipping import sum_of_squares
from nnlite.training.callbacks import Events
from nnlite.training.divergence import gradient_not_finite
from nnlite.training.interrupts import Interrupts
from nnlite.training.progress import Progress
from nnlite.training.session import end_epoch, note_layer
from nnlite.training.training_state import Training
from nnlite.training.update_bn import update_statistics
from nnlite.training.validation import Validation

STEP = 2.0 ** (-52 / 3)  # of central differences: the cube root of the precision


class Ended(Exception):  # noqa: N818 - no error
    """Ends the loop of a method of SciPy, wherever it is; the text is the reason, if the method itself is."""


class Descent:
    """The loss of all rows with its penalty and gradient, as a function of the parameters; and what ends an iteration.

    Each iteration of the method is an epoch of the training. A method evaluates the function at many points; only those
    at the end of an iteration change buffers, and each evaluation begins with the random generators as they were. At
    the end of an iteration the running statistics of BatchNorm are computed anew: they are those of all rows with its
    parameters, not a mean over iterations, whose number is small.

    Args:
        state, events, validation, shown, interrupts: of the training.
        decay: (slice of Phi, weight decay) of each part that has one.
        limits: the lower and upper bounds over Phi; None if there are none.

    Attributes:
        at, value: the parameters at which the function was last evaluated, and its value.
        kept, kept_value: those at the end of the last iteration.
    """

    def __init__(
        self,
        state: Training,
        events: Events,
        validation: Validation,
        shown: Progress,
        interrupts: Interrupts,
        decay: list[tuple[slice, float]],
        limits: tuple[Array, Array] | None,
    ) -> None:
        self.state, self.events, self.validation = state, events, validation
        self.shown, self.interrupts, self.decay, self.limits = shown, interrupts, decay, limits
        self.batch = next(state.rows.batches(len(state.rows)))  # type: ignore[arg-type]  # a stream is refused before
        self.batch.X, self.batch.Y = (each_of(_in_float64, values) for values in (self.batch.X, self.batch.Y))
        self.generators = [(each, each.bit_generator.state) for each in state.step.generators]
        self.at = self.kept = state.model.Phi.copy()
        self.value = self.kept_value = 0.0
        self.on_trial = self.begun = False

    def __call__(self, Phi: Array) -> tuple[float, Array]:
        """The loss with its penalty at these parameters, and its gradient.

        Raises:
            Ended: a signal has come, or the method tries parameters that are not finite: some do at a minimum.
            DivergenceError: the loss or the gradient is not finite.
        """
        if self.interrupts.received:
            raise Ended
        if not np.isfinite(Phi).all():
            raise Ended("the method tried parameters that are not finite")
        state, step = self.state, self.state.step
        self.undo()
        for generator, start in self.generators:
            generator.bit_generator.state = start
        state.model.Phi, self.on_trial = Phi, True
        try:
            self.Y_pred, self.J = step.forward(self.batch)
            step.backward()
        except BaseException as error:
            note_layer(error)
            raise
        self.at, self.dPhi = state.model.Phi.copy(), state.model.dPhi.copy()
        if not np.isfinite(self.dPhi).all():
            raise gradient_not_finite(state.model, step.loss, step.where(), self.batch, step.cures)
        step.update()  # there is no optimizer: it only ends the step
        gradient, self.penalty = self.dPhi.copy(), 0.0
        for part, factor in self.decay:
            gradient[part] += factor * self.at[part]
            self.penalty += factor / 2 * sum_of_squares(self.at[part])
        self.value = self.J + self.penalty
        return self.value, gradient

    def product(self, Phi: Array, p: Array) -> Array:
        """The Hessian times p, by a central difference of gradients."""
        length = float(np.linalg.norm(p))
        if not length:
            return np.zeros_like(p)
        h = STEP * (1 + float(np.linalg.norm(Phi))) / length
        return (self(Phi + h * p)[1] - self(Phi - h * p)[1]) / (2 * h)

    def within(self, Phi: Array) -> Array:
        """The parameters moved into the bounds, which some methods leave by rounding or on the way."""
        return Phi if self.limits is None else np.clip(Phi, *self.limits)

    def begin_iteration(self) -> None:
        """Begin the next iteration from here.

        Raises:
            ValueError: a callback has changed the parameters or the gradient.
        """
        model = self.state.model
        self.state.epoch += 1
        self.kept_value, self.begun = self.value, True
        self.state.means.clear()
        self.events.call("on_epoch_begin", "on_backward_end")
        for name, own, expected in ("parameters", model.Phi, self.at), ("gradient", model.dPhi, self.dPhi):
            if not np.array_equal(own, expected):
                raise ValueError(
                    f"callbacks: one has changed the {name} of the model, but SciPy's method goes on from its own; for "
                    "a penalty use weight_decay=, for constraints bounds=, or train with fit"
                )

    def end_iteration(self, Phi: Array, *_: Any) -> None:
        """End an iteration with these parameters, and begin the next.

        Raises:
            Ended: it was the last one.
            DivergenceError: a running statistic is not finite.
        """
        state, Phi = self.state, self.within(Phi)
        if not np.array_equal(Phi, self.at):  # the last point was only tried
            self(Phi)
        update_statistics(state.model, [self.batch])
        self.kept, self.on_trial, self.begun = self.at, False, False
        state.means.add(self.batch, self.J, self.Y_pred)
        state.batch = 1
        self.shown.batch(state.means.so_far)
        self.events.call("on_batch_end")
        if self.decay:
            state.extra["penalty"] = self.penalty
        end_epoch(state, self.events, self.validation, self.shown)
        if state.stop or state.epoch == state.epochs:
            raise Ended
        self.begin_iteration()
        if state.stop:
            raise Ended

    @contextmanager
    def leaving_the_last_iteration(self) -> Iterator[None]:
        """A context after which, if there was an error, the model is as it was at the end of the last iteration."""
        try:
            yield
        except BaseException:
            self.put_back()
            raise

    def undo(self) -> None:
        """Put back what an evaluation has changed in the buffers, if it was not at the end of an iteration."""
        if self.on_trial:
            self.state.step.undo()
            self.on_trial = False

    def put_back(self) -> None:
        """Put the model back to what it was at the end of the last iteration."""
        self.undo()
        self.state.model.Phi = self.kept
        if self.begun:
            self.state.epoch -= 1
            self.begun = False


def _in_float64(values: Any) -> Any:
    return values.astype(np.float64, copy=False) if getattr(values, "dtype", np.dtype(int)).kind == "f" else values
