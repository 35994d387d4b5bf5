"""What the layers compute is what the formulas and worked numbers of support/formulas.py say."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.formulas import CROSS_ENTROPIES, linear_jacobian, logistic_nodes, three_layers

import nnlite as nn
from nnlite.initializers import zeros


def exact(layer, **parameters):
    """The layer in float64, with these parameters."""
    layer.astype(np.float64)
    for name, value in parameters.items():
        setattr(layer, name, value)
    return layer


# ------------------------------------------------------------------------------------------ the linear layer


def test_the_gradients_of_one_sample_by_hand():
    """N = 1, D = 2, M = 3: dx_1 = dy_1 w_11 + dy_2 w_12 + dy_3 w_13, and dW_ij = x_i dy_j."""
    x, dy, W = [3.0, -2.0], [5.0, 7.0, -1.0], [[1.0, 2.0, 4.0], [-1.0, 0.5, 3.0]]
    layer = exact(nn.Linear(2, 3), W=W)
    layer.forward(np.array([x]))
    dX = layer.backward(np.array([dy]))
    dx_11 = dy[0] * W[0][0] + dy[1] * W[0][1] + dy[2] * W[0][2]
    dx_12 = dy[0] * W[1][0] + dy[1] * W[1][1] + dy[2] * W[1][2]
    assert (dx_11, dx_12) == (15, -4.5)
    np.testing.assert_array_equal(dX, [[dx_11, dx_12]])
    for i in range(2):
        for j in range(3):
            assert layer.dW[i, j] == x[i] * dy[j]
    np.testing.assert_array_equal(layer.db, dy)


@given(arrays(float, (2, 3), elements=st.floats(-5, 5)), arrays(float, (3, 2), elements=st.floats(-5, 5)))
def test_the_jacobian_contracted_with_dY_is_what_backward_gives(X, W):
    layer = exact(nn.Linear(3, 2), W=W)
    dY = np.array([[1.0, -2.0], [0.5, 3.0]])
    layer.forward(X)
    contracted = np.einsum("nm,nmkd->kd", dY, linear_jacobian(W, N=2))
    np.testing.assert_allclose(layer.backward(dY), contracted, rtol=1e-12, atol=1e-12)


def test_the_jacobian_of_256_gib_is_never_formed():
    N, D, M = 64, 4096, 4096
    entries = (N * M) * (N * D)
    assert entries == 68_719_476_736
    assert entries * np.dtype(np.float32).itemsize == 256 * 2**30

    layer = nn.Linear(D, M, weight_init=zeros)
    layer.forward(np.ones((N, D), np.float32))
    dY = np.ones((N, M), np.float32)
    layer.dPhi  # noqa: B018 - W and dW move into Phi and dPhi before the measurement, not in it
    tracemalloc.start()
    dX = layer.backward(dY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert dX.nbytes == N * D * 4
    assert peak < 2 * dX.nbytes  # 2 MiB, of 256 GiB


def test_the_gradient_of_a_linear_function_after_a_linear_function():
    """g(x) = W x with W 2x3 and f(y) = [4 3] y: the gradient is W^T [4 3]^T."""
    W = np.array([[1.0, 2.0, -1.0], [5.0, 0.0, 3.0]])
    g = exact(nn.Linear(3, 2, bias=False), W=W.T)  # rows are samples, so x W^T
    f = exact(nn.Linear(2, 1, bias=False), W=[[4.0], [3.0]])
    model = nn.Sequential(g, f)
    model.forward(np.array([7.0, 8.0, 9.0]))
    dx = model.backward(np.array([1.0]))
    np.testing.assert_array_equal(dx, [4 * W[0, j] + 3 * W[1, j] for j in range(3)])
    np.testing.assert_array_equal(dx, [19, 8, 5])


@pytest.mark.parametrize("x", [-2.0, 0.0, 0.5])
def test_the_chain_rule_on_1_plus_4x_squared(x):
    g = exact(nn.Linear(1, 1), W=[[4.0]], b=[1.0])
    square = nn.MSELoss(reduction="sum")
    square.forward(g.forward(np.array([x])), np.array([0.0]))
    np.testing.assert_array_equal(g.backward(square.backward()), [8 + 32 * x])


def test_the_gradient_of_a_squared_error_by_hand():
    """L(x, y; phi) = (phi^T x - y)^2 and g = phi^T x - y: dL/dphi = 2 g x, dL/dx = 2 g phi."""
    phi, x, y = np.array([1.0, -2.0]), np.array([3.0, 0.5]), np.array([4.0])
    h, loss = exact(nn.Linear(2, 1, bias=False), W=phi[:, None]), nn.MSELoss()
    assert loss.forward(h.forward(x), y) == 4  # g = -2
    np.testing.assert_array_equal(h.backward(loss.backward()), 2 * -2 * phi)
    np.testing.assert_array_equal(h.dW[:, 0], 2 * -2 * x)


def test_the_sigmoid_of_theta_x_and_its_derivatives():
    product, sigmoid = exact(nn.Linear(1, 1, bias=False), W=[[2.0]]), nn.Sigmoid()
    y = sigmoid.forward(product.forward(np.array([0.5])))
    dx = product.backward(sigmoid.backward(np.array([1.0])))
    found, nodes = [y[0], product.dW[0, 0], dx[0]], logistic_nodes(theta=2, x=0.5)
    np.testing.assert_allclose(found, [nodes["y"], nodes["dtheta"], nodes["dx"]], rtol=1e-14)
    np.testing.assert_allclose(found, [0.731059, 0.098306, 0.393224], rtol=0, atol=5e-7)


# ------------------------------------------------------------------------------------ a whole network by hand


@pytest.mark.parametrize(("t", "y", "J"), CROSS_ENTROPIES)
def test_cross_entropy_in_numbers(t, y, J):
    assert nn.BCELoss().forward(np.array([y]), np.array([float(t)])) == pytest.approx(J, abs=5e-4)
    two_classes = np.log([[1 - y, y]])
    assert nn.CrossEntropyLoss().forward(two_classes, np.array([t])) == pytest.approx(J, abs=5e-4)


def test_the_gradients_of_a_network_of_three_layers_by_hand():
    N, d0, d1, d2 = 7, 5, 4, 3
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(N, d0)), rng.integers(0, 2, (N, 1)).astype(float)
    layers = [nn.Linear(d0, d1), nn.Tanh(), nn.Linear(d1, d2), nn.Sigmoid(), nn.Linear(d2, 1), nn.Sigmoid()]
    model, loss = nn.Sequential(*layers).astype(np.float64), nn.BCELoss()
    model.Phi = rng.normal(size=model.Phi.size)
    by_hand = three_layers(X, y, *(P for _, P in model.named_parameters()))

    assert loss.forward(model.forward(X), y) == pytest.approx(by_hand["L"], rel=1e-13)
    np.testing.assert_allclose(loss.backward(), by_hand["dy^"], rtol=1e-12)
    np.testing.assert_allclose(model.backward(loss.backward()), by_hand["dX"], rtol=1e-10, atol=1e-14)
    for (name, gradient), of in zip(model.named_gradients(), ("W1", "b1", "W2", "b2", "U", "c"), strict=True):
        np.testing.assert_allclose(gradient, by_hand[f"d{of}"], rtol=1e-10, atol=1e-14, err_msg=name)

    fused = nn.BCEWithLogitsLoss()  # the sigmoid and the cross-entropy in one
    fused.forward(model[:5].forward(X), y)
    np.testing.assert_allclose(fused.backward(), by_hand["du3"], rtol=1e-12)


@given(arrays(float, (2, 4), elements=st.floats(0.01, 1)))
def test_cross_entropy_is_the_entropy_where_q_is_p_and_larger_elsewhere(PQ):
    P, Q = PQ / PQ.sum(1, keepdims=True)
    loss = nn.CrossEntropyLoss()
    entropy = -sum(p * math.log(p) for p in P)
    np.testing.assert_allclose(loss.forward(np.log(P), P), entropy, rtol=1e-12)
    np.testing.assert_allclose(loss.backward(), 0, atol=1e-14)  # it is the minimum
    divergence = math.fsum(p * math.log(p / q) for p, q in zip(P, Q, strict=True))
    assert loss.forward(np.log(Q), P) >= entropy - 1e-14
    np.testing.assert_allclose(loss.forward(np.log(Q), P) - entropy, divergence, rtol=1e-7, atol=1e-12)


def test_cross_entropy_is_strictly_larger_elsewhere():
    P = np.array([0.5, 0.25, 0.25])
    assert nn.CrossEntropyLoss().forward(np.log(P), P) == pytest.approx(1.5 * math.log(2), rel=1e-15)
    for Q in [0.25, 0.5, 0.25], [0.51, 0.25, 0.24], [0.9, 0.05, 0.05]:
        assert nn.CrossEntropyLoss().forward(np.log(Q), P) > 1.5 * math.log(2)


# ------------------------------------------------------------------------------------ where training starts


def untrained_bce(seed, hidden):
    rng = np.random.default_rng(seed)
    layers = [nn.Linear(30, 16, rng=rng), nn.Tanh(), nn.Linear(16, 8, rng=rng), hidden, nn.Linear(8, 1, rng=rng)]
    X, y = rng.normal(size=(500, 30)), rng.integers(0, 2, (500, 1))
    return nn.BCELoss().forward(nn.Sequential(*layers, nn.Sigmoid()).forward(X), y)


@pytest.mark.parametrize("seed", range(5))
def test_an_untrained_network_has_a_bce_of_about_log_2(seed):
    np.testing.assert_allclose(untrained_bce(seed, nn.Tanh()), math.log(2), rtol=0.25)


def test_an_untrained_network_with_a_sigmoid_layer_has_one_of_about_log_2_on_average():
    """Such a layer's outputs are around 1/2, not 0, so that each network starts with a leaning of its own."""
    np.testing.assert_allclose(
        np.mean([untrained_bce(seed, nn.Sigmoid()) for seed in range(50)]), math.log(2), rtol=0.15
    )


