"""A file of ONNX by somebody else, read and checked as a whole before anything is made of it."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, checker, defs, helper, numpy_helper

from nnlite.basics.arrays import Array
from nnlite.errors import CheckpointError
from nnlite.interop.onnx.computed_sizes import computed_sizes, inferred_values, live_nodes
from nnlite.interop.onnx.run_on_sizes import sizes_of
from nnlite.interop.onnx.zero_states import without_zero_states

OLDEST, NEWEST = 13, defs.onnx_opset_version()
_IN_INT32 = {TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.BOOL, TensorProto.INT32, TensorProto.INT8}
_IN_INT32 |= {TensorProto.INT16, TensorProto.UINT8, TensorProto.UINT16}
_FIELDS = {TensorProto.FLOAT: "float_data", TensorProto.DOUBLE: "double_data", TensorProto.INT64: "int64_data"}
_FIELDS |= dict.fromkeys(_IN_INT32, "int32_data")
_FLOATING = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}


@dataclass(frozen=True)
class OnnxNode:
    """A node of the file: operator, name, inputs and outputs by name, and attributes with their defaults."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.operator} {self.name!r}"


@dataclass(frozen=True)
class OnnxFile:
    """What a file contains.

    Attributes:
        nodes: those that the outputs depend on, in the order of their computation, without Constants.
        initializers: arrays by name, floating ones in one dtype.
        constants: the values of Constant nodes by name, likewise.
        inputs: names of the inputs, without those that have an initializer.
        outputs: names of the outputs.
        shapes: sizes by name, None for an unknown one; what has no entry has an unknown number of axes.
        numbers: the names of what has floating numbers.
        batch: the name of the first input whose first size is not known, that of the batch.
        ours: whether nnlite wrote it.
    """

    nodes: list[OnnxNode]
    initializers: dict[str, Array]
    constants: dict[str, Array]
    inputs: list[str]
    outputs: list[str]
    shapes: dict[str, tuple[int | None, ...]]
    numbers: frozenset[str]
    batch: str | None
    ours: bool


def decoded(source: Any) -> tuple[str, Any]:
    """The name of a source, for messages, and its ModelProto; files beside it are not read.

    Raises:
        CheckpointError: it is not an ONNX file.
    """
    if isinstance(source, onnx.ModelProto):
        return "from_onnx", source
    name, content = "from_onnx", source
    if not isinstance(source, bytes | bytearray | memoryview):
        name = os.fsdecode(source)
        with open(source, "rb") as file:
            content = file.read()
    try:
        return name, onnx.load_model_from_string(bytes(content))
    except Exception:  # DecodeError of protobuf, which is not a dependency of its own
        raise CheckpointError(f"{name}: it is not an ONNX file, or is damaged") from None


def checked(model: Any, supported: Iterable[str]) -> OnnxFile:
    """The content of a ModelProto.

    Raises:
        CheckpointError: it is damaged, contradicts itself, has its arrays in other files, or other operators than those
            that are supported, which are all listed.
    """
    ours = model.producer_name == "nnlite"
    model = without_zero_states(model, initializers=not ours)
    graph, opset = model.graph, _opset(model)
    tensors = [(each.name, each) for each in graph.initializer]
    tensors += [(node.output[0], _constant(node)) for node in graph.node if _is_constant(node)]
    for name, tensor in tensors:
        _check_tensor(tensor, name)
    _check_names(graph)
    arrays = {name: numpy_helper.to_array(tensor) for name, tensor in tensors}
    sizes = sizes_of(graph, opset, _constants(graph, arrays))
    if sizes.negative:
        raise CheckpointError("negative sizes:\n  " + "\n  ".join(sizes.negative))
    types, invalid = _inferred(model)
    arrays |= {} if ours else sizes.values
    live = live_nodes(graph, arrays)
    _check_operators(live, set(supported))
    if invalid:
        raise CheckpointError(f"onnx finds it invalid: {invalid}")
    arrays = _in_one_dtype(arrays)
    for node in live:
        place = computed_sizes(node, arrays)
        if place is not None:
            Y = node.output[0]
            reshapes = node.op_type in ("Reshape", "Resize")
            numbers = sizes.reshaping(node.input[0], Y) if reshapes else sizes.expanding(Y)
            if numbers is None:
                raise CheckpointError(
                    f"{node.op_type} {node.name!r}: its sizes are computed in a way that is not supported"
                )
            node.input[place] = f"{Y}.sizes"
            arrays[node.input[place]] = np.array(numbers)
    initializers = {each.name: arrays[each.name] for each in graph.initializer}
    return OnnxFile(
        [_node(each, number, opset) for number, each in enumerate(live) if not _is_constant(each)],
        initializers,
        {name: array for name, array in arrays.items() if name not in initializers},
        [each.name for each in graph.input if each.name not in initializers],
        [each.name for each in graph.output],
        {name: _sizes(each) for name, each in types.items() if each.HasField("shape")} | sizes.shapes,
        frozenset(name for name, each in types.items() if each.elem_type in _FLOATING),
        sizes.batch,
        ours,
    )


