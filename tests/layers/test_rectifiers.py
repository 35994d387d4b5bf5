"""Rectifiers: promised values, closed forms, random slopes, slopes that are learned, and bad arguments."""

import copy

import numpy as np
import pytest

import nnlite as nn


def derivative(layer, x):
    """dY/dX of an elementwise layer at each of the numbers x."""
    Y = layer.forward(np.array(x))
    return layer.backward(np.ones_like(Y))


def test_derivatives_at_0_are_those_that_are_promised():
    assert derivative(nn.LeakyReLU(0.3), [0.0]) == 0.3
    assert derivative(nn.ELU(), [0.0]) == 1
    assert derivative(nn.ELU(0.5), [0.0]) == 0.5
    assert derivative(nn.CELU(0.5), [0.0]) == 1
    assert derivative(nn.SELU(), [0.0]) == pytest.approx(1.7580993408473766, rel=1e-15)


@pytest.mark.parametrize("slope", [-2.0, 0.0, 0.25, 1.0, 1.5])
def test_leaky_units_of_any_slope(slope):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -3.0, 2.0])
    with np.errstate(invalid="ignore"):
        Y = np.where(x > 0, x, slope * x)
    for layer in nn.LeakyReLU(slope), nn.PReLU(init=slope, dtype=np.float64):
        np.testing.assert_array_equal(layer.forward(x), Y)
        np.testing.assert_array_equal(np.signbit(layer.forward(x))[1:], np.signbit(Y)[1:])
        np.testing.assert_array_equal(layer.backward(np.ones(7)), np.where(x > 0, 1, slope))


def test_exponential_units_in_closed_form():
    # exp(ln a) - 1 = a - 1, for a below 1
    a = np.array([0.125, 0.5, 0.875])
    np.testing.assert_allclose(nn.ELU(2.0).forward(np.log(a)), 2 * (a - 1), rtol=1e-15)
    np.testing.assert_allclose(derivative(nn.ELU(2.0), np.log(a)), 2 * a, rtol=1e-15)
    np.testing.assert_allclose(nn.CELU(2.0).forward(2 * np.log(a)), 2 * (a - 1), rtol=1e-15)
    np.testing.assert_allclose(derivative(nn.CELU(2.0), 2 * np.log(a)), a, rtol=1e-15)
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    np.testing.assert_allclose(nn.SELU().forward(np.log(a)), scale * alpha * (a - 1), rtol=1e-15)
    np.testing.assert_allclose(nn.SELU().forward([3.0]), [3 * np.float32(scale)], rtol=1e-6)


@pytest.mark.parametrize(("dtype", "bar"), [(np.float32, 3e-7), (np.float64, 5e-16), (np.longdouble, 1e-18)])
def test_small_and_large_negative_numbers_keep_their_digits(dtype, bar):
    """exp(x) - 1 would have no correct digit for x = -1e-9 in float32."""
    x = -(10.0 ** np.arange(-12, 4.5, 0.25)).astype(dtype)
    np.testing.assert_allclose(nn.ELU().forward(x), np.expm1(x), rtol=bar, atol=0)
    np.testing.assert_allclose(derivative(nn.ELU(), x), np.exp(x), rtol=max(bar, 2e-16), atol=1e-40)
    np.testing.assert_array_equal(nn.ELU().forward(np.array([-np.inf, np.inf], dtype)), [-1, np.inf])
    np.testing.assert_array_equal(derivative(nn.ELU(), np.array([-np.inf, np.inf], dtype)), [0, 1])


def test_the_self_normalizing_constants_keep_mean_0_and_variance_1():
    """The fixed point that alpha and scale are solved for: E Y = 0 and E Y^2 = 1 for a standard normal X."""
    x = np.linspace(-12, 12, 200_001)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    Y = nn.SELU().forward(x)
    assert np.sum(Y * density) == pytest.approx(0, abs=1e-7)
    assert np.sum(Y**2 * density) == pytest.approx(1, abs=1e-7)


def test_a_learned_slope_has_the_sum_of_what_is_below_0_as_gradient():
    layer = nn.PReLU(2, init=0.5, dtype=np.float64)
    X = np.array([[[-1.0, 2.0], [-3.0, -4.0]], [[5.0, -6.0], [7.0, 8.0]]])  # (N, C, L)
    Y = layer.forward(X)
    np.testing.assert_array_equal(Y, np.where(X > 0, X, X / 2))
    dX = layer.backward(np.full(X.shape, 10.0))
    np.testing.assert_array_equal(layer.dW, [-70, -70])
    np.testing.assert_array_equal(dX, np.where(X > 0, 10, 5))


