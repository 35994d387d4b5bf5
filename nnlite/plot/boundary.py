"""boundary: the regions into which a classifier of two features divides the plane."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import non_negative, whole
from nnlite.diagnostics.last_layer import last_layer
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer
from nnlite.plot.new_axes import axes_or_new
from nnlite.training.predict import predict

COLOURS = (  # the first seven: Okabe and Ito, 2008, without their yellow; then Tol, 2021
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#7F7F7F",
    "#882255",
    "#332288",
    "#999933",
)
MARKERS = "osD^vpX<>h"


def boundary(
    model: Layer,
    X: Any,
    Y: Any = None,
    *,
    logits: bool | None = None,
    resolution: int = 200,
    margin: float = 0.1,
    ax: Any = None,
) -> Any:
    """Draw the regions that a classifier of two features assigns to each class, and the samples.

    A colour is stronger where the model is surer. Samples of different classes have different marks.

    Args:
        model: a model of X (N, 2) whose output is (N, 1) or (N,), of class 1 of two, or (N, C), one for each class.
        X: the samples, (N, 2); they also say which part of the plane is drawn.
        Y: their classes: (N,) or (N, 1), or one-hot.
        logits: whether the output holds logits, and not probabilities; known where the last layer is a Sigmoid, Softmax
            or LogSoftmax, or a layer of any real numbers.
        resolution: how many points of the grid on each axis.
        margin: what is drawn around the samples, as a share of their range.
        ax: axes to draw on.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib, the extra ``plot``, is not installed.
        ShapeError: X does not have two columns, Y not a class for each row, or the output has another form.
        TypeError, ValueError: an argument is no number or too small, or X is not finite.

    >>> import nnlite as nn
    >>> X, Y = nn.datasets.moons(rng=0)
    >>> model = nn.Sequential(nn.Linear(2, 8, rng=0), nn.Tanh(), nn.Linear(8, 1, rng=1), nn.Sigmoid())
    >>> ax = nn.plot.boundary(model, X, Y)
    >>> [round(limit) for limit in (*ax.get_xlim(), *ax.get_ylim())]
    [-1, 3, -1, 1]
    """
    resolution = whole(resolution, "plot.boundary: resolution", least=2)
    margin = non_negative(margin, "plot.boundary: margin")
    X = as_array(X, "plot.boundary: X")
    if X.ndim != 2 or X.shape[1] != 2:
        raise ShapeError(f"plot.boundary: expected X of shape (N, 2), got {X.shape}")
    if not len(X):
        raise ShapeError(f"plot.boundary: expected at least one row of X, got X of shape {X.shape}")
    if not np.isfinite(X).all():
        raise ValueError("plot.boundary: X: expected finite numbers, got NaN or infinity")
    low, high = X.min(axis=0), X.max(axis=0)
    room = margin * np.where(high > low, high - low, 1.0)
    x, y = (np.linspace(*ends, resolution) for ends in zip(low - room, high + room, strict=True))
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    shares = _probabilities(model, predict(model, points.astype(np.result_type(X, np.float32))), logits)
    classes = shares.shape[1]
    ax = axes_or_new(ax, "boundary")
    colours = _colours(classes)
    winner = shares.argmax(axis=1)
    sure = (shares.max(axis=1) - 1 / classes) / (1 - 1 / classes)  # from 0, no class before the others, to 1
    strength = (0.08 + 0.42 * sure)[:, None]
    picture = 1 - strength * (1 - colours[winner])
    grid = (resolution, resolution)
    ax.imshow(picture.reshape(*grid, 3), extent=(x[0], x[-1], y[0], y[-1]), origin="lower", aspect="auto", zorder=0)
    for number in range(1 if classes == 2 else 0, classes):
        lead = shares[:, number] - np.delete(shares, number, axis=1).max(axis=1)
        if lead.min() < 0 < lead.max():
            ax.contour(x, y, lead.reshape(grid), levels=[0.0], colors="0.25", linewidths=1.0)
    _draw_samples(ax, X, Y, colours)
    ax.set(xlabel="feature 0", ylabel="feature 1")
    return ax


def _probabilities(model: Layer, output: Any, logits: bool | None) -> Array:
    """The probabilities (n, C) of at least two classes."""
    Y = np.asarray(output, float)
    Y = Y[:, None] if Y.ndim == 1 else Y
    if Y.ndim != 2:
        raise ShapeError(f"plot.boundary: expected an output of shape (N, 1) or (N, C), got {np.shape(output)}")
    if logits is None:
        last = last_layer(model)
        low, high = (last.output_range if last is not None else None) or (-np.inf, np.inf)
        logits = not (low >= 0 and high <= 1)
    if not logits and (Y.min() < 0 or Y.max() > 1):
        raise ValueError("plot.boundary: logits=False, but the output is not between 0 and 1; leave logits out")
    if Y.shape[1] == 1:
        p = 0.5 * (1 + np.tanh(Y / 2)) if logits else Y  # the sigmoid; its last digits are not seen
        return np.concatenate([1 - p, p], axis=1)
    if not logits:
        return Y
    e = np.exp(Y - Y.max(axis=1, keepdims=True))
    shares: Array = e / e.sum(axis=1, keepdims=True)
    return shares


def _colours(classes: int) -> Array:
    from matplotlib.colors import to_rgb

    return np.array([to_rgb(COLOURS[number % len(COLOURS)]) for number in range(classes)])


def _draw_samples(ax: Any, X: Array, Y: Any, colours: Array) -> None:
    style = {"s": 18, "edgecolors": "white", "linewidths": 0.6, "zorder": 2}
    if Y is None:
        ax.scatter(*X.T, color="0.2", **style)
        return
    Y = np.asarray(Y)
    Y = Y.argmax(axis=1) if Y.ndim == 2 and Y.shape[1] > 1 else Y.reshape(-1)
    if len(Y) != len(X):
        raise ShapeError(f"plot.boundary: expected Y with a class for each of the {len(X)} rows of X, got {len(Y)}")
    if not (np.isin(Y, np.arange(len(colours))).all()):
        raise ValueError(f"plot.boundary: Y: expected classes from 0 to {len(colours) - 1}, got {np.unique(Y)[:5]}")
    for number in np.unique(Y.astype(int)):
        rows, marker = number == Y, MARKERS[number % len(MARKERS)]
        ax.scatter(*X[rows].T, color=colours[number], marker=marker, label=f"class {number}", **style)
    ax.legend(loc="best", framealpha=0.8, fontsize="small")
