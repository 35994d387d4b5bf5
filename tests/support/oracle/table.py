"""The table of cases, and the functions that add to it; cases.py and the files of families call them."""

import zlib
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    kind: str  # the class in nnlite, and in torch.nn; a gate is a function in torch
    args: tuple[Any, ...]
    options: dict[str, Any]
    X: Any  # several inputs are a tuple
    target: Any = None  # of a loss
    evaluation: bool = False  # whether the answer is that in evaluation mode, after a forward in training mode


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


def add_gate(kind, *arrays, label="", args=(), **options):
    shapes = " ".join(str(X.shape) for X in arrays)
    name = name_of(kind, *filter(None, [shapes, label, args]), **options)
    CASES[name] = Case(kind, args, options, arrays if len(arrays) > 1 else arrays[0])
