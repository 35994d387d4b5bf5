"""Tell sine, square and sawtooth waves apart in noise, whatever their phase: a convolution of signals.

Run it with:  python examples/signals.py [--seed N]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the signals, the initial weights and the order of the rows")
rng = np.random.default_rng(parser.parse_args().seed)

# 2,000 signals of 64 samples: two to four periods that begin anywhere, and noise. All have mean 0, variance 1.
N, samples = 2000, 64
phase = (rng.uniform(2, 4, (N, 1)) * np.arange(samples) / samples + rng.uniform(0, 1, (N, 1))) % 1
waves = [np.sqrt(2) * np.sin(2 * np.pi * phase), np.where(phase < 0.5, 1.0, -1.0), np.sqrt(12) * (phase - 0.5)]
Y = rng.integers(3, size=N)
X = np.choose(Y[:, None], waves) + rng.normal(scale=0.4, size=(N, samples))
X = X[:, None].astype(np.float32)  # one channel
training, test = slice(1500), slice(1500, None)


def accuracy(model: nn.Layer) -> float:
    """The accuracy on other signals, after training."""
    loss = nn.CrossEntropyLoss()
    optimizer = nn.Adam(model, lr=3e-3)
    nn.fit(model, X[training], Y[training], loss=loss, optimizer=optimizer, epochs=12, batch_size=32, rng=rng)
    return nn.evaluate(model, X[test], Y[test], loss=loss, metrics=[nn.accuracy])["accuracy"]


# A filter slides over the signal: it finds an edge or a slope wherever that is, and the mean over time forgets where.
he = {"weight_init": nn.initializers.he_uniform, "rng": rng}
convolutional = nn.Sequential(
    nn.Conv1d(1, 16, 9, padding="same", padding_mode="replicate", **he),
    nn.ReLU(),
    nn.Conv1d(16, 16, 9, stride=2, **he),
    nn.ReLU(),
    nn.Mean(dim=-1),
    nn.Linear(16, 3, rng=rng),
)
# A dense layer has a weight for each sample, so it must learn each shape anew for every phase.
dense = nn.Sequential(nn.Flatten(), nn.Linear(64, 64, **he), nn.ReLU(), nn.Linear(64, 3, rng=rng))

print(nn.summary(convolutional, input_shape=(1, samples)))
print(f"accuracy of convolutions: {accuracy(convolutional):.3f}, {convolutional.Phi.size} parameters")
print(f"accuracy of dense layers: {accuracy(dense):.3f}, {dense.Phi.size} parameters")
