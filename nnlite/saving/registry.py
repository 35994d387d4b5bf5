"""The registry: the classes of layers that a file may name.

A layer is saved as its class and the arguments of its constructor. A file only names a class, and only what is
registered is found. A subclass of a registered class is a class of its own, and unregistered.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from nnlite.containers.checkpointed import Checkpointed
from nnlite.containers.tied import Tied, TiedTranspose
from nnlite.layer.layer import Layer


class Kind(NamedTuple):
    """A registered class.

    Attributes:
        cls: the class.
        arguments: called with a layer, returns the arguments of ``make`` by name.
        make: returns a layer.
    """

    cls: type[Layer]
    arguments: Callable[[Any], dict[str, Any]]
    make: Callable[..., Layer]


_KINDS: dict[str, Kind] = {}


def register(cls: Any = None, *, arguments: Callable[[Any], dict[str, Any]] | None = None) -> Any:
    """Register a class of layers, so that they can be saved and loaded; return the class, as a decorator does.

    When it is loaded, the constructor is called with the arguments of the first time: each is read from the attribute
    of the same name. If they are not stored there, ``arguments`` returns them. They may be plain values, arrays, random
    generators, layers, and lists, tuples and dicts of these. An argument ``rng`` may be missing. Then parameters,
    buffers and the states of random generators are restored by name; nothing else that a layer stores is saved.

    A constructor that makes large arrays from numbers makes them also from the numbers of a file by somebody else. A
    class can avoid that with two methods of its own, as :class:`nnlite.Linear` does: ``saved_arguments()`` returns
    what is saved, for example W, and the class method ``from_saved(**arguments)`` makes a layer of it.

    Args:
        cls: the class. The program that loads it must register it under the same name.
        arguments: called with a layer, returns the arguments of its constructor by name.

    Raises:
        TypeError: it is not a class of layers.
        ValueError: another class of that name is registered.

    >>> import os, tempfile, numpy as np, nnlite as nn
    >>> @nn.register
    ... class Scale(nn.Layer):
    ...     def __init__(self, factor):
    ...         self.factor = factor
    ...     def forward(self, X):
    ...         return self.factor * X
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nn.save(Scale(3.0), os.path.join(folder, "scale.npz"))
    ...     nn.load(os.path.join(folder, "scale.npz")).forward(2.0)
    6.0
    """
    if cls is None:
        return lambda cls: register(cls, arguments=arguments)
    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        raise TypeError(f"register: expected a class of layers, got {cls!r}")
    if arguments is not None and not callable(arguments):
        raise TypeError(f"register: arguments: expected a function of a layer, got {arguments!r}")
    before = _KINDS.get(cls.__name__)
    if before is not None and _home(before.cls) != _home(cls):  # the same again is a cell that was run once more
        raise ValueError(f"register: there is another class called {cls.__name__}, {before.cls!r}; rename one of them")
    methods: Any = cls
    own = methods.saved_arguments if _has(cls, "saved_arguments") else partial(constructor_arguments, cls)
    make = methods.from_saved if _has(cls, "from_saved") else partial(_constructed, cls)
    _KINDS[cls.__name__] = Kind(cls, arguments or own, make)
    return cls


def _home(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def _has(cls: Any, method: str) -> bool:
    """Whether the class has the method, and no base class that is nearer has another constructor."""
    return method in next(vars(base) for base in cls.__mro__ if {method, "__init__"} & vars(base).keys())


def registered() -> list[type[Layer]]:
    """The registered classes, in the order of their registration."""
    return [kind.cls for kind in _KINDS.values()]


def kind_of(layer: Layer) -> Kind:
    """The registered class of a layer that is to be saved.

    Raises:
        TypeError: the class is unregistered.
    """
    cls = getattr(type(layer), "saved_as", type(layer))
    kind = _KINDS.get(cls.__name__)
    if kind is None or kind.cls is not cls:
        raise TypeError(
            f"{layer.one_line()}: the class {cls.__name__} is unregistered, so it cannot be saved; "
            f"call nnlite.register({cls.__name__}) once, where it is defined"
        )
    return kind


def kind_named(name: str) -> Kind | None:
    """The class registered under the name, or None."""
    return _KINDS.get(name)


# ------------------------------------------------------------------------ the constructor's arguments, by its signature


def constructor_arguments(cls: type[Layer], layer: Layer) -> dict[str, Any]:
    """The arguments of the constructor of ``cls``, each from the layer's attribute of the same name.

    Raises:
        TypeError: there is no such attribute.
    """
    arguments = {}
    for name, parameter in _signature(cls).parameters.items():
        if hasattr(layer, name):
            arguments[name] = getattr(layer, name)
        elif name != "rng" or parameter.default is parameter.empty:
            raise TypeError(f"{layer.one_line()}: it has no attribute {name!r}, so {how_to_register(layer, name)}")
    return arguments


def how_to_register(layer: Layer, argument: str) -> str:
    """The end of a message about an argument that cannot be saved."""
    return (
        f"the argument {argument!r} cannot be saved; return it from "
        f"nnlite.register({type(layer).__name__}, arguments=lambda layer: {{{argument!r}: ..., ...}})"
    )


def _signature(cls: type[Layer]) -> inspect.Signature:
    # That of object's constructor is a text, which inspect would have compiled.
    return inspect.Signature() if cls.__init__ is object.__init__ else inspect.signature(cls)


def _constructed(cls: type[Layer], **arguments: Any) -> Layer:
    bound = _signature(cls).bind_partial()
    unknown = set(arguments) - set(bound.signature.parameters)
    if unknown:
        raise TypeError(f"{cls.__name__}: the constructor has no argument {', '.join(sorted(unknown))}")
    order = [name for name in bound.signature.parameters if name in arguments]
    bound.arguments = {name: arguments[name] for name in order}
    return cls(*bound.args, **bound.kwargs)


for _cls in Checkpointed, Tied, TiedTranspose:  # the other layers of nnlite are registered where they are exported
    register(_cls)
