"""Random networks with right gradients: check_gradients must find every one of them right.

Run it for a longer sweep with:  python tests/support/random_networks.py 1000 [--first N]

A network is a Sequential or a Graph of the library's layers, of a user's own, with branches, forks, ties and losses;
its inputs are small or large, and so are its weights. Each seed is one network. ``Builder`` draws few kinds of layers,
``Every`` all activations, norms, dropouts, convolutions and embeddings, in training or evaluation mode.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import nnlite as nn


class Swish(nn.Layer, parameters=("beta",)):
    """A user's layer: ``Y = X sigmoid(beta X)``."""

    onnx = "X * Sigmoid(X * beta)"

    def __init__(self, features: int) -> None:
        self.beta = np.ones(features)

    def forward(self, X: np.ndarray) -> np.ndarray:
        self.X, self.S = X, 1 / (1 + np.exp(-np.clip(X * self.beta, -500, 500)))
        return X * self.S

    def backward(self, dY: np.ndarray) -> np.ndarray:
        slope = dY * self.X * self.S * (1 - self.S)
        self.dbeta = np.sum(slope * self.X, axis=tuple(range(dY.ndim - 1)))
        return dY * self.S + slope * self.beta


class Centred(nn.Layer):
    """A user's layer that mixes rows: ``Y = X - mean(X)`` over the batch."""

    onnx = "X - ReduceMean(X, axes=(0,))"

    def forward(self, X: np.ndarray) -> np.ndarray:
        return X - X.mean(axis=0)

    def backward(self, dY: np.ndarray) -> np.ndarray:
        return dY - dY.mean(axis=0)


class Skip(nn.Layer):
    """A user's composite: ``Y = X + f(X)``."""

    def __init__(self, inner: nn.Layer) -> None:
        self.inner = inner

    def forward(self, X: np.ndarray) -> np.ndarray:
        return X + self.inner.forward(X)

    def backward(self, dY: np.ndarray) -> np.ndarray:
        return dY + self.inner.backward(dY)

    def onnx(self, graph: Any, X: Any) -> Any:
        return X + graph.layer(self.inner, X)


class Negated(nn.Linear):
    """A Linear with the wrong sign of dW."""

    largest = 0.0

    def backward(self, dY: np.ndarray) -> np.ndarray:
        dX = super().backward(dY)
        self.largest = float(np.max(np.abs(self.dW)))
        self.dW *= -1
        return dX


