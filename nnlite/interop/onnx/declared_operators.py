"""What a layer declares in its attribute ``onnx``: its operators, and the layer of an operator."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from inspect import signature
from math import isclose, pi
from typing import Any

from onnx import defs

from nnlite.containers.argument_names import argument_names, bound
from nnlite.layer.layer import Layer
from nnlite.saving.registry import registered


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


@dataclass(frozen=True)
class Inverse:
    """A class whose ``onnx`` is a single operator of X, and the attribute of the layer for each keyword of it."""

    cls: type[Layer]
    keywords: dict[str, str]

    def layer(self, given: dict[str, Any]) -> Layer:
        """The layer for these values of the keywords.

        Raises:
            NotImplementedError: the class has other values, and its constructor does not take them.
        """
        values = {attribute: given[keyword] for keyword, attribute in self.keywords.items()}
        arguments = {name: values[name] for name in signature(self.cls).parameters if name in values}
        layer = self.cls(**arguments)
        for name, value in values.items():
            if name not in arguments and not isclose(value, getattr(layer, name), rel_tol=1e-6):
                raise NotImplementedError(f"{self.cls.__name__} has {name}={getattr(layer, name)}, not {value}")
        return layer


def inverses() -> dict[str, Inverse]:
    """The layers that are a single operator of X, by its name; the first registered class of several."""
    found: dict[str, Inverse] = {}
    for cls in registered():
        if isinstance(expression := vars(cls).get("onnx"), str):
            for operator, keywords in _single_operators(ast.parse(expression.strip(), mode="eval").body):
                found.setdefault(operator, Inverse(cls, keywords))
    return found


def _single_operators(expression: ast.expr) -> Iterator[tuple[str, dict[str, str]]]:
    match expression:
        case ast.IfExp():
            yield from _single_operators(expression.body)
            yield from _single_operators(expression.orelse)
        case ast.Call(func=ast.Name(id=operator), args=[ast.Name(id="X")], keywords=keywords):
            attributes = {str(each.arg): each.value.id for each in keywords if isinstance(each.value, ast.Name)}
            if len(attributes) == len(keywords):
                yield operator, attributes
