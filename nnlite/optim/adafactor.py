"""Adafactor: gradients scaled by averages of their squares, of which a matrix keeps those of its rows and columns."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import finite, non_negative
from nnlite.compute.kernel import Kernel, kernel
from nnlite.compute.row_reductions import row_dot
from nnlite.compute.sums import column_sum
from nnlite.compute.tracing import Columns, Rows
from nnlite.layer.layer import Layer
from nnlite.optim.clipping import sum_of_squares
from nnlite.optim.moments import lerp
from nnlite.optim.optimizer import Optimizer, Schedule


class Adafactor(Optimizer):
    """Adafactor, as ``torch.optim.Adafactor`` computes it: an adaptive optimizer whose state is small.

    For each parameter P with g = dP (-dP to maximize), eps = (eps1, eps2), and R = C = v = 0 before the first step,
    step t = 1, 2, ... computes

        b = t^beta2_decay
        alpha = max(eps2, rms(P)) min(lr, 1 / sqrt(t))
        P <- (1 - lr weight_decay) P
        R <- (1 - b) R + b mean(g^2 of each row)         (of a matrix)
        C <- (1 - b) C + b mean(g^2 of each column)
        v <- R C / max(mean(R), eps1), or (1 - b) v + b g^2 where P is a vector or a number
        u = g / max(sqrt(v), eps1)
        P <- P - alpha u / max(1, rms(u) / d)

    with rms(x) = sqrt(mean(x^2)). Of a matrix of n rows and m columns it keeps n + m numbers, where Adam keeps 2 n m;
    an array of more axes is a stack of matrices.

    Args:
        layer: the model, or a part of it.
        lr: the largest step relative to the size of a parameter, a number >= 0, or a schedule; see
            :class:`nnlite.Optimizer`.
        beta2_decay: power of t in the factor of the averages, <= 0.
        eps: eps1 >= 0, below which no root of v comes, or None for the precision of the dtype; and eps2 >= 0, the least
            size of a parameter that counts for its step.
        d: the largest rms of u; a larger one is scaled down; >= 1.
        weight_decay: factor of the decay, which is no penalty, as of :class:`nnlite.AdamW`; or a dict of factors by
            names of parameters.
        maximize: maximize the loss.
        lr_factor: factors of the learning rate by names of parameters; see :class:`nnlite.Optimizer`.

    PyTorch's ``foreach`` does not exist.

    Attributes:
        row_var, col_var: R and C of all matrices, one after the other, None before the first step.
        variance: v of all other parameters.

    Raises:
        TypeError: ``layer`` is not a Layer, or an option is not a number.
        ValueError: an option is out of range, a name names no parameter, or the layer has no parameters.

    Source: Shazeer and Stern, Adafactor: adaptive learning rates with sublinear memory cost, 2018.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [1.0, 2.0]
    >>> layer.dPhi = [10.0, -20.0]
    >>> nn.Adafactor(layer, lr=0.25).step()
    >>> layer.Phi
    array([0.75, 2.5 ], dtype=float32)
    """

    arrays = ("row_var", "col_var", "variance")

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule = 1e-2,
        *,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float | Mapping[str, float] = 0.0,
        maximize: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(layer, lr, lr_factor=lr_factor)
        self.beta2_decay = finite(beta2_decay, "Adafactor: beta2_decay")
        if self.beta2_decay > 0:
            raise ValueError(f"Adafactor: beta2_decay: expected a number <= 0, got {beta2_decay}")
        self.eps = _check_eps(eps)
        self.d = finite(d, "Adafactor: d")
        if self.d < 1:
            raise ValueError(f"Adafactor: d: expected a number >= 1, got {d}")
        self.weight_decay = self.check_option("weight_decay", weight_decay)
        self.maximize = maximize
        self.row_var: Array | None = None
        self.col_var: Array | None = None
        self.variance: Array | None = None

    def move(self, lr: Any) -> None:
        weight_decay, b, start = self.over_Phi("weight_decay"), (self.steps + 1) ** self.beta2_decay, 0
        for P, dP, averages in self._with_averages():
            eps1 = float(np.finfo(P.dtype).eps) if self.eps[0] is None else self.eps[0]
            us = (_of_matrices if P.ndim > 1 else _of_vector)(dP, averages, b, eps1)
            own_lr, decay = _at(lr, start), _at(weight_decay, start)
            alpha = max(self.eps[1], _rms([P])) * min(own_lr, 1 / (self.steps + 1) ** 0.5)
            rate = alpha / max(1.0, _rms(us) / self.d)  # 1 where the rms is NaN, as in PyTorch
            for part, u in zip(P.reshape(len(us), -1), us, strict=True):
                _adafactor(part, u.reshape(-1), 1 - own_lr * decay, -rate if self.maximize else rate)
            start += P.size

    def _with_averages(self) -> Iterator[tuple[Array, Array, list[Array]]]:
        """P, dP and its averages of each parameter: R and C, a row of each for each matrix of a stack, or v."""
        named = zip(self.layer.named_parameters(), self.layer.named_gradients(), strict=True)
        parameters = [(P, dP) for (_, P), (_, dP) in named]
        shapes = [_shapes(P.shape) for P, _ in parameters]
        sizes = {name: sum(math.prod(each[name]) for each in shapes if name in each) for name in self.arrays}
        rest = {name: self.array(name, size=size) for name, size in sizes.items()}
        for (P, dP), own in zip(parameters, shapes, strict=True):
            averages = []
            for name, shape in own.items():
                array, rest[name] = np.split(rest[name], [math.prod(shape)])
                averages.append(array.reshape(shape))
            yield P, dP, averages


def _shapes(shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shapes of the averages of a parameter of this shape, by their names."""
    if len(shape) < 2:
        return {"variance": (math.prod(shape),)}
    stack = math.prod(shape[:-2])
    return {"row_var": (stack, shape[-2]), "col_var": (stack, shape[-1])}


