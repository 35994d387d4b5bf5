"""What happens to the parameters after a backward: gradients are summed and clipped, and the optimizers step."""

from collections.abc import Sequence
from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.layer.layer import Layer
from nnlite.optim.clipping import clip_grad_norm, clip_grad_value
from nnlite.optim.optimizer import Optimizer


class Update:
    """One step for every ``accumulate_steps`` backwards, equal to that of their rows in one batch.

    Args:
        model: whose gradients they are.
        optimizers: what moves its parameters.
        accumulate_steps: how many gradients make one step.
        clip_norm: the largest norm of dPhi; None for no limit.
        clip_value: the largest entry of dPhi; None for no limit.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [0.0, 0.0]
    >>> update = Update(layer, [nn.SGD(layer, lr=1.0)], accumulate_steps=2)
    >>> for gradient, rows in (1.0, 3), (5.0, 1):
    ...     layer.dPhi = [gradient, 0.0]
    ...     update(rows)
    >>> layer.W  # one step along (3 * 1 + 1 * 5) / 4
    array([[-2.]], dtype=float32)
    """

    def __init__(
        self,
        model: Layer,
        optimizers: Sequence[Optimizer],
        accumulate_steps: int = 1,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self.model = model
        self.optimizers = optimizers
        self.accumulate_steps = whole(accumulate_steps, "accumulate_steps", least=1)
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.total: Array | None = None  # of the gradients so far, each times its weight
        self.weight = 0.0
        self.count = 0

    def __call__(self, weight: float) -> None:
        """Take in the gradient that stands in dPhi, a mean over rows of so much weight; 0 if it is a sum."""
        if self.accumulate_steps == 1:
            self._step()
            return
        term = self.model.dPhi * (weight or 1.0)
        self.total = term if self.total is None else self.total + term
        self.weight += weight
        self.count += 1
        if self.count == self.accumulate_steps:
            self.finish()

    def state_dict(self) -> dict[str, Any]:
        """What has been taken in since the last step."""
        return {"total": self.total, "weight": self.weight, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state_dict` gave."""
        self.total, self.weight, self.count = state["total"], state["weight"], state["count"]

    def finish(self) -> None:
        """Step with what has been taken in; an epoch may end with fewer gradients than make a whole step."""
        if self.total is None:
            return
        self.model.dPhi = self.total / (self.weight or 1.0)
        self.total, self.weight, self.count = None, 0.0, 0
        self._step()

    def _step(self) -> None:
        if self.clip_norm is not None:
            clip_grad_norm(self.model, self.clip_norm)
        if self.clip_value is not None:
            clip_grad_value(self.model, self.clip_value)
        for optimizer in self.optimizers:
            optimizer.step()
