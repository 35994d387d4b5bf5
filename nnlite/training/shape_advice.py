"""Advice at a ShapeError: what is likely to be wrong with the shape of X as the user gave it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnlite.basics.frames import indexed
from nnlite.errors import ShapeError
from nnlite.training.rows import Rows
from nnlite.training.sources import SparseRows

COLUMNS = 10  # of a frame, that an error lists


@contextmanager
def noting_shapes(rows: Any, model: Any = None) -> Iterator[None]:
    """Add to a ShapeError what is likely to be wrong with the shape of X as the user gave it.

    >>> import nnlite as nn
    >>> try:
    ...     with noting_shapes(Rows(np.zeros(200))):
    ...         nn.Linear(1, 1).forward(np.zeros(32))
    ... except ShapeError as error:
    ...     error.__notes__[-1]
    'X has the shape (200,), so each number is a row: pass X[:, None] for a column, or X[None, :] for a single sample'
    """
    try:
        yield
    except ShapeError as error:
        X = rows.X if isinstance(rows, Rows) else None
        if isinstance(X, np.ndarray) and X.ndim == 1:
            line = indexed("X", rows.given[0])
            error.add_note(
                f"X has the shape {X.shape}, so each number is a row: pass {line}[:, None] for a column, or "
                f"{line}[None, :] for a single sample"
            )
        elif isinstance(X, np.ndarray | SparseRows):
            columns = list(getattr(rows.given[0], "columns", []))
            which = f", the columns {columns[:COLUMNS]}{' ...' * (len(columns) > COLUMNS)}" * bool(columns)
            flat = f"; for a row of numbers pass {indexed('X', rows.given[0])}.reshape(len(X), -1)"
            error.add_note(f"X has the shape {X.shape}: a row for each sample{which}{flat * _fits_flat(model, X)}")
        raise


def _fits_flat(model: Any, X: Any) -> bool:
    """Whether the model accepts samples of several axes if they are made rows of numbers."""
    if model is None or X.ndim < 3 or not len(X):
        return False
    try:
        model.evaluation_twin().forward(X[:1].reshape(1, -1))
    except Exception:
        return False
    return True
