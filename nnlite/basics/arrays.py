"""Arrays: the type, and the conversion of what users pass."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnlite.basics.frames import NUMBERS, array_of_frame, is_frame, numbered

Array = NDArray[Any]

FLOATING = frozenset(np.dtype(code) for code in "fdg")  # native single, double and long double


class StandIn:
    """Base class of what stands for an array while layers run to have their calls logged; see call_log.py."""

    def apply(self, function: Any, *operands: Any) -> Any:
        """What a function of nnlite, which cannot look into it, returns for these operands."""
        raise NotImplementedError


Name = str | Callable[[], str]  # of an argument; a function of one that takes a while to make


def as_array(values: Any, name: Name) -> Array:
    """Convert ``values`` to a plain ``ndarray`` of real numbers, without a copy where possible.

    Args:
        values: an array, a pandas frame or series of numbers, or anything that ``np.asarray`` accepts.
        name: name of the argument in an error, such as "Linear(3 -> 2): X".

    Raises:
        TypeError: masked arrays, ``np.matrix``, sparse matrices, objects, strings, complex numbers, dates, tensors that
            are no arrays.
        ValueError: values that are ragged, or missing from a frame.
    """
    if type(values) is np.ndarray and values.dtype.kind in "fiub":
        return values
    if isinstance(values, StandIn):
        return values  # type: ignore[return-value]
    name = name if isinstance(name, str) else name()
    # The variable in a line to write: "target" of "MSELoss(): target", "Y" of "validation Y" and of "Y of batch 3".
    argument = name.split(": ")[-1].removeprefix("validation ").split(" of batch ")[0]
    if is_frame(values):
        return array_of_frame(values, name, argument)
    if isinstance(values, np.matrix):
        raise TypeError(f"{name}: expected an ndarray, got np.matrix; pass np.asarray({argument})")
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected an ndarray, got a masked array; fill it first: {argument}.filled(...)")
    if hasattr(values, "tocsr"):
        raise TypeError(f"{name}: expected an ndarray, got a sparse matrix; pass {argument}.toarray()")
    if isinstance(values, list | tuple) and _holds_masked(values):
        raise TypeError(
            f"{name}: expected an ndarray, got a list of masked arrays; fill them first: "
            f"[each.filled(...) for each in {argument}]"
        )
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name}: cannot be converted to an array: {error}") from None
    except (TypeError, RuntimeError) as error:  # tensors of PyTorch with a gradient, in bfloat16, or on a GPU
        cure = f"; pass {argument}.detach().float().cpu().numpy()" if hasattr(values, "detach") else ""
        raise TypeError(f"{name}: cannot be converted to an array: {error}{cure}") from error
    if array.dtype.kind not in NUMBERS:
        raise TypeError(
            f"{name}: expected real numbers, got {type(values).__name__} of dtype {array.dtype}{_cure(array, argument)}"
        )
    return array


def _holds_masked(values: Any) -> bool:
    """Return whether a nested list or tuple contains a masked array or a masked constant."""
    kinds = set(map(type, values))
    if any(issubclass(kind, np.ma.MaskedArray) for kind in kinds):
        return True
    nested = any(issubclass(kind, list | tuple) for kind in kinds)
    return nested and any(_holds_masked(value) for value in values if isinstance(value, list | tuple))


def _cure(array: Array, argument: str) -> str:
    """Return what to write where an array does not hold numbers: labels that are text, or objects."""
    if array.dtype.kind == "O" and array.ndim:
        for index, value in np.ndenumerate(array):
            if isinstance(value, str):
                break
            if not isinstance(value, Real):
                return f", with {value!r} at index {index}"
        else:
            return f"; pass np.asarray({argument}, dtype=float)" * bool(array.size)
    elif array.dtype.kind not in "UT":
        return ""
    if argument[:1] == "X":
        return "; encode text as numbers, such as one column of 0 and 1 for each word"
    return f"; if they are classes, {numbered(argument)}"


def as_floating(values: Any, name: Name, dtype: DTypeLike | None = None) -> Array:
    """Convert ``values`` to a floating array: of ``dtype``, or if that is None of its own floating dtype or float32.

    float16 is converted to float32 too, since its largest number is 65,504.

    Raises:
        TypeError: as :func:`as_array`.
    """
    array = as_array(values, name)
    if dtype is None:
        dtype = array.dtype.newbyteorder("=")
        if dtype not in FLOATING:
            dtype = np.dtype(np.float32)
    return array.astype(dtype, copy=False)


def floating_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return ``dtype`` as a native floating ``np.dtype``.

    Raises:
        TypeError: it is not floating.
    """
    result = np.dtype(dtype)
    if result not in FLOATING:
        raise TypeError(f"dtype: expected a floating type such as np.float32 or np.float64, got {result}")
    return result
