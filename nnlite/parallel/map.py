"""map: many independent trainings, on local processes or on the ranks of MPI."""

import builtins
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from typing import Any

from nnlite.basics.checks import whole
from nnlite.basics.cores import cores

THREADS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"


@dataclass(frozen=True)
class Failure:
    """What :func:`nnlite.parallel.map` returns for a call that failed, in place of its result.

    Attributes:
        arguments: those of the call.
        error: the exception that it raised; a ``BrokenProcessPool`` if its process was killed, as for want of memory.
        traceback: the traceback in the process, as text.

    >>> Failure((3,), ValueError("lr: expected a number above 0"), "")
    Failure(3 -> ValueError: lr: expected a number above 0)
    """

    arguments: tuple[Any, ...]
    error: BaseException
    traceback: str

    def __repr__(self) -> str:
        arguments = ", ".join(builtins.map(repr, self.arguments))
        return f"Failure({arguments} -> {type(self.error).__name__}: {self.error})"


def map(
    function: Callable[..., Any],
    *iterables: Iterable[Any],
    workers: int | None = None,
    threads: int = 1,
    executor: Executor | None = None,
    verbose: int = 1,
) -> list[Any]:
    """Call ``function(*arguments)`` for each of the arguments, several at a time; the results are in their order.

    For many small independent trainings: seeds, folds of a cross-validation, hyper-parameters. A call that raises does
    not end the others. If a process is killed, its call fails; those that ran beside it are called again.

    Args:
        function: from the top level of a module or program, since processes import it by name; a program calls map
            below ``if __name__ == "__main__":``.
        iterables: the arguments, one iterable for each argument of the function, of one length.
        workers: how many processes; by default one for each core that this process may use.
        threads: how many threads BLAS and Numba have in each process.
        executor: another executor of the interface of ``concurrent.futures``, which has its own number of workers and
            of threads, and is not shut down. With ``mpi4py.futures.MPIPoolExecutor()``, in a program started by
            ``mpiexec -n 9 -genv OMP_NUM_THREADS 1 python -m mpi4py.futures search.py``, calls run on eight ranks. With
            ``loky.get_reusable_executor()`` the function may be one of a notebook.
        verbose: 1 for a bar on a terminal or in a notebook, 0 for none.

    Returns:
        The results; for a call that failed a :class:`nnlite.parallel.Failure`.

    Raises:
        TypeError: ``function`` cannot be called, or cannot be sent to a process.
        ValueError: the iterables are of different lengths.
        RuntimeError: no process could start.
        KeyboardInterrupt: on Ctrl-C. Its attribute ``results`` has what would be returned, with a Failure for each
            call that has not ended. A training that runs finishes its batch, and writes its checkpoint if it has one.

    >>> import math, nnlite as nn
    >>> nn.parallel.map(math.sqrt, [4.0, -1.0, 9.0], workers=2, verbose=0)
    [2.0, Failure(-1.0 -> ValueError: math domain error), 3.0]
    """
    threads = whole(threads, "map: threads", least=1)
    workers = cores() if workers is None else whole(workers, "map: workers", least=1)
    if not callable(function):
        raise TypeError(f"map: expected a function, got {function!r}")
    if executor is None:
        _check_sendable(function)
    if not iterables:
        raise TypeError("map: expected at least one iterable of arguments")
    columns = [list(each) for each in iterables]
    if len(lengths := {len(column) for column in columns}) > 1:
        raise ValueError(f"map: expected iterables of one length, got lengths {sorted(lengths)}")
    calls = dict(enumerate(zip(*columns, strict=True)))
    results: dict[int, Any] = {}
    try:
        with _bar(len(calls), verbose) as tick:
            if executor is not None:
                for number, error in _run(executor, function, calls, results, tick).items():
                    results[number] = Failure(calls[number], error, "")
            elif calls:
                with _environment(threads):
                    _run_on_processes(min(workers, len(calls)), function, calls, results, tick)
    except KeyboardInterrupt as interrupt:
        unfinished = {number: Failure(call, KeyboardInterrupt(), "") for number, call in calls.items()}
        interrupt.results = list((unfinished | results).values())  # type: ignore[attr-defined]
        raise
    return [results[number] for number in calls]