@pytest.mark.parametrize("classes", [3, 10, 100])
def test_an_untrained_network_has_a_cross_entropy_of_about_log_K(classes):
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(64, 32, rng=rng), nn.Tanh(), nn.Linear(32, classes, rng=rng))
    J = nn.CrossEntropyLoss().forward(model.forward(rng.uniform(size=(500, 64))), rng.integers(0, classes, 500))
    np.testing.assert_allclose(J, math.log(classes), rtol=0.1)


def test_a_network_of_zeros_has_a_cross_entropy_of_exactly_log_K():
    model = nn.Linear(5, 7, weight_init=zeros, dtype=np.float64)
    J = nn.CrossEntropyLoss().forward(model.forward(np.ones((4, 5))), np.array([0, 1, 2, 6]))
    np.testing.assert_allclose(J, math.log(7), rtol=1e-15)


def test_all_zero_weights_give_no_gradient_to_the_hidden_layer_for_ever():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 4)), rng.integers(0, 2, (50, 1))
    hidden, output = nn.Linear(4, 3, weight_init=zeros), nn.Linear(3, 1, weight_init=zeros)
    model, loss = nn.Sequential(hidden, nn.Tanh(), output), nn.BCEWithLogitsLoss()
    optimizer = nn.SGD(model, lr=0.5, momentum=0.9)
    for _ in range(20):
        loss.forward(model.forward(X), y)
        model.backward(loss.backward())
        optimizer.step()
        np.testing.assert_array_equal(hidden.dW, 0)
        np.testing.assert_array_equal(hidden.W, 0)
    assert output.b != 0  # all that is learned is the share of the ones


def test_equal_hidden_units_stay_equal_for_ever_and_drawn_ones_do_not():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 4)), rng.integers(0, 2, (50, 1))
    for start, equal in [(lambda shape, dtype, rng: np.full(shape, 0.5, dtype), True), (nn.initializers.normal, False)]:
        hidden, output = nn.Linear(4, 3, weight_init=start, rng=0), nn.Linear(3, 1, weight_init=start, rng=1)
        model, loss = nn.Sequential(hidden, nn.Sigmoid(), output).astype(np.float64), nn.BCEWithLogitsLoss()
        before = hidden.W.copy()
        optimizer = nn.SGD(model, lr=0.5)
        for _ in range(20):
            loss.forward(model.forward(X), y)
            model.backward(loss.backward())
            optimizer.step()
        assert np.allclose(hidden.W, hidden.W[:, :1], rtol=1e-12) == equal
        assert not np.any(np.equal(hidden.W, before))
