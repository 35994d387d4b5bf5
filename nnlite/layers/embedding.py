"""Embedding: a vector for each index."""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, as_array, as_floating, floating_dtype
from nnlite.basics.checks import number, positive, whole
from nnlite.basics.generators import Rng, generator
from nnlite.basics.shapes import Shape
from nnlite.compute.sums_of_rows import add_rows_at
from nnlite.errors import ShapeError
from nnlite.initializers import normal
from nnlite.layer.flops import Flops
from nnlite.layer.layer import Layer


class Lookup(Layer, parameters=("W",)):
    """A table W with a row for each index, and the options that Embedding and EmbeddingBag share."""

    without_gradient: tuple[str, ...] = ("indices",)
    torch_names: ClassVar = {"W": "weight"}

    W: Array
    dW: Array

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        weight_init: Callable[..., Array] = normal,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
    ) -> None:
        name = type(self).__name__
        self.num_embeddings = whole(num_embeddings, f"{name}: num_embeddings", least=1)
        self.embedding_dim = whole(embedding_dim, f"{name}: embedding_dim", least=1)
        self.padding_idx = None if padding_idx is None else self._row_number(padding_idx)
        self.max_norm = None if max_norm is None else positive(max_norm, f"{name}: max_norm")
        self.norm_type = number(norm_type, f"{name}: norm_type")
        if not self.norm_type > 0:
            raise ValueError(f"{name}: norm_type: expected a number above 0, got {norm_type}")
        if not isinstance(scale_grad_by_freq, bool | np.bool_):
            raise TypeError(f"{name}: scale_grad_by_freq: expected True or False, got {scale_grad_by_freq!r}")
        self.scale_grad_by_freq = bool(scale_grad_by_freq)
        self.dtype = floating_dtype(dtype)
        if not callable(weight_init):
            raise TypeError(f"{name}: weight_init: expected a function such as normal, got {weight_init!r}")
        shape = (self.num_embeddings, self.embedding_dim)
        W = weight_init(shape, dtype=self.dtype, rng=generator(rng, f"{name}: rng"))
        if np.shape(W) != shape:
            raise ShapeError(f"{name}: expected weight_init to return shape {shape}, got {np.shape(W)}")
        self.W = W
        if self.padding_idx is not None:
            self.W[self.padding_idx] = 0

    @classmethod
    def from_pretrained(cls, embeddings: Any, **options: Any) -> Self:
        """Return a layer with W = ``embeddings``, the row of ``padding_idx`` included.

        PyTorch's ``freeze`` is left out: a layer that is in no optimizer is frozen, and
        ``nn.SGD(model, lr=0.1, lr_factor={"0": 0})`` freezes part 0 of a model.

        Args:
            embeddings: of shape (num_embeddings, embedding_dim). Its dtype is the layer's, if it is floating.
            options: those of the constructor.

        Raises:
            ShapeError: it has not two axes.
            TypeError: it does not hold real numbers.

        >>> import nnlite as nn
        >>> nn.Embedding.from_pretrained([[1.0, 2.0], [3.0, 4.0]]).forward([1])
        array([[3., 4.]])
        """
        W = as_floating(embeddings, f"{cls.__name__}.from_pretrained: embeddings")
        if W.ndim != 2:
            raise ShapeError(f"{cls.__name__}.from_pretrained: expected embeddings of two axes, got shape {W.shape}")
        options = {"dtype": W.dtype} | options
        layer = cls(*W.shape, weight_init=lambda *_, **__: W, **options)
        if layer.padding_idx is not None:
            layer.W[layer.padding_idx] = W[layer.padding_idx]
        return layer

    def untrained_entries(self) -> dict[str, Any]:
        return {} if self.padding_idx is None else {"W": self.padding_idx}

    def extra_repr(self) -> str:
        shown = [f"{self.num_embeddings} -> {self.embedding_dim}"]
        for name, default in self._defaults.items():
            if (value := getattr(self, name)) != default:
                shown.append(f"{name}={value!r}")
        if self.dtype != np.float32:
            shown.append(f"dtype={self.dtype}")
        return ", ".join(shown)

    _defaults: dict[str, Any] = {  # noqa: RUF012 - read only
        "padding_idx": None,
        "max_norm": None,
        "norm_type": 2.0,
        "scale_grad_by_freq": False,
    }

    def saved_arguments(self) -> dict[str, Any]:
        """For files: W, and the options."""
        return {"W": self.W, **{name: getattr(self, name) for name in self._defaults}}

    @classmethod
    def from_saved(cls, W: Array, **options: Any) -> Self:
        """A layer with this W, without drawing one."""
        return cls.from_pretrained(W, **options)

    def _row_number(self, padding_idx: int) -> int:
        place = whole(padding_idx, f"{type(self).__name__}: padding_idx")
        if not -self.num_embeddings <= place < self.num_embeddings:
            raise ValueError(
                f"{type(self).__name__}: padding_idx: expected {-self.num_embeddings} to {self.num_embeddings - 1}, "
                f"got {padding_idx}"
            )
        return place % self.num_embeddings

    def _check_indices(self, indices: Any) -> Array:
        """Return the indices as an array of ``np.intp``.

        Raises:
            TypeError: they are not integers.
            ValueError: one is below 0, or not below num_embeddings.
        """
        array = as_array(indices, lambda: f"{self.one_line()}: indices")
        if array.dtype.kind not in "iu":
            raise TypeError(
                f"{self.one_line()}: indices: expected integers, got dtype {array.dtype}; pass indices.astype(np.int64)"
            )
        if array.size and not (array.min() >= 0 and array.max() < self.num_embeddings):
            place = tuple(map(int, np.argwhere((array < 0) | (array >= self.num_embeddings))[0]))
            raise ValueError(
                f"{self.one_line()}: expected indices from 0 to {self.num_embeddings - 1}, got {array[place]} at index "
                f"{place}"
            )
        return array.astype(np.intp, copy=False)

    def _rows(self, numbers: Array) -> Array:
        """Return the rows of W with these numbers, with norms of at most ``max_norm``; in training mode W gets them."""
        rows: Array = self.W.take(numbers, axis=0, mode="clip")  # in range, and "clip" is the fastest mode
        if self.max_norm is not None:
            norms = np.linalg.norm(rows, ord=self.norm_type, axis=1)
            over = norms > self.max_norm
            if over.any():
                rows[over] *= (self.max_norm / (norms[over] + 1e-7)).astype(rows.dtype)[:, None]
                if self.training:
                    self.W[numbers[over]] = rows[over]
        return rows

    def _without_padding(self, numbers: Array, bounds: Array) -> tuple[Array, Array, Array | None]:
        """Return the numbers without padding_idx, the bounds of what is left of each segment, and what was left."""
        if self.padding_idx is None:
            return numbers, bounds, None
        kept = numbers != self.padding_idx
        return numbers[kept], np.concatenate([[0], np.cumsum(kept)])[bounds], kept

    def _divide_by_counts(self, numbers: Array) -> None:
        """Divide each row of dW by how often its index occurs."""
        counts = np.bincount(numbers, minlength=self.num_embeddings)
        self.dW /= np.maximum(counts, 1).astype(self.dW.dtype)[:, None]

    @property
    def table(self) -> Array:
        """W, for ONNX; its rows have norms of at most ``max_norm``."""
        return self.W if self.max_norm is None else self._rows(np.arange(self.num_embeddings))


