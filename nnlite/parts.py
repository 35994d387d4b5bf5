"""Parts: a layer as a tree of the layers in its attributes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from numpy import ndarray

from nnlite.arrays import FLOATING

if TYPE_CHECKING:
    from nnlite.layer import Layer


class Parts:
    """What is made of parts: the layers in its attributes, and in those that are lists, tuples or dicts.

    >>> import nnlite as nn
    >>> isinstance(nn.Tanh(), Parts)
    True
    """

    training: bool = True

    def named_children(self) -> Iterator[tuple[str, "Layer"]]:
        """(name, layer) of each direct part, in order.

        >>> import nnlite as nn
        >>> [name for name, part in nn.Sequential(nn.Linear(2, 1), nn.Tanh()).named_children()]
        ['0', '1']
        """
        for name, value in vars(self).items():
            if isinstance(value, Parts):
                yield name, value  # type: ignore[misc]
            elif isinstance(value, list | tuple | dict):
                parts = value.items() if isinstance(value, dict) else enumerate(value)
                yield from ((f"{name}.{key}", part) for key, part in parts if isinstance(part, Parts))  # type: ignore[misc]

    def named_layers(self, path: str = "") -> Iterator[tuple[str, "Layer"]]:
        """(path, layer) of this layer, whose path is "", and of everything in it, depth first.

        >>> import nnlite as nn
        >>> [path for path, layer in nn.Sequential(nn.Sequential(nn.Tanh())).named_layers()]
        ['', '0', '0.0']
        """
        yield path, self  # type: ignore[misc]
        for name, child in self.named_children():
            yield from child.named_layers(inside(path, name))

    def train(self, mode: bool = True) -> Self:
        """Set training mode for this layer and all in it; returns the layer.

        >>> import nnlite as nn
        >>> nn.Tanh().train().training
        True
        """
        for _, layer in self.named_layers():
            layer.training = mode
        return self

    def eval(self) -> Self:
        """Set evaluation mode for this layer and all in it; returns the layer.

        >>> import nnlite as nn
        >>> nn.Tanh().eval().training
        False
        """
        return self.train(False)

    def __repr__(self) -> str:
        children = [f"({name}): {child!r}" for name, child in self.named_children()]
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = "\n".join(children).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {lines}\n)"

    def one_line(self) -> str:
        """The repr on one line, for messages: ``Sequential(3 layers)``.

        >>> import nnlite as nn
        >>> nn.Sequential(nn.Linear(2, 1), nn.Tanh()).one_line()
        'Sequential(2 layers)'
        """
        parts = len(list(self.named_children()))
        return f"{type(self).__name__}({parts} layers)" if parts else repr(self)

    def extra_repr(self) -> str:
        """What stands between the brackets of the layer's repr."""
        return ""

    def evaluation_twin(self) -> Self:
        """A layer on the same parameters, in evaluation mode, with a cache of its own.

        What predicts writes on the twin and never on the model, so that many threads can predict at once.

        >>> import numpy as np, nnlite as nn
        >>> layer = nn.Tanh()
        >>> Y = layer.evaluation_twin().forward(np.zeros(2))
        >>> hasattr(layer, "Y")
        False
        """
        twin = object.__new__(type(self))
        attributes = twin.__dict__ = self.__dict__ | {"training": False}
        for name, value in self.__dict__.items():
            if type(value) not in _PLAIN:  # a glance that spares most of them the questions that follow
                attributes[name] = _twin(value)
        return twin


_PLAIN = frozenset({ndarray, int, bool, str, type(None), *map(type, FLOATING)})  # of these a twin takes the original


def inside(path: str, name: str) -> str:
    """The path of what is called ``name`` in the layer at ``path``.

    >>> inside("", "0"), inside("0", "W")
    ('0', '0.W')
    """
    return f"{path}.{name}" if path else name


def _twin(value: Any) -> Any:
    if isinstance(value, Parts):
        return value.evaluation_twin()
    if type(value) in (list, tuple):
        if _PLAIN.issuperset(map(type, value)) or not any(isinstance(part, Parts) for part in value):
            return value
        return type(value)(map(_twin, value))
    if type(value) is dict and any(isinstance(part, Parts) for part in value.values()):
        return {key: _twin(part) for key, part in value.items()}
    return value
