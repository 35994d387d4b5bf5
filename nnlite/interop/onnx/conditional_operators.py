"""What conditions are in nnlite: numbers, 1 and 0, by which Where chooses; and choices that are activations."""

from functools import reduce
from typing import Any

import numpy as np

from nnlite.containers.nodes import Constant, Node, Parameter
from nnlite.interop.onnx.operands import Operand, number, raise_unless
from nnlite.layers.arithmetic import Maximum, Multiply
from nnlite.layers.conditions import Equal, Greater, GreaterEqual, Where
from nnlite.layers.piecewise_linear import Threshold
from nnlite.layers.smooth_activations import Softplus


class Condition(Operand):
    """An array of booleans that is computed: in nnlite of numbers, 1 and 0."""

    def __init__(self, shape: Any, node: Node | None = None) -> None:
        super().__init__(shape, None, 1, floating=False, node=node)


class Comparison(Condition):
    """``A > B``, or that it is not so; its layer is made when an operator uses it."""

    def __init__(self, A: Operand, B: Operand, holds: bool = True) -> None:
        raise_unless(A.floating and B.floating, "expected a comparison of floating numbers")
        super().__init__(None)
        self.A, self.B, self.holds = A, B, holds

    @property
    def node(self) -> Any:
        if self._node is None:
            A, B = untrained(self.A, self.B)
            self._node = Greater()(A, B) if self.holds else GreaterEqual()(B, A)
        return self._node


def untrained(A: Operand, B: Operand) -> list[Node]:
    """Their nodes; an initializer of its own is a constant, since a comparison gives no gradient to train it by."""
    return [each.node if each.own is None else Constant(each.own) for each in (A, B)]


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

    def Equal(self, A: Operand, B: Operand) -> Any:
        return Condition(None, Equal()(*untrained(A, B)))

    def Not(self, X: Operand) -> Any:
        return Condition(X.shape, 1 - X.node)

    def And(self, A: Operand, B: Operand) -> Any:
        return Condition(None, A.node * B.node)

    def Or(self, A: Operand, B: Operand) -> Any:
        return Condition(None, Maximum()(A.node, B.node))

    def IsInf(self, X: Operand, *, detect_negative: int = 1, detect_positive: int = 1) -> Any:
        if X.array is not None:
            found = np.isneginf(X.array) * bool(detect_negative) | np.isposinf(X.array) * bool(detect_positive)
            return Operand(X.shape, found, 1, floating=False)
        signs = [sign for sign, is_detected in ((-1, detect_negative), (1, detect_positive)) if is_detected]
        raise_unless(bool(signs), "expected infinity of a sign")
        return Condition(X.shape, reduce(Maximum(), [Equal()(X.node, sign * np.inf) for sign in signs]))

    def IsNaN(self, X: Operand) -> Any:
        return Condition(X.shape, 1 - Equal()(X.node, X.node))

    def Where(self, condition: Operand, X: Operand, Y: Operand) -> Any:
        raise_unless(X.floating and Y.floating, "expected a choice between floating numbers")
        activation = self._activation(condition, X, Y) if isinstance(condition, Comparison) else None
        return Where()(condition.node, X.node, Y.node) if activation is None else activation

    def _activation(self, condition: Comparison, X: Operand, Y: Operand) -> Any:
        """The activation that a choice between X and Y is, or None.

        A Threshold, ``X if X > threshold else value``; a PReLU, ``X if X > 0 else slope X``; or a Softplus, instead of
        which files have X above a number from which on both are the same in float32.
        """
        above, below = (X, Y) if condition.holds else (Y, X)
        bound = condition.B
        if condition.A is not above or bound.array is None or bound.array.size != 1 or bound.trained:
            return None
        call = below.node.call
        if call and isinstance(call.layer, Softplus) and call.inputs[0] is above.node and number(bound) >= 20:
            return below
        if below.array is not None and below.array.size == 1 and not below.trained:
            return Threshold(number(bound), number(below))(above.node)
        factors = call.inputs if call and isinstance(call.layer, Multiply) and number(bound) == 0 else ()
        slope = next((each for each in factors if each is not above.node and each.call is None), None)
        if above.node not in factors or not hasattr(slope, "value"):
            return None
        array, trained = slope.value, isinstance(slope, Parameter)  # type: ignore[union-attr]
        made = Operand(array.shape, array, 1, floating=True, trained=trained, node=slope)
        return self.PRelu(above, made)  # type: ignore[attr-defined]
