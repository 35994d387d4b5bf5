"""Loggers: callbacks that note what the training says, in a file or in the history."""

import os

from nnlite.training.callbacks import Callback
from nnlite.training.training_state import Training


class CSVLogger(Callback):
    """A line for each epoch in a file, with the epoch's number and values; the first line has their names.

    Args:
        path: of the file.
        separator: between two values.
        append: add to the file in place of starting it anew; the names are then written only if it is empty.

    Raises:
        FileNotFoundError: the file's folder does not exist; raised before training starts.

    >>> import nnlite as nn, tempfile
    >>> model = nn.Sequential(nn.Linear(1, 1, rng=0))
    >>> path = os.path.join(tempfile.mkdtemp(), "training.csv")
    >>> history = nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=2,
    ...                  callbacks=[CSVLogger(path)], verbose=0)
    >>> with open(path) as file:
    ...     [line.split(",")[0] for line in file]
    ['epoch', '1', '2']
    """

    def __init__(self, path: str | os.PathLike[str], *, separator: str = ",", append: bool = False) -> None:
        self.path = os.fspath(path)
        self.separator = separator
        self.append = append

    def on_train_begin(self, state: Training) -> None:
        """Open the file; that of a resumed training goes on after the epochs that are done."""
        resumed = state.epoch or state.batch
        with open(self.path, "a+" if self.append or resumed else "w+", encoding="utf-8") as file:
            file.seek(0)
            lines = file.readlines()
            if resumed and lines:
                while len(lines) > 1 and not self._is_done(lines[-1], state.epoch):
                    lines.pop()
                file.seek(0)
                file.truncate()
                file.writelines(lines)

    def _is_done(self, line: str, epoch: int) -> bool:
        number = line.split(self.separator)[0]
        return line.endswith("\n") and number.isdigit() and int(number) <= epoch

    def on_epoch_end(self, state: Training) -> None:
        """Write the epoch's line, whole and at once, so that nothing is lost when the program ends."""
        row = {"epoch": state.epoch, **state.values}
        with open(self.path, "a", encoding="utf-8") as file:
            if file.tell() == 0:
                file.write(self.separator.join(row) + "\n")
            file.write(self.separator.join(map(str, row.values())) + "\n")

    def __repr__(self) -> str:
        return f"CSVLogger({self.path!r})"


class LearningRateLogger(Callback):
    """The learning rate at each epoch's beginning, as the series "lr" of the history; of several "lr_0", "lr_1" ...

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 1, rng=0))
    >>> optimizer = nn.SGD(model, lr=nn.StepLR(0.1, step_size=1, gamma=0.5))
    >>> history = nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=optimizer, epochs=3,
    ...                  callbacks=[LearningRateLogger()], verbose=0)
    >>> history["lr"]
    [0.1, 0.05, 0.025]
    """

    def on_epoch_begin(self, state: Training) -> None:
        """Note the learning rate."""
        names = ["lr"] if len(state.optimizers) == 1 else [f"lr_{index}" for index in range(len(state.optimizers))]
        for name, optimizer in zip(names, state.optimizers, strict=True):
            state.extra[name] = optimizer.current_lr

    def __repr__(self) -> str:
        return "LearningRateLogger()"
