"""Stepping: a model's forward and backward, bit-identical to its own, one layer at a time.

Containers run here as in their own forward and backward, which are straight loops for the sake of speed.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from nnlite.basics.trees import listed, spread
from nnlite.containers.argument_names import bound, gradient_names_of, input_names_of, is_plain, output_names_of
from nnlite.containers.branches import Residual
from nnlite.containers.checkpointed import Checkpointed
from nnlite.containers.graph import Graph
from nnlite.containers.sequential import Sequential
from nnlite.containers.slots import added, each_dX, put
from nnlite.containers.stateful import Stateful
from nnlite.layer.layer import Layer
from nnlite.layer.parts import inside


class Move(NamedTuple):
    """What ran: one layer's forward or backward, or one sum of gradients.

    Attributes:
        name: "forward", "backward" or "sum".
        path: of the layer; for a sum, of what the gradient is of.
        layer: the layer; for a sum, the container that adds.
        inputs: X or dY, by name; for a sum, its terms.
        outputs: Y or dX, by name; for a sum, the sum.
        formulas: those of what a container computes itself.
    """

    name: str
    path: str
    layer: Layer
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    formulas: tuple[str, ...] = ()


Moves = Generator[Move, None, Any]


def forward_moves(layer: Layer, path: str, *Xs: Any, **named: Any) -> Moves:
    """Yield what runs in the layer's forward, each after it ran; return the result of forward.

    >>> import numpy as np, nnlite as nn
    >>> [move.path for move in forward_moves(nn.Sequential(nn.Tanh(), nn.Exp()), "", np.zeros(1))]
    ['0', '1']
    """
    for container, through in _FORWARD.items():
        if is_plain(layer, container):
            layer._Y_shape = layer._Ys = None  # no backward before the last step
            return (yield from through(layer, path, *Xs, **named))
    Y = layer.forward(*Xs, **named)
    inputs = bound(layer, Xs, named)
    yield Move("forward", path, layer, inputs, dict(zip(output_names_of(layer), listed(Y), strict=False)))
    return Y


def _through_chain(model: Any, path: str, *Xs: Any, **named: Any) -> Moves:
    X, *more = Xs or (None,)
    X = model._gathered(X, tuple(more), named)
    if not model.layers:
        X = model.check_X(X).copy()
    for name, layer in model.named_children():
        with _placed(model, layer):
            X = yield from spread(partial(forward_moves, layer, inside(path, name)), X)
            if X is None:
                raise TypeError("forward returned None; did it forget to return Y?")
    return model._record(X)


def _through_graph(graph: Any, path: str, *Xs: Any, **named: Any) -> Moves:
    values = graph._start(Xs, named)
    for (name, layer), (takes, gives, _) in zip(graph.named_children(), graph.wiring.wires, strict=True):
        with _placed(graph, layer):
            Y = yield from forward_moves(layer, inside(path, name), *[values[slot] for slot in takes])
            put(values, gives, Y)
    return graph._hand_out(values)


def _through_residual(model: Any, path: str, X: Any) -> Moves:
    f = yield from _through_chain(model, path, X)
    Y = model._joined(X, f)
    yield Move("forward", path, model, {"X": X, "f": f}, {"Y": Y}, ("Y = X + f",))
    return Y


def _through_checkpointed(layer: Any, path: str, *Xs: Any, **named: Any) -> Moves:
    before = layer.begin()
    Y = yield from forward_moves(layer.layer, inside(path, "layer"), *Xs, **named)
    return layer.keep(Y, Xs, named, before)


def _through_stateful(layer: Any, path: str, X: Any, lengths: Any = None) -> Moves:
    Ys = yield from forward_moves(layer.layer, inside(path, "layer"), X, lengths, *layer.first_states(X))
    return layer.note_final(*Ys)


def backward_moves(layer: Layer, path: str, *dYs: Any, **named: Any) -> Moves:
    """Yield what runs in the layer's backward, each after it ran; return the result of backward.

    >>> import numpy as np, nnlite as nn
    >>> model = nn.Sequential(nn.Tanh(), nn.Exp())
    >>> Y = model.forward(np.zeros(1))
    >>> [move.path for move in backward_moves(model, "", np.ones(1))]
    ['1', '0']
    """
    for container, back in _BACKWARD.items():
        if is_plain(layer, container):
            return (yield from back(layer, path, *dYs, **named))
    dX = layer.backward(*dYs, **named)
    dXs = [] if dX is None else listed(dX)
    came = dict(zip(["d" + name for name in output_names_of(layer)], dYs, strict=False)) | named
    went = dict(zip(gradient_names_of(layer, gradients=len(dXs)), dXs, strict=False))
    yield Move("backward", path, layer, came, went)
    return dX


def _back_through_chain(model: Any, path: str, dY: Any = None, *more: Any, **named: Any) -> Moves:
    dY = model._several_dYs(dY, more, named) if named or more else model.check_dY(dY)
    if not model.layers:
        dY = dY.copy()
    for name, layer in reversed(list(model.named_children())[model._first_of_backward :]):
        with _placed(model, layer):
            dY = yield from spread(partial(backward_moves, layer, inside(path, name)), dY)
            if dY is None and layer.needs_dX and layer.differentiable_inputs(1):
                raise TypeError(
                    "backward returned None; did it forget to return dX? (inputs without one: without_gradient)"
                )
    yield from _sum_tied(model, path)
    return dY if model._needs_dX else None


def _back_through_graph(graph: Any, path: str, *dYs: Any, **named: Any) -> Moves:
    places = list(graph.wiring.places())
    sums = _Sums(graph, path, graph._start_backward(dYs, named))
    for index, (takes, gives, _) in graph._backward_walk:
        layer, place = graph.layers[index], inside(path, places[index])
        with _placed(graph, layer):
            for slot in gives:
                yield from sums.of(slot)
            dX = yield from backward_moves(layer, place, *[sums.gradients[slot] for slot in gives])
            given = graph.wiring.given(takes)
            names = gradient_names_of(layer, given)
            for name, (slot, part) in zip(names, each_dX(layer, given, dX), strict=False):
                sums.add(slot, inside(place, name), part)
    for slot in graph.differentiable_inputs(len(graph.input_names)) if graph.needs_dX else ():
        yield from sums.of(slot)
    yield from _sum_tied(graph, path)
    return graph._hand_back(sums.gradients) if graph.needs_dX else None


def _back_through_residual(model: Any, path: str, dY: Any) -> Moves:
    dY = model.check_dY(dY)
    yield Move("backward", path, model, {"dY": dY}, {"dX": dY, "df": dY}, ("dX = dY", "df = dY"))
    dX_f = yield from _back_through_chain(model, path, dY)
    dX = dY + dX_f
    terms = {inside(path, "dY"): dY, inside(path, "dX_f"): dX_f}
    yield _sum(model, inside(path, "X"), terms, dX)
    return dX


def _back_through_checkpointed(layer: Any, path: str, *dYs: Any, **named: Any) -> Moves:
    dX = yield from backward_moves(layer.layer, inside(path, "layer"), *layer.run_again(dYs), **named)
    return layer.drop(dX)


def _back_through_stateful(layer: Any, path: str, dY: Any) -> Moves:
    dX = yield from backward_moves(layer.layer, inside(path, "layer"), *layer.each_dY(dY))
    return layer.dX_alone(dX)


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

    def of(self, slot: int) -> Moves:
        """Yield the sum as a step, if it has several terms."""
        if len(self.terms[slot]) > 1:
            inputs = dict(enumerate(input_names_of(self.graph)))
            label = inputs.get(slot) or self.graph.wiring.labels()[slot]
            yield _sum(self.graph, inside(self.path, label), self.terms[slot], self.gradients[slot])


def _sum_tied(model: Layer, path: str) -> Moves:
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
            yield _sum(model, name, terms, dP)


_FORWARD: dict[type[Layer], Callable[..., Moves]] = {
    Residual: _through_residual,
    Sequential: _through_chain,
    Graph: _through_graph,
    Checkpointed: _through_checkpointed,
    Stateful: _through_stateful,
}
_BACKWARD: dict[type[Layer], Callable[..., Moves]] = {
    Residual: _back_through_residual,
    Sequential: _back_through_chain,
    Graph: _back_through_graph,
    Checkpointed: _back_through_checkpointed,
    Stateful: _back_through_stateful,
}


@contextmanager
def _placed(container: Any, layer: Layer) -> Iterator[None]:
    """Add the layer's place in the container to an error, as the container does."""
    try:
        yield
    except Exception as error:
        container._note_place(error, layer)
        raise


def _sum(container: Layer, path: str, terms: dict[str, Any], total: Any) -> Move:
    """The sum of the gradients of what is at ``path``."""
    name = gradient_name(path)
    return Move("sum", path, container, terms, {name: total}, (f"{name} = {' + '.join(terms)}",))


def gradient_name(path: str) -> str:
    """The name of the gradient of what is called ``path``.

    >>> gradient_name("W"), gradient_name("0.W")
    ('dW', '0.dW')
    """
    before, dot, name = path.rpartition(".")
    return f"{before}{dot}d{name}"
