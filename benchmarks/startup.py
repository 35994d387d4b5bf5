"""Measure the time of an import, the memory after it, and the size on disk.

    python benchmarks/startup.py --against torch,jax,sklearn

Each import runs in a new process, in turn for NumPy, nnlite and the peers. All import NumPy, so its share is part of
theirs. "process" is the total time of a process that does nothing else, "memory" the resident memory after the
import, "peak" its maximum. All are compared with NumPy.

"own size" counts the files of the package, "with dependencies" also those of its required dependencies; bytecode is not
counted. An editable installation is measured like a regular one. ``--seconds`` has no effect: a turn is one process.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

from harness import DISTRIBUTIONS, arguments, environment, leave_out, turns
from results import Result, Timing, plot, publish, table

IMPORT = """
import json, time
start = time.perf_counter()
try:
    import {module}
except ModuleNotFoundError as missing:
    print(json.dumps(missing.name))
    raise SystemExit
seconds = time.perf_counter() - start
try:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with open("/proc/self/statm") as file:
        memory = int(file.read().split()[1]) * resource.getpagesize()
except (ImportError, OSError):
    memory = peak = None
print(json.dumps({{"import": seconds, "memory": memory, "peak": peak}}))
"""
KINDS = {"import": ("ms", 1e3), "process": ("ms", 1e3), "memory": ("MB", 1e-6), "peak": ("MB", 1e-6)}


def begin(module: str, threads: int, kernels: str) -> dict[str, float] | str:
    """Import ``module`` in a process: seconds and bytes of each kind, or the name of a module that is not installed."""
    # Python caches bytecode by default.
    variables = {**environment(threads, kernels=kernels), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", IMPORT.format(module=module)]
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, env=variables, check=True, text=True)
    seconds = time.perf_counter() - start
    answer = json.loads(done.stdout)
    return {**answer, "process": seconds} if isinstance(answer, dict) else answer


def sizes(module: str) -> tuple[int, int]:
    """The bytes of the package itself, and with its dependencies."""
    closure = {name: sum(map(os.path.getsize, files(name))) for name in dependencies(DISTRIBUTIONS.get(module, module))}
    return next(iter(closure.values())), sum(closure.values())


def dependencies(name: str, found: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The distribution and its installed dependencies, without extras."""
    if name in found:
        return found
    try:
        requirements = metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # not required on this machine
        return found
    found += (name,)
    for requirement in requirements:
        if "extra ==" not in requirement:
            found = dependencies(re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-"), found)
    return found


def files(name: str) -> Iterator[Path]:
    """The files of the distribution, without bytecode."""
    if name == "nnlite":  # an editable installation lists no files
        (folder,) = util.find_spec(name).submodule_search_locations
        found = Path(folder).rglob("*")
    else:
        found = (Path(file.locate()) for file in metadata.files(name) or [])
    return (path for path in found if path.is_file() and path.suffix != ".pyc")


def measure(modules: list[str], threads: int, kernels: str, options: argparse.Namespace) -> dict[str, list[Timing]]:
    """The values of each kind for each module, one for each round; NumPy comes first."""
    runs: dict[str, list[dict[str, float]]] = {}
    for module in modules:
        first = begin(module, threads, kernels)  # compiles bytecode and fills the disk cache
        if isinstance(first, dict):
            runs[module] = []
        else:
            leave_out(DISTRIBUTIONS.get(first, first))
    how = turns(options, threads)
    for _ in range(how["rounds"]):
        for module, own in runs.items():
            time.sleep(how["pause"])
            own.append(begin(module, threads, kernels))
    return {
        kind: [Timing(module, tuple(run[kind] for run in own)) for module, own in runs.items()]
        for kind in KINDS
        if all(run[kind] for own in runs.values() for run in own)
    }


def main() -> None:
    options = arguments(__doc__, ("torch", "jax", "sklearn", "scipy")).parse_args()
    results = [
        Result(kind, threads, timings, kernels=kernels)
        for threads in options.threads
        for kernels in options.kernels
        for kind, timings in measure(["numpy", "nnlite", *options.against], threads, kernels, options).items()
    ]
    disk = {timing.name: sizes(timing.name) for timing in results[0].timings}

    rows = [("what", "threads", "kernels", "package", "median", "min", "its value / NumPy's: median (quartiles)")]
    for result in results:
        unit, factor = KINDS[result.step]
        for own in result.timings:
            low, middle, high = result.timings[0].ratios(own)
            rows.append(
                (result.step, str(result.threads), result.kernels, own.name, f"{own.median * factor:,.1f} {unit}",
                 f"{own.minimum * factor:,.1f} {unit}", f"{middle:.2f} ({low:.2f} to {high:.2f})")
            )  # fmt: skip
    size_rows = [("package", "own size", "with dependencies")]
    size_rows += [(name, *(f"{size / 1e6:,.2f} MB" for size in both)) for name, both in disk.items()]
    runs = [
        {
            "what": result.step,
            "threads": result.threads,
            "kernels": result.kernels,
            "values": {own.name: own.seconds for own in result.timings},
        }
        for result in results
    ]
    record = {"runs": runs, "disk": {name: {"own": own, "whole": whole} for name, (own, whole) in disk.items()}}
    publish(options, f"{table(rows)}\n\n{table(size_rows)}", record)
    if options.plot:
        plot(options.plot, results, says="cost of the package / cost of NumPy")


if __name__ == "__main__":
    main()
