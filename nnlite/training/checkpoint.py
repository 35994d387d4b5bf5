"""Checkpoints: a training that is cut off goes on as if it had not been."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnlite.basics.checks import one_of, whole
from nnlite.errors import CheckpointError
from nnlite.optim.monitor import Monitor
from nnlite.saving.archive import read_archive, reading, write_archive
from nnlite.saving.atomic_write import check_writable
from nnlite.saving.describe import describe
from nnlite.saving.json_values import pack, unpack
from nnlite.training.callbacks import Callback
from nnlite.training.history import History
from nnlite.training.rows import Rows
from nnlite.training.streams import Stream
from nnlite.training.training_state import Training


class Checkpoint(Callback):
    """Save all that a training needs to go on, bit for bit: ``fit(..., resume=path)`` takes it up again.

    In the file are the model, what the optimizers and the callbacks keep, the epoch and the batch, the order of the
    rows, the generators and the history. It is replaced as a whole: a program that is killed while it writes, or a
    full disk, leaves the old one. On Ctrl-C and SIGTERM one is written after the batch in hand. ``nnlite.load(path)``
    gives the model alone, if its layers are nnlite's or registered.

    It holds the last parameters, also where :class:`nnlite.EarlyStopping` then puts the best ones back into the model.
    Of layers it saves parameters and generators; what else they keep for later forwards is lost.

    Args:
        path: of the file.
        every: how many epochs or batches lie between two checkpoints. The end of training always makes one.
        unit: "epoch" or "batch".
        best_only: keep only that of the best epoch so far, by ``monitor``; an interrupt then makes none.
        monitor: the value that is watched.
        mode: "min", "max" or "auto"; see :class:`nnlite.EarlyStopping`.

    Attributes:
        path: of the file, as a ``pathlib.Path``.
        epochs_done: how many epochs the file has behind it.

    Raises:
        FileNotFoundError, IsADirectoryError: no file can be written there; raised before training starts.
        OSError: the file cannot be written.
        ValueError: an argument out of its range.

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
        """How many epochs the file has behind it; 0 if there is none yet."""
        return int(read(self.path)["epoch"]) if self.path.exists() else 0

    def on_train_begin(self, state: Training) -> None:
        """Find out now, and not after hours, that no file can be written there."""
        check_writable(self.path)
        if self.watched is not None:
            self.watched.check(state)
        if state.epoch == state.batch == 0:
            self._forget()

    def on_batch_end(self, state: Training) -> None:
        """Count."""
        self.since += 1
        self.due = self.unit == "batch" and self.since >= self.every

    def on_epoch_end(self, state: Training) -> None:
        """Look whether it is time for one, or the best epoch so far."""
        if self.watched is not None:
            value = self.watched.value(state)
            self.due = self.best is None or self.watched.is_better(value, self.best)
            self.best = value if self.due else self.best
        else:
            self.due = state.epoch == state.epochs or (self.unit == "epoch" and state.epoch % self.every == 0)

    def on_save(self, state: Training) -> None:
        """Write the file, if it is time for it, or if training ends here."""
        inside = state.batch > 0
        if (self.due or state.stop) and not (self.best_only and inside) and (self.due or not self.best_only):
            self.since, self.due = 0, False
            write(self.path, state, state.epoch - inside, state.batch)

    def state_dict(self) -> dict[str, Any]:
        """The best value so far."""
        return {"best": self.best, "since": self.since}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state_dict` gave."""
        self.best, self.since = state["best"], state["since"]

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r})"


def write(path: Any, state: Training, epoch: int, batch: int) -> None:
    """Write the state into the file: ``epoch`` epochs are done, and of the next one ``batch`` batches."""
    inside = batch > 0
    arrays: dict[str, np.ndarray] = {}
    try:
        description = describe(state.model, arrays)
    except (TypeError, ValueError):  # layers of the user's own, not registered: their weights can be kept all the same
        description = None
        arrays.clear()
    content = {
        "epoch": epoch,
        "batch": batch,
        "model": state.model.state_dict() if description is None else None,  # else they are there by their names
        "loss": state.loss.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
        "callbacks": {name: callback.state_dict() for name, callback in _with_state(state).items()},
        "generators": {place: generator.bit_generator.state for place, generator in _generators(state)},
        "rows": {name: _numbers(rows) for name, rows in _split(state)},
        "batches": state.batches,
        "lengths": _lengths(state),
        "order": state.order if inside else None,
        "means": state.means.state_dict() if inside else None,
        "update": state.step.state_dict(),
        "extra": state.extra,
        "history": state.history.to_dict(),
    }
    plain = pack(content, arrays, "training")
    write_archive(path, {"kind": "checkpoint", "model": description, "training": plain}, arrays)


def read(path: Any) -> dict[str, Any]:
    """What is in the file.

    Raises:
        FileNotFoundError: there is none.
        CheckpointError: it is damaged, or holds no training.
    """
    manifest, arrays = read_archive(path)
    if not isinstance(manifest, dict) or manifest.get("kind") != "checkpoint":
        raise CheckpointError(f"{path}: expected the checkpoint of a training; nnlite.load reads a model")
    with reading(path):
        content: dict[str, Any] = unpack(manifest["training"], arrays)
        numbers = isinstance(content, dict) and [content.get("epoch"), content.get("batch")]
        if not numbers or {*map(type, numbers)} != {int} or not isinstance(content.get("history"), dict):
            raise CheckpointError("it does not hold the state of a training")
        if manifest["model"] is not None:
            model = manifest["model"]
            content["model"] = {name: arrays[name] for name in [*model["parameters"], *model.get("buffers", ())]}
    return content


def resume_from(path: Any, state: Training) -> None:
    """Put the training into the state that the file holds, its rows in their old split: all of it or nothing.

    Raises:
        FileNotFoundError, CheckpointError: as :func:`read`.
        ValueError: the state does not fit the model, the optimizers, the callbacks or the rows.
    """
    content = read(path)
    before = state.model.state_dict(), [optimizer.state_dict() for optimizer in state.optimizers]
    try:
        _check(state, content)
        _take(state, content)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        state.model.load_state_dict(before[0])
        for optimizer, saved in zip(state.optimizers, before[1], strict=True):
            optimizer.load_state_dict(saved)
        if not isinstance(error, ValueError):  # the digest is right, so somebody made it by hand
            raise CheckpointError(f"{path}: it does not hold what a training needs: {error!r}") from error
        error.add_note(f"resume: {path} does not fit this training; nothing was changed")
        raise


def _take(state: Training, content: dict[str, Any]) -> None:
    """Put what the file holds where it belongs."""
    # First what may not fit, and can be put back or is this training's own; then what belongs to the user.
    state.model.load_state_dict(content["model"])
    for optimizer, saved in zip(state.optimizers, content["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    if content["means"] is not None:
        state.means.load_state_dict(content["means"])
    if content["update"] is not None:
        state.step.load_state_dict(content["update"])
    state.history._series = History(content["history"])._series
    state.epoch, state.batch = content["epoch"], content["batch"]
    state.order, state.extra = content["order"], content["extra"]
    state.loss.load_state_dict(content["loss"])
    for name, callback in _with_state(state).items():
        if name in content["callbacks"]:
            callback.load_state_dict(content["callbacks"][name])
    for place, generator in _generators(state):
        generator.bit_generator.state = content["generators"][place]
    for name, rows in _split(state):
        if isinstance(rows, Rows):
            rows.numbers = content["rows"][name]


def _split(state: Training) -> list[tuple[str, Rows | Stream | None]]:
    return [("training", state.rows), ("validation", state.validation)]


def _lengths(state: Training) -> list[int | None]:
    """How many rows there are to train on, and to validate on; None where nobody knows."""
    return [len(rows) if isinstance(rows, Rows) else None for _, rows in _split(state)]


def _numbers(rows: Rows | Stream | None) -> Any:
    """Which rows they are; None for all, or where they have no numbers."""
    return rows.numbers if isinstance(rows, Rows) else None


def _check(state: Training, content: dict[str, Any]) -> None:
    """Raise a ValueError where the parts of the training are not those of the file."""
    if len(state.optimizers) != len(content["optimizers"]):
        raise ValueError(f"expected {len(content['optimizers'])} optimizers, got {len(state.optimizers)}")
    then, now = ({name for name in names if not name.startswith("Checkpoint")}
                 for names in (content["callbacks"], _with_state(state)))  # fmt: skip
    if then != now:
        raise ValueError(f"expected the callbacks of before, {sorted(then)}, got {sorted(now)}")
    for name, rows in _split(state):
        before, after = np.shape(content["rows"][name]), np.shape(_numbers(rows))
        if before != after:
            raise ValueError(f"expected the {name} rows to be split as before, shape {before}, got {after}")
    for (name, _), length, own in zip(_split(state), content["lengths"], _lengths(state), strict=True):
        if length != own:
            raise ValueError(f"expected {length} {name} rows, as before, got {own}")
    if content["batches"] != state.batches:
        raise ValueError(f"expected {content['batches']} batches in an epoch, as before, got {state.batches}")
    places = [place for place, _ in _generators(state)]
    if sorted(places) != sorted(content["generators"]):
        raise ValueError(f"expected generators at {sorted(content['generators'])}, got {sorted(places)}")


def _with_state(state: Training) -> dict[str, Any]:
    """The callbacks that have something to keep: the first of a class by its name, further ones with a number."""
    found: dict[str, Any] = {}
    for callback in state.callbacks:
        if hasattr(callback, "state_dict"):
            name = type(callback).__name__
            number = sum(key.split()[0] == name for key in found)
            found[f"{name} {number + 1}" if number else name] = callback
    return found


def _generators(state: Training) -> Iterator[tuple[str, "np.random.Generator"]]:
    """(place, generator) of fit's own, and of those that layers keep as attributes."""
    if state.rng is not None:
        yield "rng", state.rng
    for path, layer in state.model.named_layers():
        yield from (
            (f"{path}.{name}", value) for name, value in vars(layer).items() if isinstance(value, np.random.Generator)
        )
