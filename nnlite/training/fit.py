"""fit: the training loop."""

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from nnlite.basics.checks import boolean, one_of, whole
from nnlite.basics.generators import Rng, generator
from nnlite.errors import DivergenceError
from nnlite.layer.layer import Layer, check_layer
from nnlite.optim.optimizer import Optimizer
from nnlite.training.as_optimizers import as_optimizers
from nnlite.training.callbacks import Events
from nnlite.training.feature_names import note_feature_names
from nnlite.training.history import History
from nnlite.training.prepare import prepare
from nnlite.training.progress import Progress, progress
from nnlite.training.session import end_epoch, note_history, note_layer, session
from nnlite.training.shape_advice import noting_shapes
from nnlite.training.step import Step
from nnlite.training.training_state import Training
from nnlite.training.validation import Validation


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
    metrics: Any = (),
    callbacks: Sequence[Any] = (),
    sample_weight: Any = None,
    class_weight: Any = None,
    accumulate_steps: int = 1,
    clip_norm: float | Mapping[str, float] | None = None,
    clip_value: float | None = None,
    compiled: bool = False,
    resume: str | os.PathLike[str] | None = None,
    verbose: int = 1,
    on_nan: str = "raise",
    rng: Rng = None,
) -> History:
    """Train a model: for each batch of each epoch forward, loss, backward, step.

    A step is backward, then ``on_backward_end`` of the callbacks, which may change ``dPhi``, then clipping, then the
    optimizers. A step whose loss or gradient is not finite is not made. L-BFGS and other methods that use all rows at
    once are in :func:`nnlite.minimize`.

    Args:
        model: any Layer. It trains in training mode; its mode is restored at the end.
        X: the rows: an array, a nested list, or a pandas frame whose columns are numbers or booleans, with rows read by
            position; or what is read a batch at a time: a sparse matrix of SciPy, ``np.memmap``, or any object with
            ``len`` that can be indexed by several row numbers, as of h5py, or by one. Never written. For a model of
            several inputs a tuple or dict of them. The columns of a frame, if they are strings, become
            ``model.feature_names``; a frame with others, or in another order, is then an error. Those of several
            inputs and of batches are not compared.
            Or, without Y, :class:`nnlite.Sequences` of different lengths or :class:`nnlite.Pieces` of long ones; a
            dataset whose item i is a pair (x, y) of one sample, as PyTorch's; or batches: an iterable
            of pairs (X, Y), such as a DataLoader, a Keras Sequence, or a function that returns a new iterable for each
            epoch.
        Y: the targets of the rows, likewise, in the form that the loss expects. Rows are read by position,
            so that frames X and Y with the same index labels in another order are an error.
        loss: a :class:`nnlite.Loss` such as ``BCELoss()``, whose reduction is "mean" or "sum". For a model of several
            outputs a tuple or dict of losses, of the form of the model's output; their sum is minimized. A pair
            ``(weight, loss)`` multiplies one in it, and None is an output without a loss. Y, and what metrics get, are
            then tuples or dicts as well. One loss of several inputs gets all outputs, a tuple, as these; where it has
            several targets Y is a tuple of them, and where it has none ``()``: of siamese and triplet networks see
            :class:`nnlite.TripletMarginLoss`, of sequences :class:`nnlite.CTCLoss`.
        optimizer: one, or a list of several on different parts of the model. What is in none of them is frozen:
            ``nn.SGD(model[-1], lr=0.1)`` trains the last layer alone. Options of one may name parameters, see
            :class:`nnlite.Optimizer`.
        epochs: how many times to go through the rows.
        batch_size: rows per step; the last batch of an epoch may be shorter.
        shuffle: put the rows in a new random order each epoch.
        validation_data: (X, Y) to evaluate after each epoch; or its batches, as a list of pairs (X, Y) or a function
            that returns an iterable of them.
        validation_split: share of the rows, from 0 to 1, to hold back for validation instead; ``validation_rows`` of
            the history has their indices. It is the same choice in every training on the same rows, at random, in
            which each class has its share if the loss is one of classes; with ``shuffle=False``, as for a time series,
            the last rows. To shuffle the others, pass the last rows as ``validation_data`` instead.
        metrics: functions ``(Y_pred, Y) -> float``, such as :func:`nnlite.accuracy`. On the training rows they get the
            predictions from before each step, as the loss does. They are called once, at the end of the epoch, on all
            rows; those marked with :func:`nnlite.mean_over_batches` on each batch. Those of nnlite with a parameter
            ``logits`` know from the loss whether predictions are logits. For several outputs a tuple or dict of lists
            gives each output its own, ``{"scores": [nnlite.accuracy]}``, as the series "accuracy_scores".
        callbacks: what else to do during training, such as :class:`nnlite.EarlyStopping`; see
            :class:`nnlite.Callback`. A function of the state is called at the end of each epoch; training ends if it
            returns True.
        sample_weight: a weight for each row in the training loss, which is then ``sum(w J_row) / sum(w)``: a weight of
            0 leaves the row out, a weight of 2 counts it twice, and CrossEntropyLoss(weight=...) agrees with it. In a
            step on a single row weights cancel, which is an error. For sequences also a weight for each step, (N, T),
            as a mask of the steps that count, also in losses without ``ignore_index``. Validation and metrics count
            each row once.
        class_weight: a weight for each class, for targets that are classes or probabilities of them; likewise. Or
            "balanced", ``rows / (classes * rows of the class)``. For several outputs a tuple or dict of dicts.
        accumulate_steps: how many batches make one step, equal to a step on all their rows at once; for batches that
            do not fit in memory.
        clip_norm: the largest norm of the gradients that the optimizers apply; longer ones are scaled down. For limits
            of parts a dict by names, ``{"0": 1.0, "lstm": 5.0}``, as in :class:`nnlite.Optimizer`: a norm for each
            key, of the parameters of the model of which it is the most specific; the others are not clipped.
        clip_value: the largest absolute value of each entry of them.
        compiled: compute forward and backward of each step after the first as :func:`nnlite.compile` does, in half the
            time for tiny networks, with the same bits. Callbacks may change ``dPhi``, but find nothing that layers
            have cached. For one input and one output, without weights of samples, in one process.
        resume: a file that :class:`nnlite.Checkpoint` wrote: training continues from there, also in the middle of an
            epoch, and ends, after ``epochs`` more, bit-identical to a training without the break, on the same machine,
            with the same versions and number of BLAS threads. What else must be the same is compared before the first
            step, and all differences are in one error: the layers, the loss and the optimizers with their options;
            metrics; callbacks with a state and their options; ``batch_size``, ``shuffle``, ``accumulate_steps``,
            clipping and weights; and the values of X, Y and the validation data (of large arrays those of 64 rows;
            those of streams and of datasets that are no arrays are not compared). What may differ: ``epochs``,
            ``verbose``, ``on_nan``, ``rng``, initial weights, :class:`nnlite.Checkpoint`, the patience of
            :class:`nnlite.EarlyStopping`, callbacks without a state, and what the ``may_differ`` of a callback names.
        verbose: 0 is silent; 1 shows a bar on a terminal or in a notebook, and lines where stderr is a file.
        on_nan: "raise" a DivergenceError when the loss, the gradient or a parameter is NaN or infinite, or "stop" with
            a warning and return.
        rng: seed or generator for the order of the rows; None for the default generator of ``nnlite.manual_seed``.

    Returns:
        The history: the series "loss", "val_loss" and one or two for each metric, with a value for each epoch; for
        several losses also each of them, as "loss_0" or "loss_" and its name; with a weight decay also "penalty",
            that of the parameters at the end of the epoch, which "loss" does not include.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it. Nothing is trained then: the metrics and the
            validation data are tried before the first step.
        DivergenceError: the loss, the gradient or a parameter is NaN or infinite. The model, its buffers and random
            generators and the optimizers are as they were before the step; if :class:`nnlite.EarlyStopping` has then
            restored its best weights, or :class:`nnlite.WeightAverage` the average, a note says so.
        KeyboardInterrupt: on Ctrl-C, after the current batch; SIGTERM likewise ends in SystemExit(143). If they are
            not caught, they end the program without a traceback.
        FileNotFoundError, CheckpointError: there is no file to resume from, or it is damaged.

    One model must not be trained by two threads at once.

    >>> import numpy as np, nnlite as nn
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> Y = np.array([[0], [1], [1], [0]])
    >>> rng = np.random.default_rng(0)
    >>> model = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng), nn.Sigmoid())
    >>> history = fit(model, X, Y, loss=nn.BCELoss(), optimizer=nn.SGD(model, lr=1.0), epochs=300, verbose=0, rng=rng)
    >>> history["loss"][-1] < 0.1
    True
    """
    check_layer(model, "model")
    epochs, batch_size = whole(epochs, "epochs", least=0), whole(batch_size, "batch_size", least=1)
    one_of(on_nan, "on_nan", ("raise", "stop"))
    boolean(shuffle, "shuffle")
    state, events, validation = prepare(
        model,
        X,
        Y,
        loss=loss,
        optimizers=lambda loss: as_optimizers(optimizer, model, loss),
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        validation_data=validation_data,
        validation_split=validation_split,
        metrics=metrics,
        callbacks=callbacks,
        sample_weight=sample_weight,
        class_weight=class_weight,
        resume=resume,
        rng=generator(rng, "fit: rng"),
        step={"accumulate_steps": accumulate_steps, "clip_norm": clip_norm, "clip_value": clip_value},
        compared={"batch_size": batch_size, "shuffle": shuffle},
        kind_of_step=_compiled_step() if compiled else Step,
    )
    steps = None
    if state.batches is not None:
        size = state.step.accumulate_steps
        steps = epochs * math.ceil(state.batches / size) - state.batch // size
    for each in state.optimizers:
        each.check_steps(steps, epochs)
    for each in state.optimizers:
        each.epochs_done = each.epochs_done or 0  # counted from here on
    shown = progress(state.epochs, state.batches, verbose, done=(state.epoch, state.batch), rank=state.rank)
    note_feature_names(model, state.rows)
    try:
        with noting_shapes(state.rows, model):
            _train(state, events, validation, shown, shuffle)
    except BaseException as error:
        afterwards = note_history(error, state)
        if on_nan == "raise" or not isinstance(error, DivergenceError):
            if afterwards and isinstance(error, Exception):
                error.add_note(afterwards)
            raise
        warnings.warn("\n".join(filter(None, [str(error), afterwards])), RuntimeWarning, stacklevel=2)
    return state.history


