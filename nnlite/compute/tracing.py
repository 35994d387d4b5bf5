"""A formula as a list of operations: what a function of ufuncs computes, recorded by calling it once with symbols."""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
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
REDUCTIONS = frozenset({"max", "sum", "mean", "dot"})  # of each row; "dot" is the sum of a product
COLUMN_SUM = "column_sum"  # the sum of each column, known after the last row
_KINDS: dict[Any, str] = {float: "scalar", Rows: "row", Columns: "column"}
_ORDER = ["full", "row", "column", "scalar"]  # the kind of a result is the first of those of its operands
_RESERVED = re.compile(  # names in the generated sources
    r"t\d+|out\d*|scratch\d+|ZERO|HALF|ONE|TWO|C[\d_].*|Cinf|Cnan|BLOCK|np|inf|nan|dtype|bits|many|in_blocks|as_written"
    r"|row_\w+|\w+_row|column_sum|\w+_part|\w+_total|exp|log|log1p|start|row|column|index"
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


class Symbol(NDArrayOperatorsMixin):
    """Stands for an argument or an intermediate result, and records the functions that are called with it."""

    def __init__(self, name: str, kind: str, operations: list[Operation], kinds: dict[Operand, str]) -> None:
        self.name, self.kind, self.operations, self.kinds = name, kind, operations, kinds
        kinds[name] = kind

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> "Symbol":
        name = ufunc.__name__
        if method != "__call__" or options:
            raise TypeError(f"kernel: expected ufuncs without options, got np.{name} with options")
        masks = {isinstance(each, Mask) for each in operands}
        if name in LOGICAL:
            if masks != {True} or operands[0].kind != operands[1].kind:
                raise TypeError(f"kernel: np.{name}: expected two comparisons, both of whole arrays")
        elif True in masks:
            raise TypeError(f"kernel: np.{name} of a comparison; use np.where(comparison, value, 0.0)")
        elif name not in COMPARISONS and not _of_numpy(ufunc):
            raise TypeError(f"kernel: expected NumPy's ufuncs whose result is of the arguments' dtype, got {name}")
        if name == "power" and type(operands[1]) in (int, float) and operands[1] == 2:
            return self.record("multiply", operands[0], operands[0])
        return self.record(name, *operands)

    def __array_function__(self, function: Any, types: Any, operands: Any, options: Any) -> "Symbol":
        if function is np.where:
            if [isinstance(each, Mask) for each in operands] != [True, False, False]:
                raise TypeError("kernel: np.where: expected a comparison and two values")
            if operands[0].kind != "full" and any(getattr(each, "kind", "") == "full" for each in operands):
                raise TypeError("kernel: np.where of a comparison of a number for each row; compare whole arrays")
            return self.record("where", *operands)
        if function in (np.max, np.sum, np.mean) and options == {"axis": -1, "keepdims": True}:
            if type(self) is Symbol and self.kind == "full":
                return self.record(function.__name__, *operands)
            raise TypeError(f"kernel: np.{function.__name__}: expected the values of a whole array")
        if function is np.sum and options == {"axis": 0} and type(self) is Symbol and self.kind == "full":
            return self.record(COLUMN_SUM, *operands)
        raise TypeError(
            "kernel: expected ufuncs, np.where(comparison, value, value), np.max, np.sum and np.mean with axis=-1, "
            f"keepdims=True, or np.sum with axis=0, of a whole array, got np.{function.__name__}"
        )

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "kernel: a formula cannot branch on the values of arrays; use np.where(comparison, value, value)"
        )

    def record(self, function: str, *operands: Any) -> "Symbol":
        """The result of a function, which is recorded unless that has been done."""
        if any(isinstance(each, np.ndarray) for each in operands):
            raise TypeError("kernel: expected arrays as arguments of the formula, got one as a constant")
        names = tuple(each.name if isinstance(each, Symbol) else float(each) for each in operands)
        kinds = {each.kind for each in operands if isinstance(each, Symbol)}
        if "total" in kinds:
            raise TypeError("kernel: np.sum with axis=0 is known after the last row; return it")
        kind = "full" if {"row", "column"} <= kinds else min(kinds, key=_ORDER.index)
        kind = "row" if function in REDUCTIONS else "total" if function == COLUMN_SUM else kind
        this = repr((function, names))  # 0.0 and -0.0 are equal, and their texts are not
        result = next((each.result for each in self.operations if repr(each[1:]) == this), "")
        if not result:
            result = f"t{len(self.operations)}"
            self.operations.append(Operation(result, function, names))
        return (Mask if function in MASKS else Symbol)(result, kind, self.operations, self.kinds)


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
    parameters = inspect.signature(formula, eval_str=True).parameters
    kind_of = {
        name: "full" if name in elements else _KINDS.get(each.annotation, "full") for name, each in parameters.items()
    }
    for name, each in parameters.items():
        if each.kind is not each.POSITIONAL_OR_KEYWORD:
            raise TypeError(f"kernel: expected positional arguments, got {each}")
        if _RESERVED.fullmatch(name):
            raise TypeError(f"kernel: rename the argument {name}: the generated source uses this name")
    if next(iter(kind_of.values()), "") != "full":
        raise TypeError("kernel: expected a formula whose first argument is an array")
    operations: list[Operation] = []
    kinds: dict[Operand, str] = {}
    returned = formula(*[Symbol(name, kind, operations, kinds) for name, kind in kind_of.items()])
    results: Sequence[Any] = returned if isinstance(returned, tuple) else (returned,)
    if not all(type(each) is Symbol and each.name not in parameters for each in results):
        raise TypeError("kernel: expected a formula that returns what ufuncs computed of its arguments")
    names = tuple(each.name for each in results)
    own = [kinds[each] for each in names]
    if len({*names}) < len(names) or not {*own} <= {"full", "row", "total"}:
        raise TypeError(
            "kernel: expected different results, each a whole array, a number for each row or a sum of columns"
        )
    if "total" in own[: len(own) - own.count("total")]:
        raise TypeError("kernel: return the sums of columns last")
    return Trace(tuple(parameters), _with_dots(_needed(operations, names), names, kinds), names, kinds)


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
