"""How often tests repeat what differs only by a seed: enough for each run to find a fault that is there.

A longer sweep, here ten times as many seeds and random examples, for whoever changes what they cover:

    NNLITE_SWEEP=10 python -m pytest tests/test_examples.py tests/containers/test_random_graphs.py
    NNLITE_SWEEP=2 python -m pytest tests/parallel        trainings by up to five processes, and more ways to fail
    python tests/support/parallel_kills.py                one of two processes killed 20 times
"""

import os
from typing import Any

from hypothesis import settings

SWEEP = int(os.environ.get("NNLITE_SWEEP") or 1)


def every(step: int, cases: Any) -> list[Any]:
    """Every ``step``-th of the cases; all of them in a longer sweep."""
    return [*cases][:: step if SWEEP == 1 else 1]


def seeds(count: int) -> range:
    """The seeds 0, 1, ... to repeat a test with."""
    return range(count * SWEEP)


def examples(count: int) -> Any:
    """hypothesis draws so many examples, the same ones in every run."""
    return settings(max_examples=count * SWEEP, derandomize=True, deadline=None, database=None)
