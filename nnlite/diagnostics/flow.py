"""flow: a model as a flat list of operations with numbered edges."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.shapes import UNKNOWN, Shape
from nnlite.basics.trees import listed, spread
from nnlite.containers.branches import Residual
from nnlite.containers.graph import Graph
from nnlite.containers.sequential import Sequential
from nnlite.containers.wiring import in_form
from nnlite.diagnostics.argument_names import bound, input_names_of, is_plain
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer, check_layer, inside
from nnlite.losses.loss import arguments_of
from nnlite.losses.per_output import check_loss

Edges = tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """A layer at its place in a model.

    Attributes:
        path: of the layer in the model; "loss" for the loss behind it.
        layer: the layer. A :class:`nnlite.Residual` is the sum at its end, of X and the output of the layers in it.
        takes: the edges of its inputs, in the order of its forward; none for a parameter node.
        gives: the edges of its outputs.

    >>> import nnlite as nn
    >>> Operation("0", nn.Tanh(), (0,), (1,)).gives
    (1,)
    """

    path: str
    layer: Layer
    takes: Edges
    gives: Edges


@dataclass(frozen=True, eq=False)
class Flow:
    """A model as a flat list of operations.

    Each array in a model is an edge, a number: it leads from the operation that computes it to all that use it.

    Attributes:
        operations: in the order of forward; backward runs them in reverse.
        inputs: the edges of the model's inputs, and last those of the targets if there is a loss.
        outputs: the edges of the model's outputs, or of the loss.
        names: of each edge: an input's name, a constant's value, or the path of the operation that computes it.
        constants: the values of the edges that are constants.

    >>> import nnlite as nn
    >>> [operation.path for operation in flow(nn.Sequential(nn.Tanh(), nn.Sequential(nn.ReLU()))).operations]
    ['0', '1.0']
    """

    operations: tuple[Operation, ...]
    inputs: Edges
    outputs: Edges
    names: tuple[str, ...]
    constants: dict[int, Array]

    def giver(self, edge: int) -> Operation | None:
        """Return the operation that computes an edge; None for an input or a constant.

        >>> import nnlite as nn
        >>> flow(nn.Sequential(nn.Tanh())).giver(0) is None
        True
        """
        return next((operation for operation in self.operations if edge in operation.gives), None)


def flow(model: Layer, loss: Layer | None = None, *, inputs: int | None = None) -> Flow:
    """Return a model as a flat list of operations: what runs, in which order, on what.

    Sequential, Graph and Residual are expanded, at any depth. Any other layer is one operation, also if it has layers
    inside, and so is a subclass of these with a forward or backward of its own. A layer made by :func:`nnlite.tied` is
    an operation too; its ``original`` is the layer whose parameters it uses.

    Args:
        model: any Layer.
        loss: a loss behind it, whose inputs are the model's outputs and further inputs: "target", or its own names of
            several.
        inputs: the number of inputs of a model whose first layer takes any number; by default those without a default.

    Raises:
        TypeError: ``model`` is not a Layer or ``loss`` not a Loss; or a layer does not take the outputs of the one
            before it.

    >>> import nnlite as nn
    >>> a, b = nn.Input("a"), nn.Input("b")
    >>> for operation in flow(nn.Graph([a, b], nn.Tanh()(a + b) * b)).operations:
    ...     print(operation)
    Operation(path='0', layer=Add(), takes=(0, 1), gives=(2,))
    Operation(path='1', layer=Tanh(), takes=(2,), gives=(3,))
    Operation(path='2', layer=Multiply(), takes=(3, 1), gives=(4,))
    """
    check_layer(model, "model")
    laid = _Laid()
    given = tuple([laid.edge(name) for name in input_names_of(model, inputs)])
    Y = laid.through(model, "", *given)
    if loss is not None:
        check_loss(loss)
        names, without = input_names_of(loss), (loss.original or loss).without_gradient
        if not isinstance(Y, int) and len(names) - len(without) == 1:
            raise TypeError(f"flow: loss: {model.one_line()} has {len(Y)} outputs; build a graph with a loss for each")
        targets = tuple([laid.edge(name) for name in (without if len(names) > 2 else ["target"])])
        given = (*given, *targets)
        Y = laid.through(loss, "loss", *arguments_of(loss, Y, targets[0] if len(targets) == 1 else targets))
    return Flow(tuple(laid.operations), given, tuple(listed(Y)), tuple(laid.names), laid.constants)


def known_shapes(laid: Flow) -> dict[int, Shape]:
    """Return the shape of each edge as far as it is known without running.

    >>> import nnlite as nn
    >>> known_shapes(flow(nn.Sequential(nn.Linear(2, 3))))
    {0: (Ellipsis, 2), 1: (Ellipsis, 3)}
    """
    shapes: dict[int, Any] = {edge: np.shape(value) for edge, value in laid.constants.items()}
    for operation in laid.operations:
        layer = operation.layer
        width = getattr(layer, "in_features", None)
        for edge in operation.takes:
            if shapes.get(edge, UNKNOWN) == UNKNOWN:
                shapes[edge] = UNKNOWN if width is None else (..., width)
        given = [shapes[edge] for edge in operation.takes]
        try:
            Y = given[1] if is_plain(layer, Residual) else layer.output_shape(*given)
        except ShapeError:  # a subclass of a container, with a forward of its own
            Y = UNKNOWN
        several = layer.num_outputs > 1 and Y != UNKNOWN
        shapes |= zip(operation.gives, Y, strict=True) if several else dict.fromkeys(operation.gives, Y)
    return dict.fromkeys(laid.inputs, UNKNOWN) | shapes


class _Laid:
    """The operations and edges found so far.

    Numbers of edges are passed on as arrays are when the model runs: alone, in a tuple or in a dict.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.names: list[str] = []
        self.constants: dict[int, Array] = {}

    def edge(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    def through(self, layer: Layer, path: str, *Xs: Any, **named: Any) -> Any:
        """Return the edges of the layer's outputs for the edges of its inputs."""
        if is_plain(layer, Residual):
            Y = self._sequential(layer, path, *Xs, **named)
            return self._operation(layer, path, [*Xs, *named.values(), Y])
        if is_plain(layer, Sequential):
            return self._sequential(layer, path, *Xs, **named)
        if is_plain(layer, Graph):
            return self._graph(layer, path, *Xs, **named)
        return self._operation(layer, path, bound(layer, Xs, named).values())

    def _operation(self, layer: Layer, path: str, takes: Any) -> Any:
        names = [path or "Y"] if layer.num_outputs == 1 else [f"{path or 'Y'}[{n}]" for n in range(layer.num_outputs)]
        gives = tuple(map(self.edge, names))
        self.operations.append(Operation(path, layer, tuple(takes), gives))
        return gives[0] if len(gives) == 1 else gives

    def _sequential(self, model: Any, path: str, *Xs: Any, **named: Any) -> Any:
        X = named or (Xs[0] if len(Xs) == 1 else Xs)
        for name, layer in model.named_children():
            X = spread(partial(self.through, layer, inside(path, name)), X)
        return X

    def _graph(self, graph: Any, path: str, *Xs: Any, **named: Any) -> Any:
        wiring = graph.wiring
        by_name = dict(zip(wiring.input_names, Xs, strict=False)) | named
        edges = dict(enumerate([by_name[name] for name in wiring.input_names] if named else Xs))
        for slot, value in wiring.constants:
            edges[slot] = self.edge(wiring.labels()[slot])
            self.constants[edges[slot]] = value
        for (name, layer), (takes, gives, _) in zip(graph.named_children(), wiring.wires, strict=True):
            Y = self.through(layer, inside(path, name), *[edges[slot] for slot in takes])
            edges |= zip(gives, listed(Y), strict=True)
        return in_form([edges[slot] for slot in wiring.outputs], wiring.output_keys)
