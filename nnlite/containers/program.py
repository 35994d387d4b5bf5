"""Program: a model as a flat list of operations with numbered edges, which tools read instead of walking containers."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.shapes import UNKNOWN, Shape
from nnlite.basics.trees import listed
from nnlite.containers.argument_names import bound, expands, input_names_of, output_names_of
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer, check_layer
from nnlite.layer.parts import inside
from nnlite.losses.loss_arguments import arguments_of
from nnlite.losses.per_output import check_loss

Edges = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Operation:
    """A layer at its place in a model.

    Attributes:
        path: of the layer in the model; "loss" for the loss behind it.
        layer: the layer at that path.
        takes: the edges of its inputs, in the order of its forward; none for a parameter node.
        gives: the edges of its outputs.
        computes: the layer whose mathematics it is: ``layer`` itself, or an ``Add`` for the sum at the end of a
            :class:`nnlite.Residual`.

    >>> import nnlite as nn
    >>> Program.of(nn.Sequential(nn.Tanh())).operations[0].gives
    (1,)
    """

    path: str
    layer: Layer
    takes: Edges
    gives: Edges
    computes: Layer

    @property
    def parameters(self) -> dict[str, Array]:
        """The parameters that it uses, by their names in the layer; of a tied layer also those of the original.

        >>> import nnlite as nn
        >>> list(Program.of(nn.Linear(2, 3)).operations[0].parameters)
        ['W', 'b']
        """
        original = {} if self.computes.original is None else dict(self.computes.original.named_parameters())
        return original | dict(self.computes.named_parameters())

    def __repr__(self) -> str:
        return f"Operation({self.path!r}, {self.layer.one_line()}, takes={self.takes}, gives={self.gives})"


@dataclass(frozen=True, eq=False)
class Program:
    """A model as a flat list of operations.

    Each array in a model is an edge, a number: it leads from the operation that computes it to all that use it.
    Sequential, Graph, Parallel and Residual are expanded, at any depth: layers that have a method ``forward_through``
    beside their forward. Any other layer is one operation, also if it has layers inside, and so is a subclass with a
    forward or backward of its own. A layer made by :func:`nnlite.tied` is an operation, too; its ``original`` is the
    layer whose parameters it uses.

    Attributes:
        operations: in the order of forward; backward runs them in reverse.
        containers: the layers that were expanded, each after its parts, with the edges of its inputs and outputs.
        inputs: the edges of the model's inputs that are given, and last those of the targets if there is a loss.
        outputs: the edges of the model's outputs, or of the loss.
        output_names: the names of the outputs: the keys of a dict, or "Y", "J" and the like.
        names: of each edge: an input's name, a constant's value, or the path of the operation that computes it.
        constants: the values of the edges that are constants; None for an argument that was left out.
    """

    operations: tuple[Operation, ...]
    containers: tuple[Operation, ...]
    inputs: Edges
    outputs: Edges
    output_names: tuple[str, ...]
    names: tuple[str, ...]
    constants: dict[int, Any]

    @classmethod
    def of(
        cls, model: Layer, loss: Layer | None = None, *, inputs: int | None = None, left_out: Collection[int] = ()
    ) -> "Program":
        """The program of a model: what runs, in which order, on what. Nothing is computed.

        Args:
            model: any Layer.
            loss: a loss behind it, whose inputs are the model's outputs and further inputs: "target", or its own names
                of several.
            inputs: the number of inputs of a model whose first layer takes any number; by default those without a
                default.
            left_out: the positions of those that are None.

        Raises:
            TypeError: ``model`` is not a Layer or ``loss`` not a Loss; or a layer does not take the outputs of the one
                before it.

        >>> import nnlite as nn
        >>> a, b = nn.Input("a"), nn.Input("b")
        >>> for operation in Program.of(nn.Graph([a, b], nn.Tanh()(a + b) * b)).operations:
        ...     print(operation)
        Operation('0', Add(), takes=(0, 1), gives=(2,))
        Operation('1', Tanh(), takes=(2,), gives=(3,))
        Operation('2', Multiply(), takes=(3, 1), gives=(4,))
        """
        check_layer(model, "model")
        edges = _Edges()
        names = enumerate(input_names_of(model, inputs))
        places = [None if place in left_out else edges.new(name) for place, name in names]
        given = tuple([edge for edge in places if edge is not None])
        Y = edges.through(model, "", *places)
        of_outputs = output_names_of(model)
        if loss is not None:
            check_loss(loss)
            own, without = input_names_of(loss), (loss.original or loss).without_gradient
            if not isinstance(Y, int) and len(own) - len(without) == 1:
                raise TypeError(f"loss: {model.one_line()} has {len(Y)} outputs; build a graph with a loss for each")
            targets = tuple(map(edges.new, without if len(own) > 2 else ["target"]))
            given = (*given, *targets)
            Y = edges.through(loss, "loss", *arguments_of(loss, Y, targets[0] if len(targets) == 1 else targets))
            of_outputs = output_names_of(loss)
        return cls(
            tuple(edges.operations),
            tuple(edges.containers),
            given,
            tuple(listed(Y)),
            tuple(of_outputs),
            tuple(edges.names),
            edges.constants,
        )

    def giver(self, edge: int) -> Operation | None:
        """The operation that computes an edge; None for an input or a constant.

        >>> import nnlite as nn
        >>> Program.of(nn.Sequential(nn.Tanh())).giver(0) is None
        True
        """
        return next((operation for operation in self.operations if edge in operation.gives), None)

    def shapes(self) -> dict[int, Shape]:
        """The shape of each edge as far as it is known without running.

        >>> import nnlite as nn
        >>> Program.of(nn.Sequential(nn.Linear(2, 3))).shapes()
        {0: (Ellipsis, 2), 1: (Ellipsis, 3)}
        """
        shapes: dict[int, Any] = {edge: np.shape(value) for edge, value in self.constants.items()}
        for operation in self.operations:
            layer = operation.computes
            width = getattr(layer, "in_features", None)
            for edge in operation.takes:
                if shapes.get(edge, UNKNOWN) == UNKNOWN:
                    shapes[edge] = UNKNOWN if width is None else (..., width)
            given = [shapes[edge] for edge in operation.takes]
            try:
                Y = layer.output_shape(*given)
            except ShapeError:  # a subclass of a container, with a forward of its own
                Y = UNKNOWN
            several = layer.num_outputs > 1 and Y != UNKNOWN
            shapes |= zip(operation.gives, Y, strict=True) if several else dict.fromkeys(operation.gives, Y)
        return dict.fromkeys(self.inputs, UNKNOWN) | shapes


class Connector:
    """What a container's ``forward_through`` connects its parts with.

    Numbers of edges are passed on as arrays are when the model runs: alone, in a tuple or in a dict.
    """

    def __init__(self, edges: "_Edges", container: Layer, path: str) -> None:
        self._edges, self._container, self._path = edges, container, path

    def part(self, name: str, layer: Layer, *Xs: Any, **named: Any) -> Any:
        """The edges of the outputs of a part, as ``layer.forward(*Xs, **named)`` returns arrays."""
        return self._edges.through(layer, inside(self._path, name), *Xs, **named)

    def own(self, computes: Layer, *Xs: Any) -> Any:
        """The edges of what the container computes itself, which is what ``computes`` would."""
        return self._edges.operation(self._container, self._path, Xs, computes)

    def constant(self, value: Array | None, label: str) -> int:
        """The edge of a constant."""
        return self._edges.constant(value, label)


class _Edges:
    """The operations and edges found so far."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.containers: list[Operation] = []
        self.names: list[str] = []
        self.constants: dict[int, Any] = {}

    def new(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    def constant(self, value: Array | None, label: str) -> int:
        edge = self.new(label)
        self.constants[edge] = value
        return edge

    def through(self, layer: Layer, path: str, *Xs: Any, **named: Any) -> Any:
        """The edges of the layer's outputs for the edges of its inputs."""
        if not expands(layer):
            given = bound(layer, Xs, named).items()
            takes = tuple([self.constant(None, name) if edge is None else edge for name, edge in given])
            return self.operation(layer, path, takes, layer)
        Y = layer.forward_through(Connector(self, layer, path), *Xs, **named)  # type: ignore[attr-defined]
        takes = (*Xs, *named.values())
        self.containers.append(Operation(path, layer, takes, tuple(listed(Y)), layer))
        return Y

    def operation(self, layer: Layer, path: str, takes: Edges, computes: Layer) -> Any:
        count = computes.num_outputs
        names = [path or "Y"] if count == 1 else [f"{path or 'Y'}[{n}]" for n in range(count)]
        gives = tuple(map(self.new, names))
        self.operations.append(Operation(path, layer, takes, gives, computes))
        return gives[0] if count == 1 else gives
