"""The layers of a transformer: attention, and a network for each step, with skip connections and normalizations."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.arrays import Array, floating_dtype
from nnlite.basics.checks import positive, share, whole
from nnlite.basics.generators import Rng, generator
from nnlite.containers.graph import Graph
from nnlite.containers.nodes import Input, Node
from nnlite.initializers import glorot_uniform, zeros
from nnlite.layer.layer import Layer
from nnlite.layers.activations import ReLU
from nnlite.layers.arithmetic import Add
from nnlite.layers.dropout import Dropout
from nnlite.layers.linear import Linear
from nnlite.layers.multihead_attention import MultiheadAttention
from nnlite.layers.normalization import LayerNorm
from nnlite.layers.smooth_activations import GELU

ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "gelu": GELU}


class TransformerLayer(Graph):
    """Base class: ``attentions`` and a network for each step f, each as ``norm(X + f(X))`` or ``X + f(norm(X))``."""

    attentions: tuple[str, ...]  # their names

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Layer = "relu",
        *,
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
        bias: bool = True,
        causal: bool = False,
        weight_init: Callable[..., Array] = glorot_uniform,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
    ) -> None:
        name = type(self).__name__
        self.d_model = whole(d_model, f"{name}: d_model", least=1)
        self.nhead = whole(nhead, f"{name}: nhead", least=1)
        if d_model % nhead:
            raise ValueError(f"{name}: nhead: expected a divisor of d_model={d_model}, got {nhead}")
        self.dim_feedforward = whole(dim_feedforward, f"{name}: dim_feedforward", least=1)
        self.dropout = share(dropout, f"{name}: dropout")
        self.activation = activation
        self.layer_norm_eps = positive(layer_norm_eps, f"{name}: layer_norm_eps")
        for flag, value in {"norm_first": norm_first, "bias": bias, "causal": causal}.items():
            if not isinstance(value, bool | np.bool_):
                raise TypeError(f"{name}: {flag}: expected True or False, got {value!r}")
        self.norm_first, self.bias, self.causal = bool(norm_first), bool(bias), bool(causal)
        self.dtype = floating_dtype(dtype)
        self._parts = self._made(weight_init, generator(rng, f"{name}: rng"))
        inputs, Y = self.connected()
        super().__init__(inputs, Y, names=vars(self).pop("_parts"))

    def _made(self, weight_init: Callable[..., Array], rng: "np.random.Generator") -> dict[str, Layer]:
        """The parts by name: those of PyTorch's, and the sums. No dropout where its probability is 0."""
        options: Any = {"bias": self.bias, "weight_init": weight_init, "dtype": self.dtype, "rng": rng}
        D, F = self.d_model, self.dim_feedforward
        parts: dict[str, Layer] = {}
        for number, name in enumerate(self.attentions):
            causal = self.causal and number == 0
            parts[name] = MultiheadAttention(D, self.nhead, self.dropout, causal=causal, **options)
        parts["linear1"], parts["activation"] = Linear(D, F, **options), self._activation()
        parts["linear2"] = Linear(F, D, **options)
        sublayers = range(1, len(self.attentions) + 2)
        for n in sublayers:
            parts[f"norm{n}"] = LayerNorm(D, self.layer_norm_eps, bias=self.bias, dtype=self.dtype)
            parts[f"add{n}"] = Add()
        if self.dropout:
            parts |= {name: Dropout(self.dropout, rng=rng) for name in ("dropout", *(f"dropout{n}" for n in sublayers))}
        return parts

    def _activation(self) -> Layer:
        if isinstance(self.activation, Layer):
            return self.activation
        if self.activation not in ACTIVATIONS:
            names = " or ".join(map(repr, ACTIVATIONS))
            raise ValueError(
                f"{type(self).__name__}: activation: expected {names}, or a layer such as nn.SiLU(), got "
                f"{self.activation!r}"
            )
        return ACTIVATIONS[self.activation]()

    # --- how the parts are connected

    def connected(self) -> tuple[list[Node], Node]:
        """The nodes of the inputs and of the output."""
        raise NotImplementedError

    def sequence(self, name: str) -> Input:
        """The node of an input (N, T, E)."""
        return Input(name, shape=(None, None, self.d_model))

    def around(self, number: int, X: Node, f: Callable[[Node], Node]) -> Node:
        """A part f with its normalization, dropout and skip connection."""
        norm, add = self._parts[f"norm{number}"], self._parts[f"add{number}"]
        if self.norm_first:
            return add(X, self.dropped(f"dropout{number}", f(norm(X))))  # type: ignore[no-any-return]
        return norm(add(X, self.dropped(f"dropout{number}", f(X))))  # type: ignore[no-any-return]

    def feed_forward(self, X: Node) -> Node:
        """The network for each step."""
        hidden = self._parts["activation"](self._parts["linear1"](X))
        return self._parts["linear2"](self.dropped("dropout", hidden))  # type: ignore[no-any-return]

    def dropped(self, name: str, X: Node) -> Node:
        return self._parts[name](X) if self.dropout else X

    # --- what others ask

    @property
    def self_attn(self) -> MultiheadAttention:
        """The self-attention; ``self_attn.A`` are its weights (N, h, T, T) after forward."""
        part: Any = dict(self.named_children())["self_attn"]
        return part  # type: ignore[no-any-return]

    def saved_arguments(self) -> dict[str, Any]:
        """For files: the sizes and options."""
        names = "d_model", "nhead", "dim_feedforward", "dropout", "activation", "layer_norm_eps", "norm_first"
        return {name: getattr(self, name) for name in (*names, "bias", "causal", "dtype")}

    @classmethod
    def from_saved(cls, **options: Any) -> Self:
        """A layer without drawing weights."""
        return cls(**options, weight_init=zeros, rng=0)


