"""A training of a linear regression: 10 rows in batches of 4, without noise."""

import numpy as np

import nnlite as nn

X = np.random.default_rng(0).normal(size=(10, 3))
Y = X @ [[1.0], [-2.0], [0.5]]


def train(callbacks, epochs=3, *, model=None, lr=0.05, **options):
    model = model or nn.Sequential(nn.Linear(3, 1, rng=0))
    options = {"batch_size": 4, "rng": 0, "verbose": 0, "loss": nn.MSELoss()} | options
    optimizer = options.pop("optimizer", None) or nn.SGD(model, lr=lr)
    history = nn.fit(model, X, Y, optimizer=optimizer, epochs=epochs, callbacks=callbacks, **options)
    return model, history
