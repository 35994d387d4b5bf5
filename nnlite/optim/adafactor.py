"""Adafactor: gradients scaled by averages of their squares, of which a matrix keeps those of its rows and columns."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import finite, non_negative
from nnlite.compute.kernel import Kernel, kernel
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
        layout = self._layout()
        row_var, col_var, variance = (self.array(name, size=layout.sizes[name]) for name in self.arrays)
        weight_decay, t = self.over_Phi("weight_decay"), self.steps + 1
        b, root = t**self.beta2_decay, t**0.5
        average = _average(b < 0.5)
        eps1 = float(np.finfo(row_var.dtype).eps) if self.eps[0] is None else self.eps[0]
        for P, dP, start, rows, columns in layout.matrices:
            Rs, Cs = (array.reshape(len(dP), -1) for array in (row_var[rows], col_var[columns]))
            us = [_of_matrix(g, R, C, average, b, eps1) for g, R, C in zip(dP, Rs, Cs, strict=True)]
            self._move_parameter(P, us, _at(lr, start), _at(weight_decay, start), root)
        for P, dP, start, own in layout.others:
            v = variance[own]
            average(v, dP * dP, b, 1.0)
            self._move_parameter(P, [_scaled(dP, v, eps1**2)], _at(lr, start), _at(weight_decay, start), root)

    def _move_parameter(self, P: Array, us: list[Array], lr: float, weight_decay: float, root: float) -> None:
        """Move P, which has a row for each matrix of a stack, along the update of each."""
        alpha = max(self.eps[1], _rms([P])) * min(lr, 1 / root)
        rate = alpha / max(1.0, _rms(us) / self.d)  # alpha where the rms is NaN, as in PyTorch
        for part, u in zip(P, us, strict=True):
            _adafactor(part, u.reshape(-1), 1 - lr * weight_decay, -rate if self.maximize else rate)

    def _layout(self) -> "_Layout":
        """Where the averages of each parameter are; made again where Phi is another array."""
        made: dict[str, Any] = vars(self).setdefault("_made", {})  # it is no part of copies
        if "layout" not in made or made["layout"].Phi is not self.layer.Phi:
            made["layout"] = _Layout(self.layer)
        layout: _Layout = made["layout"]
        return layout


class _Layout:
    """The parameters, each as rows, one for each matrix of a stack, and the slices of the arrays of their averages.

    >>> import nnlite as nn
    >>> _Layout(nn.Linear(3, 2)).sizes
    {'row_var': 3, 'col_var': 2, 'variance': 2}
    """

    def __init__(self, layer: Layer) -> None:
        self.Phi = layer.Phi
        self.matrices: list[tuple[Array, Array, int, slice, slice]] = []
        self.others: list[tuple[Array, Array, int, slice]] = []
        start = rows = columns = others = 0
        for (_, P), (_, dP) in zip(layer.named_parameters(), layer.named_gradients(), strict=True):
            if P.ndim > 1:
                n, m = P.shape[-2:]
                stack = P.size // (n * m)
                places = slice(rows, rows := rows + stack * n), slice(columns, columns := columns + stack * m)
                self.matrices.append((P.reshape(stack, n * m), dP.reshape(stack, n, m), start, *places))
            else:
                place = slice(others, others := others + P.size)
                self.others.append((P.reshape(1, P.size), dP.reshape(P.size), start, place))
            start += P.size
        self.sizes = {"row_var": rows, "col_var": columns, "variance": others}


def _of_matrix(g: Array, R: Array, C: Array, average: Kernel, b: float, eps1: float) -> Array:
    """Update the averages R and C of a matrix, and return its u."""
    n, m = g.shape
    by_rows, by_columns = _sums_of_squares(g)
    average(R, by_rows.reshape(n), b, float(m))
    average(C, by_columns, b, float(n))
    mean = max(float(np.add.reduce(R)) / n, eps1)  # in this order NaN stays
    return _scaled_by_factors(g, R.reshape(n, 1), C, mean, eps1**2)


@kernel
def _sums_of_squares(g: Array) -> tuple[Array, Array]:
    """The sums of the rows and of the columns."""
    return np.sum(g * g, axis=-1, keepdims=True), np.sum(g * g, axis=0)


@cache
def _average(near: bool) -> Kernel:
    """The average v with a new mean of count squares, whose sum is given."""

    @kernel(into=("v",))
    def average_of_squares(v: Array, squares: Array, rate: float, count: float) -> Array:
        return lerp(v, squares / count, rate, near)

    return average_of_squares


@kernel
def _scaled_by_factors(g: Array, R: Rows, C: Columns, mean: float, floor: float) -> Array:
    return g / np.sqrt(np.maximum(R * C / mean, floor))


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
