"""What activations of ONNX are in nnlite, as far as no layer declares them."""

import math
from typing import Any

from onnx import helper

from nnlite.basics.arrays import FLOATING
from nnlite.containers.nodes import Input
from nnlite.interop.onnx.conditional_operators import Condition
from nnlite.interop.onnx.operands import (
    Operand,
    number,
    raise_unless,
)
from nnlite.layers.activations import ReLU
from nnlite.layers.conditions import Equal
from nnlite.layers.dropout import Dropout
from nnlite.layers.piecewise_linear import Hardsigmoid, Hardtanh, ReLU6, Threshold
from nnlite.layers.rectifiers import CELU, PReLU
from nnlite.layers.shrinkage import Hardshrink, Softshrink


class ActivationOperators:
    """The operators; see Operators."""

    def Identity(self, X: Operand) -> Any:
        return X

    def Cast(self, X: Operand, *, to: int, saturate: int = 1, **_: Any) -> Any:
        dtype = helper.tensor_dtype_to_np_dtype(to)
        if dtype in FLOATING:
            return X if X.floating or isinstance(X, Condition) else X.node * 1.0
        if dtype.kind == "b":
            return X if isinstance(X, Condition) else Condition(X.shape, 1 - Equal()(X.node, 0))
        input_of_integers = isinstance(X.node, Input) and not X.floating and dtype.kind == "i"
        raise_unless(input_of_integers, "expected floating numbers or booleans out, or an input of integers")
        return X

    def Dropout(self, X: Operand, ratio: Operand | None = None, mode: Operand | None = None, **_: Any) -> Any:
        return Dropout(0.5 if ratio is None else number(ratio))(X.node)

    def Clip(self, X: Operand, min: Operand | None = None, max: Operand | None = None) -> Any:
        low = -math.inf if min is None else number(min)
        high = math.inf if max is None else number(max)
        if (low, high) == (0, math.inf):
            return ReLU()(X.node)
        return (ReLU6() if (low, high) == (0, 6) else Hardtanh(low, high))(X.node)

    def HardSigmoid(self, X: Operand, *, alpha: float, beta: float) -> Any:
        if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
            return Hardsigmoid()(X.node)
        return Hardtanh(0.0, 1.0)(X.node * alpha + beta)

    def Shrink(self, X: Operand, *, lambd: float, bias: float) -> Any:
        if bias not in (0, lambd):
            raise NotImplementedError(f"expected a bias of 0 or of lambd, got {bias}")
        return (Softshrink if bias else Hardshrink)(lambd)(X.node)

    def Celu(self, X: Operand, *, alpha: float) -> Any:
        return CELU(alpha)(X.node)

    def ThresholdedRelu(self, X: Operand, *, alpha: float) -> Any:
        return Threshold(alpha, 0.0)(X.node)

    def PRelu(self, X: Operand, slope: Operand) -> Any:
        W = slope.own
        if W is None or (W.size > 1 and (X.ndim < 2 or W.size != ((1,) * (X.ndim - W.ndim) + W.shape)[1])):
            return ReLU()(X.node) - ReLU()(-X.node) * slope.node
        layer = PReLU(W.size, dtype=W.dtype)
        layer.W = W.reshape(-1)
        return layer(X.node)
