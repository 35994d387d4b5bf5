"""Ranks: the processes that mpiexec has started, and what they compute together."""

import atexit
import time
from functools import cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.parallel.errors_of_ranks import ErrorsOfRanks

ENDED = 1  # the tag of the message that a rank has ended


def ranks_of(comm: Any = None) -> "Ranks":
    """The processes of a communicator of mpi4py, the same object each time; None for all that mpiexec has started.

    Raises:
        ImportError: mpi4py is not installed; it is the extra ``mpi``.
    """
    try:
        from mpi4py import MPI
    except ImportError as error:
        error.add_note("DataParallel needs mpi4py and an MPI library: install nnlite's extra 'mpi'")
        raise
    comm = MPI.COMM_WORLD if comm is None else comm
    found = comm.Get_attr(_key())
    if found is None:
        found = Ranks(comm)
        comm.Set_attr(_key(), found)
    return found  # type: ignore[no-any-return]


@cache
def _key() -> int:
    """By which MPI keeps the Ranks with the communicator."""
    from mpi4py import MPI

    return MPI.Comm.Create_keyval()


def _bytes(array: Array) -> Array:
    """The array as bytes, since MPI has no float16."""
    return array.view(np.uint8)


class Ranks:
    """The processes of a communicator of mpi4py; each calls the same methods in the same order.

    Args:
        comm: the communicator.

    Attributes:
        rank: the number of this process, from 0.
        ranks: how many there are.
        comm: a communicator of their own.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self.rank, self.ranks = comm.Get_rank(), comm.Get_size()
        self.in_place, self.maximum = MPI.IN_PLACE, MPI.MAX
        if self.ranks > 1:
            self.comm = comm.Dup()
            self.errors = ErrorsOfRanks(comm.Dup())
            self._ended: Any = None  # the request by which the next rank learns that this one has ended
            atexit.register(self._tell_the_next)

    def meet(self) -> None:
        """Wait for the other ranks to come here.

        Raises:
            RuntimeError: the rank before this one has ended, and will not come.
        """
        request, before = self.comm.Ibarrier(), (self.rank - 1) % self.ranks
        while not request.Test():
            if self.comm.Iprobe(before, ENDED):
                raise RuntimeError(
                    f"DataParallel: rank {before} has ended, or ends, where rank {self.rank} begins a training; let "
                    "all ranks train: look for an error that it caught, a sys.exit, or a training without DataParallel"
                )
            time.sleep(0.001)

    def _tell_the_next(self) -> None:
        """At the end of the program; of ranks that wait, one at least has a rank before it that has ended."""
        from mpi4py import MPI

        if not MPI.Is_finalized():
            self._ended = self.comm.Isend([b"", MPI.BYTE], (self.rank + 1) % self.ranks, ENDED)

    def total(self, array: Array) -> Array:
        """The sum of the arrays of all ranks, each of this shape and dtype.

        All ranks get the same bits.
        """
        array = np.ascontiguousarray(array)
        result = np.empty_like(array)
        self.comm.Allreduce(array, result)
        return result

    def add_up(self, array: Array) -> None:
        """:meth:`total` in place, of a contiguous array."""
        self.comm.Allreduce(self.in_place, array)

    def exchange(self, rows: Array) -> Array:
        """The row of this rank's number from the ``rows`` of each rank, which have one for each."""
        received = np.empty_like(rows)
        self.comm.Alltoall(_bytes(rows), _bytes(received))
        return received

    def gather(self, row: Array) -> Array:
        """The rows of all ranks, in their order."""
        received = np.empty((self.ranks, *row.shape), row.dtype)
        self.comm.Allgather(_bytes(row), _bytes(received))
        return received

    def largest(self, numbers: list[float]) -> list[float]:
        """The largest of each number."""
        array = np.array(numbers, np.float64)
        self.comm.Allreduce(self.in_place, array, op=self.maximum)
        result: list[float] = array.tolist()
        return result

    def copy_from_first(self, array: Array) -> None:
        """Write what rank 0 has into the array."""
        self.comm.Bcast(array)

    def from_first(self, value: Any) -> Any:
        """What rank 0 has."""
        return self.comm.bcast(value)

    def of_each(self, value: Any) -> list[Any]:
        """The values of all ranks, in their order."""
        values: list[Any] = self.comm.allgather(value)
        return values

    def moments(self, count: int, mean: Array, variance: Array) -> tuple[int, Array, Array]:
        """Count, mean and variance of the numbers of all ranks, from those of each: (1, C) in float64.

        Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances,
        1979.
        """
        own = np.concatenate([[[float(count)]], mean, variance], axis=1)
        each = np.empty((self.ranks, own.size))
        self.comm.Allgather(own, each)
        n, means, variances = each[:, :1], *np.split(each[:, 1:], 2, axis=1)
        total = n.sum()
        mean = (n * means).sum(axis=0, keepdims=True) / total
        variance = (n * (variances + (means - mean) ** 2)).sum(axis=0, keepdims=True) / total
        return int(total), mean, variance
