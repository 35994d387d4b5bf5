"""What a layer's class says about forward and backward in attributes, for the tools."""

from collections.abc import Sequence
from typing import Any

from nnlite.layer.cache import reads
from nnlite.layer.layer import Layer


def described(layer: Layer, name: str, *methods: str) -> Any:
    """The value of an attribute that describes methods of the layer; None if a subclass overrides one of them.

    Where a base class declares it for methods that it does not define, it holds for the first definition below.

    >>> import nnlite as nn
    >>> class Doubled(nn.Sigmoid):
    ...     def forward(self, X):
    ...         return 2 * super().forward(X)
    >>> described(nn.Sigmoid(), "output_range", "forward"), described(Doubled(), "output_range", "forward")
    ((0.0, 1.0), None)
    """
    cls = type(layer)
    owner = next(base for base in cls.__mro__ if name in vars(base))
    if any(getattr(cls, method) is not _described_method(cls, owner, method) for method in methods):
        return None
    return getattr(layer, name)


def _described_method(cls: type[Layer], owner: type[Layer], method: str) -> Any:
    """The method of the class that has the attribute or, if that leaves it out, of the first below it."""
    if owner is Layer or getattr(owner, method) is not getattr(Layer, method):
        return getattr(owner, method)
    below = [base for base in cls.__mro__ if issubclass(base, owner) and method in vars(base)]
    return getattr(below[-1] if below else owner, method)


def with_gradient(layer: Layer, inputs: Sequence[Any]) -> tuple[int, ...]:
    """The positions, of a layer's inputs, of those whose gradients backward returns: none that is None, left out.

    >>> import nnlite as nn
    >>> layer = nn.LSTM(2, 3)
    >>> with_gradient(layer, ("X", "lengths", "H0", "C0")), with_gradient(layer, ("X", "lengths", None, None))
    ((0, 2, 3), (0,))
    """
    places = layer.differentiable_inputs(len(inputs))
    return tuple([place for place in places if place >= len(inputs) or inputs[place] is not None])


def can_skip_dX(layer: Layer) -> bool:
    """Whether ``needs_dX`` may be set to False: only if the layer's own ``backward`` reads it.

    A backward that does not may rely on the dX of another one, as in ``dY + super().backward(dY)``.

    >>> import nnlite as nn
    >>> class Residual(nn.Sequential):
    ...     def backward(self, dY):
    ...         return dY + super().backward(dY)
    >>> can_skip_dX(nn.Sequential()), can_skip_dX(Residual())
    (True, False)
    """
    return reads(type(layer).backward, "needs_dX")


def learns(layer: Layer) -> bool:
    """Whether backward of the layer, or of one in it, stores gradients of parameters."""
    return any(
        part.original is not None or any(getattr(part, name) is not None for name in part._parameters)
        for _, part in layer.named_layers()
    )
