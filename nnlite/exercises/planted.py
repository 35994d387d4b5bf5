"""planted: a layer whose backward has a mistake, and looks like any other."""

from collections.abc import Callable
from typing import Any

from nnlite.basics.arrays import Array
from nnlite.layer.layer import Layer


class Spoiled:
    """A mixin: ``spoil(layer, gradients, dY)`` changes the gradients before backward returns them."""

    spoil: Callable[..., None]

    def backward(self, dY: Array) -> Any:
        """The gradients of the other base class, changed."""
        dX = super().backward(dY)  # type: ignore[misc]
        several = isinstance(dX, tuple)
        gradients = {f"X{i}": each for i, each in enumerate(dX, 1)} if several else {"X": dX}
        gradients |= {name: getattr(self, "d" + name).copy() for name in self._parameters}  # type: ignore[attr-defined]
        self.spoil(gradients, dY)
        for name in self._parameters:  # type: ignore[attr-defined]
            setattr(self, "d" + name, gradients[name])
        return tuple(gradients[f"X{i}"] for i in range(1, len(dX) + 1)) if several else gradients["X"]


def planted(cls: type[Layer], spoil: Callable[..., None], *args: Any, name: str = "", **kwargs: Any) -> Layer:
    """A layer of a subclass of ``cls`` with the same name, or another, whose gradients ``spoil`` changes.

    >>> import numpy as np, nnlite as nn
    >>> def twice(layer, gradients, dY):
    ...     gradients["X"] = 2 * gradients["X"]
    >>> layer = planted(nn.Tanh, twice)
    >>> Y = layer.forward(np.zeros(1))
    >>> layer, layer.backward(np.ones(1))
    (Tanh(), array([2.]))
    """
    layer: Layer = type(name or cls.__name__, (Spoiled, cls), {"spoil": spoil})(*args, **kwargs)
    return layer
