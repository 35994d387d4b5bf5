"""The parameters of a single layer in a model: by name, with their gradients, and where they are in Phi."""

from nnlite.basics.arrays import Array
from nnlite.layer.layer import Layer


def own_parameters(layer: Layer) -> dict[str, Array]:
    """The layer's own parameters by name, without those of its parts.

    >>> import nnlite as nn
    >>> list(own_parameters(nn.Linear(2, 1))), own_parameters(nn.Sequential(nn.Linear(2, 1)))
    (['W', 'b'], {})
    """
    return {name: P for name in layer._parameters if (P := getattr(layer, name)) is not None}


def stored_gradients(layer: Layer) -> dict[str, Array]:
    """The gradients of the layer's parameters; of a tied layer those that it adds to the original's.

    >>> import nnlite as nn
    >>> list(stored_gradients(nn.Linear(2, 1)))
    ['W', 'b']
    """
    gradients = dict(layer.named_gradients())
    if layer.original is not None:
        names = {id(dP): name for name, dP in layer.original.named_gradients()}
        gradients |= {names[id(dP)]: own for dP, own in layer.own_gradients() if id(dP) in names}
    return gradients


def own_slices(model: Layer) -> dict[str, slice]:
    """The slice of Phi and dPhi of each layer's own parameters, by its path, without those of the layers in it.

    >>> import nnlite as nn
    >>> own_slices(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)))
    {'0': slice(0, 9, None), '2': slice(9, 13, None)}
    """
    slices: dict[str, slice] = {}
    start = 0
    for path, layer in model.named_layers():
        stop = start + sum(P.size for P in own_parameters(layer).values())
        if stop > start:
            slices[path] = slice(start, stop)
        start = stop
    return slices
