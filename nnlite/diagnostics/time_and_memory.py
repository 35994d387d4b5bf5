"""Measuring: how long calls take, and how much memory arrays are."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array

SAMPLE = 1e-4  # seconds that one sample takes at least: the clock itself takes about 1e-7

Quartiles = tuple[float, float, float]


def quartiles_of(calls: Sequence[Callable[[], Any]], repeats: int) -> list[Quartiles]:
    """The quartiles of the seconds that each call takes.

    After a warm-up ``repeats`` samples are taken of each. The calls take turns, so that noise meets all of them.

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
    """How many calls take SAMPLE seconds; trying it is the warm-up."""
    number = 1
    while _seconds(call, number) < SAMPLE:
        number *= 2
    return number


def _seconds(call: Callable[[], Any], number: int) -> float:
    """What so many calls take."""
    start = time.perf_counter()
    for _ in repeat(None, number):
        call()
    return time.perf_counter() - start


def arrays_in(value: Any) -> Iterator[Array]:
    """The arrays in ``value``: itself, or those in the tuples, lists and dicts in it.

    >>> len(list(arrays_in((np.ones(1), {"mask": [np.ones(2)]}, 3.0))))
    2
    """
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from arrays_in(part)


def memory(values: Any) -> int:
    """The bytes of memory in all the arrays in ``values``; what several of them share counts once.

    >>> X = np.ones((3, 4))
    >>> memory([X, X.T, X[1:], np.ones(1)])
    104
    """
    extents = {(*np.lib.array_utils.byte_bounds(A), A.nbytes) for A in arrays_in(values)}
    apart: list[tuple[int, int, int]] = []  # low, high and bytes, where those that overlap are one
    for low, high, size in sorted(extents):
        if apart and low < apart[-1][1]:
            before = apart.pop()
            low, high, size = before[0], max(before[1], high), before[2] + size
        apart.append((low, high, size))
    return sum(min(high - low, size) for low, high, size in apart)  # less than high - low: a view with gaps
