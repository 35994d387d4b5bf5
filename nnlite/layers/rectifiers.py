"""Activations that are the identity above 0, and something else below: leaky and exponential linear units."""

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, floating_dtype
from nnlite.basics.checks import finite, number, positive, whole
from nnlite.basics.generators import Rng, generator
from nnlite.basics.shapes import Shape, is_open
from nnlite.compute import activation_kernels as kernels
from nnlite.compute.sums import column_sum
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer
from nnlite.layers.activations import Activation


class LeakyReLU(Activation):
    """``Y = X`` above 0, ``negative_slope X`` elsewhere; ``dX = dY D`` with D the slope: at 0 it is negative_slope.

    X and Y have the same shape, any.

    Args:
        negative_slope: the slope below 0.

    Source: Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, 2013.

    >>> import numpy as np
    >>> layer = LeakyReLU(0.1)
    >>> layer.forward(np.array([-1.0, 0.0, 2.0]))
    array([-0.1,  0. ,  2. ])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0.1, 0.1, 1. ])
    """

    formulas = """
        Y = maximum(X, 0) + negative_slope * minimum(X, 0)
        dX = dY * ((X > 0) + negative_slope * (X <= 0))
    """
    onnx = "LeakyRelu(X, alpha=negative_slope)"
    flops_per_element = (2, 2)

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = number(negative_slope, "LeakyReLU: negative_slope")

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        return self.record_Y(kernels.leaky_relu(self.X, self.negative_slope))

    def backward(self, dY: Any) -> Array:
        return kernels.leaky_relu_backward(self.check_dY(dY), self.X, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class PReLU(Layer, parameters=("W",)):
    """``Y = X`` above 0, ``W X`` elsewhere, with a slope W that is learned: one for all, or one for each channel.

    Backward: ``dX = dY`` above 0, ``dY W`` elsewhere; dW is the sum of ``dY min(X, 0)``.

    Args:
        num_parameters: 1, or the number of channels, the size of X's axis 1.
        init: the first value of W.
        dtype: dtype of W; X is converted to it.

    Shapes:
        X (N, C, ...), Y the same, W (num_parameters,). With one parameter X may have any shape.

    Raises:
        ShapeError: there are several parameters and the size of X's axis 1 is not their number.

    Weight decay is not for W: it drives the slope to 0, ``SGD(..., weight_decay={"0.W": 1e-4})`` leaves it out.

    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.

    >>> layer = PReLU(2)
    >>> layer.W = [0.1, 0.5]
    >>> layer.forward(np.array([[-1.0, -2.0], [3.0, -4.0]]))
    array([[-0.1, -1. ],
           [ 3. , -2. ]], dtype=float32)
    >>> layer.backward(np.ones((2, 2)))
    array([[0.1, 0.5],
           [1. , 0.5]], dtype=float32)
    >>> layer.dW
    array([-1., -6.], dtype=float32)
    """

    formulas = """
        Y = maximum(X, 0) + (W if num_parameters == 1 else along(W, axis=1, like=X)) * minimum(X, 0)
        dS = dY * minimum(X, 0)
        dW = view(sum_to(dS, W if num_parameters == 1 else along(W, axis=1, like=X)), shape=(num_parameters,))
        dX = dY * ((X > 0) + (W if num_parameters == 1 else along(W, axis=1, like=X)) * (X <= 0))
    """
    flops_per_element = (2, 4)
    torch_names: ClassVar = {"W": "weight"}

    W: Array
    dW: Array

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = np.float32) -> None:
        self.num_parameters = whole(num_parameters, "PReLU: num_parameters", least=1)
        self.init = finite(init, "PReLU: init")
        self.dtype = floating_dtype(dtype)
        self.W = np.full(self.num_parameters, self.init, self.dtype)

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.output_shape(X.shape)
        self.X = X
        if self.num_parameters == 1:
            return self.record_Y(kernels.leaky_relu(X, self.W.item()))
        Y, self.D = kernels.prelu(self._matrix(X), np.repeat(self.W, math.prod(X.shape[2:])))
        return self.record_Y(Y.reshape(X.shape))

    def backward(self, dY: Any) -> Array:
        dY = self.check_dY(dY)
        if self.num_parameters == 1:
            self.dW[...] = kernels.prelu_slope_backward.sum(dY, self.X)
            return kernels.leaky_relu_backward(dY, self.X, self.W.item())
        matrix = self._matrix(dY)
        by_column = column_sum(kernels.prelu_slope_backward(matrix, self._matrix(self.X)))
        alone = matrix.shape[1] == self.num_parameters
        self.dW = by_column if alone else by_column.reshape(self.num_parameters, -1).sum(axis=1)
        return kernels.times(matrix, self.D).reshape(dY.shape)

    def onnx(self, graph: Any, X: Any) -> Any:
        W = self.W
        if self.num_parameters > 1 and X.ndim > 2:
            W = graph.Unsqueeze(W, axes=tuple(range(1, X.ndim - 1)))
        return graph.PRelu(X, W)

    def _matrix(self, X: Array) -> Array:
        """X with all its axes but the first as one; the columns of a channel are next to each other."""
        return X.reshape(len(X), math.prod(X.shape[1:]))

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if self.num_parameters > 1 and not is_open(X) and (len(X) < 2 or X[1] not in (None, self.num_parameters)):
            raise ShapeError(f"{self}: expected X of shape (N, {self.num_parameters}, ...), got {X}")
        return X

    def extra_repr(self) -> str:
        dtype = f", dtype={self.dtype}" if self.dtype != np.float32 else ""
        return f"num_parameters={self.num_parameters}, init={self.init}{dtype}"


