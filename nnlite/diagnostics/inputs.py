"""What the inputs of a layer are called."""

from typing import Any

from nnlite.layer import Layer


def input_names(layer: Layer, X: Any) -> dict[str, Any]:
    """Each input by its name: that which a Graph or a dict gives it, else "X", or "X1", "X2" ... of several.

    >>> import nnlite as nn
    >>> input_names(nn.Tanh(), 1.0), input_names(nn.Add(), (1.0, 2.0))
    ({'X': 1.0}, {'X1': 1.0, 'X2': 2.0})
    """
    if isinstance(X, dict):
        return X
    if not isinstance(X, tuple):
        return {"X": X}
    names = getattr(layer, "input_names", [None] * len(X))
    return {name or f"X{number}": value for number, (name, value) in enumerate(zip(names, X, strict=True), start=1)}
