"""Observe every forward and backward in a model while it runs."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from nnlite.basics.trees import listed, spread
from nnlite.layer.layer import Layer

Record = tuple[str, Layer, Any]
See = Callable[[str, str, "partial[Any]", Any], None]
Wrap = Callable[[str, str, Callable[..., Any]], Callable[..., Any]]


@contextmanager
def watching(model: Layer, see: See, path: str = "") -> Iterator[None]:
    """Context manager: each forward and backward in ``model`` ends with a call ``see(path, name, call, result)``.

    ``path`` is the path of the layer, ``name`` "forward" or "backward", and ``call`` that method with its arguments;
    ``call()`` repeats it unobserved.

    Args:
        model: any Layer.
        see: the callback.
        path: the path of ``model`` itself.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    >>> with watching(model, lambda path, name, call, result: print(path, name, result.shape), "model"):
    ...     Y = model.forward(np.ones((5, 3)))
    ...     dX = model.backward(Y)
    model.0 forward (5, 2)
    model.1 forward (5, 2)
    model forward (5, 2)
    model.1 backward (5, 2)
    model.0 backward (5, 3)
    model backward (5, 3)
    """

    def seen(path: str, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            call = partial(method, *args, **kwargs)
            result = call()
            see(path, name, call, result)
            return result

        return run

    with wrapping(model, seen, path):
        yield


@contextmanager
def wrapping(model: Layer, wrap: Wrap, path: str = "") -> Iterator[None]:
    """Context manager: replace each forward and backward in ``model`` by ``wrap(path, name, method)``.

    >>> import nnlite as nn
    >>> layer = nn.Tanh()
    >>> with wrapping(layer, lambda path, name, method: lambda X: -method(X)):
    ...     layer.forward(np.zeros(1) + 1)
    array([-0.76159416])
    """
    replaced = []
    for place, layer in list(model.named_layers(path)):
        for name in "forward", "backward":
            replaced.append((vars(layer), name, vars(layer).get(name)))
            vars(layer)[name] = wrap(place, name, getattr(layer, name))
    try:
        yield
    finally:
        for attributes, name, own in replaced:
            del attributes[name]
            if own is not None:
                attributes[name] = own


def trace(model: Layer, *inputs: Any, **named: Any) -> list[Record]:
    """Run the model in evaluation mode; returns (path, layer, Y) of every layer, in the order in which forwards end.

    Runs on copies of the model and its inputs.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    >>> [(path, Y.shape) for path, layer, Y in trace(model, np.ones((5, 3)))]
    [('0', (5, 2)), ('1', (5, 2)), ('', (5, 2))]
    """
    duplicate = copy.deepcopy(model).eval()
    originals = dict(model.named_layers())
    records: list[Record] = []
    with watching(duplicate, lambda path, name, call, Y: records.append((path, originals[path], Y))):
        duplicate.forward(*map(np.array, inputs), **{name: np.array(X) for name, X in named.items()})
    return records


def place(model: Layer, path: str, layer: Layer) -> str:
    """The place of a layer in a model, for messages: ``Sequential[1][0] Linear(3 -> 2)`` for the path "1.0".

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2))
    >>> place(model, "0", model[0])
    'Sequential[0] Linear(3 -> 2)'
    """
    if not path:
        return layer.one_line()
    steps = "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in path.split("."))
    return f"{type(model).__name__}{steps} {layer.one_line()}"


def output_not_finite(model: Layer, X: Any) -> str | None:
    """A sentence that names the first layer whose output is not finite; None if all outputs are finite.

    >>> import nnlite as nn
    >>> output_not_finite(nn.Sequential(nn.Negative(), nn.Exp()), np.array([-1e9]))
    'Sequential[1] Exp() is the first layer whose output is not finite'
    """
    with np.errstate(all="ignore"):
        records = spread(partial(trace, model), X)
    for path, layer, Y in records:
        if not all_finite(Y):
            return f"{place(model, path, layer)} is the first layer whose output is not finite"
    return None


def parameter_not_finite(model: Layer) -> str | None:
    """A sentence that names the first parameter or buffer that is not finite; None if all are finite.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(1, 1))
    >>> model[0].b = [np.inf]
    >>> parameter_not_finite(model)
    'b of Sequential[0] Linear(1 -> 1) is not finite'
    """
    layers = dict(model.named_layers())
    for path, A in (*model.named_parameters(), *model.named_buffers()):
        if not all_finite(A):
            layer, _, name = path.rpartition(".")
            return f"{name} of {place(model, layer, layers[layer])} is not finite"
    return None


def all_finite(values: Any) -> bool:
    """Whether an array, or every array in a tuple or dict, is free of NaN and infinity.

    >>> all_finite((np.zeros(1), np.array([np.nan])))
    False
    """
    return all(np.isfinite(each).all() for each in listed(values))
