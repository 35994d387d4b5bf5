"""What a layer declares in its attribute ``onnx``, as operators."""

from functools import cache
from math import pi
from typing import Any

from onnx import defs

from nnlite.containers.argument_names import argument_names, bound
from nnlite.layer.layer import Layer


def as_operators(layer: Layer, graph: Any, inputs: list[Any]) -> Any:
    """The outputs of a layer, made of operators by ``graph``.

    Raises:
        NotImplementedError: it has no ``onnx``, or not with these options.
    """
    declared = _declared(layer)
    if callable(declared):
        return declared(graph, *inputs)
    names = _Names(layer, graph)
    names |= bound(layer, tuple(inputs), {})
    for more, numbered in argument_names(layer.forward, "X", len(inputs))[1].items():
        names[more] = [names[each] for each in numbered]
    return eval(_compiled(declared, type(layer).__name__), {"__builtins__": {}}, names)


def _declared(layer: Layer) -> Any:
    """The layer's ``onnx``, unless the forward is that of a subclass."""
    owner = next(base for base in type(layer).__mro__ if {"onnx", "forward"} & vars(base).keys())
    if "onnx" not in vars(owner) or not layer.onnx:
        inherited = f", and {owner.__name__}.forward is not that of the class that has" if layer.onnx else ""
        raise NotImplementedError(f"the class has no `onnx`{inherited}")
    return layer.onnx


class _Names(dict[str, Any]):
    """The names in an expression: inputs, then attributes of the layer, then operators."""

    def __init__(self, layer: Layer, graph: Any) -> None:
        super().__init__(opset=graph.opset, pi=pi)
        self.layer, self.graph = layer, graph

    def __missing__(self, name: str) -> Any:
        if hasattr(self.layer, name):
            return getattr(self.layer, name)
        if not defs.has(name):
            owner = type(self.layer).__name__
            raise NameError(f"{owner}: onnx: {name!r} is no argument of forward, no attribute and no operator of ONNX")
        return getattr(self.graph, name)


@cache
def _compiled(expression: str, owner: str) -> Any:
    return compile(expression.strip(), f"<onnx of {owner}>", "eval")
