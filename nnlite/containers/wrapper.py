"""Wrapper: the base class of containers that hold one layer and change how it runs."""

from nnlite.layer.described import can_skip_dX
from nnlite.layer.layer import Layer


class Wrapper(Layer):
    """A layer around another one, with its parameters and dtype.

    Args:
        layer: the layer inside.

    >>> import nnlite as nn
    >>> wrapper = Wrapper(nn.Linear(2, 3))
    >>> wrapper.one_line(), wrapper.needs_dX
    ('Wrapper(Linear(2 -> 3))', True)
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.dtype = layer.dtype

    def one_line(self) -> str:
        return f"{type(self).__name__}({self.layer.one_line()})"

    @property
    def needs_dX(self) -> bool:
        """That of the layer inside; it stays True if its backward does not read it."""
        return self.layer.needs_dX

    @needs_dX.setter
    def needs_dX(self, value: bool) -> None:
        self.layer.needs_dX = value or not can_skip_dX(self.layer)
