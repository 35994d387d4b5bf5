"""Streams: batches that the user makes, read one after the other."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NoReturn

import numpy as np

from nnlite.training.rows import Batch, Rows


class Stream:
    """Batches that the user makes, as pairs (X, Y); only one is in memory at a time.

    Args:
        source: an iterable of pairs, or a function without arguments that returns a new one for each epoch.
        name: what to call the source in an error.

    >>> stream = Stream([([[1.0]], [2.0]), ([[3.0], [4.0]], [5.0, 6.0])])
    >>> [batch.count for batch in stream.batches()]
    [1, 2]
    """

    def __init__(self, source: Any, name: str = "X") -> None:
        self.source = source
        self.name = name

    def head(self, batch_size: int) -> "Stream":
        """The first batch."""
        return Stream(lambda: ((batch.X, batch.Y) for batch in islice(self.batches(), 1)), self.name)

    def order(self, rng: Any) -> None:
        """None: the batches come in the order of the source."""

    def batches(self, batch_size: int = 0, order: Any = None, first: int = 0) -> Iterator[Batch]:
        """The batches, from number ``first`` on.

        Raises:
            TypeError: the source yields something else than pairs.
            ValueError: the source yields nothing, as a generator does the second time.
        """
        number, source = -1, self.source() if callable(self.source) else self.source
        if not hasattr(source, "__iter__"):
            raise TypeError(f"{self.name}: expected the function to return an iterable of batches, got {source!r}")
        for number, pair in enumerate(source):
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TypeError(
                    f"{self.name}: expected batches that are pairs (X, Y), got {type(pair).__name__} as batch {number}"
                )
            if number >= first:
                rows = Rows(pair[0], pair[1], (f"X of batch {number}", f"Y of batch {number}"))
                not_empty(rows, f"X of batch {number}")
                batch = next(rows.batches(len(rows)))
                batch.rows = None
                yield batch
        if number + 1 < max(first, 1):
            raise ValueError(
                f"{self.name}: the source yielded no batch; a generator can be read only once, so pass the function "
                "that makes it"
            )

    def set_weight(self, weight: Any) -> NoReturn:
        """Raise: the rows of a stream have no indices."""
        raise ValueError("sample_weight: expected rows X and Y, got batches, whose rows have no indices")

    def count(self, batch_size: int) -> int | None:
        """The number of batches; None if it is not known before they are read."""
        return None if callable(self.source) or not hasattr(self.source, "__len__") else len(self.source)


def rows_or_stream(X: Any, Y: Any, epochs: int = 1) -> Rows | Stream:
    """The rows X and Y; or, without Y, the stream of batches X.

    Raises:
        TypeError: there is no Y, and X is no iterable of batches; or there is Y, and X is a function.
        ValueError: there are no rows; or X is a generator, which can be read once, and there are several epochs.

    >>> type(rows_or_stream(iter([]), None)).__name__
    'Stream'
    """
    if Y is not None:
        if callable(X) and not hasattr(X, "__len__"):
            raise TypeError("Y: expected None, since X is a function, whose batches are pairs (X, Y)")
        rows = Rows(X, Y)
        not_empty(rows, "X")
        return rows
    if isinstance(X, np.ndarray) or not is_stream(X):
        raise TypeError("Y: expected the targets, got None; only batches that are pairs (X, Y) need no Y")
    if isinstance(X, Iterator) and epochs > 1:
        raise ValueError("X: a generator can be read only once, so pass the function that makes it")
    return Stream(X)


def is_stream(source: Any) -> bool:
    """Whether the source can be a stream: a function or an iterable.

    >>> is_stream([]), is_stream(3)
    (True, False)
    """
    return callable(source) or hasattr(source, "__iter__")


def not_empty(rows: Rows, name: str) -> None:
    """Raise a ValueError if there are no rows.

    >>> not_empty(Rows(np.zeros((1, 1))), "X")
    """
    if not len(rows):
        raise ValueError(f"{name}: expected at least one row, got none")
