"""Trial: a layer on one input, that can be run again and again while its arrays are moved."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, listed, spread
from nnlite.diagnostics.named_inputs import by_input, inputs_by_name
from nnlite.layer.layer import Layer


class Trial:
    """A layer on an input, with the gradient that comes to its output: what differences are taken of.

    What is differentiated is J: ``loss(layer(X), target)``, or without a loss the sum of Y times dY. It is run on the
    layer itself, which has to be a copy.

    Args:
        layer: any Layer.
        X: its input; of several a tuple, or a dict by name.
        target: of the loss, or of the layer if that is one.
        loss: a loss behind the layer.
        dY: the gradient that comes to Y, in Y's form.

    >>> import nnlite as nn
    >>> trial = Trial(nn.Square(), np.array([1.0, 3.0]), dY=np.array([1.0, 10.0]))
    >>> trial.values(), trial.J(), trial.backward()["X"]
    (array([1., 9.]), 91.0, array([ 2., 60.]))
    """

    def __init__(self, layer: Layer, X: Any, target: Any = None, loss: Layer | None = None, dY: Any = None) -> None:
        self.layer, self.X, self.target, self.loss, self.dY = layer, X, target, loss, dY

    def forward(self) -> Any:
        """Y, or the loss of it.

        Raises:
            TypeError: forward returns None.
        """
        single = self.loss is not None or self.target is None
        Y = spread(self.layer.forward, self.X) if single else self.layer.forward(self.X, self.target)
        if Y is None:
            raise TypeError(f"{self.layer.one_line()}: forward returned None; did it forget to return Y?")
        return Y if self.loss is None else self.loss.forward(Y, self.target)

    def values(self) -> Array:
        """What forward gives, as one flat float64 array."""
        return flat(self.forward())

    def weights(self, size: int) -> Array:
        """What each of the ``size`` values counts in J."""
        return np.ones(size) if self.loss is not None else np.broadcast_to(flat(self.dY), (size,))

    def J(self) -> float:
        """The number whose derivative backward gives."""
        values = self.values()
        return float(np.sum(self.weights(values.size) * values))

    def backward(self, stored: float = np.nan) -> dict[str, Array]:
        """The gradient of each input and parameter, by name, as backward gives them after the last forward.

        Args:
            stored: what the gradients of the parameters are beforehand; NaN shows which of them backward adds to.

        Raises:
            TypeError: backward returns None.
        """
        layer = self.layer
        layer.needs_dX = True
        layer.dPhi = np.full(layer.dPhi.shape, stored)
        dX = spread(layer.backward, self.loss.backward() if self.loss is not None else each_of(np.array, self.dY))
        inputs = self.inputs()
        if dX is None and inputs:
            raise TypeError(f"{layer.one_line()}: backward returned None; did it forget to return dX?")
        gradients = by_input(inputs, dX) | dict(layer.named_gradients())
        return {name: np.array(dP, np.float64) for name, dP in gradients.items() if dP is not None}

    def losses(self) -> list[Layer]:
        """What is used as a loss, and owes no gradient of the target."""
        if self.loss is not None:
            return [self.loss]
        return [self.layer] if self.target is not None else []

    def inputs(self) -> dict[str, Array]:
        """Each input by its name."""
        return inputs_by_name(self.layer, self.X)

    def arrays(self) -> dict[str, Array]:
        """What J is differentiated by: each input that holds floats, and each parameter, themselves and not copies."""
        inputs = {name: A for name, A in self.inputs().items() if getattr(A, "dtype", np.dtype(int)).kind == "f"}
        return {name: A for name, A in (inputs | dict(self.layer.named_parameters())).items() if A.size}


def floats_as_float64(values: Any) -> Any:
    """A copy in float64; whole numbers, which may be classes, stay such, and what is no array stays what it is.

    >>> floats_as_float64(np.ones(1, np.float32)).dtype, floats_as_float64(np.ones(1, int)).dtype
    (dtype('float64'), dtype('int64'))
    """
    if not isinstance(values, np.ndarray):
        return values
    return values.astype(np.float64 if values.dtype.kind == "f" else values.dtype)


def flat(values: Any) -> Array:
    """All the numbers of one array, or of several, in one float64 array.

    >>> flat((1.0, np.eye(2)))
    array([1., 1., 0., 0., 1.])
    """
    return np.concatenate([np.ravel(np.asarray(each, np.float64)) for each in listed(values)])
