"""Activations: values and derivatives at the points where they are easily wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import nnlite as nn

matrices = arrays(np.float64, (3, 4), elements=st.floats(-20, 20))
ALL = [nn.Tanh, nn.Sigmoid, nn.ReLU, nn.Identity, nn.Softmax, nn.LogSoftmax]


def derivative(layer, x):
    """dY/dX of an elementwise layer at each of the numbers x."""
    Y = layer.forward(np.array(x))
    return layer.backward(np.ones_like(Y))


def jacobian(layer, x):
    """dY/dX of a layer at the vector x, a row for each y."""
    Y = layer.forward(x)
    return np.stack([layer.backward(row) for row in np.eye(Y.size)])


def test_tanh_keeps_the_sign_of_zero_and_has_derivative_1_there():
    Y = nn.Tanh().forward(np.array([-0.0, 0.0]))
    np.testing.assert_array_equal(np.signbit(Y), [True, False])
    np.testing.assert_array_equal(derivative(nn.Tanh(), [-0.0, 0.0]), 1)


def test_tanh_in_closed_form():
    # tanh(ln a) = (a^2 - 1) / (a^2 + 1), and its derivative is 4 a^2 / (a^2 + 1)^2
    x = np.log([0.5, 1, 2, 3])
    np.testing.assert_allclose(nn.Tanh().forward(x), [-0.6, 0, 0.6, 0.8], rtol=1e-15, atol=1e-16)
    np.testing.assert_allclose(derivative(nn.Tanh(), x), [0.64, 1, 0.64, 0.36], rtol=1e-14)


def test_sigmoid_in_closed_form():
    # sigmoid(ln a) = a / (1 + a), and its derivative is a / (1 + a)^2
    x = np.log([0.25, 1, 3, 9])
    np.testing.assert_allclose(nn.Sigmoid().forward(x), [0.2, 0.5, 0.75, 0.9], rtol=1e-15)
    np.testing.assert_allclose(derivative(nn.Sigmoid(), x), [0.16, 0.25, 0.1875, 0.09], rtol=1e-14)


def test_sigmoid_at_the_promised_points():
    x = np.array([-np.inf, -100, -20, 0, 1, 20, 37, np.inf, np.nan])
    y = [0, 3.7200759760208356e-44, 2.0611536181902037e-09, 0.5, 0.7310585786300049, 0.9999999979388463, 1, 1, np.nan]
    np.testing.assert_allclose(nn.Sigmoid().forward(x), y, rtol=4e-16, atol=0)


@pytest.mark.parametrize(("dtype", "end"), [(np.float32, 17), (np.float64, 37)])
def test_no_gradient_passes_a_saturated_sigmoid(dtype, end):
    inside, outside = derivative(nn.Sigmoid(), np.array([end - 1, end], dtype))
    assert inside > 0 == outside


def test_relu_and_its_derivative_which_is_0_at_0():
    x = np.array([-2.0, -0.0, 0.0, 1e-300, 3.0])
    np.testing.assert_array_equal(nn.ReLU().forward(x), [0, 0, 0, 1e-300, 3])
    np.testing.assert_array_equal(derivative(nn.ReLU(), x), [0, 0, 0, 1, 1])


def test_relu_drops_an_infinite_gradient_where_it_is_flat():
    layer = nn.ReLU()
    layer.forward(np.array([-1.0, 1.0]))
    np.testing.assert_array_equal(layer.backward(np.array([np.inf, np.inf])), [0, np.inf])


@pytest.mark.parametrize("kind", [nn.Softmax, nn.LogSoftmax])
@pytest.mark.parametrize("dim", [2, -3, 5])
def test_a_missing_axis_is_named(kind, dim):
    with pytest.raises(nn.ShapeError, match=rf"^{kind.__name__}\(dim={dim}\): expected X with axis {dim}, got"):
        kind(dim=dim).forward(np.zeros((2, 3)))


@pytest.mark.parametrize("kind", [nn.Softmax, nn.LogSoftmax])
def test_the_first_and_last_axis_are_in_reach(kind):
    X = np.random.default_rng(0).normal(size=(2, 3))
    np.testing.assert_array_equal(kind(-2).forward(X), kind(0).forward(X))
    np.testing.assert_array_equal(kind().forward(X), kind(1).forward(X))
    np.testing.assert_allclose(kind(0).forward(X), kind(1).forward(X.T).T, rtol=1e-15)


@given(matrices)
def test_softmax_sums_to_1_and_its_gradient_to_0(X):
    layer = nn.Softmax()
    np.testing.assert_allclose(layer.forward(X).sum(1), 1, rtol=1e-14)
    dX = layer.backward(np.arange(12.0).reshape(3, 4))
    np.testing.assert_allclose(dX.sum(1), 0, atol=1e-13)


@given(arrays(np.float64, 4, elements=st.floats(-20, 20)))
def test_softmax_has_the_jacobian_diag_y_minus_y_y(x):
    y = nn.Softmax().forward(x)
    np.testing.assert_allclose(jacobian(nn.Softmax(), x), np.diag(y) - np.outer(y, y), rtol=1e-12, atol=1e-15)


@given(arrays(np.float64, 4, elements=st.floats(-20, 20)))
def test_log_softmax_has_the_jacobian_identity_minus_softmax(x):
    p = nn.Softmax().forward(x)
    np.testing.assert_allclose(jacobian(nn.LogSoftmax(), x), np.eye(4) - p, rtol=1e-12, atol=1e-15)


@given(matrices)
def test_log_softmax_is_the_log_of_softmax(X):
    np.testing.assert_allclose(nn.LogSoftmax().forward(X), np.log(nn.Softmax().forward(X)), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", [nn.Tanh, nn.Sigmoid, nn.ReLU, nn.Identity])
@given(X=matrices)
def test_elementwise_layers_have_a_diagonal_jacobian(kind, X):
    x = X[0]
    np.testing.assert_array_equal(jacobian(kind(), x), np.diag(derivative(kind(), x)))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_are_silent_and_finite_up_to_1e4(kind, dtype):
    X = np.linspace(-1e4, 1e4, 2_001).astype(dtype)
    X = np.stack([X, -X, np.zeros_like(X)], axis=1)
    layer = kind()
    with np.errstate(all="raise", under="ignore"):
        Y = layer.forward(X)
        dX = layer.backward(np.ones_like(Y))
    assert np.isfinite(Y).all()
    assert np.isfinite(dX).all()
    assert Y.dtype == dX.dtype == dtype


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_activations_pass_on_what_is_not_finite_and_never_raise(kind, value):
    with np.errstate(all="raise", under="ignore"):
        Y = kind().forward(np.array([[value, 1.0], [0.0, 1.0]]))
    limits = {
        nn.Tanh: np.tanh(value),
        nn.Sigmoid: {np.inf: 1, -np.inf: 0}.get(value, np.nan),
        nn.ReLU: {-np.inf: 0}.get(value, value),
        nn.Identity: value,
        nn.Softmax: {-np.inf: 0}.get(value, np.nan),
        nn.LogSoftmax: {-np.inf: -np.inf}.get(value, np.nan),
    }
    np.testing.assert_array_equal(Y[0, 0], limits[kind])
    assert np.isfinite(Y[1]).all()  # the other row does not feel it


def test_identity_is_a_copy_both_ways():
    layer, X = nn.Identity(), np.array([1.0, -2.0])
    Y = layer.forward(X)
    dX = layer.backward(Y)
    np.testing.assert_array_equal([Y, dX], [X, X])
    assert not np.shares_memory(X, Y)
    assert not np.shares_memory(Y, dX)


@pytest.mark.parametrize(
    ("options", "shape"),
    [({}, (2, 60)), ({"start_dim": 0}, (120,)), ({"end_dim": 2}, (2, 12, 5)), ({"start_dim": -2}, (2, 3, 20))],
)
def test_flatten_keeps_the_order_and_backward_gives_the_shape_back(options, shape):
    X = np.arange(120.0).reshape(2, 3, 4, 5)
    layer = nn.Flatten(**options)
    Y = layer.forward(X)
    assert Y.shape == shape
    np.testing.assert_array_equal(Y.ravel(), np.arange(120))
    np.testing.assert_array_equal(layer.backward(Y), X)


def test_flatten_refuses_axes_that_are_not_there_or_out_of_order():
    with pytest.raises(nn.ShapeError, match=r"^Flatten\(start_dim=1, end_dim=-1\): expected X with axes 1 and -1, got"):
        nn.Flatten().forward(np.zeros(3))
    with pytest.raises(nn.ShapeError, match=r"expected X with axes 0 and 2, got shape \(2, 3\)$"):
        nn.Flatten(0, 2).forward(np.zeros((2, 3)))
    with pytest.raises(
        nn.ShapeError, match=r"^Flatten\(start_dim=2, end_dim=1\): axis 2 comes after axis 1 in X of shape \(2, 3, 4\)"
    ):
        nn.Flatten(2, 1).forward(np.zeros((2, 3, 4)))


def test_relu_of_every_floating_dtype_by_hand():
    for dtype in (np.float32, np.float64, np.longdouble):
        layer = nn.ReLU()
        np.testing.assert_array_equal(layer.forward(np.array([-2, 0, 1, 3], dtype)), [0, 0, 1, 3])
        dX = layer.backward(np.array([5, np.inf, -6, np.inf], dtype))
        np.testing.assert_array_equal(dX, [0, 0, -6, np.inf])
        assert dX.dtype == dtype


def test_what_vanishes_is_no_error_where_every_floating_point_error_is_one():
    scores = np.array([[0.0, -1000.0]])
    with np.errstate(all="raise"):
        for layer in (nn.Softmax(), nn.LogSoftmax()):
            layer.forward(scores)
            layer.backward(np.array([[1.0, 2.0]]))
        np.testing.assert_array_equal(nn.Sigmoid().forward(np.array([-1000.0, 1000.0])), [0, 1])


@pytest.mark.parametrize("kind", [nn.Softmax, nn.LogSoftmax])
def test_softmax_over_an_axis_of_size_0_is_empty(kind):
    """As torch.softmax(torch.zeros(3, 0), -1), of shape (3, 0)."""
    layer = kind()
    assert layer.forward(np.zeros((3, 0))).shape == (3, 0)
    assert layer.backward(np.zeros((3, 0))).shape == (3, 0)
    assert kind(dim=0).forward(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.parametrize(("kind", "value"), [(nn.Softmax, 1), (nn.LogSoftmax, 0)])
def test_softmax_of_a_number_is_that_of_one_score(kind, value, dim):
    """As torch.softmax(torch.tensor(3.0), dim): a number has one axis."""
    layer = kind(dim)
    Y = layer.forward(np.array(3.0))
    dX = layer.backward(np.array(2.0))
    assert Y.shape == dX.shape == ()
    assert (Y, dX) == (value, 0)
    with pytest.raises(nn.ShapeError, match="expected X with axis 1"):
        kind(1).forward(np.array(3.0))
