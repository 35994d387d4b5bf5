"""Cases of Embedding and EmbeddingBag; other cases are in cases.py."""

import math

import numpy as np
from support.oracle.table import CASES, Case, draw, name_of, seed


def add(kind, *Xs, label="", **options):
    name = name_of(kind, *filter(None, [" ".join(str(np.shape(X)) for X in Xs), label]), **options)
    CASES[name] = Case(kind, (6, 3), options, Xs if len(Xs) > 1 else Xs[0])


SENTENCES = np.array([[2, 0, 5, 2], [4, 4, 4, 1], [5, 1, 0, 3]])
WORDS, STARTS = SENTENCES.reshape(-1), np.array([0, 3, 3, 8, 12])  # an empty bag in the middle and at the end
ENDS = np.array([0, 3, 3, 12])
WEIGHTS = draw(seed("weights of bags"), SENTENCES.shape)
NORMS = [{}, {"max_norm": 1.5}, {"max_norm": 1.0, "norm_type": 1.0}, {"max_norm": 0.8, "norm_type": math.inf}]

for X in SENTENCES, WORDS, np.array(3), SENTENCES[:, :, None]:
    add("Embedding", X)
for norm in NORMS:
    for padding_idx in None, 2, -2:
        for scaled in False, True:
            add("Embedding", SENTENCES, padding_idx=padding_idx, scale_grad_by_freq=scaled, **norm)

for mode in "sum", "mean", "max":
    for norm in NORMS[: 3 if mode == "max" else 4]:  # with the largest value as norm, rows have equal maxima
        for padding_idx in None, 4, -4:
            add("EmbeddingBag", SENTENCES, mode=mode, padding_idx=padding_idx, **norm)
            add("EmbeddingBag", WORDS, STARTS, mode=mode, padding_idx=padding_idx, **norm)
            add("EmbeddingBag", WORDS, ENDS, mode=mode, padding_idx=padding_idx, include_last_offset=True, **norm)
for padding_idx in None, 4:
    for norm in NORMS[:2]:
        options = {"mode": "sum", "padding_idx": padding_idx, **norm}
        add("EmbeddingBag", SENTENCES, None, WEIGHTS, **options)
        add("EmbeddingBag", WORDS, STARTS, WEIGHTS.reshape(-1), **options)
# scale_grad_by_freq of EmbeddingBag is in test_embedding.py: PyTorch 2.13 divides by the counts of other indices.
