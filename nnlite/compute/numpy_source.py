"""A kernel as NumPy: its operations as calls of ufuncs that write into as few arrays as possible.

Three ufuncs are slow, and are written in another way (microseconds for 16,384 numbers of float32 on an AMD EPYC):

- ``maximum(X, 0)`` does not vectorize for a number, 9; for an array of zeros it takes 4.
- ``where(Y > 0, dY, 0)`` takes 31. Y > 0 as integers 0 and 1, times the bits of dY, takes 6.5; a product of floating
  numbers would be NaN where dY is infinite.
- ``where(c, A, B)`` takes 31 too: where c is 1, the bits in which A and B differ are changed in B's, which takes 13.
"""

from collections.abc import Collection, Iterator

from nnlite.compute.tracing import COMPARISONS, MASKS, REDUCTIONS, Operand, Operation, Trace

_WORDS = {0.0: "ZERO", 0.5: "HALF", 1.0: "ONE", 2.0: "TWO"}


def constants(trace: Trace) -> dict[float, str]:
    """The numbers in a formula, and their names in the source.

    >>> from nnlite.compute.tracing import trace
    >>> constants(trace(lambda X: 3 * X + 1))
    {3.0: 'C3', 1.0: 'ONE'}
    """
    numbers = [each for operation in trace.operations for each in operation.operands if not isinstance(each, str)]
    names = (
        _WORDS.get(each, "C" + repr(each).removesuffix(".0").translate({45: "_", 46: "_", 43: ""})) for each in numbers
    )
    return dict(zip(numbers, names, strict=True))


def numpy_source(name: str, trace: Trace, into: tuple[str, ...] = ()) -> str:
    """The source of a function that returns new arrays, or writes into its arguments ``into``.

    Its further arguments are arrays for results and intermediate results.

    >>> from nnlite.compute.tracing import trace
    >>> print(numpy_source("tanh_backward", trace(lambda dY, Y: dY * (1 - Y * Y))))
    def tanh_backward(dY, Y, out=None):
        if dY.size > BLOCK:
            return in_blocks(dY, Y)
        out = np.empty_like(dY) if out is None else out
        np.multiply(Y, Y, out)
        np.subtract(ONE, out, out)
        np.multiply(dY, out, out)
        return out
    <BLANKLINE>
    """
    places = _Places(trace, into)
    names = constants(trace)
    statements: list[str] = []
    for number, operation in enumerate(trace.operations):
        operands = [places.of[each] if isinstance(each, str) else names[each] for each in operation.operands]
        if trace.kinds[operation.result] == "full":
            selects = operation.function == "where" and operation.operands[2] != 0.0
            out = places.place(number, operation.result, apart_from=(operands[0], operands[2]) if selects else ())
            statements += _statements(operation, operands, out, selects)
        else:  # a few numbers
            out = places.of[operation.result] = places.targets.get(operation.result, operation.result)
            called = f"row_{operation.function}" if operation.function in REDUCTIONS else f"np.{operation.function}"
            call = f"{called}({', '.join(operands)})"
            statements.append(f"{out}[...] = {call}" if operation.result in places.targets else f"{out} = {call}")
    statements += places.copies()

    like, own = trace.arguments[0], [*([] if into else places.targets.values()), *places.scratch]
    rows = {out for result, out in places.targets.items() if trace.kinds[result] == "row"}
    head = [f"if {like}.size > BLOCK:", f"    return in_blocks({', '.join(trace.arguments)})"]
    head += [f"{each} = np.asarray({each}, dtype)" for each in trace.of_kind("scalar")]
    for each in own:
        new = f"np.empty(({like}.shape[0], 1), dtype)" if each in rows else f"np.empty_like({like})"
        head.append(f"{each} = {new} if {each} is None else {each}")
    tail = [] if into else [f"return {', '.join(places.targets.values())}"]
    parameters = ", ".join([*trace.arguments, *(f"{each}=None" for each in own)])
    return f"def {name}({parameters}):\n    " + "\n    ".join([*head, *statements, *tail]) + "\n"


def scratch_arrays(trace: Trace, into: tuple[str, ...] = ()) -> int:
    """How many arrays for intermediate results the function needs."""
    return numpy_source("f", trace, into).split("\n")[0].count("=None") - (0 if into else len(trace.results))


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
        reserved = {
            out for result, out in self.targets.items() if result != value and self.made[result] < self.last[value]
        }
        free = [each for each in [*self.full, *self.scratch] if each not in occupied | reserved | {*apart_from}]
        if value in self.targets:
            free = [each for each in free if each == self.targets[value] or each in self.scratch]
            free.sort(key=lambda each: each != self.targets[value])
        if not free:
            free = [f"scratch{len(self.scratch) + 1}"]
            self.scratch += free
        self.of[value] = free[0]
        return free[0]

    def copies(self) -> list[str]:
        """Results that could not be written into their targets at once, since others still read these."""
        return [f"np.copyto({out}, {self.of[each]})" for each, out in self.targets.items() if self.of[each] != out]


def _statements(operation: Operation, operands: list[str], out: str, selects: bool) -> Iterator[str]:
    """The calls that compute an operation; masks are the integers 0 and 1."""
    function = operation.function
    if selects:
        mask, A, B, target = (f"{each}.view(bits)" for each in (*operands, out))
        yield f"np.bitwise_xor({A}, {B}, {target})"
        yield f"np.multiply({target}, {mask}, {target})"
        yield f"np.bitwise_xor({target}, {B}, {target})"
    elif function == "where":
        yield f"np.multiply({operands[0]}.view(bits), {operands[1]}.view(bits), {out}.view(bits))"
    elif function in COMPARISONS:
        yield f"np.{function}({', '.join(operands)}, out={out}.view(bits))"
    elif function in MASKS:
        yield f"np.{function}({', '.join(f'{each}.view(bits)' for each in operands)}, {out}.view(bits))"
    elif function in ("maximum", "minimum"):
        A, B = operands
        numbers = [not isinstance(each, str) for each in operation.operands]
        A, B = f"many({A}, {B})" if numbers[0] else A, f"many({B}, {A})" if numbers[1] else B
        yield f"np.{function}({A}, {B}, out={out})"
    else:
        yield f"np.{function}({', '.join(operands)}, {out})"
