"""Run what the tables of README.md show, and print these tables.

    python benchmarks/tables.py FOLDER              # about ten minutes on two cores that do nothing else
    python benchmarks/tables.py FOLDER --plot benchmarks/ratios.png
    python benchmarks/tables.py ANOTHER --blas mkl --only steps   # MKL and Numba together

Each run writes a JSON file into the folder, which is made; runs whose file is there are not repeated.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from cases import ELEMENTS, FIRST, SIZES

HERE = Path(__file__).parent
PASSES = ["backward", "--against", "floor,functions,torch", "--pass", "forward", "backward"]
ELEMENTWISE = [name for name in FIRST if name != "Linear"]


def shapes(sizes: Sequence[Sequence[int]]) -> list[str]:
    return ["--shape", *(",".join(map(str, size)) for size in sizes)]


RUNS: dict[str, list[str]] = {
    "small": [*PASSES, "--layers", *ELEMENTWISE, *shapes(ELEMENTS[:2]), "--seconds", "0.04", "--rounds", "5"],
    "large": [*PASSES, "--layers", *ELEMENTWISE, *shapes(ELEMENTS[2:]), "--threads", "1", "2", "--seconds", "0.04",
              "--rounds", "5"],
    "layers": [*PASSES, "--layers", "rest", "--seconds", "0.03", "--rounds", "3"],
    "optimizers": ["optimizer_step", "--against", "floor,torch", "--threads", "1", "2", "--seconds", "0.04",
                   "--rounds", "5"],
    "convolutions": ["convolution", "--against", "floor,torch", "--threads", "1", "2", "--seconds", "0.1",
                     "--rounds", "5"],
    "recurrent": ["recurrent", "--against", "floor,torch", "--seconds", "0.1", "--rounds", "5"],
    "inference": ["inference", "--against", "numpy,torch,sklearn", "--seconds", "0.1"],
    "mlp": ["sklearn_mlp", "--against", "sklearn", "--threads", "1", "2", "--seconds", "0.4", "--rounds", "5"],
    "steps": ["training_step", "--against", "numpy,torch", "--threads", "1", "2", "--seconds", "0.1", "--rounds", "7"],
}  # fmt: skip

Row = Mapping[str, Any]  # a result, as in the JSON files


def measure(folder: Path, names: Sequence[str], more: Sequence[str]) -> None:
    """Run what is not in the folder."""
    folder.mkdir(exist_ok=True)
    for name in names:
        program, *options = RUNS[name]
        file = folder / f"{name}.json"
        if file.exists():
            continue
        command = [sys.executable, str(HERE / f"{program}.py"), *options, "--kernels", "numpy", "numba", *more]
        start = time.perf_counter()
        subprocess.run([*command, "--json", str(file)], check=True, stdout=subprocess.DEVNULL)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)


def median(result: Row, name: str) -> float:
    """The median of a contender's seconds; NaN without it."""
    return next((statistics.median(each["seconds"]) for each in result["timings"] if each["name"] == name), math.nan)


def ratio(peer: str) -> Callable[[Row], str]:
    """The median of the peer's time divided by nnlite's, round by round; "-" without the peer.

    >>> ratio("torch")({"timings": [{"name": "nnlite", "seconds": [1, 2]}, {"name": "torch", "seconds": [3, 6]}]})
    '3.0'
    """

    def text(result: Row) -> str:
        own, *others = result["timings"]
        found = [each["seconds"] for each in others if each["name"] == peer]
        if not found:
            return "-"
        value = statistics.median(theirs / mine for mine, theirs in zip(own["seconds"], found[0], strict=True))
        return f"{value:.2f}" if value < 2 else f"{value:.1f}" if value < 10 else f"{value:.0f}"

    return text


def microseconds(result: Row) -> str:
    """nnlite's median."""
    value = median(result, "nnlite") * 1e6
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def pivot(
    results: Sequence[Row],
    first: str,
    row: Callable[[Row], str],
    columns: Mapping[str, tuple[Callable[[Row], bool], Callable[[Row], str]]],
) -> str:
    """A table in Markdown; results of different threads stand in one cell, divided by " / ".

    Args:
        results: all of them.
        first: title of the first column.
        row: in which row a result is.
        columns: by title, which results are in it, and how one is shown.

    >>> results = [{"step": "a", "threads": threads} for threads in (1, 2)]
    >>> print(pivot(results, "step", lambda r: r["step"], {"x": (lambda r: True, lambda r: str(r["threads"]))}))
    | step | x |
    |---|---|
    | a | 1 / 2 |
    """
    lines = [[first, *columns], ["---"] * (1 + len(columns))]
    for name in dict.fromkeys(map(row, results)):
        own = [result for result in results if row(result) == name]
        cells = [" / ".join(show(each) for each in own if here(each)) or "-" for here, show in columns.values()]
        lines.append([name, *cells])
    return "\n".join("|---" * len(line) + "|" if line[0] == "---" else f"| {' | '.join(line)} |" for line in lines)


