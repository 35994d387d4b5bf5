"""Time the step of an optimizer against PyTorch's fused one.

    python benchmarks/optimizer_step.py --against floor,numpy,torch --threads 1 2 --kernels numpy numba

The parameters are those of a network with 641, 10,000 or 1,000,000 of them; the gradients do not change. PyTorch's step
is ``fused=True`` where that exists, else ``foreach=True``. ``numpy`` is straight-line NumPy, of SGD only; the floor
only reads dPhi, and reads and writes Phi and the arrays that the optimizer keeps, by ufuncs, block by block. The
parameters after some steps must agree.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from contenders import Run, repeated
from harness import Field, arguments
from passes import divided, gradient
from results import report

NETWORKS = [(30, 16, 8, 1), (64, 64, 63, 26, 3), (784, 703, 590, 55, 5)]


@dataclass(frozen=True)
class Rule:
    """The options of an optimizer, and how many arrays of the size of Phi a step must read or write."""

    options: dict[str, Any]
    arrays: int
    fused: bool = True


# Those that nnlite has are timed.
RULES = {
    "SGD": Rule({"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-4}, 5),
    "Adam": Rule({"lr": 1e-3}, 7),
    "AdamW": Rule({"lr": 1e-3}, 7),
    "Adagrad": Rule({"lr": 1e-3}, 5),
    "RMSprop": Rule({"lr": 1e-3}, 5, fused=False),
    "Adadelta": Rule({}, 7, fused=False),
    "Adamax": Rule({"lr": 1e-3}, 7, fused=False),
    "NAdam": Rule({"lr": 1e-3}, 7, fused=False),
    "RAdam": Rule({"lr": 1e-3}, 7, fused=False),
    "Rprop": Rule({"lr": 1e-3}, 7, fused=False),
    "ASGD": Rule({"lr": 1e-3, "t0": 0}, 5, fused=False),
    "Adafactor": Rule({"lr": 1e-3}, 3, fused=False),
}


def shapes(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Of W and b of each layer."""
    return [shape for D, M in pairwise(sizes) for shape in ((D, M), (M,))]


def parameters(sizes: tuple[int, ...]) -> int:
    return sum(D * M + M for D, M in pairwise(sizes))


def nnlite(rule: str, sizes: tuple[int, ...], dtype: str) -> Run:
    import nnlite as nn

    model = nn.Sequential(*(nn.Linear(D, M, dtype=dtype) for D, M in pairwise(sizes)))
    model.Phi = np.zeros(parameters(sizes))
    model.dPhi = gradient((parameters(sizes),), dtype)
    optimizer = getattr(nn, rule)(model, **RULES[rule].options)
    return repeated(optimizer.step, lambda _: model.Phi)


def numpy(rule: str, sizes: tuple[int, ...], dtype: str) -> Run:
    """SGD: three products, two sums and a difference."""
    own = RULES[rule].options
    Phi, dPhi = np.zeros(parameters(sizes), dtype), gradient((parameters(sizes),), dtype)
    v, g = np.zeros_like(Phi), np.empty_like(Phi)
    lr, momentum, weight_decay = (np.array(own[name], dtype) for name in ("lr", "momentum", "weight_decay"))

    def step() -> None:
        np.multiply(Phi, weight_decay, out=g)
        np.add(g, dPhi, out=g)
        np.multiply(v, momentum, out=v)
        np.add(v, g, out=v)
        np.multiply(v, lr, out=g)
        np.subtract(Phi, g, out=Phi)

    return repeated(step, lambda _: Phi)


def floor(rule: str, sizes: tuple[int, ...], dtype: str) -> Run:
    """Reads and writes Phi and the arrays that the optimizer keeps, in place, and reads dPhi."""
    count = 2 + (RULES[rule].arrays - 3) // 2
    Phi, dPhi, *kept = (np.full(parameters(sizes), 0, dtype) for _ in range(count))

    def block(Phi: np.ndarray, dPhi: np.ndarray, *kept: np.ndarray) -> None:
        np.add(Phi, dPhi, Phi)
        for each in kept:
            np.negative(each, each)

    return repeated(divided(block, Phi, dPhi, *kept), lambda _: ())


def torch(rule: str, sizes: tuple[int, ...], dtype: str) -> Run:
    import torch

    ends = np.cumsum([int(np.prod(shape)) for shape in shapes(sizes)])[:-1]
    gradients = np.split(gradient((parameters(sizes),), dtype), ends)
    own = [torch.zeros(shape, dtype=getattr(torch, dtype), requires_grad=True) for shape in shapes(sizes)]
    for P, dP in zip(own, gradients, strict=True):
        P.grad = torch.from_numpy(dP.reshape(P.shape).copy())
    how = {"fused": True} if RULES[rule].fused else {"foreach": True}
    optimizer = getattr(torch.optim, rule)(own, **RULES[rule].options, **how)
    return repeated(optimizer.step, lambda _: torch.cat([P.detach().reshape(-1) for P in own]))


def main() -> None:
    import nnlite as nn

    known = [name for name in RULES if hasattr(nn, name)]
    parser = arguments(__doc__, ("floor", "numpy", "torch"), default=["floor", "numpy"])
    parser.add_argument("--optimizers", nargs="+", default=known, choices=known, metavar="OPTIMIZER",
                        help=f"from {', '.join(known)}")  # fmt: skip
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    options = parser.parse_args()
    results = []
    with Field(options) as field:
        for rule in options.optimizers:
            peers = [name for name in options.against if name != "numpy" or rule == "SGD"]
            for sizes in NETWORKS[:1] if options.tiny else NETWORKS:
                label = f"{rule}, {parameters(sizes):,} parameters, {options.dtype}"
                what = {"rule": rule, "sizes": sizes, "dtype": options.dtype}
                work = RULES[rule].arrays * parameters(sizes) * int(options.dtype[5:]) / 8
                results += field.compare(
                    label, "optimizer_step", what, peers=peers, agree=1e-4, work=work, unit="B"
                )  # fmt: skip
    report(options, results)


if __name__ == "__main__":
    main()
