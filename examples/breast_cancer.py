"""Classify breast tumours as malignant or benign with a network of two hidden layers.

Run it with:  python examples/breast_cancer.py [--seed N]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the split, the initial weights and the order of the rows")
rng = np.random.default_rng(parser.parse_args().seed)

# 569 tumours: 30 measurements of the cell nuclei, and 0 for malignant, 1 for benign.
X, Y = nn.datasets.breast_cancer()

# A random quarter of the rows is the test set; it is not used for training.
order = rng.permutation(len(X))
test, training = order[: len(X) // 4], order[len(X) // 4 :]

# Standardize each feature to mean 0 and standard deviation 1, both computed from the training rows only.
X = (X - X[training].mean(axis=0)) / X[training].std(axis=0)

model = nn.Sequential(
    nn.Linear(30, 16, rng=rng),
    nn.Tanh(),
    nn.Linear(16, 8, rng=rng),
    nn.Sigmoid(),
    nn.Linear(8, 1, rng=rng),
    nn.Sigmoid(),  # the probability that the tumour is benign
)
print(model, nn.summary(model, input_shape=30), sep="\n\n")

print(f"\nTraining on {len(training)} tumours:")
nn.fit(
    model,
    X[training],
    Y[training],
    loss=nn.BCELoss(),
    optimizer=nn.SGD(model, lr=0.02, momentum=0.9, weight_decay=0.015),
    epochs=80,
    metrics=[nn.binary_accuracy],
    rng=rng,
)

result = nn.evaluate(model, X[test], Y[test], loss=nn.BCELoss(), metrics=[nn.binary_accuracy])
print(f"\nOn the {len(test)} test tumours:")
print(f"loss {result['loss']:.3f}, accuracy {result['binary_accuracy']:.3f}")
