"""Linear: Y = X W + b."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, floating_dtype
from nnlite.basics.checks import whole
from nnlite.basics.generators import Rng, generator
from nnlite.basics.shapes import UNKNOWN, Shape, width
from nnlite.compute import blas
from nnlite.compute.sums import column_sum
from nnlite.errors import ShapeError
from nnlite.initializers import glorot_uniform, zeros
from nnlite.layer.flops import Flops
from nnlite.layer.layer import Layer


class Linear(Layer, parameters=("W", "b")):
    """Affine map of each row: ``Y = X W + b``.

    Backward: ``dW = X^T dY``, ``db`` is the sum of the rows of dY, ``dX = dY W^T``.

    Args:
        in_features: width D of X's last axis.
        out_features: width M of Y's last axis.
        bias: whether to add b, which starts at 0.
        weight_init: returns W, called as ``weight_init((D, M), dtype=..., rng=...)``: one of
            :mod:`nnlite.initializers`, such as ``normal(std=0.01)``, or a function of your own. The default is right
            for tanh and sigmoid; use ``he_uniform`` before ReLU.
        dtype: dtype of W and b; X is converted to it.
        rng: seed or generator for ``weight_init``; by default the one that :func:`nnlite.manual_seed` seeds. Layers
            with the same seed have the same weights, so pass one generator to all layers of a model.

    Shapes:
        X (..., D) with any number of leading axes, Y (..., M), W (D, M), b (M,).

    Raises:
        TypeError: a width is not a whole number, or X does not hold real numbers.
        ValueError: a width is below 1, or ``weight_init`` returned another shape.
        ShapeError: the size of X's last axis is not D.

    Source of the default weights: Glorot and Bengio, Understanding the difficulty of training deep feedforward
    neural networks, 2010.

    >>> layer = Linear(2, 3)
    >>> layer.W = [[1, 2, 3], [4, 5, 6]]
    >>> layer.forward([[1, 10]])
    array([[41., 52., 63.]], dtype=float32)
    >>> layer.backward(np.array([[1.0, 0.0, 0.0]]))
    array([[1., 4.]], dtype=float32)
    >>> layer.dW
    array([[ 1.,  0.,  0.],
           [10.,  0.,  0.]], dtype=float32)
    """

    formulas = """
        Y = X @ W + b
        dW = rows(X).T @ rows(dY)
        db = sum(rows(dY), axis=0)
        dX = dY @ W.T
    """
    torch_names: ClassVar = {"W": "weight.T", "b": "bias"}
    onnx = "Gemm(X, W, b) if X.ndim == 2 else X @ W + b"

    W: Array
    b: Array | None
    dW: Array
    db: Array | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        weight_init: Callable[..., Array] = glorot_uniform,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
    ) -> None:
        self.in_features = whole(in_features, "Linear: in_features", least=1)
        self.out_features = whole(out_features, "Linear: out_features", least=1)
        self.dtype = floating_dtype(dtype)
        shape = (self.in_features, self.out_features)
        if not callable(weight_init):
            raise TypeError(f"Linear: weight_init: expected a function such as he_normal, got {weight_init!r}")
        W = weight_init(shape, dtype=self.dtype, rng=generator(rng, "Linear: rng"))
        if np.shape(W) != shape:
            raise ShapeError(f"Linear: expected weight_init to return shape {shape}, got {np.shape(W)}")
        self.W = W
        self.b = zeros(self.out_features, dtype=self.dtype) if bias else None

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        shape = X.shape
        if not shape or shape[-1] != self.in_features:
            raise self._width_error(X)
        self.X_shape = shape
        self.X = X = X if len(shape) == 2 else X.reshape(-1, self.in_features)
        Y = blas.matmul(X, self.W)
        if (b := self.b) is not None:
            Y += b
        return self.record_Y(Y if len(shape) == 2 else Y.reshape(*shape[:-1], self.out_features))

    def backward(self, dY: Any) -> Array | None:
        dY = self.check_dY(dY)
        dY = dY if dY.ndim == 2 else dY.reshape(-1, self.out_features)
        blas.matmul(self.X.T, dY, self.dW)
        if (db := self.db) is not None:
            column_sum(dY, out=db)
        if not self.needs_dX:
            return None
        dX = blas.matmul(dY, self.W.T)
        return dX if len(self.X_shape) == 2 else dX.reshape(self.X_shape)

    def gradient_factors(self, dY: Array) -> dict[str, tuple[Array, ...]]:
        if len(self.X_shape) != 2:
            return {}
        return {"W": (self.X, dY)} | ({} if self.b is None else {"b": (dY,)})

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        rows, dY = self.X.reshape(-1, self.in_features), Y.reshape(-1, self.out_features)
        bias = 0 if self.b is None else Y.size
        forward = Flops(elementwise=bias, products=((rows, self.W),))
        if not self.needs_dX:
            return forward, Flops(elementwise=bias, products=((rows.T, dY),), reads=(self.X,))
        return forward, Flops(elementwise=bias, products=((rows.T, dY), (dY, self.W.T)), reads=(self.X, self.W))

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if X == ():
            raise ShapeError(f"{self}: expected X of shape (..., {self.in_features}), got a scalar")
        if width(X) not in (None, self.in_features):
            raise ShapeError(f"{self}: expected {self.in_features} features, got {width(X)}")
        return (..., self.out_features) if X == UNKNOWN else (*X[:-1], self.out_features)

    def extra_repr(self) -> str:
        bias = ", bias=False" if self.b is None else ""
        dtype = f", dtype={self.dtype}" if self.dtype != np.float32 else ""
        return f"{self.in_features} -> {self.out_features}{bias}{dtype}"

    def _width_error(self, X: Array) -> ShapeError:
        if X.ndim == 0:
            return ShapeError(f"{self}: expected X of shape (..., {self.in_features}), got a scalar")
        transposed = X.ndim == 2 and X.shape[0] == self.in_features
        hint = "; rows are samples, so X looks transposed: pass X.T" if transposed else ""
        if X.ndim > 2 and math.prod(X.shape[1:]) == self.in_features:
            hint = "; to use all numbers of a sample, put nn.Flatten() before it"
        return ShapeError(
            f"{self}: expected {self.in_features} features, got {X.shape[-1]} (X has shape {X.shape}{hint})"
        )

    def saved_arguments(self) -> dict[str, Any]:
        """For files: W, and whether there is a b."""
        return {"W": self.W, "bias": self.b is not None}

    @classmethod
    def from_saved(cls, W: Array, bias: bool) -> "Linear":
        """A layer with this W, without drawing one."""
        if not isinstance(bias, bool):
            raise TypeError(f"Linear: bias: expected True or False, got {bias!r}")
        in_features, out_features = W.shape
        return cls(in_features, out_features, bias=bias, dtype=W.dtype, weight_init=lambda *_, **__: W)
