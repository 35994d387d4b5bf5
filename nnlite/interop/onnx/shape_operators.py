"""What operators of ONNX that arrange numbers are in nnlite: they reshape, permute, join, repeat and choose entries."""

from typing import Any

import numpy as np
from onnx import numpy_helper

from nnlite.containers.nodes import Node
from nnlite.interop.onnx.axes import flattened, transposed, without_axis
from nnlite.interop.onnx.conditional_operators import Condition
from nnlite.interop.onnx.operands import (
    Expanded,
    Operand,
    Reshaped,
    at,
    known,
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
MOST = 1024  # repetitions, or entries that are picked out one by one


class ShapeOperators:
    """The operators; see Operators."""

    batch: Node | None

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
        rest = tuple(size if size or allowzero else size_or_rest(X, kept + n) for n, size in enumerate(sizes[kept:]))
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
        return Expanded(X, whole_numbers(shape), self.batch)

    def ConstantOfShape(self, sizes: Operand, *, value: Any = None) -> Any:
        array = np.zeros((), np.float32) if value is None else numpy_helper.to_array(value).reshape(())
        return Expanded(Operand((), array, 1, floating=array.dtype.kind == "f"), whole_numbers(sizes), self.batch)

    def Tile(self, X: Operand, repeats: Operand) -> Any:
        Y = X.node
        for axis, times in enumerate(whole_numbers(repeats)):
            raise_unless(1 <= times <= MOST, f"expected 1 to {MOST} repetitions of an axis")
            Y = Concat(axis)(*[Y] * times) if times > 1 else Y
        return Y

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
            axis %= data.ndim
            if indices.shape != ():
                raise_unless(indices.array is not None, "expected an initializer, or indices that are known")
                return entries(data.node, axis, whole_numbers(indices), indices.shape)
            index, size = int(number(indices)), data.shape[axis] if data.ndim > 1 else None
            raise_unless(size != 1 or index in (0, -1), "expected an index of the axis, of size 1")
            return without_axis(data.node, axis) if size == 1 else Select(axis, index)(data.node)
        table = parameter(data)
        raise_unless(axis == 0 and table.ndim == 2 and data.floating, "expected rows of an initializer of two axes")
        embedding = Embedding.from_pretrained(table)
        if isinstance(indices, Expanded):  # the same positions in each sequence
            X, sizes = indices.X, (*indices.sizes, table.shape[1])
            rows = Operand((*X.shape, table.shape[1]), None, 1, floating=True, node=embedding(X.node))
            return Expanded(rows, sizes, self.batch)
        return embedding(indices.node)

    def GatherND(self, data: Operand, indices: Operand, *, batch_dims: int = 0) -> Any:
        places = known(indices)
        axes = places.shape[-1] if places.ndim else 0
        raise_unless(not batch_dims and 1 <= axes <= data.ndim, "expected indices of the first axes")
        sizes = [at(data.shape, axis) for axis in range(axes)]
        flat = np.ravel_multi_index(tuple(np.moveaxis(np.where(places < 0, places + sizes, places), -1, 0)), sizes)
        return entries(Flatten(0, axes - 1)(data.node), 0, tuple(flat.reshape(-1).tolist()), flat.shape)


def size_or_rest(X: Operand, axis: int) -> int:
    """The size of an axis, or -1 if it is not known: what is left of all numbers."""
    size = X.shape[axis] if X.shape is not None and axis < len(X.shape) else at(X.shape, axis)
    return -1 if size is None else int(size)


def entries(Y: Any, axis: int, indices: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The entries of an axis with these indices, which take the place of the axis in this shape."""
    raise_unless(0 < len(indices) <= MOST, f"expected 1 to {MOST} indices")
    parts = [Slice(axis, *run)(Y) for run in runs(indices)]
    joined = Concat(axis)(*parts) if len(parts) > 1 else parts[0]
    return joined if len(shape) == 1 else Unflatten(axis, shape)(joined)


def runs(indices: tuple[int, ...]) -> list[tuple[int, int | None, int]]:
    """Start, stop and step of the slices that the indices are made of, each as long as it can be."""
    found: list[list[int]] = []
    for index in indices:
        run = found[-1] if found else []
        same_sign = bool(run) and (index < 0) == (run[0] < 0)
        if same_sign and run[-1] != index and (len(run) < 2 or index - run[-1] == run[1] - run[0]):
            run.append(index)
        else:
            found.append([index])
    slices = []
    for run in found:
        step = run[1] - run[0] if len(run) > 1 else 1
        stop = run[-1] + step
        slices.append((run[0], stop if (stop < 0) == (run[0] < 0) else None, step))
    return slices


def slice_ends(start: int, stop: int, step: int) -> tuple[int | None, int | None]:
    """Start and stop as Python has them: numbers beyond all sizes are those of ONNX for the ends of an axis."""
    if step > 0:
        return (None if start in (0, -LARGEST) else start), (None if stop >= LARGEST else stop)
    return (None if start == -1 or start >= LARGEST else start), (None if stop <= -LARGEST else stop)
