"""Matrix products: by NumPy's BLAS, or large ones by Intel's MKL if the user chooses it.

NumPy's wheels contain OpenBLAS, which on Intel processors reaches 80 to 95 % of MKL's speed at the sizes of a network.
``set_blas("mkl")``, or the environment variable ``NNLITE_BLAS=mkl``, uses the package mkl (extra ``mkl``) instead. All
products go through :func:`matmul`, since two libraries that start their threads in turn compete for the cores: products
that MKL does not compute must be too small for OpenBLAS to start its threads.
"""

import ctypes
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array

# A call through ctypes takes some 4 us. OpenBLAS stays on one thread up to 4 * 65536 multiplications in a product of
# two matrices, and up to 4 * 2304 in a product with a vector.
_SMALL_MATRIX = 262_144
_SMALL_VECTOR = 9_216

_ROW_MAJOR, _NOT_TRANSPOSED, _TRANSPOSED = 101, 111, 112  # constants of CBLAS

matmul: Callable[..., Array] = np.ndarray.dot
"""``matmul(A, B, out=None)``: the product of the matrices A and B, or of the vector A and the matrix B."""


def stacked_matmul(A: Array, B: Array, out: Array | None = None) -> Array:
    """Return the products of stacks of matrices, (..., N, D) and (..., D, M), whose leading axes are broadcast.

    They are written into ``out`` if it is given.

    Raises:
        ValueError: the shapes do not match.
    """
    if A.ndim == B.ndim == 2:
        return matmul(A, B, out)
    if matmul is np.ndarray.dot:
        return np.matmul(A, B, out=out)
    stack = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    A, B = np.broadcast_to(A, stack + A.shape[-2:]), np.broadcast_to(B, stack + B.shape[-2:])
    if out is None:
        out = np.empty((*stack, A.shape[-2], B.shape[-1]), A.dtype)
    for index in np.ndindex(stack):
        if out[index].flags.c_contiguous:
            matmul(A[index], B[index], out[index])
        else:
            out[index] = matmul(A[index], B[index])
    return out


def set_blas(name: str) -> None:
    """Choose the library for matrix products.

    Args:
        name: "numpy", the default, or "mkl", which needs the extra ``mkl`` (x86-64 only). The number of threads is set
            by the environment variables OPENBLAS_NUM_THREADS and MKL_NUM_THREADS, or OMP_NUM_THREADS for both.

    The results of the two may differ in the last bits.

    Raises:
        ValueError: another name.
        ImportError: the package mkl is not installed, or cannot be loaded.

    >>> set_blas("numpy")
    """
    global matmul
    if name == "numpy":
        matmul = np.ndarray.dot
    elif name == "mkl":
        matmul = _mkl()
    else:
        raise ValueError(f"set_blas: expected 'numpy' or 'mkl', got {name!r}")


def _mkl() -> Callable[..., Array]:
    library = _load()
    integer, pointer = ctypes.c_int, ctypes.c_void_p
    routines = {}
    for dtype, routine, real in (
        (np.dtype(np.float32), library.cblas_sgemm, ctypes.c_float),
        (np.dtype(np.float64), library.cblas_dgemm, ctypes.c_double),
    ):
        routine.argtypes = [integer] * 6 + [real, pointer, integer, pointer, integer, real, pointer, integer]
        routine.restype = None
        routines[dtype] = routine

    def mkl_matmul(A: Array, B: Array, out: Array | None = None) -> Array:
        multiplications = A.size * B.shape[-1]
        if multiplications <= _SMALL_VECTOR:
            return A.dot(B, out)
        rows, inner, columns = (A.shape[0] if A.ndim == 2 else 1), A.shape[-1], B.shape[-1]
        routine = routines.get(A.dtype)
        small = multiplications <= _SMALL_MATRIX and rows > 1 and columns > 1
        if small or routine is None or A.dtype != B.dtype or inner != len(B):
            return A.dot(B, out)
        if out is None:
            out = np.empty((*A.shape[:-1], columns), A.dtype)
        elif out.shape != (*A.shape[:-1], columns) or out.dtype != A.dtype or not out.flags.c_contiguous:
            return A.dot(B, out)  # NumPy's error says what is wrong
        A, A_layout, A_step = _layout(A)
        B, B_layout, B_step = _layout(B)
        routine(
            _ROW_MAJOR, A_layout, B_layout, rows, columns, inner,
            1.0, _address(A), A_step, _address(B), B_step, 0.0, _address(out), columns,
        )  # fmt: skip
        return out

    return mkl_matmul


def _load() -> Any:
    from importlib import metadata  # its import takes a quarter of the time of NumPy's

    cure = "install nnlite's extra 'mkl' (x86-64 only), or do not use NNLITE_BLAS and set_blas"
    try:
        files = metadata.files("mkl") or []
    except metadata.PackageNotFoundError:
        raise ImportError(f"nnlite: the BLAS 'mkl' is not installed; {cure}") from None
    names = [file for file in files if file.name.startswith(("libmkl_rt", "mkl_rt"))]
    try:
        return ctypes.CDLL(str(names[0].locate()))
    except (IndexError, OSError) as error:
        raise ImportError(f"nnlite: the BLAS 'mkl' cannot be loaded: {error}; {cure}") from None


def _layout(A: Array) -> tuple[Array, int, int]:
    """Return A or a contiguous copy, its layout for CBLAS, and the distance of its rows, or columns if transposed."""
    if A.ndim == 2 and A.flags.f_contiguous and not A.flags.c_contiguous:
        return A, _TRANSPOSED, A.shape[0]
    return np.ascontiguousarray(A), _NOT_TRANSPOSED, A.shape[-1]


def _address(A: Array) -> int:
    return A.__array_interface__["data"][0]  # type: ignore[no-any-return] # twice as fast as A.ctypes.data


set_blas(os.environ.get("NNLITE_BLAS") or "numpy")
