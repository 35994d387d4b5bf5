"""Sizes that a file computes, as ``x.view(x.size(0), -1)`` of PyTorch does: Reshape gets them as numbers instead."""

from collections.abc import Collection
from typing import Any

import onnx
from onnx import shape_inference


def live_nodes(graph: Any, constants: Collection[str]) -> list[Any]:
    """The nodes that the outputs depend on, in order, without what only computes sizes."""
    needed, kept = {each.name for each in graph.output}, []
    for node in reversed(graph.node):
        if (needed - set(constants)) & set(node.output):
            kept.append(node)
            computed = computed_sizes(node, constants)
            needed |= {name for place, name in enumerate(node.input) if place != computed}
    return kept[::-1]


def computed_sizes(node: Any, constants: Collection[str]) -> int | None:
    """Which input of an operator are the sizes of its output, if they are no constant."""
    place = {"Reshape": 1, "Resize": 3, "Expand": 1, "ConstantOfShape": 0}.get(node.op_type)
    computed = place is not None and len(node.input) > place and node.input[place] not in {"", *constants}
    return place if computed else None


def inferred_values(model: Any) -> dict[str, Any]:
    """The type and shape of each value by name, inferred from the operators, without sizes that are computed.

    Declared shapes are used for the inputs only: in outputs PyTorch declares the sizes of its example.
    """
    own = onnx.ModelProto()
    own.CopyFrom(model)
    del own.graph.value_info[:]
    for output in own.graph.output:
        output.ClearField("type")
    graph = shape_inference.infer_shapes(own, check_type=True, strict_mode=True).graph
    return {each.name: each.type.tensor_type for each in (*graph.input, *graph.value_info, *graph.output)}
