"""Losses of margins and of several labels: closed forms, plain loops, ranges, and what they refuse."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import nnlite as nn

LOG_2 = math.log(2)
scores = arrays(np.float64, (4, 3), elements=st.floats(-15, 15))
coins = arrays(np.float64, (4, 3), elements=st.integers(0, 1).map(float))


def value_and_gradient(loss, Y, target):
    return loss.forward(Y, target), loss.backward()


# --------------------------------------------------------------------------------------------- two classes


@given(scores, coins)
def test_soft_margin_is_bce_with_logits_of_the_other_coding(Z, t):
    J, dZ = value_and_gradient(nn.SoftMarginLoss(), Z, 2 * t - 1)
    J_binary, dZ_binary = value_and_gradient(nn.BCEWithLogitsLoss(), Z, t)
    np.testing.assert_allclose(J, J_binary, rtol=1e-13)
    np.testing.assert_allclose(dZ, dZ_binary, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_soft_margin_neither_overflows_nor_cancels(dtype):
    """PyTorch's is infinite from 710 on, and 0 below -37: it is log(1 + exp(-t Y)) as written."""
    Y, t = np.array([-1e4, -1000, 0, 20, 50, 1e4], dtype), np.array([1, -1, 1, 1, -1, -1], dtype)
    with np.errstate(all="raise"):
        loss = nn.SoftMarginLoss(reduction="none")
        J, dY = loss.forward(Y, t), loss.backward(np.ones(6, dtype))
    small = math.log1p(math.exp(-20))
    np.testing.assert_allclose(J, [1e4, 0, LOG_2, small, 50, 1e4], rtol=8 * np.finfo(dtype).eps)
    small = math.exp(-20) / (1 + math.exp(-20))
    np.testing.assert_allclose(dY, [-1, 0, -0.5, -small, 1, 1], rtol=8 * np.finfo(dtype).eps)


def test_hinge_embedding_by_hand():
    """A pair that belongs together costs its distance; another one what is missing to the margin."""
    loss = nn.HingeEmbeddingLoss(margin=2, reduction="none")
    J = loss.forward(np.array([0.5, 0.5, 3.0, 3.0, 2.0]), np.array([1, -1, 1, -1, -1]))
    np.testing.assert_array_equal(J, [0.5, 1.5, 3, 0, 0])
    np.testing.assert_array_equal(loss.backward(np.ones(5)), [1, -1, 1, 0, -1])


@pytest.mark.parametrize("kind", [nn.SoftMarginLoss, nn.HingeEmbeddingLoss])
@pytest.mark.parametrize("value", [0.0, 2.0, 0.5, np.nan, np.inf])
def test_a_target_other_than_minus_1_and_1_is_an_error_with_the_cure(kind, value):
    target = np.array([[1.0, -1.0], [1.0, value]])
    with pytest.raises(ValueError, match=rf"^{kind.__name__}\(\): expected each target to be -1 or 1, got") as caught:
        kind().forward(np.ones((2, 2)), target)
    cure = "for two classes coded as 0 and 1 pass 2 * target - 1"
    assert str(caught.value).endswith(f"got {value} at index (1, 1); {cure}")


def test_a_metric_knows_that_soft_margins_are_logits():
    model = nn.Linear(1, 1, dtype=np.float64)
    model.W, model.b = [[1.0]], [0.0]
    X = np.array([[3.0], [-3.0]])
    found = nn.evaluate(model, X, np.array([[1.0], [-1.0]]), loss=nn.SoftMarginLoss(), metrics=[predicted_positive])
    assert found["predicted_positive"] == 0.5


def predicted_positive(Y_pred, Y, logits=False):
    return float(np.mean(Y_pred > (0 if logits else 5)))


# ------------------------------------------------------------------------------------------ several classes


def looped_multi_margin(Y, target, p, margin, weight):
    J, dY = np.zeros(len(Y)), np.zeros_like(Y)
    N, C = Y.shape
    for n, c in enumerate(target):
        for k in range(C):
            missing = margin - Y[n, c] + Y[n, k]
            if k != c and missing > 0:
                J[n] += weight[c] * missing**p / C
                slope = weight[c] * p * missing ** (p - 1) / C / N
                dY[n, k] += slope
                dY[n, c] -= slope
    return J, dY


