"""Nodes: placeholders for arrays while a graph is built.

Calling a layer on nodes returns a node, and so do arithmetic on them and an index, as in ``y[:, -1]``. Nothing is
computed: a node only refers to the layer, its input nodes and the line of the program that made it. ``Graph`` makes a
layer of them.
"""

import os
import sys
import weakref
from inspect import signature
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, as_array, as_floating, floating_dtype
from nnlite.basics.shapes import UNKNOWN, Shape
from nnlite.containers.argument_names import by_position, expands, fill
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer, Placeholder
from nnlite.layers.arithmetic import Add, Divide, Multiply, Power, Subtract
from nnlite.layers.elementwise import Negative, Square
from nnlite.layers.indexing import Select, Slice
from nnlite.layers.products import MatMul

PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


class Call:
    """A layer called on nodes.

    >>> import nnlite as nn
    >>> nn.Tanh()(Input("x")).call.layer
    Tanh()
    """

    def __init__(self, layer: Layer, inputs: tuple["Node", ...]) -> None:
        self.layer = layer
        self.inputs = inputs
        self.line = line_of_the_user()
        for node in inputs:
            node.users.append(weakref.ref(self))

    def __repr__(self) -> str:
        return f"{self.layer.one_line()} ({self.line})"


class Node(Placeholder):
    """One array of a graph: an input, a parameter, a constant, or the output of a layer.

    Attributes:
        call: the call of the layer whose output it is; None for an input, a parameter or a constant.
        output: which of the call's outputs it is.
        shape: what is known of the array's shape; see :mod:`nnlite.basics.shapes`.
        line: ``file:line`` of the program that made it.

    >>> import nnlite as nn
    >>> a, b = Input("a"), Input("b")
    >>> graph = nn.Graph([a, b], (a + 2 * b) * b - a / b)
    >>> float(graph.forward(6.0, 3.0))
    34.0
    """

    __array_ufunc__ = None  # so that ``array * node`` is left to the node
    call: Call | None = None
    output = 0
    name: str | None = None
    optional = False

    def __init__(self, shape: Shape = UNKNOWN) -> None:
        self.shape = shape
        self.line = line_of_the_user()
        self.users: list[weakref.ref[Call]] = []  # weak: discarded nodes do not count

    @classmethod
    def applied(cls, layer: Layer, inputs: tuple[Any, ...], named: dict[str, Any] | None = None) -> Any:
        """The output of ``layer`` called on ``inputs``: a node, or a tuple of nodes; numbers and arrays are constants.

        Raises:
            TypeError: the layer's forward does not accept that number of inputs, or such a name.
            ShapeError: known shapes do not fit.
        """
        own = layer.original or layer
        if named and expands(own):
            inputs, named = by_position(own, inputs, named), None
        try:
            bound = signature(own.forward).bind(*inputs, **named or {})
        except TypeError as error:
            raise TypeError(f"{layer.one_line()}: {error} ({line_of_the_user()})") from None
        fill(bound)
        parameters = list(bound.signature.parameters.values())
        optional = [parameter.default is None for parameter in parameters]
        if expands(own):  # it knows what may be left out when it runs
            optional = [True] * len(bound.args)
        for parameter, X in zip(parameters, bound.args, strict=False):
            needed = parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            if needed and isinstance(X, Node) and X.optional:
                raise TypeError(f"{layer.one_line()}: {parameter.name} is needed, but {X!r} is optional")
        nodes = tuple(
            [
                X if isinstance(X, Node) else Omitted() if X is None and optional[n : n + 1] == [True] else Constant(X)
                for n, X in enumerate(bound.args)
            ]
        )
        try:
            shapes = layer.output_shape(*[node.shape for node in nodes])
        except ShapeError as error:
            raise ShapeError(f"{error} ({line_of_the_user()})") from None
        several = layer.num_outputs > 1
        if not several:
            shapes = (shapes,)
        elif shapes == UNKNOWN:
            shapes = (UNKNOWN,) * layer.num_outputs
        call = Call(layer, nodes)
        made = tuple([Node(shape) for shape in shapes])
        for output, node in enumerate(made):
            node.call, node.output = call, output
        return made if several else made[0]

    def __repr__(self) -> str:
        made = self.call.layer.one_line() if self.call else " ".join(filter(None, (type(self).__name__, self.name)))
        return f"{made} ({self.line})"

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is a placeholder: its array is not computed yet, so it has no truth value")

    def __add__(self, other: Any) -> "Node":
        return Add()(self, other)  # type: ignore[no-any-return]

    def __radd__(self, other: Any) -> "Node":
        return Add()(other, self)  # type: ignore[no-any-return]

    def __sub__(self, other: Any) -> "Node":
        return Subtract()(self, other)  # type: ignore[no-any-return]

    def __rsub__(self, other: Any) -> "Node":
        return Subtract()(other, self)  # type: ignore[no-any-return]

    def __mul__(self, other: Any) -> "Node":
        return Multiply()(self, other)  # type: ignore[no-any-return]

    def __rmul__(self, other: Any) -> "Node":
        return Multiply()(other, self)  # type: ignore[no-any-return]

    def __truediv__(self, other: Any) -> "Node":
        return Divide()(self, other)  # type: ignore[no-any-return]

    def __rtruediv__(self, other: Any) -> "Node":
        return Divide()(other, self)  # type: ignore[no-any-return]

    def __pow__(self, other: Any) -> "Node":
        if isinstance(other, Real) and other == 2:
            return Square()(self)  # type: ignore[no-any-return] # without the logarithm that Power's gradient takes
        return Power()(self, other)  # type: ignore[no-any-return]

    def __rpow__(self, other: Any) -> "Node":
        return Power()(other, self)  # type: ignore[no-any-return]

    def __matmul__(self, other: Any) -> "Node":
        return MatMul()(self, other)  # type: ignore[no-any-return]

    def __rmatmul__(self, other: Any) -> "Node":
        return MatMul()(other, self)  # type: ignore[no-any-return]

    def __getitem__(self, index: Any) -> "Node":
        """``y[:, -1]``, ``y[..., 1:3]``: a Select or a Slice for each axis that is indexed.

        Raises:
            TypeError: the index is not of whole numbers, slices and at most one ``...``.
        """
        parts = index if isinstance(index, tuple) else (index,)
        whole = [n for n, part in enumerate(parts) if part is Ellipsis]
        if len(whole) > 1:
            raise TypeError(f"{self!r}: expected at most one ... in an index, got {index!r}")
        first = whole[0] if whole else len(parts)
        return self._indexed(self._indexed(self, parts[:first], 0, 1), parts[:first:-1], -1, -1)

    def _indexed(self, node: "Node", parts: tuple[Any, ...], axis: int, next: int) -> "Node":
        """The node with these parts of an index, from an axis on; an axis that is selected makes place for the next."""
        for part in parts:
            if isinstance(part, slice):
                if part != slice(None):
                    node = Slice(axis, part.start, part.stop, 1 if part.step is None else part.step)(node)
                axis += next
            elif isinstance(part, Integral) and not isinstance(part, bool):
                node = Select(axis, int(part))(node)
            else:
                raise TypeError(f"{self!r}: expected an index of whole numbers, slices and ..., got {part!r} in it")
        return node

    __iter__ = None  # else ``for`` would go on without end, since it indexes

    def __neg__(self) -> "Node":
        return Negative()(self)  # type: ignore[no-any-return]


