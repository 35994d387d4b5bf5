"""gradients: how large the gradients are, layer by layer."""

from typing import Any

import numpy as np

from nnlite.layer.layer import Layer
from nnlite.plot.new_axes import axes_or_new
from nnlite.training.diagnostics_callback import Diagnostics

BINS = 60
HIGHEST = 12.0  # inches
ROWS = 60  # that have a name, on axes of that height


def gradients(source: Any, *, ax: Any = None) -> Any:
    """Draw the gradients of each layer: the histogram after a backward, or the norms over the epochs of a training.

    Where gradients vanish or explode, the histograms wander from layer to layer, by powers of ten.

    Args:
        source: a model after ``backward``: a histogram of ``log10 |dW|`` for each parameter, from the first at the top
            to the last. Or a :class:`nnlite.Diagnostics` after a training: the norm for each layer and epoch.
        ax: axes to draw on.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib, the extra ``plot``, is not installed.
        TypeError: ``source`` is neither.
        ValueError: the model has no gradient other than 0, or no epoch has been recorded.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(8, 8, rng=0), nn.Tanh(), nn.Linear(8, 1, rng=1))
    >>> dX = model.backward(np.ones_like(model.forward(np.random.default_rng(0).normal(size=(5, 8)))))
    >>> [label.get_text() for label in nn.plot.gradients(model).get_yticklabels()]
    ['0.W', '0.b', '2.W', '2.b']
    """
    if isinstance(source, Diagnostics):
        return _over_epochs(source, ax)
    if isinstance(source, Layer):
        return _histograms(source, ax)
    raise TypeError(f"plot.gradients: expected a model or a Diagnostics, got {source!r}")


def _histograms(model: Layer, ax: Any) -> Any:
    sizes = {path: np.abs(np.asarray(gradient, float).reshape(-1)) for path, gradient in model.named_gradients()}
    largest = {path: each[each > 0] for path, each in sizes.items()}
    if not any(each.size for each in largest.values()):
        raise ValueError("plot.gradients: all gradients are 0; call forward and backward first")
    logs = {path: np.log10(each) for path, each in largest.items()}
    everything = np.concatenate([*logs.values()])
    low, high = np.floor(np.percentile(everything, 0.5)), np.ceil(everything.max())
    edges = np.linspace(low, max(high, low + 1), BINS + 1)
    ax = axes_or_new(ax, "gradients", figsize=(6.0, min(HIGHEST, 1.2 + 0.45 * len(logs))))
    for row, (path, each) in enumerate(logs.items()):
        counts, _ = np.histogram(each.clip(edges[0], edges[-1]), edges)
        height = 0.85 * counts / max(1, counts.max())
        ax.stairs(row - height, edges, baseline=row, fill=True, color="C0", alpha=0.55)
        if each.size:
            ax.plot([np.median(each)] * 2, [row, row - 0.85], color="C1", linewidth=1.5)
        if zeros := np.mean(sizes[path] == 0):
            ax.text(edges[0], row - 0.1, f" {zeros:.0%} are 0", fontsize="small", va="bottom", color="0.35")
    _name_rows(ax, list(logs))
    ax.set(
        xlim=(edges[0], edges[-1]),
        ylim=(len(logs) - 0.8, -1.0),
        xlabel="log10 of the size of an entry; orange: the median",
    )
    ax.grid(visible=True, axis="x", alpha=0.3)
    return ax


def _over_epochs(diagnostics: Diagnostics, ax: Any) -> Any:
    if not diagnostics.gradients or not diagnostics.epochs:
        raise ValueError("plot.gradients: no epoch has been recorded")
    table = np.array([*diagnostics.gradients.values()], float)
    with np.errstate(divide="ignore"):
        logs = np.log10(table)
    ax = axes_or_new(ax, "gradients", figsize=(6.5, min(HIGHEST, 1.5 + 0.4 * len(table))))
    shown = ax.imshow(
        np.ma.masked_invalid(logs), aspect="auto", cmap="viridis", interpolation="nearest",
        extent=(0.5, table.shape[1] + 0.5, len(table) - 0.5, -0.5),
    )  # fmt: skip
    _name_rows(ax, [f"{path} {diagnostics.layers.get(path, '')}".strip() for path in diagnostics.gradients])
    ax.set(xlabel="epoch", title="gradients")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.figure.colorbar(shown, ax=ax, label="log10 of the norm")
    return ax


def _name_rows(ax: Any, names: list[str]) -> None:
    """A name at each row, or at every second, third, ... where there are too many to be read."""
    every = -(-len(names) // ROWS)
    ax.set_yticks(range(0, len(names), every), names[::every])
