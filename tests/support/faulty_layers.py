"""Layers with a known mistake in backward: modified layers of the library, and layers as a user writes them."""

from collections.abc import Callable
from typing import Any

import numpy as np

import nnlite as nn
from nnlite.exercises.planted import planted

N, D, M = 5, 3, 4  # rows, features, outputs: no two alike, so that a factor has one name


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Random numbers of both signs with magnitudes from 0.3 to 1.5."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.3, 1.5, shape) * rng.choice([-1, 1], shape)


X = numbers(N, D)
POSITIVE = np.abs(numbers(N, D, seed=1)) + 0.2


def spoiled(cls: type[nn.Layer], spoil: Callable[..., None], *args: Any, **kwargs: Any) -> nn.Layer:
    """A layer of a subclass ``Own`` of ``cls``; ``spoil(layer, gradients, dY)`` changes its gradients."""
    return planted(cls, spoil, *args, name="Own", **kwargs)


def linear(spoil: Callable[..., None], D: int = D, M: int = M) -> nn.Layer:
    """A wrong Linear whose b is not 0."""
    layer = spoiled(nn.Linear, spoil, D, M, rng=0)
    layer.b = numbers(M, seed=2)
    return layer


def times(name: str, factor: float) -> Callable[..., None]:
    def spoil(layer: nn.Layer, g: dict[str, np.ndarray], dY: np.ndarray) -> None:
        g[name] = g[name] * factor

    return spoil


def put(**new: Callable[[nn.Layer, np.ndarray, np.ndarray], Any]) -> Callable[..., None]:
    """Replace each named gradient by ``new(layer, dY, gradient)``."""

    def spoil(layer: nn.Layer, g: dict[str, np.ndarray], dY: np.ndarray) -> None:
        was = dict(g)
        for name, function in new.items():
            g[name] = np.array(function(layer, dY, was[name]))

    return spoil


def swap(one: str, other: str) -> Callable[..., None]:
    def spoil(layer: nn.Layer, g: dict[str, np.ndarray], dY: np.ndarray) -> None:
        g[one], g[other] = g[other], g[one]

    return spoil


class Function(nn.Layer):
    """A user's activation: ``forward`` and ``backward(dY, X, Y)`` given as functions."""

    def __init__(self, f: Callable[..., Any], backward: Callable[..., Any]) -> None:
        self.f, self.derived = f, backward

    def forward(self, X: np.ndarray) -> np.ndarray:
        self.X, self.Y = X, self.f(X)
        return self.Y

    def backward(self, dY: np.ndarray) -> np.ndarray:
        return self.derived(dY, self.X, self.Y)


def sigmoid(X: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-X))


class Dense(nn.Layer, parameters=("W", "b")):
    """A user's Linear with tanh; ``slope(U, Y)`` is used as the derivative of tanh."""

    def __init__(self, slope: Callable[..., Any], M: int = M) -> None:
        self.W, self.b, self.slope = numbers(D, M, seed=3), numbers(M, seed=4), slope

    def forward(self, X: np.ndarray) -> np.ndarray:
        self.X, self.U = X, X @ self.W + self.b
        self.Y = np.tanh(self.U)
        return self.Y

    def backward(self, dY: np.ndarray) -> np.ndarray:
        dU = dY * self.slope(self.U, self.Y)
        self.dW, self.db = self.X.T @ dU, dU.sum(axis=0)
        return dU @ self.W.T


class Swish(nn.Layer):
    """A user's X sigmoid(X), a product in which X is used twice; ``terms(dY, X, S)`` is its backward."""

    def __init__(self, terms: Callable[..., Any]) -> None:
        self.terms = terms

    def forward(self, X: np.ndarray) -> np.ndarray:
        self.X, self.S = X, sigmoid(X)
        return X * self.S

    def backward(self, dY: np.ndarray) -> np.ndarray:
        return self.terms(dY, self.X, self.S)


class Fork(nn.Layer):
    """A user's composite, ``Y = X + f(X)``; its backward is ``merge(dY, dX of f)``."""

    def __init__(self, inner: nn.Layer, merge: Callable[..., Any]) -> None:
        self.inner, self.merge = inner, merge

    def forward(self, X: np.ndarray) -> np.ndarray:
        return X + self.inner.forward(X)

    def backward(self, dY: np.ndarray) -> np.ndarray:
        return self.merge(dY, self.inner.backward(dY))


