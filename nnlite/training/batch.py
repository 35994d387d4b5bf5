"""Batch: some of the rows, with their weights and where they came from."""

from dataclasses import dataclass
from typing import Any

from nnlite.basics.arrays import Array


@dataclass(slots=True)
class Batch:
    """A batch of rows: one array or several, in a tuple or dict, for X and for Y.

    >>> import numpy as np
    >>> Batch(np.zeros((2, 3)), np.ones((2, 1)), count=2).weight is None
    True
    """

    X: Any
    Y: Any
    count: int  # of rows
    weight: Array | None = None  # of each row in the loss, or of each of its steps
    rows: Any = None  # the indices of the rows, an array or a slice; None in a stream
    source: Any = None  # the Rows that it is part of
    of: int = 0  # how many rows the batch has in all processes; see sharing.py
    inside: Array | None = None  # of padded sequences with a target for each step: which steps count, (N, T)
    starts: bool = True  # sequences begin with it; else it goes on from the batch before

    def row(self, index: int) -> int:
        """The index, among all rows, of a row of the batch; in a stream its index in the batch."""
        if self.rows is None:
            return index
        return self.rows.start + index if isinstance(self.rows, slice) else int(self.rows[index])
