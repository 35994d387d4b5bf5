"""A tied autoencoder: the decoder's weights are the encoder's, transposed, so that there are half as many to learn.

Run it with:  python examples/tied_autoencoder.py [--seed N]
"""

import argparse
from pathlib import Path

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="for the split, the first weights and the order of the rows")
rng = np.random.default_rng(parser.parse_args().seed)

images = np.loadtxt(Path(__file__).parent / "data" / "digits.csv.gz", delimiter=",")[:, :-1] / 16
images = rng.permutation(images)
held_out, X = images[:359], images[359:]


def train(name, encoder, decoder):
    model = nn.Sequential(encoder, nn.Sigmoid(), decoder, nn.Sigmoid())
    print(f"\n{name}: {model.Phi.size:,} parameters")
    optimizer = nn.SGD(model, lr=0.5, momentum=0.9)
    nn.fit(model, X, X, loss=nn.BCELoss(), optimizer=optimizer, epochs=40, batch_size=16, rng=rng)
    error = np.mean((nn.predict(model, held_out) - held_out) ** 2)
    print(f"mean squared error of the {len(held_out)} held-out images: {error:.4f}")
    return model


encoder = nn.Linear(64, 16, rng=rng)
tied = train("Tied", encoder, nn.tied(encoder, transpose=True))
train("Two matrices", nn.Linear(64, 16, rng=rng), nn.Linear(16, 64, rng=rng))

# W stands once in Phi, and its gradient is the sum of what it is to blame for in both places.
print("\nThe tied one's parameters, and a check of their gradients:")
print(*(f"{path} {P.shape}" for path, P in tied.named_parameters()), sep=", ")
print(nn.check_gradients(tied, held_out[:5], held_out[:5], nn.BCELoss(), max_entries=100))