@pytest.mark.parametrize("p", [1, 2])
@given(Y=scores, target=arrays(np.int64, 4, elements=st.integers(0, 2)), margin=st.floats(-1, 3))
def test_multi_margin_is_the_loop_over_the_classes(p, Y, target, margin):
    weight = np.array([0.5, 1.0, 2.0])
    J, dY = value_and_gradient(nn.MultiMarginLoss(p=p, margin=margin, weight=weight), Y, target)
    expected, gradient = looped_multi_margin(Y, target, p, margin, weight)
    np.testing.assert_allclose(J, expected.mean(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dY, gradient, rtol=1e-11, atol=1e-14)


def test_a_small_excess_does_not_cancel_beside_the_margin_of_the_right_class():
    """1 + 1e-12 - 1 would be 1.00009e-12."""
    J = nn.MultiMarginLoss(reduction="sum").forward(np.array([[1.0, 1e-12]]), np.array([0]))
    assert J == 1e-12 / 2
    assert nn.MultiMarginLoss(reduction="sum").forward(np.array([[3.0, 1.0]]), np.array([0])) == 0


def test_multi_margin_refuses_what_it_cannot_use():
    with pytest.raises(ValueError, match=r"^MultiMarginLoss: p: expected 1 or 2, got 3$"):
        nn.MultiMarginLoss(p=3)
    with pytest.raises(ValueError, match=r"^MultiMarginLoss: margin: expected a finite number, got nan$"):
        nn.MultiMarginLoss(margin=np.nan)
    with pytest.raises(ValueError, match=r"^MultiMarginLoss: weight: expected finite numbers"):
        nn.MultiMarginLoss(weight=[1, np.inf])
    loss = nn.MultiMarginLoss()
    with pytest.raises(
        ValueError, match=r"^MultiMarginLoss\(\): expected class indices from 0 to 2, got -100 at \(0,\)"
    ):
        loss.forward(np.zeros((1, 3)), np.array([-100]))
    with pytest.raises(TypeError, match=r"^MultiMarginLoss\(\): expected class indices of a whole-number dtype"):
        loss.forward(np.zeros((1, 3)), np.array([1.0]))
    with pytest.raises(
        nn.ShapeError, match=r"^MultiMarginLoss\(\): expected class indices of shape \(1,\), got a target"
    ):
        loss.forward(np.zeros((1, 3)), np.eye(3, dtype=int)[:1])
    with pytest.raises(nn.ShapeError, match=r"expected scores of at least 2 classes along axis 1, got shape \(1, 1\)"):
        loss.forward(np.zeros((1, 1)), np.array([0]))
    with pytest.raises(nn.StateError):
        loss.backward()


@pytest.mark.parametrize("kind", [nn.NLLLoss, nn.MultiMarginLoss])
def test_class_weights_of_fit_are_those_of_the_samples(kind):
    """J = sum(w J) / sum(w), as for CrossEntropyLoss."""
    target, weights = np.array([0, 1, 2, 1]), {0: 1.0, 1: 2.0, 2: 5.0}
    X = -np.random.default_rng(0).uniform(size=(4, 3))
    each, w = kind(reduction="none").forward(X, target), np.array([1, 2, 5, 2])
    model = nn.Linear(3, 3, dtype=np.float64)
    model.W, model.b = np.eye(3), np.zeros(3)
    optimizer = nn.SGD(model, lr=0.0)
    options = {"epochs": 1, "batch_size": 4, "verbose": 0, "class_weight": weights}
    history = nn.fit(model, X, target, loss=kind(), optimizer=optimizer, **options)
    assert history["loss"][0] == pytest.approx((w * each).sum() / w.sum(), rel=1e-12)


# ------------------------------------------------------------------------------------------- several labels


def looped_multi_label_margin(Y, target):
    J, dY = np.zeros(len(Y)), np.zeros_like(Y)
    N, C = Y.shape
    for n, row in enumerate(target.tolist()):
        labels = row[: row.index(-1)] if -1 in row else row
        for j in labels:
            for k in set(range(C)) - set(labels):
                missing = 1 - (Y[n, j] - Y[n, k])
                if missing > 0:
                    J[n] += missing / C
                    dY[n, j] -= 1 / C / N
                    dY[n, k] += 1 / C / N
    return J, dY


@given(
    arrays(np.float64, (4, 5), elements=st.floats(-2, 2)),
    arrays(np.int64, (4, 5), elements=st.integers(-1, 4)).filter(lambda target: target.min() < 0 or target.max() > 1),
)
def test_multi_label_margin_is_the_loop_over_labels_and_others(Y, target):
    J, dY = value_and_gradient(nn.MultiLabelMarginLoss(), Y, target)
    expected, gradient = looped_multi_label_margin(Y, target)
    np.testing.assert_allclose(J, expected.mean(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dY, gradient, rtol=1e-12, atol=1e-14)


def test_a_sample_without_labels_or_with_all_of_them_costs_nothing():
    loss = nn.MultiLabelMarginLoss(reduction="none")
    J = loss.forward(np.zeros((2, 3)), np.array([[-1, 0, 1], [2, 0, 1]]))
    np.testing.assert_array_equal(J, [0, 0])
    np.testing.assert_array_equal(loss.backward(np.ones(2)), np.zeros((2, 3)))


def test_multi_label_margin_refuses_what_it_cannot_use():
    loss, Y = nn.MultiLabelMarginLoss(), np.zeros((2, 3))
    cure = r"pass -np\.sort\(-np\.where\(target, np\.arange\(3\), -1\)\)"
    message = rf"^MultiLabelMarginLoss\(\): expected class indices, then -1, got 0 or 1 for each class; {cure}, or use"
    with pytest.raises(ValueError, match=message):
        loss.forward(Y, np.array([[0, 1, 1], [1, 0, 0]]))
    with pytest.raises(TypeError, match=rf"whole-number dtype, got float64; for a target of 0 and 1 .* {cure}, else"):
        loss.forward(Y, np.array([[0, 1, 1], [1, 0, 0]], float))
    for value in 3, -2:
        with pytest.raises(ValueError, match=rf"class indices from 0 to 2, then -1, got {value} at \(1, 1\)$"):
            loss.forward(Y, np.array([[0, -1, -1], [1, value, -1]]))
    with pytest.raises(nn.ShapeError, match=r"expected a target of Y's shape \(2, 3\), got \(2,\)$"):
        loss.forward(Y, np.array([0, 1]))
    with pytest.raises(nn.ShapeError, match=r"expected scores of shape \(N, C\) or \(C,\), got \(\)$"):
        loss.forward(np.array(1.0), np.array(0))
    with pytest.raises(nn.StateError):
        loss.backward()


def test_the_cure_for_a_target_of_0_and_1_cures():
    target = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0]])
    indices = -np.sort(-np.where(target, np.arange(3), -1))
    np.testing.assert_array_equal(indices, [[2, 1, -1], [0, -1, -1], [-1, -1, -1]])
    nn.MultiLabelMarginLoss().forward(np.zeros((3, 3)), indices)


