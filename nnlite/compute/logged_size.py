"""Size: a size of an array that follows from the number of rows of the example, in a log of calls."""

import operator
from typing import Any

from nnlite.basics.arrays import StandIn


class Size(int):
    """A multiple of the number of rows, which a program has as ``N * 8``.

    Args:
        value: the number in the example.
        log: the CallLog in which operations with it are logged.
    """

    log: Any

    def __new__(cls, value: int, log: Any) -> "Size":
        self = super().__new__(cls, value)
        self.log = log
        return self

    @property
    def times(self) -> int:
        return int(self) // int(self.log.rows)

    def __mul__(self, other: Any) -> Any:
        return Size(int(self) * other, self.log) if type(other) is int else self.logged(operator.mul, self, other)

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        return self.logged(operator.add, self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self.logged(operator.sub, self, other)

    def __truediv__(self, other: Any) -> Any:
        return self.logged(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.logged(operator.truediv, other, self)

    def __floordiv__(self, other: Any) -> Any:
        quotient = int(self) // int(other)
        return quotient if isinstance(other, Size) else self.log.size(quotient)

    def number(self) -> Any:
        """It as a number that is logged, since a float divides by a Size as by any int."""
        return self.log.call(operator.pos, self)

    def logged(self, function: Any, *operands: Any) -> Any:
        """Log a call with it; of an operation with an array its own operator has the word."""
        if any(isinstance(each, StandIn) for each in operands):
            return NotImplemented
        return self.log.call(function, *operands)
