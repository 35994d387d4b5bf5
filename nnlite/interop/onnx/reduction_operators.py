"""What ONNX's reductions are in nnlite."""

from typing import Any

from nnlite.interop.onnx.operands import (
    Operand,
    reduced,
)
from nnlite.layers.elementwise import Abs, Exp, Log, Sqrt, Square
from nnlite.layers.reductions import Max, Mean, Min, Sum


class ReductionOperators:
    """The operators; see Operators."""

    def ReduceSum(self, X: Operand, axes: Any = None, *, keepdims: int, noop_with_empty_axes: int = 0) -> Any:
        return Sum(reduced(X, axes, noop_with_empty_axes), keepdim=bool(keepdims))(X.node)

    def ReduceMean(self, X: Operand, axes: Any = None, *, keepdims: int, noop_with_empty_axes: int = 0) -> Any:
        return Mean(reduced(X, axes, noop_with_empty_axes), keepdim=bool(keepdims))(X.node)

    def ReduceMax(self, X: Operand, axes: Any = None, *, keepdims: int, noop_with_empty_axes: int = 0) -> Any:
        return Max(reduced(X, axes, noop_with_empty_axes), keepdim=bool(keepdims))(X.node)

    def ReduceMin(self, X: Operand, axes: Any = None, *, keepdims: int, noop_with_empty_axes: int = 0) -> Any:
        return Min(reduced(X, axes, noop_with_empty_axes), keepdim=bool(keepdims))(X.node)

    def ReduceLogSumExp(self, X: Operand, axes: Any = None, *, keepdims: int, noop_with_empty_axes: int = 0) -> Any:
        over = reduced(X, axes, noop_with_empty_axes)
        largest, kept = (Max(over, keepdim=keepdim)(X.node) for keepdim in (True, bool(keepdims)))
        return Log()(Sum(over, keepdim=bool(keepdims))(Exp()(X.node - largest))) + kept

    def ReduceL1(self, X: Operand, axes: Any = None, *, keepdims: int, noop_with_empty_axes: int = 0) -> Any:
        return Sum(reduced(X, axes, noop_with_empty_axes), keepdim=bool(keepdims))(Abs()(X.node))

    def ReduceSumSquare(self, X: Operand, axes: Any = None, *, keepdims: int, noop_with_empty_axes: int = 0) -> Any:
        return Sum(reduced(X, axes, noop_with_empty_axes), keepdim=bool(keepdims))(Square()(X.node))

    def ReduceL2(self, X: Operand, axes: Any = None, *, keepdims: int, noop_with_empty_axes: int = 0) -> Any:
        return Sqrt()(Sum(reduced(X, axes, noop_with_empty_axes), keepdim=bool(keepdims))(Square()(X.node)))
