"""SharedStep: a step of training on a batch of which each process has a share of the rows."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, spread
from nnlite.layer.layer import Layer
from nnlite.losses.per_output import Losses
from nnlite.optim.optimizer import Optimizer
from nnlite.parallel.float16_sums import add_up_in_float16
from nnlite.parallel.ranks import Ranks
from nnlite.parallel.shared_batch import SharedBatch, mean_of_buffers
from nnlite.training.batch import Batch
from nnlite.training.divergence import loss_not_finite
from nnlite.training.evaluate import loss_of
from nnlite.training.rows import share_of
from nnlite.training.step import Step


class SharedStep(Step):
    """A :class:`Step` whose loss and gradient are those of the rows of all ranks.

    With S_r the sum of the losses of the rows of rank r, each times its weight, and n_r the sum of the weights:
    ``J = sum(S_r) / sum(n_r)``, and with its denominator each rank computes its part of dPhi; these are added up. That
    is two sums over the ranks: one of a few numbers after forward, one of dPhi before ``on_backward_end``.

    Args:
        ranks: the processes.
        sync_batchnorm: whether BatchNorm's statistics are those of the whole batch.
        compress: whether gradients travel as float16.
        model, loss, optimizers, options: as of :class:`Step`; losses are :class:`WeightedLoss`.
    """

    def __init__(
        self,
        ranks: Ranks,
        sync_batchnorm: bool,
        compress: bool,
        model: Layer,
        loss: Layer,
        optimizers: Sequence[Optimizer],
        *,
        on_backward_end: Any = (),
        **options: Any,
    ) -> None:
        super().__init__(model, loss, optimizers, on_backward_end=(self._add_up, *on_backward_end), **options)
        self.ranks, self.compress = ranks, compress
        self.parts: list[Any] = list(loss.by_output.values()) if isinstance(loss, Losses) else [loss]
        self.shared = SharedBatch(
            [layer for each in (model, loss) for _, layer in each.named_layers()], ranks, sync_batchnorm
        )
        self.Y_pred: Any = None
        self.own_J = 0.0  # of the rows of this rank

    def forward(self, batch: Batch) -> tuple[Any, float]:
        self.begin(batch)
        with self.shared.forward(batch):
            self.Y_pred = spread(self.model.forward, batch.X)
        if not self.begun:
            self.check_output(self.Y_pred)
        self.own_J = loss_of(self.loss, self.Y_pred, batch) if batch.count else 0.0
        self.J = self._over_all_ranks(batch)
        if not math.isfinite(self.J):
            self.undo()
            raise loss_not_finite(self.model, self.loss, self.J, self.where(), [batch], cures=self.cures)
        return self.Y_pred, self.J

    def _over_all_ranks(self, batch: Batch) -> float:
        """The loss of the whole batch; the losses divide by its denominators, and the buffers are those of all ranks.

        Raises:
            ValueError: some ranks have no more batches; or no element of the batch counts.
        """
        several = isinstance(self.loss, Losses)
        own_Js: Any = self.loss.Js if several else [self.own_J]  # type: ignore[attr-defined]
        numbers = [0.0, float(batch.count)]
        for loss, J in zip(self.parts, own_Js if batch.count else [0.0] * len(self.parts), strict=True):
            n = 0.0 if loss.reduction == "sum" or not batch.count else loss.count
            numbers += [J * (n or 1.0), n]
        sums, buffers = self._sum(numbers, mean_of_buffers(self.buffers, batch.count, self.ranks.rank))
        rows, Js = sums[1], []
        for loss, S, n in zip(self.parts, sums[2::2], sums[3::2], strict=True):
            if loss.reduction != "sum":
                loss.count = n
                if not n and batch.weight is None and loss.class_weight is None:
                    what = "empty batch: each sample is ignored or has weight 0; use larger batches"
                    raise ValueError(f"{loss.loss.one_line()}: {what}")
            Js.append(S / (n or 1.0))
        self._write_buffers(buffers, rows)
        if not several:
            return Js[0]
        self.loss.Js, self.loss.count = Js, rows  # type: ignore[attr-defined]
        return self.loss.weighted_sum(Js)  # type: ignore[attr-defined, no-any-return]

    def _sum(self, numbers: list[float], buffers: list[Array]) -> tuple[list[float], Array]:
        """The sums over the ranks; the first number is 1 on those that have no more batches."""
        array = np.concatenate([numbers, *buffers])
        self.ranks.add_up(array)
        sums: list[float] = array[: len(numbers)].tolist()
        if 0 < sums[0] < self.ranks.ranks:
            raise ValueError(
                f"DataParallel: {int(sums[0])} of {self.ranks.ranks} ranks have no further batch in this epoch where "
                "the others have one; pass batches of which each rank reads the same number"
            )
        return sums, array[len(numbers) :]

    def _write_buffers(self, sums: Array, rows: float) -> None:
        start = 0
        for buffer in self.buffers:
            stop = start + buffer.size
            values = sums[start:stop].reshape(buffer.shape)
            buffer[...] = values / rows if buffer.dtype.kind == "f" else values
            start = stop

    def store_gradients(self) -> None:
        if self.batch is not None and self.batch.count:
            dY = self.loss.backward()
        else:  # no rows
            dY = each_of(np.zeros_like, self.Y_pred)
            for layer in self.trained[1:]:  # parameters of the loss
                layer.dPhi = np.zeros_like(layer.dPhi)
        with self.shared.backward():
            spread(self.model.backward, dY)

    def is_finite(self, total: Array) -> bool:
        return not self.ranks.largest([not super().is_finite(total)])[0]

    def begin_together(self) -> None:
        """From here on with the other ranks: rank 0 keeps the gradients that a checkpoint had, which are of all.

        Each keeps the states, which layers carry, of its own sequences.
        """
        if self.total is not None and self.ranks.rank:
            self.total = np.zeros_like(self.total)
        for _, layer in self.stateful:
            if layer.state is not None:
                own = slice(*share_of(len(layer.state[0]), self.ranks.rank, self.ranks.ranks))
                layer.state = tuple(S[own] for S in layer.state)

    def state_dict(self) -> dict[str, Any]:
        total = None if self.total is None else self.ranks.total(self.total)
        state = super().state_dict() | {"total": total}
        if "states" in state:
            each = self.ranks.of_each(state["states"])
            state["states"] = {path: _joined([states[path] for states in each]) for path in state["states"]}
        return state

    def finish(self) -> None:
        if self.batch is None:  # the end of the epoch
            self._sum([1.0, *[0.0] * (1 + 2 * len(self.parts))], [np.zeros(buffer.size) for buffer in self.buffers])
        super().finish()

    def _add_up(self) -> None:
        for layer in self.trained:
            if self.compress:
                add_up_in_float16(self.ranks, layer.dPhi)
            else:
                self.ranks.add_up(layer.dPhi)


def _joined(states: list[tuple[Array, ...] | None]) -> tuple[Array, ...] | None:
    """The states of the sequences of all ranks."""
    given = [each for each in states if each is not None]
    return tuple(np.concatenate(parts) for parts in zip(*given, strict=True)) if given else None
