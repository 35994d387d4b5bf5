"""check_gradients: whether backward is the derivative of forward."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.arrays import Array, as_array, each_of, listed, spread
from nnlite.checks import whole
from nnlite.diagnostics.inputs import by_input, input_names
from nnlite.errors import GradientError
from nnlite.initializers import Rng
from nnlite.layer import Layer, check_layer


@dataclass(frozen=True)
class Comparison:
    """One array's gradient against the differences, at its worst entry.

    Attributes:
        name: "X", or the parameter's name.
        shape: of the array.
        checked: how many of its entries were compared.
        index: of the entry where the two differ most, measured by the tolerance.
        analytic: what backward says there.
        numeric: what the differences say there.
        right: whether they agree in all entries.

    >>> Comparison("X", (2,), 2, (0,), 1.0, 1.0, True).right
    True
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    index: tuple[int, ...]
    analytic: float
    numeric: float
    right: bool

    def __str__(self) -> str:
        verdict = "right" if self.right else "WRONG"
        entry = f"{self.name}[{', '.join(map(str, self.index))}]" if self.index else self.name
        return (
            f"{verdict}  d{self.name} {self.shape}, worst of {self.checked} at {entry}: "
            f"backward {self.analytic:.9g}, differences {self.numeric:.9g}"
        )


@dataclass(frozen=True)
class GradientReport:
    """What :func:`check_gradients` found: a line for X and for each parameter.

    >>> print(GradientReport((Comparison("X", (2,), 2, (0,), 1.0, 1.0, True),)))
    right  dX (2,), worst of 2 at X[0]: backward 1, differences 1
    """

    comparisons: tuple[Comparison, ...]

    @property
    def right(self) -> bool:
        """Whether every gradient is right."""
        return all(comparison.right for comparison in self.comparisons)

    def __str__(self) -> str:
        return "\n".join(map(str, self.comparisons))

    __repr__ = __str__


def check_gradients(
    layer: Layer,
    X: Any,
    target: Any = None,
    loss: Layer | None = None,
    *,
    step: float = 1e-5,
    rtol: float = 1e-6,
    atol: float = 1e-7,
    max_entries: int | None = None,
    rng: Rng = 0,
) -> GradientReport:
    """Compare backward with central differences, ``(J(x + h) - J(x - h)) / (2 h)``, for X and each parameter.

    All is done in float64 on a copy; the layer itself stays as it is. J is ``loss(layer(X), target)`` if a loss is
    given, ``layer(X, target)`` if only a target is (the layer is then a loss itself), and otherwise the sum of Y times
    random numbers, so that a mistake in no entry of dY goes unseen.

    Args:
        layer: any Layer; containers and losses are Layers too.
        X: its input; of several a tuple, or a dict by name. Of these, whole numbers are taken for classes.
        target: the target of the loss.
        loss: a loss to put behind the layer.
        step: h.
        rtol: an entry is right if ``|analytic - numeric| <= atol + rtol |numeric|``.
        atol: likewise.
        max_entries: compare only so many entries of each array, drawn at random. Each costs two forwards.
        rng: seed or generator for the random numbers.

    Returns:
        A report that prints as a line for each array.

    Raises:
        GradientError: a gradient is wrong; the message is the report.
        ValueError: at an entry of X or of a parameter there is a kink (ReLU at 0), where differences say nothing: move
            X away from it. Or forward is random, or J is not finite, or ``max_entries`` is below 1.
        TypeError: forward or backward returns None.

    >>> import nnlite as nn
    >>> report = check_gradients(nn.Linear(2, 3, rng=0), np.ones((4, 2)))
    >>> report.right, [c.name for c in report.comparisons]
    (True, ['X', 'W', 'b'])
    """
    check_layer(layer, "layer")
    layer = copy.deepcopy(layer).astype(np.float64)
    X = each_of(_floats_as_float64, X) if isinstance(X, tuple | dict) else as_array(X, "X").astype(np.float64)
    if loss is not None:
        check_layer(loss, "loss")
        loss = copy.deepcopy(loss).astype(np.float64)
    if max_entries is not None:
        whole(max_entries, "max_entries", least=1)
    rng = np.random.default_rng(rng)
    dY: Any = None

    def J() -> float:
        nonlocal dY
        Y = spread(layer.forward, X) if loss is not None or target is None else layer.forward(X, target)
        if Y is None:
            raise TypeError(f"{layer.one_line()}: forward returned None; did it forget to return Y?")
        if loss is not None:
            return float(np.sum(loss.forward(Y, target)))
        if dY is None:
            dY = each_of(lambda Y: rng.uniform(0.5, 1.5, np.shape(Y)) * _alternating(np.shape(Y)), Y)
        return float(sum(np.sum(each * dEach) for each, dEach in zip(listed(Y), listed(dY), strict=True)))

    before = copy.deepcopy(listed(X))
    start = J()
    if not all(np.array_equal(*pair, equal_nan=True) for pair in zip(listed(X), before, strict=True)):
        raise ValueError(f"{layer.one_line()}: forward writes into its input; make a new array in place of it")
    if not np.isfinite(start):
        raise ValueError(f"{layer.one_line()}: there is no gradient to check where the output is {start}")
    if J() != start:
        raise ValueError(f"{layer.one_line()}: forward is random: it gave two outputs for one X; fix its seed")

    layer.needs_dX = True
    layer.dPhi = np.full(layer.dPhi.shape, np.nan)  # a backward that adds to its gradients in place of storing them
    dX = spread(layer.backward, loss.backward() if loss is not None else dY)
    if dX is None:
        raise TypeError(f"{layer.one_line()}: backward returned None; did it forget to return dX?")
    inputs = input_names(layer, X)
    gradients = by_input(inputs, dX) | dict(layer.named_gradients())
    arrays = {name: A for name, A in inputs.items() if A.dtype.kind == "f" and gradients.get(name) is not None}
    tolerances = step, rtol, atol
    report = GradientReport(
        tuple(
            _compare(
                name, P, np.array(gradients[name], np.float64), J, start, tolerances, _entries(P, max_entries, rng)
            )
            for name, P in (arrays | dict(layer.named_parameters())).items()
            if P.size
        )
    )
    if not report.right:
        raise GradientError(f"{layer.one_line()}: backward is not the derivative of forward\n{report}")
    return report


