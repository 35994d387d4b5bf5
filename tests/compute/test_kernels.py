"""The shared formulas: right to the last digits at every x, and silent."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnlite.compute import softmax as by_rows
from nnlite.compute import softmax_of_columns
from nnlite.compute.kernels import relu, sigmoid, softplus

both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def softmax(X, axis):
    return by_rows.along(axis, by_rows.softmax, softmax_of_columns.softmax, X)


def log_softmax(X, axis):
    return by_rows.along(axis, by_rows.log_softmax, softmax_of_columns.log_softmax, X)[0]


moderate = arrays(np.float64, (3, 4), elements=st.floats(-50, 50))


def exact_sigmoid(x):
    with localcontext(prec=50):
        e = (-abs(Decimal(float(x)))).exp()
        return (1 if x >= 0 else e) / (1 + e)


def normal_range(dtype, count):
    """From where the sigmoid is the smallest normal number to where it has long been 1, and close to 0."""
    info = np.finfo(dtype)
    wide = np.linspace(math.log(info.tiny) * 0.9999, -math.log(info.tiny), count)
    near_0 = np.geomspace(info.tiny, 1, count // 4)
    return np.concatenate([wide, near_0, -near_0]).astype(dtype)


def test_sigmoid_is_within_4_ulp_of_exact_float32():
    x = normal_range(np.float32, 200_000)
    e = np.exp(-np.abs(x.astype(np.float64)))  # 29 bits more than are judged
    exact = np.where(x >= 0, 1, e) / (1 + e)
    assert np.all(np.abs(sigmoid(x) - exact) <= 4 * np.spacing(exact.astype(np.float32)))


def test_sigmoid_is_within_4_ulp_of_exact_float64():
    x = normal_range(np.float64, 4_000)
    for value, y in zip(x, sigmoid(x), strict=True):
        exact = exact_sigmoid(value)
        assert abs(Decimal(float(y)) - exact) <= 4 * Decimal(float(np.spacing(float(exact))))


def test_sigmoid_at_the_promised_points():
    x = np.array([-np.inf, -100, -20, 0, 1, 20, 37, np.inf, np.nan])
    y = [0, 3.7200759760208356e-44, 2.0611536181902037e-09, 0.5, 0.7310585786300049, 0.9999999979388463, 1, 1, np.nan]
    np.testing.assert_allclose(sigmoid(x), y, rtol=4e-16, atol=0)


@given(st.floats(-700, 700))
def test_sigmoid_of_minus_x_is_the_rest_to_1(x):
    np.testing.assert_allclose(sigmoid(np.array([-x])), 1 - sigmoid(np.array([x])), rtol=1e-7, atol=1e-15)


@both_precisions
def test_softplus_is_exact(dtype):
    x = np.linspace(-80, 80, 1_001).astype(dtype)
    with localcontext(prec=60):
        exact = [float((1 + Decimal(float(value)).exp()).ln()) for value in x]
    np.testing.assert_allclose(softplus(x), exact, rtol=4 * np.finfo(dtype).eps, atol=0)


def test_softplus_far_out():
    np.testing.assert_array_equal(softplus(np.array([-np.inf, -1000, 1000, np.inf])), [0, 0, 1000, np.inf])
    assert np.isnan(softplus(np.array([np.nan]))).all()
    assert -softplus(np.array([1000.0]))[0] == -1000  # the log-sigmoid of -1000


@given(moderate, st.sampled_from([0, 1, -1]))
def test_softmax_is_exp_over_the_sum_of_exp(X, axis):
    np.testing.assert_allclose(softmax(X, axis), np.exp(X) / np.exp(X).sum(axis, keepdims=True), rtol=1e-12)


@given(moderate, st.sampled_from([0, 1, -1]))
def test_log_softmax_is_x_minus_the_log_of_the_sum_of_exp(X, axis):
    expected = X - np.log(np.exp(X).sum(axis, keepdims=True))
    np.testing.assert_allclose(log_softmax(X, axis), expected, rtol=1e-12, atol=1e-12)


@given(arrays(np.float64, 4, elements=st.integers(-1000, 1000)), st.integers(-(2**40), 2**40))
def test_softmax_and_log_softmax_do_not_see_a_shift(x, shift):
    np.testing.assert_array_equal(softmax(x + shift, 0), softmax(x, 0))
    np.testing.assert_array_equal(log_softmax(x + shift, 0), log_softmax(x, 0))


@given(arrays(np.float32, (3, 5), elements=st.floats(-10_000, 10_000, width=32)))
def test_softmax_sums_to_1(X):
    np.testing.assert_allclose(softmax(X, 1).sum(1), 1, rtol=1.3e-6)


def test_softmax_at_the_promised_points():
    inf, nan = np.inf, np.nan
    X = np.array([[1000, 1000], [-inf, 0], [-inf, -inf], [inf, 0], [nan, 0]])
    np.testing.assert_array_equal(softmax(X, 1), [[0.5, 0.5], [0, 1], [nan, nan], [nan, nan], [nan, nan]])


def test_log_softmax_at_the_promised_points():
    inf, nan = np.inf, np.nan
    X = np.array([[-1000, -1000], [0, -1000], [-inf, 0], [-inf, -inf], [inf, 0], [nan, 0]])
    log_2 = 0.6931471805599453  # log sum exp(-1000, -1000) is -999.3068528194401
    expected = [[-log_2, -log_2], [0, -1000], [-inf, 0], [nan, nan], [nan, nan], [nan, nan]]
    np.testing.assert_allclose(log_softmax(X, 1), expected, rtol=1e-15)
    assert -1000 - log_softmax(X, 1)[0, 0] == pytest.approx(-999.3068528194401, rel=1e-15)


def test_log_softmax_keeps_what_the_softmax_loses():
    np.testing.assert_allclose(log_softmax(np.array([0.0, 40.0]), 0)[1], -math.exp(-40), rtol=1e-7, atol=1e-16)
    assert log_softmax(np.array([0.0, 5000.0]), 0)[0] == -5000


@both_precisions
def test_kernels_are_silent_and_finite_up_to_1e4(dtype):
    X = np.linspace(-1e4, 1e4, 4_002).astype(dtype).reshape(-1, 2)
    X = np.concatenate([X, X[:, ::-1], -X])
    with np.errstate(all="raise", under="ignore"):
        results = [sigmoid(X), softplus(X), softmax(X, 0), softmax(X, 1), log_softmax(X, 0), log_softmax(X, 1)]
    for Y in results:
        assert np.isfinite(Y).all()
        assert Y.dtype == dtype
        assert Y.shape == X.shape


@both_precisions
@pytest.mark.parametrize("size", [1, 7, 40_000])
def test_relu_keeps_the_sign_of_zero_as_pytorch_does(size, dtype):
    assert np.signbit(relu(np.full(size, -0.0, dtype))).all()
