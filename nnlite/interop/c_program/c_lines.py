"""Logged NumPy calls on one sample as statements of C: a loop for each array that has a name."""

import operator
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute.call_log import CallLog, Node, UnwritableError
from nnlite.compute.log1p import log1p_by_log
from nnlite.compute.row_reductions import REDUCTIONS
from nnlite.compute.sums import column_sum

_ELEMENTWISE = {
    "add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}",
    "negative": "-{}", "exp": "expf({})", "expm1": "expm1f({})", "exp2": "exp2f({})", "log": "logf({})",
    "log1p": "log1pf({})", "log2": "log2f({})", "log10": "log10f({})", "tanh": "tanhf({})", "sin": "sinf({})",
    "cos": "cosf({})", "sqrt": "sqrtf({})", "absolute": "fabsf({})", "power": "powf({}, {})",
    "maximum": "fmaxf({}, {})", "minimum": "fminf({}, {})", "where": "{} ? {} : {}",
    "sign": "(float)(({0} > 0.0f) - ({0} < 0.0f))", "clip": "fminf(fmaxf({}, {}), {})",
    "greater": "{} > {}", "greater_equal": "{} >= {}", "less": "{} < {}", "less_equal": "{} <= {}",
    "equal": "{} == {}", "not_equal": "{} != {}", "bitwise_and": "{} && {}", "bitwise_or": "{} || {}",
}  # fmt: skip
_OF_NUMBERS = {"mul": "{} * {}", "truediv": "{} / {}", "add": "{} + {}", "sub": "{} - {}", "pos": "{}"}
_SAME = ("reshape", "astype", "copy", "item", "ravel")  # methods that leave the numbers of one sample as they are
_LONG = 90  # of an expression that is put into another one


