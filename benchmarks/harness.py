"""Timing contenders against each other so that a sceptic can believe it.

Each contender runs in a process of its own, with the same number of threads, on the same cores. They are warmed up,
then timed in turn (A B A B ...), so that whatever else the machine does falls on all of them; between two turns there
is a pause, in which the thread pools of the one before go to sleep. Ratios are taken within a round.

A contender is a function in a module of this folder that returns ``run(steps)``, which takes so many steps and returns
the last one's value. It is named "module:function".
"""

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAUSE = 0.25  # seconds; OpenMP's threads spin for 0.2 after their work
DISTRIBUTIONS = {"torch_compile": "torch", "sklearn": "scikit-learn"}  # contenders not called like their package


class NotInstalledError(Exception):
    """A contender's package is not installed."""


class DisagreementError(Exception):
    """Contenders that do not compute the same are not compared."""


@dataclass(frozen=True)
class Timing:
    """Seconds per step of one contender, one value a round.

    >>> Timing("a", (3.0, 1.0, 2.0)).median
    2.0
    """

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The round in the middle."""
        return statistics.median(self.seconds)

    @property
    def minimum(self) -> float:
        """The quickest round: what is left when the machine does nothing else."""
        return min(self.seconds)

    def ratios(self, other: "Timing") -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of other's time over this one's, round by round.

        >>> Timing("a", (1.0, 1.0)).ratios(Timing("b", (2.0, 2.0)))
        (2.0, 2.0, 2.0)
        """
        ratios = [theirs / own for own, theirs in zip(self.seconds, other.seconds, strict=True)]
        if len(ratios) == 1:
            return ratios[0], ratios[0], ratios[0]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return low, middle, high


