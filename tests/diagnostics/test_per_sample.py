"""per_sample_gradients and per_sample_gradient_norms: against dPhi, against single samples, and what they refuse."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.contract import ROWS, forward

import nnlite as nn
from nnlite.basics.trees import each_of, spread
from nnlite.losses.per_output import as_one_loss

rng = np.random.default_rng(0)
X = rng.normal(size=(6, 3))
Y = rng.normal(size=(6, 2))


def network(*layers, dtype=np.float64):
    rng = np.random.default_rng(1)
    return nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), *layers, nn.Linear(4, 2, rng=rng)).astype(dtype)


def gradients_of(model, X, target, loss):
    """As model.backward gives them."""
    model, loss = copy.deepcopy((model, as_one_loss(loss)))
    loss.forward(spread(model.forward, X), target)
    spread(model.backward, loss.backward())
    return dict(model.named_gradients())


def check_sums(model, X, target, loss, **tolerance):
    tolerance = {"rtol": 1e-10, "atol": 1e-12} | tolerance
    gradients = nn.per_sample_gradients(model, X, target, loss)
    norms = nn.per_sample_gradient_norms(model, X, target, loss)
    together = gradients_of(model, X, target, loss)
    assert list(gradients) == list(norms) == list(together)
    for name, dP in together.items():
        assert gradients[name].dtype == norms[name].dtype == dP.dtype
        assert_allclose(gradients[name].sum(axis=0), dP, **tolerance)
        squares = gradients[name].reshape(len(gradients[name]), -1) ** 2
        assert_allclose(norms[name], np.sqrt(squares.sum(axis=1)), **tolerance)
    return gradients


def test_of_one_linear_by_hand():
    layer = nn.Linear(2, 2)
    layer.W = np.zeros((2, 2))
    gradients = nn.per_sample_gradients(layer, [[1, 2], [3, 4]], [[-1, 0], [0, -2]], nn.MSELoss())
    # dY = 2 (0 - target) / 4 = [[0.5, 0], [0, 1]]
    assert_array_equal(gradients["W"], [[[0.5, 0], [1, 0]], [[0, 3], [0, 4]]])
    assert_array_equal(gradients["b"], [[0.5, 0], [0, 1]])
    norms = nn.per_sample_gradient_norms(layer, [[1, 2], [3, 4]], [[-1, 0], [0, -2]], nn.MSELoss())
    assert_allclose(norms["W"], [np.sqrt(5) / 2, 5], rtol=1e-6)
    assert_array_equal(norms["b"], [0.5, 1])


rows_apart = [row for row in ROWS if row.rows_apart and row.target is None and row.layer.Phi.size]


@pytest.mark.parametrize("row", rows_apart, ids=lambda row: row.id)
def test_they_add_up_for_every_layer_whose_rows_are_samples(row):
    model = row.make()
    target = each_of(lambda Y: np.full_like(Y, 0.3), forward(model, row.X))
    loss = each_of(lambda Y: nn.MSELoss(), target)
    check_sums(model, row.X, target, loss)


LOSSES = {
    "sum": (nn.MSELoss(reduction="sum"), Y),
    "CrossEntropy": (nn.CrossEntropyLoss(), np.array([0, 1, 1, 0, 1, 1])),
    "class weights": (nn.CrossEntropyLoss(weight=[0.2, 3.0]), np.array([0, 1, 1, 0, 1, 1])),
    "ignored": (nn.CrossEntropyLoss(ignore_index=7), np.array([0, 1, 7, 0, 7, 1])),
    "probabilities": (nn.CrossEntropyLoss(label_smoothing=0.2), np.abs(Y) / np.abs(Y).sum(axis=1, keepdims=True)),
    "BCE of scores": (nn.BCEWithLogitsLoss(pos_weight=3.0, weight=[[1.0, 2.0]]), (Y > 0) * 1.0),
}


@pytest.mark.parametrize("name", LOSSES)
def test_each_share_is_what_the_sample_alone_gives_over_the_count(name):
    loss, target = LOSSES[name]
    model = network()
    gradients = check_sums(model, X, target, loss)
    loss.forward(model.forward(X), target)
    count = loss.count
    single = copy.deepcopy(loss)
    single.reduction = "sum"
    for i in range(len(X)):
        alone = gradients_of(model, X[i : i + 1], target[i : i + 1], single)
        for dname, dP in alone.items():
            assert_allclose(gradients[dname][i], dP / count, rtol=1e-10, atol=1e-14)


def test_ignored_samples_have_no_gradient():
    norms = nn.per_sample_gradient_norms(network(), X, LOSSES["ignored"][1], LOSSES["ignored"][0])
    assert_array_equal(norms["0.W"] == 0, [False, False, True, False, True, False])


def test_in_float32_also_where_the_sum_is_small_beside_its_terms():
    class Backwards(Slope):
        """Sums from the last sample to the first, with other rounding."""

        def backward(self, dY):
            dX = super().backward(dY)
            self.dalpha = np.sum((dY * self.X)[::-1], axis=0)
            return dX

    model = nn.Sequential(nn.Linear(3, 2, rng=0), Backwards())
    pairs = np.repeat(np.random.default_rng(1).normal(size=(50, 3)), 2, axis=0)
    target = model.forward(pairs) + np.tile([[1.1], [-1.1]], (50, 1))  # the gradients of each pair cancel
    check_sums(model, pairs, target, nn.MSELoss(reduction="sum"), rtol=0, atol=1e-4)


class Slope(nn.Layer, parameters=("alpha",)):
    """A layer of somebody's own."""

    def __init__(self):
        self.alpha = np.full(2, 0.5)

    def forward(self, X):
        self.X = X
        return X * self.alpha

    def backward(self, dY):
        self.dalpha = np.sum(dY * self.X, axis=0)
        return dY * self.alpha


