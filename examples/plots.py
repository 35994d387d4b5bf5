"""Six pictures of one line each: boundaries, loss surface, gradients, histories, images, confusion matrix.

Run it with:  python examples/plots.py [--seed 0] [--figure plots.png]     (needs matplotlib)
"""

import argparse

import numpy as np
from matplotlib import pyplot as plt

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--figure", help="file for the pictures, such as plots.png")
options = parser.parse_args()
seed = options.seed

# Moons: one network for each learning rate; the path of the last one through its parameters is kept.
moons = nn.datasets.moons(noise=0.15, rng=seed)
X, Y = moons
print(moons)
histories = {}
for lr in (0.003, 0.03):
    model = nn.Sequential(nn.Linear(2, 16, rng=seed), nn.Tanh(), nn.Linear(16, 1, rng=seed + 1), nn.Sigmoid())
    path, record = [model.Phi.copy()], nn.Diagnostics()

    def keep(state, path=path):
        path.append(state.model.Phi.copy())

    optimizer, callbacks = nn.Adam(model, lr=lr), [keep, record]
    history = nn.fit(
        model, X, Y, loss=nn.BCELoss(), optimizer=optimizer, epochs=60, rng=seed, verbose=0, callbacks=callbacks
    )
    histories[f"lr {lr}"] = history
    print(f"lr {lr}: loss {history['loss'][-1]:.3f}")

# Digits: softmax regression, whose weights are an image for each class.
digits = nn.datasets.digits()
images = digits.X / 16
classifier = nn.Linear(64, 10, rng=seed)
loss, optimizer = nn.CrossEntropyLoss(), nn.Adam(classifier, lr=0.01)
nn.fit(classifier, images[:1000], digits.Y[:1000], loss=loss, optimizer=optimizer, epochs=20, rng=seed, verbose=0)
answers = nn.predict(classifier, images[1000:])
print(f"digits: accuracy {np.mean(answers.argmax(axis=1) == digits.Y[1000:]):.2f}")

figure, axes = plt.subplots(2, 3, figsize=(14, 8), layout="constrained")
nn.plot.boundary(model, X, Y, ax=axes[0, 0])
nn.plot.surface(model, X, Y, nn.BCELoss(), path=path, ax=axes[0, 1])
nn.plot.gradients(record, ax=axes[0, 2])
nn.plot.histories(histories, ax=axes[1, 0])
nn.plot.images(classifier.W, (8, 8), columns=5, ax=axes[1, 1])
nn.plot.confusion_matrix(answers, digits.Y[1000:], names=digits.target_names, ax=axes[1, 2])
if options.figure:
    figure.savefig(options.figure)
plt.close(figure)
