"""Whether layers fit together in a chain: what is known of the output of each when the model is built."""

from collections.abc import Sequence
from typing import NamedTuple

from nnlite.basics.shapes import UNKNOWN, Shape, text
from nnlite.errors import ShapeError
from nnlite.layer.described import learns
from nnlite.layer.layer import Layer


class ChainEnd(NamedTuple):
    """What is known of the output of a chain of layers.

    Attributes:
        shape: of each of the arrays.
        source: the place of the layer that determines it.
        arrays: their number.
        barrier: the last layer without a gradient for its input: nothing before it has one. 0 if there is none.
    """

    shape: Shape = UNKNOWN
    source: str = ""
    arrays: int = 1
    barrier: int = 0


START = ChainEnd()  # before the first layer: one array, of which nothing is known


def check_chain(layers: Sequence[Layer], end: ChainEnd = START, first: int = 0) -> ChainEnd:
    """The end of a chain of layers, if ``end`` is that of those before the layer ``first``.

    Raises:
        ShapeError: a layer does not accept the output of the one before it.
        ValueError: a layer that learns would get no gradient.

    >>> import nnlite as nn
    >>> check_chain([nn.Linear(3, 2), nn.Tanh()]).shape
    (Ellipsis, 2)
    >>> check_chain([nn.Linear(3, 2), nn.Linear(3, 2)])
    Traceback (most recent call last):
        ...
    nnlite.errors.ShapeError: Sequential[0] Linear(3 -> 2) outputs (..., 2), but Sequential[1] Linear(3 -> 2) does not
    accept it: ...
    """
    shape, source, count, barrier = end
    for index, layer in enumerate(layers[first:], first):
        place = f"Sequential[{index}] {layer.one_line()}"
        try:
            Y = layer.output_shape(*[shape] * count)
        except ShapeError as error:
            raise ShapeError(f"{source} outputs {text(shape)}, but {place} does not accept it: {error}") from None
        if index and (reached := len(layer.differentiable_inputs(count))) < count:
            if reached:
                raise ValueError(
                    f"{place} has no gradient for some of its {count} inputs; connect the layers in a nnlite.Graph"
                )
            barrier = index
        if layer.output_shape(*[UNKNOWN] * count) != UNKNOWN:  # else it passes a shape on
            source = place
        count = layer.num_outputs
        shape = Y if count == 1 else UNKNOWN
    for index, layer in enumerate(layers[:barrier] if barrier >= first else ()):
        if learns(layer):
            raise ValueError(
                f"Sequential[{index}] {layer.one_line()} would not be trained: Sequential[{barrier}] "
                f"{layers[barrier].one_line()} has no gradient for its input"
            )
    return ChainEnd(shape, source, count, barrier)
