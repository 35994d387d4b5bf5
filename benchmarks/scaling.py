"""Measure how the time and the memory of a training step grow with batch, width and depth.

    python benchmarks/scaling.py --threads 1 2

Each sweep increases one size; time and memory are fitted, by least squares of their logarithms, as a power of the batch
or of the number of parameters. Only the upper half of the sweep (in octaves) is used, since the overhead of calls
dominates below it. An exponent of 1 is linear growth; its standard error is next to it. The sizes of a sweep are timed
in turn, so that other load on the machine affects all of them alike.

Memory is the peak during a step (tracemalloc), including everything allocated before. "model" is the necessary part:
the parameters, their gradients, the input of each layer and the output.
"""

import argparse
import sys
import tracemalloc
from collections.abc import Sequence
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import contenders
import numpy as np
from harness import OWN, NotInstalledError, Worker, arguments, leave_out, take_turns, turns
from results import Timing, drawing, publish, table

Point = tuple[Sequence[int], int]  # widths of the network, rows of the batch


def octaves(first: int, last: int) -> list[int]:
    """From ``first`` to ``last`` in steps of half an octave: 2, 3, 4, 6, 8, 12 ..."""
    sizes = [first << k for k in range(20)] + [(first << k) * 3 // 2 for k in range(20)]
    return sorted(size for size in sizes if size <= last)


SWEEPS = {
    "batch": [((512, 512, 512), rows) for rows in octaves(256, 8192)],
    "width": [((width, width, width), 256) for width in octaves(256, 2048)],
    "depth": [((128,) * (depth + 1), 256) for depth in octaves(2, 64)],
}
TINY = {
    "batch": [((8, 8, 8), rows) for rows in (4, 8)],
    "width": [((width, width, width), 4) for width in (4, 8)],
}


def parameters(sizes: Sequence[int]) -> int:
    return sum((D + 1) * M for D, M in pairwise(sizes))


def model_bytes(sizes: Sequence[int], rows: int, itemsize: int) -> int:
    """The bytes of Phi, dPhi, the X of each layer and the Y of the last."""
    return itemsize * (2 * parameters(sizes) + rows * sum(sizes))


def peak_bytes(sizes: Sequence[int], rows: int, dtype: str) -> int:
    """The peak memory of the second step of nnlite."""
    contenders.nnlite(sizes, rows, dtype, lr=0.01)(1)  # what is loaded or allocated only once
    tracemalloc.start()
    try:
        run = contenders.nnlite(sizes, rows, dtype, lr=0.01)
        run(1)
        tracemalloc.reset_peak()
        run(1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def fit(x: Sequence[float], y: Sequence[float]) -> tuple[float, float | None]:
    """The exponent of ``y = c x^exponent`` and its standard error (None for two points).

    Points below the middle of log x are not used, except that the last two always are.

    >>> exponent, error = fit([1, 2, 4, 8, 16], [9, 9, 3 * 4**2, 3 * 8**2, 3 * 16**2])
    >>> round(exponent, 6), round(error, 6)
    (2.0, 0.0)
    """
    a, b = np.log(x), np.log(y)
    upper = a >= min((a[0] + a[-1]) / 2, a[-2]) - 1e-9
    a, b = a[upper] - a[upper].mean(), b[upper] - b[upper].mean()
    exponent = a @ b / (a @ a)
    residual, freedom = b - exponent * a, len(a) - 2
    return float(exponent), float(np.sqrt(residual @ residual / freedom / (a @ a))) if freedom else None


def measure(sweep: str, points: Sequence[Point], options: argparse.Namespace) -> dict[str, Any]:
    """Time and memory at each point, and the fitted exponents."""
    x = [rows if sweep == "batch" else parameters(sizes) for sizes, rows in points]
    peak = [peak_bytes(sizes, rows, options.dtype) for sizes, rows in points]
    model = [model_bytes(sizes, rows, np.dtype(options.dtype).itemsize) for sizes, rows in points]
    times = []
    for threads in options.threads:
        names = ["nnlite", *options.against]
        for name, kernels in [(each, way) for each in names for way in (options.kernels if each in OWN else [""])]:
            print(f"{sweep}, {name}, {threads} threads", file=sys.stderr)
            if timings := timed(name, points, threads, kernels, options):
                exponent, error = fit(x, [timing.median for timing in timings])
                times.append({"contender": f"{name}, {kernels}" if kernels == "numba" else name, "threads": threads,
                              "exponent": exponent, "error": error,
                              "median": [timing.median for timing in timings],
                              "seconds": [timing.seconds for timing in timings]})  # fmt: skip
    exponent, error = fit(x, peak)
    memory = {"exponent": exponent, "error": error, "peak_bytes": peak, "model_bytes": model}
    return {"sweep": sweep, "in": "batch" if sweep == "batch" else "parameters", "x": x, "points": points,
            "memory": memory, "times": times}  # fmt: skip


def timed(name: str, points: Sequence[Point], threads: int, kernels: str, options: argparse.Namespace) -> list[Timing]:
    """The timing of the contender at each point, in turn; an empty list if it is not installed."""
    with ExitStack() as stack:
        workers = []
        for sizes, rows in points:
            step = {"sizes": sizes, "rows": rows, "dtype": options.dtype, "lr": 0.01}
            worker = stack.enter_context(closing(Worker(threads, options.blas, kernels)))
            try:
                worker.build(f"contenders:{name.replace('-', '_')}", step)
            except NotInstalledError as missing:
                leave_out(str(missing))
                return []
            workers.append(worker)
        return [Timing(name, own) for own in take_turns(workers, **turns(options, threads))]


def tables(results: Sequence[dict[str, Any]]) -> str:
    """A table of all points, one of the memory, and one of the exponents."""
    rows = [("sweep", "layers", "parameters", "batch", "contender", "threads", "median us")]
    sizes = [("sweep", "layers", "parameters", "batch", "peak MB", "peak / model")]
    fits = [("exponent of", "in", "contender", "threads", "exponent", "standard error")]
    for result in results:
        names = [(result["sweep"], str(len(widths) - 1), f"{parameters(widths):,}", str(batch))
                 for widths, batch in result["points"]]  # fmt: skip
        memory = result["memory"]
        for name, peak, model in zip(names, memory["peak_bytes"], memory["model_bytes"], strict=True):
            sizes.append((*name, f"{peak / 1e6:,.3f}", f"{peak / model:.3f}"))
        fits.append((f"memory, {result['sweep']}", result["in"], "nnlite", "", *shown(memory)))
        for times in result["times"]:
            who = times["contender"], str(times["threads"])
            rows += [(*name, *who, f"{own * 1e6:,.1f}") for name, own in zip(names, times["median"], strict=True)]
            fits.append((f"time, {result['sweep']}", result["in"], *who, *shown(times)))
    return "\n\n".join(map(table, (rows, sizes, fits)))


def shown(fitted: dict[str, Any]) -> tuple[str, str]:
    return f"{fitted['exponent']:.3f}", "" if fitted["error"] is None else f"{fitted['error']:.3f}"


def plot(path: Path, results: Sequence[dict[str, Any]]) -> None:
    """Plot time against size, both as multiples of their first value."""
    with drawing(path, height=6) as axes:
        for result in results:
            x = np.divide(result["x"], result["x"][0])
            for times in result["times"]:
                label = f"{result['sweep']}, {times['contender']}, {times['threads']} threads"
                axes.plot(x, np.divide(times["median"], times["median"][0]), ".-", label=label)
        axes.axline((1, 1), (2, 2), color="black", linewidth=1, label="exponent 1")
        axes.set(xscale="log", yscale="log", xlabel="batch or parameters / the first's", ylabel="time / the first's")


def main() -> None:
    parser = arguments(__doc__, ("numpy", "torch", "torch-compile", "jax"))
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    options = parser.parse_args()
    sweeps = TINY if options.tiny else SWEEPS
    results = [measure(sweep, points, options) for sweep, points in sweeps.items()]
    publish(options, tables(results), results)
    if options.plot:
        plot(options.plot, results)


if __name__ == "__main__":
    main()
