"""What tells attention where in the sequence a step is: PositionalEncoding and RotaryEmbedding."""

from functools import lru_cache
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import positive, whole
from nnlite.basics.shapes import Shape, is_open, text, width
from nnlite.errors import ShapeError
from nnlite.layer.layer import Layer


class Positions(Layer):
    """Base class of layers on X (..., T, D) whose D features are pairs, each with a frequency.

    Pair i has the frequency ``base^(-2i / D)``, and the step at position p the angle p times that.
    """

    has_units = False
    sizes: tuple[int, int] = (0, 0)  # T and D of the last X

    def __init__(self, base: float = 10_000.0, *, offset: int = 0) -> None:
        name = type(self).__name__
        self.base = positive(base, f"{name}: base")
        self.offset = whole(offset, f"{name}: offset", least=0)

    def start(self, X: Any) -> Array:
        """X as an array, whose shape is right."""
        X = self.check_X(X)
        self.output_shape(X.shape)
        self.sizes = X.shape[-2], X.shape[-1]
        array: Array = X
        return array

    def output_shape(self, *shapes: Shape) -> Shape:
        (X,) = shapes
        if (not is_open(X) and len(X) < 2) or (width(X) or 0) % 2:
            raise ShapeError(f"{self}: expected X of shape (..., T, D) with an even D, got {text(X)}")
        return X

    def extra_repr(self) -> str:
        base = "" if self.base == 10_000 else f"base={self.base:g}"
        return ", ".join(filter(None, [base, f"offset={self.offset}" if self.offset else ""]))


class PositionalEncoding(Positions):
    """Add waves of D / 2 wavelengths to the steps of a sequence: ``Y = X + P``; ``dX = dY``.

    ``P[t, 2i] = sin(p base^(-2i / D))`` and ``P[t, 2i + 1] = cos(p base^(-2i / D))``, with the position
    ``p = offset + t``. So a layer behind it can tell the steps apart, and P at p + k is a rotation of P at p.

    Args:
        base: the wavelengths are from 2 pi to nearly 2 pi ``base`` steps.
        offset: the position of the first step: for a model that is given one step at a time, set this attribute.

    Shapes:
        X (..., T, D) with an even D, Y the same.

    Raises:
        TypeError: X does not hold real numbers, or ``offset`` is not a whole number.
        ValueError: ``base`` is not above 0, or ``offset`` is below 0.
        ShapeError: X has fewer than two axes, or D is odd.

    A learned encoding is an :class:`nnlite.Embedding` of the positions, added to that of the words::

        indices, positions = nn.Input("indices"), nn.Input("positions")  # np.arange(T) for each sequence
        X = nn.Embedding(words, D)(indices) + nn.Embedding(longest, D)(positions)

    Source: Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, Attention is all you need, 2017.

    >>> PositionalEncoding().forward(np.zeros((3, 4))).round(2)
    array([[ 0.  ,  1.  ,  0.  ,  1.  ],
           [ 0.84,  0.54,  0.01,  1.  ],
           [ 0.91, -0.42,  0.02,  1.  ]])
    """

    formulas = """
        Y = X + P
        dX = dY
    """
    flops_per_element = (1, 0)

    def forward(self, X: Any) -> Array:
        X = self.start(X)
        return self.record_Y(X + self._waves(X.dtype))

    def backward(self, dY: Any) -> Array:
        return self.check_dY(dY).copy()

    @property
    def P(self) -> Array:
        """The waves that the last X got, (T, D)."""
        return self._waves(np.dtype(np.float64))

    def _waves(self, dtype: "np.dtype[Any]") -> Array:
        return _waves(*self.sizes, self.base, self.offset, dtype)

    def onnx(self, graph: Any, X: Any) -> Any:
        if None in X.shape[-2:]:
            raise NotImplementedError("the number of steps must be known")
        return X + _waves(*X.shape[-2:], self.base, self.offset, graph.dtype)


