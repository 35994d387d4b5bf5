"""Find the eights, a tenth of all digits: class weights, F1, and a training that is interrupted and resumed.

Run it with:  python examples/imbalanced.py [--seed N]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the rows")
seed = parser.parse_args().seed

table = np.loadtxt(Path(__file__).parent / "data" / "digits.csv.gz", delimiter=",")
X, Y = table[:, :-1] / 16, table[:, -1:] == 8


def train(epochs, weights=None, **options):
    """Train a new model on the first 1,200 digits."""
    model = nn.Sequential(nn.Linear(64, 4, rng=seed), nn.Tanh(), nn.Linear(4, 1, rng=seed + 1))  # logits
    nn.fit(model, X[:1200], Y[:1200], loss=nn.BCEWithLogitsLoss(), optimizer=nn.SGD(model, lr=0.1), epochs=epochs,
           class_weight=weights, metrics=[nn.f1], rng=seed, verbose=0, **options)  # fmt: skip
    return model


for weights in None, "balanced":
    logits = nn.predict(train(20, weights), X[1200:])
    print(f"class_weight={weights}: recall {nn.recall(logits, Y[1200:], logits=True):.3f},", end=" ")
    print(f"F1 {nn.f1(logits, Y[1200:], logits=True):.3f}\n{nn.confusion_matrix(logits, Y[1200:], logits=True)}")


def interrupt(state):  # as Ctrl-C would, in the middle of the training
    if state.epoch == 10:
        raise KeyboardInterrupt


with tempfile.TemporaryDirectory() as folder:
    checkpoint = nn.Checkpoint(f"{folder}/training.npz")
    try:
        train(20, "balanced", callbacks=[checkpoint, interrupt])
    except KeyboardInterrupt:
        print(f"interrupted: {checkpoint.epochs_done} epochs are in the checkpoint")
    resumed = train(20 - checkpoint.epochs_done, "balanced", resume=checkpoint.path)
print("resumed, and bit-identical:", np.array_equal(resumed.Phi, train(20, "balanced").Phi))
