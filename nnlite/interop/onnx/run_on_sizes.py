"""A file run on sizes alone: the shapes of its arrays, and what it computes of sizes, such as those of a view.

It is run twice, with different numbers for the sizes that are not known, such as that of the batch. What is the same in
both runs does not depend on them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import defs, helper, numpy_helper, shape_inference

from nnlite.basics.arrays import Array

LIMIT = 4096  # entries of an array that is computed
FOLDED = {
    *("Shape", "Size", "ConstantOfShape", "Range", "Gather", "Slice", "Concat", "Reshape", "Transpose", "Unsqueeze"),
    *("Squeeze", "Expand", "Tile", "Trilu", "Cast", "Identity", "Add", "Sub", "Mul", "Div", "Mod", "Neg", "Max", "Min"),
    *("Sqrt", "Pow", "ReduceProd", "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Where", "Not", "And"),
    *("Or", "IsInf", "IsNaN"),
}
FIRST, SECOND = (1009, 1013, 1019, 1021), (2003, 2011, 2017, 2027)  # primes, so that no product is another size


@dataclass(frozen=True)
class Sizes:
    """What two runs give.

    Attributes:
        values: arrays that do not depend on unknown sizes, by name.
        shapes: sizes by name, None for one that depends on unknown sizes.
        runs: values and shapes of each run.
        batch: the first input whose first size is not known.
        negative: inputs and operators that have negative sizes.
    """

    values: dict[str, Array]
    shapes: dict[str, tuple[int | None, ...]]
    runs: tuple["Run", "Run"]
    batch: str | None
    negative: list[str]

    def reshaping(self, data: str, Y: str) -> list[int] | None:
        """The sizes that give ``data`` the shape of Y: 0 for that of the same axis, -1 for another unknown one.

        None if they are not known, or several are unknown.
        """
        before, pairs = [run.shape(data) for run in self.runs], self._pairs(Y)
        if pairs is None or None in before:
            return None
        found = []
        for axis, pair in enumerate(pairs):
            same = pair == tuple([shape[axis] if shape and axis < len(shape) else None for shape in before])
            found.append(pair[0] if pair[0] == pair[1] else 0 if same else -1)
        return found if found.count(-1) < 2 else None

    def expanding(self, Y: str) -> list[int] | None:
        """The sizes of Y, -1 for that of the batch; None if others are not known."""
        batch = [(run.shape(self.batch) or (None,))[0] if self.batch else None for run in self.runs]
        pairs = self._pairs(Y)
        if pairs is None or not all(a == b or [a, b] == batch for a, b in pairs):
            return None
        found = [a if a == b else -1 for a, b in pairs]
        return found if found.count(-1) < 2 else None

    def _pairs(self, Y: str) -> list[tuple[int, int]] | None:
        """The sizes of an array in both runs."""
        first, second = [run.shape(Y) for run in self.runs]
        return None if first is None or second is None else list(zip(first, second, strict=True))


def sizes_of(graph: Any, opset: int, constants: Mapping[str, Array]) -> Sizes:
    """Run the operators of a graph on sizes.

    Args:
        graph: a GraphProto whose nodes are sorted.
        opset: the version of its operators.
        constants: arrays whose numbers may be used; those of other initializers are not.
    """
    runs = Run(graph, opset, constants, FIRST), Run(graph, opset, constants, SECOND)
    first, second = (run.values for run in runs)
    equal = [name for name in first.keys() & second.keys() if np.array_equal(first[name], second[name], equal_nan=True)]
    values = {name: first[name] for name in first if name in set(equal) - constants.keys()}
    shapes = {}
    for name in runs[0].types:
        one, other = (run.shape(name) for run in runs)
        if one is not None and other is not None and len(one) == len(other):
            shapes[name] = tuple([a if a == b else None for a, b in zip(one, other, strict=True)])
    batch = next((each.name for each in graph.input if shapes.get(each.name, (0,))[:1] == (None,)), None)
    return Sizes(values, shapes, runs, batch, Run(graph, opset, {**constants, **values}, None).negative)


class Run:
    """The types of a graph's arrays, with all sizes, and the values of small ones that follow from sizes.

    Args:
        graph, opset, constants: see ``sizes_of``.
        unknown: a number for each unknown size, the last one for all others; None if they stay unknown.

    Attributes:
        types, values: by name.
        negative: inputs and operators with negative sizes, on which the rest of onnx may end the process.
    """

    def __init__(self, graph: Any, opset: int, constants: Mapping[str, Array], unknown: Any) -> None:
        self.opset = opset
        self.negative: list[str] = []
        self.values = {name: array for name, array in constants.items() if array.size <= LIMIT}
        self.types = {each.name: helper.make_tensor_type_proto(each.data_type, each.dims) for each in graph.initializer}
        self.types |= {name: _type(array) for name, array in constants.items()}
        known: dict[str, int] = {}
        for each in graph.input:
            if each.name not in self.types and each.type.tensor_type.HasField("shape"):
                type = _with_sizes(each.type.tensor_type, known, unknown) if unknown else each.type
                self._add({each.name: type}, f"input {each.name!r}")
        for node in graph.node:
            if node.domain in ("", "ai.onnx") and node.output and node.output[0] not in self.types:
                self._run(node)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of an array; None if it is not known."""
        type = self.types.get(name)
        if type is None or not type.tensor_type.HasField("shape"):
            return None
        sizes = type.tensor_type.shape.dim
        return tuple([each.dim_value for each in sizes]) if all(each.HasField("dim_value") for each in sizes) else None

    def _add(self, types: dict[str, Any], place: str) -> None:
        if any(size.dim_value < 0 for type in types.values() for size in type.tensor_type.shape.dim):
            self.negative.append(place)
        else:
            self.types |= types

    def _run(self, node: Any) -> None:
        given = [name for name in node.input if name]
        try:
            schema = defs.get_schema(node.op_type, self.opset, "")
            types = {name: self.types[name] for name in given}
            data = {name: numpy_helper.from_array(self.values[name], name) for name in given if name in self.values}
            opsets = [helper.make_opsetid("", self.opset)]
            made = shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=opsets)
            self._add(made, f"{node.op_type} {node.name!r}")
            shape = self.shape(node.output[0])
            if node.op_type not in FOLDED or shape is None or math.prod(shape) > LIMIT:
                return
            if node.op_type in ("Shape", "Size"):
                of = self.shape(given[0])
                arrays: Any = None if of is None else [np.broadcast_to(np.zeros((), np.int8), of)]  # takes no memory
            else:
                arrays = [self.values[name] for name in given]
            if arrays is not None and given:
                self.values[node.output[0]] = _result(node, self.opset, dict(zip(given, arrays, strict=True)))
        except Exception:  # what is not known, or wrong, which the check of the whole file says
            return


def _type(array: Array) -> Any:
    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def _with_sizes(type: Any, known: dict[str, int], unknown: tuple[int, ...]) -> Any:
    """A type whose unknown sizes are numbers; sizes of one name, or without a name of one axis, are the same."""
    sizes = []
    for axis, size in enumerate(type.shape.dim):
        if not size.HasField("dim_value"):
            known.setdefault(size.dim_param or str(axis), unknown[min(len(known), len(unknown) - 1)])
        sizes.append(size.dim_value if size.HasField("dim_value") else known[size.dim_param or str(axis)])
    return helper.make_tensor_type_proto(type.elem_type, sizes)


def _result(node: Any, opset: int, given: dict[str, Array]) -> Array:
    """The output of a node, by the reference implementation of ONNX."""
    from onnx.reference import ReferenceEvaluator  # which takes longer to import than most files take to read

    output = helper.make_value_info(node.output[0], helper.make_tensor_type_proto(0, None))
    graph = helper.make_graph([node], "node", [], [output])
    outputs: Any = ReferenceEvaluator(graph, opsets={"": opset}).run(None, given)
    return np.asarray(outputs[0])
