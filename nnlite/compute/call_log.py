"""CallLog: the NumPy calls that layers make, logged by running them on arrays that stand for others.

A :class:`LoggedArray` behaves as the array that it holds, an example, and writes down what is called with it: ufuncs
and functions of NumPy, methods, operators, and kernels as the ufuncs in them. So the lines of :func:`nnlite.to_numpy`
are those that a layer really computes, and a layer needs to say nothing about them.
"""

import functools
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from nnlite.basics.arrays import StandIn
from nnlite.compute import blas
from nnlite.compute.kernel import Kernel
from nnlite.compute.log1p import log1p_by_log, vectorized
from nnlite.compute.logged_size import Size
from nnlite.compute.row_reductions import REDUCTIONS
from nnlite.compute.tracing import COLUMN_SUM


class UnwritableError(TypeError):
    """What a layer computes cannot be written as NumPy calls that hold for other values and other numbers of rows.

    Attributes:
        place: the layer, by its path in the model; empty if that is not known.
    """

    place = ""


class Node:
    """A value: given, or the result of a call.

    Attributes:
        function: what is called: a ufunc, a function, the name of a method, or "" for what is given.
        operands: its arguments; those that are values are nodes.
        options: its keyword arguments.
        value: what it is in the example.
        root: the node in whose memory it lies: itself, unless it is a view.
        name: its name in a source; "" for one that has none.
        note: a remark for that line.
    """

    def __init__(self, function: Any, operands: tuple[Any, ...], options: dict[str, Any], value: Any) -> None:
        self.function, self.operands, self.options, self.value = function, operands, options, value
        self.root, self.name, self.note = self, "", ""

    def nodes(self) -> Iterator["Node"]:
        """The nodes among its arguments."""
        return found(Node, [*self.operands, *self.options.values()])

    def __repr__(self) -> str:
        return f"Node({self.name or getattr(self.function, '__name__', self.function)})"


class CallLog:
    """The calls in their order.

    Attributes:
        nodes: of all calls.
        given: the values that are given: inputs, parameters and other state, constants.
        stored: what is written into state, as pairs of its name and the node.
        mutated: the nodes whose arrays are written into after they were made.
        rows: the number of rows of the example; a multiple of it among the sizes of arrays is taken for one of it.
        whole_kernels: whether a kernel is one call, and not those of the ufuncs in it.
        calling: whether a call is being run.
        silent: whether floating-point errors are ignored in a kernel.
        decisions: the values on which layers decide in Python, as on a check, with their outcomes.
        flipped: the number of the decision that is to be taken the other way; -1 for none.
    """

    def __init__(self, rows: int, flipped: int = -1, *, whole_kernels: bool = False) -> None:
        self.rows, self.whole_kernels = rows, whole_kernels
        self.silent = self.calling = False
        self.nodes: list[Node] = []
        self.given: dict[str, Node] = {}
        self.stored: list[tuple[str, Node]] = []
        self.mutated: set[Node] = set()
        self.flipped = flipped
        self.decisions: list[tuple[Node, bool]] = []

    def give(self, name: str, value: Any) -> "LoggedArray":
        """An array that is given, under this name."""
        node = self.given[name] = Node("", (), {}, value)
        node.name = name
        return LoggedArray(self, node, state=name)

    def call(self, function: Any, *operands: Any, **options: Any) -> Any:
        """Call a function, or the method of the first operand of that name, and log it."""
        given, named = _values(operands), _values(options)
        before, self.calling = self.calling, True
        try:
            value = (
                function(*given, **named) if callable(function) else getattr(given[0], function)(*given[1:], **named)
            )
        finally:
            self.calling = before
        if isinstance(value, tuple | list):
            whole = self._new(function, operands, options, value)
            parts = [
                LoggedArray(self, self._new(operator.getitem, (whole, n), {}, part)) for n, part in enumerate(value)
            ]
            return tuple(parts) if isinstance(value, tuple) else parts
        return LoggedArray(self, self._new(function, operands, options, value))

    def _new(self, function: Any, operands: Any, options: Any, value: Any) -> Node:
        node = Node(function, _as_nodes(operands), _as_nodes(options), value)
        if isinstance(value, np.ndarray):
            for each in node.nodes():
                if isinstance(each.value, np.ndarray) and np.may_share_memory(each.value, value):
                    node.root = each.root
        self.nodes.append(node)
        return node

    def needed(self, wanted: Iterable[Node]) -> list[Node]:
        """The calls that the wanted values depend on, in order, with those that write into their arrays."""
        writes = [node for node in self.nodes if node.function is operator.setitem]
        found: set[Node] = set()
        waiting = [*wanted]
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += node.nodes()
                waiting += [each for each in writes if next(each.nodes()).root is node.root]
        return [node for node in self.nodes if node in found]

    def decide(self, node: Node, outcome: bool) -> bool:
        """The outcome of a decision of the layer on a value, or the other one where that is asked for."""
        self.decisions.append((node, outcome))
        return outcome != (len(self.decisions) - 1 == self.flipped)

    def size(self, value: int) -> int:
        """A size of an array of the example."""
        return Size(value, self) if value and value % self.rows == 0 else value

    def has_views(self, node: Node) -> bool:
        """Whether other values lie in its memory."""
        return any(each.root is node and each is not node for each in self.nodes)


