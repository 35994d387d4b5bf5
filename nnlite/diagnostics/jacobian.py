"""jacobian and input_gradient: derivatives for study, sensitivity analysis and control."""

import math
import operator
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, listed
from nnlite.diagnostics.named_inputs import differentiable, gradients_by_name, inputs_by_name
from nnlite.diagnostics.run import Run
from nnlite.layer.layer import Layer, check_layer


def jacobian(layer: Layer, X: Any, wrt: str = "X", *, max_bytes: int = 2**30) -> Array:
    """The generalized Jacobian: the derivative of every entry of Y with respect to every entry of X or of a parameter.

    ``J[i, j] = dY_i / dX_j`` for multi-indices i and j, of shape ``Y.shape + X.shape``. Row i is the result of backward
    for the dY that is 1 at i and 0 elsewhere. ``backward(dY)`` is the product of any dY with J, computed without J.

    Args:
        layer: any Layer with one output; runs on a copy, in its current mode.
        X: its input; a tuple or a dict by name if there are several. A loss has two, ``(Y, target)``.
        wrt: "X"; the name of one of several inputs, or "X1", "X2" ...; or the name of a parameter, as in
            ``named_parameters``.
        max_bytes: the memory limit of the result; the default is 1 GiB.

    Returns:
        An array of the shape of Y followed by that of X or of the parameter.

    Raises:
        ValueError: there is no ``wrt``, or the result would exceed ``max_bytes``; the message names its size.
        TypeError: the layer has several outputs, or no gradient with respect to ``wrt``.

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
    run = Run(layer)
    layer = run.model
    layer.needs_dX = True
    Y, *more = listed(run.forward(X))
    if more:
        raise TypeError(f"jacobian: expected a layer of one output, got {layer.one_line()}, which has {len(more) + 1}")
    inputs = inputs_by_name(layer, X)
    if getattr(layer, "input_names", None) == [wrt]:  # a graph with one input
        inputs = {wrt: next(iter(inputs.values()))}
    parameters = dict(layer.named_parameters())
    if wrt not in inputs and wrt not in parameters:
        raise ValueError(f"jacobian: wrt: expected one of {', '.join([*inputs, *parameters])}, got {wrt!r}")
    if wrt in inputs and wrt not in differentiable(layer, inputs):
        raise TypeError(f"jacobian: {layer.one_line()} has no gradient with respect to {wrt}")
    of = inputs[wrt] if wrt in inputs else parameters[wrt]
    Y_shape, dtype = np.shape(Y), np.result_type(Y)
    entries = math.prod(Y_shape) * np.size(of)
    if entries * dtype.itemsize > max_bytes:
        raise ValueError(
            f"jacobian: the result of shape {Y_shape} x {np.shape(of)} has {entries:,} entries, "
            f"{_amount(entries * dtype.itemsize)}, more than max_bytes ({_amount(max_bytes)})"
        )
    J = np.empty((math.prod(Y_shape), *np.shape(of)), dtype)
    for row, index in enumerate(np.ndindex(Y_shape)):
        dY = np.zeros(Y_shape, dtype)
        dY[index] = 1
        dX = layer.backward(dY)
        J[row] = gradients_by_name(layer, inputs, dX)[wrt] if wrt in inputs else dict(layer.named_gradients())[wrt]
    return J.reshape(Y_shape + np.shape(of))


def input_gradient(model: Layer, X: Any, output: int | None = None) -> Any:
    """The gradient of one output, or of the sum of all, with respect to the input: the sensitivity to each entry of X.

    If the model computes each row by itself, row i is the gradient of sample i's outputs.

    Args:
        model: any Layer; runs on a copy, in evaluation mode, and stays unchanged.
        X: its input; a tuple or a dict by name if there are several.
        output: the index of the output, in the last axis of Y, such as that of a class; None for the sum of all.

    Returns:
        An array of X's shape, or a tuple or dict of them, as X, with None for each input that has no gradient.

    Raises:
        TypeError: X does not hold real numbers, no input has a gradient, or ``output`` is given for a model with
            several output arrays.
        ValueError: the outputs are probabilities and ``output`` is None; their sum is 1, with gradient 0.
        IndexError: there is no such output.

    Source: Simonyan, Vedaldi and Zisserman, Deep inside convolutional networks, 2014.

    >>> import nnlite as nn
    >>> input_gradient(nn.Square(), np.array([1.0, 2.0]))
    array([2., 4.])
    >>> input_gradient(nn.Square(), np.array([1.0, 2.0]), output=1)
    array([0., 4.])
    """
    run = Run(model, evaluation=True)
    model = run.model
    model.needs_dX = True
    Y = run.forward(X)
    inputs = inputs_by_name(model, X)
    if not differentiable(model, inputs):
        raise TypeError(f"input_gradient: {model.one_line()} has no gradient with respect to its input")
    run.backward(_ones(model, Y, output))
    gradients = gradients_by_name(model, inputs, run.dX)
    if isinstance(X, dict):
        return {name: gradients.get(name) for name in X}
    return tuple(map(gradients.get, inputs)) if isinstance(X, tuple) else gradients["X"]


def _ones(model: Layer, Y: Any, output: int | None) -> Any:
    """dY: 1 at the output, or everywhere."""
    place = f"input_gradient: {model.one_line()}"
    if output is None:
        if _are_probabilities(Y):
            raise ValueError(f"{place}: its probabilities sum to 1, which has gradient 0; pass output=, a class index")
        return each_of(lambda Y: np.ones(np.shape(Y), np.result_type(Y)), Y)
    if isinstance(Y, tuple | dict):
        raise TypeError(f"{place}: output: expected a model with one output array, got {len(Y)}")
    output, count = operator.index(output), np.shape(Y)[-1] if np.ndim(Y) else 0
    if not -count <= output < count:
        raise IndexError(f"{place}: output: expected an index from 0 to {count - 1}, got {output}")
    dY = np.zeros(np.shape(Y), np.result_type(Y))
    dY[..., output] = 1
    return dY


def _are_probabilities(Y: Any) -> bool:
    """Whether the entries along an axis are shares of 1, whatever computed them."""
    if isinstance(Y, tuple | dict) or np.size(Y) == 0 or np.min(Y) < 0:
        return False
    atol = 8 * np.finfo(np.result_type(Y)).eps
    axes = [axis for axis in range(int(np.ndim(Y) > 1), np.ndim(Y)) if np.shape(Y)[axis] > 1]
    return any(np.allclose(np.sum(Y, axis=axis), 1, rtol=0, atol=atol) for axis in axes)


def _amount(size: int) -> str:
    """A number of bytes in the largest suitable unit."""
    power = min(max(size.bit_length() - 1, 0) // 10, 4)
    return f"{size / 1024**power:,.4g} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
