"""Losses: the promised values, closed forms, the reductions, and what they refuse."""

import math
import re
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

import nnlite as nn

LOG_2 = 0.6931471805599453
ELEMENTWISE = [nn.MSELoss, nn.BCELoss, nn.BCEWithLogitsLoss]
ALL = [*ELEMENTWISE, nn.CrossEntropyLoss]

scores = arrays(np.float64, (4, 3), elements=st.floats(-15, 15))
shares = arrays(np.float64, (4, 3), elements=st.floats(0.0625, 0.9375))


def value_and_gradient(loss, Y, target):
    return loss.forward(Y, target), loss.backward()


def one(loss, y, t):
    """Loss and gradient of a single element."""
    J, dY = value_and_gradient(loss, np.array([y], float), np.array([t], float))
    return J, dY[0]


# ------------------------------------------------------------------------------------ the promised values


@pytest.mark.parametrize(
    ("x", "t", "J", "dx"),
    [
        (0, 0, 0, 0),
        (1, 1, 0, 0),
        (0, 1, 100, -1e12),
        (1, 0, 100, 1e12),
        (0, 0.5, 50, -5e11),
        (0.5, 0.5, LOG_2, 0),
        (1e-7, 1, 16.11809565095832, -1e7),
        (0.3, 0.7, 0.949783446209775, -1.9047619047619047),
    ],
)
def test_bce_at_the_promised_points(x, t, J, dx):
    np.testing.assert_allclose(one(nn.BCELoss(), x, t), (J, dx), rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("z", "t", "J", "dz"),
    [
        (0, 1, LOG_2, -0.5),
        (100, 0, 100, 1),
        (-1000, 1, 1000, -1),
        (1000, 1, 0, 0),
        (np.inf, 0, np.inf, 1),
        (np.inf, 1, 0, 0),
        (-np.inf, 1, np.inf, -1),
        (-np.inf, 0, 0, 0),
        (np.inf, 0.5, np.inf, 0.5),
        (-np.inf, 0.5, np.inf, -0.5),
    ],
)
def test_bce_with_logits_at_the_promised_points(z, t, J, dz):
    np.testing.assert_allclose(one(nn.BCEWithLogitsLoss(), z, t), (J, dz), rtol=1e-14, atol=0)
    np.testing.assert_allclose(one(nn.BCEWithLogitsLoss(pos_weight=1.0), z, t), (J, dz), rtol=1e-14, atol=0)


def test_an_infinite_score_is_one_element_among_others():
    loss = nn.BCEWithLogitsLoss(reduction="none")
    J = loss.forward(np.array([np.inf, 0.0, -np.inf, 2.0]), np.array([1.0, 1.0, 0.0, 0.0]))
    np.testing.assert_allclose(J, [0, LOG_2, 0, 2 + math.log1p(math.exp(-2))], rtol=1e-15)


def test_pos_weight_as_in_the_formula():
    # (1 - t) z + (1 + (p - 1) t) softplus(-z); at z = 0 its derivative is (1 - t) - (1 + (p - 1) t) / 2
    loss = nn.BCEWithLogitsLoss(pos_weight=[3.0, 3.0, 0.5], reduction="none")
    J = loss.forward(np.zeros(3), np.array([1.0, 0.0, 0.5]))
    np.testing.assert_allclose(J, [3 * LOG_2, LOG_2, 0.75 * LOG_2], rtol=1e-15)
    np.testing.assert_allclose(loss.backward(np.ones(3)), [-1.5, 0.5, 0.125], rtol=1e-15)


def test_mse_by_hand():
    J, dY = value_and_gradient(nn.MSELoss(), np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[1.0, 0.0], [4.0, 2.0]]))
    assert J == 3.5  # (0 + 4 + 1 + 9) / 4
    np.testing.assert_array_equal(dY, [[0, 1], [-0.5, 1.5]])  # 2 (Y - t) / 4


def test_cross_entropy_by_hand():
    Z = np.log([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]])  # P = (1, 2, 5) / 8 and (1, 1, 2) / 4
    J, dZ = value_and_gradient(nn.CrossEntropyLoss(), Z, np.array([1, 2]))
    np.testing.assert_allclose(J, (math.log(4) + math.log(2)) / 2, rtol=1e-15)
    np.testing.assert_allclose(dZ, [[1 / 16, -6 / 16, 5 / 16], [1 / 8, 1 / 8, -2 / 8]], rtol=1e-14)


def test_class_weights_count_in_the_mean_for_indices():
    loss = nn.CrossEntropyLoss(weight=[1.0, 2.0, 5.0])
    Z = np.log([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]])
    J, dZ = value_and_gradient(loss, Z, np.array([1, 2]))
    np.testing.assert_allclose(J, (2 * math.log(4) + 5 * math.log(2)) / 7, rtol=1e-15)
    np.testing.assert_allclose(dZ, np.array([[2 / 8, -12 / 8, 10 / 8], [5 / 4, 5 / 4, -10 / 4]]) / 7, rtol=1e-14)


@pytest.mark.parametrize("ignored", [-100, -1, 0, 1, 2])
def test_ignored_samples_do_not_count_in_loss_gradient_or_mean(ignored):
    Z, target = np.arange(12.0).reshape(4, 3) % 5, np.array([0, 1, 2, 1])
    weight = np.array([1.0, 2.0, 5.0])
    target[2] = ignored
    kept = target != ignored
    for options in {}, {"weight": weight}, {"weight": weight, "label_smoothing": 0.3}:
        J, dZ = value_and_gradient(nn.CrossEntropyLoss(**options, ignore_index=ignored), Z, target)
        J_kept, dZ_kept = value_and_gradient(nn.CrossEntropyLoss(**options), Z[kept], target[kept])
        np.testing.assert_allclose(J, J_kept, rtol=1e-14)
        np.testing.assert_array_equal(dZ[~kept], 0)
        np.testing.assert_allclose(dZ[kept], dZ_kept, rtol=1e-13)