class RotaryEmbedding(Positions):
    """Rotate pairs of features by an angle that grows with the position, for queries and keys.

    ``y1 = x1 cos(a) - x2 sin(a)`` and ``y2 = x2 cos(a) + x1 sin(a)`` with ``a = p base^(-2i / D)`` for the pair i and
    the position ``p = offset + t``: ``Y = X C + swapped(X) S``, where swapped exchanges the two of each pair, C has the
    cosines and S the sines, those of x1 with a minus. The inner product of a rotated query and a rotated key depends on
    their distance alone. Backward rotates the other way: ``dX = dY C - swapped(dY) S``.

    Args:
        base: the wavelengths are from 2 pi to nearly 2 pi ``base`` steps.
        offset: the position of the first step: for a model that is given one step at a time, set this attribute.
        interleaved: whether features 2i and 2i + 1 are a pair, as in the article; else it is features i and i + D / 2,
            as in many published models.

    Shapes:
        X (..., T, D) with an even D, Y the same: the heads' queries or keys, (N, h, T, d).

    Raises:
        TypeError: X does not hold real numbers, or ``offset`` is not a whole number.
        ValueError: ``base`` is not above 0, or ``offset`` is below 0.
        ShapeError: X has fewer than two axes, or D is odd.

    In :class:`nnlite.MultiheadAttention` queries and keys are not rotated; a graph of their maps does it::

        q, k, v = (nn.Transpose(1, 2)(nn.Unflatten(-1, (h, d))(nn.Linear(h * d, h * d)(X))) for _ in range(3))
        rotary = nn.RotaryEmbedding(), nn.RotaryEmbedding()
        Y = nn.ScaledDotProductAttention(causal=True)(rotary[0](q), rotary[1](k), v)  # (N, h, T, d)

    Source: Su, Lu, Pan, Murtadha, Wen and Liu, RoFormer: enhanced transformer with rotary position embedding, 2021.

    >>> layer = RotaryEmbedding()
    >>> X = np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> layer.forward(X).round(2)
    array([[1.  , 0.  ],
           [0.54, 0.84]])
    >>> layer.backward(layer.forward(X)).round(2)
    array([[1., 0.],
           [1., 0.]])
    """

    formulas = """
        Y = X * C + swapped(X, interleaved) * S
        dX = dY * C - swapped(dY, interleaved) * S
    """
    flops_per_element = (3, 3)

    def __init__(self, base: float = 10_000.0, *, offset: int = 0, interleaved: bool = True) -> None:
        super().__init__(base, offset=offset)
        if not isinstance(interleaved, bool | np.bool_):
            raise TypeError(f"RotaryEmbedding: interleaved: expected True or False, got {interleaved!r}")
        self.interleaved = bool(interleaved)

    def forward(self, X: Any) -> Array:
        X = self.start(X)
        C, S = self._rotation(X.shape, X.dtype)
        return self.record_Y(X * C + swapped(X, self.interleaved) * S)

    def backward(self, dY: Any) -> Array:
        dY = self.check_dY(dY)
        C, S = self._rotation(dY.shape, dY.dtype)
        dX: Array = dY * C - swapped(dY, self.interleaved) * S
        return dX

    def _rotation(self, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> tuple[Array, Array]:
        return _rotation(*shape[-2:], self.base, self.offset, self.interleaved, dtype)

    @property
    def C(self) -> Array:
        """The cosines, (T, D), for the formulas."""
        return self._rotation(self.sizes, np.dtype(np.float64))[0]

    @property
    def S(self) -> Array:
        """The sines, (T, D), those of the first of each pair with a minus, for the formulas."""
        return self._rotation(self.sizes, np.dtype(np.float64))[1]

    def onnx(self, graph: Any, X: Any) -> Any:
        if None in X.shape[-2:]:
            raise NotImplementedError("the number of steps must be known")
        C, S = self._rotation(X.shape, graph.dtype)
        half, front = X.shape[-1] // 2, (0,) * (X.ndim - 1)
        pairs = graph.Reshape(X, (*front, *((half, 2) if self.interleaved else (2, half))))
        axis = X.ndim if self.interleaved else X.ndim - 1
        first, second = graph.Split(pairs, split=(1, 1), axis=axis, outputs=2)
        return X * C + graph.Reshape(graph.Concat(second, first, axis=axis), (*front, X.shape[-1])) * S

    def extra_repr(self) -> str:
        return ", ".join(filter(None, [super().extra_repr(), "" if self.interleaved else "interleaved=False"]))


def swapped(X: Array, interleaved: bool) -> Array:
    """X with the two features of each pair exchanged.

    >>> swapped(np.array([1, 2, 3, 4]), True), swapped(np.array([1, 2, 3, 4]), False)
    (array([2, 1, 4, 3]), array([3, 4, 1, 2]))
    """
    half = X.shape[-1] // 2
    pairs = X.reshape(*X.shape[:-1], *((half, 2) if interleaved else (2, half)))
    return np.flip(pairs, -1 if interleaved else -2).reshape(X.shape)


def _angles(T: int, D: int, base: float, offset: int) -> Array:
    frequencies = float(base) ** (-np.arange(0, D, 2) / max(1, D))
    return (offset + np.arange(T))[:, None] * frequencies


@lru_cache(16)
def _waves(T: int, D: int, base: float, offset: int, dtype: "np.dtype[Any]") -> Array:
    """The sines and cosines in turn, (T, D); read-only."""
    angles = _angles(T, D, base, offset)
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(T, D).astype(dtype)
    waves.setflags(write=False)
    return waves


@lru_cache(16)
def _rotation(
    T: int, D: int, base: float, offset: int, interleaved: bool, dtype: "np.dtype[Any]"
) -> tuple[Array, Array]:
    """The cosines, and the sines with the sign that they have for each feature, (T, D) each; read-only."""
    angles = _angles(T, D, base, offset)
    axis = -1 if interleaved else -2
    C = np.stack([np.cos(angles)] * 2, axis=axis).reshape(T, D).astype(dtype)
    S = np.stack([-np.sin(angles), np.sin(angles)], axis=axis).reshape(T, D).astype(dtype)
    for array in (C, S):
        array.setflags(write=False)
    return C, S
