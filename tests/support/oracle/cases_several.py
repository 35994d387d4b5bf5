"""Cases of layers and losses of several inputs, and of Unflatten."""

import numpy as np
from support.oracle.table import add_gate, draw, seed


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


add_layers()
