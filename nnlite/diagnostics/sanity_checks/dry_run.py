"""DryRun: a copy of a model, its loss and some rows of data, after one forward and backward."""

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.generators import Rng, generator
from nnlite.basics.trees import listed, spread
from nnlite.diagnostics.named_inputs import differentiable, inputs_by_name
from nnlite.diagnostics.recording import InPlaceWrite, Recording
from nnlite.diagnostics.samples import copies, count_of, pick, samples
from nnlite.diagnostics.sanity_checks.check import Check
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss import arguments_of
from nnlite.losses.per_output import Losses, as_one_loss, by_key

ROWS = 1000  # rows drawn at random for the checks that need not look at every row


@dataclass
class DryRun:
    """A copy of a model and a loss after one forward and backward on some rows, in evaluation mode.

    Attributes:
        model: the copy.
        loss: the copy.
        X: the rows that it ran on.
        Y: their targets.
        all_X: all rows.
        all_Y: all targets.
        Y_pred: the model's output.
        J: the loss; None if forward of the loss raised an error.
        refusal: the message of that error.
        gradients: of the parameters; empty if there is no J or backward failed.
        failure: the message of the error that backward raised.
        writes: where forward of a layer modified its input in place.

    >>> import nnlite as nn
    >>> DryRun.of(nn.Linear(2, 1), nn.MSELoss(), np.ones((3, 2)), np.ones((3, 1))).Y_pred.shape
    (3, 1)
    """

    model: Layer
    loss: Layer
    X: Any
    Y: Any
    all_X: Any
    all_Y: Any
    Y_pred: Any
    J: float | None = None
    refusal: str = ""
    gradients: dict[str, Array] = field(default_factory=dict)
    failure: str = ""
    writes: list[InPlaceWrite] = field(default_factory=list)

    @classmethod
    def of(cls, model: Layer, loss: Any, X: Any, Y: Any, rng: Rng = 0) -> "DryRun":
        """Run a copy of the model and the loss.

        Raises:
            TypeError, ValueError: the model rejects X, or X and Y do not have one row per sample each.
        """
        check_layer(model, "model")
        model, loss = copy.deepcopy((model, as_one_loss(loss)))
        model.eval()
        model.needs_dX = True
        all_X, all_Y = samples(X, "X"), samples(Y, "Y")
        count = count_of(all_Y, "Y", count_of(all_X))
        if not count:
            raise ValueError("X: expected at least one row, got none")
        rows = np.sort(generator(rng, "rng").choice(count, ROWS, replace=False)) if count > ROWS else slice(None)
        X, Y = pick(all_X, rows), pick(all_Y, rows)
        with Recording(careful=True).of(model) as recording:
            Y_pred = spread(model.forward, copies(X))
        run = cls(model, loss, X, Y, all_X, all_Y, Y_pred, writes=recording.writes)
        run._backward()
        return run

    def _backward(self) -> None:
        try:
            self.J = self.loss.forward(*arguments_of(self.loss, copies(self.Y_pred), copies(self.Y)))
        except (TypeError, ValueError) as error:
            self.refusal = str(error)
            return
        if np.ndim(self.J):
            raise ValueError('loss: expected one number per batch, so reduction="mean" or "sum", got an array')
        try:
            spread(self.model.backward, self.loss.backward())
        except Exception as error:  # raised by a layer of the user's own; the gradient check reports it
            self.failure = f"{type(error).__name__}: {error}"
            return
        self.gradients = {name: dP.copy() for name, dP in self.model.named_gradients()}

    @property
    def inputs(self) -> dict[str, Array]:
        """All rows of each input, by its name."""
        return inputs_by_name(self.model, self.all_X)

    @property
    def differentiable_inputs(self) -> dict[str, Array]:
        """The rows that the model ran on of each input that has a gradient, by its name."""
        return differentiable(self.model, inputs_by_name(self.model, self.X))

    def float64_copies(self) -> tuple[Layer, Layer]:
        """A copy of the model and the loss, with parameters in float64."""
        model, loss = copy.deepcopy((self.model, self.loss))
        inside_loss = any(part is model for _, part in loss.named_layers())  # as in a loss with a penalty
        (loss if inside_loss else model).astype(np.float64)
        return model, loss

    @property
    def outputs(self) -> list[tuple[Layer, Array, Array, str]]:
        """(loss, predictions, all targets, name of the targets) of each output; empty if their structures differ."""
        if not isinstance(self.loss, Losses):
            together = isinstance(self.Y_pred, np.ndarray) and isinstance(self.all_Y, np.ndarray)
            return [(self.loss, self.Y_pred, self.all_Y, "Y")] if together else []
        if not type(self.loss.losses) is type(self.Y_pred) is type(self.all_Y):
            return []
        Ys, targets = by_key(self.Y_pred), by_key(self.all_Y)
        losses = self.loss.by_output
        if not losses.keys() <= Ys.keys() & targets.keys():
            return []
        return [(loss, Ys[key], targets[key], f"Y[{key!r}]") for key, loss in losses.items()]

    @property
    def can_learn(self) -> bool:
        """Whether the loss is finite and has gradients with respect to parameters."""
        return self.J is not None and np.isfinite(self.J) and not self.failure and self.model.Phi.size > 0

    def cannot_learn(self, title: str) -> Check:
        """The result of a check that needs those gradients, where there are none."""
        no_parameters = not self.model.Phi.size
        return Check(title, None, "the model has no parameters" if no_parameters else "skipped: no loss to minimize")


def row_bytes(values: Any, row: int) -> bytes:
    """The bytes of one sample of an array, or of all arrays in a tuple or dict, for comparison with other samples.

    >>> row_bytes((np.array([[1.0], [2.0]]), np.array([3, 3])), 0) == row_bytes((np.array([[1.0]]), np.array([3])), 0)
    True
    """
    return b"".join(array[row].tobytes() for array in listed(values))
