"""Which digit is it? A network with one hidden layer reads 8 x 8 images of handwritten digits.

Run it with:  python examples/digits.py [--seed N]
"""

import argparse
from pathlib import Path

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="for the split, the first weights and the order of the rows")
rng = np.random.default_rng(parser.parse_args().seed)

# 1,797 images: 64 pixels from 0 to 16, and in the last column the digit.
table = np.loadtxt(Path(__file__).parent / "data" / "digits.csv.gz", delimiter=",")
X, Y = table[:, :-1] / 16, table[:, -1].astype(int)

# A fifth of the rows, drawn at random, is held out to the very end.
order = rng.permutation(len(X))
held_out, training = order[: len(X) // 5], order[len(X) // 5 :]

# The network gives a score for each digit; the loss turns scores into probabilities (softmax) by itself.
# Label smoothing asks for a probability of 0.91 and not of 1 for the right digit, which guards against overfitting.
he_uniform = nn.initializers.he_uniform  # the right start for ReLU
model = nn.Sequential(
    nn.Linear(64, 128, weight_init=he_uniform, rng=rng),
    nn.ReLU(),
    nn.Linear(128, 10, rng=rng),
)
loss = nn.CrossEntropyLoss(label_smoothing=0.1)
print(model, nn.summary(model, input_shape=64), sep="\n\n")

print(f"\nTraining; a tenth of the {len(training)} images is kept for validation (val):")
nn.fit(
    model,
    X[training],
    Y[training],
    loss=loss,
    optimizer=nn.SGD(model, lr=0.1, momentum=0.9, weight_decay=1e-4),
    epochs=40,
    batch_size=16,
    validation_split=0.1,
    metrics=[nn.accuracy],
    rng=rng,
)

result = nn.evaluate(model, X[held_out], Y[held_out], loss=loss, metrics=[nn.accuracy])
print(f"\nOn the {len(held_out)} held-out images:")
print(f"loss {result['loss']:.3f}, accuracy {result['accuracy']:.3f}")
