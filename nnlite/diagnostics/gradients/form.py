"""Mistakes that are seen without central differences: in what backward returns and modifies; causes of errors."""

from collections.abc import Iterator
from contextlib import suppress
from inspect import signature
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.diagnostics.gradients.fault import Fault
from nnlite.diagnostics.gradients.trial import Trial
from nnlite.diagnostics.named_inputs import differentiable, gradients_by_name, inputs_by_name
from nnlite.diagnostics.recording import LayerCall, Recording
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer
from nnlite.losses.loss import is_loss


def wrong_return(call: LayerCall) -> Fault | None:
    """What is wrong with the number or the shapes of the gradients that a layer returned, or None.

    >>> import nnlite as nn
    >>> X = np.ones(2)
    >>> print(wrong_return(LayerCall("", "Own()", nn.Multiply(), (X, X), {}, X, (X,), dX=X)))
    backward returned the wrong number of gradients: expected 2, got 1; return those of X1 and X2, in this order, or
    name the arguments of forward that have no gradient in without_gradient
    """
    if call.dX is None:  # right for some layers, and an error of its own for the others
        return None
    inputs = inputs_by_name(call.layer, call.X)
    given = differentiable(call.layer, inputs)
    dX = call.dX if isinstance(call.dX, dict) else dict(zip(given, listed(call.dX), strict=False))
    if len(listed(call.dX)) != len(given) or dX.keys() != given.keys():
        those = f"{'those' if len(given) > 1 else 'that'} of {' and '.join(given)}" if given else "None"
        those += ", in this order" if len(given) > 1 else ""
        detail = {"expected": len(given), "got": len(listed(call.dX)), "inputs": those}
        return Fault(call.place, "", "wrong number of gradients", detail)
    for name, gradient in gradients_by_name(call.layer, inputs, call.dX).items():
        if gradient is None:
            return Fault(call.place, f"d{name}", "missing gradient")
        if fault := wrong_shape(call.place, name, given[name], gradient):
            return fault
    return None


def wrong_shape(place: str, name: str, P: Any, dP: Any) -> Fault | None:
    """The fault of a gradient that does not have the shape of its array, or None.

    >>> print(wrong_shape("Own()", "W", np.zeros((3, 2)), np.zeros((2, 3))))
    dW: expected shape (3, 2), got (2, 3); it looks transposed
    """
    expected, got = np.shape(P), np.shape(dP)
    if expected == got:
        return None
    kind = "wrong shape"
    if len(expected) > 1 and got == expected[::-1]:
        kind = "transposed"
    elif len(got) >= len(expected) and all(n in (1, m) for n, m in zip(expected[::-1], got[::-1], strict=False)):
        kind = "sum over the batch missing"
    return Fault(place, f"d{name}", kind, {"expected": expected, "got": got})


def wrong_conduct(trial: Trial, gradients: dict[str, Array], recording: Recording) -> Fault | None:
    """The fault of a backward that draws random numbers, updates parameters or modifies its cache; or None.

    Args:
        trial: a model whose backward has run once.
        gradients: those that it returned.
        recording: its calls.

    >>> import nnlite as nn
    >>> wrong_conduct(Trial(nn.Tanh(), np.ones(1), dY=np.ones(1)), {}, Recording()) is None
    True
    """
    if recording.draws:
        return Fault(recording.draws[0], "", "random backward")
    for write in recording.updates:
        return Fault(write.place, "", "updated parameter", {"modified": write.array})
    if recording.writes or not _another(trial, gradients):
        return None
    for call in recording.backwards:
        with suppress(Exception):  # a layer that does not run without its container cannot be judged
            alone = Trial.of(call)
            alone.forward()
            if _another(alone, alone.backward()):
                return Fault(call.place, "", "modified cache")
    return None


def _another(trial: Trial, first: dict[str, Array]) -> bool:
    """Whether backward now returns other gradients."""
    try:
        with np.errstate(all="ignore"):
            second = trial.backward()
    except Exception:  # a layer may support one backward only
        return False
    return any(name in second and not np.array_equal(dP, second[name], equal_nan=True) for name, dP in first.items())


def likely_cause(call: LayerCall, error: Exception) -> str | None:
    """The place of a call that raised and the likely cause of its error, or None.

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
    if not _is_matrix(A):
        return
    for name in call.layer._parameters:
        B = getattr(call.layer, name)
        if _is_matrix(B) and A.shape[-1] != B.shape[0] and A.shape[-1] == B.shape[1]:
            yield f"{came} {A.shape} @ {name}.T {B.T.shape}"
    if call.dY is not None and _is_matrix(call.X) and call.X.shape[-1] != len(A) == len(call.X):
        yield f"X.T {call.X.T.shape} @ dY {A.shape}"


def _is_matrix(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.ndim == 2
