"""Logged calls as one function for Numba (extra ``fast``): kernels are its loops, products NumPy's.

The source is compiled once for each network, for batches of any number of rows, and cached as kernels are.
"""

import operator
from collections.abc import Iterator
from typing import Any

import numba
import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.call_log import CallLog, Node, UnwritableError
from nnlite.compute.kernel import Kernel
from nnlite.compute.logged_size import Size
from nnlite.compute.numba_function import compiled
from nnlite.compute.numba_source import EXPRESSIONS, can_compile, numba_source
from nnlite.compute.sums import column_sum

_SIGNS: dict[Any, str] = {operator.truediv: "/", operator.mul: "*", operator.add: "+", operator.sub: "-"}
_HEAD = '''import numba
import numpy as np

jit = numba.njit(nogil=True, error_model="numpy")


@jit
def column_sums(Y, out):
    """As sums.column_sum: sums of blocks of rows, and then their sum."""
    part = np.empty(Y.shape[1], Y.dtype)
    for column in range(Y.shape[1]):
        out[column] = part[column] = 0
    for start in range(0, Y.shape[0], 128):
        for row in range(start, min(start + 128, Y.shape[0])):
            for column in range(Y.shape[1]):
                part[column] += Y[row, column]
        for column in range(Y.shape[1]):
            out[column] += part[column]
            part[column] = 0


@jit
def total(Y):
    result = 0.0
    for value in Y.flat:
        result += value
    return result
'''


