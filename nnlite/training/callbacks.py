"""Callbacks: what else is done while a model trains."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.layer.layer import Layer
from nnlite.optim.optimizer import Optimizer
from nnlite.training.history import History

if TYPE_CHECKING:
    from nnlite.training.evaluate import Means
    from nnlite.training.rows import Rows
    from nnlite.training.step import Update
    from nnlite.training.streams import Stream

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
    validation: "Rows | Stream | None" = None
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