class Worker:
    """A contender in its own process, which sleeps until it is asked for something."""

    def __init__(self, contender: str, arguments: Mapping[str, Any], threads: int, blas: str = "") -> None:
        self.name = contender.split(":")[1]
        one = str(threads)
        environment = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": one,
            "OMP_NUM_THREADS": one,
            "MKL_NUM_THREADS": one,
            "NNLITE_BLAS": blas,
            "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}",
        }
        self.process = subprocess.Popen(
            [sys.executable, __file__, contender, json.dumps(dict(arguments)), one],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        answer = self._answer()
        if answer == "missing":
            raise NotInstalledError(DISTRIBUTIONS.get(self.name, self.name))

    def _answer(self) -> Any:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError(f"{self.name} ended with exit code {self.process.wait()}; see its message above")
        return json.loads(line)

    def _ask(self, question: str, number: int) -> Any:
        self.process.stdin.write(f"{question} {number}\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return self._answer()

    def value(self, steps: int) -> float:
        """What the last of the next ``steps`` steps returns."""
        return float(self._ask("value", steps))

    def seconds(self, steps: int) -> float:
        """Seconds per step, over ``steps`` of them."""
        return float(self._ask("time", steps)) / steps

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()


def serve(contender: str, arguments: Mapping[str, Any], threads: int) -> None:
    """The worker's side: build the contender, then answer until the input ends."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:threads])
    module, function = contender.split(":")
    sys.path.insert(0, str(HERE))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not be taken for an answer
    try:
        run = getattr(importlib.import_module(module), function)(**arguments)
    except ModuleNotFoundError:
        print('"missing"', file=answers)
        return
    print('"ready"', file=answers)
    for line in sys.stdin:
        question, number = line.split()
        start = time.perf_counter()
        value = run(int(number))
        answer = value if question == "value" else time.perf_counter() - start
        print(json.dumps(answer), file=answers)


def race(
    contenders: Sequence[str],
    arguments: Mapping[str, Any],
    *,
    threads: int,
    rounds: int,
    seconds: float,
    agree: float | None = None,
    blas: str = "",
) -> list[Timing]:
    """Time the contenders in turn; those whose package is missing are left out, and named on stderr.

    Args:
        contenders: "module:function" of each; the first is the one that all are compared with.
        arguments: what to call each with.
        threads: of each.
        rounds: how many turns each gets.
        seconds: about how long a turn takes.
        agree: how far the 20th step's value may be from the first contender's, relatively.
        blas: NNLITE_BLAS for the contenders.

    Raises:
        DisagreementError: they do not agree.
    """
    workers: list[Worker] = []
    try:
        for contender in contenders:
            try:
                workers.append(Worker(contender, arguments, threads, blas))
            except NotInstalledError as missing:
                print(f"left out: {missing} is not installed (extra: bench)", file=sys.stderr)
        values = [worker.value(20) for worker in workers]
        for worker, value in zip(workers, values, strict=True):
            if agree is not None and not abs(value - values[0]) <= agree * max(1.0, abs(values[0])):
                raise DisagreementError(
                    f"{worker.name} is at {value} after 20 steps, {workers[0].name} at {values[0]}: not comparable"
                )
        steps = [max(1, round(seconds / worker.seconds(3))) for worker in workers]
        taken: list[list[float]] = [[] for _ in workers]
        for _ in range(rounds):
            for own, worker, count in zip(taken, workers, steps, strict=True):
                time.sleep(PAUSE)
                worker.seconds(max(1, count // 10))  # the first steps after a pause are slow
                own.append(worker.seconds(count))
    finally:
        for worker in workers:
            worker.close()
    return [Timing(worker.name, tuple(own)) for worker, own in zip(workers, taken, strict=True)]


def machine() -> dict[str, str]:
    """The machine, the versions and the BLAS that the figures were measured with.

    >>> "numpy" in machine()
    True
    """
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    found = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "blas": f"{blas['name']} {blas['version']}",
    }
    for name in ("numpy", "torch", "jax", "scikit-learn", "mkl"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, the first to the left and the others to the right.

    >>> print(table([("step", "us"), ("a", "1.5")]))
    step   us
    a     1.5
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def arguments(description: str, peers: Sequence[str], default: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--against", default=",".join(default), help=f"peers, from {', '.join(peers)}")
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="runs, each with so many threads")
    parser.add_argument("--rounds", type=int, default=11, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a turn")
    parser.add_argument("--tiny", action="store_true", help="only the smallest sizes, to see that it runs")
    parser.add_argument("--blas", default="", choices=["", "mkl"], help="what nnlite multiplies with")
    parser.add_argument("--json", type=Path, help="write everything into this file")
    parser.add_argument("--plot", type=Path, help="draw the ratios into this file (extra: plot)")
    return parser


def report(options: argparse.Namespace, results: Sequence[tuple[str, int, list[Timing]]]) -> None:
    """Print a table of (label, threads, timings), and write the JSON and the plot that were asked for."""
    rows = [("step", "threads", "contender", "median us", "min us", "its time / nnlite's: median (quartiles)")]
    for label, threads, timings in results:
        for timing in timings:
            low, middle, high = timings[0].ratios(timing)
            rows.append(
                (label, str(threads), timing.name, f"{timing.median * 1e6:,.1f}", f"{timing.minimum * 1e6:,.1f}",
                 f"{middle:.2f} ({low:.2f} to {high:.2f})")
            )  # fmt: skip
    print("\n".join(f"{key}: {value}" for key, value in machine().items()))
    print(table(rows))
    if options.json:
        record = {
            "machine": machine(),
            "options": {key: str(value) for key, value in vars(options).items()},
            "results": [
                {"step": label, "threads": threads, "timings": [asdict(timing) for timing in timings]}
                for label, threads, timings in results
            ],
        }
        options.json.write_text(json.dumps(record, indent=1))
    if options.plot:
        plot(options.plot, results)


def plot(path: Path, results: Sequence[tuple[str, int, list[Timing]]]) -> None:
    """A point for each peer's ratio, with its quartiles; 1 is nnlite's own time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.5 + 0.45 * len(results)), layout="constrained")
    axes = figure.subplots()
    names = sorted({timing.name for _, _, timings in results for timing in timings[1:]})
    for offset, name in enumerate(names):
        points = [
            (place + 0.6 * (offset + 0.5) / len(names) - 0.3, timings[0].ratios(timing))
            for place, (_, _, timings) in enumerate(results)
            for timing in timings[1:]
            if timing.name == name
        ]
        middles = [ratios[1] for _, ratios in points]
        spread = [[ratios[1] - ratios[0] for _, ratios in points], [ratios[2] - ratios[1] for _, ratios in points]]
        axes.errorbar(middles, [place for place, _ in points], xerr=spread, fmt="o", capsize=3, label=name)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(results)), [f"{label}, {threads} threads" for label, threads, _ in results])
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="time of the peer / time of nnlite (right of 1: nnlite is faster)")
    axes.grid(axis="x", alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    serve(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))
