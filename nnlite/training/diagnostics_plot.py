"""plot_diagnostics: the figure of Diagnostics, four axes over the epochs with a line for each layer."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Series = Mapping[str, Sequence[float]]

RIGHT = 1e-3  # a relative update that is about right
NAMES = 12  # about so many lines are in the legend


def plot_diagnostics(
    layers: Mapping[str, str], gradients: Series, updates: Series, dead: Series, saturated: Series
) -> "Figure":
    """Draw axes for each quantity that has values; ``layers`` has the repr of each path.

    >>> figure = plot_diagnostics({"1": "Tanh()"}, {}, {}, {"1": [0.0, 0.5]}, {"1": [0.1, 0.7]})
    >>> [axes.get_title() for axes in figure.axes]
    ['dead units', 'saturated entries']
    """
    from matplotlib.ticker import MaxNLocator

    from nnlite.basics.figures import new_figure

    panels = [
        ("norm of the gradient", gradients, "log"),
        ("relative update", updates, "log"),
        ("dead units", dead, "share"),
        ("saturated entries", saturated, "share"),
    ]
    panels = [panel for panel in panels if panel[1]]
    rows = (len(panels) + 1) // 2
    figure = new_figure(figsize=(11, 3.4 * rows), layout="constrained")
    for number, (title, series, kind) in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, 2, number)
        _draw_lines(axes, layers, series)
        if kind == "log" and any(value > 0 for values in series.values() for value in values):
            axes.set_yscale("log", nonpositive="mask")
        elif kind == "share":
            axes.set(ylim=(-0.03, 1.03))
            axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
        if series is updates:
            axes.axhline(RIGHT, color="0.4", linestyle=":", zorder=1, label="about right")
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        if number % 2 == 0:  # both axes of a row have the same lines
            axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize="small", frameon=False)
    return figure


def _draw_lines(axes: Any, layers: Mapping[str, str], series: Series) -> None:
    """Lines from dark, the first layer, to light, the last; a single epoch is a point. Of many lines some are named."""
    import matplotlib.pyplot as plt

    colours = plt.get_cmap("viridis")
    last, every = len(series) - 1, math.ceil(len(series) / NAMES)
    for number, (path, values) in enumerate(series.items()):
        named = number % every == 0 or number == last
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=colours(0.9 * number / max(last, 1)),
            label=f"{path} {layers.get(path, '')}".strip() if named else None,
            marker="o" if len(values) == 1 else "",
        )
