"""Rows of the contract table: attention, and what tells it the positions."""

import numpy as np
from support.contract_row import Row, numbers

import nnlite as nn


def filled(*sizes, **options):
    """A MultiheadAttention in float64 whose parameters are small numbers of both signs, no two alike."""

    def new():
        layer = nn.MultiheadAttention(*sizes, dtype=np.float64, rng=0, **options)
        layer.Phi = 0.4 * numbers(layer.Phi.size)
        return layer

    return new


def of_itself(**options):
    """Self-attention with a mask of padding, of which K and V are left out."""
    X, mask = nn.Input("X"), nn.Input("mask")
    return nn.Graph([X, mask], nn.Tanh()(filled(4, 2, **options)()(X, key_padding_mask=mask)))


def with_numbers(layer):
    """Attention whose mask is numbers, a constant; one key is not seen."""
    mask = numbers(3, 5)
    mask[1, 2] = -np.inf
    inputs = [nn.Input() for _ in range(3)]
    return nn.Graph(inputs, layer(*inputs, attn_mask=mask))


Dot, Many, Rotary = nn.ScaledDotProductAttention, nn.MultiheadAttention, nn.RotaryEmbedding
Q, K, V = numbers(4, 3, 2), numbers(4, 5, 2)[::-1], -numbers(4, 5, 3)
X, wide = numbers(4, 3, 4), numbers(4, 5, 4)[::-1]
padding = nn.padding_mask([5, 2, 4, 1])
unseen = np.random.default_rng(0).random((4, 3, 5)) < 0.4
unseen[..., 0] = False
ROWS = [
    Row("ScaledDotProductAttention", Dot, (Q, K, V)),
    Row("ScaledDotProductAttention-mask", Dot, (Q, K, V, ~unseen)),
    Row("Graph-ScaledDotProductAttention-added", lambda: with_numbers(Dot()), (Q, K, V)),
    Row("ScaledDotProductAttention-causal-scale", lambda: Dot(causal=True, scale=0.3), (Q, K, V)),
    Row("ScaledDotProductAttention-weights", lambda: Dot(need_weights=True), (Q, K, V, ~unseen)),
    Row(
        "ScaledDotProductAttention-dropout",
        lambda: Dot(dropout=0.5, need_weights=True, causal=True, rng=0),
        (Q, K, V),
        rows_apart=False,
    ),
    Row("ScaledDotProductAttention-of-matrices", Dot, (Q[0], K[0], V[0]), None, False, False),
    Row("ScaledDotProductAttention-broadcast", Dot, (Q[:, None], K[0], V[:2]), None, False, False),
    Row("MultiheadAttention", filled(4, 2), X),
    Row("MultiheadAttention-causal", filled(4, 2, causal=True, bias=False), X),
    Row("MultiheadAttention-of-K", filled(4, 1), (X, wide)),
    Row("MultiheadAttention-widths", filled(4, 2, kdim=2, vdim=3), (X, K, V)),
    Row("MultiheadAttention-masks", filled(4, 2), (X, wide, wide / 2, padding, unseen)),
    Row("Graph-MultiheadAttention-added", lambda: with_numbers(filled(4, 2)()), (X, wide, wide / 2)),
    Row("MultiheadAttention-weights", filled(4, 2, need_weights=True), (X, wide, wide / 2, padding)),
    Row("MultiheadAttention-weights-of-heads", filled(4, 2, need_weights=True, average_attn_weights=False), X),
    Row("MultiheadAttention-dropout", filled(4, 2, 0.5, need_weights=True), (X, wide), rows_apart=False),
    Row("Graph-MultiheadAttention", of_itself, (X, nn.padding_mask([3, 2, 3, 1]))),
    Row("PositionalEncoding", lambda: nn.PositionalEncoding(50.0, offset=3), X),
    Row("PositionalEncoding-of-a-sequence", nn.PositionalEncoding, X[0], None, False, False),
    Row("RotaryEmbedding", lambda: Rotary(50.0, offset=3), numbers(4, 2, 3, 4)),
    Row("RotaryEmbedding-of-halves", lambda: Rotary(interleaved=False), X),
]
