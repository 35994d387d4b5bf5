"""The optimizers of a training: that each moves parameters of the model or of the loss, and no two the same ones."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from nnlite.basics.arrays import Array
from nnlite.layer.layer import Layer
from nnlite.losses.per_output import Losses
from nnlite.optim.optimizer import Optimizer


def as_optimizers(optimizer: Any, model: Layer, loss: Layer) -> list[Optimizer]:
    """The optimizers as a list, each of which moves parameters of the model or of the loss.

    Raises:
        TypeError: something else than an optimizer.
        ValueError: there is none, it moves parameters of another model, or two move the same ones; or a layer is marked
            as frozen in the way of another library.

    >>> import nnlite as nn
    >>> model = nn.Linear(1, 1)
    >>> len(as_optimizers(nn.SGD(model, lr=0.1), model, nn.MSELoss()))
    1
    """
    optimizers = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    if not optimizers:
        raise ValueError("optimizer: expected at least one, got an empty list")
    for each in optimizers:
        if not isinstance(each, Optimizer):
            raise TypeError(f"optimizer: expected one such as SGD(model, lr=0.1), got {each!r}")
        trained = [model, *(loss.by_output.values() if isinstance(loss, Losses) else [loss])]
        if not any(_lies_in(each.layer.Phi, layer.Phi) for layer in trained):
            raise ValueError(
                f"optimizer: {each!r} moves parameters that are not in {model.one_line()}; make it from this model"
            )
    for path, layer in model.named_layers():
        for name in "requires_grad", "trainable":  # what freezes a layer in PyTorch and in Keras
            foreign = vars(layer).get(name) is False and type(layer).__module__.startswith("nnlite.")
            if foreign and any(np.may_share_memory(layer.Phi, each.layer.Phi) for each in optimizers):
                place = f"{path or 'model'}.{name}"
                raise ValueError(
                    f"optimizer: {place} = False has no effect, and {layer.one_line()} is trained; to freeze it, leave "
                    f"{place} out and make an optimizer of the other layers, such as SGD(model[-1], lr=0.1)"
                )
    for one, other in combinations(optimizers, 2):
        if np.may_share_memory(one.layer.Phi, other.layer.Phi):
            raise ValueError(f"optimizer: {one!r} and {other!r} move the same parameters")
    return optimizers


def _lies_in(part: Array, whole: Array) -> bool:
    low, high = byte_bounds(whole)
    start, stop = byte_bounds(part)
    return low <= start and stop <= high
