"""Compare the time of contenders.

Each contender runs in a process of its own, with the same number of threads, on the same cores. After a warm-up they
are timed in turn (A B A B ...), so that other load on the machine affects all of them alike; between two turns there is
a pause, in which the thread pools of the previous contender go to sleep. Ratios are taken within a round.

A contender is a function in a module of this folder that returns ``run(steps)``, which runs that many steps and returns
the value of the last one: a number, an array or a tuple of them. Its name is "module:function". Contenders whose values
differ are not compared.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import cache, partial
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
from results import Result, Timing

HERE = Path(__file__).parent
PAUSE = 0.25  # seconds; the threads of OpenMP spin for 0.2 s after their work
TINY = {"rounds": 2, "seconds": 0.005, "pause": 0.0}  # no measurement of speed
DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # modules whose package has another name


class NotInstalledError(Exception):
    """A contender imports a module that is not installed."""


class DisagreementError(Exception):
    """The values of two contenders differ, so they are not compared."""


def environment(threads: int, blas: str = "") -> dict[str, str]:
    """The environment variables of this process, with the number of threads set for every library."""
    number = str(threads)
    return {
        **os.environ,
        "OPENBLAS_NUM_THREADS": number,
        "OMP_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "NNLITE_BLAS": blas,
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}",
    }


class Worker:
    """A contender in a process of its own, which waits for requests.

    Raises:
        NotInstalledError: it imports a module that is not installed.
    """

    def __init__(self, contender: str, arguments: Mapping[str, Any], threads: int, blas: str = "") -> None:
        self.name = contender.split(":")[1]
        self.process = subprocess.Popen(
            [sys.executable, __file__, contender, json.dumps(dict(arguments)), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(threads, blas),
        )  # fmt: skip
        missing = self._answer()
        if missing:
            self.close()
            raise NotInstalledError(DISTRIBUTIONS.get(missing, missing))

    def _answer(self) -> Any:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError(f"{self.name} ended with exit code {self.process.wait()}; see its message above")
        return json.loads(line)

    def _ask(self, steps: int, file: str = "") -> Any:
        self.process.stdin.write(json.dumps([steps, file]) + "\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return self._answer()

    def value(self, steps: int) -> list[np.ndarray]:
        """Run ``steps`` steps and return the value of the last one."""
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder, "value.npz"))
            self._ask(steps, file)
            with np.load(file) as arrays:
                return list(arrays.values())

    def seconds(self, steps: int) -> float:
        """Run ``steps`` steps and return the seconds per step."""
        return float(self._ask(steps)) / steps

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()
        self.process.stdout.close()  # type: ignore[union-attr]


def serve(contender: str, arguments: Mapping[str, Any], threads: int) -> None:
    """The worker process: build the contender, then answer requests until the input ends."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:threads])
    module, function = contender.split(":")
    sys.path.insert(0, str(HERE))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints goes to stderr, not among the answers
    try:
        run = getattr(importlib.import_module(module), function)(**arguments)
    except ModuleNotFoundError as missing:
        print(json.dumps(missing.name), file=answers)
        return
    print("null", file=answers)
    for line in sys.stdin:
        steps, file = json.loads(line)
        start = time.perf_counter()
        value = run(steps)
        seconds = time.perf_counter() - start
        if file:
            np.savez(file, *map(np.asarray, value if isinstance(value, tuple) else (value,)))
        print(json.dumps(seconds), file=answers)


def race(
    contenders: Sequence[str],
    arguments: Mapping[str, Any],
    *,
    threads: int,
    rounds: int,
    seconds: float,
    pause: float = PAUSE,
    agree: float | None = None,
    blas: str = "",
) -> list[Timing]:
    """Time the contenders in turn; leave out those that are not installed, and name them on stderr.

    Args:
        contenders: "module:function" of each; the others are compared with the first.
        arguments: keyword arguments of each.
        threads: number of threads of each.
        rounds: number of turns of each.
        seconds: approximate length of a turn.
        pause: seconds of sleep before a turn.
        agree: largest difference of the value of the 20th step from the first contender's; see :func:`difference`.
        blas: NNLITE_BLAS for the contenders.

    Raises:
        DisagreementError: the values differ.
        NotInstalledError: the package of the first contender is not installed.
    """
    with ExitStack() as stack:
        workers = []
        for contender in contenders:
            try:
                workers.append(stack.enter_context(closing(Worker(contender, arguments, threads, blas))))
            except NotInstalledError as missing:
                if not workers:
                    raise
                leave_out(str(missing))
        values = workers[0].value(20)
        for worker in workers[1:]:
            apart = difference(worker.value(20), values)
            if agree is not None and not apart <= agree:
                raise DisagreementError(
                    f"not comparable: after 20 steps {worker.name} is {apart:.1e} away from {workers[0].name}, "
                    f"where {agree:.0e} is allowed"
                )
        taken = take_turns(workers, rounds=rounds, seconds=seconds, pause=pause)
        return [Timing(worker.name, own) for worker, own in zip(workers, taken, strict=True)]


