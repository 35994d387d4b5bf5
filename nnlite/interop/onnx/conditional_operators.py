"""What a choice between two arrays is in nnlite: comparisons are kept as they are until Where uses them."""

from typing import Any

import numpy as np

from nnlite.containers.nodes import Constant, Parameter
from nnlite.interop.onnx.operands import Operand, number, raise_unless
from nnlite.layers.arithmetic import Multiply
from nnlite.layers.piecewise_linear import Threshold
from nnlite.layers.smooth_activations import Softplus


class Comparison(Operand):
    """``A > B``, or that it is not so."""

    def __init__(self, A: Operand, B: Operand, holds: bool = True) -> None:
        super().__init__(A.shape, None, 1, floating=False)
        self.A, self.B, self.holds = A, B, holds

    @property
    def node(self) -> Any:
        """There is none."""
        raise NotImplementedError("a comparison is supported as the condition of Where only")


class ConditionalOperators:
    """The operators."""

    def Greater(self, A: Operand, B: Operand) -> Any:
        return Comparison(A, B)

    def Less(self, A: Operand, B: Operand) -> Any:
        return Comparison(B, A)

    def GreaterOrEqual(self, A: Operand, B: Operand) -> Any:
        return Comparison(B, A, holds=False)

    def LessOrEqual(self, A: Operand, B: Operand) -> Any:
        return Comparison(A, B, holds=False)

    def Where(self, condition: Operand, X: Operand, Y: Operand) -> Any:
        """A Threshold, ``X if X > threshold else value``; or a PReLU, ``X if X > 0 else slope X``.

        Where the condition is known, as of causal attention, it is ``X c + value (1 - c)`` with zeros and ones c.
        """
        if condition.array is not None:
            return chosen(condition.array, X, Y)
        expected = "expected X where X is greater than a number, and elsewhere a number, or a multiple of X"
        raise_unless(isinstance(condition, Comparison), expected)
        above, below = (X, Y) if condition.holds else (Y, X)  # type: ignore[attr-defined]
        bound = condition.B  # type: ignore[attr-defined]
        raise_unless(condition.A is above and bound.array is not None and bound.array.size == 1, expected)  # type: ignore[attr-defined]
        if below.node.call and isinstance(below.node.call.layer, Softplus) and below.node.call.inputs[0] is above.node:
            raise_unless(number(bound) >= 20, expected)
            return below  # beyond that number both are the same in float32
        if below.array is not None and below.array.size == 1:
            return Threshold(number(bound), number(below))(above.node)
        call = below.node.call
        factors = call.inputs if call and isinstance(call.layer, Multiply) and number(bound) == 0 else ()
        slope = next((each for each in factors if each is not above.node and each.call is None), None)
        raise_unless(above.node in factors and hasattr(slope, "value"), expected)
        array = slope.value  # type: ignore[union-attr]
        trained = isinstance(slope, Parameter)
        return self.PRelu(above, Operand(array.shape, array, 1, floating=True, trained=trained, node=slope))  # type: ignore[attr-defined]


def chosen(condition: Any, X: Operand, Y: Operand) -> Any:
    """X where a known condition holds and elsewhere Y, of which one is known, too."""
    value, computed, kept = (X, Y, ~condition) if Y.array is None else (Y, X, condition)
    array = value.array
    raise_unless(array is not None and not value.trained, "expected a constant in place of one of its arrays")
    raise_unless(bool(np.isfinite(array).all()), "expected finite numbers as the constant")
    factor = Constant(kept.astype(array.dtype))
    return computed.node * factor + Constant(np.where(kept, array.dtype.type(0), array))
