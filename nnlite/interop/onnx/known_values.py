"""Values that a file computes from constants and from sizes that are known, such as the ends of a slice."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from nnlite.basics.arrays import Array

LIMIT = 4096  # entries of an array that is computed
FOLDED = {
    *("Shape", "ConstantOfShape", "Gather", "Slice", "Concat", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "Cast"),
    *("Add", "Sub", "Mul", "Div", "Neg", "Max", "Min", "Sqrt", "Pow", "ReduceProd", "Identity", "Equal", "Where"),
    *("Not", "And", "IsInf", "Trilu"),
}
UNKNOWN_SIZES = 1009, 2003  # what is the same for both does not depend on a size that is not known


def known_values(graph: Any, opset: int, arrays: Mapping[str, Array], types: Mapping[str, Any]) -> dict[str, Array]:
    """The values that follow from small arrays and from the shapes in ``types``, whatever the unknown sizes are."""
    nodes = [node for node in graph.node if node.op_type in FOLDED and node.domain in ("", "ai.onnx")]
    small = {name: array for name, array in arrays.items() if array.size <= LIMIT}
    first, second = ({}, {}) if not nodes else (_computed(nodes, opset, small, types, size) for size in UNKNOWN_SIZES)
    return {name: array for name, array in first.items() if name in second and np.array_equal(array, second[name])}


def with_values(model: Any, values: Mapping[str, Array]) -> Any:
    """The model with constants in place of what computes these values, for what onnx infers from them."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    for node in other.graph.node:
        if len(node.output) == 1 and node.output[0] in values:
            name, tensor = node.output[0], numpy_helper.from_array(values[node.output[0]])
            node.CopyFrom(helper.make_node("Constant", [], [name], value=tensor))
    return other


def _computed(nodes: Any, opset: int, arrays: Any, types: Mapping[str, Any], unknown: int) -> dict[str, Array]:
    values: dict[str, Array] = {}
    for node in nodes:
        if node.op_type == "Shape":
            given: dict[str, Any] = {node.input[0]: _of_shape(types.get(node.input[0]), unknown)}
        else:
            given = {name: arrays.get(name, values.get(name)) for name in node.input if name}
        if given and all(each is not None for each in given.values()) and _gives_a_small_one(node, given):
            try:
                found = _result(node, opset, given)
            except Exception:  # that it is wrong, the check of the whole file says
                continue
            if found.size <= LIMIT:
                values[node.output[0]] = found
    return values


def _of_shape(type: Any, unknown: int) -> Array | None:
    """An array of this shape, which takes no memory; None if the number of its axes is not known."""
    if type is None or not type.HasField("shape"):
        return None
    sizes = [size.dim_value if size.HasField("dim_value") else unknown for size in type.shape.dim]
    return np.broadcast_to(np.zeros((), np.int8), sizes)


def _gives_a_small_one(node: Any, given: dict[str, Array]) -> bool:
    """Whether the operator makes no large array."""
    return node.op_type != "ConstantOfShape" or int(math.prod(given[node.input[0]].tolist())) <= LIMIT


def _result(node: Any, opset: int, given: dict[str, Array]) -> Array:
    """The output of a node, by the reference implementation of ONNX."""
    from onnx.reference import ReferenceEvaluator  # which takes longer to import than most files take to read

    output = helper.make_value_info(node.output[0], helper.make_tensor_type_proto(0, None))
    graph = helper.make_graph([node], "node", [], [output])
    outputs: Any = ReferenceEvaluator(graph, opsets={"": opset}).run(None, given)
    return np.asarray(outputs[0])
