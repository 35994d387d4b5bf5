"""What an operator of ONNX is in nnlite: a method for each that is not the inverse of what a layer declares."""

import math
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from onnx import helper

from nnlite.basics.arrays import FLOATING, Array
from nnlite.containers.nodes import Input
from nnlite.interop.onnx.axes import flattened, transposed, without_axis
from nnlite.interop.onnx.conditional_operators import Condition, ConditionalOperators
from nnlite.interop.onnx.operands import (
    Expanded,
    Operand,
    Reshaped,
    at,
    known,
    number,
    parameter,
    raise_unless,
    reduced,
    whole_numbers,
)
from nnlite.interop.onnx.recurrent_operators import RecurrentOperators
from nnlite.interop.onnx.spatial_operators import Scattered, SpatialOperators
from nnlite.layers.activations import ReLU
from nnlite.layers.arithmetic import Maximum, Minimum
from nnlite.layers.arrangement import Concat, Split, Transpose
from nnlite.layers.batch_normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d
from nnlite.layers.dropout import Dropout
from nnlite.layers.elementwise import Exp, Log, Sqrt, Square
from nnlite.layers.embedding import Embedding
from nnlite.layers.group_normalization import GroupNorm
from nnlite.layers.indexing import Select, Slice
from nnlite.layers.instance_normalization import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from nnlite.layers.linear import Linear
from nnlite.layers.local_response_normalization import LocalResponseNorm
from nnlite.layers.normalization import LayerNorm, RMSNorm
from nnlite.layers.piecewise_linear import Hardsigmoid, Hardtanh, ReLU6, Threshold
from nnlite.layers.rectifiers import CELU, PReLU
from nnlite.layers.reductions import Max, Mean, Min, Sum
from nnlite.layers.reshaping import Flatten, Reshape, Unflatten
from nnlite.layers.shrinkage import Hardshrink, Softshrink

LARGEST = 2**31 - 1  # from here on, no size is meant


