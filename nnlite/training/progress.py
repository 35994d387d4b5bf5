"""What the user sees while a model trains: a bar on a terminal or in a notebook, lines in a file."""

import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol, Self

LINES = 20  # how many lines a training writes into a file, the first one not counted
SECONDS = 60.0  # after so long without a line there is one more
FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
UNKNOWN_FORMAT = "{desc}, {n_fmt} batches in {elapsed}{postfix}"  # where nobody knows how many there will be


class Progress(Protocol):
    """What ``fit`` tells: that a batch is done, and that an epoch is done."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def batch(self, values: Callable[[], Mapping[str, float]]) -> None:
        """One more batch; ``values`` gives the means of the epoch so far, if they are to be shown."""

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Epoch ``number``, counted from 1, is done."""

    def say(self, line: str) -> None:
        """Something that the user must know."""


def progress(epochs: int, batches: int | None, verbose: int, done: tuple[int, int] = (0, 0)) -> Progress:
    """The progress that suits where stderr goes; ``verbose=0`` shows nothing.

    Args:
        epochs: the number of the last one.
        batches: of an epoch; None where nobody knows.
        verbose: 0 or 1.
        done: how many epochs, and batches of the next one, a resumed training has behind it.

    >>> with progress(1, 1, verbose=0) as silent:
    ...     silent.epoch(1, {"loss": 0.5})
    """
    if verbose not in (0, 1):
        raise ValueError(f"verbose: expected 0 (silent) or 1 (a bar, or lines in a file), got {verbose!r}")
    stderr: Any = sys.stderr  # or what a program has put in its place, with write and flush at least
    if not verbose or epochs == done[0] or stderr is None or getattr(stderr, "closed", False):
        return Silent()
    if sys.stdout is not None and not getattr(sys.stdout, "closed", False):
        sys.stdout.flush()  # what the program printed before belongs before, also where both go into one file
    if _is_terminal(stderr) or "ipykernel" in sys.modules:
        return Bar(epochs, batches, done)
    return Lines(epochs, done[0])


def _is_terminal(stderr: Any) -> bool:
    """Whether a bar can be drawn there: on a terminal of no size nothing would be seen."""
    if not hasattr(stderr, "isatty") or not stderr.isatty():
        return False
    try:
        return os.get_terminal_size(stderr.fileno()).lines > 0
    except (AttributeError, OSError, ValueError):  # it calls itself a terminal, but is no file
        return True


class Silent:
    """Nothing.

    >>> Silent().epoch(1, {"loss": 0.5})
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def batch(self, values: Callable[[], Mapping[str, float]]) -> None:
        """Nothing."""

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""


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

    def __enter__(self) -> Self:
        from tqdm.auto import tqdm

        epochs, batches = self.done
        known = {"bar_format": UNKNOWN_FORMAT, "initial": batches}
        if self.batches is not None:
            total = self.epochs * self.batches
            known = {"total": total, "initial": epochs * self.batches + batches, "bar_format": FORMAT}
        self.bar = tqdm(desc=self._label(epochs + 1), dynamic_ncols=True, **known, **self.options)
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def batch(self, values: Callable[[], Mapping[str, float]]) -> None:
        """Move the bar; when it is drawn the next time, it shows the means of the epoch so far."""
        if self.bar.update():
            self.values |= values()
            self.bar.set_postfix_str(listing(self.values), refresh=False)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Show the epoch's values; those of the validation stand until the next epoch's are known."""
        self.values = dict(values)
        self.bar.set_postfix_str(listing(values), refresh=number == self.epochs)
        self.bar.set_description_str(self._label(min(number + 1, self.epochs)), refresh=False)

    def say(self, line: str) -> None:
        """Write the line above the bar."""
        self.bar.write(line, file=self.options.get("file", sys.stderr))

    def _label(self, number: int) -> str:
        return f"epoch {number}/{self.epochs}"


class Lines(Silent):
    """A plain line for the first and the last epoch, and in between at most 20 and at least one a minute.

    >>> lines = Lines(epochs=1000)
    >>> lines.every
    50
    """

    def __init__(self, epochs: int, done: int = 0) -> None:
        self.epochs = epochs
        self.first = done + 1
        self.every = math.ceil((epochs - done) / LINES)
        self.last = time.monotonic()

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Write the epoch's line, if it is time for one."""
        due = number in (self.first, self.epochs) or number % self.every == 0
        if due or time.monotonic() - self.last >= SECONDS:
            self.last = time.monotonic()
            self.say(f"epoch {number}/{self.epochs}  {listing(values)}")

    def say(self, line: str) -> None:
        """Write the line."""
        with suppress(OSError):  # nobody reads the pipe any more, or the disk is full: training goes on
            print(line, file=sys.stderr, flush=True)


def listing(values: Mapping[str, float]) -> str:
    """Each value, with that of the validation behind it.

    >>> listing({"loss": 0.69314718, "accuracy": 0.5, "val_loss": 0.7, "val_accuracy": 0.25})
    'loss=0.6931 (val 0.7), accuracy=0.5 (val 0.25)'
    """
    parts = []
    for name, value in values.items():
        if name.removeprefix("val_") not in values or not name.startswith("val_"):
            validated = f" (val {values['val_' + name]:.4g})" if "val_" + name in values else ""
            parts.append(f"{name}={value:.4g}{validated}")
    return ", ".join(parts)
