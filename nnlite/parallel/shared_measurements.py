"""SharedMeasurements: the loss and the metrics over the batches of all ranks."""

from itertools import zip_longest
from typing import Any

import numpy as np

from nnlite.layer.layer import Layer
from nnlite.parallel.ranks import Ranks
from nnlite.training.measurements import Measurements, Metric
from nnlite.training.rows import none_of


class SharedMeasurements(Measurements):
    """:class:`Measurements` of the rows of all ranks: ``values()`` and ``state_dict()`` are the same on each.

    Args:
        ranks: the processes.
        loss, metrics, tried: as of :class:`Measurements`.
        in_training: each rank has seen a share of each batch, with the loss of the whole batch; otherwise some of the
            batches.
    """

    def __init__(
        self, ranks: Ranks, loss: Layer, metrics: dict[str, Metric], *, tried: bool = True, in_training: bool = False
    ) -> None:
        super().__init__(loss, metrics, tried=tried)
        self.ranks, self.in_training = ranks, in_training
        self.alone = in_training  # until all ranks train

    def values(self) -> dict[str, float]:
        if self.alone:
            return super().values()
        return self.ranks.from_first(self._of_all().values())  # type: ignore[no-any-return]  # also of random metrics

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() if self.alone else self._of_all().state_dict()

    def _of_all(self) -> Measurements:
        """The measurements of all ranks together, with the batches in their order."""
        each = self.ranks.of_each(super().state_dict())
        summed = ["totals", "weights", *(() if self.in_training else ("loss_totals", "loss_weights"))]
        state = each[0] | {name: np.sum([own[name] for own in each], axis=0).tolist() for name in summed}
        state["rows"] = sum(own["rows"] for own in each)
        in_turn = zip_longest(*(own["kept"] for own in each))
        state["kept"] = [kept for batches in in_turn for kept in batches if kept is not None]
        joint = Measurements(self.loss, {})
        vars(joint).update(vars(self))
        joint.load_state_dict(state)
        return joint

    def begin_together(self) -> None:
        """From here on with the other ranks: rank 0 keeps what a checkpoint had, which is of all."""
        self.alone = False
        if self.ranks.rank:
            self.rows, self.totals, self.weights = 0, dict.fromkeys(self.totals, 0.0), dict.fromkeys(self.weights, 0.0)
            self.kept = [(none_of(Y_pred), none_of(Y)) for Y_pred, Y in self.kept]
