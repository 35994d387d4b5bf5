"""Pictures in one line (extra ``plot``): what a model separates, what it has learned, how it trains.

Each function draws on ``ax``, or on a new figure, and returns the axes, so that ``ax.set_title`` and
``ax.figure.savefig("x.png")`` go on from there; a notebook shows it once. Histories and diagnostics of a training also
have a ``plot()`` of their own, and ``nnlite.draw`` draws the computational graph.
"""

from nnlite.plot.boundary import boundary
from nnlite.plot.confusion_matrix import confusion_matrix
from nnlite.plot.gradients import gradients
from nnlite.plot.histories import histories
from nnlite.plot.images import images
from nnlite.plot.surface import surface

__all__ = ["boundary", "confusion_matrix", "gradients", "histories", "images", "surface"]
