"""A formula as a list of operations: what a function of ufuncs computes, recorded by calling it once with symbols."""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from numbers import Real
from typing import Annotated, Any, NamedTuple, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from nnlite.basics.arrays import Array

Rows = Annotated[Array, "row"]
"""An argument of shape (N, 1) beside arrays of shape (N, M): one number for each row."""

Columns = Annotated[Array, "column"]
"""An argument of shape (M,) beside arrays of shape (N, M): one number for each column."""

Operand = str | float  # the name of an argument or of an intermediate result, or a constant
COMPARISONS = frozenset({"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"})
LOGICAL = frozenset({"bitwise_and", "bitwise_or"})  # of comparisons
MASKS = COMPARISONS | LOGICAL  # what returns masks, which only ``where`` uses
FUNCTIONS = frozenset({"exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "tanh", "sin", "cos", "power"})
REDUCTIONS = frozenset({"max", "sum", "mean", "dot"})  # of each row; "dot" is the sum of a product
COLUMN_SUM = "column_sum"  # the sum of each column, known after the last row
_KINDS: dict[Any, str] = {float: "scalar", Rows: "row", Columns: "column"}
_ORDER = ["full", "row", "column", "scalar"]  # the kind of a result is the first of those of its operands
_INSTEAD = {  # of functions that have no place in a formula
    "clip": "use np.clip(X, low, high)",
    "isnan": "compare: X != X",
    "isinf": "compare: np.abs(X) == np.inf",
    "isfinite": "compare: np.abs(X) < np.inf",
    "logical_and": "use (X > 0) & (X < 1)",
    "logical_or": "use (X < 0) | (X > 1)",
}
_RESERVED = re.compile(  # names in the generated sources
    r"t\d+(_\w+)?|out\d*|scratch\d+|ZERO|HALF|ONE|TWO|C[\d_].*|Cinf|Cnan|BLOCK|np|inf|nan|dtype|bits|in_blocks|clip"
    r"|row_\w+|column_sum|exp|log|log1p|tanh|start|row|column|index|type|float|ndarray|apart|unusual|functions|min|max|range"
    r"|real|key|number|plus|LEAST|LARGE|loop|general|with_ufuncs|errors_are_raised"
)


class Operation(NamedTuple):
    """``result = function(*operands)``."""

    result: str
    function: str
    operands: tuple[Operand, ...]


class Trace(NamedTuple):
    """The operations of a formula, in order; none is there twice.

    >>> for operation in trace(lambda dY, Y: dY * (1 - Y * Y)).operations:
    ...     print(*operation)
    t0 multiply ('Y', 'Y')
    t1 subtract (1.0, 't0')
    t2 multiply ('dY', 't1')
    """

    arguments: tuple[str, ...]
    operations: list[Operation]
    results: tuple[str, ...]
    kinds: dict[Operand, str]  # of each value: "full", one number for each "row" or "column", "total" or "scalar"

    def of_kind(self, *kinds: str) -> list[str]:
        """The arguments of these kinds."""
        return [each for each in self.arguments if self.kinds[each] in kinds]

    @property
    def cost(self) -> float:
        """About how long NumPy takes for an element, in the time of an addition; a function takes that of four."""
        return len(self.operations) + 3 * self.functions

    @property
    def functions(self) -> int:
        """How many of the operations are such as exp and log."""
        return sum(each.function in FUNCTIONS for each in self.operations)

    @property
    def by_rows(self) -> bool:
        """Whether the arrays must be matrices, since their rows are reduced, or there are numbers for each row."""
        return any(kind in ("row", "column", "total") for kind in self.kinds.values())

    @property
    def outs(self) -> list[str]:
        """The results that have numbers for each row."""
        return [each for each in self.results if self.kinds[each] != "total"]

    @property
    def totals(self) -> list[str]:
        """The results that are sums of columns, the last ones."""
        return [each for each in self.results if self.kinds[each] == "total"]


class _Recording(NamedTuple):
    """The operations of a formula so far, and the kind of each value."""

    formula: str
    operations: list[Operation]
    kinds: dict[Operand, str]

    def error(self, message: str) -> TypeError:
        return TypeError(f"kernel {self.formula}: {message}")


class Symbol(NDArrayOperatorsMixin):
    """Stands for an argument or an intermediate result, and records the functions that are called with it."""

    def __init__(self, name: str, kind: str, recording: _Recording) -> None:
        self.name, self.kind, self.recording = name, kind, recording
        recording.kinds[name] = kind

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> "Symbol":
        name, error = ufunc.__name__, self.recording.error
        if method != "__call__":
            raise error(f"expected ufuncs, got np.{name}.{method}; np.sum(X, axis=-1, keepdims=True) adds each row")
        if options.keys() == {"out"} and options["out"][0] is self:
            raise error(f"an operation in place, np.{name}; write X = X + Y instead of X += Y")
        if options:
            raise error(f"expected ufuncs without options, got np.{name} with {', '.join(options)}")
        masks = {isinstance(each, Mask) for each in operands}
        if name in LOGICAL:
            if masks != {True} or operands[0].kind != operands[1].kind:
                raise error(f"np.{name}: expected two comparisons, both of whole arrays")
        elif True in masks:
            raise error(f"np.{name} of a comparison; use np.where(comparison, value, 0.0)")
        elif name not in COMPARISONS and not _of_numpy(ufunc):
            cure = _INSTEAD.get(name, "call it outside the kernel, and pass its result as an argument")
            raise error(f"expected NumPy's ufuncs whose result is of the arguments' dtype, got {name}; {cure}")
        if name == "power" and type(operands[1]) in (int, float) and operands[1] == 2:
            return self.record("multiply", operands[0], operands[0])
        return self.record(name, *operands)

    def __array_function__(self, function: Any, types: Any, operands: Any, options: Any) -> "Symbol":
        name, error = function.__name__, self.recording.error
        if function is np.where:
            if [isinstance(each, Mask) for each in operands] != [True, False, False]:
                raise error("np.where: expected a comparison and two values")
            if operands[0].kind != "full" and any(getattr(each, "kind", "") == "full" for each in operands):
                raise error("np.where of a comparison of a number for each row; compare whole arrays")
            return self.record("where", *operands)
        if function is np.clip and len(operands) == 3 and not options:
            X, low, high = operands
            if type(X) is Symbol and all(getattr(each, "kind", "scalar") == "scalar" for each in (low, high)):
                return self.record("clip", X, low, high)
            return np.minimum(high, np.maximum(low, X))  # type: ignore[no-any-return]
        if function in (np.max, np.sum, np.mean):
            by_columns = function is np.sum and options == {"axis": 0}
            if len(operands) != 1 or not (by_columns or options == {"axis": -1, "keepdims": True}):
                given = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "no options"
                by_columns_too = " or np.sum(X, axis=0), of each column," * (function is np.sum)
                raise error(f"expected np.{name}(X, axis=-1, keepdims=True), of each row,{by_columns_too} got {given}")
            if type(self) is not Symbol or self.kind != "full":
                raise error(f"np.{name}: expected the values of a whole array")
            return self.record(COLUMN_SUM if by_columns else name, *operands)
        cure = _INSTEAD.get(name, "call it outside the kernel, and pass its result as an argument")
        raise error(f"expected ufuncs, np.where, np.clip, np.max, np.sum and np.mean, got np.{name}; {cure}")

    def __bool__(self) -> NoReturn:
        raise self.recording.error(
            "a formula cannot branch on the values of arrays; use np.where(comparison, value, value)"
        )

    def __float__(self) -> NoReturn:
        raise self.recording.error("no value of an array is a number; use ufuncs, such as np.exp instead of math.exp")

    __int__ = __index__ = __float__

    def __getattr__(self, attribute: str) -> NoReturn:
        if attribute.startswith("__"):  # asked for by protocols
            raise AttributeError(attribute)
        if attribute in ("max", "sum", "mean"):
            raise self.recording.error(f"{self._text}.{attribute}: use np.{attribute}(X, axis=-1, keepdims=True)")
        raise self._outside(f"{self._text}.{attribute}")

    def __getitem__(self, index: Any) -> NoReturn:
        raise self._outside(f"{self._text}[...]")

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise self.recording.error(
            f"{self._text}[...] = ...: a formula writes into no array; return np.where(comparison, value, {self._text})"
        )

    def __iter__(self) -> NoReturn:
        raise self._outside(f"a loop over {self._text}")

    def __len__(self) -> NoReturn:
        raise self._outside(f"len({self._text})")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise self._outside(f"np.asarray({self._text})")

    @property
    def _text(self) -> str:
        return "(...)" if self.name[1:].isdecimal() else self.name

    def _outside(self, what: str) -> TypeError:
        return self.recording.error(
            f"{what}: a formula knows no array, only its elements; compute that outside the kernel, and pass it as an "
            "argument"
        )

    def record(self, function: str, *operands: Any) -> "Symbol":
        """The result of a function, which is recorded unless that has been done."""
        for each in operands:
            if isinstance(each, np.ndarray | list | tuple):
                raise self.recording.error("expected arrays as arguments of the formula, got one as a constant")
            if not isinstance(each, Symbol | Real):
                raise self.recording.error(f"np.{function}: expected arguments and numbers, got {each!r}")
        names = tuple(each.name if isinstance(each, Symbol) else float(each) for each in operands)
        kinds = {each.kind for each in operands if isinstance(each, Symbol)}
        if "total" in kinds:
            raise self.recording.error("np.sum with axis=0 is known after the last row; return it")
        kind = "full" if {"row", "column"} <= kinds else min(kinds, key=_ORDER.index)
        kind = "row" if function in REDUCTIONS else "total" if function == COLUMN_SUM else kind
        operations = self.recording.operations
        this = repr((function, names))  # 0.0 and -0.0 are equal, and their texts are not
        result = next((each.result for each in operations if repr(each[1:]) == this), "")
        if not result:
            result = f"t{len(operations)}"
            operations.append(Operation(result, function, names))
        return (Mask if function in MASKS else Symbol)(result, kind, self.recording)


class Mask(Symbol):
    """The result of a comparison."""


def _of_numpy(ufunc: np.ufunc) -> bool:
    """Whether it is elementwise, of NumPy, and returns the dtype of its arguments."""
    own = getattr(np, ufunc.__name__, None) is ufunc and ufunc.signature is None
    return own and f"{'f' * ufunc.nin}->f" in ufunc.types


def trace(formula: Callable[..., Any], elements: Collection[str] = ()) -> Trace:
    """Call the formula with symbols, and return the operations that it needs.

    Args:
        formula: a function of ufuncs.
        elements: its numbers for which there will be arrays, a number for each element.

    Raises:
        TypeError: it does something else than call the functions that :class:`Symbol` knows.
    """
    recording = _Recording(formula.__name__, [], {})
    parameters = inspect.signature(formula, eval_str=True).parameters
    kind_of = {
        name: "full" if name in elements else _KINDS.get(each.annotation, "full") for name, each in parameters.items()
    }
    for name, each in parameters.items():
        if each.kind is not each.POSITIONAL_OR_KEYWORD:
            raise recording.error(f"expected positional arguments, got {each}")
        if _RESERVED.fullmatch(name):
            raise recording.error(f"rename the argument {name}: the generated source uses this name")
    if next(iter(kind_of.values()), "") != "full":
        raise recording.error("expected a formula whose first argument is an array")
    returned = formula(*[Symbol(name, kind, recording) for name, kind in kind_of.items()])
    results: Sequence[Any] = returned if isinstance(returned, tuple) else (returned,)
    for each in results:
        if type(each) is not Symbol or each.name in parameters:
            raise recording.error(
                f"expected a formula that returns what ufuncs computed of its arguments, {_not(each)}"
            )
    names, kinds = tuple(each.name for each in results), recording.kinds
    if len({*names}) < len(names):
        raise recording.error("expected different results, got one twice")
    own = [kinds[each] for each in names]
    if not {*own} <= {"full", "row", "total"}:
        raise recording.error("expected results that are each a whole array, a number for each row or a sum of columns")
    if "total" in own[: len(own) - own.count("total")]:
        raise recording.error("return the sums of columns last")
    return Trace(tuple(parameters), _with_dots(_needed(recording.operations, names), names, kinds), names, kinds)


def _not(result: Any) -> str:
    """What a formula returned that is no result, and what to write."""
    if isinstance(result, Mask):
        return "got a comparison; return np.where(comparison, 1.0, 0.0)"
    if isinstance(result, Symbol):
        return f"got its argument {result.name}; return {result.name} * 1"
    if result is None:
        return "got None; end it with return"
    return f"got {result!r}" + "; return a tuple" * isinstance(result, list)


def _needed(operations: list[Operation], results: tuple[str, ...]) -> list[Operation]:
    """The operations without those whose results nothing uses."""
    needed: set[Operand] = {*results}
    for each in reversed(operations):
        if each.result in needed:
            needed.update(each.operands)
    return [each for each in operations if each.result in needed]


def _with_dots(operations: list[Operation], results: tuple[str, ...], kinds: dict[Operand, str]) -> list[Operation]:
    """The operations with sums of products of arrays as one, where nothing else needs the products."""
    uses = Counter(each for operation in operations for each in operation.operands)
    products = {
        each.result: each
        for each in operations
        if each.function == "multiply"
        and each.result not in results
        and all(kinds.get(operand) == "full" for operand in each.operands)
    }
    new, merged = [], set()
    for operation in operations:
        product = products.get(str(operation.operands[0]))
        if operation.function == "sum" and product and uses[product.result] == 1:
            operation = Operation(operation.result, "dot", product.operands)
            merged.add(product.result)
        new.append(operation)
    return [each for each in new if each.result not in merged]
