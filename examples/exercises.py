"""Layers to fill in, with hints, and a bug to find: how nnlite.exercises is used in a lesson.

Run it with:  python examples/exercises.py
"""

import numpy as np

import nnlite as nn

# A student gets this text, as a file: nn.exercises.skeleton("Tanh", "my_tanh.py").
print(nn.exercises.skeleton("Tanh"))


class Tanh(nn.Layer):
    """A first try, with a square that is missing."""

    def forward(self, X):
        self.Y = np.tanh(X)
        return self.Y

    def backward(self, dY):
        return dY * (1 - self.Y)


for hint in range(4):
    print(f"check(Tanh(), hint={hint})", nn.exercises.check(Tanh(), hint=hint), "", sep="\n")


class MyTanh(Tanh):
    """A second try; check knows it by its name, with or without My."""

    def backward(self, dY):
        return dY * (1 - self.Y**2)


print(f"{nn.exercises.check(MyTanh())}\n")

# A network with one wrong gradient: those of its parameters are compared with differences.
hunt = nn.exercises.hunt(level=1, rng=2)
print(f"{hunt}\n")
model, loss, h = hunt.model, hunt.loss, 1e-5
loss.forward(model.forward(hunt.X), hunt.Y)
model.backward(loss.backward())
for (path, P), (_, dP) in zip(model.named_parameters(), model.named_gradients(), strict=True):
    numeric = np.empty_like(P)
    for index, value in np.ndenumerate(P):
        P[index] = value + h
        above = loss.forward(model.forward(hunt.X), hunt.Y)
        P[index] = value - h
        numeric[index] = (above - loss.forward(model.forward(hunt.X), hunt.Y)) / (2 * h)
        P[index] = value
    print(f"d{path}: largest difference {np.abs(dP - numeric).max():.1e}")

hunt.answer(layer=2, kind="wrong factor")
print(f"db of layer 2 is {model[2].db}")
hunt.answer(layer=2, kind="zero")
