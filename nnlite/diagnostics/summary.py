"""summary: the layers of a model in a table, with their output shapes and parameters."""

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.basics.trees import listed
from nnlite.containers.argument_names import by_position, input_names_of
from nnlite.containers.nodes import Parameter
from nnlite.containers.program import Program
from nnlite.diagnostics.named_inputs import differentiable, inputs_by_name
from nnlite.diagnostics.run import Run
from nnlite.diagnostics.text_table import html_table, text_table
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer, check_layer


@dataclass(frozen=True)
class Row:
    """One row of a summary: path, repr and output shape of a layer, its parameters, their bytes, and its buffers.

    >>> Row("0", "Tanh()", (None, 2), 0, 0).output_shape
    (None, 2)
    """

    path: str
    layer: str
    output_shape: tuple[Any, ...]
    parameters: int
    bytes: int
    buffers: int = 0


@dataclass(frozen=True)
class Summary:
    """The result of :func:`summary`; ``print`` shows it as a table.

    Attributes:
        rows: one for each layer that has parameters of its own or no layers in it, in the order in which they run.
        parameters: the number of trainable parameters.
        bytes: their memory; the gradients need as much again.
        buffers: the number of values in buffers, which are not trained; shown if there are any.

    >>> Summary((), 0, 0).parameters
    0
    """

    rows: tuple[Row, ...]
    parameters: int
    bytes: int
    buffers: int = 0

    def _table(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("path", "layer", "output shape", "parameters", "bytes", "buffers")]
        rows += [(row.path, row.layer, _shape(row.output_shape), *_row_counts(row)) for row in self.rows]
        rows.append(("", "total", "", *_row_counts(self)))
        return [row[: None if self.buffers else -1] for row in rows]

    def __str__(self) -> str:
        return text_table(self._table(), left=3, foot=1)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the table in HTML, for notebooks."""
        return html_table(self._table(), left=3, foot=1)


def summary(model: Layer, input_shape: Any) -> Summary:
    """Summarize a model: path, repr and output shape of each layer, its parameters with their bytes, and its buffers.

    A copy of the model runs once on a sample of zeros, in evaluation mode. Inputs without a gradient, such as indices,
    are integers, and masks booleans.

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
    rows = []
    run = Run(model, evaluation=True)
    run.forward(zero_samples(model, input_shape))
    for call in run.recording.forwards:
        path, layer, Y = call.path, call.layer, call.Y
        P, B = ([A for name in names if (A := getattr(layer, name)) is not None]
                for names in (layer._parameters, layer._buffers))  # fmt: skip
        if P or B or not any(layer.named_children()):
            shapes = tuple([_output_shape(layer, each) for each in listed(Y)])
            output_shape = shapes if isinstance(Y, tuple | dict) else shapes[0]
            parameters, size, buffers = sum(A.size for A in P), sum(A.nbytes for A in P), sum(A.size for A in B)
            rows.append(Row(path, layer.one_line(), output_shape, parameters, size, buffers))
    buffers = sum(B.size for _, B in model.named_buffers())
    return Summary(tuple(rows), model.Phi.size, model.Phi.nbytes, buffers)


def zero_samples(model: Layer, input_shape: Any) -> Any:
    """One sample of zeros for each input, in the form of ``input_shape``; integers for those without a gradient.

    The integers are the least that their layers take: 0 of indices, 1 of lengths. Masks are booleans, False, unless
    their shape is (): then they are lengths.

    >>> import nnlite as nn
    >>> zero_samples(nn.Add(), ((2,), (1,)))
    (array([[0., 0.]], dtype=float32), array([[0.]], dtype=float32))
    """
    if isinstance(input_shape, list | tuple) and any(isinstance(shape, tuple | list) for shape in input_shape):
        input_shape = tuple(input_shape)
    elif not isinstance(input_shape, dict):
        input_shape = list(input_shape) if isinstance(input_shape, tuple) else input_shape  # of one input
    shapes = inputs_by_name(model, input_shape)
    integers = shapes.keys() - differentiable(model, shapes)
    least = _least(model, shapes, isinstance(input_shape, dict)) if integers else {}
    samples = {
        name: np.full((1, *_sizes(name, shape)), least.get(name, 0) if name in integers else model.dtype.type(0))
        for name, shape in shapes.items()
    }
    if isinstance(input_shape, dict):
        return samples
    return tuple(samples.values()) if isinstance(input_shape, tuple) else samples["X"]


def _sizes(name: str, shape: Any) -> tuple[int, ...]:
    """The sizes of a sample of the input of that name.

    Raises:
        TypeError: they are not whole numbers.
        ShapeError: one is negative.
    """
    expected = f"input_shape: expected the sizes of one sample of {name}, without the batch axis, such as (8, 8) or 30"
    try:
        sizes = tuple(map(operator.index, [shape] if np.ndim(shape) == 0 else shape))
    except TypeError:
        raise TypeError(f"{expected}; got {shape!r}") from None
    if any(size < 0 for size in sizes):
        cure = f"; the batch axis is left out: {sizes[1:]}" if sizes[0] == -1 and min(sizes[1:], default=0) >= 0 else ""
        raise ShapeError(f"{expected}; got {sizes}{cure}")
    return sizes


def _least(model: Layer, shapes: dict[str, Any], by_name: bool) -> dict[str, int | bool]:
    """The least integer that the layers take which have an input, by its name; False for one that is a mask."""
    given = enumerate(by_position(model, (), shapes)) if by_name else ()
    left_out = [place for place, shape in given if shape is None]
    program = Program.of(model, inputs=len(shapes) + len(left_out), left_out=left_out)
    least: dict[str, int | bool] = {}
    names = [program.names[edge] for edge in program.inputs] if by_name else list(shapes)
    for name, edge in zip(names, program.inputs, strict=False):  # forward says what is wrong with their number
        uses = [(each.computes, each.takes.index(edge)) for each in program.operations if edge in each.takes]
        is_mask = any(_takes_a_mask(layer, place) for layer, place in uses)
        is_length = is_mask and shapes[name] == ()  # one for each sample
        integers = [layer.least_integer for layer, _ in uses]
        least[name] = False if is_mask and not is_length else max(integers, default=0) or int(is_length)
    return least


def _takes_a_mask(layer: Layer, place: int) -> bool:
    """Whether the layer's input at that place is a mask."""
    names = input_names_of(layer, place + 1)
    return place < len(names) and names[place] in (layer.original or layer).masks


def _output_shape(layer: Layer, Y: Any) -> tuple[Any, ...]:
    """The shape of Y, with None for the batch axis, if it has one."""
    shape = np.shape(Y)
    return shape if isinstance(layer, Parameter) or shape[:1] != (1,) else (None, *shape[1:])


def _row_counts(row: Row | Summary) -> tuple[str, str, str]:
    return f"{row.parameters:,}", f"{row.bytes:,}", f"{row.buffers:,}"


def _shape(shape: tuple[Any, ...]) -> str:
    if any(isinstance(size, tuple) for size in shape):
        return ", ".join(map(_shape, shape))
    inner = ", ".join("N" if size is None else str(size) for size in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"
