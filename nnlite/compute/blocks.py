"""Elementwise formulas on large arrays: block by block, in several threads.

NumPy makes a pass over memory for each operation, and for arrays larger than the cache these passes take most of the
time. So a formula of several operations is computed on one block after another, each small enough to stay in the cache.
Large arrays are divided among threads: NumPy releases the GIL while it computes. With fewer than 2^20 elements threads
are not worth it beside those of the matrix products, and with blocks smaller than 2^16 they compete for the GIL.
"""

import os
from collections.abc import Callable
from contextvars import copy_context
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlite.basics.arrays import Array

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

BLOCK = 2**16  # elements
LARGE = 2**20  # elements; larger arrays are computed in several threads


def elementwise(formula: Callable[..., Array], *arrays: Array) -> Array:
    """Return ``formula(*arrays)``, an array of the shape and dtype of the first.

    Args:
        formula: a ufunc, or a function of ufuncs with the signature ``formula(*arrays, out=None)``, which writes its
            result into ``out``, or into a new array if that is None, and returns it.
        arrays: arrays of the same shape.

    >>> elementwise(np.add, np.array([1.0, 2.0]), np.array([10.0, 20.0]))
    array([11., 22.])
    """
    if 1 < arrays[0].size <= BLOCK:  # of a 0-d array a ufunc returns a scalar, which cannot be an ``out``
        return formula(*arrays)
    out = np.empty_like(arrays[0])
    in_blocks(formula, *arrays, out)
    return out


def in_blocks(function: Callable[..., Any], *arrays: Any) -> None:
    """Call the elementwise ``function``, which writes its result into one of the arrays, with one block after another.

    The first argument is an array, the others are arrays of its shape, or other values, which every call gets.

    >>> A, B = np.zeros(3), np.ones(3)
    >>> in_blocks(lambda A, B: np.add(A, B, out=A), A, B)
    >>> A
    array([1., 1., 1.])
    """
    size = arrays[0].size
    if size <= BLOCK or not all(array.flags.c_contiguous for array in arrays if isinstance(array, np.ndarray)):
        function(*arrays)
        return
    flat = [array.reshape(-1) if isinstance(array, np.ndarray) else array for array in arrays]
    threads = _threads() if size >= LARGE else 1

    def share(first: int) -> None:
        for start in range(first * BLOCK, size, threads * BLOCK):
            stop = start + BLOCK
            function(*[array[start:stop] if isinstance(array, np.ndarray) else array for array in flat])

    # Each thread gets a copy of the context, which holds the setting of np.errstate.
    others = [_pool().submit(copy_context().run, share, first) for first in range(1, threads)]
    try:
        share(0)
    finally:
        for other in others:
            other.result()


@cache
def _threads() -> int:
    """Return how many threads BLAS uses: OMP_NUM_THREADS, or one for each core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(wanted), cores) if wanted.isdecimal() and int(wanted) else cores


@cache
def _pool() -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor  # its import takes a tenth of the time of NumPy's

    return ThreadPoolExecutor(max(1, _threads() - 1), thread_name_prefix="nnlite")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked child has none of its parent's threads
