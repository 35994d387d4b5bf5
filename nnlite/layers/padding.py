"""Layers that add entries at both ends of spatial axes: a number, or entries of X."""

from collections.abc import Iterable
from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.checks import number, whole
from nnlite.basics.shapes import Shape
from nnlite.compute.pad import MODES, pad, pad_backward
from nnlite.compute.windows import Pairs
from nnlite.errors import ShapeError
from nnlite.layer.flops import Flops
from nnlite.layer.layer import Layer
from nnlite.layers.spatial import LARGE, LETTERS, channels_and_sizes, one_if_equal

Numbers = int | Iterable[int]


class Padding(Layer):
    """Base class: Y is X with more entries at both ends; backward adds to each entry the gradients of its copies."""

    has_units = False
    formulas = """
        Y = pad(X, pairs=pairs, mode=mode, value=value)
        dX = pad_backward(dY, pairs=pairs, mode=mode)
    """
    axes: int  # the number of spatial axes
    mode: str  # of nnlite.compute.pad
    value: float = 0.0  # what is added in mode "zeros"

    def __init__(self, padding: Numbers) -> None:
        name = f"{type(self).__name__}: padding"
        numbers = tuple(padding) if isinstance(padding, Iterable) else (padding,) * (2 * self.axes)
        if len(numbers) != 2 * self.axes:
            expected = f"a whole number, or {2 * self.axes} of them, the last axis first"
            raise ValueError(f"{name}: expected {expected}, got {padding!r}")
        self.padding = tuple(whole(each, name) for each in numbers)

    @property
    def pairs(self) -> Pairs:
        """How many entries are added before and after each axis, in the order of the axes."""
        return tuple(zip(self.padding[0::2], self.padding[1::2], strict=True))[::-1]

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.output_shape(X.shape)
        return self.record_Y(pad(X, self.pairs, self.mode, self.value))

    def backward(self, dY: Any) -> Array:
        return pad_backward(self.check_dY(dY), self.pairs, self.mode)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        return Flops(), Flops(0 if self.mode == "zeros" else max(0, Y.size - X.size))

    def output_shape(self, *shapes: Shape) -> Shape:
        front, channels, sizes = channels_and_sizes(self, shapes[0], self.axes)
        outputs = []
        for letter, size, (before, after) in zip(LETTERS[self.axes].split(", "), sizes, self.pairs, strict=True):
            least = self.least_size(before, after)
            if (LARGE if size is None else size) < least:
                raise ShapeError(f"{self}: expected {letter} of at least {least}, got {size}")
            outputs.append(None if size is None else size + before + after)
        return *front, channels, *outputs

    def least_size(self, before: int, after: int) -> int:
        """The smallest size of an axis to which so many entries can be added; of a negative number, be left out."""
        return max(1, 1 - before, 1 - after, 1 - before - after)

    def onnx(self, graph: Any, X: Any) -> Any:
        before, after = zip(*self.pairs, strict=True)
        front, value = (0,) * (X.ndim - self.axes), self.value if self.mode == "zeros" else None
        return graph.Pad(X, (*front, *before, *front, *after), value, mode=MODES[self.mode])

    def extra_repr(self) -> str:
        return f"{one_if_equal(self.padding)}"


class ConstantPad(Padding):
    """Base class of ConstantPad1d, ConstantPad2d and ConstantPad3d."""

    mode = "zeros"

    def __init__(self, padding: Numbers, value: float) -> None:
        super().__init__(padding)
        self.value = number(value, f"{type(self).__name__}: value")

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.value:g}"


class ZeroPad(Padding):
    """Base class of ZeroPad1d, ZeroPad2d and ZeroPad3d."""

    mode = "zeros"


class ReflectionPad(Padding):
    """Base class of ReflectionPad1d, ReflectionPad2d and ReflectionPad3d."""

    mode = "reflect"

    def least_size(self, before: int, after: int) -> int:
        return max(super().least_size(before, after), before + 1, after + 1)


class ReplicationPad(Padding):
    """Base class of ReplicationPad1d, ReplicationPad2d and ReplicationPad3d."""

    mode = "replicate"


