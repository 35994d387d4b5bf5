"""The cache of a layer: the attributes that ``forward`` and ``backward`` assign, and ``__init__`` does not.

A layer declares its state and assigns its cache as it pleases, ``self.X = X``. What is assigned where is read off the
methods' bytecode, once for each class, so that neither a declaration nor a hook on the hot path is needed.
"""

import dis
from collections.abc import Iterator
from functools import cache, wraps
from inspect import unwrap
from types import CodeType
from typing import Any

from numpy import ndarray

Layer = Any  # the class in layer.py, which is built on this file


def cached_names(cls: Any) -> frozenset[str]:
    """The names of the attributes that are the cache of a layer of this class.

    >>> import nnlite as nn
    >>> sorted(cached_names(nn.Linear))
    ['X', 'X_shape', '_Y_dtype', '_Y_shape', '_Ys']
    """
    if "_cached_names" not in vars(cls):
        assigned = _assigned(cls, "forward") | _assigned(cls, "backward")
        # Layer itself, whose attributes are no cache, except for the shapes of the last Y:
        contract = next(base for base in reversed(cls.__mro__) if "clear_cache" in vars(base))
        own = assigned - _assigned(cls, "__init__") - vars(contract).keys()
        cls._cached_names = frozenset(own | {"_Y_shape", "_Y_dtype", "_Ys"})
    names: frozenset[str] = cls._cached_names
    return names


def _assigned(cls: type, method: str) -> set[str]:
    """The attributes that the method assigns, and the methods of the class that it mentions."""
    assigned: set[str] = set()
    seen: set[str] = set()
    waiting = {method}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for code in _codes(cls, name):
            assigned |= _stored(code)
            waiting.update(set(code.co_names) - seen - {"__init__"})
    return assigned


@cache
def _stored(code: CodeType) -> frozenset[str]:
    """The names of the attributes that the code assigns; asked of each class whose methods mention it."""
    return frozenset(step.argval for step in dis.get_instructions(code) if step.opname == "STORE_ATTR")


def _codes(cls: type, name: str) -> Iterator[CodeType]:
    """The bytecode of the methods of this name in the class and its bases."""
    for base in cls.__mro__:
        method = vars(base).get(name)
        code = getattr(unwrap(method), "__code__", None) if callable(method) else None
        if code is not None:
            yield code
            yield from (inner for inner in code.co_consts if isinstance(inner, CodeType))  # comprehensions, lambdas


def reads(method: Any, attribute: str) -> bool:
    """Whether a method mentions the attribute by its name.

    >>> import nnlite as nn
    >>> reads(nn.Linear.backward, "needs_dX"), reads(nn.Tanh.backward, "needs_dX")
    (True, False)
    """
    code = getattr(unwrap(method), "__code__", None)
    return code is not None and attribute in code.co_names


def refuse_undeclared(cls: type) -> None:
    """Let ``backward`` of the class raise where it stores the gradient of an array that is not declared.

    Only a class that mentions some ``self.dP`` whose ``P`` its constructor mentions, and is not declared, gets the
    check.
    """
    backward = vars(cls).get("backward")
    mentioned = {name for method in vars(cls).values() for name in _names(method)}
    in_constructor = {name for base in cls.__mro__ for name in _names(vars(base).get("__init__"))}
    declared: Any = cls
    suspects = [
        name[1:]
        for name in sorted(mentioned)
        if name[0] == "d" and name != "dtype" and name[1:] in in_constructor and name[1:] not in declared._parameters
    ]
    if backward is None or not suspects:
        return

    @wraps(backward)
    def checked(self: Layer, *args: Any, **kwargs: Any) -> Any:
        result = backward(self, *args, **kwargs)
        for name in _suspects(cls):
            P, dP = vars(self).get(name), vars(self).get("d" + name)
            if names := _alike(name, P, dP):
                raise _undeclared(self, name, names)
        return result

    cls.backward = checked  # type: ignore[attr-defined]
    declared._suspects = tuple(suspects)


@cache
def _suspects(cls: Any) -> tuple[str, ...]:
    """The names that may be those of parameters: of no declared one, and of no cache, which forward assigns."""
    left_out = {*cls._parameters} | _assigned(cls, "forward")
    return tuple(name for name in cls._suspects if name not in left_out)


def check_declared(layer: Layer) -> None:
    """Raise if the layer holds an array whose gradient its backward stores, and that is not declared.

    Before training, since ``fit`` does not call the backward of a layer before the first one with parameters.

    Raises:
        TypeError: it does.
    """
    cls: Any = type(layer)
    for name in _suspects(cls):
        P = vars(layer).get(name)
        if (names := _alike(name, P, P)) and "d" + name in _assigned(cls, "backward"):
            raise _undeclared(layer, name, names)


def _undeclared(layer: Layer, name: str, names: list[str]) -> TypeError:
    listing = " ".join(f'"{each}",' for each in names)
    several = "" if names == [name] else ", with an attribute for each array"
    return TypeError(
        f"{layer.one_line()}: backward stores d{name}, but {name} is not declared, so it would not be trained; write "
        f"class {type(layer).__name__}(nnlite.Layer, parameters=({listing})){several}"
    )


def _alike(name: str, P: Any, dP: Any) -> list[str]:
    """A name for each array in ``P``, which may be a list, tuple or dict; none unless ``dP`` has the same shapes."""
    if isinstance(P, ndarray):
        return [name] if isinstance(dP, ndarray) and P.shape == dP.shape else []
    if not (isinstance(P, list | tuple | dict) and isinstance(dP, list | tuple | dict) and len(P) == len(dP)):
        return []
    own, given = (dict(values if isinstance(values, dict) else enumerate(values)) for values in (P, dP))
    parts = [_alike(f"{name}_{key}", value, given.get(key)) for key, value in own.items()]
    return [each for part in parts for each in part] if all(parts) else []


def _names(method: Any) -> tuple[str, ...]:
    code = getattr(method, "__code__", None)
    return () if code is None else code.co_names
