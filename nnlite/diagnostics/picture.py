"""Picture: the nodes and edges of a drawing of a model, with their texts, before they are placed."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

import numpy as np

from nnlite.basics.arrays import as_floating
from nnlite.basics.checks import whole
from nnlite.basics.shapes import UNKNOWN, text
from nnlite.basics.trees import each_of, listed
from nnlite.containers.argument_names import input_names_of, output_names_of
from nnlite.containers.nodes import Parameter
from nnlite.containers.program import Operation, Program
from nnlite.containers.stepping import gradient_name
from nnlite.diagnostics.array_text import scalar_text
from nnlite.diagnostics.own_parameters import own_parameters, stored_gradients
from nnlite.diagnostics.run import Run
from nnlite.diagnostics.text_table import shortened
from nnlite.layer.described import described
from nnlite.layer.layer import Layer, check_layer
from nnlite.layer.parts import inside
from nnlite.losses.per_output import check_loss

LONGEST = 28  # characters of a layer's repr
FILLS = {  # the colour of each kind of node
    "input": "#ddf4ff",
    "target": "#ddf4ff",
    "parameter": "#fff8c5",
    "gate": "#ffffff",
    "layer": "#f6f8fa",
    "constant": "none",
    "output": "none",
}

Lines = tuple[tuple[str, str], ...]  # (text, kind): "name", "detail", "value" or "gradient"


class Options(TypedDict, total=False):
    """What to show in a picture: the keyword arguments of :func:`nnlite.draw`, :func:`nnlite.to_mermaid` and others."""

    dY: Any
    values: bool
    gradients: bool
    names: Mapping[str, str] | None
    most: int


@dataclass(frozen=True)
class DrawnNode:
    """A node of a picture.

    Attributes:
        kind: one of ``FILLS``.
        lines: the text in it.
        below: the text below it: the sum of its gradients if its value is used more than once.
        path: that of the layer, or the name of the input.

    >>> DrawnNode("gate", (("+", "name"),)).computed
    True
    """

    kind: str
    lines: Lines
    below: str = ""
    path: str = field(default="", compare=False)

    @property
    def computed(self) -> bool:
        """Whether it is an operation, which has a forward and a backward."""
        return self.kind in ("parameter", "gate", "layer")


@dataclass(frozen=True)
class DrawnEdge:
    """An edge from one node to another, by their numbers, with the texts above and below it.

    >>> DrawnEdge(0, 1, "3", "-2").value
    '3'
    """

    start: int
    end: int
    value: str = ""
    gradient: str = ""


@dataclass(frozen=True)
class Picture:
    """The nodes and edges of a drawing.

    >>> import nnlite as nn
    >>> [node.kind for node in picture(nn.Tanh()).nodes]
    ['input', 'layer', 'output']
    """

    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]

    def values_after(self, forward: Collection[int]) -> set[int]:
        """The edges whose values are known when these nodes have run forward: those from them and from inputs."""
        known = {n for n, node in enumerate(self.nodes) if node.kind in ("input", "target", "constant")} | {*forward}
        return {number for number, edge in enumerate(self.edges) if edge.start in known}

    def gradients_after(self, backward: Collection[int]) -> set[int]:
        """The edges whose gradients are known when these nodes have run backward, from the outputs."""
        outputs = {n for n, node in enumerate(self.nodes) if node.kind == "output"} if backward else set()
        return {number for number, edge in enumerate(self.edges) if edge.end in outputs | {*backward}}

    def after(self, count: int) -> "Picture":
        """The picture after so many operations of forward and, when all of these are done, of backward."""
        operations = [number for number, node in enumerate(self.nodes) if node.computed]
        backward = operations[::-1][: max(0, count - len(operations))]
        values, gradients = self.values_after(operations[:count]), self.gradients_after(backward)
        edges = tuple(
            replace(edge, value=edge.value if n in values else "", gradient=edge.gradient if n in gradients else "")
            for n, edge in enumerate(self.edges)
        )
        nodes = []
        for number, node in enumerate(self.nodes):
            summed = all(n in gradients for n, edge in enumerate(self.edges) if edge.start == number)
            lines = tuple(
                (" " if kind == "gradient" and number not in backward else line, kind) for line, kind in node.lines
            )
            nodes.append(replace(node, lines=lines, below=node.below if summed else ""))
        return Picture(tuple(nodes), edges)


def picture(
    model: Layer,
    X: Any = None,
    target: Any = None,
    loss: Layer | None = None,
    *,
    dY: Any = None,
    values: bool = True,
    gradients: bool = True,
    names: Mapping[str, str] | None = None,
    most: int = 4,
) -> Picture:
    """The nodes and edges that :func:`nnlite.draw` draws, whose arguments these are.

    Raises:
        TypeError, ValueError: as :func:`nnlite.draw`.

    >>> import nnlite as nn
    >>> a, b = nn.Input("a"), nn.Input("b")
    >>> picture(nn.Graph([a, b], a * b), (2.0, 3.0)).edges
    (DrawnEdge(start=0, end=2, value='2', gradient='3'), DrawnEdge(start=1, end=2, value='3', gradient='2'), ...
    """
    check_layer(model, "model")
    whole(most, "most", least=1)
    if loss is not None:
        check_loss(loss)
    elif X is not None and target is not None and len(input_names_of(model)) == 1:
        raise ValueError(f"loss: got a target, but {model.one_line()} takes none; pass loss= too")
    if loss is not None and dY is not None:
        raise TypeError("draw: got both dY and loss, which computes dY; pass one of them")
    if X is None:
        return _Drawing(Program.of(model, loss), None, names or {}, most, values).picture()
    run = Run(model, loss)
    run.model.needs_dX = True
    Y = run.forward(X, target)
    if dY is None and loss is None and len(listed(Y)) == 1 and np.size(*listed(Y)) == 1:
        dY = each_of(lambda Y: np.ones(np.shape(Y), np.result_type(Y)), Y)
    if gradients and (dY is not None or loss is not None):
        dtype = np.result_type(*listed(Y))  # a 1 written by hand means 1.0, as in X
        run.backward(None if dY is None else each_of(lambda dY: as_floating(dY, "dY", dtype), dY))
    return _Drawing(run.program, run, names or {}, most, values).picture()


class _Drawing:
    """Makes a picture of a program and, if it ran, of its values and gradients.

    Args:
        program: what to draw.
        run: its run; None to draw the structure.
        names: names of the user's own.
        most: the number of numbers of the largest array that is written out.
        shown: whether to show values.
    """

    def __init__(self, program: Program, run: Run | None, names: Mapping[str, str], most: int, shown: bool) -> None:
        self.program, self.run, self.names, self.most, self.shown = program, run, names, most, shown
        self.shapes = program.shapes() if run is None else {}
        self.values: dict[int, Any] = dict(program.constants) if run is None else run.values  # of each edge
        self.totals: dict[int, Any] = {} if run is None else run.gradients  # of each edge
        self.summed = {
            id(dP)
            for operation in program.operations
            if operation.layer.original is not None and self.totals
            for dP, _ in operation.layer.own_gradients()
        }
        known = [program.names[edge] for edge in program.inputs]
        for operation in program.operations:
            known += [operation.path, *(inside(operation.path, name) for name in own_parameters(operation.layer))]
        if unknown := ", ".join(repr(name) for name in names if name not in known):
            raise ValueError(f"draw: names: unknown {unknown}; known are {', '.join(filter(None, known))}")

    def picture(self) -> Picture:
        program, place = self.program, dict[int, int]()
        nodes: list[DrawnNode] = []
        of_the_loss = {edge for each in program.operations if each.path == "loss" for edge in each.takes}
        given = [edge for edge, value in program.constants.items() if value is not None]
        for edge in (*program.inputs, *given):
            place[edge] = len(nodes)
            value = program.constants.get(edge)
            written = value is not None and np.size(value) <= self.most
            name = short(value, self.most) if written else self.names.get(program.names[edge], program.names[edge])
            kind = "constant" if edge in program.constants else "target" if edge in of_the_loss else "input"
            nodes.append(DrawnNode(kind, ((name, "name"),), self._total(edge), program.names[edge]))
        edges = []
        for operation in program.operations:
            takes = operation.takes
            parts = self.run.gradients_of_inputs(operation) if self.run is not None else {}
            named = len(takes) > 1 and not operation.computes.any_order
            names = input_names_of(operation.layer, len(takes)) if named else [""] * len(takes)
            for number, (edge, name) in enumerate(zip(takes, names, strict=True)):
                if edge in place:  # not an argument that was left out
                    edges.append(self._edge(place[edge], len(nodes), edge, parts.get(number), name))
            place |= dict.fromkeys(operation.gives, len(nodes))
            totals = filter(None, map(self._total, operation.gives))
            nodes.append(
                DrawnNode(_node_kind(operation), tuple(self._lines(operation)), ", ".join(totals), operation.path)
            )
        outputs = program.output_names
        for number, edge in enumerate(program.outputs):
            gradient = self.run.dYs[number] if self.run is not None and self.totals else None
            edges.append(self._edge(place[edge], len(nodes), edge, gradient, ""))
            nodes.append(DrawnNode("output", ((outputs[number] if number < len(outputs) else "Y", "name"),)))
        return Picture(tuple(nodes), tuple(edges))

    def _short(self, values: Any, norm: bool = False) -> str:
        return short(values, self.most, norm=norm)

    def _edge(self, start: int, end: int, edge: int, gradient: Any, name: str) -> DrawnEdge:
        constants = self.program.constants
        if edge in constants and np.size(constants[edge]) <= self.most:
            value = ""  # shown in the node
        elif self.shown and edge in self.values:
            value = self._short(self.values[edge])
        else:
            shape = self.shapes.get(edge, UNKNOWN)
            value = "" if shape == UNKNOWN else text(shape)
        giver = self.program.giver(edge)
        if giver is not None and len(giver.gives) > 1:
            value = f"{output_names_of(giver.layer)[giver.gives.index(edge)]}: {value}"
        return DrawnEdge(
            start,
            end,
            f"{name} = {value}" if name and value else name or value,
            "" if gradient is None or edge in constants else self._short(gradient, norm=True),
        )

    def _total(self, edge: int) -> str:
        """The sum of the gradients of a value that is used more than once."""
        used = sum(operation.takes.count(edge) for operation in self.program.operations)
        if used + (edge in self.program.outputs) < 2 or self.totals.get(edge) is None:
            return ""
        return f"sum {self._short(self.totals[edge], norm=True)}"

    def _lines(self, operation: Operation) -> Iterator[tuple[str, str]]:
        """The text of a node: the sign of a gate, or path, repr and parameters of a layer."""
        layer, kind, path = operation.layer, _node_kind(operation), operation.path
        if kind == "gate":
            yield operation.computes.sign, "name"
            return
        if kind == "parameter":
            unnamed = path.rpartition(".")[2].isdigit()  # a number alone would look like a constant
            yield self.names.get(path, f"{'parameter ' * unnamed}{path}"), "name"
            return
        if path:
            yield path, "detail"
        line, _, of = layer.one_line().replace(f", dtype={layer.dtype}", "").partition(", of ")
        yield shortened(self.names.get(path, f"{line})" if of else line), LONGEST), "name"
        if of:
            yield shortened(f"of {of.removesuffix(')')}", LONGEST), "detail"
        for name, P in own_parameters(layer).items():
            numbers = self._short(P).replace("\n", ", ") if self.run is not None and self.shown else P.shape
            yield f"{self.names.get(inside(path, name), name)} {numbers}", "value"
        if self.run is not None and self.run.call(operation).dYs is not None and operation.computes is layer:
            for name, dP in stored_gradients(layer).items():
                numbers = self._short(dP, norm=True).replace("\n", ", ")
                yield f"{gradient_name(name)}{' total' * (id(dP) in self.summed)} {numbers}", "gradient"


def short(values: Any, most: int = 4, *, norm: bool = False) -> str:
    """An array as text: its numbers if there are at most ``most``, otherwise its shape or Euclidean norm.

    >>> short(np.array([1.0, 2.0])), short(np.zeros((4, 3))), short(np.ones((4, 4)), norm=True)
    ('[1, 2]', '(4, 3)', 'norm 4')
    >>> print(short(np.array([[1.0, 2.0], [3.0, 4.0]])))
    [1, 2]
    [3, 4]
    """
    A = np.asarray(values)
    if A.size and A.size <= most and (A.ndim < 2 or (A.ndim == 2 and 2 * len(A) <= max(most, 4))):
        rows = [f"[{', '.join(map(scalar_text, row))}]" for row in np.atleast_2d(A).tolist()]
        return "\n".join(rows) if A.ndim else scalar_text(A.item())
    return f"norm {np.linalg.norm(A):.3g}" if norm else str(A.shape)


def _node_kind(operation: Operation) -> str:
    if isinstance(operation.layer, Parameter):
        return "parameter"
    return "gate" if described(operation.computes, "sign", "forward", "backward") else "layer"
