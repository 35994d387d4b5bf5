"""Dropout: in training mode random entries or channels become 0, and the others larger; backward uses the same mask."""

from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import share
from nnlite.basics.generators import Rng, generator
from nnlite.basics.shapes import Shape, is_open, text
from nnlite.compute import dropout_kernels as kernels
from nnlite.compute.random_bits import bernoulli
from nnlite.errors import ShapeError
from nnlite.layers.activations import Activation


class Dropout(Activation):
    """In training mode ``Y = X M``, with M 0 with probability p and ``1 / (1 - p)`` else; ``dX = dY M``.

    So the expectation of Y is X. In evaluation mode, and for p = 0, Y is X, and nothing is drawn. For p = 1 Y and dX
    are 0. Each forward draws a new M, an entry for each element.

    X and Y have the same shape, any.

    Args:
        p: the probability with which an element becomes 0.
        rng: seed or generator; by default the one that :func:`nnlite.manual_seed` seeds. Layers with the same seed draw
            the same numbers, so pass one generator to all layers of a model.

    Raises:
        ValueError: p is not from 0 to 1.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, Dropout: a simple way to prevent neural
    networks from overfitting, 2014.

    >>> layer = Dropout(0.5, rng=2)
    >>> layer.forward(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    array([ 0.,  4.,  6.,  0., 10.])
    >>> layer.backward(np.ones(5))
    array([0., 2., 2., 0., 2.])
    >>> layer.eval().forward(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    array([1., 2., 3., 4., 5.])
    """

    formulas = """
        Y = X * M if drops else X
        dX = dY * M if drops else dY
    """
    onnx = "Dropout(X, ratio=p)"
    operations = (1, 1)  # for each element, where a mask is drawn

    def __init__(self, p: float = 0.5, *, rng: Rng = None) -> None:
        name = type(self).__name__
        self.p = share(p, f"{name}: p")
        self.rng = generator(rng, f"{name}: rng")

    @property
    def drops(self) -> bool:
        """Whether a forward draws a mask."""
        return self.training and self.p > 0

    @property
    def kept(self) -> float:
        """What an element that is kept is multiplied by."""
        return 1 / (1 - self.p) if self.p < 1 else 0.0

    @property
    def flops_per_element(self) -> tuple[float, float]:  # type: ignore[override]
        return self.operations if self.drops else (0, 0)

    def mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the mask for an X of this shape, with which it is broadcast along the last axes."""
        return shape

    def forward(self, X: Any) -> Array:
        X = self.check_X(X)
        shape = self.mask_shape(X.shape)
        self.M = self._mask(shape, X) if self.drops else None
        return self.record_Y(X.copy() if self.M is None else self.masked(X, self.M))

    def backward(self, dY: Any) -> Array:
        dY = self.check_dY(dY)
        return dY.copy() if self.M is None else kernels.masked(dY, self.M)

    def masked(self, X: Array, M: Array) -> Array:
        """Y."""
        return kernels.masked(X, M)

    def _mask(self, shape: tuple[int, ...], X: Array) -> Array:
        if self.p == 1:
            return np.zeros(shape, X.dtype)
        M = bernoulli(self.rng, 1 - self.p, shape).astype(X.dtype)
        M *= self.kept
        return M

    def extra_repr(self) -> str:
        return f"p={self.p}"


class _ChannelDropout(Dropout):
    """Dropout of whole channels."""

    axes: tuple[str, ...]  # the shapes that X may have; those of a batch begin with N

    def mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.output_shape(shape)
        batch = next(axes for axes in self.axes if len(axes) == len(shape)).startswith("N")
        first = 2 if batch else 1
        return (*shape[:first], *[1] * (len(shape) - first))

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if not is_open(X) and len(X) not in map(len, self.axes):
            expected = " or ".join(f"({', '.join(axes)})" for axes in self.axes)
            raise ShapeError(f"{self}: expected X of shape {expected}, got {text(X)}")
        return X


class Dropout1d(_ChannelDropout):
    """:class:`Dropout` of whole channels of sequences: M has one number for each sample and channel.

    Neighbouring elements of a channel are correlated, so dropping single elements would have little effect.

    Shapes:
        X (N, C, L) or (C, L), Y the same.

    Args:
        p: the probability with which a channel becomes 0.
        rng: seed or generator; by default the one that :func:`nnlite.manual_seed` seeds.

    Raises:
        ValueError: p is not from 0 to 1.
        ShapeError: X has another number of axes.

    Source: Tompson, Goroshin, Jain, LeCun and Bregler, Efficient object localization using convolutional networks,
    2015.

    >>> Dropout1d(0.5, rng=0).forward(np.ones((3, 2)))
    array([[2., 2.],
           [0., 0.],
           [0., 0.]])
    """

    axes = "NCL", "CL"


class Dropout2d(_ChannelDropout):
    """:class:`Dropout` of whole channels of images: M has one number for each sample and channel.

    Shapes:
        X (N, C, H, W) or (N, C, L), Y the same.

    Args:
        p: the probability with which a channel becomes 0.
        rng: seed or generator; by default the one that :func:`nnlite.manual_seed` seeds.

    Raises:
        ValueError: p is not from 0 to 1.
        ShapeError: X has another number of axes.

    Source: Tompson, Goroshin, Jain, LeCun and Bregler, Efficient object localization using convolutional networks,
    2015.

    >>> Dropout2d(0.5, rng=0).forward(np.ones((1, 3, 1, 2)))[0, :, 0]
    array([[2., 2.],
           [0., 0.],
           [0., 0.]])
    """

    axes = "NCHW", "NCL"


class Dropout3d(_ChannelDropout):
    """:class:`Dropout` of whole channels of volumes: M has one number for each sample and channel.

    Shapes:
        X (N, C, D, H, W) or (C, D, H, W), Y the same.

    Args:
        p: the probability with which a channel becomes 0.
        rng: seed or generator; by default the one that :func:`nnlite.manual_seed` seeds.

    Raises:
        ValueError: p is not from 0 to 1.
        ShapeError: X has another number of axes.

    Source: Tompson, Goroshin, Jain, LeCun and Bregler, Efficient object localization using convolutional networks,
    2015.

    >>> Dropout3d(0.5, rng=0).forward(np.ones((3, 1, 1, 2)))[:, 0, 0]
    array([[2., 2.],
           [0., 0.],
           [0., 0.]])
    """

    axes = "NCDHW", "CDHW"


class AlphaDropout(Dropout):
    """Dropout for networks of :class:`nnlite.SELU`: it keeps mean 0 and variance 1.

    In training mode an element becomes ``-alpha``, the limit of SELU far below 0, with probability p, and then all are
    scaled by a and shifted: ``Y = X M + alpha M + c`` with M 0 with probability p and a else, ``c = alpha a (p - 1)``
    and ``a = ((1 - p) (1 + p alpha^2))^(-1/2)``; ``dX = dY M``. In evaluation mode, and for p = 0, Y is X, and nothing
    is drawn. For p = 1 Y and dX are 0.

    X and Y have the same shape, any.

    Args:
        p: the probability with which an element is dropped.
        rng: seed or generator; by default the one that :func:`nnlite.manual_seed` seeds.

    Raises:
        ValueError: p is not from 0 to 1.

    Source: Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks, 2017.

    >>> layer = AlphaDropout(0.5, rng=4)
    >>> layer.forward(np.array([-1.0, 0.0, 1.0, 2.0]))
    array([-0.10721096,  0.77919393, -0.77919393, -0.77919393])
    >>> layer.backward(np.ones(4))
    array([0.88640489, 0.88640489, 0.        , 0.        ])
    """

    alpha = 1.7580993408473766  # that of SELU times its scale
    operations = (4, 1)
    formulas = """
        Y = X * M + alpha * M + c if drops else X
        dX = dY * M if drops else dY
    """

    @property
    def kept(self) -> float:
        """The factor a."""
        return ((1 - self.p) * (1 + self.p * self.alpha**2)) ** -0.5 if self.p < 1 else 0.0

    @property
    def c(self) -> float:
        """What is added to every element."""
        return self.alpha * self.kept * (self.p - 1)

    def masked(self, X: Array, M: Array) -> Array:
        return kernels.masked_and_shifted(X, M, self.alpha, self.c)


class FeatureAlphaDropout(AlphaDropout):
    """:class:`AlphaDropout` of whole channels: M has one number for each index of the first two axes.

    Shapes:
        X (N, C, ...), Y the same.

    Args:
        p: the probability with which a channel is dropped.
        rng: seed or generator; by default the one that :func:`nnlite.manual_seed` seeds.

    Raises:
        ValueError: p is not from 0 to 1.
        ShapeError: X has fewer than two axes.

    Source: Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks, 2017.

    >>> FeatureAlphaDropout(0.5, rng=0).forward(np.zeros((1, 3, 2)))
    array([[[ 0.77919393,  0.77919393],
            [-0.77919393, -0.77919393],
            [-0.77919393, -0.77919393]]])
    """

    def mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.output_shape(shape)
        return (*shape[:2], *[1] * (len(shape) - 2))

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if not is_open(X) and len(X) < 2:
            raise ShapeError(f"{self}: expected X of shape (N, C, ...), got {text(X)}")
        return X
