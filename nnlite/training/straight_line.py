"""Logged calls as straight-line NumPy: each result goes into an array that was made beforehand, for one shape.

A kernel becomes the calls of its ufuncs, as numpy_source.py writes them. What has no ``out`` is called as it is.
"""

import ast
import operator
import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import blas
from nnlite.compute.call_log import CallLog, Node
from nnlite.compute.kernel import Kernel, clip, silent  # type: ignore[attr-defined] # NumPy's
from nnlite.compute.log1p import fast_log1p
from nnlite.compute.numpy_source import constants, numpy_source
from nnlite.compute.row_reductions import REDUCTIONS
from nnlite.compute.sums import column_sum

_BOUNDS = (np.maximum, np.minimum)  # which would take a third argument by position for another array


_SIGNS: dict[Any, str] = {operator.truediv: "/", operator.mul: "*", operator.add: "+", operator.sub: "-"}


class StraightLine:
    """Two functions, one for the calls until a node, and one for those after it.

    Args:
        log: the calls, with whole kernels.
        split: the last node of the first function, which returns it.
        outputs: the node of the model's output, and what the loss divides by, a node or a number.
        inputs: the names of the arguments of both.
        scope: the values of what else is given.

    Attributes:
        sources: of the two functions.
        scope: what they use: arrays, constants and functions.
        forward, backward: the functions. Forward returns None where a decision on a value is another one than in the
            example.
        both: forward, and backward unless the loss is None or not finite.
    """

    def __init__(
        self, log: CallLog, split: Node, outputs: tuple[Node, Any], inputs: list[str], scope: dict[str, Any]
    ) -> None:
        self.log, self.split, self.asked, self.inputs = log, split, outputs, inputs
        self.scope: dict[str, Any] = scope | {
            "np": np, "dot": blas.matmul, "column_sum": column_sum, "clip": clip, "log1p": fast_log1p,
        }  # fmt: skip
        self.scope |= {f"row_{name}": reduction for name, reduction in REDUCTIONS.items()}
        self.states = {node: name for name, node in log.stored}
        self.text: dict[Node, str] = {node: node.name for node in log.given.values()}
        self.count = 0
        self.dynamic: set[str] = set()
        self.decisions = dict(log.decisions)
        asked = [each for each in outputs if isinstance(each, Node)]
        order = log.needed([split, *asked, *self.decisions, *self.states])
        self.last = {each: n for n, node in enumerate(order) for each in node.nodes()}
        self.last |= {
            each: len(order) for each in outputs if isinstance(each, Node)
        }  # so their arrays are not used for other values
        at = order.index(split)
        first = [line for n, node in enumerate(order[: at + 1]) for line in self._lines(node, n)]
        second = [line for n, node in enumerate(order[at + 1 :], at + 1) for line in self._lines(node, n)]
        shared = f"    global {', '.join(sorted(self.dynamic))}\n" if self.dynamic else ""
        given = ", ".join(inputs)
        self.sources: tuple[str, ...] = (
            f"def forward({given}):\n{shared}    " + "\n    ".join([*first, f"return {self.text[split]}"]) + "\n",
            f"def backward({given}):\n{shared}    " + "\n    ".join(second or ["pass"]) + "\n",
        )

        self.sources = tuple(re.sub(r"\bnp\.(\w+)\(", self._bare, source) for source in self.sources)
        for source in self.sources:
            exec(compile(source, "<nnlite straight line>", "exec"), self.scope)
        forward, backward = self.scope["forward"], self.scope["backward"]

        def both(X: Any, target: Any) -> float | None:
            J: float | None = forward(X, target)
            if J is not None and isfinite(J):
                backward(X, target)
            return J

        self.forward, self.backward, self.both = forward, backward, both
        if log.silent:
            self.forward, self.backward, self.both = map(silent, (forward, backward, both))

    def _bare(self, call: "re.Match[str]") -> str:
        """The call of a ufunc without the look-up in the module."""
        function = getattr(np, call[1])
        if not isinstance(function, np.ufunc):
            return call[0]
        self.scope[call[1]] = function
        return f"{call[1]}("

    @property
    def outputs(self) -> tuple[Array, float]:
        """The output in the last forward, and the ``count`` of the loss."""
        Y, count = (self.scope[self.text[each]] if isinstance(each, Node) else each for each in self.asked)
        return Y, count

    # ------------------------------------------------------------------------------------ lines of a call

    def _lines(self, node: Node, number: int) -> Iterator[str]:
        yield from self._call(node, number)
        if node in self.states and self.text[node] != self.states[node]:
            yield f"{self.states[node]}[...] = {self.text[node]}"
        if node in self.decisions:
            yield f"if {'not ' * self.decisions[node]}{self.text[node]}: return None"

    def _call(self, node: Node, number: int) -> Iterator[str]:
        function, operands = node.function, node.operands
        if (
            not isinstance(node.value, tuple | list)
            and np.ndim(node.value) == 0
            and not any(True for _ in node.nodes())
        ):
            self.text[node] = self._named(node.value)
        elif isinstance(function, Kernel):
            yield from self._kernel(function, node)
        elif function is operator.getitem and isinstance(operands[0], Node) and isinstance(operands[0].value, tuple):
            self.text[node] = f"{self.text[operands[0]]}_{operands[1]}"
        elif function is np.dot and node.value.ndim:
            out = self._place(node)
            yield f"dot({self._of(operands[0])}, {self._of(operands[1])}, {out})"
        elif function is column_sum:
            out, Y = self._place(node), operands[0]
            if len(Y.value) > 128:
                yield f"column_sum({self._of(Y)}, {out})"
            else:
                yield f"dot({self._named(np.ones(len(Y.value), Y.value.dtype))}, {self._of(Y)}, {out})"
        elif (
            isinstance(function, np.ufunc)
            and isinstance(node.value, np.ndarray)
            and node.value.ndim
            and not node.options
        ):
            out = self._place(node, of=self._reusable(node, number))
            given = ", ".join(self._operand(each, node) for each in operands)
            yield f"np.{function.__name__}({given}, {'out=' * (function in _BOUNDS)}{out})"
        elif self._is_view(node):
            self.text[node] = self._named(eval(self._expression(node), self.scope), "w")
        elif function is operator.setitem:
            array, index, value = operands
            yield f"{self._of(array)}[{self._of(index)}] = {self._of(value)}"
        else:
            yield from self._generic(node)

    def _generic(self, node: Node) -> Iterator[str]:
        text = self._expression(node)
        state = self.states.get(node)
        if state is not None:
            self.text[node] = state
            yield f"{state}[...] = {text}"
            return
        name = self.text[node] = self._new()
        self.dynamic.add(name)
        yield f"{name} = {text}"

    def _expression(self, node: Node) -> str:
        """The call as text; a function is called under a name of its own."""
        function, operands = node.function, node.operands
        given = [*map(self._of, operands), *(f"{key}={self._of(value)}" for key, value in node.options.items())]
        if function in _SIGNS:
            return f"{given[0]} {_SIGNS[function]} {given[1]}"
        if node.options == {"axis": None}:
            return f"{self._named(function)}({given[0]}, None)"
        if function is getattr:
            return f"{given[0]}.{operands[1]}"
        if isinstance(function, str):
            return f"{given[0]}.{function}({', '.join(given[1:])})"
        if function is operator.getitem:
            return f"{given[0]}[{given[1]}]"
        return f"{self._named(function)}({', '.join(given)})"

    def _kernel(self, kernel: Kernel, node: Node) -> Iterator[str]:
        """The statements of the kernel's own function, with its names replaced by those of the arrays."""
        results = node.value if isinstance(node.value, tuple) else (node.value,)
        dtype = node.operands[0].value.dtype
        trace = kernel.trace
        names: dict[str, str] = dict(zip(trace.arguments, map(self._of, node.operands), strict=True))
        given = dict(zip(trace.arguments, node.operands, strict=True))
        numbers = {name for name in trace.of_kind("scalar") if not isinstance(given[name], Node)}
        names |= {name: self._named(np.array(given[name], dtype)) for name in numbers}
        base = self._new()
        self.text[node] = base
        outs = ["out"] if len(results) == 1 else [f"out{n}" for n in range(1, len(results) + 1)]
        for n, (out, value) in enumerate(zip(outs, results, strict=True)):
            place = self._place(node) if len(results) == 1 else f"{base}_{n}"
            names[out] = place
            if place not in self.scope:
                self.scope[place] = np.empty_like(value)
        for name, value in constants(trace).items():
            names[name] = self._named(np.array(value, dtype))
        names["bits"] = self._named(np.dtype(f"i{dtype.itemsize}"))
        names["dtype"] = self._named(dtype)
        function: Any = ast.parse(numpy_source(kernel.name, trace)).body[0]
        for each in function.args.kwonlyargs:
            if each.arg not in names:
                names[each.arg] = self._named(np.empty_like(node.operands[0].value), "s")
        made = {name for name in names if name.startswith(("out", "scratch"))}
        for statement in function.body:
            if isinstance(statement, ast.If | ast.Return):
                continue
            target = statement.targets[0] if isinstance(statement, ast.Assign) else None
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.IfExp):
                continue
            if isinstance(target, ast.Name) and target.id in numbers:
                continue
            if isinstance(target, ast.Name) and target.id in made:
                written = any(isinstance(each, ast.Name) and each.id == target.id for each in ast.walk(statement.value))
                whole = ast.Subscript(ast.Name(target.id, ast.Load()), ast.Constant(...), ast.Store())
                statement = ast.Expr(statement.value) if written else ast.Assign([whole], statement.value)
            elif isinstance(target, ast.Name) and target.id not in trace.arguments:
                names[target.id] = self._new()
            elif isinstance(target, ast.Name):
                fresh = self._new()
                yield f"{fresh} = {ast.unparse(_Renamed(names, self).visit(statement.value))}"
                names[target.id] = fresh
                continue
            yield ast.unparse(ast.fix_missing_locations(_Renamed(names, self).visit(statement)))

    # ------------------------------------------------------------------------------------ names

    def _of(self, value: Any) -> str:
        """The text of an operand."""
        if isinstance(value, Node):
            return self.text[value]
        if isinstance(value, tuple):
            return f"({''.join(f'{self._of(each)}, ' for each in value)})"
        if value is None or isinstance(value, bool | str):
            return repr(value)
        if isinstance(value, int):
            return repr(int(value))
        if isinstance(value, float):
            return repr(value) if np.isfinite(value) else f'float("{value}")'
        if isinstance(value, slice):
            return f"slice({self._of(value.start)}, {self._of(value.stop)}, {self._of(value.step)})"
        return self._named(value)

    def _operand(self, value: Any, node: Node) -> str:
        """An operand of a ufunc: numbers as arrays of the result's dtype, which takes a third of the time."""
        if isinstance(value, int | float | np.generic) and not isinstance(value, bool) and node.value.dtype.kind == "f":
            return self._named(np.array(value, node.value.dtype))
        return self._of(value)

    def _place(self, node: Node, of: str = "") -> str:
        """The array for a result: the state that it is stored in, ``of``, or a new one."""
        name = self.states.get(node) or of or self._named(np.empty_like(node.value), "t")
        self.text[node] = name
        return name

    def _reusable(self, node: Node, number: int) -> str:
        """The array of an operand that nothing uses afterwards."""
        for each in node.nodes():
            name = self.text[each]
            same = isinstance(each.value, np.ndarray) and each.value.shape == node.value.shape
            own = name.startswith("t") and name in self.scope and each.root is each and each not in self.log.mutated
            if same and own and each.value.dtype == node.value.dtype and self.last[each] == number:
                return name if not any(other.root is each and other is not each for other in self.last) else ""
        return ""

    def _is_view(self, node: Node) -> bool:
        """Whether it is a view of an array that is the same in each call."""
        names = [self.text[each] for each in node.nodes()]
        if (
            node.root is node
            or isinstance(node.function, Kernel | np.ufunc)
            or not all(name in self.scope for name in names)
        ):
            return False
        made: Any = eval(self._expression(node), self.scope)
        return isinstance(made, np.ndarray) and np.may_share_memory(made, self.scope[names[0]])

    def _new(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def _named(self, value: Any, stem: str = "c") -> str:
        """The name of a value in the scope."""
        self.count += 1
        name = f"{stem}{self.count}"
        self.scope[name] = value
        return name


class _Renamed(ast.NodeTransformer):
    """Names of a kernel's function replaced; views of arrays that stay are made once."""

    def __init__(self, names: dict[str, str], line: StraightLine) -> None:
        self.names, self.line = names, line

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr == "view" and isinstance(function.value, ast.Name):
            array = self.line.scope.get(function.value.id)
            if isinstance(array, np.ndarray):
                assert isinstance(node.args[0], ast.Name)
                return ast.Name(self.line._named(array.view(self.line.scope[node.args[0].id])), ast.Load())
        return node
