"""new_figure: a figure of matplotlib; imported where something is drawn, since it imports matplotlib."""

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure


def new_figure(**options: Any) -> Figure:
    """A new figure of pyplot, which a notebook shows once.

    >>> figure = new_figure(figsize=(4, 3))
    >>> figure is plt.gcf()
    True
    """
    return plt.figure(FigureClass=NotebookFigure, **options)


class NotebookFigure(Figure):
    """A figure that a notebook shows once, as the result of a cell or at its end.

    The inline backend shows each figure of pyplot at the end of a cell, also one that IPython has shown as its result.

    >>> isinstance(new_figure(), NotebookFigure)
    True
    """

    def _ipython_display_(self) -> None:
        """Close the figure in pyplot before it is shown, so that it is not shown again; IPython calls this first."""
        if "inline" in mpl.get_backend() and plt.fignum_exists(getattr(self, "number", -1)):
            plt.close(self)
        raise NotImplementedError  # IPython goes on to its other ways of showing a figure
