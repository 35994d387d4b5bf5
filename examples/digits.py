"""Recognize handwritten digits in images of 8 x 8 pixels with a network of one hidden layer.

Run it with:  python examples/digits.py [--seed N]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the split, the initial weights and the order of the rows")
rng = np.random.default_rng(parser.parse_args().seed)

# 1,797 images: 64 pixels from 0 to 16, and the digit.
X, Y = nn.datasets.digits()
X = X / 16

# A random fifth of the rows is the test set; it is used only at the end.
order = rng.permutation(len(X))
test, training = order[: len(X) // 5], order[len(X) // 5 :]

# The network returns a logit for each digit; the loss contains the softmax.
# Label smoothing sets the target probability of the correct digit to 0.91 instead of 1, which reduces overfitting.
he_uniform = nn.initializers.he_uniform  # for layers before a ReLU
model = nn.Sequential(
    nn.Linear(64, 128, weight_init=he_uniform, rng=rng),
    nn.ReLU(),
    nn.Linear(128, 10, rng=rng),
)
loss = nn.CrossEntropyLoss(label_smoothing=0.1)
print(model, nn.summary(model, input_shape=64), sep="\n\n")

print(f"\nTraining on {len(training)} images, a tenth of which is held back for validation:")
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

result = nn.evaluate(model, X[test], Y[test], loss=loss, metrics=[nn.accuracy])
print(f"\nOn the {len(test)} test images:")
print(f"loss {result['loss']:.3f}, accuracy {result['accuracy']:.3f}")
