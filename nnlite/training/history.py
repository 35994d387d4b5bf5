"""History: the values of each epoch of a training."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nnlite.basics.arrays import Array
from nnlite.optim.monitor import direction
from nnlite.training.history_plot import plot_history, plot_on

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class History(Mapping[str, list[float]]):
    """A mapping from the name of a series ("loss", "val_loss", "accuracy", ...) to its values, one per epoch.

    "penalty" is the penalty of the optimizers' weight decay at the end of the epoch, where there is one. "loss" does
    not include it: ``np.add(history["loss"], history["penalty"])`` is the penalized loss.

    Attributes:
        validation_rows: the indices of the rows that ``validation_split`` held back; None without it.
        remark: why the training ended before its last epoch, which epoch was restored, whether its weights are
            averaged; "" otherwise.
        converged: whether the method of :func:`nnlite.minimize` has ended by its tolerances; None after ``fit``.

    >>> history = History()
    >>> history.add({"loss": 0.7, "val_loss": 0.8})
    >>> history.add({"loss": 0.5, "val_loss": 0.6})
    >>> history["val_loss"]
    [0.8, 0.6]
    >>> history.epochs
    2
    """

    def __init__(self, series: Mapping[str, list[float]] | None = None) -> None:
        self.remark = ""
        self.converged: bool | None = None
        self.validation_rows: Array | None = None
        self._series = {name: list(values) for name, values in (series or {}).items()}
        if len({len(values) for values in self._series.values()}) > 1:
            lengths = {name: len(values) for name, values in self._series.items()}
            raise ValueError(f"History: expected series of one length, got {lengths}")

    def add(self, values: Mapping[str, float]) -> None:
        """Append the values of an epoch; a series without a value gets NaN."""
        epochs = self.epochs
        for name in self._series.keys() - values.keys():
            self._series[name].append(math.nan)
        for name, value in values.items():
            self._series.setdefault(name, [math.nan] * epochs).append(float(value))

    def amend(self, values: Mapping[str, float]) -> None:
        """Set values of the last epoch.

        >>> history = History({"loss": [0.7, 0.5]})
        >>> history.amend({"norm": 3.0})
        >>> history["norm"]
        [nan, 3.0]
        """
        epochs = self.epochs
        for name, value in values.items():
            self._series.setdefault(name, [math.nan] * epochs)[-1] = float(value)

    @property
    def epochs(self) -> int:
        """The number of epochs."""
        return len(next(iter(self._series.values()), []))

    def __getitem__(self, name: str) -> list[float]:
        if name not in self._series:
            raise KeyError(f"{name!r}; the series are {list(self._series)}")
        return self._series[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)

    def __repr__(self) -> str:
        if not self._series:
            return "History(no epochs)"
        shown = range(self.epochs) if self.epochs <= 10 else [*range(3), *range(self.epochs - 6, self.epochs)]
        widths = {name: max(11, len(name)) for name in self._series}
        lines = [f"{'epoch':>6}" + "".join(f"  {name:>{widths[name]}}" for name in self._series)]
        for before, epoch in zip([-1, *shown], shown, strict=False):
            if epoch != before + 1:
                lines.append(f"{'...':>6}")
            values = "".join(f"  {series[epoch]:>{widths[name]}.4g}" for name, series in self._series.items())
            lines.append(f"{epoch + 1:>6}{values}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, list[float]]:
        """A dict with a copy of every series, as ``pandas.DataFrame(history.to_dict())`` wants it.

        >>> History({"loss": [0.7]}).to_dict()
        {'loss': [0.7]}
        """
        return {name: list(values) for name, values in self._series.items()}

    def to_json(self) -> str:
        """The series as JSON; ``History(json.loads(text))`` reads them. NaN is written as NaN.

        >>> History({"loss": [0.7]}).to_json()
        '{"loss": [0.7]}'
        """
        import json  # here, since most programs that train need none of it

        return json.dumps(self._series)

    def best(self, name: str | None = None, *, mode: str = "auto") -> tuple[int, float]:
        """The epoch, counted from 1, with the best value of a series, and that value; the first of equal ones.

        Args:
            name: the series; by default "val_loss", or "loss" where there is no validation.
            mode: "min" if lower values are better, "max" if higher ones are, or "auto", by the name. NaN and infinity
                are never the best.

        Raises:
            KeyError: there is no such series.
            ValueError: no epoch has a finite value; another mode, or "auto" where the name does not tell.

        >>> history = History({"loss": [0.7, 0.5, 0.4], "val_loss": [0.8, 0.6, 0.9], "val_f1": [0.5, 0.6, 0.7]})
        >>> history.best(), history.best("val_f1")
        ((2, 0.6), (3, 0.7))
        """
        if name is None:
            name = "val_loss" if "val_loss" in self else "loss"
        finite = [(epoch, value) for epoch, value in enumerate(self[name], start=1) if math.isfinite(value)]
        best = min if direction(name, mode, "History.best") == "min" else max
        if not finite:
            raise ValueError(f"History.best: there is no epoch with a finite {name}")
        return best(finite, key=lambda pair: pair[1])

    def plot(self, name: str = "loss", *, ax: Any = None, label: str = "") -> "Figure":
        """Draw each quantity on axes of its own, training and validation; return the matplotlib figure.

        The losses of several outputs ("loss_0", "loss_u") are on the axes of the loss. A dotted line and a ring mark
        the best epoch, that of :meth:`best`; the legend has the value there, of the validation if there is one.
        ``figure.savefig("history.png")`` writes it; ``matplotlib.pyplot.show()`` opens a window.

        With ``ax`` one quantity is drawn on these axes, validation dashed. So several histories can be compared:
        ``for lr, history in histories.items(): history.plot(ax=ax, label=f"lr {lr}")``.

        Args:
            name: the quantity, if ``ax`` is given.
            ax: axes of matplotlib, as ``fig, ax = plt.subplots()`` makes them.
            label: what the legend calls the history, if ``ax`` is given.

        Raises:
            ValueError: there is no epoch.
            KeyError: there is no such series.
            ImportError: matplotlib is not installed; it is the extra ``plot``.

        >>> figure = History({"loss": [0.7, 0.5], "val_loss": [0.8, 0.6]}).plot()
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss']
        """
        if not self.epochs:
            raise ValueError("History.plot: there is no epoch")
        if ax is not None:
            plot_on(ax, self, name, f"{label}, " if label else "")
            return ax.figure  # type: ignore[no-any-return]
        try:
            best = self.best()[0]
        except (KeyError, ValueError):  # there is no finite loss
            best = None
        try:
            return plot_history(self, best)
        except ImportError as error:
            error.add_note("History.plot draws with matplotlib: install nnlite's extra 'plot'")
            raise