class RReLU(Activation):
    """``Y = X`` above 0, ``a X`` elsewhere, with a slope a for each element; ``dX = dY D`` with D the slopes.

    In training mode a is uniform between ``lower`` and ``upper``, drawn in each forward; in evaluation mode it is the
    mean of the two, and nothing is drawn. X and Y have the same shape, any.

    Args:
        lower: the smallest slope.
        upper: the largest slope.
        rng: seed or generator; by default the one that :func:`nnlite.manual_seed` seeds.

    Raises:
        ValueError: ``lower`` is above ``upper``, or one of them is not finite.

    Source: Xu, Wang, Chen and Li, Empirical evaluation of rectified activations in convolutional network, 2015.

    >>> import numpy as np
    >>> layer = RReLU(0.1, 0.3)
    >>> layer.eval().forward(np.array([-1.0, 0.0, 2.0]))
    array([-0.2,  0. ,  2. ])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0.2, 0.2, 1. ])
    """

    formulas = """
        Y = X * D
        dX = dY * D
    """
    onnx = "LeakyRelu(X, alpha=(lower + upper) / 2)"
    flops_per_element = (4, 1)

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, *, rng: Rng = None) -> None:
        self.lower, self.upper = finite(lower, "RReLU: lower"), finite(upper, "RReLU: upper")
        if self.lower > self.upper:
            raise ValueError(f"RReLU: expected lower <= upper, got {lower} and {upper}")
        self.rng = generator(rng, "RReLU: rng")

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        if self.training:
            drawn = self.rng.random(X.shape, np.float32)  # in every dtype the same
            slopes = np.asarray(self.lower + (self.upper - self.lower) * drawn, X.dtype)
        else:
            slopes = np.full_like(X, (self.lower + self.upper) / 2)
        Y, self.D = kernels.rectified(X, slopes)
        return self.record_Y(Y)

    def backward(self, dY: Any) -> Array:
        return kernels.times(self.check_dY(dY), self.D)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}"


