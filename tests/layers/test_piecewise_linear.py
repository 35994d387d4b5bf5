"""Piecewise linear activations and shrinkage: at the kinks, beyond all bounds, and with bad arguments."""

import numpy as np
import pytest

import nnlite as nn

NAN, INF = np.nan, np.inf


def both(layer, x):
    """Y and dY/dX at each of the numbers x."""
    Y = layer.forward(np.array(x))
    return Y, layer.backward(np.ones_like(Y))


@pytest.mark.parametrize(
    ("layer", "x", "Y", "D"),
    [
        (nn.Hardtanh(), [-INF, -1, 0, 1, INF, NAN], [-1, -1, 0, 1, 1, NAN], [0, 0, 1, 0, 0, 1]),
        (nn.Hardtanh(-2, 0.5), [-2, -1.5, 0.5], [-2, -1.5, 0.5], [0, 1, 0]),
        (nn.ReLU6(), [-1, 0, 1e-9, 6, 7], [0, 0, 1e-9, 6, 6], [0, 0, 1, 0, 0]),
        (nn.Hardsigmoid(), [-INF, -3, 0, 1.5, 3, INF], [0, 0, 0.5, 0.75, 1, 1], [0, 0, 1 / 6, 1 / 6, 0, 0]),
        (nn.Hardswish(), [-4, -3, 0, 1.5, 3, INF], [0, 0, 0, 1.125, 3, INF], [0, 0, 0.5, 1, 1, 1]),
        (nn.Threshold(1, -5), [-INF, 1, 1.5, INF, NAN], [-5, -5, 1.5, INF, NAN], [0, 0, 1, 1, 1]),
        (nn.Softshrink(), [-INF, -0.5, 0.5, 2, NAN], [-INF, 0, 0, 1.5, NAN], [1, 0, 0, 1, 1]),
        (nn.Softshrink(0), [-1, 0, 1], [-1, 0, 1], [1, 0, 1]),
        (nn.Hardshrink(), [-INF, -0.5, 0.5, 2, NAN], [-INF, 0, 0, 2, NAN], [1, 0, 0, 1, 1]),
        (nn.Hardshrink(0), [-1, 0, 1], [-1, 0, 1], [1, 0, 1]),
    ],
    ids=repr,
)
def test_values_and_derivatives_at_the_kinks_and_beyond(layer, x, Y, D):
    """Those of PyTorch."""
    of = both(layer, [float(each) for each in x])
    np.testing.assert_array_equal(of[0], Y)
    np.testing.assert_array_equal(of[1], D)


def test_where_they_are_flat_they_drop_an_infinite_gradient():
    flat = [
        (nn.Hardtanh(), 2.0), (nn.ReLU6(), -1.0), (nn.Hardsigmoid(), 4.0), (nn.Hardswish(), -4.0),
        (nn.Threshold(0, 0), -1.0), (nn.Softshrink(), 0.25), (nn.Hardshrink(), 0.25),
    ]  # fmt: skip
    for layer, x in flat:
        layer.forward(np.array([x]))
        assert layer.backward(np.array([INF])) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.longdouble])
def test_the_slope_of_a_hard_sigmoid_is_a_sixth_in_every_dtype(dtype):
    assert both(nn.Hardsigmoid(), np.array([1], dtype))[1] == dtype(1) / dtype(6)


def test_limits_are_rounded_to_the_dtype_of_x():
    """0.1 is not a number of float32: the derivative at the clipped value is 0 all the same."""
    np.testing.assert_array_equal(both(nn.Hardtanh(-0.1, 0.1), np.array([-1, 0, 1], np.float32))[1], [0, 1, 0])


def test_tanhshrink_in_closed_form():
    # tanh(ln a) = (a^2 - 1) / (a^2 + 1)
    x = np.log([0.5, 2, 3])
    Y, D = both(nn.Tanhshrink(), x)
    np.testing.assert_allclose(Y, x - [-0.6, 0.6, 0.8], rtol=1e-14)
    np.testing.assert_allclose(D, [0.36, 0.36, 0.64], rtol=1e-14)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Hardtanh(1, 1), ValueError, "Hardtanh: expected min_val < max_val, got 1 and 1"),
        (lambda: nn.Hardtanh(np.nan, 1), ValueError, "Hardtanh: expected min_val < max_val, got nan and 1"),
        (lambda: nn.Hardtanh("0"), TypeError, "Hardtanh: min_val: expected a number, got '0'"),
        (lambda: nn.Threshold(None, 1), TypeError, "Threshold: threshold: expected a number, got None"),
        (lambda: nn.Threshold(0, [1]), TypeError, r"Threshold: value: expected a number, got \[1\]"),
        (lambda: nn.Softshrink(-1), ValueError, "Softshrink: lambd: expected a number >= 0, got -1"),
        (lambda: nn.Hardshrink(-1), ValueError, "Hardshrink: lambd: expected a number >= 0, got -1"),
    ],
)
def test_bad_arguments_are_named(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()


def test_softmin_is_the_softmax_of_minus_x():
    X = np.array([[0.0, 1.0, -2.0], [1e4, -1e4, 0.0]])
    layer, softmax, dY = nn.Softmin(), nn.Softmax(), np.array([[1.0, 2.0, 4.0], [1.0, 0.0, -1.0]])
    np.testing.assert_array_equal(layer.forward(X), softmax.forward(-X))
    np.testing.assert_array_equal(layer.backward(dY), -softmax.backward(dY))
    assert nn.Softmin(0).forward(np.array(3.0)) == 1


@pytest.mark.parametrize("shape", [(3, 4), (5,), (1, 2, 3, 4, 5)])
def test_the_softmax_of_images_needs_images(shape):
    with pytest.raises(nn.ShapeError, match=r"^Softmax2d\(\): expected X of shape \(N, C, H, W\) or \(C, H, W\), got"):
        nn.Softmax2d().forward(np.zeros(shape))
    with pytest.raises(nn.ShapeError, match="expected X of shape"):
        nn.Sequential(nn.Linear(3, 4), nn.Softmax2d()).forward(np.zeros((2, 3)))


def test_the_softmax_of_images_is_along_their_channels():
    X = np.arange(24.0).reshape(2, 3, 2, 2) % 7
    np.testing.assert_array_equal(nn.Softmax2d().forward(X), nn.Softmax(dim=1).forward(X))
    np.testing.assert_array_equal(nn.Softmax2d().forward(X[0]), nn.Softmax(dim=0).forward(X[0]))
