"""Callbacks: what else happens while a model trains."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from inspect import signature
from typing import Any

from nnlite.training.training_state import Training


class Callback:
    """Base class of callbacks: ``fit`` calls its methods; a subclass overrides those that it needs.

    Any object with some of the methods is a callback. Each method gets the :class:`Training`, whose attributes it may
    change. It ends the training if it returns True, or a string that says why. An error in a callback names it. A
    callback with ``state_dict()`` and ``load_state_dict(state)``, for a dict of plain values and arrays, is saved in
    checkpoints; a resumed training must have it as well, with the same arguments of the constructor, as far as they are
    attributes of the same names, and not in ``may_differ``.

    Attributes:
        may_differ: names of the arguments that may be others when a training is resumed.

    A callback may change the gradients between backward and the optimizers, for a penalty or for noise:

    >>> import nnlite as nn
    >>> class WeightDecay(Callback):
    ...     def on_backward_end(self, state):
    ...         state.model.dPhi += 0.1 * state.model.Phi
    >>> model = nn.Linear(1, 1, bias=False)
    >>> model.W = [[1.0]]
    >>> history = nn.fit(model, [[1.0]], [[1.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.5),
    ...                  callbacks=[WeightDecay()], verbose=0)
    >>> model.W
    array([[0.95]], dtype=float32)
    """

    may_differ: tuple[str, ...] = ()

    def on_train_begin(self, state: Training) -> Any:
        """Called before the first step; after an error here nothing has been trained."""

    def on_epoch_begin(self, state: Training) -> Any:
        """Called at the beginning of an epoch; not again where a training is resumed in the middle of one."""

    def on_backward_end(self, state: Training) -> Any:
        """Called once a step, when ``model.dPhi`` is complete, before it is clipped and applied."""

    def on_batch_end(self, state: Training) -> Any:
        """Called after the step of each batch, also after the last one before an interrupt."""

    def on_evaluation_begin(self, state: Training) -> Any:
        """Called at the end of an epoch before the validation, to put other weights into the model for it."""

    def on_epoch_end(self, state: Training) -> Any:
        """Called when the values of the epoch are in ``state.values`` and in the history."""

    def on_evaluation_end(self, state: Training) -> Any:
        """Called after ``on_epoch_end`` of all callbacks, also after an error there, to put the weights back."""

    def on_save(self, state: Training) -> Any:
        """Called after a batch or an epoch, when all callbacks are done with it and can be saved."""

    def on_train_end(self, state: Training) -> Any:
        """Called when training is over, whatever ended it: the last epoch, a callback, a signal or an error."""


EVENTS = tuple(name for name in vars(Callback) if name.startswith("on_"))

Call = Callable[[], None]


class Events:
    """The events of a training and what the callbacks do at each.

    >>> events = Events([lambda state: print("the epoch is done")])
    >>> len(events.calls["on_epoch_end"]), len(events.calls["on_batch_end"])
    (1, 0)
    """

    def __init__(self, callbacks: Sequence[Any]) -> None:
        if not isinstance(callbacks, list | tuple):
            raise TypeError(f"callbacks: expected a list, such as [nnlite.EarlyStopping()], got {callbacks!r}")
        self.state: Training  # from the begin on
        self.calls: dict[str, list[Call]] = {event: [] for event in EVENTS}
        self.begins_and_ends: list[tuple[Call | None, Call | None]] = []  # of each callback
        for callback in callbacks:
            calls = {event: self._call(callback, method, event) for event, method in _methods(callback).items()}
            for event, call in calls.items():
                self.calls[event].append(call)
            self.begins_and_ends.append((calls.get("on_train_begin"), calls.get("on_train_end")))

    def _call(self, callback: Any, method: Callable[[Training], Any], event: str) -> Call:
        """Call the method with the state: a true result ends the training, and an error names the callback."""

        def call() -> None:
            try:
                if result := method(self.state):
                    self.state.stop = True
                    if isinstance(result, str):
                        self.state.remarks.append(f"stopped {self.state.done()}: {result}")
            except Exception as error:
                error.add_note(f"in the callback {getattr(callback, '__name__', repr(callback))}, {event}")
                raise

        return call

    def call(self, *events: str) -> None:
        """Call what the callbacks have for the events, one after the other."""
        for event in events:
            for call in self.calls[event]:
                call()

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Call on_evaluation_begin, and at the end on_evaluation_end, whatever has happened in between."""
        with ExitStack() as ends:
            for end in self.calls["on_evaluation_end"]:
                ends.callback(end)
            self.call("on_evaluation_begin")
            yield

    @contextmanager
    def begin(self, state: Training) -> Iterator[None]:
        """Call on_train_begin, and at the end on_train_end of the callbacks that have begun, the last one first."""
        self.state = state
        with ExitStack() as ends:  # an error in one does not keep the others from ending
            for begin, end in self.begins_and_ends:
                if begin:
                    begin()
                if end:
                    ends.callback(end)
            yield


def _methods(callback: Any) -> dict[str, Callable[[Training], Any]]:
    """The methods of a callback by their events, without those that do nothing; a function is one for on_epoch_end."""
    if isinstance(callback, type):
        raise TypeError(f"callbacks: expected callbacks, got the class itself; write {callback.__name__}(...)")
    for name in dir(callback):
        if name.startswith("on_") and name not in EVENTS and callable(getattr(callback, name)):
            raise TypeError(f"callbacks: {callback!r} has a method {name}, which is never called{_meant(name)}")
    methods = {event: getattr(callback, event) for event in EVENTS if hasattr(callback, event)}
    if not (methods or callable(callback)):
        raise TypeError(f"callbacks: expected callbacks or functions of the state, got {callback!r}")
    methods = methods or {"on_epoch_end": callback}
    for event, method in methods.items():
        _check_signature(callback, event, method)
    return {
        event: method
        for event, method in methods.items()
        if getattr(method, "__func__", None) is not getattr(Callback, event)
    }


def _meant(name: str) -> str:
    """The event of a similar name, or all of them."""
    from difflib import get_close_matches  # here, since it is read only in an error

    similar = get_close_matches(name, EVENTS, n=1)
    return f"; did you mean {similar[0]}?" if similar else f"; the events are {', '.join(EVENTS)}"


def _check_signature(callback: Any, event: str, method: Any) -> None:
    """Raise a TypeError unless the method can be called with the state, and does not expect what Keras passes."""
    try:
        expected = signature(method)
    except (TypeError, ValueError):  # it is written in C
        return
    try:
        expected.bind(None)
    except TypeError:
        fits = False
    else:
        fits = "logs" not in expected.parameters
    if not fits:
        raise TypeError(
            f"callbacks: {callback!r}: expected {event}(self, state), got {event}{expected}; the state has .epoch, "
            ".batch, .values and .model"
        )