def test_an_index_target_is_the_same_as_its_one_hot_rows():
    Z, indices = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    by_index = value_and_gradient(nn.CrossEntropyLoss(label_smoothing=0.1), Z, indices)
    by_row = value_and_gradient(nn.CrossEntropyLoss(label_smoothing=0.1), Z, np.eye(3)[indices])
    np.testing.assert_allclose(by_index[0], by_row[0], rtol=1e-15)
    np.testing.assert_allclose(by_index[1], by_row[1], rtol=1e-14, atol=1e-17)


def test_label_smoothing_spreads_the_target():
    Z = np.random.default_rng(0).normal(size=(2, 4))
    smoothed = nn.CrossEntropyLoss(label_smoothing=0.2).forward(Z, np.array([3, 0]))
    spread = np.array([[0.05, 0.05, 0.05, 0.85], [0.85, 0.05, 0.05, 0.05]])  # 0.8 of one class, 0.2 / 4 of each
    assert smoothed == pytest.approx(nn.CrossEntropyLoss().forward(Z, spread), rel=1e-14)


def test_a_class_that_is_impossible_and_not_the_target_costs_nothing():
    J, dZ = value_and_gradient(nn.CrossEntropyLoss(), np.array([[-np.inf, 0.0, 0.0]]), np.array([1]))
    np.testing.assert_allclose(J, LOG_2, rtol=1e-15)
    np.testing.assert_allclose(dZ, [[0, -0.5, 0.5]], rtol=1e-15)
    assert nn.CrossEntropyLoss().forward(np.array([[-np.inf, 0.0, 0.0]]), np.array([0])) == np.inf


def test_the_axis_of_the_classes_is_the_second_or_the_only_one():
    Z, target = np.random.default_rng(0).normal(size=(2, 3, 4, 5)), np.random.default_rng(1).integers(0, 3, (2, 4, 5))
    J = nn.CrossEntropyLoss(reduction="none").forward(Z, target)
    assert J.shape == (2, 4, 5)
    single = nn.CrossEntropyLoss()
    assert J[1, 2, 3] == pytest.approx(single.forward(Z[1, :, 2, 3], target[1, 2, 3]), rel=1e-14)
    assert single.backward().shape == (3,)


# ------------------------------------------------------------------------------------------ properties


@given(scores, shares)
def test_sigmoid_then_bce_is_bce_with_logits(Z, target):
    sigmoid, bce = nn.Sigmoid(), nn.BCELoss()
    J = bce.forward(sigmoid.forward(Z), target)
    dZ = sigmoid.backward(bce.backward())
    J_fused, dZ_fused = value_and_gradient(nn.BCEWithLogitsLoss(), Z, target)
    np.testing.assert_allclose(J, J_fused, rtol=1e-8)
    np.testing.assert_allclose(dZ, dZ_fused, rtol=1e-7, atol=1e-11)


