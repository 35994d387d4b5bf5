"""A kernel as one loop: memory is read and written once, however long the formula is.

The loop does the same operations in the same order as the NumPy function (numpy_source.py), so results are the same to
the last bit, but for exp and log of float32, which numba_math.py computes, since Numba's wheels have none that LLVM
can vectorize. Formulas with other functions, such as tanh, and exp or log of float64, remain NumPy's.
"""

from typing import Any

import numpy as np

from nnlite.compute.numpy_source import constants
from nnlite.compute.trace import Trace

_EXPRESSIONS = {
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
    "maximum": "({0} if {0} >= {1} or {0} != {0} else {1})",
    "minimum": "({0} if {0} <= {1} or {0} != {0} else {1})",
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
_FLOAT32 = {"exp": "exp({0})", "log": "log({0})"}


def can_compile(trace: Trace, dtype: "np.dtype[Any]") -> bool:
    """Whether a formula has only operations that LLVM vectorizes."""
    if dtype.itemsize > 8:
        return False
    known = _EXPRESSIONS.keys() | (_FLOAT32 if dtype == np.float32 else {}).keys()
    return known.issuperset(operation.function for operation in trace.operations)


def numba_source(trace: Trace, into: tuple[str, ...], dtype: "np.dtype[Any]", arrays: frozenset[str]) -> str:
    """The source of the loop; ``arrays`` are the arguments that are arrays.

    >>> from nnlite.compute.trace import trace
    >>> formula = trace(lambda dY, Y: dY * (1 - Y * Y))
    >>> print(numba_source(formula, (), np.dtype(np.float32), frozenset(("dY", "Y"))))
    import numpy as np
    from nnlite.compute.numba_math import exp, log
    <BLANKLINE>
    ONE = np.float32(1.0)
    ZERO = np.float32(0.0)
    <BLANKLINE>
    <BLANKLINE>
    def loop(dY, Y, out1):
        for i in range(dY.size):
            dY_ = dY[i]
            Y_ = Y[i]
            t0 = Y_ * Y_
            t1 = ONE - t0
            t2 = dY_ * t1
            out1[i] = t2
    <BLANKLINE>
    """
    names = constants(trace)
    outs = into or [f"out{number}" for number in range(1, len(trace.results) + 1)]

    def text(operand: Any) -> str:
        if not isinstance(operand, str):
            return names[operand]
        return f"{operand}_" if operand in arrays else operand

    expressions = _EXPRESSIONS | _FLOAT32
    lines = [f"{each}_ = {each}[i]" for each in trace.arguments if each in arrays]
    for result, function, operands in trace.operations:
        lines.append(f"{result} = {expressions[function].format(*map(text, operands))}")
    lines += [f"{out}[i] = {result}" for out, result in zip(outs, trace.results, strict=True)]
    parameters = [*trace.arguments, *(() if into else outs)]
    real = f"np.{dtype.name}"
    numbers = {1.0: "ONE", 0.0: "ZERO"} | names
    head = ["import numpy as np", "from nnlite.compute.numba_math import exp, log", ""]
    head += [f"{name} = {real}({value!r})" for value, name in numbers.items()]
    body = "\n        ".join(lines)
    return "\n".join(head) + f"\n\n\ndef loop({', '.join(parameters)}):\n    for i in range({trace.arguments[0]}.size):\n        {body}\n"


def wrapper_source(name: str, trace: Trace, into: tuple[str, ...]) -> str:
    """The source of the function that calls the loop, or for large arrays, and those that are unlike, ``general``.

    >>> from nnlite.compute.trace import trace
    >>> print(wrapper_source("tanh_backward", trace(lambda dY, Y: dY * (1 - Y * Y)), ()))
    def tanh_backward(dY, Y):
        if dY.size >= LARGE or Y.shape != dY.shape:
            return general(dY, Y)
        out1 = np.empty(dY.shape, dtype)
        loop(dY.ravel(), Y.ravel(), out1.ravel())
        return out1
    <BLANKLINE>
    """
    first, *others = trace.arguments
    outs = [] if into else [f"out{number}" for number in range(1, len(trace.results) + 1)]
    unlike = [f"{first}.size >= LARGE"]
    unlike += [f"{each}.shape != {first}.shape" for each in others if each not in trace.scalars]
    unlike += [f"type({each}) is np.ndarray" for each in others if each in trace.scalars]
    unlike += [f"not {each}.flags.c_contiguous" for each in into]
    values = [f"real({each})" if each in trace.scalars else f"{each}.ravel()" for each in trace.arguments]
    lines = [f"if {' or '.join(unlike)}:", f"    return general({', '.join(trace.arguments)})"]
    lines += [f"{out} = np.empty({first}.shape, dtype)" for out in outs]
    lines += [f"loop({', '.join([*values, *(f'{out}.ravel()' for out in outs)])})"]
    lines += [f"return {', '.join(outs)}"] if outs else []
    return f"def {name}({', '.join(trace.arguments)}):\n    " + "\n    ".join(lines) + "\n"
