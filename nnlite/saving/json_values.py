"""Values as plain data that JSON can hold, with the arrays put aside; and back again, exactly."""

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.errors import CheckpointError

DEPTH = 100  # to which lists, tuples and dicts may nest
_EXACT = 1 << 53  # from here on, not every program that reads JSON tells whole numbers apart


def pack(
    value: Any, arrays: dict[str, Array], name: str, other: Callable[[Any, str], Any] | None = None, *, depth: int = 0
) -> Any:
    """``value`` as plain data; its arrays go into ``arrays``, under names that begin with ``name``.

    What JSON has no word for stands in it as a dict of one entry: ``{"tuple": [...]}``, ``{"array": name}``,
    ``{"dict": [[key, value], ...]}``, ``{"int": "0x..."}`` beyond 2^53, ``{"float": bits}`` for inf and nan.

    Args:
        value: None, a bool, int, float, str, NumPy number or array, or a list, tuple or dict of such.
        arrays: what the arrays are added to.
        name: of the value, for its arrays and for errors.
        other: called with whatever else there is, and its name; returns a dict of one entry of its own kind.
        depth: how deep in other values it stands.

    Raises:
        TypeError: something else, with its place.
        ValueError: it nests too deeply, or holds itself.

    >>> arrays = {}
    >>> pack({"steps": (1, 2), "velocity": [np.zeros(3)]}, arrays, "sgd")
    {'dict': [['steps', {'tuple': [1, 2]}], ['velocity', [{'array': 'sgd.velocity.0'}]]]}
    >>> arrays
    {'sgd.velocity.0': array([0., 0., 0.])}
    """
    if depth > DEPTH:
        raise ValueError(f"{name}: lists and dicts nest more than {DEPTH} deep, or one holds itself")

    def inner(value: Any, key: Any) -> Any:
        return pack(value, arrays, f"{name}.{key}", other, depth=depth + 1)

    if isinstance(value, np.generic):
        value = value.item()  # of a long double that is itself
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if abs(value) < _EXACT else {"int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"float": struct.pack(">d", value).hex()}
    if kind in (list, tuple):
        values = [inner(part, index) for index, part in enumerate(value)]
        return values if kind is list else {"tuple": values}
    if kind is dict:
        return {"dict": [[inner(key, "key"), inner(part, key)] for key, part in value.items()]}
    if isinstance(value, np.ndarray | np.longdouble) and value.dtype.kind in "fiub":
        free = _free(name, arrays)
        arrays[free] = np.asarray(value)
        return {"array": free}
    if other is not None:
        return other(value, name)
    raise TypeError(f"{name}: expected None, numbers, strings, arrays and lists of such, got {kind.__name__}")


def unpack(
    plain: Any, arrays: Mapping[str, Array], other: Callable[[str, Any], Any] | None = None, *, depth: int = 0
) -> Any:
    """What :func:`pack` made ``plain`` of, with the arrays from ``arrays``.

    Args:
        plain: from a file.
        arrays: by name.
        other: called with kind and content of entries of other kinds.
        depth: how deep in other values it stands.

    Raises:
        CheckpointError: it is not what :func:`pack` makes.

    >>> unpack({"tuple": [1, {"int": "0x20000000000000"}, {"array": "a"}]}, {"a": np.zeros(2)})
    (1, 9007199254740992, array([0., 0.]))
    """
    if depth > DEPTH:
        raise CheckpointError("its manifest nests too deeply")

    def inner(plain: Any) -> Any:
        return unpack(plain, arrays, other, depth=depth + 1)

    if plain is None or type(plain) in (bool, int, float, str):
        return plain
    if isinstance(plain, list):
        return [inner(part) for part in plain]
    try:
        ((kind, content),) = plain.items()
        match kind, content:
            case "tuple", [*parts]:
                return tuple([inner(part) for part in parts])
            case "dict", [*pairs]:
                return {inner(key): inner(value) for key, value in pairs}
            case "array", str(name):
                return arrays[name]
            case "int", str(digits):
                return int(digits, 16)
            case "float", str(digits):
                return struct.unpack(">d", bytes.fromhex(digits))[0]
    except (AttributeError, KeyError, TypeError, ValueError, struct.error) as error:
        if isinstance(error, CheckpointError):
            raise
        raise _unknown(plain) from None
    if other is None:
        raise _unknown(plain)
    return other(kind, content)


def _unknown(plain: Any) -> CheckpointError:
    text = repr(plain)
    return CheckpointError(f"its manifest holds {text if len(text) < 80 else text[:76] + ' ...'}, which means nothing")


def _free(name: str, arrays: Mapping[str, Array]) -> str:
    """A name like ``name`` that no array has, and that a zip can have."""
    name = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)[:200]
    while name in arrays:
        name += "_"
    return name
