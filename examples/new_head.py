"""Use a network that knows the digits 0 to 7 for the digits 8 and 9: its body is frozen, its head is new.

Run it with:  python examples/new_head.py [--seed N]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the rows")
rng = np.random.default_rng(parser.parse_args().seed)

X, Y = nn.datasets.digits()
X = X / 16
known, few, rest = np.flatnonzero(Y < 8), np.flatnonzero(Y >= 8)[:40], np.flatnonzero(Y >= 8)[40:]

model = nn.Sequential(nn.Linear(64, 64, rng=rng), nn.ReLU(), nn.Linear(64, 8, rng=rng))
training = {"loss": nn.CrossEntropyLoss(), "metrics": [nn.accuracy], "epochs": 20, "rng": rng}
nn.fit(model, X[known], Y[known], optimizer=nn.SGD(model, lr=0.1, momentum=0.9), **training)

# A new head with two classes. Its parameters are the only ones that the optimizer moves, so the body is frozen.
model[-1] = nn.Linear(64, 2, rng=rng)
body = model[:-1].Phi.copy()
nn.fit(model, X[few], Y[few] - 8, optimizer=nn.SGD(model[-1], lr=0.1, momentum=0.9), **training)
print("the body has not changed:", np.array_equal(model[:-1].Phi, body))
print(f"accuracy with a new head: {nn.accuracy(nn.predict(model, X[rest]), Y[rest] - 8):.3f}")
