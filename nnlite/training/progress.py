"""Progress: what the user sees while a model trains, a bar on a terminal or in a notebook, lines in a file."""

import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol, Self

LINES = 20  # that a training writes into a file, besides the first and the last
SECONDS = 60.0  # without a line, after which there is one more
FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
NARROW, NARROW_FORMAT = 60, "{desc} {percentage:3.0f}% {elapsed}{postfix}"  # below so many columns, without a bar
UNKNOWN_FORMAT = "{desc}, {n_fmt} batches in {elapsed}{postfix}"  # where the number of batches is not known


class Progress(Protocol):
    """What ``fit`` calls: for each batch and each epoch that is done, and for lines of text."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def batch(self, values: Callable[[], Mapping[str, float]]) -> None:
        """A batch is done; ``values()`` returns the values of the epoch so far, if they are to be shown."""

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """The epoch ``number``, from 1, is done."""

    def say(self, line: str) -> None:
        """Show a line of text."""


def progress(epochs: int, batches: int | None, verbose: int, done: tuple[int, int] = (0, 0), rank: int = 0) -> Progress:
    """A bar, lines or nothing, depending on ``verbose`` and on what stderr is.

    Args:
        epochs: the number of the last epoch.
        batches: the number of batches of an epoch; None if it is not known.
        verbose: 0 or 1.
        done: the number of epochs, and of batches of the next one, that a resumed training has done already.
        rank: the number of the process; only the first one shows something.

    >>> with progress(1, 1, verbose=0) as silent:
    ...     silent.epoch(1, {"loss": 0.5})
    """
    if verbose not in (0, 1):
        raise ValueError(f"verbose: expected 0 (silent) or 1 (a bar, or lines in a file), got {verbose!r}")
    stderr: Any = sys.stderr  # or what a program has replaced it by, with write and flush at least
    if not verbose or rank or epochs == done[0] or stderr is None or getattr(stderr, "closed", False):
        return Silent()
    if sys.stdout is not None and not getattr(sys.stdout, "closed", False):
        sys.stdout.flush()  # so that what was printed before comes before, where both go into one file
    if _is_terminal(stderr) or "ipykernel" in sys.modules:
        return Bar(epochs, batches, done)
    return Lines(epochs, done[0])


def _is_terminal(stderr: Any) -> bool:
    """Whether a bar can be drawn there; a terminal without a size shows nothing."""
    if not hasattr(stderr, "isatty") or not stderr.isatty():
        return False
    try:
        return os.get_terminal_size(stderr.fileno()).lines > 0
    except (AttributeError, OSError, ValueError):  # it says that it is a terminal, but is not a file
        return True


class Silent:
    """Show nothing.

    >>> Silent().epoch(1, {"loss": 0.5})
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def batch(self, values: Callable[[], Mapping[str, float]]) -> None:
        """Do nothing."""

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def say(self, line: str) -> None:
        """Do nothing."""


