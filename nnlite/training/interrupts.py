"""Ctrl-C and SIGTERM while training: the current batch is finished first."""

import signal
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)
FORWARDED = tuple(getattr(signal, name) for name in ("SIGUSR1",) if hasattr(signal, name))  # not on Windows


class Interrupts:
    """A context that delays the first SIGINT or SIGTERM until its end, when files are closed.

    A second signal takes effect at once. At the end the program's own signal handler is called; without one, SIGINT
    raises KeyboardInterrupt (exit code 130) and SIGTERM SystemExit (143). A KeyboardInterrupt that is not caught ends
    the program without a traceback, which would only show where in ``fit`` it was. Outside the main thread, where
    Python handles no signals, it does nothing.

    Args:
        say: what to call with a line for the user when a signal comes.
        several: whether other processes take part in the training. Then a second signal is left to the program that
            has started them all, which may send this one several; SIGUSR1 counts as well, which mpiexec forwards
            to all processes without ending them; and Ctrl-C raises an :class:`EndOfRank`.

    Attributes:
        received: the number of the signal that has come; None before.

    >>> with Interrupts() as interrupts:
    ...     interrupts.received is None
    True
    """

    def __init__(self, say: Callable[[str], None] = lambda line: None, *, several: bool = False) -> None:
        self._say = say
        self._several = several
        self.received: int | None = None
        self._active = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS + FORWARDED * self._several:
                previous = signal.getsignal(signum)
                if previous not in (signal.SIG_IGN, None):
                    self._previous[signum] = previous
                    signal.signal(signum, self._note)
        self._active = True
        return self

    def tell(self, signum: int) -> None:
        """Note a signal that another process has got, if none has come here.

        >>> interrupts = Interrupts(several=True)
        >>> interrupts.tell(signal.SIGTERM)
        >>> interrupts.received == signal.SIGTERM
        True
        """
        self.received = self.received or signum

    def _note(self, signum: int, frame: FrameType | None) -> None:
        # An exception at any point may leave this handler installed. So only the first signal inside the context is
        # noted; any other one goes to the previous handler, and none is lost.
        if self.received is not None and self._active and self._several:
            return
        if self.received is not None or not self._active:
            self._restore()
            signal.raise_signal(signum)
            return
        self.received = signum
        again = "press Ctrl-C again to stop now" if signum == signal.SIGINT else "a second signal stops it now"
        with suppress(Exception):  # such as a reentrant print: the line is not worth an error in the middle of a batch
            self._say("stopping after this batch" + f"; {again}" * (not self._several))

    def _restore(self) -> None:
        for signum, previous in self._previous.items():
            if signal.getsignal(signum) == self._note:
                signal.signal(signum, previous)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._active = False
        self._restore()
        if self.received is None or isinstance(error, KeyboardInterrupt | SystemExit):
            return
        if self._previous.get(self.received) is signal.SIG_DFL:
            raise SystemExit(128 + self.received)
        try:
            signal.raise_signal(self.received)
        except KeyboardInterrupt as interrupt:
            if self._several:
                raise EndOfRank(128 + self.received) from None
            interrupt.quiet = _WithoutTraceback()  # type: ignore[attr-defined]
            raise


class EndOfRank(SystemExit, KeyboardInterrupt):
    """A KeyboardInterrupt after which the process exits with a code, where Python would end it by the signal.

    Of a process that a signal has ended mpiexec says, in many lines, that it has crashed.
    """


class _WithoutTraceback:
    """As an attribute of an exception: Python prints no traceback of it. It is undone when the exception is dropped."""

    def __init__(self) -> None:
        hook = sys.excepthook
        if not isinstance(hook, _Hook):  # one for all such exceptions, which the garbage collector may drop late
            hook = sys.excepthook = _Hook(hook)
        hook.quiet += 1
        weakref.finalize(self, hook.drop)


class _Hook:
    """A ``sys.excepthook`` that prints no quiet exceptions; it is removed with the last of them."""

    def __init__(self, previous: Callable[..., Any]) -> None:
        self.previous = previous
        self.quiet = 0  # how many exceptions are

    def __call__(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not isinstance(getattr(error, "quiet", None), _WithoutTraceback):
            self.previous(kind, error, traceback)

    def drop(self) -> None:
        self.quiet -= 1
        if not self.quiet and sys.excepthook is self:
            sys.excepthook = self.previous
