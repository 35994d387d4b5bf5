"""summary: the layers of a model in a table, with their output shapes and parameters."""

import operator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.trees import each_of, listed, spread
from nnlite.containers.nodes import Parameter
from nnlite.diagnostics.text_table import text_table
from nnlite.diagnostics.trace import trace
from nnlite.layer.layer import Layer, check_layer


@dataclass(frozen=True)
class Row:
    """One row of a summary: path, repr and output shape of a layer, number and bytes of its parameters.

    >>> Row("0", "Tanh()", (None, 2), 0, 0).output_shape
    (None, 2)
    """

    path: str
    layer: str
    output_shape: tuple[Any, ...]
    parameters: int
    bytes: int


@dataclass(frozen=True)
class Summary:
    """The result of :func:`summary`; ``print`` shows it as a table.

    Attributes:
        rows: one for each layer that has parameters of its own or no layers in it, in the order in which they run.
        parameters: the number of trainable parameters.
        bytes: their memory; the gradients need as much again.

    >>> Summary((), 0, 0).parameters
    0
    """

    rows: tuple[Row, ...]
    parameters: int
    bytes: int

    def __str__(self) -> str:
        rows = [("path", "layer", "output shape", "parameters", "bytes")]
        rows += [
            (row.path, row.layer, _shape(row.output_shape), f"{row.parameters:,}", f"{row.bytes:,}")
            for row in self.rows
        ]
        rows.append(("", "total", "", f"{self.parameters:,}", f"{self.bytes:,}"))
        return text_table(rows, left=3, foot=1)

    __repr__ = __str__


def summary(model: Layer, input_shape: Any) -> Summary:
    """Summarize a model: path, repr and output shape of each layer, number and bytes of its parameters.

    The model runs once on a sample of zeros, in evaluation mode, and stays unchanged.

    Args:
        model: any Layer.
        input_shape: the shape of one sample, without the batch axis: ``(8, 8)``, or 30 for 30 features. For several
            inputs a tuple of shapes, ``((8, 8), (30,))``, or a dict by name.

    Raises:
        ShapeError: the model rejects this shape.

    >>> import nnlite as nn
    >>> print(summary(nn.Sequential(nn.Linear(30, 16), nn.Tanh(), nn.Linear(16, 1)), 30))
    path  layer             output shape  parameters  bytes
    -------------------------------------------------------
    0     Linear(30 -> 16)  (N, 16)              496  1,984
    1     Tanh()            (N, 16)                0      0
    2     Linear(16 -> 1)   (N, 1)                17     68
    -------------------------------------------------------
          total                                  513  2,052
    """
    check_layer(model, "model")
    several = isinstance(input_shape, dict) or (
        isinstance(input_shape, tuple | list) and any(isinstance(shape, tuple | list) for shape in input_shape)
    )
    X = each_of(partial(_sample, dtype=model.dtype), input_shape if several else list(np.atleast_1d(input_shape)))
    rows = []
    for path, layer, Y in spread(partial(trace, model), X):
        own = [P for name in layer._parameters if (P := getattr(layer, name)) is not None]
        if own or not any(layer.named_children()):
            shapes = tuple([_output_shape(layer, each) for each in listed(Y)])
            output_shape = shapes if isinstance(Y, tuple | dict) else shapes[0]
            rows.append(Row(path, layer.one_line(), output_shape, sum(P.size for P in own), sum(P.nbytes for P in own)))
    return Summary(tuple(rows), model.Phi.size, model.Phi.nbytes)


def _sample(shape: Any, dtype: Any) -> Array:
    """One sample of zeros."""
    return np.zeros((1, *map(operator.index, np.atleast_1d(shape))), dtype)


def _output_shape(layer: Layer, Y: Any) -> tuple[Any, ...]:
    """The shape of Y, with None for the batch axis, if it has one."""
    shape = np.shape(Y)
    return shape if isinstance(layer, Parameter) or shape[:1] != (1,) else (None, *shape[1:])


def _shape(shape: tuple[Any, ...]) -> str:
    if any(isinstance(size, tuple) for size in shape):
        return ", ".join(map(_shape, shape))
    inner = ", ".join("N" if size is None else str(size) for size in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"
