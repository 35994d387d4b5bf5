"""Activity: which units of a model's activations are dead or saturated, so that no gradient passes through them."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import spread
from nnlite.diagnostics.trace import watching
from nnlite.layer.layer import Layer
from nnlite.layers.activations import Identity, LogSoftmax, Softmax
from nnlite.layers.arrangement import Flatten, Reshape, Transpose

CLOSED = 1e-2  # a slope below it lets next to nothing of the gradient through: tanh from |x| = 3, sigmoid from 4.6
NONE = (Identity, Flatten, Reshape, Transpose, Softmax, LogSoftmax)  # what looks like an activation, and is none


@dataclass(frozen=True)
class Activity:
    """What an activation lets through: any layer of one input that treats each entry by itself.

    An entry is closed where the layer's slope is below 1e-2 in size: at 0 of a ReLU, far out on a tanh.

    Attributes:
        path: of the layer.
        layer: its repr.
        units: how many there are: the size of the last axis.
        dead: how many of them are closed for every sample.
        saturated: the share of entries that are closed.

    >>> Activity("1", "ReLU()", 16, 4, 0.5).dead
    4
    """

    path: str
    layer: str
    units: int
    dead: int
    saturated: float


def activities(model: Layer, X: Any) -> list[Activity]:
    """The activity of each activation in ``model``, on the samples X; it runs on a copy, in evaluation mode.

    The slope is what the layer's own backward makes of a dY of ones, so a layer of your own is seen as well.

    >>> import nnlite as nn
    >>> activities(nn.ReLU(), np.array([[1.0, -1.0], [-2.0, -3.0]]))
    [Activity(path='', layer='ReLU()', units=2, dead=1, saturated=0.75)]
    """
    model = copy.deepcopy(model).eval()
    layers = dict(model.named_layers())
    calls: list[tuple[str, Any, Any]] = []
    with watching(model, lambda path, name, call, Y: calls.append((path, call, Y))):
        spread(model.forward, X)
    found = []
    for path, call, Y in calls:
        slope = _slope(layers[path], call, Y)
        if slope is not None:
            closed = np.abs(slope).reshape(-1, slope.shape[-1] if slope.ndim > 1 else 1) < CLOSED
            dead = int(np.count_nonzero(closed.all(axis=0)))
            found.append(Activity(path, layers[path].one_line(), closed.shape[1], dead, float(closed.mean())))
    return found


def _slope(layer: Layer, call: Any, Y: Any) -> Array | None:
    """The derivative of each entry of Y by the same one of X; None of a layer that is no activation."""
    if (
        isinstance(layer, NONE)
        or any(layer.named_children())
        or any(np.ndim(P) > 1 for _, P in layer.named_parameters())
    ):
        return None  # among others a container, or a layer of weights
    shapes = [np.shape(X) for X in (*call.args, *call.keywords.values())]
    if not isinstance(Y, np.ndarray) or shapes != [Y.shape] or not Y.size:
        return None
    call()  # the layer may have been used again since; backward goes by the last forward
    every_second = (np.arange(Y.size) % 2).astype(Y.dtype).reshape(Y.shape)
    parts = [(dY, layer.backward(dY)) for dY in (every_second, 1 - every_second)]
    if any(dX is None or np.shape(dX) != Y.shape or np.any(dX[dY == 0]) for dY, dX in parts):
        return None  # an entry of dX that comes from another one of dY: a softmax
    return np.asarray(parts[0][1] + parts[1][1])
