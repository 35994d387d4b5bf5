"""Mistakes in the form of what backward returned: too few gradients, too many, or one of a wrong shape."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, listed
from nnlite.diagnostics.named_inputs import differentiable, gradients_by_name, inputs_by_name
from nnlite.diagnostics.recording import LayerCall, Recording
from nnlite.diagnostics.trial import Trial, floats_as_float64


def first_wrong_return(calls: Iterable[LayerCall]) -> str | None:
    """Return what is wrong with the form of the first wrong result of a backward, or None.

    Args:
        calls: in the order in which backward ran.

    >>> first_wrong_return([]) is None
    True
    """
    return next((fault for call in calls if (fault := wrong_return(call))), None)


def wrong_return(call: LayerCall) -> str | None:
    """Return the layer's place and what is wrong with the number or the shapes of its gradients, or None.

    >>> import nnlite as nn
    >>> X = np.ones(2)
    >>> wrong_return(LayerCall("", "Own()", nn.Multiply(), (X, X), {}, X, (X,), dX=X))
    'Own(): backward returned 1 gradient, 2 inputs have one; return those of X1, X2, in this order, or name the
    arguments of forward that have no gradient in without_gradient'
    """
    if call.dX is None:  # right for some layers, and an error of its own for the others
        return None
    inputs = inputs_by_name(call.layer, call.X)
    fault = not_one_for_each(differentiable(call.layer, inputs), call.dX)
    if fault:
        return f"{call.place}: {fault}"
    for name, dX in gradients_by_name(call.layer, inputs, call.dX).items():
        if name in inputs and np.shape(dX) != np.shape(inputs[name]):
            return f"{call.place}: {shape_fault(name, inputs[name], np.asarray(dX))}"
    return None


def not_one_for_each(inputs: dict[str, Any], dX: Any) -> str:
    """Return which gradients are missing, or that there are too many; empty if there is one for each input.

    Args:
        inputs: those that have a gradient, by name.
        dX: what backward returned.

    >>> not_one_for_each({"X1": np.ones(2), "X2": np.ones(2)}, (np.ones(2), None))
    'backward returned None for the gradient of X2; if it has none, name its argument of forward in without_gradient'
    >>> not_one_for_each({"X": np.ones(2)}, (np.ones(2), np.ones(2)))
    'backward returned 2 gradients, 1 input has one; return that of X'
    """
    gradients = dX if isinstance(dX, dict) else dict(zip(inputs, listed(dX), strict=False))
    count = len(listed(dX))
    if count != len(inputs) or gradients.keys() != inputs.keys():
        names = ", ".join(inputs)
        have = f"{len(inputs)} inputs have one" if len(inputs) != 1 else "1 input has one"
        cure = f"return those of {names}, in this order" if len(inputs) > 1 else f"return that of {names}"
        if len(inputs) > count:
            cure += ", or name the arguments of forward that have no gradient in without_gradient"
        return f"backward returned {count} gradient{'s' * (count != 1)}, {have}; {cure if inputs else 'return None'}"
    without = ", ".join(name for name in inputs if gradients[name] is None)
    if without:
        return (
            f"backward returned None for the gradient of {without}; "
            "if it has none, name its argument of forward in without_gradient"
        )
    return ""


def modified_cache(trial: Trial, gradients: dict[str, Array], recording: Recording) -> str | None:
    """Return the first layer whose second backward differs from its first, so that it modifies its cache; or None.

    >>> import nnlite as nn
    >>> modified_cache(Trial(nn.Tanh(), np.ones(1), dY=np.ones(1)), {}, Recording()) is None
    True
    """
    if not _another(trial, gradients):
        return None
    for call in recording.backwards:
        X, dY = (each_of(floats_as_float64, values) for values in (call.X, call.dY))
        alone = Trial(call.layer, X, call.target, dY=dY)
        try:
            alone.forward()
            if not _another(alone, alone.backward()):
                continue
        except Exception:  # a layer that does not run without its container cannot be judged
            continue
        return (
            f"{call.place}: backward modifies an array that forward cached: a second backward returns other gradients "
            "than the first; compute a new array instead"
        )
    return None


def _another(trial: Trial, first: dict[str, Array]) -> bool:
    """Return whether backward now returns other gradients."""
    try:
        with np.errstate(all="ignore"):
            second = trial.backward()
    except Exception:  # a layer may support one backward only
        return False
    return any(name in second and not np.array_equal(dP, second[name], equal_nan=True) for name, dP in first.items())


def shape_fault(name: str, P: Array, dP: Array) -> str:
    """Return what is wrong with a gradient of a wrong shape.

    >>> shape_fault("W", np.zeros((3, 2)), np.zeros((2, 3)))
    'dW: expected shape (3, 2), that of W, got (2, 3); it looks transposed'
    """
    hint = ""
    if P.ndim > 1 and dP.shape == P.shape[::-1]:
        hint = "; it looks transposed"
    elif _broadcasts(P.shape, dP.shape):
        hint = "; sum it over the axes along which forward broadcasts"
    return f"d{name}: expected shape {P.shape}, that of {name}, got {dP.shape}{hint}"


def _broadcasts(shape: tuple[int, ...], larger: tuple[int, ...]) -> bool:
    """Return whether ``shape`` broadcasts to ``larger``."""
    try:
        return np.broadcast_shapes(shape, larger) == larger
    except ValueError:
        return False
