"""Operand: an array of the file, which is computed, an initializer or a constant; and what operators ask of it."""

from typing import Any

from nnlite.containers.nodes import Constant, Node, Parameter


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
    """A number in each entry of an array, some of whose sizes are not known before it is computed."""

    def __init__(self, shape: Any, value: float) -> None:
        super().__init__(shape, None, 1, floating=True)
        self.value = value

    @property
    def node(self) -> Any:
        raise NotImplementedError("an array that is expanded to sizes that are not known")


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
