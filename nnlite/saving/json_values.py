"""Python values as data that JSON can hold, with the arrays put aside; and back again, bit for bit."""

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.errors import CheckpointError

DEPTH = 100  # how deep lists, tuples and dicts may nest
_EXACT = 1 << 53  # from here on, not every reader of JSON tells integers apart


def pack(
    value: Any, arrays: dict[str, Array], name: str, other: Callable[[Any, str], Any] | None = None, *, depth: int = 0
) -> Any:
    """Return ``value`` as data for JSON, and put its arrays into ``arrays`` under names that begin with ``name``.

    What JSON cannot hold becomes a dict of one entry: ``{"tuple": [...]}``, ``{"dict": [[key, value], ...]}``,
    ``{"array": name}``, ``{"scalar": name}`` for a NumPy scalar, ``{"int": "0x..."}`` from 2^53 on,
    ``{"float": bits}`` for infinity and NaN, ``{"generator": state}``.

    Args:
        value: None, a bool, int, float, str, NumPy scalar, array or random generator, or a list, tuple or dict of them.
        arrays: gets the arrays.
        name: of the value, for its arrays and for errors.
        other: called with any other value and its name; returns a dict of one entry of another kind.
        depth: of the value within others.

    Raises:
        TypeError: another value, with its place.
        ValueError: lists, tuples and dicts nest too deeply, or contain themselves.

    >>> arrays = {}
    >>> pack({"steps": (1, 2), "velocity": [np.zeros(3)]}, arrays, "sgd")
    {'dict': [['steps', {'tuple': [1, 2]}], ['velocity', [{'array': 'sgd.velocity.0'}]]]}
    >>> arrays
    {'sgd.velocity.0': array([0., 0., 0.])}
    """
    if depth > DEPTH:
        raise ValueError(f"{name}: lists and dicts nest more than {DEPTH} deep, or one contains itself")

    def inner(value: Any, key: Any) -> Any:
        return pack(value, arrays, f"{name}.{key}", other, depth=depth + 1)

    if isinstance(value, np.str_):
        value = str(value)
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
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fiub":
        free = _free(name, arrays)
        arrays[free] = np.asarray(value)
        return {"array" if isinstance(value, np.ndarray) else "scalar": free}
    if other is not None:
        return other(value, name)
    if isinstance(value, np.random.Generator):
        return {"generator": inner(generator_state(value, name), "generator")}
    raise TypeError(
        f"{name}: expected None, numbers, strings, arrays, random generators, or lists, tuples and dicts of them, "
        f"got {kind.__name__}, which cannot be saved"
    )


def unpack(
    plain: Any, arrays: Mapping[str, Array], other: Callable[[str, Any], Any] | None = None, *, depth: int = 0
) -> Any:
    """Return the value that :func:`pack` turned into ``plain`` and ``arrays``.

    Args:
        plain: from a file.
        arrays: by name.
        other: called with kind and content of the entries of other kinds.
        depth: of the value within others.

    Raises:
        CheckpointError: ``pack`` does not return that.

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
            case "scalar", str(name):
                return arrays[name][()]
            case "int", str(digits):
                return int(digits, 16)
            case "float", str(digits):
                return struct.unpack(">d", bytes.fromhex(digits))[0]
            case "generator", {"dict": _}:
                return generator_from(inner(content))
    except (AttributeError, KeyError, TypeError, ValueError, struct.error) as error:
        if isinstance(error, CheckpointError):
            raise
        raise _unknown(plain) from None
    if other is None:
        raise _unknown(plain)
    return other(kind, content)


def _unknown(plain: Any) -> CheckpointError:
    text = repr(plain)
    return CheckpointError(f"its manifest holds an unknown value: {text if len(text) < 80 else text[:76] + ' ...'}")


def _free(name: str, arrays: Mapping[str, Array]) -> str:
    """A name like ``name`` that no array has, and that a file in a zip can have."""
    name = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)[:200]
    while name in arrays:
        name += "_"
    return name


# ------------------------------------------------------------------------------------------------ random generators

_LAST_POSITION = {"MT19937": 624, "PCG64": 0, "PCG64DXSM": 0, "Philox": 4, "SFC64": 0}  # in a buffer of drawn numbers


def generator_state(generator: "np.random.Generator", name: str) -> dict[str, Any]:
    """The state of a generator whose bit generator is one of NumPy's own; ``name`` is what to call it in an error.

    Raises:
        TypeError: it has another bit generator, whose class a file could not name.
    """
    kind = type(generator.bit_generator)
    if kind.__name__ not in _LAST_POSITION or kind is not getattr(np.random, kind.__name__):
        raise TypeError(
            f"{name}: expected a generator with one of NumPy's bit generators ({', '.join(_LAST_POSITION)}), "
            f"got {kind.__name__}, whose state cannot be saved; use numpy.random.default_rng"
        )
    return dict(generator.bit_generator.state)


def generator_from(state: dict[str, Any]) -> "np.random.Generator":
    """A generator in a state that :func:`generator_state` returned.

    Raises:
        CheckpointError: it is not the state of one of NumPy's bit generators.
    """
    try:
        name = state["bit_generator"]
        for position in state.get("buffer_pos", 0), state["state"].get("pos", 0):  # NumPy does not check them
            if not 0 <= position <= _LAST_POSITION[name]:
                raise ValueError(f"position {position} is outside of its buffer")
        bit_generator = getattr(np.random, name)(0)
        bit_generator.state = state
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"the state of a random generator is damaged: {error}") from error
    return np.random.Generator(bit_generator)
