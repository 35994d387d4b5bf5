"""Rows of the contract table: Embedding and EmbeddingBag."""

import numpy as np
from support.contract_row import Row, numbers, shares

import nnlite as nn

words = np.array([[3, 0, 6], [1, 1, 5], [4, 3, 3], [0, 2, 6]])
flat, starts, ends = words.reshape(-1), np.array([0, 4, 4, 9]), np.array([0, 4, 4, 9, 12])


def embedding(**options):
    return nn.Embedding(7, 2, dtype=np.float64, rng=0, **options)


def bag(mode="mean", **options):
    return nn.EmbeddingBag(7, 2, mode=mode, dtype=np.float64, rng=0, **options)


def bag_in_a_graph():
    indices, weights = nn.Input("indices"), nn.Input("weights")
    return nn.Graph([indices, weights], bag("sum")(indices, per_sample_weights=nn.Square()(weights)))


ROWS = [
    Row("Embedding", embedding, words),
    Row("Embedding-of-a-vector", embedding, words[:, 0]),
    Row("Embedding-of-a-number", embedding, np.array(3), rows_apart=False),
    Row("Embedding-of-three-axes", embedding, words[:, :, None]),
    Row("Embedding-padding_idx", lambda: embedding(padding_idx=3), words),
    Row("Embedding-max_norm", lambda: embedding(max_norm=9.0, norm_type=1), words),
    Row(
        "Embedding-in-a-Sequential",
        lambda: nn.Sequential(embedding(), nn.Flatten(), nn.Linear(6, 2, dtype=np.float64, rng=1), nn.Tanh()),
        words,
    ),
    *(Row(f"EmbeddingBag-{mode}", lambda mode=mode: bag(mode), words) for mode in ("sum", "mean", "max")),
    *(
        Row(f"EmbeddingBag-{mode}-offsets", lambda mode=mode: bag(mode), (flat, starts), None, False, False)
        for mode in ("sum", "mean", "max")
    ),
    *(
        Row(f"EmbeddingBag-{mode}-padding_idx", lambda mode=mode: bag(mode, padding_idx=-4), words)
        for mode in ("sum", "mean", "max")
    ),
    Row(
        "EmbeddingBag-include_last_offset",
        lambda: bag(include_last_offset=True, padding_idx=1),
        (flat, ends),
        None,
        False,
        False,
    ),
    Row("EmbeddingBag-max_norm", lambda: bag(max_norm=9.0, norm_type=1), words),
    Row(
        "EmbeddingBag-per_sample_weights",
        lambda: bag("sum", padding_idx=6),
        (flat, starts, numbers(12)),
        None,
        False,
        False,
    ),
    Row("EmbeddingBag-per_sample_weights-in-a-Graph", bag_in_a_graph, (words, shares(4, 3))),
]
