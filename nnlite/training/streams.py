"""Streams: batches that the user makes, read one after the other."""

from collections.abc import Iterator
from copy import copy
from itertools import islice
from typing import Any, NoReturn

import numpy as np

from nnlite.basics.frames import is_frame
from nnlite.training.batch import Batch
from nnlite.training.rows import Rows, Share
from nnlite.training.sequences import Pieces, Sequences
from nnlite.training.sources import KerasBatches, SamplePairs, is_dataset, is_keras_sequence, is_sparse, not_a_pair


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

    def order(self, rng: Any, batch_size: int = 1) -> None:
        """None: the batches come in the order of the source."""

    def batches(
        self, batch_size: int = 0, order: Any = None, first: int = 0, step: int = 1, share: Share = None
    ) -> Iterator[Batch]:
        """The batches, from number ``first`` on; see :meth:`Rows.batches`.

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
                    f"{self.name}: expected batches that are pairs (X, Y), got as batch {number} {not_a_pair(pair)}"
                )
            if number >= first and (number - first) % step == 0:
                rows = self._rows(pair, number)
                not_empty(rows, f"X of batch {number}")
                batch = next(rows.batches(len(rows), share=share))
                batch.rows = None
                yield batch
        if number + 1 < (max(first, 1) if step == 1 else 1):
            raise ValueError(
                f"{self.name}: the source yielded no batch; a generator can be read only once, so pass the function "
                "that makes it"
            )

    def _rows(self, pair: Any, number: int) -> Rows:
        try:
            return Rows(pair[0], pair[1], (f"X of batch {number}", f"Y of batch {number}"))
        except (TypeError, ValueError) as error:
            if np.ndim(pair[0]) == 1 or np.ndim(pair[1]) == 0:
                error.add_note(
                    "each pair is a batch, with a row for each sample; for a list of samples pass "
                    f"np.stack([x for x, y in {self.name}]) and np.stack([y for x, y in {self.name}])"
                )
            raise

    def set_weight(self, weight: Any) -> NoReturn:
        """Raise: the rows of a stream have no indices."""
        raise ValueError("sample_weight: expected rows X and Y, got batches, whose rows have no indices")

    def count(self, batch_size: int) -> int | None:
        """The number of batches; None if it is not known before they are read."""
        return None if callable(self.source) or not hasattr(self.source, "__len__") else len(self.source)


class Samples(Rows):
    """The rows of a dataset whose item i is the pair (x, y) of one sample.

    Args:
        dataset: an object with ``len`` and ``dataset[i]``.
        name: what to call it in an error.

    >>> class Squares:
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, i):
    ...         return [i], [i * i]
    >>> [batch.Y.tolist() for batch in Samples(Squares()).batches(2)]
    [[[0], [1]], [[4]]]
    """

    def __init__(self, dataset: Any, name: str = "X") -> None:
        super().__init__(SamplePairs(dataset, name), names=(name, f"y of {name}"))

    def batches(
        self, batch_size: int, order: Any = None, first: int = 0, step: int = 1, share: Share = None
    ) -> Iterator[Batch]:
        """The batches, as of all rows."""
        for batch in super().batches(batch_size, order, first, step, share):
            batch.X, batch.Y = batch.X
            yield batch


def rows_or_stream(X: Any, Y: Any, epochs: int = 1) -> Rows | Stream:
    """The rows X and Y; or, without Y, the samples of the dataset X, or the stream of batches X.

    Raises:
        TypeError: there is no Y, and X is no iterable of batches; or there is Y, and X is a function.
        ValueError: there are no rows; or X is a generator, which can be read once, and there are several epochs.

    >>> type(rows_or_stream(iter([]), None)).__name__
    'Stream'
    """
    if isinstance(X, Sequences | Pieces):
        if Y is not None or X.Y is None:
            raise TypeError(f"Y: expected the targets in {type(X).__name__}(sequences, targets), and no Y beside it")
        return copy(X)  # it gets weights
    if Y is not None:
        if callable(X) and not hasattr(X, "__len__"):
            raise TypeError("Y: expected None, since X is a function, whose batches are pairs (X, Y)")
        rows = Rows(X, Y)
        not_empty(rows, "X")
        return rows
    if is_dataset(X) or is_keras_sequence(X):
        return of_dataset(X, "X")
    if isinstance(X, np.ndarray) or is_frame(X) or is_sparse(X) or not is_stream(X):
        raise TypeError("Y: expected the targets, got None; only batches that are pairs (X, Y) need no Y")
    if isinstance(X, Iterator) and epochs > 1:
        raise ValueError("X: a generator can be read only once, so pass the function that makes it")
    return Stream(X)


def of_dataset(dataset: Any, name: str) -> Rows | Stream:
    """The samples of a dataset, or the batches of a Keras Sequence.

    Raises:
        ValueError: it is empty.
    """
    if is_keras_sequence(dataset):
        return Stream(KerasBatches(dataset), name)
    rows = Samples(dataset, name)
    not_empty(rows, name)
    return rows


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