class CLines:
    """The statements that compute results from given arrays.

    Args:
        log: the calls, on one sample.
        results: the nodes that are wanted.
        stored: the gradients, by name, with their nodes; the statements add to them.

    Attributes:
        arrays: the sizes of the arrays that they write, by name.
        tables: the constant arrays that they read, by name.
    """

    def __init__(self, log: CallLog, results: Iterable[Node], stored: list[tuple[str, Node]]) -> None:
        self.stored = list(dict(stored).items())  # of a gradient that is written twice, as of a tied layer, the last
        self.results = list(results)
        self.mutated = log.mutated
        self.order = log.needed([*self.results, *(node for _, node in self.stored)])
        self.uses = Counter(each for node in self.order for each in node.nodes())
        self.uses.update([*self.results, *(node for _, node in self.stored)])
        self.names = {node: node.name for node in log.given.values()}
        self.arrays: dict[str, int] = {}
        self.tables: dict[str, Array] = {}
        self.count = 0

    def written(self) -> list[str]:
        """The statements."""
        lines: list[str] = []
        for node in self.order:
            if self._alias(node) is node and not self._is_put_in(node):
                lines += self._statement(node)
            lines += [line for name, stored in self.stored if stored is node for line in self._added(name, node)]
        return lines

    def element(self, value: Any, index: str = "j") -> str:
        """An element of a value; the value itself if it has one."""
        node = self._alias(value) if isinstance(value, Node) else None
        if node is None:
            return self._constant(value, index)
        if node in self.names:
            name = self.names[node]
            return (
                name if self._is_scalar(node) and name in self.scalars else f"{name}[{index if _size(node) > 1 else 0}]"
            )
        return f"({self._expression(node, index)})"

    # ------------------------------------------------------------------------------------ statements

    @property
    def scalars(self) -> set[str]:
        """The names that are numbers and no arrays."""
        return {name for name, size in self.arrays.items() if not size}

    def _statement(self, node: Node) -> Iterator[str]:
        name = node.name or self._new()
        function = node.function
        if function is operator.setitem:
            array, index, value = node.operands
            if _size(node.operands[0].root) > _size(array) or not self._is_entry(index):
                raise UnwritableError("an array that is written into in place")
            yield f"{self.names[self._alias(array)]}[{self._entry(index)}] = {self.element(value)};"
            return
        if function in REDUCTIONS.values() or self._is_total(node):
            self.arrays[name] = 0
            yield from self._reduction(node, name)
        elif function is np.dot:
            self.arrays[name] = _size(node)
            yield from self._product(node, name, "=")
        elif self._is_scalar(node):
            self.arrays[name] = 0
            yield f"{name} = {self._expression(node, '0')};"
        else:
            self.arrays[name] = _size(node)
            yield f"for (int j = 0; j < {_size(node)}; j++) {name}[j] = {self._expression(node, 'j')};"
        self.names[node] = name

    def _reduction(self, node: Node, name: str) -> Iterator[str]:
        """A sum, mean or maximum over the elements."""
        kind = next((kind for kind, each in REDUCTIONS.items() if each is node.function), "sum")
        first, size = node.operands[0], _size(node.operands[0])
        values = " * ".join(self.element(each) for each in (node.operands if kind == "dot" else (first,)))
        yield f"{name} = {'-INFINITY' if kind == 'max' else '0.0f'};"
        step = f"{name} = fmaxf({name}, {values})" if kind == "max" else f"{name} += {values}"
        yield f"for (int j = 0; j < {size}; j++) {step};"
        if kind == "mean":
            yield f"{name} /= {float(size)}f;"

    def _product(self, node: Node, name: str, sign: str) -> Iterator[str]:
        """A product of matrices, of which one has one row or one column."""
        A, B = node.operands
        rows, inner, columns = A.value.shape[0], A.value.shape[1], B.value.shape[1]
        if inner == 1:  # the gradient of a matrix, from one sample
            left, right = self.element(A, "i"), self.element(B, "j")
            place = f"{name}[i * {columns} + j]"
            yield f"for (int i = 0; i < {rows}; i++)"
            yield f"    for (int j = 0; j < {columns}; j++) {place} {sign} {left} * {right};"
            return
        source, transposed = (B.operands[0], True) if B.function in (getattr, "T", "transpose") else (B, False)
        W = self.names.get(self._alias(source), "")
        if rows != 1 or not W:
            raise UnwritableError("a product of matrices for more than one row")
        place = f"{W}[j * {inner} + k]" if transposed else f"{W}[k * {columns} + j]"
        yield f"for (int j = 0; j < {columns}; j++) {{"
        yield "    float s = 0.0f;"
        yield f"    for (int k = 0; k < {inner}; k++) s += {self.element(A, 'k')} * {place};"
        yield f"    {name}[j] {sign} s;"
        yield "}"

    def _added(self, name: str, node: Node) -> Iterator[str]:
        """The statements that add a gradient of this sample."""
        source = self._alias(node)
        if source.function is np.dot and source not in self.names:
            yield from self._product(source, name, "+=")
        else:
            yield f"for (int j = 0; j < {_size(node)}; j++) {name}[j] += {self.element(source)};"

    def _is_put_in(self, node: Node) -> bool:
        """Whether its expression is put into the one place that uses it."""
        if node.function is getattr:  # a matrix that is transposed, in a product
            return True
        if node.function is np.dot:
            return any(each is node for _, each in self.stored) and self.uses[node] == 1
        if node.function in REDUCTIONS.values() or self._is_total(node) or node.function is operator.setitem:
            return False
        if any(each.root in self.mutated for each in (node, *node.nodes())):
            return False
        if node.name and node not in [each for _, each in self.stored]:
            return False
        return self.uses[node] == 1 and len(self._expression(node, "j")) < _LONG

    # ------------------------------------------------------------------------------------ expressions

    def _expression(self, node: Node, index: str) -> str:
        function, operands = node.function, node.operands
        name = getattr(function, "__name__", function)
        if function is log1p_by_log:
            return self._expression(Node(np.log1p, operands, {}, node.value), index)
        if isinstance(function, np.ufunc) or function in (np.where, np.clip):
            form = _ELEMENTWISE.get(name)
            sizes = {np.size(each.value if isinstance(each, Node) else each) for each in operands}
            if form and sizes <= {1, _size(node)} and not node.options:
                return form.format(*(self.element(each, index) for each in operands))
        elif name in _OF_NUMBERS and self._is_scalar(node):
            return _OF_NUMBERS[name].format(*(self.element(each, "0") for each in operands))
        elif function in (operator.getitem, "take") and self._is_entry(operands[1]):
            return self.element(operands[0], self._entry(operands[1]))
        elif function is operator.getitem and len(list(node.nodes())) == 1:
            source, at = operands
            places = np.arange(source.value.size).reshape(source.value.shape)[at].reshape(-1)
            step = int(places[1] - places[0]) if places.size > 1 else 0
            if np.all(np.diff(places) == step):
                return self.element(source, _index(int(places[0]), step, index))
        elif function is np.full_like:
            return self.element(operands[1], "0")
        elif function is np.concatenate and len(operands[0]) == 2:
            first, second = operands[0]
            size = _size(first)
            return f"{index} < {size} ? {self.element(first, index)} : {self.element(second, f'{index} - {size}')}"
        elif isinstance(function, type) and issubclass(function, np.generic):
            return self.element(operands[0], "0")
        raise UnwritableError(f"the call of {name}")

    @staticmethod
    def _is_entry(index: Any) -> bool:
        """Whether it is the computed index of a single entry, such as that of a class."""
        return isinstance(index, Node) and _size(index) == 1 and np.asarray(index.value).dtype.kind in "iu"

    def _entry(self, index: Node) -> str:
        return f"(int){self.element(index, '0')}"

    def _alias(self, node: Node) -> Node:
        """The node whose numbers it has, in the same order."""
        while True:
            function, operands = node.function, node.operands
            same = function in (*_SAME, np.reshape, np.asarray, np.repeat, column_sum)
            view = function is operator.getitem and _size(operands[0]) == _size(node)
            flat = function in (getattr, "T", "transpose") and 1 in node.value.shape
            if not ((same or view or flat) and isinstance(operands[0], Node)):
                return node
            if _size(operands[0]) != _size(node):  # a sum over several rows
                return node
            node = operands[0]

    @staticmethod
    def _is_total(node: Node) -> bool:
        """Whether it is the sum of all elements."""
        return getattr(node.function, "__self__", None) is np.add and node.options.get("axis", 0) is None

    @staticmethod
    def _is_scalar(node: Node) -> bool:
        return _size(node) == 1

    def _constant(self, value: Any, index: str) -> str:
        """A number; of a constant array, such as a mean of BatchNorm, an element of its table."""
        if not isinstance(value, np.ndarray) or value.size == 1:
            return c_float(float(np.asarray(value).item()))
        name = next((name for name, each in self.tables.items() if each is value), f"c{len(self.tables) + 1}")
        self.tables[name] = value
        return f"{name}[{index}]"

    def _new(self) -> str:
        self.count += 1
        return f"t{self.count}"


def _index(first: int, step: int, index: str) -> str:
    """The index of an entry of a slice in what it is a slice of."""
    if not step:
        return str(first)
    times = index if step == 1 else f"{step} * {index}"
    return f"{first} + {times}" if first else times


def _size(node: Node) -> int:
    return int(np.size(node.value))


def c_float(number: float) -> str:
    """A number as a literal of C, exact for a float.

    >>> c_float(1.0), c_float(0.1), c_float(-2.5e-9)
    ('1.0f', '0.1f', '-2.5e-09f')
    """
    if not np.isfinite(number):
        return {"inf": "INFINITY", "-inf": "-INFINITY"}.get(str(number), "NAN")
    text = str(np.float32(number))
    return f"{text}f"
