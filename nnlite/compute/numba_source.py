"""A kernel as one loop: memory is read and written once, however long the formula is.

The loop does the same operations in the same order as the NumPy function (numpy_source.py), so results are the same to
the last bit, but for exp, log, log1p and tanh of float32, which numba_math.py computes, since Numba's wheels have none
that LLVM can vectorize. Formulas with other functions, and with these of float64, remain NumPy's.
"""

from typing import Any

import numpy as np

from nnlite.compute.numpy_source import constant, constants
from nnlite.compute.tracing import COLUMN_SUM, REDUCTIONS, Operand, Operation, Trace

EXPRESSIONS = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "negative": "-{0}",
    "absolute": "abs({0})",
    "square": "{0} * {0}",
    "reciprocal": "ONE / {0}",
    "sqrt": "np.sqrt({0})",
    "sign": "(ONE if {0} > ZERO else (-ONE if {0} < ZERO else (ZERO if {0} == ZERO else {0})))",
    "maximum": "({0} if {0} > {1} or {0} != {0} else {1})",
    "minimum": "({0} if {0} < {1} or {0} != {0} else {1})",
    "clip": "({2} if ({1} if {0} < {1} else {0}) > {2} else ({1} if {0} < {1} else {0}))",
    "where": "({1} if {0} else {2})",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "bitwise_and": "({0} and {1})",
    "bitwise_or": "({0} or {1})",
}
_FEW = 64  # rows that are added in float32
_FLOAT32 = {"exp": "exp({0})", "log": "log({0})", "log1p": "log1p({0})", "tanh": "tanh({0})"}


def can_compile(trace: Trace, dtype: "np.dtype[Any]") -> bool:
    """Whether a formula has only operations that LLVM vectorizes."""
    known = EXPRESSIONS.keys() | REDUCTIONS | {COLUMN_SUM} | (_FLOAT32 if dtype == np.float32 else {}).keys()
    return dtype in (np.float32, np.float64) and known.issuperset(operation.function for operation in trace.operations)


def numba_source(trace: Trace, into: tuple[str, ...], dtype: "np.dtype[Any]") -> str:
    """The source of the loop.

    A formula with reductions takes several passes over each row: a reduction is complete at the end of a pass, and what
    later passes need of earlier ones is stored in the row of a result, or in an array for one row.

    >>> from nnlite.compute.tracing import trace
    >>> formula = trace(lambda Y, dY: Y * (dY - np.sum(dY * Y, axis=-1, keepdims=True)))
    >>> print(numba_source(formula, (), np.dtype(np.float32)))
    import numpy as np
    from numpy import inf, nan
    from nnlite.compute.numba_math import LEAST_float32 as LEAST, exp, log, log1p, tanh
    from nnlite.compute.numba_math import key_float32 as key, number_float32 as number, plus
    <BLANKLINE>
    real = np.float32
    ONE = real(1.0)
    ZERO = real(0.0)
    <BLANKLINE>
    <BLANKLINE>
    def loop(Y, dY, out1):
        for row in range(Y.shape[0]):
            t1_sum = ZERO
            for column in range(Y.shape[1]):
                t1_sum = plus(t1_sum, dY[row, column] * Y[row, column])
            t1 = t1_sum
            for column in range(Y.shape[1]):
                t2 = dY[row, column] - t1
                t3 = Y[row, column] * t2
                out1[row, column] = t3
    <BLANKLINE>
    """
    outs = into or tuple(f"out{number}" for number in range(1, len(trace.results) + 1))
    numbers = {"ONE": 1.0, "ZERO": 0.0} | constants(trace)
    head = [
        "import numpy as np",
        "from numpy import inf, nan",
        f"from nnlite.compute.numba_math import LEAST_{dtype} as LEAST, exp, log, log1p, tanh",
        f"from nnlite.compute.numba_math import key_{dtype} as key, number_{dtype} as number, plus",
        "",
    ]
    head += [f"real = np.{dtype}", *(f"{name} = real({value!r})" for name, value in numbers.items())]
    parameters = [*trace.arguments, *(() if into else outs)]
    body = _Body(trace, dict(zip(trace.results, outs, strict=True))).lines()
    return "\n".join(head) + f"\n\n\ndef loop({', '.join(parameters)}):\n    " + "\n    ".join(body) + "\n"


