"""Rows: X and Y side by side, checked once, read a batch at a time and never written."""

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from numbers import Number
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.frames import check_same_index, column_names, indexed, is_frame
from nnlite.basics.trees import each_of, listed
from nnlite.losses.per_output import by_key
from nnlite.training.batch import Batch
from nnlite.training.sources import SourceRows, SparseRows, is_sparse

Share = tuple[int, int] | None  # of each batch: the number of the share, from 0, and how many there are


class Rows:
    """The rows to train, validate or predict on.

    Args:
        X: an array, a nested list, a pandas frame or series of numbers; or what is read a batch at a time: a sparse
            matrix, ``np.memmap``, any object with ``len`` and indexing by row numbers or by the number of one sample.
            For a model of several inputs a tuple or dict of them.
        Y: the targets, likewise, or None.
        names: what to call X and Y in an error.

    Attributes:
        names: what X and Y are called in an error.
        given: X and Y as they were passed.
        numbers: indices of the rows to use, in this order; None for all of them.
        weight: the weight of each row of X in the loss, or None.
        feature_names: the names of the columns, where X is a frame; or None.

    Raises:
        ValueError: X and Y differ in length.
        TypeError: X or Y does not hold real numbers, or has no rows.

    >>> rows = Rows([[1], [2], [3]], [4, 5, 6])
    >>> for batch in rows.batches(2):
    ...     print(batch.count, batch.X.tolist(), batch.Y.tolist())
    2 [[1], [2]] [4, 5]
    1 [[3]] [6]
    """

    def __init__(self, X: Any, Y: Any = None, names: tuple[str, str] = ("X", "Y")) -> None:
        self.names, self.given = names, (X, Y)
        self.feature_names = column_names(X)
        self.X, self.Y = _as_rows(X, names[0]), None if Y is None else _as_rows(Y, names[1], optional=True)
        self.numbers: Array | None = None
        self.weight: Array | None = None
        in_X, in_Y = _lengths(self.X), _lengths(self.Y)
        if len({*in_X, *in_Y}) > 1:
            raise ValueError(
                f"{' and '.join(names)}: expected the same number of rows, "
                f"got {' and '.join(map(str, in_X))} rows in {names[0]}"
                + f" and {' and '.join(map(str, in_Y))} in {names[1]}" * bool(in_Y)
                + self._cure(names)
            )
        frames = [part for part in (*_parts(X, names[0]), *_parts(Y, names[1])) if is_frame(part[1])]
        for name, other in frames[1:]:
            check_same_index(frames[0][1], other, frames[0][0], name)

    def _cure(self, names: tuple[str, str]) -> str:
        """What to write where X and Y differ in length."""
        if isinstance(self.X, tuple):
            return "; a tuple of arrays means several inputs, so pass rows as a list"
        for name, own, other in (names[0], self.X, self.Y), (names[1], self.Y, self.X):
            if isinstance(own, np.ndarray) and isinstance(other, np.ndarray):
                if own.ndim == 2 and own.shape[1] == len(other):
                    return f"; {name} of shape {own.shape} has a sample in each column: pass {name}.T"
                if own.ndim == other.ndim == 2 and own.shape[1] == other.shape[1] > 1:
                    return f"; they have a sample in each column: pass {names[0]}.T and {names[1]}.T"
                if own.ndim in (1, 3) and len(other) == 1:
                    return f"; for a single sample pass {name}[None{', :' * (own.ndim == 1)}]"
        return ""

    def __len__(self) -> int:
        return _lengths(self.X)[0] if self.numbers is None else len(self.numbers)

    def subset(self, numbers: Array) -> "Rows":
        """The rows with these indices; nothing is copied.

        >>> len(Rows(np.zeros((5, 1))).subset(np.array([4, 0])))
        2
        """
        part = copy(self)
        part.numbers = numbers
        return part

    def head(self, batch_size: int) -> "Rows":
        """The rows of the first batch.

        >>> len(Rows(np.zeros((5, 1))).head(2))
        2
        """
        return self.subset((np.arange(len(self)) if self.numbers is None else self.numbers)[:batch_size])

    def order(self, rng: "np.random.Generator | None", batch_size: int = 1) -> Array | None:
        """The rows' indices in a new random order; without ``rng`` those in ``numbers``.

        >>> Rows(np.zeros((3, 1))).order(np.random.default_rng(0))
        array([2, 0, 1])
        """
        if rng is None:
            return self.numbers
        return rng.permutation(len(self) if self.numbers is None else self.numbers)

    def batches(
        self, batch_size: int, order: Array | None = None, first: int = 0, step: int = 1, share: Share = None
    ) -> Iterator[Batch]:
        """The batches, from number ``first`` on, of the rows in the given order; the last batch may be shorter.

        Args:
            batch_size: how many rows make a batch.
            order: the indices of the rows.
            first: the number of the first batch.
            step: 2 for every other batch, and so on.
            share: (number, count) for one share of each batch, of so many; None for all its rows.

        >>> [batch.count for batch in Rows(np.zeros((5, 1))).batches(2)]
        [2, 2, 1]
        >>> [batch.count for batch in Rows(np.zeros((5, 1))).batches(2, share=(1, 2))]
        [1, 1, 0]
        """
        order = self.numbers if order is None else order
        read_X, read_Y = _reader(self.X, order), _reader(self.Y, order)
        length = len(self)
        for start in range(first * batch_size, length, step * batch_size):
            stop = min(start + batch_size, length)
            of = stop - start
            if share is not None:
                start, stop = (start + end for end in share_of(of, *share))
            rows = slice(start, stop) if order is None else order[start:stop]
            weight = None if self.weight is None else self.weight[rows]
            if start == stop:  # a source may not be able to read no rows, so that one is read and left out
                one = slice(start - 1, start) if order is None else order[start - 1 : start]
                yield Batch(none_of(read_X(one)), none_of(read_Y(one)), 0, weight, rows, self, of)
            else:
                yield Batch(read_X(rows), read_Y(rows), stop - start, weight, rows, self, of)

    def set_weight(self, weight: Any) -> None:
        """Give each row of X a weight in the loss, or each step of each row.

        Raises:
            ValueError: there is not a finite number >= 0 for each row, or for each of its steps; or all are 0.

        >>> rows = Rows([[1], [2]], [3, 4])
        >>> rows.set_weight([0.5, 1.0])
        >>> [batch.weight.tolist() for batch in rows.batches(2)]
        [[0.5, 1.0]]
        """
        given, weight = weight, as_array(weight, "sample_weight").astype(np.float64)
        check_same_index(self.given[0], given, self.names[0], "sample_weight")
        rows = _lengths(self.X)[0]
        expected = f"sample_weight: expected {rows} finite numbers >= 0, one for each row"
        if weight.shape != (rows,) and not (weight.ndim > 1 and len(weight) == rows and weight.shape[1] > 1):
            cure = f"; pass {indexed('sample_weight', given)}[:, 0]" * (weight.shape == (rows, 1))
            raise ValueError(f"{expected}, got shape {weight.shape}{cure}")
        wrong = ~((weight >= 0) & np.isfinite(weight))
        if wrong.any():
            place = tuple(map(int, np.argwhere(wrong)[0]))
            raise ValueError(f"{expected}, got {weight[place]} for row {', step '.join(map(str, place))}")
        if rows and not weight.any():
            raise ValueError(f"{expected}, got zero for every row, so nothing would be learnt")
        self.weight = weight

    def count(self, batch_size: int) -> int | None:
        """The number of batches.

        >>> Rows(np.zeros((5, 1))).count(2)
        3
        """
        return math.ceil(len(self) / batch_size)


