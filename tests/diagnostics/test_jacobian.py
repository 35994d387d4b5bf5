"""jacobian and input_gradient."""

import copy
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.contract import ROWS, inputs_of, some_dY
from support.contract_row import one_of_each

import nnlite as nn
from nnlite.basics.trees import listed, spread
from nnlite.diagnostics.named_inputs import gradients_by_name, inputs_by_name

X = np.linspace(-1, 1, 12).reshape(4, 3)


def linear():
    layer = nn.Linear(3, 2, rng=0, dtype=np.float64)
    layer.b = [0.5, -0.25]
    return layer


class Only(nn.Layer):
    """A layer with one of its outputs alone."""

    def __init__(self, layer, number):
        self.layer, self.number = layer, number

    def forward(self, *Xs, **named):
        self.Ys = self.layer.forward(*Xs, **named)
        return self.record_Y(listed(self.Ys)[self.number])

    def backward(self, dY):
        dYs = [np.zeros_like(Y) for Y in listed(self.Ys)]
        dYs[self.number] = self.check_dY(dY)
        return self.layer.backward(*dYs)


# ------------------------------------------------------------------------------------ the contract


@pytest.mark.parametrize("row", one_of_each(ROWS), ids=lambda row: row.id)
def test_contracted_with_any_dY_it_is_backward(row):
    """``sum_i dY_i dY_i/dX_j = dX_j``, for each output of each row of the contract table.

    And for each input and parameter; of the many parameters of some layers for one in so many.
    """
    given = inputs_of(row)
    outputs = len(listed(spread(row.make().forward, given)))
    for number in range(outputs):
        layer, other = (row.make() if outputs == 1 else Only(row.make(), number) for _ in range(2))
        (Y,) = listed(spread(layer.forward, given))
        dY = np.asarray(some_dY(Y))
        dXs = gradients_by_name(layer, inputs_by_name(layer, given), layer.backward(dY))
        gradients = {name: dX for name, dX in dXs.items() if dX is not None} | dict(layer.named_gradients())
        assert gradients or isinstance(layer, nn.Equal)  # which has none
        for name, gradient in list(gradients.items())[:: 1 + len(gradients) // 6]:
            J = nn.jacobian(copy.deepcopy(other), given, name)  # a random layer draws the numbers that layer drew
            assert J.shape == np.shape(Y) + np.shape(gradient)
            assert_allclose(np.tensordot(dY, J, dY.ndim), gradient, rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------------------------ closed forms


def test_of_a_linear_layer():
    layer = linear()
    eye, rows = np.eye(2), np.eye(4)
    # dY_nm/dX_pd = [n = p] W_dm; dY_nm/dW_dk = X_nd [m = k]; dY_nm/db_k = [m = k]
    assert_array_equal(nn.jacobian(layer, X), np.einsum("np,dm->nmpd", rows, layer.W))
    assert_array_equal(nn.jacobian(layer, X, wrt="W"), np.einsum("nd,mk->nmdk", X, eye))
    assert_array_equal(nn.jacobian(layer, X, wrt="b"), np.broadcast_to(eye, (4, 2, 2)))


def test_of_an_elementwise_layer_it_is_diagonal():
    J = nn.jacobian(nn.Tanh(), X).reshape(12, 12)
    assert_allclose(J, np.diag(1 - np.tanh(X.ravel()) ** 2), rtol=1e-14)


def test_of_softmax():
    x = np.array([0.5, -1.0, 2.0])
    y = np.exp(x) / np.exp(x).sum()
    assert_allclose(nn.jacobian(nn.Softmax(), x), np.diag(y) - np.outer(y, y), rtol=1e-14, atol=1e-16)


def test_of_a_model_by_a_parameter_deep_down():
    model = nn.Sequential(nn.Sequential(linear()), nn.Tanh())
    J = nn.jacobian(model, X, wrt="0.0.b")
    slope = 1 - np.tanh(X @ model[0][0].W + model[0][0].b) ** 2
    assert_allclose(J, slope[..., None] * np.eye(2), rtol=1e-12)


def test_of_a_tied_parameter_it_is_the_sum_of_both_uses():
    encoder = nn.Linear(1, 1, bias=False, dtype=np.float64)
    encoder.W = [[3.0]]
    model = nn.Sequential(encoder, nn.tied(encoder, transpose=True))  # Y = W^2 X
    assert_array_equal(nn.jacobian(model, [[5.0]], wrt="0.W"), [[[[2 * 3 * 5]]]])


def test_of_a_loss():
    Y, target = np.array([1.0, 2.0]), np.array([0.0, 5.0])
    assert_array_equal(nn.jacobian(nn.MSELoss(), (Y, target), wrt="X1"), Y - target)
    with pytest.raises(TypeError, match=r"jacobian: MSELoss\(\) has no gradient with respect to X2"):
        nn.jacobian(nn.MSELoss(), (Y, target), wrt="X2")


def test_of_several_inputs():
    A, B = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    assert_array_equal(nn.jacobian(nn.Multiply(), (A, B), wrt="X1"), np.diag(B))
    assert_array_equal(nn.jacobian(nn.Multiply(), (A, B), wrt="X2"), np.diag(A))
    a, b = nn.Input("a"), nn.Input("b")
    by_position, by_key = nn.Graph([a, b], a / b), nn.Graph({"a": a, "b": b}, nn.Divide()(a, b))
    for graph in by_position, by_key:
        for given in (A, B), {"a": A, "b": B}, {"b": B, "a": A}:
            assert_allclose(nn.jacobian(graph, given, wrt="a"), np.diag(1 / B))
            assert_allclose(nn.jacobian(graph, given, wrt="b"), np.diag(-A / B**2))


def test_of_a_graph_of_one_input_by_its_name_too():
    x = nn.Input("x")
    graph = nn.Graph(x, nn.Parameter(3.0, name="theta", dtype=np.float64) * x)
    for wrt in "X", "x":
        assert_array_equal(nn.jacobian(graph, [1.0, 2.0], wrt=wrt), 3 * np.eye(2))
    assert_array_equal(nn.jacobian(graph, [1.0, 2.0], wrt="theta.value"), [1, 2])


def test_dtypes():
    assert nn.jacobian(nn.Linear(3, 2), X).dtype == np.float32
    assert nn.jacobian(linear(), X).dtype == np.float64
    assert nn.jacobian(nn.Tanh(), [[1, 2]]).dtype == np.float32


def test_nothing_is_written_on_the_layer():
    model = nn.Sequential(linear(), nn.Tanh())
    Y = model.forward(X)
    model.backward(np.ones_like(Y))
    model.needs_dX = False
    dPhi = model.dPhi.copy()
    nn.jacobian(model, X[:2])
    nn.input_gradient(model, X[:2])
    assert not model.needs_dX
    assert model.training
    assert_array_equal(model.dPhi, dPhi)
    model.backward(np.ones_like(Y))  # its cache is that of four rows
    assert_array_equal(model.dPhi, dPhi)


# ------------------------------------------------------------------------------------ what it refuses


def test_that_of_64_rows_of_4096_features_is_refused_with_its_size():
    layer, rows = nn.Tanh(), np.zeros((64, 4096), np.float32)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"68,719,476,736 entries, 256 GiB, more than max_bytes \(1 GiB\)"):
            nn.jacobian(layer, rows)
        assert tracemalloc.get_traced_memory()[1] < 2**30
    finally:
        tracemalloc.stop()


def test_max_bytes():
    assert nn.jacobian(nn.Tanh(), X, max_bytes=12 * 12 * 8).shape == (4, 3, 4, 3)
    with pytest.raises(
        ValueError,
        match=r"of shape \(4, 3\) x \(4, 3\) has 144 entries, 1\.125 KiB, more than max_bytes \(1\.124 KiB\)",
    ):
        nn.jacobian(nn.Tanh(), X, max_bytes=12 * 12 * 8 - 1)


@pytest.mark.parametrize(
    ("max_bytes", "text"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1024, "1 KiB"), (2**19, "512 KiB"), (2**20, "1 MiB")],
)
def test_memory_is_told_in_a_unit_of_which_there_is_one(max_bytes, text):
    with pytest.raises(ValueError, match=rf"1.221 MiB, more than max_bytes \({text}\)$"):
        nn.jacobian(nn.Tanh(), np.zeros(400), max_bytes=max_bytes)


