"""Transformers: stacks of their layers, and an encoder with a decoder."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nnlite.basics.checks import whole
from nnlite.basics.generators import Rng, generator
from nnlite.containers.graph import Graph
from nnlite.containers.nodes import Input
from nnlite.containers.transformer_layers import TransformerDecoderLayer, TransformerEncoderLayer, TransformerLayer
from nnlite.layer.layer import Layer, check_layer
from nnlite.layers.normalization import LayerNorm


class TransformerStack(Graph):
    """Base class: layers one after another, of which each gets the output of the one before and all other inputs."""

    layer_class: type[TransformerLayer]
    layer_argument: str
    sequences: tuple[str, ...]  # the names of the inputs
    masks: tuple[str, ...]  # likewise, of those that can be left out

    def stack(self, layer: Any, num_layers: int | None, norm: Layer | None) -> None:
        """Build the graph."""
        self.norm = norm
        layers = self._each(layer, num_layers)
        if norm is not None:
            check_layer(norm, f"{type(self).__name__}: norm")
        shape = (None, None, layers[0].d_model)
        inputs = [Input(name, shape=shape) for name in self.sequences]
        masks = [Input(name, optional=True) for name in self.masks]
        Y, *memory = inputs
        for each in layers:
            Y = each(Y, *memory, *masks)
        names: dict[str, Layer] = {f"layers.{n}": each for n, each in enumerate(layers)}
        if norm is not None:
            Y, names["norm"] = norm(Y), norm
        super().__init__([*inputs, *masks], Y, names=names)

    def _each(self, layer: Any, num_layers: int | None) -> list[TransformerLayer]:
        name, kind = f"{type(self).__name__}: {self.layer_argument}", self.layer_class
        several = isinstance(layer, Sequence)
        for each in layer if several else [layer]:
            if not isinstance(each, kind):
                raise TypeError(f"{name}: expected a {kind.__name__}, or a list of them, got {each!r}")
        if several:
            if not layer:
                raise ValueError(f"{name}: expected at least one layer")
            if num_layers not in (None, len(layer)):
                raise ValueError(f"{type(self).__name__}: num_layers: expected {len(layer)}, the layers that are given")
            return list(layer)
        count = whole(num_layers, f"{type(self).__name__}: num_layers", least=1)  # type: ignore[arg-type]
        shared = {id(found): found for _, found in layer.named_generators()}  # so that no two draw the same numbers
        return [layer, *(deepcopy(layer, dict(shared)) for _ in range(count - 1))]

    @property
    def stacked(self) -> list[Layer]:
        """The layers without the last normalization."""
        return self.layers if self.norm is None else self.layers[:-1]


class TransformerEncoder(TransformerStack):
    """Several :class:`TransformerEncoderLayer`, one after another: ``Y = norm(L_n(... L_2(L_1(X))))``.

    Args:
        encoder_layer: a TransformerEncoderLayer; the others are copies, with the same parameters at the start. Or a
            list of all, so that each has parameters of its own from the start.
        num_layers: the number of layers; not needed for a list.
        norm: a layer after the last one, as :class:`LayerNorm` with ``norm_first``; by default none.

    Shapes:
        X and Y (N, T, E). mask (T, T), or one of each sequence or head, and src_key_padding_mask (N, T), for all
        layers: as those of :class:`TransformerEncoderLayer`. Both can be left out and have no gradient.

    Raises:
        TypeError: not a TransformerEncoderLayer; norm is not a layer, or num_layers not a whole number.
        ValueError: num_layers is below 1 or not the length of the list.

    The parts have PyTorch's names, ``layers.0`` and so on, and ``norm``. The attention weights are
    ``encoder.layers[0].self_attn.A`` after forward.

    Source: Vaswani and others, Attention is all you need, 2017.

    >>> encoder = TransformerEncoder(TransformerEncoderLayer(8, 2, 16, rng=0), 3)
    >>> encoder.forward(np.ones((2, 5, 8))).shape
    (2, 5, 8)
    >>> rng = np.random.default_rng(0)
    >>> encoder = TransformerEncoder([TransformerEncoderLayer(8, 2, 16, rng=rng) for _ in range(3)])
    >>> encoder.forward(np.ones((2, 5, 8)), src_key_padding_mask=np.zeros((2, 5), bool)).shape
    (2, 5, 8)
    """

    layer_class, layer_argument = TransformerEncoderLayer, "encoder_layer"
    sequences, masks = ("X",), ("mask", "src_key_padding_mask")

    def __init__(self, encoder_layer: Any, num_layers: int | None = None, norm: Layer | None = None) -> None:
        self.stack(encoder_layer, num_layers, norm)

    def saved_arguments(self) -> dict[str, Any]:
        """For files: the layers and the last normalization."""
        return {"encoder_layer": self.stacked, "norm": self.norm}


class TransformerDecoder(TransformerStack):
    """Several :class:`TransformerDecoderLayer`, one after another, each with the same memory.

    Args:
        decoder_layer: a TransformerDecoderLayer; the others are copies, with the same parameters at the start. Or a
            list of all, so that each has parameters of its own from the start.
        num_layers: the number of layers; not needed for a list.
        norm: a layer after the last one; by default none.

    Shapes:
        X and Y (N, T, E), memory (N, S, E); the masks, which can be left out, as those of
        :class:`TransformerDecoderLayer`. backward returns dX and dmemory, the sum over all layers.

    Raises:
        TypeError, ValueError: as :class:`TransformerEncoder`.

    Source: Vaswani and others, Attention is all you need, 2017.

    >>> decoder = TransformerDecoder(TransformerDecoderLayer(8, 2, 16, causal=True, rng=0), 2)
    >>> decoder.forward(np.ones((2, 5, 8)), np.ones((2, 4, 8))).shape
    (2, 5, 8)
    """

    layer_class, layer_argument = TransformerDecoderLayer, "decoder_layer"
    sequences = "X", "memory"
    masks = "tgt_mask", "memory_mask", "tgt_key_padding_mask", "memory_key_padding_mask"

    def __init__(self, decoder_layer: Any, num_layers: int | None = None, norm: Layer | None = None) -> None:
        self.stack(decoder_layer, num_layers, norm)

    def saved_arguments(self) -> dict[str, Any]:
        """For files: the layers and the last normalization."""
        return {"decoder_layer": self.stacked, "norm": self.norm}


class Transformer(Graph):
    """An encoder and a decoder: ``Y = decoder(tgt, encoder(src))``; both end with a :class:`LayerNorm`.

    Args:
        d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, norm_first, bias, dtype, rng: as for
            :class:`TransformerEncoderLayer`.
        num_encoder_layers, num_decoder_layers: the numbers of layers; each draws parameters of its own.
        custom_encoder, custom_decoder: layers instead of a :class:`TransformerEncoder` and a
            :class:`TransformerDecoder`, with the same inputs. If both are given, the other options have no effect.
        causal: whether each step of tgt sees itself and those before it only. In training tgt is then the sequence that
            is to be predicted, one step later: first a step for the beginning, and without the last one.

    Shapes:
        src (N, S, E), tgt and Y (N, T, E). Masks, which can be left out and have no gradient: src_mask (S, S), tgt_mask
        (T, T), memory_mask (T, S), src_key_padding_mask (N, S), tgt_key_padding_mask (N, T) and memory_key_padding_mask
        (N, S), True where a step is *not* seen; see :class:`MultiheadAttention`. Sequences of different lengths need
        the same padding mask twice, as src_key_padding_mask and memory_key_padding_mask. backward returns dsrc and
        dtgt.

    Raises:
        TypeError, ValueError, ShapeError: as :class:`TransformerEncoderLayer`.

    Embeddings, positions and the last Linear are not included; see :class:`PositionalEncoding`.

    Source: Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, Attention is all you need, 2017.

    >>> model = Transformer(8, 2, 1, 1, 16, causal=True, rng=0)
    >>> model.forward(np.ones((3, 4, 8)), np.ones((3, 5, 8))).shape
    (3, 5, 8)
    >>> dsrc, dtgt = model.backward(np.ones((3, 5, 8)))
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Layer = "relu",
        custom_encoder: Layer | None = None,
        custom_decoder: Layer | None = None,
        *,
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
        bias: bool = True,
        causal: bool = False,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
    ) -> None:
        sizes = d_model, nhead, dim_feedforward, dropout
        options: Any = {"layer_norm_eps": layer_norm_eps, "norm_first": norm_first, "bias": bias, "dtype": dtype}
        options["rng"] = generator(rng, "Transformer: rng")

        def layers(make: Any, name: str, count: int, **more: Any) -> list[Any]:
            count = whole(count, f"Transformer: {name}", least=1)
            return [make(*sizes, deepcopy(activation), **options, **more) for _ in range(count)]

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

        encoder, decoder = custom_encoder, custom_decoder
        if encoder is None:
            each = layers(TransformerEncoderLayer, "num_encoder_layers", num_encoder_layers)
            encoder = TransformerEncoder(each, norm=norm())
        if decoder is None:
            each = layers(TransformerDecoderLayer, "num_decoder_layers", num_decoder_layers, causal=causal)
            decoder = TransformerDecoder(each, norm=norm())
        for layer, name in (encoder, "custom_encoder"), (decoder, "custom_decoder"):
            check_layer(layer, f"Transformer: {name}")
        src, tgt = Input("src"), Input("tgt")
        names = "src_mask", "tgt_mask", "memory_mask"
        masks = [Input(name, optional=True) for name in names]
        paddings = [Input(f"{name}_key_padding_mask", optional=True) for name in ("src", "tgt", "memory")]
        memory = encoder(src, masks[0], paddings[0])
        Y = decoder(tgt, memory, *masks[1:], *paddings[1:])
        self.encoder, self.decoder = encoder, decoder
        super().__init__([src, tgt, *masks, *paddings], Y, names={"encoder": encoder, "decoder": decoder})

    def saved_arguments(self) -> dict[str, Any]:
        """For files: both parts."""
        return {"custom_encoder": self.encoder, "custom_decoder": self.decoder}
