"""Use a network that knows the digits 0 to 4 for the digits 5 to 9: its body is frozen, its head is new.

Run it with:  python examples/new_head.py [--seed N]
"""

import argparse
from pathlib import Path

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the rows")
rng = np.random.default_rng(parser.parse_args().seed)

table = np.loadtxt(Path(__file__).parent / "data" / "digits.csv.gz", delimiter=",")
X, Y = table[:, :-1] / 16, table[:, -1].astype(int)
old, new = np.flatnonzero(Y < 5), np.flatnonzero(Y >= 5)
loss, options = nn.CrossEntropyLoss(), {"metrics": [nn.accuracy], "rng": rng}

model = nn.Sequential(nn.Linear(64, 32, rng=rng), nn.Tanh(), nn.Linear(32, 5, rng=rng))
nn.fit(model, X[old], Y[old], loss=loss, optimizer=nn.SGD(model, lr=0.1, momentum=0.9), epochs=20, **options)

# A new head in the place of the old one. Only the parameters of the optimizer's layer change: the body is frozen.
model[-1] = nn.Linear(32, 5, rng=rng)
body = model[:-1].Phi.copy()
few, rest = new[:50], new[50:]
head_only = nn.SGD(model[-1], lr=0.1, momentum=0.9)
nn.fit(model, X[few], Y[few] - 5, loss=loss, optimizer=head_only, epochs=50, **options)
print("the body is unchanged:", np.array_equal(body, model[:-1].Phi))
print(nn.evaluate(model, X[rest], Y[rest] - 5, loss=loss, metrics=[nn.accuracy]))

scratch = nn.Sequential(nn.Linear(64, 32, rng=rng), nn.Tanh(), nn.Linear(32, 5, rng=rng))
nn.fit(scratch, X[few], Y[few] - 5, loss=loss, optimizer=nn.SGD(scratch, lr=0.1, momentum=0.9), epochs=50, **options)
print(nn.evaluate(scratch, X[rest], Y[rest] - 5, loss=loss, metrics=[nn.accuracy]))
