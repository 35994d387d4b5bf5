"""summary: a model as a table."""

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
    """One layer's line: its path in the model, its repr, its output's shape, and what its parameters take.

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
    """The rows and the totals of a model; ``print`` shows them as a table.

    Attributes:
        rows: one for each layer that has parameters of its own or no layers in it, in the order in which they run.
        parameters: how many numbers the model learns.
        bytes: what these take; their gradients take as much again.

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
    """A table of a model's layers: path, layer, output shape, number of parameters, bytes of parameters.

    The model runs once, in evaluation mode, on one sample of zeros; nothing is written on it.

    Args:
        model: any Layer.
        input_shape: the shape of one sample, without the batch axis: ``(8, 8)``, or 30 for 30 features. For a model of
            several inputs a tuple of shapes, ``((8, 8), (30,))``, or a dict by name.

    Raises:
        ShapeError: the model does not take that shape.

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
    """That of Y, with None for the axis of the batch, if it has one."""
    shape = np.shape(Y)
    return shape if isinstance(layer, Parameter) or shape[:1] != (1,) else (None, *shape[1:])


def _shape(shape: tuple[Any, ...]) -> str:
    if any(isinstance(size, tuple) for size in shape):
        return ", ".join(map(_shape, shape))
    inner = ", ".join("N" if size is None else str(size) for size in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"
