"""Large arrays: block by block, in several threads.

NumPy makes a pass over memory for each operation, and for arrays larger than the cache these passes take most of the
time. So a formula of several operations is computed on one block after another, each small enough to stay in the cache.
Large arrays are divided among threads, each of which gets one contiguous share: NumPy and Numba release the GIL while
they compute. With fewer than 2^18 elements threads are not worth it beside those of the matrix products.
"""

import os
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

BLOCK = 2**15  # elements; a few arrays of them stay in the L2 cache of a core
LARGE = 2**18  # elements; larger arrays are computed in several threads


def in_blocks(
    function: Callable[..., Any], arguments: Sequence[Any], scratch: int = 0, block: int = BLOCK
) -> list[Any]:
    """Call ``function(*blocks, *scratch)`` for one block of rows after another; return its results in order.

    Args:
        function: computes each row by itself, and writes its results into some of the blocks.
        arguments: contiguous arrays of one length; those of fewer axes than the first, and numbers, are not divided.
        scratch: number of arrays like the first for intermediate results.
        block: number of elements of the first array in a block.

    >>> A, B = np.zeros(3), np.ones(3)
    >>> in_blocks(lambda A, B: np.add(A, B, out=A), [A, B])
    [array([1., 1., 1.])]
    """
    first = arguments[0]
    if first.size <= block:
        return [function(*arguments, *[np.empty_like(first) for _ in range(scratch)])]
    whole = [np.ndim(each) < first.ndim for each in arguments]
    rows = len(first)
    step = max(1, block * rows // first.size)
    threads = _threads() if first.size >= LARGE else 1
    share = -(-rows // (threads * 64)) * 64  # a multiple, so that threads do not write into one line of the cache

    def compute(start: int, end: int) -> list[Any]:
        own = [np.empty((min(step, end - start), *first.shape[1:]), first.dtype) for _ in range(scratch)]
        results = []
        for low in range(start, end, step):
            high = min(low + step, end)
            blocks = [each if same else each[low:high] for each, same in zip(arguments, whole, strict=True)]
            results.append(function(*blocks, *[each[: high - low] for each in own]))
        return results

    # Each thread gets a copy of the context, which holds the setting of np.errstate.
    others = [
        _pool().submit(copy_context().run, compute, start, min(start + share, rows))
        for start in range(share, rows, share)
    ]
    try:
        results = compute(0, min(share, rows))
    finally:
        for other in others:
            other.exception()  # waits for it
    for other in others:
        results += other.result()
    return results


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
