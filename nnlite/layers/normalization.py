"""Normalization of each sample over its last axes: LayerNorm and RMSNorm; and what all normalizations share."""

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, floating_dtype
from nnlite.basics.checks import positive, whole
from nnlite.basics.shapes import UNKNOWN, Shape, sizes, text
from nnlite.compute.normalization_kernels import layer_norm, layer_norm_backward, rms_norm, rms_norm_backward
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer


class Normalization(Layer):
    """Base class of layers that normalize X, multiply it by gamma and add beta, which start at 1 and 0.

    A group of numbers that are all equal gives exactly beta.
    """

    torch_names: ClassVar = {"gamma": "weight", "beta": "bias"}

    gamma: Array | None
    beta: Array | None
    dgamma: Array | None
    dbeta: Array | None

    def make_parameters(self, shape: int | tuple[int, ...], gamma: bool, beta: bool, dtype: DTypeLike) -> None:
        """Make gamma and beta where they are wanted."""
        self.dtype = floating_dtype(dtype)
        if gamma:
            self.gamma = np.ones(shape, self.dtype)
        if beta:
            self.beta = np.zeros(shape, self.dtype)

    def options_repr(self, **defaults: Any) -> str:
        """For the repr: the options that are not the default, each after a comma."""
        shown = "".join(
            f", {name}={getattr(self, name)!r}" for name, default in defaults.items() if getattr(self, name) != default
        )
        return shown + (f", dtype={self.dtype}" if self._has_parameters and self.dtype != np.float32 else "")

    def saved_with(self, name: str, *names: str) -> dict[str, Any]:
        """For files: the arguments of the constructor, with an array in place of the sizes, called ``name``.

        So no more is allocated when it is loaded than the file holds.
        """
        arrays = [getattr(self, each) for each in (*self._parameters, *self._buffers)]
        size = next((each for each in arrays if each is not None), getattr(self, name))
        return {name: size, "dtype": self.dtype} | {each: getattr(self, each) for each in names}

    def normalized(self, graph: Any, X: Any, axes: tuple[int, ...]) -> Any:
        """In ONNX's operators: X with mean 0 and variance 1 over these axes."""
        D = X - graph.ReduceMean(X, axes=axes)
        return D / graph.Sqrt(graph.ReduceMean(D * D, axes=axes) + self.eps)  # type: ignore[attr-defined]


def shape_of(saved: Any) -> Any:
    """The sizes that an array, which was saved in their place, has; sizes are returned unchanged."""
    return saved.shape if isinstance(saved, np.ndarray) else saved


def features_of(saved: Any) -> Any:
    """:func:`shape_of` for a single size."""
    return len(saved) if isinstance(saved, np.ndarray) else saved


