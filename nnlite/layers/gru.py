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
        B1, B2, self.B3 = np.split(self.times(H, self.W_h, self.b_h), 3, axis=1)
        self.R, self.Z = R, Z = sigmoid(A1 + B1), sigmoid(A2 + B2)
        self.G = G = np.tanh(A3 + R * self.B3)
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
    recurrence = """
        A = X @ W_x + b_x
        B = before(Y, H0) @ W_h + b_h
        R = sigmoid(split(A, sizes=parts, axis=2)[0] + split(B, sizes=parts, axis=2)[0])
        U = sigmoid(split(A, sizes=parts, axis=2)[1] + split(B, sizes=parts, axis=2)[1])
        G = tanh(split(A, sizes=parts, axis=2)[2] + R * split(B, sizes=parts, axis=2)[2])
        Y = ((1 - U) * G + U * before(Y, H0)) * valid
        dH = dY * valid + after(dB) @ W_h.T + after(dH * U)
        dG = dH * (1 - U) * (1 - G * G)
        dR = dG * split(B, sizes=parts, axis=2)[2] * R * (1 - R)
        dU = dH * (before(Y, H0) - G) * U * (1 - U)
        dA = concatenate([dR, dU, dG], axis=2)
        dB = concatenate([dR, dU, dG * R], axis=2)
        dW_x = rows(X).T @ rows(dA)
        dW_h = rows(before(Y, H0)).T @ rows(dB)
        db_x = sum(rows(dA), axis=0)
        db_h = sum(rows(dB), axis=0)
        dX = dA @ W_x.T
        dH0 = dB[:, 0] @ W_h.T + dH[:, 0] * U[:, 0]
    """

    def forward(self, X: Any, lengths: Any = None, H0: Any = None) -> Any:
        return self._forward(X, lengths, (H0,))

    def onnx(self, graph: Any, X: Any, lengths: Any = None, H0: Any = None) -> Any:
        return layer_in_onnx(self, graph.GRU, ZRH, X, lengths, (H0,), linear_before_reset=1)

    def backward(self, dY: Any, dH: Any = None) -> Any:
        return self._backward((dY, dH))

    def matrix(self) -> Array:
        """M, with rows for r, z, and those parts of g that depend on x and on h."""
        D, H = self.input_size, self.hidden_size
        M = np.zeros((4 * H, D + H + 1), self.dtype)
        M[: 3 * H, :D], M[: 2 * H, D:-1], M[3 * H :, D:-1] = self.W_x.T, self.W_h.T[: 2 * H], self.W_h.T[2 * H :]
        if self.b_x is not None and self.b_h is not None:
            M[: 3 * H, -1], M[3 * H :, -1] = self.b_x, self.b_h[2 * H :]
            M[: 2 * H, -1] += self.b_h[: 2 * H]
        return M

    def store(self, dM: Array) -> None:
        D, H = self.input_size, self.hidden_size
        from_h = np.concatenate([dM[: 2 * H], dM[3 * H :]])
        self.dW_x, self.dW_h = dM[: 3 * H, :D].T, from_h[:, D:-1].T
        if self.b_x is not None:
            self.db_x, self.db_h = dM[: 3 * H, -1], from_h[:, -1]

    def forward_in_time(self, Z: Array, more: list[Array]) -> list[Array]:
        (_, T, N), H, D = Z.shape, self.hidden_size, self.input_size
        T -= 1
        self.sigmas = sigmas = np.empty((T, 2, H, N), self.dtype)  # r, z
        self.from_h = from_h = np.empty((T, H, N), self.dtype)
        self.contents = contents = np.empty((T, H, N), self.dtype)  # g
        M = self.M.copy()
        M[: 2 * H] *= -1  # 1 / (1 + exp(-a))
        one = np.ones((), self.dtype)
        A = np.empty((4, H, N), self.dtype)
        A_rows, a, a_x = A.reshape(4 * H, N), A[:2], A[2]
        for t in range(T):
            blas.matmul(M, Z[:, t], A_rows)
            np.exp(a, a)
            np.add(a, one, a)
            r, z = np.divide(one, a, sigmas[t])
            from_h[t] = A[3]
            np.multiply(r, from_h[t], A[3])
            np.add(a_x, A[3], a_x)
            g = np.tanh(a_x, contents[t])
            np.subtract(Z[D:-1, t], g, a_x)
            np.multiply(a_x, z, a_x)
            np.add(g, a_x, Z[D:-1, t + 1])
        return []

    def backward_in_time(self, dH: Array, more: list[Array]) -> list[Array]:
        (T, H, N), D = dH.shape, self.input_size
        dA = np.empty((T, 4, H, N), self.dtype)
        W = np.ascontiguousarray(self.M[:, D:-1].T)
        dh, product = np.zeros((H, N), self.dtype), np.empty((H, N), self.dtype)
        one = np.ones((), self.dtype)
        for steps in self.blocks_of_steps():
            block = slice(steps.start, steps.stop)
            sigmas, g, q = self.sigmas[block], self.contents[block], dA[block]
            r, z = sigmas[:, 0], sigmas[:, 1]
            # What each gate's dh is multiplied by: all derivatives of a block of steps.
            np.subtract(one, sigmas, q[:, :2])
            q[:, 2] = q[:, 1] * (one - g * g)
            q[:, :2] *= sigmas
            np.multiply(q[:, 2], r, q[:, 3])
            q[:, 0] *= q[:, 2] * self.from_h[block]
            q[:, 1] *= self.Z[D:-1, block].swapaxes(0, 1) - g
            for t in reversed(steps):
                dh += dH[t]
                dA[t] *= dh
                blas.matmul(W, dA[t].reshape(4 * H, N), product)
                dh *= z[t - steps.start]
                dh += product
        return [dA, dh]

    @property
    def dB(self) -> Array:
        """The gradients of ``h W_h + b_h`` at all steps, for the formulas."""
        dA, H = super().dA, self.hidden_size
        return np.concatenate([dA[..., : 2 * H], dA[..., 3 * H :]], axis=-1)

    @property
    def dH(self) -> Array:
        """The gradients of the states, for the formulas."""
        dH, _ = self.from_outside(self.dY, [])
        dA = self.backward_in_time(dH.copy(), [])[0].reshape(len(dH), len(self.M), dH.shape[2])
        W = self.M[:, self.input_size : -1].T
        for t in reversed(range(len(dH) - 1)):
            dH[t] += blas.matmul(W, dA[t + 1]) + dH[t + 1] * self.sigmas[t + 1, 1]
        return self.in_order(dH)
