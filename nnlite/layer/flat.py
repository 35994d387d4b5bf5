"""The flat vectors: Phi and dPhi, the storage of all parameters and gradients of a model.

Three rules hold at all times:

- A parameter is written in place and never rebound, so a reference to ``layer.W`` or ``model.Phi`` stays valid. The
  arrays are replaced only when a layer joins a model, or a model changes its dtype: read them again then.
- A model's Phi is one contiguous array; the Phi of each part is a slice of it, and each parameter a view into that.
- So a layer belongs to one model. The model *adopts* its parts, and as long as it exists no other can adopt them.
"""

import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.errors import StateError
from nnlite.layer.cache import check_declared
from nnlite.layer.hidden import Reference, check_hidden

Layer = Any  # the class in layer.py, which is built on this file

MAX_DEPTH = 100  # of layers in layers: Python's stack, from which copies, files and predict call, ends not far beyond


def adopt(model: Layer, new: Iterable[Layer]) -> None:
    """Adopt the layers ``new``, which are parts of ``model`` already: all of them, or none.

    All parameters of ``model`` move into one new Phi, and their gradients into one new dPhi.

    Raises:
        ValueError: the same layer object is used twice in the model, or belongs to another model, or dtypes differ, or
            layers nest too deeply.
    """
    new = list(new)
    check_depth(model)
    _check_free(model, new)
    flatten(model)
    _own(model, new)


def extend(model: Layer, layer: Layer) -> None:
    """As :func:`adopt`, for a layer that is the last part: Phi grows, and the other parameters mostly stay in place.

    Like a list, Phi is allocated with room for as much again, so that appending n layers takes time linear in n.
    """
    check_depth(layer, MAX_DEPTH - 1)
    _check_free(model, [layer])
    size, more = model.Phi.size, layer.Phi.size
    if layer.Phi.dtype != model.Phi.dtype or model._room is None or model._room[0].size < size + more:
        flatten(model, room=2 * (size + more))
    else:
        Phi, dPhi = model._room
        _move(layer, Phi, dPhi, start=size)
        model._Phi, model._dPhi = Phi[: size + more], dPhi[: size + more]
    _own(model, [layer])


def check_depth(model: Layer, most: int = MAX_DEPTH) -> None:
    """Raise if layers in it nest more than ``most`` deep; a layer without others is 1 deep.

    Raises:
        ValueError: they do, or one contains itself.

    >>> import nnlite as nn
    >>> check_depth(nn.Sequential(nn.Tanh()), 2)
    """
    level = [model]
    for _ in range(most):
        level = list({id(child): child for layer in level for _, child in layer.named_children()}.values())
        if not level:
            return
    raise ValueError(
        f"{model.one_line()}: layers nest more than {MAX_DEPTH} deep, or one contains itself; put the layers of a "
        "chain into one container, Sequential(*layers)"
    )


def _check_free(model: Layer, new: list[Layer]) -> None:
    """Raise unless each of the layers is used once, and is part of no other model."""
    for layer in new:
        layer.own_parts()
    if len(set(map(id, new))) == len(new) and not any(layer._adopted for layer in new):
        return
    seen: set[int] = set()
    for _, layer in model.named_layers():
        if id(layer) in seen:
            raise ValueError(
                f"{layer.one_line()}: the same layer object is used twice in one model, but it has one cache; make a "
                "second layer, or use nnlite.tied(layer) for a second use of the same parameters"
            )
        seen.add(id(layer))
    taken = next(layer for layer in new if layer._adopted)
    raise ValueError(
        f"{taken.one_line()} already belongs to another model, whose Phi holds its parameters; "
        "make a new layer, or use copy.deepcopy(layer)"
    )


def _own(model: Layer, new: list[Layer]) -> None:
    for layer in new:
        layer._owner = weakref.ref(model)
    if model.sums_tied and any(part.original is not None for layer in new for _, part in layer.named_layers()):
        model._tied = tied_in(model)


def release(layer: Layer) -> None:
    """Move a layer that was taken out of its model into a Phi of its own."""
    layer._owner = None
    layer.needs_dX = True
    flatten(layer)