@given(scores, coins)
def test_multi_label_soft_margin_is_the_mean_over_the_classes_of_bce_with_logits(Z, t):
    weight = np.array([0.5, 1.0, 3.0])
    binary = nn.BCEWithLogitsLoss(weight=weight, reduction="none")
    elements = binary.forward(Z, t)
    loss = nn.MultiLabelSoftMarginLoss(weight=weight, reduction="none")
    np.testing.assert_allclose(loss.forward(Z, t), elements.mean(axis=1), rtol=1e-13)
    each = np.arange(1.0, 5.0)
    np.testing.assert_allclose(loss.backward(each), binary.backward(each[:, None] / 3 * np.ones((4, 3))), rtol=1e-13)


def test_an_infinite_logit_has_its_limit():
    loss = nn.MultiLabelSoftMarginLoss()
    assert loss.forward(np.array([[np.inf, -np.inf]]), np.array([[1.0, 0.0]])) == 0
    assert loss.forward(np.array([[np.inf, -np.inf]]), np.array([[0.0, 0.0]])) == np.inf
    assert np.isnan(loss.forward(np.array([[np.nan, 0.0]]), np.array([[0.0, 0.0]])))


def test_multi_label_soft_margin_refuses_what_it_cannot_use():
    loss = nn.MultiLabelSoftMarginLoss()
    with pytest.raises(
        ValueError, match=r"expected each target from 0 to 1, got -1\.0 at index \(0, 1\); code the two"
    ):
        loss.forward(np.zeros((1, 2)), np.array([[1.0, -1.0]]))
    for shape in (), (4, 0):
        with pytest.raises(nn.ShapeError, match=r"expected logits of shape \(N, C\) or \(C,\), got"):
            loss.forward(np.zeros(shape), np.zeros(shape))
    with pytest.raises(nn.ShapeError, match=r"expected a target of Y's shape \(4, 1\), got \(4,\)"):
        loss.forward(np.zeros((4, 1)), np.zeros(4))
    with pytest.raises(nn.ShapeError, match=r"a weight of shape \(3,\) cannot be broadcast to Y's shape \(4, 2\)"):
        nn.MultiLabelSoftMarginLoss(weight=[1, 2, 3]).forward(np.zeros((4, 2)), np.zeros((4, 2)))


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(nn.HingeEmbeddingLoss()) == "HingeEmbeddingLoss()"
    assert repr(nn.HingeEmbeddingLoss(margin=2, reduction="sum")) == "HingeEmbeddingLoss(reduction='sum', margin=2.0)"
    assert repr(nn.MultiMarginLoss()) == "MultiMarginLoss()"
    text = "MultiMarginLoss(p=2, margin=0.5, weight=[1.0, 2.0])"
    assert repr(nn.MultiMarginLoss(p=2, margin=0.5, weight=[1, 2])) == text
    assert repr(nn.MultiLabelSoftMarginLoss(weight=[1])) == "MultiLabelSoftMarginLoss(weight=[1.0])"
