"""Smooth activations: promised values, digits far below 0, limits, and bad arguments."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import special

import nnlite as nn

SMOOTH = [nn.GELU, lambda: nn.GELU("tanh"), nn.SiLU, nn.Mish, nn.Softplus, nn.LogSigmoid, nn.Softsign]


def derivative(layer, x):
    """dY/dX of an elementwise layer at each of the numbers x."""
    Y = layer.forward(np.array(x))
    return layer.backward(np.ones_like(Y))


def test_gelu_at_the_promised_points():
    assert nn.GELU().forward(np.array(1.0)) == pytest.approx(0.841344746068543, rel=1e-15)
    assert nn.GELU("tanh").forward(np.array(1.0)) == pytest.approx(0.8411919906082768, rel=1e-15)
    assert derivative(nn.GELU(), 1.0) == pytest.approx(1.0833154705876864, rel=1e-15)


def test_gelu_far_below_0_has_all_its_digits():
    """ndtr(-a) is the density times 1 / (a + 1 / (a + 2 / (a + 3 / ...))), the continued fraction of Laplace."""
    a, R = np.arange(5.0, 38.0), 0.0
    for n in range(200, 0, -1):
        R = n / (a + R)
    density = np.exp(-(a**2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(nn.GELU().forward(-a), -a * density / (a + R), rtol=1e-12, atol=0)
    np.testing.assert_allclose(derivative(nn.GELU(), -a), density * (1 / (a + R) - a), rtol=1e-12, atol=0)


def test_gelu_in_float32_is_that_of_float64():
    """Relative errors of a few times that of exp(-x^2 / 2), whose argument is rounded."""
    x = np.linspace(-12, 12, 20_001).astype(np.float32)
    layer = nn.GELU()
    Y = layer.forward(x)
    D = layer.backward(np.ones_like(x))
    exact = x.astype(np.float64)
    P, density = special.ndtr(exact), np.exp(-(exact**2) / 2) / np.sqrt(2 * np.pi)
    bars = np.where(exact > -5, 1e-6, 5e-6)
    assert np.all(np.abs(Y - exact * P) <= bars * np.abs(exact * P))
    scale = P + np.abs(exact) * density  # the two terms of D have opposite signs below 0
    assert np.all(np.abs(D - (P + exact * density)) <= bars * scale)


def test_gelu_of_the_tanh_form_does_not_cancel_far_below_0():
    # (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)), which is exp(2 u) far below 0
    x = np.array([-7.5, -8.0, -10.0])
    u = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    du = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    np.testing.assert_allclose(nn.GELU("tanh").forward(x), x * np.exp(2 * u), rtol=1e-12, atol=0)
    np.testing.assert_allclose(derivative(nn.GELU("tanh"), x), np.exp(2 * u) * (1 + 2 * x * du), rtol=1e-12, atol=0)


def test_sigmoid_linear_units_in_closed_form():
    # for x = ln a: sigmoid = a / (1 + a), tanh(log(1 + a)) = ((1 + a)^2 - 1) / ((1 + a)^2 + 1)
    a = np.array([1e-9, 0.25, 1, 3, 1e9])
    x, s, t = np.log(a), a / (1 + a), a * (a + 2) / (a * (a + 2) + 2)
    np.testing.assert_allclose(nn.SiLU().forward(x), x * s, rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(derivative(nn.SiLU(), x), s * (1 + x / (1 + a)), rtol=1e-14)
    np.testing.assert_allclose(nn.Mish().forward(x), x * t, rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(derivative(nn.Mish(), x), t + x * s * (1 - t * t), rtol=1e-14, atol=1e-15)


def test_softplus_and_the_log_of_the_sigmoid_at_the_promised_points():
    assert nn.LogSigmoid().forward(np.array(-1000.0)) == -1000
    assert derivative(nn.LogSigmoid(), -1000.0) == 1
    np.testing.assert_allclose(nn.Softplus().forward(np.log([1, 3, 1e-12])), [np.log(2), np.log(4), 1e-12], rtol=1e-12)
    np.testing.assert_allclose(
        nn.LogSigmoid().forward(np.log([1, 3, 1e12])), [-np.log(2), np.log(0.75), -1e-12], rtol=1e-9
    )


def test_softplus_above_its_threshold_is_the_identity():
    x = np.array([1.999, 2.001, 5.0])
    layer = nn.Softplus(beta=0.5, threshold=1.0)
    np.testing.assert_allclose(layer.forward(x), [2 * np.log1p(np.exp(0.9995)), 2.001, 5.0], rtol=1e-15)
    np.testing.assert_allclose(layer.backward(np.ones(3)), [1 / (1 + np.exp(-0.9995)), 1, 1], rtol=1e-15)
    assert derivative(nn.Softplus(), 20.5) == 1
    assert derivative(nn.Softplus(), 19.5) < 1


def test_in_float32_the_usual_threshold_of_softplus_needs_no_mask():
    x = np.linspace(16, 24, 8001, dtype=np.float32)
    for threshold in 16.0, 17.0, 20.0:
        layer, above = nn.Softplus(threshold=threshold), x > threshold
        np.testing.assert_array_equal(layer.forward(x)[above], x[above])
        np.testing.assert_array_equal(layer.backward(np.ones_like(x))[above], 1)
    assert derivative(nn.Softplus(threshold=16.0), np.float32(15.5)) < 1


def test_far_above_0_they_are_the_identity():
    for make in nn.GELU, nn.Mish:
        for x in np.array([1e30, np.inf]), np.array([1e30, np.inf], np.float32):
            np.testing.assert_array_equal(make().forward(x), x)
    np.testing.assert_allclose(derivative(nn.Mish(), [1e30, np.inf]), 1, rtol=1e-15)
    assert nn.GELU().forward(np.array(-np.inf)) == 0


def test_softsign_by_hand():
    np.testing.assert_array_equal(nn.Softsign().forward(np.array([-1, 0, 3.0])), [-0.5, 0, 0.75])
    np.testing.assert_array_equal(derivative(nn.Softsign(), [-1, 0, 3.0]), [0.25, 1, 0.0625])


def test_a_gated_linear_unit_by_hand_and_its_halves():
    layer = nn.GLU(dim=0)
    s = np.array([0.25, 0.75])  # the sigmoids of -log 3 and log 3
    np.testing.assert_allclose(layer.forward(np.array([8, 4, -np.log(3), np.log(3)])), [2, 3], rtol=1e-15)
    np.testing.assert_allclose(
        layer.backward(np.array([1.0, 2.0])), [*(s * [1, 2]), 8 * 0.1875, 2 * 4 * 0.1875], rtol=1e-14
    )


@pytest.mark.parametrize(
    ("dim", "shape", "message"),
    [
        (-1, (2, 3), r"GLU\(dim=-1\): expected an even size of axis -1, got 3 in shape \(2, 3\)"),
        (0, (3, 2), r"GLU\(dim=0\): expected an even size of axis 0, got 3 in shape \(3, 2\)"),
        (2, (2, 2), r"GLU\(dim=2\): expected X with axis 2, got shape \(2, 2\)"),
        (-1, (), r"GLU\(dim=-1\): expected X with axis -1, got shape \(\)"),
    ],
)
def test_an_axis_that_cannot_be_halved_is_named(dim, shape, message):
    with pytest.raises(nn.ShapeError, match=f"^{message}$"):
        nn.GLU(dim).forward(np.zeros(shape))


def test_a_gate_of_odd_width_is_refused_when_the_model_is_built():
    with pytest.raises(nn.ShapeError, match="expected an even size of axis -1, got 3"):
        nn.Sequential(nn.Linear(2, 3), nn.GLU())
    assert nn.Sequential(nn.Linear(2, 6), nn.GLU(), nn.Linear(3, 1)).output_shape((None, 2)) == (None, 1)


@pytest.mark.parametrize("make", SMOOTH)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_they_are_silent_and_finite_up_to_1e4(make, dtype):
    X = np.linspace(-1e4, 1e4, 2_001).astype(dtype)
    layer = make()
    with np.errstate(all="raise"):
        Y = layer.forward(X)
    with np.errstate(all="raise", under="ignore"):
        dX = layer.backward(np.ones_like(Y))
    assert np.isfinite(Y).all()
    assert np.isfinite(dX).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.GELU("erf"), "GELU: approximate: expected 'none' or 'tanh', got 'erf'"),
        (lambda: nn.Softplus(beta=0.0), "Softplus: beta: expected a number above 0, got 0.0"),
        (lambda: nn.Softplus(beta=-1.0), "Softplus: beta: expected a number above 0, got -1.0"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_scipy_is_imported_when_it_is_first_needed():
    """In float32 GELU needs none of it."""
    program = """
import sys, numpy as np, nnlite as nn
nn.GELU().forward(np.zeros(3, np.float32))
assert "scipy" not in sys.modules
nn.GELU().forward(np.zeros(3))
assert "scipy.special" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