class Input(Node):
    """A placeholder for an argument of the graph's ``forward``.

    Args:
        name: its name; ``forward`` accepts it by keyword, too.
        shape: its shape as far as it is known, None for an unknown size such as that of the batch: ``(None, 3)``. A
            layer that does not accept it is then an error when the graph is built.
        optional: whether ``forward`` may be called without it, or with None, as for masks and lengths: it leads only to
            arguments of layers that may be left out and have no gradient. Optional inputs come last.

    Raises:
        TypeError: the name is not a string, a size not a whole number, or optional not True or False.

    >>> import nnlite as nn
    >>> x = Input("x", shape=(None, 3))
    >>> nn.Linear(3, 2)(x).shape
    (None, 2)
    """

    def __init__(
        self, name: str | None = None, *, shape: tuple[int | None, ...] | None = None, optional: bool = False
    ) -> None:
        if name is not None and not (isinstance(name, str) and name.isidentifier()):
            raise TypeError(f"Input: name: expected a name such as 'x', got {name!r}")
        if shape is not None and not (isinstance(shape, tuple) and all(isinstance(n, int | None) for n in shape)):
            raise TypeError(f"Input: shape: expected a tuple such as (None, 3), got {shape!r}")
        if not isinstance(optional, bool):
            raise TypeError(f"Input: optional: expected True or False, got {optional!r}")
        super().__init__(UNKNOWN if shape is None else shape)
        self.name, self.optional = name, optional


