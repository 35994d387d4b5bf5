"""A formula as a list of operations: what a function of ufuncs computes, recorded by calling it once with symbols."""

import inspect
from collections import Counter
from collections.abc import Callable, Sequence
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
MASKS = COMPARISONS | {"bitwise_and", "bitwise_or"}  # what returns masks, which only ``where`` uses
REDUCTIONS = frozenset({"max", "sum", "mean", "dot"})  # of each row; "dot" is the sum of a product
_KINDS: dict[Any, str] = {float: "scalar", Rows: "row", Columns: "column"}


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
    kinds: dict[Operand, str]  # of each value: "full", one number for each "row" or "column", or "scalar"

    def of_kind(self, *kinds: str) -> list[str]:
        """The arguments of these kinds."""
        return [each for each in self.arguments if self.kinds[each] in kinds]

    @property
    def by_rows(self) -> bool:
        """Whether the arrays must be matrices, since their rows are reduced, or there are numbers for each row."""
        return any(kind in ("row", "column") for kind in self.kinds.values())


class Symbol(NDArrayOperatorsMixin):
    """Stands for an argument or an intermediate result, and records the functions that are called with it."""

    def __init__(self, name: str, kind: str, operations: list[Operation], kinds: dict[Operand, str]) -> None:
        self.name, self.kind, self.operations, self.kinds = name, kind, operations, kinds
        kinds[name] = kind

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> "Symbol":
        name = ufunc.__name__
        if method != "__call__" or options or ufunc.nout != 1:
            raise TypeError(f"kernel: expected ufuncs of one result without options, got np.{name}")
        if any(isinstance(each, Mask) for each in operands) and name not in MASKS - COMPARISONS:
            raise TypeError(f"kernel: np.{name} of a comparison; use np.where(comparison, value, 0.0)")
        if name == "power" and operands[1] == 2:
            return self.record("multiply", operands[0], operands[0])
        return self.record(name, *operands)

    def __array_function__(self, function: Any, types: Any, operands: Any, options: Any) -> "Symbol":
        if function is np.where and len(operands) == 3 and isinstance(operands[0], Mask):
            if operands[0].kind != "full" and any(getattr(each, "kind", "") == "full" for each in operands):
                raise TypeError("kernel: np.where of a comparison of a number for each row; compare whole arrays")
            return self.record("where", *operands)
        if function in (np.max, np.sum, np.mean) and options == {"axis": -1, "keepdims": True}:
            return self.record(function.__name__, *operands)
        raise TypeError(
            "kernel: expected ufuncs, np.where(comparison, value, value), or np.max, np.sum and np.mean with axis=-1, "
            f"keepdims=True, got np.{function.__name__}"
        )

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "kernel: a formula cannot branch on the values of arrays; use np.where(comparison, value, value)"
        )

    def record(self, function: str, *operands: Any) -> "Symbol":
        """The result of a function, which is recorded unless that has been done."""
        names = tuple(each.name if isinstance(each, Symbol) else float(each) for each in operands)
        kinds = {each.kind for each in operands if isinstance(each, Symbol)}
        kind = (
            "row" if function in REDUCTIONS else "full" if {"row", "column"} <= kinds else min(kinds, key=_ORDER.index)
        )
        result = next((each.result for each in self.operations if each[1:] == (function, names)), "")
        if not result:
            result = f"t{len(self.operations)}"
            self.operations.append(Operation(result, function, names))
        return (Mask if function in MASKS else Symbol)(result, kind, self.operations, self.kinds)


_ORDER = ["full", "row", "column", "scalar"]


class Mask(Symbol):
    """The result of a comparison."""


def trace(formula: Callable[..., Any]) -> Trace:
    """Call the formula with symbols, and return the operations that it needs.

    Raises:
        TypeError: it does something else than call the functions that :class:`Symbol` knows.
    """
    parameters = inspect.signature(formula).parameters
    operations: list[Operation] = []
    kinds: dict[Operand, str] = {}
    if not parameters or _KINDS.get(next(iter(parameters.values())).annotation, "full") != "full":
        raise TypeError("kernel: expected a formula whose first argument is an array")
    symbols = [
        Symbol(name, _KINDS.get(each.annotation, "full"), operations, kinds) for name, each in parameters.items()
    ]
    returned = formula(*symbols)
    results: Sequence[Any] = returned if isinstance(returned, tuple) else (returned,)
    if not all(type(each) is Symbol and each.name not in parameters for each in results):
        raise TypeError("kernel: expected a formula that returns what ufuncs computed of its arguments")
    names = tuple(each.name for each in results)
    return Trace(tuple(parameters), _with_dots(operations, names), names, kinds)


def _with_dots(operations: list[Operation], results: tuple[str, ...]) -> list[Operation]:
    """The operations with sums of products as one, where nothing else needs the products."""
    uses = Counter(each for operation in operations for each in operation.operands)
    products = {each.result: each for each in operations if each.function == "multiply" and each.result not in results}
    new, merged = [], set()
    for operation in operations:
        product = products.get(str(operation.operands[0]))
        if operation.function == "sum" and product and uses[product.result] == 1:
            operation = Operation(operation.result, "dot", product.operands)
            merged.add(product.result)
        new.append(operation)
    return [each for each in new if each.result not in merged]
