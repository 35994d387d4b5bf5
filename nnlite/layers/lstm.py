"""Long short-term memory: LSTM over the steps of sequences, and LSTMCell, one step of it."""

from itertools import pairwise
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import blas, lstm_loops
from nnlite.compute.kernels import sigmoid, sigmoid_backward, tanh_backward
from nnlite.layers.recurrence import Cell
from nnlite.layers.recurrent import Recurrent
from nnlite.layers.recurrent_in_onnx import cell_in_onnx, layer_in_onnx

IOFC = 0, 3, 1, 2  # the gates in ONNX's order


class LSTMCell(Cell):
    """One step of an :class:`LSTM`: the states ``C' = F C + I G`` and ``H' = O tanh(C')``.

    The gates are ``A = X W_x + b_x + H W_h + b_h``, of four parts side by side: ``I = sigmoid(A1)`` (input), ``F =
    sigmoid(A2)`` (forget), ``G = tanh(A3)`` (the new content) and ``O = sigmoid(A4)`` (output).

    Backward, with ``dC = dC' + dH' O (1 - tanh(C')^2)``: ``dA1 = dC G I (1 - I)``, ``dA2 = dC C F (1 - F)``, ``dA3 =
    dC I (1 - G^2)``, ``dA4 = dH' tanh(C') O (1 - O)``, and then as in :class:`Linear`: ``dW_x = X^T dA``, ``dW_h = H^T
    dA``, ``dX = dA W_x^T``, ``dH = dA W_h^T``; the old C gets ``dC F``.

    Args:
        input_size, hidden_size, bias, weight_init, recurrent_init, dtype, rng: as for :class:`LSTM`.

    Shapes:
        X (N, D), H and C (N, H), zeros if they are not given; forward returns H' and C' (N, H). W_x (D, 4 H), W_h
        (H, 4 H), b_x and b_h (4 H,), with the gates in the order I, F, G, O. backward returns dX, dH and dC, or dX
        alone if H and C were not given.

    Raises:
        TypeError: only one of H and C was given, or an input does not hold real numbers.
        ShapeError: an input has another shape.

    Source: Hochreiter and Schmidhuber, Long short-term memory, 1997; the forget gate: Gers, Schmidhuber and Cummins,
    Learning to forget, 2000.

    >>> cell = LSTMCell(2, 3, rng=0)
    >>> H, C = cell.forward(np.ones((5, 2)))
    >>> H, C = cell.forward(np.ones((5, 2)), H, C)
    >>> H.shape, C.shape
    ((5, 3), (5, 3))
    """

    gates = 4
    num_outputs = 2
    state_names = ("H", "C")
    formulas = """
        A = X @ W_x + b_x + (H @ W_h if given else absent) + b_h
        I = sigmoid(split(A, sizes=parts, axis=1)[0])
        F = sigmoid(split(A, sizes=parts, axis=1)[1])
        G = tanh(split(A, sizes=parts, axis=1)[2])
        O = sigmoid(split(A, sizes=parts, axis=1)[3])
        C_new = (F * C if given else absent) + I * G
        H_new = O * tanh(C_new)
        dS = dC_new + dH_new * O * (1 - tanh(C_new) ** 2)
        dI = dS * G * I * (1 - I)
        dF = dS * C * F * (1 - F) if given else zeros_like(F)
        dG = dS * I * (1 - G * G)
        dO = dH_new * tanh(C_new) * O * (1 - O)
        dA = concatenate([dI, dF, dG, dO], axis=1)
        dW_x = X.T @ dA
        dW_h = H.T @ dA if given else zeros_like(W_h)
        db_x = sum(dA, axis=0)
        db_h = sum(dA, axis=0)
        dX = dA @ W_x.T
        dH = dA @ W_h.T
        dC = dS * F
    """

    def draw(self, bias: bool, *arguments: Any) -> None:
        super().draw(bias, *arguments)
        open_forget_gate(self)

    def forward(self, X: Any, H: Any = None, C: Any = None) -> tuple[Array, Array]:
        self.X, self.H, self.C = X, H, C = self.begin(X, H, C)
        A = self.times(X, self.W_x, self.b_x) + self.times(H, self.W_h, self.b_h)
        A1, A2, A3, A4 = np.split(A, 4, axis=1)
        self.I, self.F, self.G, self.O = I, F, G, O = sigmoid(A1), sigmoid(A2), np.tanh(A3), sigmoid(A4)  # noqa: E741
        C_new = F * C + I * G
        self.tanh_C = np.tanh(C_new)
        H_new, C_new = self.record_Ys((O * self.tanh_C, C_new))
        return H_new, C_new

    def onnx(self, graph: Any, X: Any, H: Any = None, C: Any = None) -> Any:
        return cell_in_onnx(self, graph.LSTM, IOFC, X, (H, C))

    def backward(self, dH_new: Any, dC_new: Any) -> Any:
        dH_new, dC_new = self.check_dYs((dH_new, dC_new))
        I, F, G, O, tanh_C = self.I, self.F, self.G, self.O, self.tanh_C  # noqa: E741
        dC = dC_new + tanh_backward(dH_new * O, tanh_C)
        dA = np.concatenate(
            [
                sigmoid_backward(dC * G, I),
                sigmoid_backward(dC * self.C, F),
                tanh_backward(dC * I, G),
                sigmoid_backward(dH_new * tanh_C, O),
            ],
            axis=1,
        )
        self.store(self.X, self.H, dA, dA)
        if not self.needs_dX:
            return None
        dX = blas.matmul(dA, self.W_x.T)
        return (dX, blas.matmul(dA, self.W_h.T), dC * F) if self.given else dX

    @property
    def parts(self) -> tuple[int, ...]:
        """The widths of the gates, for the formulas."""
        return (self.hidden_size,) * 4


