"""Ctrl-C and SIGTERM while training: the batch in hand is finished first."""

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While it is entered, a signal is only noted; it takes effect on leaving, after everything inside is closed.

    It is true once a signal has come. A second signal takes effect at once. On leaving, a handler of the program's own
    is called as it would have been; without one, SIGINT raises KeyboardInterrupt (exit code 130) and SIGTERM
    SystemExit (143). A KeyboardInterrupt that nobody catches ends the program without a traceback, which would only
    show where in ``fit`` it was. Outside the main thread, where Python takes no signals, it does nothing.

    >>> with Interrupts() as interrupts:
    ...     bool(interrupts)
    False
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._previous: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self._received is not None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                previous = signal.getsignal(signum)
                if previous not in (signal.SIG_IGN, None):
                    self._previous[signum] = previous
                    signal.signal(signum, self._note)
        return self

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._received = signum
        self._restore()

    def _restore(self) -> None:
        for signum, previous in self._previous.items():
            signal.signal(signum, previous)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()
        if self._received is None or isinstance(error, KeyboardInterrupt | SystemExit):
            return
        if self._previous[self._received] is signal.SIG_DFL:
            raise SystemExit(128 + self._received)
        try:
            signal.raise_signal(self._received)
        except KeyboardInterrupt as interrupt:
            _end_quietly(interrupt)
            raise


def _end_quietly(interrupt: KeyboardInterrupt) -> None:
    """See to it that Python prints no traceback if this is what ends the program."""
    interrupt.quiet = True  # type: ignore[attr-defined]
    shown = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not hasattr(error, "quiet"):
            shown(kind, error, traceback)

    sys.excepthook = hook
