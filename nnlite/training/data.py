"""The rows to train on: checked once, read a batch at a time, never written."""

from collections.abc import Callable, Iterator
from functools import partial
from numbers import Number
from typing import Any

import numpy as np

from nnlite.arrays import Array, as_array, each_of, listed


class Rows:
    """X and Y side by side, read in batches of rows.

    Args:
        X: an array, a nested list, or any object with ``len`` and row indexing, such as ``np.memmap`` (which is read
            a batch at a time and never copied whole). For a model of several inputs a tuple or dict of them.
        Y: the targets, likewise, or None.
        names: what to call the two in an error.

    Raises:
        ValueError: X and Y differ in length.
        TypeError: one of them does not hold real numbers, or has no rows.

    >>> rows = Rows([[1], [2], [3]], [4, 5, 6])
    >>> for count, X, Y in rows.batches(2):
    ...     print(count, X.tolist(), Y.tolist())
    2 [[1], [2]] [4, 5]
    1 [[3]] [6]
    """

    def __init__(self, X: Any, Y: Any = None, names: tuple[str, str] = ("X", "Y")) -> None:
        self.X, self.Y = _as_rows(X, names[0]), None if Y is None else _as_rows(Y, names[1])
        self.numbers: Array | None = None  # which rows, and in which order; None stands for all, as they are
        in_X, in_Y = _lengths(self.X), _lengths(self.Y)
        if len({*in_X, *in_Y}) > 1:
            raise ValueError(
                f"{' and '.join(names)} must have a row each per sample, "
                f"got {' and '.join(map(str, in_X))} rows in {names[0]}"
                + f" and {' and '.join(map(str, in_Y))} in {names[1]}" * bool(in_Y)
                + "; a tuple of arrays stands for several inputs, so give rows in a list" * (len(in_X) > 1)
            )

    def __len__(self) -> int:
        return _lengths(self.X)[0] if self.numbers is None else len(self.numbers)

    def subset(self, numbers: Array) -> "Rows":
        """The rows with these numbers; nothing is copied.

        >>> len(Rows(np.zeros((5, 1))).subset(np.array([4, 0])))
        2
        """
        part = Rows(self.X, self.Y)
        part.numbers = numbers
        return part

    def batches(self, batch_size: int, shuffle: "np.random.Generator | None" = None) -> Iterator[tuple[int, Any, Any]]:
        """(number of rows, X, Y) of each batch, in a new random order if there is a generator to ``shuffle``.

        The last batch has what is left.

        >>> [count for count, X, Y in Rows(np.zeros((5, 1))).batches(2, np.random.default_rng(0))]
        [2, 2, 1]
        """
        order = self.numbers
        if shuffle is not None:
            order = shuffle.permutation(len(self) if order is None else order)
        read_X, read_Y = _reader(self.X), _reader(self.Y)
        for start in range(0, len(self), batch_size):
            stop = min(start + batch_size, len(self))
            rows = slice(start, stop) if order is None else order[start:stop]
            yield stop - start, read_X(rows), read_Y(rows)


def _as_rows(values: Any, name: str) -> Any:
    """An object with ``len`` and row indexing, or a tuple or dict of such. A tuple of lists is a nested sequence."""
    if isinstance(values, tuple) and not all(isinstance(value, list | tuple | Number) for value in values):
        return tuple([_as_rows(value, f"{name}[{index}]") for index, value in enumerate(values)])
    if isinstance(values, dict):
        return {key: _as_rows(value, f"{name}[{key!r}]") for key, value in values.items()}
    keep = hasattr(values, "__getitem__") and hasattr(values, "__len__")
    if isinstance(values, np.ndarray | list | tuple) or hasattr(values, "iloc") or not keep:  # iloc: pandas
        values = as_array(values, name)  # no copy of an array, so a memmap stays on the disk
        if values.ndim == 0:
            raise TypeError(f"{name}: expected one row per sample, got a single number")
    return values


def _lengths(values: Any) -> list[int]:
    return [] if values is None else [len(rows) for rows in listed(values)]


def _reader(values: Any) -> Callable[[Any], Any]:
    if values is None:
        return lambda rows: None
    if isinstance(values, tuple | dict):
        readers = each_of(_reader, values)
        return lambda rows: each_of(lambda read: read(rows), readers)
    if isinstance(values, np.ndarray) and values.flags.c_contiguous and values.flags.aligned:
        # Three times as fast as indexing; but of another array, take would copy the whole first.
        take = partial(values.take, axis=0)
        return lambda rows: read_only(values[rows]) if isinstance(rows, slice) else take(rows)
    return lambda rows: read_only(values[rows])


def read_only(batch: Any) -> Any:
    """A view of the batch that cannot be written: a layer that works in place must not spoil the user's rows.

    >>> read_only(np.zeros(2)).flags.writeable
    False
    """
    if isinstance(batch, np.ndarray):
        batch = batch.view()
        batch.setflags(write=False)
    return batch
