"""Bilinear: a product of two inputs with a matrix for each output."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, floating_dtype
from nnlite.basics.checks import whole
from nnlite.basics.generators import Rng, generator
from nnlite.basics.shapes import UNKNOWN, Shape, common_shape, mismatch, width
from nnlite.compute import blas
from nnlite.compute.sums import column_sum
from nnlite.errors import ShapeError
from nnlite.initializers import glorot_uniform, zeros
from nnlite.layer.flops import Flops
from nnlite.layer.layer import Layer


class Bilinear(Layer, parameters=("W", "b")):
    """Bilinear map of two rows: ``y_k = x1^T W_k x2 + b_k``.

    With P the outer products of the rows of X1 and X2, each a row of D1 D2 numbers, it is ``Y = P W^T + b``. Backward:
    ``dW = dY^T P``, ``db`` is the sum of the rows of dY, ``dP = dY W``, and with each row of dP as a matrix
    ``dx1 = dP x2`` and ``dx2 = dP^T x1``.

    Args:
        in1_features: width D1 of X1's last axis.
        in2_features: width D2 of X2's last axis.
        out_features: width M of Y's last axis.
        bias: whether to add b, which starts at 0.
        weight_init: returns W, called as ``weight_init((M, D1, D2), dtype=..., rng=...)``; the fan-in is D1 D2.
        dtype: dtype of W and b; the inputs are converted to it.
        rng: seed or generator for ``weight_init``; by default the one that :func:`nnlite.manual_seed` seeds.

    Shapes:
        X1 (..., D1), X2 (..., D2) with the same leading axes, Y (..., M), W (M, D1, D2), b (M,).

    Raises:
        TypeError: a width is not a whole number, or an input does not hold real numbers.
        ValueError: a width is below 1, or ``weight_init`` returned another shape.
        ShapeError: the size of an input's last axis is wrong, or the leading axes differ.

    >>> layer = Bilinear(2, 2, 1)
    >>> layer.W = [[[1, 2], [3, 4]]]
    >>> layer.forward([[1, 10]], [[1, 0]])
    array([[31.]], dtype=float32)
    >>> layer.backward(np.array([[1.0]]))
    (array([[1., 3.]], dtype=float32), array([[31., 42.]], dtype=float32))
    """

    formulas = """
        P = flatten(outer(rows(X1), rows(X2)), start=1, end=2)
        Y = view(P @ flatten(W, start=1, end=2).T, shape=Y_shape) + b
        dW = reshape(rows(dY).T @ P, shape=W.shape)
        db = sum(rows(dY), axis=0)
        G = view(rows(dY) @ flatten(W, start=1, end=2), shape=G_shape)
        dX1 = view(matvec(G, rows(X2)), shape=X1.shape)
        dX2 = view(matvec(G.mT, rows(X1)), shape=X2.shape)
    """
    torch_names: ClassVar = {"W": "weight", "b": "bias"}

    W: Array
    b: Array | None
    dW: Array
    db: Array | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        *,
        bias: bool = True,
        weight_init: Callable[..., Array] = glorot_uniform,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
    ) -> None:
        self.in1_features = whole(in1_features, "Bilinear: in1_features", least=1)
        self.in2_features = whole(in2_features, "Bilinear: in2_features", least=1)
        self.out_features = whole(out_features, "Bilinear: out_features", least=1)
        self.dtype = floating_dtype(dtype)
        shape = (self.out_features, self.in1_features, self.in2_features)
        if not callable(weight_init):
            raise TypeError(f"Bilinear: weight_init: expected a function such as he_normal, got {weight_init!r}")
        W = weight_init(shape, dtype=self.dtype, rng=generator(rng, "Bilinear: rng"))
        if np.shape(W) != shape:
            raise ShapeError(f"Bilinear: expected weight_init to return shape {shape}, got {np.shape(W)}")
        self.W = W
        self.b = zeros(self.out_features, dtype=self.dtype) if bias else None

    def forward(self, X1: Any, X2: Any) -> Array:
        X1, X2 = self.check_X(X1, "X1"), self.check_X(X2, "X2")
        self.output_shape(X1.shape, X2.shape)
        self.X1_shape, self.X2_shape, self.Y_shape = X1.shape, X2.shape, (*X1.shape[:-1], self.out_features)
        self.X1, self.X2 = X1.reshape(-1, self.in1_features), X2.reshape(-1, self.in2_features)
        P = self.X1[:, :, None] * self.X2[:, None, :]
        self.G_shape = P.shape
        self.P = P.reshape(len(P), self.in1_features * self.in2_features)
        Y = blas.matmul(self.P, self.W.reshape(self.out_features, -1).T)
        if (b := self.b) is not None:
            Y += b
        return self.record_Y(Y.reshape(self.Y_shape))

    def backward(self, dY: Any) -> tuple[Array, Array] | None:
        dY = self.check_dY(dY).reshape(-1, self.out_features)
        blas.matmul(dY.T, self.P, self.dW.reshape(self.out_features, -1))
        if (db := self.db) is not None:
            column_sum(dY, out=db)
        if not self.needs_dX:
            return None
        dP = blas.matmul(dY, self.W.reshape(self.out_features, -1)).reshape(self.G_shape)
        dX1 = np.vecdot(dP, self.X2[:, None, :]).reshape(self.X1_shape)
        return dX1, np.vecdot(dP.swapaxes(1, 2), self.X1[:, None, :]).reshape(self.X2_shape)

    def onnx(self, graph: Any, X1: Any, X2: Any) -> Any:
        P = graph.Unsqueeze(X1, axes=(-1,)) * graph.Unsqueeze(X2, axes=(-2,))
        P = graph.Reshape(P, (0,) * (X1.ndim - 1) + (-1,))
        W = graph.Reshape(self.W, (self.out_features, -1))
        return P @ graph.Transpose(W, perm=(1, 0)) + self.b

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        W, dY = self.W.reshape(self.out_features, -1), Y.reshape(-1, self.out_features)
        bias = 0 if self.b is None else Y.size
        forward = Flops(elementwise=self.P.size + bias, products=((self.P, W.T),))
        if not self.needs_dX:
            return forward, Flops(elementwise=bias, products=((dY.T, self.P),), reads=(self.P,))
        # The products of each row of dP with x2 and x1: * and + for each number in it.
        reads = self.P, self.X1, self.X2, self.W
        return forward, Flops(elementwise=bias + 4 * self.P.size, products=((dY.T, self.P), (dY, W)), reads=reads)

    def output_shape(self, *shapes: Shape) -> Shape:
        widths = ("X1", self.in1_features), ("X2", self.in2_features)
        for (name, features), shape in zip(widths, shapes, strict=False):  # a Sequential asks with one unknown shape
            if shape == () or width(shape) not in (None, features):
                got = "a scalar" if shape == () else width(shape)
                raise ShapeError(f"{self}: expected {features} features in {name}, got {got}")
        if UNKNOWN in shapes:
            return (..., self.out_features)
        X1, X2 = shapes
        try:
            return (*common_shape(self, [X1[:-1], X2[:-1]]), self.out_features)
        except ShapeError:
            raise mismatch(self, shapes) from None

    def extra_repr(self) -> str:
        bias = ", bias=False" if self.b is None else ""
        dtype = f", dtype={self.dtype}" if self.dtype != np.float32 else ""
        return f"{self.in1_features}, {self.in2_features} -> {self.out_features}{bias}{dtype}"

    def saved_arguments(self) -> dict[str, Any]:
        """For files: W, and whether there is a b."""
        return {"W": self.W, "bias": self.b is not None}

    @classmethod
    def from_saved(cls, W: Array, bias: bool) -> "Bilinear":
        """A layer with this W, without drawing one."""
        if not isinstance(bias, bool):
            raise TypeError(f"Bilinear: bias: expected True or False, got {bias!r}")
        out_features, in1_features, in2_features = W.shape
        widths = in1_features, in2_features, out_features
        return cls(*widths, bias=bias, dtype=W.dtype, weight_init=lambda *_, **__: W)
