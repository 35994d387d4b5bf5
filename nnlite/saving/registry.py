"""The layers that can be saved: each class under its name, with what its constructor takes.

A file only ever names a class, and only what is registered here is found. A subclass of a registered class is a class
of its own, and not registered.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from nnlite.basics.arrays import Array
from nnlite.basics.shapes import UNKNOWN
from nnlite.basics.trees import listed
from nnlite.containers.branches import Parallel, Residual
from nnlite.containers.graph import Graph
from nnlite.containers.nodes import Constant, Input, Node, Parameter
from nnlite.containers.sequential import Sequential, _Slice
from nnlite.containers.tied import Tied, TiedTranspose, tied
from nnlite.containers.wiring import in_form
from nnlite.layer.layer import Layer
from nnlite.layers import activations, arithmetic, arrangement, elementwise, products, reductions
from nnlite.layers.linear import Linear
from nnlite.losses.binary_cross_entropy import BCELoss, BCEWithLogitsLoss
from nnlite.losses.cross_entropy import CrossEntropyLoss
from nnlite.losses.regression_losses import MSELoss


class Kind(NamedTuple):
    """A class that can be saved.

    Attributes:
        cls: the class.
        arguments: called with a layer, gives what ``make`` takes, by name.
        make: gives a layer.
    """

    cls: type[Layer]
    arguments: Callable[[Any], dict[str, Any]]
    make: Callable[..., Layer]


_KINDS: dict[str, Kind] = {}


def register(cls: Any = None, *, arguments: Callable[[Any], dict[str, Any]] | None = None) -> Any:
    """Let layers of a class of your own be saved and loaded; returns the class, so that it serves as a decorator.

    Their constructor will be called with what it was called with: each argument is taken from the attribute of the same
    name. Where they are not kept so, ``arguments`` says what they are. They may be plain values, arrays, layers, and
    lists, tuples and dicts of such. Parameters are loaded by their names; what else a layer keeps is not saved. An
    argument ``rng`` may be missing, since it only draws parameters.

    Args:
        cls: the class, which must be registered, under the same name, in the program that loads it as well.
        arguments: called with a layer, returns the arguments of its constructor by their names.

    Raises:
        TypeError: it is not a class of layers.
        ValueError: another class of that name is registered.

    >>> import os, tempfile, numpy as np, nnlite as nn
    >>> @nn.register
    ... class Scale(nn.Layer):
    ...     def __init__(self, factor):
    ...         self.factor = factor
    ...     def forward(self, X):
    ...         return self.factor * X
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nn.save(Scale(3.0), os.path.join(folder, "scale.npz"))
    ...     nn.load(os.path.join(folder, "scale.npz")).forward(2.0)
    6.0
    """
    if cls is None:
        return lambda cls: register(cls, arguments=arguments)
    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        raise TypeError(f"register: expected a class of layers, got {cls!r}")
    if arguments is not None and not callable(arguments):
        raise TypeError(f"register: arguments: expected a function of a layer, got {arguments!r}")
    before = _KINDS.get(cls.__name__)
    if before is not None and _home(before.cls) != _home(cls):  # the same again is a cell that was run once more
        raise ValueError(f"register: there is another class called {cls.__name__}, {before.cls!r}; rename one of them")
    _KINDS[cls.__name__] = Kind(cls, arguments or by_signature, _maker(cls))
    return cls


def _home(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def kind_of(layer: Layer) -> Kind:
    """The kind of a layer that is to be saved.

    Raises:
        TypeError: its class is not registered.

    >>> import nnlite as nn
    >>> kind_of(nn.Tanh()).cls
    <class 'nnlite.layers.activations.Tanh'>
    """
    cls = Sequential if type(layer) is _Slice else type(layer)
    kind = _KINDS.get(cls.__name__)
    if kind is None or kind.cls is not cls:
        raise TypeError(
            f"{layer.one_line()}: the class {cls.__name__} is not known to files; "
            f"call nnlite.register({cls.__name__}) once, wherever it is defined"
        )
    return kind


def kind_named(name: str) -> Kind | None:
    """The kind that a file names, if it is registered.

    >>> print(kind_named("os.system"))
    None
    """
    return _KINDS.get(name)


# ------------------------------------------------------------------ arguments by the constructor's signature


def by_signature(layer: Layer) -> dict[str, Any]:
    """The constructor's arguments, each from the attribute of the same name.

    Raises:
        TypeError: there is no such attribute.

    >>> import nnlite as nn
    >>> by_signature(nn.Transpose(0, 2))
    {'dim0': 0, 'dim1': 2}
    """
    arguments = {}
    for name, parameter in _signature(type(layer)).parameters.items():
        if hasattr(layer, name):
            arguments[name] = getattr(layer, name)
        elif name != "rng" or parameter.default is parameter.empty:
            raise TypeError(f"{layer.one_line()}: it has no attribute {name!r}, so {how_to_register(layer, name)}")
    return arguments


def how_to_register(layer: Layer, argument: str) -> str:
    """The end of a message about an argument that cannot be saved.

    >>> import nnlite as nn
    >>> how_to_register(nn.Tanh(), "n")
    "the argument 'n' cannot be saved; say what it is: nnlite.register(Tanh, arguments=lambda layer: {'n': ..., ...})"
    """
    return (
        f"the argument {argument!r} cannot be saved; say what it is: "
        f"nnlite.register({type(layer).__name__}, arguments=lambda layer: {{{argument!r}: ..., ...}})"
    )


def _signature(cls: type[Layer]) -> inspect.Signature:
    # That of object's constructor is a text, which inspect would have compiled.
    return inspect.Signature() if cls.__init__ is object.__init__ else inspect.signature(cls)


def _maker(cls: type[Layer]) -> Callable[..., Layer]:
    def make(**arguments: Any) -> Layer:
        bound = _signature(cls).bind_partial()
        unknown = set(arguments) - set(bound.signature.parameters)
        if unknown:
            raise TypeError(f"{cls.__name__} takes no argument {', '.join(sorted(unknown))}")
        order = [name for name in bound.signature.parameters if name in arguments]
        bound.arguments = {name: arguments[name] for name in order}
        return cls(*bound.args, **bound.kwargs)

    return make


# ------------------------------------------------------------------------------------------------ nnlite's own layers

for _cls in (
    *(activations.Tanh, activations.Sigmoid, activations.ReLU, activations.Identity),
    *(activations.Softmax, activations.LogSoftmax),
    *(
        arithmetic.Add,
        arithmetic.Subtract,
        arithmetic.Multiply,
        arithmetic.Divide,
        arithmetic.Power,
        arithmetic.Maximum,
        arithmetic.Minimum,
    ),
    *(
        elementwise.Negative,
        elementwise.Exp,
        elementwise.Log,
        elementwise.Square,
        elementwise.Sqrt,
        elementwise.Reciprocal,
        elementwise.Abs,
    ),
    *(products.Dot, products.Outer, products.MatMul, reductions.Sum, reductions.Mean),
    *(arrangement.Concat, arrangement.Stack, arrangement.Split, arrangement.Transpose, arrangement.Reshape),
    *(arrangement.Flatten, MSELoss, BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, Residual),
):
    register(_cls)
register(Sequential, arguments=lambda layer: {"layers": layer.layers})  # also of a slice
register(Parallel, arguments=lambda layer: {"branches": layer.layers[:-1], "merge": layer.layers[-1]})


def _of_linear(layer: Linear) -> dict[str, Any]:
    return {"W": layer.W, "bias": layer.b is not None}


def _linear(W: Array, bias: bool) -> Linear:
    if not isinstance(bias, bool):
        raise TypeError(f"Linear: bias: expected True or False, got {bias!r}")
    in_features, out_features = W.shape
    return Linear(in_features, out_features, bias=bias, dtype=W.dtype, weight_init=lambda *_, **__: W)


def _of_parameter(layer: Parameter) -> dict[str, Any]:
    return {"value": layer.value, "name": layer.name}


def _parameter(value: Array, name: str | None) -> Parameter:
    return Parameter(value, name=name, dtype=value.dtype)


def _of_graph(graph: Graph) -> dict[str, Any]:
    wiring = graph.wiring
    shapes = [None if shape == UNKNOWN else shape for shape in wiring.input_shapes]
    return {
        "inputs": list(zip(wiring.input_names, shapes, strict=True)),
        "constants": [value for _, value in wiring.constants],
        "layers": graph.layers,
        "takes": [list(takes) for takes, _, _ in wiring.wires],
        "outputs": list(wiring.outputs),
        "forms": (wiring.input_keys, wiring.output_keys),
    }


def _graph(inputs: Any, constants: Any, layers: Any, takes: Any, outputs: Any, forms: Any) -> Graph:
    input_keys, output_keys = forms
    values: list[Any] = [Input(None if input_keys else name, shape=shape) for name, shape in inputs]
    input_nodes = values[:]
    values += [Constant(value) for value in constants]
    values += [layer for layer in layers if isinstance(layer, Parameter)]

    def nodes(numbers: Any) -> list[Node]:
        if not all(type(number) is int and 0 <= number < len(values) for number in numbers):
            raise ValueError("a layer takes what comes after it")
        return [values[number] for number in numbers]

    for layer, taken in zip(layers, takes, strict=True):
        if not isinstance(layer, Parameter):
            values += listed(Node.applied(layer, tuple(nodes(taken))))
    return Graph(in_form(input_nodes, input_keys), in_form(nodes(outputs), output_keys))


_OWN: list[Kind] = [
    Kind(Linear, _of_linear, _linear),
    Kind(Parameter, _of_parameter, _parameter),
    Kind(Graph, _of_graph, _graph),
    Kind(Tied, lambda layer: {"original": layer.original}, lambda original: tied(original)),
    Kind(TiedTranspose, lambda layer: {"original": layer.original}, lambda original: tied(original, transpose=True)),
]
_KINDS |= {kind.cls.__name__: kind for kind in _OWN}