class TransformerEncoderLayer(TransformerLayer):
    """Self-attention, then a network for each step: ``U = norm1(X + A(X))``, ``Y = norm2(U + F(U))``.

    A is :class:`MultiheadAttention`, F(U) is ``activation(U W_1 + b_1) W_2 + b_2``; each ends with dropout. With
    ``norm_first``: ``U = X + A(norm1(X))``, ``Y = U + F(norm2(U))``. It is a :class:`Graph` of these layers.

    Args:
        d_model: width E of X and Y.
        nhead: the number of heads of the attention; it divides E.
        dim_feedforward: width of the hidden layer of F.
        dropout: in training mode the probability with which an entry of A(X), of F(U), of F's hidden layer, and a
            weight of the attention become 0.
        activation: that of F: "relu", "gelu", or a layer.
        layer_norm_eps: eps of the normalizations; see :class:`LayerNorm`.
        norm_first: whether the normalizations are before A and F, and not after the sums.
        bias: whether attention, F and normalizations have biases.
        causal: whether each step sees itself and those before it only.
        weight_init: returns each matrix; see :class:`Linear` and :class:`MultiheadAttention`.
        dtype: dtype of the parameters; X is converted to it.
        rng: seed or generator for the parameters and the dropout; by default the one that
            :func:`nnlite.manual_seed` seeds.

    Shapes:
        X and Y (N, T, E). src_mask (T, T), or one of each sequence or head, and src_key_padding_mask (N, T): True
        where a step is *not* seen, or numbers that are added to the scores; see :class:`MultiheadAttention`. Both can
        be left out and have no gradient.

    Raises:
        TypeError: a size is not a whole number, or a flag not True or False.
        ValueError: a size is below 1, ``nhead`` does not divide ``d_model``, or another option is not allowed.
        ShapeError: an input has another shape.

    The parts have PyTorch's names, ``self_attn``, ``linear1``, ``norm1`` and so on. At padding Y is what the formulas
    give; PyTorch in evaluation mode may give 0 there.

    Sources: Vaswani and others, Attention is all you need, 2017; norm_first: Xiong and others, On layer normalization
    in the transformer architecture, 2020.

    >>> layer = TransformerEncoderLayer(8, 2, 16, causal=True, rng=0)
    >>> Y = layer.forward(np.ones((3, 5, 8)))
    >>> layer.backward(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    >>> layer.self_attn.A.shape  # of each sequence and head the weights of all steps for each step
    (3, 2, 5, 5)
    """

    attentions = ("self_attn",)

    def connected(self) -> tuple[list[Node], Node]:
        X = self.sequence("X")
        mask, padding = Input("src_mask", optional=True), Input("src_key_padding_mask", optional=True)
        attention = self._parts["self_attn"]
        U = self.around(1, X, lambda X: attention(X, key_padding_mask=padding, attn_mask=mask))
        return [X, mask, padding], self.around(2, U, self.feed_forward)


class TransformerDecoderLayer(TransformerLayer):
    """Self-attention, attention to a memory M, then a network for each step, each with normalization and sum.

    ``U = norm1(X + A(X))``, ``V = norm2(U + B(U, M))``, ``Y = norm3(V + F(V))``, or with ``norm_first`` ``U = X +
    A(norm1(X))``, ``V = U + B(norm2(U), M)``, ``Y = V + F(norm3(V))``. A and B are :class:`MultiheadAttention`, F is
    as in :class:`TransformerEncoderLayer`.

    Args:
        causal: whether each step of X sees itself and those before it only, as it has to if the next step is predicted.
        d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, norm_first, bias, weight_init, dtype, rng:
            as for :class:`TransformerEncoderLayer`.

    Shapes:
        X and Y (N, T, E), memory (N, S, E). tgt_mask (T, T) and memory_mask (T, S), or one of each sequence or head,
        tgt_key_padding_mask (N, T) and memory_key_padding_mask (N, S): True where a step is *not* seen, or numbers that
        are added to the scores. The masks can be left out and have no gradient. backward returns dX and dmemory.

    Raises:
        TypeError, ValueError, ShapeError: as :class:`TransformerEncoderLayer`.

    The parts have PyTorch's names; B is ``multihead_attn``.

    Source: Vaswani and others, Attention is all you need, 2017.

    >>> layer = TransformerDecoderLayer(8, 2, 16, causal=True, rng=0)
    >>> layer.forward(np.ones((3, 5, 8)), np.ones((3, 4, 8))).shape
    (3, 5, 8)
    >>> dX, dmemory = layer.backward(np.ones((3, 5, 8)))
    >>> dmemory.shape
    (3, 4, 8)
    """

    attentions = ("self_attn", "multihead_attn")

    @property
    def multihead_attn(self) -> MultiheadAttention:
        """The attention to the memory; ``multihead_attn.A`` are its weights (N, h, T, S) after forward."""
        part: Any = dict(self.named_children())["multihead_attn"]
        return part  # type: ignore[no-any-return]

    def connected(self) -> tuple[list[Node], Node]:
        X, M = self.sequence("X"), self.sequence("memory")
        names = "tgt_mask", "memory_mask", "tgt_key_padding_mask", "memory_key_padding_mask"
        mask, M_mask, padding, M_padding = masks = [Input(name, optional=True) for name in names]
        A, B = (self._parts[name] for name in self.attentions)
        U = self.around(1, X, lambda X: A(X, key_padding_mask=padding, attn_mask=mask))
        V = self.around(2, U, lambda U: B(U, M, key_padding_mask=M_padding, attn_mask=M_mask))
        return [X, M, *masks], self.around(3, V, self.feed_forward)