def take_turns(
    workers: Sequence[Worker], *, rounds: int, seconds: float, pause: float = PAUSE
) -> list[tuple[float, ...]]:
    """The seconds per step of each worker, one value for each round."""
    steps = [max(1, round(seconds / worker.seconds(3))) for worker in workers]
    taken: list[list[float]] = [[] for _ in workers]
    for _ in range(rounds):
        for own, worker, count in zip(taken, workers, steps, strict=True):
            time.sleep(pause)
            worker.seconds(max(1, count // 10))  # the first steps after a pause are slow
            own.append(worker.seconds(count))
    return [tuple(own) for own in taken]


def difference(values: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> float:
    """The largest absolute difference of two elements, relative to the largest element of its array.

    >>> difference([np.array(1.0), np.array([1.0, 8.0])], [np.array(1.0), np.array([3.0, 8.0])])
    0.25
    """
    if [np.shape(value) for value in values] != [np.shape(other) for other in others]:
        return float("inf")
    shares = [
        float(np.max(np.abs(value - other)) / (np.max(np.abs(other)) or 1.0))
        for value, other in zip(values, others, strict=True)
    ]
    return float(np.max(shares))  # NaN if any is


@cache
def leave_out(package: str) -> None:
    """Report on stderr, once, that a package is not installed."""
    print(f"left out: {package} is not installed (extra: bench)", file=sys.stderr)


def compare(
    step: str,
    module: str,
    arguments: Mapping[str, Any],
    options: argparse.Namespace,
    *,
    agree: float,
    work: float = 0.0,
    unit: str = "",
) -> Iterator[Result]:
    """Time nnlite and the peers in ``module`` with each number of threads; exit if their values differ."""
    contenders = [f"{module}:{name.replace('-', '_')}" for name in ["nnlite", *options.against]]
    for threads in options.threads:
        print(f"{step}, {threads} threads", file=sys.stderr)
        try:
            timings = race(contenders, arguments, threads=threads, agree=agree, blas=options.blas, **turns(options))
        except (DisagreementError, NotInstalledError) as refused:
            sys.exit(f"{step}: {refused}")
        yield Result(step, threads, timings, work, unit)


def arguments(description: str, peers: Sequence[str], default: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The command-line options of every benchmark."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=partial(_peers, peers), default=",".join(default),
                        help=f"peers, separated by commas, from {', '.join(peers)}")  # fmt: skip
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="numbers of threads; one run with each")
    parser.add_argument("--rounds", type=int, default=11, help="number of turns of each contender")
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a turn")
    parser.add_argument("--tiny", action="store_true", help="one small size and a few steps, to check that it runs")
    parser.add_argument("--blas", default="", choices=["", "mkl"], help="library for nnlite's matrix products")
    parser.add_argument("--json", type=_file, help="write the results to this file")
    parser.add_argument("--plot", type=_picture, help="draw the results into this file (extra: plot)")
    return parser


def _peers(peers: Sequence[str], text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := sorted(set(names) - set(peers)):
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; the peers are {', '.join(peers)}")
    return names


def _file(text: str) -> Path:  # checked before the measurement, not after it
    if not Path(text).parent.is_dir():
        raise argparse.ArgumentTypeError(f"the folder of {text} does not exist")
    return Path(text)


def _picture(text: str) -> Path:
    if util.find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError("matplotlib is not installed (extra: plot)")
    return _file(text)


def turns(options: argparse.Namespace) -> dict[str, Any]:
    """Number, length and distance of the turns."""
    return TINY if options.tiny else {"rounds": options.rounds, "seconds": options.seconds, "pause": PAUSE}


if __name__ == "__main__":
    serve(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))
