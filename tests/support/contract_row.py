"""A row of the contract table, and numbers for its inputs."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from support.sweeps import SWEEP

import nnlite as nn


class Row(NamedTuple):
    """A layer and its input.

    Attributes:
        id: name of the row in the test report.
        make: returns a new layer each time, always with the same parameters.
        X: the input, float64 and at least 0.05 away from every kink, or integers; several inputs are a tuple or dict.
        target: the inputs of a loss that have no gradient: one array, or a tuple of them.
        rows_apart: whether each row of Y depends on the same row of X alone, and each row counts the same in a mean.
        takes_no_rows: whether the layer accepts a batch without rows.
    """

    id: str
    make: Callable[[], nn.Layer]
    X: Any
    target: Any = None
    rows_apart: bool = True
    takes_no_rows: bool = True

    @property
    def layer(self) -> nn.Layer:
        """A layer to be asked what it is, and never run: the same each time, while tests are collected."""
        return made_once(self.make)

    @property
    def kind(self) -> type[nn.Layer]:
        """The class of the layer."""
        return type(self.layer)


@cache
def made_once(make: Callable[[], nn.Layer]) -> nn.Layer:
    return make()


def numbers(*shape: int) -> np.ndarray:
    """Numbers of both signs, from 0.1 to 2 in size, no two alike."""
    size = int(np.prod(shape))
    values = np.linspace(0.1, 2, size) * np.where(np.arange(size) % 3 == 1, -1, 1)
    return np.random.default_rng(size).permutation(values).reshape(shape)


def shares(*shape: int) -> np.ndarray:
    """Numbers from 0.25 to 0.75."""
    return np.asarray(np.abs(numbers(*shape)) / 4 + 0.25)


def one_of_each(rows: list[Row]) -> list[Row]:
    """The first row of each layer and loss, and every container: for checks that options hardly matter to.

    With NNLITE_SWEEP above 1, all rows.
    """
    if SWEEP > 1:
        return rows
    containers = nn.Sequential, nn.Graph, nn.Residual, nn.Parallel
    kinds = [row.kind for row in rows]
    return [row for n, row in enumerate(rows) if kinds[n] not in kinds[:n] or issubclass(kinds[n], containers)]
