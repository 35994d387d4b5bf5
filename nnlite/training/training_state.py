"""Training: the state of a training, which every callback gets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.layer.layer import Layer
from nnlite.optim.optimizer import Optimizer
from nnlite.training.history import History
from nnlite.training.interrupts import Interrupts
from nnlite.training.measurements import Measurements
from nnlite.training.rows import Rows, Share
from nnlite.training.sharing import Sharing
from nnlite.training.step import Step
from nnlite.training.streams import Stream


@dataclass
class Training:
    """The state of a training: the one argument of every callback.

    Attributes:
        model: the model in training.
        loss: its loss.
        optimizers: the optimizers.
        epochs: the number of the last epoch.
        batch_size: the number of rows of a batch.
        batches: how many batches an epoch has; None if it is not known.
        history: the values of the epochs that are done.
        epoch: the number of the current epoch, from 1.
        batch: how many batches of it are done.
        values: the values of the epoch that is done, by name: "loss", "val_loss" ...
        extra: values of callbacks, to be added to those of the epoch, and so to the history.
        stop: True ends the training.
        restored: the model has the best weights of an epoch, which :class:`nnlite.EarlyStopping` has restored.
        averaged: the number of updates of the average that the model has; 0 if it has trained weights.
        interrupted: by Ctrl-C or SIGTERM; the training ends after this batch.
        remarks: what to tell the user at the end: why the training stopped, which epoch was restored.
        rank: the number of this process, from 0, where several share the batches; see :class:`nnlite.DataParallel`.
        ranks: how many do; 1 if there is this one alone.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 1, rng=0))
    >>> def show(state):
    ...     print(state.epoch, "of", state.epochs, list(state.values))
    >>> history = nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=2,
    ...                  callbacks=[show], verbose=0)
    1 of 2 ['loss']
    2 of 2 ['loss']
    """

    model: Layer
    loss: Layer
    optimizers: list[Optimizer]
    rows: Rows | Stream
    means: Measurements  # of the current epoch
    step: Step
    validation: Rows | Stream | None = None
    callbacks: Sequence[Any] = ()
    rng: "np.random.Generator | None" = None  # in quotes, since NumPy loads numpy.random at its first mention
    order: Array | None = None  # of the rows in the current epoch
    batch_size: int = 32
    batches: int | None = None
    epochs: int = 0
    epoch: int = 0
    batch: int = 0
    history: History = field(default_factory=History)
    values: dict[str, float] = field(default_factory=dict)
    extra: dict[str, float] = field(default_factory=dict)
    stop: bool = False
    restored: bool = False
    averaged: int = 0
    interrupted: bool = False
    remarks: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)  # compared when the training is resumed
    sharing: Sharing | None = None
    interrupts: Interrupts | None = None  # while it runs

    @property
    def rank(self) -> int:
        return 0 if self.sharing is None else self.sharing.rank

    @property
    def ranks(self) -> int:
        return 1 if self.sharing is None else self.sharing.ranks

    @property
    def share(self) -> Share:
        """Which share of each batch this process trains on."""
        return (self.rank, self.ranks) if self.ranks > 1 else None

    def agree_to_stop(self) -> bool:
        """Whether the training stops, in all processes that share the batches, since it stops in one at least."""
        if self.sharing is not None:
            self.sharing.agree_to_stop(self)
        return self.stop

    def where(self) -> str:
        """The current epoch and batch, for messages."""
        return f"epoch {self.epoch}, batch {self.batch + (self.step.batch is not None)}"

    def done(self) -> str:
        """What is done, for messages: "after epoch 3", or "in epoch 3, after batch 5"."""
        return f"in epoch {self.epoch}, after batch {self.batch}" if self.batch else f"after epoch {self.epoch}"
