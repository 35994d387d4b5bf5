"""The layer that computes the output of a model."""

from typing import Any

import numpy as np

from nnlite.containers.program import Program
from nnlite.layer.layer import Layer

ONE_OUTPUT = "use Sigmoid() for two classes, or one output per class"


def last_layer(model: Layer) -> Layer | None:
    """The layer that computes the model's only output; None if there are several outputs, or no layers.

    >>> import nnlite as nn
    >>> last_layer(nn.Sequential(nn.Linear(2, 1), nn.Sequential(nn.Sigmoid())))
    Sigmoid()
    """
    try:
        program = Program.of(model)
    except TypeError:  # the layers fit together only for more inputs than the first one must have
        return None
    last = program.giver(program.outputs[0]) if len(program.outputs) == 1 else None
    return None if last is None else last.layer


def constant_output(model: Layer, Y: Any) -> str | None:
    """A sentence that says that the last layer's output is constant, as a softmax over one class; None if it is not.

    >>> import numpy as np, nnlite as nn
    >>> constant_output(nn.Sequential(nn.Linear(2, 1), nn.Softmax()), np.ones((5, 1)))
    'Softmax(dim=-1) of a single output is always 1'
    """
    last = last_layer(model)
    always = None if last is None else last.constant_output(np.asarray(Y))
    return None if always is None else f"{last} of a single output is always {always:g}"
