"""Skip connections against vanishing gradients: a deep network that trains only with them.

Run it with:  python examples/residual.py [--seed N]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the split, the initial weights and the order of the rows")
rng = np.random.default_rng(parser.parse_args().seed)

X, Y = nn.datasets.digits()
order = rng.permutation(len(X))
X, Y = X[order] / 16, Y[order]

BLOCKS = 10


def block():
    """Layers with as many outputs as inputs."""
    return nn.Linear(32, 32, rng=rng), nn.Sigmoid()


def train(name, blocks):
    model = nn.Sequential(nn.Linear(64, 32, rng=rng), *blocks, nn.Linear(32, 10, rng=rng))
    optimizer = nn.SGD(model, lr=0.01, momentum=0.9)
    loss = nn.CrossEntropyLoss()

    # The gradient norms of the first and the last layer at initialization.
    loss.forward(model.forward(X[:100]), Y[:100])
    model.backward(loss.backward())
    first, last = (np.linalg.norm(layer.dW) for layer in (model[0], model[-1]))
    print(f"\n{name}: |dW| of the first layer {first:.0e}, of the last {last:.0e}")
    nn.fit(model, X[359:], Y[359:], loss=loss, optimizer=optimizer, epochs=20, metrics=[nn.accuracy], rng=rng)
    result = nn.evaluate(model, X[:359], Y[:359], loss=loss, metrics=[nn.accuracy])
    print(f"on the 359 test images: accuracy {result['accuracy']:.3f}")


train(f"{BLOCKS} blocks without skip connections", [nn.Sequential(*block()) for _ in range(BLOCKS)])
train(f"{BLOCKS} blocks with skip connections", [nn.Residual(*block()) for _ in range(BLOCKS)])