def _compiled_step() -> type[Step]:
    from nnlite.training.compiled_step import CompiledStep  # what it needs takes time to import

    return CompiledStep


def _train(state: Training, events: Events, validation: Validation, shown: Progress, shuffle: bool) -> None:
    """The epochs, and in each the batches."""
    rows, step, means = state.rows, state.step, state.means
    numbers = range(state.epoch + 1, state.epochs + 1)
    with session(state, events, shown) as interrupts:
        for state.epoch in numbers:
            if state.agree_to_stop():
                return
            if not state.batch:  # otherwise the epoch is resumed in the middle
                state.order = rows.order(state.rng if shuffle else None, state.batch_size)
                means.clear()
                events.call("on_epoch_begin")
            if state.agree_to_stop():
                return
            for batch in rows.batches(state.batch_size, state.order, first=state.batch, share=state.share):
                try:
                    Y_pred, J = step.forward(batch)
                    means.add(batch, J, Y_pred)
                    step.backward()
                    step.update()
                except BaseException as error:
                    step.undo()
                    note_layer(error)
                    raise
                state.batch += 1
                shown.batch(means.so_far)
                if interrupts.received:
                    state.interrupted = state.stop = True
                    state.remarks.append(f"interrupted {state.done()}")
                events.call("on_batch_end")
                ends = state.agree_to_stop()
                events.call("on_save")
                if ends:
                    return
            step.finish()
            end_epoch(state, events, validation, shown)
