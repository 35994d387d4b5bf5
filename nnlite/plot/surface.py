"""surface: the loss over a plane through the parameters of a model."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import positive, whole
from nnlite.basics.generators import Rng, generator
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.per_output import as_one_loss
from nnlite.plot.new_axes import axes_or_new


def surface(
    model: Layer,
    X: Any,
    Y: Any,
    loss: Any,
    *,
    path: Sequence[Any] | None = None,
    parameters: tuple[int, int] | None = None,
    size: float = 1.0,
    resolution: int = 31,
    rng: Rng = None,
    ax: Any = None,
) -> Any:
    """Draw the loss as contour lines over a plane through the parameters of a model, and a path of training on it.

    The plane is that of two parameters, if ``parameters`` says which, or if there are only two. Otherwise with a
    ``path`` that of its first two principal components; without one, of two random directions in which the weights of
    each unit have the norm that they have in the model, and biases do not move.

    Args:
        model: in evaluation mode it is computed on a copy; a cross marks its parameters.
        X: the rows.
        Y: their targets.
        loss: a :class:`nnlite.Loss`; for several outputs a tuple or dict of losses.
        path: the Phi after each step or epoch, as ``path.append(model.Phi.copy())`` collects them.
        parameters: two indices of Phi, the horizontal one and the vertical one.
        size: how far the plane reaches in each direction: of random directions in units of the model's own weights, of
            parameters in their units; with a path the plane holds all of it, and ``size`` is a factor.
        resolution: how many points on each axis; each takes a forward.
        rng: seed or generator for random directions; None for the default generator of ``nnlite.manual_seed``.
        ax: axes to draw on.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib, the extra ``plot``, is not installed.
        TypeError, ValueError: an argument is no number or too small; the path is not of vectors like Phi; or no loss on
            the plane is finite.

    Source: Li, Xu, Taylor, Studer and Goldstein, Visualizing the loss landscape of neural nets, 2018.

    >>> import nnlite as nn
    >>> X, Y = nn.datasets.sine(20, rng=0)
    >>> line = nn.Linear(1, 1, rng=0)
    >>> ax = nn.plot.surface(line, X, Y, nn.MSELoss(), resolution=5)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('W[0, 0]', 'b[0]')
    """
    check_layer(model, "model")
    loss = as_one_loss(loss)
    resolution, size = whole(resolution, "plot.surface: resolution", least=2), positive(size, "plot.surface: size")
    centre = np.array(model.Phi, float)
    steps = _steps(path, centre)
    if parameters is None and centre.size == 2:
        parameters = (0, 1)
    if parameters is not None:
        directions, labels = _of_parameters(model, parameters)
    elif len(steps) > 2:
        directions, labels = _principal(steps, centre)
    else:
        directions, labels = _random(model, generator(rng, "plot.surface: rng"))
    lengths = (directions**2).sum(axis=1)
    shown = (steps - centre) @ directions.T / lengths if len(steps) else np.zeros((1, 2))
    reach = np.abs(shown).max(axis=0) * 1.2
    axes = [np.linspace(-each, each, resolution) for each in size * np.where(reach > 0, reach, 1.0)]
    losses = _losses(model, X, Y, loss, centre, directions, axes)
    levels = _levels(losses)
    ax = axes_or_new(ax, "surface", figsize=(5.5, 4.4))
    from matplotlib.colors import BoundaryNorm

    start = (
        centre[list(parameters)] if parameters is not None else np.zeros(2)
    )  # so that ticks are the parameters' values
    x, y = (start[number] + axis for number, axis in enumerate(axes))
    bands = BoundaryNorm(levels, 256, extend="both")  # each band has a colour of its own, however narrow
    filled = ax.contourf(x, y, losses, levels=levels, cmap="viridis_r", norm=bands, extend="both")
    ax.contour(x, y, losses, levels=levels, colors="white", linewidths=0.4, alpha=0.7)
    if len(steps):
        ax.plot(*(start + shown).T, color="#D55E00", marker=".", linewidth=1.2, markersize=4, label="path")
    ax.plot(*start, color="black", marker="x", markersize=8, markeredgewidth=2, linestyle="", label="the model")
    ax.set(xlabel=labels[0], ylabel=labels[1])
    ax.locator_params(nbins=6)
    ax.legend(loc="best", fontsize="small", framealpha=0.8)
    ax.figure.colorbar(filled, ax=ax, label="loss", format="%.3g")
    return ax


def _steps(path: Any, centre: Array) -> Array:
    """The path as rows."""
    if path is None or not len(path):
        return np.zeros((0, centre.size))
    steps = np.array([np.asarray(each, float) for each in path])
    if steps.ndim != 2 or steps.shape[1] != centre.size:
        raise ValueError(
            f"plot.surface: path: expected vectors of shape {centre.shape} like Phi, got {steps.shape[1:]}"
        )
    if len(steps) > 1 and not np.ptp(steps, axis=0).any():
        raise ValueError(
            "plot.surface: path: all its points are the same; collect copies, path.append(model.Phi.copy())"
        )
    return steps


def _of_parameters(model: Layer, parameters: tuple[int, int]) -> tuple[Array, list[str]]:
    size = model.Phi.size
    names = [
        f"{path.removesuffix('.value')}{[*index] or ''}"  # nn.Parameter, a number
        for path, P in model.named_parameters()
        for index in np.ndindex(P.shape)
    ]
    one, other = (whole(number, "plot.surface: parameters", least=0) for number in parameters)
    if max(one, other) >= size or one == other:
        raise ValueError(f"plot.surface: parameters: expected two different indices below {size}, got {parameters}")
    return np.eye(size)[[one, other]], [names[one], names[other]]


def _principal(steps: Array, centre: Array) -> tuple[Array, list[str]]:
    """The first two principal components of the path, seen from the model."""
    away = steps - centre
    _, values, components = np.linalg.svd(away, full_matrices=False)
    shares = values**2 / (values**2).sum()
    labels = [f"principal component {number + 1} ({shares[number]:.0%})" for number in (0, 1)]
    directions: Array = components[:2]
    return directions, labels


def _random(model: Layer, rng: np.random.Generator) -> tuple[Array, list[str]]:
    """Two directions in which the weights of each unit have the norm that they have in the model."""
    return np.array([_direction(model, rng) for _ in range(2)]), ["random direction 1", "random direction 2"]


def _direction(model: Layer, rng: np.random.Generator) -> Array:
    parts = []
    for _, P in model.named_parameters():
        d = rng.standard_normal(P.shape)
        inputs = 0 if P.ndim == 2 else tuple(range(1, P.ndim))  # the axes of a unit: W (in, out), or (out, in, ...)
        d *= np.sqrt(np.sum(np.square(P, dtype=float), inputs, keepdims=True) / np.sum(d * d, inputs, keepdims=True))
        parts.append((d if P.ndim > 1 else np.zeros_like(d)).reshape(-1))
    return np.concatenate(parts)


def _losses(model: Layer, X: Any, Y: Any, loss: Any, centre: Array, directions: Array, axes: list[Array]) -> Array:
    """The loss at each point of the grid."""
    model, loss = copy.deepcopy((model, loss))
    model.eval()
    values = np.empty((len(axes[1]), len(axes[0])))
    for (row, column), _ in np.ndenumerate(values):
        model.Phi = centre + axes[0][column] * directions[0] + axes[1][row] * directions[1]
        values[row, column] = loss.forward(model.forward(X), Y)
    return values


def _levels(losses: Array) -> Array:
    """Levels between which about equally large areas lie, so that valleys are seen beside walls."""
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        raise ValueError("plot.surface: the loss is not finite anywhere on the plane; has the model diverged?")
    levels = np.unique(np.quantile(finite, np.linspace(0.0, 1.0, 16)))
    return levels if len(levels) > 1 else levels[0] + np.array([-0.5, 0.5])
