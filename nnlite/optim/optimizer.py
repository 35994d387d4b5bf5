"""What every optimizer is: a layer, and a step on its Phi."""

from nnlite.layer import Layer
from nnlite.parameters import check_whole


class Optimizer:
    """Moves the parameters of one layer; a whole model is a layer, and so is each of its parts.

    Two optimizers on two parts of a model give each its own learning rate; a part without one stays as it is.

    Args:
        layer: any Layer with parameters.

    Raises:
        TypeError: it is not a Layer.
        ValueError: it has no parameters.

    >>> import nnlite as nn
    >>> class SignDescent(Optimizer):
    ...     def step(self):
    ...         self.layer.Phi -= 0.01 * np.sign(self.layer.dPhi)
    >>> import numpy as np
    >>> layer = nn.Linear(1, 1)
    >>> layer.dPhi = [2.0, -3.0]
    >>> layer.Phi = [0.0, 0.0]
    >>> SignDescent(layer).step()
    >>> layer.Phi
    array([-0.01,  0.01], dtype=float32)
    """

    def __init__(self, layer: Layer) -> None:
        name = type(self).__name__
        if not isinstance(layer, Layer):
            raise TypeError(f"{name}: layer: expected a Layer, the model itself, got {layer!r}")
        check_whole(layer)
        if not layer.Phi.size:
            raise ValueError(f"{name}: {layer.one_line()} has no parameters to move")
        self.layer = layer

    def step(self) -> None:
        """Move Phi once, by what the last backward left in dPhi; dPhi stays as it is."""
        raise NotImplementedError(f"{type(self).__name__} has no step")