@given(arrays(np.float64, (5, 2), elements=st.floats(-3, 3)), st.integers(0, 2**32 - 1))
def test_a_network_with_sigmoid_and_bce_has_the_gradients_of_one_with_bce_with_logits(X, seed):
    target = np.array([[0.0], [1.0], [1.0], [0.0], [1.0]])
    linear = nn.Linear(2, 1, dtype=np.float64, rng=seed)
    model = nn.Sequential(linear, nn.Sigmoid())
    loss, fused = nn.BCELoss(), nn.BCEWithLogitsLoss()
    loss.forward(model.forward(X), target)
    dX = model.backward(loss.backward())
    dPhi = model.dPhi.copy()
    fused.forward(linear.forward(X), target)
    np.testing.assert_allclose(linear.backward(fused.backward()), dX, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(model.dPhi, dPhi, rtol=1e-7, atol=1e-10)


@given(scores, arrays(np.int64, 4, elements=st.integers(0, 2)))
def test_log_softmax_and_a_pick_is_cross_entropy(Z, target):
    log_softmax = nn.LogSoftmax()
    rows = np.arange(4)
    J = -log_softmax.forward(Z)[rows, target].mean()
    dY = np.zeros((4, 3))
    dY[rows, target] = -1 / 4
    J_fused, dZ_fused = value_and_gradient(nn.CrossEntropyLoss(), Z, target)
    np.testing.assert_allclose(J, J_fused, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(log_softmax.backward(dY), dZ_fused, rtol=1e-12, atol=1e-15)


@given(scores, arrays(np.int64, 4, elements=st.integers(0, 2)), st.integers(-1000, 1000))
def test_cross_entropy_does_not_see_a_shift_and_its_gradient_sums_to_0(Z, target, shift):
    J, dZ = value_and_gradient(nn.CrossEntropyLoss(), Z, target)
    J_shifted, dZ_shifted = value_and_gradient(nn.CrossEntropyLoss(), Z + shift, target)
    np.testing.assert_allclose(J_shifted, J, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(dZ_shifted, dZ, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(dZ.sum(1), 0, atol=1e-15)


@given(scores, arrays(np.float64, (4, 3), elements=st.integers(0, 1).map(float)))
def test_two_classes_are_bce_with_the_difference_of_the_scores(Z, target):
    z, t = Z.ravel(), target.ravel()
    two = np.stack([np.zeros_like(z), z], axis=1)
    J, dZ = value_and_gradient(nn.CrossEntropyLoss(), two, t.astype(int))
    J_binary, dz = value_and_gradient(nn.BCEWithLogitsLoss(), z, t)
    np.testing.assert_allclose(J, J_binary, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(dZ[:, 1], dz, rtol=1e-12, atol=1e-15)


@given(scores, shares, shares)
def test_weight_multiplies_each_element_and_the_mean_still_divides_by_their_number(Z, target, weight):
    plain = nn.BCEWithLogitsLoss(reduction="none").forward(Z, target)
    J, dZ = value_and_gradient(nn.BCEWithLogitsLoss(weight=weight), Z, target)
    np.testing.assert_allclose(J, (weight * plain).sum() / 12, rtol=1e-13)
    np.testing.assert_allclose(dZ, weight * (1 / (1 + np.exp(-Z)) - target) / 12, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("kind", ELEMENTWISE)
@given(Y=shares, target=shares)
def test_mean_and_sum_are_those_of_the_elements(kind, Y, target):
    none, total, mean = (kind(reduction=reduction) for reduction in ("none", "sum", "mean"))
    J = none.forward(Y, target)
    assert J.shape == Y.shape
    np.testing.assert_allclose(total.forward(Y, target), J.sum(), rtol=1e-14)
    np.testing.assert_allclose(mean.forward(Y, target), J.sum() / 12, rtol=1e-14)
    dY = none.backward(np.ones((4, 3)))
    np.testing.assert_allclose(total.backward(), dY, rtol=1e-14)
    np.testing.assert_allclose(mean.backward(), dY / 12, rtol=1e-14)


@pytest.mark.parametrize("kind", ELEMENTWISE)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dJ", [-2.0, -2, np.float64(-2), np.float32(-2), np.array(-2.0)])
def test_backward_multiplies_by_dJ(kind, reduction, dJ):
    Y, target = np.array([0.25, 0.5, 0.75]), np.array([1.0, 0.0, 1.0])
    for dtype in np.float32, np.float64:
        loss = kind(reduction=reduction)
        loss.forward(Y.astype(dtype), target)
        dY = loss.backward(dJ)
        np.testing.assert_array_equal(dY, -2 * loss.backward())
        assert dY.dtype == dtype


def test_backward_under_none_takes_a_factor_for_each_element_or_one_for_all():
    loss = nn.MSELoss(reduction="none")
    loss.forward(np.array([1.0, 2.0]), np.array([0.0, 0.0]))
    np.testing.assert_array_equal(loss.backward(np.array([1.0, 10.0])), [2, 40])
    np.testing.assert_array_equal(loss.backward(10), [20, 40])


# ----------------------------------------------------------------------------- precision, range, silence


def example(kind, dtype):
    if kind is nn.CrossEntropyLoss:
        return np.array([[1, -2, 3], [0, 0.5, 1]], dtype), np.array([2, 0])
    return np.array([[0.25, 0.5, 0.75], [0.5, 0.125, 1]], dtype), np.array([[0, 1, 1], [0, 1, 1]])


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_one_number_is_a_python_float_and_the_gradient_keeps_the_dtype(kind, dtype, reduction):
    J, dY = value_and_gradient(kind(reduction=reduction), *example(kind, dtype))
    assert type(J) is float
    assert dY.dtype == dtype


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dJ_dtype", [np.float32, np.float64])
def test_an_array_of_losses_and_its_gradient_keep_the_dtype(kind, dtype, dJ_dtype):
    loss = kind(reduction="none")
    J = loss.forward(*example(kind, dtype))
    assert J.dtype == dtype
    assert loss.backward(np.ones(J.shape, dJ_dtype)).dtype == dtype


@pytest.mark.parametrize("kind", [nn.BCELoss, nn.BCEWithLogitsLoss, nn.CrossEntropyLoss])
def test_float64_weights_leave_float32_as_it_is(kind):
    loss = kind(weight=np.ones(3), reduction="none")
    J = loss.forward(*example(kind, np.float32))
    assert J.dtype == loss.backward(np.ones_like(J)).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [nn.MSELoss, nn.BCEWithLogitsLoss, lambda: nn.BCEWithLogitsLoss(pos_weight=3.0)])
def test_scores_up_to_1e4_are_silent_and_finite(make, dtype):
    Y = np.linspace(-1e4, 1e4, 2_002).astype(dtype)
    with np.errstate(all="raise", under="ignore"):
        J, dY = value_and_gradient(make(), Y, np.arange(2_002) % 2)
    assert np.isfinite(J)
    assert np.isfinite(dY).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_scores_up_to_1e4_is_silent_and_finite(dtype):
    Z = np.linspace(-1e4, 1e4, 3_000).astype(dtype).reshape(-1, 3)
    Z[::2] = Z[::2, ::-1] * [1, 0, -1]
    with np.errstate(all="raise", under="ignore"):
        J, dZ = value_and_gradient(nn.CrossEntropyLoss(label_smoothing=0.1), Z, np.arange(1000) % 3)
    assert np.isfinite(J)
    assert np.isfinite(dZ).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_of_exactly_0_and_1_are_silent(dtype):
    Y, target = np.array([0, 0, 1, 1, 0.5], dtype), np.array([0, 1, 0, 1, 1], dtype)
    with np.errstate(all="raise", under="ignore"):
        J, dY = value_and_gradient(nn.BCELoss(), Y, target)
    np.testing.assert_allclose(J, (200 + LOG_2) / 5, rtol=1e-6)
    np.testing.assert_allclose(dY, np.array([0, -1e12, 1e12, 0, -2]) / 5, rtol=1.3e-6)


@pytest.mark.parametrize("kind", [nn.MSELoss, nn.BCEWithLogitsLoss])
def test_a_mean_over_a_million_float32_is_right(kind):
    rng = np.random.default_rng(0)
    Y, target = rng.uniform(0, 1, (2, 1_000_000, 1)).astype(np.float32)
    assert kind().forward(Y, target) == pytest.approx(kind().forward(Y.astype(float), target), rel=1.3e-6)


@pytest.mark.parametrize("kind", [nn.MSELoss, nn.BCEWithLogitsLoss, nn.CrossEntropyLoss])
def test_a_nan_score_makes_a_nan_loss_and_never_raises(kind):
    Y, target = example(kind, np.float64)
    Y[0, 0] = np.nan
    J, dY = value_and_gradient(kind(), Y, target)
    assert np.isnan(J)
    assert np.isnan(dY[0, 0])
    assert np.isfinite(dY[1]).all()


@pytest.mark.parametrize("kind", ELEMENTWISE)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_single_number_is_an_input(kind, reduction):
    loss = kind(reduction=reduction)
    J, dY = loss.forward(np.array(0.25), np.array(1.0)), loss.backward()
    J_row, dY_row = one(kind(), 0.25, 1)
    np.testing.assert_array_equal([J, dY], [J_row, dY_row])
    assert np.shape(dY) == ()


def test_an_infinite_single_score_has_its_limit():
    assert nn.BCEWithLogitsLoss().forward(np.array(np.inf), np.array(1.0)) == 0
    assert nn.BCEWithLogitsLoss().forward(np.array(np.inf), np.array(0.0)) == np.inf


# ------------------------------------------------------------------------------------------ what they refuse


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("reduction", ["avg", "Mean", None, 1])
def test_another_reduction_is_an_error_that_lists_the_choices(kind, reduction):
    message = rf"^{kind.__name__}: reduction: expected 'mean', 'sum' or 'none', got {reduction!r}"
    with pytest.raises(ValueError, match=message):
        kind(reduction=reduction)


@pytest.mark.parametrize("kind", ELEMENTWISE)
@pytest.mark.parametrize(
    ("Y_shape", "target_shape"),
    [((4, 1), (1, 4)), ((4, 2), (4,)), ((4,), (3,)), ((4, 3), (1, 3)), ((4,), ()), ((1, 4), (4,)), ((4,), (1, 4))],
)
def test_shapes_that_differ_are_an_error(kind, Y_shape, target_shape):
    with pytest.raises(nn.ShapeError, match=rf"^{kind.__name__}\(\): expected a target of Y's shape \(") as error:
        kind().forward(np.full(Y_shape, 0.5), np.zeros(target_shape))
    assert str(error.value).endswith(f"Y's shape {Y_shape}, got {target_shape}")


@pytest.mark.parametrize("kind", ELEMENTWISE)
@pytest.mark.parametrize(
    ("Y_shape", "target_shape"), [((2, 3, 1), (2, 3)), ((2, 3), (2, 3, 1)), ((4, 1), (4,)), ((4,), (4, 1))]
)
def test_the_cure_for_shapes_that_differ_cures(kind, Y_shape, target_shape):
    target = np.zeros(target_shape)
    with pytest.raises(
        nn.ShapeError, match=r"^.*expected a target of Y's shape \(.*\), got \(.*\); pass target\["
    ) as error:
        kind().forward(np.full(Y_shape, 0.5), target)
    cure = str(error.value).partition("; pass ")[2]
    assert eval(cure, {"target": target}).shape == Y_shape


@pytest.mark.parametrize("value", [-0.001, 1.5, np.nan, np.inf, -np.inf, np.nextafter(1, 2), -1e-300])
def test_a_prediction_that_is_no_probability_is_an_error_with_its_place(value):
    Y = np.full((2, 3), 0.5)
    Y[1, 2] = value
    for t in 0.0, 0.5, 1.0:
        with pytest.raises(ValueError, match=r"^BCELoss\(\): expected each prediction from 0 to 1, got") as error:
            nn.BCELoss().forward(Y, np.full((2, 3), t))
        assert f"got {value} at index (1, 2); put a Sigmoid before it, or use BCEWithLogitsLoss" in str(error.value)


@pytest.mark.parametrize("kind", [nn.BCELoss, nn.BCEWithLogitsLoss])
@pytest.mark.parametrize("value", [2.0, -1.0, np.nan, np.inf, -np.inf, -1e-300, np.nextafter(1, 2)])
def test_a_binary_target_that_is_no_probability_is_an_error_with_the_cure(kind, value):
    for size in 4, 1000:
        target = np.resize([0.0, 1.0], size)
        target[2] = value
        with pytest.raises(ValueError, match=rf"^{kind.__name__}\(\): expected each target from 0 to 1, got") as error:
            kind().forward(np.full(size, 0.5), target)
        assert str(error.value).endswith(f"got {value} at index (2,); code the two classes as 0 and 1")


@pytest.mark.parametrize("kind", [nn.BCELoss, nn.BCEWithLogitsLoss])
def test_binary_targets_may_be_bools_integers_or_floats(kind):
    Y = np.array([0.25, 0.75])
    J = {kind().forward(Y, np.array([0, 1], dtype)) for dtype in (bool, np.uint8, int, np.float32, float)}
    assert len(J) == 1


@pytest.mark.parametrize(
    ("kind", "option"), [(nn.BCELoss, "weight"), (nn.BCEWithLogitsLoss, "weight"), (nn.BCEWithLogitsLoss, "pos_weight")]
)
@pytest.mark.parametrize("shape", [(2,), (3, 1), (1, 4, 3)])
def test_a_weight_that_does_not_broadcast_is_an_error(kind, option, shape):
    with pytest.raises(
        nn.ShapeError, match=r"^BCE.*Loss\(.*\): a weight of shape \(.*\) cannot be broadcast to Y's shape \(4, 3\)"
    ) as error:
        kind(**{option: np.ones(shape)}).forward(np.full((4, 3), 0.5), np.zeros((4, 3)))
    assert f"a weight of shape {shape} " in str(error.value)


@pytest.mark.parametrize("shape", [(), (2,), (4,), (1, 3), (3, 1)])
def test_class_weights_of_another_shape_are_an_error(shape):
    with pytest.raises(
        nn.ShapeError, match=r"^CrossEntropyLoss\(.*\): weight: expected shape \(3,\), one per class, got \("
    ):
        nn.CrossEntropyLoss(weight=np.ones(shape)).forward(np.zeros((4, 3)), np.zeros(4, int))


@pytest.mark.parametrize("option", ["weight", "pos_weight"])
def test_weights_that_are_not_finite_numbers_are_an_error(option):
    kind = nn.BCEWithLogitsLoss
    for bad in [np.nan], [1.0, np.inf]:
        with pytest.raises(ValueError, match=f"^BCEWithLogitsLoss: {option}: expected finite numbers, got"):
            kind(**{option: bad})
    with pytest.raises(TypeError, match=f"^BCEWithLogitsLoss: {option}: expected real numbers, got str"):
        kind(**{option: "balanced"})
    with pytest.raises(ValueError, match=r"^BCELoss: weight: expected finite numbers"):
        nn.BCELoss(weight=np.nan)
    with pytest.raises(ValueError, match=r"^CrossEntropyLoss: weight: expected finite numbers"):
        nn.CrossEntropyLoss(weight=[1, np.nan])


@pytest.mark.parametrize(
    ("indices", "wrong", "place"), [([0, 5], 5, 1), ([3, 0], 3, 0), ([0, -1], -1, 1), ([-100, -99], -99, 1)]
)
def test_a_class_index_out_of_range_is_an_error_with_its_place(indices, wrong, place):
    with pytest.raises(
        ValueError, match=rf"^CrossEntropyLoss\(\): expected class indices from 0 to 2, got {wrong} at \({place},\)"
    ):
        nn.CrossEntropyLoss().forward(np.zeros((2, 3)), np.array(indices))


@pytest.mark.parametrize("dtype", [float, np.float32, bool])
def test_class_indices_that_are_not_whole_numbers_are_an_error(dtype):
    message = (
        r"^CrossEntropyLoss\(\): expected class indices of a whole-number dtype, got (float|bool)\d*; pass target\.as"
    )
    with pytest.raises(TypeError, match=message):
        nn.CrossEntropyLoss().forward(np.zeros((2, 3)), np.array([0, 1], dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, ">i2", np.uint64])
def test_any_whole_number_dtype_holds_class_indices(dtype):
    Z = np.arange(6.0).reshape(2, 3)
    expected = value_and_gradient(nn.CrossEntropyLoss(), Z, np.array([2, 0]))
    J, dZ = value_and_gradient(nn.CrossEntropyLoss(), Z, np.array([2, 0], dtype))
    np.testing.assert_array_equal(J, expected[0])
    np.testing.assert_array_equal(dZ, expected[1])


@pytest.mark.parametrize(
    ("shape", "cure"), [((4, 1), "; pass target[..., 0]"), ((3,), ""), ((4, 2), ""), ((), ""), ((4, 3, 1), "")]
)
def test_a_class_target_of_another_shape_is_an_error(shape, cure):
    with pytest.raises(
        nn.ShapeError,
        match=r"^CrossEntropyLoss\(\): expected class indices of shape \(4,\) or probabilities of shape \(4, 3\), got",
    ) as error:
        nn.CrossEntropyLoss().forward(np.zeros((4, 3)), np.zeros(shape, int))
    assert str(error.value).endswith(f"(4, 3), got a target of shape {shape}{cure}")


@pytest.mark.parametrize("value", [1.5, -0.5, np.nan])
def test_a_class_probability_outside_0_to_1_is_an_error(value):
    with pytest.raises(ValueError, match=rf"expected each target from 0 to 1, got {value} at index \(1, 0\)"):
        nn.CrossEntropyLoss().forward(np.zeros((2, 2)), np.array([[0.5, 0.5], [value, 0.5]]))


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 2), (np.int8, 100), (np.int64, 2), (np.int64, -1)])
def test_whole_number_class_probabilities_other_than_0_and_1_are_an_error(dtype, value):
    with pytest.raises(ValueError, match=f"expected each target from 0 to 1, got {value}"):
        nn.CrossEntropyLoss().forward(np.zeros((1, 2)), np.array([[0, value]], dtype))


def test_scores_without_an_axis_are_an_error():
    with pytest.raises(nn.ShapeError, match=r"^CrossEntropyLoss\(\): expected logits of shape \(N, C\), got a scalar"):
        nn.CrossEntropyLoss().forward(np.array(1.0), np.array(0))


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, np.nan])
def test_label_smoothing_outside_0_to_1_is_an_error(smoothing):
    expected = f"^CrossEntropyLoss: label_smoothing: expected a number from 0 to 1, got {smoothing}"
    with pytest.raises(ValueError, match=expected):
        nn.CrossEntropyLoss(label_smoothing=smoothing)


