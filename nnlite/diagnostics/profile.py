"""profile: the cost of each layer of a model, compared with the limit of the machine."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import whole
from nnlite.basics.trees import each_of, listed, spread
from nnlite.compute import blas
from nnlite.compute.kernel import Kernel, numpy_function
from nnlite.diagnostics.profile_report import Cost, LayerProfile, Profile
from nnlite.diagnostics.recording import LayerCall
from nnlite.diagnostics.run import Run
from nnlite.diagnostics.time_and_memory import Quartiles, arrays_in, memory, quartiles_of
from nnlite.layer.described import described
from nnlite.layer.flops import Flops
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss import Loss, arguments_of
from nnlite.losses.per_output import check_loss


def profile(model: Layer, X: Any, target: Any = None, loss: Layer | None = None, *, repeats: int = 20) -> Profile:
    """Measure each layer's forward and backward: time, operations, bytes, and the fraction of this machine's roof.

    The model runs once, in its current mode and with its ``needs_dX``. Then each layer runs repeatedly on the arrays
    that it received, and so does its roof: its matrix products alone or, if it has none, a single-threaded copy with
    the sign changed of the same number of bytes. Layers, roofs and the whole model run in turns, so that noise affects
    all of them alike. The roof does not include the overhead of calls, which dominates in small layers. Runs on a copy;
    the model stays unchanged.

    Args:
        model: any Layer.
        X: its input, a batch of the size of interest, since times depend on it; a tuple or dict if there are several.
        target: the target of the loss.
        loss: a loss for the model's output. Without it, a model with a target is itself a loss; otherwise dY is all
            ones.
        repeats: the number of samples of each time; a sample is as many calls as take 0.1 ms, at least one. With 20 a
            profile takes about 60 times as long as the model itself.

    Returns:
        A profile that prints as a table; see :class:`nnlite.diagnostics.profile_report.Profile`.

    The operations of a layer of your own are unknown, ``?``, unless it has ``flops_per_element`` or a method ``flops``.

    Raises:
        ValueError: ``repeats`` is below 1, or there is a loss and no target.
        TypeError: forward returns None, ``loss`` is not a Loss, or X does not hold real numbers.

    >>> import nnlite as nn
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    >>> result = profile(model, np.ones((5, 3), np.float32), np.zeros((5, 2)), nn.MSELoss(), repeats=1)
    >>> [(row.path, row.forward.operations, row.backward.operations, row.cache_bytes) for row in result.rows]
    [('0', 70, 130, 60), ('1', 10, 30, 40), ('loss', 30, 10, 80)]
    >>> print(result)
                 us  quartiles  kFLOP  kB  GFLOP/s  GB/s  % of roof
    ...
    """
    check_layer(model, "model")
    if loss is not None:
        check_loss(loss)
    whole(repeats, "profile: repeats", least=1)
    X = each_of(lambda X: np.array(as_array(X, "X")), X)  # copies: a layer may write into its input
    target = each_of(lambda target: None if target is None else np.array(as_array(target, "target")), target)
    run = Run(model, loss)
    model, loss = run.model, run.loss
    Y = run.forward(X, target)
    layers = dict(model.named_layers()) | (dict(loss.named_layers("loss")) if loss is not None else {})
    caches = {path: list(_cache(layer)) for path, layer in layers.items()}  # before backward adds to the cache
    dY = None if target is not None else each_of(lambda Y: np.ones(np.shape(Y), np.result_type(Y)), Y)
    run.backward(dY)

    def forward() -> Any:
        if loss is not None:
            return loss.forward(*arguments_of(loss, spread(model.forward, X), target))
        return spread(model.forward, X) if target is None else model.forward(*arguments_of(model, X, target))

    def backward() -> Any:
        if loss is not None:
            return spread(model.backward, loss.backward())
        return spread(model.backward, dY) if target is None else model.backward()

    leaves, operations = _measured_calls(run.recording.forwards, caches)
    measured = [call for leaf in leaves.values() for call in (leaf.call, leaf.roof)]
    with np.errstate(all="ignore"):  # where a layer writes into its input, its numbers drift
        *times, whole_forward, whole_backward = quartiles_of([*measured, forward, backward], repeats)
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
    return Profile(rows, total, *_libraries())


# ----------------------------------------------------------------------------------------------- measuring


class _Leaf(NamedTuple):
    """The forward or backward of a layer, ready to be measured."""

    call: Callable[[], Any]
    roof: Callable[[], Any]
    bare: str
    operations: int | None
    bytes: int


def _measured_calls(
    calls: Sequence[LayerCall], caches: dict[str, list[Array]]
) -> tuple[dict[tuple[str, str], _Leaf], dict[str, list[int | None]]]:
    """Forward and backward of the layers without parts, and the operations of all layers."""
    leaves: dict[tuple[str, str], _Leaf] = {}
    operations: dict[str, list[int | None]] = {"forward": [], "backward": []}
    for call in {call.path: call for call in calls}.values():
        path, layer = call.path, call.layer
        known = flops_of(layer, next(iter((*call.args, *call.named.values())), None), call.Y) or (None, None)
        repeated = {"forward": (partial(layer.forward, *call.args, **call.named), call.Y)}
        if call.dYs is not None:
            repeated["backward"] = partial(layer.backward, *call.dYs, **call.named_dYs), call.dX
        for (name, (repeat, result)), count in zip(repeated.items(), known, strict=False):
            operations[name].append(None if count is None else count.total)
            if not any(layer.named_children()):
                leaves[path, name] = _leaf(repeat, result, count, _touched(layer, name, count, caches[path]))
    return leaves, operations


def _leaf(call: "partial[Any]", result: Any, count: Flops | None, touched: Sequence[Array]) -> _Leaf:
    """The leaf of ``call``, which reads its arguments, reads or writes ``touched``, and writes its result."""
    moved = memory([_arguments(call), touched, result])
    if count is not None and count.products:
        return _Leaf(call, _bare_products(count.products), "GEMM", count.total, moved)
    source = np.ones(max(moved // 8, 1), np.float32)  # half of the bytes are read, and half written
    roof = partial(np.negative, source, np.empty_like(source))  # memcpy is 40 times slower on some machines
    return _Leaf(call, roof, "copy", None if count is None else count.total, moved)


def _libraries() -> tuple[str, str]:
    """What computes elementwise formulas, and matrix products."""
    kernels = "numpy" if Kernel.make is numpy_function else "numba"
    if blas.matmul is not np.ndarray.dot:
        return kernels, "mkl"
    built: Any = np.show_config(mode="dicts")
    of_numpy = built["Build Dependencies"]["blas"]
    return kernels, f"numpy ({of_numpy['name']} {of_numpy['version']})"


def _sum(times: Quartiles, operations: list[int | None], costs: list[Cost]) -> Cost:
    """The total cost of layers with these ``costs`` that take ``times`` together."""
    known = [count for count in operations if count is not None]
    count = sum(known) if len(known) == len(operations) else None
    return Cost(*times, count, sum(cost.bytes for cost in costs), "sum", sum(cost.roof for cost in costs))


def _bare_products(products: Sequence[tuple[Array, Array]]) -> Callable[[], None]:
    calls = [partial(blas.matmul, A, B, out=A.dot(B)) for A, B in products]

    def run() -> None:
        for call in calls:
            call()

    return run


def flops_of(layer: Layer, X: Any, Y: Any) -> tuple[Flops, Flops] | None:
    """The operations of ``layer``'s forward and backward, after forward(X, ...) returned Y; None if unknown.

    They are unknown for a subclass that overrides forward or backward and says nothing new.

    >>> import nnlite as nn
    >>> class Loud(nn.Tanh):
    ...     def forward(self, X):
    ...         return super().forward(2 * X)
    >>> X = np.ones(4)
    >>> flops_of(nn.Tanh(), X, X)[0].total, flops_of(Loud(), X, X) is None
    (4, True)
    """
    count = described(layer, "flops", "forward", "backward")
    if count is not None:
        return count(X, Y)  # type: ignore[no-any-return]
    per_element = described(layer, "flops_per_element", "forward", "backward")
    if per_element is None:
        return None
    forward, backward = per_element
    if isinstance(layer, Loss):  # its Y is a sum of as many elements as X has
        forward, Y = forward + (layer.reduction != "none"), X
    size = sum(map(np.size, listed(Y)))
    return Flops(elementwise=round(forward * size)), Flops(elementwise=round(backward * size))


# -------------------------------------------------------------------------------------------------- bytes


def _arguments(call: "partial[Any]") -> list[Any]:
    return [*call.args, *call.keywords.values()]


def _cache(layer: Layer) -> Iterator[Array]:
    """The arrays in the layer's attributes, without parameters, gradients and buffers."""
    own = [P for slots in (layer.named_parameters(), layer.named_gradients(), layer.named_buffers()) for _, P in slots]
    return (A for A in arrays_in(vars(layer)) if not any(np.may_share_memory(A, P) for P in own))


def _touched(layer: Layer, name: str, count: Flops | None, cache: Sequence[Array]) -> list[Array]:
    """The arrays that forward or backward reads and writes besides its arguments and its result."""
    if count is None or count.reads is None:
        touched = [*cache, *(P for slots in (layer.named_parameters(), layer.named_buffers()) for _, P in slots)]
    else:
        touched = list(count.reads)
    return touched if name == "forward" else [*touched, *(dP for _, dP in layer.named_gradients())]
