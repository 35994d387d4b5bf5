"""A kernel as NumPy: its operations as calls of ufuncs that write into as few arrays as possible.

A few functions are slow, and are written in another way (microseconds for 16,384 numbers of float32, of which the
processor has not learned the signs, on an AMD EPYC; a sum takes 2):

- ``maximum(0, X)`` does not vectorize for a number, and takes 7; ``clip(X, 0, inf)`` takes 2.5.
- ``where(Y > 0, dY, 0)`` takes 130. Y > 0 as an integer, 0 or 1, times the bits of dY, takes 7; a product of floating
  numbers would be NaN where dY is infinite.
- ``where(c, 1, 0)`` is c itself, copied to floating numbers in 2.
- ``where(c, A, B)`` takes 130 too: where c is 1, the bits in which A and B differ are changed in B's, which takes 10.
- ``sign(X, X)`` takes 150, into another array 7.
"""

import math
from collections.abc import Collection, Iterator

from nnlite.compute.tracing import COLUMN_SUM, MASKS, REDUCTIONS, Operand, Operation, Trace

_WORDS = {"0.0": "ZERO", "0.5": "HALF", "1.0": "ONE", "2.0": "TWO"}


def constant(number: float) -> str:
    """The name of a number in the sources.

    >>> constant(1.0), constant(-0.0), constant(2.5e-7)
    ('ONE', 'C_0', 'C2_5e_07')
    """
    text = repr(number)
    return _WORDS.get(text) or "C" + text.removesuffix(".0").translate({45: "_", 46: "_", 43: ""})


def constants(trace: Trace) -> dict[str, float]:
    """The numbers in a formula by their names.

    >>> from nnlite.compute.tracing import trace
    >>> constants(trace(lambda X: 3 * X + 1))
    {'C3': 3.0, 'ONE': 1.0}
    """
    operands = [each for operation in trace.operations for each in operation.operands]
    operands += [math.inf, -math.inf] * any(each.function in ("maximum", "minimum") for each in trace.operations)
    return {constant(each): each for each in operands if not isinstance(each, str)}


def numpy_source(name: str, trace: Trace, into: tuple[str, ...] = ()) -> str:
    """The source of a function that returns new arrays, or writes into its arguments ``into``.

    Its keywords are arrays for results and intermediate results. Operations on bits need arrays of the right dtype;
    with others the formula is called as it is written.

    >>> from nnlite.compute.tracing import trace
    >>> print(numpy_source("tanh_backward", trace(lambda dY, Y: dY * (1 - Y * Y))))
    def tanh_backward(dY, Y, *, out=None):
        if out is None and (dY.size > BLOCK or not dY.ndim):
            return in_blocks(dY, Y)
        out = np.multiply(Y, Y, out)
        np.subtract(ONE, out, out)
        np.multiply(dY, out, out)
        return out
    <BLANKLINE>
    """
    places = _Places(trace, into)
    statements: list[str] = []
    used: set[str] = set()
    made: list[str] = []  # arrays that a ufunc makes
    for number, operation in enumerate(trace.operations):
        operands = [places.of[each] if isinstance(each, str) else constant(each) for each in operation.operands]
        if operation.function in MASKS:
            places.of[operation.result] = operation.result
            statements.append(f"{operation.result} = np.{operation.function}({', '.join(operands)})")
        elif trace.kinds[operation.result] == "full":
            out = places.place(number, operation.result, apart_from=_read_again(operation, operands))
            lines = [*_statements(operation, operands, out, trace)]
            if not into and out not in used and operation.function != "where":
                made.append(out)
                lines = [f"{out} = {line}" for line in lines]
            used.add(out)
            statements += lines
        else:  # a few numbers
            out = places.of[operation.result] = places.targets.get(operation.result, operation.result)
            is_total = operation.function == COLUMN_SUM
            module = "row_" if operation.function in REDUCTIONS else "" if is_total else "np."
            call = f"{module}{operation.function}({', '.join(operands)})"
            given_array = operation.result in places.targets and not is_total
            statements.append(f"{out}[...] = {call}" if given_array else f"{out} = {call}")
    statements += places.copies()

    outs = [] if into else [out for result, out in places.targets.items() if result not in trace.totals]
    like, own = trace.arguments[0], [*outs, *places.scratch]
    rows = {out for result, out in places.targets.items() if trace.kinds[result] == "row"}
    given = ", ".join(trace.arguments)
    head = []
    # A ufunc makes its own array in a sixth of the time of empty_like; but of an array without axes a scalar.
    large = f"{own[0]} is None and ({like}.size > BLOCK or not {like}.ndim)" if made else f"{like}.size > BLOCK"
    large = f"{like}.ndim != 2 or ({large} and len({like}) > 1)" if trace.by_rows else large
    head += [f"if {large}:", f"    return in_blocks({given})"]
    needed = {each for operation in trace.operations for each in operation.operands}
    head += [f"{each} = np.asarray({each}, dtype)" for each in trace.of_kind("scalar") if each in needed]
    for each in [each for each in own if each not in made]:
        new = f"np.empty(({like}.shape[0], 1), dtype)" if each in rows else f"np.empty_like({like})"
        head.append(f"{each} = {new} if {each} is None else {each}")
    tail = [] if into else [f"return {', '.join(places.targets.values())}"]
    parameters = ", ".join([*trace.arguments, *(["*"] if own else []), *(f"{each}=None" for each in own)])
    return f"def {name}({parameters}):\n    " + "\n    ".join([*head, *statements, *tail]) + "\n"


