"""The result of profile: the cost of each layer as numbers and as a table."""

from dataclasses import asdict, dataclass
from typing import Any

from nnlite.diagnostics.text_table import WIDTH, shortened, text_table

HEAD = "", "us", "quartiles", "kFLOP", "kB", "% of roof"


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

    >>> Cost(q1=0.9e-6, median=1e-6, q3=1.2e-6, operations=4000, bytes=2000, bare="copy", roof=0.5e-6).share
    0.5
    """

    q1: float
    median: float
    q3: float
    operations: int | None
    bytes: int
    bare: str
    roof: float

    @property
    def share(self) -> float:
        """The fraction of the roof that is reached: 1 is the limit of this machine."""
        return self.roof / self.median


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
    """

    path: str
    layer: str
    forward: Cost
    backward: Cost | None
    cache_bytes: int

    def __str__(self) -> str:
        return f"{self.path} {self.layer}".strip()


@dataclass(frozen=True)
class Profile:
    """The result of :func:`profile`; ``print`` shows it as a table of 80 columns.

    Attributes:
        rows: one for each layer that has no layers in it, in the order in which they run.
        total: the model and its loss, run as a whole; memory that several layers share counts once. Operations, bytes
            and roof are the sums over the layers.
        kernels: what computed elementwise formulas, "numpy" or "numba"; see :func:`nnlite.set_kernels`.
        blas: what computed matrix products, "mkl", or "numpy" and the library in it; see :func:`nnlite.set_blas`.

    >>> import numpy as np, nnlite as nn
    >>> [row.layer for row in nn.profile(nn.Sequential(nn.Tanh(), nn.ReLU()), np.ones(4), repeats=1).rows]
    ['Tanh()', 'ReLU()']
    """

    rows: tuple[LayerProfile, ...]
    total: LayerProfile
    kernels: str = "numpy"
    blas: str = "numpy"

    def to_dict(self) -> dict[str, Any]:
        """All fields by name, the rows as a list of dicts, to write as JSON for example. Times are in seconds.

        >>> import numpy as np, nnlite as nn
        >>> nn.profile(nn.Tanh(), np.ones(4), repeats=1).to_dict()["total"]["forward"]["operations"]
        4
        """
        return asdict(self) | {"rows": [asdict(row) for row in self.rows]}

    def __str__(self) -> str:
        rows = *self.rows, self.total
        head, _, *lines = text_table([HEAD, *(line for row in rows for line in _lines(row))], left=1).splitlines()
        text = [head]
        for number, row in enumerate(rows):
            rule = ["-" * max(map(len, (head, *lines)))] * (number in (0, len(self.rows)))
            text += [*rule, shortened(f"{row}, cache {row.cache_bytes:,} bytes", WIDTH)]
            text += lines[2 * number : 2 * number + 2]
        text.append(shortened(f"kernels: {self.kernels}; matrix products: {self.blas}", WIDTH))
        return "\n".join(text)

    __repr__ = __str__


def _lines(row: LayerProfile) -> list[list[str]]:
    """The two lines of a layer."""
    costs = {"  forward": row.forward, "  backward": row.backward}
    return [[name, *(_cells(cost) if cost else ["-"] * 5)] for name, cost in costs.items()]


def _cells(cost: Cost) -> list[str]:
    return [
        _digits(cost.median * 1e6),
        f"{_digits(cost.q1 * 1e6)}-{_digits(cost.q3 * 1e6)}",
        "?" if cost.operations is None else _digits(cost.operations / 1e3),
        _digits(cost.bytes / 1e3),
        f"{100 * cost.share:.0f} {cost.bare}",
    ]


def _digits(value: float) -> str:
    """Three significant digits, and all before the point."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}" if value else "0"