_PYTHON = {np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul, np.true_divide: operator.truediv,
           np.power: operator.pow, np.negative: operator.neg, np.floor_divide: operator.floordiv}  # fmt: skip
_OF_SHAPE = {np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj, np.may_share_memory}


class LoggedArray(StandIn, NDArrayOperatorsMixin):
    """Stands for an array, or a number, and logs what is called with it."""

    __array_priority__ = 1000

    def __init__(self, log: CallLog, node: Node, state: str = "") -> None:
        self.log, self.node, self.state = log, node, state

    # ------------------------------------------------------------------------------------ calls

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        numbers = all(isinstance(each, int | float) for each in _values(inputs))
        function = _PYTHON.get(ufunc, ufunc) if numbers and method == "__call__" and not options else ufunc
        if method == "at":
            raise UnwritableError(f"np.{ufunc.__name__}.at")
        if method != "__call__":
            function = getattr(ufunc, method)
        result = self.log.call(function, *inputs, **options)
        return result if out is None else self._into(out[0], result)

    def __array_function__(self, function: Any, types: Any, operands: Any, options: Any) -> Any:
        if function in _OF_SHAPE:
            if function in (np.shape, np.size):
                return operands[0].shape if function is np.shape else operands[0].size
            return function(*_values(operands), **_values(options))
        if function is np.copyto:
            raise UnwritableError("a result is written into an array that is not logged")
        out = options.pop("out", None)
        result = self.log.call(function, *operands, **options)
        return result if out is None else self._into(out, result)

    @staticmethod
    def _into(out: Any, result: "LoggedArray") -> "LoggedArray":
        if not isinstance(out, LoggedArray):
            raise UnwritableError("a result is written into an array that is not logged")
        return out.assign(result)

    def __getattr__(self, name: str) -> Any:
        value = self.node.value
        if name == "__array_interface__":  # as_strided asks for it
            raise UnwritableError("an array whose memory is read")
        if name.startswith("_") or not hasattr(value, name):
            raise AttributeError(name)
        if callable(getattr(value, name)):
            return functools.partial(self._method, name)
        return self.log.call(getattr, self, name)

    def _method(self, name: str, *operands: Any, **options: Any) -> Any:
        out = options.pop("out", None)
        if name == "dot":
            return blas.matmul(self, *operands, out)
        if name == "astype" and np.dtype(operands[0]) == self.dtype and not options.get("copy", True):
            return self
        result = self.log.call(name, self, *operands, **options)
        return result if out is None else self._into(out, result)

    def __getitem__(self, index: Any) -> "LoggedArray":
        return self.log.call(operator.getitem, self, index)  # type: ignore[no-any-return]

    def __setitem__(self, index: Any, value: Any) -> None:
        if index is Ellipsis and self.node.root is self.node:
            self.assign(
                value
                if isinstance(value, LoggedArray) and value.shape == self.shape
                else self.log.call(np.full_like, self, value)
            )
            return
        self.log.mutated.add(self.node.root)
        self.log.call(operator.setitem, self, index, value)

    def assign(self, result: "LoggedArray") -> "LoggedArray":
        """Write a result into it. A state is stored; another array is the result from now on."""
        if not self.state and (self.node.root is not self.node or self.log.has_views(self.node)):
            self.log.mutated.add(self.node.root)
            self.log.call(operator.setitem, self, Ellipsis, result)
            return self
        self.node = result.node
        if self.state:
            self.log.stored.append((self.state, result.node))
        return self

    def setflags(self, **_: Any) -> None:
        pass

    # ------------------------------------------------------------------------------------ what it is

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(self.log.size, np.shape(self.node.value)))

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        return np.ndim(self.node.value)

    @property
    def dtype(self) -> Any:
        return np.result_type(self.node.value)

    @property
    def flags(self) -> Any:
        return np.asarray(self.node.value).flags

    def __len__(self) -> int:
        return len(self.node.value)

    def __iter__(self) -> Iterator[Any]:
        if self.shape and isinstance(self.shape[0], Size):
            raise UnwritableError("a loop over the rows")
        return (self[n] for n in range(len(self)))

    def __bool__(self) -> bool:
        return self.log.decide(self.node, bool(self.node.value))

    def _number(self) -> Any:
        raise UnwritableError("a value of an array as a number of Python")

    __float__ = __int__ = __index__ = _number
    __hash__ = object.__hash__

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise UnwritableError("an array is converted by what cannot be logged")

    def apply(self, function: Any, *operands: Any) -> Any:
        """Log the call of a function of nnlite, or the ufuncs of a kernel."""
        return self._kernel(function, operands) if isinstance(function, Kernel) else self.log.call(function, *operands)

    def _kernel(self, kernel: Kernel, arguments: tuple[Any, ...]) -> Any:
        trace, dtype = kernel.trace, arguments[0].dtype
        self.log.silent |= bool(kernel.errstate)
        if self.log.whole_kernels:
            return self.log.call(kernel, *arguments)
        values: dict[Any, Any] = dict(zip(trace.arguments, arguments, strict=True))
        for result, name, operands in trace.operations:
            scalar = all(trace.kinds.get(each, "scalar") == "scalar" for each in operands)
            given = [values[each] if isinstance(each, str) else each for each in operands]
            if scalar:
                given = [self._of_dtype(each, dtype) for each in given]
            values[result] = self._operation(name, given, dtype)
        results = [values[each] for each in trace.results]
        for name, each in zip(kernel.into, results, strict=False):
            values[name].assign(each)
        if kernel.into:
            return None
        return tuple(results) if len(results) > 1 else results[0]

    def _of_dtype(self, number: Any, dtype: Any) -> Any:
        return self.log.call(dtype.type, number) if isinstance(number, LoggedArray) else dtype.type(number)

    def _operation(self, name: str, given: list[Any], dtype: Any) -> Any:
        if not any(isinstance(each, LoggedArray) for each in given):
            return dtype.type(getattr(np, name)(*given))
        result = self.log.call(_function(name), *given)
        return result.astype(dtype) if name == "where" and result.dtype != dtype else result


