"""Results of a benchmark: timings and their ratios, as a table, as JSON and as a figure."""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Timing:
    """The seconds per step of one contender, one value for each round.

    >>> Timing("a", (3.0, 1.0, 2.0)).median
    2.0
    """

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.seconds)

    @property
    def minimum(self) -> float:
        """The fastest round, which other load on the machine affects least."""
        return min(self.seconds)

    def ratios(self, other: "Timing") -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the other's time divided by this one's, round by round.

        >>> Timing("a", (1.0, 1.0)).ratios(Timing("b", (2.0, 2.0)))
        (2.0, 2.0, 2.0)
        """
        return quartiles([theirs / own for own, theirs in zip(self.seconds, other.seconds, strict=True)])


@dataclass(frozen=True)
class Result:
    """The timings of one step; the others are compared with the first.

    ``work`` is the minimum work of a step, in units of "FLOP" or "B" (bytes moved); ``kernels`` is how nnlite computed
    elementwise formulas; ``what`` are the arguments of the contenders.
    """

    step: str
    threads: int
    timings: Sequence[Timing]
    work: float = 0.0
    unit: str = ""
    kernels: str = "numpy"
    what: Mapping[str, Any] = field(default_factory=dict)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile.

    >>> quartiles([5.0, 1.0, 2.0, 3.0, 4.0])
    (2.0, 3.0, 4.0)
    """
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def machine() -> dict[str, str]:
    """The machine, the versions and the BLAS of the measurement.

    >>> "numpy" in machine()
    True
    """
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    found = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "blas": f"{blas['name']} {blas['version']}",
    }
    for name in ("numpy", "numba", "mkl", "torch", "jax", "scikit-learn"):
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
    """Columns of text, the first aligned left and the others right.

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


def report(options: argparse.Namespace, results: Sequence[Result]) -> None:
    """Print a table of the results; write the JSON file and the figure, if asked for."""
    rows = [
        (
            "step",
            "threads",
            "kernels",
            "contender",
            "median us",
            "min us",
            "rate",
            "its time / nnlite's: median (quartiles)",
        )
    ]
    for result in results:
        for timing in result.timings:
            low, middle, high = result.timings[0].ratios(timing)
            rate = f"{result.work / timing.median / 1e9:,.1f} G{result.unit}/s" if result.unit else ""
            rows.append(
                (result.step, str(result.threads), result.kernels, timing.name, f"{timing.median * 1e6:,.1f}",
                 f"{timing.minimum * 1e6:,.1f}", rate, f"{middle:.2f} ({low:.2f} to {high:.2f})")
            )  # fmt: skip
    publish(options, table(rows), [asdict(result) for result in results])
    if options.plot:
        plot(options.plot, results)


def publish(options: argparse.Namespace, text: str, results: Any) -> None:
    """Print the machine and ``text``; write the machine, the options and ``results`` to the JSON file."""
    facts = machine()
    print("\n".join(f"{key}: {value}" for key, value in facts.items()))
    print(text)
    if options.json:
        given = {key: value if isinstance(value, list) else str(value) for key, value in vars(options).items()}
        options.json.write_text(json.dumps({"machine": facts, "options": given, "results": results}, indent=1))


FASTER = "time of the peer / time of nnlite (right of 1: nnlite is faster)"


def plot(path: Path, results: Sequence[Result], says: str = FASTER) -> None:
    """Plot the ratio of each peer with its quartiles, for each way of computing kernels; 1 is the first contender."""
    places = {key: place for place, key in enumerate(dict.fromkeys(map(_place, results)))}
    series: dict[tuple[str, str], list[tuple[float, tuple[float, float, float]]]] = {}
    for result in results:
        for timing in result.timings[1:]:
            points = series.setdefault((timing.name, result.kernels), [])
            points.append((places[_place(result)], result.timings[0].ratios(timing)))
    names, ways = sorted({name for name, _ in series}), list(dict.fromkeys(result.kernels for result in results))
    with drawing(path, height=1.5 + 0.45 * len(places)) as axes:
        for offset, ((name, kernels), points) in enumerate(sorted(series.items())):
            middles = [middle for _, (_, middle, _) in points]
            below = [middle - low for _, (low, middle, _) in points]
            above = [high - middle for _, (_, middle, high) in points]
            axes.errorbar(
                middles, [place + 0.6 * (offset + 0.5) / len(series) - 0.3 for place, _ in points],
                xerr=[below, above], capsize=3, fmt="os"[ways.index(kernels)], color=f"C{names.index(name)}",
                markerfacecolor="none" if ways.index(kernels) else None,
                label=name if len(ways) == 1 else f"{name}, kernels: {kernels}",
            )  # fmt: skip
        axes.axvline(1, color="black", linewidth=1, label=results[0].timings[0].name)
        axes.set_yticks(range(len(places)), [f"{step}, {threads} threads" for step, threads in places])
        axes.invert_yaxis()
        axes.set(xscale="log", xlabel=says)


def _place(result: Result) -> tuple[str, int]:
    return result.step, result.threads


@contextmanager
def drawing(path: Path, height: float) -> Iterator[Any]:
    """Yield axes; save their figure to the file ``path`` at the end."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), layout="constrained")
    axes = figure.subplots()
    yield axes
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, dpi=120)
