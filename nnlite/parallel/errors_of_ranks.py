"""ErrorsOfRanks: an error on one rank ends all; one that all ranks have at the same place is an ordinary exception."""

import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from nnlite.errors import DivergenceError

WAIT = 1.0  # seconds for the other ranks to have an error as well
LONG_WAIT = 60.0  # for an error that all ranks will have, each after a search for its cause


class ErrorsOfRanks:
    """What happens to an error, where the other ranks would wait for this one for ever.

    A rank with an error waits until all ranks have one. If they do, as when the loss diverges or the shapes are wrong,
    it is raised on all, and printed by rank 0 alone if nobody catches it. If they do not, this rank prints its error
    with its number and ends all ranks by MPI's Abort. The same is done with uncaught errors outside a training.

    Args:
        comm: a communicator that nobody else uses.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.rank, self.ranks = comm.Get_rank(), comm.Get_size()
        other = getattr(sys.excepthook, "__self__", None)  # that of another communicator is replaced
        self.previous: Callable[..., Any] = other.previous if isinstance(other, ErrorsOfRanks) else sys.excepthook
        sys.excepthook = self.uncaught

    def agree(self, error: BaseException, *, is_cause: bool = True) -> None:
        """Return if all ranks have an error, with what is known on all in its message; else end all ranks.

        Args:
            error: of this rank.
            is_cause: whether a divergence has its cause in the rows of this rank.
        """
        if getattr(error, "of_all_ranks", False):  # it comes here a second time, uncaught
            return
        error.of_all_ranks = True  # type: ignore[attr-defined]
        if not self._all_have_one(LONG_WAIT if isinstance(error, DivergenceError) else WAIT):
            self._abort(error)
        found = self.comm.allgather((type(error).__name__, str(error), is_cause))
        if isinstance(error, DivergenceError) and all(kind == type(error).__name__ for kind, _, _ in found):
            rank = next((rank for rank, (_, _, cause) in enumerate(found) if cause), 0)
            error.args = (f"on rank {rank} of {self.ranks}: {found[rank][1]}",)
            return
        for rank, (kind, message, _) in enumerate(found):
            if (kind, message) != found[0][:2] and (kind, message) not in [each[:2] for each in found[:rank]]:
                error.add_note(f"rank {rank}: {kind}: {message}")

    def _all_have_one(self, seconds: float) -> bool:
        """Whether all ranks come here within this time."""
        request, end = self.comm.Ibarrier(), time.monotonic() + seconds + self.rank / self.ranks  # one prints first
        while not request.Test():
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def _abort(self, error: BaseException) -> None:
        text = "".join(traceback.format_exception(error))
        sys.stderr.write(f"rank {self.rank} of {self.ranks} ended all ranks, by this error:\n{text}")
        sys.stderr.flush()
        time.sleep(0.1)  # until mpiexec has passed it on
        self.comm.Abort(1)

    def uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """As ``sys.excepthook``."""
        self.agree(error)
        if self.rank == 0:
            self.previous(kind, error, trace)
