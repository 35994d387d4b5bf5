"""Measure the time of calls and the memory of arrays."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array

SAMPLE = 1e-4  # seconds of a sample at least; reading the clock takes about 1e-7

Quartiles = tuple[float, float, float]


def quartiles_of(calls: Sequence[Callable[[], Any]], repeats: int) -> list[Quartiles]:
    """The quartiles of the time of each call, in seconds.

    After a warm-up, ``repeats`` samples are taken of each call, in turns, so that noise affects all calls alike.

    >>> ((q1, median, q3),) = quartiles_of([lambda: None], repeats=5)
    >>> 0 < q1 <= median <= q3
    True
    """
    numbers = [_calls_in_a_sample(call) for call in calls]
    samples = [
        [_seconds(call, number) / number for call, number in zip(calls, numbers, strict=True)] for _ in range(repeats)
    ]
    return [(q1, median, q3) for q1, median, q3 in np.quantile(samples, (0.25, 0.5, 0.75), axis=0).T.tolist()]


def _calls_in_a_sample(call: Callable[[], Any]) -> int:
    """The number of calls that take SAMPLE seconds; finding it is the warm-up."""
    number = 1
    while _seconds(call, number) < SAMPLE:
        number *= 2
    return number


def _seconds(call: Callable[[], Any], number: int) -> float:
    """The time of ``number`` calls."""
    start = time.perf_counter()
    for _ in repeat(None, number):
        call()
    return time.perf_counter() - start


def arrays_in(value: Any) -> Iterator[Array]:
    """The arrays in ``value``: itself, or those in nested tuples, lists and dicts.

    >>> len(list(arrays_in((np.ones(1), {"mask": [np.ones(2)]}, 3.0))))
    2
    """
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from arrays_in(part)


def memory(values: Any) -> int:
    """The bytes of memory of all arrays in ``values``; shared memory counts once.

    >>> X = np.ones((3, 4))
    >>> memory([X, X.T, X[1:], np.ones(1)])
    104
    """
    extents = {(*np.lib.array_utils.byte_bounds(A), A.nbytes) for A in arrays_in(values)}
    apart: list[tuple[int, int, int]] = []  # low, high and bytes; overlapping extents are merged
    for low, high, size in sorted(extents):
        if apart and low < apart[-1][1]:
            before = apart.pop()
            low, high, size = before[0], max(before[1], high), before[2] + size
        apart.append((low, high, size))
    return sum(min(high - low, size) for low, high, size in apart)  # less than high - low: a view with gaps
