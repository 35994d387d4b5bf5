"""Picture: the nodes and edges of a drawing of a model, with their texts, before they are placed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.shapes import UNKNOWN, Shape, text
from nnlite.basics.trees import each_of, listed
from nnlite.containers.argument_names import input_names_of, output_names_of
from nnlite.containers.nodes import Parameter
from nnlite.containers.program import Operation, Program
from nnlite.containers.stepping import gradient_name
from nnlite.containers.tied import TiedTranspose
from nnlite.diagnostics.array_text import scalar_text
from nnlite.diagnostics.recording import stored_gradients
from nnlite.diagnostics.run import Run
from nnlite.diagnostics.text_table import shortened
from nnlite.layer.layer import Layer, check_layer

TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"
SIGNS = {
    "Add": "+", "Subtract": MINUS, "Multiply": TIMES, "Divide": "÷", "Power": "xʸ", "Maximum": "max", "Minimum": "min",
    "Negative": f"{MINUS}x", "Exp": "eˣ", "Log": "ln", "Square": "x²", "Sqrt": "√x", "Reciprocal": "1/x", "Abs": "|x|",
    "Dot": "xᵀy", "Outer": "x yᵀ", "MatMul": "@", "Sum": "Σ", "Residual": "+",
}  # fmt: skip
ANY_ORDER = (
    "Add",
    "Multiply",
    "Maximum",
    "Minimum",
    "Dot",
    "Residual",
)  # inputs without names

FEW = 4  # arrays of up to so many numbers are shown in full
LONGEST = 28  # characters of a layer's repr

Lines = tuple[tuple[str, str], ...]  # (text, kind): "name", "detail", "value" or "gradient"


@dataclass(frozen=True)
class DrawnNode:
    """A node of a picture.

    Attributes:
        kind: "input", "constant", "parameter", "gate", "layer" or "output".
        lines: the text in it.
        below: the text below it: the sum of its gradients if its value is used more than once.

    >>> DrawnNode("gate", (("+", "name"),)).below
    ''
    """

    kind: str
    lines: Lines
    below: str = ""


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


def picture(model: Layer, X: Any = None, dY: Any = None, *, values: bool = True, gradients: bool = True) -> Picture:
    """The nodes and edges that :func:`nnlite.draw` draws.

    Args:
        model: as in :func:`nnlite.draw`, and so are the others.
        X: the input.
        dY: the gradient of the output.
        values: whether to show values.
        gradients: whether to show gradients.

    Raises:
        TypeError: ``model`` is not a Layer, or X does not hold real numbers.

    >>> import nnlite as nn
    >>> a, b = nn.Input("a"), nn.Input("b")
    >>> picture(nn.Graph([a, b], a * b), (2.0, 3.0)).edges
    (DrawnEdge(start=0, end=2, value='2', gradient='3'), DrawnEdge(start=1, end=2, value='3', gradient='2'), ...
    """
    check_layer(model, "model")
    if X is None:
        program = Program.of(model)
        return _Drawing(model, program, program.shapes()).picture()
    run = Run(model)
    run.model.needs_dX = True
    Y = run.forward(each_of(lambda X: as_array(X, "X"), X))
    if dY is None and all(np.size(each) == 1 for each in listed(Y)) and len(listed(Y)) == 1:
        dY = each_of(lambda Y: np.ones(np.shape(Y), np.result_type(Y)), Y)
    if gradients and dY is not None:
        dtype = np.result_type(*listed(Y))
        dY = each_of(lambda dY: _floating_as(dtype, as_array(dY, "dY")), dY)
        run.backward(dY)
    return _Drawing(run.model, run.program, {}, run, listed(dY), values).picture()


class _Drawing:
    """Makes a picture of a program and, if it ran, of its values and gradients."""

    def __init__(
        self,
        model: Layer,
        program: Program,
        shapes: dict[int, Shape],
        run: Run | None = None,
        dYs: Sequence[Any] = (),
        shown: bool = True,
    ) -> None:
        self.model, self.program, self.shapes, self.dYs, self.shown = model, program, shapes, dYs, shown
        self.values: dict[int, Any] = dict(program.constants) if run is None else run.values  # of each edge
        self.totals: dict[int, Any] = {}  # the gradient of each edge
        self.parts: dict[tuple[str, int], Any] = {}  # the gradient that an operation returns, by path and position
        self.stored: dict[str, dict[str, Array]] = {}  # the gradients of each operation's parameters
        self.summed: set[int] = set()  # ids of the gradients to which a tied layer adds its own
        if run is not None and run.recording.backwards:
            self._read_gradients(run)

    def _read_gradients(self, run: Run) -> None:
        for operation in run.program.operations:
            layer, call = operation.layer, run.call(operation)
            if call.dYs is None:
                continue
            self.totals |= zip(operation.gives, call.dYs, strict=False)
            self.parts |= {(operation.path, at): dX for at, dX in run.gradients_of_inputs(operation).items()}
            if operation.computes is layer:
                self.stored[operation.path] = stored_gradients(layer)
            if layer.original is not None:
                self.summed |= {id(dP) for dP, _ in layer.own_gradients()}
        inputs = [self.program.inputs[place] for place in run.model.differentiable_inputs(len(self.program.inputs))]
        self.totals |= zip(inputs, listed(run.dX), strict=False)

    # ---------------------------------------------------------------------------------------------- the picture

    def picture(self) -> Picture:
        found, place = self.program, dict[int, int]()
        nodes: list[DrawnNode] = []
        for edge in (*found.inputs, *found.constants):
            place[edge] = len(nodes)
            kind = "constant" if edge in found.constants else "input"
            value = found.constants.get(edge)
            name = found.names[edge] if value is None or np.size(value) > FEW else short(value)
            nodes.append(DrawnNode(kind, ((name, "name"),), self._total(edge)))
        edges = []
        for operation in found.operations:
            named = len(operation.takes) > 1 and type(operation.layer).__name__ not in ANY_ORDER
            names = input_names_of(operation.layer, len(operation.takes)) if named else [""] * len(operation.takes)
            for number, (edge, name) in enumerate(zip(operation.takes, names, strict=True)):
                gradient = self.parts.get((operation.path, number))
                edges.append(self._edge(place[edge], len(nodes), edge, gradient, name))
            place |= dict.fromkeys(operation.gives, len(nodes))
            totals = filter(None, map(self._total, operation.gives))
            nodes.append(DrawnNode(_node_kind(operation.layer), tuple(self._lines(operation)), ", ".join(totals)))
        outputs = output_names_of(self.model)
        for number, edge in enumerate(found.outputs):
            gradient = self.dYs[number] if self.totals else None
            edges.append(self._edge(place[edge], len(nodes), edge, gradient, ""))
            nodes.append(DrawnNode("output", ((outputs[number] if number < len(outputs) else "Y", "name"),)))
        return Picture(tuple(nodes), tuple(edges))

    def _edge(self, start: int, end: int, edge: int, gradient: Any, name: str) -> DrawnEdge:
        if edge in self.program.constants and np.size(self.program.constants[edge]) <= FEW:
            value = ""  # shown in the node
        else:
            value = short(self.values[edge]) if self.shown and edge in self.values else self._shape(edge)
        giver = self.program.giver(edge)
        if giver is not None and len(giver.gives) > 1:
            value = f"{output_names_of(giver.layer)[giver.gives.index(edge)]}: {value}"
        return DrawnEdge(
            start,
            end,
            f"{name} = {value}" if name and value else name or value,
            "" if gradient is None or edge in self.program.constants else short(gradient, norm=True),
        )

    def _shape(self, edge: int) -> str:
        shape = self.shapes.get(edge, UNKNOWN)
        return "" if shape == UNKNOWN else text(shape)

    def _total(self, edge: int) -> str:
        used = sum(operation.takes.count(edge) for operation in self.program.operations) + (
            edge in self.program.outputs
        )
        if used < 2 or self.totals.get(edge) is None:
            return ""
        return f"sum {short(self.totals[edge], norm=True)}"

    def _lines(self, operation: Operation) -> Iterator[tuple[str, str]]:
        """The text of a node: the symbol of a gate, or path, repr and parameters of a layer."""
        layer, kind = operation.layer, _node_kind(operation.layer)
        if kind == "gate":
            yield SIGNS[type(layer).__name__], "name"
            return
        if kind == "parameter":
            unnamed = operation.path.rpartition(".")[2].isdigit()  # a number alone would look like a constant
            yield f"{'parameter ' * unnamed}{operation.path}", "name"
            return
        if operation.path:
            yield operation.path, "detail"
        line = layer.one_line().replace(f", dtype={layer.dtype}", "")
        if isinstance(layer, TiedTranspose):
            line, _, of = line.removesuffix(")").partition(", of ")
            yield shortened(f"{line})", LONGEST), "name"
            yield shortened(f"of {of}", LONGEST), "detail"
        else:
            yield shortened(line, LONGEST), "name"
        for name in layer._parameters:
            P = getattr(layer, name)
            if P is not None:
                numbers = short(P).replace("\n", ", ")
                yield f"{name} {numbers if self.values and self.shown else P.shape}", "value"
        for name, dP in self.stored.get(operation.path, {}).items():
            numbers = short(dP, norm=True).replace("\n", ", ")
            yield f"{gradient_name(name)}{' total' * (id(dP) in self.summed)} {numbers}", "gradient"


def short(values: Any, *, norm: bool = False) -> str:
    """An array as text: its numbers if it is small, otherwise its shape or Euclidean norm.

    >>> short(np.array([1.0, 2.0])), short(np.zeros((4, 3))), short(np.ones((4, 4)), norm=True)
    ('[1, 2]', '(4, 3)', 'norm 4')
    >>> print(short(np.array([[1.0, 2.0], [3.0, 4.0]])))
    [1, 2]
    [3, 4]
    """
    A = np.asarray(values)
    if A.size and A.size <= FEW and (A.ndim < 2 or (A.ndim == 2 and len(A) <= 2)):
        rows = [f"[{', '.join(map(scalar_text, row))}]" for row in np.atleast_2d(A).tolist()]
        return "\n".join(rows) if A.ndim else scalar_text(A.item())
    return f"norm {np.linalg.norm(A):.3g}" if norm else str(A.shape)


def _floating_as(dtype: Any, array: Array) -> Array:
    """Integers converted to ``dtype``: a 1 written by hand means 1.0, as in X."""
    return array if array.dtype.kind == "f" else array.astype(dtype)


def _node_kind(layer: Layer) -> str:
    if isinstance(layer, Parameter):
        return "parameter"
    return "gate" if type(layer).__name__ in SIGNS and type(layer).__module__.startswith("nnlite.") else "layer"
