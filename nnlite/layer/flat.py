"""Declared parameters, and the flat vectors Phi and dPhi that all the parameters of a model live in.

Three rules hold at all times:

- A parameter is written into and never rebound, so whoever holds ``layer.W`` or ``model.Phi`` holds the real thing.
  Only where a layer joins a model, or the model changes dtype, they move: ask for them again.
- A model's Phi is one contiguous array; each part's Phi is a slice of it, and each parameter a view into that.
- So a layer belongs to one model. The model *adopts* its parts, and an adopted layer cannot be adopted again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.errors import StateError

if TYPE_CHECKING:
    from nnlite.layer.layer import Layer


@dataclass(eq=False)
class Reference:
    """Something that knows a layer without having it for a part of itself.

    >>> import nnlite as nn
    >>> Reference(nn.Tanh()).layer
    Tanh()
    """

    layer: "Layer"


def adopt(model: "Layer", new: Iterable["Layer"]) -> None:
    """Make the layers ``new``, which stand in ``model`` already, its own: all of them, or none.

    Everything below ``model`` moves into one new Phi and dPhi.

    Raises:
        ValueError: a layer stands twice in the model or belongs to another one, or the dtypes differ.
    """
    new = list(new)
    for layer in new:
        layer.Phi  # noqa: B018 - a composite layer adopts its own parts first
    seen: set[int] = set()
    for _, layer in model.named_layers():
        if id(layer) in seen:
            raise ValueError(
                f"{layer.one_line()} stands twice in one model, but has one cache for two uses; "
                "make a second layer, or take nnlite.tied(layer) for a second use of the same parameters"
            )
        seen.add(id(layer))
    for layer in new:
        if layer._adopted:
            raise ValueError(
                f"{layer.one_line()} already belongs to another model, whose Phi holds its parameters; "
                "make a new layer, or take copy.deepcopy(layer)"
            )
    flatten(model)
    for layer in new:
        layer._adopted = True
    if model.sums_tied:
        model._tied = tied_in(model)


def tied_in(model: "Layer") -> tuple[Reference, ...]:
    """The layers in ``model`` that are tied to another one in it, but for those whose gradients a part adds already.

    >>> import nnlite as nn
    >>> layer = nn.Linear(2, 2)
    >>> [tied.layer for tied in tied_in(nn.Sequential(layer, nn.tied(layer)))]
    [Tied(Linear(2 -> 2))]
    """
    layers = [layer for _, layer in model.named_layers()]
    here = set(map(id, layers))
    done = {id(tied.layer) for layer in layers if layer is not model for tied in layer._tied}
    return tuple(
        Reference(layer)
        for layer in layers
        if layer.original is not None and id(layer.original) in here and id(layer) not in done
    )


def check_whole(model: "Layer") -> None:
    """Raise unless every parameter below ``model`` lives in its Phi.

    Raises:
        StateError: a part was put in, or put in place of another, after Phi was made.

    >>> import nnlite as nn
    >>> check_whole(nn.Sequential(nn.Linear(2, 1)))
    """
    Phi = model.Phi
    for name, P in model.named_parameters():
        if not np.may_share_memory(P, Phi):
            raise StateError(
                f"{model.one_line()}: {name} is not in Phi: its layer was put in after Phi was made, and would not "
                "learn; build the model anew, or append to a Sequential"
            )


def check_ties(model: "Layer") -> None:
    """Raise if gradients of a tied layer would be lost.

    Raises:
        StateError: the layer that it is tied to is not in ``model``, or nobody adds its gradients to that one's.

    >>> import nnlite as nn
    >>> layer = nn.Linear(2, 2)
    >>> check_ties(nn.Sequential(nn.tied(layer)))
    Traceback (most recent call last):
        ...
    nnlite.errors.StateError: Tied(Linear(2 -> 2)) learns nothing in Sequential(1 layers): ...
    """
    layers = [layer for _, layer in model.named_layers()]
    added = {id(tied.layer) for layer in layers for tied in layer._tied}
    for layer in layers:
        if layer.original is not None and id(layer) not in added:
            raise StateError(
                f"{layer.one_line()} learns nothing in {model.one_line()}: put it and the layer that it is tied to "
                "into one Sequential or Graph, which adds their gradients"
            )


def flatten(model: "Layer") -> None:
    """Move all the parameters and gradients of the tree below ``model`` into one new Phi and dPhi.

    Raises:
        ValueError: they differ in dtype.
    """
    dtypes = {name: P.dtype for name, P in model.named_parameters()}
    if len(set(dtypes.values())) > 1:
        listing = ", ".join(f"{name} is {dtype}" for name, dtype in dtypes.items())
        raise ValueError(f"one model, one dtype: give every layer the same dtype=, or call its astype first; {listing}")
    dtype = next(iter(dtypes.values()), model.dtype)
    size = sum(P.size for _, P in model.named_parameters())
    _move(model, np.empty(size, dtype), np.zeros(size, dtype), start=0)


def _move(layer: "Layer", Phi: Array, dPhi: Array, start: int) -> int:
    """Move the layer's own parameters, then its children's, to ``start`` and on; return where they end."""
    stop = start
    for name in layer._parameters:
        P, dP = getattr(layer, name), getattr(layer, "d" + name)
        if P is not None:
            place = slice(stop, stop + P.size)
            for key, old, flat in ("_" + name, P, Phi), ("_d" + name, dP, dPhi):
                view = flat[place].reshape(P.shape)
                view[...] = old
                vars(layer)[key] = view
            stop += P.size
    for _, child in layer.named_children():
        stop = _move(child, Phi, dPhi, stop)
    layer.dtype = Phi.dtype
    layer._Phi, layer._dPhi = Phi[start:stop], dPhi[start:stop]
    return stop
