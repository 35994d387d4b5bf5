"""The values of the names in a layer's formulas."""

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from nnlite.diagnostics.formulas.functions import FUNCTIONS, NumPy
from nnlite.diagnostics.formulas.options import Attributes
from nnlite.layer.layer import Layer


def namespace(layer: Layer, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the names in a layer's formulas with their values: the arrays, the layer's attributes, then functions.

    >>> import numpy as np, nnlite as nn
    >>> names = namespace(nn.Softmax(), {"X": np.zeros(2)})
    >>> names["X"], names["dim"], names["exp"]
    (array([0., 0.]), -1, <ufunc 'exp'>)
    """
    return ChainMap(dict(arrays), Attributes(layer), FUNCTIONS, NumPy())  # type: ignore[arg-type]