def tied_in(model: Layer) -> tuple[Reference, ...]:
    """The layers in ``model`` that are tied to another one in it, except those whose gradients a part adds already."""
    layers = [layer for _, layer in model.named_layers()]
    here = set(map(id, layers))
    done = {id(tied.layer) for layer in layers if layer is not model for tied in layer._tied}
    return tuple(
        Reference(layer)
        for layer in layers
        if layer.original is not None and id(layer.original) in here and id(layer) not in done
    )


def check_whole(model: Layer) -> None:
    """Raise unless every parameter below ``model`` lives in its Phi.

    Raises:
        TypeError: an object holds a layer, where it is not found, or a layer has parameters that are not declared.
        StateError: a part was added or replaced after Phi was made.
    """
    check_hidden(model)
    for _, layer in model.named_layers():
        check_declared(layer)
    Phi = model.Phi
    for name, P in model.named_parameters():
        if not np.may_share_memory(P, Phi):
            raise StateError(
                f"{model.one_line()}: {name} is not in Phi: its layer was added after Phi was made, so it would not "
                "be trained; build the model anew, or append to a Sequential"
            )


def check_ties(model: Layer) -> None:
    """Raise if gradients of a tied layer would be lost.

    Raises:
        StateError: the layer that it is tied to is not in ``model``, or no container adds its gradients.

    >>> import nnlite as nn
    >>> layer = nn.Linear(2, 2)
    >>> check_ties(nn.Sequential(nn.tied(layer)))
    Traceback (most recent call last):
        ...
    nnlite.errors.StateError: Tied(Linear(2 -> 2)) would not be trained in Sequential(1 layers): ...
    """
    layers = [layer for _, layer in model.named_layers()]
    added = {id(tied.layer) for layer in layers for tied in layer._tied}
    for layer in layers:
        if layer.original is not None and id(layer) not in added:
            raise StateError(
                f"{layer.one_line()} would not be trained in {model.one_line()}: put it and the layer that it is tied "
                "to into one Sequential or Graph, which adds their gradients"
            )


def flatten(model: Layer, room: int = 0) -> None:
    """Move all parameters of ``model`` and its parts into one new Phi, and their gradients into one new dPhi.

    Args:
        model: the layer.
        room: how large the arrays are at least, of which Phi and dPhi are the beginning.

    Raises:
        ValueError: they differ in dtype, or from the floating buffers.
    """
    parameters = dict(model.named_parameters())
    dtypes = {name: P.dtype for name, P in parameters.items()}
    dtypes |= {name: buffer.dtype for name, buffer in model.named_buffers() if buffer.dtype.kind == "f"}
    if len(set(dtypes.values())) > 1:
        listing = ", ".join(f"{name} is {dtype}" for name, dtype in dtypes.items())
        raise ValueError(f"one model, one dtype: give every layer the same dtype=, or call its astype first; {listing}")
    dtype = next(iter(dtypes.values()), model.dtype)
    size = max(room, sum(P.size for P in parameters.values()))
    Phi, dPhi = np.empty(size, dtype), np.zeros(size, dtype)
    stop = _move(model, Phi, dPhi, start=0)
    if stop == size:  # not views of all of them: kernels see at once that arrays with memory of their own are apart
        model._Phi, model._dPhi = Phi, dPhi
    model._room = Phi, dPhi


def _move(layer: Layer, Phi: Array, dPhi: Array, start: int) -> int:
    """Move the layer's own parameters, then those of its parts, to ``start`` and on; return where they end."""
    stop = start
    for name in layer._parameters:
        P, dP = getattr(layer, name), getattr(layer, "d" + name)
        if P is not None:
            place = slice(stop, stop + P.size)
            for key, old, flat in ("_" + name, P, Phi), ("_d" + name, dP, dPhi):
                view = flat[place].reshape(P.shape)
                view[...] = old
                layer.__dict__[key] = view
            stop += P.size
    for _, child in layer.named_children():
        stop = _move(child, Phi, dPhi, stop)
    layer.dtype = Phi.dtype
    layer._Phi, layer._dPhi, layer._room = Phi[start:stop], dPhi[start:stop], None
    return stop
