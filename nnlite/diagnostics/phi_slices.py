"""The slice of Phi that each layer's parameters occupy."""

from nnlite.layer.layer import Layer


def own_slices(model: Layer) -> dict[str, slice]:
    """The slice of Phi and dPhi of each layer's own parameters, by its path, without those of the layers in it.

    >>> import nnlite as nn
    >>> own_slices(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)))
    {'0': slice(0, 9, None), '2': slice(9, 13, None)}
    """
    slices: dict[str, slice] = {}
    start = 0
    for path, layer in model.named_layers():
        stop = start + sum(P.size for name in layer._parameters if (P := getattr(layer, name)) is not None)
        if stop > start:
            slices[path] = slice(start, stop)
        start = stop
    return slices