@pytest.mark.parametrize("kind", ALL)
def test_the_mean_over_no_rows_is_an_error_and_their_sum_is_0(kind):
    target = np.zeros(0, int) if kind is nn.CrossEntropyLoss else np.zeros((0, 3))
    with pytest.raises(ValueError, match=rf"^{kind.__name__}\(\): empty batch"):
        kind().forward(np.zeros((0, 3)), target)
    total = kind(reduction="sum")
    assert total.forward(np.zeros((0, 3)), target) == 0
    assert total.backward().shape == (0, 3)


def test_the_mean_over_ignored_samples_only_is_an_error():
    with pytest.raises(ValueError, match="empty batch"):
        nn.CrossEntropyLoss(ignore_index=1).forward(np.zeros((2, 3)), np.array([1, 1]))


@pytest.mark.parametrize("kind", ALL)
def test_backward_before_forward_is_an_error(kind):
    with pytest.raises(
        nn.StateError, match=rf"^{kind.__name__}\(\): backward was called before forward; call forward\("
    ):
        kind().backward()


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_dJ_of_another_shape_is_an_error(kind, reduction):
    loss = kind(reduction=reduction)
    J = loss.forward(*example(kind, float))
    with pytest.raises(
        nn.ShapeError, match=rf"^{kind.__name__}\(.*\): expected dJ of shape \(.*\), got \(7,\)"
    ) as error:
        loss.backward(np.ones(7))
    assert f"dJ of shape {np.shape(J)}, got" in str(error.value)