class Twice(nn.Layer):
    """Two layers in one, with a factor that backward puts on a gradient by hand."""

    def __init__(self):
        self.linear = nn.Linear(3, 2, rng=0, dtype=np.float64)

    def forward(self, X):
        return 2 * self.linear(X)

    def backward(self, dY):
        dX = self.linear.backward(dY)
        self.linear.dW *= 2
        self.linear.db *= 2
        return 2 * dX


def test_layers_of_ones_own():
    check_sums(nn.Sequential(nn.Linear(3, 2, rng=0), Slope()).astype(np.float64), X, Y, nn.MSELoss())
    check_sums(Twice(), X, Y, nn.MSELoss())
    only = np.arange(6) == 3  # of the others the gradients are 0
    check_sums(Twice(), X, np.where(only[:, None], Y, Twice().forward(X)), nn.MSELoss())


def test_a_second_use_of_the_parameters_that_adds_next_to_nothing():
    x, layer = nn.Input("x"), nn.Linear(3, 2, rng=0, dtype=np.float64)
    check_sums(nn.Graph(x, layer(x) + nn.tied(layer)(1e-9 * x)), X, Y, nn.MSELoss(), rtol=1e-12, atol=1e-14)


def test_a_linear_before_which_the_samples_change_places():
    class Sorted(nn.Sequential):
        """Its layers get the rows in another order, and nobody outside sees it."""

        def forward(self, X):
            return super().forward(X[::-1])[::-1]

        def backward(self, dY):
            return super().backward(np.ascontiguousarray(dY[::-1]))[::-1]

    inner = [nn.Linear(3, 2, rng=0, dtype=np.float64), nn.Tanh()]
    model, plain = Sorted(*copy.deepcopy(inner)), nn.Sequential(*inner)
    gradients = check_sums(model, X, Y, nn.MSELoss())
    assert_allclose(gradients["0.W"], nn.per_sample_gradients(plain, X, Y, nn.MSELoss())["0.W"], rtol=1e-10)


def test_of_several_inputs_and_outputs_by_name():
    a, b = nn.Input("a"), nn.Input("b")
    h = nn.Tanh()(nn.Linear(3, 2, rng=0, dtype=np.float64)(a) + b)
    model = nn.Graph({"a": a, "b": b}, {"h": h, "score": nn.Linear(2, 3, rng=1, dtype=np.float64)(h)})
    target = {"h": Y, "score": np.array([0, 1, 2, 2, 1, 0])}
    check_sums(model, {"a": X, "b": Y}, target, {"h": nn.MSELoss(), "score": nn.CrossEntropyLoss()})


def test_norms_of_linear_layers_form_no_gradients_and_run_two_samples_alone(monkeypatch):
    seen = []
    forward = nn.Tanh.forward
    monkeypatch.setattr(nn.Tanh, "forward", lambda self, X: seen.append(len(X)) or forward(self, X))
    nn.per_sample_gradient_norms(network(), X, Y, nn.MSELoss())
    assert seen.count(6) <= 2
    assert set(seen) == {1, 6}
    assert seen.count(1) < len(X)


def test_the_model_and_the_loss_stay_as_they_are():
    model, loss = network(Slope4()), nn.MSELoss()
    loss.forward(model.forward(X), Y)
    model.backward(loss.backward())
    Phi, dPhi = model.Phi, model.dPhi
    before = pickle.dumps((model, loss))
    nn.per_sample_gradients(model, X + 1, Y, loss)
    nn.per_sample_gradient_norms(model, X + 1, Y, loss)
    assert pickle.dumps((model, loss)) == before
    assert model.Phi is Phi
    assert model.dPhi is dPhi


class Slope4(Slope):
    def __init__(self):
        self.alpha = np.full(4, 0.5)


class Centred(nn.Layer):
    """Batch normalization's first half, in training mode."""

    def forward(self, X):
        return X - X.mean(axis=0) if self.training else X

    def backward(self, dY):
        return dY - dY.mean(axis=0) if self.training else dY


class Noise(nn.Layer):
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def forward(self, X):
        return X + self.rng.normal(size=X.shape)

    def backward(self, dY):
        return dY


@pytest.mark.parametrize("layer", [Centred(), Noise(), nn.Softmax(dim=0)])
def test_a_layer_that_mixes_samples_or_is_random_is_named(layer):
    model = network(copy.deepcopy(layer))
    for function in nn.per_sample_gradients, nn.per_sample_gradient_norms:
        with pytest.raises(ValueError, match=rf"^Sequential\[2\] {type(layer).__name__}.* depends on the oth"):
            function(model, X, Y, nn.MSELoss())