def share_of(count: int, number: int, shares: int) -> tuple[int, int]:
    """The first row, and the one after the last, of a share of ``count`` rows; the first shares are the larger ones.

    >>> share_of(5, 0, 3), share_of(5, 1, 3), share_of(5, 2, 3)
    ((0, 2), (2, 4), (4, 5))
    """
    size, larger = divmod(count, shares)
    start = number * size + min(number, larger)
    return start, start + size + (number < larger)


def none_of(values: Any) -> Any:
    """No rows of an array, or of each array of tuples and dicts.

    >>> none_of((np.ones((3, 2)), None))
    (array([], shape=(0, 2), dtype=float64), None)
    """
    return each_of(none_of, values) if isinstance(values, tuple | dict) else None if values is None else values[:0]


def joined(batches: Sequence[Any]) -> Any:
    """The arrays concatenated along the rows; for tuples and dicts of arrays each of them.

    >>> joined([(np.zeros(1), np.ones(2)), (np.zeros(3), np.ones(4))])
    (array([0., 0., 0., 0.]), array([1., 1., 1., 1., 1., 1.]))
    """
    first = batches[0]
    if first is None:
        return None
    if isinstance(first, dict):
        return {key: joined([batch[key] for batch in batches]) for key in first}
    if isinstance(first, tuple):
        return tuple([joined(parts) for parts in zip(*batches, strict=True)])
    return np.concatenate(batches)


