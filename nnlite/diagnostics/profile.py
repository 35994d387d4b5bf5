"""profile: the cost of each layer of a model, compared with the limit of the machine."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import whole
from nnlite.basics.trees import each_of, listed, spread
from nnlite.compute import blas
from nnlite.compute.kernel import Kernel, numpy_function
from nnlite.containers.checkpointed import Checkpointed
from nnlite.diagnostics.profile_report import Cost, LayerProfile, Profile
from nnlite.diagnostics.run import Run
from nnlite.diagnostics.time_and_memory import Quartiles, arrays_in, memory, quartiles_of
from nnlite.layer.described import described
from nnlite.layer.flops import Flops
from nnlite.layer.layer import Layer, check_layer
from nnlite.losses.loss import Loss
from nnlite.losses.loss_arguments import arguments_of
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
                 us  quartiles  kFLOP  kB  % of roof
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
    for _, part in model.named_layers():
        if isinstance(part, Checkpointed):
            part.keeps_cache = False
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

    calls = list(_calls(run, caches))
    leaves = [call for call in calls if not any(layers[call.path].named_children())]
    with np.errstate(all="ignore"):  # where a layer writes into its input, its numbers drift
        measured = [function for leaf in leaves for function in (leaf.call, leaf.roof())]
        *times, whole_forward, whole_backward = quartiles_of([*measured, forward, backward], repeats)
    costs = {
        (leaf.path, leaf.method): Cost(*own, leaf.operations, leaf.bytes, leaf.bare, roof)
        for leaf, own, (_, roof, _) in zip(leaves, times[::2], times[1::2], strict=True)
    }
    rows = tuple(
        LayerProfile(path, layers[path].one_line(), cost, costs.get((path, "backward")), memory(caches[path]))
        for (path, method), cost in costs.items()
        if method == "forward"
    )

    def total(method: str, times: Quartiles) -> Cost:
        own = [cost for (_, name), cost in costs.items() if name == method]
        counts = [call.operations for call in calls if call.method == method]
        known = [count for count in counts if count is not None]
        operations = sum(known) if len(known) == len(counts) else None
        return Cost(*times, operations, sum(cost.bytes for cost in own), "sum", sum(cost.roof for cost in own))

    costs_of_all = total("forward", whole_forward), total("backward", whole_backward)
    return Profile(rows, LayerProfile("", "total", *costs_of_all, memory(list(caches.values()))), *_libraries())


class _Call:
    """The forward or backward of a layer, ready to be repeated.

    Args:
        path: of the layer.
        method: "forward" or "backward".
        call: it, with the arguments that it received.
        flops: its operations; None if they are unknown.
        touched: the arrays that it reads or writes beside its arguments.
        result: what it returned.
    """

    def __init__(
        self, path: str, method: str, call: "partial[Any]", flops: Flops | None, touched: Any, result: Any
    ) -> None:
        self.path, self.method, self.call = path, method, call
        self.operations = None if flops is None else flops.total
        self.products = flops.products if flops is not None else ()
        self.bytes = memory([[*call.args, *call.keywords.values()], touched, result])
        self.bare = "GEMM" if self.products else "copy"

    def roof(self) -> Callable[[], Any]:
        """The matrix products alone, or a copy of as many bytes."""
        if self.products:
            products = [partial(blas.matmul, A, B, out=A.dot(B)) for A, B in self.products]
            return lambda: [product() for product in products]
        source = np.ones(max(self.bytes // 8, 1), np.float32)  # half of the bytes are read, and half written
        return partial(np.negative, source, np.empty_like(source))  # memcpy is 40 times slower on some machines


def _calls(run: Run, caches: dict[str, list[Array]]) -> Iterator[_Call]:
    """The last forward of each layer, and its backward if it ran."""
    without_cache = {id(part) for part in _checkpointed_parts(run.model)}
    for call in {call.path: call for call in run.recording.forwards}.values():
        path, layer = call.path, call.layer
        if id(layer) in without_cache:
            layer.forward(*call.args, **call.named)
        known = flops_of(layer, next(iter((*call.args, *call.named.values())), None), call.Y) or (None, None)
        forward, backward = (_touched(layer, flops, caches[path]) for flops in known)
        yield _Call(path, "forward", partial(layer.forward, *call.args, **call.named), known[0], forward, call.Y)
        if call.dYs is not None:
            backward += [dP for _, dP in layer.named_gradients()]
            repeat = partial(layer.backward, *call.dYs, **call.named_dYs)
            yield _Call(path, "backward", repeat, known[1], backward, call.dX)


def _checkpointed_parts(model: Layer) -> Iterator[Layer]:
    """The layers whose cache has been dropped; see :func:`nnlite.checkpointed`."""
    for _, layer in model.named_layers():
        if isinstance(layer, Checkpointed):
            yield from (part for _, part in layer.layer.named_layers())


def _libraries() -> tuple[str, str]:
    """What computes elementwise formulas, and matrix products."""
    kernels = "numpy" if Kernel.make is numpy_function else "numba"
    if blas.matmul is not np.ndarray.dot:
        return kernels, "mkl"
    built: Any = np.show_config(mode="dicts")
    of_numpy = built["Build Dependencies"]["blas"]
    return kernels, f"numpy ({of_numpy['name']} {of_numpy['version']})"


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


def _cache(layer: Layer) -> Iterator[Array]:
    """The arrays in the layer's attributes, without parameters, gradients and buffers."""
    own = [P for slots in (layer.named_parameters(), layer.named_gradients(), layer.named_buffers()) for _, P in slots]
    return (A for A in arrays_in(vars(layer)) if not any(np.may_share_memory(A, P) for P in own))


def _touched(layer: Layer, flops: Flops | None, cache: Sequence[Array]) -> list[Array]:
    """The arrays that forward and backward read besides their arguments."""
    if flops is not None and flops.reads is not None:
        return list(flops.reads)
    return [*cache, *(P for slots in (layer.named_parameters(), layer.named_buffers()) for _, P in slots)]
