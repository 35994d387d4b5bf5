"""confusion_matrix: which classes are taken for which."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlite.plot.new_axes import axes_or_new
from nnlite.training.metrics.classification import confusion_matrix as counts_of


def confusion_matrix(Y_pred: Any, Y: Any, *, names: Sequence[str] = (), ax: Any = None, **options: Any) -> Any:
    """Draw the confusion matrix: in row i and column j the number of samples of class i that are predicted as j.

    A cell is the darker, the larger its share of the row.

    Args:
        Y_pred: predictions, see :func:`nnlite.confusion_matrix`.
        Y: classes, likewise.
        names: the names of the classes, in order; their numbers by default.
        ax: axes to draw on.
        options: those of :func:`nnlite.confusion_matrix`, such as ``logits`` and ``threshold``.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib, the extra ``plot``, is not installed.
        ShapeError, ValueError: as :func:`nnlite.confusion_matrix`; or there is not a name for each class.

    >>> import nnlite as nn
    >>> ax = nn.plot.confusion_matrix([[0.9], [0.2], [0.7]], [[1], [1], [1]], names=["no", "yes"])
    >>> [text.get_text() for text in ax.texts]
    ['0', '0', '1', '2']
    """
    counts = counts_of(np.asarray(Y_pred), np.asarray(Y), **options)
    classes = len(counts)
    labels = [str(name) for name in names] if len(names) else [str(number) for number in range(classes)]
    if len(labels) != classes:
        raise ValueError(f"plot.confusion_matrix: names: expected {classes}, one for each class, got {len(labels)}")
    size = min(10.0, 2.5 + 0.5 * classes)
    ax = axes_or_new(ax, "confusion_matrix", figsize=(size, size))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else ("0.15" if count else "0.7")
        ax.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
    ticks = {"ticks": range(classes), "labels": labels}
    ax.set_xticks(
        **ticks, rotation=45 if max(map(len, labels)) > 3 else 0, ha="right" if max(map(len, labels)) > 3 else "center"
    )
    ax.set_yticks(**ticks)
    ax.set(xlabel="predicted", ylabel="true")
    ax.spines[:].set_visible(False)
    return ax