class NumbaLines:
    """Forward and backward in one compiled function, with the interface of :class:`StraightLine`.

    Args:
        log: the calls, with whole kernels, for an example with a number of rows that divides no other size.
        loss: the node of the loss.
        outputs: the node of the model's output, and what the loss divides by.
        inputs: the names of input and target.
        places: the slice of Phi in which each parameter is, by its symbol, and its shape.
        Phi, dPhi: those of the model.

    Raises:
        UnwritableError: there is a call that Numba does not compile, or that is not written here.
    """

    def __init__(
        self,
        log: CallLog,
        loss: Node,
        outputs: tuple[Node, Any],
        inputs: list[str],
        places: dict[str, Any],
        Phi: Array,
        dPhi: Array,
    ) -> None:
        output, count = outputs
        self.count_of = count.operands[0] if isinstance(count, Node) else count
        if isinstance(self.count_of, Node):
            raise UnwritableError("a mean over a number of elements that depends on values")
        self.log, self.output, self.inputs, self.Phi, self.dPhi = log, output, inputs, Phi, dPhi
        self.states = {node: name for name, node in log.stored} | {output: "Y"}
        self.text: dict[Node, str] = {node: node.name for node in log.given.values()}
        self.decisions = dict(log.decisions)
        self.kernels: dict[tuple[Kernel, Any], str] = {}
        self.sources: list[str] = []
        self.number = 0
        if Phi.dtype != np.float32 or {name for name, _ in log.stored} - {f"d{name}" for name in places}:
            raise UnwritableError("state that is not in Phi, or another dtype than float32")
        lines = ["N = X.shape[0]"]
        for name, (part, shape) in places.items():
            at = f"[{part.start}:{part.stop}].reshape({self._shape(shape)})"
            lines += [f"{name} = Phi{at}", f"d{name} = dPhi{at}"]
        order = log.needed([loss, self.output, *self.decisions, *(node for _, node in log.stored)])
        if any(node.root in log.mutated for node in order):
            raise UnwritableError("an array that is written into in place")
        for node in order:
            lines += self._lines(node)
            if node in self.decisions:
                lines.append(f"if {'not ' * self.decisions[node]}{self.text[node]}:")
                lines.append("    return")
        lines += [f"J[0] = {self.text[loss]}", "J[1] = 1"]
        given = ", ".join(inputs)
        main = f"def loop({given}, Phi, dPhi, Y, J):\n    " + "\n    ".join(lines) + "\n"
        self.source = "\n\n".join([_HEAD, *self.sources, main])
        self.columns = output.value.shape[1:]
        self.Y = output.value
        self.J = np.zeros(2)
        types = [_typed(log.given[name].value) for name in inputs]
        vector = numba.types.Array(numba.float32, 1, "C")
        Y = numba.types.Array(numba.float32, output.value.ndim, "C")
        signature = numba.void(*types, vector, vector, Y, numba.types.Array(numba.float64, 1, "C"))
        try:
            self.loop = compiled("step", self.source, signature)
        except numba.core.errors.NumbaError as error:
            raise UnwritableError(f"a call that Numba does not compile: {error}") from error

    @property
    def outputs(self) -> tuple[Array, float]:
        """The output in the last forward, and the ``count`` of the loss."""
        count = self.count_of
        return self.Y, count.times * len(self.Y) if isinstance(count, Size) else count

    def forward(self, X: Array, target: Array) -> float | None:
        """The loss; None where a decision on a value is another one than in the example."""
        self.Y = np.empty((len(X), *self.columns), np.float32)
        self.J[1] = 0
        X = X if X.flags.carray else np.array(X, order="C")  # what the signature says: also writeable and aligned
        target = target if target.flags.carray else np.array(target, order="C")
        self.loop(X, target, self.Phi, self.dPhi, self.Y, self.J)
        return self.J[0].item() if self.J[1] else None

    both = forward

    def backward(self, X: Array, target: Array) -> None:
        """Nothing: forward has stored the gradients."""

    # ------------------------------------------------------------------------------------ lines of a call

    def _lines(self, node: Node) -> Iterator[str]:
        function, operands, value = node.function, node.operands, node.value
        if isinstance(function, Kernel):
            yield from self._kernel(function, node)
        elif function is operator.getitem and isinstance(operands[0].value, tuple):
            self.text[node] = f"{self.text[operands[0]]}_{operands[1]}"
        elif function is np.dot and value.ndim:
            out = yield from self._place(node)
            yield f"np.dot({self._of(operands[0])}, {self._of(operands[1])}, {out})"
        elif function is column_sum:
            out = yield from self._place(node)
            yield f"column_sums({self._of(operands[0])}, {out})"
        elif isinstance(function, np.ufunc) and isinstance(value, np.ndarray) and value.ndim == 2 and not node.options:
            out = yield from self._place(node)
            form = EXPRESSIONS.get(function.__name__)
            if form is None or value.dtype != np.float32:
                raise UnwritableError(f"np.{function.__name__}")
            yield f"for i in range({self._shape(value.shape[:1])}):"
            yield f"    for j in range({value.shape[1]}):"
            yield f"        {out}[i, j] = {form.format(*(self._element(each) for each in operands))}"
        else:
            self.text[node] = f"({self._expression(node)})"
            if node in self.states:
                yield f"{self.states[node]}[...] = {self.text[node]}"
            elif not isinstance(value, int | float):
                name = self._new()
                yield f"{name} = {self.text[node]}"
                self.text[node] = name
        if node in self.states and self.text[node] != self.states[node]:
            yield f"{self.states[node]}[...] = {self.text[node]}"

    def _expression(self, node: Node) -> str:
        function, operands = node.function, node.operands
        given = [self._of(each) for each in operands if not isinstance(each, str | slice)]
        if function in _SIGNS:
            return f"{given[0]} {_SIGNS[function]} {given[1]}"
        if function is operator.pos:
            return given[0]
        if function is operator.getitem:
            return f"{self._of(operands[0])}[{_index(operands[1])}]"
        if function is getattr and operands[1] == "T":
            return f"{given[0]}.T"
        if getattr(function, "__self__", None) is np.add and node.options == {"axis": None}:
            return f"total({given[0]})"
        if function == "item":
            return given[0]
        if function is np.asarray or (isinstance(function, type) and issubclass(function, np.floating)):
            return f"np.float32({given[0]})"
        if function == "astype":
            return f"{given[0]}.astype(np.{node.value.dtype.name})"
        if function in ("reshape", "ravel") or function is np.reshape:
            return f"{given[0]}.reshape({self._shape(node.value.shape)})"
        if function is np.count_nonzero:
            return f"np.count_nonzero({given[0]})"
        if function in ("min", "max") and len(operands) == 1 and not node.options:
            return f"{given[0]}.{function}()"
        if isinstance(function, np.ufunc) and not np.ndim(node.value) and function.__name__ in EXPRESSIONS:
            return EXPRESSIONS[function.__name__].format(*given)
        raise UnwritableError(f"the call of {getattr(function, '__name__', function)}")

    def _kernel(self, kernel: Kernel, node: Node) -> Iterator[str]:
        """The call of the kernel's loop."""
        trace, dtype = kernel.trace, node.operands[0].value.dtype
        if not can_compile(trace, dtype):
            raise UnwritableError(f"the kernel {kernel.name}")
        key = kernel, dtype
        if key not in self.kernels:
            self.kernels[key] = f"{kernel.name}_{len(self.kernels)}"
            source = numba_source(trace, (), dtype)
            self.sources.append(source.replace("def loop(", f"@jit\ndef {self.kernels[key]}("))
        given = []
        for name, each in zip(trace.arguments, node.operands, strict=True):
            text = self._of(each)
            if trace.kinds[name] == "scalar":
                given.append(f"np.float32({text})")
            else:
                given.append(text if trace.by_rows else f"{text}.reshape(-1)")
        results = node.value if isinstance(node.value, tuple) else (node.value,)
        base = self._new()
        for n, value in enumerate(results):
            out = f"{base}_{n}" if len(results) > 1 else base
            if len(results) == 1 and node in self.states:
                out = self.states[node]
            else:
                yield f"{out} = np.empty(({self._shape(value.shape)}), np.float32)"
            given.append(out if trace.by_rows or value.ndim == 1 else f"{out}.reshape(-1)")
        self.text[node] = out if len(results) == 1 else base
        yield f"{self.kernels[key]}({', '.join(given)})"

    # ------------------------------------------------------------------------------------ texts

    def _of(self, value: Any) -> str:
        if isinstance(value, Node):
            return self.text[value]
        if isinstance(value, Size):
            return f"(N * {value.times})"
        value = value[()] if isinstance(value, np.ndarray) and not value.ndim else value
        if isinstance(value, int | float | np.generic):
            number = value.item() if isinstance(value, np.generic) else value
            if number and number % self.log.rows == 0:  # of len(X), which is a plain int
                return f"(N * {int(number) // self.log.rows})"
            return repr(number) if np.isfinite(number) else f'np.float64("{number}")'
        if value is None or isinstance(value, np.dtype | type | tuple):  # what _expression writes itself
            return ""
        raise UnwritableError(f"the argument {type(value).__name__}")

    def _element(self, value: Any) -> str:
        """An element of an operand, broadcast to a matrix."""
        if not isinstance(value, Node) or not np.ndim(value.value):
            return f"np.float32({self._of(value)})"
        shape = value.value.shape
        if len(shape) > 2 or (len(shape) == 2 and shape[0] == 1):
            raise UnwritableError("arrays of other shapes")
        at = "[j]" if len(shape) == 1 else "[i, 0]" if shape[1] == 1 else "[i, j]"
        return self._of(value) + at

    def _place(self, node: Node) -> Any:
        """The array for a result, after the line that makes it."""
        name = self.states.get(node)
        if name is None:
            name = self._new()
            yield f"{name} = np.empty(({self._shape(node.value.shape)}), np.float32)"
        self.text[node] = name
        return name

    def _shape(self, shape: tuple[int, ...]) -> str:
        sizes = [f"N * {size // self.log.rows}" if size and size % self.log.rows == 0 else str(size) for size in shape]
        return ", ".join(sizes)

    def _new(self) -> str:
        self.number += 1
        return f"v{self.number}"


def _index(index: Any) -> str:
    """An index of slices and numbers as text."""
    parts = index if isinstance(index, tuple) else (index,)
    if not all(each is None or isinstance(each, int | slice) for each in parts):
        raise UnwritableError("an index that is an array")
    return ", ".join(
        f"{each.start or ''}:{'' if each.stop is None else each.stop}" if isinstance(each, slice) else repr(each)
        for each in parts
    )


def _typed(array: Array) -> Any:
    return numba.types.Array(numba.from_dtype(array.dtype), array.ndim, "C")
