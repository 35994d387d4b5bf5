"""Gradient descent on the input: the weights are fixed, and an image is changed until it is misclassified.

Run it with:  python examples/input_descent.py [--seed N]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the rows")
rng = np.random.default_rng(parser.parse_args().seed)

X, Y = nn.datasets.digits()
X = X / 16
model = nn.Sequential(nn.Linear(64, 64, rng=rng), nn.Tanh(), nn.Linear(64, 10, rng=rng))
loss = nn.CrossEntropyLoss()
print("Training on the digits:")
nn.fit(model, X, Y, loss=loss, optimizer=nn.SGD(model, lr=0.1, momentum=0.9), epochs=20, rng=rng)

print("\nGradient descent on the pixels of an 8, on the loss for the target 3:")
eight = X[Y == 8][:1]
image = eight.copy()
model.eval()
for step in range(100):
    logits = model.forward(image)
    J = loss.forward(logits, np.array([3]))
    if step % 5 == 0 or logits.argmax() == 3:
        print(f"    step {step:2}: predicted {logits.argmax()}, probability of a 3: {np.exp(-J):.3f}")
    if logits.argmax() == 3:
        break
    image = np.clip(image - 0.002 * model.backward(loss.backward()), 0, 1)

print(
    f"The largest change of a pixel is {np.abs(image - eight).max():.2f}, on a scale from 0 to 1. Before and after:\n"
)
for left, right in zip(eight.reshape(8, 8), image.reshape(8, 8), strict=True):
    print(*("".join(" .:-=+*#%@"[int(9 * pixel)] * 2 for pixel in row) for row in (left, right)), sep="    ")
