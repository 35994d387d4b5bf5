"""Shapes of arrays that do not exist yet, as :meth:`nnlite.Layer.output_shape` takes and returns them.

A shape is a tuple of sizes, with None for unknown sizes. A leading ``...`` is any number of further axes.
"""

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

from nnlite.errors import ShapeError

Shape = tuple[int | EllipsisType | None, ...]

UNKNOWN: Shape = (...,)


def width(shape: Shape) -> int | None:
    """Return the size of the last axis, or None if it is unknown."""
    return shape[-1] if shape and isinstance(shape[-1], int) else None


def sizes(shape: Shape) -> tuple[int | None, ...]:
    """Return the sizes after ``...``."""
    return tuple(size for size in shape if not isinstance(size, EllipsisType))


def is_open(shape: Shape) -> bool:
    """Return whether the shape begins with ``...``."""
    return shape[:1] == (...,)


def with_axes(layer: Any, shape: Shape, *dims: int) -> tuple[Shape, tuple[int, ...]] | None:
    """Return the shape with the axes ``dims`` written out, and these axes counted from the end.

    It is None if an axis is counted from the front and the number of axes is unknown.

    Raises:
        ShapeError: there is no such axis; the message names ``layer``.

    >>> with_axes("Sum(dim=0)", (5, 3), 0), with_axes("Sum(dim=-2)", (..., 3), -2), with_axes("Sum(dim=0)", (..., 3), 0)
    (((5, 3), (-2,)), ((Ellipsis, None, 3), (-2,)), None)
    """
    if is_open(shape):
        if max(dims, default=-1) >= 0:
            return None
        unknown = -min(dims, default=0) - len(sizes(shape))
        return (..., *[None] * unknown, *sizes(shape)), dims
    axes = len(shape)
    if any(not -axes <= dim < axes for dim in dims):
        raise no_such_axis(layer, shape, *dims)
    return shape, tuple(dim % axes - axes for dim in dims)


def no_such_axis(layer: Any, shape: Shape, *dims: int) -> ShapeError:
    """Return the error that an X of this shape does not have all the axes ``dims``.

    >>> no_such_axis("Sum(dim=1)", (3,), 1)
    ShapeError('Sum(dim=1): expected X with axis 1, got shape (3,)')
    """
    axes = f"ax{'i' if len(dims) == 1 else 'e'}s {' and '.join(map(str, dims))}"
    return ShapeError(f"{layer}: expected X with {axes}, got shape {text(shape)}")


def broadcast_shapes(layer: Any, *shapes: Shape) -> Shape:
    """Return the shape to which the shapes are broadcast, as far as it is known.

    Raises:
        ShapeError: two known sizes differ and neither is 1; the message names ``layer``.

    >>> broadcast_shapes("Add()", (..., 3), (5, 1), ())
    (Ellipsis, 5, 3)
    >>> broadcast_shapes("Add()", (..., 3), (4,))
    Traceback (most recent call last):
        ...
    nnlite.errors.ShapeError: Add(): inputs of shapes (..., 3) and (4,) do not match
    """
    rows = [sizes(shape) for shape in shapes]
    result: list[int | None] = []
    for axis in range(-1, -max(map(len, rows), default=0) - 1, -1):
        known = {row[axis] for row in rows if len(row) >= -axis} - {1}
        if len(known - {None}) > 1:
            raise mismatch(layer, shapes)
        absent = any(is_open(shape) and len(row) < -axis for shape, row in zip(shapes, rows, strict=True))
        size = next(iter(known - {None}), None) if known else None if absent else 1
        result.insert(0, size)
    return (..., *result) if any(map(is_open, shapes)) else tuple(result)


def common_shape(layer: Any, shapes: Sequence[Shape], joined: int | None = None) -> Shape:
    """Return the shape that all have in common, except for the axis ``joined``, counted from the end.

    Raises:
        ShapeError: the shapes differ elsewhere, or there is no such axis; the message names ``layer``.

    >>> common_shape("Stack()", [(None, 3), (..., 3)]), common_shape("Concat()", [(4, 3), (4, 2)], joined=-1)
    ((None, 3), (4, None))
    """
    axes = {len(shape) for shape in shapes if not is_open(shape)}
    rows = [sizes(shape) for shape in shapes]
    count = max(map(len, rows))
    if joined is not None:
        count = max(count, -joined)
    if (axes and axes != {count}) or (joined is not None and joined >= 0):
        raise mismatch(layer, shapes)
    common: list[int | None] = []
    for axis in range(-count, 0):
        known = {row[axis] for row in rows if len(row) >= -axis} - {None}
        if len(known) > 1 and axis != joined:
            raise mismatch(layer, shapes)
        common.append(known.pop() if known and axis != joined else None)
    return tuple(common) if axes else (..., *common)


def mismatch(layer: Any, shapes: Sequence[Shape]) -> ShapeError:
    """Return the error that inputs of these shapes do not match.

    >>> mismatch("Add()", [(..., 3), (4,)])
    ShapeError('Add(): inputs of shapes (..., 3) and (4,) do not match')
    """
    return ShapeError(f"{layer}: inputs of shapes {' and '.join(map(text, shapes))} do not match")


def text(shape: Shape) -> str:
    """Return the shape as messages show it, with ? for unknown sizes."""
    parts = ["..." if isinstance(size, EllipsisType) else "?" if size is None else str(size) for size in shape]
    return f"({', '.join(parts)}{',' * (len(parts) == 1)})"


def reshaped(name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """Return what to write where an array has an axis of size 1 at the end too few or too many; else nothing.

    >>> reshaped("Y", (5,), (5, 1)), reshaped("Y", (5, 1), (5,)), reshaped("Y", (5,), (5, 3))
    ('; pass np.asarray(Y)[..., None]', '; pass np.asarray(Y)[..., 0]', '')
    """
    if (*shape, 1) == expected:
        return f"; pass np.asarray({name})[..., None]"
    return f"; pass np.asarray({name})[..., 0]" if shape == (*expected, 1) else ""
