"""Compare the time of contenders.

Each contender runs in a process of its own, with the same number of threads, on the same cores; nnlite in one for each
way of computing kernels. A process serves all steps of a benchmark, one after another. After a warm-up the contenders
are timed in turn (A B A B ...), so that other load on the machine affects all of them alike. With several threads there
is a pause between two turns, in which the thread pools of the previous contender go to sleep. Ratios are taken within a
round.

A contender is a function in a module of this folder that returns ``run(steps)``, which runs that many steps and returns
the value of the last one: a number, an array or a tuple of them. Its name is "module:function". Contenders whose values
differ are not compared; an empty tuple agrees with all.
"""

import argparse
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from importlib import util
from pathlib import Path
from typing import Any, Self

import numpy as np
from results import Result, Timing, report

HERE = Path(__file__).parent
PAUSE = {"": 0.05, "mkl": 0.25}  # seconds; OpenMP's threads spin for 6 ms after their work, those of MKL for 0.2 s
TINY = {"rounds": 2, "seconds": 0.005, "pause": 0.0}  # no measurement of speed
OWN = ("nnlite", "compiled", "program", "loop", "fit")  # contenders that run nnlite
DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # modules whose package has another name


class NotInstalledError(Exception):
    """A contender imports a module that is not installed."""


class DisagreementError(Exception):
    """The values of two contenders differ, so they are not compared."""


def environment(threads: int, blas: str = "", kernels: str = "") -> dict[str, str]:
    """The environment variables of this process, with the number of threads set for every library."""
    number = str(threads)
    return {
        **os.environ,
        "OPENBLAS_NUM_THREADS": number,
        "OMP_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "NNLITE_BLAS": blas,
        "NNLITE_KERNELS": kernels,
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}",
    }


class Worker:
    """A process that runs one contender at a time, and waits for requests."""

    def __init__(self, threads: int, blas: str = "", kernels: str = "") -> None:
        self.name = ""
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(threads, blas, kernels),
        )  # fmt: skip

    def _ask(self, *request: Any) -> Any:
        self.process.stdin.write(json.dumps(request) + "\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError(f"{self.name} ended with exit code {self.process.wait()}; see its message above")
        return json.loads(line)

    def build(self, contender: str, arguments: Mapping[str, Any]) -> None:
        """Replace the contender by another one.

        Raises:
            NotInstalledError: it imports a module that is not installed.
        """
        self.name = contender.split(":")[1]
        missing = self._ask("build", contender, dict(arguments))
        if missing:
            raise NotInstalledError(DISTRIBUTIONS.get(missing, missing))

    def value(self, steps: int) -> list[np.ndarray]:
        """Run ``steps`` steps and return the value of the last one."""
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder, "value.npz"))
            self._ask("run", steps, file)
            with np.load(file) as arrays:
                return list(arrays.values())

    def seconds(self, steps: int) -> float:
        """Run ``steps`` steps and return the seconds per step."""
        return float(self._ask("run", steps, "")) / steps

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()
        self.process.stdout.close()  # type: ignore[union-attr]


