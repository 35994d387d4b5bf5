"""LocalResponseNorm: normalization by the squares of neighbouring channels."""

from typing import Any

from nnlite.basics.arrays import Array
from nnlite.basics.checks import finite, whole
from nnlite.basics.shapes import Shape, is_open, text
from nnlite.errors import ShapeError
from nnlite.layers.activations import Activation


class LocalResponseNorm(Activation):
    """Divide each channel by the squares of its neighbours: ``Y = X D^-beta``, ``D = k + alpha / size sum(X^2)``.

    The sum is over the channels from ``size // 2`` before to ``(size - 1) // 2`` after the channel, where they exist.
    ``dX = dY D^-beta - 2 alpha beta / size X sum(dY X D^(-beta - 1))``, a sum over the channels that the channel is
    a neighbour of.

    Args:
        size: number of channels in a sum.
        alpha: factor of the mean of the squares.
        beta: exponent.
        k: what is added to the mean.

    Shapes:
        X and Y (N, C, ...), with at least three axes.

    Raises:
        TypeError: size is not a whole number, or another argument is not a number.
        ValueError: size is below 1, or another argument is not finite.
        ShapeError: X has less than three axes.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, 2012.

    >>> layer = LocalResponseNorm(2, alpha=2.0, beta=1.0)
    >>> layer.forward([[[1.0], [3.0], [0.0]]])  # 1 / (1 + 1), 3 / (1 + 1 + 9), 0 / (1 + 9)
    array([[[0.5       ],
            [0.27272727],
            [0.        ]]])
    """

    formulas = """
        D = k + alpha / size * window_sum(X ** 2, before, after)
        Y = X * D ** -beta
        dD = window_sum(dY * X * D ** (-beta - 1), after, before)
        dX = dY * D ** -beta - 2 * alpha * beta / size * X * dD
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size = whole(size, "LocalResponseNorm: size", least=1)
        self.alpha = finite(alpha, "LocalResponseNorm: alpha")
        self.beta = finite(beta, "LocalResponseNorm: beta")
        self.k = finite(k, "LocalResponseNorm: k")

    @property
    def flops_per_element(self) -> tuple[float, float]:  # type: ignore[override]
        """The sums have size - 1 additions."""
        return self.size + 4, self.size + 5

    @property
    def before(self) -> int:
        """How many channels before a channel are its neighbours."""
        return self.size // 2

    @property
    def after(self) -> int:
        """How many channels after a channel are its neighbours."""
        return (self.size - 1) // 2

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        self.output_shape(X.shape)
        self.X = X
        self.D = self.k + self.alpha / self.size * window_sum(X * X, self.before, self.after)
        self.P = self.D**-self.beta
        return self.record_Y(X * self.P)

    def backward(self, dY: Any) -> Array:
        dYP = self.check_dY(dY) * self.P
        dD = window_sum(dYP * self.X / self.D, self.after, self.before)
        return dYP - 2 * self.alpha * self.beta / self.size * self.X * dD  # type: ignore[no-any-return]

    def onnx(self, graph: Any, X: Any) -> Any:
        if self.size % 2 == 0:
            raise NotImplementedError("in ONNX the size is odd")
        if None in X.shape[1:]:
            raise NotImplementedError("the size of an axis behind the first is not known")
        images = graph.Reshape(X, (0, 0, 1, -1)) if X.ndim != 4 else X  # onnxruntime expects four axes
        Y = graph.LRN(images, size=self.size, alpha=self.alpha, beta=self.beta, bias=self.k)
        return Y if X.ndim == 4 else graph.Reshape(Y, (0, *X.shape[1:]))

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if not is_open(X) and len(X) < 3:
            raise ShapeError(f"{self}: expected X of shape (N, C, ...) with at least three axes, got {text(X)}")
        return X

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def window_sum(A: Array, before: int, after: int) -> Array:
    """The sum of each channel, ``A[:, c]``, and so many channels before and after it, where they exist.

    >>> import numpy as np
    >>> window_sum(np.array([[1.0, 10.0, 100.0]]), 1, 0)
    array([[  1.,  11., 110.]])
    """
    out = A.copy()
    for step in range(1, min(before, A.shape[1] - 1) + 1):
        out[:, step:] += A[:, :-step]
    for step in range(1, min(after, A.shape[1] - 1) + 1):
        out[:, :-step] += A[:, step:]
    return out
