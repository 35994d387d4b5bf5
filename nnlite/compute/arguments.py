"""The arguments of a kernel: by position or keyword, and usual or not.

Usual arguments are plain arrays of one dtype and of the right shapes, and Python floats. A generated function
recognizes them at once; others are converted, or refused with an error that names the kernel and the argument.
"""

from collections.abc import Sequence
from functools import cache
from inspect import CO_VARARGS, CO_VARKEYWORDS
from itertools import product
from numbers import Real
from types import CodeType
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.compute.tracing import Trace
from nnlite.errors import ShapeError


def names_of_arguments(code: CodeType, bound: bool) -> tuple[tuple[str, ...], bool]:
    """The names of the arguments by position or keyword; and whether there are others, or none."""
    other = code.co_kwonlyargcount or code.co_posonlyargcount or code.co_flags & (CO_VARARGS | CO_VARKEYWORDS)
    names = code.co_varnames[bound : code.co_argcount]
    return names, bool(other) or not names


@cache
def calls_first(count: int) -> CodeType:
    """The code of a function of this many arguments, or if that is 0 of any, that hands them to ``__first__``."""
    given = ", ".join([f"a{n}" for n in range(count)] or ["*arguments", "**named"])
    scope: dict[str, Any] = {}
    exec(f"def entry({given}): return __first__({given})", scope)
    return scope["entry"].__code__  # type: ignore[no-any-return]


def entry_statement(trace: Trace, into: tuple[str, ...] = ()) -> str:
    """The statement that hands usual arguments to the function for their dtype, and others to ``unusual``.

    >>> from nnlite.compute.tracing import trace
    >>> print(entry_statement(trace(lambda X: X * X)))
    return functions[X.dtype](X) if ndarray is type(X) else unusual(X)
    >>> print(entry_statement(trace(lambda dY, Y: dY * Y)).partition(" if ")[2])
    ndarray is type(dY) is type(Y) and dY.dtype is Y.dtype and dY.shape == Y.shape else unusual(dY, Y)
    """
    first, full, numbers = trace.arguments[0], trace.of_kind("full"), trace.of_kind("scalar")
    arrays = [each for each in trace.arguments if each not in numbers]
    usual = [" is ".join(["ndarray", *(f"type({each})" for each in arrays)])]
    usual += [" is ".join(f"{each}.dtype" for each in arrays)] * (len(arrays) > 1)
    usual += [f"{first}.ndim == 2"] * trace.by_rows
    usual += [" == ".join(f"{each}.shape" for each in full)] * (len(full) > 1)
    usual += [f"{each}.shape == ({first}.shape[0], 1)" for each in trace.of_kind("row")]
    usual += [f"{each}.shape == {first}.shape[1:]" for each in trace.of_kind("column")]
    usual += [" is ".join(["float", *(f"type({each})" for each in numbers)])] * bool(numbers)
    usual += [f"{own}.flags.writeable" for own in into]
    if into and (read := [each for each in arrays if each not in into]):
        usual += [f"{own} is not {each}" for own, each in product(into, read)]
        own_memory = " is ".join(["None", *(f"{each}.base" for each in arrays)])
        usual += [f"({own_memory} or apart(({', '.join(into)},), ({', '.join(read)},)))"]
    given = ", ".join(trace.arguments)
    return f"return functions[{first}.dtype]({given}) if {' and '.join(usual)} else unusual({given})"


def apart(written: Sequence[Array], read: Sequence[Array]) -> bool:
    """Whether none of the arrays that are written into shares memory with one that is read.

    >>> A = np.zeros(3)
    >>> apart([A[:2]], [A[2:]]), apart([A[:2]], [A[1:]])
    (True, False)
    """
    return not any(np.may_share_memory(own, other) for own, other in product(written, read))


