"""Recognize handwritten digits in images of 8 x 8 pixels with a convolutional network, and draw what it has learned.

Run it with:  python examples/digits_cnn.py [--seed N] [--figure FILE]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the split, the initial weights and the order of the rows")
parser.add_argument("--figure", help="file for a figure of filters and feature maps, such as digits.png")
arguments = parser.parse_args()
rng = np.random.default_rng(arguments.seed)

# 1,797 images: 64 pixels from 0 to 16, and the digit. An image has one channel.
X, Y = nn.datasets.digits()
X = X.reshape(-1, 1, 8, 8).astype(np.float32) / 16
order = rng.permutation(len(X))
test, training = order[: len(X) // 5], order[len(X) // 5 :]

# Each convolution sees 3 x 3 pixels; two of them go two pixels at a time, from 8 x 8 to 4 x 4 to 2 x 2.
he = {"weight_init": nn.initializers.he_uniform, "rng": rng}
model = nn.Sequential(
    *(nn.Conv2d(1, 16, 3, padding=1, **he), nn.ReLU()),
    *(nn.Conv2d(16, 32, 3, stride=2, padding=1, **he), nn.ReLU()),
    *(nn.Conv2d(32, 64, 3, stride=2, padding=1, **he), nn.ReLU()),
    *(nn.Flatten(), nn.Dropout(0.3, rng=rng), nn.Linear(256, 10, rng=rng)),
)
print(nn.summary(model, input_shape=(1, 8, 8)))

epochs, batch_size = 16, 64
lr = nn.OneCycleLR(6e-3, total_steps=epochs * -(-len(training) // batch_size))
optimizer, loss = nn.AdamW(model, lr=lr), nn.CrossEntropyLoss(label_smoothing=0.1)
nn.fit(model, X[training], Y[training], loss=loss, optimizer=optimizer, epochs=epochs, batch_size=batch_size, rng=rng)
result = nn.evaluate(model, X[test], Y[test], loss=loss, metrics=[nn.accuracy])
print(f"\nOn {len(test)} other images: loss {result['loss']:.3f}, accuracy {result['accuracy']:.4f}")

# What the first layer has learned: for each channel a filter of 3 x 3 weights, and what it makes of an image.
if arguments.figure:
    from matplotlib.figure import Figure

    image, conv = X[test[:1]], model[0]
    maps = np.maximum(nn.predict(conv, image)[0], 0)
    figure = Figure((10, 2), layout="constrained")
    axes = figure.subplots(2, 17)
    axes[0, 0].imshow(image[0, 0], cmap="gray_r")
    for W, upper, Y, lower in zip(conv.W[:, 0], axes[0, 1:], maps, axes[1, 1:], strict=True):
        upper.imshow(W, cmap="RdBu", vmin=-abs(conv.W).max(), vmax=abs(conv.W).max())
        lower.imshow(Y, cmap="gray_r", vmin=0, vmax=maps.max())
    for each in axes.flat:
        each.set_axis_off()
    axes[0, 8].set_title("an image, and the filters of the first layer: blue is positive, red negative", fontsize=9)
    axes[1, 8].set_title("their feature maps after the ReLU", fontsize=9)
    figure.savefig(arguments.figure, dpi=150)
