"""Cases of the losses for regression, likelihoods, margins and several labels."""

import itertools

import numpy as np
from support.oracle.table import CASES, Case, add_loss, draw, name_of, seed

rng = seed("likelihoods and margins")
SHAPES = [(), (5,), (4, 3), (2, 3, 2)]


def single(values):
    """Numbers that float32 has as well."""
    return np.asarray(values, np.float32).astype(np.float64)


def add_regression():
    for shape in SHAPES:
        Y, target = draw(rng, shape, 2.0), draw(rng, shape)
        add_loss("L1Loss", Y, target)
        for beta in None, 0.0, 0.5, 3.0:
            add_loss("SmoothL1Loss", Y, target, beta=beta)
        for delta in None, 0.5, 3.0:
            add_loss("HuberLoss", Y, target, delta=delta)
    same = np.array([1.0, 2.0, 3.0, 4.0])
    at_the_kinks = same + np.array([0.0, 0.5, -0.5, 1.0])
    for kind, options in ("L1Loss", {}), ("SmoothL1Loss", {"beta": 0.5}), ("HuberLoss", {"delta": 0.5}):
        add_loss(kind, at_the_kinks, same, "kinks", **options)


def add_two_classes():
    for shape in SHAPES:
        Y, signs = draw(rng, shape, 3.0), np.asarray(rng.choice([-1.0, 1.0], shape))
        add_loss("SoftMarginLoss", Y, signs)
        for margin in None, 0.0, 0.3, 2.5, -0.5:
            add_loss("HingeEmbeddingLoss", Y, signs, margin=margin)
    add_loss("HingeEmbeddingLoss", np.ones(4), np.array([1.0, -1.0, 1.0, -1.0]), "kinks")


def add_likelihoods():
    for shape in SHAPES:
        Y, share = draw(rng, shape), single(rng.uniform(0.02, 0.98, shape))
        zeros = np.asarray(np.where(rng.uniform(size=shape) < 0.4, 0.0, share))
        for target, options in (share, {}), (zeros, {"label": "zeros"}), (single(np.log(share)), {"log_target": True}):
            add_loss("KLDivLoss", Y, target, **options)
            if shape:
                given = {key: value for key, value in options.items() if key != "label"} | {"reduction": "batchmean"}
                CASES[name_of("KLDivLoss", shape, options.get("label", ""), **given)] = Case(
                    "KLDivLoss", (), given, Y, target
                )
        counts = np.asarray(rng.integers(0, 6, shape), np.float64)
        for full in None, True:
            add_loss("PoissonNLLLoss", Y, counts, full=full)
            add_loss("PoissonNLLLoss", Y, 1.5 * counts, "fractions", full=full)
            for eps in None, 0.25:
                add_loss("PoissonNLLLoss", np.abs(Y), counts, log_input=False, full=full, eps=eps)


def add_gaussian():
    for shape in SHAPES:
        Y, target = draw(rng, shape), draw(rng, shape)
        variances = {"of each": shape, "of each row": shape[:-1], "of each column": (1, *shape[1:])}
        for label, var_shape in variances.items() if len(shape) > 1 else [("of each", shape)]:
            var = single(rng.uniform(0.1, 2, var_shape))
            for reduction, full, eps in itertools.product(["mean", "sum", "none"], [False, True], [1e-6, 0.75]):
                options = {"full": full, "eps": eps, "reduction": reduction}
                name = name_of("GaussianNLLLoss", shape, f"variance {label}", **options)
                CASES[name] = Case("GaussianNLLLoss", (), options, (Y, var), target)


def add_classes():
    weight = single(rng.uniform(0.5, 2, 3))
    for shape in (3,), (4, 3), (2, 3, 4), (2, 3, 2, 2):
        axis = 0 if shape == (3,) else 1
        Y, rest = draw(rng, shape), shape[:axis] + shape[axis + 1 :]
        indices = np.asarray(rng.permutation(np.arange(Y.size // 3) % 3).reshape(rest))
        indices = np.array(2) if shape == (3,) else indices
        for options in {}, {"weight": weight}, {"ignore_index": 1}, {"weight": weight, "ignore_index": 1}:
            add_loss("NLLLoss", Y, indices, **options)
        if len(shape) < 3:
            for p, margin, each in itertools.product([None, 2], [None, 0.25, -0.5], [None, weight]):
                add_loss("MultiMarginLoss", Y, indices, p=p, margin=margin, weight=each)
    add_loss("NLLLoss", draw(rng, (4, 3)), np.array([2, -100, 0, -100]), "default ignore_index", weight=weight)
    add_loss("MultiMarginLoss", np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]), np.array([1, 0]), "kinks")


def add_labels():
    for shape in (5,), (6, 5):
        for lowest, label in (-1, "ended by -1"), (0, "with repetitions"):
            target = np.asarray(rng.integers(lowest, 5, shape))
            add_loss("MultiLabelMarginLoss", draw(rng, shape), target, label)
    add_loss("MultiLabelMarginLoss", np.array([[0.0, 1.0, 3.0]]), np.array([[1, -1, 0]]), "kinks")
    weight = single(rng.uniform(0.5, 2, 3))
    for shape in (3,), (4, 3), (2, 4, 3):
        soft = single(rng.uniform(0, 1, shape))
        for target, label in (np.round(soft), "hard"), (soft, "soft"):
            for each in None, weight:
                add_loss("MultiLabelSoftMarginLoss", draw(rng, shape, 4.0), target, label, weight=each)


add_regression()
add_two_classes()
add_likelihoods()
add_classes()
add_labels()
add_gaussian()
