"""Time an epoch of LeNet-5 on random images of 28 x 28, in batches of 64, beside PyTorch's.

    python benchmarks/lenet.py --against torch --threads 1 2 --seconds 1

An epoch is forward, cross-entropy, backward and a step of SGD for each batch, and its value the loss of the last one.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from contenders import Run, repeated
from harness import Field, arguments
from results import report

BATCH = 64
LR = 0.01
# The arguments of convolutions and Linear layers: channels or features, and of the convolutions kernel and padding.
CONVOLUTIONS = [(1, 6, 5, 2), (6, 16, 5, 0)]
LINEAR = [(400, 120), (120, 84), (84, 10)]


def data(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and their classes, the same in every process."""
    rng = np.random.default_rng(0)
    return rng.random((images, 1, 28, 28), np.float32), rng.integers(0, 10, images)


def weights() -> Iterator[np.ndarray]:
    """W of each layer, in nnlite's layout."""
    rng = np.random.default_rng(1)
    shapes = [*((M, C, kernel, kernel) for C, M, kernel, _ in CONVOLUTIONS), *LINEAR]
    for shape in shapes:
        fan_in = shape[0] if len(shape) == 2 else shape[1] * shape[2] * shape[3]
        yield (rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)


def network(nn: Any, conv: Callable[..., Any], linear: Callable[..., Any]) -> Any:
    """The Sequential of ``nn``; all biases start at 0."""
    layers: list[Any] = []
    for C, M, kernel, padding in CONVOLUTIONS:
        layers += [conv(C, M, kernel, padding=padding), nn.ReLU(), nn.MaxPool2d(2)]
    layers.append(nn.Flatten())
    for D, M in LINEAR:
        layers += [linear(D, M), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def nnlite(images: int) -> Run:
    import nnlite as nn

    model, loss = network(nn, nn.Conv2d, nn.Linear), nn.CrossEntropyLoss()
    for W, P in zip(weights(), [P for _, P in model.named_parameters() if P.ndim > 1], strict=True):
        P[...] = W
    model.needs_dX = False  # as in fit
    optimizer = nn.SGD(model, LR)
    X, Y = data(images)

    def epoch() -> float:
        for low in range(0, images, BATCH):
            J: float = loss.forward(model.forward(X[low : low + BATCH]), Y[low : low + BATCH])
            model.backward(loss.backward())
            optimizer.step()
        return J

    return repeated(epoch)


def torch(images: int) -> Run:
    import torch

    model, loss = network(torch.nn, torch.nn.Conv2d, torch.nn.Linear), torch.nn.CrossEntropyLoss()
    own = weights()
    for P in model.parameters():
        W = next(own) if P.ndim > 1 else np.zeros(P.shape, np.float32)
        P.data = torch.from_numpy(W if W.ndim != 2 else W.T.copy())
    optimizer = torch.optim.SGD(model.parameters(), LR)
    X, Y = map(torch.from_numpy, data(images))

    def epoch() -> float:
        for low in range(0, images, BATCH):
            optimizer.zero_grad()
            J = loss(model(X[low : low + BATCH]), Y[low : low + BATCH])
            J.backward()
            optimizer.step()
            value = J.item()
        return float(value)

    return repeated(epoch)


def main() -> None:
    options = arguments(__doc__, ("torch",), default=[]).parse_args()
    images = 64 if options.tiny else 10_000
    with Field(options) as field:
        results = list(field.compare(
            f"LeNet-5, {images:,} images of 28 x 28", "lenet", {"images": images}, peers=options.against,
            agree=1e-3, steps=1, work=images * 28 * 28 * 4, unit="B",
        ))  # fmt: skip
    report(options, results)


if __name__ == "__main__":
    main()
