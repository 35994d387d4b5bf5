"""Rows of the contract table: transformers and their layers."""

import numpy as np
from support.contract_row import Row, numbers

import nnlite as nn

OPTIONS = {"dim_feedforward": 2, "dropout": 0.0, "activation": "gelu", "dtype": np.float64, "rng": 0}


def filled(make):
    """The layer with parameters that are small numbers of both signs, no two alike."""

    def new():
        layer = make()
        layer.Phi = 0.4 * numbers(layer.Phi.size)
        for _, generator in layer.named_generators():
            generator.bit_generator.state = type(generator.bit_generator)(0).state
        return layer

    return new


def encoder_layer(**options):
    return nn.TransformerEncoderLayer(3, 3, **OPTIONS | options)


def decoder_layer(**options):
    return nn.TransformerDecoderLayer(3, 3, **OPTIONS | options)


def norm():
    return nn.LayerNorm(3, dtype=np.float64)


X, memory = numbers(4, 3, 3), numbers(4, 2, 3)[::-1]
padding, memory_padding = np.arange(3) >= np.array([[3], [2], [3], [1]]), np.arange(2) >= np.array([[2], [2], [2], [1]])
unseen = np.random.default_rng(0).random((4, 3, 3)) < 0.4
unseen[..., 0] = False
of_memory = np.random.default_rng(1).random((4, 3, 2)) < 0.3
of_memory[np.arange(4), :, [1, 0, 0, 0]] = False  # each step sees one that is no padding
ROWS = [
    Row("TransformerEncoderLayer", filled(encoder_layer), X),
    Row(
        "TransformerEncoderLayer-norm_first",
        filled(lambda: encoder_layer(norm_first=True, causal=True, activation=nn.SiLU(), layer_norm_eps=0.1)),
        X,
    ),
    Row("TransformerEncoderLayer-masks", filled(lambda: encoder_layer(bias=False)), (X, unseen, padding)),
    Row("TransformerEncoderLayer-dropout", filled(lambda: encoder_layer(dropout=0.3)), X, rows_apart=False),
    Row("TransformerDecoderLayer", filled(lambda: decoder_layer(causal=True)), (X, memory)),
    Row(
        "TransformerDecoderLayer-masks",
        filled(lambda: decoder_layer(norm_first=True)),
        (X, memory, unseen, of_memory, padding, memory_padding),
    ),
    Row("TransformerEncoder", filled(lambda: nn.TransformerEncoder(encoder_layer(), 2, norm())), X),
    Row("TransformerDecoder", filled(lambda: nn.TransformerDecoder(decoder_layer(), 2)), (X, memory)),
    Row(
        "Transformer",
        filled(lambda: nn.Transformer(3, 3, 1, 1, **OPTIONS, causal=True)),
        (memory, X, np.zeros((4, 2, 2), bool), unseen, of_memory, memory_padding, padding, memory_padding),
    ),
]
