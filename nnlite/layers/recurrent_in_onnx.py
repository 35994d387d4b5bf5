"""Recurrent layers and their cells in ONNX's operators RNN, LSTM and GRU, for their method ``onnx``.

ONNX has steps first and samples second, directions as an axis of their own, and gates one below the other: ``order``
has, for each gate of ONNX, the place of that gate in ours.
"""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array

INT32 = 6  # onnx.TensorProto.INT32


def layer_in_onnx(
    layer: Any, operator: Any, order: tuple[int, ...], X: Any, lengths: Any, states: tuple[Any, ...], **options: Any
) -> Any:
    """The outputs of a recurrent layer, or of a stack: one operator for each of the layers above each other.

    Args:
        layer: RNN, LSTM or GRU.
        operator: such as ``graph.LSTM``.
        order: see above.
        X: (N, T, D), and further inputs of forward:
        lengths: (N,), or None.
        states: H0, and for LSTM C0, or None.
        options: attributes of the operator.
    """
    graph, directions = X.graph, 1 + layer.bidirectional
    parts = layer.sweeps or [layer]
    options["sequence_lens"] = None if lengths is None else graph.Cast(lengths, to=INT32)
    options["direction"] = "bidirectional" if layer.bidirectional else "reverse" if layer.reverse else "forward"
    Y, finals = graph.Transpose(X, perm=(1, 0, 2)), []
    initial = [_of_each_layer(layer, graph, S) for S in states]
    for first, *own in zip(range(0, len(parts), directions), *initial, strict=True):
        above = parts[first : first + directions]
        Y, *final = operator_over_steps(operator, order, above, Y, tuple(own), **options)
        finals.append(final)
        Y = _side_by_side(layer, graph, Y, 1)
    Y = _side_by_side(layer, graph, finals[-1][0], 0) if layer.last else graph.Transpose(Y, perm=(1, 0, 2))
    if not layer.return_state:
        return Y
    return Y, *(_states_of_samples(layer, graph, each) for each in zip(*finals, strict=True))


def cell_in_onnx(
    cell: Any, operator: Any, order: tuple[int, ...], X: Any, states: tuple[Any, ...], **options: Any
) -> Any:
    """The new states of a cell: the operator over one step. For the arguments see :func:`layer_in_onnx`."""
    graph = X.graph
    X, *states_of_step = [A if A is None else graph.Unsqueeze(A, (0,)) for A in (X, *states)]
    _, *finals = operator_over_steps(operator, order, [cell], X, tuple(states_of_step), **options)
    new = tuple([graph.Squeeze(S, (0,)) for S in finals])
    return new if len(new) > 1 else new[0]


def operator_over_steps(
    operator: Any, order: tuple[int, ...], parts: list[Any], X: Any, states: tuple[Any, ...], **options: Any
) -> Any:
    """Y (T, directions, N, H) and the final states (directions, N, H) of one operator.

    Args:
        operator: such as ``graph.LSTM``.
        order: see above.
        parts: the layer or cell of each direction, which have the parameters.
        X: (T, N, D).
        states: the first ones, (directions, N, H) each, or None.
        options: attributes of the operator and further inputs.
    """
    W, R = (np.stack([_gates(getattr(part, name).T, order) for part in parts]) for name in ("W_x", "W_h"))
    B = None
    if parts[0].b_x is not None:
        B = np.stack([np.concatenate([_gates(b, order) for b in (part.b_x, part.b_h)]) for part in parts])
    initial = dict(zip(("initial_h", "initial_c"), states, strict=False))
    sizes = {"hidden_size": parts[0].hidden_size, "outputs": 1 + len(states)}
    return operator(X, W, R, B, **initial, **sizes, **options)


def _gates(A: Array, order: tuple[int, ...]) -> Array:
    """Rows of gates in another order."""
    return np.concatenate([np.split(A, len(order))[gate] for gate in order])


def _side_by_side(layer: Any, graph: Any, Y: Any, axis: int) -> Any:
    """(..., directions, N, H) as (..., N, directions H); the axis is that of the directions."""
    if not layer.bidirectional:
        return graph.Squeeze(Y, (axis,))
    Y = graph.Transpose(Y, perm=(*range(axis), axis + 1, axis, axis + 2))
    return graph.Reshape(Y, (0,) * (axis + 1) + (2 * layer.hidden_size,))


def _of_each_layer(layer: Any, graph: Any, S: Any) -> Any:
    """States (N, H) or (N, S, H), or None, as those of the layers above each other, (directions, N, H) each."""
    if S is None or not layer.sweeps:
        return [S if S is None else graph.Unsqueeze(S, (0,))] * layer.num_layers
    S = graph.Transpose(S, perm=(1, 0, 2))
    if layer.num_layers == 1:
        return [S]
    return graph.Split(S, split=(1 + layer.bidirectional,) * layer.num_layers, axis=0, outputs=layer.num_layers)


def _states_of_samples(layer: Any, graph: Any, finals: tuple[Any, ...]) -> Any:
    """The final states of the layers, (directions, N, H) each, as (N, S, H) or (N, H)."""
    if not layer.sweeps:
        return graph.Squeeze(finals[0], (0,))
    return graph.Transpose(finals[0] if len(finals) == 1 else graph.Concat(*finals, axis=0), perm=(1, 0, 2))
