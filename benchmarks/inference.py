"""Time the prediction of one row and of a thousand with a network 20-64-64-1.

    python benchmarks/inference.py --against numpy,torch,sklearn --threads 1 2

nnlite runs ``predict``, from array to array, with its checks and safe from several threads at once; PyTorch runs its
module under ``no_grad``, from tensor to tensor; scikit-learn runs ``MLPRegressor.predict``; ``numpy`` is bare NumPy
without checks. All have the same weights, and their outputs must agree.
"""

from itertools import pairwise

import numpy as np
from contenders import Run, repeated, weights
from harness import Field, arguments
from results import report

SIZES = (20, 64, 64, 1)


def rows(count: int, dtype: str) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, SIZES[0])).astype(dtype)


def nnlite(count: int, dtype: str) -> Run:
    import nnlite as nn

    layers: list[nn.Layer] = []
    for W in weights(SIZES, dtype):
        linear = nn.Linear(*W.shape, dtype=dtype)
        linear.W = W
        layers += [linear, nn.Tanh()]
    model, X = nn.Sequential(*layers[:-1]), rows(count, dtype)
    return repeated(lambda: nn.predict(model, X))


def numpy(count: int, dtype: str) -> Run:
    *hidden, last = [(W, np.zeros(W.shape[1], dtype)) for W in weights(SIZES, dtype)]
    X = rows(count, dtype)

    def predict() -> np.ndarray:
        h = X
        for W, b in hidden:
            h = h.dot(W)
            np.add(h, b, out=h)
            np.tanh(h, out=h)
        h = h.dot(last[0])
        return np.add(h, last[1], out=h)

    return repeated(predict)


def torch(count: int, dtype: str) -> Run:
    import torch

    layers: list[torch.nn.Module] = []
    for W in weights(SIZES, dtype):
        linear = torch.nn.Linear(*W.shape, dtype=getattr(torch, dtype))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T))
            linear.bias.zero_()
        layers += [linear, torch.nn.Tanh()]
    model, X = torch.nn.Sequential(*layers[:-1]).eval(), torch.from_numpy(rows(count, dtype))

    def predict() -> torch.Tensor:
        with torch.no_grad():
            return model(X)

    return repeated(predict)


def sklearn(count: int, dtype: str) -> Run:
    from sklearn.neural_network import MLPRegressor

    X = rows(count, dtype)
    model = MLPRegressor(hidden_layer_sizes=SIZES[1:-1], activation="tanh", solver="sgd", batch_size=2)
    model.partial_fit(np.zeros((2, SIZES[0]), dtype), np.zeros(2, dtype))  # makes the arrays
    for own, W in zip(model.coefs_, weights(SIZES, dtype), strict=True):
        own[...] = W
    for own in model.intercepts_:
        own[...] = 0
    return repeated(lambda: model.predict(X), lambda Y: Y[:, None])


def main() -> None:
    parser = arguments(__doc__, ("numpy", "torch", "sklearn"), default=["numpy"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    options = parser.parse_args()
    results = []
    with Field(options) as field:
        for count in [1] if options.tiny else [1, 1000]:
            label = f"{'-'.join(map(str, SIZES))}, {count} rows, {options.dtype}"
            what = {"count": count, "dtype": options.dtype}
            work = 2 * count * sum(D * M for D, M in pairwise(SIZES))
            results += field.compare(label, "inference", what, agree=1e-4, work=work, unit="FLOP")
    report(options, results)


if __name__ == "__main__":
    main()
