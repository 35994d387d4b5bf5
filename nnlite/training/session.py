"""Session: what is around the epochs of a training, and what ends each of them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from traceback import walk_tb

import numpy as np

from nnlite.containers.stateful import stateful_layers
from nnlite.layer.described import can_skip_dX
from nnlite.layer.layer import Layer
from nnlite.training.callbacks import Events
from nnlite.training.divergence import parameters_not_finite
from nnlite.training.interrupts import Interrupts
from nnlite.training.progress import Progress
from nnlite.training.training_state import Training
from nnlite.training.validation import Validation


@contextmanager
def session(state: Training, events: Events, shown: Progress) -> Iterator[Interrupts]:
    """The context of the epochs, which is left in the reverse order, whatever ends them."""
    with ExitStack() as stack:
        # 1. Signals: one that has come takes effect when everything below has been left.
        interrupts = stack.enter_context(Interrupts(shown.say, several=state.ranks > 1))
        state.interrupts = interrupts
        # 2. Training mode: the callbacks still find it in on_train_end.
        stack.enter_context(_training_mode(state.model))
        # 3. The bar: the callbacks may still print in on_train_end.
        stack.enter_context(shown)
        # 4. The remarks, into the bar and the history: after on_train_end, which may add one.
        stack.callback(_conclude, state, shown)
        # 5. Overflow is a DivergenceError, so NumPy need not warn of it as well.
        stack.enter_context(np.errstate(over="ignore", invalid="ignore"))
        # 6. on_train_begin and on_train_end.
        stack.enter_context(events.begin(state))
        yield interrupts


def end_epoch(state: Training, events: Events, validation: Validation, shown: Progress) -> None:
    """Put the values of the epoch into the history, and call the callbacks."""
    if not np.isfinite(state.model.Phi).all():
        raise parameters_not_finite(state.model, f"at the end of epoch {state.epoch}")
    values = state.means.values()
    if penalty := sum(type(each).penalty(each) for each in state.optimizers):  # an attribute may be called so
        values.setdefault("penalty", penalty)  # unless a metric is called so
    with events.evaluation():
        state.values = values | validation.values(state.epoch) | state.extra
        state.history.add(state.values)
        for optimizer in state.optimizers:
            optimizer.epochs_done = (optimizer.epochs_done or 0) + 1
        state.batch = 0
        shown.epoch(state.epoch, state.values)
        events.call("on_epoch_end")
    state.values |= state.extra  # what the callbacks have added at the end of the epoch
    state.history.amend(state.extra)
    state.agree_to_stop()
    events.call("on_save")


def note_history(error: BaseException, state: Training) -> str:
    """Keep what has been recorded as ``error.history``; return what was done after the error, or ""."""
    error.history = state.history  # type: ignore[attr-defined]
    return f"afterwards: {state.history.remark}" if state.history.remark else ""


def note_layer(error: BaseException) -> None:
    """Add a note to an error that a user-defined layer raises: the line that names the shapes and the likely cause."""
    last = [frame for frame, _ in walk_tb(error.__traceback__)][-1]
    own = isinstance(last.f_locals.get("self"), Layer) and not last.f_globals["__name__"].startswith("nnlite")
    if own and isinstance(error, TypeError | ValueError):
        error.add_note("nnlite.check_gradients(model, X[:5], Y[:5], loss) names the shapes and the likely cause")


def _conclude(state: Training, shown: Progress) -> None:
    """Say why the training ended and which weights the model has, in one line."""
    if state.averaged:
        state.remarks.append(f"averaged weights ({state.averaged} update{'s' * (state.averaged != 1)})")
    state.history.remark = "; ".join(state.remarks)
    if state.remarks:
        shown.say(state.history.remark)


@contextmanager
def _training_mode(model: Layer) -> Iterator[None]:
    """Training mode, and no dX of the model's own input, which is not needed; then everything as it was.

    Layers that carry their state end without one.
    """
    before = [(layer, layer.training, layer.needs_dX) for _, layer in model.named_layers()]
    model.train()
    model.needs_dX = not can_skip_dX(model)
    try:
        yield
    finally:
        for layer, training, needs_dX in before:
            layer.training = training
            layer.needs_dX = needs_dX
        for _, stateful in stateful_layers(model):
            stateful.reset_state()
