"""History: what training measured, epoch by epoch."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class History(Mapping[str, list[float]]):
    """A mapping from the name of a series ("loss", "val_loss", "accuracy", ...) to its values, one per epoch.

    >>> history = History()
    >>> history.add({"loss": 0.7, "val_loss": 0.8})
    >>> history.add({"loss": 0.5, "val_loss": 0.6})
    >>> history["val_loss"]
    [0.8, 0.6]
    >>> history.epochs
    2
    """

    def __init__(self, series: Mapping[str, list[float]] | None = None) -> None:
        self._series = {name: list(values) for name, values in (series or {}).items()}
        if len({len(values) for values in self._series.values()}) > 1:
            lengths = {name: len(values) for name, values in self._series.items()}
            raise ValueError(f"History: expected series of one length, got {lengths}")

    def add(self, values: Mapping[str, float]) -> None:
        """Append one epoch's values.

        Raises:
            ValueError: the names are not those of the epochs before.
        """
        if self._series and values.keys() != self._series.keys():
            raise ValueError(f"History: expected values for {list(self._series)}, got {list(values)}")
        for name, value in values.items():
            self._series.setdefault(name, []).append(float(value))

    @property
    def epochs(self) -> int:
        """How many epochs are recorded."""
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
        """A plain dict with a copy of every series.

        >>> History({"loss": [0.7]}).to_dict()
        {'loss': [0.7]}
        """
        return {name: list(values) for name, values in self._series.items()}

    def to_json(self) -> str:
        """The series as JSON; ``History(json.loads(text))`` gives them back. NaN is written as NaN.

        >>> History({"loss": [0.7]}).to_json()
        '{"loss": [0.7]}'
        """
        return json.dumps(self._series)

    def plot(self) -> "Figure":
        """Draw each quantity on axes of its own, training beside validation; returns the matplotlib figure.

        ``figure.savefig("history.png")`` writes it; ``matplotlib.pyplot.show()`` opens a window.

        Raises:
            ValueError: there is no epoch to draw.
            ImportError: matplotlib, the extra ``plot``, is not installed.

        >>> figure = History({"loss": [0.7, 0.5], "val_loss": [0.8, 0.6]}).plot()
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss']
        """
        if not self.epochs:
            raise ValueError("History.plot: there is no epoch to draw")
        try:
            import matplotlib.pyplot as plt
            from matplotlib.ticker import MaxNLocator
        except ImportError as error:
            error.add_note("History.plot draws with matplotlib: install nnlite's extra 'plot'")
            raise
        names = [name for name in self if name.removeprefix("val_") not in self or not name.startswith("val_")]
        epochs = range(1, self.epochs + 1)
        marker = "o" if self.epochs == 1 else ""  # a line through one point is invisible
        figure, grid = plt.subplots(1, len(names), figsize=(5 * len(names), 3.5), layout="constrained", squeeze=False)
        for axes, name in zip(grid[0], names, strict=True):
            axes.plot(epochs, self[name], marker=marker, label="training")
            if "val_" + name in self:
                axes.plot(epochs, self["val_" + name], marker=marker, label="validation")
                axes.legend()
            axes.set(xlabel="epoch", ylabel=name)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(alpha=0.3)
        return figure
