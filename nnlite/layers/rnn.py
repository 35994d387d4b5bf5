"""The simple recurrent network: RNN over the steps of sequences, and RNNCell, one step of it."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array
from nnlite.basics.checks import one_of
from nnlite.compute import blas
from nnlite.layers.recurrence import Cell
from nnlite.layers.recurrent import Recurrent
from nnlite.layers.recurrent_in_onnx import cell_in_onnx, layer_in_onnx

FUNCTIONS = ("tanh", "relu")


class RNNCell(Cell):
    """One step of an :class:`RNN`: ``H' = tanh(X W_x + b_x + H W_h + b_h)``.

    Backward: ``dA = dH' (1 - H'^2)``, and then as in :class:`Linear`: ``dW_x = X^T dA``, ``dW_h = H^T dA``, db_x and
    db_h the sum of the rows of dA, ``dX = dA W_x^T``, ``dH = dA W_h^T``.

    Args:
        input_size, hidden_size, nonlinearity, bias, weight_init, recurrent_init, dtype, rng: as for :class:`RNN`.

    Shapes:
        X (N, D), H (N, H), zeros if it is not given; forward returns H' (N, H). W_x (D, H), W_h (H, H), b_x and b_h
        (H,). backward returns dX and dH, or dX alone if H was not given.

    Raises:
        TypeError: an input does not hold real numbers.
        ShapeError: an input has another shape.

    Source: Elman, Finding structure in time, 1990.

    >>> cell = RNNCell(2, 3, rng=0)
    >>> H = cell.forward(np.ones((5, 2)))
    >>> cell.forward(np.ones((5, 2)), H).shape
    (5, 3)
    """

    gates = 1
    formulas = """
        A = X @ W_x + b_x + (H @ W_h if given else absent) + b_h
        Y = tanh(A) if nonlinearity == "tanh" else maximum(A, 0)
        dA = dY * (1 - Y * Y) if nonlinearity == "tanh" else dY * (Y > 0)
        dW_x = X.T @ dA
        dW_h = H.T @ dA if given else zeros_like(W_h)
        db_x = sum(dA, axis=0)
        db_h = sum(dA, axis=0)
        dX = dA @ W_x.T
        dH = dA @ W_h.T
    """

    def __init__(self, input_size: int, hidden_size: int, *, nonlinearity: str = "tanh", **options: Any) -> None:
        self.nonlinearity = one_of(nonlinearity, "RNNCell: nonlinearity", FUNCTIONS)
        super().__init__(input_size, hidden_size, **options)

    def forward(self, X: Any, H: Any = None) -> Array:
        self.X, self.H = X, H = self.begin(X, H)
        A = self.times(X, self.W_x, self.b_x) + self.times(H, self.W_h, self.b_h)
        self.Y = np.tanh(A) if self.nonlinearity == "tanh" else np.maximum(A, 0)
        return self.keep_Y(self.Y)

    def onnx(self, graph: Any, X: Any, H: Any = None) -> Any:
        return cell_in_onnx(self, graph.RNN, (0,), X, (H,), activations=[self.nonlinearity.capitalize()])

    def backward(self, dY: Any) -> Any:
        dY = self.check_dY(dY)
        dA = dY * (1 - self.Y * self.Y) if self.nonlinearity == "tanh" else dY * (self.Y > 0)
        self.store(self.X, self.H, dA, dA)
        if not self.needs_dX:
            return None
        dX = blas.matmul(dA, self.W_x.T)
        return (dX, blas.matmul(dA, self.W_h.T)) if self.given else dX

    def extra_repr(self) -> str:
        function = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity!r}"
        return f"{super().extra_repr()}{function}"

    def saved_arguments(self) -> dict[str, Any]:
        """For files: the sizes and options."""
        return super().saved_arguments() | {"nonlinearity": self.nonlinearity}

    @classmethod
    def from_saved(cls, **options: Any) -> "RNNCell":
        """A cell without drawing weights."""
        return super().from_saved(**options)


class RNN(Recurrent):
    """The simple recurrent network: at each step t the state ``h_t = tanh(x_t W_x + b_x + h_{t-1} W_h + b_h)``.

    Backward is backpropagation through time: from the last step to the first, ``dh_t`` is what comes from Y and from
    step t + 1, ``da_t = dh_t (1 - h_t^2)``, ``dh_{t-1} = da_t W_h^T``; the gradients of the parameters are sums over
    all steps, ``dW_h = sum_t h_{t-1}^T da_t``.

    Args:
        input_size, hidden_size, num_layers, bias, dropout, bidirectional, reverse, last, return_state, weight_init,
            recurrent_init, dtype, rng: as for :class:`LSTM`.
        nonlinearity: "tanh" or "relu".

    Shapes:
        As for :class:`LSTM`, with the state H alone: W_x (D, H), W_h (H, H), b_x and b_h (H,).

    Raises:
        TypeError, ValueError, ShapeError: as for :class:`LSTM`.

    Sources: Werbos, Backpropagation through time: what it does and how to do it, 1990; Elman, Finding structure in
    time, 1990; Schuster and Paliwal, Bidirectional recurrent neural networks, 1997.

    >>> layer = RNN(1, 1)
    >>> layer.W_x, layer.W_h = [[1]], [[0.5]]
    >>> layer.forward([[[1], [0], [0]]]).round(2)
    array([[[0.76],
            [0.36],
            [0.18]]], dtype=float32)
    """

    gates = rows = 1
    cell_class = RNNCell
    recurrence = """
        A = X @ W_x + b_x + before(h, H0) @ W_h + b_h
        h = (tanh(A) if nonlinearity == "tanh" else maximum(A, 0)) * valid
        dh = dh_from_outside + after(dA) @ W_h.T
        dA = dh * (1 - h * h) if nonlinearity == "tanh" else dh * (h > 0)
        dW_x = rows(X).T @ rows(dA)
        dW_h = rows(before(h, H0)).T @ rows(dA)
        db_x = sum(rows(dA), axis=0)
        db_h = sum(rows(dA), axis=0)
        dX = dA @ W_x.T
        dH0 = dA[:, 0] @ W_h.T
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        nonlinearity: str = "tanh",
        dtype: DTypeLike = np.float32,
        **options: Any,
    ) -> None:
        self.nonlinearity = one_of(nonlinearity, "RNN: nonlinearity", FUNCTIONS)
        super().__init__(input_size, hidden_size, num_layers, dtype=dtype, nonlinearity=nonlinearity, **options)

    @property
    def output_range(self) -> tuple[float, float]:  # type: ignore[override]
        """Of tanh, or of relu."""
        return (-1.0, 1.0) if self.nonlinearity == "tanh" else (0.0, math.inf)

    @property
    def cell_options(self) -> dict[str, Any]:  # type: ignore[override]
        """The function."""
        return {"nonlinearity": self.nonlinearity}

    @property
    def shown(self) -> dict[str, Any]:
        return super().shown | {"nonlinearity": "tanh"}

    def saved_arguments(self) -> dict[str, Any]:
        """For files: the sizes and options."""
        return super().saved_arguments()

    @classmethod
    def from_saved(cls, **options: Any) -> "RNN":
        """A layer without drawing weights."""
        return super().from_saved(**options)

    def forward(self, X: Any, lengths: Any = None, H0: Any = None) -> Any:
        return self._forward(X, lengths, (H0,))

    def onnx(self, graph: Any, X: Any, lengths: Any = None, H0: Any = None) -> Any:
        activations = [self.nonlinearity.capitalize()] * (1 + self.bidirectional)
        return layer_in_onnx(self, graph.RNN, (0,), X, lengths, (H0,), activations=activations)

    def backward(self, dY: Any, dH: Any = None) -> Any:
        return self._backward((dY, dH))

    def forward_in_time(self, Z: Array, more: list[Array]) -> list[Array]:
        H, N = self.hidden_size, Z.shape[-1]
        M, A, zero = self.M.T, np.empty((H, N), self.dtype), np.zeros((H, N), self.dtype)
        for x_h_t, h_t in zip(Z[:-1], Z[1:, -H - 1 : -1], strict=True):
            blas.matmul(M, x_h_t, A)
            if self.nonlinearity == "tanh":
                np.tanh(A, h_t)
            else:
                np.maximum(A, zero, out=h_t)
        return []

    def backward_in_time(self, steps: range, W: Array, from_outside: list[Array], dX_h: Array) -> Array:
        H = self.hidden_size
        h = self.Z[steps.start + 1 : steps.stop + 1, -H - 1 : -1]
        dA: Array = 1 - h * h if self.nonlinearity == "tanh" else (h > 0).astype(self.dtype)
        for t, dh_t, dA_t in zip(reversed(steps), from_outside[0][::-1], dA[::-1], strict=True):
            dh_t += dX_h[t + 1, -H:]
            dA_t *= dh_t
            blas.matmul(W, dA_t, dX_h[t])
        return dA
