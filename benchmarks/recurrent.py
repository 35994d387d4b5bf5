"""Time forward and backward of an LSTM together, beside PyTorch's and beside the products alone.

    python benchmarks/recurrent.py --against floor,torch --kernels numpy numba

All gradients are computed, dX too, and must agree. The floor is the products of matrices that are there already: one
for each step forward and one back, since a step needs the state before it, and at the end one for the gradient of all
weights and one for dX. The matrix has W_x, W_h and b below each other, as in nnlite, so that one product with x_t,
h_{t-1} and 1 gives all gates of a step.
"""

import math
from typing import Any

import numpy as np
from contenders import Run, repeated
from harness import compare_layers

CASES = [  # T, N, D, H
    (50, 32, 32, 64),
    (28, 64, 28, 128),
    (100, 16, 8, 32),
    (64, 64, 128, 256),
]


def arrays(T: int, N: int, D: int, H: int) -> tuple[np.ndarray, ...]:
    """X, W_x, W_h and dY, the same in every process."""
    rng = np.random.default_rng(0)
    shapes = (N, T, D), (D, 4 * H), (H, 4 * H), (N, T, H)
    X, W_x, W_h, dY = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return X, W_x / np.float32(math.sqrt(D)), W_h / np.float32(math.sqrt(H)), dY / np.float32(math.sqrt(N * T * H))


def nnlite(**sizes: int) -> Run:
    import nnlite as nn

    X, W_x, W_h, dY = arrays(**sizes)
    layer = nn.LSTM(sizes["D"], sizes["H"])
    layer.W_x, layer.W_h = W_x, W_h

    def step() -> Any:
        return layer.forward(X), layer.backward(dY)

    return repeated(step, lambda value: (*value, layer.dW_x, layer.dW_h, layer.db_x))


def torch(**sizes: int) -> Run:
    import torch

    X, W_x, W_h, dY = map(torch.from_numpy, arrays(**sizes))
    H = sizes["H"]
    layer = torch.nn.LSTM(sizes["D"], H, batch_first=True)
    layer.weight_ih_l0.data, layer.weight_hh_l0.data = W_x.T.contiguous(), W_h.T.contiguous()
    layer.bias_ih_l0.data, layer.bias_hh_l0.data = torch.zeros(4 * H), torch.zeros(4 * H)
    layer.bias_ih_l0.data[H : 2 * H] = 1  # as in nnlite
    X.requires_grad = True
    W_x, W_h, b = layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0

    def step() -> Any:
        X.grad = None
        layer.zero_grad()
        Y, _ = layer(X)
        Y.backward(dY)
        return Y

    return repeated(step, lambda Y: (Y.detach(), X.grad, W_x.grad.T, W_h.grad.T, b.grad))


def floor(T: int, N: int, D: int, H: int) -> Run:
    """The products of the steps, and those at the end."""
    K = D + H + 1
    shapes = (K, 4 * H), (K, N), (4 * H, N), (H, N), (K, T * N), (4 * H, T * N), (D, T * N)
    M, Z_t, A_t, dh, Z, dA, dX = (np.ones(shape, np.float32) for shape in shapes)
    dM = np.empty_like(M)

    def step() -> None:
        for _ in range(T):
            np.matmul(M.T, Z_t, out=A_t)
        for _ in range(T):
            np.matmul(M[D:-1], A_t, out=dh)
        np.matmul(Z, dA.T, out=dM)
        np.matmul(M[:D], dA, out=dX)

    return repeated(step, lambda _: ())


def contest(T: int, N: int, D: int, H: int) -> tuple[str, dict[str, Any], float]:
    """Name, arguments and floating-point operations."""
    label = f"LSTM {D} -> {H}, {N} sequences of {T} steps"
    work = 2 * T * N * 4 * H * (2 * (D + H + 1) + H + D)
    return label, {"T": T, "N": N, "D": D, "H": H}, work


def main() -> None:
    compare_layers(__doc__, "recurrent", CASES, contest, tiny=2)


if __name__ == "__main__":
    main()
