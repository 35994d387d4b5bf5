"""Arrays: the type, and the conversion of what users pass."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

FLOATING = frozenset(np.dtype(code) for code in "fdg")  # native single, double and long double


def as_array(values: Any, name: str) -> Array:
    """Convert ``values`` to a plain ``ndarray`` of real numbers, without a copy where possible.

    Args:
        values: an array, or anything that ``np.asarray`` accepts.
        name: name of the argument in an error, such as "Linear(3 -> 2): X".

    Raises:
        TypeError: masked arrays, ``np.matrix``, objects, strings, complex numbers, dates.
    """
    if type(values) is np.ndarray and values.dtype.kind in "fiub":
        return values
    argument = name.split(": ")[-1]  # without the layer
    if isinstance(values, np.matrix):
        raise TypeError(f"{name}: expected an ndarray, got np.matrix; pass np.asarray({argument})")
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected an ndarray, got a masked array; fill it first: {argument}.filled(...)")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name}: cannot be converted to an array: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers, got {type(values).__name__} of dtype {array.dtype}")
    return array


def as_floating(values: Any, name: str, dtype: DTypeLike | None = None) -> Array:
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
