"""images: many small images as one picture."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import whole
from nnlite.errors import ShapeError
from nnlite.plot.new_axes import axes_or_new


def images(
    X: Any, shape: Sequence[int] | None = None, *, axis: int | None = None, columns: int | None = None, ax: Any = None
) -> Any:
    """Draw images, such as rows of data or the weights of each unit, side by side.

    Images without a negative number are drawn in grey, 0 white; others in red and blue, 0 white, all on one scale.

    Args:
        X: images (n, height, width), (n, 1, height, width), or in colour (n, 3, height, width) with numbers from 0 to
            1; or, with ``shape``, a matrix of which each row or each column is an image: data (n, height * width), or
            the W of a Linear layer (height * width, n).
        shape: (height, width) of the images in a matrix.
        axis: of a square matrix, which may be either: 0 if each row is an image, 1 if each column is.
        columns: how many images side by side; by default the picture is about as high as wide.
        ax: axes to draw on.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib, the extra ``plot``, is not installed.
        ShapeError: X has another form, or no image.
        ValueError: a matrix is square, and ``axis`` is not given.

    >>> import nnlite as nn
    >>> ax = nn.plot.images(nn.datasets.digits().X[:20], (8, 8), columns=10)
    >>> ax.images[0].get_array().shape
    (17, 89)
    """
    X = as_array(X, "plot.images: X")
    if not X.size:
        raise ShapeError(f"plot.images: expected at least one image, got X of shape {X.shape}")
    if shape is not None:
        X = _from_matrix(X, tuple(shape), axis)
    if X.ndim == 3:
        X = X[:, None]
    if X.ndim != 4 or X.shape[1] not in (1, 3):
        raise ShapeError(
            f"plot.images: expected (n, height, width), (n, 1 or 3, height, width), or a matrix with shape=(height, "
            f"width), got {X.shape}"
        )
    n, channels, height, width = X.shape
    columns = math.ceil(math.sqrt(n * height / width)) if columns is None else whole(columns, "plot.images: columns", 1)
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    picture = np.full((channels, rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for number, image in enumerate(X):
        top, left = (number // columns) * (height + 1), (number % columns) * (width + 1)
        picture[:, top : top + height, left : left + width] = image
    scale = 4.5 / max(picture.shape[1:])
    ax = axes_or_new(ax, "images", figsize=(max(1.0, scale * picture.shape[2]), max(1.0, scale * picture.shape[1])))
    if channels == 3:
        ax.imshow(np.nan_to_num(picture, nan=1.0).transpose(1, 2, 0), interpolation="nearest")
    else:
        largest = float(np.abs(X).max()) or 1.0
        signed = bool(X.min() < 0)
        low, colours = (-largest, "RdBu") if signed else (0.0, "gray_r")
        ax.imshow(np.ma.masked_invalid(picture[0]), cmap=colours, vmin=low, vmax=largest, interpolation="nearest")
        ax.set_facecolor("0.35" if signed else "#9ec5e8")  # between the images
    if n < rows * columns:  # the rest of the last line
        from matplotlib.patches import Rectangle

        left, top = (n - (rows - 1) * columns) * (width + 1) - 1.5, (rows - 1) * (height + 1) - 1.5
        colour = ax.figure.get_facecolor()
        rest = Rectangle((left, top), picture.shape[2] - left, height + 2, color=colour, linewidth=0)
        ax.add_patch(rest)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def _from_matrix(X: Array, shape: tuple[int, ...], axis: int | None) -> Array:
    """The images in the rows or columns of a matrix."""
    if len(shape) != 2 or X.ndim != 2:
        raise ShapeError(f"plot.images: expected a matrix and shape=(height, width), got X {X.shape} and shape {shape}")
    size = math.prod(shape)
    fitting = [number for number in (0, 1) if X.shape[1 - number] == size]
    if not fitting or axis not in (None, *fitting):
        raise ShapeError(
            f"plot.images: expected rows or columns of {shape[0]} x {shape[1]} = {size} numbers, got {X.shape}"
        )
    if axis is None and len(fitting) == 2:
        raise ValueError("plot.images: X is square: pass axis=0 if each row is an image, axis=1 if each column is")
    by_row = X if (fitting[0] if axis is None else axis) == 0 else X.T
    return by_row.reshape(-1, *shape)
