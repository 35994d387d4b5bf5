"""Rehearsal: a Run of a model, its loss and some rows of the data, which the checks look at."""

import copy
from typing import Any, NamedTuple

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.generators import Rng, generator
from nnlite.basics.trees import listed, spread
from nnlite.diagnostics.named_inputs import differentiable, inputs_by_name
from nnlite.diagnostics.run import Run
from nnlite.diagnostics.samples import copies, count_of, pick, samples
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss import Loss, original_loss
from nnlite.losses.loss_arguments import arguments_of
from nnlite.losses.per_output import Losses, as_one_loss, by_key

ROWS = 1000  # rows drawn at random for the checks that need not look at every row


class Output(NamedTuple):
    """One output of the model: its loss, the predictions, all targets, and their name."""

    loss: Layer
    Y: Array
    target: Array
    name: str

    @property
    def kind(self) -> Loss:
        """What describes the loss: itself, or what it is tied to."""
        return original_loss(self.loss)


class Rehearsal:
    """One forward and backward of copies of a model and its loss, in evaluation mode; see :func:`nnlite.sanity`.

    Attributes:
        all_X, all_Y: all rows of the inputs and the targets.
        X, Y: those that it ran on.
        run: the Run.
        model, loss: the copies.
        Y_pred: the model's output.
        J: the loss; None if its forward raised an error.
        refusal: the message of that error.
        failure: the message of the error that a backward raised.
        gradients: of the parameters; empty if there is no J or backward failed.

    Raises:
        TypeError, ValueError: the model rejects X, or X and Y do not have one row per sample each.

    >>> import nnlite as nn
    >>> Rehearsal(nn.Linear(2, 1), nn.MSELoss(), np.ones((3, 2)), np.ones((3, 1))).Y_pred.shape
    (3, 1)
    """

    model: Layer
    loss: Any

    def __init__(self, model: Layer, loss: Any, X: Any, Y: Any, rng: Rng = 0) -> None:
        check_layer(model, "model")
        self.run = Run(model, as_one_loss(loss), evaluation=True, careful=True)
        self.model, self.loss = self.run.model, self.run.loss
        self.model.needs_dX = True
        self.all_X, self.all_Y = samples(X, "X"), samples(Y, "Y")
        count = count_of(self.all_Y, "Y", count_of(self.all_X))
        if not count:
            raise ValueError("X: expected at least one row, got none")
        rows = np.sort(generator(rng, "rng").choice(count, ROWS, replace=False)) if count > ROWS else slice(None)
        self.X, self.Y = pick(self.all_X, rows), pick(self.all_Y, rows)
        self.J: Any = None
        self.refusal = self.failure = ""
        self.gradients: dict[str, Array] = {}
        try:
            self.J = self.run.forward(self.X, self.Y)
        except (TypeError, ValueError) as error:
            if self.run.Y is None:  # the model rejects X
                raise
            self.refusal = str(error)
        self.Y_pred = self.run.Y
        if np.ndim(self.J):
            raise ValueError('loss: expected one number per batch, so reduction="mean" or "sum", got an array')
        if self.J is not None:
            self._backward()

    def _backward(self) -> None:
        try:
            self.run.backward()
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

    @property
    def outputs(self) -> list[Output]:
        """The outputs with a loss of their own; none if their structures differ."""
        loss, Y, target = self.loss, self.Y_pred, self.all_Y
        if not isinstance(loss, Losses):
            together = isinstance(Y, np.ndarray) and isinstance(target, np.ndarray)
            return [Output(loss, Y, target, "Y")] if together else []
        Ys, targets, losses = by_key(Y), by_key(target), loss.by_output
        if not type(loss.losses) is type(Y) is type(target) or not losses.keys() <= Ys.keys() & targets.keys():
            return []
        return [Output(each, Ys[key], targets[key], f"Y[{key!r}]") for key, each in losses.items()]

    @property
    def cannot_learn(self) -> str:
        """Why there are no gradients with respect to parameters; empty if there are."""
        if not self.model.Phi.size:
            return "the model has no parameters"
        return "skipped: no loss to minimize" if self.J is None or not np.isfinite(self.J) or self.failure else ""

    def twins(self) -> tuple[Layer, Layer]:
        """Further copies of the model and the loss."""
        return copy.deepcopy((self.model, self.loss))

    def float64_twins(self) -> tuple[Layer, Layer]:
        """Further copies, with parameters in float64."""
        model, loss = self.twins()
        inside_loss = any(part is model for _, part in loss.named_layers())  # as in a loss with a penalty
        (loss if inside_loss else model).astype(np.float64)
        return model, loss


def loss_and_gradients(model: Layer, loss: Layer, X: Any, Y: Any) -> float:
    """The loss on copies of X; model and loss have the gradients afterwards.

    >>> import nnlite as nn
    >>> loss_and_gradients(nn.Square(), nn.MSELoss(), np.array([2.0]), np.array([1.0]))
    9.0
    """
    J: float = loss.forward(*arguments_of(loss, spread(model.forward, copies(X)), Y))
    spread(model.backward, loss.backward())
    return J


def row_bytes(values: Any, row: int) -> bytes:
    """The bytes of one sample of an array, or of all arrays in a tuple or dict, for comparison with other samples.

    >>> row_bytes((np.array([[1.0], [2.0]]), np.array([3, 3])), 0) == row_bytes((np.array([[1.0]]), np.array([3])), 0)
    True
    """
    return b"".join(array[row].tobytes() for array in listed(values))
