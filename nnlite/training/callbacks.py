"""Callbacks: what else is done while a model trains."""

import math
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nnlite.arrays import Array
from nnlite.checks import non_negative, one_of, whole
from nnlite.layer import Layer
from nnlite.optim.optimizer import Optimizer
from nnlite.training.history import History

if TYPE_CHECKING:
    from nnlite.training.data import Rows, Stream
    from nnlite.training.evaluate import Means
    from nnlite.training.update import Update

EVENTS = ("on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_save", "on_train_end")


@dataclass
class Training:
    """What is going on in ``fit``: the one argument that each callback gets.

    Attributes:
        model: being trained.
        loss: what it is trained on.
        optimizers: what moves its parameters.
        epochs: the number of the last epoch.
        batches: how many there are in an epoch; None where nobody knows.
        history: of the epochs that are done.
        epoch: the number of the epoch going on, from 1.
        batch: how many batches of it are done.
        values: the numbers of the epoch that is done, by name: "loss", "val_loss" ...
        extra: numbers that callbacks want among the epoch's ``values``, and so in the history.
        stop: set it to True, or return it, to end the training.
        interrupted: by Ctrl-C or SIGTERM; the training ends after this batch.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 1, rng=0))
    >>> def show(state):
    ...     print(state.epoch, "of", state.epochs, list(state.values))
    >>> history = nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=2,
    ...                  callbacks=[show], verbose=0)
    1 of 2 ['loss']
    2 of 2 ['loss']
    """

    model: Layer
    loss: Layer
    optimizers: list[Optimizer]
    epochs: int = 0
    batches: int | None = None
    history: History = field(default_factory=History)
    epoch: int = 0
    batch: int = 0
    values: dict[str, float] = field(default_factory=dict)
    extra: dict[str, float] = field(default_factory=dict)
    stop: bool = False
    interrupted: bool = False
    # What only a checkpoint asks for:
    rng: "np.random.Generator | None" = None
    rows: "Rows | Stream | None" = None
    validation: "Rows | None" = None
    order: Array | None = None  # of the rows in this epoch
    means: "Means | None" = None
    update: "Update | None" = None
    callbacks: Sequence[Any] = ()


class Callback:
    """What ``fit`` calls on the way; a subclass overrides what it needs. Any object with some of the methods will do.

    Each method gets the :class:`Training`. A true return value ends the training. In an error the callback is named. A
    callback with ``state_dict()`` and ``load_state_dict(state)``, dicts of plain values and arrays, is saved in
    checkpoints; a resumed training must then have it, too.

    >>> import nnlite as nn
    >>> class Patience(Callback):
    ...     def on_batch_end(self, state):
    ...         return state.batch == 3
    """

    def on_train_begin(self, state: Training) -> Any:
        """Nothing has been trained yet; an error here costs nothing."""

    def on_epoch_begin(self, state: Training) -> Any:
        """An epoch begins; not called again where a resumed training goes on in the middle of one."""

    def on_batch_end(self, state: Training) -> Any:
        """The parameters have moved; also after the last batch before an interrupt."""

    def on_epoch_end(self, state: Training) -> Any:
        """The epoch's numbers are in ``state.values`` and in the history."""

    def on_save(self, state: Training) -> Any:
        """All callbacks have done what they do after a batch or an epoch; now their state may be saved."""

    def on_train_end(self, state: Training) -> Any:
        """Training is over, whatever ended it: the last epoch, a callback, a signal or an error."""


Call = tuple[Any, Callable[[Training], Any], str]  # a callback, one of its methods, and for which event it is


class Events:
    """Calls the callbacks: on entering that training begins, on leaving that it has ended.

    >>> state = Training(Layer(), Layer(), [], callbacks=[lambda state: True])
    >>> with Events(state) as events:
    ...     events.call("on_epoch_end")
    >>> state.stop
    True
    """

    def __init__(self, state: Training) -> None:
        if not isinstance(state.callbacks, list | tuple):
            raise TypeError(f"callbacks: expected a list, such as [nnlite.EarlyStopping()], got {state.callbacks!r}")
        self.state = state
        self.of: dict[str, list[Call]] = {event: [] for event in EVENTS}
        for callback in state.callbacks:
            methods = {event: getattr(callback, event) for event in EVENTS if hasattr(callback, event)}
            if isinstance(callback, type) or not (methods or callable(callback)):
                raise TypeError(f"callbacks: expected callbacks or functions of the state, got {callback!r}")
            for event, method in (methods or {"on_epoch_end": callback}).items():
                if getattr(type(callback), event, None) is not getattr(Callback, event):
                    self.of[event].append((callback, method, event))
        for event in "on_batch_end", "on_epoch_end":
            self.of[event] += self.of["on_save"]  # when all the others are done

    def __enter__(self) -> Self:
        try:
            self.call("on_train_begin")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with ExitStack() as every_one:  # also after an error in one of them
            for call in reversed(self.of["on_train_end"]):
                every_one.callback(self._call, *call)

    def call(self, event: str) -> None:
        """Call what each callback has for ``event``; a true return ends the training."""
        for call in self.of[event]:
            self._call(*call)

    def _call(self, callback: Any, method: Callable[[Training], Any], event: str) -> None:
        try:
            if method(self.state):
                self.state.stop = True
        except Exception as error:
            error.add_note(f"in the callback {getattr(callback, '__name__', repr(callback))}, {event}")
            raise


