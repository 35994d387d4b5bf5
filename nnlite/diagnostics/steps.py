"""forward_steps and backward_steps: a model's forward and backward, one layer at a time."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from nnlite.basics.trees import listed, spread
from nnlite.containers.branches import Residual
from nnlite.containers.graph import Graph
from nnlite.containers.sequential import Sequential
from nnlite.containers.slots import added, each_dX, put
from nnlite.diagnostics.argument_names import bound, input_names_of, is_plain, output_names_of
from nnlite.diagnostics.layer_step import Step, gradient_name, stored_gradients, sum_step
from nnlite.layer.layer import Layer, check_layer, inside

Steps = Generator[Step, None, Any]


def forward_steps(model: Layer, X: Any, target: Any = None, loss: Layer | None = None) -> Steps:
    """Run a model forward, one layer for each step that is asked for.

    What the model holds when the walk is done is in every byte what ``model.forward(X)`` would leave, so a backward,
    or :func:`backward_steps`, may follow. Until then there is no backward: some layers hold this X and some the last
    one. Sequentials, graphs and residuals are walked through, whatever they stand in; any other layer is one step.

    Args:
        model: any Layer; it runs in the mode in which it is.
        X: its input; of several a tuple, or a dict by name.
        target: the target of the loss.
        loss: a loss to put behind the model. Without it the model is itself a loss if there is a target.

    Yields:
        a :class:`Step` for each layer, when it has run. What the generator returns is what the model gives.

    Raises:
        TypeError: ``model`` or ``loss`` is not a Layer; and all that the layers raise, from the step where they do.

    >>> import numpy as np, nnlite as nn
    >>> model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh())
    >>> for step in forward_steps(model, np.ones((1, 2))):
    ...     print(step.path, step.layer, {name: Y.shape for name, Y in step.outputs.items()})
    0 Linear(2 -> 3) {'Y': (1, 3)}
    1 Tanh() {'Y': (1, 3)}
    >>> model.backward(np.ones((1, 3))).shape
    (1, 2)
    """
    check_layer(model, "model")
    if loss is None:
        return _forward(model, "", X, target) if target is not None else spread(partial(_forward, model, ""), X)
    check_layer(loss, "loss")
    return _with_loss(model, X, target, loss)


def backward_steps(model: Layer, dY: Any = None, loss: Layer | None = None) -> Steps:
    """Run a model backward, one layer for each step that is asked for.

    All gradients are in every byte those of ``model.backward(dY)``. Where a value is used several times, the sum of its
    gradients is a step of its own, as soon as all of them are there; so are, at the end, the sums of tied gradients. Of
    ``needs_dX`` it makes what backward does.

    Args:
        model: any Layer; its forward has run, by itself or by :func:`forward_steps`.
        dY: the gradient of its output; of several a tuple, or a dict by name. It may be left out for a model that is a
            loss, or that gives a single number.
        loss: the loss that stands behind the model, and whose forward has run; the walk then starts there.

    Yields:
        a :class:`Step` for each layer and each sum. What the generator returns is dX.

    Raises:
        TypeError: ``model`` or ``loss`` is not a Layer; and all that the layers raise, from the step where they do.

    >>> import nnlite as nn
    >>> a, b = nn.Input("a"), nn.Input("b")
    >>> graph = nn.Graph([a, b], (a + b) * (b + 1))
    >>> J = graph.forward(2.0, 1.0)
    >>> for step in backward_steps(graph):
    ...     print(step.name, step.path, {name: float(dX) for name, dX in step.outputs.items()})
    backward 2 {'dX': 2.0, 'dY': 3.0}
    backward 1 {'dX': 3.0, 'dY': 3.0}
    backward 0 {'dX': 2.0, 'dY': 2.0}
    sum b {'db': 5.0}
    """
    check_layer(model, "model")
    if loss is None:
        return _backward(model, "") if dY is None else spread(partial(_backward, model, ""), dY)
    check_layer(loss, "loss")
    if dY is not None:
        raise TypeError("backward_steps: dY and loss: the loss gives dY; pass one of them")
    return _from_loss(model, loss)


def walked(steps: Steps) -> tuple[list[Step], Any]:
    """All the steps of a walk, and what its generator returns.

    >>> import numpy as np, nnlite as nn
    >>> steps, Y = walked(forward_steps(nn.Sequential(nn.Tanh(), nn.Exp()), np.zeros(1)))
    >>> [step.path for step in steps], Y
    (['0', '1'], array([1.]))
    """
    found = []
    while True:
        try:
            found.append(next(steps))
        except StopIteration as end:
            return found, end.value


def _with_loss(model: Layer, X: Any, target: Any, loss: Layer) -> Steps:
    Y = yield from spread(partial(_forward, model, ""), X)
    return (yield from _forward(loss, "loss", Y, target))


def _from_loss(model: Layer, loss: Layer) -> Steps:
    dY = yield from _backward(loss, "loss")
    return (yield from _backward(model, "", dY))


# -------------------------------------------------------------------------------------------------- forward


def _forward(layer: Layer, path: str, *Xs: Any, **named: Any) -> Steps:
    """The steps of the layer's forward; returns what that returns."""
    for container, through in _FORWARD.items():
        if is_plain(layer, container):
            layer._Y_shape = layer._Ys = None  # no backward before the end of the walk
            return (yield from through(layer, path, *Xs, **named))
    Y = layer.forward(*Xs, **named)
    inputs = bound(layer, Xs, named)
    yield Step("forward", path, layer, inputs, dict(zip(output_names_of(layer), listed(Y), strict=False)))
    return Y


