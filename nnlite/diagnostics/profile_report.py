"""The result of profile: the cost of each layer as numbers, as a table and as a plot."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlite.diagnostics.text_table import WIDTH, shortened, text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEAD = "", "us", "quartiles", "kFLOP", "kB", "GFLOP/s", "GB/s", "% of roof"


@dataclass(frozen=True)
class Cost:
    """The cost of one forward or one backward.

    Attributes:
        q1: first quartile of the time, in seconds.
        median: median time of a call, in seconds.
        q3: third quartile.
        operations: floating-point operations, counted by :class:`nnlite.layer.flops.Flops`; None if unknown.
        bytes: the least memory traffic: each array that is read or written counts once. Forward reads its inputs and
            parameters and writes Y and its cache; backward reads dY, parameters and cache and writes gradients and dX.
        bare: the roof that the time is compared with: "GEMM", the layer's matrix products alone; "copy", a copy of the
            same number of bytes with the sign changed, if it has none or they are unknown; for the whole model "sum",
            the sum of all roofs.
        roof: median time of the roof, in seconds.

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
        """10^9 operations per second; None if unknown."""
        return None if self.operations is None else self.operations / self.median / 1e9

    @property
    def gb_per_second(self) -> float:
        """10^9 bytes per second."""
        return self.bytes / self.median / 1e9

    @property
    def share(self) -> float:
        """The fraction of the roof that is reached: 1 is the limit of this machine."""
        return self.roof / self.median

    def to_dict(self) -> dict[str, Any]:
        """All numbers by name.

        >>> Cost(1e-6, 1e-6, 1e-6, None, 2000, "copy", 0.5e-6).to_dict()["share"]
        0.5
        """
        rates = "gflop_per_second", "gb_per_second", "share"
        return vars(self) | {name: getattr(self, name) for name in rates}


@dataclass(frozen=True)
class LayerProfile:
    """The costs of one layer.

    Attributes:
        path: in the model; "loss" for the loss, "" for a model that is a single layer.
        layer: its repr.
        forward: the cost of forward.
        backward: the cost of backward; None if the model's backward skips the layer.
        cache_bytes: the memory that the layer's attributes hold after forward besides parameters, gradients and
            buffers: its cache, including its input if that is cached, and constants such as a loss's weight.

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
        """All fields by name, the costs as dicts; None for a missing backward."""
        backward = None if self.backward is None else self.backward.to_dict()
        return vars(self) | {"forward": self.forward.to_dict(), "backward": backward}


@dataclass(frozen=True)
class Profile:
    """The result of :func:`profile`; ``print`` shows it as a table of 80 columns.

    Attributes:
        rows: one for each layer that has no layers in it, in the order in which they run.
        total: the model and its loss, run as a whole; memory that several layers share counts once. Operations, bytes
            and roof are the sums over the layers.
        kernels: what computed elementwise formulas, "numpy" or "numba"; see :func:`nnlite.set_kernels`.
        blas: what computed matrix products, "mkl", or "numpy" and the library in it; see :func:`nnlite.set_blas`.

    >>> import nnlite as nn
    >>> [row.layer for row in nn.profile(nn.Sequential(nn.Tanh(), nn.ReLU()), np.ones(4), repeats=1).rows]
    ['Tanh()', 'ReLU()']
    """

    rows: tuple[LayerProfile, ...]
    total: LayerProfile
    kernels: str = "numpy"
    blas: str = "numpy"

    def to_dict(self) -> dict[str, Any]:
        """A plain dict: "rows", a list of dicts, "total", "kernels" and "blas". Times are in seconds.

        >>> import nnlite as nn
        >>> nn.profile(nn.Tanh(), np.ones(4), repeats=1).to_dict()["total"]["forward"]["operations"]
        4
        """
        rows = [row.to_dict() for row in self.rows]
        return {"rows": rows, "total": self.total.to_dict(), "kernels": self.kernels, "blas": self.blas}

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
        rows = *self.rows, self.total
        head, _, *lines = text_table([HEAD, *(line for row in rows for line in _lines(row))], left=1).splitlines()
        text = [head]
        for number, row in enumerate(rows):
            rule = ["-" * max(map(len, (head, *lines)))] * (number in (0, len(self.rows)))
            text += [*rule, shortened(f"{_label(row)}, cache {row.cache_bytes:,} bytes", WIDTH)]
            text += lines[2 * number : 2 * number + 2]
        text.append(shortened(f"kernels: {self.kernels}; matrix products: {self.blas}", WIDTH))
        return "\n".join(text)

    __repr__ = __str__

    def plot(self) -> "Figure":
        """Plot each layer's forward and backward as bars, quartiles as whiskers, roofs as ticks; returns the figure.

        ``figure.savefig("profile.png")`` writes it; ``matplotlib.pyplot.show()`` opens a window.

        Raises:
            ImportError: matplotlib, the extra ``plot``, is not installed.

        >>> import nnlite as nn
        >>> nn.profile(nn.Tanh(), np.ones(4), repeats=1).plot().axes[0].get_xlabel()
        'us'
        """
        try:
            from nnlite.basics.figures import new_figure
        except ImportError as error:
            error.add_note("Profile.plot needs matplotlib: install nnlite's extra 'plot'")
            raise
        figure = new_figure(figsize=(8, 1.2 + 0.5 * len(self.rows)), layout="constrained")
        axes = figure.add_subplot()
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
    """The two lines of a layer."""
    costs = {"  forward": row.forward, "  backward": row.backward}
    return [[name, *(_cells(cost) if cost else ["-"] * 7)] for name, cost in costs.items()]


def _cells(cost: Cost) -> list[str]:
    return [
        _digits(cost.median * 1e6),
        f"{_digits(cost.q1 * 1e6)}-{_digits(cost.q3 * 1e6)}",
        "?" if cost.operations is None else _digits(cost.operations / 1e3),
        _digits(cost.bytes / 1e3),
        "?" if cost.gflop_per_second is None else _digits(cost.gflop_per_second),
        _digits(cost.gb_per_second),
        f"{100 * cost.share:.0f} {cost.bare}",
    ]


def _digits(value: float) -> str:
    """Three significant digits, and all before the point."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}" if value else "0"


def _label(row: LayerProfile) -> str:
    return f"{row.path} {row.layer}".strip()
