"""Running a model once and seeing what every layer in it gives."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nnlite.layer import Layer

Record = tuple[str, Layer, Any]


def trace(model: Layer, *inputs: Any) -> list[Record]:
    """(path, layer, Y) of every layer in ``model``, in the order in which their forwards end.

    It runs on a twin of the model in evaluation mode, so nothing is written on the model itself.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    >>> [(path, Y.shape) for path, layer, Y in trace(model, np.ones((5, 3)))]
    [('0', (5, 2)), ('1', (5, 2)), ('', (5, 2))]
    """
    twin = model.evaluation_twin()
    originals = dict(model.named_layers())
    records: list[Record] = []

    def recording(path: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def record(*args: Any, **kwargs: Any) -> Any:
            Y = forward(*args, **kwargs)
            records.append((path, originals[path], Y))
            return Y

        return record

    for path, layer in list(twin.named_layers()):
        vars(layer)["forward"] = recording(path, layer.forward)
    twin.forward(*inputs)
    return records


def place(model: Layer, path: str, layer: Layer) -> str:
    """``Sequential[1][0] Linear(3 -> 2)`` for the path "1.0".

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2))
    >>> place(model, "0", model[0])
    'Sequential[0] Linear(3 -> 2)'
    """
    if not path:
        return layer.one_line()
    steps = "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in path.split("."))
    return f"{type(model).__name__}{steps} {layer.one_line()}"


def first_not_finite(model: Layer, X: Any) -> str | None:
    """Where the first NaN or infinity stands: in X, in a layer's parameters, or in what a layer gives; or None.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 1))
    >>> model[0].b = [np.inf]
    >>> first_not_finite(model, np.ones((1, 1)))
    'b of Sequential[0] Linear(1 -> 1) is not finite'
    """
    return next(_not_finite(model, X), None)


def _not_finite(model: Layer, X: Any) -> Iterator[str]:
    if not np.isfinite(X).all():
        yield "X itself holds a value that is not finite"
    with np.errstate(all="ignore"):
        records = trace(model, X)
    for path, layer, Y in records:
        for name in layer._parameters:
            P = getattr(layer, name)
            if P is not None and not np.isfinite(P).all():
                yield f"{name} of {place(model, path, layer)} is not finite"
        if not np.isfinite(Y).all():
            yield f"the first output that is not finite is that of {place(model, path, layer)}"
