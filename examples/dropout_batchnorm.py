"""Train four networks on 200 images of handwritten digits: plain, with Dropout, with BatchNorm, and with both.

With BatchNorm both losses fall in fewer epochs. With Dropout the training loss falls more slowly and stays near that on
other images: the network does not memorize the images that it is trained on.

Run it with:  python examples/dropout_batchnorm.py [--seed N]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the split, the initial weights, the rows and the dropout")
seed = parser.parse_args().seed

# 1,797 images: 64 pixels from 0 to 16, and the digit. Of few images a network learns noise as well.
X, Y = nn.datasets.digits()
X = X / 16
training, test, _ = np.split(np.random.default_rng(seed).permutation(len(X)), [200, 1000])


def network(batchnorm: bool, dropout: bool) -> nn.Sequential:
    """Return a network of three hidden layers, with BatchNorm before and Dropout after each ReLU."""
    rng = np.random.default_rng(seed)
    layers: list[nn.Layer] = []
    for inputs in 64, 100, 100:
        # BatchNorm subtracts the mean of each feature, and a bias before it with that.
        layers += [nn.Linear(inputs, 100, bias=not batchnorm, rng=rng)]
        layers += [nn.BatchNorm1d(100), nn.ReLU()] if batchnorm else [nn.ReLU()]
        layers += [nn.Dropout(0.3, rng=rng)] if dropout else []
    return nn.Sequential(*layers, nn.Linear(100, 10, rng=rng))


# The training loss is that in training mode: of the statistics of a batch, and with entries that Dropout sets to 0.
# The loss on the other images is in evaluation mode: of the running statistics, and with all entries.
shown = [1, 2, 5, 10, 20, 40]
print(f"{'loss after epoch':34}", *(f"{epoch:5}" for epoch in shown), "   accuracy")
for name, batchnorm, dropout in [
    ("plain", False, False),
    ("Dropout", False, True),
    ("BatchNorm", True, False),
    ("BatchNorm, Dropout", True, True),
]:
    model, loss = network(batchnorm, dropout), nn.CrossEntropyLoss()
    optimizer = nn.SGD(model, lr=0.01, momentum=0.9)
    others = (X[test], Y[test])
    options = {"epochs": shown[-1], "batch_size": 20, "rng": seed, "verbose": 0, "validation_data": others}
    history = nn.fit(model, X[training], Y[training], loss=loss, optimizer=optimizer, metrics=[nn.accuracy], **options)
    for images, key in ("training", "loss"), ("other images", "val_loss"):
        losses = " ".join(f"{history[key][epoch - 1]:5.2f}" for epoch in shown)
        print(f"{name:20}{images:14} {losses}    {history[key.replace('loss', 'accuracy')][-1]:.3f}")
