"""A formula as a list of operations: what a function of ufuncs computes, recorded by calling it once with symbols."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

Operand = str | float  # the name of an argument or of an intermediate result, or a constant
COMPARISONS = frozenset({"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"})
MASKS = COMPARISONS | {"bitwise_and", "bitwise_or"}  # what returns masks, which only ``where`` uses


class Operation(NamedTuple):
    """``result = function(*operands)``."""

    result: str
    function: str
    operands: tuple[Operand, ...]


class Trace(NamedTuple):
    """The operations of a formula, in order; none is there twice.

    >>> trace(lambda dY, Y: dY * (1 - Y * Y))
    Trace(arguments=('dY', 'Y'), scalars=frozenset(), operations=[Operation(result='t0', function='multiply', operands=('Y', 'Y')), Operation(result='t1', function='subtract', operands=(1.0, 't0')), Operation(result='t2', function='multiply', operands=('dY', 't1'))], results=('t2',))
    """

    arguments: tuple[str, ...]
    scalars: frozenset[str]  # arguments that are numbers, annotated with float
    operations: list[Operation]
    results: tuple[str, ...]


class Symbol(NDArrayOperatorsMixin):
    """Stands for an argument or an intermediate result, and records the ufuncs that are called with it."""

    def __init__(self, name: str, operations: list[Operation], is_mask: bool = False) -> None:
        self.name = name
        self.operations = operations
        self.is_mask = is_mask

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> "Symbol":
        name = ufunc.__name__
        if method != "__call__" or options or ufunc.nout != 1:
            raise TypeError(f"kernel: expected ufuncs of one result without options, got np.{name}")
        if any(getattr(each, "is_mask", False) for each in operands) and name not in ("bitwise_and", "bitwise_or"):
            raise TypeError(f"kernel: np.{name} of a comparison; use np.where(comparison, value, 0.0)")
        if name == "power" and operands[1] == 2:
            return self._record("multiply", operands[0], operands[0])
        return self._record(name, *operands)

    def __array_function__(self, function: Any, types: Any, operands: Any, options: Any) -> "Symbol":
        if function is not np.where or len(operands) != 3 or not getattr(operands[0], "is_mask", False):
            raise TypeError(
                f"kernel: expected ufuncs and np.where(comparison, value, value), got np.{function.__name__}"
            )
        return self._record("where", *operands)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "kernel: a formula cannot branch on the values of arrays; use np.where(comparison, value, value)"
        )

    def _record(self, function: str, *operands: Any) -> "Symbol":
        names = tuple(each.name if isinstance(each, Symbol) else float(each) for each in operands)
        for earlier in self.operations:
            if earlier[1:] == (function, names):
                return Symbol(earlier.result, self.operations, function in MASKS)
        self.operations.append(Operation(f"t{len(self.operations)}", function, names))
        return Symbol(self.operations[-1].result, self.operations, function in MASKS)


def trace(formula: Callable[..., Any]) -> Trace:
    """Call the formula with symbols, and return the operations that it needs.

    Raises:
        TypeError: it does something else than call ufuncs and np.where.
    """
    parameters = inspect.signature(formula).parameters
    operations: list[Operation] = []
    returned = formula(*[Symbol(name, operations) for name in parameters])
    results: Sequence[Any] = returned if isinstance(returned, tuple) else (returned,)
    if not all(isinstance(each, Symbol) and each.name not in parameters and not each.is_mask for each in results):
        raise TypeError("kernel: expected a formula that returns what ufuncs computed of its arguments")
    scalars = frozenset(name for name, each in parameters.items() if each.annotation in (float, "float"))
    return Trace(tuple(parameters), scalars, operations, tuple(each.name for each in results))