class CircularPad(Padding):
    """Base class of CircularPad1d, CircularPad2d and CircularPad3d."""

    mode = "circular"

    def least_size(self, before: int, after: int) -> int:
        return max(super().least_size(before, after), before - min(after, 0), after - min(before, 0))

    def onnx(self, graph: Any, X: Any) -> Any:  # Pad has this mode in opsets from 19 on only
        for axis, (before, after) in enumerate(self.pairs, X.ndim - self.axes):
            inside = graph.Slice(X, (max(-before, 0),), (min(after, 0) or LARGE,), (axis,))
            front = [graph.Slice(inside, (-before,), (LARGE,), (axis,))] if before > 0 else []
            behind = [graph.Slice(inside, (0,), (after,), (axis,))] if after > 0 else []
            X = graph.Concat(*front, inside, *behind, axis=axis)
        return X


class ConstantPad1d(ConstantPad):
    """Add to both ends of each channel of signals the number ``value``.

    Backward adds to each entry of dX the entries of dY at its copies; a number that was added has no gradient.

    Args:
        padding: how many entries are added: one number for both ends, or one for each, ``(left, right)``. Of a negative
            number, as many entries are left out.
        value: what is added.

    Shapes:
        X (N, C, L) or (C, L), Y likewise with ``L + left + right``.

    Raises:
        TypeError: a number is not whole, or X does not hold real numbers.
        ValueError: padding has another number of entries.
        ShapeError: X has other axes, or an axis of it is too short.

    >>> ConstantPad1d(1, 9).forward([[1.0, 2.0, 3.0]])
    array([[9., 1., 2., 3., 9.]])
    """

    axes = 1


class ConstantPad2d(ConstantPad):
    """Add to both ends of each axis of images the number ``value``; as :class:`ConstantPad1d`.

    Args:
        padding: one number for all ends, or one for each, the last axis first: ``(left, right, top, bottom)``.
        value: what is added.

    Shapes:
        X (N, C, H, W) or (C, H, W), Y likewise with larger sizes.

    >>> import numpy as np
    >>> ConstantPad2d((1, 1, 0, 0), 9).forward(np.zeros((1, 2, 3))).shape
    (1, 2, 5)
    """

    axes = 2


class ConstantPad3d(ConstantPad):
    """Add to both ends of each axis of volumes the number ``value``; as :class:`ConstantPad1d`.

    Args:
        padding: one number for all ends, or one for each, the last axis first: ``(left, right, top, bottom, front,
            back)``.
        value: what is added.

    Shapes:
        X (N, C, D, H, W) or (C, D, H, W), Y likewise with larger sizes.

    >>> import numpy as np
    >>> ConstantPad3d((1, 1, 0, 0, 0, 0), 9).forward(np.zeros((1, 2, 3, 4))).shape
    (1, 2, 3, 6)
    """

    axes = 3


class ZeroPad1d(ZeroPad):
    """Add to both ends of each channel of signals zeros.

    Arguments, backward, shapes and errors are those of :class:`ConstantPad1d`, without ``value``.

    >>> ZeroPad1d(1).forward([[1.0, 2.0, 3.0]])
    array([[0., 1., 2., 3., 0.]])
    """

    axes = 1


class ZeroPad2d(ZeroPad):
    """Add to both ends of each axis of images zeros.

    Arguments, backward, shapes and errors are those of :class:`ConstantPad2d`, without ``value``.

    >>> import numpy as np
    >>> ZeroPad2d((1, 1, 0, 0)).forward(np.zeros((1, 2, 3))).shape
    (1, 2, 5)
    """

    axes = 2


class ZeroPad3d(ZeroPad):
    """Add to both ends of each axis of volumes zeros.

    Arguments, backward, shapes and errors are those of :class:`ConstantPad3d`, without ``value``.

    >>> import numpy as np
    >>> ZeroPad3d((1, 1, 0, 0, 0, 0)).forward(np.zeros((1, 2, 3, 4))).shape
    (1, 2, 3, 6)
    """

    axes = 3


