"""What layers on spatial axes share: arguments with a number for each axis, and X with or without samples."""

from collections.abc import Iterable

from nnlite.basics.checks import whole
from nnlite.basics.shapes import Shape, is_open, sizes, text
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer

LETTERS = {1: "L", 2: "H, W", 3: "D, H, W"}  # of the spatial axes, for shapes in errors

LARGE = 2**40  # in place of a size that is not known


def for_each_axis(value: int | Iterable[int], axes: int, name: str, least: int) -> tuple[int, ...]:
    """Return a number for each spatial axis: the given ones, or one for all.

    Raises:
        TypeError, ValueError: it is neither a whole number of at least ``least`` nor as many of them as there are axes.

    >>> for_each_axis(3, 2, "Conv2d: kernel_size", least=1)
    (3, 3)
    """
    if not isinstance(value, Iterable) or isinstance(value, str):
        return (whole(value, name, least),) * axes
    numbers = tuple(whole(each, name, least) for each in value)
    if len(numbers) != axes:
        raise ValueError(f"{name}: expected a whole number, or {axes} of them, one for each axis, got {value!r}")
    return numbers


def one_if_equal(numbers: tuple[int, ...]) -> int | tuple[int, ...]:
    """Return the number that all are, or all of them: the shortest way to write it.

    >>> one_if_equal((3, 3)), one_if_equal((3, 1))
    (3, (3, 1))
    """
    return numbers[0] if len(set(numbers)) == 1 else numbers


def channels_and_sizes(
    layer: Layer, X: Shape, axes: int, channels: int | None = None
) -> tuple[Shape, int | None, tuple[int | None, ...]]:
    """Return the parts of a shape (N, C, *sizes), or (C, *sizes) of one sample: ``(N,)`` or nothing, C, and the sizes.

    Of a shape of an unknown number of axes the first part is ``(...,)``.

    Raises:
        ShapeError: there are more or fewer axes, or other than ``channels`` channels.
    """
    known = sizes(X)
    if is_open(X):
        known = (None,) * (axes + 1 - len(known)) + known
    if len(known) not in (axes + 1, axes + 2) or known[-axes - 1] not in (None, channels or known[-axes - 1]):
        C = "C" if channels is None else channels
        raise ShapeError(
            f"{layer}: expected X of shape (N, {C}, {LETTERS[axes]}) or ({C}, {LETTERS[axes]}), got {text(X)}"
            + _cure(X, axes, channels)
        )
    front: Shape = (...,) if is_open(X) else X[: -axes - 1]
    return front, known[-axes - 1], known[-axes:]


def _cure(X: Shape, axes: int, channels: int | None) -> str:
    """The line that gives X the axis of channels, or moves it, if that is what is wrong; otherwise nothing.

    >>> _cure((32, 28, 28, 3), 2, 3)
    '; if the channels are on the last axis, pass np.moveaxis(X, -1, -3)'
    >>> _cure((32, 28, 28), 2, 1)
    '; if these are samples without an axis of channels, pass X[:, np.newaxis]'
    """
    if channels is not None and len(X) in (axes + 1, axes + 2) and X[-1] == channels:
        return f"; if the channels are on the last axis, pass np.moveaxis(X, -1, {-axes - 1})"
    if channels == 1 and len(X) == axes + 1:
        return "; if these are samples without an axis of channels, pass X[:, np.newaxis]"
    if channels in (1, None) and len(X) == axes:
        return "; if this is one sample without an axis of channels, pass X[np.newaxis]"
    return ""
