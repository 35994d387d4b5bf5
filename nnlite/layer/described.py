"""What a layer's class says about forward and backward in attributes, for the tools."""

from typing import Any

from nnlite.layer.layer import Layer


def described(layer: Layer, name: str, *methods: str) -> Any:
    """The value of an attribute that describes methods of the layer; None if a subclass overrides one of them.

    >>> import nnlite as nn
    >>> class Doubled(nn.Sigmoid):
    ...     def forward(self, X):
    ...         return 2 * super().forward(X)
    >>> described(nn.Sigmoid(), "output_range", "forward"), described(Doubled(), "output_range", "forward")
    ((0.0, 1.0), None)
    """
    cls = type(layer)
    owner = next(base for base in cls.__mro__ if name in vars(base))
    if any(getattr(cls, method) is not getattr(owner, method) for method in methods):
        return None
    return getattr(layer, name)