@pytest.mark.parametrize("wrt", ["V", "W.0", "", "dW", 0])
def test_an_unknown_name(wrt):
    with pytest.raises(ValueError, match=f"jacobian: wrt: expected one of X, W, b, got {wrt!r}"):
        nn.jacobian(linear(), X, wrt=wrt)


def test_several_outputs_are_refused():
    with pytest.raises(TypeError, match=r"expected a layer of one output, got Split\(\[1, 2\], dim=-1\), which has 2"):
        nn.jacobian(nn.Split([1, 2]), X)


def test_it_takes_a_layer():
    with pytest.raises(TypeError, match="layer: expected a Layer, got 3"):
        nn.jacobian(3, X)
    with pytest.raises(TypeError, match="model: expected a Layer, got 3"):
        nn.input_gradient(3, X)


# ------------------------------------------------------------------------------------ input_gradient


def test_input_gradient_is_that_of_the_sum_of_the_outputs():
    model = nn.Sequential(linear(), nn.Tanh())
    J = nn.jacobian(model, X)
    assert_allclose(nn.input_gradient(model, X), J.sum(axis=(0, 1)), rtol=1e-13)
    assert_array_equal(nn.input_gradient(linear(), X), np.broadcast_to(linear().W.sum(axis=1), (4, 3)))


