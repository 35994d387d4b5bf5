"""Train one network by each optimizer, and by L-BFGS: the training loss against steps and against seconds.

Run it with:  python examples/optimizers.py [--seed N] [--plot FILE]
"""

import argparse
from time import perf_counter

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the split, the initial weights and the order of the rows")
parser.add_argument("--plot", metavar="FILE", help="draw the losses into this file; needs matplotlib")
options = parser.parse_args()

table = np.hstack([*nn.datasets.breast_cancer()])
test, training = np.split(np.random.default_rng(options.seed).permutation(table), [len(table) // 4])
X, Y = (training[:, :-1] - training[:, :-1].mean(axis=0)) / training[:, :-1].std(axis=0), training[:, -1:]
X_test, Y_test = (test[:, :-1] - training[:, :-1].mean(axis=0)) / training[:, :-1].std(axis=0), test[:, -1:]

# Learning rates that suit this network. Rprop and L-BFGS make steps on all rows at once, the others on 32.
RATES = {"SGD": 0.3, "ASGD": 1.0, "Adagrad": 0.1, "Adadelta": 5.0, "RMSprop": 0.01, "Adam": 0.01, "AdamW": 0.01,
         "Adamax": 0.03, "NAdam": 0.01, "RAdam": 0.03, "Lion": 0.003, "Adafactor": 0.1, "Rprop": 0.01}  # fmt: skip


def train(name, steps):
    """Train a new network; return it, and the steps, the seconds and the loss on all rows at the end of each epoch."""
    rng, seconds, size = np.random.default_rng(options.seed), [], len(X) if name in ("Rprop", "L-BFGS") else 32
    layers = nn.Linear(30, 16, rng=rng), nn.Tanh(), nn.Linear(16, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng)
    model, start = nn.Sequential(*layers), perf_counter()
    how = {"loss": nn.BCEWithLogitsLoss(), "epochs": steps * size // len(X), "validation_data": (X, Y), "verbose": 0}
    how["callbacks"] = [lambda state: seconds.append(perf_counter() - start)]
    if name != "L-BFGS":
        how |= {"optimizer": getattr(nn, name)(model, lr=RATES[name]), "batch_size": size, "rng": rng}
    history = (nn.minimize if name == "L-BFGS" else nn.fit)(model, X, Y, **how)
    return model, np.arange(1, history.epochs + 1) * -(-len(X) // size), seconds, history["val_loss"]


paths = {}
print("optimizer     rate  steps  seconds  training loss  test accuracy")
for name in [*RATES, "L-BFGS"]:
    train(name, steps=14)  # so that what is made when it is first used does not count
    model, *path = paths[name] = train(name, steps=280)
    accuracy = nn.binary_accuracy(nn.predict(model, X_test) > 0, Y_test)
    steps, seconds, loss = (values[-1] for values in path)
    print(f"{name:<10} {RATES.get(name, '-'):>7} {steps:>6} {seconds:>8.2f} {loss:>14.2g} {accuracy:>14.3f}")

if options.plot:
    from matplotlib import pyplot

    for axes, column in zip(pyplot.subplots(1, 2, figsize=(11, 4))[1], (1, 2), strict=True):
        for name, path in paths.items():
            axes.semilogy(path[column], path[3], "--" if name in ("Rprop", "L-BFGS") else "-", label=name)
        axes.set(xlabel=(None, "steps", "seconds")[column], ylabel="training loss", ylim=(1e-6, 1))
    axes.legend(fontsize="small")
    pyplot.savefig(options.plot)
