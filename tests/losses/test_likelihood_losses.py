"""NLLLoss, KLDivLoss, PoissonNLLLoss: closed forms, precision, and what they refuse."""

import math
import re
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import nnlite as nn
from nnlite.training.weighted_loss import WeightedLoss

LOG_2 = math.log(2)
scores = arrays(np.float64, (4, 3), elements=st.floats(-15, 15))


def value_and_gradient(loss, Y, target):
    return loss.forward(Y, target), loss.backward()


# ------------------------------------------------------------------------------------------------ NLLLoss


@pytest.mark.parametrize(
    "options", [{}, {"weight": [0.5, 2.0, 1.5]}, {"ignore_index": 1}, {"reduction": "sum"}], ids=str
)
@given(Z=scores, target=arrays(np.int64, 4, elements=st.integers(0, 2)).filter(lambda target: np.any(target != 1)))
def test_log_softmax_and_nll_is_cross_entropy(options, Z, target):
    log_softmax = nn.LogSoftmax()
    J, dY = value_and_gradient(nn.NLLLoss(**options), log_softmax.forward(Z), target)
    J_fused, dZ = value_and_gradient(nn.CrossEntropyLoss(**options), Z, target)
    np.testing.assert_allclose(J, J_fused, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(log_softmax.backward(dY), dZ, rtol=1e-12, atol=1e-15)


def test_nll_by_hand():
    """The mean of 1 and 6 with weights 2 and 5 is 32 / 7."""
    loss = nn.NLLLoss(weight=[1.0, 2.0, 5.0])
    J, dY = value_and_gradient(loss, np.array([[-9.0, -1.0, -9.0], [-9.0, -9.0, -6.0]]), np.array([1, 2]))
    np.testing.assert_allclose(J, 32 / 7, rtol=1e-15)
    np.testing.assert_allclose(dY, [[0, -2 / 7, 0], [0, 0, -5 / 7]], rtol=1e-15)


def test_an_ignored_sample_counts_nowhere_even_if_it_is_infinite():
    loss = nn.NLLLoss(ignore_index=0)
    J, dY = value_and_gradient(loss, np.array([[-np.inf, -1.0], [-5.0, -2.0]]), np.array([0, 1]))
    assert J == 2
    np.testing.assert_array_equal(dY, [[0, 0], [0, -1]])


def test_nll_of_three_axes_has_the_loss_of_each_place():
    Y, target = -np.random.default_rng(0).uniform(size=(2, 3, 4)), np.arange(8).reshape(2, 4) % 3
    loss = nn.NLLLoss(reduction="none")
    J = loss.forward(Y, target)
    assert J.shape == (2, 4)
    assert J[1, 2] == -Y[1, target[1, 2], 2]
    dY = loss.backward(np.arange(1.0, 9.0).reshape(2, 4))
    assert dY[1, target[1, 2], 2] == -7
    assert np.count_nonzero(dY) == 8


@pytest.mark.parametrize("label", [3, -1])
def test_nll_refuses_a_class_that_does_not_exist(label):
    message = rf"^NLLLoss\(\): expected class indices from 0 to 2, got {label} at \(1,\); number the classes from 0: "
    with pytest.raises(ValueError, match=message):
        nn.NLLLoss().forward(np.zeros((2, 3)), np.array([0, label]))


def test_nll_refuses_wrong_targets_weights_and_shapes():
    Y = np.zeros((2, 3))
    with pytest.raises(TypeError, match=r"^NLLLoss\(\): expected class indices of a whole-number dtype, got float64;"):
        nn.NLLLoss().forward(Y, np.array([0.0, 1.0]))
    with pytest.raises(nn.ShapeError, match=r"^NLLLoss\(\): expected class indices of shape \(2,\), got a target of"):
        nn.NLLLoss().forward(Y, np.zeros((2, 3), int))
    with pytest.raises(nn.ShapeError, match=r"got a target of shape \(2, 1\); pass target\[\.\.\., 0\]$"):
        nn.NLLLoss().forward(Y, np.zeros((2, 1), int))
    with pytest.raises(nn.ShapeError, match=r"weight: expected shape \(3,\), one per class, got \(2,\)$"):
        nn.NLLLoss(weight=[1, 2]).forward(Y, np.zeros(2, int))
    with pytest.raises(
        nn.ShapeError, match=r"expected log-probabilities of at least 2 classes along axis 1, got shape"
    ):
        nn.NLLLoss().forward(np.zeros((2, 1)), np.zeros(2, int))
    with pytest.raises(nn.ShapeError, match=r"expected log-probabilities of shape \(N, C\), got a scalar$"):
        nn.NLLLoss().forward(np.array(0.0), np.array(0))
    with pytest.raises(ValueError, match=r"^NLLLoss: weight: expected finite numbers"):
        nn.NLLLoss(weight=[1, np.nan])
    with pytest.raises(TypeError, match=r"^NLLLoss: ignore_index: expected a whole number, got 1\.5$"):
        nn.NLLLoss(ignore_index=1.5)


@pytest.mark.parametrize("options", [{"ignore_index": 1}, {"weight": [1.0, 0.0]}], ids=str)
def test_nll_of_samples_that_do_not_count_is_an_error(options):
    with pytest.raises(ValueError, match=r"^NLLLoss\(.*\): empty batch: each sample is ignored or has weight 0; use"):
        nn.NLLLoss(**options).forward(np.zeros((2, 2)), np.array([1, 1]))
    assert nn.NLLLoss(**options, reduction="sum").forward(np.zeros((2, 2)), np.array([1, 1])) == 0


# ------------------------------------------------------------------------------------------------ KLDivLoss

P = np.array([[0.5, 0.25, 0.25], [0.25, 0.75, 0.0]])
Q = np.array([[0.25, 0.25, 0.5], [0.5, 0.25, 0.25]])
# sum of t log(t / q): 0.5 log 2 - 0.25 log 2 and -0.25 log 2 + 0.75 log 3
DIVERGENCES = [0.25 * LOG_2, 0.75 * math.log(3) - 0.25 * LOG_2]


@pytest.mark.parametrize(("reduction", "divisor"), [("sum", 1), ("batchmean", 2), ("mean", 6)])
def test_the_divergence_by_hand(reduction, divisor):
    loss = nn.KLDivLoss(reduction=reduction)
    J, dY = value_and_gradient(loss, np.log(Q), P)
    np.testing.assert_allclose(J, sum(DIVERGENCES) / divisor, rtol=1e-14)
    np.testing.assert_allclose(dY, -P / divisor, rtol=1e-15)


@pytest.mark.parametrize("reduction", ["sum", "batchmean", "mean", "none"])
def test_log_target_is_the_logarithm_of_the_target(reduction):
    plain, logarithms = nn.KLDivLoss(reduction=reduction), nn.KLDivLoss(reduction=reduction, log_target=True)
    with np.errstate(divide="ignore"):
        t = np.log(P)
    J = plain.forward(np.log(Q), P)
    np.testing.assert_allclose(logarithms.forward(np.log(Q), t), J, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(logarithms.backward(np.ones_like(J)), plain.backward(np.ones_like(J)), rtol=1e-14)


def test_a_distribution_has_no_divergence_from_itself():
    assert nn.KLDivLoss(reduction="sum").forward(np.log(Q), Q) == pytest.approx(0, abs=1e-16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("log_target", [False, True])
def test_what_is_impossible_and_not_predicted_costs_nothing(log_target, dtype):
    """The limit of t (log t - Y) for t to 0; what is possible and predicted never costs infinitely much."""
    Y, t = np.array([-np.inf, -1e4, -np.inf, np.nan], dtype), np.array([0, 0, 0.5, 0], dtype)
    with np.errstate(divide="ignore"):
        t = np.log(t) if log_target else t
    with np.errstate(all="raise", under="ignore"):
        loss = nn.KLDivLoss(reduction="none", log_target=log_target)
        np.testing.assert_array_equal(loss.forward(Y, t), [0, 0, np.inf, np.nan])
        np.testing.assert_allclose(loss.backward(np.ones(4, dtype)), [0, 0, -0.5, 0])


def test_batchmean_divides_by_the_rows():
    Y, t = np.log(np.full((5, 2, 2), 0.25)), np.full((5, 2, 2), 0.5)
    assert nn.KLDivLoss(reduction="batchmean").forward(Y, t) == pytest.approx(20 * 0.5 * LOG_2 / 5, rel=1e-14)
    assert nn.KLDivLoss(reduction="batchmean").forward(Y[0, 0, 0], t[0, 0, 0]) == pytest.approx(0.5 * LOG_2, rel=1e-14)


def test_the_choices_of_the_reduction_are_listed():
    message = "KLDivLoss: reduction: expected 'mean', 'batchmean', 'sum' or 'none', got 'avg'"
    with pytest.raises(ValueError, match=f"^{message}$"):
        nn.KLDivLoss(reduction="avg")
    with pytest.raises(ValueError, match=r"^MSELoss: reduction: expected 'mean', 'sum' or 'none', got 'batchmean'$"):
        nn.MSELoss(reduction="batchmean")


@pytest.mark.parametrize(
    ("value", "log_target"), [(-0.5, False), (1.5, False), (np.nan, False), (0.5, True), (np.nan, True)]
)
def test_a_target_that_is_no_distribution_is_an_error_with_the_cure(value, log_target):
    t = np.log(np.full((2, 2), 0.5)) if log_target else np.full((2, 2), 0.5)
    t[1, 0] = value
    expected = "to be a log-probability, at most 0" if log_target else "from 0 to 1"
    cure = "for probabilities leave out log_target=True" if log_target else "for log-probabilities pass log_target=True"
    with pytest.raises(ValueError, match=r"^KLDivLoss\(.*\): expected each target ") as caught:
        nn.KLDivLoss(log_target=log_target).forward(np.log(np.full((2, 2), 0.5)), t)
    assert str(caught.value).endswith(f"expected each target {expected}, got {value} at index (1, 0); {cure}")


def test_sample_weights_of_a_batchmean_are_those_of_the_rows():
    """A row of weight 2 counts as two rows."""
    weighted = WeightedLoss(nn.KLDivLoss(reduction="batchmean"))
    J = weighted.forward(np.log(Q), P, np.array([2.0, 1.0]))
    twice = nn.KLDivLoss(reduction="batchmean").forward(np.log(Q)[[0, 0, 1]], P[[0, 0, 1]])
    np.testing.assert_allclose(J, twice, rtol=1e-14)
    np.testing.assert_allclose(weighted.backward(), -P * [[2 / 3], [1 / 3]], rtol=1e-14)
    assert twice == pytest.approx((2 * DIVERGENCES[0] + DIVERGENCES[1]) / 3, rel=1e-14)


# ------------------------------------------------------------------------------------------- PoissonNLLLoss


def test_poisson_by_hand():
    """exp(0) - 2 * 0 = 1, exp(log 3) - 3 log 3; with Stirling's term for 3, not for 1."""
    loss = nn.PoissonNLLLoss(reduction="none")
    J = loss.forward(np.log([1.0, 3.0]), np.array([2.0, 3.0]))
    np.testing.assert_allclose(J, [1, 3 - 3 * math.log(3)], rtol=1e-14)
    np.testing.assert_allclose(loss.backward(np.ones(2)), [-1, 0], atol=1e-15)
    J = nn.PoissonNLLLoss(full=True, reduction="none").forward(np.zeros(2), np.array([1.0, 3.0]))
    stirling = 3 * math.log(3) - 3 + math.log(6 * math.pi) / 2
    np.testing.assert_allclose(J, [1, 1 + stirling], rtol=1e-14)


def test_poisson_of_rates_by_hand():
    loss = nn.PoissonNLLLoss(log_input=False, eps=0, reduction="none")
    J = loss.forward(np.array([1.0, 3.0]), np.array([2.0, 3.0]))
    np.testing.assert_allclose(J, [1, 3 - 3 * math.log(3)], rtol=1e-14)
    np.testing.assert_allclose(loss.backward(np.ones(2)), [-1, 0], atol=1e-15)


def exact_poisson(y, t, log_input, eps):
    """The full loss in 60 digits."""
    with localcontext(prec=60):
        y, t, pi = Decimal(float(y)), Decimal(float(t)), Decimal("3.14159265358979323846264338327950288")
        J = y.exp() - t * y if log_input else y - t * (y + Decimal(eps)).ln()
        return float(J + (t * t.ln() - t + (2 * pi * t).ln() / 2 if t > 1 else 0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("log_input", [True, False])
def test_the_full_loss_of_large_counts_does_not_cancel(log_input, dtype):
    """Its terms are up to 1e5, the loss is about 5: in the plain form only two digits of float32 are right."""
    counts = np.array([0, 0.5, 1, 1.5, 2, 10, 100, 1000, 1e4], dtype)
    ratios = np.array([0.5, 0.9, 0.99, 1, 1.001, 1.1, 2], dtype)
    t, ratio = (np.ascontiguousarray(A) for A in np.broadcast_arrays(counts[:, None], ratios))
    rates = np.maximum(t, dtype(0.5)) * ratio
    Y = np.log(rates) if log_input else rates
    J = nn.PoissonNLLLoss(log_input=log_input, full=True, reduction="none").forward(Y, t)
    exact = np.vectorize(lambda y, t: exact_poisson(y, t, log_input, 1e-8))(Y, t)
    of_Y = np.abs(Y * (np.exp(Y) - t) if log_input else Y - t)  # how much J changes with the last digit of Y
    assert (np.abs(J - exact) <= np.finfo(dtype).eps * (16 * np.maximum(exact, 1) + of_Y)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("full", [False, True])
def test_poisson_is_silent_for_every_number_up_to_1e4(full, dtype):
    Y, t = np.array([-1e4, -1, 0, 1, 80, 1e4], dtype), np.array([3, 0, 1e4, 0.5, 7, 2], dtype)
    with np.errstate(all="raise"):
        loss = nn.PoissonNLLLoss(full=full, reduction="none")
        J, dY = loss.forward(Y, t), loss.backward(np.ones(6, dtype))
        assert np.isfinite(J[:5]).all()
        assert np.isfinite(dY[:5]).all()
        assert J[5] == dY[5] == np.inf  # exp(1e4)
        loss = nn.PoissonNLLLoss(log_input=False, full=full, reduction="none")
        J, dY = loss.forward(np.abs(Y), t), loss.backward(np.ones(6, dtype))
        assert np.isfinite(J).all()
        assert np.isfinite(dY).all()


def test_the_minimum_of_the_poisson_loss_is_at_the_mean_count():
    model = nn.Linear(1, 1, dtype=np.float64, rng=0)
    X, counts = np.zeros((4, 1)), np.array([[1.0], [2.0], [3.0], [6.0]])
    nn.fit(
        model, X, counts, loss=nn.PoissonNLLLoss(), optimizer=nn.SGD(model, lr=0.1), epochs=200, batch_size=4, verbose=0
    )
    assert model.b[0] == pytest.approx(math.log(3), rel=1e-9)


@pytest.mark.parametrize("value", [-1.0, -1e-300, np.nan])
def test_a_count_that_is_negative_is_an_error(value):
    for options in {}, {"log_input": False}:
        with pytest.raises(
            ValueError, match=r"^PoissonNLLLoss\(.*\): expected each target to be a count, at"
        ) as caught:
            nn.PoissonNLLLoss(**options).forward(np.ones((2, 2)), np.array([[0.0, 1.0], [1.0, value]]))
        assert f"got {value} at index (1, 1); remove" in str(caught.value)


def test_an_expected_count_that_is_negative_is_an_error_with_the_cure():
    loss = nn.PoissonNLLLoss(log_input=False)
    message = (
        r"^PoissonNLLLoss\(log_input=False\): expected each prediction to be an expected count, at least 0, got -0\.5 "
        r"at index \(1,\); end the model with Exp\(\), or use log_input=True for the logarithm of the expected count$"
    )
    for t in 0.0, 2.0:
        with pytest.raises(ValueError, match=message):
            loss.forward(np.array([1.0, -0.5, -0.7]), np.array([1.0, t, 1.0]))
        with pytest.raises(nn.StateError):
            loss.backward()
    assert np.isnan(loss.forward(np.array([np.nan]), np.array([1.0])))


@pytest.mark.parametrize("eps", [-1e-8, np.nan, np.inf])
def test_eps_is_a_finite_number_of_at_least_0(eps):
    with pytest.raises(ValueError, match=r"^PoissonNLLLoss: eps: expected a"):
        nn.PoissonNLLLoss(eps=eps)


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(nn.NLLLoss(weight=[1, 2], ignore_index=0)) == "NLLLoss(weight=[1.0, 2.0], ignore_index=0)"
    assert repr(nn.KLDivLoss(log_target=True, reduction="batchmean")) == (
        "KLDivLoss(reduction='batchmean', log_target=True)"
    )
    assert repr(nn.PoissonNLLLoss()) == "PoissonNLLLoss()"
    text = "PoissonNLLLoss(log_input=False, full=True, eps=0.1)"
    assert repr(nn.PoissonNLLLoss(log_input=False, full=True, eps=0.1)) == text


@pytest.mark.parametrize(
    ("loss", "Y", "target", "shape"),
    [
        (nn.KLDivLoss(), (4, 1), np.zeros(4), (4,)),
        (nn.PoissonNLLLoss(), (4,), np.zeros((4, 1)), (4, 1)),
    ],
    ids=str,
)
def test_a_column_against_a_vector_is_an_error(loss, Y, target, shape):
    message = re.escape(f"{loss}: expected a target of Y's shape {Y}, got {shape}")
    with pytest.raises(nn.ShapeError, match=f"^{message}"):
        loss.forward(np.zeros(Y), target)


# ------------------------------------------------------------------------------------------ GaussianNLLLoss


def test_gaussian_by_hand():
    """Half of log 4 + 2^2 / 4 and of log 1 + 0; dY = 2 / 4, dvar = (1 / 4 - (2 / 4)^2) / 2 and 1 / 2."""
    loss = nn.GaussianNLLLoss(reduction="none")
    J = loss.forward(np.array([3.0, 5.0]), np.array([1.0, 5.0]), np.array([4.0, 1.0]))
    np.testing.assert_allclose(J, [(math.log(4) + 1) / 2, 0], rtol=1e-15)
    dY, dvar = loss.backward(np.ones(2))
    np.testing.assert_array_equal(dY, [0.5, 0])
    np.testing.assert_array_equal(dvar, [0, 0.5])


@pytest.mark.parametrize(("reduction", "count"), [("mean", 1), ("sum", 2), ("none", 1)])
def test_full_adds_the_constant_of_each_element(reduction, count):
    Y, target, var = np.array([1.0, 2.0]), np.array([0.0, 4.0]), np.array([0.5, 2.0])
    plain, full = (nn.GaussianNLLLoss(reduction=reduction, full=full).forward(Y, target, var) for full in (False, True))
    np.testing.assert_allclose(full, plain + count * math.log(2 * math.pi) / 2, rtol=1e-14)


@pytest.mark.parametrize("shape", [(4, 3), (4,), (4, 1), (1, 3), ()])
def test_a_variance_that_is_broadcast_has_the_sum_of_the_gradients(shape):
    Y, target = np.random.default_rng(0).normal(size=(2, 4, 3))
    var = np.random.default_rng(1).uniform(0.5, 2, shape)
    every = np.ones((4, 3)) * (var[:, None] if shape == (4,) else var)
    loss, whole = nn.GaussianNLLLoss(), nn.GaussianNLLLoss()
    np.testing.assert_allclose(loss.forward(Y, target, var), whole.forward(Y, target, every), rtol=1e-14)
    (dY, dvar), (dY_whole, dvar_whole) = loss.backward(), whole.backward()
    np.testing.assert_allclose(dY, dY_whole, rtol=1e-14)
    assert dvar.shape == shape
    axes = {(4, 3): (), (4,): 1, (4, 1): 1, (1, 3): 0, (): None}[shape]
    np.testing.assert_allclose(dvar.ravel(), np.sum(dvar_whole, axis=axes).ravel(), rtol=1e-13)


def test_a_variance_below_eps_is_eps_and_can_increase_again():
    loss = nn.GaussianNLLLoss(eps=0.25)
    np.testing.assert_allclose(loss.forward(np.ones(1), np.zeros(1), np.zeros(1)), (math.log(0.25) + 4) / 2, rtol=1e-15)
    assert loss.backward()[1][0] == (4 - 16) / 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaussian_of_numbers_up_to_1e4_is_silent_and_finite(dtype):
    with np.errstate(all="raise", under="ignore"):
        loss = nn.GaussianNLLLoss(reduction="none")
        Y, target, var = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0], [0, 1e-6, 1e4]], dtype)
        J, gradients = loss.forward(Y, target, var), loss.backward(np.ones(3, dtype))
    assert np.isfinite(J).all()
    assert np.isfinite(gradients).all()
    assert J.dtype == gradients[0].dtype == gradients[1].dtype == dtype


def test_check_gradients_sees_the_variance():
    Y, target = np.random.default_rng(0).normal(size=(2, 4, 3))
    var = np.random.default_rng(1).uniform(0.5, 2, (4, 1))
    report = nn.check_gradients(nn.GaussianNLLLoss(), (Y, var), target)
    assert report.right
    assert [line.name for line in report.comparisons] == ["X1", "X2"]


def test_a_network_learns_the_mean_and_the_variance():
    """The maximum likelihood: the mean and the biased variance of the targets."""
    target = np.array([[1.0], [2.0], [3.0], [6.0]])
    x = nn.Input()
    mean, variance = nn.Linear(1, 1, dtype=np.float64, rng=0), nn.Linear(1, 1, dtype=np.float64, rng=1)
    model = nn.Graph(x, (mean(x), nn.Exp()(variance(x))))
    options = {"optimizer": nn.SGD(model, lr=0.3), "epochs": 300, "batch_size": 4, "verbose": 0}
    nn.fit(model, np.zeros((4, 1)), target, loss=nn.GaussianNLLLoss(), **options)
    assert mean.b[0] == pytest.approx(3, rel=1e-6)
    assert np.exp(variance.b[0]) == pytest.approx(target.var(), rel=1e-6)


def test_gaussian_refuses_what_it_cannot_use():
    Y, target = np.zeros((4, 3)), np.zeros((4, 3))
    message = (
        r"^GaussianNLLLoss\(\): expected each variance to be at least 0, got -0\.5 at index \(1, 0\); end its branch"
    )
    with pytest.raises(ValueError, match=message):
        nn.GaussianNLLLoss().forward(Y, target, np.array([[1.0], [-0.5], [1.0], [1.0]]))
    for shape in (3,), (1, 1), (4, 2), (2, 4, 3), (4, 3, 1):
        loss = nn.GaussianNLLLoss()
        with pytest.raises(
            nn.ShapeError, match=r"^GaussianNLLLoss\(\): var: expected Y's shape \(4, 3\), or \(4,\), or"
        ):
            loss.forward(Y, target, np.ones(shape))
        with pytest.raises(nn.StateError):
            loss.backward()
    with pytest.raises(nn.ShapeError, match=r"expected a target of Y's shape \(4, 1\), got \(4,\); pass target\["):
        nn.GaussianNLLLoss().forward(np.zeros((4, 1)), np.zeros(4), np.ones(4))
    with pytest.raises(nn.ShapeError, match=r"var: expected Y's shape \(4,\)"):
        nn.GaussianNLLLoss().forward(np.zeros(4), np.zeros(4), np.ones((4, 1)))
    with pytest.raises(TypeError, match=r"^GaussianNLLLoss\(\): var: expected real numbers, got"):
        nn.GaussianNLLLoss().forward(Y, target, "1")
    for eps in 0, -1, np.nan:
        with pytest.raises(ValueError, match=r"^GaussianNLLLoss: eps: expected a"):
            nn.GaussianNLLLoss(eps=eps)
    assert repr(nn.GaussianNLLLoss()) == "GaussianNLLLoss()"
    assert repr(nn.GaussianNLLLoss(full=True, eps=0.1)) == "GaussianNLLLoss(full=True, eps=0.1)"
