"""Likely causes of an error in a layer's forward or backward: a missing transpose, a parameter without a value."""

from collections.abc import Iterator
from inspect import signature
from typing import Any

import numpy as np

from nnlite.diagnostics.recording import LayerCall
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer
from nnlite.losses.loss import is_loss


def likely_cause(call: LayerCall, error: Exception) -> str | None:
    """Return the place of the call and the likely cause of its error, or None.

    >>> import nnlite as nn
    >>> call = LayerCall("", "Own()", nn.Linear(3, 2), (np.ones((5, 3)),), {}, dYs=(np.ones((5, 2)),))
    >>> likely_cause(call, ValueError("matmul: ..."))
    'Own(): is a transpose missing? These products fit: dY (5, 2) @ W.T (2, 3), X.T (3, 5) @ dY (5, 2)'
    """
    layer = call.layer
    if isinstance(error, TypeError) and call.dY is not None and is_loss(layer) and not _takes_dJ(layer):
        return f"{call.place}: the backward of a loss takes dJ: def backward(self, dJ=1.0)"
    if layer._parameters and all(getattr(layer, name) is None for name in layer._parameters):
        return f"{call.place}: {', '.join(layer._parameters)}: no value; assign it in __init__"
    if not isinstance(error, ValueError) or isinstance(error, ShapeError):
        return None
    fitting = ", ".join(_only_transposed(call))
    return f"{call.place}: is a transpose missing? These products fit: {fitting}" if fitting else None


def _takes_dJ(loss: Layer) -> bool:
    try:
        signature(type(loss).backward).bind(loss, 1.0)
    except TypeError:
        return False
    return True


def _only_transposed(call: LayerCall) -> Iterator[str]:
    """Yield the products of X or dY and a parameter, and of X and dY, that fit only with a transpose."""
    came, A = ("X", call.X) if call.dY is None else ("dY", call.dY)
    own = {name: value for name in call.layer._parameters if (value := getattr(call.layer, name)) is not None}
    if not _is_matrix(A):
        return
    for name, B in {name: value for name, value in own.items() if _is_matrix(value)}.items():
        if A.shape[-1] != B.shape[0] and A.shape[-1] == B.shape[1]:
            yield f"{came} {A.shape} @ {name}.T {B.T.shape}"
    if call.dY is not None and _is_matrix(call.X) and call.X.shape[-1] != len(A) == len(call.X):
        yield f"X.T {call.X.T.shape} @ dY {A.shape}"


def _is_matrix(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.ndim == 2
