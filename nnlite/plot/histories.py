"""histories: one quantity of several trainings."""

from collections.abc import Mapping
from typing import Any

from nnlite.plot.new_axes import axes_or_new
from nnlite.training.history import History


def histories(histories: Mapping[str, History], name: str = "loss", *, ax: Any = None) -> Any:
    """Draw one quantity of several trainings over the epochs: training, and validation in the same colour and dashed.

    Args:
        histories: what ``fit`` returned, by the label of each, ``{"lr 0.1": history}``.
        name: the quantity, such as "loss" or "accuracy".
        ax: axes to draw on.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib, the extra ``plot``, is not installed.
        TypeError: ``histories`` is not a dict of them.
        ValueError: there is none, or one does not have the quantity.

    >>> import nnlite as nn
    >>> ax = nn.plot.histories({"a": nn.History({"loss": [2.0, 1.0]}), "b": nn.History({"loss": [1.5, 0.5]})})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['a, training', 'b, training']
    """
    if not isinstance(histories, Mapping) or not all(isinstance(each, History) for each in histories.values()):
        raise TypeError(f'plot.histories: expected a dict such as {{"lr 0.1": history}}, got {histories!r}')
    if not histories:
        raise ValueError("plot.histories: expected at least one history, got an empty dict")
    for label, history in histories.items():
        if name not in history:
            known = ", ".join(history)
            raise ValueError(f"plot.histories: the history {label!r} has no {name!r}; it has {known}")
    ax = axes_or_new(ax, "histories", figsize=(6.0, 4.0))
    for label, history in histories.items():
        history.plot(name, ax=ax, label=str(label))
    return ax
