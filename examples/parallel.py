"""Train one network in several processes, here on handwritten digits.

Run it with:  mpiexec -n 2 python examples/parallel.py [--epochs N]      (python alone trains in one process)

All processes run this file. Results do not depend on their number, but for rounding.
"""

import argparse

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=10)
epochs = parser.parse_args().epochs

parallel = nn.DataParallel(sync_batchnorm=True)  # BatchNorm sees the whole batch, not each process its own rows

X, Y = nn.datasets.digits()
model = nn.Sequential(
    nn.Linear(64, 64, rng=1),
    nn.BatchNorm1d(64),
    nn.ReLU(),
    nn.Dropout(0.2, rng=2),
    nn.Linear(64, 10, rng=3),
)
history = nn.fit(
    model,
    X / 16,
    Y,
    loss=nn.CrossEntropyLoss(),
    optimizer=nn.SGD(model, lr=0.05, momentum=0.9),
    epochs=epochs,
    batch_size=64,  # rows of a step, of which each of two processes computes 32
    validation_split=0.2,
    metrics=[nn.accuracy],
    callbacks=[parallel, nn.EarlyStopping("val_loss", patience=3)],
    rng=0,
)

if parallel.rank == 0:  # what is printed or written, one process does
    epoch, accuracy = history.best("val_accuracy")
    print(f"{parallel.ranks} process{'es' * (parallel.ranks > 1)}: accuracy {accuracy:.4f} in epoch {epoch}")
