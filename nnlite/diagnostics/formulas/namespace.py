"""What the names in a layer's formulas stand for, and what the formulas then come to."""

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from nnlite.diagnostics.formulas.functions import FUNCTIONS, NumPy
from nnlite.diagnostics.formulas.of_layer import formulas_of
from nnlite.diagnostics.formulas.options import Attributes, evaluated
from nnlite.layer import Layer


def namespace(layer: Layer, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the names in a layer's formulas stand for: the arrays, then functions, then the layer's attributes.

    >>> import numpy as np, nnlite as nn
    >>> names = namespace(nn.Softmax(), {"X": np.zeros(2)})
    >>> names["X"], names["dim"], names["exp"]
    (array([0., 0.]), -1, <ufunc 'exp'>)
    """
    return ChainMap(dict(arrays), Attributes(layer), FUNCTIONS, NumPy())  # type: ignore[arg-type]


def values_of(layer: Layer, Xs: tuple[Any, ...], dYs: tuple[Any, ...] = ()) -> dict[str, Any]:
    """What a layer's formulas give for these inputs and, if there are any, gradients of the outputs.

    Args:
        layer: any Layer, after its forward, since formulas may name what that keeps.
        Xs: what its forward took.
        dYs: what its backward took.

    Raises:
        ValueError: a formula cannot be evaluated; the message names the class and the formula.

    >>> import numpy as np, nnlite as nn
    >>> values = values_of(nn.Square(), (np.array([1.0, 3.0]),), (np.array([1.0, 1.0]),))
    >>> values["Y"], values["dX"]
    (array([1., 9.]), array([2., 6.]))
    """
    formulas = formulas_of(layer, len(Xs))
    arrays: dict[str, Any] = dict(zip(formulas.inputs, Xs, strict=True))
    lines = list(formulas.forward)
    if dYs:
        arrays |= zip(("d" + name for name in formulas.outputs), dYs, strict=True)
        lines += formulas.backward
    names = namespace(layer, arrays)
    for line in lines:
        try:
            names[line.name] = evaluated(line.expression, names)  # type: ignore[index]
        except Exception as error:
            raise ValueError(f"{type(layer).__name__}: formulas: {line}: {type(error).__name__}: {error}") from error
    return {line.name: names[line.name] for line in lines}
