"""axes_or_new: the axes to draw on."""

from typing import Any


def axes_or_new(ax: Any, function: str, *, figsize: tuple[float, float] = (5.0, 4.0)) -> Any:
    """The axes that were given, or those of a new figure, which a notebook shows once.

    Raises:
        ImportError: matplotlib, the extra ``plot``, is not installed.
        TypeError: ``ax`` is something else than axes.

    >>> axes_or_new(None, "images").figure.axes
    [<Axes: >]
    """
    if ax is None:
        try:
            from nnlite.basics.figures import new_figure
        except ImportError as error:
            error.add_note(f"nnlite.plot.{function} draws with matplotlib: install nnlite's extra 'plot'")
            raise
        return new_figure(figsize=figsize, layout="constrained").add_subplot()
    if not hasattr(ax, "imshow"):
        raise TypeError(f"plot.{function}: ax: expected axes, such as of fig, ax = plt.subplots(), got {ax!r}")
    return ax
