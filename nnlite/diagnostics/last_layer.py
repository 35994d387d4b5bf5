"""The layer that computes the output of a model."""

from nnlite.containers.graph import Graph
from nnlite.containers.sequential import Sequential
from nnlite.layer.layer import Layer


def last_layer(model: Layer) -> Layer | None:
    """The layer that computes the model's only output; None if there are several outputs, or no layers.

    >>> import nnlite as nn
    >>> last_layer(nn.Sequential(nn.Linear(2, 1), nn.Sequential(nn.Sigmoid())))
    Sigmoid()
    """
    while type(model).forward in (Sequential.forward, Graph.forward) and model.num_outputs == 1:
        parts = [layer for _, layer in model.named_children()]
        if not parts:
            return None
        model = parts[-1]
    return model
