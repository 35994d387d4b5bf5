"""Seeded faults: layers whose backward is wrong in a known way, and what the gradient doctor is to say of them.

Every fault stands in a table, with the place that must be named and the reason that must be given. Each kind is put
into several layers: into the library's own by a subclass that spoils what they return, and into layers as a user
would write them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import nnlite as nn

N, D, M = 5, 3, 4  # rows, features, outputs: no two alike, so that a factor has one name


class Fault(NamedTuple):
    """A layer that is wrong, and the verdict on it.

    Attributes:
        id: the fault's name in the test report.
        make: gives the layer.
        verdict: what the reason begins with; ``{place}`` is where the layer stands.
        X: the input.
        target: of a loss.
    """

    id: str
    make: Callable[[], nn.Layer]
    verdict: str
    X: Any = None
    target: Any = None


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Random numbers from 0.3 to 1.5 in size, of both signs."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.3, 1.5, shape) * rng.choice([-1, 1], shape)


X = numbers(N, D)
POSITIVE = np.abs(numbers(N, D, seed=1)) + 0.2


class Spoiled:
    """Mixed into a layer: its gradients go through ``spoil`` before they are handed out."""

    spoil: Callable[[Any, dict[str, np.ndarray], np.ndarray], None]

    def backward(self, dY: np.ndarray) -> Any:
        dX = super().backward(dY)
        several = isinstance(dX, tuple)
        gradients = {f"X{i}": each for i, each in enumerate(dX, 1)} if several else {"X": dX}
        gradients |= {name: getattr(self, "d" + name).copy() for name in self._parameters}
        self.spoil(gradients, dY)
        for name in self._parameters:
            setattr(self, "d" + name, gradients[name])
        return tuple(gradients[f"X{i}"] for i in range(1, len(dX) + 1)) if several else gradients["X"]


def spoiled(cls: type[nn.Layer], spoil: Callable[..., None], *args: Any, **kwargs: Any) -> nn.Layer:
    """A layer of a subclass called ``Own`` whose ``spoil(layer, gradients, dY)`` changes the gradients."""
    return type("Own", (Spoiled, cls), {"spoil": spoil})(*args, **kwargs)


def linear(spoil: Callable[..., None], D: int = D, M: int = M) -> nn.Layer:
    """A Linear that is wrong, with a b that is not 0."""
    layer = spoiled(nn.Linear, spoil, D, M, rng=0)
    layer.b = numbers(M, seed=2)
    return layer


def times(name: str, factor: float) -> Callable[..., None]:
    def spoil(layer: nn.Layer, g: dict[str, np.ndarray], dY: np.ndarray) -> None:
        g[name] = g[name] * factor

    return spoil


def put(**new: Callable[[nn.Layer, np.ndarray, np.ndarray], Any]) -> Callable[..., None]:
    """Each named gradient becomes ``new(layer, dY, what it was)``."""

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
    """A user's Linear and tanh in one; ``slope(U, Y)`` is what stands for the derivative of tanh."""

    def __init__(self, slope: Callable[..., Any]) -> None:
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
    """A user's composite, ``Y = X + f(X)``; ``merge(dY, back)`` is its backward, where back is f's."""

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
    """It computes db, and stores it nowhere."""

    def backward(self, dY: np.ndarray) -> np.ndarray:
        before = self.db.copy()
        dX = super().backward(dY)
        self.db[...] = before
        return dX


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
    """It computes in float32, whatever comes."""

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
        return super().backward(dJ) * self.factor(self.error)


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
    """Y = X gamma, for square X; ``summed(terms)`` is what becomes of dY * X."""

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


T = numbers(N, D, seed=8)
SQUARE = numbers(D, D, seed=9)
BATCH = f"{N} is the batch size"
OUTPUTS = f"{M} is the number of outputs"

