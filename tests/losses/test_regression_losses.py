"""L1Loss, SmoothL1Loss, HuberLoss: worked numbers, what becomes of them at the kink, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import nnlite as nn

# Gradients of errors below 1e-300 are subnormal numbers, which have fewer digits than the tests ask for.
normal = st.floats(-1e4, 1e4).filter(lambda number: number == 0 or abs(number) > 1e-280)
scores = arrays(np.float64, (4, 3), elements=normal)


def value_and_gradient(loss, Y, target):
    return loss.forward(np.array(Y, float), np.array(target, float)), loss.backward()


def test_l1_by_hand():
    J, dY = value_and_gradient(nn.L1Loss(), [1, 2, 3, 5], [2, 2, 1, 1])
    assert J == (1 + 0 + 2 + 4) / 4
    np.testing.assert_array_equal(dY, np.array([-1, 0, 1, 1]) / 4)


def test_smooth_l1_by_hand():
    """Errors of 0.5, 2 and 3 with beta = 2: 0.25 / 4, 2 - 1 and 3 - 1."""
    loss = nn.SmoothL1Loss(beta=2, reduction="none")
    J = loss.forward(np.array([0.5, -2.0, 3.0]), np.zeros(3))
    np.testing.assert_array_equal(J, [0.0625, 1, 2])
    np.testing.assert_array_equal(loss.backward(np.ones(3)), [0.25, -1, 1])


def test_huber_by_hand():
    """Errors of 0.5, 2 and 3 with delta = 2: 0.25 / 2, 4 / 2 and 2 (3 - 1)."""
    loss = nn.HuberLoss(delta=2, reduction="none")
    J = loss.forward(np.array([0.5, -2.0, 3.0]), np.zeros(3))
    np.testing.assert_array_equal(J, [0.125, 2, 4])
    np.testing.assert_array_equal(loss.backward(np.ones(3)), [0.5, -2, 2])


@given(scores, scores, st.floats(0.01, 1e3))
def test_huber_is_delta_times_smooth_l1(Y, target, delta):
    J, dY = value_and_gradient(nn.HuberLoss(delta=delta), Y, target)
    J_smooth, dY_smooth = value_and_gradient(nn.SmoothL1Loss(beta=delta), Y, target)
    np.testing.assert_allclose(J, delta * J_smooth, rtol=1e-12)
    np.testing.assert_allclose(dY, delta * dY_smooth, rtol=1e-12)


@given(scores, scores)
def test_huber_of_small_errors_is_half_the_squared_error(Y, target):
    J, dY = value_and_gradient(nn.HuberLoss(delta=1e6), Y, target)
    J_squared, dY_squared = value_and_gradient(nn.MSELoss(), Y, target)
    np.testing.assert_allclose(J, J_squared / 2, rtol=1e-12)
    np.testing.assert_allclose(dY, dY_squared / 2, rtol=1e-12)


@given(scores, scores)
def test_smooth_l1_with_beta_0_is_l1(Y, target):
    smooth, plain = (value_and_gradient(loss, Y, target) for loss in (nn.SmoothL1Loss(beta=0), nn.L1Loss()))
    assert smooth[0] == plain[0]
    np.testing.assert_array_equal(smooth[1], plain[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("beta", [1e-30, 1e-3, 1.0, 1e4])
def test_smooth_l1_neither_overflows_nor_cancels(beta, dtype):
    errors = np.array([1e-30, 1e-6, 1e-3, 1, 1e4], dtype)
    with np.errstate(all="raise", under="ignore"):
        loss = nn.SmoothL1Loss(beta=beta, reduction="none")
        J, dY = loss.forward(errors, np.zeros(5, dtype)), loss.backward(np.ones(5, dtype))
    exact = errors.astype(float)
    expected = np.where(exact < beta, exact * (exact / beta) / 2, exact - beta / 2)
    np.testing.assert_allclose(J, expected, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)
    np.testing.assert_allclose(dY, np.minimum(exact / beta, 1), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("loss", [nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss()], ids=str)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_reach_the_loss(loss, value):
    J, dY = value_and_gradient(loss, [value, 0.5], [0, 0])
    np.testing.assert_equal(abs(J), abs(value))
    np.testing.assert_equal(dY[0], 0.5 * np.sign(value))


@pytest.mark.parametrize("shape", [(4, 1), (1, 4)])
@pytest.mark.parametrize("kind", [nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss])
def test_a_column_against_a_vector_is_an_error(kind, shape):
    with pytest.raises(nn.ShapeError, match=rf"^{kind.__name__}\(\): expected a target of Y's shape"):
        kind().forward(np.zeros(shape), np.zeros(4))


@pytest.mark.parametrize("beta", [-0.1, np.nan, np.inf])
def test_beta_is_a_finite_number_of_at_least_0(beta):
    with pytest.raises(ValueError, match=rf"^SmoothL1Loss: beta: expected a (finite )?number.*, got {beta}$"):
        nn.SmoothL1Loss(beta=beta)


@pytest.mark.parametrize("delta", [0, -1, np.nan, np.inf])
def test_delta_is_a_finite_number_above_0(delta):
    with pytest.raises(ValueError, match=rf"^HuberLoss: delta: expected a (finite )?number.*, got {delta}$"):
        nn.HuberLoss(delta=delta)


def test_what_is_no_number_is_a_type_error():
    with pytest.raises(TypeError, match=r"^HuberLoss: delta: expected a number, got '1'$"):
        nn.HuberLoss(delta="1")
    with pytest.raises(TypeError, match=r"^SmoothL1Loss: beta: expected a number, got None$"):
        nn.SmoothL1Loss(beta=None)


def test_a_numpy_number_leaves_float32_as_it_is():
    for loss in nn.HuberLoss(delta=np.float64(2)), nn.SmoothL1Loss(beta=np.float64(2)):
        loss.forward(np.ones(3, np.float32), np.zeros(3))
        assert loss.backward().dtype == np.float32


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(nn.L1Loss(reduction="sum")) == "L1Loss(reduction='sum')"
    assert repr(nn.SmoothL1Loss()) == "SmoothL1Loss()"
    assert repr(nn.SmoothL1Loss(beta=0)) == "SmoothL1Loss(beta=0.0)"
    assert repr(nn.HuberLoss()) == "HuberLoss()"
    assert repr(nn.HuberLoss(delta=2, reduction="none")) == "HuberLoss(reduction='none', delta=2.0)"


def test_a_large_batch_in_blocks_is_that_of_its_elements():
    Y, target = np.random.default_rng(0).normal(size=(2, 2**15 + 3)).astype(np.float32)
    for kind in nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss:
        elements = kind(reduction="none").forward(Y, target)
        assert kind(reduction="sum").forward(Y, target) == pytest.approx(elements.sum(dtype=float), rel=1e-6)


@pytest.mark.parametrize("kind", [nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss])
def test_a_robust_loss_fits_a_line_beside_an_outlier(kind):
    """The median of 0, 0, 0 and 8 is 0, their mean 2."""
    model = nn.Linear(1, 1, dtype=np.float64, rng=0)
    X, Y = np.zeros((4, 1)), np.array([[0.0], [0.0], [0.0], [8.0]])
    nn.fit(model, X, Y, loss=kind(), optimizer=nn.SGD(model, lr=0.2), epochs=100, batch_size=4, verbose=0)
    assert abs(model.b[0]) < 1


def test_text_names_the_loss_that_is_nearest():
    model = nn.Linear(1, 1)
    for text, name in [("l1", "L1Loss"), ("smooth_l1", "SmoothL1Loss"), ("huber", "HuberLoss"), ("nll", "NLLLoss")]:
        with pytest.raises(TypeError, match=rf"loss: expected a Loss, got '{text}'; write loss=nnlite\.{name}\(\)$"):
            nn.fit(model, np.ones((2, 1)), np.ones((2, 1)), loss=text, optimizer=nn.SGD(model, lr=0.1), verbose=0)
