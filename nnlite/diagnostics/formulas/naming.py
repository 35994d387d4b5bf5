"""The symbols of the arrays and parameters of a network: X, u1 = X W1 + b1, h1 = tanh(u1) ... y^, and L."""

from collections.abc import Iterator, Mapping

import numpy as np

from nnlite.containers.argument_names import is_plain
from nnlite.containers.branches import Residual
from nnlite.containers.nodes import Parameter
from nnlite.containers.program import Operation
from nnlite.diagnostics.formulas.recorded_run import Recorded
from nnlite.diagnostics.formulas.symbols import Symbol, gradient_of, symbol
from nnlite.diagnostics.formulas.terms import Factor, Number
from nnlite.layer.layer import Layer, inside
from nnlite.layers.activations import Activation
from nnlite.losses.loss import is_loss

Key = tuple[Layer, str]  # a layer and the name of one of its parameters


class Naming:
    """The symbols of a network.

    The output of a layer is u with a number, that of an activation h with the number of its input; parameters have the
    number of the layer's output. The last output is y^, the target y, the loss L.

    Args:
        recorded: the network's flow, and its arrays if it ran.
        names: other symbols, by the path of a parameter ("0.W"), of a layer for its output ("0"), by the name of an
            input, or by "target" or "loss".

    Raises:
        TypeError: ``names`` is not a dict of strings.
        ValueError: ``names`` has an unknown key, or a symbol twice.

    >>> import nnlite as nn
    >>> from nnlite.diagnostics.formulas.recorded_run import record
    >>> naming = Naming(record(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))), {"2.W": "U"})
    >>> [naming.edges[edge].plain for edge in range(4)]
    ['X', 'u1', 'h1', 'y^']
    >>> [each.plain for each in naming.parameters.values()]
    ['W1', 'b1', 'U', 'b2']
    """

    def __init__(self, recorded: Recorded, names: Mapping[str, str]) -> None:
        self.recorded, self.flow = recorded, recorded.flow
        self.paths: dict[str, int | Key] = {}  # what has a path
        self.edges: dict[int, Symbol | Number] = {}
        self.parameters: dict[Key, Symbol] = {}
        self.numbers: dict[str, int] = {}  # of each operation, by its path
        if not isinstance(names, Mapping) or not all(isinstance(each, str) for pair in names.items() for each in pair):
            raise TypeError(f"explain: names: expected a dict of symbols by path, as {{'0.W': 'U'}}, got {names!r}")
        self._names = dict(names)
        self._taken = set(names.values())
        if len(self._taken) < len(names):
            raise ValueError(f"explain: names: a symbol is used twice: {', '.join(names.values())}")
        self.L = self._loss()
        self._name_what_is_given()
        self._name_outputs()
        self._name_what_is_computed()
        if self._names:
            unknown, known = ", ".join(map(repr, self._names)), ", ".join(self.paths)
            raise ValueError(f"explain: names: unknown {unknown}; known are {known}")

    def gradient(self, value: Symbol) -> Symbol:
        """Return the symbol of a value's gradient.

        >>> import nnlite as nn
        >>> from nnlite.diagnostics.formulas.recorded_run import record
        >>> Naming(record(nn.Tanh()), {}).gradient(symbol("W")).plain
        'dL/dW'
        """
        return gradient_of(self.L, value)

    def parameters_of(self, operation: Operation) -> dict[str, Key]:
        """Return the parameters that an operation uses, by their names in the layer.

        >>> import nnlite as nn
        >>> from nnlite.diagnostics.formulas.recorded_run import record
        >>> naming = Naming(record(nn.Linear(2, 3)), {})
        >>> list(naming.parameters_of(naming.flow.operations[0]))
        ['W', 'b']
        """
        return {name: key for name, key in _used_parameters(operation.layer) if key in self.parameters}

    def path_of(self, named: int | Key) -> str:
        """Return the path of a parameter, or of the operation that computes an edge.

        >>> import nnlite as nn
        >>> from nnlite.diagnostics.formulas.recorded_run import record
        >>> naming = Naming(record(nn.Linear(2, 3)), {})
        >>> [naming.path_of(key) for key in naming.parameters]
        ['W', 'b']
        """
        return next((path for path, stands_for in self.paths.items() if stands_for == named), "")

    def symbol(self, named: int | Key) -> Symbol:
        """Return the symbol of an edge or of a parameter.

        >>> import nnlite as nn
        >>> from nnlite.diagnostics.formulas.recorded_run import record
        >>> Naming(record(nn.Tanh()), {}).symbol(0).plain
        'X'
        """
        found = self.parameters[named] if isinstance(named, tuple) else self.edges[named]
        return found if isinstance(found, Symbol) else symbol(str(found.value))

    def factor(self, edge: int) -> Number | Factor:
        """Return the number or the symbol of an edge, with its value.

        >>> import nnlite as nn
        >>> from nnlite.diagnostics.formulas.recorded_run import record
        >>> Naming(record(nn.Tanh(), np.zeros((1, 2))), {}).factor(0).shape
        (1, 2)
        """
        found = self.edges[edge]
        return found if isinstance(found, Number) else Factor(found, self.recorded.values.get(edge))

    @property
    def leaves(self) -> list[int]:
        """The edges of the parameters that are nodes of a graph.

        >>> import nnlite as nn
        >>> from nnlite.diagnostics.formulas.recorded_run import record
        >>> x = nn.Input("x")
        >>> naming = Naming(record(nn.Graph(x, nn.Parameter(2.0, name="theta") * x)), {})
        >>> [naming.edges[edge].plain for edge in naming.leaves]
        ['theta']
        """
        return [each.gives[0] for each in self.flow.operations if isinstance(each.layer, Parameter)]

    @property
    def loss_edge(self) -> int | None:
        """The edge of the loss; None if there is no loss, so that L is the sum of the outputs."""
        last = self.flow.operations[-1] if self.flow.operations else None
        if len(self.flow.outputs) != 1 or last is None or last.gives != self.flow.outputs:
            return None
        edge = self.flow.outputs[0]
        scalar = edge in self.recorded.values and np.ndim(self.recorded.values[edge]) == 0
        return edge if scalar or self.is_loss(last) else None

    def is_loss(self, operation: Operation) -> bool:
        """Return whether the layer of the operation is a loss.

        >>> import nnlite as nn
        >>> from nnlite.diagnostics.formulas.recorded_run import record
        >>> naming = Naming(record(nn.Tanh(), loss=nn.MSELoss()), {})
        >>> [naming.is_loss(operation) for operation in naming.flow.operations]
        [False, True]
        """
        return is_loss(operation.layer)

    def _loss(self) -> Symbol:
        path = "loss" if self.loss_edge is None else self.flow.operations[-1].path
        return self._named(path, "L") if path in self._names else self._named("loss", "L")

    def _name_what_is_given(self) -> None:
        for edge in self.flow.inputs:
            name = self.flow.names[edge]
            self.edges[edge] = self._named(name, "y" if name == "target" else name, edge)
        count = 0
        for edge, value in self.flow.constants.items():
            if value is None:  # an argument that was left out
                self.edges[edge] = symbol("none")
                continue
            count += value.ndim > 0
            self.edges[edge] = self._unused(f"C{count}") if value.ndim else Number(value.item())

    def _name_outputs(self) -> None:
        """Name the outputs of the model: the first input of the loss, if there is one."""
        edges: tuple[int, ...] = self.flow.outputs
        if self.loss_edge is not None:
            self.edges[self.loss_edge] = self.L
            last = self.flow.operations[-1]
            edges = last.takes[:1] if self.is_loss(last) else ()
        edges = tuple([edge for edge in edges if edge not in self.edges and edge not in self.leaves])
        for number, edge in enumerate(edges, start=1):
            path = self.flow.names[edge]
            self.edges[edge] = self._named(path, "y^" if len(edges) == 1 else f"y{number}^", edge)

    def _name_what_is_computed(self) -> None:
        number = 0
        for operation in self.flow.operations:
            layer, path = operation.layer, operation.path
            if isinstance(layer, Parameter):
                self._name_leaf(operation)
                continue
            stem = "h" if isinstance(layer.original or layer, Activation) else "u"
            if stem == "u" or number == 0 or f"h{number}" in self._taken:
                number += not (operation.gives == (self.loss_edge,) and self.is_loss(operation))
            self.numbers[path] = number
            for n, edge in enumerate(operation.gives):
                if edge not in self.edges:
                    several = len(operation.gives) > 1
                    name = f"{stem}{number}" + (chr(ord("a") + n) if several else "")
                    self.edges[edge] = self._named(self.flow.names[edge], name, edge)
            for name, key in _used_parameters(layer):
                if key not in self.parameters and layer.original is None:
                    place = inside(path, name)
                    self.parameters[key] = self._named(place, f"{name.rpartition('.')[2]}{number}", key)
        for operation in self.flow.operations:  # a layer may be tied to a later one, or to one outside
            for name, key in _used_parameters(operation.layer):
                if key not in self.parameters and not isinstance(operation.layer, Parameter):
                    self.parameters[key] = self._named(
                        inside(operation.path, name), f"{name}{self.numbers[operation.path]}", key
                    )

    def _name_leaf(self, operation: Operation) -> None:
        """Name a parameter node of a graph: its output is the parameter."""
        (edge,) = operation.gives
        name = operation.layer.name or f"p{operation.path.rpartition('.')[2]}"  # type: ignore[attr-defined]
        path = inside(operation.path, "value")
        self.edges[edge] = self._named(operation.path if operation.path in self._names else path, name)
        self.paths[path] = edge

    def _named(self, path: str, name: str, stands_for: int | Key | None = None) -> Symbol:
        """Return the symbol of what is at the path: the user's, or ``name``."""
        if path in self.paths:  # the output of a single layer may have the name of its input
            return self._unused(name)
        if stands_for is not None:
            self.paths[path] = stands_for
        return symbol(self._names.pop(path)) if path in self._names else self._unused(name)

    def _unused(self, name: str) -> Symbol:
        new, tries = name, 0
        while new in self._taken:
            tries += 1
            new = f"{name}{'_' if name[-1:].isdigit() else ''}{tries}"
        self._taken.add(new)
        return symbol(new)


def _used_parameters(layer: Layer) -> Iterator[tuple[str, Key]]:
    """Yield (name, key) of each parameter that a layer uses, also of another layer or of layers in it."""
    if is_plain(layer, Residual):  # the layers in it are operations of their own
        return
    for path, part in layer.named_layers():
        for name in part._parameters:
            if getattr(part, name) is not None:
                yield inside(path, name), (part, name)
    if layer.original is not None:
        own = set(layer._parameters)
        yield from ((name, key) for name, key in _used_parameters(layer.original) if name not in own)
