"""The layers and losses that backward.py times: how each is made, in nnlite and in PyTorch, and what goes into it.

A new layer needs one line in CASES. Its constructor is evaluated among the names of nnlite, and among those of
torch.nn, with N and D, the size of X, and M, the third number of a shape.
"""

import importlib
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator
Inputs = Callable[[Rng, int, int], Sequence[np.ndarray]]


def normal(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [rng.standard_normal((N, D))]


def pair(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [rng.standard_normal((N, D)), rng.standard_normal((N, D))]


def triple(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [*pair(rng, N, D), rng.standard_normal((N, D))]


def images(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    """As many numbers: 16 channels of 16 x 16, or 64 of 32 x 32 with D = 1024."""
    channels, side = channels_of(D), math.isqrt(D)
    return [rng.standard_normal((max(1, N * D // (channels * side * side)), channels, side, side))]


def signals(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    """As many numbers, in as many channels, along one axis."""
    (X,) = images(rng, N, D)
    return [X.reshape(*X.shape[:2], -1)]


def volumes(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    """As many numbers, in as many channels, along three axes."""
    (X,) = images(rng, N, D)
    return [X.reshape(*X.shape[:2], X.shape[2] // 4, 4, X.shape[3])]


def channels_of(D: int) -> int:
    return max(1, D // 16)


def classes(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [rng.standard_normal((N, D)), rng.integers(0, D, N)]


def log_probabilities(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    X = rng.standard_normal((N, D))
    return [X - np.log(np.exp(X).sum(axis=1, keepdims=True)), rng.integers(0, D, N)]


def distributions(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    X, _ = log_probabilities(rng, N, D)
    return [X, np.exp(log_probabilities(rng, N, D)[0])]


def probabilities(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [rng.uniform(0.01, 0.99, (N, D)), (rng.random((N, D)) < 0.5).astype(float)]


def binary(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [rng.standard_normal((N, D)), (rng.random((N, D)) < 0.5).astype(float)]


def signs(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [rng.standard_normal((N, D)), rng.choice([-1.0, 1.0], (N, D))]


def counts(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [rng.standard_normal((N, D)), rng.poisson(1.0, (N, D)).astype(float)]


def variances(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [*pair(rng, N, D), rng.uniform(0.5, 2.0, (N, D))]


def rankings(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [*(each.reshape(-1) for each in pair(rng, N, D)), rng.choice([-1.0, 1.0], N * D)]


def similarities(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [*pair(rng, N, D), rng.choice([-1.0, 1.0], N)]


def several_classes(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    """Two classes of each row; -1 ends the list."""
    target = np.full((N, D), -1)
    target[:, 0], target[:, 1] = rng.integers(0, D // 2, N), rng.integers(D // 2, D, N)
    return [rng.standard_normal((N, D)), target]


def indices(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    """Of rows of 64, as many as have N D numbers."""
    return [rng.integers(0, 5000, max(1, N * D // 64))]


def bags(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [rng.integers(0, 5000, (max(1, N * D // 512), 8))]


def features(rng: Rng, N: int, D: int) -> list[np.ndarray]:
    return [rng.standard_normal((N, 16)), rng.standard_normal((N, 16))]


ELEMENTS = [(elements // 64, 64) for elements in (512, 16_384, 262_144, 4_194_304)]
SIZES = [(64, 256), (1024, 1024)]


@dataclass(frozen=True)
class Case:
    """A layer, its inputs, and the least that it must do.

    Attributes:
        make: its constructor.
        inputs: makes the inputs for N and D.
        torch: its constructor in torch.nn, if that differs.
        gradients: positions of the inputs that have a gradient.
        arrays: how many arrays of N D numbers forward must read or write, and backward; 0 if it is not known.
        functions: names of the ufuncs in forward that are more than arithmetic.
        random: whether it draws random numbers, so that results differ.
        shapes: N, D and perhaps M.
    """

    make: str
    inputs: Inputs = normal
    torch: str = ""
    gradients: tuple[int, ...] = (0,)
    arrays: tuple[float, float] = (2, 3)
    functions: tuple[str, ...] = ()
    random: bool = False
    shapes: Sequence[tuple[int, ...]] = tuple(SIZES)

    def made(self, names: Any, shape: Sequence[int]) -> Any:
        """The layer, with the names of nnlite or torch.nn."""
        N, D, M = (*shape, 0)[:3]
        text = self.torch if names.__name__ == "torch.nn" and self.torch else self.make
        layer = eval(text, vars(names) | {"N": N, "D": D, "M": M, "C": channels_of(D)})
        return layer() if isinstance(layer, type) else layer


# N, D, M. With 64, 4096, 4096 the Jacobian would have 68,719,476,736 entries; see examples/d0_linear.py.
LINEAR = [(32, 30, 16), (64, 64, 64), (128, 784, 256), (128, 1024, 1024), (64, 4096, 4096), (1024, 784, 256)]

CASES = {
    "Linear": Case("Linear(D, M)", arrays=(0, 0), shapes=LINEAR),
    "Tanh": Case("Tanh()", functions=("tanh",), shapes=ELEMENTS),
    "Sigmoid": Case("Sigmoid()", functions=("exp",), shapes=ELEMENTS),
    "ReLU": Case("ReLU()", shapes=ELEMENTS),
    "Softmax": Case("Softmax(-1)", functions=("exp",), shapes=ELEMENTS),
    "LogSoftmax": Case("LogSoftmax(-1)", functions=("exp",), shapes=ELEMENTS),
    "MSELoss": Case("MSELoss()", pair, shapes=ELEMENTS),
    "BCELoss": Case("BCELoss()", probabilities, functions=("log", "log"), shapes=ELEMENTS),
    "BCEWithLogitsLoss": Case("BCEWithLogitsLoss()", binary, functions=("exp", "log"), shapes=ELEMENTS),
    "CrossEntropyLoss": Case("CrossEntropyLoss()", classes, arrays=(1, 2), functions=("exp",), shapes=ELEMENTS),
    # activations
    "LeakyReLU": Case("LeakyReLU()"),
    "PReLU": Case("PReLU()"),
    "RReLU": Case("RReLU()", random=True),
    "ELU": Case("ELU()"),
    "CELU": Case("CELU()"),
    "SELU": Case("SELU()"),
    "GELU": Case("GELU()"),
    "GELU tanh": Case("GELU(approximate='tanh')", functions=("tanh",)),
    "SiLU": Case("SiLU()", functions=("exp",)),
    "Mish": Case("Mish()", functions=("exp",)),
    "Softplus": Case("Softplus()", functions=("exp", "log")),
    "LogSigmoid": Case("LogSigmoid()", functions=("exp", "log")),
    "Softsign": Case("Softsign()"),
    "Softmin": Case("Softmin(-1)", functions=("exp",)),
    "Softmax2d": Case("Softmax2d()", images, functions=("exp",)),
    "Tanhshrink": Case("Tanhshrink()", functions=("tanh",)),
    "Softshrink": Case("Softshrink()"),
    "Hardshrink": Case("Hardshrink()"),
    "Hardtanh": Case("Hardtanh()"),
    "ReLU6": Case("ReLU6()"),
    "Hardsigmoid": Case("Hardsigmoid()"),
    "Hardswish": Case("Hardswish()"),
    "Threshold": Case("Threshold(0.1, 20.0)"),
    "GLU": Case("GLU()", arrays=(1.5, 2.5)),
    # dropout
    "Dropout": Case("Dropout()", arrays=(2, 2), random=True),
    "Dropout1d": Case("Dropout1d()", signals, arrays=(2, 2), random=True),
    "Dropout2d": Case("Dropout2d()", images, arrays=(2, 2), random=True),
    "Dropout3d": Case("Dropout3d()", volumes, arrays=(2, 2), random=True),
    "AlphaDropout": Case("AlphaDropout()", arrays=(2, 2), random=True),
    "FeatureAlphaDropout": Case("FeatureAlphaDropout()", images, arrays=(2, 2), random=True),
    # normalisation
    "BatchNorm1d": Case("BatchNorm1d(D)"),
    "BatchNorm2d": Case("BatchNorm2d(C)", images),
    "BatchNorm3d": Case("BatchNorm3d(C)", volumes),
    "LayerNorm": Case("LayerNorm(D)"),
    "GroupNorm": Case("GroupNorm(C // 4, C)", images),
    "InstanceNorm1d": Case("InstanceNorm1d(C)", signals),
    "InstanceNorm2d": Case("InstanceNorm2d(C)", images),
    "InstanceNorm3d": Case("InstanceNorm3d(C)", volumes),
    "RMSNorm": Case("RMSNorm(D)"),
    "LocalResponseNorm": Case("LocalResponseNorm(5)", images),
    # pooling
    "MaxPool2d": Case("MaxPool2d(2)", images, arrays=(1.25, 1.75)),
    "MaxPool2d overlapping": Case("MaxPool2d(3, 2, 1)", images, arrays=(1.25, 1.75)),
    "AvgPool2d": Case("AvgPool2d(2)", images, arrays=(1.25, 1.25)),
    "LPPool2d": Case("LPPool2d(2, 2)", images, arrays=(1.25, 2.5)),
    "AdaptiveAvgPool2d": Case("AdaptiveAvgPool2d(1)", images, arrays=(1, 1)),
    "AdaptiveMaxPool2d": Case("AdaptiveMaxPool2d(4)", images, arrays=(1, 1)),
    # lookup and products
    "Embedding": Case("Embedding(5000, 64)", indices, gradients=(), arrays=(0, 0)),
    "EmbeddingBag": Case("EmbeddingBag(5000, 64)", bags, gradients=(), arrays=(0, 0)),
    "Unflatten": Case("Unflatten(1, (D // 16, 16))", arrays=(0, 0)),
    "Bilinear": Case("Bilinear(16, 16, D // 4)", features, gradients=(0, 1), arrays=(0, 0)),
    "CosineSimilarity": Case("CosineSimilarity()", pair, gradients=(0, 1), arrays=(2, 4)),
    "PairwiseDistance": Case("PairwiseDistance()", pair, gradients=(0, 1), arrays=(2, 4)),
    # losses, but for CTCLoss, whose gradient PyTorch defines in another way: for logarithms that come from a softmax
    "L1Loss": Case("L1Loss()", pair),
    "SmoothL1Loss": Case("SmoothL1Loss()", pair),
    "HuberLoss": Case("HuberLoss()", pair),
    "NLLLoss": Case("NLLLoss()", log_probabilities, arrays=(0, 1)),
    "KLDivLoss": Case("KLDivLoss(reduction='batchmean')", distributions),
    "PoissonNLLLoss": Case("PoissonNLLLoss()", counts, functions=("exp",)),
    "GaussianNLLLoss": Case("GaussianNLLLoss()", variances, gradients=(0, 2), arrays=(3, 5), functions=("log",)),
    "HingeEmbeddingLoss": Case("HingeEmbeddingLoss()", signs),
    "MarginRankingLoss": Case("MarginRankingLoss()", rankings, gradients=(0, 1), arrays=(3, 5)),
    "MultiMarginLoss": Case("MultiMarginLoss()", classes, arrays=(1, 2)),
    "MultiLabelMarginLoss": Case("MultiLabelMarginLoss()", several_classes),
    "MultiLabelSoftMarginLoss": Case("MultiLabelSoftMarginLoss()", binary, functions=("exp", "log")),
    "SoftMarginLoss": Case("SoftMarginLoss()", signs, functions=("exp", "log")),
    "CosineEmbeddingLoss": Case("CosineEmbeddingLoss()", similarities, gradients=(0, 1), arrays=(2, 4)),
    "TripletMarginLoss": Case("TripletMarginLoss()", triple, gradients=(0, 1, 2), arrays=(3, 6)),
    "TripletMarginWithDistanceLoss": Case("TripletMarginWithDistanceLoss()", triple, gradients=(0, 1, 2),
                                          arrays=(3, 6)),
}  # fmt: skip
FIRST = [name for name, case in CASES.items() if case.shapes is not CASES["PReLU"].shapes]


def case_of(layer: str, inputs: int = 1) -> tuple[Case, Any]:
    """The case of a layer in CASES, or "module:constructor" of somebody's own; and the module it is in.

    Args:
        layer: the module may be a path, as in "examples/own_layer.py:PReLU(256)".
        inputs: how many of one shape somebody's own has.
    """
    if layer in CASES:
        return CASES[layer], importlib.import_module("nnlite")
    module, _, constructor = layer.partition(":")
    file = Path(module if module.endswith(".py") else f"{module}.py").resolve()
    sys.path.insert(0, str(file.parent))  # of a module: the current folder
    module = file.stem if module.endswith(".py") else module
    own = Case(constructor, lambda rng, N, D: [rng.standard_normal((N, D)) for _ in range(inputs)])
    return own, importlib.import_module(module)
