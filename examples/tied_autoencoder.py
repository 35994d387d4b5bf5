"""An autoencoder with tied weights: the decoder uses the transpose of the encoder's W, so W is learned once.

Run it with:  python examples/tied_autoencoder.py [--seed N]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the split, the initial weights and the order of the rows")
rng = np.random.default_rng(parser.parse_args().seed)

images = nn.datasets.digits().X / 16
images = rng.permutation(images)
test, X = images[:359], images[359:]


def train(name, encoder, decoder):
    model = nn.Sequential(encoder, nn.Sigmoid(), decoder, nn.Sigmoid())
    print(f"\n{name}: {model.Phi.size:,} parameters")
    optimizer = nn.SGD(model, lr=0.5, momentum=0.9)
    nn.fit(model, X, X, loss=nn.BCELoss(), optimizer=optimizer, epochs=40, batch_size=16, rng=rng)
    error = np.mean((nn.predict(model, test) - test) ** 2)
    print(f"mean squared error on the {len(test)} test images: {error:.4f}")
    return model


encoder = nn.Linear(64, 16, rng=rng)
tied = train("Tied", encoder, nn.tied(encoder, transpose=True))
train("Two matrices", nn.Linear(64, 16, rng=rng), nn.Linear(16, 64, rng=rng))

# W occurs once in Phi, and its gradient is the sum of the gradients of both uses.
print("\nThe parameters of the tied autoencoder, and a check of their gradients:")
print(*(f"{path} {P.shape}" for path, P in tied.named_parameters()), sep=", ")
print(nn.check_gradients(tied, test[:5], test[:5], nn.BCELoss(), max_entries=100))