class _Places:
    """In which array each value is: those of values that are not needed any more are used again."""

    def __init__(self, trace: Trace, into: tuple[str, ...]) -> None:
        count = len(trace.results)
        outs = into or (["out"] if count == 1 else [f"out{number}" for number in range(1, count + 1)])
        self.last: dict[Operand, int] = {}  # number of the operation that uses a value last
        for number, operation in enumerate(trace.operations):
            self.last |= dict.fromkeys(operation.operands, number)
        self.last |= dict.fromkeys(trace.results, len(trace.operations))
        self.made = {operation.result: number for number, operation in enumerate(trace.operations)}
        self.targets = dict(zip(trace.results, outs, strict=True))
        self.full = [out for result, out in self.targets.items() if trace.kinds[result] == "full"]
        self.of: dict[Operand, str] = {name: name for name in trace.arguments}
        self.scratch: list[str] = []

    def place(self, number: int, value: str, apart_from: Collection[str]) -> str:
        """The array for a value: its own target if possible, one that is free by now, or a new one."""
        occupied = {self.of[each] for each, last in self.last.items() if each in self.of and last > number}
        reserved = {  # those of results that are made while the value is needed: for a result all others'
            out for result, out in self.targets.items() if result != value and self.made[result] < self.last[value]
        }
        free = [each for each in [*self.full, *self.scratch] if each not in occupied | reserved | {*apart_from}]
        if not free:
            free = [f"scratch{len(self.scratch) + 1}"]
            self.scratch += free
        self.of[value] = free[0]
        return free[0]

    def copies(self) -> list[str]:
        """Results that could not be written into their targets at once, since others still read these."""
        return [f"np.copyto({out}, {self.of[each]})" for each, out in self.targets.items() if self.of[each] != out]


def _read_again(operation: Operation, operands: list[str]) -> list[str]:
    """The operands that must not be overwritten while the result is computed."""
    function = operation.function
    return operands if function == "sign" else [operands[2]] if function == "where" and "ZERO" not in operands else []


def _statements(operation: Operation, operands: list[str], out: str, trace: Trace) -> Iterator[str]:
    """The calls that compute an operation."""
    function = operation.function
    if function == "where":
        yield from _selection(operands, out, [trace.kinds.get(each, "scalar") for each in operation.operands])
    elif function in ("maximum", "minimum"):
        yield from _bound(function, operands, out, [trace.kinds.get(each, "scalar") for each in operation.operands])
    elif function == "clip":
        yield f"clip({operands[0]}, {operands[1]}, {operands[2]}, {out})"
    elif function == "log1p":
        yield f"log1p({operands[0]}, {out})"
    else:
        yield f"np.{function}({', '.join(operands)}, {out})"


def _bound(function: str, operands: list[str], out: str, kinds: list[str]) -> Iterator[str]:
    """The calls that compute ``maximum(A, B)`` or ``minimum(A, B)``; of -0.0 and the number 0.0 it is B."""
    A, B = operands
    if "scalar" not in kinds:
        yield f"np.{function}({A}, {B}, out={out})"
        return
    X, number = (B, A) if kinds[0] == "scalar" else (A, B)
    if B == "ZERO":
        yield f"np.add({X}, ZERO, {out})"  # -0.0 + 0.0 is 0.0
        X = out
    low, high = (number, constant(math.inf)) if function == "maximum" else (constant(-math.inf), number)
    yield f"clip({X}, {low}, {high}, {out})"


def _selection(operands: list[str], out: str, kinds: list[str]) -> Iterator[str]:
    """The calls that compute ``where(mask, A, B)``."""
    mask, (A, B, target) = operands[0], (f"{each}.view(bits)" for each in (*operands[1:], out))
    if operands[1:] == ["ONE", "ZERO"]:
        yield f"np.copyto({out}, {mask})"
    elif operands[2] == "ZERO":
        yield f"np.multiply({mask}, {A}, {target})"
    elif operands[1] == "ZERO":
        yield f"np.multiply(~{mask}, {B}, {target})"
    elif "full" in kinds[1:]:
        yield f"np.bitwise_xor({A}, {B}, {target})"
        yield f"np.multiply({mask}, {target}, {target})"
        yield f"np.bitwise_xor({target}, {B}, {target})"
    else:
        yield f"np.multiply({mask}, {A} ^ {B}, {target})"
        yield f"np.bitwise_xor({target}, {B}, {target})"
