"""Large arrays: block by block, in several threads.

NumPy makes a pass over memory for each operation, and for arrays larger than the cache these passes take most of the
time. So a formula of several operations is computed on one block after another, each small enough to stay in the cache.

NumPy and Numba release the GIL while they compute, so threads share the blocks of a large array. Measured on an AMD
EPYC with two cores, in microseconds:

- A thread takes 25 to 30 to wake up, so work of less than 300 is not shared.
- When a ufunc ends while another thread holds the GIL, its thread falls asleep, and takes as long to wake up. With many
  short calls two threads are slower than one: the backward of Tanh for 2^22 elements takes 2,700 in blocks of 2^15, and
  1,200 in blocks of 2^18, where one thread takes 2,700 and 1,900. So the blocks are as large as the cache allows.
- The other cores may be busy. So no thread has a fixed share: this one takes blocks from the beginning of the array,
  the others from its end, until there are none; for a thread that has not begun by then nobody waits.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlite.basics.cores import cores

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

BLOCK = 2**18  # elements; a few arrays of them stay in the L3 cache
LARGE = 3 * 2**20  # elements times operations from which threads are worth it, about 300 us


def in_blocks(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    scratch: int = 0,
    *,
    operations: float = 8,
    fused: bool = False,
) -> list[Any]:
    """Call ``function(*blocks, *scratch)`` for one block of rows after another; return its results in order.

    Args:
        function: computes each row by itself, and writes its results into some of the blocks.
        arguments: contiguous arrays of one length; those of fewer axes than the first, and numbers, are not divided.
        scratch: number of arrays like the first for intermediate results.
        operations: the time for an element in that of an addition, which decides whether several threads are used.
        fused: whether the function passes over memory only once, so that one thread needs no blocks.

    >>> A, B = np.zeros(3), np.ones(3)
    >>> in_blocks(lambda A, B: np.add(A, B, out=A), [A, B])
    [array([1., 1., 1.])]
    """
    first = arguments[0]
    threads = _threads() if first.size * operations >= LARGE else 1
    if threads == 1 and (fused or first.size <= BLOCK):
        return [function(*arguments, *[np.empty_like(first) for _ in range(scratch)])]
    whole = [getattr(each, "ndim", 0) < first.ndim for each in arguments]  # np.ndim is slow for numbers
    rows, row = len(first), (first.shape[1:], first.dtype)
    share = -(-rows // (threads * 64)) * 64  # a multiple, so that no line of the cache belongs to two threads
    step = min(share, max(1, BLOCK * rows // first.size))
    # What nobody has begun. When all is done, a thread that begins late holds no array whose memory the next needs.
    blocks = deque(
        (number, [each if same else each[low : low + step] for each, same in zip(arguments, whole, strict=True)])
        for number, low in enumerate(range(0, rows, step))
    )
    results: list[Any] = [None] * len(blocks)

    def compute(next_block: Callable[[], tuple[int, list[Any]]]) -> None:
        own = [np.empty((step, *row[0]), row[1]) for _ in range(scratch)]
        while True:
            try:
                number, block = next_block()
            except IndexError:
                return
            results[number] = function(*block, *[each[: len(block[0])] for each in own])

    # Each thread gets a copy of the context, which holds the setting of np.errstate.
    helpers = min(threads, len(blocks)) - 1
    others = [_pool().submit(copy_context().run, compute, blocks.pop) for _ in range(helpers)]
    try:
        compute(blocks.popleft)
    finally:
        blocks.clear()  # if there was an error, the others stop
        begun = [other for other in others if not other.cancel()]
        for other in begun:
            other.exception()  # waits for it
    for other in begun:
        other.result()
    returned = results.copy()
    results.clear()
    return returned


@cache
def _threads() -> int:
    """Return how many threads BLAS uses: OMP_NUM_THREADS, or one for each core that this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(wanted), cores()) if wanted.isdecimal() and int(wanted) else cores()


@cache
def _pool() -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor  # its import takes a tenth of the time of NumPy's

    return ThreadPoolExecutor(max(1, _threads() - 1), thread_name_prefix="nnlite")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked child has none of its parent's threads
