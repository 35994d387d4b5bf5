"""A model as a file of ONNX's operators, for :func:`nnlite.to_onnx`."""

from typing import Any

import numpy as np
from onnx import checker, defs, helper

from nnlite.basics.checks import boolean, whole
from nnlite.basics.trees import each_of, listed
from nnlite.containers.argument_names import by_position, input_names_of, output_names_of
from nnlite.diagnostics.run import Run
from nnlite.diagnostics.summary import zero_samples
from nnlite.interop.onnx.graph_builder import Builder, Value
from nnlite.layer.layer import Layer, check_layer

OLDEST = 13  # in which axes and sizes became inputs of operators


def content_of(model: Layer, input_shape: Any, opset: int, float_masks: bool = False) -> bytes:
    """The content of the file; see :func:`nnlite.to_onnx`."""
    check_layer(model, "model")
    newest = defs.onnx_opset_version()
    if not OLDEST <= whole(opset, "to_onnx: opset") <= newest:
        raise ValueError(f"to_onnx: opset: expected {OLDEST} to {newest}, the newest that this onnx has, got {opset}")
    if model.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"to_onnx: expected a model of float32 or float64, got {model.dtype}; use model.astype(np.float64)"
        )
    one = zero_samples(model, input_shape)
    if boolean(float_masks, "to_onnx: float_masks"):
        one = each_of(lambda X: X.astype(model.dtype) if X.dtype == bool else X, one)
    two = each_of(lambda X: np.repeat(X, 2, axis=0), one)
    run = Run(model, evaluation=True)
    with np.errstate(all="ignore"):
        Y = run.forward(two)
    twin = model.evaluation_twin()
    graph = Builder(opset, model.dtype, dict(twin.named_parameters()) | dict(twin.named_buffers()))
    graph.outputs_of = {call.path: call.Y for call in run.recording.forwards}
    given = by_position(twin, (), two) if isinstance(two, dict) else listed(two)
    names = input_names_of(twin, len(given))
    inputs = [
        None if X is None else graph.input(name, ("batch", *X.shape[1:]), np.int64 if X.dtype.kind == "i" else X.dtype)
        for name, X in zip(names, given, strict=True)
    ]
    Xs = [each for each in inputs if each is not None]
    Ys = listed(graph.layer(twin, *inputs))
    if graph.unsupported:
        lines = "\n  ".join(f"{path or type(model).__name__}: {why}" for path, why in graph.unsupported.items())
        raise ValueError(f"{model.one_line()} cannot be written as ONNX:\n  {lines}")
    for made, array in zip(Ys, listed(Y), strict=True):
        _check_shape(model, made, np.shape(array))
    return _content(graph, Xs, Ys, tuple(output_names_of(twin)))


def _check_shape(model: Layer, Y: Value, shape: tuple[int, ...]) -> None:
    """Raise unless the operators give the shape that forward gives for two samples."""
    if len(shape) != Y.ndim or any(size not in (None, own) for size, own in zip(Y.shape, shape, strict=True)):
        raise ValueError(
            f"{model.one_line()}: for two samples forward gives shape {shape}, its operators in ONNX {Y.shape}; "
            "correct the attribute `onnx` of your layer"
        )


def _content(graph: Builder, Xs: list[Value], Ys: list[Value], names: tuple[str, ...]) -> bytes:
    """The checked bytes of the file, in which the outputs have these names."""
    computed = {name for node in graph.nodes if node.op_type != "Constant" for name in node.output}
    renamed: dict[str, str] = {}
    outputs = []
    for Y, name in zip(Ys, names, strict=True):
        own = Y if Y.name in computed and Y.name not in renamed else graph.Identity(Y)
        renamed[own.name] = graph.new_name(name)
        outputs.append(helper.make_value_info(renamed[own.name], own.type))
    for node in graph.nodes:
        for ends in node.input, node.output:
            ends[:] = [renamed.get(name, name) for name in ends]
    inputs = [helper.make_value_info(X.name, X.type) for X in Xs]
    opset = [helper.make_opsetid("", graph.opset)]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "nnlite", inputs, outputs, graph.initializers),
        producer_name="nnlite",
        opset_imports=opset,
        ir_version=helper.find_min_ir_version_for(opset),
    )
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