def test_input_gradient_is_in_evaluation_mode():
    class Modes(nn.Identity):
        def backward(self, dY):
            return super().backward(dY) * (2 if self.training else 1)

    assert_array_equal(nn.input_gradient(Modes(), X), np.ones((4, 3)))


def test_input_gradient_of_several_inputs_and_outputs_in_their_form():
    A, B = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    dA, dB = nn.input_gradient(nn.Multiply(), (A, B))
    assert_array_equal(dA, B)
    assert_array_equal(dB, A)
    a, b = nn.Input("a"), nn.Input("b")
    for inputs in [a, b], {"a": a, "b": b}:
        h = a * b
        graph = nn.Graph(inputs, {"product": h, "square": a * a})
        gradients = nn.input_gradient(graph, {"b": B, "a": A})
        assert set(gradients) == {"a", "b"}
        assert_array_equal(gradients["a"], B + 2 * A)
        assert_array_equal(gradients["b"], A)


def test_input_gradient_for_descent_on_the_input():
    model = nn.Sequential(linear(), nn.Square(), nn.Sum(dim=-1))
    point, sums = X.copy(), []
    for _ in range(10):
        sums.append(model.forward(point).sum())
        point -= 0.1 * nn.input_gradient(model, point)
    assert sums == sorted(sums, reverse=True)
    assert sums[-1] < 0.5 * sums[0]


def test_the_input_gradient_of_one_class():
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Softmax()).astype(np.float64)
    X = rng.normal(size=(5, 3))
    P = model.forward(X)
    # d p_k / d x = p_k (w_k - sum_j p_j w_j)
    expected = P[:, 2:3] * (model[0].W[:, 2] - P @ model[0].W.T)
    assert nn.input_gradient(model, X, output=2) == pytest.approx(expected)
    assert nn.input_gradient(model, X, output=-2) == pytest.approx(expected)
    assert nn.input_gradient(model, X[0], output=2) == pytest.approx(expected[0])
    assert nn.input_gradient(model[:1], X, output=1) == pytest.approx(np.tile(model[0].W[:, 1], (5, 1)))


def test_the_sum_of_probabilities_has_no_input_gradient():
    x = nn.Input("x")
    softmax = nn.Sequential(nn.Linear(3, 4), nn.Softmax())
    for model in softmax, nn.Sequential(softmax, nn.Identity()), nn.Graph(x, nn.Softmax()(nn.Linear(3, 4)(x))):
        with pytest.raises(ValueError, match="its probabilities sum to 1, which has gradient 0; pass output="):
            nn.input_gradient(model, np.ones((5, 3)))


def test_saturated_probabilities_of_a_class_have_a_small_input_gradient_and_its_logit_has_not():
    """As of keras#5881: behind a saturated softmax the gradient of a class is 0; that of its logit is a row of W."""
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Softmax()).astype(np.float64)
    model[0].b = [0, 60, 0, 0]
    assert abs(nn.input_gradient(model, X, output=1)).max() < 1e-20
    assert_array_equal(nn.input_gradient(model[:1], X, output=1), np.tile(model[0].W[:, 1], (4, 1)))


def test_bad_outputs():
    with pytest.raises(IndexError, match="output: expected an index from 0 to 3, got 4"):
        nn.input_gradient(nn.Linear(3, 4), np.ones((5, 3)), output=4)
    x = nn.Input("x")
    with pytest.raises(TypeError, match="output: expected a model with one output array, got 2"):
        nn.input_gradient(nn.Graph(x, [nn.Tanh()(x), nn.Square()(x)]), np.ones((5, 3)), output=0)