FAULTS = [
    # a constant factor
    Fault("batch-size-in-dW", lambda: linear(times("W", 1 / N)), f"dW: 1/5 of the true gradient ({BATCH})"),
    Fault("batch-size-in-db", lambda: linear(times("b", N)), f"db: 5 times the true gradient ({BATCH})"),
    Fault("outputs-in-dW", lambda: linear(times("W", M)), f"dW: 4 times the true gradient ({OUTPUTS})"),
    Fault(
        "features-in-dX",
        lambda: linear(times("X", 1 / D)),
        "dX: 1/3 of the true gradient (3 is the number of features)",
    ),
    Fault(
        "elements-in-dX",
        lambda: spoiled(nn.Tanh, times("X", 15)),
        "dX: 15 times the true gradient (15 is the number of elements)",
    ),
    Fault("twice-in-square", lambda: Function(np.square, lambda dY, X, Y: dY * X), "dX: 1/2 of the true gradient"),
    Fault("twice-in-softmax", lambda: spoiled(nn.Softmax, times("X", 2)), "dX: 2 times the true gradient"),
    Fault("half-in-mse", lambda: WrongMSE(lambda E: 0.5), "dX: 1/2 of the true gradient", target=T),
    Fault(
        "elements-in-mse",
        lambda: WrongMSE(lambda E: E.size),
        "dX: 15 times the true gradient (15 is the number of elements)",
        target=T,
    ),
    Fault("two-over-n-in-mse", lambda: WrongMSE(lambda E: 2 / N), f"dX: 2/5 of the true gradient ({BATCH})", target=T),
    Fault("dJ-in-mse", NoDJ, "dX: dJ is left out", target=T),
    Fault("odd-factor", lambda: spoiled(nn.Sigmoid, times("X", 0.7123)), "dX: 0.7123 times the true gradient"),
    Fault("nothing-in-dW", lambda: linear(times("W", 0)), "dW: zero everywhere"),
    # the sign
    Fault("sign-of-dW", lambda: linear(times("W", -1)), "dW: wrong sign"),
    Fault("sign-of-db", lambda: linear(times("b", -1)), "db: wrong sign"),
    Fault("sign-of-dX", lambda: spoiled(nn.Exp, times("X", -1)), "dX: wrong sign"),
    Fault("sign-in-subtract", lambda: spoiled(nn.Subtract, times("X2", -1)), "dX2: wrong sign", X=(X, T)),
    Fault("minus-batch", lambda: linear(times("W", -1 / N)), f"dW: -1/5 of the true gradient ({BATCH})"),
    # order
    Fault("transposed-dW", lambda: linear(put(W=transposed), D, D), "dW: transposed"),
    Fault(
        "reshaped-dW",
        lambda: linear(put(W=lambda L, dY, dW: dW.T.reshape(dW.shape))),
        "dW: transposed, and then brought into shape",
    ),
    Fault(
        "transposed-and-minus", lambda: linear(put(W=lambda L, dY, dW: -dW.T), D, D), "dW: transposed, and wrong sign"
    ),
    Fault("transposed-dX", lambda: spoiled(nn.Tanh, put(X=transposed)), "dX: transposed", X=SQUARE),
    Fault(
        "reversed-rows",
        lambda: spoiled(nn.Sigmoid, put(X=lambda L, dY, dX: dX[::-1])),
        "dX: its rows are in reverse order",
    ),
    Fault(
        "shifted-columns",
        lambda: linear(put(W=lambda L, dY, dW: np.roll(dW, 1, 1))),
        "dW: its columns are shifted by one",
    ),
    Fault(
        "permuted-db",
        lambda: linear(put(b=lambda L, dY, db: db[[2, 0, 3, 1]])),
        "db: the right numbers in another order",
    ),
    Fault("swapped-parameters", Sharing, "dgamma: swapped with ddelta; ddelta: swapped with dgamma"),
    Fault(
        "swapped-inputs",
        lambda: spoiled(nn.Multiply, swap("X1", "X2")),
        "dX1: swapped with dX2; dX2: swapped with dX1",
        X=(X, T),
    ),
    Fault(
        "one-input-for-both",
        lambda: spoiled(nn.Multiply, put(X1=lambda L, dY, dX: dY * L.X)),
        "dX1: it is the gradient of X2",
        X=(X, T),
    ),
    # derivatives
    Fault(
        "no-derivative-of-tanh",
        lambda: Function(np.tanh, lambda dY, X, Y: dY.copy()),
        "dX: it is dY itself, the derivative of Y by X is missing",
    ),
    Fault(
        "no-derivative-of-sigmoid",
        lambda: Function(sigmoid, lambda dY, X, Y: dY.copy()),
        "dX: it is dY itself, the derivative of Y by X is missing",
    ),
    Fault(
        "no-derivative-of-softplus",
        lambda: Function(lambda X: np.log1p(np.exp(X)), lambda dY, X, Y: 1 * dY),
        "dX: it is dY itself, the derivative of Y by X is missing",
    ),
    Fault(
        "no-dY-in-tanh",
        lambda: Function(np.tanh, lambda dY, X, Y: 1 - Y * Y),
        "dX: it is the derivative of Y by X alone, dY is missing",
    ),
    Fault(
        "twice-the-derivative",
        lambda: Function(np.tanh, lambda dY, X, Y: dY * (1 - Y * Y) ** 2),
        "dX: the derivative of Y by X is multiplied in twice",
    ),
    Fault(
        "divided-by-the-derivative",
        lambda: Function(np.exp, lambda dY, X, Y: dY / Y),
        "dX: divided by the derivative of Y by X and not multiplied",
    ),
    Fault(
        "tanh-at-the-input",
        lambda: Function(np.tanh, lambda dY, X, Y: dY * (1 - X * X)),
        "dX: the derivative is taken at the input X in place of the output Y",
    ),
    Fault(
        "sigmoid-at-the-input",
        lambda: Function(sigmoid, lambda dY, X, Y: dY * X * (1 - X)),
        "dX: the derivative is taken at the input X in place of the output Y",
    ),
    Fault(
        "exp-at-the-input",
        lambda: Function(np.exp, lambda dY, X, Y: dY * X),
        "dX: the derivative is taken at the input X in place of the output Y",
    ),
    Fault(
        "softmax-at-the-input",
        lambda: Function(
            lambda X: np.exp(X) / np.exp(X).sum(-1, keepdims=True),
            lambda dY, X, Y: X * (dY - (dY * X).sum(-1, keepdims=True)),
        ),
        "dX: the derivative is taken at the input X in place of the output Y",
    ),
    Fault(
        "square-at-the-output",
        lambda: Function(np.square, lambda dY, X, Y: 2 * dY * Y),
        "dX: the derivative is taken at the output Y in place of the input X",
    ),
    Fault(
        "sine-at-the-output",
        lambda: Function(np.sin, lambda dY, X, Y: dY * np.cos(Y)),
        "dX: the derivative is taken at the output Y in place of the input X",
    ),
    Fault(
        "log-at-the-output",
        lambda: Function(np.log, lambda dY, X, Y: dY / Y),
        "dX: the derivative is taken at the output Y in place of the input X",
        X=POSITIVE + 1,
    ),
    Fault(
        "tanh-for-sigmoid",
        lambda: Function(sigmoid, lambda dY, X, Y: dY * (1 - Y * Y)),
        "dX: it is dY * (1 - Y^2), the derivative of tanh",
    ),
    Fault(
        "sigmoid-for-tanh",
        lambda: Function(np.tanh, lambda dY, X, Y: dY * Y * (1 - Y)),
        "dX: it is dY * Y * (1 - Y), the derivative of a sigmoid",
    ),
    Fault(
        "relu-for-softplus",
        lambda: Function(lambda X: np.log1p(np.exp(X)), lambda dY, X, Y: dY * (X > 0)),
        "dX: it is dY * (X > 0)",
    ),
    Fault(
        "no-derivative-in-dense",
        lambda: Dense(lambda U, Y: 1),
        "dX: it is dY times W^T, so that a derivative is missing; dW: it is X^T times dY, so that a derivative is "
        "missing; db: it is the sum over the rows of dY, so that a derivative is missing",
    ),
    Fault(
        "input-for-output-in-dense",
        lambda: Dense(lambda U, Y: 1 - U * U),
        "dX: it is dY * (1 - U^2) times W^T; dW: it is X^T times dY * (1 - U^2); "
        "db: it is the sum over the rows of dY * (1 - U^2)",
    ),
    Fault(
        "diagonal-of-softmax",
        lambda: spoiled(nn.Softmax, put(X=lambda L, dY, dX: dY * L.Y * (1 - L.Y))),
        "dX: only the diagonal of the Jacobian counts",
    ),
    # sums
    Fault("fork-without-skip", lambda: Fork(nn.Tanh(), lambda dY, back: back), "dX: the term dY is missing"),
    Fault(
        "fork-without-path",
        lambda: Fork(nn.Tanh(), lambda dY, back: dY),
        "dX: the term that {place}.inner Tanh() gives back is missing",
    ),
    Fault("fork-twice", lambda: Fork(nn.Sigmoid(), lambda dY, back: 2 * dY + back), "dX: the term dY is one too many"),
    Fault(
        "path-never-called",
        lambda: Two(nn.Linear(D, M, rng=0), nn.Linear(D, M, rng=1)),
        "dX: the term that {place}.g Linear(3 -> 4) gives back is missing; dg.W, dg.b: backward does not store it",
    ),
    Fault(
        "first-term-of-a-product", lambda: Swish(lambda dY, X, S: dY * S), "dX: the term dY * Y * (1 - S) is missing"
    ),
    Fault(
        "second-term-of-a-product",
        lambda: Swish(lambda dY, X, S: dY * X * S * (1 - S)),
        "dX: the term dY * S is missing",
    ),
    Fault(
        "last-row-of-dW", lambda: linear(put(W=lambda L, dY, dW: L.X[:-1].T @ dY[:-1])), "dW: of dY row 4 is left out"
    ),
    Fault("first-row-alone-in-db", lambda: linear(put(b=lambda L, dY, db: dY[0])), "db: of dY row 0 alone counts"),
    Fault("first-row-twice-in-db", lambda: linear(put(b=lambda L, dY, db: db + dY[0])), "db: of dY row 0 counts twice"),
    Fault(
        "last-column-of-dX",
        lambda: linear(put(X=lambda L, dY, dX: dY[:, :-1] @ L.W[:, :-1].T)),
        "dX: of dY column 3 is left out",
    ),
    Fault(
        "one-output-alone",
        lambda: linear(put(X=lambda L, dY, dX: dY[:, :1] @ L.W[:, :1].T)),
        "dX: of dY column 0 alone counts",
    ),
    Fault(
        "wrong-axis-in-db",
        lambda: linear(put(b=lambda L, dY, db: dY.sum(axis=1)), D, D),
        "db: summed over axis 1 of dY, the wrong one",
        X=SQUARE,
    ),
    Fault(
        "wrong-axis-in-dgamma",
        lambda: Scale(lambda terms: terms.sum(axis=1)),
        "dgamma: summed over axis 1 of dY, the wrong one",
        X=SQUARE,
    ),
    Fault(
        "all-axes-in-db",
        lambda: linear(put(b=lambda L, dY, db: np.full(M, dY.sum()))),
        "db: summed over all the axes of dY",
    ),
    Fault(
        "mean-for-sum-in-db",
        lambda: linear(put(b=lambda L, dY, db: dY.mean(axis=0))),
        f"db: 1/5 of the true gradient ({BATCH})",
    ),
    Fault(
        "dY-left-out",
        lambda: linear(put(W=lambda L, dY, dW: L.X.T @ np.ones_like(dY))),
        "dW: dY is left out: it is the gradient for a dY of ones",
    ),
    Fault("sign-of-dY-lost", lambda: linear(put(X=lambda L, dY, dX: np.abs(dY) @ L.W.T)), "dX: the sign of dY is lost"),
    Fault(
        "dY-transposed", lambda: linear(put(W=lambda L, dY, dW: L.X.T @ dY.T), D, D), "dW: dY is transposed", X=SQUARE
    ),
    # what is stored
    Fault(
        "added-not-stored",
        lambda: Accumulating(D, M, rng=0),
        "dW: added to what is stored and not stored in place of it; apart from that it is right",
    ),
    Fault("not-stored", lambda: Forgetful(D, M, rng=0), "db: backward does not store it"),
    Fault(
        "one-nan",
        lambda: spoiled(nn.Tanh, put(X=lambda L, dY, dX: np.where(dX == dX.max(), np.nan, dX))),
        "dX: not finite in 1 of 15 entries",
    ),
    # rounding
    Fault("float32-forward", Single, "noise and not an error: forward computes in float32"),
    Fault("float32-backward", SingleBackward, "dX: noise and not an error: backward computes in float32"),
    # nothing explains it
    Fault(
        "one-entry",
        lambda: linear(put(W=lambda L, dY, dW: dW * (1 + (np.arange(D * M).reshape(D, M) == 7)))),
        "dW: differs in 1 of 12 entries, at W[1, 3]",
    ),
    Fault(
        "one-row",
        lambda: linear(put(W=lambda L, dY, dW: dW * (1 + np.array([[0], [1], [0]]) * np.arange(2, 2 + M)))),
        "dW: differs in 4 of 12 entries, all in row 1",
    ),
    Fault(
        "below-zero",
        lambda: Function(lambda X: np.where(X > 0, X, 0.1 * X), lambda dY, X, Y: np.where(X > 0, dY, 0.2 * dY)),
        "dX: differs in 12 of 15 entries, just where X < 0",
    ),
]