class _OverLastAxes(Normalization):
    """What LayerNorm and RMSNorm have in common: the last axes of X are the rows of a matrix."""

    normalized_shape: tuple[int, ...]

    def make_shape(self, normalized_shape: int | Iterable[int]) -> None:
        name = f"{type(self).__name__}: normalized_shape"
        given = normalized_shape if isinstance(normalized_shape, Iterable) else (normalized_shape,)
        self.normalized_shape = tuple(whole(size, name, least=1) for size in given)
        if not self.normalized_shape:
            raise ValueError(f"{name}: expected at least one size, got {normalized_shape!r}")
        self.axes = tuple(range(-len(self.normalized_shape), 0))
        self.size = math.prod(self.normalized_shape)

    def rows(self, X: Array) -> Array:
        """X as a contiguous matrix with a row for each group."""
        matrix: Array = np.ascontiguousarray(X).reshape(X.size // self.size, self.size)
        return matrix

    def check_rows(self, X: Any) -> Array:
        """X as an array whose last axes have the right sizes."""
        array = self.check_X(X)
        if array.shape[-len(self.axes) :] != self.normalized_shape:
            raise ShapeError(f"{self}: expected X of shape {text((..., *self.normalized_shape))}, got {array.shape}")
        return array

    def each_column(self, parameter: Array | None, otherwise: float, dtype: Any) -> Array:
        """Gamma or beta as a vector, with a number for each column of the rows."""
        vector: Array = np.full(self.size, otherwise, dtype) if parameter is None else parameter.reshape(-1)
        return vector

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if X == UNKNOWN:
            return (..., *self.normalized_shape)
        pairs = list(zip(reversed(sizes(X)), reversed(self.normalized_shape), strict=False))
        short = X[:1] != (...,) and len(pairs) < len(self.axes)
        if short or any(size not in (None, own) for size, own in pairs):
            raise ShapeError(f"{self}: expected X of shape {text((..., *self.normalized_shape))}, got {text(X)}")
        return X

    def shape_repr(self) -> str:
        """The shape as the constructor takes it."""
        return repr(self.normalized_shape if len(self.axes) > 1 else self.normalized_shape[0])


class LayerNorm(_OverLastAxes, parameters=("gamma", "beta")):
    """Normalize each sample over its last axes: ``Y = (X - mu) / sqrt(v + eps) gamma + beta``.

    mu and v are the mean and the variance (of the n numbers, not of n - 1) over the axes of ``normalized_shape``. With
    H = (X - mu) / sqrt(v + eps) and dH = dY gamma: ``dX = (dH - mean(dH) - H mean(dH H)) / sqrt(v + eps)``. The
    variance is computed in a second pass, from X - mu, so that it is right where mu is large.

    Args:
        normalized_shape: the sizes of the last axes, or of the last one; gamma and beta have this shape.
        eps: added to the variance.
        elementwise_affine: whether there are gamma and beta.
        bias: whether there is a beta, if there is a gamma.
        dtype: dtype of gamma and beta; X is converted to it.

    Shapes:
        X and Y (..., *normalized_shape).

    Raises:
        TypeError: a size is not a whole number.
        ValueError: a size is below 1, or eps is not above 0.
        ShapeError: the last axes of X have other sizes.

    Source: Ba, Kiros and Hinton, Layer normalization, 2016.

    >>> layer = LayerNorm(4, eps=1e-12)
    >>> layer.forward([[1e4, 1e4 + 1, 1e4 + 2, 1e4 + 3]])
    array([[-1.3416407, -0.4472136,  0.4472136,  1.3416407]], dtype=float32)
    >>> layer.backward(np.array([[1.0, 0.0, 0.0, 0.0]])).round(4)
    array([[ 0.2683, -0.3578, -0.0894,  0.1789]], dtype=float32)
    """

    formulas = """
        mu = mean(X, axis=axes, keepdims=True)
        v = mean((X - mu) ** 2, axis=axes, keepdims=True)
        H = (X - mu) / sqrt(v + eps)
        Y = H * gamma + beta
        dgamma = sum_to(dY * H, gamma)
        dbeta = sum_to(dY, beta)
        dH = dY * gamma
        dX = (dH - mean(dH, axis=axes, keepdims=True) - H * mean(dH * H, axis=axes, keepdims=True)) / sqrt(v + eps)
    """
    flops_per_element = (7, 13)  # sum, -, *, sum, *, *, +; -, *, *, sum, *, sum, *, -, -, *, and for dgamma and dbeta 3

    def __init__(
        self,
        normalized_shape: int | Iterable[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.make_shape(normalized_shape)
        self.eps = positive(eps, "LayerNorm: eps")
        self.elementwise_affine, self.bias = bool(elementwise_affine), bool(bias)
        self.make_parameters(self.normalized_shape, self.elementwise_affine, self.elementwise_affine and bias, dtype)

    def forward(self, X: Any) -> Array:
        X = self.check_rows(X)
        self.X = self.rows(X)
        self.each_gamma = self.each_column(self.gamma, 1, X.dtype)
        beta = self.each_column(self.beta, 0, X.dtype)
        if not X.size:
            return self.record_Y(np.empty_like(X))
        self.first = np.ascontiguousarray(self.X[:, :1])  # the mean is that of X - first
        Y, self.mean, self.scale = layer_norm(self.X, self.first, self.each_gamma, beta, 1 / self.size, self.eps)
        return self.record_Y(np.reshape(Y, X.shape))

    def backward(self, dY: Any) -> Array:
        dY = self.check_dY(dY)
        if not dY.size:
            dX, dgamma, dbeta = np.empty_like(dY), np.zeros(self.size), np.zeros(self.size)
        else:
            dX, dgamma, dbeta = layer_norm_backward(
                self.rows(dY), self.X, self.first, self.mean, self.scale, self.each_gamma, 1 / self.size
            )
        if self.gamma is not None:
            self.dgamma = dgamma.reshape(self.normalized_shape)
        if self.beta is not None:
            self.dbeta = dbeta.reshape(self.normalized_shape)
        return np.reshape(dX, dY.shape)

    def onnx(self, graph: Any, X: Any) -> Any:
        if self.gamma is None or graph.opset < 17:
            return self.normalized(graph, X, self.axes) * self.gamma + self.beta
        return graph.LayerNormalization(X, self.gamma, self.beta, axis=self.axes[0], epsilon=self.eps)

    def extra_repr(self) -> str:
        return self.shape_repr() + self.options_repr(eps=1e-5, elementwise_affine=True, bias=True)

    def saved_arguments(self) -> dict[str, Any]:
        """For files."""
        return self.saved_with("normalized_shape", "eps", "elementwise_affine", "bias")

    @classmethod
    def from_saved(cls, normalized_shape: Any, **options: Any) -> "LayerNorm":
        """A layer with gamma of this shape."""
        return cls(shape_of(normalized_shape), **options)


class RMSNorm(_OverLastAxes, parameters=("gamma",)):
    """Divide each sample by its RMS over its last axes: ``Y = X / sqrt(mean(X^2) + eps) gamma``.

    With H = X / sqrt(mean(X^2) + eps) and dH = dY gamma: ``dX = (dH - H mean(dH H)) / sqrt(mean(X^2) + eps)``.

    Args:
        normalized_shape: the sizes of the last axes, or of the last one; gamma has this shape.
        eps: added to the mean of the squares; None for the machine epsilon of X's dtype, 1.2e-7 for float32.
        elementwise_affine: whether there is a gamma.
        dtype: dtype of gamma; X is converted to it.

    Shapes:
        X and Y (..., *normalized_shape).

    Raises:
        TypeError: a size is not a whole number.
        ValueError: a size is below 1, or eps is not above 0.
        ShapeError: the last axes of X have other sizes.

    Source: Zhang and Sennrich, Root mean square layer normalization, 2019.

    >>> layer = RMSNorm(2, eps=1e-12)
    >>> layer.forward([[1, 7]])
    array([[0.2, 1.4]], dtype=float32)
    """

    formulas = """
        H = X / sqrt(mean(X ** 2, axis=axes, keepdims=True) + (epsilon if eps is None else eps))
        Y = H * gamma
        dgamma = sum_to(dY * H, gamma)
        dH = dY * gamma
        dX = (dH - H * mean(dH * H, axis=axes, keepdims=True)) / sqrt(
            mean(X ** 2, axis=axes, keepdims=True) + (epsilon if eps is None else eps)
        )
    """
    flops_per_element = (4, 9)  # *, sum, *, *; *, *, *, sum, *, -, *, and for dgamma 2

    def __init__(
        self,
        normalized_shape: int | Iterable[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.make_shape(normalized_shape)
        self.eps = None if eps is None else positive(eps, "RMSNorm: eps")
        self.elementwise_affine = bool(elementwise_affine)
        self.make_parameters(self.normalized_shape, self.elementwise_affine, False, dtype)

    def forward(self, X: Any) -> Array:
        X = self.check_rows(X)
        self.X = self.rows(X)
        self.each_gamma = self.each_column(self.gamma, 1, X.dtype)
        self.epsilon = float(np.finfo(X.dtype).eps) if self.eps is None else self.eps
        if not X.size:
            return self.record_Y(np.empty_like(X))
        Y, self.scale = rms_norm(self.X, self.each_gamma, 1 / self.size, self.epsilon)
        return self.record_Y(np.reshape(Y, X.shape))

    def backward(self, dY: Any) -> Array:
        dY = self.check_dY(dY)
        if not dY.size:
            dX, dgamma = np.empty_like(dY), np.zeros(self.size)
        else:
            dX, dgamma = rms_norm_backward(self.rows(dY), self.X, self.scale, self.each_gamma, 1 / self.size)
        if self.gamma is not None:
            self.dgamma = dgamma.reshape(self.normalized_shape)
        return np.reshape(dX, dY.shape)

    def onnx(self, graph: Any, X: Any) -> Any:
        eps = float(np.finfo(X.dtype).eps) if self.eps is None else self.eps
        return X / graph.Sqrt(graph.ReduceMean(X * X, axes=self.axes) + eps) * self.gamma

    def extra_repr(self) -> str:
        return self.shape_repr() + self.options_repr(eps=None, elementwise_affine=True)

    def saved_arguments(self) -> dict[str, Any]:
        """For files."""
        return self.saved_with("normalized_shape", "eps", "elementwise_affine")

    @classmethod
    def from_saved(cls, normalized_shape: Any, **options: Any) -> "RMSNorm":
        """A layer with gamma of this shape."""
        return cls(shape_of(normalized_shape), **options)
