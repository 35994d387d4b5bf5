"""What a training says that has lost its way: where it began, and what may be the reason."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnlite.diagnostics.trace import all_finite, output_not_finite, parameter_not_finite
from nnlite.errors import DivergenceError
from nnlite.layer.layer import Layer

LARGE = 1e3  # inputs above it are named as a likely cause


def diverged(model: Layer, J: float, place: str, kept: str, batches: Iterable[tuple[int, Any, Any]]) -> DivergenceError:
    """The error that says where the first number stands that is not finite, and what may be the reason.

    Args:
        model: with the parameters that the user is left with.
        J: the loss.
        place: in which epoch and batch.
        kept: from when the parameters are.
        batches: (count, X, Y) of those in which it may have begun.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 1))
    >>> raise diverged(model, np.nan, "epoch 1, batch 1", "before this step", [(1, [[np.nan]], [[0.0]])])
    Traceback (most recent call last):
        ...
    nnlite.errors.DivergenceError: the loss is nan in epoch 1, batch 1: X itself holds a value that is not finite. ...
    """
    cause, X = "the loss overflows on finite predictions, or is the logarithm of zero", None
    for _, X, Y in batches:
        if found := _where(model, X, Y):
            cause = found
            break
    return DivergenceError(
        f"the loss is {J} in {place}: {cause}. The parameters are those from {kept}. "
        f"Likely causes: {'; '.join(_causes(X))}"
    )


@contextmanager
def stopping(on_nan: str) -> Iterator[None]:
    """Let a DivergenceError through where ``on_nan`` is "raise"; where it is "stop", warn and end what is inside.

    >>> with stopping("raise"):
    ...     raise DivergenceError("the loss is nan")
    Traceback (most recent call last):
        ...
    nnlite.errors.DivergenceError: the loss is nan
    """
    try:
        yield
    except DivergenceError as error:
        if on_nan == "raise":
            raise
        warnings.warn(str(error), RuntimeWarning, stacklevel=4)  # at the line that calls fit


def _where(model: Layer, X: Any, Y: Any) -> str | None:
    for name, values in ("X", X), ("Y", Y):
        if not all_finite(values):
            return f"{name} itself holds a value that is not finite"
    return parameter_not_finite(model) or output_not_finite(model, X)


def _causes(X: Any) -> Iterator[str]:
    yield "a learning rate that is too large"
    columns = [
        f"column {column} of {name} goes up to {largest:.3g}"
        for name, values in _named(X)
        for column, largest in _large_columns(values)
    ]
    if columns:
        yield "inputs that are not scaled: " + ", ".join(columns[:3]) + ", ..." * (len(columns) > 3)
    else:
        yield "inputs that are not scaled (those of this batch are)"


def _named(X: Any) -> list[tuple[str, Any]]:
    if isinstance(X, dict):
        return [(f"X[{key!r}]", values) for key, values in X.items()]
    return [("X", X)] if not isinstance(X, tuple) else [(f"X[{number}]", values) for number, values in enumerate(X)]


def _large_columns(X: Any) -> list[tuple[int, float]]:
    """(number, largest size) of the columns with finite values above LARGE, the largest first."""
    rows = np.abs(np.asarray(X)).reshape(len(X), -1) if np.ndim(X) else np.zeros((1, 1))
    rows = np.where(np.isfinite(rows), rows, 0)
    largest = rows.max(axis=0, initial=0)
    return [(int(column), float(largest[column])) for column in np.argsort(-largest) if largest[column] > LARGE]
