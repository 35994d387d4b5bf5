"""How far the rounding of intermediate values moves J, and the derivatives that central differences cannot see for it.

Where a sigmoid returns 1 - 1e-15, the logarithm of 1 - Y in the loss is a step function of the input: central
differences measure its steps and not the derivative.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, spread
from nnlite.diagnostics.central_differences import Differences
from nnlite.diagnostics.comparison import Finding, Tolerance, compare
from nnlite.diagnostics.places import place
from nnlite.diagnostics.recording import wrapping
from nnlite.diagnostics.trial import Trial
from nnlite.layer.layer import Layer
from nnlite.losses.binary_cross_entropy import BCELoss

TRIES = 4  # random perturbations: in a single one, changes may cancel
BOUND, FLOOR = 1e-12, -100  # the smallest denominator and the smallest logarithm in BCELoss
MARGIN = 10.0  # a layer rounds several times


def rounding_by_layer(trial: Trial) -> dict[str, float]:
    """Return how much the rounding of each layer's output may change J, by the layer's path.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Sigmoid()).astype(np.float64)
    >>> rounding = rounding_by_layer(Trial(model, np.array([34.0]), np.array([0.0]), nn.BCELoss()))
    >>> 0.1 < rounding["0"] < 10
    True
    """
    rng = np.random.default_rng(0)
    start = trial.J()
    paths = [path for path, layer in trial.layer.named_layers() if not any(layer.named_children())]
    return {path: MARGIN * max(abs(_moved(trial, path, rng) - start) for _ in range(TRIES)) for path in paths}


def _moved(trial: Trial, moved: str, rng: "np.random.Generator") -> float:
    """Return J after half of the numbers in one layer's output are moved to the next number towards 0."""

    def wrap(path: str, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        if path != moved or name != "forward":
            return method
        return lambda *args, **kwargs: each_of(lambda Y: _jittered(Y, rng), method(*args, **kwargs))

    with wrapping(trial.layer, wrap), np.errstate(all="ignore"):
        try:
            return float(np.nan_to_num(trial.J()))
        except (ValueError, ArithmeticError):  # a loss that rejects the values
            return float("nan")


def _jittered(Y: Any, rng: "np.random.Generator") -> Any:
    if np.result_type(Y).kind != "f":
        return Y
    Y = np.asarray(Y)
    return np.where(rng.random(Y.shape) < 0.5, Y, np.nextafter(Y, Y.dtype.type(0)))


def without_hidden(
    name: str,
    finding: Finding,
    differences: Differences,
    rounding: float,
    tolerance: Tolerance,
    unbounded: Array | None = None,
) -> tuple[Finding, int]:
    """Return the finding without the wrong entries that rounding or a bound of BCELoss explains, and their number."""
    possible = [finding.analytic] if unbounded is None else [finding.analytic, unbounded]
    wrong = [tuple(map(int, index)) for index in np.argwhere(finding.wrong)]
    hidden = {
        index for index in wrong if any(differences.hidden(name, index, float(dP[index]), rounding) for dP in possible)
    }
    if not hidden or finding.comparison.right:
        return finding, 0
    compared: Array = np.argwhere(np.isfinite(finding.numeric))
    entries = [index for each in compared if (index := tuple(map(int, each))) not in hidden]
    again = Differences(differences.trial, differences.step, differences.epsilon, differences.kinks, rounding)
    return compare(name, finding.analytic, again, entries, tolerance, strict=False), len(hidden)


def hidden_by_rounding(
    model: Layer, trial: Trial, findings: dict[str, Finding], step: float, tolerance: Tolerance
) -> tuple[dict[str, Finding], str]:
    """Return the findings without the entries that rounding explains, and a note on them.

    Call it only where no layer is wrong by itself. The note is empty if rounding does not explain every wrong entry.
    """
    rounding, unbounded = rounding_by_layer(trial), _unbounded(trial)
    differences = Differences(trial, step)
    left, count = {}, 0
    for name, finding in findings.items():
        left[name], hidden = without_hidden(
            name, finding, differences, sum(rounding.values()), tolerance, unbounded.get(name)
        )
        count += hidden
    if not count or not all(finding.comparison.right for finding in left.values()):
        return findings, ""
    worst = max(rounding, key=rounding.__getitem__)
    where = place(model, worst, dict(model.named_layers())[worst])
    return left, (
        f"{count} entr{'ies were' if count > 1 else 'y was'} not compared: rounding in the output of {where}"
        f"{', or a bound of BCELoss,' if unbounded else ''} hides the derivative from central differences; if it is "
        "saturated, scale the inputs, or use BCEWithLogitsLoss or CrossEntropyLoss instead of activation and loss"
    )


def _unbounded(trial: Trial) -> dict[str, Array]:
    """Return the gradients as they are without the bounds of BCELoss, if a prediction is within 1e-12 of 0 or 1."""
    if not isinstance(trial.loss, BCELoss):
        return {}
    Y, t = np.asarray(spread(trial.layer.forward, trial.X)), np.asarray(trial.target)
    trial.loss.forward(Y, trial.target)
    between = Y * (1 - Y)
    if between.min() >= BOUND:
        return {}
    with np.errstate(all="ignore"):
        weight = trial.loss.backward() * np.maximum(between, BOUND) / (Y - t)
        by_parts = (np.log1p(-Y) > FLOOR) * (1 - t) / (1 - Y) - (np.log(Y) > FLOOR) * t / Y
        dY = np.nan_to_num(weight * by_parts, posinf=0, neginf=0)
    return Trial(trial.layer, trial.X, dY=dY).backward()
