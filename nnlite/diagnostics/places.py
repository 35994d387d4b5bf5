"""The place of a layer in a model, for messages, and the first number in a model that is not finite."""

from typing import Any

import numpy as np

from nnlite.basics.trees import listed
from nnlite.layer.layer import Layer


def place(model: Layer, path: str, layer: Layer) -> str:
    """The place of a layer in a model, for messages: ``Sequential[1][0] Linear(3 -> 2)`` for the path "1.0".

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2))
    >>> place(model, "0", model[0])
    'Sequential[0] Linear(3 -> 2)'
    """
    if not path:
        return layer.one_line()
    steps = "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in path.split("."))
    return f"{type(model).__name__}{steps} {layer.one_line()}"


def parameter_not_finite(model: Layer) -> str | None:
    """A sentence that names the first parameter or buffer that is not finite; None if all are finite.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 1))
    >>> model[0].b = [np.inf]
    >>> parameter_not_finite(model)
    'b of Sequential[0] Linear(1 -> 1) is not finite'
    """
    layers = dict(model.named_layers())
    for path, A in (*model.named_parameters(), *model.named_buffers()):
        if not all_finite(A):
            layer, _, name = path.rpartition(".")
            return f"{name} of {place(model, layer, layers[layer])} is not finite"
    return None


def all_finite(values: Any) -> bool:
    """Whether an array, or every array in a tuple or dict, is free of NaN and infinity.

    >>> all_finite((np.zeros(1), np.array([np.nan])))
    False
    """
    return all(np.isfinite(each).all() for each in listed(values))
