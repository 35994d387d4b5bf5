"""Time one forward or one backward of a layer, of straight-line NumPy, of PyTorch, and a floor, on the same arrays.

    python benchmarks/backward.py --against floor,functions,numpy,torch --threads 1 2 --kernels numpy numba
    python benchmarks/backward.py --pass forward --layers Tanh Sigmoid ReLU
    python benchmarks/backward.py --layers LayerNorm --shape 64,256 1024,1024 --against torch

A layer of your own, by module or file and constructor, with both ways of computing kernels:

    python benchmarks/backward.py --layer "examples/own_layer.py:PReLU(256)" --shape 64,256 --kernels numpy numba

The floor is the least that the pass must do, in blocks and threads: for Linear the products, else one ufunc that reads
and writes as many bytes as must be read and written. ``functions`` are the exponentials, logarithms and tanh of forward
alone, by NumPy. ``numpy`` is the shortest chain of NumPy calls that we know (by_hand.py), into arrays made beforehand;
it is no lower bound: blocks, threads and Numba beat it. A ratio is the time of a contender divided by nnlite's: 0.8 for
the floor means that it takes 80 % of nnlite's time. passes.py describes what PyTorch runs. The rate counts
multiplications and additions for Linear, and for the other layers each array that must be read or written, once. The
results must agree element by element; cases.py holds the layers and their inputs.
"""

import argparse

from by_hand import LAYERS
from cases import CASES, FIRST, case_of
from harness import Field, arguments
from results import report

import nnlite

AGREE = {"float32": 1e-4, "float64": 1e-7}


def work(layer: str, shape: tuple[int, ...], way: str, dtype: str) -> tuple[float, str]:
    """The minimum work of the pass, and its unit."""
    if layer == "Linear":
        N, D, M = shape
        return ((2 if way == "forward" else 4) * D + 1) * N * M, "FLOP"
    arrays = case_of(layer)[0].arrays[way == "backward"]
    return arrays * shape[0] * shape[1] * int(dtype[5:]) / 8, "B" if arrays else ""


def peers(layer: str, way: str, against: list[str]) -> list[str]:
    """Those that have the layer."""
    if layer not in CASES:
        return [name for name in against if name == "floor"]
    missing = set() if layer in LAYERS else {"numpy"}
    if layer != "Linear" and not CASES[layer].arrays[way == "backward"]:
        missing |= {"floor"}
    if way == "backward" or not CASES[layer].functions:
        missing |= {"functions"}
    return [name for name in against if name not in missing]


def available() -> list[str]:
    """The layers of CASES that nnlite has."""
    return [name for name, case in CASES.items() if hasattr(nnlite, case.make.split("(")[0])]


def _shape(text: str) -> tuple[int, ...]:
    shape = tuple(map(int, text.split(",")))
    if not 2 <= len(shape) <= 3 or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"expected N,D or for Linear N,D,M, got {text}")
    return shape


def main() -> None:
    parser = arguments(__doc__, ("floor", "functions", "numpy", "torch"), default=["floor", "numpy"])
    parser.add_argument("--pass", dest="ways", nargs="+", default=["backward"], choices=["forward", "backward"])
    parser.add_argument("--layers", nargs="+", default=FIRST, choices=["rest", *available()], metavar="LAYER",
                        help=f"from {', '.join(available())}; rest: those after the first {len(FIRST)}")  # fmt: skip
    parser.add_argument("--layer", metavar="MODULE:CONSTRUCTOR", help="a layer of your own; see above")
    parser.add_argument("--shape", type=_shape, nargs="+", metavar="N,D", help="of X, instead of the usual ones")
    parser.add_argument("--dtype", nargs="+", default=["float32"], choices=list(AGREE))
    options = parser.parse_args()
    layers = [options.layer] if options.layer else options.layers
    if layers == ["rest"]:
        layers = [name for name in available() if name not in FIRST]
    if options.layer and ":" not in options.layer:
        parser.error(f"--layer: expected module:constructor, such as own_layer:PReLU(256), got {options.layer}")
    for shape in options.shape or ():
        if len(shape) != 2 + (layers == ["Linear"]):
            parser.error(f"--shape: expected N,D, or N,D,M for --layers Linear alone, got {shape}")
    results = []
    with Field(options) as field:
        for layer in layers[:2] if options.tiny else layers:
            case, _ = case_of(layer)
            shapes = options.shape or case.shapes
            for shape in shapes[:1] if options.tiny else shapes:
                for way in options.ways:
                    for dtype in options.dtype:
                        label = f"{layer} {' x '.join(map(str, shape))} {way}, {dtype}"
                        what = {"layer": layer, "shape": shape, "dtype": dtype, "way": way}
                        amount, unit = work(layer, shape, way, dtype)
                        results += field.compare(
                            label, "passes", what, peers=peers(layer, way, options.against), steps=2,
                            agree=None if case.random else AGREE[dtype], work=amount, unit=unit,
                        )  # fmt: skip
    report(options, results)


if __name__ == "__main__":
    main()