def _through_chain(model: Any, path: str, *Xs: Any, **named: Any) -> Steps:
    X, *more = Xs or (None,)
    X = model._gathered(X, tuple(more), named)
    if not model.layers:
        X = model.check_X(X).copy()
    for name, layer in model.named_children():
        with _placed(model, layer):
            X = yield from spread(partial(_forward, layer, inside(path, name)), X)
            if X is None:
                raise TypeError("forward returned None; did it forget to return Y?")
    return model._record(X)


def _through_graph(graph: Any, path: str, *Xs: Any, **named: Any) -> Steps:
    values = graph._start(Xs, named)
    for (name, layer), (takes, gives, _) in zip(graph.named_children(), graph.wiring.wires, strict=True):
        with _placed(graph, layer):
            Y = yield from _forward(layer, inside(path, name), *[values[slot] for slot in takes])
            put(values, gives, Y)
    return graph._hand_out(values)


def _through_residual(model: Any, path: str, X: Any) -> Steps:
    f = yield from _through_chain(model, path, X)
    Y = model._joined(X, f)
    yield Step("forward", path, model, {"X": X, "f": f}, {"Y": Y}, said=("Y = X + f",))
    return Y


# -------------------------------------------------------------------------------------------------- backward


def _backward(layer: Layer, path: str, *dYs: Any, **named: Any) -> Steps:
    """The steps of the layer's backward; returns what that returns."""
    for container, back in _BACKWARD.items():
        if is_plain(layer, container):
            return (yield from back(layer, path, *dYs, **named))
    dX = layer.backward(*dYs, **named)
    dXs = [] if dX is None else listed(dX)
    names = input_names_of(layer, len(dXs))
    came = dict(zip(["d" + name for name in output_names_of(layer)], dYs, strict=False)) | named
    went = dict(zip(["d" + name for name in names], dXs, strict=False))
    yield Step("backward", path, layer, came, went, stored_gradients(layer))
    return dX


def _back_through_chain(model: Any, path: str, dY: Any = None, *more: Any, **named: Any) -> Steps:
    dY = model._several_dYs(dY, more, named) if named or more else model.check_dY(dY)
    if not model.layers:
        dY = dY.copy()
    for name, layer in reversed(list(model.named_children())[model._first_of_backward :]):
        with _placed(model, layer):
            dY = yield from spread(partial(_backward, layer, inside(path, name)), dY)
            if dY is None and layer.needs_dX:
                raise TypeError("backward returned None; did it forget to return dX?")
    yield from _sum_tied(model, path)
    return dY if model._needs_dX else None


