"""What ONNX's products and arithmetic are in nnlite."""

from functools import reduce
from operator import add
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.interop.onnx.operands import (
    Operand,
)
from nnlite.layers.arithmetic import Maximum, Minimum
from nnlite.layers.arrangement import Transpose
from nnlite.layers.elementwise import Sqrt, Square
from nnlite.layers.linear import Linear


class ArithmeticOperators:
    """The operators; see Operators."""

    def Gemm(
        self, A: Operand, B: Operand, C: Operand | None = None, *, alpha: float, beta: float, **transposed: int
    ) -> Any:
        X = Transpose(0, 1)(A.node) if transposed["transA"] else A.node
        if B.own is not None and (C is None or C.own is not None):
            W = B.own.T if transposed["transB"] else B.own
            return linear(alpha * W, None if C is None else beta * C.own)(X)
        Z = X @ (Transpose(0, 1)(B.node) if transposed["transB"] else B.node)
        Z = Z if alpha == 1 else Z * alpha
        return Z if C is None else Z + (C.node if beta == 1 else C.node * beta)

    def MatMul(self, A: Operand, B: Operand) -> Any:
        return A.node @ B.node if B.own is None or B.own.ndim != 2 else linear(B.own, None)(A.node)

    def Add(self, A: Operand, B: Operand) -> Any:
        for Z, bias in (A, B), (B, A):
            call: Any = Z.node.call if Z.uses == 1 and Z.array is None else None
            b = bias.own if call and isinstance(call.layer, Linear) and call.layer.b is None else None
            if b is not None and b.shape == (call.layer.out_features,):
                return linear(call.layer.W, b)(*call.inputs)
        return A.node + B.node

    def Sub(self, A: Operand, B: Operand) -> Any:
        return A.node - B.node

    def Mul(self, A: Operand, B: Operand) -> Any:
        return Square()(A.node) if A is B else A.node * B.node

    def Div(self, A: Operand, B: Operand) -> Any:
        return A.node / B.node

    def Pow(self, X: Operand, Y: Operand) -> Any:
        number = None if Y.array is None or Y.array.size != 1 or Y.trained else Y.array.item()
        return Square()(X.node) if number == 2 else Sqrt()(X.node) if number == 0.5 else X.node**Y.node

    def Max(self, *Xs: Operand) -> Any:
        return reduce(Maximum(), [X.node for X in Xs])

    def Min(self, *Xs: Operand) -> Any:
        return reduce(Minimum(), [X.node for X in Xs])

    def Sum(self, *Xs: Operand) -> Any:
        return reduce(add, [X.node for X in Xs])

    def Mean(self, *Xs: Operand) -> Any:
        return self.Sum(*Xs) / len(Xs)


def linear(W: Array, b: Array | None) -> Linear:
    """A Linear with this W and b, which is broadcast."""
    layer = Linear.from_saved(W, b is not None)
    if b is not None:
        layer.b = np.broadcast_to(b, (1, layer.out_features)).reshape(-1)
    return layer
