"""A whole training step: forward, the loss as a number, backward, update.

    python benchmarks/training_step.py --against numpy,torch,jax,sklearn --threads 1 2

All contenders start from the same weights and must agree on the loss after 20 steps to 1e-4.
"""

import sys

from harness import DisagreementError, arguments, race, report

STEPS = [((30, 16, 8, 1), 32), ((64, 64, 32, 1), 64), ((784, 256, 128, 10), 128), ((784, 256, 128, 10), 1024),
         ((784, 1024, 1024, 10), 256), ((4096, 4096, 1), 64)]  # fmt: skip
PEERS = ("fit", "numpy", "torch", "torch-compile", "jax", "sklearn")


def main() -> None:
    parser = arguments(__doc__, PEERS, default=["fit", "numpy"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    options = parser.parse_args()
    peers = [peer for peer in options.against.split(",") if peer]
    if unknown := set(peers) - set(PEERS):
        parser.error(f"--against: unknown {', '.join(sorted(unknown))}; the peers are {', '.join(PEERS)}")
    contenders = [f"contenders:{name.replace('-', '_')}" for name in ["nnlite", *peers]]
    results = []
    for threads in options.threads:
        for sizes, rows in STEPS[:1] if options.tiny else STEPS:
            label = f"{'-'.join(map(str, sizes))}, batch {rows}, {options.dtype}"
            step = {"sizes": sizes, "rows": rows, "dtype": options.dtype, "lr": 0.01}
            print(label, file=sys.stderr)
            try:
                timings = race(contenders, step, threads=threads, rounds=options.rounds, seconds=options.seconds,
                               agree=1e-4, blas=options.blas)  # fmt: skip
            except DisagreementError as refused:
                sys.exit(f"{label}: {refused}")
            results.append((label, threads, timings))
    report(options, results)


if __name__ == "__main__":
    main()
