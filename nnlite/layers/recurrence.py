"""What recurrent layers and their cells share, sizes and parameters; and what the cells share."""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, floating_dtype
from nnlite.basics.checks import whole
from nnlite.basics.generators import Rng, generator
from nnlite.basics.shapes import Shape, is_open, text, width
from nnlite.compute import blas
from nnlite.errors import ShapeError
from nnlite.initializers import glorot_uniform, orthogonal, zeros
from nnlite.layer.flops import Flops
from nnlite.layer.layer import Layer

States = tuple[Any, ...]


class Recurrence(Layer, parameters=("W_x", "W_h", "b_x", "b_h")):
    """What cells and layers have: sizes and parameters, whose columns are those of the gates side by side."""

    gates: int  # the number of gates, each of hidden_size columns
    state_names: tuple[str, ...] = ("H",)
    given: bool = False  # whether the last forward got states
    absent = None  # for the formulas: what is not there
    W_x: Array
    W_h: Array
    b_x: Array | None
    b_h: Array | None
    dW_x: Array
    dW_h: Array
    db_x: Array | None
    db_h: Array | None

    def set_sizes(self, input_size: int, hidden_size: int, dtype: DTypeLike) -> None:
        """Check the arguments that all have."""
        name = type(self).__name__
        self.input_size = whole(input_size, f"{name}: input_size", least=1)
        self.hidden_size = whole(hidden_size, f"{name}: hidden_size", least=1)
        self.dtype = floating_dtype(dtype)

    def draw(
        self, bias: bool, weight_init: Callable[..., Array], recurrent_init: Callable[..., Array], rng: Any
    ) -> None:
        """Set the first parameters: each gate's matrices drawn by themselves, and b of zeros."""
        name = type(self).__name__
        D, H = self.input_size, self.hidden_size
        for argument, init in ("weight_init", weight_init), ("recurrent_init", recurrent_init):
            if not callable(init):
                raise TypeError(f"{name}: {argument}: expected a function such as glorot_uniform, got {init!r}")
        self.W_x = self._drawn("weight_init", weight_init, (D, H), rng)
        self.W_h = self._drawn("recurrent_init", recurrent_init, (H, H), rng)
        self.b_x = zeros(self.gates * H, dtype=self.dtype) if bias else None
        self.b_h = zeros(self.gates * H, dtype=self.dtype) if bias else None

    def _drawn(self, argument: str, init: Callable[..., Array], shape: tuple[int, int], rng: Any) -> Array:
        drawn = [init(shape, dtype=self.dtype, rng=rng) for _ in range(self.gates)]
        for W in drawn:
            if np.shape(W) != shape:
                message = f"expected {argument} to return shape {shape}, got {np.shape(W)}"
                raise ShapeError(f"{type(self).__name__}: {message}")
        return np.concatenate(drawn, axis=1)

    def check_state(self, state: Any, name: str, shape: tuple[int, ...]) -> Array:
        """A state that was given, as an array of the layer's dtype.

        Raises:
            ShapeError: it has another shape.
        """
        array: Array = self.check_X(state, name).astype(self.dtype, copy=False)
        if array.shape != shape:
            raise ShapeError(f"{self.one_line()}: expected {name} of shape {shape}, got {array.shape}")
        return array

    def check_all_or_none(self, states: States, names: tuple[str, ...]) -> None:
        """Raise unless all states are given, or none."""
        missing = [name for name, state in zip(names, states, strict=True) if state is None]
        if missing and len(missing) < len(states):
            raise TypeError(f"{self.one_line()}: expected {' and '.join(names)}, or neither; {missing[0]} is missing")


class Cell(Recurrence):
    """Base class of cells: one step of a recurrent layer."""

    X: Array

    torch_names: ClassVar = {"W_x": "weight_ih.T", "W_h": "weight_hh.T", "b_x": "bias_ih", "b_h": "bias_hh"}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        weight_init: Callable[..., Array] = glorot_uniform,
        recurrent_init: Callable[..., Array] = orthogonal,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
    ) -> None:
        self.set_sizes(input_size, hidden_size, dtype)
        self.draw(bias, weight_init, recurrent_init, generator(rng, f"{type(self).__name__}: rng"))

    def begin(self, X: Any, *states: Any) -> tuple[Array, ...]:
        """X and the states as arrays: zeros if none were given."""
        X = self.check_X(X)
        if X.ndim != 2 or X.shape[1] != self.input_size:
            raise ShapeError(f"{self.one_line()}: expected X of shape (N, {self.input_size}), got {X.shape}")
        self.check_all_or_none(states, self.state_names)
        shape = (len(X), self.hidden_size)
        self.given = states[0] is not None
        if not self.given:
            return X, *(np.zeros(shape, self.dtype) for _ in states)
        return X, *(self.check_state(*each, shape) for each in zip(states, self.state_names, strict=True))

    def times(self, A: Array, W: Array, b: Array | None) -> Array:
        """``A W + b``."""
        product = blas.matmul(A, W)
        if b is not None:
            product += b
        return product

    def store(self, X: Array, H: Array, dA_x: Array, dA_h: Array) -> None:
        """Store the gradients of the parameters, given those of ``X W_x + b_x`` and of ``H W_h + b_h``."""
        self.dW_x, self.dW_h = blas.matmul(X.T, dA_x), blas.matmul(H.T, dA_h)
        if self.b_x is not None:
            self.db_x, self.db_h = np.add.reduce(dA_x, axis=0), np.add.reduce(dA_h, axis=0)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        N, A = len(self.X), np.zeros((len(self.X), self.gates * self.hidden_size), self.dtype)
        H = np.zeros((N, self.hidden_size), self.dtype)
        to_parameters = (self.X.T, A), (H.T, A)
        back = to_parameters if not self.needs_dX else (*to_parameters, (A, self.W_x.T), (A, self.W_h.T))
        bias = 0 if self.b_x is None else 2 * A.size
        operations = 6 * A.size
        return Flops(bias + operations, ((self.X, self.W_x), (H, self.W_h))), Flops(bias + 2 * operations, back)

    def output_shape(self, *shapes: Shape) -> Any:
        X = shapes[0]
        if width(X) not in (None, self.input_size) or (not is_open(X) and len(X) != 2):
            raise ShapeError(f"{self.one_line()}: expected X of shape (N, {self.input_size}), got {text(X)}")
        shape = (None if is_open(X) else X[0], self.hidden_size)
        return (shape,) * self.num_outputs if self.num_outputs > 1 else shape

    def extra_repr(self) -> str:
        bias = ", bias=False" if self.b_x is None else ""
        dtype = f", dtype={self.dtype}" if self.dtype != np.float32 else ""
        return f"{self.input_size} -> {self.hidden_size}{bias}{dtype}"

    def saved_arguments(self) -> dict[str, Any]:
        """For files: the sizes, and whether there is a b."""
        sizes = {"input_size": self.input_size, "hidden_size": self.hidden_size}
        return sizes | {"bias": self.b_x is not None, "dtype": self.dtype}

    @classmethod
    def from_saved(cls, **options: Any) -> Self:
        """A cell without drawing weights."""
        return cls(**options, weight_init=zeros, recurrent_init=zeros, rng=0)
