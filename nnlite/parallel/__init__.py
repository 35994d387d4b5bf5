"""Several processes and machines: many trainings at a time, or one training on many."""

from nnlite.parallel.map import Failure, map

__all__ = ["Failure", "map"]
