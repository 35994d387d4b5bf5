"""Gated recurrent units: GRU over the steps of sequences, and GRUCell, one step of it."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.compute import blas
from nnlite.compute.kernels import sigmoid, sigmoid_backward, tanh_backward
from nnlite.layers.recurrence import Cell
from nnlite.layers.recurrent import Recurrent
from nnlite.layers.recurrent_in_onnx import cell_in_onnx, layer_in_onnx

ZRH = 1, 0, 2  # the gates in ONNX's order


class GRUCell(Cell):
    """One step of a :class:`GRU`: ``H' = (1 - Z) G + Z H``.

    With ``A = X W_x + b_x`` and ``B = H W_h + b_h``, of three parts side by side: ``R = sigmoid(A1 + B1)`` (reset), ``Z
    = sigmoid(A2 + B2)`` (update) and ``G = tanh(A3 + R B3)`` (the new content).

    Backward: ``dA3 = dH' (1 - Z) (1 - G^2)``, ``dB3 = dA3 R``, ``dA1 = dB1 = dA3 B3 R (1 - R)``, ``dA2 = dB2 = dH' (H -
    G) Z (1 - Z)``, and then as in :class:`Linear`: ``dW_x = X^T dA``, ``dW_h = H^T dB``, ``dX = dA W_x^T``, ``dH = dB
    W_h^T + dH' Z``.

    Args:
        input_size, hidden_size, bias, weight_init, recurrent_init, dtype, rng: as for :class:`LSTM`.

    Shapes:
        X (N, D), H (N, H), zeros if it is not given; forward returns H' (N, H). W_x (D, 3 H), W_h (H, 3 H), b_x and
        b_h (3 H,), with the gates in the order R, Z, G. backward returns dX and dH, or dX alone if H was not given.

    Raises:
        TypeError: an input does not hold real numbers.
        ShapeError: an input has another shape.

    As in PyTorch the reset gate is multiplied with B3, after the product with W_h; in the paper with H, before it.

    Source: Cho et al., Learning phrase representations using RNN encoder-decoder, 2014.

    >>> cell = GRUCell(2, 3, rng=0)
    >>> H = cell.forward(np.ones((5, 2)))
    >>> cell.forward(np.ones((5, 2)), H).shape
    (5, 3)
    """

    gates = 3
    formulas = """
        A = X @ W_x + b_x
        B = H @ W_h + b_h if given else zeros_like(A) + b_h
        R = sigmoid(split(A, sizes=parts, axis=1)[0] + split(B, sizes=parts, axis=1)[0])
        Z = sigmoid(split(A, sizes=parts, axis=1)[1] + split(B, sizes=parts, axis=1)[1])
        G = tanh(split(A, sizes=parts, axis=1)[2] + R * split(B, sizes=parts, axis=1)[2])
        Y = (1 - Z) * G + (Z * H if given else absent)
        dG = dY * (1 - Z) * (1 - G * G)
        dR = dG * split(B, sizes=parts, axis=1)[2] * R * (1 - R)
        dZ = dY * (H - G if given else -G) * Z * (1 - Z)
        dA = concatenate([dR, dZ, dG], axis=1)
        dB = concatenate([dR, dZ, dG * R], axis=1)
        dW_x = X.T @ dA
        dW_h = H.T @ dB if given else zeros_like(W_h)
        db_x = sum(dA, axis=0)
        db_h = sum(dB, axis=0)
        dX = dA @ W_x.T
        dH = dB @ W_h.T + dY * Z
    """

    def forward(self, X: Any, H: Any = None) -> Array:
        self.X, self.H = X, H = self.begin(X, H)
        A1, A2, A3 = np.split(self.times(X, self.W_x, self.b_x), 3, axis=1)
        B1, B2, B3 = np.split(self.times(H, self.W_h, self.b_h), 3, axis=1)
        self.B3 = np.ascontiguousarray(B3)  # a view would keep B1 and B2 in memory
        self.R, self.Z = R, Z = sigmoid(A1 + B1), sigmoid(A2 + B2)
        self.G = G = np.tanh(A3 + R * B3)
        return self.record_Y((1 - Z) * G + Z * H)

    def onnx(self, graph: Any, X: Any, H: Any = None) -> Any:
        return cell_in_onnx(self, graph.GRU, ZRH, X, (H,), linear_before_reset=1)

    def backward(self, dY: Any) -> Any:
        dY = self.check_dY(dY)
        R, Z, G, H = self.R, self.Z, self.G, self.H
        dA3 = tanh_backward(dY * (1 - Z), G)
        dA1, dA2 = sigmoid_backward(dA3 * self.B3, R), sigmoid_backward(dY * (H - G), Z)
        dA, dB = np.concatenate([dA1, dA2, dA3], axis=1), np.concatenate([dA1, dA2, dA3 * R], axis=1)
        self.store(self.X, H, dA, dB)
        if not self.needs_dX:
            return None
        dX = blas.matmul(dA, self.W_x.T)
        return (dX, blas.matmul(dB, self.W_h.T) + dY * Z) if self.given else dX

    @property
    def parts(self) -> tuple[int, ...]:
        """The widths of the gates, for the formulas."""
        return (self.hidden_size,) * 3


class GRU(Recurrent):
    """Gated recurrent units: at each step t the state ``h_t = (1 - z) g + z h_{t-1}``.

    The gates are those of :class:`GRUCell`, given x_t and h_{t-1}; the update gate z decides what is kept. Backward is
    backpropagation through time: from the last step to the first, ``dh_t`` is what comes from Y and from step t + 1,
    and the gradients of the parameters are sums over all steps.

    Args:
        input_size, hidden_size, num_layers, bias, dropout, bidirectional, reverse, last, return_state, weight_init,
            recurrent_init, dtype, rng: as for :class:`LSTM`; all biases start at 0.

    Shapes:
        As for :class:`LSTM`, with the state H alone: W_x (D, 3 H), W_h (H, 3 H), b_x and b_h (3 H,), with the gates in
        the order r, z, g.

    Raises:
        TypeError, ValueError, ShapeError: as for :class:`LSTM`.

    Source: Cho et al., Learning phrase representations using RNN encoder-decoder, 2014.

    >>> GRU(3, 4, 2, rng=0).forward(np.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    gates = 3
    rows = 4
    cell_class = GRUCell
    recurrence = """
        A = X @ W_x + b_x
        B = before(h, H0) @ W_h + b_h
        R = sigmoid(split(A, sizes=parts, axis=2)[0] + split(B, sizes=parts, axis=2)[0])
        U = sigmoid(split(A, sizes=parts, axis=2)[1] + split(B, sizes=parts, axis=2)[1])
        G = tanh(split(A, sizes=parts, axis=2)[2] + R * split(B, sizes=parts, axis=2)[2])
        h = ((1 - U) * G + U * before(h, H0)) * valid
        dh = dh_from_outside + after(dB) @ W_h.T + after(dh * U)
        dG = dh * (1 - U) * (1 - G * G)
        dR = dG * split(B, sizes=parts, axis=2)[2] * R * (1 - R)
        dU = dh * (before(h, H0) - G) * U * (1 - U)
        dA = concatenate([dR, dU, dG], axis=2)
        dB = concatenate([dR, dU, dG * R], axis=2)
        dW_x = rows(X).T @ rows(dA)
        dW_h = rows(before(h, H0)).T @ rows(dB)
        db_x = sum(rows(dA), axis=0)
        db_h = sum(rows(dB), axis=0)
        dX = dA @ W_x.T
        dH0 = dB[:, 0] @ W_h.T + dh[:, 0] * U[:, 0]
    """

    def forward(self, X: Any, lengths: Any = None, H0: Any = None) -> Any:
        return self._forward(X, lengths, (H0,))

    def onnx(self, graph: Any, X: Any, lengths: Any = None, H0: Any = None) -> Any:
        return layer_in_onnx(self, graph.GRU, ZRH, X, lengths, (H0,), linear_before_reset=1)

    def backward(self, dY: Any, dH: Any = None) -> Any:
        return self._backward((dY, dH))

    def matrix(self) -> Array:
        """M, with columns for -r, -z, and those parts of g that depend on x and on h; for the signs see LSTM."""
        D, H = self.input_size, self.hidden_size
        M = np.zeros((D + H + 1, 4 * H), self.dtype)
        M[:D, : 3 * H], M[D:-1, : 2 * H], M[D:-1, 3 * H :] = self.W_x, self.W_h[:, : 2 * H], self.W_h[:, 2 * H :]
        if self.b_x is not None and self.b_h is not None:
            M[-1, : 3 * H], M[-1, 3 * H :] = self.b_x, self.b_h[2 * H :]
            M[-1, : 2 * H] += self.b_h[: 2 * H]
        M[:, : 2 * H] *= -1
        return M

    def store(self, dM: Array) -> None:
        D, H = self.input_size, self.hidden_size
        dM[:, : 2 * H] *= -1
        from_h = np.concatenate([dM[:, : 2 * H], dM[:, 3 * H :]], axis=1)
        self.dW_x, self.dW_h = dM[:D, : 3 * H], from_h[D:-1]
        if self.b_x is not None:
            self.db_x, self.db_h = dM[-1, : 3 * H], from_h[-1]

    def forward_in_time(self, Z: Array, more: list[Array]) -> list[Array]:
        (T, _, N), H = Z.shape, self.hidden_size
        self.S = S = self.room("S", T - 1, 4, H, N)  # r, z, g, and what of g depends on h, without r
        M, one, product = self.M.T, np.ones((), self.dtype), np.empty((H, N), self.dtype)
        h, A = Z[:, -H - 1 : -1], S.reshape(T - 1, 4 * H, N)
        for x_h_t, A_t, r_z, (r, z, g, from_h), before, h_t in zip(Z, A, S[:, :2], S, h, h[1:], strict=False):
            blas.matmul(M, x_h_t, A_t)
            np.exp(r_z, r_z)
            np.add(r_z, one, r_z)
            np.divide(one, r_z, r_z)
            np.multiply(r, from_h, product)
            np.add(g, product, g)
            np.tanh(g, g)
            np.subtract(before, g, product)
            np.multiply(product, z, product)
            np.add(g, product, h_t)
        return []

    def backward_in_time(self, steps: range, W: Array, from_outside: list[Array], dX_h: Array) -> Array:
        H, block = self.hidden_size, slice(steps.start, steps.stop)
        S = self.S[block]
        r_z, (r, z, g, from_h) = S[:, :2], S.swapaxes(0, 1)
        # What each gate's dh is multiplied by: all derivatives of a block of steps.
        dA, one = self.room("dA", *S.shape), np.ones((), self.dtype)
        np.subtract(r_z, one, dA[:, :2])
        np.multiply(dA[:, 1], g * g - one, dA[:, 2])
        dA[:, :2] *= r_z
        np.multiply(dA[:, 2], r, dA[:, 3])
        dA[:, 0] *= dA[:, 2] * from_h
        dA[:, 1] *= self.Z[block, -H - 1 : -1] - g
        each = zip(reversed(steps), from_outside[0][::-1], dA[::-1], z[::-1], strict=True)
        for t, dh_t, dA_t, z_t in each:
            dh_t += dX_h[t + 1, -H:]
            dA_t *= dh_t
            blas.matmul(W, dA_t.reshape(len(self.M[0]), -1), dX_h[t])
            dh_t *= z_t
            dX_h[t, -H:] += dh_t
        return dA

    @property
    def dA(self) -> Array:
        """The gradients of ``x W_x + b_x`` at all steps, for the formulas."""
        return self._dA_and_dB[..., : 3 * self.hidden_size]

    @property
    def dB(self) -> Array:
        """The gradients of ``h W_h + b_h`` at all steps, for the formulas."""
        dA, H = self._dA_and_dB, self.hidden_size
        return np.concatenate([dA[..., : 2 * H], dA[..., 3 * H :]], axis=-1)

    @property
    def _dA_and_dB(self) -> Array:
        dA = super().dA
        dA[..., : 2 * self.hidden_size] *= -1
        return dA
