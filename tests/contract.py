"""The contract table: a row for each layer, loss and container, and for each of their options.

Every row is put through every check of test_contract.py.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import nnlite as nn


class Row(NamedTuple):
    """A layer and what to feed it.

    Attributes:
        id: the row's name in the test report.
        make: gives a new layer each time, always with the same parameters.
        X: its input in float64, at least 0.05 away from every kink.
        target: of a loss.
        rows_apart: whether what it does with one row of X is independent of the other rows; for a mean also whether
            each row counts the same.
    """

    id: str
    make: Callable[[], nn.Layer]
    X: np.ndarray
    target: Any = None
    rows_apart: bool = True


def forward(layer: nn.Layer, X: Any, target: Any = None) -> Any:
    return layer.forward(X) if target is None else layer.forward(X, target)


def some_dY(Y: Any) -> Any:
    """Numbers like Y, no two of them equal; for a loss that is a float, one number that is not 1."""
    if isinstance(Y, float):
        return 0.7
    return np.cos(np.arange(Y.size)).reshape(Y.shape).astype(Y.dtype)


def run(layer: nn.Layer, X: Any, target: Any = None) -> tuple[Any, Any, np.ndarray]:
    """Y, dX and a copy of dPhi of one forward and backward."""
    Y = forward(layer, X, target)
    dX = layer.backward(some_dY(Y))
    return Y, dX, layer.dPhi.copy()


def numbers(*shape: int) -> np.ndarray:
    """Numbers from 0.1 to 2 in size, of both signs, no two alike."""
    size = int(np.prod(shape))
    values = np.linspace(0.1, 2, size) * np.where(np.arange(size) % 3 == 1, -1, 1)
    return np.random.default_rng(size).permutation(values).reshape(shape)


def shares(*shape: int) -> np.ndarray:
    """Numbers from 0.25 to 0.75."""
    return np.abs(numbers(*shape)) / 4 + 0.25


def linear(in_features: int, out_features: int, **options: Any) -> nn.Linear:
    """A Linear in float64 whose b is not 0."""
    layer = nn.Linear(in_features, out_features, dtype=np.float64, rng=in_features, **options)
    if layer.b is not None:
        layer.b = np.linspace(-0.3, 0.4, out_features)
    return layer


def away_from_0() -> nn.Sequential:
    """A ReLU between two Linear whose inputs to it, for numbers(4, 3), keep their distance from 0."""
    first = linear(3, 2)
    first.W, first.b = [[1, 0], [0, 1], [0, 0]], [0, 0]
    return nn.Sequential(first, nn.ReLU(), linear(2, 2))


indices = np.array([2, 0, 1, 2])
ignored = np.array([2, -100, 1, 2])
distributions = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.1, 0.1, 0.8]])
classes = np.array([0.5, 2.0, 1.5])  # weights of three classes
BCE, Logits, Cross = nn.BCELoss, nn.BCEWithLogitsLoss, nn.CrossEntropyLoss

ROWS = [
    Row("Linear", lambda: linear(3, 2), numbers(4, 3)),
    Row("Linear-without-b", lambda: linear(3, 2, bias=False), numbers(4, 3)),
    Row("Linear-1-1", lambda: linear(1, 1), numbers(4, 1)),
    Row("Linear-of-a-vector", lambda: linear(3, 2), numbers(3), rows_apart=False),
    Row("Linear-of-three-axes", lambda: linear(3, 2), numbers(4, 5, 3)),
    Row("Linear-of-1100-rows", lambda: linear(1, 2), numbers(1100, 1)),
    Row("Tanh", nn.Tanh, numbers(4, 3)),
    Row("Tanh-of-three-axes", nn.Tanh, numbers(4, 2, 3)),
    Row("Sigmoid", nn.Sigmoid, numbers(4, 3)),
    Row("ReLU", nn.ReLU, numbers(4, 3)),
    Row("Identity", nn.Identity, numbers(4, 3)),
    Row("Softmax", nn.Softmax, numbers(4, 3)),
    Row("Softmax-of-columns", lambda: nn.Softmax(dim=0), numbers(4, 3), rows_apart=False),
    Row("Softmax-of-three-axes", lambda: nn.Softmax(dim=1), numbers(4, 3, 2)),
    Row("LogSoftmax", nn.LogSoftmax, numbers(4, 3)),
    Row("LogSoftmax-of-columns", lambda: nn.LogSoftmax(dim=0), numbers(4, 3), rows_apart=False),
    Row("LogSoftmax-of-three-axes", lambda: nn.LogSoftmax(dim=1), numbers(4, 3, 2)),
    Row("Flatten", nn.Flatten, numbers(4, 3, 2)),
    Row("Flatten-all", lambda: nn.Flatten(start_dim=0), numbers(4, 3), rows_apart=False),
    Row("Flatten-middle", lambda: nn.Flatten(start_dim=-3, end_dim=2), numbers(4, 3, 2, 2)),
    Row("Flatten-nothing", lambda: nn.Flatten(start_dim=1, end_dim=1), numbers(4, 3)),
    Row("Sequential", lambda: nn.Sequential(linear(3, 4), nn.Tanh(), linear(4, 1), nn.Sigmoid()), numbers(4, 3)),
    Row("Sequential-of-nothing", nn.Sequential, numbers(4, 3)),
    Row("Sequential-of-one", lambda: nn.Sequential(linear(3, 2)), numbers(4, 3)),
    Row("Sequential-without-parameters", lambda: nn.Sequential(nn.Tanh(), nn.Softmax()), numbers(4, 3)),
    Row("Sequential-with-ReLU", away_from_0, numbers(4, 3)),
    Row("Sequential-with-Flatten", lambda: nn.Sequential(nn.Flatten(), linear(6, 2), nn.Tanh()), numbers(4, 3, 2)),
    Row(
        "Sequential-nested",
        lambda: nn.Sequential(
            nn.Sequential(linear(3, 2), nn.Sequential(nn.Tanh())), nn.Sequential(), nn.Sequential(linear(2, 2))
        ),
        numbers(4, 3),
    ),
    Row("MSELoss", nn.MSELoss, numbers(4, 3), numbers(4, 3)[::-1]),
    Row("MSELoss-sum", lambda: nn.MSELoss(reduction="sum"), numbers(4), shares(4)),
    Row("MSELoss-none", lambda: nn.MSELoss(reduction="none"), numbers(4, 3), shares(4, 3)),
    Row("BCELoss", BCE, shares(4, 3), shares(4, 3)[::-1]),
    Row("BCELoss-sum", lambda: BCE(reduction="sum"), shares(4, 1), np.array([[0], [1], [1], [0]])),
    Row("BCELoss-none", lambda: BCE(reduction="none"), shares(4, 3), shares(4, 3)[::-1]),
    Row("BCELoss-weight", lambda: BCE(weight=classes), shares(4, 3), shares(4, 3)[::-1]),
    Row("BCEWithLogitsLoss", Logits, numbers(4, 3), shares(4, 3)),
    Row("BCEWithLogitsLoss-sum", lambda: Logits(reduction="sum"), numbers(4, 1), np.array([[0], [1], [1], [0]])),
    Row("BCEWithLogitsLoss-none", lambda: Logits(reduction="none"), numbers(4, 3), shares(4, 3)),
    Row("BCEWithLogitsLoss-weights", lambda: Logits(weight=classes, pos_weight=3), numbers(4, 3), shares(4, 3)),
    Row("BCEWithLogitsLoss-pos_weight", lambda: Logits(pos_weight=classes), numbers(4, 3), shares(4, 3)),
    Row("CrossEntropyLoss", Cross, numbers(4, 3), indices),
    Row("CrossEntropyLoss-sum", lambda: Cross(reduction="sum"), numbers(4, 3), indices),
    Row("CrossEntropyLoss-none", lambda: Cross(reduction="none"), numbers(4, 3), indices),
    Row("CrossEntropyLoss-weight", lambda: Cross(weight=classes), numbers(4, 3), indices, rows_apart=False),
    Row("CrossEntropyLoss-ignored", Cross, numbers(4, 3), ignored, rows_apart=False),
    Row("CrossEntropyLoss-ignored-class", lambda: Cross(ignore_index=1), numbers(4, 3), indices, rows_apart=False),
    Row("CrossEntropyLoss-smoothed", lambda: Cross(label_smoothing=0.2), numbers(4, 3), indices),
    Row(
        "CrossEntropyLoss-all-options",
        lambda: Cross(weight=classes, ignore_index=0, label_smoothing=0.1, reduction="none"),
        numbers(4, 3),
        indices,
    ),
    Row("CrossEntropyLoss-distributions", Cross, numbers(4, 3), distributions),
    Row("CrossEntropyLoss-weighted-distributions", lambda: Cross(weight=classes), numbers(4, 3), distributions),
    Row("CrossEntropyLoss-of-three-axes", Cross, numbers(4, 3, 2), np.stack([indices, indices[::-1]], axis=1)),
    Row("CrossEntropyLoss-of-one-sample", Cross, numbers(3), np.array(1), rows_apart=False),
]
LOSSES = [row for row in ROWS if row.target is not None]
LAYERS = [row for row in ROWS if row.target is None]
