"""An autoencoder: 64 pixels go through a code of only two numbers, and come out again as well as they can.

Run it with:  python examples/autoencoder.py [--seed N]
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

# Two models, and one made of both. An optimizer takes any layer, so each part can have its own.
encoder = nn.Sequential(nn.Linear(64, 64, rng=rng), nn.Tanh(), nn.Linear(64, 2, rng=rng))
decoder = nn.Sequential(nn.Linear(2, 64, rng=rng), nn.Tanh(), nn.Linear(64, 64, rng=rng), nn.Sigmoid())
autoencoder = nn.Sequential(encoder, decoder)
print(autoencoder)

print("\nTraining; what is wanted of each image is the image itself:")
optimizers = [nn.SGD(encoder, lr=1.0, momentum=0.9), nn.SGD(decoder, lr=1.0, momentum=0.9)]
nn.fit(autoencoder, X, X, loss=nn.MSELoss(), optimizer=optimizers, epochs=60, batch_size=16, rng=rng)

# What else can be done with two numbers? The best plane through the images: principal components, by the SVD.
mean = X.mean(axis=0)
components = np.linalg.svd(X - mean, full_matrices=False)[2][:2]
reconstructions = {
    "the mean image, for each": np.broadcast_to(mean, held_out.shape),
    "two principal components": mean + (held_out - mean) @ components.T @ components,
    "the autoencoder": nn.predict(autoencoder, held_out),
}
print(f"\nMean squared error of the {len(held_out)} held-out images when rebuilt from")
for name, rebuilt in reconstructions.items():
    print(f"  {name:<25} {np.mean((rebuilt - held_out) ** 2):.4f}")

image = held_out[0]
code = nn.predict(encoder, image[None])
print(f"\nA held-out image, and what the decoder makes of its code {np.round(code[0], 2)}:\n")
for left, right in zip(image.reshape(8, 8), nn.predict(decoder, code).reshape(8, 8), strict=True):
    print(*("".join(" .:-=+*#%@"[int(9 * pixel)] * 2 for pixel in row) for row in (left, right)), sep="    ")