def _back_through_graph(graph: Any, path: str, *dYs: Any, **named: Any) -> Steps:
    places = list(graph.wiring.places())
    sums = _Sums(graph, path, graph._start_backward(dYs, named))
    for index, (takes, gives, _) in graph._backward_walk:
        layer, place = graph.layers[index], inside(path, places[index])
        with _placed(graph, layer):
            for slot in gives:
                yield from sums.of(slot)
            dX = yield from _backward(layer, place, *[sums.gradients[slot] for slot in gives])
            for name, (slot, part) in zip(input_names_of(layer, len(takes)), each_dX(layer, takes, dX), strict=False):
                sums.add(slot, inside(place, "d" + name), part)
    for slot in range(len(graph.input_names) if graph.needs_dX else 0):
        yield from sums.of(slot)
    yield from _sum_tied(graph, path)
    return graph._hand_back(sums.gradients)


def _back_through_residual(model: Any, path: str, dY: Any) -> Steps:
    dY = model.check_dY(dY)
    yield Step("backward", path, model, {"dY": dY}, {"dX": dY, "df": dY}, said=("dX = dY", "df = dY"))
    dX_f = yield from _back_through_chain(model, path, dY)
    dX = dY + dX_f
    terms = {inside(path, "dY"): dY, inside(path, "dX_f"): dX_f}
    yield sum_step(model, inside(path, "X"), terms, dX)
    return dX


class _Sums:
    """The gradients that a graph has so far, as its backward has them, and the terms that they are sums of."""

    def __init__(self, graph: Any, path: str, gradients: list[Any]) -> None:
        self.graph, self.path, self.gradients = graph, path, gradients
        self.terms: dict[int, dict[str, Any]] = {slot: {} for slot in range(len(gradients))}
        for slot, name in zip(graph.wiring.outputs, output_names_of(graph), strict=True):
            self.terms[slot][inside(path, "d" + name)] = gradients[slot]

    def add(self, slot: int, name: str, part: Any) -> None:
        before = self.gradients[slot]
        self.gradients[slot] = part if before is None else added(before, part)
        self.terms[slot][name] = part

    def of(self, slot: int) -> Steps:
        """The sum as a step, if it has several terms."""
        if len(self.terms[slot]) > 1:
            inputs = dict(enumerate(input_names_of(self.graph)))
            label = inputs.get(slot) or self.graph.wiring.labels()[slot]
            yield sum_step(self.graph, inside(self.path, label), self.terms[slot], self.gradients[slot])


def _sum_tied(model: Layer, path: str) -> Steps:
    """As :meth:`Layer.add_tied`: each gradient of a tied layer is a term."""
    model.Phi  # noqa: B018 - as there
    paths = {id(layer): place for place, layer in model.named_layers(path)}
    names = {id(dP): inside(path, name) for name, dP in model.named_gradients()}
    for reference in model._tied:
        layer = reference.layer
        if type(layer).add_gradients is not Layer.add_gradients:
            layer.add_gradients()  # which no one can look into
            continue
        local = {id(dP): name for name, dP in (layer.original or layer).named_gradients()}
        for dP, own in layer.own_gradients():
            name = names.get(id(dP), "outside")
            place = inside(paths[id(layer)], local.get(id(dP), name))
            terms = {gradient_name(name): dP.copy(), gradient_name(place): own}
            dP += own
            yield sum_step(model, name, terms, dP)


_FORWARD: dict[type[Layer], Callable[..., Steps]] = {
    Residual: _through_residual,
    Sequential: _through_chain,
    Graph: _through_graph,
}
_BACKWARD: dict[type[Layer], Callable[..., Steps]] = {
    Residual: _back_through_residual,
    Sequential: _back_through_chain,
    Graph: _back_through_graph,
}


@contextmanager
def _placed(container: Any, layer: Layer) -> Iterator[None]:
    """While it lasts, an error is told in which layer of the container it arose, as the container itself does."""
    try:
        yield
    except Exception as error:
        container._note_place(error, layer)
        raise
