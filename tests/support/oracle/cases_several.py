"""Cases of layers and losses of several inputs, and of Unflatten."""

import numpy as np
from support.oracle.table import CASES, Case, add_gate, draw, name_of, seed


def add_layers():
    rng = seed("several inputs")
    for shape, bias in ((), True), ((4,), True), ((4,), False), ((2, 4), True):
        add_gate("Bilinear", draw(rng, (*shape, 3)), draw(rng, (*shape, 2)), args=(3, 2, 5), bias=bias)
    for one, other, dim in [
        ((4, 3), (4, 3), 1),
        ((4, 3), (4, 3), 0),
        ((3,), (3,), 0),
        ((4, 3, 2), (4, 3, 2), 1),
        ((4, 1, 3), (2, 3), -1),
        ((4, 3), (1, 3), 1),
    ]:
        add_gate("CosineSimilarity", draw(rng, one), draw(rng, other), dim=dim)
    add_gate("CosineSimilarity", draw(rng, (4, 3)), draw(rng, (4, 3)), dim=1, eps=0.5)
    equal = draw(rng, (4, 3))
    for p in 0.5, 1.0, 1.5, 2.0, 3.0, float("inf"):
        add_gate("PairwiseDistance", draw(rng, (4, 3)), draw(rng, (4, 3)), p=p)
        add_gate("PairwiseDistance", equal, equal, label="equal", p=p, eps=0.0)
        add_gate("PairwiseDistance", draw(rng, (4, 3)), draw(rng, (4, 3)), p=p, eps=0.25, keepdim=True)
    ties = np.array([[1.0, -3.0, 3.0], [2.0, 2.0, 0.0]]), np.zeros((2, 3))
    for p in 0.5, 1.0, 2.0, 3.0, float("inf"):
        add_gate("PairwiseDistance", *ties, label="ties", p=p, eps=0.0)
    for one, other in ((3,), (3,)), ((4, 3), (3,)), ((2, 1, 3), (4, 3)):
        add_gate("PairwiseDistance", draw(rng, one), draw(rng, other))
    for shape, dim, sizes in [
        ((4, 6), 1, (2, 3)),
        ((4, 6), -1, (-1, 3)),
        ((6, 2), 0, (3, 2)),
        ((4, 6, 2), 1, (2, -1, 1)),
    ]:
        add_gate("Unflatten", draw(rng, shape), args=(dim, sizes))


def add_losses():
    rng = seed("losses of several inputs")
    for shape in (), (5,), (4, 3):
        for margin in 0.0, 0.5:
            X, target = (draw(rng, shape), draw(rng, shape)), rng.choice([-1.0, 1.0], shape)
            add_losses_of("MarginRankingLoss", X, target, margin=margin)
    tied = np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.5, 3.5])
    add_losses_of("MarginRankingLoss", tied, np.array([1.0, 1.0, -1.0]), "at the kink", margin=0.5)
    for shape in (6,), (4, 6):
        for margin in 0.0, 0.3, -0.5:
            X, target = (draw(rng, shape), draw(rng, shape)), rng.choice([-1, 1], shape[:-1])
            add_losses_of("CosineEmbeddingLoss", X, target, margin=margin)
    small = draw(rng, (4, 3), 1e-2), draw(rng, (4, 3))  # PyTorch's 1e-12 is that of float32, off by 4e-9
    add_losses_of("CosineEmbeddingLoss", small, np.array([1, -1, 1, -1]), "short", margin=-1.0)
    for shape in (3,), (4, 3), (4, 2, 3):
        X = draw(rng, shape), draw(rng, shape), draw(rng, shape)
        for swap in False, True:
            add_losses_of("TripletMarginLoss", X, None, swap=swap)
            if len(shape) == 2:
                add_losses_of("TripletMarginWithDistanceLoss", X, None, swap=swap, margin=0.5)
    X = draw(rng, (4, 3)), draw(rng, (4, 3)), draw(rng, (4, 3))
    for p in 0.5, 1.0, 3.0, float("inf"):
        add_losses_of("TripletMarginLoss", X, None, p=p, margin=1.5, eps=0.0625, swap=True)
    # With swap both distances to the negative are equal; with a difference of exactly the margin.
    ties = np.zeros((2, 1)), np.array([[2.0], [1.0]]), np.array([[1.0], [2.0]])
    add_losses_of("TripletMarginLoss", ties, None, "ties", eps=0.0, swap=True)
    add_losses_of("TripletMarginLoss", ties, None, "at the kink", eps=0.0)
    logits = draw(rng, (10, 4, 5))
    X = np.float64(np.float32(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))))
    padded = np.array([[1, 2, 2, 4], [3, 3, 3, 1], [4, 1, 2, 3], [2, 2, 2, 2]])
    full, sizes = np.full(4, 10), np.array([4, 2, 0, 3])
    short = np.array([10, 3, 5, 2])
    joined = np.concatenate([row[:size] for row, size in zip(padded, sizes, strict=True)])
    for label, targets in ("padded", padded), ("joined", joined):
        add_losses_of("CTCLoss", (X,), (targets, full, sizes), label)
    add_losses_of("CTCLoss", (X,), (padded, np.array([10, 4, 5, 7]), sizes), "short inputs")
    add_losses_of("CTCLoss", (X,), (padded, short, sizes), "no alignment", zero_infinity=True)
    add_losses_of("CTCLoss", (X,), (padded - 1, full, sizes), "last is blank", blank=4)
    add_losses_of("CTCLoss", (X[:, 0],), (padded[0], np.array(10), np.array(4)), "one sample")
    add_losses_of("CTCLoss", (X[:, :1],), (padded[:1], np.array([10]), np.array([4])), "batch of one")


def add_losses_of(kind, X, target, label="", **options):
    for reduction in "mean", "sum", "none":
        name = name_of(kind, X[0].shape, label, **options, reduction=reduction)
        CASES[name] = Case(kind, (), options | {"reduction": reduction}, X if len(X) > 1 else X[0], target)


add_layers()
add_losses()
