"""Write a layer of your own: forward and backward, a check of its gradients, and training.

Run it with:  python examples/own_layer.py [--seed N]
"""

import argparse

import numpy as np

import nnlite as nn


class PReLU(nn.Layer, parameters=("alpha",)):
    """Y = X where X > 0, else alpha X, with a learned slope alpha for each feature (He et al., 2015)."""

    def __init__(self, features):
        self.alpha = np.full(features, 0.25)

    def forward(self, X):
        self.X = X
        return np.where(X > 0, X, self.alpha * X)

    def backward(self, dY):
        self.dalpha = np.sum(dY * np.minimum(self.X, 0), axis=0)
        return np.where(self.X > 0, dY, self.alpha * dY)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the rows")
    rng = np.random.default_rng(parser.parse_args().seed)

    print("Gradients of backward compared with central differences, at random X:\n")
    print(nn.check_gradients(PReLU(3), rng.normal(size=(5, 3))))

    # The function to fit: one period of the sine.
    X = np.linspace(-np.pi, np.pi, 200)[:, None]
    Y = np.sin(X)

    prelu = PReLU(8)
    model = nn.Sequential(nn.Linear(1, 8, rng=rng), prelu, nn.Linear(8, 1, rng=rng))
    before = nn.evaluate(model, X, Y, loss=nn.MSELoss())["loss"]

    print("\nTraining a network with this layer to fit a sine:")
    nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.05, momentum=0.9), epochs=200, rng=rng)

    after = nn.evaluate(model, X, Y, loss=nn.MSELoss())["loss"]
    print(f"\nmean squared error before {before:.4f}, after {after:.4f}")
    print(f"the slopes alpha, initialized to 0.25: {np.round(prelu.alpha, 2)}")


if __name__ == "__main__":
    main()
