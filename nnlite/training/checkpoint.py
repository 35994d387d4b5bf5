"""Checkpoint: a training that is interrupted goes on as if it had not been."""

import math
import os
import warnings
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import one_of, whole
from nnlite.optim.monitor import Monitor
from nnlite.saving.archive import write_archive
from nnlite.saving.atomic_write import check_writable
from nnlite.saving.describe import describe
from nnlite.saving.json_values import pack
from nnlite.saving.unsaved import check_kept
from nnlite.training.callbacks import Callback
from nnlite.training.resume import collect, read
from nnlite.training.settings import callbacks_with_state
from nnlite.training.training_state import Training


class Checkpoint(Callback):
    """Save everything that a training needs to go on, bit for bit; ``fit(..., resume=path)`` continues it.

    Saved are the parameters, buffers and random generators of the model, the states of the loss, the optimizers and the
    callbacks, epoch and batch, the order of the rows, the generators of ``fit`` and of :func:`nnlite.manual_seed`, and
    the history. The file is replaced as a whole: a killed program or a full disk leaves the old one. Parameters that
    are not finite are not saved. On Ctrl-C and SIGTERM the file is written after the current batch.

    :func:`nnlite.load` reads the model alone, with the weights that are evaluated at the end of an epoch: those of the
    last step, or the average of :class:`nnlite.WeightAverage`; not the best ones that :class:`nnlite.EarlyStopping`
    restores when training ends, for which there is ``best_only``. If the model has an unregistered layer, a warning at
    the start of training names it, and the file holds everything but the architecture.

    What must be the same when training is resumed, and what may differ, is listed at ``resume`` of :func:`nnlite.fit`.

    Args:
        path: of the file.
        every: number of epochs or batches between two checkpoints. The end of training always makes one.
        unit: "epoch" or "batch".
        best_only: keep only the checkpoint of the best epoch so far, by ``monitor``; an interrupt then makes none.
        monitor: the value to compare.
        mode: "min", "max" or "auto"; see :class:`nnlite.EarlyStopping`.

    Attributes:
        path: of the file, as a ``pathlib.Path``.
        epochs_done: the number of epochs that are done in the file.

    Raises:
        FileNotFoundError, IsADirectoryError, OSError: no file can be written there; raised before training starts.
        TypeError: the state of a layer, optimizer or callback cannot be saved; likewise, if it is there by then.
        ValueError: an argument is out of its range.

    >>> import nnlite as nn, tempfile
    >>> def train(epochs, **options):
    ...     model = nn.Sequential(nn.Linear(1, 1, rng=0))
    ...     optimizer = nn.SGD(model, lr=0.1, momentum=0.9)
    ...     nn.fit(model, [[1.0], [2.0]], [[2.0], [4.0]], loss=nn.MSELoss(), optimizer=optimizer, epochs=epochs,
    ...            batch_size=1, rng=0, verbose=0, **options)
    ...     return model.Phi.tolist()
    >>> checkpoint = Checkpoint(tempfile.mkdtemp() + "/training.npz")
    >>> half = train(3, callbacks=[checkpoint])
    >>> checkpoint.epochs_done
    3
    >>> train(2, resume=checkpoint.path) == train(5)
    True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every: int = 1,
        unit: str = "epoch",
        best_only: bool = False,
        monitor: str = "val_loss",
        mode: str = "auto",
    ) -> None:
        one_of(unit, "Checkpoint: unit", ("epoch", "batch"))
        if best_only and (every, unit) != (1, "epoch"):
            raise ValueError("Checkpoint: best_only looks at the end of each epoch; leave every and unit out")
        from pathlib import Path  # here, since it takes a tenth of the time that NumPy's import takes

        if "{" in os.fsdecode(path):
            raise ValueError(f"Checkpoint: path: one file is replaced each time, nothing is filled in, got {path!r}")
        self.path = Path(path)
        self.every = whole(every, "Checkpoint: every", least=1)
        self.unit = unit
        self.best_only = best_only
        self.monitor = monitor
        one_of(mode, "Checkpoint: mode", ("min", "max", "auto"))
        self.watched = Monitor("Checkpoint", monitor, mode) if best_only else None
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.since = 0  # how many batches since the last one
        self.due = False  # one is to be written

    @property
    def epochs_done(self) -> int:
        """The number of epochs that are done in the file; 0 if there is none."""
        return int(read(self.path)["epoch"]) if self.path.exists() else 0

    def on_train_begin(self, state: Training) -> None:
        if state.rank == 0:
            check_writable(self.path)
        for other in state.callbacks:
            if other is not self and isinstance(other, Checkpoint) and other.path.resolve() == self.path.resolve():
                raise ValueError(f"Checkpoint: two write to {self.path}; give each a path of its own")
        self.tried = self.warned = False
        if self.watched is not None:
            self.watched.check(state)
        if state.epoch == state.batch == 0:
            self._forget()

    def on_epoch_begin(self, state: Training) -> None:
        if not self.tried:  # to find now, and not after hours, what cannot be saved
            self._contents(state)
            self.tried = True

    def _contents(self, state: Training) -> tuple[dict[str, Any], dict[str, Array]]:
        """What to write, and a warning, at the line that calls fit, if it lacks the architecture."""
        content, arrays, missing = contents(state)
        if missing and not self.warned:
            text = f"Checkpoint: {self.path} will not hold the architecture of the model, only its state: {missing}"
            warnings.warn(text, UserWarning, stacklevel=7)
            self.warned = True
        return content, arrays

    def on_batch_end(self, state: Training) -> None:
        self.since += 1
        self.due = self.unit == "batch" and self.since >= self.every

    def on_epoch_end(self, state: Training) -> None:
        if self.watched is not None:
            value = self.watched.value(state)
            best = self.best is None or self.watched.is_better(value, self.best)
            self.due = best and math.isfinite(value)  # after NaN nothing would be better
            self.best = value if self.due else self.best
        else:
            self.due = state.epoch == state.epochs or (self.unit == "epoch" and state.epoch % self.every == 0)

    def on_save(self, state: Training) -> None:
        in_epoch = state.batch > 0
        wanted = (self.due or not self.best_only) and not (self.best_only and in_epoch)
        if (self.due or state.stop) and wanted and np.isfinite(state.model.Phi).all():
            before = self.since, self.due
            self.since, self.due = 0, False  # also in the file
            try:
                content, arrays = self._contents(state)  # in each process: some of it is collected from all
                if state.rank == 0:
                    write_archive(self.path, content, arrays)
            except BaseException:
                self.since, self.due = before
                raise

    def state_dict(self) -> dict[str, Any]:
        """The best value, and the number of batches since the last checkpoint."""
        return {"best": self.best, "since": self.since}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; with an empty state begin afresh."""
        self._forget()
        if state:
            self.best, self.since = state["best"], state["since"]

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r})"


