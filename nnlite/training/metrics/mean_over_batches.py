"""The marks of metrics whose value on all rows is a mean of those on the batches: by rows, or by entries."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def mean_over_batches(function: Function) -> Function:
    """Mark a metric whose value on all rows is the mean, by rows, of its values on the batches, such as an accuracy.

    ``fit`` and ``evaluate`` then call it on each batch. Without the mark they keep the predictions and the targets of
    all rows in memory and call it once, which is right for every metric: the mean over batches is wrong for F1, AUC,
    R2, a median, a root of a mean square and every other ratio.

    Args:
        function: ``(Y_pred, Y) -> float``, which is marked itself and returned; a ``functools.partial`` of a marked
            function is marked as well.

    Raises:
        TypeError: something that is not a function, or that cannot have attributes.

    >>> @mean_over_batches
    ... def absolute_error(Y_pred, Y):
    ...     return float(abs(Y_pred - Y).mean())
    >>> import numpy as np, nnlite as nn
    >>> X = np.array([[0.0], [1.0], [5.0]])
    >>> nn.evaluate(nn.Identity(), X, X * 0, loss=nn.MSELoss(), metrics=[absolute_error], batch_size=2)
    {'loss': 8.666666666666666, 'absolute_error': 2.0}
    """
    if not callable(function):
        raise TypeError(f"mean_over_batches: expected a function (Y_pred, Y) -> float, got {function!r}")
    try:
        function.mean_over_batches = True  # type: ignore[attr-defined]
    except AttributeError:
        raise TypeError(f"mean_over_batches: {function!r} cannot be marked; write a function that calls it") from None
    return function


def mean_over_entries(*, geometric: bool = False) -> Callable[[Function], Function]:
    """Mark a metric with an option ``ignore_index`` that is the mean over the entries of Y which it does not ignore.

    A batch then counts in the mean as often as it has such entries. For the metrics of nnlite; one of your own is
    marked with :func:`nnlite.mean_over_batches`.

    Args:
        geometric: the mean is geometric: the exponential of that of the logarithms.
    """

    def marked(function: Function) -> Function:
        function.over_entries, function.geometric = True, geometric  # type: ignore[attr-defined]
        return mean_over_batches(function)

    return marked


def mark(metric: Any, name: str) -> bool:
    """Whether a metric, or the function that it is a ``functools.partial`` of, has the mark.

    >>> mark(mean_over_entries(geometric=True)(lambda Y_pred, Y: 0.0), "geometric"), mark(max, "geometric")
    (True, False)
    """
    return bool(getattr(metric, name, False)) or (isinstance(metric, partial) and mark(metric.func, name))


def is_mean_over_batches(metric: Any) -> bool:
    """Whether a metric, or the function that it is a ``functools.partial`` of, is marked.

    >>> is_mean_over_batches(mean_over_batches(lambda Y_pred, Y: 0.0)), is_mean_over_batches(max)
    (True, False)
    """
    return mark(metric, "mean_over_batches")