def _of_matrices(g: Array, averages: list[Array], b: float, eps1: float) -> list[Array]:
    """Update the averages R and C of a stack of matrices, and return the u of each."""
    (R, C), (n, m) = averages, g.shape[-2:]
    us, sums = [], np.empty(m, g.dtype)
    for G, r, c in zip(g.reshape(-1, n, m), R, C, strict=True):
        column_sum(G * G, sums)
        r[...] = lerp(r, row_dot(G, G)[:, 0] / m, b, b < 0.5)
        c[...] = lerp(c, sums / n, b, b < 0.5)
        mean = float(np.maximum(np.mean(r), eps1))  # NaN stays
        us.append(_scaled_by_factors(G, r[:, None], c, mean, eps1**2))
    return us


def _of_vector(g: Array, averages: list[Array], b: float, eps1: float) -> list[Array]:
    """Update the average v of a vector or a number, and return its u."""
    (v,), g = averages, g.reshape(-1)
    _average_of_squares(b < 0.5)(v, g, b)
    return [_scaled(g, v, eps1**2)]


@kernel
def _scaled_by_factors(g: Array, R: Rows, C: Columns, mean: float, floor: float) -> Array:
    return g / np.sqrt(np.maximum(R * C / mean, floor))


@cache
def _average_of_squares(near: bool) -> Kernel:
    @kernel(into=("v",))
    def average_of_squares(v: Array, g: Array, rate: float) -> Array:
        return lerp(v, g * g, rate, near)

    return average_of_squares


@kernel
def _scaled(g: Array, v: Array, floor: float) -> Array:
    return g / np.sqrt(np.maximum(v, floor))


@kernel(into=("P",))
def _adafactor(P: Array, u: Array, decay: float, rate: float) -> Array:
    return P * decay - rate * u


def _rms(arrays: Sequence[Array]) -> float:
    """The root of the mean square of all elements."""
    total = sum(sum_of_squares(each.reshape(-1)) for each in arrays)
    return math.sqrt(total / sum(each.size for each in arrays))


def _at(option: Any, index: int) -> float:
    """A number, or what an array over Phi has there."""
    return float(option[index]) if isinstance(option, np.ndarray) else option


def _check_eps(eps: tuple[float | None, float]) -> tuple[float | None, float]:
    """Return eps1, or None, and eps2 as floats.

    Raises:
        TypeError, ValueError: they are not.
    """
    try:
        first, second = eps
    except (TypeError, ValueError):
        raise TypeError(f"Adafactor: eps: expected two numbers, such as (None, 1e-3), got {eps!r}") from None
    eps1 = None if first is None else non_negative(first, "Adafactor: eps[0]")
    return eps1, non_negative(second, "Adafactor: eps[1]")