def contents(state: Training) -> tuple[dict[str, Any], dict[str, Array], str]:
    """What a checkpoint holds: content and arrays; and why it does not hold the architecture, or "".

    Raises:
        TypeError: a state cannot be saved.
    """
    arrays: dict[str, Array] = {}
    for layer in state.model, state.loss:
        check_kept(layer)
    try:
        description, missing = describe(state.model, arrays), ""
    except (TypeError, ValueError) as error:  # as for an unregistered layer, whose state can be saved all the same
        description, missing = None, str(error)
        arrays.clear()
    training = collect(state)
    training["model"] = state.model.state_dict() if description is None else None  # else by the names of the arrays
    training["callbacks"] = {name: each.state_dict() for name, each in callbacks_with_state(state).items()}
    content = {"kind": "checkpoint", "model": description, "training": pack(training, arrays, "training")}
    averages = [each.evaluated(state.model) for each in state.callbacks if hasattr(each, "evaluated")]
    if description is not None and any(averages):
        content["evaluated"] = pack(averages[-1], arrays, "evaluated")
    return content, arrays, missing


def check_reached(state: Training, first: int, what: str) -> None:
    """Raise a ValueError if a new training ends before its epoch number ``first``, and cannot be resumed to go on."""
    resumable = any(isinstance(each, Checkpoint) for each in state.callbacks)
    if 0 < state.epochs < first and state.epoch == state.batch == 0 and not resumable:
        raise ValueError(
            f"{what} in epoch {first}, but training ends after epoch {state.epochs}; train for more epochs"
        )