class Bar(Silent):
    """One tqdm bar over all batches of all epochs, with the epoch, the loss and the metrics.

    >>> import io
    >>> bar = Bar(2, 10, file=io.StringIO())
    """

    def __init__(self, epochs: int, batches: int | None, done: tuple[int, int] = (0, 0), **options: Any) -> None:
        self.epochs = epochs
        self.batches = batches
        self.done = done
        self.options = options
        self.values: dict[str, float] = {}
        self.last = 0  # the last epoch that is done
        self.above: dict[str, AboveBar] = {}  # what stands for sys.stdout and sys.stderr where they are terminals

    def __enter__(self) -> Self:
        from tqdm import tqdm  # and not tqdm.auto, whose widget a saved notebook shows as it was at first

        self.file = self.options.pop("file", None) or getattr(sys.stderr, "terminal", sys.stderr)
        epochs, batches = self.done
        known = {"bar_format": UNKNOWN_FORMAT, "initial": batches}
        if self.batches is not None:
            total = self.epochs * self.batches
            form = FORMAT if _columns(self.file) >= NARROW else NARROW_FORMAT
            known = {"total": total, "initial": epochs * self.batches + batches, "bar_format": form}
        self.bar = tqdm(desc=self._label(epochs + 1), dynamic_ncols=True, file=self.file, **known, **self.options)
        for name in "stdout", "stderr":
            stream = getattr(sys, name)
            if hasattr(stream, "isatty") and stream.isatty() and "ipykernel" not in sys.modules:
                self.above[name] = AboveBar(stream, self.bar)
                setattr(sys, name, self.above[name])
        return self

    def __exit__(self, *error: object) -> None:
        if self.last:  # it may have ended before its last epoch
            self.bar.set_description_str(self._label(self.last), refresh=False)
        self.bar.close()
        for name, stream in self.above.items():
            if getattr(sys, name) is stream:
                setattr(sys, name, stream.below)

    def batch(self, values: Callable[[], Mapping[str, float]]) -> None:
        """Advance the bar; when it is drawn the next time, it shows the values of the epoch so far."""
        if self.bar.update():
            self.values |= values()
            self.bar.set_postfix_str(self._fitting(self.values), refresh=False)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Show the values of the epoch; those of the validation remain until the next ones are known."""
        self.values, self.last = dict(values), number
        self.bar.set_postfix_str(self._fitting(values), refresh=number == self.epochs)
        self.bar.set_description_str(self._label(min(number + 1, self.epochs)), refresh=False)

    def say(self, line: str) -> None:
        """Write the line above the bar."""
        self.bar.write(line, file=self.file)

    def _fitting(self, values: Mapping[str, float]) -> str:
        """As many values as fit whole on the line, since a number that is cut reads as another one."""
        beside = 26 if self.bar.bar_format == FORMAT else 15 if self.bar.bar_format == NARROW_FORMAT else 30
        room = _columns(self.file) - len(self.bar.desc) - beside
        own = {name: value for name, value in values.items() if not name.startswith("val_")}
        parts = _parts(values)
        shown = [", ".join(parts[:count]) for count in range(len(parts), 0, -1)] + _parts(own)[:1]
        return next((text for text in shown if len(text) <= room), "")

    def _label(self, number: int) -> str:
        return f"epoch {number}/{self.epochs}"


class AboveBar:
    """A terminal on which others print while a bar is shown: the bar is cleared first, and drawn again afterwards.

    >>> import io
    >>> with Bar(2, 10, file=io.StringIO()) as bar:
    ...     print("text", file=AboveBar(sys.stdout, bar.bar))
    text
    """

    def __init__(self, stream: Any, bar: Any) -> None:
        self.below = stream
        self.terminal = getattr(stream, "terminal", stream)  # also where a fit within another one shows its bar
        self.bar = bar
        self.line_begins = True

    def write(self, text: str) -> Any:
        """Write the text; the bar is cleared where a line begins."""
        if self.line_begins:
            self.bar.clear()
        self.line_begins = text.endswith("\n")
        return self.below.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)


class Lines(Silent):
    """A line for the first and the last epoch, and in between at most 20, but at least one a minute.

    >>> lines = Lines(epochs=1000)
    >>> lines.every
    50
    """

    def __init__(self, epochs: int, done: int = 0) -> None:
        self.epochs = epochs
        self.first = done + 1
        self.every = math.ceil((epochs - done) / LINES)
        self.last = time.monotonic()
        self.waiting = ""  # the line of the last epoch that is done, if it has not been written

    def __exit__(self, *error: object) -> None:
        self._write_waiting()

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Write the line of the epoch, if one is due."""
        self.waiting = f"epoch {number}/{self.epochs}  {listing(values)}"
        due = number in (self.first, self.epochs) or number % self.every == 0
        if due or time.monotonic() - self.last >= SECONDS:
            self._write_waiting()

    def say(self, line: str) -> None:
        """Write the line, after that of the last epoch."""
        self._write_waiting()
        self._write(line)

    def _write_waiting(self) -> None:
        if self.waiting:
            line, self.waiting, self.last = self.waiting, "", time.monotonic()
            self._write(line)

    def _write(self, line: str) -> None:
        with suppress(OSError):  # the pipe is closed or the disk is full: training continues
            print(line, file=sys.stderr, flush=True)


def listing(values: Mapping[str, float]) -> str:
    """Each value, followed by that of the validation.

    >>> listing({"loss": 0.69314718, "accuracy": 0.5, "val_loss": 0.7, "val_accuracy": 0.25})
    'loss=0.6931 (val 0.7), accuracy=0.5 (val 0.25)'
    """
    return ", ".join(_parts(values))


def _parts(values: Mapping[str, float]) -> list[str]:
    parts = []
    for name, value in values.items():
        if name.removeprefix("val_") not in values or not name.startswith("val_"):
            validated = f" (val {values['val_' + name]:.4g})" if "val_" + name in values else ""
            parts.append(f"{name}={value:.4g}{validated}")
    return parts


def _columns(stream: Any) -> int:
    """The width of a terminal; a large number where it is not known, as in a notebook."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 10_000
    except (AttributeError, OSError, ValueError):
        return 10_000
