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


def learned_distance(**options):
    """A loss of triplets whose distance has parameters: the square of a bilinear form."""
    distance = nn.Sequential(nn.Bilinear(3, 3, 1, dtype=np.float64, rng=0), nn.Square(), nn.Flatten(0))
    return nn.TripletMarginWithDistanceLoss(distance, **options)


signs = np.array([[1, -1, 1], [-1, -1, 1], [1, 1, -1], [-1, 1, -1]])
frames = numbers(6, 2, 4) - 3.0
triplet = numbers(4, 3), shares(4, 3), -shares(4, 3)
triplets = numbers(4, 2, 3)[::-1]
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
    *(
        Row(f"{id}{label}", lambda loss=loss, options=options: loss(**options), X, target)
        for id, loss, X, target in [
            ("MarginRankingLoss", nn.MarginRankingLoss, (numbers(4, 3), 0.3 * numbers(4, 3)[::-1]), signs),
            ("CosineEmbeddingLoss", nn.CosineEmbeddingLoss, (numbers(4, 3), shares(4, 3)), signs[:, 0]),
            ("TripletMarginLoss", nn.TripletMarginLoss, triplet, ()),
        ]
        for label, options in [
            ("", {}),
            ("-sum", {"reduction": "sum"}),
            ("-none", {"reduction": "none"}),
            ("-margin", {"margin": 0.4}),
        ]
    ),
    Row("MarginRankingLoss-of-a-vector", nn.MarginRankingLoss, (numbers(4), shares(4)), signs[:, 0]),
    Row("CosineEmbeddingLoss-of-one", nn.CosineEmbeddingLoss, (numbers(3), shares(3)), np.array(-1), rows_apart=False),
    Row("TripletMarginLoss-of-one", nn.TripletMarginLoss, (numbers(3), shares(3), -shares(3)), (), rows_apart=False),
    Row("TripletMarginLoss-of-three-axes", nn.TripletMarginLoss, (numbers(4, 2, 3), shares(4, 2, 3), triplets), ()),
    Row("TripletMarginLoss-p", lambda: nn.TripletMarginLoss(p=3, eps=0.01), triplet, ()),
    Row("Unflatten", lambda: nn.Unflatten(1, (2, -1)), numbers(4, 6)),
    Row("Unflatten-from-the-end", lambda: nn.Unflatten(-2, [3, 1]), numbers(4, 3, 2)),
    Row("Unflatten-of-rows", lambda: nn.Unflatten(0, (2, 2)), numbers(4, 3), None, False, False),
]
WITHOUT_FORMULAS = [
    *(
        Row(f"PairwiseDistance-{p}", lambda p=p: Distance(p), (5 * numbers(4, 3), -5 * numbers(4, 3)))
        for p in (0, math.inf)
    ),
    *(
        Row(f"CTCLoss{label}", lambda options=options: nn.CTCLoss(**options), X, target, False, False)
        for label, options, X, target in [
            ("", {}, frames, (np.array([[1, 2, 9], [3, 3, 1]]), np.array([6, 6]), np.array([2, 3]))),
            ("-sum", {"reduction": "sum"}, frames, (np.array([1, 2, 2]), np.array([4, 6]), np.array([1, 2]))),
            ("-none", {"reduction": "none"}, frames, (np.array([[1, 2], [3, 0]]), np.array([6, 5]), np.array([2, 0]))),
            ("-blank", {"blank": 3}, frames, (np.array([[0, 0], [2, 1]]), np.array([5, 6]), np.array([2, 2]))),
            (
                "-zero_infinity",
                {"zero_infinity": True},
                frames,
                (np.array([[1], [2]]), np.array([0, 6]), np.ones(2, int)),
            ),
            ("-of-one", {}, frames[:, 0], (np.array([2, 2]), np.array(6), np.array(2))),
        ]
    ),
    Row("TripletMarginLoss-swap", lambda: nn.TripletMarginLoss(swap=True), triplet, ()),
    Row("TripletMarginLoss-inf", lambda: nn.TripletMarginLoss(p=math.inf, margin=0.5), triplet, ()),
    Row("TripletMarginWithDistanceLoss", nn.TripletMarginWithDistanceLoss, triplet, ()),
    Row("TripletMarginWithDistanceLoss-swap", lambda: learned_distance(swap=True), triplet, ()),
    Row("TripletMarginWithDistanceLoss-none", lambda: learned_distance(reduction="none"), triplet, ()),
]
