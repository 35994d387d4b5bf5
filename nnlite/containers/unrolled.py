"""unrolled: a recurrent layer as a Graph of cells, one for each time step, or of layers of one direction."""

from copy import deepcopy
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import whole
from nnlite.basics.shapes import Shape
from nnlite.containers.graph import Graph
from nnlite.containers.nodes import Input
from nnlite.containers.tied import tied
from nnlite.layer.layer import Layer
from nnlite.layers.activations import Identity
from nnlite.layers.arrangement import Concat, Stack
from nnlite.layers.indexing import Select
from nnlite.layers.recurrent import Recurrent


def unrolled(layer: Recurrent, steps: int | None = None, *, states: bool = False) -> Graph:
    """A recurrent layer as a Graph of cells, one for each time step of each of its layers and directions.

    The graph computes what the layer does for sequences of that many steps, ``h_t = cell(x_t, h_{t-1})``, and each step
    is an operation of its own: :func:`nnlite.forward_steps` and :func:`nnlite.backward_steps` go from one to the next,
    :func:`nnlite.explain` writes out all of them, :func:`nnlite.draw` draws them. Without ``steps`` the operations are
    layers of one direction, and so explain shows the recurrence of each part of a stack. The graph has copies of the
    parameters, in the order of the layer's ``Phi``; the cells of one direction share theirs (:func:`nnlite.tied`). It
    is slow: to train, use the layer.

    Args:
        layer: an RNN, LSTM or GRU with any options.
        steps: the number of time steps T; None for layers in place of cells.
        states: whether the graph has the first states as inputs, too: H0, and C0 of an LSTM.

    Shapes:
        As for the layer, without ``lengths``: X (N, T, D).

    Raises:
        TypeError: the layer is no recurrent one.
        ValueError: ``steps`` is below 1.

    Source: Werbos, Backpropagation through time: what it does and how to do it, 1990.

    >>> import nnlite as nn
    >>> layer = nn.GRU(2, 3, rng=0)
    >>> X = np.ones((1, 4, 2))
    >>> np.allclose(unrolled(layer, 4).forward(X), layer.forward(X))
    True
    >>> [step.path for step in nn.forward_steps(unrolled(layer, 2), X[:, :2])]
    ['0', '1', '2', '3', '4']
    >>> [part.one_line() for part in unrolled(nn.GRU(2, 3, bidirectional=True)).layers]
    ['GRU(2 -> 3)', 'GRU(2 -> 3, reverse=True)', 'Concat(dim=-1)']
    """
    if not isinstance(layer, Recurrent):
        raise TypeError(f"unrolled: expected an RNN, LSTM or GRU, got {layer!r}")
    if steps is not None:
        whole(steps, "unrolled: steps", least=1)
    X, first = Input("X"), [Input(f"{name}0") for name in layer.state_names if states]
    parts, directions = layer.sweeps or [layer], 1 + layer.bidirectional
    Y, finals = X, []
    for number in range(layer.num_layers):
        if number and layer.dropouts:
            Y = deepcopy(layer.dropouts[number - 1])(Y)
        last = layer.last and number == layer.num_layers - 1
        xs = [Select(1, t)(Y) for t in range(steps or 0)]
        Ys = []
        for n in range(number * directions, (number + 1) * directions):
            own = [Select(1, n)(S) for S in first] if layer.sweeps else first
            how = {"last": last, "return_state": layer.return_state}
            Y_n, *final = _cells(parts[n], xs, own, **how) if steps else _layer(parts[n], Y, own, **how)
            Ys.append(Y_n)
            finals.append(final)
        Y = Ys[0] if directions == 1 else Concat(dim=-1)(*Ys)
    if not layer.return_state:
        return Graph([X, *first], Y)
    of_all = [Stack(dim=1)(*each) if layer.sweeps else each[0] for each in zip(*finals, strict=True)]
    return Graph([X, *first], (Y, *of_all))


def _layer(part: Any, X: Any, states: list[Any], **how: bool) -> list[Any]:
    """Y and, if they are returned, the final states of a layer of one direction."""
    layer = type(part).from_saved(**part.saved_arguments() | how)
    layer.Phi = part.Phi
    Ys = layer(X, **dict(zip(("H0", "C0"), states, strict=False)))
    return list(Ys) if how["return_state"] else [Ys]


def _cells(part: Any, xs: list[Any], states: list[Any], *, last: bool, return_state: bool) -> list[Any]:
    """The same of cells."""
    cell, hs = part.cell(), []
    for t, x in enumerate(reversed(xs) if part.reverse else xs):
        new = (tied(cell) if t else cell)(x, *states)
        states = list(new) if cell.num_outputs > 1 else [new]
        hs.append(states[0])
    if not return_state and len(states) > 1:
        hs[-1] = HiddenState()(*states)
    # Of the last one a copy, since the state may be an output of its own.
    Y = Identity()(hs[-1]) if last else Stack(dim=1)(*(hs[::-1] if part.reverse else hs))
    return [Y, *states] if return_state else [Y]


class HiddenState(Layer):
    """The state H of an LSTM's last step, whose C nothing uses: ``Y = H``."""

    formulas = """
        Y = H
        dH = dY
        dC = zeros_like(C)
    """

    def forward(self, H: Any, C: Any) -> Array:
        self.C = C
        return self.record_Y(self.check_X(H, "H").copy())

    def backward(self, dY: Any) -> tuple[Array, Array]:
        dY = self.check_dY(dY)
        return dY.copy(), np.zeros_like(self.C)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]