def conform(name: str, trace: Trace, into: tuple[str, ...], arguments: Sequence[Any]) -> list[Any]:
    """Return arrays of the right shapes, and numbers, in the place of what a kernel is called with.

    A number is made an array where one is expected. Where a number is expected, an array may hold one for each element.
    What shares memory with an array that is written into is copied.

    Raises:
        TypeError: one is neither an array of real numbers nor a number, or an array has another floating dtype than the
            first.
        ShapeError: an array has another shape than the first, or than its kind demands.
        ValueError: an array to write into is read-only.
    """
    kinds = [trace.kinds[each] for each in trace.arguments]
    own = [
        _array_or_number(f"{name}: {each}", kind, value)
        for each, kind, value in zip(trace.arguments, kinds, arguments, strict=True)
    ]
    first, own[0] = trace.arguments[0], np.asarray(own[0])
    arrays = [each for each, value in zip(trace.arguments, own, strict=True) if np.ndim(value)]
    if arrays and not own[0].ndim and not trace.by_rows:
        raise TypeError(
            f"{name}: expected {first} as an array, as {arrays[0]} is, got {own[0]}; "
            f"pass np.full_like({arrays[0]}, {first})"
        )
    shapes = shapes_of(name, trace, own[0].shape)
    for number, each in enumerate(trace.arguments):
        value, shape = own[number], shapes[trace.kinds[each]]
        if np.ndim(value):
            _check_array(name, each, kinds[number], value, shape, first, own[0].dtype)
        if each in into and isinstance(value, np.ndarray) and not value.flags.writeable:
            raise ValueError(
                f"{name}: expected {each} as an array to write into, got one that is read-only; pass {each}.copy()"
            )
        if trace.kinds[each] != "scalar" and (type(value) is not np.ndarray or value.shape != shape):
            if each in into:
                raise TypeError(f"{name}: expected {each} as an array of shape {shape} to write into, got {value!r}")
            own[number] = np.full(shape, value, own[0].dtype)
    written = [value for each, value in zip(trace.arguments, own, strict=True) if each in into]
    return [
        value if each in into or not isinstance(value, np.ndarray) or apart(written, [value]) else value.copy()
        for each, value in zip(trace.arguments, own, strict=True)
    ]


def _check_array(
    name: str, argument: str, kind: str, value: Array, shape: tuple[int, ...], first: str, dtype: "np.dtype[Any]"
) -> None:
    """Raise unless the array has the shape, and the dtype of the first argument or one of whole numbers."""
    if value.shape != shape:
        if kind == "scalar":
            raise ShapeError(
                f"{name}: expected {argument} as a number, or an array of {first}'s shape {shape}, got one of shape "
                f"{value.shape}"
            )
        cure = f"; pass np.broadcast_to({argument}, {shape}) if that is meant" * _can_become(value.shape, shape)
        raise ShapeError(f"{name}: expected {argument} of shape {shape}, got {value.shape}{cure}")
    if value.dtype.kind == dtype.kind == "f" and value.dtype.itemsize != dtype.itemsize:
        raise TypeError(
            f"{name}: expected {argument} of {first}'s dtype {dtype}, got {value.dtype}; "
            f"pass {argument}.astype({first}.dtype)"
        )


def _can_become(given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether NumPy would broadcast an array of the given shape."""
    sizes = zip(reversed(given), reversed(shape), strict=False)
    return len(given) <= len(shape) and all(own in (1, wanted) for own, wanted in sizes)


def _array_or_number(place: str, kind: str, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return as_array(value, place)
    if isinstance(value, Real | np.generic) and np.asarray(value).dtype.kind in "fiub":
        return value
    argument = place.split(": ")[1]
    expected = "a number" if kind == "scalar" else "an array or a number"
    sequence = hasattr(value, "__len__") and not isinstance(value, str | bytes)
    cure = f"; pass np.asarray({argument}, np.float32)" * (sequence and kind != "scalar")
    raise TypeError(f"{place}: expected {expected}, got {type(value).__name__}{cure}")


def shapes_of(name: str, trace: Trace, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of arrays of each kind, where the first has that shape.

    Raises:
        ShapeError: a formula by rows needs a matrix.
    """
    if trace.by_rows and len(shape) != 2:
        raise ShapeError(f"{name}: expected a matrix {trace.arguments[0]}, got an array of shape {shape}")
    return {"full": shape, "row": (*shape[:-1], 1), "column": shape[1:], "scalar": shape}