class Builder:
    """Draws a network of one width after another."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def linear(self, width: int, to: int) -> nn.Linear:
        layer = nn.Linear(width, to, bias=bool(self.rng.random() < 0.8), rng=self.rng)
        if layer.b is not None:
            layer.b = self.rng.normal(size=to)
        layer.Phi *= 10 ** self.rng.uniform(-1, 0.5)
        return layer

    def activation(self, width: int) -> nn.Layer:
        smooth = [nn.Tanh, nn.Sigmoid, nn.Softmax, nn.LogSoftmax, nn.Identity, nn.Negative, nn.ReLU, nn.Abs, Centred]
        chosen = int(self.rng.integers(len(smooth) + 3))
        if chosen < len(smooth):
            return smooth[chosen]()
        if chosen == len(smooth):
            return Swish(width)
        if chosen == len(smooth) + 1:
            return nn.Sequential(nn.Tanh(), nn.Square())
        return nn.Sequential(nn.Tanh(), nn.Exp(), [nn.Log, nn.Sqrt, nn.Reciprocal, nn.Exp][int(self.rng.integers(4))]())

    def block(self, width: int, depth: int = 0) -> tuple[nn.Layer, int]:
        """A layer with ``width`` input features, and the number of its output features."""
        kind = int(self.rng.integers(9 if depth < 2 else 4))
        if kind < 2:
            to = int(self.rng.integers(1, 6))
            return self.linear(width, to), to
        if kind < 4:
            return self.activation(width), width
        if kind == 4:
            return nn.Residual(self.linear(width, width), self.activation(width)), width
        if kind == 5:
            (one, a), (other, b) = self.block(width, depth + 1), self.block(width, depth + 1)
            return nn.Parallel(one, other), a + b
        if kind == 6:
            return Skip(nn.Sequential(self.activation(width), self.linear(width, width))), width
        if kind == 7:
            first = self.linear(width, int(self.rng.integers(1, 5)))
            return nn.Sequential(first, self.activation(first.out_features), nn.tied(first, transpose=True)), width
        return self.graph(width), width

    def graph(self, width: int) -> nn.Graph:
        x = nn.Input("x")
        h = self.activation(width)(self.linear(width, width)(x))
        gate = nn.Sigmoid()(x * nn.Parameter(self.rng.normal(size=width), name="gate"))
        endings = (
            lambda: h * gate + x,
            lambda: h - gate / 2,
            lambda: nn.Maximum()(h, gate) * x,
            lambda: h / (1.5 + gate),
            lambda: gate @ nn.Transpose()(h) @ x,
        )
        return nn.Graph(x, endings[int(self.rng.integers(len(endings)))]())

    def network(self) -> tuple[nn.Layer, np.ndarray, Any, nn.Layer | None]:
        """A model, X, and in some cases a target and a loss."""
        rng = self.rng
        rows, width = int(rng.integers(1, 6)), int(rng.integers(1, 6))
        size = 10.0 ** rng.choice([0, 0, 0, -2, 1, 2, 5])
        X = size * rng.normal(size=(rows, width))
        layers = []
        for _ in range(int(rng.integers(1, 6))):
            layer, width = self.block(width)
            layers.append(layer)
        loss, target = None, None
        kind = int(rng.integers(6))
        if kind == 0:
            loss, target = (
                nn.MSELoss(reduction=str(rng.choice(["mean", "sum", "none"]))),
                rng.normal(size=(rows, width)),
            )
        elif kind == 1:
            loss, target = nn.BCEWithLogitsLoss(), rng.integers(0, 2, (rows, width))
        elif kind == 2 and width > 1:
            loss, target = (
                nn.CrossEntropyLoss(label_smoothing=float(rng.choice([0, 0.1]))),
                rng.integers(width, size=rows),
            )
        elif kind == 3:
            layers += [nn.Tanh(), nn.Sigmoid()]  # from 0.27 to 0.73
            loss, target = nn.BCELoss(), rng.random((rows, width))
        model = nn.Sequential(*layers)
        if rng.random() < 0.1:
            model.Phi *= 1e-3
        return model, X, target, loss


class Every(Builder):
    """Draws every activation, norm, dropout and embedding too."""

    def activation(self, width: int) -> nn.Layer:
        layers = (*ACTIVATIONS, lambda: super(Every, self).activation(width), self.spatial(width), *self.of_rows(width))
        return layers[int(self.rng.integers(len(layers)))]()

    def of_rows(self, width: int) -> list[Callable[[], nn.Layer]]:
        rng, p = self.rng, float(self.rng.uniform(0.1, 0.7))
        return [
            *[lambda norm=norm: self.moved(norm(width)) for norm in (nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d)],
            lambda: self.moved(nn.GroupNorm(1, width)),
            *[lambda kind=kind: kind(p, rng=rng) for kind in (nn.Dropout, nn.AlphaDropout, nn.FeatureAlphaDropout)],
            lambda: nn.PReLU(width),
            lambda: nn.RReLU(rng=rng),
            lambda: nn.Sequential(self.linear(width, 2 * width), nn.GLU()),
        ]

    def spatial(self, width: int) -> Callable[[], nn.Layer]:
        """A layer of channels and positions between two linear ones."""
        rng, p = self.rng, float(self.rng.uniform(0.1, 0.7))
        layers = [
            lambda: self.moved(nn.InstanceNorm1d(4, affine=True)),
            lambda: self.moved(nn.BatchNorm1d(4)),
            lambda: self.moved(nn.GroupNorm(2, 4)),
            lambda: nn.LocalResponseNorm(3),
            lambda: nn.Dropout1d(p, rng=rng),
            lambda: nn.Conv1d(4, 4, 2, padding="same", rng=rng),
        ]
        made = layers[int(rng.integers(len(layers)))]
        return lambda: nn.Sequential(
            self.linear(width, 12), nn.Unflatten(-1, (4, 3)), made(), nn.Flatten(), self.linear(12, width)
        )

    def moved(self, layer: nn.Layer) -> nn.Layer:
        """The norm with other scales and shifts than 1 and 0."""
        layer.Phi += 0.3 * self.rng.normal(size=layer.Phi.size)
        return layer

    def network(self) -> tuple[nn.Layer, np.ndarray, Any, nn.Layer | None]:
        model, X, target, loss = super().network()
        if self.rng.random() < 0.25:  # words in place of numbers
            kind, (rows, width) = [nn.Embedding, nn.EmbeddingBag][int(self.rng.integers(2))], X.shape
            bag = kind is nn.EmbeddingBag
            words = self.rng.integers(7, size=(rows, 3 if bag else 1))
            padding = 0 if self.rng.random() < 0.5 else None
            first = [kind(7, width, padding_idx=padding, rng=self.rng), *([] if bag else [nn.Flatten()])]
            model, X = nn.Sequential(*first, model), words
        if self.rng.random() < 0.2 and loss is None and np.ndim(Y := model.eval().forward(X)) == 2:  # it may saturate
            model = nn.Sequential(model, nn.Sigmoid())
            loss, target = nn.BCELoss(), self.rng.integers(0, 2, Y.shape)
        return model.train(bool(len(X) > 1 and self.rng.random() < 0.7)), X, target, loss


ACTIVATIONS: tuple[Callable[[], nn.Layer], ...] = (
    nn.CELU, nn.ELU, nn.GELU, nn.SELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign, nn.Tanhshrink, nn.LogSigmoid,
    nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.ReLU6, nn.Softshrink, nn.Softmin,
    lambda: nn.Threshold(0.1, 0.5),
)  # fmt: skip


def checked(seed: int, builder: type[Builder] = Builder) -> str:
    """Return "right"; "no gradient" at a kink or where Y is not finite; otherwise the report."""
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        model, X, target, loss = builder(rng).network()
    try:
        with np.errstate(all="ignore"):
            nn.check_gradients(model, X, target, loss, max_entries=12, rng=seed)
    except nn.GradientError as error:
        return str(error)
    except ValueError as error:
        if any(
            reason in str(error) for reason in ("at a kink", "at the edge", "rounding hides", "no gradient to check")
        ):
            return "no gradient"
        raise
    return "right"


def spoiled(seed: int, builder: type[Builder] = Builder) -> str:
    """Change the sign of one dW; return "named", "nothing to see" if that dW is 0, or the verdict."""
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        model, X, target, loss = builder(rng).network()
    linears = [layer for _, layer in model.named_layers() if type(layer) is nn.Linear]
    if not linears:
        return "nothing to see"
    wrong = linears[int(rng.integers(len(linears)))]
    wrong.__class__ = Negated
    with np.errstate(all="ignore"):
        Y = model.forward(X)
        if loss is not None:
            loss.forward(Y, target)
        model.backward(np.cos(np.arange(Y.size)).reshape(Y.shape) if loss is None else loss.backward())
        try:
            nn.check_gradients(model, X, target, loss, max_entries=12, rng=seed)
        except nn.GradientError as error:
            fault = error.report.fault
            named = "Negated(" in fault.layer and (fault.array, fault.kind) == ("dW", "wrong sign")
            return "named" if named else error.report.verdict
        except ValueError:
            return "nothing to see"
    return "not seen" if wrong.largest > 1e-6 else "nothing to see"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", type=int, nargs="?", default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    given = parser.parse_args()
    start, counts = time.perf_counter(), {"right": 0, "no gradient": 0, "false alarm": 0}
    for seed in range(given.first, given.first + given.networks):
        said = checked(seed, Every)
        counts[said if said in counts else "false alarm"] += 1
        if said not in counts:
            print(f"seed {seed}:\n{said}\n")
    print(", ".join(f"{what}: {count}" for what, count in counts.items()), f"in {time.perf_counter() - start:.0f} s")
