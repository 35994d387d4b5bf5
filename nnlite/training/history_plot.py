"""plot_history: the figure of a History, with axes for the losses and for each metric."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3
Series = Mapping[str, Sequence[float]]


def plot_history(series: Series, best: int | None) -> "Figure":
    """Draw the series on a new figure, with a mark at the epoch ``best``, counted from 1, if there is one.

    >>> figure = plot_history({"loss": [0.7, 0.5], "val_loss": [0.8, 0.6]}, best=2)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['training', 'validation', 'best, epoch 2: 0.6']
    """
    from nnlite.basics.figures import new_figure

    grouped = panels(series)
    columns = min(len(grouped), COLUMNS)
    rows = math.ceil(len(grouped) / columns)
    figure = new_figure(figsize=(5 * columns, 3.5 * rows), layout="constrained")
    for number, (title, names) in enumerate(grouped.items(), start=1):
        axes = figure.add_subplot(rows, columns, number)
        for index, name in enumerate(names):
            part = "" if index == 0 else name.removeprefix(title + "_") + ", "
            _draw_pair(axes, series, name, part, index, dashed=len(names) > 1)
        if best is not None:
            _mark(axes, series, title, best)
        _finish(axes, title, len(series[names[0]]))
    return figure


def plot_on(axes: Any, series: Series, name: str, label: str) -> None:
    """Draw one quantity on axes that others may share: training, and validation in the same colour and dashed.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().add_subplot()
    >>> plot_on(axes, {"loss": [0.7, 0.5], "val_loss": [0.8, 0.6]}, "loss", "lr 0.1, ")
    >>> axes.get_legend_handles_labels()[1]
    ['lr 0.1, training', 'lr 0.1, validation']
    """
    last = max(len(series[name]), int(axes.dataLim.x1) if axes.has_data() else 1)
    kind = "validation" if name.startswith("val_") else "training"
    line = _draw_line(axes, series[name], label=label + kind)
    if "val_" + name in series:
        style = {"color": line.get_color(), "linestyle": "--"}
        _draw_line(axes, series["val_" + name], label=label + "validation", **style)
    _finish(axes, axes.get_ylabel() or name, last)


def _finish(axes: Any, title: str, last: int) -> None:
    """Legend, labels and ticks; the axes show the same epochs also where values at the ends are NaN."""
    from matplotlib.ticker import MaxNLocator

    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend()
    margin = max(0.4, 0.02 * last)
    axes.set(xlabel="epoch", ylabel=title, xlim=(1 - margin, last + margin))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(visible=True, alpha=0.3)


def panels(series: Series) -> dict[str, list[str]]:
    """The quantities on each axes, without those of the validation; the losses of several outputs share one.

    >>> panels({"loss": [], "loss_u": [], "f1": [], "val_loss": [], "val_loss_u": [], "val_f1": []})
    {'loss': ['loss', 'loss_u'], 'f1': ['f1']}
    """
    grouped: dict[str, list[str]] = {}
    for name in series:
        if name.startswith("val_") and name.removeprefix("val_") in series:
            continue
        panel = "loss" if name.startswith("loss_") and "loss" in series else name
        grouped.setdefault(panel, []).append(name)
    return grouped


def _draw_pair(axes: Any, series: Series, name: str, part: str, index: int, *, dashed: bool) -> None:
    """Draw training and validation: in two colours, or in one and dashed where there are several pairs."""
    first, second = (f"C{index}", f"C{index}") if dashed else ("C0", "C1")
    kind = "validation" if name.startswith("val_") else "training"
    _draw_line(axes, series[name], label=part + kind, color=first)
    if "val_" + name in series:
        style = "--" if dashed else "-"
        _draw_line(axes, series["val_" + name], label=part + "validation", color=second, linestyle=style)


def _draw_line(axes: Any, values: Sequence[float], **style: Any) -> Any:
    """Draw a line, with points at values between two that are not finite, which a line would not show."""
    finite = [False, *map(math.isfinite, values), False]
    alone = [i for i in range(len(values)) if finite[i + 1] and not finite[i] and not finite[i + 2]]
    (line,) = axes.plot(range(1, len(values) + 1), values, marker="o" if alone else "", markevery=alone, **style)
    return line


def _mark(axes: Any, series: Series, name: str, best: int) -> None:
    """Draw a line at the best epoch, and a ring around the value of the validation there, or of the training."""
    value = series["val_" + name if "val_" + name in series else name][best - 1]
    word = "best, " if name.removeprefix("val_") == "loss" else ""
    axes.axvline(best, color="0.5", linestyle=":", zorder=1)
    label = f"{word}epoch {best}: {value:.4g}"
    ring = {"marker": "o", "markersize": 10, "markerfacecolor": "none", "markeredgecolor": "black"}
    axes.plot([best], [value], linestyle="", label=label, zorder=3, **ring)
