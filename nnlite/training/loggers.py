"""Loggers: callbacks that record values, in a CSV file or in the history."""

import errno
import io
import os
from typing import Any

from nnlite.saving.atomic_write import atomic_write, check_writable
from nnlite.training.callbacks import Callback
from nnlite.training.training_state import Training


class CSVLogger(Callback):
    """Write the values of each epoch as a row of a CSV file; the first row has their names.

    The file is first written at the end of the first epoch, so that a training that fails before leaves an older file
    as it is. A row is added by one write of a whole line. A resumed training continues the file, with the rows of the
    epochs that its checkpoint has.

    Args:
        path: of the file.
        separator: one character, between two values.
        append: keep what the file holds, and add to it.

    Raises:
        FileNotFoundError, OSError: no file can be written there; raised before training.
        TypeError: the separator is not one character.

    >>> import csv, nnlite as nn, tempfile
    >>> model = nn.Sequential(nn.Linear(1, 1, rng=0))
    >>> path = os.path.join(tempfile.mkdtemp(), "training.csv")
    >>> history = nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=2,
    ...                  callbacks=[CSVLogger(path)], verbose=0)
    >>> with open(path) as file:
    ...     [row["epoch"] for row in csv.DictReader(file)]
    ['1', '2']
    """

    def __init__(self, path: str | os.PathLike[str], *, separator: str = ",", append: bool = False) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise TypeError(f"CSVLogger: separator: expected one character, got {separator!r}")
        self.path = os.fspath(path)
        self.separator = separator
        self.append = append
        self.names: list[str] = []
        self.last = 0  # the epoch of the last row

    def on_train_begin(self, state: Training) -> None:
        """Check that the file can be written; nothing is written yet."""
        if state.rank == 0:
            check_writable(self.path)
        self.names, self.last = [], state.epoch

    def on_save(self, state: Training) -> None:
        """Add the row of the epoch, with what all callbacks have added to its values."""
        if state.batch or state.epoch == self.last or state.rank:
            return
        self.last = state.epoch
        row = {"epoch": state.epoch, **state.values}
        if not row.keys() <= set(self.names):  # the first row, or a value that is new
            self._rewrite([*self._rows_before(state), row])
            return
        line = self._lines([row])
        with open(self.path, "ab", buffering=0) as file:
            size = file.tell()
            if file.write(line) != len(line):  # the disk is full: no part of a line stays
                file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)

    def _rows_before(self, state: Training) -> list[dict[str, Any]]:
        """The rows that come before that of this epoch: those in the file, or those of a resumed training."""
        if self.names or self.append:
            if not os.path.exists(self.path):
                return []
            with open(self.path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                from csv import DictReader

                return list(DictReader(file, delimiter=self.separator, restkey="", restval=""))
        epochs = zip(*state.history.values(), strict=True)
        rows = [dict(zip(state.history, values, strict=True)) for values in epochs]
        return [{"epoch": epoch, **row} for epoch, row in enumerate(rows[: state.epoch - 1], start=1)]

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        self.names = list(dict.fromkeys(name for row in rows for name in row))
        with atomic_write(self.path) as file:
            file.write(self._lines([dict(zip(self.names, self.names, strict=True)), *rows]))

    def _lines(self, rows: list[dict[str, Any]]) -> bytes:
        text = io.StringIO(newline="")
        from csv import DictWriter

        writer = DictWriter(text, self.names, restval="", delimiter=self.separator, lineterminator="\n")
        writer.writerows(rows)
        return text.getvalue().encode(errors="surrogateescape")

    def __repr__(self) -> str:
        return f"CSVLogger({self.path!r})"


class LearningRateLogger(Callback):
    """Record the learning rate at the beginning of each epoch, as the series "lr".

    Those of several optimizers are the series "lr_0", "lr_1" and so on.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 1, rng=0))
    >>> optimizer = nn.SGD(model, lr=nn.StepLR(0.1, step_size=1, gamma=0.5))
    >>> history = nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=optimizer, epochs=3,
    ...                  callbacks=[LearningRateLogger()], verbose=0)
    >>> history["lr"]
    [0.1, 0.05, 0.025]
    """

    def on_train_begin(self, state: Training) -> None:
        """Check that there is a learning rate.

        Raises:
            ValueError: there is none, in a training by :func:`nnlite.minimize`.
        """
        if not state.optimizers:
            raise ValueError("LearningRateLogger: there is no optimizer with a learning rate; leave it out of minimize")

    def on_epoch_begin(self, state: Training) -> None:
        """Record the learning rate."""
        names = ["lr"] if len(state.optimizers) == 1 else [f"lr_{index}" for index in range(len(state.optimizers))]
        for name, optimizer in zip(names, state.optimizers, strict=True):
            state.extra[name] = optimizer.current_lr

    def __repr__(self) -> str:
        return "LearningRateLogger()"