def _check_sendable(function: Any) -> None:
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"map: {function!r} cannot be sent to a process; define it with def at the top level of a module, and pass "
            "what it needs as arguments"
        ) from error
    if getattr(function, "__module__", "") == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise TypeError(
            f"map: processes cannot import {function.__name__} from an interactive session; put it into a module, or "
            "use executor=loky.get_reusable_executor()"
        )


def _run_on_processes(
    workers: int, function: Callable[..., Any], calls: dict[int, Any], results: dict[int, Any], tick: Callable[[], Any]
) -> None:
    """Fill in the results of the calls, whatever happens to the processes."""
    waiting = calls
    while waiting:
        with _processes(workers) as pool:
            try:
                pool.submit(abs, 0).result()
            except BrokenExecutor as error:
                raise RuntimeError(
                    'map: no process could start; call map below if __name__ == "__main__":, since each process '
                    "imports the program"
                ) from error
            lost = _run(pool, function, waiting, results, tick)
        # A killed process breaks the pool. The calls that were running are the first of those lost; each gets a process
        # of its own, which shows whose was killed. The others go on together.
        for number in list(lost)[:workers]:
            with _processes(1) as pool:
                for killed in _run(pool, function, {number: calls[number]}, results, tick).values():
                    results[number] = Failure(calls[number], killed, "")
                    tick()
        waiting = {number: calls[number] for number in lost if number not in results}


def _run(
    executor: Executor,
    function: Callable[..., Any],
    calls: dict[int, Any],
    results: dict[int, Any],
    tick: Callable[[], Any],
) -> dict[int, BaseException]:
    """Fill in the results of the calls; return the errors of those lost with their process, in the order of calls."""
    lost: dict[int, BaseException] = {}
    futures = {}
    for number, arguments in calls.items():
        try:
            futures[executor.submit(_called, function, arguments)] = number
        except BrokenExecutor as broken:
            lost[number] = broken
    try:
        for future in as_completed(futures):
            number = futures[future]
            try:
                result, error, text = future.result()
            except BrokenExecutor as broken:
                lost[number] = broken
                continue
            except Exception as unsent:  # the arguments or the result could not be sent
                result, error, text = None, unsent, traceback.format_exc()
            results[number] = Failure(calls[number], error, text) if error else result
            tick()
    except KeyboardInterrupt:
        for future in futures:  # those that wait, also in an executor that is not shut down
            future.cancel()
        raise
    return dict(sorted(lost.items()))


class _Process:
    """The process, as one of those that run calls: SIGTERM ends the call that it runs, and those that follow.

    A training of :func:`nnlite.fit` finishes its batch first, and writes its checkpoint. The process itself goes on,
    since the pool would kill the others if one ended. Ctrl-C, which a terminal sends to all, is left to the program
    that called map.
    """

    calls = stops = False

    def begin(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, signum: int, frame: Any) -> None:
        self.stops = True
        if self.calls:
            raise SystemExit(128 + signum)


_process = _Process()


def _begin() -> None:  # pickled by its name, as a bound method of this object would not be
    _process.begin()


def _called(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, BaseException | None, str]:
    """In the process: the result, or the error and its traceback."""
    try:
        _process.calls = True
        if _process.stops:
            raise SystemExit
        return function(*arguments), None, ""
    except (Exception, SystemExit) as error:  # sys.exit would end the program that called map
        text = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an exception whose constructor needs more than its message
            return None, RuntimeError(f"{type(error).__name__}: {error}"), text
        return None, error, text
    finally:
        _process.calls = False


@contextmanager
def _processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes; when they are left by an error, such as Ctrl-C, they get SIGTERM, and begin nothing new."""
    others = active_children()
    context = get_context("spawn")  # a fork would copy the locks of BLAS's threads in whatever state they are
    pool = ProcessPoolExecutor(workers, context, initializer=_begin)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in active_children():
            if process not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown()


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """Let processes that start within have so many threads: BLAS reads it when it is loaded."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _bar(total: int, verbose: int) -> Iterator[Callable[[], Any]]:
    """What to call after each call."""
    if verbose not in (0, 1):
        raise ValueError(f"verbose: expected 0 (silent) or 1 (a bar), got {verbose!r}")
    from tqdm.auto import tqdm  # its import takes as long as that of nnlite

    with tqdm(total=total, disable=True if not verbose else None, unit="call") as bar:
        yield bar.update
