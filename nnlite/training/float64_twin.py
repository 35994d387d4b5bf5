"""A copy of a model in float64, for computations that float32 is too coarse for."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import numpy as np

from nnlite.layer.layer import Layer


@contextmanager
def in_float64(model: Layer, loss: Layer) -> Iterator[tuple[Layer, Layer]]:
    """The model and the loss, if the model is float64; else copies, whose state is written back at the end.

    >>> import nnlite as nn
    >>> model = nn.Linear(1, 1)
    >>> with in_float64(model, nn.MSELoss()) as (twin, loss):
    ...     twin.Phi = [0.1, 0.2]
    >>> model.Phi
    array([0.1, 0.2], dtype=float32)
    """
    if model.Phi.dtype == np.float64:
        yield model, loss
        return
    twins = deepcopy((model, loss))  # together, since one may use parameters of the other
    for twin in twins:
        twin.astype(np.float64)
    try:
        yield twins
    finally:
        with np.errstate(over="ignore"):
            _copy_state(twins[0], model)
            _copy_state(twins[1], loss)


def _copy_state(source: Layer, target: Layer) -> None:
    """Copy parameters, buffers and the states of random generators."""
    target.Phi = source.Phi
    for (_, new), (_, old) in zip(source.named_buffers(), target.named_buffers(), strict=True):
        old[...] = new
    for (_, new_generator), (_, old_generator) in zip(
        source.named_generators(), target.named_generators(), strict=True
    ):
        old_generator.bit_generator.state = new_generator.bit_generator.state
