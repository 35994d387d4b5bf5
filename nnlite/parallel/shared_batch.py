"""SharedBatch: in a process that has a share of a batch, random numbers and statistics are those of the whole."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, StandIn
from nnlite.layer.layer import Layer
from nnlite.layers.batch_normalization import BatchNorm
from nnlite.parallel.ranks import Ranks
from nnlite.training.batch import Batch
from nnlite.training.rows import share_of


class DrawsForRows(StandIn):
    """In place of a generator: it draws for all rows of the batch, and returns what belongs to those of this process.

    So masks are those of a training in one process, and the generators of all ranks remain the same. The first number
    of a ``shape`` or ``size`` is taken as that of the rows, or a multiple of it; what is drawn without one is the same
    on all ranks.

    >>> rng = np.random.default_rng(0)
    >>> DrawsForRows(rng, start=1, stop=2, of=3).random((1, 2))
    array([[0.04097352, 0.01652764]])
    >>> np.random.default_rng(0).random((3, 2))[1:2]
    array([[0.04097352, 0.01652764]])
    """

    def __init__(self, generator: "np.random.Generator", start: int, stop: int, of: int) -> None:
        self.generator, self.start, self.stop, self.of = generator, start, stop, of

    def apply(self, function: Any, *operands: Any) -> Any:
        return self._draw(function, [self.generator if each is self else each for each in operands], {})

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.generator, name)
        return (lambda *arguments, **options: self._draw(value, arguments, options)) if callable(value) else value

    def _draw(self, function: Callable[..., Any], arguments: Sequence[Any], options: dict[str, Any]) -> Any:
        times, rows = 0, self.stop - self.start

        def of_all_rows(value: Any, *, is_size: bool = False) -> Any:
            nonlocal times
            shape = value if isinstance(value, tuple) else (value,) if is_size and isinstance(value, int) else ()
            if not shape or not isinstance(shape[0], int) or not rows or shape[0] % rows:
                return value
            times = shape[0] // rows
            return (times * self.of, *shape[1:])

        drawn = function(
            *[of_all_rows(each) for each in arguments],
            **{name: of_all_rows(each, is_size=name in ("size", "shape")) for name, each in options.items()},
        )
        return drawn[times * self.start : times * self.stop] if times else drawn


class SharedBatch:
    """What makes the layers compute as if they had the whole batch.

    Args:
        layers: the layers of the model and of the loss.
        ranks: the processes.
        sync_batchnorm: whether BatchNorm's statistics are those of the whole batch.
    """

    def __init__(self, layers: list[Layer], ranks: Ranks, sync_batchnorm: bool) -> None:
        self.ranks = ranks
        self.batch_norms = [layer for layer in layers if isinstance(layer, BatchNorm)] if sync_batchnorm else []
        self.generators = [
            (layer, name, value)
            for layer in layers
            for name, value in vars(layer).items()
            if isinstance(value, np.random.Generator)
        ]

    @contextmanager
    def forward(self, batch: Batch) -> Iterator[None]:
        """In it layers draw for the whole batch, and BatchNorm's statistics are those of it."""
        start, stop = share_of(batch.of, self.ranks.rank, self.ranks.ranks)
        for layer, name, generator in self.generators:
            vars(layer)[name] = DrawsForRows(generator, start, stop, batch.of)
        try:
            with self.backward():
                yield
        finally:
            for layer, name, generator in self.generators:
                vars(layer)[name] = generator
        if self.generators and batch.of < self.ranks.ranks:  # those without rows have drawn nothing
            each = [generator for _, _, generator in self.generators]
            states = self.ranks.from_first([generator.bit_generator.state for generator in each])
            for generator, state in zip(each, states, strict=True):
                generator.bit_generator.state = state

    @contextmanager
    def backward(self) -> Iterator[None]:
        """In it BatchNorm's sums are those of the whole batch."""
        for layer in self.batch_norms:
            layer.ranks = self.ranks
        try:
            yield
        finally:
            for layer in self.batch_norms:
                del layer.ranks


def mean_of_buffers(buffers: list[Array], rows: int, rank: int) -> list[Array]:
    """What each rank adds to the buffers of all, in float64: means over the rows, and of integers what rank 0 has.

    >>> mean_of_buffers([np.array([2.0]), np.array(3)], rows=4, rank=1)
    [array([8.]), array([0.])]
    """
    return [
        buffer.reshape(-1).astype(np.float64) * (rows if buffer.dtype.kind == "f" else rank == 0) for buffer in buffers
    ]