@pytest.mark.parametrize("kind", ALL)
def test_a_dJ_that_is_no_number_is_an_error(kind):
    loss = kind()
    loss.forward(*example(kind, float))
    with pytest.raises(TypeError, match=rf"^{kind.__name__}\(\): dJ: expected real numbers, got str"):
        loss.backward("1")


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("bad", ["text", None, np.ones((2, 3), complex), np.ma.masked_array(np.ones((2, 3)))])
def test_what_holds_no_real_numbers_is_an_error(kind, bad):
    Y, target = example(kind, float)
    with pytest.raises(TypeError, match=rf"^{kind.__name__}(\(\))?: Y: expected"):
        kind().forward(bad, target)
    with pytest.raises(TypeError, match=rf"^{kind.__name__}(\(\))?: target: expected"):
        kind().forward(Y, bad)


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(nn.MSELoss()) == "MSELoss()"
    assert repr(nn.BCELoss(weight=[1, 2], reduction="sum")) == "BCELoss(reduction='sum', weight=[1.0, 2.0])"
    assert repr(nn.BCEWithLogitsLoss(weight=2, pos_weight=[3])) == "BCEWithLogitsLoss(weight=2.0, pos_weight=[3.0])"
    loss = nn.CrossEntropyLoss(weight=[1, 2], ignore_index=0, label_smoothing=0.1)
    assert repr(loss) == "CrossEntropyLoss(weight=[1.0, 2.0], ignore_index=0, label_smoothing=0.1)"
    assert repr(nn.CrossEntropyLoss()) == "CrossEntropyLoss()"


