"""Losses of several inputs: closed forms, bad arguments, in graphs and in fit."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn


def test_margin_ranking_costs_what_is_missing_to_the_margin():
    loss = nn.MarginRankingLoss(margin=1.0, reduction="none")
    J = loss.forward([3.0, 3.0, 3.0, 3.0], [1.0, 2.5, 4.0, 4.5], [1, 1, 1, -1])
    assert_array_equal(J, [0, 0.5, 2, 0])
    dX1, dX2 = loss.backward(np.ones(4))
    assert_array_equal(dX1, [0, -1, -1, 0])
    assert_array_equal(dX2, [0, 1, 1, 0])


def test_cosine_embedding_in_closed_form():
    loss = nn.CosineEmbeddingLoss(margin=0.5, reduction="none")
    x1, x2 = np.array([[1.0, 0.0]] * 4), np.array([[0.0, 2.0], [3.0, 0.0], [3.0, 0.0], [-1.0, 0.0]])
    assert_allclose(loss.forward(x1, x2, [1, 1, -1, -1]), [1, 0, 0.5, 0], atol=1e-11)
    dX1, _ = loss.backward(np.ones(4))
    assert_allclose(dX1, [[0, -1], [0, 0], [0, 0], [0, 0]], atol=1e-11)


def test_triplet_margin_in_closed_form_with_and_without_swap():
    a, p, n = np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]), np.array([[3.0, 8.0]])
    assert nn.TripletMarginLoss(eps=0.0, margin=5.0).forward(a, p, n) == pytest.approx(10 - math.hypot(3, 8))
    swapped = nn.TripletMarginLoss(eps=0.0, margin=5.0, swap=True)
    assert swapped.forward(a, p, n) == 6  # d(p, n) is 4
    assert_allclose(swapped.backward(), [[[-0.6, -0.8]], [[0.6, 1.8]], [[0.0, -1.0]]], atol=1e-15)


def test_a_distance_of_ours_is_that_of_the_layer():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(5, 4)) for _ in range(3)]
    for swap in False, True:
        own = nn.TripletMarginLoss(p=3, eps=0.1, swap=swap)
        other = nn.TripletMarginWithDistanceLoss(nn.PairwiseDistance(3, eps=0.1), swap=swap)
        assert other.forward(*X) == own.forward(*X)
        for one, two in zip(other.backward(), own.backward(), strict=True):
            assert_array_equal(one, two)


class Learned(nn.Layer, parameters=("w",)):
    """A weighted squared distance."""

    def __init__(self, width):
        self.w = np.ones(width)

    def forward(self, X1, X2):
        self.D = X1 - X2
        return np.sum(self.w * self.D**2, axis=-1)

    def backward(self, dY):
        self.dw = np.sum(dY[:, None] * self.D**2, axis=0)
        dD = 2 * dY[:, None] * self.w * self.D
        return dD, -dD


def test_a_distance_with_parameters_is_trained_with_the_model():
    rng = np.random.default_rng(0)
    anchors = rng.normal(size=(64, 2))
    positives = anchors + [0.0, 2.0] * rng.normal(size=(64, 1))  # they differ in the second number only
    model, loss = nn.Graph(inputs := (nn.Input(), nn.Input(), nn.Input()), inputs), None
    loss = nn.TripletMarginWithDistanceLoss(Learned(2))
    triplets = anchors, positives, np.roll(anchors, 1, axis=0)
    nn.check_gradients(loss, triplets, ())
    nn.fit(model, triplets, (), loss=loss, optimizer=nn.SGD(loss, lr=0.05), epochs=30, verbose=0, rng=0)
    assert loss.distance_function.w[1] < 0.1 < loss.distance_function.w[0]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.MarginRankingLoss(margin="1"), TypeError, "MarginRankingLoss: margin: expected a number"),
        (lambda: nn.MarginRankingLoss(reduction="avg"), ValueError, "'mean', 'sum' or 'none', got 'avg'"),
        (lambda: nn.CosineEmbeddingLoss(1.5), ValueError, "margin: expected a number from -1 to 1, got 1.5"),
        (lambda: nn.CosineEmbeddingLoss(math.nan), ValueError, "margin: expected a number from -1 to 1, got nan"),
        (lambda: nn.TripletMarginLoss(0.0), ValueError, "TripletMarginLoss: margin: expected a number above 0"),
        (lambda: nn.TripletMarginLoss(p=-1), ValueError, "p: expected a number >= 0"),
        (
            lambda: nn.TripletMarginWithDistanceLoss(margin=-1),
            ValueError,
            "DistanceLoss: margin: expected a number above",
        ),
        (lambda: nn.TripletMarginWithDistanceLoss(np.subtract), TypeError, "distance_function: expected a Layer"),
        (lambda: nn.TripletMarginWithDistanceLoss(nn.PairwiseDistance), TypeError, r"write PairwiseDistance\("),
    ],
)
def test_bad_arguments(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("loss", "inputs", "error", "words"),
    [
        (nn.MarginRankingLoss(), [np.ones(3), np.ones((3, 1)), np.ones(3)], nn.ShapeError, r"X2\)\[..., 0\]"),
        (nn.MarginRankingLoss(), [np.ones(3), np.ones(3), np.ones((3, 1))], nn.ShapeError, r"target\)\[..., 0\]"),
        (
            nn.MarginRankingLoss(),
            [np.ones(3), np.ones(3), [1, 0, 1]],
            ValueError,
            r"got 0.0 at index \(1,\).* 2 \* target",
        ),
        (nn.MarginRankingLoss(), [np.ones(1), np.ones(1), [np.nan]], ValueError, "got nan at index"),
        (nn.CosineEmbeddingLoss(), [np.ones((3, 2)), np.ones((3, 2)), np.ones((3, 2))], nn.ShapeError, r"shape \(3,\)"),
        (
            nn.CosineEmbeddingLoss(),
            [np.ones((3, 2)), np.ones((3, 2)), [1, 2, 1]],
            ValueError,
            r"got 2.0 at index \(1,\)",
        ),
        (
            nn.CosineEmbeddingLoss(),
            [np.ones((1, 2, 2))] * 3,
            nn.ShapeError,
            r"shape \(N, D\) or \(D,\), got \(1, 2, 2\)",
        ),
        (nn.CosineEmbeddingLoss(), [1.0, 1.0, 1.0], nn.ShapeError, r"shape \(N, D\) or \(D,\), got \(\)"),
        (
            nn.TripletMarginLoss(),
            [np.ones((3, 2)), np.ones((3, 2)), np.ones(2)],
            nn.ShapeError,
            r"negative of anchor's",
        ),
        (nn.TripletMarginLoss(), [1.0, 1.0, 1.0], nn.ShapeError, "expected vectors, got numbers"),
        (nn.TripletMarginLoss(), [["a"], [1.0], [1.0]], TypeError, "anchor"),
        (nn.TripletMarginWithDistanceLoss(nn.Dot()), [np.ones(2)] * 3, None, ""),
        (nn.TripletMarginWithDistanceLoss(nn.MatMul()), [np.ones((2, 2))] * 3, nn.ShapeError, "do not match"),
        (
            nn.TripletMarginWithDistanceLoss(nn.CosineSimilarity(0)),
            [np.ones((3, 2))] * 3,
            nn.ShapeError,
            "each of 6 pairs",
        ),
    ],
)
def test_bad_inputs(loss, inputs, error, words):
    if error is None:
        assert loss.forward(*inputs) == 1
        return
    with pytest.raises(error, match=words):
        loss.forward(*inputs)
    with pytest.raises(nn.StateError):
        loss.backward()


# ------------------------------------------------------------------------------------------------ in graphs and in fit


def siamese(loss, count):
    """A graph of an encoder used for each input, with the loss as its last node if there is one."""
    encoder = nn.Linear(3, 2, bias=False, dtype=np.float64, rng=0)  # a distance does not depend on b
    inputs = tuple(nn.Input(name) for name in "abc"[:count])
    codes = tuple((encoder if number == 0 else nn.tied(encoder))(X) for number, X in enumerate(inputs))
    target = nn.Input("target")
    if loss is None:
        return nn.Graph(inputs, codes), encoder
    return nn.Graph(
        (*inputs, target)[: count + bool(loss.without_gradient)], loss(*codes, *[target] * (count == 2))
    ), encoder


LOSSES = [
    (nn.MarginRankingLoss, 2, np.where(np.arange(8).reshape(4, 2) % 3 == 0, 1.0, -1.0)),
    (nn.CosineEmbeddingLoss, 2, np.array([1.0, -1.0, -1.0, 1.0])),
    (nn.TripletMarginLoss, 3, ()),
    (nn.TripletMarginWithDistanceLoss, 3, ()),
]


@pytest.mark.parametrize(("make", "count", "target"), LOSSES)
def test_a_loss_in_a_graph_and_behind_one_is_the_same(make, count, target):
    rng = np.random.default_rng(1)
    Xs = tuple(rng.normal(size=(4, 3)) for _ in range(count))
    inside, encoder = siamese(make(), count)
    given = (*Xs, target) if count == 2 else Xs
    assert nn.check_gradients(inside, given).right
    J = inside.forward(*given)
    inside.backward()
    gradient = encoder.dPhi.copy()

    model, encoder = siamese(None, count)
    loss = make()
    assert nn.check_gradients(model, Xs, target, loss).right
    found = nn.evaluate(model, Xs, target, loss=loss)
    assert found["loss"] == pytest.approx(J, rel=1e-12)
    before = encoder.Phi.copy()
    nn.fit(model, Xs, target, loss=loss, optimizer=nn.SGD(model, lr=1.0), batch_size=4, verbose=0)
    assert_allclose(before - encoder.Phi, gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("make", "count", "target"), LOSSES)
def test_the_tools_take_a_model_of_several_outputs_and_such_a_loss(make, count, target):
    rng = np.random.default_rng(1)
    Xs = tuple(rng.normal(size=(4, 3)) for _ in range(count))
    model, _ = siamese(None, count)
    assert str(nn.profile(model, Xs, target, make(), repeats=1))
    assert str(nn.explain(model, Xs, target, make(), values=True))
    assert [step.path for step in nn.forward_steps(model, Xs, target, make())][-1] == "loss"
    gradients = nn.per_sample_gradients(model, Xs, target, make())
    assert gradients["0.W"].shape == (4, 3, 2)
    report = nn.sanity(model, make(), Xs, target)
    wrong = {name for name, check in report.checks.items() if check.right is False}
    assert wrong <= {"overfits"}, report


def test_weights_of_rows_count_in_a_loss_of_several_inputs():
    rng = np.random.default_rng(1)
    Xs = tuple(rng.normal(size=(4, 3)) for _ in range(2))
    weight, target = np.array([1.0, 0.0, 2.0, 0.0]), np.array([1, -1, 1, 1])
    histories = []
    for rows, weights in ([0, 1, 2, 3], weight), ([0, 2, 2], None):
        model, _ = siamese(None, 2)
        given = tuple(X[rows] for X in Xs)
        options = {"loss": nn.CosineEmbeddingLoss(), "optimizer": nn.SGD(model, lr=0.1), "verbose": 0, "epochs": 3}
        histories.append(nn.fit(model, given, target[rows], sample_weight=weights, shuffle=False, **options)["loss"])
    assert_allclose(*histories, rtol=1e-12)


def test_validation_rows_and_batches_without_targets():
    rng = np.random.default_rng(1)
    Xs = tuple(rng.normal(size=(8, 3)) for _ in range(3))
    model, _ = siamese(None, 3)
    loss = nn.TripletMarginLoss()
    for options in {"validation_split": 0.25}, {"validation_data": (Xs, ())}:
        optimizer = nn.SGD(model, lr=0.1)
        history = nn.fit(model, Xs, (), loss=loss, optimizer=optimizer, epochs=2, batch_size=3, verbose=0, **options)
        assert len(history["val_loss"]) == 2
    batches = [(tuple(X[:4] for X in Xs), ()), (tuple(X[4:] for X in Xs), ())]
    assert nn.evaluate(model, batches, loss=loss) == pytest.approx(nn.evaluate(model, Xs, (), loss=loss))


@pytest.mark.parametrize(
    ("count", "target", "loss", "words"),
    [
        (
            2,
            (),
            nn.TripletMarginLoss(),
            r"outputs of the model a tuple \(anchor, positive, negative\), got a tuple of 2",
        ),
        (3, np.ones(4), nn.TripletMarginLoss(), r"targets a tuple \(\), got ndarray"),
        (3, np.ones(4), nn.CosineEmbeddingLoss(), r"outputs of the model a tuple \(X1, X2\), got a tuple of 3"),
    ],
)
def test_a_model_whose_outputs_do_not_fit_the_loss(count, target, loss, words):
    model, _ = siamese(None, count)
    Xs = tuple(np.ones((4, 3)) for _ in range(count))
    with pytest.raises(TypeError, match=words):
        nn.fit(model, Xs, target, loss=loss, optimizer=nn.SGD(model, lr=0.1), verbose=0)