@pytest.mark.parametrize("seed", range(4))
def test_dropout_is_named_also_where_single_samples_have_the_mask_of_the_batch(seed):
    model = nn.Sequential(nn.Linear(3, 1, rng=0), nn.Dropout(0.5, rng=seed))
    with pytest.raises(ValueError, match=r"^Sequential\[1\] Dropout\(p=0.5\): .* random"):
        nn.per_sample_gradients(model, X, Y[:, :1], nn.MSELoss())


def test_dropout_of_a_single_sample_is_put_back():
    check_sums(network(nn.Dropout(0.5, rng=0)), X[:1], Y[:1], nn.MSELoss())


class SharedNoise(Noise):
    def forward(self, X):
        return X + self.rng.normal(size=X.shape[1:])


def test_random_numbers_that_all_samples_share_are_put_back():
    check_sums(network(SharedNoise()), X, Y, nn.MSELoss())


def test_in_evaluation_mode_it_may_not_mix_them():
    check_sums(network(Centred()).eval(), X, Y, nn.MSELoss())


def test_a_backward_whose_gradients_do_not_add_up():
    class Mean(Slope):
        def backward(self, dY):
            dX = super().backward(dY)
            self.dalpha /= len(dY)
            return dX

    with pytest.raises(ValueError, match=r"1\.alpha: the gradients of the samples do not add up to that of the batch"):
        nn.per_sample_gradients(nn.Sequential(nn.Linear(3, 2, rng=0), Mean()), X, Y, nn.MSELoss())


@pytest.mark.parametrize(("last", "target", "shape"), [(nn.Mean(dim=0, keepdim=True), Y[:1], r"\(1, 2\)"),
                                                       (nn.Sum(), Y, r"\(\)")])  # fmt: skip
def test_an_output_without_a_row_per_sample(last, target, shape):
    model = nn.Sequential(nn.Linear(3, 2), last)
    with pytest.raises(nn.ShapeError, match=f"one row of output for each of the 6 samples, got shape {shape}"):
        nn.per_sample_gradients(model, X, target, nn.MSELoss())


def test_inputs_of_different_lengths():
    graph = nn.Graph([a := nn.Input("a"), b := nn.Input("b")], nn.Linear(3, 3)(a) + b)
    with pytest.raises(nn.ShapeError, match="X: expected one row per sample in each array, got 6 and 1"):
        nn.per_sample_gradients(graph, (X, X[:1]), X, nn.MSELoss())


def test_a_single_number_has_no_rows():
    with pytest.raises(nn.ShapeError, match="X: expected one row per sample, got a single number"):
        nn.per_sample_gradients(nn.Linear(1, 1), 3.0, 1.0, nn.MSELoss())


def test_something_else_than_a_loss():
    with pytest.raises(TypeError, match="loss: expected a Loss, got the class itself; write MSELoss"):
        nn.per_sample_gradients(network(), X, Y, nn.MSELoss)
    with pytest.raises(TypeError, match="model: expected a Layer"):
        nn.per_sample_gradients(3, X, Y, nn.MSELoss())


def test_a_single_sample_and_a_model_without_parameters():
    check_sums(network(), X[:1], Y[:1], nn.MSELoss())
    assert nn.per_sample_gradients(nn.Tanh(), X, X, nn.MSELoss()) == {}


class OwnLinear(nn.Layer, parameters=("U",)):
    """``Y = X U``, which counts the samples that run alone, and may say what its gradient is a sum of."""

    alone = 0

    def __init__(self, factors=None):
        self.U, self.factors = np.arange(6.0).reshape(3, 2) / 10, factors

    def forward(self, X):
        OwnLinear.alone += len(X) == 1
        self.X = self.check_X(X)
        return self.record_Y(self.X @ self.U)

    def backward(self, dY):
        dY = self.check_dY(dY)
        self.dU = self.X.T @ dY
        return dY @ self.U.T

    def gradient_factors(self, dY):
        return {} if self.factors is None else {"U": self.factors(self.X, dY)}


@pytest.mark.parametrize(
    ("factors", "alone"),
    [(None, 4 + 7), (lambda X, dY: (X, dY), 4), (lambda X, dY: (X, 2 * dY), 4 + 7)],
    ids=["none", "own", "wrong"],
)
def test_a_users_layer_may_say_what_its_gradient_is_a_sum_of(factors, alone):
    """Where what it says is not so, each of the seven samples runs alone; the first and the last always do, twice."""
    X, target = np.random.default_rng(0).normal(size=(7, 3)), np.ones((7, 2))
    layer = OwnLinear(factors)
    Y = layer.forward(X)
    expected = np.linalg.norm(X, axis=1) * np.linalg.norm((Y - target) / 7, axis=1)  # |x_i| |dy_i|
    OwnLinear.alone = 0
    found = nn.per_sample_gradient_norms(layer, X, target, nn.MSELoss())["U"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert OwnLinear.alone == alone
