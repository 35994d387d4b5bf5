"""The inputs of a layer and their gradients, by the names that reports use: X, or X1 and X2."""

from typing import Any

from nnlite.basics.trees import listed
from nnlite.layer.described import with_gradient
from nnlite.layer.layer import Layer


def inputs_by_name(layer: Layer, X: Any) -> dict[str, Any]:
    """Each input by its name: its name in a Graph or dict, otherwise "X", or "X1", "X2" ... if there are several.

    They are in the order of forward's arguments. For the names of these arguments see
    :func:`nnlite.containers.argument_names.input_names_of`.

    >>> import nnlite as nn
    >>> inputs_by_name(nn.Tanh(), 1.0), inputs_by_name(nn.Add(), (1.0, 2.0))
    ({'X': 1.0}, {'X1': 1.0, 'X2': 2.0})
    """
    if isinstance(X, dict):
        names = getattr(layer, "input_names", X)
        return {name: X[name] for name in names if name in X}
    if not isinstance(X, tuple):
        return {"X": X}
    names = getattr(layer, "input_names", [])
    if len(names) != len(X):  # if these are wrong, forward raises the error
        names = [None] * len(X)
    return {name or f"X{number}": value for number, (name, value) in enumerate(zip(names, X, strict=True), start=1)}


def differentiable(layer: Layer, inputs: dict[str, Any]) -> dict[str, Any]:
    """Those of the layer's ``inputs`` that have a gradient, in the order in which backward returns it.

    >>> import nnlite as nn
    >>> differentiable(nn.MSELoss(), inputs_by_name(nn.MSELoss(), (1.0, 2.0)))
    {'X1': 1.0}
    """
    items = list(inputs.items())
    return dict(items[position] for position in with_gradient(layer, [X for _, X in items]) if position < len(items))


def gradients_by_name(layer: Layer, inputs: dict[str, Any], dXs: Any) -> dict[str, Any]:
    """The gradients that backward of the layer returned, by the names of its ``inputs``.

    >>> import nnlite as nn
    >>> gradients_by_name(nn.Add(), {"a": 1.0, "b": 2.0}, (3.0, 4.0))
    {'a': 3.0, 'b': 4.0}
    >>> gradients_by_name(nn.MSELoss(), {"X1": 1.0, "X2": 2.0}, 5.0)
    {'X1': 5.0}
    """
    return dXs if isinstance(dXs, dict) else dict(zip(differentiable(layer, inputs), listed(dXs), strict=False))