def serve(threads: int) -> None:
    """The worker process: build contenders and run them, as requested, until the input ends."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:threads])
    sys.path.insert(0, str(HERE))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints goes to stderr, not among the answers
    run: Any = None
    for line in sys.stdin:
        kind, *request = json.loads(line)
        if kind == "build":
            contender, arguments = request
            run = None
            gc.collect()  # its arrays
            module, function = contender.split(":")
            try:
                run = getattr(importlib.import_module(module), function)(**arguments)
                answer = None
            except ModuleNotFoundError as missing:
                answer = missing.name
        else:
            steps, file = request
            start = time.perf_counter()
            value = run(steps)
            answer = time.perf_counter() - start
            if file:
                np.savez(file, *map(np.asarray, value if isinstance(value, tuple) else (value,)))
        print(json.dumps(answer), file=answers)


def race(
    workers: Sequence[Worker],
    *,
    rounds: int,
    seconds: float,
    pause: float,
    steps: int = 20,
    agree: float | None = None,
) -> list[Timing]:
    """Time the contenders in turn.

    Args:
        workers: the processes of the contenders; the others are compared with the first.
        rounds: number of turns of each.
        seconds: approximate length of a turn.
        pause: seconds of sleep before a turn.
        steps: number of steps before values are compared.
        agree: largest difference of the value of the last of them from the first contender's; see :func:`difference`.

    Raises:
        DisagreementError: the values differ.
    """
    values = workers[0].value(steps)
    for worker in workers[1:]:
        others = worker.value(steps)
        apart = difference(others, values) if others else 0.0
        if agree is not None and not apart <= agree:
            raise DisagreementError(
                f"not comparable: after {steps} steps {worker.name} is {apart:.1e} away from {workers[0].name}, "
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


class Field:
    """The contenders of a benchmark, in processes that end with the ``with`` block.

    Args:
        options: as :func:`arguments` parses them.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.workers: dict[tuple[str, int, str], Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        for worker in self.workers.values():
            worker.close()

    def worker(self, name: str, threads: int, kernels: str = "") -> Worker:
        """The process of that contender."""
        key = name, threads, kernels
        if key not in self.workers:
            self.workers[key] = Worker(threads, self.options.blas, kernels)
        return self.workers[key]

    def compare(
        self,
        step: str,
        module: str,
        arguments: Mapping[str, Any],
        *,
        peers: Sequence[str] | None = None,
        agree: float | None,
        steps: int = 20,
        work: float = 0.0,
        unit: str = "",
    ) -> Iterator[Result]:
        """Time nnlite and the peers in ``module`` with each number of threads; exit if their values differ.

        Peers that are not installed are left out, and named on stderr.

        Args:
            step: what the results are called.
            module: in which there is a function for each contender.
            arguments: keyword arguments of that.
            peers: instead of those that the options name.
            agree, steps: as in :func:`race`.
            work: the least work of a step.
            unit: of the work, "FLOP" or "B".
        """
        ways, names = self.options.kernels, ["nnlite", *(self.options.against if peers is None else peers)]
        contenders = [(name, kernels) for kernels in ways for name in names if name in OWN]
        contenders += [(name, "") for name in names if name not in OWN]
        for threads in self.options.threads:
            print(f"{step}, {threads} threads", file=sys.stderr)
            workers = {}
            try:
                for name, kernels in contenders:
                    worker = self.worker(name, threads, kernels)
                    try:
                        worker.build(f"{module}:{name.replace('-', '_')}", arguments)
                    except NotInstalledError as missing:
                        if not workers:
                            raise
                        leave_out(str(missing))
                    else:
                        workers[name, kernels] = worker
                timings = race(list(workers.values()), agree=agree, steps=steps, **turns(self.options, threads))
            except (DisagreementError, NotInstalledError) as refused:
                sys.exit(f"{step}: {refused}")
            for kernels in ways:
                own = [each for (_, way), each in zip(workers, timings, strict=True) if way in (kernels, "")]
                yield Result(step, threads, own, work, unit, kernels, arguments)


def compare_layers(
    description: str,
    module: str,
    cases: Sequence[tuple[Any, ...]],
    contest: Callable[..., tuple[str, dict[str, Any], float]],
    tiny: int = 0,
) -> None:
    """The program that times forward and backward of a layer beside PyTorch's and beside the products alone.

    Args:
        description: what ``--help`` says.
        module: in which there are the contenders nnlite, floor and torch.
        cases: the sizes, one tuple for each.
        contest: called with the sizes, returns what the results are called, the arguments of the contenders, and the
            floating-point operations of a step.
        tiny: the index of the case that ``--tiny`` runs.
    """
    options = arguments(description, ("floor", "torch"), default=["floor"]).parse_args()
    results: list[Result] = []
    with Field(options) as field:
        for sizes in [cases[tiny]] if options.tiny else cases:
            label, keywords, work = contest(*sizes)
            results += field.compare(label, module, keywords, agree=1e-4, steps=2, work=work, unit="FLOP")
    report(options, results)


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
    parser.add_argument("--kernels", nargs="+", type=_kernels, default=["numpy"], metavar="WAY",
                        help="how nnlite computes elementwise formulas: numpy, numba (extra: fast)")  # fmt: skip
    parser.add_argument("--json", type=_file, help="write the results to this file")
    parser.add_argument("--plot", type=_picture, help="draw the results into this file (extra: plot)")
    return parser


def _peers(peers: Sequence[str], text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := sorted(set(names) - set(peers)):
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; the peers are {', '.join(peers)}")
    return names


def _kernels(text: str) -> str:
    if text not in ("numpy", "numba"):
        raise argparse.ArgumentTypeError(f"expected numpy or numba, got {text}")
    if text == "numba" and util.find_spec(text) is None:
        raise argparse.ArgumentTypeError("numba is not installed (extra: fast)")
    return text


def _file(text: str) -> Path:  # checked before the measurement, not after it
    if not Path(text).parent.is_dir():
        raise argparse.ArgumentTypeError(f"the folder of {text} does not exist")
    return Path(text)


def _picture(text: str) -> Path:
    if util.find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError("matplotlib is not installed (extra: plot)")
    return _file(text)


def turns(options: argparse.Namespace, threads: int) -> dict[str, Any]:
    """Number, length and distance of the turns."""
    if options.tiny:
        return TINY
    return {"rounds": options.rounds, "seconds": options.seconds, "pause": PAUSE[options.blas] if threads > 1 else 0.0}


if __name__ == "__main__":
    serve(int(sys.argv[1]))
