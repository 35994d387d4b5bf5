"""Feedback alignment: backward multiplies by a fixed random matrix B instead of W^T, and the network still learns.

At first the gradient of the first layer is about orthogonal to the true gradient; during training the angle falls.
Source: Lillicrap, Cownden, Tweed and Akerman, Random synaptic feedback weights support error backpropagation for deep
learning, 2016.

Run it with:  python examples/feedback_alignment.py [--seed N]
"""

import argparse

import numpy as np

import nnlite as nn


class FeedbackLinear(nn.Linear, buffers=("B",)):
    """Y = X W + b with dX = dY B^T in backward, for a random matrix B that is not trained."""

    def __init__(self, in_features, out_features, *, rng):
        super().__init__(in_features, out_features, rng=rng)
        self.B = nn.initializers.glorot_uniform((in_features, out_features), rng=rng)

    def backward(self, dY):
        super().backward(dY)  # stores the true dW and db
        return dY @ self.B.T


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the split, the initial weights and the order of rows")
rng = np.random.default_rng(parser.parse_args().seed)

X, Y = nn.datasets.digits()
X = X / 16
order = rng.permutation(len(X))
test, training = order[: len(X) // 5], order[len(X) // 5 :]

model = nn.Sequential(nn.Linear(64, 128, rng=rng), nn.Tanh(), FeedbackLinear(128, 10, rng=rng))
loss = nn.CrossEntropyLoss()


def report():
    """The report of check_gradients, which finds the wrong dX of FeedbackLinear."""
    try:
        return nn.check_gradients(model, X[training[:50]], Y[training[:50]], loss, max_entries=50)
    except nn.GradientError as error:
        return error.report


print(f"Before training:\n{(before := report())}\n")
nn.fit(model, X[training], Y[training], loss=loss, optimizer=nn.SGD(model, lr=0.2), epochs=20, batch_size=16, rng=rng)
print(f"\nAfter training:\n{(after := report())}\n")

print("angle to the true gradient in degrees, before and after:")
for one, other in zip(before.comparisons, after.comparisons, strict=True):
    print(f"d{one.name:4} {one.angle:6.1f} {other.angle:6.1f}")
accuracy = nn.evaluate(model, X[test], Y[test], loss=loss, metrics=[nn.accuracy])["accuracy"]
print(f"\naccuracy on the {len(test)} test images: {accuracy:.3f}")
