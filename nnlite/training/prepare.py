"""prepare: what comes before the first step of every training."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from nnlite.layer.flat import check_ties, check_whole
from nnlite.layer.layer import Layer
from nnlite.optim.optimizer import Optimizer
from nnlite.training.callbacks import Events
from nnlite.training.evaluate import as_loss
from nnlite.training.feature_names import check_feature_names
from nnlite.training.measurements import Measurements, named
from nnlite.training.resume import resume_from
from nnlite.training.rows import Rows
from nnlite.training.sequences import Pieces, Sequences
from nnlite.training.settings import settings
from nnlite.training.sharing import sharing_of
from nnlite.training.step import Step
from nnlite.training.streams import Stream, rows_or_stream
from nnlite.training.training_state import Training
from nnlite.training.validation import Validation, split
from nnlite.training.weighted_loss import check_weights_act, weighted


def prepare(
    model: Layer,
    X: Any,
    Y: Any,
    *,
    loss: Any,
    optimizers: Callable[[Layer], list[Optimizer]],
    epochs: int,
    batch_size: int | None,
    shuffle: bool,
    validation_data: Any,
    validation_split: float,
    metrics: Any,
    callbacks: Sequence[Any],
    sample_weight: Any,
    class_weight: Any,
    resume: Any,
    rng: Any,
    step: dict[str, Any],
    compared: dict[str, Any],
    kind_of_step: Callable[..., Step] = Step,
) -> tuple[Training, Events, Validation]:
    """Check the arguments of a training, and return its state, its events and its validation; nothing is trained.

    The arguments are those of :func:`nnlite.fit`, but for ``optimizers``, which returns a list of them for the loss;
    ``batch_size``, which may be None for all rows in one batch; ``step``, arguments of ``kind_of_step``; and
    ``compared``, what must be the same if the training is resumed, beside what the state has.

    Raises:
        TypeError, ValueError: an argument is wrong.
        FileNotFoundError, CheckpointError: there is no file to resume from, or it does not fit.
    """
    check_whole(model)
    check_ties(model)
    loss = objective = as_loss(loss)
    found, metrics_by_name = optimizers(loss), named(metrics)
    rows, validation_rows = split(
        rows_or_stream(X, Y, epochs), validation_data, validation_split, shuffle=shuffle, loss=loss
    )
    if isinstance(rows, Sequences):
        rows.check_model(model)
    if batch_size is None:
        if isinstance(rows, Stream):
            raise TypeError("X: expected rows X and Y, got batches; join them, since all rows are used at once")
        if isinstance(rows, Pieces):
            raise TypeError(
                "X: expected rows X and Y, got Pieces; pass the whole sequences, since all are used at once"
            )
        batch_size = len(rows)
    feature_names = check_feature_names(model, rows)
    check_feature_names(model, validation_rows, feature_names)
    if sample_weight is not None or class_weight is not None or getattr(rows, "by_step", False):
        objective = weighted(loss, class_weight, rows)
    if sample_weight is not None:
        rows.set_weight(sample_weight)
    events, sharing = Events(callbacks), sharing_of(callbacks)
    state: Training
    step = {"on_backward_end": events.calls["on_backward_end"], "where": lambda: state.where(), **step}
    given, measurements = objective, cast(Callable[..., Measurements], Measurements)
    if sharing is not None:
        objective = objective if objective is not loss else weighted(loss, None, rows)  # for its denominators
        kind_of_step, measurements = sharing.kind_of_step(kind_of_step), sharing.measurements_in_training
    one_step = kind_of_step(model, objective, found, **step)
    check_weights_act(objective, rows, batch_size * one_step.accumulate_steps)
    state = Training(
        model,
        loss,
        found,
        rows=rows,
        means=measurements(objective, metrics_by_name, tried=validation_rows is not None),
        step=one_step,
        batch_size=batch_size,
        batches=rows.count(batch_size),
        validation=validation_rows,
        callbacks=callbacks,
        rng=rng,
        sharing=sharing,
    )
    validation = Validation(model, validation_rows, loss, metrics_by_name, batch_size, sharing)
    validation.try_out()
    state.settings = settings(state, given, **compared)
    if resume is not None:
        resume_from(resume, state)
    state.epochs = state.epoch + epochs
    if validation_data is None and isinstance(validation_rows, Rows):
        state.history.validation_rows = validation_rows.numbers
    return state, events, validation
