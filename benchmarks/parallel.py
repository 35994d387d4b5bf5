"""The speed-up of DataParallel: one training by 1 and by 2 processes of one thread each.

    python benchmarks/parallel.py                     784-1024-1024-10, batches of 1,024 rows
    python benchmarks/parallel.py --batch 256         of another size
    python benchmarks/parallel.py --ranks 1 2 4       other numbers of processes, of as many cores
    python benchmarks/parallel.py --compress          gradients travel as float16

The processes of all runs take turns in rounds, so that other load on the machine affects all alike; the efficiency,
``time of one / (ranks * time)``, is the median of those within a round. mpiexec must be on the path or beside Python.
"""

import argparse
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

STEPS = 20  # in one measurement


def train(sizes: list[int], batch: int, rounds: int, compress: bool) -> None:
    """As one rank: for each line on stdin of rank 0 train some steps, and print the seconds of each step."""
    import numpy as np

    import nnlite as nn

    parallel = nn.DataParallel(compress=compress)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(batch * STEPS, sizes[0])).astype(np.float32)
    Y = rng.integers(0, sizes[-1], batch * STEPS)
    layers: list[Any] = []
    for number, (into, out) in enumerate(pairwise(sizes)):
        layers += [nn.Linear(into, out, rng=number), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer = nn.SGD(model, lr=0.01)
    seconds = SecondsOfSteps()
    for _ in range(rounds + 1):  # the first one warms up
        wait_for_turn(parallel)
        nn.fit(model, X, Y, loss=nn.CrossEntropyLoss(), optimizer=optimizer, batch_size=batch, rng=0, verbose=0,
               callbacks=[parallel, seconds])  # fmt: skip
        if parallel.rank == 0:
            print(seconds.median, seconds.least, flush=True)


def wait_for_turn(parallel: Any) -> None:
    """Wait until rank 0 reads a line; in MPI's own waiting the others would keep their cores busy."""
    from mpi4py import MPI

    if parallel.rank == 0:
        sys.stdin.readline()
        for other in range(1, parallel.ranks):
            MPI.COMM_WORLD.send(None, other)
        return
    while not MPI.COMM_WORLD.Iprobe(0):
        time.sleep(0.002)
    MPI.COMM_WORLD.recv(source=0)


class SecondsOfSteps:
    """A callback that measures the median time of a step, and the least, which other load affects less."""

    median = least = 0.0

    def on_epoch_begin(self, state: Any) -> None:
        self.times = [time.perf_counter()]

    def on_batch_end(self, state: Any) -> None:
        self.times.append(time.perf_counter())

    def on_epoch_end(self, state: Any) -> None:
        steps = [end - begin for begin, end in pairwise(self.times)]
        self.median, self.least = statistics.median(steps), min(steps)


def started(ranks: int, arguments: list[str]) -> "subprocess.Popen[str]":
    """The processes of one contender, which wait for a line."""
    return started_for(__file__, ranks, ["--rank", *arguments], stdin=subprocess.PIPE)


def started_for(program: str, ranks: int, arguments: list[str], **options: Any) -> "subprocess.Popen[str]":
    """So many processes of a program, with one thread each."""
    beside = Path(sys.executable).parent / "mpiexec"
    command = [str(beside) if beside.exists() else shutil.which("mpiexec") or "mpiexec", "-n", str(ranks)]
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.Popen(
        [*(command if ranks > 1 else []), sys.executable, program, *arguments],
        stdout=subprocess.PIPE, text=True, env={**os.environ, **threads}, **options,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[784, 1024, 1024, 10])
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compress", action="store_true")
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank:
        train(options.sizes, options.batch, options.rounds, options.compress)
        return
    arguments = ["--batch", str(options.batch), "--rounds", str(options.rounds), "--sizes", *map(str, options.sizes)]
    arguments += ["--compress"] * options.compress
    ranks = sorted({1, *options.ranks})
    processes = {number: started(number, arguments) for number in ranks}
    seconds: dict[int, list[float]] = {number: [] for number in ranks}
    least = dict.fromkeys(ranks, math.inf)
    for _ in range(options.rounds + 1):
        for number, process in processes.items():
            process.stdin.write("\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            median, fastest = map(float, process.stdout.readline().split())  # type: ignore[union-attr]
            seconds[number].append(median)
            least[number] = min(least[number], fastest)
    for process in processes.values():
        process.communicate()
    print(f"{'-'.join(map(str, options.sizes))}, {options.batch} rows a step, one thread for each process")
    for number in ranks:
        del seconds[number][0]
        efficiencies = [one / (number * many) for one, many in zip(seconds[1], seconds[number], strict=True)]
        print(
            f"{number} process{'es' * (number > 1)}: {1e3 * statistics.median(seconds[number]):7.1f} ms a step, "
            f"efficiency {statistics.median(efficiencies):.2f} ({min(efficiencies):.2f} to {max(efficiencies):.2f}), "
            f"of the fastest steps {least[1] / (number * least[number]):.2f}"
        )


if __name__ == "__main__":
    main()