def ways(show: Callable[[Row], str], title: str, here: Callable[[Row], bool] = lambda _: True) -> dict[str, Any]:
    """A column for each way of computing kernels."""
    return {
        f"{title}, {text}": (lambda result, way=way: result["kernels"] == way and here(result), show)
        for way, text in (("numpy", "NumPy"), ("numba", "Numba"))
    }


def of_passes(results: Sequence[Row], sizes: Sequence[Sequence[int]], peer: str) -> str:
    """Two tables: forward and backward of each layer at these sizes, where there is the peer."""
    tables = []
    for way in ("forward", "backward") if peer != "functions" else ("forward",):
        columns: dict[str, Any] = {}
        for size in sizes:
            title = f"{size[0] * size[1]:,}" if sizes is ELEMENTS else " x ".join(map(str, size))
            columns |= ways(ratio(peer), title, lambda result, size=size: result["what"]["shape"] == list(size))
        own = [each for each in results if each["what"]["way"] == way and not math.isnan(median(each, peer))]
        tables.append(pivot(own, way, lambda result: result["what"]["layer"], columns))
    return "\n\n".join(tables)


def found(folder: Path) -> dict[str, Any]:
    """The JSON files in the folder."""
    files = {name: folder / f"{name}.json" for name in RUNS}
    return {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}


def printed(files: Mapping[str, Any]) -> str:
    """The tables of JSON files."""
    parts = [", ".join(f"{key} {value}" for key, value in file["machine"].items()) for file in files.values()][:1]
    results = {name: file["results"] for name, file in files.items()}
    for title, peer in (
        ("PyTorch's time / nnlite's", "torch"),
        ("the floor's time / nnlite's", "floor"),
        ("the time of NumPy's exp, log or tanh alone / nnlite's", "functions"),
    ):
        if elementwise := [*results.get("small", []), *results.get("large", [])]:
            parts += [f"### Layers: {title}, by number of elements", of_passes(elementwise, ELEMENTS, peer)]
        if layers := results.get("layers"):
            parts += [f"### More layers: {title}, by rows x columns", of_passes(layers, SIZES, peer)]
    for name, title, peers in (
        ("optimizers", "An optimizer's step", {"torch": "PyTorch", "floor": "floor"}),
        ("convolutions", "Forward and backward of a convolution", {"torch": "PyTorch", "floor": "products alone"}),
        ("recurrent", "Forward and backward of an LSTM", {"torch": "PyTorch", "floor": "products alone"}),
        ("inference", "Prediction", {"torch": "PyTorch", "sklearn": "scikit-learn", "numpy": "straight-line"}),
        ("mlp", "A fit of MLPClassifier", {"sklearn": "scikit-learn"}),
        ("steps", "A training step", {"torch": "PyTorch", "numpy": "straight-line"}),
    ):
        if name in results:
            columns = ways(microseconds, "us")
            for peer, word in peers.items():
                columns |= ways(ratio(peer), word)
            parts += [f"### {title}", pivot(results[name], "step", lambda result: result["step"], columns)]
    return "\n\n".join(parts)


def plot(path: Path, files: Mapping[str, Any]) -> None:
    """Plot PyTorch's time / nnlite's against the number of elements, with one thread; above 1 nnlite is faster."""
    from matplotlib.figure import Figure

    results = [result for name in ("small", "large") for result in files.get(name, {"results": []})["results"]]
    figure = Figure(figsize=(10, 8), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for axes, (way, kernels) in zip(panels.flat, product(("forward", "backward"), ("numpy", "numba")), strict=True):
        for number, layer in enumerate(ELEMENTWISE):
            points = [
                (math.prod(result["what"]["shape"]), median(result, "torch") / median(result, "nnlite"))
                for result in results
                if (result["what"]["layer"], result["what"]["way"], result["kernels"]) == (layer, way, kernels)
                and result["threads"] == 1
            ]  # fmt: skip
            axes.plot(*zip(*points, strict=True) if points else ((), ()), "os^v"[number % 4] + "-", label=layer)
        axes.axhline(1, color="black", linewidth=1)
        axes.set(xscale="log", yscale="log", title=f"{way}, kernels: {kernels}")
        axes.grid(alpha=0.3, which="both")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    figure.supxlabel("elements")
    figure.supylabel("time of PyTorch / time of nnlite")
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the JSON files")
    parser.add_argument("--only", nargs="+", default=list(RUNS), choices=list(RUNS), help="some of the runs")
    parser.add_argument("--blas", default="", choices=["", "mkl"], help="for nnlite's products")
    parser.add_argument("--plot", type=Path, help="draw PyTorch's times / nnlite's into this file (extra: plot)")
    parser.add_argument("--tiny", action="store_true", help="only check that everything runs")
    options = parser.parse_args()
    more = ["--blas", options.blas] if options.blas else []
    measure(options.folder, options.only, [*more, "--tiny"] if options.tiny else more)
    files = found(options.folder)
    print(printed(files))
    if options.plot:
        plot(options.plot, files)


if __name__ == "__main__":
    main()
