"""Time a training step: forward, the loss as a number, backward, update.

    python benchmarks/training_step.py --against numpy,torch,jax,sklearn --threads 1 2

All contenders start from the same weights, and their losses after 20 steps must agree to 1e-4. The rate counts only the
matrix products: three for each layer, without the dX of the first.
"""

from itertools import pairwise

from harness import Field, arguments
from results import report

STEPS = [((30, 16, 8, 1), 32), ((64, 64, 32, 1), 64), ((784, 256, 128, 10), 128), ((784, 256, 128, 10), 1024),
         ((784, 1024, 1024, 10), 256), ((4096, 4096, 1), 64)]  # fmt: skip
PEERS = ("compiled", "program", "loop", "fit", "numpy", "plain", "torch", "torch-compile", "jax", "sklearn")


def main() -> None:
    parser = arguments(__doc__, PEERS, default=["compiled", "loop", "fit", "numpy"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    options = parser.parse_args()
    results = []
    with Field(options) as field:
        for sizes, rows in STEPS[:1] if options.tiny else STEPS:
            label = f"{'-'.join(map(str, sizes))}, batch {rows}, {options.dtype}"
            step = {"sizes": sizes, "rows": rows, "dtype": options.dtype, "lr": 0.01}
            work = rows * (sum(6 * D * M for D, M in pairwise(sizes)) - 2 * sizes[0] * sizes[1])
            results += field.compare(label, "contenders", step, agree=1e-4, work=work, unit="FLOP")
    report(options, results)


if __name__ == "__main__":
    main()