class ReflectionPad1d(ReflectionPad):
    """Add to both ends of each channel of signals the entries of X, mirrored at its edge without the edge itself.

    The axis is longer than the padding. Arguments, backward, shapes and errors are those of :class:`ConstantPad1d`,
    without ``value``.

    >>> ReflectionPad1d(1).forward([[1.0, 2.0, 3.0]])
    array([[2., 1., 2., 3., 2.]])
    """

    axes = 1


class ReflectionPad2d(ReflectionPad):
    """Add to both ends of each axis of images the entries of X, mirrored at its edge without the edge itself.

    The axis is longer than the padding. Arguments, backward, shapes and errors are those of :class:`ConstantPad2d`,
    without ``value``.

    >>> import numpy as np
    >>> ReflectionPad2d((1, 1, 0, 0)).forward(np.zeros((1, 2, 3))).shape
    (1, 2, 5)
    """

    axes = 2


class ReflectionPad3d(ReflectionPad):
    """Add to both ends of each axis of volumes the entries of X, mirrored at its edge without the edge itself.

    The axis is longer than the padding. Arguments, backward, shapes and errors are those of :class:`ConstantPad3d`,
    without ``value``.

    >>> import numpy as np
    >>> ReflectionPad3d((1, 1, 0, 0, 0, 0)).forward(np.zeros((1, 2, 3, 4))).shape
    (1, 2, 3, 6)
    """

    axes = 3


class ReplicationPad1d(ReplicationPad):
    """Add to both ends of each channel of signals the first and the last entry of X.

    Arguments, backward, shapes and errors are those of :class:`ConstantPad1d`, without ``value``.

    >>> ReplicationPad1d(1).forward([[1.0, 2.0, 3.0]])
    array([[1., 1., 2., 3., 3.]])
    """

    axes = 1


class ReplicationPad2d(ReplicationPad):
    """Add to both ends of each axis of images the first and the last entry of X.

    Arguments, backward, shapes and errors are those of :class:`ConstantPad2d`, without ``value``.

    >>> import numpy as np
    >>> ReplicationPad2d((1, 1, 0, 0)).forward(np.zeros((1, 2, 3))).shape
    (1, 2, 5)
    """

    axes = 2


class ReplicationPad3d(ReplicationPad):
    """Add to both ends of each axis of volumes the first and the last entry of X.

    Arguments, backward, shapes and errors are those of :class:`ConstantPad3d`, without ``value``.

    >>> import numpy as np
    >>> ReplicationPad3d((1, 1, 0, 0, 0, 0)).forward(np.zeros((1, 2, 3, 4))).shape
    (1, 2, 3, 6)
    """

    axes = 3


class CircularPad1d(CircularPad):
    """Add to both ends of each channel of signals the entries at the other end of X, as if it went round.

    The axis is as long as the padding or longer; what a negative number leaves out is left out before. Arguments,
    backward, shapes and errors are those of :class:`ConstantPad1d`, without ``value``.

    >>> CircularPad1d(1).forward([[1.0, 2.0, 3.0]])
    array([[3., 1., 2., 3., 1.]])
    """

    axes = 1


class CircularPad2d(CircularPad):
    """Add to both ends of each axis of images the entries at the other end of X, as if it went round.

    The axis is as long as the padding or longer. Arguments, backward, shapes and errors are those of
    :class:`ConstantPad2d`, without ``value``.

    >>> import numpy as np
    >>> CircularPad2d((1, 1, 0, 0)).forward(np.zeros((1, 2, 3))).shape
    (1, 2, 5)
    """

    axes = 2


class CircularPad3d(CircularPad):
    """Add to both ends of each axis of volumes the entries at the other end of X, as if it went round.

    The axis is as long as the padding or longer. Arguments, backward, shapes and errors are those of
    :class:`ConstantPad3d`, without ``value``.

    >>> import numpy as np
    >>> CircularPad3d((1, 1, 0, 0, 0, 0)).forward(np.zeros((1, 2, 3, 4))).shape
    (1, 2, 3, 6)
    """

    axes = 3
