"""A file of ONNX's operators as a trainable model, for :func:`nnlite.from_onnx`."""

from collections import Counter
from inspect import signature
from typing import Any

import numpy as np

from nnlite.containers.graph import Graph
from nnlite.containers.nodes import Input, Node
from nnlite.containers.sequential import Sequential
from nnlite.errors import CheckpointError
from nnlite.interop.onnx.checked_onnx import OnnxFile, OnnxNode, checked, decoded, reading
from nnlite.interop.onnx.declared_operators import Inverse, inverses
from nnlite.interop.onnx.fused_operators import with_gelu
from nnlite.interop.onnx.onnx_operators import Operators
from nnlite.interop.onnx.operands import Operand
from nnlite.layer.layer import Layer
from nnlite.layers.activations import Identity


def model_of(source: Any) -> Layer:
    """The model; see :func:`nnlite.from_onnx`."""
    declared = inverses()
    own = {name for name in dir(Operators) if name[0].isupper()}
    name, model = decoded(source)
    with reading(name), np.errstate(all="ignore"):
        file = with_gelu(checked(model, declared.keys() | own | {"Erf"}))
        inputs, outputs = _graph(file, declared)
        chain = _chain(inputs, outputs)
        return Graph(_alone(inputs), _alone(outputs)) if chain is None else chain


def _graph(file: OnnxFile, declared: dict[str, Inverse]) -> tuple[list[Input], list[Node]]:
    """The nodes of the inputs and of the outputs.

    Raises:
        CheckpointError: operators that are not supported, in the way in which they are used; all are listed.
    """
    inputs = [Input(_identifier(name), shape=_shape(file, name)) for name in file.inputs]
    uses = Counter(name for node in file.nodes for name in node.inputs) + Counter(file.outputs)

    def computed(name: str, node: Node) -> Operand:
        return Operand(file.shapes.get(name), None, uses[name], floating=name in file.numbers, node=node)

    operands = {name: computed(name, node) for name, node in zip(file.inputs, inputs, strict=True)}
    for trained, arrays in (True, file.initializers), (False, file.constants):
        for name, array in arrays.items():
            own = trained and (array.ndim > 0 or file.ours)
            operands[name] = Operand(array.shape, array, uses[name], floating=array.dtype.kind == "f", trained=own)
    batch = None if file.batch is None else operands[file.batch].node
    wrong, operators = [], Operators(batch)
    for node in file.nodes:
        try:
            used = tuple([bool(name and uses[name]) for name in node.outputs])
            given = [operands[name] if name else None for name in node.inputs]
            made = _made(node, given, used, declared, operators)
        except (NotImplementedError, ValueError, TypeError, ArithmeticError, LookupError) as error:
            wrong.append(f"{node}: {error}")
            made = tuple([Input() for _ in node.outputs])
        if isinstance(made, Operand):
            made.shape = file.shapes.get(node.outputs[0]) if made.shape is None else made.shape
            operands[node.outputs[0]] = made
            continue
        for name, output in zip(node.outputs, made if isinstance(made, tuple) else (made,), strict=False):
            operands[name] = computed(name, output)
        for name in node.outputs[len(made) if isinstance(made, tuple) else 1 :]:
            if uses[name]:
                wrong.append(f"{node}: its output {name!r} is not supported")
                operands[name] = operands[node.outputs[0]]
    if wrong:
        raise CheckpointError("what is not supported:\n  " + "\n  ".join(wrong))
    outputs: list[Node] = []
    for name in file.outputs:
        Y = operands[name].node
        outputs.append(Identity()(Y) if any(Y is each for each in outputs) else Y)
    return inputs, outputs


def _made(
    node: OnnxNode,
    operands: list[Operand | None],
    used: tuple[bool, ...],
    declared: dict[str, Inverse],
    operators: Operators,
) -> Any:
    """The node of an operator's output, a tuple of several, or an operand that it hands on."""
    method = getattr(operators, node.operator, None)
    attributes = dict(node.attributes)
    if method is not None:
        if "outputs" in signature(method).parameters:
            attributes["outputs"] = len(node.outputs)
        if "used" in signature(method).parameters:
            attributes["used"] = used
        return method(*operands, **attributes)
    if node.operator not in declared:
        raise NotImplementedError("it is only supported in a GELU")
    inverse = declared[node.operator]
    given = {keyword: attributes[keyword] for keyword in inverse.keywords if keyword in attributes}
    if missing := inverse.keywords.keys() - given.keys():
        raise NotImplementedError(f"without {', '.join(sorted(missing))}")
    return inverse.layer(given)(operands[0].node)  # type: ignore[union-attr]


def _chain(inputs: list[Input], outputs: list[Node]) -> Sequential | None:
    """The layers as a Sequential, if each has what the one before it gives for its only input."""
    if len(inputs) != 1 or len(outputs) != 1:
        return None
    layers, node = [], outputs[0]
    while node.call is not None and len(node.call.inputs) == 1 and node.call.layer.num_outputs == 1:
        layers.append(node.call.layer)
        node = node.call.inputs[0]
    return Sequential(*reversed(layers)) if node is inputs[0] else None


def _alone(nodes: list[Any]) -> Any:
    """The only node itself, or a list of several."""
    return nodes[0] if len(nodes) == 1 else nodes


def _identifier(name: str) -> str | None:
    return name if name.isidentifier() else None


def _shape(file: OnnxFile, name: str) -> tuple[int | None, ...] | None:
    """What the file says of the shape of an input, but for the size of the batch."""
    shape = file.shapes.get(name)
    return (None, *shape[1:]) if shape else None
