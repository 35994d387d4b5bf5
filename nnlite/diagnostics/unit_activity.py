"""Dead and saturated units: entries of an activation through which next to no gradient passes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.diagnostics.recording import LayerCall
from nnlite.diagnostics.run import Run
from nnlite.layer.layer import Layer

SATURATED = 1e-2  # below this derivative next to no gradient passes: tanh from |x| = 3, sigmoid from |x| = 4.6


@dataclass(frozen=True)
class Activity:
    """The dead and saturated units of an activation: any elementwise layer of one input.

    An entry is saturated where the derivative is below 1e-2 in absolute value: left of 0 in a ReLU, far out in a tanh.

    Attributes:
        path: of the layer.
        layer: its repr.
        units: the number of units, the size of the last axis.
        dead: the number of units that are saturated for every sample.
        saturated: the fraction of entries that are saturated.

    >>> Activity("1", "ReLU()", 16, 4, 0.5).dead
    4
    """

    path: str
    layer: str
    units: int
    dead: int
    saturated: float


def activities(model: Layer, X: Any) -> list[Activity]:
    """The activity of each activation in ``model`` on the samples X; runs on a copy, in evaluation mode.

    The derivative comes from the layer's own backward, so layers of your own are covered as well.

    >>> import nnlite as nn
    >>> activities(nn.ReLU(), np.array([[1.0, -1.0], [-2.0, -3.0]]))
    [Activity(path='', layer='ReLU()', units=2, dead=1, saturated=0.75)]
    """
    run, found = Run(model, evaluation=True), []
    run.forward(X)
    for call in run.recording.forwards:
        derivative = _derivative(call)
        if derivative is not None:
            width = derivative.shape[-1] if derivative.ndim > 1 else 1
            saturated = np.abs(derivative).reshape(-1, width) < SATURATED
            dead = int(np.count_nonzero(saturated.all(axis=0)))
            found.append(Activity(call.path, call.layer.one_line(), width, dead, float(saturated.mean())))
    return found


def _derivative(call: LayerCall) -> Array | None:
    """The derivative of each entry of Y with respect to the same entry of X; None if the layer is no activation."""
    layer, Y = call.layer, call.Y
    if (
        not (layer.original or layer).has_units
        or any(layer.named_children())
        or any(np.ndim(P) > 1 for _, P in layer.named_parameters())
    ):
        return None  # a container, or a layer with a weight matrix
    shapes = [np.shape(X) for X in (*call.args, *call.named.values())]
    if not isinstance(Y, np.ndarray) or Y.dtype.kind != "f" or shapes != [Y.shape] or not Y.size:
        return None
    layer.forward(
        *call.args, **call.named
    )  # the layer may have been used again since then; backward uses the cache of the last forward
    every_second = (np.arange(Y.size) % 2).astype(Y.dtype).reshape(Y.shape)
    parts = [(dY, layer.backward(dY)) for dY in (every_second, 1 - every_second)]
    if any(dX is None or np.shape(dX) != Y.shape or np.any(dX[dY == 0]) for dY, dX in parts):
        return None  # an entry of dX depends on another entry of dY, as in a softmax
    derivative = np.asarray(parts[0][1] + parts[1][1])
    has_state = any((*layer.named_parameters(), *layer.named_buffers(), *layer.named_generators()))
    if has_state and len(derivative) > 1 and derivative.all() and np.all(derivative == derivative[:1]):
        return None  # affine, such as batch normalization or dropout: a small scale is no saturation
    return derivative
