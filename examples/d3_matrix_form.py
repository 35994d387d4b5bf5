"""D3: backpropagation in matrix form, and an autoencoder.

Run it with:  python examples/d3_matrix_form.py [--seed N]
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

# input -> encoder -> code -> decoder -> output, with 64 pixels and a code of two numbers.
encoder = nn.Sequential(nn.Linear(64, 64, rng=rng), nn.Tanh(), nn.Linear(64, 2, rng=rng))
decoder = nn.Sequential(nn.Linear(2, 64, rng=rng), nn.Tanh(), nn.Linear(64, 64, rng=rng), nn.Sigmoid())
autoencoder = nn.Sequential(encoder, decoder)

print("Forward and backward of a batch of 16, in matrix form:\n")
print(nn.explain(autoencoder, X[:16], X[:16], nn.MSELoss()))

print("\nThe Euclidean norm of the gradient that each layer returns:\n")
loss = nn.MSELoss()
loss.forward(autoencoder.forward(X[:16]), X[:16])
for step in nn.backward_steps(autoencoder, loss.backward()):
    print(f"  {step.path:>4} {step.layer.one_line():<16}  {np.linalg.norm(step.outputs['dX']):.5f}")

print("\nTraining with the images as their own targets; encoder and decoder have an optimizer each:")
optimizers = [nn.SGD(encoder, lr=1.0, momentum=0.9), nn.SGD(decoder, lr=1.0, momentum=0.9)]
nn.fit(autoencoder, X, X, loss=nn.MSELoss(), optimizer=optimizers, epochs=60, batch_size=16, rng=rng)

mean = X.mean(axis=0)  # for comparison: the first two principal components, from the SVD
components = np.linalg.svd(X - mean, full_matrices=False)[2][:2]
rebuilt = mean + (test - mean) @ components.T @ components
print(f"\nMean squared error of the {len(test)} test images when reconstructed by")
print(f"  two principal components  {np.mean((rebuilt - test) ** 2):.4f}")
print(f"  the autoencoder           {np.mean((nn.predict(autoencoder, test) - test) ** 2):.4f}")

image = test[0]
code = nn.predict(encoder, image[None])
print(f"\nA test image, and its reconstruction from the code {np.round(code[0], 2)}:\n")
for left, right in zip(image.reshape(8, 8), nn.predict(decoder, code).reshape(8, 8), strict=True):
    print(*("".join(" .:-=+*#%@"[int(9 * pixel)] * 2 for pixel in row) for row in (left, right)), sep="    ")
