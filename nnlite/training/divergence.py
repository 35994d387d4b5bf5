"""What a training says that has lost its way: where it began, and what may be the reason."""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from nnlite.arrays import listed
from nnlite.diagnostics.trace import first_not_finite
from nnlite.errors import DivergenceError
from nnlite.layer import Layer

LARGE = 1e3  # inputs above it are named as a likely cause


def diverged(model: Layer, batches: Iterable[tuple[Any, Any]], J: float, place: str, kept: str, on_nan: str) -> None:
    """Raise a DivergenceError, or warn.

    Args:
        model: with the parameters that the user is left with.
        batches: (X, Y) of those in which it may have begun.
        J: the loss.
        place: in which epoch and batch.
        kept: from when the parameters are.
        on_nan: "raise" or "stop".

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 1))
    >>> diverged(model, [([[np.nan]], [[0.0]])], np.nan, "epoch 1, batch 1", "before this step", "raise")
    Traceback (most recent call last):
        ...
    nnlite.errors.DivergenceError: the loss is nan in epoch 1, batch 1: X itself holds a value that is not finite. ...
    """
    cause, X, Y = "the loss overflows on finite predictions, or is the logarithm of zero", None, None
    for X, Y in batches:
        if X is None:
            break
        found = _where(model, X, Y)
        if found:
            cause = found
            break
    message = (
        f"the loss is {J} in {place}: {cause}. The parameters are those from {kept}. "
        f"Likely causes: {'; '.join(_causes(X))}"
    )
    if on_nan == "raise":
        raise DivergenceError(message)
    warnings.warn(message, RuntimeWarning, stacklevel=3)


def _where(model: Layer, X: Any, Y: Any) -> str | None:
    finite = all(np.isfinite(each).all() for each in listed(Y))
    return first_not_finite(model, X) if finite else "Y itself holds a value that is not finite"


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
    if X is None:
        return []
    if isinstance(X, dict):
        return [(f"X[{key!r}]", values) for key, values in X.items()]
    return [("X", X)] if not isinstance(X, tuple) else [(f"X[{number}]", values) for number, values in enumerate(X)]


def _large_columns(X: Any) -> list[tuple[int, float]]:
    """(number, largest size) of the columns with finite values above LARGE, the largest first."""
    rows = np.abs(np.asarray(X)).reshape(len(X), -1) if np.ndim(X) else np.zeros((1, 1))
    rows = np.where(np.isfinite(rows), rows, 0)
    largest = rows.max(axis=0, initial=0)
    return [(int(column), float(largest[column])) for column in np.argsort(-largest) if largest[column] > LARGE]