class Embedding(Lookup):
    """Look up a row of W for each index: ``Y = W[indices]``.

    Backward: row k of dW is the sum of the rows of dY whose index is k. Indices have no gradient, so backward returns
    None.

    Args:
        num_embeddings: number V of rows of W; indices are 0 to V - 1.
        embedding_dim: width D of W.
        padding_idx: index whose row of W starts at 0 and is not trained: its gradient is 0. It may be negative, and
            then counts from the end.
        max_norm: forward scales rows whose norm is larger to this norm. In training mode the rows of W are changed, as
            in PyTorch; in evaluation mode Y is the same and W does not change. Backward does not differentiate the
            scaling.
        norm_type: p of the p-norm for ``max_norm``; ``math.inf`` for the largest absolute value.
        scale_grad_by_freq: whether row k of dW is divided by the number of times that k occurs in ``indices``. dW is
            then not the derivative of forward, and :func:`nnlite.check_gradients` says so.
        weight_init: returns W, called as ``weight_init((V, D), dtype=..., rng=...)``; by default normal numbers with
            mean 0 and standard deviation 1.
        dtype: dtype of W.
        rng: seed or generator for ``weight_init``; by default the one that :func:`nnlite.manual_seed` seeds.

    Shapes:
        indices, integers of any shape (...); Y (..., D); W (V, D).

    Raises:
        TypeError: the indices are not integers.
        ValueError: an index is below 0 or not below V; it is named with its place. ``padding_idx`` is out of range.

    dW is dense, as that of every parameter; PyTorch's ``sparse`` is left out. So each step reads and writes all of W,
    dW and the optimizer's state, whatever the batch: with V = 1,000,000 and D = 64 in float32 they take 256 MB each,
    and on a CPU of two cores backward takes 0.05 s, a step of :class:`nnlite.SGD` 0.2 s, with momentum 0.4 s. To draw
    W takes 6 s; :meth:`from_pretrained` does not draw.

    Source: Bengio et al., A neural probabilistic language model, 2003.

    >>> layer = Embedding(3, 2)
    >>> layer.W = [[1, 2], [3, 4], [5, 6]]
    >>> layer.forward(np.array([2, 0, 2]))
    array([[5., 6.],
           [1., 2.],
           [5., 6.]], dtype=float32)
    >>> layer.backward(np.array([[1.0, 0.0], [2.0, 0.0], [4.0, 0.0]]))
    >>> layer.dW
    array([[2., 0.],
           [0., 0.],
           [5., 0.]], dtype=float32)
    """

    formulas = """
        Y = take(W, indices, axis=0)
        dW = add_at(dY, indices, like=W, ignored=padding_idx, averaged=scale_grad_by_freq)
    """
    onnx = "Gather(table, indices)"

    def forward(self, indices: Any) -> Array:
        indices = self._check_indices(indices)
        self.indices = indices.reshape(-1)
        return self.record_Y(self._rows(self.indices).reshape(*indices.shape, self.embedding_dim))

    def backward(self, dY: Any) -> None:
        dY = self.check_dY(dY).reshape(-1, self.embedding_dim)
        numbers, bounds, _ = self._without_padding(self.indices, np.arange(len(dY) + 1))
        add_rows_at(dY, numbers, bounds, out=self.dW)
        if self.scale_grad_by_freq:
            self._divide_by_counts(numbers)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        return Flops(reads=(Y,)), Flops(elementwise=Y.size, reads=(self.indices, self.dW))

    def output_shape(self, *shapes: Shape) -> Shape:
        (indices,) = shapes
        return (*indices, self.embedding_dim)