def test_repr_has_the_reduction_before_the_weights():
    assert repr(nn.BCEWithLogitsLoss(reduction="sum", weight=2)) == "BCEWithLogitsLoss(reduction='sum', weight=2.0)"
    assert repr(nn.CrossEntropyLoss(reduction="none", weight=[1])) == "CrossEntropyLoss(reduction='none', weight=[1.0])"


@pytest.mark.parametrize("index", [1.5, "1", None])
def test_an_ignore_index_that_is_not_whole_is_an_error(index):
    expected = f"CrossEntropyLoss: ignore_index: expected a whole number, got {index!r}"
    with pytest.raises(TypeError, match=f"^{re.escape(expected)}$"):
        nn.CrossEntropyLoss(ignore_index=index)


def test_a_class_probability_that_is_none_is_an_error_that_names_the_loss():
    with pytest.raises(ValueError, match=r"^CrossEntropyLoss\(\): expected each target from 0 to 1, got 2.0 at index"):
        nn.CrossEntropyLoss().forward(np.zeros((1, 2)), np.array([[0.5, 2.0]]))


def test_class_indices_of_every_whole_number_dtype_are_checked():
    Z = np.zeros((2, 3))
    for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64):
        assert nn.CrossEntropyLoss().forward(Z, np.array([0, 2], dtype)) == pytest.approx(np.log(3))
        with pytest.raises(ValueError, match=r"expected class indices from 0 to 2, got 3 at \(1,\)"):
            nn.CrossEntropyLoss().forward(Z, np.array([0, 3], dtype))
    for dtype in (np.int8, np.int64):
        with pytest.raises(ValueError, match=r"expected class indices from 0 to 2, got -1 at \(0,\)"):
            nn.CrossEntropyLoss().forward(Z, np.array([-1, 2], dtype))