class Constant(Node):
    """A number or an array in a graph that is not trained.

    In forward it has the dtype of the graph's parameters, or without any, of the inputs. Where it has no gradient, as
    the target of a loss, it keeps its own.

    Raises:
        TypeError: the value does not hold real numbers.

    >>> Constant([1.0, 2.0]).shape
    (2,)
    """

    value: Any

    def __init__(self, value: Any) -> None:
        self.value = as_array(value, "a constant in a graph").copy()
        super().__init__(self.value.shape)


class Omitted(Constant):
    """An optional argument of a layer's forward that is None.

    >>> print(Omitted().value)
    None
    """

    def __init__(self) -> None:
        self.value = None
        Node.__init__(self, ())


class Parameter(Layer, Node, parameters=("value",)):
    """A trained array in a graph: a leaf of the graph, and a layer without an input.

    Its gradient, ``dvalue``, is the sum over all its uses.

    Args:
        value: the initial value.
        name: its name; its path in ``named_parameters`` is then ``name.value``.
        dtype: of the value.

    Raises:
        TypeError: the value does not hold real numbers, the name is not a string, or the dtype not floating.

    >>> import nnlite as nn
    >>> theta, x = Parameter(2.0, name="theta"), Input("x")
    >>> graph = nn.Graph(x, theta * x)
    >>> graph.forward(0.5)
    array(1., dtype=float32)
    >>> dx = graph.backward()
    >>> theta.dvalue
    array(0.5, dtype=float32)
    >>> nn.SGD(graph, lr=1.0).step()
    >>> theta.value
    array(1.5, dtype=float32)
    """

    torch_names: ClassVar = {"value": ""}
    onnx = "value"

    value: Array
    dvalue: Array

    def __init__(self, value: Any, *, name: str | None = None, dtype: DTypeLike = np.float32) -> None:
        if name is not None and not (isinstance(name, str) and name.isidentifier()):
            raise TypeError(f"Parameter: name: expected a name such as 'theta', got {name!r}")
        self.dtype = floating_dtype(dtype)
        self.value = as_floating(value, "Parameter: value", self.dtype)
        Node.__init__(self, self.value.shape)
        self.name = name

    def forward(self) -> Array:
        return self.keep_Y(self.value.view())

    def backward(self, dY: Any) -> tuple[()]:
        self.dvalue = self.check_dY(dY)
        return ()

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.value.shape

    def extra_repr(self) -> str:
        dtype = f", dtype={self.dtype}" if self.dtype != np.float32 else ""
        name = f"{self.name}, " if self.name else ""
        return f"{name}shape={self.value.shape}{dtype}"

    __repr__ = Layer.__repr__

    def saved_arguments(self) -> dict[str, Any]:
        """For files: value and name; the dtype is that of the value."""
        return {"value": self.value, "name": self.name}

    @classmethod
    def from_saved(cls, value: Array, name: str | None) -> "Parameter":
        """A parameter with this value, in its dtype."""
        return cls(value, name=name, dtype=value.dtype)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"users": []}


def line_of_the_user() -> str:
    """``file:line`` of the innermost call that is not nnlite's own."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
