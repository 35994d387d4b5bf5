"""What backward returned, where its form alone shows that it is wrong: too few gradients, or one of another shape."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, listed
from nnlite.containers.wiring import is_loss
from nnlite.diagnostics.named_inputs import by_input, inputs_by_name
from nnlite.diagnostics.trial import Trial, floats_as_float64
from nnlite.diagnostics.witness import Visit, Witness
from nnlite.layer.layer import Layer


def first_misfit(visits: Iterable[Visit], losses: Iterable[Layer | None] = ()) -> str | None:
    """The first on the way back that returned too few or too many gradients, or one of another shape; or None.

    Args:
        visits: in the order of the way back.
        losses: the layers that are used as a loss, and owe no gradient of their target.

    >>> first_misfit([]) is None
    True
    """
    used = [loss for loss in losses if loss is not None]
    return next(
        (fault for visit in visits if (fault := misfit(visit, any(visit.layer is loss for loss in used)))), None
    )


def misfit(visit: Visit, as_loss: bool = False) -> str | None:
    """What is wrong with the number and the shapes of the gradients that a layer returned, and its place; or None.

    >>> import nnlite as nn
    >>> X = np.ones(2)
    >>> misfit(Visit("Own()", nn.Multiply(), (X, X), None, X, X, dX=X))
    'Own(): backward returned 1 gradient, forward has 2 inputs; return one for each of X1, X2, in this order'
    """
    if visit.dX is None:
        return None
    inputs = inputs_by_name(visit.layer, visit.X)
    fault = "" if as_loss or is_loss(visit.layer) else not_one_for_each(inputs, visit.dX)
    if fault:
        return f"{visit.place}: {fault}"
    for name, dX in by_input(inputs, visit.dX).items():
        if dX is not None and name in inputs and np.shape(dX) != np.shape(inputs[name]):
            return f"{visit.place}: {shape_fault(name, inputs[name], np.asarray(dX))}"
    return None


def not_one_for_each(inputs: dict[str, Any], dX: Any) -> str:
    """Which gradients are missing, or that there are too many; empty if each input has its own.

    One of whole numbers, which are classes, has none; whether None stands in its place is left to the layer.

    >>> not_one_for_each({"X1": np.ones(2), "X2": np.ones(2)}, (np.ones(2), None))
    'backward returned None for the gradient of X2; only an input of whole numbers has none'
    >>> not_one_for_each({"X": np.ones(2)}, (np.ones(2), np.ones(2)))
    'backward returned 2 gradients, forward has 1 input; return one for each of X, in this order'
    >>> not_one_for_each({"X": np.ones(2), "classes": np.ones(2, int)}, np.ones(2))
    ''
    """
    gradients = by_input(inputs, dX)
    owed = [name for name, A in inputs.items() if getattr(A, "dtype", np.dtype(int)).kind == "f"]
    count = len(listed(dX))
    if count > len(inputs) or any(name not in gradients for name in owed):
        returned = f"{count} gradient{'s' * (count != 1)}, forward has {len(inputs)} input{'s' * (len(inputs) != 1)}"
        return f"backward returned {returned}; return one for each of {', '.join(inputs)}, in this order"
    without = [name for name in owed if gradients[name] is None]
    if without:
        names = ", ".join(without)
        return f"backward returned None for the gradient of {names}; only an input of whole numbers has none"
    return ""


def spoiled_cache(trial: Trial, gradients: dict[str, Array], witness: Witness) -> str | None:
    """The first layer whose second backward gives something else than the ``gradients`` of the first; or None.

    >>> spoiled_cache(Trial(Layer(), ()), {}, Witness()) is None
    True
    """
    if not _another(trial, gradients):
        return None
    for visit in witness.visits:
        X, dY = (each_of(floats_as_float64, values) for values in (visit.X, visit.dY))
        alone = Trial(visit.layer, X, visit.target, dY=dY)
        try:
            alone.forward()
            if not _another(alone, alone.backward()):
                continue
        except Exception:  # nothing is said of a layer that does not run without its container
            continue
        return (
            f"{visit.place}: backward writes into what forward kept: a second backward gives something else than the "
            "first; make a new array in place of it"
        )
    return None


def _another(trial: Trial, first: dict[str, Array]) -> bool:
    """Whether backward gives something else than before."""
    try:
        with np.errstate(all="ignore"):
            second = trial.backward()
    except Exception:  # it may be made for one backward
        return False
    return any(name in second and not np.array_equal(dP, second[name], equal_nan=True) for name, dP in first.items())


def shape_fault(name: str, P: Array, dP: Array) -> str:
    """What is wrong with a gradient of another shape.

    >>> shape_fault("W", np.zeros((3, 2)), np.zeros((2, 3)))
    'dW: expected shape (3, 2), that of W, got (2, 3); it looks transposed'
    """
    hint = ""
    if P.ndim > 1 and dP.shape == P.shape[::-1]:
        hint = "; it looks transposed"
    elif _repeats(P.shape, dP.shape):
        hint = "; it is not yet summed over the axes along which forward repeats it"
    return f"d{name}: expected shape {P.shape}, that of {name}, got {dP.shape}{hint}"


def _repeats(shape: tuple[int, ...], larger: tuple[int, ...]) -> bool:
    """Whether ``shape`` broadcasts to ``larger``."""
    try:
        return np.broadcast_shapes(shape, larger) == larger
    except ValueError:
        return False