class ELU(Activation):
    """``Y = X`` above 0, ``alpha (exp(X) - 1)`` elsewhere; ``dX = dY`` above 0, ``dY alpha exp(X)`` elsewhere.

    X and Y have the same shape, any. Y is accurate for small X, too.

    Args:
        alpha: minus the limit far below 0.

    Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential linear units,
    2016.

    >>> import numpy as np
    >>> layer = ELU()
    >>> layer.forward(np.array([-1.0, 0.0, 2.0]))
    array([-0.63212056,  0.        ,  2.        ])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0.36787944, 1.        , 1.        ])
    """

    formulas = """
        Y = maximum(X, 0) + alpha * (exp(minimum(X, 0)) - 1)
        dX = dY * ((X > 0) + alpha * exp(minimum(X, 0)) * (X <= 0))
    """
    onnx = "Elu(X, alpha=alpha)"
    flops_per_element = (8, 6)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = number(alpha, "ELU: alpha")

    @property
    def output_range(self) -> tuple[float, float]:  # type: ignore[override]
        return min(-self.alpha, 0.0), math.inf

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        return self.record_Y(kernels.exponential_linear(self.X, self.alpha, 1.0))

    def backward(self, dY: Any) -> Array:
        return kernels.exponential_linear_backward(self.check_dY(dY), self.X, 1.0, self.alpha, 1.0)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class CELU(Activation):
    """``Y = X`` above 0, ``alpha (exp(X / alpha) - 1)`` elsewhere; the derivative is continuous for every alpha.

    ``dX = dY`` above 0, ``dY exp(X / alpha)`` elsewhere. X and Y have the same shape, any.

    Args:
        alpha: above 0: minus the limit far below 0.

    Source: Barron, Continuously differentiable exponential linear units, 2017.

    >>> import numpy as np
    >>> layer = CELU(2.0)
    >>> layer.forward(np.array([-1.0, 0.0, 2.0]))
    array([-0.78693868,  0.        ,  2.        ])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0.60653066, 1.        , 1.        ])
    """

    formulas = """
        Y = maximum(X, 0) + alpha * (exp(minimum(X, 0) / alpha) - 1)
        dX = dY * ((X > 0) + exp(minimum(X, 0) / alpha) * (X <= 0))
    """
    onnx = "Elu(X / alpha) * alpha"
    flops_per_element = (8, 6)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = positive(alpha, "CELU: alpha")

    @property
    def output_range(self) -> tuple[float, float]:  # type: ignore[override]
        return -self.alpha, math.inf

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        return self.record_Y(kernels.exponential_linear(self.X, self.alpha, 1 / self.alpha))

    def backward(self, dY: Any) -> Array:
        return kernels.exponential_linear_backward(self.check_dY(dY), self.X, 1.0, 1.0, 1 / self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class SELU(Activation):
    """``Y = scale X`` above 0, ``scale alpha (exp(X) - 1)`` elsewhere, with scale 1.0507... and alpha 1.6732...

    With these the activations of a network of such layers tend to mean 0 and variance 1, if its weights are normal with
    variance 1 / fan_in. ``dX = dY scale`` above 0, ``dY scale alpha exp(X)`` elsewhere. X and Y have the same shape,
    any.

    Source: Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks, 2017.

    >>> import numpy as np
    >>> layer = SELU()
    >>> layer.forward(np.array([-1.0, 0.0, 2.0]))
    array([-1.11133074,  0.        ,  2.10140197])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0.6467686 , 1.75809934, 1.05070099])
    """

    alpha = 1.6732632423543772
    scale = 1.0507009873554805
    formulas = """
        Y = scale * (maximum(X, 0) + alpha * (exp(minimum(X, 0)) - 1))
        dX = dY * scale * ((X > 0) + alpha * exp(minimum(X, 0)) * (X <= 0))
    """
    onnx = "Selu(X, alpha=alpha, gamma=scale)"
    output_range = (-scale * alpha, math.inf)
    flops_per_element = (9, 6)

    def forward(self, X: Any) -> Array:
        self.X = self.check_X(X)
        return self.record_Y(kernels.scaled_exponential_linear(self.X, self.scale, self.alpha))

    def backward(self, dY: Any) -> Array:
        return kernels.exponential_linear_backward(self.check_dY(dY), self.X, self.scale, self.scale * self.alpha, 1.0)
