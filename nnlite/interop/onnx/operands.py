"""Operand: an array of the file, which is computed, an initializer or a constant; and what operators ask of it."""

import math
from typing import Any

import numpy as np

from nnlite.containers.nodes import Constant, Node, Parameter
from nnlite.layers.conditions import Where
from nnlite.layers.reductions import Sum
from nnlite.layers.reshaping import Unflatten

LARGEST = 1 << 26  # numbers in an array that is made when a file is read


class Operand:
    """An array of the file.

    Attributes:
        shape: its sizes, None for an unknown one; None if their number is unknown.
        array: its value, of an initializer or a constant; None if it is computed.
        trained: whether it is an initializer of floating numbers, which becomes a parameter.
        uses: the number of operators that use it.
        floating: whether it has floating numbers.
    """

    def __init__(
        self,
        shape: Any,
        array: Any,
        uses: int,
        *,
        floating: bool,
        trained: bool = False,
        node: Node | None = None,
    ) -> None:
        self.shape, self.array, self.uses, self.floating = shape, array, uses, floating
        self.trained, self._node = trained and floating, node

    @property
    def node(self) -> Node:
        """The node of a graph: a parameter or a constant if it is not computed."""
        if self._node is None:
            self._node = Parameter(self.array, dtype=self.array.dtype) if self.trained else Constant(self.array)
        return self._node

    @property
    def own(self) -> Any:
        """The value of an initializer that no other operator uses, so that it can belong to one layer; or None."""
        return self.array if self.trained and self.uses == 1 else None

    @property
    def ndim(self) -> int:
        """The number of axes."""
        if self.shape is None:
            raise NotImplementedError("the number of axes is unknown")
        return len(self.shape)


class Expanded(Operand):
    """An array whose axes of size 1 are repeated.

    For the rows of a batch, whose number is not known, Where chooses one of two equal arrays, by a condition that has
    so many rows: it broadcasts, and computes nothing with the numbers.

    Args:
        X: the array.
        sizes: of all axes; -1 for that of the batch.
        batch: an input of the model that has the rows of the batch.
    """

    def __init__(self, X: Operand, sizes: tuple[int, ...], batch: Node | None) -> None:
        super().__init__(None, None, 1, floating=X.floating)
        own = (1,) * (len(sizes) - X.ndim) + tuple(X.shape)
        self.X, self.sizes, self.batch = X, sizes, batch
        raise_unless(math.prod(each for each in sizes if each > 0) <= LARGEST, "expanded to too many numbers")
        self.repeats = [size if old == 1 else 1 for size, old in zip(sizes, own, strict=True)]

    @property
    def node(self) -> Any:
        if self._node is None:
            self._node = self.X.node
            known = [max(each, 1) for each in self.repeats]
            if max(known, default=1) > 1 or (-1 not in self.repeats and len(known) > self.X.ndim):
                self._node = self._node * Constant(np.ones(known))
            if -1 in self.repeats:
                sizes = tuple(-1 if each == -1 else 1 for each in self.repeats)
                condition = Unflatten(0, sizes)(self._rows()) if len(sizes) > 1 else self._rows()
                self._node = Where()(condition, self._node, self._node)
        return self._node

    def _rows(self) -> Any:
        """A number for each row of the batch."""
        if self.batch is None:
            raise NotImplementedError("expanded to a batch that no input has")
        axes = tuple(range(1, len(self.batch.shape)))
        return Sum(axes)(self.batch) if axes else self.batch


class Reshaped(Operand):
    """Whole numbers in another shape, as MaxUnpool has its indices; layers that reshape give floating numbers."""

    def __init__(self, shape: Any, of: Operand) -> None:
        super().__init__(shape, None, 1, floating=False)
        self.of = of

    @property
    def node(self) -> Any:
        raise NotImplementedError("whole numbers that are reshaped")


def known(operand: Operand) -> Any:
    """The value of an initializer or a constant."""
    if operand.array is None:
        raise NotImplementedError("expected an initializer, got a computed array")
    return operand.array


def parameter(operand: Operand) -> Any:
    """The value of an initializer that no other operator uses, or of a constant.

    An initializer whose numbers are all the same, as those of new normalizations, may have other users: exporters write
    equal arrays once.
    """
    array = known(operand)
    own = not operand.trained or operand.uses == 1 or bool((array == array.flat[:1]).all())
    raise_unless(own, "its initializer is used by other operators, too")
    return array


def number(operand: Operand) -> float:
    """The value of a single number."""
    raise_unless(known(operand).size == 1, "expected a single number")
    return float(known(operand).item())


def whole_numbers(operand: Any) -> tuple[int, ...]:
    """Axes or sizes: those of a list, or of an initializer or a constant."""
    return tuple(map(int, operand if isinstance(operand, list) else known(operand).reshape(-1)))


def at(shape: Any, axis: int) -> int:
    """The size of an axis."""
    size = None if shape is None or not -len(shape) <= axis < len(shape) else shape[axis]
    if size is None:
        raise NotImplementedError(f"the size of axis {axis} is unknown")
    return int(size)


def reduced(X: Operand, axes: Any, noop: int) -> tuple[int, ...] | None:
    """The axes of a reduction; None for all."""
    numbers = () if axes is None else whole_numbers(axes)
    return numbers if numbers or noop else None


def raise_unless(condition: bool, reason: str) -> None:
    """Raise a NotImplementedError unless the condition holds."""
    if not condition:
        raise NotImplementedError(reason)
