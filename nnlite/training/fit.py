"""fit: the training loop."""

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.basics.checks import one_of, whole
from nnlite.basics.generators import Rng
from nnlite.basics.trees import spread
from nnlite.layer.flat import check_ties, check_whole
from nnlite.layer.layer import Layer, check_layer
from nnlite.optim.optimizer import Optimizer
from nnlite.training.callbacks import Events, Training
from nnlite.training.checkpoint import resume_from
from nnlite.training.divergence import diverged, stopping
from nnlite.training.evaluate import Means, Metric, loss_of, named, one_loss
from nnlite.training.history import History
from nnlite.training.interrupts import Interrupts
from nnlite.training.preparation import in_training, optimizers_of, try_out, validated
from nnlite.training.progress import progress
from nnlite.training.sample_weights import SampleWeighted, weight_of
from nnlite.training.step import Update
from nnlite.training.streams import rows_or_stream, split


def fit(
    model: Layer,
    X: Any,
    Y: Any = None,
    *,
    loss: Any,
    optimizer: Optimizer | Sequence[Optimizer],
    epochs: int = 1,
    batch_size: int = 32,
    shuffle: bool = True,
    validation_data: Any = None,
    validation_split: float = 0.0,
    metrics: Sequence[Metric] = (),
    callbacks: Sequence[Any] = (),
    sample_weight: Any = None,
    class_weight: dict[int, float] | None = None,
    accumulate_steps: int = 1,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    resume: str | os.PathLike[str] | None = None,
    verbose: int = 1,
    on_nan: str = "raise",
    rng: Rng = None,
) -> History:
    """Train a model: for each batch of each epoch forward, loss, backward, step.

    Args:
        model: any Layer. It trains in training mode and gets its mode back at the end.
        X: the rows: an array, a nested list, or any object with ``len`` and row indexing, such as ``np.memmap``, which
            is read a batch at a time. Never written. For a model of several inputs a tuple of these, or a dict.
            Or batches that come ready-made, without Y: an iterable of pairs (X, Y), or a function that gives a new one
            for each epoch.
        Y: their targets, likewise, in the form that the loss expects.
        loss: a loss such as ``BCELoss()``, whose reduction is "mean" or "sum". For a model of several outputs a tuple
            or dict of losses, as the model's output is; what is trained on is their sum. Y is then a tuple or dict,
            too, and so is what metrics are given.
        optimizer: one, or a list of several on different parts of the model.
        epochs: how many times to go through the rows.
        batch_size: rows per step; the last batch of an epoch has what is left.
        shuffle: put the rows in a new random order each epoch.
        validation_data: (X, Y) to evaluate after each epoch; or its batches, as a list of pairs (X, Y) or as a function
            that gives them.
        validation_split: share of the rows, from 0 to 1, drawn at random, to hold back for validation instead.
        metrics: functions ``(Y_pred, Y) -> float``, such as :func:`nnlite.accuracy`. Those of the training rows are
            means over the epoch, while the model learns, as the loss is; those marked with
            :func:`nnlite.over_all_rows` are computed once, at its end.
        callbacks: what else is to be done on the way, such as :class:`nnlite.EarlyStopping`; see
            :class:`nnlite.Callback`. A function of the state is called at the end of each epoch; where it returns
            something true, training ends.
        sample_weight: how much each row counts in the training loss, which is otherwise what it was: weights of 1
            change nothing. Validation and metrics count each row once.
        class_weight: the same by class, for targets that are classes, or probabilities of them.
        accumulate_steps: how many batches make one step, equal to a step on all their rows at once; for batches that
            are too large for the memory.
        clip_norm: before each step dPhi is scaled down to this norm, if it is longer.
        clip_value: before each step each entry of dPhi is brought between -clip_value and clip_value.
        resume: a file that :class:`nnlite.Checkpoint` wrote: training goes on from there, also in the middle of an
            epoch, and ends, after ``epochs`` more, in the same bytes as without the break. The other arguments must be
            those of the first time, ready-made batches included; likewise the machine, the versions and the number of
            BLAS threads.
        verbose: 0 is silent; 1 shows a bar on a terminal or in a notebook, and lines where stderr is a file.
        on_nan: "raise" a DivergenceError when the loss is NaN or infinite, or "stop" with a warning and return.
        rng: seed or generator for the order of the rows.

    Returns:
        The series "loss", "val_loss" and one or two for each metric, a value an epoch; of several losses also each, as
        "loss_0" or "loss_" and its name.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the message names it. Nothing is trained then: the
            metrics and one batch of the validation data are tried out before the first step.
        DivergenceError: the loss is NaN or infinite; the parameters are those from before that step. Or the parameters
            are, at the end of an epoch.
        KeyboardInterrupt: on Ctrl-C, after the batch in hand; SIGTERM likewise ends in SystemExit(143). Where nobody
            catches them, they end the program without a traceback.
        FileNotFoundError, CheckpointError: there is no file to resume from, or it is damaged.

    One model must not be trained by two threads at once.

    >>> import nnlite as nn
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> Y = np.array([[0], [1], [1], [0]])
    >>> rng = np.random.default_rng(0)
    >>> model = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng), nn.Sigmoid())
    >>> history = fit(model, X, Y, loss=nn.BCELoss(), optimizer=nn.SGD(model, lr=1.0), epochs=300, verbose=0, rng=rng)
    >>> history["loss"][-1] < 0.1
    True
    """
    check_layer(model, "model")
    check_whole(model)
    check_ties(model)
    epochs, batch_size = whole(epochs, "epochs", least=0), whole(batch_size, "batch_size", least=1)
    one_of(on_nan, "on_nan", ("raise", "stop"))
    rng = np.random.default_rng(rng)
    plain_loss, metrics_by_name = one_loss(loss), named(metrics)
    optimizers = optimizers_of(optimizer, model, plain_loss)
    rows, validation = split(rows_or_stream(X, Y, epochs), validation_data, validation_split, rng)
    loss, weighted = plain_loss, sample_weight is not None
    if weighted or class_weight is not None:
        loss = SampleWeighted(plain_loss, class_weight, paired=weighted)

    state = Training(model, plain_loss, optimizers, rng=rng, rows=rows, validation=validation, callbacks=callbacks)
    state.batches, state.means = rows.count(batch_size), Means(loss, metrics_by_name)
    state.update = Update(model, optimizers, accumulate_steps, clip_norm, clip_value)
    events = Events(state)
    if validation is not None:
        try_out(model, validation, plain_loss, metrics_by_name, batch_size)
    if resume is not None:
        resume_from(resume, state)
    first, state.epochs = state.epoch + 1, state.epoch + epochs
    if weighted:
        rows = rows.with_weights(sample_weight)

    shown = progress(state.epochs, state.batches, verbose, done=(state.epoch, state.batch))
    # A loss that overflows is reported as a DivergenceError, so NumPy need not warn of it as well.
    quiet = np.errstate(over="ignore", invalid="ignore")
    with Interrupts() as interrupted, in_training(model), shown, quiet, events, stopping(on_nan):
        for state.epoch in range(first, first + epochs):
            if not state.batch and not state.stop:  # else it was resumed in the middle
                state.order, state.means = rows.order(rng if shuffle else None), Means(loss, metrics_by_name)
                events.call("on_epoch_begin")
            if state.stop:
                break
            batch = None  # as it stays where a training is resumed after the last one of an epoch
            for batch in rows.batches(batch_size, state.order, first=state.batch):
                count, X_batch, Y_batch = batch
                Y_pred = spread(model.forward, X_batch)
                J = loss_of(loss, Y_pred, Y_batch)
                if not math.isfinite(J):
                    place = f"epoch {state.epoch}, batch {state.batch + 1}"
                    raise diverged(model, J, place, "before this step", [batch])
                state.means.add(count, J, Y_pred, Y_batch[0] if weighted else Y_batch)
                spread(model.backward, loss.backward())
                state.update(weight_of(loss, count))
                state.batch += 1
                shown.batch(state.means.so_far)
                if interrupted:
                    state.interrupted = state.stop = True
                    shown.say(f"interrupted in epoch {state.epoch}, after batch {state.batch}")
                events.call("on_batch_end")
                if state.stop:
                    return state.history  # and a signal takes its course as the with statement ends
            state.update.finish()
            state.values = state.means.values()
            if not np.isfinite(model.Phi).all():
                place, seen = f"epoch {state.epoch}, but then", filter(None, [batch])
                raise diverged(model, state.values["loss"], place, "the end of this epoch", seen)
            if validation is not None:
                state.values |= validated(model, validation, plain_loss, metrics_by_name, batch_size, state.epoch)
            state.values |= state.extra
            state.history.add(state.values)
            state.batch = 0
            shown.epoch(state.epoch, state.values)
            events.call("on_epoch_end")
            if state.stop:
                break
    return state.history
