"""How the time and the memory of a training step grow with batch, width and depth.

    python benchmarks/scaling.py --threads 1 2

Each sweep doubles one size; time and memory are fitted, by least squares of their logarithms over the upper half of
the sweep, as a power of the batch or of the number of parameters. An exponent of 1 is linear growth; beside it stands
its standard error. The sizes of a sweep take turns, so that a disturbance falls on all of them.

Memory is the most that a step holds at once (tracemalloc), all that lived before it included. "model" is what the
mathematics asks for: the parameters and their gradients, and a batch of every layer's X and of the scores.
"""

import sys
import tracemalloc
from collections.abc import Sequence
from contextlib import ExitStack, closing
from itertools import pairwise

import contenders
import numpy as np
from harness import NotInstalledError, Timing, Worker, arguments, drawing, leave_out, publish, table, take_turns, turns


def octaves(first: int, last: int) -> list[int]:
    """From ``first`` to ``last`` in steps of a half octave: 2, 3, 4, 6, 8, 12 ..."""
    sizes = [first << k for k in range(20)] + [(first << k) * 3 // 2 for k in range(20)]
    return sorted(size for size in sizes if size <= last)


# (widths of the network, rows of the batch) of each size
SWEEPS = {
    "batch": [((512, 512, 512), rows) for rows in octaves(256, 8192)],
    "width": [((width, width, width), 256) for width in octaves(256, 2048)],
    "depth": [((128,) * (depth + 1), 256) for depth in octaves(2, 64)],
}
TINY = {
    "batch": [((8, 8, 8), rows) for rows in (4, 8, 16)],
    "width": [((width, width, width), 4) for width in (4, 8)],
    "depth": [((8,) * (depth + 1), 4) for depth in (2, 4)],
}


def parameters(sizes: Sequence[int]) -> int:
    return sum((D + 1) * M for D, M in pairwise(sizes))


def model_bytes(sizes: Sequence[int], rows: int, itemsize: int) -> int:
    """Phi, dPhi, and each layer's X and the last one's Y."""
    return itemsize * (2 * parameters(sizes) + rows * sum(sizes))


def peak_bytes(sizes: Sequence[int], rows: int, dtype: str) -> int:
    """The most that nnlite's second step holds, with all that it needs."""
    tracemalloc.start()
    try:
        run = contenders.nnlite(sizes, rows, dtype, lr=0.01)
        run(1)
        tracemalloc.reset_peak()
        run(1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def fit(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """The exponent of ``y = c x^exponent`` over the upper half of log x, and its standard error (NaN for two points).

    >>> exponent, error = fit([1, 2, 4, 8, 16], [9, 9, 3 * 4**2, 3 * 8**2, 3 * 16**2])
    >>> round(exponent, 6), round(error, 6)
    (2.0, 0.0)
    """
    a, b = np.log(x), np.log(y)
    upper = a >= (a[0] + a[-1]) / 2 - 1e-9
    a, b = a[upper] - a[upper].mean(), b[upper] - b[upper].mean()
    exponent = a @ b / (a @ a)
    residual, freedom = b - exponent * a, len(a) - 2
    return float(exponent), float(np.sqrt(residual @ residual / freedom / (a @ a))) if freedom else float("nan")


def main() -> None:
    parser = arguments(__doc__, ("numpy", "torch", "torch-compile", "jax"))
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    options = parser.parse_args()
    rows = [("sweep", "contender", "threads", "layers", "parameters", "batch", "median us", "peak MB", "peak / model")]
    fits = [("exponent of", "contender", "threads", "in", "exponent", "standard error")]
    results = []
    for sweep, points in (TINY if options.tiny else SWEEPS).items():
        x = [batch if sweep == "batch" else parameters(sizes) for sizes, batch in points]
        against = "batch" if sweep == "batch" else "parameters"
        model = [model_bytes(sizes, batch, np.dtype(options.dtype).itemsize) for sizes, batch in points]
        peak = [peak_bytes(sizes, batch, options.dtype) for sizes, batch in points]
        fits.append((f"memory, {sweep}", "nnlite", "any", against, *shown(fit(x, peak))))
        results.append({"sweep": sweep, "in": against, "x": x, "peak_bytes": peak, "model_bytes": model, "times": []})
        for threads in options.threads:
            for name in ["nnlite", *options.against]:
                print(f"{sweep}, {name}, {threads} threads", file=sys.stderr)
                timings = time_points(name, points, threads, options)
                if not timings:
                    continue
                seconds = [timing.median for timing in timings]
                exponent = fit(x, seconds)
                fits.append((f"time, {sweep}", name, str(threads), against, *shown(exponent)))
                results[-1]["times"].append(
                    {"contender": name, "threads": threads, "exponent": exponent, "seconds": [t.seconds for t in timings]}
                )
                for (sizes, batch), own, bytes_, ideal in zip(points, seconds, peak, model, strict=True):
                    memory = (f"{bytes_ / 1e6:,.2f}", f"{bytes_ / ideal:.2f}") if name == "nnlite" else ("", "")
                    rows.append((sweep, name, str(threads), str(len(sizes) - 1), f"{parameters(sizes):,}", str(batch),
                                 f"{own * 1e6:,.1f}", *memory))  # fmt: skip
    publish(options, f"{table(rows)}\n\n{table(fits)}", results)
    if options.plot:
        with drawing(options.plot, height=6) as axes:
            for result in results:
                for times in result["times"]:
                    label = f"{result['sweep']}, {times['contender']}, {times['threads']} threads"
                    middles = [float(np.median(own)) for own in times["seconds"]]
                    axes.plot(np.divide(result["x"], result["x"][0]), np.divide(middles, middles[0]), ".-", label=label)
            axes.axline((1, 1), slope=1, color="black", linewidth=1, label="exponent 1")
            axes.set(xscale="log", yscale="log", xlabel="batch, or parameters / the smallest", ylabel="time / the first")


def time_points(name: str, points: Sequence[tuple[Sequence[int], int]], threads: int, options) -> list[Timing]:
    """A timing of the contender at each point, in turn; none if it is not installed."""
    contender = f"contenders:{name.replace('-', '_')}"
    with ExitStack() as stack:
        try:
            workers = [
                stack.enter_context(closing(Worker(contender, step, threads, options.blas)))
                for step in ({"sizes": sizes, "rows": rows, "dtype": options.dtype, "lr": 0.01} for sizes, rows in points)
            ]
        except NotInstalledError as missing:
            leave_out(str(missing))
            return []
        return [Timing(name, own) for own in take_turns(workers, **turns(options))]


def shown(fitted: tuple[float, float]) -> tuple[str, str]:
    return f"{fitted[0]:.3f}", f"{fitted[1]:.3f}"


if __name__ == "__main__":
    main()
