"""Time forward and backward of self-attention of several heads together, beside PyTorch's and the products alone.

    python benchmarks/attention.py --against floor,torch

All gradients are computed, dX too, and must agree. PyTorch's layer returns no weights, so that it may take its fastest
way. The floor is the products of matrices that are there already: of X and the four matrices of parameters, of queries
and keys and of weights and values in each head, and in backward twice as many. Backward of nnlite has one product more,
of queries and keys, since forward keeps no weights. With ``causal`` half of the products in the heads are not needed.
"""

import math
from typing import Any

import numpy as np
from contenders import Run, repeated
from harness import compare_layers

CASES = [  # N, T, E, heads, causal
    (16, 32, 64, 4, False),
    (8, 128, 128, 8, False),
    (8, 128, 128, 8, True),
    (2, 512, 64, 4, False),
    (2, 512, 64, 4, True),
    (1, 2048, 64, 4, True),
]


def arrays(N: int, T: int, E: int, **_: Any) -> tuple[np.ndarray, ...]:
    """X, the matrices of queries, keys and values side by side, that behind the heads, and dY: in every process."""
    rng = np.random.default_rng(0)
    shapes = (N, T, E), (E, 3 * E), (E, E), (N, T, E)
    X, W, W_o, dY = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return X, W / np.float32(math.sqrt(E)), W_o / np.float32(math.sqrt(E)), dY / np.float32(math.sqrt(N * T * E))


def nnlite(**sizes: Any) -> Run:
    import nnlite as nn

    X, W, W_o, dY = arrays(**sizes)
    layer = nn.MultiheadAttention(sizes["E"], sizes["heads"], causal=sizes["causal"])
    layer.W_q, layer.W_k, layer.W_v = np.split(W, 3, axis=1)
    layer.W_o = W_o

    def step() -> Any:
        return layer.forward(X), layer.backward(dY)

    return repeated(step, lambda value: (*value, layer.dW_q, layer.dW_k, layer.dW_v, layer.dW_o, layer.db_v))


def torch(**sizes: Any) -> Run:
    import torch

    X, W, W_o, dY = map(torch.from_numpy, arrays(**sizes))
    T, E = sizes["T"], sizes["E"]
    layer = torch.nn.MultiheadAttention(E, sizes["heads"], batch_first=True)
    layer.in_proj_weight.data, layer.out_proj.weight.data = W.T.contiguous(), W_o.T.contiguous()
    mask = torch.nn.Transformer.generate_square_subsequent_mask(T) if sizes["causal"] else None
    X.requires_grad = True

    def step() -> Any:
        X.grad = None
        layer.zero_grad()
        Y, _ = layer(X, X, X, need_weights=False, attn_mask=mask, is_causal=sizes["causal"])
        Y.backward(dY)
        return Y

    def answer(Y: Any) -> tuple[Any, ...]:
        dW_q, dW_k, dW_v = (dW.T for dW in layer.in_proj_weight.grad.split(E))
        return Y.detach(), X.grad, dW_q, dW_k, dW_v, layer.out_proj.weight.grad.T, layer.in_proj_bias.grad[2 * E :]

    return repeated(step, answer)


def floor(N: int, T: int, E: int, heads: int, causal: bool) -> Run:
    """The products of all rows, and those of one sample's heads after the other's."""
    d, seen = E // heads, T // 2 if causal else T
    shapes = (N * T, E), (E, 3 * E), (N * T, 3 * E), (heads, T, d), (heads, d, seen), (heads, T, seen)
    X, W, dA, q, kT, S = (np.ones(shape, np.float32) for shape in shapes)
    A, Y, dX, dW, O = (np.empty_like(array) for array in (dA, X, X, W, q))  # noqa: E741
    keys = np.ones_like(kT.swapaxes(1, 2))  # read before it is written

    def step() -> None:
        np.matmul(X, W, out=A)
        np.matmul(X, W[:, :E], out=Y)
        for _ in range(N):
            np.matmul(q, kT, out=S)
            np.matmul(S, keys, out=O)
        for _ in range(N):
            np.matmul(q, kT, out=S)
            np.matmul(S, keys, out=O)
            np.matmul(S.swapaxes(1, 2), q, out=keys)
            np.matmul(S.swapaxes(1, 2), q, out=keys)
        np.matmul(X.T, dA, out=dW)
        np.matmul(X.T, Y, out=dW[:, :E])
        np.matmul(dA, W.T, out=dX)
        np.matmul(Y, W[:, :E].T, out=dX)

    return repeated(step, lambda _: ())


def contest(N: int, T: int, E: int, heads: int, causal: bool) -> tuple[str, dict[str, Any], float]:
    """Name, arguments and floating-point operations."""
    label = f"{heads} heads of {E // heads}, {N} sequences of {T} steps{', causal' * causal}"
    scores = N * T * (T + 1) // 2 if causal else N * T * T
    work = 3 * 2 * (4 * N * T * E * E + 2 * scores * E)
    return label, {"N": N, "T": T, "E": E, "heads": heads, "causal": causal}, work


def main() -> None:
    compare_layers(__doc__, "attention", CASES, contest)


if __name__ == "__main__":
    main()
