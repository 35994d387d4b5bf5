"""The functions that formulas may call: NumPy's, and those defined here."""

from inspect import isfunction
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import kernels
from nnlite.compute.pad import pad, pad_backward  # formulas call what is imported here by its name
from nnlite.compute.resampling import resample, resample_backward  # noqa: F401
from nnlite.compute.windows import Intervals, Pairs, Windows, fold, unfold  # noqa: F401
from nnlite.layers.local_response_normalization import window_sum  # noqa: F401
from nnlite.layers.pixel_shuffle import channel_shuffle, pixel_shuffle, pixel_unshuffle  # noqa: F401
from nnlite.layers.positions import swapped  # noqa: F401


def rows(A: Array) -> Array:
    """Merge all axes before the last one: each row of the result is a sample."""
    return A.reshape(-1, A.shape[-1])


def row(x: Array) -> Array:
    """Return a vector as a matrix of one row, a matrix unchanged."""
    return x[None, :] if x.ndim == 1 else x


def column(x: Array) -> Array:
    """Return a vector as a matrix of one column, a matrix unchanged."""
    return x[:, None] if x.ndim == 1 else x


def view(A: Array, shape: tuple[int, ...]) -> Array:
    """Reshape A where that is not part of the mathematics; it is not shown."""
    return np.reshape(A, shape)


def reshape(A: Array, shape: tuple[int, ...]) -> Array:
    """Reshape A; NumPy's own has the keyword ``shape`` only from 2.1 on."""
    return np.reshape(A, shape)


def sum_to(A: Array, X: Array) -> Array:
    """Sum A over the axes along which X was broadcast to A's shape."""
    A = np.asarray(A)
    new = A.ndim - np.ndim(X)
    summed = [axis for axis in range(A.ndim) if axis < new or A.shape[axis] != np.shape(X)[axis - new]]
    return np.asarray(A.sum(axis=tuple(summed), keepdims=True).reshape(np.shape(X)))


def broadcast(A: Array, to: tuple[int, ...]) -> Array:
    """Broadcast A to the shape ``to``."""
    return np.broadcast_to(A, to)


def flatten(A: Array, start: int, end: int) -> Array:
    """Merge the axes from ``start`` to ``end``."""
    start, end = start % A.ndim, end % A.ndim
    return A.reshape(*A.shape[:start], int(np.prod(A.shape[start : end + 1])), *A.shape[end + 1 :])


def split(A: Array, sizes: tuple[int, ...], axis: int) -> list[Array]:
    """Split A along an axis into parts of the given sizes."""
    return np.split(A, np.cumsum(sizes)[:-1], axis)


def unstack(A: Array, axis: int) -> list[Array]:
    """Return the slices of A along an axis."""
    return list(np.moveaxis(A, axis, 0))


def entries(A: Array, at: Any, axis: int) -> Array:
    """Return the entry of an axis at an index, or those at several."""
    Y: Array = np.take(A, at, axis)
    return Y


def put(A: Array, at: Any, axis: int, like: Array) -> Array:
    """Return an array of the shape of ``like`` with A at these indices of an axis, and 0 elsewhere."""
    Y = np.zeros(like.shape, A.dtype)
    Y[(slice(None),) * (axis % like.ndim) + (at,)] = A
    return Y


def outer(x: Array, y: Array) -> Array:
    """Return the outer product over the last axes."""
    return x[..., :, None] * y[..., None, :]


def matvec(A: Array, x: Array) -> Array:
    """Return the product of a matrix and a vector in the last axes."""
    return np.asarray(np.vecdot(A, x[..., None, :]))