def test_what_vanishes_is_no_error_where_every_floating_point_error_is_one():
    scores = np.array([[0.0, -800.0, 1e4, -1e4]])
    with np.errstate(all="raise"):
        loss = nn.CrossEntropyLoss()
        assert loss.forward(scores, np.array([2])) == 0
        np.testing.assert_array_equal(loss.backward(), [[0, 0, 0, 0]])
        loss = nn.BCEWithLogitsLoss()
        assert loss.forward(scores, (scores > 0).astype(float)) == pytest.approx(np.log(2) / 4)
        np.testing.assert_array_equal(loss.backward(), [[0.125, 0, 0, 0]])


def test_a_batch_of_ignored_samples_says_so():
    loss = nn.CrossEntropyLoss(ignore_index=1)
    with pytest.raises(ValueError, match=r"empty batch: each sample is ignored or has weight 0; use larger"):
        loss.forward(np.zeros((2, 3)), np.array([1, 1]))
    assert nn.CrossEntropyLoss(ignore_index=1, reduction="sum").forward(np.zeros((2, 3)), np.array([1, 1])) == 0


def test_float16_is_worked_on_in_float32():
    assert nn.MSELoss().forward(np.ones(100_000, np.float16), np.zeros(100_000, np.float16)) == 1
    loss = nn.CrossEntropyLoss()
    assert loss.forward(np.zeros((70_000, 2), np.float16), np.zeros(70_000, int)) == pytest.approx(np.log(2))
    assert loss.backward().dtype == np.float32


# ------------------------------------------------------------------------ what people ran into (kinds of faults)


def exact_bce_with_logits(z, t, p):
    """(1 - t) softplus(z) + p t softplus(-z) in 60 digits."""
    with localcontext(prec=60):
        z, t, p = Decimal(float(z)), Decimal(float(t)), Decimal(float(p))
        return float((1 - t) * (1 + z.exp()).ln() + p * t * (1 + (-z).exp()).ln())


def test_bce_with_logits_does_not_cancel_for_a_negative_logit_and_target_0():
    """log1p(exp(-15)) = 3.059e-7, the value of z = 15 and t = 1 by symmetry."""
    loss = nn.BCEWithLogitsLoss(reduction="none")
    J = loss.forward(np.array([-15, 15], np.float32), np.array([0, 1], np.float32))
    np.testing.assert_allclose(J, [3.0590227e-07] * 2, rtol=1e-6)


@pytest.mark.parametrize("pos_weight", [None, 0.0, 1e-3, 0.5, 3.0, 1e4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bce_with_logits_is_accurate_for_every_target_and_pos_weight(pos_weight, dtype):
    eps = np.finfo(dtype).eps
    targets = np.array([0, 1e-30, 1e-7, 1e-3, 0.25, 0.5, 0.75, 1 - 1e-3, 1 - 2 * eps, 1 - eps, 1], dtype)
    logits = np.array([-80, -30, -15, -2, -0.5, -1e-3, 0, 1e-3, 0.5, 2, 15, 30, 80], dtype)
    Z, t = (np.ascontiguousarray(A) for A in np.broadcast_arrays(logits[:, None], targets))
    J = nn.BCEWithLogitsLoss(pos_weight=pos_weight, reduction="none").forward(Z, t)
    p = 1.0 if pos_weight is None else dtype(pos_weight)
    exact = np.vectorize(lambda z, t: exact_bce_with_logits(z, t, p))(Z, t)
    np.testing.assert_allclose(J, exact, rtol=8 * eps, atol=np.finfo(dtype).tiny)  # below it digits are lost


def test_a_whole_batch_of_bce_with_logits_in_blocks_is_that_of_its_rows():
    rng = np.random.default_rng(0)
    Z, t = rng.normal(size=(2, 2**16 + 3)).astype(np.float32)
    t = (t > 0).astype(np.float32)
    J = nn.BCEWithLogitsLoss(pos_weight=2.0, reduction="none").forward(Z, t)
    few = nn.BCEWithLogitsLoss(pos_weight=2.0, reduction="none").forward(Z[-99:], t[-99:])
    np.testing.assert_allclose(J[-99:], few, rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"weight": [1.0, 2.0, 3.0]}])
@pytest.mark.parametrize("ignored", [{}, {"ignore_index": 1}])
@pytest.mark.parametrize("target", [np.array([0, 1, 2, 1]), np.eye(3)[[0, 1, 2, 1]]])
@pytest.mark.parametrize("kind", ALL)
def test_float32_stays_float32_with_every_option(kind, options, ignored, target):
    if kind is not nn.CrossEntropyLoss:
        options, ignored, target = {}, {}, np.eye(3)[[0, 1, 2, 1]]
        options = {} if kind is nn.MSELoss else {"weight": [1.0, 2.0, 3.0]}
    elif target.ndim == 2:
        ignored = {}
    loss = kind(**options, **ignored, reduction="none")
    J = loss.forward(np.full((4, 3), 0.5, np.float32), target)
    assert J.dtype == np.float32
    assert loss.backward(np.ones(J.shape)).dtype == np.float32


@pytest.mark.parametrize("index", [1, -1])
def test_ignore_index_with_probabilities_is_an_error(index):
    """As in PyTorch, which refuses ignore_index >= 0 with floating targets."""
    message = (
        rf"^CrossEntropyLoss\(ignore_index={index}\): ignore_index is for class indices, got probabilities of shape "
        r"\(2, 3\); pass target\.argmax\(1\), or leave ignore_index out$"
    )
    with pytest.raises(ValueError, match=message):
        nn.CrossEntropyLoss(ignore_index=index).forward(np.zeros((2, 3)), np.eye(3)[:2])
    with pytest.raises(ValueError, match=r"pass target\.argmax\(0\)"):
        nn.CrossEntropyLoss(ignore_index=index).forward(np.zeros(3), np.eye(3)[0])