LARGER = ("acc", "precision", "recall", "f1", "auc", "r2", "score")  # of what is so called, more is better


def better(mode: str, monitor: str, min_delta: float = 0.0) -> Callable[[float, float], bool]:
    """Whether a new value of ``monitor`` is better than the best one so far, by more than ``min_delta``.

    Raises:
        ValueError: another mode than "min", "max" and "auto", which goes by the name.

    >>> better("auto", "val_accuracy")(0.9, 0.8), better("min", "loss", min_delta=0.1)(0.75, 0.8)
    (True, False)
    """
    one_of(mode, "mode", ("min", "max", "auto"))
    if mode == "max" or (mode == "auto" and any(word in monitor.lower() for word in LARGER)):
        return lambda new, best: new > best + min_delta
    return lambda new, best: new < best - min_delta


def monitored(state: Training, monitor: str) -> float:
    """The epoch's value that is watched.

    Raises:
        KeyError: there is none of that name; the message has those that there are.
    """
    if monitor not in state.values:
        raise KeyError(f"monitor: there is no {monitor!r} among {list(state.values)}")
    return state.values[monitor]


class EarlyStopping(Callback):
    """End the training when a value has not become better for some epochs, and go back to the best parameters.

    Args:
        monitor: the value to watch.
        min_delta: what counts as better: by more than this.
        patience: how many epochs without an improvement end it; with 0, as with 1, the first.
        mode: "min", "max", or "auto", by the name: larger is better where there is "acc", "precision", "recall", "f1",
            "auc", "r2" or "score" in it.
        baseline: an improvement that does not beat it does not count for patience.
        restore_best_weights: put the best epoch's parameters back when training ends, whatever ends it.
        start_from_epoch: how many epochs to let pass before the watching begins.

    Attributes:
        best: the best value so far, None before the first.
        best_epoch: when it was.

    Raises:
        KeyError: at the first epoch's end, if there is no such value.
        ValueError: an argument out of its range.

    Source: Prechelt, Early stopping - but when?, 1998.

    >>> import nnlite as nn
    >>> stopping = EarlyStopping("loss", patience=2)
    >>> model = nn.Sequential(nn.Linear(1, 1, rng=0))
    >>> history = nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.5), epochs=100,
    ...                  callbacks=[stopping], verbose=0)
    >>> history.epochs < 100 and stopping.best == min(history["loss"])
    True
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        min_delta: float = 0.0,
        patience: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        self.monitor = monitor
        self.min_delta = non_negative(min_delta, "EarlyStopping: min_delta")
        self.patience = whole(patience, "EarlyStopping: patience", least=0)
        self.mode = mode
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = whole(start_from_epoch, "EarlyStopping: start_from_epoch", least=0)
        self.is_better = better(mode, monitor, self.min_delta)
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.best_epoch = self.waited = 0
        self.best_Phi: Array | None = None

    def on_train_begin(self, state: Training) -> bool:
        """Start anew; or where a training is resumed that this had ended already, end it again."""
        if state.epoch == state.batch == 0:
            self._forget()
        return self.waited >= max(self.patience, 1) and state.batch == 0

    def on_epoch_end(self, state: Training) -> bool:
        """Keep the parameters if they are the best; stop after too many epochs that were not."""
        value = monitored(state, self.monitor)
        if state.epoch <= self.start_from_epoch:
            return False
        self.waited += 1
        if math.isfinite(value) and (self.best is None or self.is_better(value, self.best)):
            self.best, self.best_epoch = value, state.epoch
            if self.restore_best_weights:
                self.best_Phi = state.model.Phi.copy()
            if self.baseline is None or self.is_better(value, self.baseline):
                self.waited = 0
            return False
        return self.waited >= self.patience

    def on_train_end(self, state: Training) -> None:
        """Put the best parameters back."""
        if self.best_Phi is not None:
            state.model.Phi = self.best_Phi

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs."""
        names = "best", "best_epoch", "waited", "best_Phi"
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state_dict` gave."""
        vars(self).update(state)

    def __repr__(self) -> str:
        return f"EarlyStopping({self.monitor!r}, patience={self.patience})"


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
