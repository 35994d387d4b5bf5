"""What operators of ONNX that arrange numbers are in nnlite: they reshape, permute, join, repeat and choose entries."""

from collections.abc import Sequence
from typing import Any

from nnlite.containers.nodes import Input
from nnlite.interop.onnx.axes import flattened, transposed, without_axis
from nnlite.interop.onnx.conditional_operators import Condition
from nnlite.interop.onnx.operands import (
    Expanded,
    Operand,
    Reshaped,
    at,
    number,
    parameter,
    raise_unless,
    whole_numbers,
)
from nnlite.interop.onnx.spatial_operators import Scattered
from nnlite.layers.arrangement import Concat, Split
from nnlite.layers.embedding import Embedding
from nnlite.layers.indexing import Select, Slice
from nnlite.layers.reshaping import Flatten, Reshape, Unflatten

LARGEST = 2**31 - 1  # from here on, no size is meant


class ShapeOperators:
    """The operators; ``inputs`` are those of the model; see Operators."""

    inputs: Sequence[Input]

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

    def Gather(self, data: Operand, indices: Operand, *, axis: int) -> Any:
        if data.array is None:
            raise_unless(indices.shape == (), "expected an initializer, or the index of a single entry")
            index, size = int(number(indices)), data.shape[axis] if data.ndim > 1 else None
            raise_unless(size != 1 or index in (0, -1), "expected an index of the axis, of size 1")
            return without_axis(data.node, axis % data.ndim) if size == 1 else Select(axis, index)(data.node)
        table = parameter(data)
        raise_unless(axis == 0 and table.ndim == 2 and data.floating, "expected rows of an initializer of two axes")
        return Embedding.from_pretrained(table)(indices.node)


def slice_ends(start: int, stop: int, step: int) -> tuple[int | None, int | None]:
    """Start and stop as Python has them: numbers beyond all sizes are those of ONNX for the ends of an axis."""
    if step > 0:
        return (None if start in (0, -LARGEST) else start), (None if stop >= LARGEST else stop)
    return (None if start == -1 or start >= LARGEST else start), (None if stop <= -LARGEST else stop)
