"""The options of layers: plain attributes, such as the slope of a LeakyReLU, which are no cache and no state."""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from nnlite.compute.call_log import UnwritableError
from nnlite.layer.cache import cached_names
from nnlite.layer.carried import accumulated_names
from nnlite.layer.layer import Layer

_PLAIN: tuple[type, ...] = (int, float, str, tuple, type(None))
_NO_OPTIONS = {"_Phi", "_dPhi", "_owner", "_room", "_tied", "needs_dX", "_first_of_backward"}


def options_of(*roots: Layer) -> Callable[[], tuple[Any, ...]]:
    """A fast function that returns the values of all options of these layers and of those in them.

    >>> import nnlite as nn
    >>> layer = nn.LeakyReLU(0.1)
    >>> options = options_of(layer)
    >>> before = options()
    >>> layer.negative_slope = 0.2
    >>> options() == before
    False
    """
    pairs = []
    for root in roots:
        for _, layer in root.named_layers():
            attributes = vars(layer)
            attributes["training"] = layer.training  # for itemgetter, which takes two thirds of the time of attrgetter
            pairs.append((itemgetter(*_names(layer)), attributes))
    return lambda: tuple([get(attributes) for get, attributes in pairs])


def _names(layer: Layer) -> list[str]:
    left_out = cached_names(type(layer)) | _NO_OPTIONS
    return [
        name
        for name, value in vars(layer).items()
        if name not in left_out and isinstance(value, _PLAIN) and _kept(value)
    ]


def _kept(value: Any) -> bool:
    """Whether it can be compared and be a key."""
    if isinstance(value, tuple):
        return all(isinstance(each, _PLAIN) and _kept(each) for each in value)
    return True


def refuse_counters(*roots: Layer) -> None:
    """Raise for a layer whose forward or backward updates a number, as ``self.n += 1`` does: lines would not.

    Raises:
        UnwritableError: there is one.
    """
    for root in roots:
        for path, layer in root.named_layers():
            kind: Any = type(layer)
            for method in ("forward", "backward"):
                for name in sorted(accumulated_names(kind, method)):
                    if isinstance(vars(layer).get(name), int | float):
                        raise UnwritableError(
                            f"{path} {layer.one_line()}: {method} updates {name}, a number; make it an array, "
                            f'buffers=("{name}",)'
                        )
