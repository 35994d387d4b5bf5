"""The rows to train on: checked once, read a batch at a time, never written."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from numbers import Number, Real
from typing import Any, NoReturn

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

    def head(self, batch_size: int) -> "Rows":
        """The rows of the first batch.

        >>> len(Rows(np.zeros((5, 1))).head(2))
        2
        """
        return self.subset((np.arange(len(self)) if self.numbers is None else self.numbers)[:batch_size])

    def order(self, rng: "np.random.Generator | None") -> Array | None:
        """The rows' numbers in a new random order, or, without ``rng``, as they are; None stands for all of them.

        >>> Rows(np.zeros((3, 1))).order(np.random.default_rng(0))
        array([2, 0, 1])
        """
        if rng is None:
            return self.numbers
        return rng.permutation(len(self) if self.numbers is None else self.numbers)

    def batches(self, batch_size: int, order: Array | None = None, first: int = 0) -> Iterator[tuple[int, Any, Any]]:
        """(number of rows, X, Y) of each batch from the ``first`` on, in the given order; the last has what is left.

        >>> [count for count, X, Y in Rows(np.zeros((5, 1))).batches(2)]
        [2, 2, 1]
        """
        order = self.numbers if order is None else order
        read_X, read_Y = _reader(self.X, order), _reader(self.Y, order)
        length = len(self)
        for start in range(first * batch_size, length, batch_size):
            stop = min(start + batch_size, length)
            rows = slice(start, stop) if order is None else order[start:stop]
            yield stop - start, read_X(rows), read_Y(rows)

    def with_weights(self, weight: Any) -> "Rows":
        """The same rows, with a weight beside each target: Y is now a pair.

        Raises:
            ValueError: there is not a finite number for each row.

        >>> rows = Rows([[1], [2]], [3, 4]).with_weights([0.5, 1.0])
        >>> [Y[1].tolist() for count, X, Y in rows.batches(2)]
        [[0.5, 1.0]]
        """
        weight = as_array(weight, "sample_weight").astype(np.float64)
        rows = _lengths(self.X)[0]
        if weight.shape != (rows,) or not np.isfinite(weight).all():
            raise ValueError(
                f"sample_weight: expected {rows} finite numbers, one for each row, got shape {weight.shape}"
            )
        pairs = Rows(self.X, self.Y)
        pairs.Y, pairs.numbers = (self.Y, weight), self.numbers
        return pairs

    def count(self, batch_size: int) -> int | None:
        """How many batches there are.

        >>> Rows(np.zeros((5, 1))).count(2)
        3
        """
        return math.ceil(len(self) / batch_size)


class Stream:
    """Batches that come ready-made, as pairs (X, Y); only one is in memory at a time.

    Args:
        source: an iterable of pairs, or a function without arguments that gives a new one for each epoch.
        name: what to call it in an error.

    >>> stream = Stream([([[1.0]], [2.0]), ([[3.0], [4.0]], [5.0, 6.0])])
    >>> [count for count, X, Y in stream.batches()]
    [1, 2]
    """

    def __init__(self, source: Any, name: str = "X") -> None:
        self.source = source
        self.name = name

    def head(self, batch_size: int) -> "Stream":
        """The first batch."""
        return Stream(lambda: ((X, Y) for _, X, Y in islice(self.batches(), 1)), self.name)

    def order(self, rng: Any) -> None:
        """They come in the order of the source."""

    def batches(self, batch_size: int = 0, order: Any = None, first: int = 0) -> Iterator[tuple[int, Any, Any]]:
        """(number of rows, X, Y) of each batch from the ``first`` on.

        Raises:
            TypeError: the source gives something else than pairs.
            ValueError: it gives nothing, as a generator does the second time.
        """
        number, source = -1, self.source() if callable(self.source) else self.source
        if not hasattr(source, "__iter__"):
            raise TypeError(f"{self.name}: expected the function to give batches, got {source!r}")
        for number, pair in enumerate(source):
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TypeError(
                    f"{self.name}: expected batches that are pairs (X, Y), got {type(pair).__name__} as batch {number}"
                )
            if number >= first:
                rows = Rows(pair[0], pair[1], (f"X of batch {number}", f"Y of batch {number}"))
                ((count, X, Y),) = rows.batches(max(len(rows), 1))
                yield count, X, Y
        if number + 1 < max(first, 1):
            raise ValueError(
                f"{self.name}: the source gave no batch; a generator is used up after one epoch, so pass the function "
                "that makes it"
            )

    def with_weights(self, weight: Any) -> NoReturn:
        """Their rows have no numbers that weights could go by."""
        raise ValueError("sample_weight: batches that come ready-made have no numbered rows; pass X and Y")

    def count(self, batch_size: int) -> int | None:
        """How many batches there are, if the source knows."""
        return None if callable(self.source) or not hasattr(self.source, "__len__") else len(self.source)


def split(
    rows: Rows | Stream, data: Any, share: float, rng: "np.random.Generator"
) -> tuple[Rows | Stream, Rows | Stream | None]:
    """The rows to train on, and those to validate on: ``data``, or a random ``share`` of the rows, or None.

    Raises:
        TypeError: data is neither a pair nor a stream of batches.
        ValueError: share is not from 0 to below 1, or leaves no row on one side; or there is nothing to train on.

    >>> training, validation = split(Rows(np.zeros((4, 1)), np.zeros(4)), None, 0.25, np.random.default_rng(0))
    >>> len(training), len(validation)
    (3, 1)
    """
    not_empty(rows, "X")
    if data is not None:
        if share:
            raise ValueError("validation_split: expected 0 where validation_data is given")
        return rows, _validation(data)
    if not isinstance(share, Real) or not 0 <= share < 1:
        raise ValueError(f"validation_split: expected a share from 0 to below 1, got {share!r}")
    if not share:
        return rows, None
    if isinstance(rows, Stream):
        raise ValueError("validation_split: batches that come ready-made cannot be split; pass validation_data")
    held_back = round(len(rows) * float(share))
    if not 0 < held_back < len(rows):
        raise ValueError(
            f"validation_split: {share} of {len(rows)} rows leaves {held_back} to validate on and "
            f"{len(rows) - held_back} to train on; expected at least one of each"
        )
    order = rng.permutation(len(rows))
    return rows.subset(order[:-held_back]), rows.subset(order[-held_back:])


def _validation(data: Any) -> Rows | Stream:
    batches = isinstance(data, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in data)
    if isinstance(data, tuple | list) and len(data) == 2 and not batches:
        X, Y = data
        rows = Rows(X, Y, names=("validation X", "validation Y"))
        not_empty(rows, "validation X")
        return rows
    if isinstance(data, Iterator):
        raise TypeError(
            "validation_data: a generator is used up after one epoch, so pass the function that makes it, got a "
            f"{type(data).__name__}"
        )
    if not batches and (isinstance(data, np.ndarray | tuple | list) or not _gives_batches(data)):
        raise TypeError(
            "validation_data: expected a pair (X, Y), or a function that gives batches, which are such pairs, got "
            f"{type(data).__name__}"
        )
    return Stream(data, "validation_data")


def _gives_batches(source: Any) -> bool:
    return callable(source) or hasattr(source, "__iter__")


def not_empty(rows: Rows | Stream, name: str) -> None:
    """Raise if there are no rows.

    >>> not_empty(Rows(np.zeros((1, 1))), "X")
    """
    if isinstance(rows, Rows) and not len(rows):
        raise ValueError(f"{name}: expected at least one row, got none")


def rows_or_stream(X: Any, Y: Any, epochs: int = 1) -> Rows | Stream:
    """Rows of X and Y; or where there is no Y, the stream of batches that X is.

    Raises:
        TypeError: there is no Y, and X gives no batches; or there is one, and X is a function.
        ValueError: X will be used up before the last of the ``epochs``.

    >>> type(rows_or_stream(iter([]), None)).__name__
    'Stream'
    """
    if Y is not None:
        if callable(X) and not hasattr(X, "__len__"):
            raise TypeError("Y: expected None, since X is a function, whose batches are pairs (X, Y)")
        return Rows(X, Y)
    if isinstance(X, np.ndarray) or not _gives_batches(X):
        raise TypeError("Y: expected the targets, got None; only batches that are pairs (X, Y) come without")
    if isinstance(X, Iterator) and epochs > 1:
        raise ValueError("X: a generator is used up after one epoch, so pass the function that makes it")
    return Stream(X)


def joined(batches: Sequence[Any]) -> Any:
    """The arrays one after the other; of batches that are tuples or dicts each of their arrays.

    >>> joined([(np.zeros(1), np.ones(2)), (np.zeros(3), np.ones(4))])
    (array([0., 0., 0., 0.]), array([1., 1., 1., 1., 1., 1.]))
    """
    first = batches[0]
    if isinstance(first, dict):
        return {key: joined([batch[key] for batch in batches]) for key in first}
    if isinstance(first, tuple):
        return tuple([joined(parts) for parts in zip(*batches, strict=True)])
    return np.concatenate(batches)


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


def _reader(values: Any, order: Array | None) -> Callable[[Any], Any]:
    """What reads rows of the values: a slice of them where there is no order."""
    if values is None:
        return lambda rows: None
    if isinstance(values, tuple | dict):
        readers = each_of(lambda each: _reader(each, order), values)
        return lambda rows: each_of(lambda read: read(rows), readers)
    if order is not None and isinstance(values, np.ndarray) and values.flags.c_contiguous and values.flags.aligned:
        # Three times as fast as indexing; but of another array, take would copy the whole first.
        return lambda rows: values.take(rows, 0)
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
