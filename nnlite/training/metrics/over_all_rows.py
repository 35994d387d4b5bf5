"""over_all_rows: the mark of a metric that is not the mean of what it is on the batches."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def over_all_rows(function: Function) -> Function:
    """Mark a metric that must see all rows at once; ``fit`` and ``evaluate`` then call it once, at the end of the rows.

    Without the mark a metric is called on each batch, and what counts is the mean by rows. That is wrong for F1, AUC,
    R2, a median and the like. The memory for such a metric is the predictions and the targets of all rows, and while
    it is computed twice that. The bar of ``fit`` shows it from the end of the first epoch on.

    Args:
        function: ``(Y_pred, Y) -> float``, which is marked itself and returned; a ``functools.partial`` of a marked
            function needs no mark of its own. Note that scikit-learn's functions take Y first.

    Raises:
        TypeError: something that is not a function, or one that holds no attributes.

    >>> @over_all_rows
    ... def median_error(Y_pred, Y):
    ...     return float(np.median(abs(Y_pred - Y)))
    >>> import numpy as np, nnlite as nn
    >>> X = np.array([[0.0], [1.0], [5.0]])
    >>> nn.evaluate(nn.Identity(), X, X * 0, loss=nn.MSELoss(), metrics=[median_error], batch_size=2)["median_error"]
    1.0
    """
    if not callable(function):
        raise TypeError(f"over_all_rows: expected a function (Y_pred, Y) -> float, got {function!r}")
    try:
        function.over_all_rows = True  # type: ignore[attr-defined]
    except AttributeError:
        raise TypeError(f"over_all_rows: {function!r} cannot be marked; write a function that calls it") from None
    return function


def sees_all_rows(metric: Any) -> bool:
    """Whether a metric, or the function that it is a ``functools.partial`` of, is marked.

    >>> sees_all_rows(over_all_rows(lambda Y_pred, Y: 0.0)), sees_all_rows(max)
    (True, False)
    """
    marked = getattr(metric, "over_all_rows", False)
    return bool(marked) or (isinstance(metric, partial) and sees_all_rows(metric.func))
