"""Rows of the contract table: layers and losses of several inputs, and Unflatten."""

import math

import numpy as np
from support.contract_row import Row, numbers, shares

import nnlite as nn


def bilinear(**options):
    """A Bilinear in float64 whose b is not 0."""
    layer = nn.Bilinear(3, 2, 4, dtype=np.float64, rng=0, **options)
    if layer.b is not None:
        layer.b = np.linspace(-0.3, 0.4, 4)
    return layer


Cosine, Distance = nn.CosineSimilarity, nn.PairwiseDistance
ROWS = [
    Row("Bilinear", bilinear, (numbers(4, 3), shares(4, 2))),
    Row("Bilinear-without-b", lambda: bilinear(bias=False), (numbers(4, 3), shares(4, 2))),
    Row("Bilinear-of-vectors", bilinear, (numbers(3), shares(2)), rows_apart=False),
    Row("Bilinear-of-three-axes", bilinear, (numbers(4, 5, 3), shares(4, 5, 2))),
    Row("CosineSimilarity", Cosine, (numbers(4, 3), shares(4, 3))),
    Row("CosineSimilarity-below-eps", lambda: Cosine(eps=1.5), (numbers(4, 3), shares(4, 3))),
    Row("CosineSimilarity-of-columns", lambda: Cosine(dim=0), (numbers(4, 3), shares(4, 3)), None, False, False),
    Row("CosineSimilarity-of-vectors", lambda: Cosine(dim=0), (numbers(3), shares(3)), rows_apart=False),
    Row("CosineSimilarity-of-three-axes", Cosine, (numbers(4, 3, 2), shares(4, 3, 2))),
    Row("CosineSimilarity-broadcast", lambda: Cosine(dim=-1), (numbers(4, 1, 3), shares(2, 3)), rows_apart=False),
    Row("PairwiseDistance", Distance, (numbers(4, 3), shares(4, 3))),
    Row("PairwiseDistance-kept", lambda: Distance(keepdim=True), (numbers(4, 3), shares(4, 3))),
    Row("PairwiseDistance-of-vectors", Distance, (numbers(3), shares(3)), rows_apart=False),
    Row("PairwiseDistance-broadcast", lambda: Distance(eps=0.1), (numbers(4, 1, 3), shares(2, 3)), rows_apart=False),
    *(
        Row(f"PairwiseDistance-{p}", lambda p=p: Distance(p), (5 * numbers(4, 3), -5 * numbers(4, 3)))
        for p in (0.5, 1, 1.5, 3)
    ),
    Row("Unflatten", lambda: nn.Unflatten(1, (2, -1)), numbers(4, 6)),
    Row("Unflatten-from-the-end", lambda: nn.Unflatten(-2, [3, 1]), numbers(4, 3, 2)),
    Row("Unflatten-of-rows", lambda: nn.Unflatten(0, (2, 2)), numbers(4, 3), None, False, False),
]
WITHOUT_FORMULAS = [
    Row(f"PairwiseDistance-{p}", lambda p=p: Distance(p), (5 * numbers(4, 3), -5 * numbers(4, 3)))
    for p in (0, math.inf)
]
