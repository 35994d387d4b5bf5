"""The table of cases: a layer, loss or SGD with its options, by the names that nnlite and PyTorch share, and its data.

All data are float32 numbers held as float64, so that one float64 answer judges both precisions.
"""

import itertools
import zlib
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    kind: str  # the class, here and in torch.nn
    args: tuple[Any, ...]
    options: dict[str, Any]
    X: Any
    target: Any = None  # of a loss


CASES: dict[str, Case] = {}


def draw(rng, shape, scale=1.0):
    return np.asarray(scale * rng.normal(size=shape), np.float32).astype(np.float64)


def seed(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def name_of(kind, *parts, **options):
    shown = [f"{key}={np.shape(value) if np.ndim(value) else value}" for key, value in options.items()]
    return " ".join([kind, *map(str, parts), *shown])


def add_layer(kind, args, shape, scale=1.0, **options):
    name = name_of(kind, args, shape, **options)
    CASES[name] = Case(kind, args, options, draw(seed(name), shape, scale))


def add_loss(kind, Y, target, label="", **options):
    for reduction in "mean", "sum", "none":
        given = {key: value for key, value in options.items() if value is not None}
        name = name_of(kind, Y.shape, label, **given, reduction=reduction)
        CASES[name] = Case(kind, (), given | {"reduction": reduction}, Y, target)


def add_layers():
    for shape, bias in itertools.product([(3,), (4, 3), (2, 4, 3), (2, 1, 4, 3), (1, 3)], [True, False]):
        add_layer("Linear", (3, 2), shape, bias=bias)
    for kind in "Tanh", "Sigmoid", "ReLU", "Identity":
        for shape in (), (4, 3), (2, 3, 4):
            add_layer(kind, (), shape, scale=3.0)
    for kind in "Softmax", "LogSoftmax":
        for shape, dim in [((3,), 0), ((4, 3), 0), ((4, 3), 1), ((4, 3), -1), ((2, 3, 4), 1), ((2, 3, 4), -1)]:
            add_layer(kind, (), shape, scale=3.0, dim=dim)
    for args, shape in [
        ((), (4, 3)),
        ((), (2, 3, 4)),
        ((0,), (2, 3, 4)),
        ((0, 1), (2, 3, 4)),
        ((1, 2), (2, 3, 2, 2)),
        ((-2, -1), (2, 3, 2, 2)),
        ((1, 1), (2, 3, 4)),
    ]:
        add_layer("Flatten", args, shape)
    chain = (("Linear", 6, 5), ("Tanh",), ("Linear", 5, 4), ("ReLU",), ("Linear", 4, 3), ("Sigmoid",), ("Softmax", 1))
    add_layer("Sequential", (("Flatten",), *chain), (4, 2, 3))
    add_layer("Sequential", (("Linear", 3, 4), ("Identity",), ("Linear", 4, 3), ("LogSoftmax", -1)), (2, 4, 3))


def add_losses():
    rng = seed("losses")
    probability = np.float64(np.float32(rng.uniform(0.02, 0.98, (4, 3))))
    soft = np.float64(np.float32(rng.uniform(0, 1, (4, 3))))
    hard = np.float64(rng.integers(0, 2, (4, 3)))
    scores = draw(rng, (4, 3), 3.0)
    weights = [np.abs(draw(rng, shape), out=np.empty(shape)) for shape in [(), (3,), (4, 1), (1, 3), (4, 3)]]

    for weight in [None, *weights]:
        add_loss("BCELoss", probability, soft, "soft", weight=weight)
    add_loss("BCELoss", probability, hard, "hard")
    # Predictions of exactly 0 and 1 are in test_losses.py: PyTorch's 1e-12 there is that of float32, off by 4e-9.

    for weight, pos_weight in itertools.product([None, weights[1], weights[2]], [None, *weights]):
        add_loss("BCEWithLogitsLoss", scores, soft, weight=weight, pos_weight=pos_weight)
    far = np.array([-1000.0, -100.0, 0.0, 100.0, 1000.0])
    add_loss("BCEWithLogitsLoss", far, np.array([0.0, 1.0, 1.0, 0.0, 1.0]), "far")

    for shape in (), (5,), (4, 3), (2, 3, 2):
        add_loss("MSELoss", draw(rng, shape), draw(rng, shape))

    for shape in (3,), (4, 3), (2, 3, 4), (2, 3, 2, 2):
        axis = 0 if shape == (3,) else 1
        Z = draw(rng, shape, 2.0)
        P = np.float64(np.float32(rng.dirichlet([1, 1, 1], shape[:axis] + shape[axis + 1 :])))
        P = np.moveaxis(P, -1, axis)
        indices = np.array(rng.permutation(np.arange(Z.size // 3) % 3).reshape(P.max(axis).shape))
        if shape == (3,):
            indices = np.array(2)
        for weight, smoothing in itertools.product([None, weights[1]], [None, 0.1]):
            options = {"weight": weight, "label_smoothing": smoothing}
            add_loss("CrossEntropyLoss", Z, P, "probabilities", **options)
            for ignored in None, 1:
                add_loss("CrossEntropyLoss", Z, indices, "indices", **options, ignore_index=ignored)
    add_loss("CrossEntropyLoss", scores, np.array([2, -100, 0, -100]), "default ignore_index", weight=weights[1])
    add_loss("CrossEntropyLoss", scores, np.array([2, -1, 0, 1]), "negative", ignore_index=-1, label_smoothing=1.0)


def add_sgd():
    for momentum, dampening, weight_decay, nesterov, maximize in itertools.product(
        [0.0, 0.9], [0.0, 0.5], [0.0, 0.1], [False, True], [False, True]
    ):
        if nesterov and (momentum == 0 or dampening > 0):
            continue  # both refuse it: see test_sgd.py
        options = {
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        name = name_of("SGD", **options)
        CASES[name] = Case("SGD", (), options, draw(seed(name), (6, 6), 0.1))  # Phi_0, and five gradients


add_layers()
add_losses()
add_sgd()
