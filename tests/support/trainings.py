"""A short training with everything that keeps a state: 40 rows in batches of 16, three epochs."""

from typing import Any

import numpy as np

import nnlite as nn

SEED = np.random.default_rng(5)
X = SEED.normal(size=(50, 4))
Y = (X[:, :1] > 0) * 1.0
WEIGHT = SEED.random(50)
EPOCHS, BATCHES = 3, 3


class StopAt(nn.Callback):
    """Ends the training after so many batches."""

    def __init__(self, batches):
        self.batches = batches

    def on_batch_end(self, state):
        return (state.epoch - 1) * BATCHES + state.batch == self.batches


def network(seed=1):
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(4, 5, rng=rng), nn.Tanh(), nn.Linear(5, 1, rng=rng), nn.Sigmoid())


def momentum(model):
    return nn.SGD(model, lr=nn.ExponentialLR(0.3, gamma=0.9), momentum=0.9)


def train(epochs: int, *callbacks: Any, model: Any = None, optimizer: Any = momentum, seed: int = 1, **options: Any):
    """The bytes of the weights and the history."""
    model = network(seed) if model is None else model
    stopping = nn.EarlyStopping(patience=50, restore_best_weights=False)
    options = {
        "loss": nn.BCELoss(),
        "batch_size": 16,
        "validation_split": 0.2,
        "metrics": [nn.binary_accuracy],
        "verbose": 0,
        "rng": np.random.default_rng(seed + 100),
        "callbacks": [stopping, *callbacks],
    } | options
    history = nn.fit(model, X, Y, optimizer=optimizer(model), epochs=epochs, **options)
    return model.Phi.tobytes(), history.to_dict()