class LSTM(Recurrent):
    """Long short-term memory: at each step t the states ``c_t = f c_{t-1} + i g`` and ``h_t = o tanh(c_t)``.

    The gates are those of :class:`LSTMCell`, given x_t and h_{t-1}; the forget gate f decides what is kept, so that a
    gradient can go back over many steps. Backward is backpropagation through time: from the last step to the first,
    ``dh_t`` is what comes from Y and from step t + 1, and the gradients of the parameters are sums over all steps.

    Args:
        input_size: width D of X's last axis.
        hidden_size: width H of the states.
        num_layers: how many layers lie above each other; each but the first has the states of the one below as X.
        bias: whether there are b_x and b_h. They start at 0, but for that of the forget gate, which starts at 1.
        dropout: in training mode the probability with which an entry between two layers becomes 0.
        bidirectional: whether each layer also runs from the last step to the first, with parameters of its own; both
            outputs stand side by side.
        reverse: whether to run from the last step to the first alone.
        last: whether Y is the final state h of the last layer, in both directions, instead of the states after all
            steps: for a classifier of sequences.
        return_state: whether forward also returns the final states h and c, and backward takes their gradients.
        weight_init: returns the part of W_x for a gate, called as ``weight_init((D, H), dtype=..., rng=...)``.
        recurrent_init: likewise for W_h, (H, H).
        dtype: dtype of the parameters; X is converted to it.
        rng: seed or generator for the parameters and the dropout; by default the one that
            :func:`nnlite.manual_seed` seeds. Layers with the same seed have the same weights.

    Shapes:
        X (N, T, D): N sequences of T steps; rows are samples, as ``batch_True`` of PyTorch. Y (N, T, H), with
        ``bidirectional`` (N, T, 2 H); with ``last`` without the T. H0 and C0, the states before the first step, zeros
        if they are not given, and the final ones: (N, H), and for several layers or directions (N, S, H), in the order
        of layers and in each of directions. lengths (N,): the number of steps of each sequence, from 1 to T; Y is 0
        after them, and the final states are those after the last one. W_x (D, 4 H), W_h (H, 4 H), b_x and b_h (4 H,)
        with the gates in the order i, f, g, o. Several layers or directions are the parts ``sweeps``, of one layer in
        one direction each. backward returns dX, and dH0 and dC0 if they were given.

    Raises:
        TypeError: a size is not a whole number, X does not hold real numbers, lengths are no integers, or only one of
            H0 and C0 was given.
        ValueError: a size is below 1, a length is not from 1 to T, or there is dropout with one layer.
        ShapeError: X, H0, C0 or lengths have another shape.

    PyTorch's ``proj_size`` is left out. To carry the state from one piece of a long sequence to the next, give the
    final states as H0 and C0. A layer of one direction has ``formulas``, except from the end with lengths;
    :func:`nnlite.unrolled` makes of any layer a graph of such layers, for :func:`nnlite.explain`, or of cells, for
    :func:`nnlite.forward_steps`.
    After backward a layer of one direction has ``dh``, the gradients of its hidden states after all steps (N, T, H).

    Sources: Hochreiter and Schmidhuber, Long short-term memory, 1997; Gers, Schmidhuber and Cummins, Learning to
    forget, 2000; Graves and Schmidhuber, Framewise phoneme classification with bidirectional LSTM, 2005; the first
    bias: Jozefowicz, Zaremba and Sutskever, An empirical exploration of recurrent network architectures, 2015.

    >>> layer = LSTM(3, 4, return_state=True, rng=0)
    >>> X = np.ones((2, 5, 3))
    >>> Y, H, C = layer.forward(X)
    >>> Y.shape, H.shape
    ((2, 5, 4), (2, 4))
    >>> np.array_equal(Y[:, -1], H)
    True
    >>> LSTM(3, 4, 2, bidirectional=True, last=True, rng=0).forward(X, lengths=[5, 2]).shape
    (2, 8)
    """

    gates = rows = 4
    state_names = ("H", "C")
    cell_class = LSTMCell
    recurrence = """
        A = X @ W_x + b_x + before(h, H0) @ W_h + b_h
        I = sigmoid(split(A, sizes=parts, axis=2)[0])
        F = sigmoid(split(A, sizes=parts, axis=2)[1])
        G = tanh(split(A, sizes=parts, axis=2)[2])
        O = sigmoid(split(A, sizes=parts, axis=2)[3])
        c = F * before(c, C0) + I * G
        h = O * tanh(c) * valid
        dh = dh_from_outside + after(dA) @ W_h.T
        dc = dh * O * (1 - tanh(c) ** 2) + dc_from_outside + after(F * dc)
        dI = dc * G * I * (1 - I)
        dF = dc * before(c, C0) * F * (1 - F)
        dG = dc * I * (1 - G * G)
        dO = dh * tanh(c) * O * (1 - O)
        dA = concatenate([dI, dF, dG, dO], axis=2)
        dW_x = rows(X).T @ rows(dA)
        dW_h = rows(before(h, H0)).T @ rows(dA)
        db_x = sum(rows(dA), axis=0)
        db_h = sum(rows(dA), axis=0)
        dX = dA @ W_x.T
        dH0 = dA[:, 0] @ W_h.T
        dC0 = dc[:, 0] * F[:, 0]
    """

    def draw(self, bias: bool, *arguments: Any) -> None:
        super().draw(bias, *arguments)
        open_forget_gate(self)

    def forward(self, X: Any, lengths: Any = None, H0: Any = None, C0: Any = None) -> Any:
        return self._forward(X, lengths, (H0, C0))

    def onnx(self, graph: Any, X: Any, lengths: Any = None, H0: Any = None, C0: Any = None) -> Any:
        return layer_in_onnx(self, graph.LSTM, IOFC, X, lengths, (H0, C0))

    def backward(self, dY: Any, dH: Any = None, dC: Any = None) -> Any:
        return self._backward((dY, dH, dC))

    def matrix(self) -> Array:
        """M, with the gates in the order -o, -i, -f, g: the loops say why."""
        M, ifg = super().matrix(), 3 * self.hidden_size
        M = np.concatenate([M[:, ifg:], M[:, :ifg]], axis=1)
        M[:, :ifg] *= -1
        return M

    def store(self, dM: Array) -> None:
        super().store(self._in_order_of_gates(dM))

    def forward_in_time(self, Z: Array, more: list[Array]) -> list[Array]:
        T, N, H = len(Z) - 1, Z.shape[-1], self.hidden_size
        self.S, self.tanh_c = S, tanh_c = self.room("S", T + 1, lstm_loops.PLANES, H, N), self.room("tanh_c", T, H, N)
        S[0, 4] = more[0] if more else 0
        S[T, :4] = S[T, 5:] = 0  # are not used
        forward, _ = lstm_loops.loops(self.dtype)
        forward(self.M.T, Z, S, tanh_c)
        return [S[1:, 4]]

    def backward_in_time(self, steps: range, W: Array, from_outside: list[Array], dX_h: Array) -> Array:
        dH, *dC = from_outside
        q = self.room("q", len(steps), 5, *dH.shape[1:])
        _, backward = lstm_loops.loops(self.dtype)
        return backward(steps, W, self.Z, self.S, self.tanh_c, dH, dC, dX_h, self.dmore[0], q)

    def _in_order_of_gates(self, A: Array) -> Array:
        """Gradients with the gates side by side in the order of M in that of W_x."""
        A[..., : 3 * self.hidden_size] *= -1
        return np.concatenate([A[..., self.hidden_size :], A[..., : self.hidden_size]], axis=-1)

    @property
    def c(self) -> Array:
        """The cell states after all steps (N, T, H), for the formulas."""
        return self.in_order(self.S[1:, 4])

    @property
    def dA(self) -> Array:
        """The gradients of the gates in the order i, f, g, o, for the formulas."""
        return self._in_order_of_gates(super().dA)

    @property
    def dc(self) -> Array:
        """The gradients of the cell states, for the formulas."""
        o, f, T = self.in_order(self.S[:-1, 0]), self.in_order(self.S[:-1, 2]), len(self.tanh_c)
        dc: Array = self.dh * o * (1 - self.in_order(self.tanh_c) ** 2)
        for dC in self.all_from_outside()[1:]:
            dc += self.in_order(dC)
        steps = range(T) if self.reverse else range(T - 1, -1, -1)
        for later, t in pairwise(steps):
            dc[:, t] += dc[:, later] * f[:, later]
        return dc


def open_forget_gate(layer: Any) -> None:
    """Let the bias of the forget gate start at 1, in b_x."""
    if layer.b_x is not None:
        layer.b_x[layer.hidden_size : 2 * layer.hidden_size] = 1
