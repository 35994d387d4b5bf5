"""The layer that computes the output of a model."""

from typing import Any

import numpy as np

from nnlite.containers.graph import Graph
from nnlite.containers.sequential import Sequential
from nnlite.layer.layer import Layer
from nnlite.layers.activations import LogSoftmax, Softmax

ONE_OUTPUT = "use Sigmoid() for two classes, or one output per class"


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


def constant_softmax(model: Layer, Y: Any) -> str | None:
    """A sentence that says that the model ends with a softmax over one class, which is constant; None if it does not.

    >>> import numpy as np, nnlite as nn
    >>> constant_softmax(nn.Sequential(nn.Linear(2, 1), nn.Softmax()), np.ones((5, 1)))
    'Softmax(dim=-1) of a single output is always 1'
    """
    last = last_layer(model)
    if isinstance(last, Softmax | LogSoftmax) and np.shape(Y)[last.dim] == 1:
        return f"{last} of a single output is always {int(isinstance(last, Softmax))}"
    return None
