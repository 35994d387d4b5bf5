"""profile: what each layer of a model costs, and how near that is to what the machine can do."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnlite import blas
from nnlite.arrays import Array, as_array, each_of, spread
from nnlite.checks import whole
from nnlite.diagnostics.measure import Quartiles, arrays_in, memory, quartiles_of
from nnlite.diagnostics.table import table
from nnlite.diagnostics.trace import watching
from nnlite.diagnostics.work import Work, known_work
from nnlite.layer import Layer, check_layer

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
        operations: on floating-point numbers, as :class:`nnlite.diagnostics.work.Work` counts them; None if unknown.
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
    >>> [row.layer for row in profile(nn.Sequential(nn.Tanh(), nn.ReLU()), np.ones(4), repeats=1).rows]
    ['Tanh()', 'ReLU()']
    """

    rows: tuple[LayerProfile, ...]
    total: LayerProfile

    def to_dict(self) -> dict[str, Any]:
        """A plain dict: "rows", a list of dicts, and "total". Times are in seconds.

        >>> import nnlite as nn
        >>> profile(nn.Tanh(), np.ones(4), repeats=1).to_dict()["total"]["forward"]["operations"]
        4
        """
        return {"rows": [row.to_dict() for row in self.rows], "total": self.total.to_dict()}

    def to_json(self) -> str:
        """:meth:`to_dict` as JSON.

        >>> import nnlite as nn
        >>> import json
        >>> json.loads(profile(nn.Tanh(), np.ones(4), repeats=1).to_json())["rows"][0]["layer"]
        'Tanh()'
        """
        import json  # as in History

        return json.dumps(self.to_dict())

    def __str__(self) -> str:
        rows = [line for row in (*self.rows, self.total) for line in _lines(row)]
        return table([HEAD, *rows], left=3, foot=2)

    __repr__ = __str__

    def plot(self) -> "Figure":
        """Draw each layer's forward and backward as bars, quartiles as whiskers, roofs as ticks; returns the figure.

        ``figure.savefig("profile.png")`` writes it; ``matplotlib.pyplot.show()`` opens a window.

        Raises:
            ImportError: matplotlib, the extra ``plot``, is not installed.

        >>> import nnlite as nn
        >>> profile(nn.Tanh(), np.ones(4), repeats=1).plot().axes[0].get_xlabel()
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


def profile(model: Layer, X: Any, target: Any = None, loss: Layer | None = None, *, repeats: int = 20) -> Profile:
    """Measure each layer's forward and backward: time, operations, bytes, and the share of this machine's roof.

    The model runs once, in the mode it is in and with its ``needs_dX``; then each layer runs again and again on the
    arrays that it got, and so does its roof: the bare products of the same matrices, or where a layer has none a bare
    copy, on one thread, that moves as many bytes. All of them take turns, the model as a whole among them, so that
    noise meets all alike. The roof leaves out all that the layer does beside that, such as the
    overhead of its calls, which for a small layer is most of the time. All is done on a copy; nothing is written on
    the model.

    Args:
        model: any Layer.
        X: its input, a batch of the size that matters to you: times depend on it. Of several a tuple or dict.
        target: the target of the loss.
        loss: a loss to put behind the model. Without it the model is itself a loss if there is a target; otherwise dY
            is all ones.
        repeats: how many samples of each time are taken, each of as many calls as take 0.1 ms, or of one. With 20 a
            profile takes about as long as 60 times the model itself.

    Operations of a layer of your own are unknown, ``?``, until ``nnlite.diagnostics.work.work`` is told of them.

    Raises:
        ValueError: ``repeats`` is below 1.
        TypeError: forward returns None, or X does not hold real numbers.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    >>> result = profile(model, np.ones((5, 3), np.float32), np.zeros((5, 2)), nn.MSELoss(), repeats=1)
    >>> [(row.path, row.forward.operations, row.backward.operations, row.cache_bytes) for row in result.rows]
    [('0', 70, 130, 60), ('1', 10, 30, 40), ('loss', 30, 10, 40)]
    >>> print(result)
    path   layer           pass      us  quartiles  kFLOP  kB  GFLOP/s  GB/s  % of roof  cache bytes
    ...
    """
    check_layer(model, "model")
    whole(repeats, "profile: repeats", least=1)
    model, loss = copy.deepcopy((model, loss))
    X = each_of(partial(as_array, name="X"), X)
    target = None if target is None else as_array(target, "target")

    def forward() -> Any:
        if loss is not None:
            return loss.forward(spread(model.forward, X), target)
        return spread(model.forward, X) if target is None else model.forward(X, target)

    def backward() -> Any:
        if loss is not None:
            return model.backward(loss.backward())
        return spread(model.backward, dY) if target is None else model.backward()

    calls: dict[tuple[str, str], tuple[partial[Any], Any]] = {}  # the last of each path and name, with its result

    def see(path: str, name: str, call: "partial[Any]", result: Any) -> None:
        calls[path, name] = call, result

    layers = dict(model.named_layers())
    with ExitStack() as stack:
        stack.enter_context(watching(model, see))
        if loss is not None:
            layers |= loss.named_layers("loss")
            stack.enter_context(watching(loss, see, "loss"))
        Y = forward()
        if Y is None:
            raise TypeError(f"{model.one_line()}: forward returned None; did it forget to return Y?")
        caches = {path: list(_cache(layer)) for path, layer in layers.items()}  # before backward adds to them
        dY = each_of(lambda Y: np.ones(np.shape(Y), np.result_type(Y)), Y)
        backward()

    leaves: dict[tuple[str, str], _Leaf] = {}
    operations: dict[str, list[int | None]] = {"forward": [], "backward": []}  # of each layer, containers included
    for path in [path for path, name in calls if name == "forward"]:
        layer, (call, Y) = layers[path], calls[path, "forward"]
        known = known_work(layer, next(iter(_arguments(call)), None), Y) or (None, None)
        for name, work in zip(("forward", "backward"), known, strict=True):
            if (path, name) in calls:
                operations[name].append(None if work is None else work.operations)
                if not any(layer.named_children()):
                    leaves[path, name] = _leaf(*calls[path, name], work, _touched(layer, name, work, caches[path]))

    *times, whole_forward, whole_backward = quartiles_of(
        [call for leaf in leaves.values() for call in (leaf.call, leaf.roof)] + [forward, backward], repeats
    )
    costs = {
        key: Cost(*own, leaf.operations, leaf.bytes, leaf.bare, roof)
        for (key, leaf), own, (_, roof, _) in zip(leaves.items(), times[::2], times[1::2], strict=True)
    }
    rows = tuple(
        LayerProfile(path, layers[path].one_line(), cost, costs.get((path, "backward")), memory(caches[path]))
        for (path, name), cost in costs.items()
        if name == "forward"
    )
    total = LayerProfile(
        "",
        "total",
        _sum(whole_forward, operations["forward"], [row.forward for row in rows]),
        _sum(whole_backward, operations["backward"], [row.backward for row in rows if row.backward]),
        memory(list(caches.values())),
    )
    return Profile(rows, total)


# ----------------------------------------------------------------------------------------------- measuring


class _Leaf(NamedTuple):
    """One direction of a layer, ready to be measured."""

    call: Callable[[], Any]
    roof: Callable[[], Any]
    bare: str
    operations: int | None
    bytes: int


def _leaf(call: "partial[Any]", result: Any, work: Work | None, touched: Sequence[Array]) -> _Leaf:
    """For ``call``, which reads its arguments, reads or writes ``touched``, and writes its result."""
    moved = memory([_arguments(call), touched, result])
    if work is not None and work.products:
        return _Leaf(call, _products(work.products), "GEMM", work.operations, moved)
    source = np.ones(max(moved // 2, 1), np.uint8)  # half of the bytes are read, and half written
    roof = partial(np.copyto, np.empty_like(source), source)
    return _Leaf(call, roof, "copy", None if work is None else work.operations, moved)


def _sum(times: Quartiles, operations: list[int | None], costs: list[Cost]) -> Cost:
    """The cost of what takes ``times`` and does all that the ``costs`` are of."""
    known = [count for count in operations if count is not None]
    count = sum(known) if len(known) == len(operations) else None
    return Cost(*times, count, sum(cost.bytes for cost in costs), "sum", sum(cost.roof for cost in costs))


def _products(products: Sequence[tuple[Array, Array]]) -> Callable[[], None]:
    calls = [partial(blas.matmul, A, B, out=A.dot(B)) for A, B in products]

    def run() -> None:
        for call in calls:
            call()

    return run


# -------------------------------------------------------------------------------------------------- bytes


def _arguments(call: "partial[Any]") -> list[Any]:
    return [*call.args, *call.keywords.values()]


def _cache(layer: Layer) -> Iterator[Array]:
    """The arrays in the layer's attributes, but for parameters and gradients."""
    own = [P for slots in (layer.named_parameters(), layer.named_gradients()) for _, P in slots]
    return (A for A in arrays_in(vars(layer)) if not any(np.may_share_memory(A, P) for P in own))


def _touched(layer: Layer, name: str, work: Work | None, cache: Sequence[Array]) -> list[Array]:
    """What the layer's forward or backward reads and writes beside its arguments and its result."""
    if work is None or work.reads is None:
        touched = [*cache, *(P for _, P in layer.named_parameters())]
    else:
        touched = list(work.reads)
    return touched if name == "forward" else [*touched, *(dP for _, dP in layer.named_gradients())]


# -------------------------------------------------------------------------------------------------- table


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
