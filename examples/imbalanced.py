"""Find the eights, a tenth of all digits: class weights, F1, and a training that is interrupted and resumed.

Run it with:  python examples/imbalanced.py [--seed N]
"""

import argparse
import tempfile
from contextlib import suppress
from pathlib import Path
from signal import SIGINT, raise_signal

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the rows")
seed = parser.parse_args().seed
X, Y = nn.datasets.digits()
X, Y = X / 16, Y[:, None] == 8


def train(epochs=10, class_weight=None, **options):
    nn.manual_seed(seed)  # of all random numbers here, so the same model begins with the same weights
    model, loss = nn.Sequential(nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 1)), nn.BCEWithLogitsLoss()
    options |= {"optimizer": nn.SGD(model, lr=0.1, momentum=0.9), "class_weight": class_weight, "epochs": epochs}
    nn.fit(model, X[:1200], Y[:1200], loss=loss, **options)
    values = nn.evaluate(model, X[1200:], Y[1200:], loss=loss, metrics=[nn.precision, nn.recall, nn.f1])
    print(f"class_weight={class_weight}: " + ", ".join(f"{name} {value:.3f}" for name, value in values.items()))
    return model


plain, weighted = train(), train(10, "balanced")
with tempfile.TemporaryDirectory() as folder:
    checkpoint = nn.Checkpoint(Path(folder) / "training.npz")
    with suppress(KeyboardInterrupt):  # of a callback that does what Ctrl-C does, after 5 epochs
        train(10, "balanced", callbacks=[checkpoint, lambda state: state.epoch == 5 and raise_signal(SIGINT)])
    resumed = train(10 - checkpoint.epochs_done, "balanced", resume=checkpoint.path)
print("resumed after an interrupt, and bit-identical:", np.array_equal(resumed.Phi, weighted.Phi))
