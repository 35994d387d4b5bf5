"""Where the batches come from: rows, or a stream of batches that come ready-made; to train on and to validate on."""

from collections.abc import Iterator
from itertools import islice
from numbers import Real
from typing import Any, NoReturn

import numpy as np

from nnlite.training.rows import Rows


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