def test_labels_that_begin_at_1_or_are_text_name_the_cure():
    cure = "; number the classes from 0: classes, target = np.unique(target, return_inverse=True); for other rows "
    cure += "target = np.searchsorted(classes, target)"
    with pytest.raises(ValueError, match=r"got 3 at \(2,\); number the classes") as caught:
        nn.CrossEntropyLoss().forward(np.zeros((3, 3)), np.array([1, 2, 3]))
    assert str(caught.value).endswith(cure)
    for labels in np.array(["cat", "dog", "cat"]), np.array(["cat", "dog", "cat"], object), ["cat", "dog", "cat"]:
        with pytest.raises(TypeError, match=r"^CrossEntropyLoss: target: expected real numbers, got") as caught:
            nn.CrossEntropyLoss().forward(np.zeros((3, 3)), labels)
        assert str(caught.value).endswith(cure.replace("; number", "; if they are classes, number", 1))
    _, target = np.unique(["cat", "dog", "cat"], return_inverse=True)
    assert nn.CrossEntropyLoss().forward(np.zeros((3, 2)), target) == pytest.approx(LOG_2)


def test_text_for_a_regression_is_not_said_to_be_classes():
    """What the target holds is not known: the line for classes is under a condition, in fit as well."""
    message = "target: expected real numbers, got list of dtype <U1; if they are classes, number"
    with pytest.raises(TypeError, match=message):
        nn.MSELoss().forward([1.0, 2.0], ["a", "b"])
    model = nn.Linear(1, 1)
    with pytest.raises(TypeError, match="Y: expected real numbers, got list of dtype <U1; if they are classes, number"):
        nn.fit(model, [[1.0], [2.0]], ["a", "b"], loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), verbose=0)


def test_classes_along_the_last_axis_name_the_cure():
    """The right value is that of the rows (N T, V), each with its class."""
    N, T, V = 2, 5, 4
    Y, target = np.random.default_rng(0).normal(size=(N, T, V)), np.arange(N * T).reshape(N, T) % V
    with pytest.raises(nn.ShapeError, match=r"got a target of shape \(2, 5\)") as caught:
        nn.CrossEntropyLoss().forward(Y, target)
    cure = "; if the classes are the last axis of Y, write CrossEntropyLoss(dim=-1)"
    assert str(caught.value).endswith(cure)
    expected = nn.CrossEntropyLoss().forward(Y.reshape(-1, V), target.reshape(-1))
    assert nn.CrossEntropyLoss().forward(np.moveaxis(Y, -1, 1), target) == pytest.approx(expected, rel=1e-14)
    model = nn.Sequential(nn.Transpose(1, 2))
    assert nn.CrossEntropyLoss().forward(model.forward(Y), target) == pytest.approx(expected, rel=1e-14)
    with pytest.raises(nn.ShapeError, match=r"write CrossEntropyLoss\(dim=-1\)$"):
        nn.CrossEntropyLoss().forward(np.zeros((2, 5, 6, 4)), np.zeros((2, 5, 6), int))


@pytest.mark.parametrize(("shape", "axis"), [((4, 1), 1), ((4, 0), 1), ((1,), 0), ((4, 1, 6), 1)])
def test_fewer_than_two_classes_are_an_error(shape, axis):
    """keras#500: the softmax of one class is 1, so that the loss would be 0 for ever."""
    message = (
        rf"^CrossEntropyLoss\(\): expected logits of at least 2 classes along axis {axis}, got shape "
        rf"{re.escape(str(shape))}; for two classes with one output use BCEWithLogitsLoss$"
    )
    with pytest.raises(nn.ShapeError, match=message):
        nn.CrossEntropyLoss().forward(np.zeros(shape), np.zeros(shape[:axis] + shape[axis + 1 :], int))


@pytest.mark.parametrize("kind", ALL)
def test_a_loss_is_a_number_unless_nothing_is_reduced(kind):
    for reduction in "mean", "sum":
        assert kind(reduction=reduction).output_shape((None, 3), (..., 3)) == ()
    assert kind(reduction="none").output_shape((None, 3), (None, 3)) == (...,)


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.BCELoss()], ids=str)
def test_at_the_best_prediction_the_gradient_is_zero(loss):
    target = np.random.default_rng(0).uniform(0.1, 0.9, (5, 2))
    loss.forward(loss.best_prediction(target, constant=False), target)
    assert_allclose(loss.backward(), 0, atol=1e-12)
    constant = loss.best_prediction(target, constant=True)
    assert (constant == constant[0]).all()
    loss.forward(constant, target)
    assert_allclose(loss.backward().sum(axis=0), 0, atol=1e-12)


def test_how_often_each_class_occurs():
    loss, Y = nn.CrossEntropyLoss(ignore_index=1), np.zeros((5, 3))
    assert loss.class_counts(Y, np.array([0, 1, 2, 2, 1])).tolist() == [1, 0, 2]
    assert nn.CrossEntropyLoss().class_counts(np.zeros((2, 3, 4)), np.full((2, 4), 2)).tolist() == [0, 0, 8]
    assert loss.class_counts(Y, np.full((5, 3), 1 / 3)) is None  # probabilities
    assert nn.MSELoss().class_counts(Y, Y) is None
