"""Where and comparisons: what is chosen, ties, NaN, broadcasting; gradients at large are in test_contract.py."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn

inf, nan = np.inf, np.nan


def test_what_is_not_chosen_has_no_influence():
    layer = nn.Where()
    Z = layer.forward([True, False, True], [1.0, nan, 3.0], [inf, -inf, nan])
    assert_array_equal(Z, [1, -inf, 3])
    dX, dY = layer.backward(np.array([10.0, 20.0, inf]))
    assert_array_equal(dX, [10, 0, inf])
    assert_array_equal(dY, [0, 20, 0])


def test_gradients_of_what_is_broadcast_are_summed():
    layer = nn.Where()
    assert_array_equal(layer.forward([[True], [False]], [1.0, 2.0, 3.0], 5.0), [[1, 2, 3], [5, 5, 5]])
    dX, dY = layer.backward(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert_array_equal(dX, [1, 2, 3])
    assert_array_equal(dY, 15)


def test_a_condition_of_numbers_is_true_where_they_are_not_0():
    for condition in [0.0, 0.5, -1.0], [0, 1, 2]:
        assert_array_equal(nn.Where().forward(condition, [1.0, 2.0, 3.0], 0.0), [0, 2, 3])


def test_dtypes_are_those_of_the_inputs():
    for dtype in np.float32, np.float64:
        X = np.ones(3, dtype)
        for layer, Xs in (nn.Where(), (X > 0, X, X)), (nn.Greater(), (X, X)), (nn.GreaterEqual(), (X, X)):
            Z = layer.forward(*Xs)
            assert {Z.dtype, *(each.dtype for each in layer.backward(Z))} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("layer", "expected"), [(nn.Greater(), [0, 1, 0, 0, 0, 0, 1]), (nn.GreaterEqual(), [0, 1, 1, 1, 0, 0, 1])]
)
def test_comparisons_with_ties_infinity_and_nan(layer, expected):
    Z = layer.forward([1.0, 2.0, -0.0, inf, nan, 1.0, inf], [2.0, 1.0, 0.0, inf, nan, nan, 5.0])
    assert_array_equal(Z, expected)


def test_equal_of_numbers_with_ties_and_nan():
    layer = nn.Equal()
    assert_array_equal(layer.forward([1.0, -0.0, inf, nan, 2.0], [1.0, 0.0, inf, nan, 3.0]), [1, 1, 1, 0, 0])
    assert layer.forward(np.ones(2), np.ones(2, np.float32)).dtype == np.float64


def test_equal_of_whole_numbers_is_exact():
    words = np.array([2**53, 2**53 + 1, 0])
    assert_array_equal(nn.Equal().forward(words, np.array([2**53 + 1])), [0, 1, 0])


def test_a_mask_that_a_graph_makes_of_its_words():
    words = nn.Input("words")
    some = 1 - nn.Equal()(words, 0)
    model = nn.Graph(words, nn.Embedding(5, 3, rng=0)(words) * nn.Unflatten(1, (-1, 1))(some))
    X = np.array([[3, 1, 0], [2, 0, 0]])
    assert_array_equal(model.forward(X), model.layers[0].W[X] * (X != 0)[..., None])
    assert model.backward(np.ones((2, 3, 3))) is None
    assert nn.check_gradients(model, X)


def test_shapes_that_do_not_match():
    with pytest.raises(nn.ShapeError, match="Where"):
        nn.Where().forward(np.ones(2, bool), np.ones(3), np.ones(3))
    with pytest.raises(TypeError, match="condition"):
        nn.Where().forward(np.array(["yes"]), np.ones(3), np.ones(3))


def test_in_a_graph_the_condition_gets_no_gradient():
    x, y = nn.Input("x"), nn.Input("y")
    either = nn.GreaterEqual()(x, y) * (1 - nn.Greater()(x, 2.0))
    graph = nn.Graph([x, y], nn.Where()(either, x**2, 3 * y))
    X, Y = np.array([1.0, 1.5, 4.0]), np.array([0.0, 2.0, 1.0])
    assert_array_equal(graph.forward(X, Y), [1, 6, 3])
    dX, dY = graph.backward(np.ones(3))
    assert_array_equal(dX, [2, 0, 0])
    assert_array_equal(dY, [0, 3, 3])


def test_the_same_as_where_of_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    C, X, Y, dZ = rng.normal(size=(4, 1)) > 0, rng.normal(size=(3,)), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    tX, tY = torch.tensor(X, requires_grad=True), torch.tensor(Y, requires_grad=True)
    tZ = torch.where(torch.tensor(C), tX, tY)
    tZ.backward(torch.tensor(dZ))
    layer = nn.Where()
    assert_array_equal(layer.forward(C, X, Y), tZ.detach())
    dX, dY = layer.backward(dZ)
    np.testing.assert_allclose(dX, tX.grad, rtol=1e-12)
    assert_array_equal(dY, tY.grad)


def test_the_same_as_comparisons_of_pytorch():
    torch = pytest.importorskip("torch")
    X, Y = np.array([1.0, 2.0, 0.0, inf, nan, -inf]), np.array([[1.0], [nan], [-0.0], [inf]])
    for layer, compared in (nn.Greater(), torch.gt), (nn.GreaterEqual(), torch.ge), (nn.Equal(), torch.eq):
        assert_array_equal(layer.forward(X, Y), compared(torch.tensor(X), torch.tensor(Y)))
