"""Rows of the contract table: losses for regression, likelihoods, margins and several labels."""

import numpy as np
from support.contract_row import Row, numbers, shares

import nnlite as nn

away = -numbers(4, 3)  # from numbers(4, 3): the errors are 0.2, 0.55, 0.89, 1.24, ... 4.0
signs = np.sign(numbers(4, 3)[::-1])
counts = np.array([[0.0, 1.0, 4.0], [2.5, 0.5, 7.0], [3.0, 1.5, 12.0], [0.0, 2.0, 9.0]])
indices = np.array([2, 0, 1, 2])
distributions = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.25, 0.25, 0.5], [0.1, 0.1, 0.8]])
binary = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.25], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
classes = np.array([0.5, 2.0, 1.5])  # weights of three classes
Poisson, Gaussian, Multi = nn.PoissonNLLLoss, nn.GaussianNLLLoss, nn.MultiMarginLoss

ROWS = [
    *(
        Row(f"{loss.__name__}{label}", lambda loss=loss, options=options: loss(**options), numbers(4, 3), target)
        for loss, target, variants in [
            (nn.L1Loss, away, {}),
            (nn.SmoothL1Loss, away, {"-beta": {"beta": 1.5}, "-without-beta": {"beta": 0.0}}),
            (nn.HuberLoss, away, {"-delta": {"delta": 2.5}}),
            (nn.SoftMarginLoss, signs, {}),
            (nn.HingeEmbeddingLoss, signs, {"-margin": {"margin": 0.5}}),
            (nn.KLDivLoss, distributions, {"-batchmean": {"reduction": "batchmean"}}),
            (nn.MultiLabelSoftMarginLoss, binary, {"-weight": {"weight": classes}}),
        ]
        for label, options in [
            ("", {}),
            ("-sum", {"reduction": "sum"}),
            ("-none", {"reduction": "none"}),
            *variants.items(),
        ]
    ),
    Row("KLDivLoss-log_target", lambda: nn.KLDivLoss(log_target=True), numbers(4, 3), np.log(distributions)),
    *(
        Row(f"PoissonNLLLoss-log{label}", lambda options=options: Poisson(**options), numbers(4, 3), counts)
        for label, options in [("", {}), ("-none", {"reduction": "none"}), ("-full", {"full": True})]
    ),
    *(
        Row(f"PoissonNLLLoss{label}", lambda options=options: Poisson(log_input=False, **options), shares(4, 3), counts)
        for label, options in [("", {}), ("-sum", {"reduction": "sum"}), ("-full-eps", {"full": True, "eps": 0.1})]
    ),
    Row("GaussianNLLLoss", Gaussian, (numbers(4, 3), 4 * shares(4, 3)), away),
    Row("GaussianNLLLoss-sum", lambda: Gaussian(reduction="sum", full=True), (numbers(4, 3), 4 * shares(4)), away),
    Row("GaussianNLLLoss-none", lambda: Gaussian(reduction="none"), (numbers(4, 3), 4 * shares(4, 1)), away),
    Row("GaussianNLLLoss-of-a-number", Gaussian, (numbers(4, 3), np.array(1.5)), away, rows_apart=False),
    Row("GaussianNLLLoss-full", lambda: Gaussian(full=True, eps=0.01), (numbers(4), 4 * shares(4)), away[:, 0]),
    Row("NLLLoss", nn.NLLLoss, -shares(4, 3), indices),
    Row("NLLLoss-sum", lambda: nn.NLLLoss(reduction="sum"), -shares(4, 3), indices),
    Row("NLLLoss-none", lambda: nn.NLLLoss(reduction="none", weight=classes), -shares(4, 3), indices),
    Row("NLLLoss-weight", lambda: nn.NLLLoss(weight=classes), -shares(4, 3), indices, rows_apart=False),
    Row("NLLLoss-ignored", lambda: nn.NLLLoss(ignore_index=0), -shares(4, 3), indices, rows_apart=False),
    Row("NLLLoss-of-three-axes", nn.NLLLoss, -shares(4, 3, 2), np.stack([indices, indices[::-1]], axis=1)),
    Row("NLLLoss-over-time", lambda: nn.NLLLoss(dim=-1), -shares(4, 2, 3), np.stack([indices, indices[::-1]], axis=1)),
    Row("NLLLoss-of-one-sample", nn.NLLLoss, -shares(3), np.array(1), rows_apart=False),
    Row("MultiMarginLoss", Multi, numbers(4, 3), indices),
    Row("MultiMarginLoss-none", lambda: Multi(reduction="none", weight=classes), numbers(4, 3), indices),
    Row("MultiMarginLoss-weight", lambda: Multi(weight=classes, margin=0.7), numbers(4, 3), indices),
    Row("MultiMarginLoss-squares", lambda: Multi(p=2, reduction="sum"), numbers(4, 3), indices),
    Row(
        "MultiMarginLoss-over-time", lambda: Multi(dim=-1), numbers(4, 2, 3), np.stack([indices, indices[::-1]], axis=1)
    ),
    Row("MultiMarginLoss-of-one-sample", lambda: Multi(p=2), numbers(3), np.array(1), rows_apart=False),
    *(
        Row(
            f"MultiLabelMarginLoss-{reduction}",
            lambda reduction=reduction: nn.MultiLabelMarginLoss(reduction=reduction),
            numbers(4, 3),
            np.array([[2, -1, 0], [0, 1, -1], [-1, -1, -1], [1, 2, 0]]),
        )
        for reduction in ("mean", "sum", "none")
    ),
    Row(
        "MultiLabelMarginLoss-of-one-sample",
        nn.MultiLabelMarginLoss,
        numbers(3),
        np.array([0, -1, -1]),
        rows_apart=False,
    ),
]
