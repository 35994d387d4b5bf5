"""Time one backward or one forward of a layer, its lower bound in bare NumPy, and PyTorch, on the same arrays.

    python benchmarks/backward.py --against numpy,torch --threads 1 2
    python benchmarks/backward.py --pass forward --against numpy,torch --layers Tanh Sigmoid ReLU

The floor is the shortest chain of NumPy calls into preallocated arrays (floors.py): two products and a column sum for
Linear. The ratio of ``numpy`` is the time of the floor divided by nnlite's: 0.95 means that the floor takes 95 % of
nnlite's time. passes.py describes what PyTorch runs. The rate counts multiplications and additions for Linear, and each
array that must be read or written, once, for the other layers. The results must agree element by element.
"""

from harness import arguments, compare
from results import report

# N, D, M. With 64, 4096, 4096 the Jacobian would have 68,719,476,736 entries; see examples/d0_linear.py.
LINEAR = [(32, 30, 16), (64, 64, 64), (128, 784, 256), (128, 1024, 1024), (64, 4096, 4096), (1024, 784, 256)]
ELEMENTS = [512, 16_384, 262_144, 4_194_304]
CLASSES = 64  # the width of a row

# The number of arrays of the size of X that forward and backward must read and write.
LAYERS = {"Linear": (0, 0), "Tanh": (2, 3), "Sigmoid": (2, 3), "ReLU": (2, 3), "Softmax": (2, 3), "LogSoftmax": (2, 3),
          "MSELoss": (2, 3), "BCELoss": (2, 3), "BCEWithLogitsLoss": (2, 3), "CrossEntropyLoss": (1, 2)}  # fmt: skip
AGREE = {"float32": 1e-4, "float64": 1e-9}


def work(layer: str, shape: tuple[int, ...], way: str, dtype: str) -> tuple[float, str]:
    """The minimum work of the pass, and its unit."""
    if layer == "Linear":
        N, D, M = shape
        return ((2 if way == "forward" else 4) * D + 1) * N * M, "FLOP"
    return LAYERS[layer][way == "backward"] * shape[0] * shape[1] * int(dtype[5:]) / 8, "B"


def main() -> None:
    parser = arguments(__doc__, ("numpy", "torch"), default=["numpy"])
    parser.add_argument("--pass", dest="way", default="backward", choices=["forward", "backward"])
    parser.add_argument("--layers", nargs="+", default=list(LAYERS), choices=list(LAYERS), metavar="LAYER",
                        help=f"from {', '.join(LAYERS)}")  # fmt: skip
    parser.add_argument("--dtype", nargs="+", default=["float32"], choices=list(AGREE))
    options = parser.parse_args()
    if options.tiny:
        options.layers = options.layers[:2]
    results = []
    for layer in options.layers:
        shapes = LINEAR if layer == "Linear" else [(elements // CLASSES, CLASSES) for elements in ELEMENTS]
        for shape in shapes[:1] if options.tiny else shapes:
            for dtype in options.dtype:
                label = f"{layer} {' x '.join(map(str, shape))} {options.way}, {dtype}"
                what = {"layer": layer, "shape": shape, "dtype": dtype, "way": options.way}
                amount, unit = work(layer, shape, options.way, dtype)
                results += compare(label, "passes", what, options, agree=AGREE[dtype], work=amount, unit=unit)
    report(options, results)


if __name__ == "__main__":
    main()