def heads(A: Array, number: int) -> Array:
    """Split the last axis of A (N, T, E) into parts of equal widths, of which each is a matrix: (N, number, T, d)."""
    return A.reshape(*A.shape[:-1], number, A.shape[-1] // number).swapaxes(1, 2)


def joined(A: Array) -> Array:
    """Join the matrices of A (N, number, T, d) side by side: (N, T, E)."""
    turned = A.swapaxes(1, 2)
    return turned.reshape(*turned.shape[:2], turned.shape[2] * turned.shape[3])


def sigmoid(X: Array) -> Array:
    """Return ``1 / (1 + exp(-X))``."""
    X = np.asarray(X)
    return kernels.sigmoid(X if X.dtype.kind == "f" else X.astype(np.float64))


def ndtr(X: Array) -> Array:
    """Return the integral of the standard normal density up to X."""
    from scipy import special

    return np.asarray(special.ndtr(X))


def one_hot(target: Array, like: Array, axis: int, ignored: int) -> Array:
    """Return class indices as a distribution over the classes: 1 at the index, all zeros if it is ``ignored``.

    A target of the shape of ``like`` is returned unchanged.
    """
    if np.shape(target) == like.shape:
        return target
    target = np.expand_dims(target, axis)
    classes = along(np.arange(like.shape[axis]), axis=axis, like=like)
    return np.asarray((target == classes) & (target != ignored), like.dtype)


def along(vector: Array, axis: int, like: Array) -> Array:
    """Reshape a vector to lie along one axis of ``like``."""
    shape = [1] * like.ndim
    shape[axis] = -1
    return np.reshape(vector, shape)


def add_at(A: Array, indices: Array, like: Array, ignored: int | None = None, averaged: bool = False) -> Array:
    """Return an array like ``like`` in which row k is the sum, or the mean, of the rows of A whose index is k."""
    sums, counts = np.zeros_like(like), np.zeros(len(like))
    numbers = np.ravel(indices)
    kept = np.full(numbers.shape, True) if ignored is None else numbers != ignored
    np.add.at(sums, numbers[kept], rows(A)[kept])
    np.add.at(counts, numbers[kept], 1)
    return sums / np.maximum(counts, 1).astype(like.dtype)[:, None] if averaged else sums


def bags(indices: Array, offsets: Array | None = None, *, last: bool = False, ignored: int | None = None) -> Array:
    """Return a matrix with a row for each bag of indices: 1 in the column of each of its indices, 0 elsewhere."""
    starts = np.arange(len(indices) + 1) * indices.shape[1] if offsets is None else np.asarray(offsets)
    ends = starts[1:] if last or offsets is None else np.append(starts[1:], indices.size)
    columns = np.arange(indices.size)
    inside = (columns >= starts[: len(ends), None]) & (columns < ends[:, None])
    return np.asarray(inside & (np.ravel(indices) != (-1 if ignored is None else ignored)), float)


def count_labels(target: Array, like: Array) -> Array:
    """Return how often each class is among the labels of a sample, which stand in front of the first negative one."""
    labels = np.where(np.logical_or.accumulate(target < 0, axis=-1), -1, target)
    return np.asarray(np.sum(labels[..., None] == np.arange(like.shape[-1]), axis=-2), like.dtype)


def windows(X: Array, at: Windows, pairs: Pairs, mode: str = "zeros", groups: int = 1) -> Array:
    """Return the windows of a kernel on X, with axes for samples, channels, windows and the entries of a window.

    Of several groups the channels are two axes, of groups and of the channels in one.
    """
    P = at.of(pad(X, pairs, mode))
    channel = P.ndim - 2 * at.axes - 1
    split = (groups, P.shape[channel] // groups) if groups > 1 else P.shape[channel : channel + 1]
    return P.reshape(*P.shape[:channel], *split, *P.shape[channel + 1 :])


def add_windows(A: Array, at: Windows, pairs: Pairs, mode: str = "zeros", groups: int = 1) -> Array:
    """Return the transpose of ``windows``: the entries of windows, added where they come from."""
    front = A.shape[: A.ndim - 2 * at.axes]
    front = (*front[:-2], front[-2] * front[-1]) if groups > 1 else front
    A = A.reshape(*front, *at.outputs, *at.kernel)
    sizes = (size + sum(pair) for size, pair in zip(at.sizes, pairs, strict=True))
    padded: Array = np.zeros((*front, *sizes), A.dtype)
    for entry, place in zip(np.ndindex(at.kernel), at.slices(), strict=True):
        where: Any = (..., *place)
        padded[where] += A[(..., *entry)]
    return pad_backward(padded, pairs, mode)


def sum_of_windows(A: Array, at: Windows) -> Array:
    """Return the sum of the entries of each window, with zeros as padding."""
    sums: Array = at.of(pad(A, at.padding, "zeros")).sum(axis=tuple(range(-at.axes, 0)))
    return sums


def add_to_windows(A: Array, at: Windows) -> Array:
    """Return the transpose of ``sum_of_windows``: each entry, added to all entries of its window."""
    entries = A.reshape(*A.shape, *[1] * at.axes)
    return add_windows(np.broadcast_to(entries, (*A.shape, *at.kernel)), at, at.padding)


def window_argmax(A: Array, at: Windows | Intervals) -> Array:
    """Return in row-major order the index of the first largest entry of each window in its channel."""
    front = A.shape[: A.ndim - len(at.sizes)]
    channel, indices = np.arange(np.prod(at.sizes)).reshape(at.sizes), np.zeros((*front, *at.outputs), np.intp)
    for place in np.ndindex(at.outputs):
        where: Any = at.window(place)
        entries = A[(..., *where)].reshape(*front, channel[where].size)
        indices[(..., *place)] = channel[where].ravel()[entries.argmax(axis=-1)]
    return indices


def window_max(A: Array, at: Windows | Intervals) -> Array:
    """Return the largest entry of each window."""
    Y = np.empty((*A.shape[: A.ndim - len(at.sizes)], *at.outputs), A.dtype)
    for place in np.ndindex(at.outputs):
        where: Any = (..., *at.window(place))
        Y[(..., *place)] = A[where].max(axis=tuple(range(-len(at.sizes), 0)))
    return Y


def add_at_max(A: Array, X: Array, at: Windows | Intervals) -> Array:
    """Return the transpose of ``window_max`` of X: each entry of A, added where the largest of its window is."""
    front = X.shape[: X.ndim - len(at.sizes)]
    channels = np.zeros((int(np.prod(front)), int(np.prod(at.sizes))), A.dtype)
    indices = window_argmax(X, at).reshape(len(channels), int(np.prod(at.outputs)))
    for channel, places, values in zip(channels, indices, A.reshape(indices.shape), strict=True):
        np.add.at(channel, places, values)
    return channels.reshape(X.shape)


def unpool(A: Array, indices: Array, sizes: tuple[int, ...]) -> Array:
    """Return channels of these sizes with each entry of A at its index, and 0 elsewhere."""
    front = A.shape[: A.ndim - len(sizes)]
    Y = np.zeros((int(np.prod(front)), int(np.prod(sizes))), A.dtype)
    for channel, places, entries in zip(Y, indices.reshape(len(Y), -1), A.reshape(len(Y), -1), strict=True):
        channel[places] = entries
    return Y.reshape(*front, *sizes)


def pick(A: Array, indices: Array, sizes: tuple[int, ...]) -> Array:
    """Return the entries of A at these indices of its channels, which have these sizes."""
    channels = A.reshape(-1, int(np.prod(sizes)))
    return np.take_along_axis(channels, indices.reshape(len(channels), -1), axis=1).reshape(indices.shape)


def pairs(Y: Array) -> Array:
    """Return the differences of each two entries of a row: ``Y[j] - Y[k]`` at j, k."""
    return Y[..., :, None] - Y[..., None, :]


def before(A: Array, first: Array | None = None, axis: int = 1) -> Array:
    """Return A one step earlier along an axis, such as that of time; at the first step ``first``, or 0."""
    steps = np.arange(A.shape[axis]) - 1
    start = 0 if first is None else np.expand_dims(first, axis)
    return np.where(along(steps >= 0, axis, A), np.take(A, steps, axis), start)


def after(A: Array, first: Array | None = None, axis: int = 1) -> Array:
    """Return A one step later along an axis; at the last step ``first``, or 0."""
    return np.flip(before(np.flip(A, axis), first, axis), axis)


def function_named(name: str) -> Any:
    """Return what a formula calls by this name: what is defined or imported above, or of NumPy; None if nothing is.

    >>> function_named("rows") is rows, function_named("tanh") is np.tanh, function_named("tahn")
    (True, True, None)
    """
    own = range if name == "range" else globals().get(name)
    if own is range or isfunction(own):
        return own
    found = None if name.startswith("_") else getattr(np, name, None)
    return found if callable(found) else None


def at_end(A: Array, lengths: Array | None = None) -> Array:
    """Return A at the last step of each sequence: of all steps, or of as many as it has."""
    return A[:, -1] if lengths is None else A[np.arange(len(A)), lengths - 1]


def put_at_end(A: Array, steps: Array, lengths: Array | None = None) -> Array:
    """Return as many steps as there are, A at the last one of each sequence, and 0 at the others."""
    Y = np.zeros_like(steps)
    Y[np.arange(len(A)), -1 if lengths is None else lengths - 1] = A
    return Y


def at_start(A: Array) -> Array:
    """Return A at the first step of each sequence."""
    return A[:, 0]


def put_at_start(A: Array, steps: Array) -> Array:
    """Return as many steps as there are, A at the first one, and 0 at the others."""
    Y = np.zeros_like(steps)
    Y[:, 0] = A
    return Y