def _inferred(model: Any) -> tuple[dict[str, Any], str]:
    """The types of all values by name, and what is wrong with the model, or an empty text."""
    for output in model.graph.output:  # some programs leave out types of outputs, which onnx finds invalid
        tensor = output.type.tensor_type
        tensor.elem_type = tensor.elem_type or TensorProto.FLOAT
        tensor.shape.SetInParent()
    try:
        checker.check_model(model)
        return inferred_values(model), ""
    except Exception as error:  # ValidationError, InferenceError, and what C++ raises
        return {}, _first_line(error)


def _constants(graph: Any, arrays: dict[str, Array]) -> dict[str, Array]:
    """The arrays that are no parameters: whole numbers, single numbers and the values of Constant nodes."""
    trained = {each.name for each in graph.initializer if each.dims and each.data_type in _FLOATING}
    return {name: array for name, array in arrays.items() if name not in trained}


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Make a CheckpointError of what is wrong in the file of this name."""
    try:
        yield
    except (ValueError, TypeError) as error:  # what the layers and the graph refuse
        raise CheckpointError(f"{name}: {error}") from None


def _opset(model: Any) -> int:
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), None)
    if opset is None:
        raise CheckpointError("it is not an ONNX file, or is damaged: it has no opset")
    if not OLDEST <= opset <= NEWEST:
        raise CheckpointError(
            f"expected an opset from {OLDEST} to {NEWEST}, got {opset}; convert it, "
            "onnx.version_converter.convert_version(onnx.load(path), 18)"
        )
    return int(opset)


def _is_constant(node: Any) -> bool:
    return node.op_type == "Constant" and node.domain in ("", "ai.onnx") and len(node.output) == 1


def _constant(node: Any) -> Any:
    """The tensor of a Constant node."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return attribute.t
        if attribute.name in ("value_float", "value_floats", "value_int", "value_ints"):
            value = helper.get_attribute_value(attribute)
            return numpy_helper.from_array(np.asarray(value, np.float32 if "float" in attribute.name else np.int64))
    raise CheckpointError(f"Constant {node.name!r}: expected numbers")


def _check_tensor(tensor: Any, place: str) -> None:
    """Raise unless the file holds as many numbers as the tensor says, before they are converted."""
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise CheckpointError(
            f"{place}: its numbers are in another file, and other files are not read; write one file, "
            "onnx.save(onnx.load(path), 'one.onnx')"
        )
    if tensor.data_type not in _FIELDS:
        raise CheckpointError(f"{place}: expected real numbers, got type {tensor.data_type} of ONNX")
    sizes, dtype = list(tensor.dims), helper.tensor_dtype_to_np_dtype(tensor.data_type)
    found = len(tensor.raw_data) / dtype.itemsize if tensor.HasField("raw_data") else None
    if found is None:
        found = len(getattr(tensor, _FIELDS[tensor.data_type]))
    if min(sizes, default=0) < 0 or math.prod(sizes) != found:
        raise CheckpointError(f"{place}: shape {tuple(sizes)} and {found:g} numbers do not match")


def _check_names(graph: Any) -> None:
    """Raise unless each name is given once."""
    given = [each.name for each in graph.initializer] + [name for node in graph.node for name in node.output if name]
    inputs = [each.name for each in graph.input]
    twice = [name for names in (given, inputs) for name, count in Counter(names).items() if count > 1]
    twice += [name for node in graph.node for name in node.output if name in inputs]
    if twice:
        raise CheckpointError(f"names that are used twice: {', '.join(map(repr, twice[:9]))}")
    if graph.sparse_initializer:
        raise CheckpointError("sparse initializers are not supported")


def _check_operators(nodes: list[Any], supported: set[str]) -> None:
    wrong = [
        f"{'' if each.domain in ('', 'ai.onnx') else each.domain + '.'}{each.op_type} {each.name or number!r}"
        for number, each in enumerate(nodes)
        if each.op_type not in supported | {"Constant"} or each.domain not in ("", "ai.onnx")
    ]
    if wrong:
        raise CheckpointError("operators that are not supported:\n  " + "\n  ".join(wrong))


def _in_one_dtype(arrays: dict[str, Array]) -> dict[str, Array]:
    """The arrays, the floating ones in the widest dtype among them, at least float32."""
    kinds = {name: array.dtype for name, array in arrays.items() if array.dtype.kind not in "iub"}
    dtype = np.float64 if np.dtype(np.float64) in kinds.values() else np.float32
    return {name: np.array(array, dtype if name in kinds else None) for name, array in arrays.items()}


def _node(node: Any, number: int, opset: int) -> OnnxNode:
    schema = defs.get_schema(node.op_type, opset, "")
    attributes = {
        name: helper.get_attribute_value(each.default_value)
        for name, each in schema.attributes.items()
        if each.default_value.type
    }
    attributes |= {each.name: helper.get_attribute_value(each) for each in node.attribute}
    plain = {name: _plain(value) for name, value in attributes.items()}
    return OnnxNode(node.op_type, node.name or str(number), tuple(node.input), tuple(node.output), plain)


def _plain(value: Any) -> Any:
    """The value of an attribute; of a float32 the decimal number that is meant: 1e-05, not 9.999999747378752e-06."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _sizes(type: Any) -> tuple[int | None, ...]:
    return tuple([size.dim_value if size.HasField("dim_value") else None for size in type.shape.dim])


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
