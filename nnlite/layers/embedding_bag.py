"""EmbeddingBag: the sum, mean or maximum of the vectors of several indices."""

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, as_array
from nnlite.basics.checks import one_of
from nnlite.basics.generators import Rng
from nnlite.basics.shapes import Shape, is_open, text
from nnlite.compute.sums_of_rows import add_rows_at, sums_of_rows
from nnlite.errors import ShapeError
from nnlite.initializers import normal
from nnlite.layer.flops import Flops
from nnlite.layers.embedding import Lookup


class EmbeddingBag(Lookup):
    """Look up a row of W for each index, and reduce the rows of each bag: ``y = sum(w_j W[i_j])``.

    With ``mode="mean"`` the sum is divided by the number of rows, with ``mode="max"`` y is the maximum of each column.
    The y of an empty bag is 0. Faster than :class:`Embedding` and a reduction, and without an array of all rows for
    sums and means.

    Backward: ``dW[k] = sum(w_j dy)`` over all j with ``i_j = k``; ``dw_j = dy^T W[i_j]``. For "mean" dy is divided by
    the number of rows; for "max" it goes to the first largest number of each column. backward returns the gradient of
    ``per_sample_weights`` if they were given, else None.

    Args:
        num_embeddings, embedding_dim, norm_type, weight_init, dtype, rng: as for :class:`Embedding`.
        max_norm: as for :class:`Embedding`.
        scale_grad_by_freq: likewise; not for ``mode="max"``.
        mode: "sum", "mean" or "max".
        include_last_offset: whether ``offsets`` have one more entry, the number of indices.
        padding_idx: index whose rows do not count in any bag; its row of W starts at 0, and its gradient is 0.

    Shapes, with B bags:
        indices (B, L), bags of L indices each; or (N,) with offsets (B,), at which the bags start, the first one 0;
        per_sample_weights w of the shape of the indices; Y (B, D); W (V, D). :func:`nnlite.fit` divides inputs into
        batches by rows, so use (B, L) there and ``padding_idx`` for shorter bags.

    Raises:
        TypeError: indices or offsets that are not integers.
        ValueError: an index out of range; offsets that are missing for (N,), given for (B, L), descending or out of
            range; ``per_sample_weights`` with a mode other than "sum".
        ShapeError: indices of other than one or two axes; weights of another shape.

    dW is dense; PyTorch's ``sparse`` is left out. With ``mode="max"`` it has no ``formulas``: their language does not
    describe the maximum of each bag.

    >>> layer = EmbeddingBag(3, 2, mode="sum")
    >>> layer.W = [[1, 2], [3, 4], [5, 6]]
    >>> layer.forward(np.array([2, 0, 1]), np.array([0, 2]))
    array([[6., 8.],
           [3., 4.]], dtype=float32)
    """

    without_gradient = ("indices", "offsets")
    formulas = """
        B = bags(indices, offsets, last=include_last_offset, ignored=padding_idx)
        R = take(W, ravel(indices), axis=0)
        Y = B @ (R * column(ravel(per_sample_weights))) / (
            maximum(sum(B, axis=1, keepdims=True), 1) if mode == "mean" else 1
        )
        dR = B.T @ (dY / (maximum(sum(B, axis=1, keepdims=True), 1) if mode == "mean" else 1))
        dW = add_at(
            dR * column(ravel(per_sample_weights)), indices, like=W, ignored=padding_idx, averaged=scale_grad_by_freq
        )
        dper_sample_weights = view(sum(dR * R, axis=1), shape=per_sample_weights.shape)
    """
    _defaults = Lookup._defaults | {"mode": "mean", "include_last_offset": False}

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        weight_init: Callable[..., Array] = normal,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
    ) -> None:
        self.mode = one_of(mode, "EmbeddingBag: mode", ("sum", "mean", "max"))
        if mode == "max" and scale_grad_by_freq:
            raise ValueError("EmbeddingBag: scale_grad_by_freq: expected False with mode='max'")
        if not isinstance(include_last_offset, bool | np.bool_):
            raise TypeError(f"EmbeddingBag: include_last_offset: expected True or False, got {include_last_offset!r}")
        self.include_last_offset = bool(include_last_offset)
        if mode == "max":
            self.formulas = ""
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            weight_init=weight_init,
            dtype=dtype,
            rng=rng,
        )

    def forward(self, indices: Any, offsets: Any = None, per_sample_weights: Any = None) -> Array:
        indices = self._check_indices(indices)
        bounds = self._bounds(indices, offsets)
        weights = self._check_weights(indices, per_sample_weights)
        self.shape = indices.shape
        self.numbers, self.bounds, self.kept = self._without_padding(indices.reshape(-1), bounds)
        self.counts = np.diff(self.bounds)
        if weights is not None:
            weights = weights.reshape(-1) if self.kept is None else weights.reshape(-1)[self.kept]
        self.weights = weights
        self.rows = None
        if self.mode == "max":
            return self.record_Y(self._max())
        if weights is None and self.max_norm is None:
            Y = sums_of_rows(self.W, self.numbers, self.bounds)
        else:
            rows = self._rows(self.numbers)
            self.rows = None if weights is None else rows
            Y = sums_of_rows(rows, np.arange(len(rows)), self.bounds, weights)
        if self.mode == "mean":
            Y /= self._divisors()
        return self.record_Y(Y)

    def backward(self, dY: Any) -> Array | None:
        dY = self.check_dY(dY)
        if self.mode == "max":
            self._backward_of_max(dY)
            return None
        if self.mode == "mean":
            dY = dY / self._divisors()
        add_rows_at(dY, self.numbers, self.bounds, self.dW, self.weights)
        if self.scale_grad_by_freq:
            self._divide_by_counts(self.numbers)
        if self.rows is None or not self.needs_dX:
            return None
        dw = np.vecdot(np.repeat(dY, self.counts, axis=0), self.rows)
        if self.kept is not None:  # the weights of padding have no effect
            dw, kept = np.zeros(self.kept.shape, dw.dtype), dw
            dw[self.kept] = kept
        dweights: Array = dw.reshape(self.shape)
        return dweights

    def onnx(self, graph: Any, indices: Any, offsets: Any = None, per_sample_weights: Any = None) -> Any:
        if offsets is not None:
            raise NotImplementedError("with offsets; pass indices of shape (B, L)")
        R, over_bags = graph.Gather(self.table, indices), {"axes": (1,), "keepdims": 0}
        if per_sample_weights is not None:
            R = R * graph.Unsqueeze(per_sample_weights, axes=(-1,))
        reduce = {"sum": graph.ReduceSum, "mean": graph.ReduceMean, "max": graph.ReduceMax}[self.mode]
        if self.padding_idx is None:
            return reduce(R, **over_bags)
        counts = graph.Unsqueeze(graph.Not(graph.Equal(indices, self.padding_idx)), axes=(-1,))
        n = graph.ReduceSum(graph.Where(counts, 1, 0), **over_bags)
        if self.mode == "max":
            return graph.Where(n > 0, reduce(graph.Where(counts, R, -math.inf), **over_bags), 0)
        Y = graph.ReduceSum(graph.Where(counts, R, 0), **over_bags)
        return Y / graph.Max(n, 1) if self.mode == "mean" else Y

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        numbers = len(self.numbers) * self.embedding_dim  # of the rows that are looked up
        weighted, mean = self.weights is not None, self.mode == "mean"
        forward = Flops(elementwise=(1 + weighted) * numbers + mean * Y.size)
        summed = Y.size if self.mode == "max" else (1 + weighted) * numbers
        return forward, Flops(elementwise=summed + mean * Y.size + 2 * weighted * self.needs_dX * numbers)

    def output_shape(self, *shapes: Shape) -> Shape:
        indices = shapes[0]
        if is_open(indices):
            return (None, self.embedding_dim)
        if len(indices) not in (1, 2):
            raise self._axes_error(text(indices))
        return (indices[0] if len(indices) == 2 else None, self.embedding_dim)

    def saved_arguments(self) -> dict[str, Any]:
        """For files: W, and the options."""
        return super().saved_arguments()

    @classmethod
    def from_saved(cls, W: Array, **options: Any) -> Self:
        """A layer with this W, without drawing one."""
        return super().from_saved(W, **options)

    def _divisors(self) -> Array:
        """The number of rows in each bag, at least 1, as a column."""
        divisors: Array = np.maximum(self.counts, 1).astype(self.W.dtype)
        return divisors[:, None]

    def _max(self) -> Array:
        """The maximum of each column in each bag, and in ``largest`` the indices that have it."""
        filled = np.flatnonzero(self.counts)
        starts, counts = self.bounds[filled], self.counts[filled]
        Y = np.zeros((len(self.counts), self.embedding_dim), self.W.dtype)
        self.largest = np.empty((len(filled), self.embedding_dim), np.intp)
        # All bags together, unless they differ much in length.
        alike = len(filled) * counts.max(initial=0) <= 4 * len(self.numbers)
        for group in np.array_split(np.arange(len(filled)), 1 if alike else len(filled)):
            if len(group):
                steps, ends = np.arange(counts[group].max()), counts[group, None]
                numbers = self.numbers[starts[group, None] + np.where(steps < ends, steps, 0)]  # the first one again
                rows = self._rows(numbers.reshape(-1)).reshape(*numbers.shape, self.embedding_dim)
                first = rows.argmax(axis=1)
                Y[filled[group]] = np.take_along_axis(rows, first[:, None], axis=1)[:, 0]
                self.largest[group] = np.take_along_axis(numbers, first, axis=1)
        return Y

    def _backward_of_max(self, dY: Array) -> None:
        rows, places = np.unique(self.largest, return_inverse=True)
        D = self.embedding_dim
        entries = places.reshape(-1, D) * D + np.arange(D)
        sums = np.bincount(entries.reshape(-1), dY[self.counts > 0].reshape(-1), len(rows) * D)  # in float64
        self.dW[...] = 0
        self.dW[rows] = sums.reshape(-1, D)

    def _bounds(self, indices: Array, offsets: Any) -> Array:
        """Return where each bag starts in the flat indices, and where the last one ends."""
        if indices.ndim == 2:
            if offsets is not None:
                raise ValueError(f"{self.one_line()}: offsets: expected None with indices of two axes")
            whole_rows: Array = np.arange(len(indices) + 1)
            whole_rows *= indices.shape[1]
            return whole_rows
        if indices.ndim != 1:
            raise self._axes_error(str(indices.shape))
        if offsets is None:
            raise ValueError(
                f"{self.one_line()}: expected offsets, the starts of the bags, with indices of one axis; for one bag "
                "pass indices[None]"
            )
        starts = as_array(offsets, lambda: f"{self.one_line()}: offsets")
        if starts.dtype.kind not in "iu":
            raise TypeError(f"{self.one_line()}: offsets: expected integers, got dtype {starts.dtype}")
        if starts.ndim != 1 or len(starts) < self.include_last_offset:
            raise ShapeError(f"{self.one_line()}: offsets: expected a vector, got shape {starts.shape}")
        bounds = starts.astype(np.intp)
        if not self.include_last_offset:
            bounds = np.append(bounds, len(indices))
        if bounds[0] != 0 or bounds[-1] != len(indices) or np.any(np.diff(bounds) < 0):
            end = "to" if self.include_last_offset else "to at most"
            raise ValueError(
                f"{self.one_line()}: offsets: expected ascending numbers from 0 {end} {len(indices)}, the number of "
                f"indices, got {np.array2string(starts, threshold=10)}"
            )
        return bounds

    def _check_weights(self, indices: Array, per_sample_weights: Any) -> Array | None:
        if per_sample_weights is None:
            return None
        if self.mode != "sum":
            raise ValueError(f"{self.one_line()}: per_sample_weights: expected None with mode={self.mode!r}")
        weights = self.check_X(per_sample_weights, "per_sample_weights")
        if weights.shape != indices.shape:
            raise ShapeError(
                f"{self.one_line()}: per_sample_weights: expected the shape of the indices {indices.shape}, got "
                f"{weights.shape}"
            )
        return weights

    def _axes_error(self, shape: str) -> ShapeError:
        return ShapeError(f"{self.one_line()}: expected indices of shape (B, L), or (N,) with offsets, got {shape}")