class _Body:
    """The lines of the loops: in which pass each value is computed, and how it is read in later ones."""

    def __init__(self, trace: Trace, outs: dict[str, str]) -> None:
        self.trace, self.outs = trace, outs
        self.element = "[row, column]" if trace.by_rows else "[index]"
        self.passes: dict[Operand, int] = {}  # of each value that is computed
        for result, function, operands in trace.operations:
            self.passes[result] = max(self.passes.get(each, 0) for each in operands) + (function in REDUCTIONS)
        self.stored = {
            each: f"{each}_row"
            for operation in trace.operations
            for each in operation.operands
            if each in self.passes and self._full(each) and each not in outs
            and self.passes[operation.result] - (operation.function in REDUCTIONS) > self.passes[each]
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The body of the function."""
        first, by_rows = self.trace.arguments[0], self.trace.by_rows
        before = [f"{row} = np.empty({first}.shape[1], {first}.dtype)" for row in self.stored.values()]
        before += [self._line(each) for each in self.trace.operations if self.trace.kinds[each.result] == "scalar"]
        inner: list[str] = []
        for number in range(max(self.passes.values()) + 1):
            own = [each for each in self.trace.operations if self.passes[each.result] == number]
            of_rows = [each for each in own if self.trace.kinds[each.result] == "row"]
            elements = [each for each in own if self.trace.kinds[each.result] in ("full", "column")]
            for operation in of_rows:
                inner.append(self._line(operation))
                if operation.result in self.outs:
                    inner.append(f"{self.outs[operation.result]}[row, 0] = {operation.result}")
            lines = [self._line(each) for each in elements]
            written = {each.result: self.outs.get(each.result) or self.stored.get(each.result) for each in elements}
            lines += [f"{place}{self._at(each)} = {each}" for each, place in written.items() if place]
            totals = [each for each in own if each.function == COLUMN_SUM]
            lines += [f"{each.result}_part[column] += {self._text(each.operands[0], number)}" for each in totals]
            for reduced in self.trace.operations:
                if reduced.function in REDUCTIONS and self.passes[reduced.result] == number + 1:
                    begin, step = self._reduction(reduced, number)
                    inner.append(begin)
                    lines.append(step)
            inner += (
                [f"for column in range({first}.shape[1]):", *(f"    {line}" for line in lines)]
                if by_rows and lines
                else lines
            )
        if self.trace.totals:
            return [*before, *self._with_totals(first, inner)]
        head = f"for row in range({first}.shape[0]):" if by_rows else f"for index in range({first}.size):"
        return [*before, head, *(f"    {line}" for line in inner)]

    def _with_totals(self, first: str, inner: list[str]) -> list[str]:
        """The loop over the rows, with sums of columns: of a few rows in their dtype, and of these sums in float64."""
        totals, columns = self.trace.totals, f"for column in range({first}.shape[1]):"
        lines = [f"{each}_part = np.empty({first}.shape[1], {first}.dtype)" for each in totals]
        lines += [f"{each}_total = np.empty({first}.shape[1])" for each in totals]
        # Loops, since each operation of whole arrays would take Numba a fifth of a second.
        lines += [columns, *(f"    {each}_part[column] = {each}_total[column] = 0" for each in totals)]
        lines.append(f"for start in range(0, {first}.shape[0], {_FEW}):")
        lines.append(f"    for row in range(start, min(start + {_FEW}, {first}.shape[0])):")
        lines += [f"        {line}" for line in inner]
        lines.append(f"    {columns}")
        for each in totals:
            lines += [f"        {each}_total[column] += {each}_part[column]", f"        {each}_part[column] = ZERO"]
        return [*lines, columns, *(f"    {self.outs[each]}[column] = {each}_total[column]" for each in totals)]

    def _line(self, operation: Operation) -> str:
        result, function, operands = operation
        if function == "max":
            return f"{result} = number({result}_key)"
        if function in REDUCTIONS:
            return f"{result} = {result}_sum" + f" / real({self.trace.arguments[0]}.shape[1])" * (function == "mean")
        texts = [self._text(each, self.passes[result]) for each in operands]
        return f"{result} = {(EXPRESSIONS | _FLOAT32)[function].format(*texts)}"

    def _text(self, operand: Operand, number: int) -> str:
        """How a value is read in a pass."""
        if not isinstance(operand, str):
            return constant(operand)
        if operand in self.passes:
            later = self._full(operand) and self.passes[operand] < number
            return (self.outs.get(operand) or self.stored[operand]) + self._at(operand) if later else operand
        at = {"full": self.element, "row": "[row, 0]", "column": "[column]", "scalar": ""}
        return operand + at[self.trace.kinds[operand]]

    def _reduction(self, operation: Operation, number: int) -> tuple[str, str]:
        """What is done before the loop over a row, and for each of its elements."""
        result, function, operands = operation
        value = " * ".join(self._text(each, number) for each in operands)
        if function == "max":
            return f"{result}_key = LEAST", f"{result}_key = max({result}_key, key({value}))"
        return f"{result}_sum = ZERO", f"{result}_sum = plus({result}_sum, {value})"

    def _at(self, value: str) -> str:
        return "[column]" if value in self.stored else self.element

    def _full(self, value: Operand) -> bool:
        return self.trace.kinds.get(value) in ("full", "column")


def wrapper_source(name: str, trace: Trace, into: tuple[str, ...], watched: bool = False) -> str:
    """The source of the function that calls the loop; ufuncs raise errors that are ``watched``.

    >>> from nnlite.compute.tracing import trace
    >>> print(wrapper_source("tanh_backward", trace(lambda dY, Y: dY * (1 - Y * Y)), ()))
    def tanh_backward(dY, Y):
        if dY.size >= LARGE:
            return general(dY, Y)
        out1 = np.empty(dY.shape, dtype)
        try:
            loop(dY.ravel(), Y.ravel(), out1.ravel())
        except TypeError:
            return with_ufuncs(dY, Y)
        return out1
    <BLANKLINE>
    """
    first, given = trace.arguments[0], ", ".join(trace.arguments)
    outs = {} if into else {f"out{number}": result for number, result in enumerate(trace.results, start=1)}
    scalars, by_rows = trace.of_kind("scalar"), trace.by_rows
    unlike = [f"{first}.size >= LARGE", *(f"type({each}) is np.ndarray" for each in scalars)]
    contiguous = [each for each in trace.arguments if each not in scalars] if by_rows else into
    unlike += [f"not {each}.flags.c_contiguous" for each in contiguous]
    lines = ["if errors_are_raised():", f"    return with_ufuncs({given})"] if watched else []
    lines += [f"if {' or '.join(unlike)}:", f"    return general({given})"]
    for out, result in outs.items():
        of_kind = {"row": f"({first}.shape[0], 1)", "total": f"{first}.shape[1:]"}
        shape = of_kind.get(trace.kinds[result], f"{first}.shape")
        lines.append(f"{out} = np.empty({shape}, dtype)")
    flat = "" if by_rows else ".ravel()"
    values = [f"real({each})" if each in scalars else f"{each}{flat}" for each in trace.arguments]
    lines += ["try:", f"    loop({', '.join([*values, *(f'{out}{flat}' for out in outs)])})"]
    lines += ["except TypeError:", f"    return with_ufuncs({given})"]  # arrays that the loop is not compiled for
    lines += [f"return {', '.join(outs)}"] if outs else []
    return f"def {name}({given}):\n    " + "\n    ".join(lines) + "\n"
