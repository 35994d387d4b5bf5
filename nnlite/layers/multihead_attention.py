"""MultiheadAttention: attention of several heads, with the affine maps before and behind them."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, floating_dtype
from nnlite.basics.checks import whole
from nnlite.basics.generators import Rng, generator
from nnlite.basics.shapes import Shape, is_open, text, width
from nnlite.compute import blas
from nnlite.compute.sums import column_sum
from nnlite.errors import ShapeError
from nnlite.initializers import glorot_uniform, zeros
from nnlite.layer.flops import Flops
from nnlite.layers.attention import Attention
from nnlite.layers.attention_in_onnx import heads_in_onnx
from nnlite.layers.attention_masks import checked_padding, finite_at_padding, mask_of_heads

WEIGHTS = ("W_q", "W_k", "W_v", "W_o")
BIASES = ("b_q", "b_k", "b_v", "b_o")


class MultiheadAttention(Attention, parameters=(*WEIGHTS[:3], *BIASES[:3], "W_o", "b_o")):
    """Attention of several heads: ``Y = [A_1 v_1 ... A_h v_h] W_o + b_o`` with ``A_i = softmax(q_i k_i^T / sqrt(d))``.

    ``Q W_q + b_q``, ``K W_k + b_k`` and ``V W_v + b_v`` have E columns; head i has ``d = E / h`` of each: its queries
    q_i, keys k_i and values v_i. Each row of A_i has the weights of the S keys for one of the T queries, with sum 1.

    Args:
        embed_dim: width E of Q, of Y and, unless ``kdim`` and ``vdim`` are given, of K and V.
        num_heads: the number h of heads; it divides E.
        dropout: in training mode the probability with which a weight becomes 0; the others are divided by
            ``1 - dropout``.
        bias: whether there are the four b, which start at 0.
        kdim, vdim: the widths of K and V.
        causal: whether the query at t sees the keys up to t only, counted from the first one, also if S is not T.
        need_weights: whether forward also returns the weights, and backward takes their gradient.
        average_attn_weights: whether these are the mean over the heads.
        weight_init: returns each W, called as ``weight_init((D, E), dtype=..., rng=...)``.
        dtype: dtype of the parameters; the inputs are converted to it.
        rng: seed or generator for the parameters and the dropout; by default the one that
            :func:`nnlite.manual_seed` seeds. Layers with the same seed have the same weights.

    Shapes:
        Q (N, T, E), K (N, S, kdim), V (N, S, vdim), Y (N, T, E). Without K it is self-attention, K = V = Q, and
        without V it is K; backward returns a gradient for each of Q, K and V that was given, the sum over its roles.
        key_padding_mask (N, S); attn_mask (T, S), (N, T, S), (N, h, T, S) or PyTorch's (N h, T, S). The weights
        (N, T, S), and without ``average_attn_weights`` (N, h, T, S). W_q and W_o (E, E), W_k (kdim, E), W_v (vdim, E),
        each b (E,).

    Y does not depend on b_k, which adds one number to all scores of a query: db_k is 0.

    Both masks are booleans that are True where a key is *ignored*, as those of PyTorch's ``MultiheadAttention``, or
    floating numbers that are added to the scores; key_padding_mask may also be the lengths of padded sequences,
    integers (N,), as recurrent layers take them. (In :class:`ScaledDotProductAttention`, as in PyTorch's function of
    that name, True is a key that takes part.) A query whose keys are all ignored gets weights of 0, and so Y = b_o.
    What is at padded steps matters to no other step, also if it is NaN, which is then taken as 0.

    Forward keeps no weights, so that memory is linear in T and S where there is no dropout; backward computes them
    anew. The attribute ``A``, (N, h, T, S), computes those of the last forward without dropout, for a picture.

    Raises:
        TypeError: a size is not a whole number, an input does not hold real numbers, a mask is neither boolean nor
            floating, or V was given without K.
        ValueError: a size is below 1, ``num_heads`` does not divide ``embed_dim``, or dropout is not from 0 to 1.
        ShapeError: an input has another shape.

    PyTorch's ``add_bias_kv`` and ``add_zero_attn`` are left out.

    Sources: Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, Attention is all you need, 2017;
    the blocks: Rabe and Staats, Self-attention does not need O(n^2) memory, 2021; Dao, Fu, Ermon, Rudra and Re,
    FlashAttention, 2022.

    >>> layer = MultiheadAttention(8, 2, causal=True, rng=0)
    >>> X = np.ones((3, 5, 8))
    >>> layer.forward(X).shape
    (3, 5, 8)
    >>> layer.backward(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    >>> Y, weights = MultiheadAttention(8, 2, causal=True, need_weights=True, rng=0).forward(X)
    >>> weights[0, :3].round(2)
    array([[1.  , 0.  , 0.  , 0.  , 0.  ],
           [0.5 , 0.5 , 0.  , 0.  , 0.  ],
           [0.33, 0.33, 0.33, 0.  , 0.  ]], dtype=float32)
    """

    without_gradient = masks = ("key_padding_mask", "attn_mask")
    K_given: bool = True  # whether the last forward got K
    V_given: bool = True
    average_attn_weights: bool

    @property
    def formulas(self) -> str:  # type: ignore[override]
        """Those of forward and backward, with the weights and their gradient where they are an output."""
        average = self.average_attn_weights
        weights = "weights = mean(A * M, axis=1)" if average else "weights = A * M"
        dweights = " + dweights[:, None] / num_heads" if average else " + dweights"
        return f"""
            q = heads(Q @ W_q + b_q, num_heads)
            k = heads((K if K_given else Q) @ W_k + b_k, num_heads)
            v = heads((V if V_given else K if K_given else Q) @ W_v + b_v, num_heads)
            E = exp(q @ k.mT * scale + mask)
            A = E / {self.sum_of_E}
            {weights if self.need_weights else ""}
            O = joined(A * M @ v)
            Y = O @ W_o + b_o
            dW_o = rows(O).T @ rows(dY)
            db_o = sum(rows(dY), axis=0)
            dO = heads(dY @ W_o.T, num_heads)
            dA = (dO @ v.mT{dweights if self.need_weights else ""}) * M
            dS = A * (dA - sum(dA * A, axis=-1, keepdims=True))
            dq = joined(dS @ k * scale)
            dk = joined(dS.mT @ q * scale)
            dv = joined((A * M).mT @ dO)
            dW_q = rows(Q).T @ rows(dq)
            dW_k = rows(K if K_given else Q).T @ rows(dk)
            dW_v = rows(V if V_given else K if K_given else Q).T @ rows(dv)
            db_q = sum(rows(dq), axis=0)
            db_k = zeros_like(b_k)
            db_v = sum(rows(dv), axis=0)
            dQ = dq @ W_q.T + (absent if K_given else dk @ W_k.T + dv @ W_v.T)
            dK = dk @ W_k.T + (absent if V_given else dv @ W_v.T)
            dV = dv @ W_v.T
        """

    @property
    def torch_names(self) -> dict[str, str]:  # type: ignore[override]
        """The names of PyTorch's arrays, which has W_q, W_k and W_v in one where they have the same shape."""
        names = {f"b_{letter}": f"in_proj_bias[{n} of 3]" for n, letter in enumerate("qkv")}
        names |= {"W_o": "out_proj.weight.T", "b_o": "out_proj.bias"}
        if self.kdim == self.vdim == self.embed_dim:
            return names | {f"W_{letter}": f"in_proj_weight[{n} of 3].T" for n, letter in enumerate("qkv")}
        return names | {f"W_{letter}": f"{letter}_proj_weight.T" for letter in "qkv"}

    W_q: Array
    W_k: Array
    W_v: Array
    W_o: Array
    b_q: Array | None
    b_k: Array | None
    b_v: Array | None
    b_o: Array | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        kdim: int | None = None,
        vdim: int | None = None,
        causal: bool = False,
        need_weights: bool = False,
        average_attn_weights: bool = True,
        weight_init: Callable[..., Array] = glorot_uniform,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
    ) -> None:
        name = type(self).__name__
        self.embed_dim = whole(embed_dim, f"{name}: embed_dim", least=1)
        self.num_heads = whole(num_heads, f"{name}: num_heads", least=1)
        if embed_dim % num_heads:
            raise ValueError(f"{name}: num_heads: expected a divisor of embed_dim={embed_dim}, got {num_heads}")
        self.kdim = self.embed_dim if kdim is None else whole(kdim, f"{name}: kdim", least=1)
        self.vdim = self.embed_dim if vdim is None else whole(vdim, f"{name}: vdim", least=1)
        if not isinstance(bias, bool | np.bool_):
            raise TypeError(f"{name}: bias: expected True or False, got {bias!r}")
        flags = {"causal": causal, "need_weights": need_weights, "average_attn_weights": average_attn_weights}
        rng = generator(rng, f"{name}: rng")
        self.set_options(dropout, rng, **flags)
        self.dtype = floating_dtype(dtype)
        if not callable(weight_init):
            raise TypeError(f"{name}: weight_init: expected a function such as glorot_uniform, got {weight_init!r}")
        for W, features in zip(WEIGHTS, (self.embed_dim, self.kdim, self.vdim, self.embed_dim), strict=True):
            shape = (features, self.embed_dim)
            drawn = weight_init(shape, dtype=self.dtype, rng=rng)
            if np.shape(drawn) != shape:
                raise ShapeError(f"{name}: expected weight_init to return shape {shape}, got {np.shape(drawn)}")
            setattr(self, W, drawn)
        for b in BIASES:
            setattr(self, b, zeros(self.embed_dim, dtype=self.dtype) if bias else None)

    # --- forward

    def forward(self, Q: Any, K: Any = None, V: Any = None, key_padding_mask: Any = None, attn_mask: Any = None) -> Any:
        Q, K, V = self._check_inputs(Q, K, V)
        shape = (len(Q), self.num_heads, Q.shape[1], K.shape[1])
        padding = checked_padding(self.one_line, K.shape[:2], key_padding_mask, self.dtype)
        mask = mask_of_heads(self.one_line, shape, self.causal, padding, attn_mask, self.dtype)
        clean = finite_at_padding(K, padding)
        Q, K, V = clean if Q is K else Q, clean, clean if V is K else finite_at_padding(V, padding)
        self.X_shapes = Q.shape, K.shape, V.shape
        self.Q, self.K, self.V = Q, K, V = [X.reshape(-1, X.shape[-1]) for X in (Q, K, V)]
        q, k, v = affine(Q, self.W_q, self.b_q), affine(K, self.W_k, self.b_k), affine(V, self.W_v, self.b_v)
        q *= self.scale
        self.O = np.empty_like(q)
        q, k, v = map(self._heads, (q, k, v), self.X_shapes)
        weights = self.attend(q, k, v, mask, self._heads(self.O, self.X_shapes[0]))
        Y = affine(self.O, self.W_o, self.b_o).reshape(self.X_shapes[0])
        if weights is None:
            return self.record_Y(Y)
        return self.record_Ys((Y, weights.mean(axis=1) if self.average_attn_weights else weights))

    @property
    def scale(self) -> float:
        """What the scores are multiplied by."""
        return float((self.embed_dim // self.num_heads) ** -0.5)

    def _heads(self, A: Array, shape: tuple[int, ...]) -> Any:
        """Rows (N T, E) as matrices (N, h, T, d) of the heads, for an X of this shape: a view."""
        return A.reshape(*shape[:2], self.num_heads, self.embed_dim // self.num_heads).swapaxes(1, 2)

    def _check_inputs(self, Q: Any, K: Any, V: Any) -> tuple[Array, Array, Array]:
        if K is None and V is not None:
            raise TypeError(f"{self.one_line()}: V was given without K; pass K too, or neither for self-attention")
        self.K_given, self.V_given = K is not None, V is not None
        Q = self._check_input(Q, "Q", self.embed_dim)
        K = Q if K is None else self._check_input(K, "K", self.kdim)
        V = K if V is None else self._check_input(V, "V", self.vdim)
        if not self.V_given and self.vdim != K.shape[-1]:
            raise ShapeError(f"{self.one_line()}: expected V of width {self.vdim}; without it V is K {K.shape}")
        if not self.K_given and self.kdim != self.embed_dim:
            raise ShapeError(f"{self.one_line()}: expected K of width {self.kdim}; without it K is Q {Q.shape}")
        if len(K) != len(Q) or K.shape[:2] != V.shape[:2]:
            raise ShapeError(
                f"{self.one_line()}: expected Q (N, T, E), K (N, S, kdim) and V (N, S, vdim), got {Q.shape}, "
                f"{K.shape} and {V.shape}"
            )
        return Q, K, V

    def _check_input(self, X: Any, name: str, features: int) -> Array:
        A = self.check_X(X, name)
        if A.ndim != 3 or A.shape[2] != features:
            letter = "T" if name == "Q" else "S"
            raise ShapeError(f"{self.one_line()}: expected {name} of shape (N, {letter}, {features}), got {A.shape}")
        return A

    # --- backward

    def backward(self, dY: Any, dweights: Any = None) -> Any:
        dY, *more = self.check_dYs((dY, dweights)) if self.need_weights else (self.check_dY(dY),)
        dY = dY.reshape(-1, self.embed_dim)
        self._store("o", self.O, dY)
        dO = self._heads(blas.matmul(dY, self.W_o.T), self.X_shapes[0])
        dweights = more[0] if more else None
        if more and self.average_attn_weights:
            dweights = np.broadcast_to((dweights / self.num_heads)[:, None], (*self.q.shape[:-1], self.k.shape[-2]))
        dq, dk, dv = (np.empty((len(X), self.embed_dim), self.dtype) for X in (self.Q, self.K, self.V))
        self.attend_backward(dO, dweights, tuple(map(self._heads, (dq, dk, dv), self.X_shapes)))
        dq *= self.scale
        for name, X, dX in ("q", self.Q, dq), ("k", self.K, dk), ("v", self.V, dv):
            self._store(name, X, dX)
        if not self.needs_dX:
            return None
        dXs = [blas.matmul(dq, self.W_q.T)]
        for dA, W, given in (dk, self.W_k, self.K_given), (dv, self.W_v, self.V_given):
            if given:
                dXs.append(blas.matmul(dA, W.T))
            else:  # it is the last one in another role; dq has served, if it has this shape
                dXs[-1] += blas.matmul(dA, W.T, dq if dq.shape == dXs[-1].shape else None)
        dXs = [dX.reshape(shape) for dX, shape in zip(dXs, self.X_shapes, strict=False)]
        return dXs[0] if len(dXs) == 1 else tuple(dXs)

    def _store(self, name: str, X: Array, dY: Array) -> None:
        """Store the gradients of W and b, given that of ``X W + b``."""
        blas.matmul(X.T, dY, getattr(self, f"dW_{name}"))
        db = getattr(self, f"db_{name}")
        if name == "k" and db is not None:
            db[...] = 0  # what is computed would be rounding errors
        elif db is not None:
            column_sum(dY, out=db)

    # --- what others ask

    def onnx(
        self, graph: Any, Q: Any, K: Any = None, V: Any = None, key_padding_mask: Any = None, attn_mask: Any = None
    ) -> Any:
        return heads_in_onnx(self, graph, (Q, K, V), key_padding_mask, attn_mask)

    def flops(self, X: Any, Y: Any) -> tuple[Flops, Flops]:
        forward, backward = self.flops_of_attention()
        dY = np.empty_like(self.O)
        maps = (self.Q, self.W_q), (self.K, self.W_k), (self.V, self.W_v), (self.O, self.W_o)
        biases = sum(A.size for A in (self.q, self.k, self.v, self.O)) if self.b_o is not None else 0
        to_parameters = tuple([(A.T, np.empty((len(A), self.embed_dim), self.dtype)) for A, _ in maps])
        to_inputs = tuple([(dA, W.T) for (_, dA), (_, W) in zip(to_parameters, maps, strict=True)])
        if not self.needs_dX:
            to_inputs = to_inputs[-1:]
        sums = 0 if not self.needs_dX else (not self.V_given) * self.K.size + (not self.K_given) * self.Q.size
        return (
            Flops(forward.elementwise + biases + dY.size, (*forward.products, *maps)),
            Flops(backward.elementwise + biases + dY.size + sums, (*backward.products, *to_parameters, *to_inputs)),
        )

    def untrained_entries(self) -> dict[str, Any]:
        return {} if self.b_k is None else {"b_k": ...}

    def output_shape(self, *shapes: Shape) -> Any:
        Q = shapes[0]
        if width(Q) not in (None, self.embed_dim) or (not is_open(Q) and len(Q) != 3):
            raise ShapeError(f"{self.one_line()}: expected Q of shape (N, T, {self.embed_dim}), got {text(Q)}")
        N, T = (None, None) if is_open(Q) else Q[:2]
        Y = (N, T, self.embed_dim)
        if not self.need_weights:
            return Y
        K = shapes[1] if len(shapes) > 1 and shapes[1] else Q
        S = None if is_open(K) else K[1]
        return Y, (N, T, S) if self.average_attn_weights else (N, self.num_heads, T, S)

    def extra_repr(self) -> str:
        defaults = {"dropout": 0.0, "kdim": self.embed_dim, "vdim": self.embed_dim, "causal": False}
        defaults |= {"need_weights": False, "average_attn_weights": True}
        changed = "".join(f", {k}={getattr(self, k)!r}" for k, v in defaults.items() if getattr(self, k) != v)
        bias = ", bias=False" if self.b_o is None else ""
        dtype = f", dtype={self.dtype}" if self.dtype != np.float32 else ""
        return f"{self.embed_dim}, num_heads={self.num_heads}{changed}{bias}{dtype}"

    def saved_arguments(self) -> dict[str, Any]:
        """For files: the sizes and options."""
        names = "embed_dim", "num_heads", "dropout", "kdim", "vdim", "causal", "need_weights", "average_attn_weights"
        return {name: getattr(self, name) for name in names} | {"bias": self.b_o is not None, "dtype": self.dtype}

    @classmethod
    def from_saved(cls, **options: Any) -> Self:
        """A layer without drawing weights."""
        return cls(**options, weight_init=zeros)


def affine(X: Array, W: Array, b: Array | None) -> Array:
    """``X W + b``."""
    Y: Array = blas.matmul(X, W)
    if b is not None:
        Y += b
    return Y