def _as_rows(values: Any, name: str, *, optional: bool = False) -> Any:
    """An object with ``len`` and row indexing, or a tuple or dict of such. A tuple of lists is a nested sequence.

    None is the target of an output without a loss, in a tuple or dict where it is ``optional``.
    """
    if values is None and optional:
        return None
    if is_sparse(values):  # before dict: SciPy's dok format is one
        return SparseRows(values, name)
    of_numbers = isinstance(values, tuple) and all(isinstance(value, list | tuple | Number) for value in values)
    if isinstance(values, tuple) and (not of_numbers or (not values and optional)):
        parts = enumerate(values)
        return tuple([_as_rows(value, f"{name}[{number}]", optional=optional) for number, value in parts])
    if isinstance(values, dict):
        return {key: _as_rows(value, f"{name}[{key!r}]", optional=optional) for key, value in values.items()}
    has_rows = hasattr(values, "__getitem__") and hasattr(values, "__len__")
    if has_rows and not isinstance(values, np.ndarray | list | tuple) and not is_frame(values):
        return values if isinstance(values, SourceRows | SparseRows) else SourceRows(values, name)
    if not has_rows and hasattr(values, "__iter__"):
        raise TypeError(
            f"{name}: expected rows, such as an array or an object with len and indexing, got "
            f"{type(values).__name__}; read its batches one after the other"
        )
    try:
        values = as_array(values, name)  # no copy of an array, so a memmap stays on the disk
    except ValueError as error:
        if isinstance(values, list | tuple) and _differ_in_length(values):
            error.add_note("for sequences of different lengths pass nnlite.Sequences(X, Y), or see nnlite.pad_sequence")
        raise
    if values.ndim == 0:
        raise TypeError(
            f"{name}: expected one row per sample, got a single number; one sample is one row, [[{values}]]"
        )
    return values


def _differ_in_length(rows: Sequence[Any]) -> bool:
    try:
        return len({np.shape(row)[:1] for row in rows if np.size(row)}) > 1
    except ValueError:  # a row is itself no array
        return False


def _parts(values: Any, name: str) -> list[tuple[str, Any]]:
    """(name, values), or the name and the values of each part of a tuple or dict."""
    if isinstance(values, tuple | dict):
        return [(f"{name}[{key!r}]", each) for key, each in by_key(values).items()]
    return [(name, values)]


def _lengths(values: Any) -> list[int]:
    return [len(rows) for rows in listed(values) if rows is not None]


def _reader(values: Any, order: Array | None) -> Callable[[Any], Any]:
    """The function that reads rows of the values: by a slice where there is no order, else by their indices."""
    if values is None:
        return lambda rows: None
    if isinstance(values, tuple | dict):
        readers = each_of(lambda each: _reader(each, order), values)
        return lambda rows: each_of(lambda read: read(rows), readers)
    if order is not None and isinstance(values, np.ndarray) and values.flags.c_contiguous and values.flags.aligned:
        # Three times as fast as indexing; but np.take copies an array of another layout whole.
        return lambda rows: values.take(rows, 0)
    return lambda rows: read_only(values[rows])


def read_only(batch: Any) -> Any:
    """A read-only view of the batch, so that a layer that works in place cannot change the user's rows.

    >>> read_only(np.zeros(2)).flags.writeable
    False
    """
    if isinstance(batch, np.ndarray):
        batch = batch.view()
        batch.setflags(write=False)
    return batch