def test_a_learned_slope_for_all_takes_any_shape():
    for shape in [(), (3,), (2, 3), (2, 3, 4), (0, 3)]:
        layer = nn.PReLU(dtype=np.float64)
        Y = layer.forward(np.full(shape, -2.0))
        np.testing.assert_array_equal(Y, np.full(shape, -0.5))
        np.testing.assert_array_equal(layer.backward(np.ones(shape)), np.full(shape, 0.25))
        assert layer.dW == [-2 * np.prod(shape)]


def test_the_gradient_of_a_slope_is_right_in_float32_for_a_million_rows():
    layer = nn.PReLU()
    layer.forward(np.full((1_000_000, 1), -0.1, np.float32))
    layer.backward(np.ones((1_000_000, 1), np.float32))
    np.testing.assert_allclose(layer.dW, [-100_000], rtol=1e-5)


@pytest.mark.parametrize("shape", [(4, 2), (3,), (), (2, 4, 3)])
def test_channels_must_be_as_many_as_slopes(shape):
    with pytest.raises(nn.ShapeError, match=r"^PReLU\(num_parameters=3, init=0.25\): expected X of shape \(N, 3,"):
        nn.PReLU(3).forward(np.zeros(shape))
    with pytest.raises(nn.ShapeError, match="expected X of shape"):
        nn.Sequential(nn.Linear(5, 4), nn.PReLU(3)).forward(np.zeros((2, 5)))


def test_random_slopes_are_uniform_between_their_limits_and_new_in_each_forward():
    layer, X = nn.RReLU(0.1, 0.5, rng=0), np.full(100_000, -1.0)
    slopes, again = -layer.forward(X), -layer.forward(X)
    assert slopes.min() >= 0.1
    assert slopes.max() <= 0.5
    assert slopes.mean() == pytest.approx(0.3, abs=0.002)
    assert slopes.std() == pytest.approx(0.4 / np.sqrt(12), abs=0.002)
    assert not np.array_equal(slopes, again)
    np.testing.assert_array_equal(layer.backward(np.ones_like(X)), again)  # of the last forward
    np.testing.assert_array_equal(derivative(layer, [2.0, 3.0]), 1)


def test_nothing_is_drawn_in_evaluation_mode_and_the_slope_is_the_mean():
    layer = nn.RReLU(0.1, 0.5, rng=0).eval()
    before = copy.deepcopy(layer.rng.bit_generator.state)
    np.testing.assert_allclose(layer.forward(np.array([-1.0, 2.0])), [-0.3, 2.0], rtol=1e-15)
    assert layer.rng.bit_generator.state == before


def test_random_slopes_are_the_same_in_each_dtype():
    X = np.linspace(-2, 1, 7)
    of = [nn.RReLU(rng=3).forward(X.astype(dtype)) for dtype in (np.float32, np.float64, np.longdouble)]
    np.testing.assert_allclose(of[0], of[1], rtol=1e-6)
    np.testing.assert_allclose(of[2], of[1].astype(np.longdouble), rtol=1e-15)
    assert [each.dtype for each in of] == [np.float32, np.float64, np.longdouble]


def test_defaults_are_those_of_torch():
    texts = [repr(kind()) for kind in (nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU)]
    assert texts == [
        "LeakyReLU(negative_slope=0.01)",
        "PReLU(num_parameters=1, init=0.25)",
        "RReLU(lower=0.125, upper=0.3333333333333333)",
        "ELU(alpha=1.0)",
        "CELU(alpha=1.0)",
    ]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.LeakyReLU("0.1"), TypeError, "LeakyReLU: negative_slope: expected a number, got '0.1'"),
        (lambda: nn.ELU(None), TypeError, "ELU: alpha: expected a number"),
        (lambda: nn.CELU(0.0), ValueError, "CELU: alpha: expected a number above 0, got 0.0"),
        (lambda: nn.CELU(-1.0), ValueError, "CELU: alpha: expected a number above 0, got -1.0"),
        (lambda: nn.PReLU(0), ValueError, "PReLU: num_parameters: expected at least 1, got 0"),
        (lambda: nn.PReLU(2.0), TypeError, "PReLU: num_parameters: expected a whole number, got 2.0"),
        (lambda: nn.PReLU(init=np.nan), ValueError, "PReLU: init: expected a finite number, got nan"),
        (lambda: nn.PReLU(dtype=int), TypeError, "dtype: expected a floating type"),
        (lambda: nn.RReLU(0.5, 0.25), ValueError, "RReLU: expected lower <= upper, got 0.5 and 0.25"),
        (lambda: nn.RReLU(0.1, np.inf), ValueError, "RReLU: upper: expected a finite number, got inf"),
        (lambda: nn.RReLU(rng="seed"), TypeError, "RReLU: rng: expected a seed"),
    ],
)
def test_bad_arguments_are_named(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()
