"""What ONNX's operators RNN, LSTM and GRU are in nnlite: recurrent layers, and cells for a single step."""

from typing import Any

import numpy as np

from nnlite.interop.onnx.axes import is_put_in, transposed, without_axis
from nnlite.interop.onnx.operands import Operand, known, parameter, raise_unless
from nnlite.layers.arrangement import Stack
from nnlite.layers.gru import GRU, ZRH, GRUCell
from nnlite.layers.lstm import IOFC, LSTM, LSTMCell
from nnlite.layers.reshaping import Unflatten
from nnlite.layers.rnn import RNN, RNNCell

Given = Operand | None


class RecurrentOperators:
    """The operators. ``used`` says of each output whether it is used; see Operators for the rest."""

    def RNN(
        self, X: Operand, W: Operand, R: Operand, B: Given = None, sequence_lens: Given = None, initial_h: Given = None,
        *, activations: Any, used: tuple[bool, ...], **options: Any,
    ) -> Any:  # fmt: skip
        functions = {each.lower() for each in activations[: len(known(W))]}
        raise_unless(functions in ({"tanh"}, {"relu"}), "expected the activation Tanh or Relu")
        kind = Kind(RNN, RNNCell, (0,), nonlinearity=functions.pop())
        return kind.outputs(X, (W, R, B), sequence_lens, (initial_h,), used, **options)

    def LSTM(
        self, X: Operand, W: Operand, R: Operand, B: Given = None, sequence_lens: Given = None, initial_h: Given = None,
        initial_c: Given = None, P: Given = None,
        *, activations: Any = None, input_forget: int, used: tuple[bool, ...], **options: Any,
    ) -> Any:  # fmt: skip
        raise_unless(P is None and not input_forget, "expected no peepholes and no input_forget")
        check_activations(activations, ["Sigmoid", "Tanh", "Tanh"], W)
        return Kind(LSTM, LSTMCell, IOFC).outputs(X, (W, R, B), sequence_lens, (initial_h, initial_c), used, **options)

    def GRU(
        self, X: Operand, W: Operand, R: Operand, B: Given = None, sequence_lens: Given = None, initial_h: Given = None,
        *, activations: Any = None, linear_before_reset: int, used: tuple[bool, ...], **options: Any,
    ) -> Any:  # fmt: skip
        raise_unless(linear_before_reset == 1, "expected linear_before_reset=1, as PyTorch's GRU")
        check_activations(activations, ["Sigmoid", "Tanh"], W)
        return Kind(GRU, GRUCell, ZRH).outputs(X, (W, R, B), sequence_lens, (initial_h,), used, **options)


def check_activations(activations: Any, usual: list[str], W: Operand) -> None:
    """Raise unless the functions of the gates are the usual ones."""
    raise_unless(activations in (None, usual * len(known(W))), f"expected the activations {', '.join(usual)}")


def final_state(Y: Any, size: int, direction: str) -> Any:
    """The state at the last step of each direction, given Y (N, T, directions * size) of all steps."""
    if direction != "bidirectional":
        return Y[:, 0 if direction == "reverse" else -1]
    return Stack(1)(Y[:, -1, :size], Y[:, 0, size:])


class Kind:
    """The layer and the cell of an operator; ``order`` has for each gate of ONNX the place of that gate in ours."""

    def __init__(self, layer: Any, cell: Any, order: tuple[int, ...], **options: Any) -> None:
        self.layer, self.cell, self.order, self.options = layer, cell, order, options

    def outputs(
        self,
        X: Operand,
        parameters: tuple[Operand, Operand, Given],
        lengths: Given,
        states: tuple[Given, ...],
        used: tuple[bool, ...],
        *,
        direction: str,
        hidden_size: int | None = None,
        layout: int = 0,
        **more: Any,
    ) -> Any:
        """Y (T, directions, N, H) and the final states (directions, N, H), given X (T, N, D)."""
        raise_unless(not layout and not more, f"with {', '.join(more) or 'layout=1'}")
        raise_unless(len({state is None for state in states}) == 1, "expected all initial states, or none")
        arrays: list[Any] = [None if each is None else parameter(each) for each in parameters]
        W, R, B = arrays
        sizes = {"input_size": W.shape[2], "hidden_size": R.shape[2], "bias": B is not None, "dtype": W.dtype}
        options = sizes | self.options
        of_all_states = all(used[2:]) and len(used) > len(states) and any(used[:2])
        if lengths is None and direction != "bidirectional" and is_put_in(X.node, 0) and of_all_states:
            return self.of_one_step(without_axis(X.node, 0), options, arrays, states)
        both = direction == "bidirectional"
        last = not used[0] and not any(used[2:])
        h_of_Y = len(states) == 2 and used[:2] == (True, True) and not any(used[2:]) and lengths is None
        return_state = any(used[1:]) and not last and not h_of_Y
        all_used = used == (True,) * (1 + len(states))
        finals_alone = used == (False, True, True)
        raise_unless(all_used or finals_alone or not return_state, "expected Y, Y_h, both states or all to be used")
        layer = self.layer.from_saved(
            **options,
            bidirectional=both,
            reverse=direction == "reverse",
            last=last or finals_alone,
            return_state=return_state,
        )
        for n, part in enumerate(layer.sweeps or [layer]):
            self.set_parameters(part, arrays, n)
        given = {} if lengths is None else {"lengths": lengths.node}
        for name, state in zip(layer.state_names, states, strict=True):
            if state is not None:
                given[f"{name}0"] = transposed(state.node, 0, 1) if both else without_axis(state.node, 0)
        made = layer(transposed(X.node, 0, 1), **given)
        Y, *finals = made if return_state else (made,)
        if h_of_Y:
            finals = [final_state(Y, R.shape[2], direction)]
        directions = (2, R.shape[2])
        if last or finals_alone:
            h = Unflatten(1, directions)(Y) if both else Y
            if finals_alone:  # the last state of h and that of the layer are equal; a Graph wants both to be used
                finals[0] = (h + finals[0]) / 2
            finals = [transposed(each, 0, 1) if both else Unflatten(0, (1, -1))(each) for each in finals or [h]]
            return (Y, *finals)
        Y = transposed(Y, 0, 1)
        Y = transposed(Unflatten(2, directions)(Y), 1, 2) if both else Unflatten(1, (1, -1))(Y)
        return (Y, *[transposed(each, 0, 1) if both else Unflatten(0, (1, -1))(each) for each in finals])

    def of_one_step(self, X: Any, options: dict[str, Any], arrays: list[Any], states: tuple[Given, ...]) -> Any:
        """The outputs of a cell, given X (N, D)."""
        cell = self.cell.from_saved(**options)
        self.set_parameters(cell, arrays, 0)
        made = cell(X, *[without_axis(state.node, 0) for state in states if state is not None])
        finals = [Unflatten(0, (1, -1))(each) for each in (made if isinstance(made, tuple) else (made,))]
        return (Unflatten(0, (1, -1))(finals[0]), *finals)

    def set_parameters(self, layer: Any, arrays: list[Any], direction: int) -> None:
        """Give a cell, or a layer of one direction, the matrices and biases of a direction of the operator."""
        W, R, B = [None if A is None else A[direction] for A in arrays]
        layer.W_x, layer.W_h = self.in_our_order(W).T, self.in_our_order(R).T
        if B is not None:
            layer.b_x, layer.b_h = map(self.in_our_order, np.split(B, 2))

    def in_our_order(self, A: Any) -> Any:
        """The rows of the gates in the order of our layers."""
        gates = np.split(A, len(self.order))
        return np.concatenate([gates[self.order.index(n)] for n in range(len(gates))])