class Two(nn.Layer):
    """A user's composite, ``Y = f(X) + g(X)``, whose backward forgets g."""

    def __init__(self, f: nn.Layer, g: nn.Layer) -> None:
        self.f, self.g = f, g

    def forward(self, X: np.ndarray) -> np.ndarray:
        return self.f.forward(X) + self.g.forward(X)

    def backward(self, dY: np.ndarray) -> np.ndarray:
        return self.f.backward(dY)


class Accumulating(nn.Linear):
    """It adds to its gradients, as PyTorch's layers do."""

    def backward(self, dY: np.ndarray) -> np.ndarray:
        before = self.dW.copy()
        dX = super().backward(dY)
        self.dW += before
        return dX


class Forgetful(nn.Linear):
    """It computes db and does not store it."""

    def backward(self, dY: np.ndarray) -> np.ndarray:
        before = self.db.copy()
        dX = super().backward(dY)
        self.db[...] = before
        return dX


class Feedback(nn.Linear):
    """It multiplies dY by another matrix than W."""

    def __init__(self, *sizes: int, rng: int) -> None:
        super().__init__(*sizes, rng=rng)
        self.B = numbers(*sizes, seed=11)

    def backward(self, dY: np.ndarray) -> np.ndarray:
        super().backward(dY)
        return dY @ self.B.T


class WritesdY(nn.Layer):
    def forward(self, X: np.ndarray) -> np.ndarray:
        self.X = X
        return np.maximum(X, 0)

    def backward(self, dY: np.ndarray) -> np.ndarray:
        dY[self.X < 0] = 0
        return dY


class WritesX(nn.Layer):
    def forward(self, X: np.ndarray) -> np.ndarray:
        self.X = X
        return X * X

    def backward(self, dY: np.ndarray) -> np.ndarray:
        self.X *= 2
        return dY * self.X


class Single(nn.Layer):
    """It always computes in float32."""

    def forward(self, X: np.ndarray) -> np.ndarray:
        self.X = X.astype(np.float32)
        return np.sin(self.X) * np.float32(3)

    def backward(self, dY: np.ndarray) -> np.ndarray:
        return dY * 3 * np.cos(self.X)


class SingleBackward(nn.Layer):
    """Forward is right, and backward computes in float32, where 100 dY - 99 dY loses two digits."""

    def forward(self, X: np.ndarray) -> np.ndarray:
        self.X = X
        return 100 * X - 99 * X

    def backward(self, dY: np.ndarray) -> np.ndarray:
        dY = dY.astype(np.float32)
        return 100 * dY - 99 * dY


class WrongMSE(nn.MSELoss):
    def __init__(self, factor: Callable[[np.ndarray], float]) -> None:
        super().__init__()
        self.factor = factor

    def backward(self, dJ: Any = 1.0) -> np.ndarray:
        return super().backward(dJ) * self.factor(self.Y - self.target)


class NoDJ(nn.MSELoss):
    def backward(self, dJ: Any = 1.0) -> np.ndarray:
        return super().backward()


class Sharing(nn.Layer, parameters=("gamma", "delta")):
    """Y = X gamma + tanh(X) delta, with the two gradients swapped."""

    def __init__(self) -> None:
        self.gamma, self.delta = numbers(D, seed=5), numbers(D, seed=6)

    def forward(self, X: np.ndarray) -> np.ndarray:
        self.X, self.T = X, np.tanh(X)
        return X * self.gamma + self.T * self.delta

    def backward(self, dY: np.ndarray) -> np.ndarray:
        self.ddelta, self.dgamma = (dY * self.X).sum(axis=0), (dY * self.T).sum(axis=0)
        return dY * (self.gamma + (1 - self.T * self.T) * self.delta)


class Scale(nn.Layer, parameters=("gamma",)):
    """Y = X gamma, for square X; ``summed`` reduces dY * X to dgamma."""

    def __init__(self, summed: Callable[[np.ndarray], np.ndarray]) -> None:
        self.gamma, self.summed = numbers(D, seed=7), summed

    def forward(self, X: np.ndarray) -> np.ndarray:
        self.X = X
        return X * self.gamma

    def backward(self, dY: np.ndarray) -> np.ndarray:
        self.dgamma = self.summed(dY * self.X)
        return dY * self.gamma


def transposed(layer: nn.Layer, dY: np.ndarray, dP: np.ndarray) -> np.ndarray:
    return dP.T
