"""Predict the speed-up of DataParallel on 2 to 1,024 processes: where more of them stop paying.

    python benchmarks/parallel_model.py --plot speedup.png    latency and bandwidth measured here, by 2 processes
    python benchmarks/parallel_model.py --latency 2e-6 --bandwidth 12e9    those of a network of 100 Gbit/s

With p processes a step of a batch of B rows takes

    T(p) = overhead + B / p * seconds_per_row + sum(p, bytes of dPhi) + 2 sum(p, few bytes)
    sum(p, bytes) = 2 log2(p) latency + 2 (p - 1) / p * bytes / bandwidth

The sum over the processes is that of a reduce-scatter and an allgather (Thakur, Rabenseifner and Gropp, Optimization of
collective communication operations in MPICH, 2005). Overhead and seconds for each row are measured here by one process
with one thread; all processes of a prediction are as fast as that, and have their cores and memory to themselves.
Processes on one machine share its memory, so latency and bandwidth measured here are of 2 processes on it.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from itertools import pairwise
from typing import Any

import numpy as np
from parallel import started_for

import nnlite as nn

SIZES = (8, 1024, 65_536, 1_048_576, 16_777_216)  # bytes of the sums that are measured
RANKS = [2**k for k in range(11)]
NETWORKS = {  # widths, rows of a batch
    "30-16-8-1": ((30, 16, 8, 1), 1024),
    "64-128-10": ((64, 128, 10), 1024),
    "784-1024-1024-10": ((784, 1024, 1024, 10), 4096),
    "784-4096-4096-10": ((784, 4096, 4096, 10), 4096),
}
TINY = {"30-16-8-1": ((30, 16, 8, 1), 64)}


def sum_seconds(ranks: int, size: float, latency: float, bandwidth: float) -> float:
    """The time of a sum of so many bytes over the processes."""
    return 2 * math.log2(ranks) * latency + 2 * (ranks - 1) / ranks * size / bandwidth


def step_seconds(ranks: int, rows: int, size: int, cost: tuple[float, float], link: tuple[float, float]) -> float:
    """The time of a step; ``cost`` is overhead and seconds for each row, ``link`` latency and bandwidth."""
    overhead, per_row = cost
    computed = overhead + math.ceil(rows / ranks) * per_row
    return computed if ranks == 1 else computed + sum_seconds(ranks, size, *link) + 2 * sum_seconds(ranks, 64, *link)


def fitted(seconds: dict[int, float]) -> tuple[float, float]:
    """Latency and bandwidth from the times of sums over 2 processes, by their bytes; relative errors count alike."""
    sizes, times = np.array([*seconds], float), np.array([*seconds.values()])
    A = np.stack([np.full(len(sizes), 2.0), sizes], axis=1) / times[:, None]
    latency, per_byte = np.linalg.lstsq(A, np.ones(len(sizes)), rcond=None)[0]
    return max(float(latency), 0.0), 1.0 / float(per_byte)


def measure_sums(repeats: int) -> None:
    """As one rank: print, on rank 0, the least time of a sum for each number of bytes."""
    from mpi4py import MPI

    least = {}
    for size in SIZES:
        array = np.ones(max(1, size // 4), np.float32)
        times = []
        for _ in range(max(3, repeats * 20 if size < 1e6 else repeats)):
            MPI.COMM_WORLD.Barrier()
            begin = time.perf_counter()
            MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, array)
            times.append(time.perf_counter() - begin)
        least[size] = min(times)
    if MPI.COMM_WORLD.Get_rank() == 0:
        print(json.dumps(least))


def measure_cost(widths: tuple[int, ...], rows: int, repeats: int) -> tuple[tuple[float, float], int]:
    """Overhead and seconds for each row of a step, from two sizes of the batch; and the bytes of dPhi."""
    rng = np.random.default_rng(0)
    layers: list[Any] = []
    for into, out in pairwise(widths):
        layers += [nn.Linear(into, out, rng=rng), nn.ReLU()]
    model, loss = nn.Sequential(*layers[:-1]), nn.MSELoss()
    optimizer = nn.SGD(model, lr=1e-3)
    sizes = max(1, rows // 16), max(2, rows // 2)
    seconds = []
    for count in sizes:
        X, Y = (rng.normal(size=(count, width)).astype(np.float32) for width in (widths[0], widths[-1]))
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            loss.forward(model.forward(X), Y)
            model.backward(loss.backward())
            optimizer.step()
            times.append(time.perf_counter() - begin)
            if sum(times) > 3.0:
                break
        seconds.append(min(times))
    per_row = max(0.0, (seconds[1] - seconds[0]) / (sizes[1] - sizes[0]))
    return (max(0.0, seconds[0] - sizes[0] * per_row), per_row), model.dPhi.nbytes


def link_here(repeats: int) -> tuple[float, float]:
    """Latency and bandwidth of 2 processes on this machine."""
    process = started_for(__file__, 2, ["--sums", "--repeats", str(repeats)], stdin=subprocess.DEVNULL)
    out, _ = process.communicate(timeout=600)
    if process.returncode:
        raise SystemExit(f"the two processes ended with exit code {process.returncode}; is mpiexec there?")
    seconds = {int(size): each for size, each in json.loads(out).items()}
    lines = [f"{size:>12,} bytes {1e6 * each:>10,.1f} us" for size, each in seconds.items()]
    print("sum over 2 processes:", *lines, sep="\n")
    return fitted(seconds)


def draw(speedups: dict[str, list[float]], path: str) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    axes.plot(RANKS, RANKS, color="0.7", linestyle=":", label="ideal")
    for name, values in speedups.items():
        (line,) = axes.plot(RANKS, values, marker=".", label=name)
        best = int(np.argmax(values))
        axes.plot(RANKS[best], values[best], marker="o", color=line.get_color(), markersize=8)
    axes.set(xscale="log", yscale="log", xlabel="processes", ylabel="speed-up over one", xticks=RANKS[::2])
    axes.set_ylim(0.5 * min(min(values) for values in speedups.values()), RANKS[-1])
    axes.set_xticklabels([f"{ranks:,}" for ranks in RANKS[::2]])
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, help="seconds of a message; measured here by default")
    parser.add_argument("--bandwidth", type=float, help="bytes a second; measured here by default")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--plot", help="draw the speed-ups into this file (extra: plot)")
    parser.add_argument("--tiny", action="store_true", help="one small network, to check that it runs")
    parser.add_argument("--sums", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sums:
        measure_sums(options.repeats)
        return
    if (options.latency is None) != (options.bandwidth is None):
        parser.error("--latency and --bandwidth: expected both, or neither")
    link = (options.latency, options.bandwidth) if options.latency is not None else link_here(options.repeats)
    print(f"latency {1e6 * link[0]:.2f} us, bandwidth {link[1] / 1e9:.2f} GB/s\n")
    speedups, ends = {}, []
    shown = [ranks for ranks in RANKS if ranks in (2, 4, 8, 16, 64, 256, 1024)]
    print(f"{'speed-up with processes':30}" + "".join(f"{ranks:>7,}" for ranks in shown))
    for name, (widths, rows) in (TINY if options.tiny else NETWORKS).items():
        cost, size = measure_cost(widths, rows, options.repeats)
        seconds = [step_seconds(ranks, rows, size, cost, link) for ranks in RANKS]
        speedups[name] = values = [seconds[0] / each for each in seconds]
        print(f"{f'{name}, {rows:,} rows':30}" + "".join(f"{values[RANKS.index(ranks)]:7.1f}" for ranks in shown))
        useful = max(ranks for ranks, value in zip(RANKS, values, strict=True) if value >= ranks / 2)
        ends.append(f"{name}: fastest with {RANKS[int(np.argmax(values))]:,}, half of each used up to {useful:,}")
    print("\n" + "\n".join(ends))
    if options.plot:
        draw(speedups, options.plot)


if __name__ == "__main__":
    sys.exit(main())
