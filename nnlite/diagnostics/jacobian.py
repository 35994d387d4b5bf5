"""jacobian and input_gradient: derivatives that training never forms, for study, sensitivity and control."""

import copy
import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, listed, spread
from nnlite.diagnostics.named_inputs import by_input, inputs_by_name
from nnlite.layer.layer import Layer, check_layer


def jacobian(layer: Layer, X: Any, wrt: str = "X", *, max_bytes: int = 2**30) -> Array:
    """The generalized Jacobian: the derivative of every entry of Y by every entry of X, or of a parameter.

    ``J[i, j] = dY_i / dX_j`` for the multi-indices i and j, of shape ``Y.shape + X.shape``. It is formed row by row:
    the row of Y_i is what backward gives for the dY that is 1 at i and 0 elsewhere. Contracted with any dY it is
    ``backward(dY)``, which is why no layer ever forms it.

    Args:
        layer: any Layer of one output; it works on a copy, in the layer's own mode.
        X: its input; of several a tuple, or a dict by name. A loss has two, ``(Y, target)``.
        wrt: what to derive by: "X"; of several inputs the name of one, or "X1", "X2" ...; or a parameter's name, as in
            ``named_parameters``.
        max_bytes: the most memory that it may take; the default is 1 GiB.

    Raises:
        ValueError: there is no ``wrt``, or the Jacobian would take more than ``max_bytes``; the message has its size.
        TypeError: the layer has several outputs, or no derivative by ``wrt``.

    Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.5, 2016.

    >>> import nnlite as nn
    >>> jacobian(nn.Square(), np.array([1.0, 2.0, 3.0]))
    array([[2., 0., 0.],
           [0., 4., 0.],
           [0., 0., 6.]])
    >>> jacobian(nn.Linear(2, 3), np.ones((5, 2)), wrt="W").shape
    (5, 3, 2, 3)
    """
    check_layer(layer, "layer")
    layer = copy.deepcopy(layer)
    layer.needs_dX = True
    Y, *more = listed(spread(layer.forward, X))
    if more:
        raise TypeError(f"jacobian: expected a layer of one output, got {layer.one_line()}, which has {len(more) + 1}")
    inputs = inputs_by_name(layer, X)
    if getattr(layer, "input_names", None) == [wrt]:  # of a graph of one input
        inputs = {wrt: next(iter(inputs.values()))}
    parameters = dict(layer.named_parameters())
    if wrt not in inputs and wrt not in parameters:
        raise ValueError(f"jacobian: wrt: expected one of {', '.join([*inputs, *parameters])}, got {wrt!r}")
    of = inputs[wrt] if wrt in inputs else parameters[wrt]
    Y_shape, dtype = np.shape(Y), np.result_type(Y)
    entries = math.prod(Y_shape) * np.size(of)
    if entries * dtype.itemsize > max_bytes:
        raise ValueError(
            f"jacobian: of shape {Y_shape} x {np.shape(of)} it has {entries:,} entries, which take "
            f"{_amount(entries * dtype.itemsize)}, and max_bytes is {_amount(max_bytes)}"
        )
    J = np.empty((math.prod(Y_shape), *np.shape(of)), dtype)
    dY = np.zeros(Y_shape, dtype)
    for row, index in enumerate(np.ndindex(Y_shape)):
        dY[index] = 1
        dX = layer.backward(dY)
        dY[index] = 0
        gradient = by_input(inputs, dX).get(wrt) if wrt in inputs else dict(layer.named_gradients())[wrt]
        if gradient is None:
            raise TypeError(f"jacobian: {layer.one_line()} has no derivative by {wrt}")
        J[row] = gradient
    return J.reshape(Y_shape + np.shape(of))


def input_gradient(model: Layer, X: Any) -> Any:
    """The derivative of the sum of the outputs by the input: how sensitive they are to each entry of X.

    For a model that treats rows apart, row i is the gradient of sample i's own output. Nothing is written on the model.

    Args:
        model: any Layer; it runs on a copy, in evaluation mode.
        X: its input; of several a tuple, or a dict by name, and so is the result.

    Raises:
        TypeError: X does not hold real numbers.

    Source: Simonyan, Vedaldi and Zisserman, Deep inside convolutional networks, 2014.

    >>> import nnlite as nn
    >>> input_gradient(nn.Square(), np.array([1.0, 2.0]))
    array([2., 4.])
    """
    check_layer(model, "model")
    model = copy.deepcopy(model).eval()
    model.needs_dX = True
    Y = spread(model.forward, X)
    dX = spread(model.backward, each_of(lambda Y: np.ones(np.shape(Y), np.result_type(Y)), Y))
    return by_input(inputs_by_name(model, X), dX) if isinstance(X, dict) else dX


def _amount(size: int) -> str:
    """Bytes, in the largest unit of which there is at least one."""
    power = min(max(size.bit_length() - 1, 0) // 10, 4)
    return f"{size / 1024**power:,.4g} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
