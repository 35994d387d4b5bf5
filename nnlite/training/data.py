"""The rows to train on: checked once, read a batch at a time, never written."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from nnlite.arrays import Array, as_array

Batch = tuple[Any, Any]


class Rows:
    """X and Y, read by row numbers.

    Args:
        X: an array, a nested list, or any object with ``len`` and row indexing, such as ``np.memmap`` (which is read
            a batch at a time and never copied whole).
        Y: the targets, likewise, or None.
        names: what to call the two in an error.

    Raises:
        ValueError: X and Y differ in length.
        TypeError: one of them does not hold real numbers, or has no rows.

    >>> rows = Rows([[1], [2], [3]], [4, 5, 6])
    >>> rows.read(np.array([2, 0]))
    (array([[3],
           [1]]), array([6, 4]))
    """

    def __init__(self, X: Any, Y: Any = None, names: tuple[str, str] = ("X", "Y")) -> None:
        self.X, self.Y = _as_rows(X, names[0]), None if Y is None else _as_rows(Y, names[1])
        if self.Y is not None and len(self.X) != len(self.Y):
            raise ValueError(
                f"{names[0]} and {names[1]} must have a row each per sample, "
                f"got {len(self.X)} rows in {names[0]} and {len(self.Y)} in {names[1]}"
            )
        self._read_X, self._read_Y = _reader(self.X), _reader(self.Y)

    def __len__(self) -> int:
        return len(self.X)

    def read(self, rows: Any) -> Batch:
        """The rows with the given numbers (an array of them, or a slice) of X and of Y."""
        return self._read_X(rows), self._read_Y(rows)

    def batches(self, batch_size: int, order: Array | None = None) -> Iterator[tuple[int, Any, Any]]:
        """(number of rows, X, Y) of each batch, along ``order``, or from the first row to the last; the last is short.

        >>> [count for count, X, Y in Rows(np.zeros((5, 1))).batches(2)]
        [2, 2, 1]
        """
        total = len(self) if order is None else len(order)
        for start in range(0, total, batch_size):
            stop = min(start + batch_size, total)
            rows = slice(start, stop) if order is None else order[start:stop]
            yield stop - start, self._read_X(rows), self._read_Y(rows)


def _as_rows(values: Any, name: str) -> Any:
    """An object with ``len`` and row indexing."""
    keep = hasattr(values, "__getitem__") and hasattr(values, "__len__")
    if isinstance(values, np.ndarray | list | tuple) or hasattr(values, "iloc") or not keep:  # iloc: pandas
        values = as_array(values, name)  # no copy of an array, so a memmap stays on the disk
        if values.ndim == 0:
            raise TypeError(f"{name}: expected one row per sample, got a single number")
    return values


def _reader(values: Any) -> Callable[[Any], Any]:
    if values is None:
        return lambda rows: None
    if isinstance(values, np.ndarray) and values.flags.c_contiguous and values.flags.aligned:
        # Three times as fast as indexing; but of another array, take would copy the whole first.
        take = partial(values.take, axis=0)
        return lambda rows: values[rows] if isinstance(rows, slice) else take(rows)
    return lambda rows: values[rows]
