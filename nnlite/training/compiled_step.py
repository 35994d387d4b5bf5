"""CompiledStep: the step of ``fit(..., compiled=True)``, whose forward and backward are straight-line NumPy."""

import math
from typing import Any

from nnlite.training.batch import Batch
from nnlite.training.compile import Passes
from nnlite.training.step import Step


class CompiledStep(Step):
    """A :class:`Step` of :class:`Passes`; the layers run to check the first, and for errors.

    The first step, too, is that of the lines: where these round in another way, as under Numba, a training that is
    resumed then goes on with the same bits.

    Raises:
        TypeError: the loss is one of several outputs, or its samples have weights.

    >>> import numpy as np, nnlite as nn
    >>> layer = nn.Linear(1, 1, bias=False)
    >>> layer.W = [[0.0]]
    >>> step = CompiledStep(layer, nn.MSELoss(), [nn.SGD(layer, lr=0.25)])
    >>> for _ in range(2):  # dW = 2 (W - 1)
    ...     Y_pred, J = step.forward(Batch(np.ones((3, 1), np.float32), np.ones((3, 1), np.float32), 3))
    ...     step.backward()
    ...     step.update()
    >>> layer.W
    array([[0.75]], dtype=float32)
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.passes = Passes(self.model, self.loss)
        self.by_layers = True  # in the last forward

    def forward(self, batch: Batch) -> tuple[Any, float]:
        if not self.begun and batch.weight is None:
            super().forward(batch)
            self._first_backward()
            self.undo()
        self.by_layers = batch.weight is not None
        if not self.by_layers:
            self.begin(batch)
            J = self.passes.forward(batch.X, batch.Y)
            self.by_layers = J is None or not math.isfinite(J)
            if J is not None and not self.by_layers:
                Y_pred, self.loss.count = self.passes.outputs()  # type: ignore[attr-defined] # for the mean of an epoch
                self.J = J
                return Y_pred, J
            self.undo()
        return super().forward(batch)

    def store_gradients(self) -> None:
        if self.by_layers:
            super().store_gradients()
        else:
            self.passes.backward()