def _function(name: str) -> Any:
    """What a kernel calls for an operation on arrays."""
    if name == COLUMN_SUM:
        from nnlite.compute.sums import column_sum

        return column_sum
    if name == "log1p" and not vectorized("log1p"):
        return log1p_by_log
    return REDUCTIONS.get(name) or getattr(np, name)


def found(kind: Any, value: Any) -> Iterator[Any]:
    """The objects of a kind in nested tuples, lists and slices."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from found(kind, each)
    elif isinstance(value, slice):
        yield from found(kind, [value.start, value.stop, value.step])


def _mapped(value: Any, kind: Any, of: Callable[[Any], Any]) -> Any:
    """The value with each object of that kind in it replaced."""
    if isinstance(value, kind):
        return of(value)
    if isinstance(value, tuple | list):
        return type(value)([_mapped(each, kind, of) for each in value])
    if isinstance(value, dict):
        return {key: _mapped(each, kind, of) for key, each in value.items()}
    if isinstance(value, slice):
        return slice(*[_mapped(each, kind, of) for each in (value.start, value.stop, value.step)])
    return value


def _values(value: Any) -> Any:
    return _mapped(value, (LoggedArray, Size), lambda each: int(each) if isinstance(each, Size) else each.node.value)


def _as_nodes(value: Any) -> Any:
    return _mapped(value, LoggedArray, lambda each: each.node)
