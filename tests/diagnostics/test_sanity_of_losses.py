"""sanity is silent on right models with each kind of loss, and names an output that the loss is not made for."""

import numpy as np
import pytest

import nnlite as nn
from nnlite.diagnostics.sanity_checks.correctness import independent_rows
from nnlite.diagnostics.sanity_checks.overfitting import overfits_small_batch
from nnlite.diagnostics.sanity_checks.rehearsal import Rehearsal
from nnlite.diagnostics.sanity_checks.targets import initial_loss, targets_in_range

X = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
scores = X @ np.random.default_rng(1).normal(size=(4, 3))
labels = scores.argmax(axis=1)
shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
counts = np.random.default_rng(2).poisson(np.exp(scores / 3)).astype(float)
several = -np.sort(-np.where(scores > 0.5, np.arange(3), -1))


def model(*last):
    return nn.Sequential(nn.Linear(4, 8, rng=1), nn.Tanh(), nn.Linear(8, 3, rng=2), *last)


@pytest.mark.parametrize(
    ("network", "loss", "target"),
    [
        (model(), nn.SmoothL1Loss(), scores),
        (model(nn.LogSoftmax()), nn.NLLLoss(), labels),
        (model(nn.LogSoftmax()), nn.KLDivLoss(reduction="batchmean"), shares),
        (model(), nn.PoissonNLLLoss(), counts),
        (model(nn.Exp()), nn.PoissonNLLLoss(log_input=False), counts),
        (model(), nn.SoftMarginLoss(), np.sign(scores)),
        (model(nn.Exp()), nn.HingeEmbeddingLoss(), np.sign(scores)),
        (model(), nn.MultiMarginLoss(), labels),
        (model(), nn.MultiLabelMarginLoss(), several),
        (model(), nn.MultiLabelSoftMarginLoss(), (scores > 0).astype(float)),
    ],
    ids=lambda value: str(value) if isinstance(value, nn.Loss) else "",
)
def test_nothing_is_wrong(network, loss, target):
    """Of the ten checks these three know losses; initial_loss does not know the value for all."""
    run = Rehearsal(network, loss, X, target)
    assert targets_in_range(run).right
    assert initial_loss(run).right is not False
    assert overfits_small_batch(run, np.random.default_rng(0)).right


@pytest.mark.parametrize(
    ("network", "loss", "target", "found", "cure"),
    [
        (
            model(nn.Softmax()),
            nn.NLLLoss(),
            labels,
            "NLLLoss expects log-probabilities, at most 0",
            "LogSoftmax(dim=1)",
        ),
        (model(), nn.KLDivLoss(), shares, "KLDivLoss expects log-probabilities, at most 0", "LogSoftmax(dim=1)"),
        (model(), nn.HingeEmbeddingLoss(), np.sign(scores), "expects outputs of at least 0, but", "Softplus()"),
        (
            model(nn.Sigmoid()),
            nn.SoftMarginLoss(),
            np.sign(scores),
            "SoftMarginLoss expects logits",
            "remove Sigmoid()",
        ),
    ],
    ids=["NLL", "KLDiv", "HingeEmbedding", "SoftMargin"],
)
def test_outputs_that_the_loss_is_not_made_for(network, loss, target, found, cure):
    check = targets_in_range(Rehearsal(network, loss, X, target))
    assert check.right is False
    assert found in check.found
    assert check.cure.endswith(cure)


def test_the_initial_loss_of_uniform_log_probabilities_is_the_logarithm_of_the_number_of_classes():
    network = model(nn.LogSoftmax())
    network[2].W, network[2].b = np.zeros((8, 3)), np.zeros(3)
    check = initial_loss(Rehearsal(network, nn.NLLLoss(), X, labels))
    assert check.found == "1.1, expected ln 3 = 1.1 for uniform probabilities"


def test_ctc_whose_axis_1_holds_the_samples_and_axis_2_the_classes():
    X = np.random.default_rng(0).normal(size=(3, 4, 3))
    Y = np.array([[1], [2], [3]]), np.full(3, 4), np.full(3, 1)
    model = nn.Sequential(nn.Linear(3, 5, rng=0), nn.LogSoftmax(dim=2), nn.Transpose(0, 1))
    report = str(nn.sanity(model, nn.CTCLoss(), X, Y))
    assert "right  rows" in report
    assert "WRONG" not in report
    assert "constant prediction has -" not in report  # log-probabilities, of which no loss is negative
    model = nn.Sequential(nn.Linear(3, 5, rng=0), nn.Tanh(), nn.Transpose(0, 1))
    assert targets_in_range(Rehearsal(model, nn.CTCLoss(), X, Y)).cure == "end the model with LogSoftmax(dim=2)"
    model = nn.Sequential(nn.Linear(3, 5, rng=0), nn.LogSoftmax(dim=0), nn.Transpose(0, 1))
    check = independent_rows(Rehearsal(model, nn.CTCLoss(), X, Y), np.random.default_rng(0))
    assert "LogSoftmax(dim=0): the output for a sample depends on the other samples" in check.found
