"""Time forward and backward of a Conv2d together, beside PyTorch's and beside the products alone.

    python benchmarks/convolution.py --against floor,torch --threads 1 2

Kernels have padding, so that Y has the size of X. All gradients are computed, dX too, and must agree. The floor is
three products of matrices that are there already, of W and the columns of as many images as the layer takes at a time:
no convolution by products can be faster; one with fewer multiplications can.
"""

import math
from typing import Any

import numpy as np
from contenders import Run, repeated
from harness import compare_layers

CASES = [  # N, in_channels, out_channels, size, kernel_size
    (64, 1, 8, 28, 5),
    (64, 8, 16, 14, 5),
    (64, 16, 32, 14, 3),
    (32, 64, 64, 28, 3),
    (16, 3, 32, 64, 3),
]


def arrays(N: int, C: int, M: int, size: int, kernel: int) -> tuple[np.ndarray, ...]:
    """X, W and dY, the same in every process."""
    rng = np.random.default_rng(0)
    shapes = (N, C, size, size), (M, C, kernel, kernel), (N, M, size, size)
    X, W, dY = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return X, W, dY / np.float32(math.sqrt(N * size * size))


def nnlite(**sizes: int) -> Run:
    import nnlite as nn

    X, W, dY = arrays(**sizes)
    layer = nn.Conv2d(sizes["C"], sizes["M"], sizes["kernel"], padding="same")
    layer.W = W

    def step() -> Any:
        return layer.forward(X), layer.backward(dY)

    return repeated(step, lambda value: (*value, layer.dW, layer.db))


def torch(**sizes: int) -> Run:
    import torch

    X, W, dY = map(torch.from_numpy, arrays(**sizes))
    layer = torch.nn.Conv2d(sizes["C"], sizes["M"], sizes["kernel"], padding="same")
    layer.weight.data, layer.bias.data = W, torch.zeros(sizes["M"])
    X.requires_grad = True

    def step() -> Any:
        X.grad = layer.weight.grad = layer.bias.grad = None
        Y = layer(X)
        Y.backward(dY)
        return Y

    return repeated(step, lambda Y: (Y.detach(), X.grad, layer.weight.grad, layer.bias.grad))


def floor(N: int, C: int, M: int, size: int, kernel: int) -> Run:
    """The products of W, of its transpose, and of dY with columns."""
    from nnlite.compute.columns import COLUMNS

    K = C * kernel**2
    images = min(N, max(1, COLUMNS // (K * size**2)))
    W, columns, rows = (np.ones(shape, np.float32) for shape in ((M, K), (K, images * size**2), (M, images * size**2)))
    Y, dX, dW = np.empty_like(rows), np.empty_like(columns), np.empty((K, M), np.float32)

    def step() -> None:
        for _ in range(N // images):
            np.matmul(W, columns, out=Y)
            np.matmul(columns, rows.T, out=dW)
            np.matmul(W.T, rows, out=dX)

    return repeated(step, lambda _: ())


def contest(N: int, C: int, M: int, size: int, kernel: int) -> tuple[str, dict[str, Any], float]:
    """Name, arguments and floating-point operations."""
    label = f"Conv2d {C} -> {M}, {kernel} x {kernel}, {N} images of {size} x {size}"
    work = 6 * N * size**2 * C * M * kernel**2
    return label, {"N": N, "C": C, "M": M, "size": size, "kernel": kernel}, work


def main() -> None:
    compare_layers(__doc__, "convolution", CASES, contest)


if __name__ == "__main__":
    main()
