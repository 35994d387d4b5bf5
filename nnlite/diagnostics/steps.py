"""forward_steps and backward_steps: a model's forward and backward, one layer at a time."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from nnlite.basics.trees import listed, spread
from nnlite.containers.argument_names import bound, gradient_names_of, input_names_of, is_plain, output_names_of
from nnlite.containers.branches import Residual
from nnlite.containers.graph import Graph
from nnlite.containers.sequential import Sequential
from nnlite.containers.slots import added, each_dX, put
from nnlite.diagnostics.layer_step import Step, gradient_name, sum_step
from nnlite.diagnostics.recording import stored_gradients
from nnlite.layer.layer import Layer, check_layer, inside
from nnlite.losses.loss import arguments_of
from nnlite.losses.per_output import check_loss

Steps = Generator[Step, None, Any]


def forward_steps(model: Layer, X: Any, target: Any = None, loss: Layer | None = None) -> Steps:
    """Run a model forward, one layer per step.

    Each step runs when it is asked for. After the last one the model is bit-identical to one after
    ``model.forward(X)``, so backward or :func:`backward_steps` may follow; until then, backward is a StateError.
    Sequential, Graph and Residual run layer by layer, at any depth; any other layer is one step.

    Args:
        model: any Layer; it runs in its current mode.
        X: the input; several as a tuple, or as a dict by name.
        target: the target of the loss.
        loss: a :class:`nnlite.Loss` behind the model. Without it, the model is itself a loss if there is a target.

    Yields:
        A :class:`Step` for each layer, after it ran. The generator returns the model's output.

    Raises:
        TypeError: ``model`` is not a Layer or ``loss`` not a Loss. Errors of a layer are raised at its step.

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
        inputs = X if target is None else tuple(arguments_of(model, X, target))
        steps: Steps = spread(partial(_forward, model, ""), inputs)
        return steps
    check_loss(loss)
    return _with_loss(model, X, target, loss)


def backward_steps(model: Layer, dY: Any = None, loss: Layer | None = None) -> Steps:
    """Run a model backward, one layer per step.

    Each step runs when it is asked for. The gradients are bit-identical to those of ``model.backward(dY)``; like that,
    it returns None if ``needs_dX`` is False. Where a value is used several times, the sum of its gradients is a step of
    its own; so are, at the end, the sums of tied gradients.

    Args:
        model: any Layer whose forward, or :func:`forward_steps`, has run.
        dY: the gradient of the output; several as a tuple, or as a dict by name. A model that is a loss or returns a
            single number needs none.
        loss: the loss behind the model, whose forward has run; backward then starts there.

    Yields:
        A :class:`Step` for each layer and each sum. The generator returns dX.

    Raises:
        TypeError: ``model`` is not a Layer or ``loss`` not a Loss. Errors of a layer are raised at its step.

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
    check_loss(loss)
    if dY is not None:
        raise TypeError("backward_steps: got both dY and loss, which computes dY; pass one of them")
    return _from_loss(model, loss)


def walked(steps: Steps) -> tuple[list[Step], Any]:
    """Return all steps, and what the generator returns.

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
    return (yield from _forward(loss, "loss", *arguments_of(loss, Y, target)))


def _from_loss(model: Layer, loss: Layer) -> Steps:
    dY = yield from _backward(loss, "loss")
    return (yield from spread(partial(_backward, model, ""), dY))


def _forward(layer: Layer, path: str, *Xs: Any, **named: Any) -> Steps:
    """Yield the steps of the layer's forward; return its result."""
    for container, through in _FORWARD.items():
        if is_plain(layer, container):
            layer._Y_shape = layer._Ys = None  # no backward before the last step
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
    yield Step("forward", path, model, {"X": X, "f": f}, {"Y": Y}, own_formulas=("Y = X + f",))
    return Y


def _backward(layer: Layer, path: str, *dYs: Any, **named: Any) -> Steps:
    """Yield the steps of the layer's backward; return its result."""
    for container, back in _BACKWARD.items():
        if is_plain(layer, container):
            return (yield from back(layer, path, *dYs, **named))
    dX = layer.backward(*dYs, **named)
    dXs = [] if dX is None else listed(dX)
    came = dict(zip(["d" + name for name in output_names_of(layer)], dYs, strict=False)) | named
    went = dict(zip(gradient_names_of(layer, gradients=len(dXs)), dXs, strict=False))
    gradients = {gradient_name(name): dP for name, dP in stored_gradients(layer).items()}
    yield Step("backward", path, layer, came, went, gradients)
    return dX


def _back_through_chain(model: Any, path: str, dY: Any = None, *more: Any, **named: Any) -> Steps:
    dY = model._several_dYs(dY, more, named) if named or more else model.check_dY(dY)
    if not model.layers:
        dY = dY.copy()
    for name, layer in reversed(list(model.named_children())[model._first_of_backward :]):
        with _placed(model, layer):
            dY = yield from spread(partial(_backward, layer, inside(path, name)), dY)
            if dY is None and layer.needs_dX and layer.differentiable_inputs(1):
                raise TypeError(
                    "backward returned None; did it forget to return dX? (inputs without one: without_gradient)"
                )
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
            names = gradient_names_of(layer, len(takes))
            for name, (slot, part) in zip(names, each_dX(layer, takes, dX), strict=False):
                sums.add(slot, inside(place, name), part)
    for slot in graph.differentiable_inputs(len(graph.input_names)) if graph.needs_dX else ():
        yield from sums.of(slot)
    yield from _sum_tied(graph, path)
    return graph._hand_back(sums.gradients) if graph.needs_dX else None


def _back_through_residual(model: Any, path: str, dY: Any) -> Steps:
    dY = model.check_dY(dY)
    yield Step("backward", path, model, {"dY": dY}, {"dX": dY, "df": dY}, own_formulas=("dX = dY", "df = dY"))
    dX_f = yield from _back_through_chain(model, path, dY)
    dX = dY + dX_f
    terms = {inside(path, "dY"): dY, inside(path, "dX_f"): dX_f}
    yield sum_step(model, inside(path, "X"), terms, dX)
    return dX


class _Sums:
    """The gradients in a graph's backward so far, and the terms that they are sums of."""

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
        """Yield the sum as a step, if it has several terms."""
        if len(self.terms[slot]) > 1:
            inputs = dict(enumerate(input_names_of(self.graph)))
            label = inputs.get(slot) or self.graph.wiring.labels()[slot]
            yield sum_step(self.graph, inside(self.path, label), self.terms[slot], self.gradients[slot])


def _sum_tied(model: Layer, path: str) -> Steps:
    """Do the same as :meth:`Layer.add_tied`, one step per parameter of a tied layer."""
    model.own_parts()
    paths = {id(layer): place for place, layer in model.named_layers(path)}
    names = {id(dP): inside(path, name) for name, dP in model.named_gradients()}
    for reference in model._tied:
        layer = reference.layer
        if type(layer).add_gradients is not Layer.add_gradients:
            layer.add_gradients()  # a method of the user's: no steps
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
    """Add the layer's place in the container to an error, as the container does."""
    try:
        yield
    except Exception as error:
        container._note_place(error, layer)
        raise