class Operators(SpatialOperators, RecurrentOperators, ConditionalOperators):
    """The operators.

    Each has its inputs as operands and its attributes as keywords, as in ONNX's documentation, and returns the node of
    its output, or a tuple of nodes. It raises NotImplementedError for what nnlite does not have.

    Args:
        inputs: of the model.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        self.inputs = inputs

    # --------------------------------------------------------------------------------------------- products

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

    def Gather(self, data: Operand, indices: Operand, *, axis: int) -> Any:
        if data.array is None:
            raise_unless(indices.shape == (), "expected an initializer, or the index of a single entry")
            index, size = int(number(indices)), data.shape[axis] if data.ndim > 1 else None
            raise_unless(size != 1 or index in (0, -1), "expected an index of the axis, of size 1")
            return without_axis(data.node, axis % data.ndim) if size == 1 else Select(axis, index)(data.node)
        table = parameter(data)
        raise_unless(axis == 0 and table.ndim == 2 and data.floating, "expected rows of an initializer of two axes")
        return Embedding.from_pretrained(table)(indices.node)

    # ------------------------------------------------------------------------------------------- arithmetic

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

    # ------------------------------------------------------------------------------------------ activations

    def Identity(self, X: Operand) -> Any:
        return X

    def Cast(self, X: Operand, *, to: int, saturate: int = 1, **_: Any) -> Any:
        dtype = helper.tensor_dtype_to_np_dtype(to)
        if isinstance(X, Condition) and (dtype.kind == "b" or dtype in FLOATING):
            return X
        input_of_integers = isinstance(X.node, Input) and not X.floating and dtype.kind == "i"
        raise_unless(
            (X.floating and dtype in FLOATING) or input_of_integers,
            "expected floating numbers in and out, or an input of integers, and integers out",
        )
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

    # ---------------------------------------------------------------------------------------- normalizations

    def BatchNormalization(
        self,
        X: Operand,
        scale: Operand,
        B: Operand,
        mean: Operand,
        var: Operand,
        *,
        epsilon: float,
        momentum: float,
        training_mode: int = 0,
    ) -> Any:
        if training_mode:
            raise NotImplementedError("expected evaluation mode")
        cls = {2: BatchNorm1d, 3: BatchNorm1d, 4: BatchNorm2d, 5: BatchNorm3d}.get(X.ndim)
        layer = channel_norm(cls, scale, B, epsilon, momentum=round(1 - momentum, 7), track_running_stats=True)
        layer.running_mean, layer.running_var = known(mean), known(var)
        return layer(X.node)

    def InstanceNormalization(self, X: Operand, scale: Operand, B: Operand, *, epsilon: float) -> Any:
        cls = {3: InstanceNorm1d, 4: InstanceNorm2d, 5: InstanceNorm3d}.get(X.ndim)
        return channel_norm(cls, scale, B, epsilon)(X.node)

    def LayerNormalization(
        self, X: Operand, scale: Operand, B: Operand | None = None, *, axis: int, epsilon: float, stash_type: int
    ) -> Any:
        gamma = parameter(scale)
        if axis % X.ndim + gamma.ndim != X.ndim or (B is not None and known(B).shape != gamma.shape):
            raise NotImplementedError("expected a scale of the shape of the last axes")
        layer = LayerNorm(gamma.shape, epsilon, bias=B is not None, dtype=gamma.dtype)
        layer.gamma = gamma
        if B is not None:
            layer.beta = parameter(B)
        return layer(X.node)

    def GroupNormalization(
        self, X: Operand, scale: Operand, bias: Operand, *, num_groups: int, epsilon: float, **_: Any
    ) -> Any:
        gamma, beta = parameter(scale), parameter(bias)
        raise_unless(len(gamma) == at(X.shape, 1), "expected a scale for each channel")
        layer = GroupNorm(num_groups, len(gamma), epsilon, dtype=gamma.dtype)
        layer.gamma, layer.beta = gamma, beta
        return layer(X.node)

    def RMSNormalization(self, X: Operand, scale: Operand, *, axis: int, epsilon: float, **_: Any) -> Any:
        gamma = parameter(scale)
        raise_unless(axis % X.ndim + gamma.ndim == X.ndim, "expected a scale of the shape of the last axes")
        layer = RMSNorm(gamma.shape, epsilon, dtype=gamma.dtype)
        layer.gamma = gamma
        return layer(X.node)

    def LRN(self, X: Operand, *, size: int, alpha: float, beta: float, bias: float) -> Any:
        if size % 2 == 0:
            raise NotImplementedError("expected an odd size")
        return LocalResponseNorm(size, alpha, beta, bias)(X.node)

    # ------------------------------------------------------------------------------------ shapes and reductions

    def Flatten(self, X: Operand, *, axis: int) -> Any:
        Y, axis = X.node, axis % X.ndim if axis < 0 else axis
        if axis == 0:
            return Unflatten(0, (1, -1))(Flatten(0)(Y))
        Y = Unflatten(-1, (-1, 1))(Y) if axis == X.ndim else Flatten(axis)(Y) if axis < X.ndim - 1 else Y
        return Flatten(0, axis - 1)(Y) if axis > 1 else Y

    def Reshape(self, X: Operand, shape: Operand, *, allowzero: int = 0) -> Any:
        sizes = whole_numbers(shape)
        if isinstance(X, Scattered):
            return X.reshaped(sizes[2:])
        if not X.floating and X.array is None and not isinstance(X, Condition):
            return Reshaped(None, X)
        given = [size == 0 and not allowzero for size in sizes]
        known_shape = X.shape or ()
        same = [given[n] or known_shape[n : n + 1] == (size,) for n, size in enumerate(sizes)]
        kept = (*same, False).index(False)
        if kept and len(sizes) != len(known_shape) and kept in (len(sizes), len(known_shape)):
            kept -= 1  # axes of size 1 behind it are left out, or new
        rest = tuple(size if size or allowzero else at(X.shape, kept + n) for n, size in enumerate(sizes[kept:]))
        if not kept:
            return Reshape(*rest)(X.node)
        if not rest or kept == X.ndim:
            raise_unless(kept == X.ndim and not rest, "expected the sizes of axes that are left out")
            return X.node
        Y = flattened(X.node, kept, X.ndim) if kept < X.ndim - 1 else X.node
        return Y if len(rest) == 1 else Unflatten(kept, rest)(Y)

    def Transpose(self, X: Operand, *, perm: list[int] | None = None) -> Any:
        order = list(range(X.ndim))
        wanted, Y = perm if perm is not None else order[::-1], X.node
        for place, axis in enumerate(wanted):
            other = order.index(axis)
            if other != place:
                Y = transposed(Y, place, other)
                order[place], order[other] = order[other], order[place]
        return Y

    def Expand(self, X: Operand, shape: Operand) -> Any:
        return Expanded(X, whole_numbers(shape), self.inputs)

    def Concat(self, *Xs: Operand, axis: int) -> Any:
        return Concat(axis)(*[X.node for X in Xs])

    def Slice(
        self, X: Operand, starts: Operand, ends: Operand, axes: Operand | None = None, steps: Operand | None = None
    ) -> Any:
        firsts, stops = whole_numbers(starts), whole_numbers(ends)
        along = range(len(firsts)) if axes is None else whole_numbers(axes)
        by = (1,) * len(firsts) if steps is None else whole_numbers(steps)
        Y = X.node
        for first, stop, axis, step in zip(firsts, stops, along, by, strict=True):
            start, end = slice_ends(first, stop, step)
            if (start, end, step) != (None, None, 1):
                Y = Slice(axis, start, end, step)(Y)
        return Y

    def Split(
        self, X: Operand, split: Operand | None = None, *, axis: int, num_outputs: int | None = None, outputs: int
    ) -> Any:
        if split is not None:
            sizes = whole_numbers(split)
        else:
            size = at(X.shape, axis)
            part = -(-size // outputs)
            sizes = (part,) * (outputs - 1) + (size - part * (outputs - 1),)
        return Split(sizes, axis)(X.node)

    def Unsqueeze(self, X: Operand, axes: Operand) -> Any:
        given = whole_numbers(axes)
        Y, count = X.node, X.ndim
        for axis in sorted(each % (X.ndim + len(given)) for each in given):
            raise_unless(count > 0, "a number has no axes")
            Y = Unflatten(axis, (1, -1))(Y) if axis < count else Unflatten(-1, (-1, 1))(Y)
            count += 1
        return Y

    def Squeeze(self, X: Operand, axes: Operand | None = None) -> Any:
        given = (
            whole_numbers(axes) if axes is not None else tuple(n for n, size in enumerate(X.shape or ()) if size == 1)
        )
        Y, count = X.node, X.ndim
        for axis in sorted((each % X.ndim for each in given), reverse=True):
            raise_unless(at(X.shape, axis) == 1, "expected axes of size 1")
            Y = Reshape()(Y) if count == 1 else without_axis(Y, axis)
            count -= 1
        return Y

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

    def ReduceL2(self, X: Operand, axes: Any = None, *, keepdims: int, noop_with_empty_axes: int = 0) -> Any:
        return Sqrt()(Sum(reduced(X, axes, noop_with_empty_axes), keepdim=bool(keepdims))(Square()(X.node)))


def linear(W: Array, b: Array | None) -> Linear:
    """A Linear with this W and b, which is broadcast."""
    layer = Linear.from_saved(W, b is not None)
    if b is not None:
        layer.b = np.broadcast_to(b, (1, layer.out_features)).reshape(-1)
    return layer


def slice_ends(start: int, stop: int, step: int) -> tuple[int | None, int | None]:
    """Start and stop as Python has them: numbers beyond all sizes are those of ONNX for the ends of an axis."""
    if step > 0:
        return (None if start in (0, -LARGEST) else start), (None if stop >= LARGEST else stop)
    return (None if start == -1 or start >= LARGEST else start), (None if stop <= -LARGEST else stop)


def channel_norm(cls: Any, scale: Operand, B: Operand, epsilon: float, **options: Any) -> Any:
    """A layer with gamma and beta; without those that are constants 1 and 0."""
    raise_unless(cls is not None, "of this number of axes")
    gamma, beta = known(scale), known(B)
    bias = B.trained or bool(np.any(beta))
    affine = bias or scale.trained or bool(np.any(gamma != 1))
    layer = cls(len(gamma), epsilon, affine=affine, bias=bias, dtype=gamma.dtype, **options)
    if affine:
        layer.gamma = gamma
    if bias:
        layer.beta = beta
    return layer
