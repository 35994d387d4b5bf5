"""A small classifier in float64, trained on twelve rows with the options of a test."""

import numpy as np

import nnlite as nn

X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.random.default_rng(1).integers(0, 2, 12)


def trained(*, loss=None, sizes=(3, 2), **options):
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(*sizes, dtype=np.float64, rng=rng))
    options = {"shuffle": False, "verbose": 0, "epochs": 2} | options
    optimizer = nn.SGD(model, lr=0.3, momentum=0.9)
    nn.fit(model, X, Y, loss=loss or nn.CrossEntropyLoss(), optimizer=optimizer, **options)
    return model.Phi


LOSSES = {
    "mean": nn.CrossEntropyLoss,
    "sum": lambda: nn.CrossEntropyLoss(reduction="sum"),
    "weighted": lambda: nn.CrossEntropyLoss(weight=[1.0, 5.0]),
    "ignored": lambda: nn.CrossEntropyLoss(ignore_index=1, label_smoothing=0.1),
}
