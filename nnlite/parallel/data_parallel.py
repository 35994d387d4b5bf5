"""DataParallel: one training in several processes, on one machine or on several."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nnlite.basics.checks import boolean
from nnlite.parallel.ranks import Ranks, ranks_of
from nnlite.parallel.same_on_all import check_replicas, compare, copy_from_first
from nnlite.parallel.shared_measurements import SharedMeasurements
from nnlite.parallel.shared_step import SharedStep
from nnlite.training.callbacks import Callback
from nnlite.training.step import Step
from nnlite.training.training_state import Training


class DataParallel(Callback):
    """One training in several processes, which mpiexec starts: each has a share of every batch.

    The script is the same for all, and for one process: ``mpiexec -n 4 python train.py``. ``batch_size`` remains the
    number of rows of a step, of which each rank, as MPI calls the processes, computes a quarter here. All ranks draw
    the same order of the rows, and after backward the gradients are added up, ``dPhi = sum over ranks of dPhi_r``, each
    computed with the denominator of the whole batch, whatever weights, ``ignore_index`` and a short last batch make of
    it. So the training is that of one process but for rounding: losses, metrics over all rows, validation (of which
    each rank evaluates some batches), clipping, accumulated batches, early stopping, and dropout, whose masks are drawn
    for the whole batch.

    It is the first of the callbacks. What callbacks do, all ranks do; :class:`nnlite.Checkpoint`,
    :class:`nnlite.CSVLogger` and the bar write on rank 0 alone, and a function of yours may ask ``state.rank``. A
    checkpoint is continued by any number of ranks; each of them reads the file. Streams and datasets must give the same
    batches on each rank. A callback that stops the training on one rank stops it on all. ``compiled=True`` is for one
    process.

    Before the first step layers, options, data and versions are compared; parameters, buffers and random generators
    become those of rank 0, so that seeds need not be equal. An error that all ranks have is raised on all; if one rank
    alone has an error, in training or uncaught elsewhere, it prints it and ends all. (``sys.exit`` in one rank alone,
    outside a training, does so under ``python -m mpi4py train.py``.) On SIGINT, SIGTERM and SIGUSR1 all ranks stop
    after the same batch.

    Args:
        sync_batchnorm: whether BatchNorm's mean and variance are those of the whole batch, as in one process, at the
            price of three sums over the ranks for each layer and step; otherwise those of the rows of each rank, as in
            PyTorch, which must then have two at least. Its running statistics are in both cases those of all ranks.
        compress: whether gradients travel as float16, in half of the bytes. Then the training is that of one process
            but for rounding to three digits. It may pay on networks of less than 1 Gbit/s: a million numbers take 17
            ms to convert, and within a machine 1 ms to send.
        comm: a communicator of mpi4py; None for all processes that mpiexec has started.

    Attributes:
        rank: the number of this process, from 0.
        ranks: how many there are; with one, nothing changes.

    Raises:
        ImportError: mpi4py is not installed; it is the extra ``mpi``.
        ValueError: before training: the ranks differ, with rank and difference; it is not the first callback.
        RuntimeError: before training: a rank has ended, and will not take part.

    Source: Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017.

    >>> import nnlite as nn
    >>> parallel = nn.DataParallel()
    >>> parallel.rank, parallel.ranks  # without mpiexec
    (0, 1)
    >>> model = nn.Sequential(nn.Linear(1, 1, rng=0))
    >>> history = nn.fit(model, [[1.0], [2.0]], [[2.0], [4.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1),
    ...                  callbacks=[parallel, nn.EarlyStopping("loss", patience=3)], epochs=100, verbose=0)
    >>> history["loss"][-1] < 0.1 * history["loss"][0]
    True
    """

    def __init__(self, *, sync_batchnorm: bool = False, compress: bool = False, comm: Any = None) -> None:
        found = ranks_of(comm)
        self.rank, self.ranks = found.rank, found.ranks
        self.sync_batchnorm = boolean(sync_batchnorm, "DataParallel: sync_batchnorm")
        self.compress = boolean(compress, "DataParallel: compress")
        self.sharing = _Shared(found, self.sync_batchnorm, self.compress) if self.ranks > 1 else None
        self._ranks = found

    def on_train_begin(self, state: Training) -> None:
        """Compare the ranks; copy from rank 0 what may differ."""
        if self.sharing is None:
            return
        if state.callbacks[0] is not self:
            raise ValueError("DataParallel: expected it as the first of the callbacks; pass [nn.DataParallel(), ...]")
        if not state.optimizers:
            raise ValueError("DataParallel: nnlite.minimize uses all rows in one process; train with nnlite.fit")
        self._ranks.meet()
        compare(state, self._ranks)
        copy_from_first(state, self._ranks)
        shared: Any = state
        shared.means.begin_together()
        shared.step.begin_together()

    def on_epoch_end(self, state: Training) -> None:
        """Check that all ranks have the same parameters."""
        if self.sharing is not None:
            check_replicas(state, self._ranks)

    def on_train_end(self, state: Training) -> None:
        """See whether all ranks end in the same way."""
        if self.sharing is None:
            return
        error = sys.exception()
        if error is None:
            state.agree_to_stop()  # a signal may have come after the last batch
            check_replicas(state, self._ranks)
            return
        step: Any = state.step
        is_cause = not (np.isfinite(step.own_J) and all(np.isfinite(layer.dPhi).all() for layer in step.trained))
        self._ranks.errors.agree(error, is_cause=is_cause)

    def __repr__(self) -> str:
        options = [name for name in ("sync_batchnorm", "compress") if getattr(self, name)]
        return f"DataParallel({', '.join(f'{name}=True' for name in options)})"


class _Shared:
    """How the ranks share a training; see :class:`nnlite.training.sharing.Sharing`."""

    def __init__(self, ranks: Ranks, sync_batchnorm: bool, compress: bool) -> None:
        self._ranks, self.rank, self.ranks = ranks, ranks.rank, ranks.ranks
        self.sync_batchnorm, self.compress = sync_batchnorm, compress
        self.measurements = partial(SharedMeasurements, ranks)
        self.measurements_in_training = partial(SharedMeasurements, ranks, in_training=True)

    def kind_of_step(self, kind: Callable[..., Any]) -> Callable[..., Any]:
        if kind is not Step:
            raise ValueError("compiled: expected False for a training by several processes, got True")
        return partial(SharedStep, self._ranks, self.sync_batchnorm, self.compress)

    def agree_to_stop(self, state: Training) -> None:
        interrupts: Any = state.interrupts
        stop, interrupted, signum = self._ranks.largest([state.stop, state.interrupted, interrupts.received or 0])
        if interrupted:
            interrupts.tell(int(signum))
        if interrupted and not state.interrupted:
            state.interrupted = True
            state.remarks.append(f"interrupted {state.done()}")
        elif stop and not state.stop:
            state.remarks.append(f"stopped {state.done()} by a callback of another rank")
        state.stop = bool(stop)