def _floats_as_float64(X: Any) -> Array:
    """A copy; whole numbers, such as classes, stay what they are and are not compared."""
    array = as_array(X, "X")
    return array.astype(np.float64 if array.dtype.kind == "f" else array.dtype)


def _alternating(shape: tuple[int, ...]) -> Array:
    """1 and -1 in turn."""
    return np.resize([1.0, -1.0], shape)


def _entries(P: Array, most: int | None, rng: "np.random.Generator") -> Iterator[tuple[int, ...]]:
    """The indices of all entries, or of ``most`` random ones."""
    if most is None or most >= P.size:
        return iter(np.ndindex(P.shape))
    chosen = rng.choice(P.size, most, replace=False)
    return (tuple(map(int, np.unravel_index(entry, P.shape))) for entry in chosen)


def _compare(
    name: str,
    P: Array,
    dP: Array,
    J: Callable[[], float],
    start: float,
    tolerances: tuple[float, float, float],
    entries: Iterator[tuple[int, ...]],
) -> Comparison:
    """Compare the entries of one array; P is moved and put back."""
    step, rtol, atol = tolerances
    if dP.shape != P.shape:
        raise GradientError(f"d{name}: expected shape {P.shape}, that of {name}, got {dP.shape}")
    worst: tuple[float, tuple[int, ...], float, float] = (-1.0, (), 0.0, 0.0)
    checked = 0
    for index in entries:
        numeric = _difference(name, P, index, J, start, step)
        analytic = float(dP[index])
        excess = abs(analytic - numeric) / (atol + rtol * abs(numeric))
        excess = math.inf if math.isnan(excess) else excess
        if excess > worst[0]:
            worst = (excess, index, analytic, numeric)
        checked += 1
    excess, index, analytic, numeric = worst
    return Comparison(name, P.shape, checked, index, analytic, numeric, right=excess <= 1)


def _difference(
    name: str, P: Array, index: tuple[int, ...], J: Callable[[], float], start: float, step: float
) -> float:
    """The central difference at one entry.

    Where J is smooth, ``J(x + h) - 2 J(x) + J(x - h)`` shrinks with h^2: to a quarter when h is halved, to a sixteenth
    when it is halved again. At a kink it shrinks with h, and to nothing when the kink is left behind.
    """

    def around(h: float) -> tuple[float, float]:
        before = P[index]
        P[index] = before + h
        above = J()
        P[index] = before - h
        below = J()
        P[index] = before
        return (above - below) / (2 * h), above - 2 * start + below

    slope, bend = around(step)
    if abs(bend) > 1e-2 * step * max(1.0, abs(slope)):  # the slopes on the two sides differ by 1 %
        smaller = around(step / 2)[1] / bend, around(step / 4)[1] / bend
        if abs(smaller[0] - 1 / 4) > 0.05 or abs(smaller[1] - 1 / 16) > 0.05:
            raise ValueError(
                f"{name}{list(index)} = {P[index]:.6g} is at a kink, where forward has no derivative to compare with; "
                "move it away, for example to random numbers"
            )
    return slope
