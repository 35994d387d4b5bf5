"""Builder: an ONNX graph that grows by calls such as ``graph.Gemm(X, W, b)``, with the shapes that they give."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import defs, helper, numpy_helper, shape_inference

from nnlite.basics.arrays import Array
from nnlite.basics.trees import listed
from nnlite.containers.program import Operation, Program
from nnlite.interop.onnx.declared_operators import as_operators
from nnlite.layer.layer import Layer
from nnlite.layer.parts import inside


class Value:
    """An array in the graph. Arithmetic on it adds operators; a None is left out: ``X + None`` is X.

    Attributes:
        name: its name in the graph.
        shape: its sizes as far as they are known, None for an unknown one, such as that of the batch.
        ndim: the number of its axes.
        dtype: of its numbers.
        type: its type in ONNX.
    """

    __array_ufunc__ = None  # so that ``array * value`` is left to the value

    def __init__(self, graph: "Builder", name: str, type: Any) -> None:
        self.graph, self.name, self.type = graph, name, type
        self.shape = tuple(
            [size.dim_value if size.HasField("dim_value") else None for size in type.tensor_type.shape.dim]
        )
        self.ndim = len(self.shape)
        self.dtype = helper.tensor_dtype_to_np_dtype(type.tensor_type.elem_type)

    def __add__(self, other: Any) -> Any:
        return self if other is None else self.graph.Add(self, other)

    def __radd__(self, other: Any) -> Any:
        return self if other is None else self.graph.Add(other, self)

    def __sub__(self, other: Any) -> Any:
        return self if other is None else self.graph.Sub(self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.graph.Sub(other, self)

    def __mul__(self, other: Any) -> Any:
        return self if other is None else self.graph.Mul(self, other)

    def __rmul__(self, other: Any) -> Any:
        return self if other is None else self.graph.Mul(other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.graph.Div(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.graph.Div(other, self)

    def __pow__(self, other: Any) -> Any:
        return self.graph.Pow(self, other)

    def __rpow__(self, other: Any) -> Any:
        return self.graph.Pow(other, self)

    def __matmul__(self, other: Any) -> Any:
        return self.graph.MatMul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self.graph.MatMul(other, self)

    def __neg__(self) -> Any:
        return self.graph.Neg(self)

    def __gt__(self, other: Any) -> Any:
        return self.graph.Greater(self, other)

    def __lt__(self, other: Any) -> Any:
        return self.graph.Less(self, other)

    def __bool__(self) -> bool:
        raise TypeError(f"{self.name} is computed when the file runs, so it has no truth value; use Where(X > 0, A, B)")


class Builder:
    """An ONNX graph that grows: ``graph.Relu(X)`` adds the operator Relu and returns the Value of its output.

    Inputs of an operator are Values, arrays, numbers, tuples of whole numbers such as axes, or None for an optional one
    that is left out. Keywords are attributes, or inputs by their names, as the opset has it: ``graph.ReduceSum(X,
    axes=(1,))``, and ``graph.Cast(X, to=graph.dtype)``. ``outputs=2`` asks for a tuple of two Values.

    Args:
        opset: the version of ONNX's operators.
        dtype: of numbers.
        arrays: the parameters and buffers of the model by name. They become initializers, one for each array; other
            arrays and numbers become Constants.

    Attributes:
        nodes: the operators, in order.
        initializers: the parameters and buffers that they use.
        unsupported: what has no operators, by place in the model.
        outputs_of: what the layer at a place gives for two samples, to go on behind one that has no operators.
    """

    def __init__(self, opset: int, dtype: Any, arrays: dict[str, Array]) -> None:
        self.opset, self.dtype = opset, np.dtype(dtype)
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.unsupported: dict[str, str] = {}
        self.outputs_of: dict[str, Any] = {}
        self._arrays = {_place(array): name for name, array in arrays.items()}
        self._names = set(arrays)
        self._path = ""
        self._constants: dict[Any, tuple[Value, Any]] = {}  # and what it was made of, which so keeps its address
        self._tensors: dict[str, Any] = {}

    def __getattr__(self, operator: str) -> Callable[..., Any]:
        if operator.startswith("_") or not defs.has(operator):
            raise AttributeError(f"ONNX has no operator {operator!r}")
        return lambda *inputs, outputs=1, **keywords: self._operator(operator, list(inputs), outputs, keywords)

    def input(self, name: str, shape: tuple[Any, ...], dtype: Any) -> Value:
        """An input of the graph."""
        return Value(self, self.new_name(name), _type(np.dtype(dtype), shape))

    def layer(self, layer: Layer, *inputs: Any) -> Any:
        """The outputs of a layer, or of a container of layers: one Value, or a tuple of several."""
        left_out = [place for place, X in enumerate(inputs) if X is None]
        program, before = Program.of(layer, inputs=len(inputs), left_out=left_out), self._path
        edges = program.constants | dict(zip(program.inputs, [X for X in inputs if X is not None], strict=True))
        for operation in program.operations:
            self._path = inside(before, operation.path)
            Xs = self._inputs(operation, edges, program)
            given = self._outputs(operation, Xs) if Xs is not None else (None,) * len(operation.gives)
            edges |= zip(operation.gives, given, strict=True)
        self._path = before
        Ys = tuple([edges[edge] for edge in program.outputs])
        return Ys if len(Ys) > 1 else Ys[0]

    def value(self, given: Any, dtype: Any = None) -> Value:
        """The Value of an array, a number or a tuple of whole numbers."""
        if isinstance(given, Value):
            return given
        if isinstance(given, np.ndarray):
            array, key = given, _place(given)
        else:
            array = np.asarray(given, np.int64 if isinstance(given, tuple | list) else dtype or self.dtype)
            key = array.tobytes(), array.shape, array.dtype
        if key not in self._constants:
            name = self._arrays.get(key) or self.new_name(inside(self._path, "constant"))
            tensor = self._tensors[name] = numpy_helper.from_array(np.array(array, order="C"), name)
            if key in self._arrays:
                self.initializers.append(tensor)
            else:
                self.nodes.append(helper.make_node("Constant", [], [name], name, value=tensor))
            self._constants[key] = Value(self, name, _type(array.dtype, array.shape)), given
        return self._constants[key][0]

    def new_name(self, name: str) -> str:
        """The name itself, or with a number behind it where it is in use."""
        unique, number = name, 1
        while unique in self._names:
            unique, number = f"{name}_{number}", number + 1
        self._names.add(unique)
        return unique

    def _inputs(self, operation: Operation, edges: dict[int, Any], program: Program) -> list[Any] | None:
        """The inputs of an operation, constants in the dtype of the numbers; None if one of them has no operators."""
        numbers = operation.computes.differentiable_inputs(len(operation.takes))
        Xs: list[Any] = []
        for place, edge in enumerate(operation.takes):
            X = edges[edge]
            if X is None and edge not in program.constants:
                return None
            if edge in program.constants and X is not None:
                X = self.value(np.asarray(X, self.dtype) if place in numbers else np.asarray(X))
            Xs.append(X)
        return Xs

    def _outputs(self, operation: Operation, Xs: list[Any]) -> tuple[Any, ...]:
        """The outputs of an operation; if it has no operators, its place is noted."""
        count = len(operation.gives)
        try:
            Ys = tuple(map(self.value, listed(as_operators(operation.computes, self, Xs))))
        except NotImplementedError as error:
            self.unsupported[self._path] = f"{operation.layer.one_line()}: {error}"
            if self._path not in self.outputs_of:
                return (None,) * count
            return tuple(
                [
                    self.input("unsupported", ("batch", *Y.shape[1:]), Y.dtype)
                    for Y in listed(self.outputs_of[self._path])
                ]
            )
        if len(Ys) != count:
            raise TypeError(f"{operation.layer.one_line()}: onnx: expected {count} outputs, got {len(Ys)}")
        return Ys

    def _operator(self, operator: str, inputs: list[Any], outputs: int, keywords: dict[str, Any]) -> Any:
        schema = self._schema(operator)
        names = [each.name for each in schema.inputs]
        attributes: dict[str, Any] = {}
        for keyword, value in keywords.items():
            if keyword in schema.attributes:
                is_float = schema.attributes[keyword].type == defs.OpSchema.AttrType.FLOAT
                value = helper.np_dtype_to_tensor_dtype(value) if isinstance(value, np.dtype) else value
                attributes[keyword] = float(value) if is_float else value
            elif keyword in names:
                inputs += [None] * (names.index(keyword) + 1 - len(inputs))
                inputs[names.index(keyword)] = value
            elif value is not None:
                raise TypeError(f"{operator} of opset {self.opset} has no attribute and no input {keyword!r}")
        dtype = next((X.dtype for X in inputs if isinstance(X, Value) and X.dtype != bool), self.dtype)
        values = [None if X is None else self.value(X, dtype) for X in inputs]
        while values and values[-1] is None:
            values.pop()
        name = self.new_name(inside(self._path, operator))
        outs = [name] + [self.new_name(f"{name}[{n}]") for n in range(1, outputs)]
        node = helper.make_node(operator, ["" if X is None else X.name for X in values], outs, name, **attributes)
        self.nodes.append(node)
        types = shape_inference.infer_node_outputs(
            schema,
            node,
            {X.name: X.type for X in values if X is not None},
            {X.name: self._tensors[X.name] for X in values if X is not None and X.name in self._tensors},
            opset_imports=[helper.make_opsetid("", self.opset)],
        )
        made = tuple([Value(self, name, types[name]) for name in outs])
        return made if outputs > 1 else made[0]

    def _schema(self, operator: str) -> Any:
        try:
            return defs.get_schema(operator, self.opset, "")
        except defs.SchemaError:
            first = min(each.since_version for each in defs.get_all_schemas_with_history() if each.name == operator)
            raise NotImplementedError(
                f"its operator {operator} is in opsets from {first} on; pass opset={first}"
            ) from None


def _place(array: Array) -> Any:
    """What no two arrays have in common unless they are the same numbers in memory."""
    return array.__array_interface__["data"][0] if array.size else id(array), array.shape, array.strides, array.dtype


def _type(dtype: Any, shape: tuple[Any, ...]) -> Any:
    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(dtype), shape)
