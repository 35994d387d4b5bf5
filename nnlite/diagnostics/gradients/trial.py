"""Trial: a layer on a fixed input, run again and again while single entries of its arrays are changed."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, listed, spread
from nnlite.diagnostics.named_inputs import differentiable, gradients_by_name, inputs_by_name
from nnlite.diagnostics.recording import LayerCall
from nnlite.diagnostics.run import restorer
from nnlite.layer.layer import Layer
from nnlite.layer.parts import inside
from nnlite.losses.loss_arguments import arguments_of


class Trial:
    """A layer on a fixed input as a scalar function J of its inputs and parameters.

    J is ``loss(layer(X), target)``, or without a loss the sum of ``Y * dY``. Generators and buffers are put back before
    each forward, so that it draws the same numbers. The layer itself runs, so pass a copy.

    Args:
        layer: any Layer.
        X: the input; several as a tuple, or as a dict by name.
        target: the target of the loss, or of the layer if the layer is a loss.
        loss: a loss behind the layer.
        dY: the gradient of J with respect to Y, in the form of Y.

    >>> import nnlite as nn
    >>> trial = Trial(nn.Square(), np.array([1.0, 3.0]), dY=np.array([1.0, 10.0]))
    >>> trial.values(), trial.backward()["X"]
    (array([1., 9.]), array([ 2., 60.]))
    """

    def __init__(self, layer: Layer, X: Any, target: Any = None, loss: Layer | None = None, dY: Any = None) -> None:
        self.layer, self.X, self.target, self.loss, self.dY = layer, X, target, loss, dY
        self._restore = restorer(layer) if loss is None else restorer(layer, loss)

    @classmethod
    def of(cls, call: LayerCall) -> "Trial":
        """The trial of a layer by itself, on the X and dY that it received in a model."""
        X, dY = (each_of(floats_as_float64, values) for values in (call.X, call.dY))
        return cls(call.layer, X, call.target, dY=dY)

    def forward(self) -> Any:
        """Return Y, or the loss if there is one.

        Raises:
            TypeError: forward returned None.
        """
        self._restore()
        if self.loss is not None or self.target is None:
            Y = spread(self.layer.forward, self.X)
        else:
            Y = self.layer.forward(*arguments_of(self.layer, self.X, self.target))
        if Y is None:
            raise TypeError(f"{self.layer.one_line()}: forward returned None; did it forget to return Y?")
        return Y if self.loss is None else self.loss.forward(*arguments_of(self.loss, Y, self.target))

    def values(self) -> Array:
        """Return the result of forward as one flat float64 array."""
        return _flat(self.forward())

    def weights(self, size: int) -> Array:
        """Return the factors of the ``size`` values in J."""
        return np.ones(size) if self.loss is not None else np.broadcast_to(_flat(self.dY), (size,))

    def J(self) -> float:
        """Return the number that is differentiated."""
        values = self.values()
        return float(np.sum(self.weights(values.size) * values))

    def backward(self, stored: float = np.nan) -> dict[str, Array]:
        """Return the gradient of each input and parameter by name, as backward computes them after the last forward.

        Args:
            stored: what the gradients of the parameters are filled with before; NaN shows whether backward adds to
                them.

        Raises:
            TypeError: backward returned None.
        """
        layer = self.layer
        layer.needs_dX = True
        layer.dPhi = np.full(layer.dPhi.shape, stored)
        dX = spread(layer.backward, self.loss.backward() if self.loss is not None else each_of(np.array, self.dY))
        inputs = self.inputs()
        if dX is None and differentiable(layer, inputs):
            raise TypeError(f"{layer.one_line()}: backward returned None; did it forget to return dX?")
        gradients = gradients_by_name(layer, inputs, dX) | dict(layer.named_gradients())
        return {name: np.array(dP, np.float64) for name, dP in gradients.items() if dP is not None}

    def inputs(self) -> dict[str, Array]:
        """Return each input by name."""
        return inputs_by_name(self.layer, self.X)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays that J is differentiated by: floating inputs and parameters, themselves and not copies."""
        inputs = {name: A for name, A in differentiable(self.layer, self.inputs()).items() if is_floating(A)}
        return {name: A for name, A in (inputs | dict(self.layer.named_parameters())).items() if A.size}

    def entries(self, most: int | None, rng: "np.random.Generator") -> dict[str, list[tuple[int, ...]]]:
        """Return, by array, the indices of all entries that have a gradient, or of ``most`` random ones."""
        arrays, found = self.arrays(), {}
        untrained = {name: np.zeros(P.shape, bool) for name, P in arrays.items()}
        for path, part in self.layer.named_layers():
            for name, index in part.untrained_entries().items():
                if (full := inside(path, name)) in untrained:  # not of a tied layer
                    untrained[full][index] = True
        for name, left_out in untrained.items():
            kept = np.flatnonzero(~left_out)
            if most is not None and most < len(kept):
                kept = rng.choice(kept, most, replace=False)
            found[name] = [tuple(map(int, np.unravel_index(entry, left_out.shape))) for entry in kept]
        return found


def is_floating(values: Any) -> bool:
    """Return whether it is an array of floating numbers; integers, such as class indices, have no gradient.

    >>> is_floating(np.ones(2)), is_floating(np.ones(2, int))
    (True, False)
    """
    return isinstance(values, np.ndarray) and values.dtype.kind == "f"


def floats_as_float64(values: Any) -> Any:
    """Return a copy in float64; integers, which may be class indices, and what is no array stay as they are.

    >>> floats_as_float64(np.ones(1, np.float32)).dtype, floats_as_float64(np.ones(1, int)).dtype
    (dtype('float64'), dtype('int64'))
    """
    if not isinstance(values, np.ndarray):
        return values
    return values.astype(np.float64) if is_floating(values) else values.copy()


def _flat(values: Any) -> Array:
    """Return the numbers of one array, or of several, as one flat float64 array."""
    return np.concatenate([np.ravel(np.asarray(each, np.float64)) for each in listed(values)])
