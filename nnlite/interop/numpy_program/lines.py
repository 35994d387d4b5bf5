"""The lines of a program from logged calls: names for what is used twice, nested expressions for the rest."""

import inspect
import operator
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nnlite.compute.call_log import CallLog, Node, UnwritableError
from nnlite.compute.logged_size import Size

_BINARY = {  # sign and precedence, of ufuncs and of Python's operators
    "add": ("+", 4), "subtract": ("-", 4), "sub": ("-", 4), "multiply": ("*", 5), "mul": ("*", 5),
    "divide": ("/", 5), "truediv": ("/", 5), "floordiv": ("//", 5), "floor_divide": ("//", 5),
    "power": ("**", 7), "pow": ("**", 7), "bitwise_and": ("&", 3), "bitwise_or": ("|", 2),
    "greater": (">", 1), "greater_equal": (">=", 1), "less": ("<", 1), "less_equal": ("<=", 1),
    "equal": ("==", 1), "not_equal": ("!=", 1),
}  # fmt: skip
_WIDTH = 100  # of an expression that is put into another one
LARGE = 1 << 16  # numbers of a state that is written without another array of its size


class Lines:
    """The lines of a function.

    Args:
        log: the calls.
        results: the nodes that it returns.
        stored: the states that it writes, with the nodes.
        helper: called with each function of nnlite that a line calls; returns its name.
        constant: called with each array that is a constant; returns its name.
        guards: values on which the layers decide what to compute, with the outcome that the lines are for.
    """

    def __init__(
        self,
        log: CallLog,
        results: Iterable[Node],
        stored: list[tuple[str, Node]],
        helper: Callable[[Any], str],
        constant: Callable[[Any], str],
        guards: dict[Node, bool],
    ) -> None:
        self.guards = guards
        self.log, self.stored, self.helper, self.constant = log, stored, helper, constant
        self.results = list(results)
        self.states = {node: name for name, node in stored}
        self.order = log.needed([*self.results, *guards, *self.states])
        self.uses = Counter(each for node in self.order for each in node.nodes())
        self.uses.update([*self.results, *self.guards])
        self.names = {node: node.name for node in log.given.values()}
        self.temporaries = 0
        self.uses_rows = False

    def written(self) -> list[tuple[str, str]]:
        """The lines, each with its remark."""
        lines: list[tuple[str, str]] = []
        for node in self.order:
            if node.function is operator.setitem:
                array, index, value = node.operands
                lines.append((f"{self.text(array)}[{self._index(index)}] = {self.text(value)}", ""))
            elif node in self.states:
                self.names[node] = self.states[node]
                lines.append((self._into_state(node, self.states[node]), node.note))
            elif node.name and node not in self.names:
                lines.append((f"{node.name} = {self._expression(node)[0]}", node.note))
                self.names[node] = node.name
            elif node in self.guards:
                unexpected = f"not {self._expression(node)[0]}" if self.guards[node] else self._expression(node)[0]
                lines.append(
                    (f'if {unexpected}: raise ValueError("for other values the layers compute otherwise")', "")
                )
            elif not self._is_put_in(node):
                self.temporaries += 1
                lines.append((f"t{self.temporaries} = {self._expression(node)[0]}", node.note))
                self.names[node] = f"t{self.temporaries}"
        return lines

    def _into_state(self, node: Node, state: str) -> str:
        """The line that writes a result into a state."""
        expression, first = self._expression(node)[0], next(iter(node.operands), None)
        if node.function is np.dot and np.size(node.value) > LARGE:
            return f"np.dot({', '.join(map(self.text, node.operands))}, out={state})"
        sign = _BINARY.get(_name(node.function), ("", 0))[0]
        if sign and sign not in "<>==!=" and isinstance(first, Node) and self.names.get(first) == state:
            return f"{state} {sign}= {self.text(node.operands[1])}"
        if not isinstance(self.log.given[state].value, np.ndarray):
            return f"{state} = {expression}"
        return f"{state}[...] = {expression}"

    def _is_put_in(self, node: Node) -> bool:
        """Whether its expression is put into the one place that uses it."""
        if any(isinstance(each.value, np.random.Generator) for each in node.nodes()):
            return False
        if node.root in self.log.mutated or any(each.root in self.log.mutated for each in node.nodes()):
            return False
        short = len(self._expression(node)[0]) <= _WIDTH
        cheap = node.function is getattr or (node.function in (operator.mul,) and isinstance(node.value, int))
        return short and (self.uses[node] == 1 or cheap) and not self._crosses_write(node)

    def _crosses_write(self, node: Node) -> bool:
        """Whether a state that it reads is written before the place that uses it."""
        reads = self._all_read(node)
        start = self.order.index(node)
        for each in self.order[start + 1 :]:
            if node in each.nodes():
                return False
            if each in self.states and self.states[each] in reads:
                return True
        return False

    def _all_read(self, node: Node) -> set[str]:
        found: set[str] = set()
        for each in node.nodes():
            found |= {self.names[each]} if each in self.names else self._all_read(each)
        return found

    # ------------------------------------------------------------------------------------ expressions

    def text(self, value: Any, outer: int = 0, right: bool = False) -> str:
        """The text of an operand, in brackets where the operation around it binds stronger."""
        if isinstance(value, Node):
            if value in self.names:
                return self.names[value]
            text, own = self._expression(value)
            return f"({text})" if own < outer or (own == outer and (right or own in (1, 7))) else text
        text = self.literal(value)
        return (
            f"({text})"
            if (text.startswith("-") and outer > 4) or (isinstance(value, Size) and value.times > 1 and outer >= 5)
            else text
        )

    def literal(self, value: Any) -> str:
        """The text of what is no node."""
        if isinstance(value, Size):
            self.uses_rows = True
            return "N" if value.times == 1 else f"N * {value.times}"
        if isinstance(value, np.ndarray):
            return self._number(value[()]) if not value.ndim else self._array(value)
        if isinstance(value, bool | np.bool_):
            return str(bool(value))
        if isinstance(value, int | float | np.number):
            return self._number(value)
        if isinstance(value, tuple):
            return f"({', '.join(map(self.text, value))}{',' * (len(value) == 1)})"
        if isinstance(value, list):
            return f"[{', '.join(map(self.text, value))}]"
        if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
            return f"np.{np.dtype(value).name}"
        if value is None or isinstance(value, str) or value is Ellipsis:
            return "..." if value is Ellipsis else repr(value)
        if isinstance(value, slice):
            return f"slice({self.text(value.start)}, {self.text(value.stop)}, {self.text(value.step)})"
        raise UnwritableError(f"the argument {value!r}")

    def _array(self, array: np.ndarray) -> str:
        """A constant array; one with a size for each row is written as what it looks like."""
        if not any(size and size % self.log.rows == 0 for size in array.shape):
            return self.constant(array)
        shape, dtype = self.text(tuple(map(self.log.size, array.shape))), f"np.{array.dtype.name}"
        if (array == array.flat[0]).all():
            return f"np.full({shape}, {self._number(array.flat[0])}, {dtype})"
        if array.ndim == 1 and array[0] == 0 and (np.diff(array) == array[1]).all():
            return f"np.arange(0, {self.text(self.log.size(len(array) * int(array[1])))}, {array[1]})"
        if array.shape[0] % self.log.rows == 0 and (array == array[:1]).all():
            return f"np.broadcast_to({self.constant(array[:1])}, {shape})"
        raise UnwritableError("a constant array with a value for each row")

    def _number(self, value: Any) -> str:
        number = value.item() if isinstance(value, np.generic) else value
        if isinstance(number, int | float) and number and number % self.log.rows == 0 and number < 1e6:
            return self.literal(Size(int(number), self.log))  # of len(X), which is a plain int
        if isinstance(number, float):
            if number != number or number in (float("inf"), -float("inf")):
                return {"nan": "np.nan", "inf": "np.inf", "-inf": "-np.inf"}[str(number)]
            if number.is_integer() and abs(number) < 1e6 and str(number) != "-0.0":
                return str(int(number))
        return repr(number)

    def _expression(self, node: Node) -> tuple[str, int]:
        """The text of a call, and how strong its outermost operation binds."""
        function, operands, name = node.function, node.operands, _name(node.function)
        if name in _BINARY and len(operands) == 2 and not node.options and not isinstance(function, str):
            sign, own = _BINARY[name]
            return f"{self.text(operands[0], own)} {sign} {self.text(operands[1], own, right=True)}", own
        if function is operator.pos:
            return self.text(operands[0]), 5 if operands[0].times > 1 else 9
        if name in ("negative", "neg") and not node.options:
            return f"-{self.text(operands[0], 6)}", 6
        if function is operator.getitem:
            return f"{self.text(operands[0], 9)}[{self._index(operands[1])}]", 9
        if function is getattr:
            return f"{self.text(operands[0], 9)}.{operands[1]}", 9
        if isinstance(function, str):
            return f"{self.text(operands[0], 9)}.{function}({self._arguments(operands[1:], node.options)})", 9
        if function is np.dot:
            return f"{self.text(operands[0], 9)}.dot({self.text(operands[1])})", 9
        return f"{self._function(function)}({self._arguments(operands, node.options)})", 9

    def _arguments(self, operands: Iterable[Any], options: dict[str, Any]) -> str:
        return ", ".join([*map(self.text, operands), *(f"{key}={self.text(value)}" for key, value in options.items())])

    def _index(self, index: Any) -> str:
        parts = index if isinstance(index, tuple) else (index,)
        return ", ".join(self._slice(each) for each in parts) or "()"

    def _slice(self, part: Any) -> str:
        if not isinstance(part, slice):
            return self.text(part)
        start, stop = ("" if each is None else self.text(each) for each in (part.start, part.stop))
        return f"{start}:{stop}" + (f":{self.text(part.step)}" if part.step is not None else "")

    def _function(self, function: Any) -> str:
        name = _name(function)
        owner = getattr(function, "__self__", None)
        if isinstance(owner, np.ufunc):
            return f"np.{owner.__name__}.{name}"
        if isinstance(function, type) and issubclass(function, np.generic):
            return f"np.{name}"
        if getattr(np, name, None) is function:
            return f"np.{name}"
        if getattr(np.linalg, name, None) is function:
            return f"np.linalg.{name}"
        if inspect.isfunction(inspect.unwrap(function)):
            return self.helper(function)
        raise UnwritableError(f"the function {function!r}")


def _name(function: Any) -> str:
    return function if isinstance(function, str) else getattr(function, "__name__", repr(function))
