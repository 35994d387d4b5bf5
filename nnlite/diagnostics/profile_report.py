"""What profile found: the cost of each layer, as numbers, as a table and as a picture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlite.diagnostics.text_table import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEAD = "path", "layer", "pass", "us", "quartiles", "kFLOP", "kB", "GFLOP/s", "GB/s", "% of roof", "cache bytes"


@dataclass(frozen=True)
class Cost:
    """What one forward or one backward costs.

    Attributes:
        q1: seconds that a quarter of the samples stay below.
        median: seconds of a call.
        q3: seconds that three quarters of the samples stay below.
        operations: on floating-point numbers, as :class:`nnlite.diagnostics.flops.Work` counts them; None if unknown.
        bytes: that must be moved at least: each array that is read or written, once. Forward reads its inputs and
            parameters and writes Y and its cache; backward reads dY, parameters and cache, and writes gradients and dX.
        bare: what the roof is: the layer's matrix products alone, "GEMM", by the BLAS that is set; where it has none,
            or they are unknown, a "copy" that moves as many bytes; for a whole model the "sum" of its layers' roofs.
        roof: median seconds of that.

    >>> cost = Cost(q1=0.9e-6, median=1e-6, q3=1.2e-6, operations=4000, bytes=2000, bare="copy", roof=0.5e-6)
    >>> cost.gflop_per_second, cost.gb_per_second, cost.share
    (4.0, 2.0, 0.5)
    """

    q1: float
    median: float
    q3: float
    operations: int | None
    bytes: int
    bare: str
    roof: float

    @property
    def gflop_per_second(self) -> float | None:
        """10^9 operations a second; None if the operations are unknown."""
        return None if self.operations is None else self.operations / self.median / 1e9

    @property
    def gb_per_second(self) -> float:
        """10^9 bytes a second."""
        return self.bytes / self.median / 1e9

    @property
    def share(self) -> float:
        """The share of the roof that is reached: 1 is all that this machine can do."""
        return self.roof / self.median

    def to_dict(self) -> dict[str, Any]:
        """All the numbers by name.

        >>> Cost(1e-6, 1e-6, 1e-6, None, 2000, "copy", 0.5e-6).to_dict()["share"]
        0.5
        """
        rates = "gflop_per_second", "gb_per_second", "share"
        return vars(self) | {name: getattr(self, name) for name in rates}


@dataclass(frozen=True)
class LayerProfile:
    """One layer's costs.

    Attributes:
        path: in the model; "loss" for the loss, "" for a model that is itself a layer without parts.
        layer: its repr.
        forward: the cost of forward.
        backward: that of backward; None if the model's backward leaves the layer out.
        cache_bytes: what the layer's attributes keep alive after forward beside parameters and gradients: its cache,
            its input included if that is kept, and constants such as a loss's weight.

    >>> cost = Cost(1e-6, 1e-6, 1e-6, None, 2000, "copy", 0.5e-6)
    >>> LayerProfile("0", "Tanh()", cost, None, 400).to_dict()["backward"] is None
    True
    """

    path: str
    layer: str
    forward: Cost
    backward: Cost | None
    cache_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """All of it by name, the costs as dicts; None for a backward that there is not."""
        backward = None if self.backward is None else self.backward.to_dict()
        return vars(self) | {"forward": self.forward.to_dict(), "backward": backward}


@dataclass(frozen=True)
class Profile:
    """What :func:`profile` measured; ``print`` shows it as a table.

    Attributes:
        rows: one for each layer that has no layers in it, in the order in which they run.
        total: the model and its loss, run as a whole; what several layers keep counts once. Operations, bytes and roof
            are the sums of its layers'.

    >>> import nnlite as nn
    >>> [row.layer for row in nn.profile(nn.Sequential(nn.Tanh(), nn.ReLU()), np.ones(4), repeats=1).rows]
    ['Tanh()', 'ReLU()']
    """

    rows: tuple[LayerProfile, ...]
    total: LayerProfile

    def to_dict(self) -> dict[str, Any]:
        """A plain dict: "rows", a list of dicts, and "total". Times are in seconds.

        >>> import nnlite as nn
        >>> nn.profile(nn.Tanh(), np.ones(4), repeats=1).to_dict()["total"]["forward"]["operations"]
        4
        """
        return {"rows": [row.to_dict() for row in self.rows], "total": self.total.to_dict()}

    def to_json(self) -> str:
        """:meth:`to_dict` as JSON.

        >>> import nnlite as nn
        >>> import json
        >>> json.loads(nn.profile(nn.Tanh(), np.ones(4), repeats=1).to_json())["rows"][0]["layer"]
        'Tanh()'
        """
        import json  # as in History

        return json.dumps(self.to_dict())

    def __str__(self) -> str:
        rows = [line for row in (*self.rows, self.total) for line in _lines(row)]
        return text_table([HEAD, *rows], left=3, foot=2)

    __repr__ = __str__

    def plot(self) -> "Figure":
        """Draw each layer's forward and backward as bars, quartiles as whiskers, roofs as ticks; returns the figure.

        ``figure.savefig("profile.png")`` writes it; ``matplotlib.pyplot.show()`` opens a window.

        Raises:
            ImportError: matplotlib, the extra ``plot``, is not installed.

        >>> import nnlite as nn
        >>> nn.profile(nn.Tanh(), np.ones(4), repeats=1).plot().axes[0].get_xlabel()
        'us'
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            error.add_note("Profile.plot draws with matplotlib: install nnlite's extra 'plot'")
            raise
        figure, axes = plt.subplots(figsize=(8, 1.2 + 0.5 * len(self.rows)), layout="constrained")
        for name, color, shift in ("forward", "C0", -0.2), ("backward", "C1", 0.2):
            costs = [(place + shift, cost) for place, row in enumerate(self.rows) if (cost := getattr(row, name))]
            places = [place for place, _ in costs]
            quartiles = np.array([(cost.q1, cost.median, cost.q3) for _, cost in costs]).reshape(-1, 3).T * 1e6
            whiskers = np.diff(quartiles, axis=0)
            axes.barh(places, quartiles[1], 0.36, color=color, alpha=0.7, label=name)
            axes.errorbar(quartiles[1], places, xerr=whiskers, fmt="none", ecolor="0.3", elinewidth=1, capsize=2)
            roofs = [cost.roof * 1e6 for _, cost in costs]
            axes.plot(roofs, places, "k|", markersize=11, markeredgewidth=2, label="roof" if shift > 0 else "")
        axes.set(xlabel="us", yticks=range(len(self.rows)), yticklabels=[_label(row) for row in self.rows])
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
        axes.legend()
        return figure


def _lines(row: LayerProfile) -> list[list[str]]:
    """The two lines of a row."""
    lines = []
    for name, cost in ("forward", row.forward), ("backward", row.backward):
        first = [row.path, row.layer, name] if name == "forward" else ["", "", name]
        last = f"{row.cache_bytes:,}" if name == "forward" else ""
        lines.append([*first, *(_cells(cost) if cost else ["-"] * 7), last])
    return lines


def _cells(cost: Cost) -> list[str]:
    return [
        _number(cost.median * 1e6),
        f"{_number(cost.q1 * 1e6)}-{_number(cost.q3 * 1e6)}",
        "?" if cost.operations is None else _number(cost.operations / 1e3),
        _number(cost.bytes / 1e3),
        "?" if cost.gflop_per_second is None else _number(cost.gflop_per_second),
        _number(cost.gb_per_second),
        f"{100 * cost.share:.0f} {cost.bare}",
    ]


def _number(value: float) -> str:
    """Three digits, and all before the point."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}" if value else "0"


def _label(row: LayerProfile) -> str:
    return f"{row.path} {row.layer}".strip()
