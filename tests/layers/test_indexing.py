"""Select and Slice, as layers and as the index of a node; Max and Min. Gradients at large are in test_contract.py."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn
from nnlite.basics.shapes import UNKNOWN

X = np.arange(24.0).reshape(2, 3, 4)


def test_select_takes_an_entry_and_puts_its_gradient_there():
    layer = nn.Select(1, -1)
    assert_array_equal(layer.forward(X), [[8, 9, 10, 11], [20, 21, 22, 23]])
    dX = layer.backward(np.ones((2, 4)))
    assert_array_equal(dX.sum((0, 2)), [0, 0, 8])


@pytest.mark.parametrize("ends", [(1, None), (None, -1), (0, 3, 2), (None, None, -1), (-2, 5), (2, 2), (3, 0, -2)])
def test_slice_takes_what_python_takes(ends):
    layer = nn.Slice(2, *ends)
    assert_array_equal(layer.forward(X), X[:, :, slice(*ends)])
    dY = X[:, :, slice(*ends)] + 100
    dX = layer.backward(dY)
    assert dX.sum() == dY.sum()
    assert_array_equal(dX[:, :, slice(*ends)], dY)
    assert layer.output_shape((None, 3, 4)) == (None, *dY.shape[1:])


def test_the_result_is_not_a_view():
    for layer in nn.Select(0, 0), nn.Slice(0, 0):
        A = X.copy()
        layer.forward(A)[...] = -1
        assert_array_equal(A, X)


@pytest.mark.parametrize(
    ("layer", "given", "shape"),
    [
        (nn.Select(1, 0), (5, 3, 2), (5, 2)),
        (nn.Select(-1, 0), (..., 3, 2), (..., 3)),
        (nn.Select(0, 0), UNKNOWN, UNKNOWN),
        (nn.Select(1, 7), (5, None, 2), (5, 2)),
        (nn.Slice(-1, 1), (..., 3), (..., 2)),
        (nn.Slice(1, 1), (5, None), (5, None)),
        (nn.Max(1), (5, 3), (5,)),
    ],
)
def test_shapes(layer, given, shape):
    assert layer.output_shape(given) == shape


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Select(1.0, 2), TypeError, "Select: dim"),
        (lambda: nn.Select(1, "a"), TypeError, "Select: index"),
        (lambda: nn.Slice(1, 0.5), TypeError, "Slice: start"),
        (lambda: nn.Slice(1, 0, 2, 0), ValueError, "Slice: step: expected another number than 0"),
        (
            lambda: nn.Select(1, 3).forward(X),
            nn.ShapeError,
            "expected more entries along axis 1, got X",
        ),
        (lambda: nn.Select(3, 0).forward(X), nn.ShapeError, "expected X with axis 3"),
        (lambda: nn.Slice(-4).forward(X), nn.ShapeError, "expected X with axis -4"),
        (lambda: nn.Max(1).forward(np.ones((2, 0))), nn.ShapeError, "expected at least one entry"),
        (lambda: nn.Min().forward(np.ones((0, 2))), nn.ShapeError, "expected at least one entry"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


INDICES = [
    np.s_[:, -1],
    np.s_[0],
    np.s_[..., 0],
    np.s_[1:, ..., ::2],
    np.s_[:, 1:, 0],
    np.s_[0, ..., 1, 2],
    np.s_[..., 1, :2],
    np.s_[..., 0, 1, :],
    np.s_[:, ::-1],
    np.s_[...],
    np.s_[:],
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_the_index_of_a_node_is_that_of_numpy(index):
    x = nn.Input("x", shape=(2, 3, 4))
    graph = nn.Graph(x, 2.0 * x[index])
    assert_array_equal(graph.forward(X), 2 * X[index])
    ones = np.zeros_like(X)
    ones[index] = 2
    assert_array_equal(graph.backward(np.ones_like(X[index])), ones)


@pytest.mark.parametrize("index", [None, np.s_[:, None], "a", 1.5, True, np.s_[..., ...], [0, 1], np.array([0])])
def test_another_index_of_a_node_is_an_error(index):
    with pytest.raises(TypeError, match="expected"):
        nn.Input("x")[index]


def test_a_node_cannot_be_iterated():
    with pytest.raises(TypeError, match="not iterable"):
        list(nn.Input("x"))


def test_max_and_min_divide_the_gradient_among_equal_entries():
    A = np.array([[3.0, 1.0, 3.0], [2.0, 2.0, 5.0]])
    for layer, Y, dX in [
        (nn.Max(1), [3, 5], [[3, 0, 3], [0, 0, 6]]),
        (nn.Min(1), [1, 2], [[0, 6, 0], [3, 3, 0]]),
        (nn.Max(0, keepdim=True), [[3, 2, 5]], [[6, 0, 0], [0, 6, 6]]),
        (nn.Max(), 5, [[0, 0, 0], [0, 0, 6]]),
    ]:
        assert_array_equal(layer.forward(A), Y)
        assert_array_equal(layer.backward(np.full(np.shape(Y), 6.0)), dX)


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    A = rng.integers(3, size=(4, 5, 3)).astype(float)  # with equal entries
    for layer, theirs in [
        (nn.Max(1), lambda x: x.amax(1)),
        (nn.Min((0, 2), keepdim=True), lambda x: x.amin((0, 2), keepdim=True)),
        (nn.Select(1, -2), lambda x: x.select(1, -2)),
        (nn.Slice(1, 1, -1, 2), lambda x: x[:, 1:-1:2]),
    ]:
        x = torch.tensor(A, requires_grad=True)
        Y, expected = layer.forward(A), theirs(x)
        assert_array_equal(Y, expected.detach())
        (expected**2).sum().backward()
        np.testing.assert_allclose(layer.backward(2 * Y), x.grad, rtol=1e-12)
