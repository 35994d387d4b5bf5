"""tied: a second use of a layer's parameters."""

import copy
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn

X = np.linspace(-1, 1, 12).reshape(4, 3)


def square(seed=0, **options):
    return nn.Linear(3, 3, rng=seed, dtype=np.float64, **options)


def autoencoder(bias=True):
    encoder = nn.Linear(3, 2, rng=0, bias=bias)
    return nn.Sequential(encoder, nn.Tanh(), nn.tied(encoder, transpose=True))


def twice():
    layer = square()
    return nn.Sequential(layer, nn.Tanh(), nn.tied(layer), nn.Tanh(), nn.tied(layer))


def before_the_original():
    layer = square()
    return nn.Sequential(nn.tied(layer), nn.Tanh(), layer)


def of_a_sequential():
    inner = nn.Sequential(square(), nn.Tanh(), square(1))
    return nn.Sequential(inner, nn.Tanh(), nn.tied(inner))


def of_a_graph():
    x = nn.Input("x")
    inner = nn.Graph(x, nn.Tanh()(square()(x)) * nn.Parameter([1.0, 2.0, 3.0], dtype=np.float64))
    return nn.Sequential(inner, nn.tied(inner))


def nested(order):
    layer = square()
    parts = [nn.Sequential(layer, nn.Tanh()), nn.Sequential(nn.Sequential(nn.Tanh(), nn.tied(layer)))]
    return nn.Sequential(*parts[::order])


def nested_in_one_part():
    layer = square()
    return nn.Sequential(nn.Sequential(layer, nn.tied(layer)), nn.Tanh(), nn.tied(layer), square(1))


def ties_of_ties_of_ties():
    layer = square()
    for _ in range(3):
        layer = nn.Sequential(layer, nn.Tanh(), nn.tied(layer))
    return layer


def in_a_graph():
    x, layer = nn.Input("x"), square()
    h = nn.Tanh()(layer(x))
    return nn.Graph(x, nn.tied(layer)(h) + nn.tied(layer, transpose=True)(h) * nn.tied(layer)(x))


def tied_before_its_original_in_a_graph():
    x, layer = nn.Input("x"), square()
    return nn.Graph(x, layer(nn.Tanh()(nn.tied(layer)(x))))


def of_a_tied_one():
    layer = square()
    return nn.Sequential(layer, nn.Tanh(), nn.tied(nn.tied(layer)))


def of_a_transposed_one():
    layer = square()
    transposed = nn.tied(layer, transpose=True)
    return nn.Sequential(layer, nn.Tanh(), transposed, nn.Tanh(), nn.tied(transposed))


def of_a_part_with_a_tie_in_it():
    layer = square()
    inner = nn.Sequential(layer, nn.Tanh(), nn.tied(layer), nn.tied(layer, transpose=True))
    return nn.Sequential(inner, nn.Tanh(), nn.tied(inner))


def before_a_part_with_a_tie_in_it():
    layer = square()
    inner = nn.Sequential(layer, nn.Tanh(), nn.tied(layer), nn.tied(layer, transpose=True))
    return nn.Sequential(nn.tied(inner), nn.Tanh(), inner, nn.tied(inner))


def of_a_part_tied_to_what_is_outside():
    layer = square()
    inner = nn.Sequential(nn.tied(layer), nn.Tanh(), nn.tied(layer, transpose=True))
    return nn.Sequential(layer, inner, nn.tied(inner))


def in_a_residual():
    layer = square()
    return nn.Residual(layer, nn.Tanh(), nn.tied(layer))


def in_branches():
    layer = square()
    return nn.Parallel(nn.Sequential(layer, nn.Tanh()), nn.tied(layer))


class Own(nn.Layer, parameters=("scale",)):
    """A user's own composite: ``Y = s A(tanh(A(X)))``."""

    sums_tied = True

    def __init__(self):
        self.dtype = np.dtype(np.float64)
        self.scale = 0.5
        self.first = square()
        self.tanh = nn.Tanh()
        self.second = nn.tied(self.first)

    def forward(self, X):
        self.H = self.second(self.tanh(self.first(X)))
        return self.record_Y(self.scale * self.H)

    def backward(self, dY):
        dY = self.check_dY(dY)
        self.dscale = np.sum(dY * self.H)
        dX = self.first.backward(self.tanh.backward(self.second.backward(self.scale * dY)))
        self.add_tied()
        return dX


class OwnThatLeavesTheSum(Own):
    """The same, but for the sum, which the container around it does."""

    sums_tied = False

    def add_tied(self):
        pass


def own_in_a_container():
    return nn.Sequential(OwnThatLeavesTheSum(), nn.Tanh())


MODELS = [
    lambda: autoencoder().astype(np.float64),
    lambda: autoencoder(bias=False).astype(np.float64),
    twice,
    before_the_original,
    of_a_sequential,
    of_a_graph,
    lambda: nested(1),
    lambda: nested(-1),
    nested_in_one_part,
    ties_of_ties_of_ties,
    in_a_graph,
    tied_before_its_original_in_a_graph,
    of_a_tied_one,
    of_a_transposed_one,
    of_a_part_with_a_tie_in_it,
    before_a_part_with_a_tie_in_it,
    of_a_part_tied_to_what_is_outside,
    in_a_residual,
    in_branches,
    Own,
    own_in_a_container,
]
IDS = [
    "transpose",
    "transpose-without-b",
    "twice",
    "before",
    "sequential",
    "graph",
    "nested",
    "nested-before",
    "nested-in-one-part",
    "ties-of-ties-of-ties",
    "in-a-graph",
    "in-a-graph-before",
    "tied-tied",
    "tied-transpose",
    "with-a-tie-in-it",
    "before-one-with-a-tie-in-it",
    "tied-to-outside",
    "residual",
    "branches",
    "own",
    "own-in-a-container",
]
over_models = pytest.mark.parametrize("make", MODELS, ids=IDS)
copies = pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)


def run(model):
    """Y, dX and a copy of dPhi."""
    Y = model.forward(X)
    dX = model.backward(np.cos(np.arange(Y.size)).reshape(Y.shape).astype(Y.dtype))
    return Y, dX, model.dPhi.copy()


@over_models
def test_the_gradient_is_the_sum_of_that_of_all_uses(make):
    model = make()
    assert nn.check_gradients(model, X).right
    nn.fit(model, X, np.zeros_like(model.forward(X)), loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), verbose=0)


@over_models
def test_backward_overwrites(make):
    model = make()
    first, again = run(model), run(model)
    for one, other in zip(first, again, strict=True):
        assert_array_equal(one, other)


@over_models
@copies
def test_a_copy_keeps_its_ties_to_itself(make, copied):
    model = make()
    before = run(model)
    twin = copied(model)
    assert not np.shares_memory(twin.Phi, model.Phi)
    for one, other in zip(before, run(twin), strict=True):
        assert_array_equal(one, other)
    twin.Phi -= 0.1
    assert nn.check_gradients(twin, X).right
    for one, other in zip(before, run(model), strict=True):
        assert_array_equal(one, other)


def test_ties_of_ties_have_gradients_of_their_own_also_when_they_are_loaded(tmp_path):
    model = ties_of_ties_of_ties()
    nn.save(model, tmp_path / "model.npz")
    for one, other in zip(run(model), run(nn.load(tmp_path / "model.npz")), strict=True):
        assert_array_equal(one, other)


def test_it_computes_what_the_layer_computes_with_a_cache_of_its_own():
    layer = square()
    tied = nn.tied(layer)
    nn.Sequential(layer, tied)
    A, B = X[:2], X[2:]
    YA, YB = layer.forward(A), tied.forward(B)
    assert_array_equal(YB, B @ layer.W + layer.b)
    layer.backward(np.ones_like(YA))
    assert_allclose(layer.dW, A.T @ np.ones((2, 3)))
    assert_array_equal(tied.backward(np.ones_like(YB)), np.ones((2, 3)) @ layer.W.T)
    assert_allclose(layer.dW, A.T @ np.ones((2, 3)))
    tied.add_gradients()
    assert_allclose(layer.dW, X.T @ np.ones((4, 3)))


def test_the_closed_form_of_the_transposed_one():
    model = autoencoder().astype(np.float64)
    encoder, _, decoder = model
    decoder.b = [1.0, 2.0, 3.0]
    H = np.tanh(X @ encoder.W + encoder.b)
    assert_allclose(model.forward(X), H @ encoder.W.T + [1.0, 2.0, 3.0], rtol=1e-14)
    dY = np.cos(np.arange(12.0)).reshape(4, 3)
    dX = model.backward(dY)
    du = (dY @ encoder.W) * (1 - H * H)
    assert_allclose(dX, du @ encoder.W.T, rtol=1e-13)
    assert_allclose(encoder.dW, X.T @ du + dY.T @ H, rtol=1e-13)
    assert_allclose(encoder.db, du.sum(axis=0), rtol=1e-13)
    assert_allclose(decoder.db, dY.sum(axis=0), rtol=1e-13)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3)])
def test_leading_axes_of_the_transposed_one_are_free(shape):
    model = autoencoder()
    A = np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    assert model.forward(A).shape == shape
    assert nn.check_gradients(model, A).right


def test_parameters_are_counted_once():
    model = autoencoder()
    assert [name for name, _ in model.named_parameters()] == ["0.W", "0.b", "2.b"]
    assert model.Phi.size == 6 + 2 + 3
    assert list(autoencoder(bias=False).state_dict()) == ["0.W"]
    table = nn.summary(model, 3)
    assert (table.parameters, [row.parameters for row in table.rows]) == (11, [8, 0, 3])
    assert [name for name, _ in twice().named_gradients()] == ["0.W", "0.b"]
    assert nn.summary(twice(), 3).parameters == 12
    assert [row.layer for row in nn.summary(twice(), 3).rows][2] == "Tied(Linear(3 -> 3, dtype=float64))"
    assert repr(model[2]).startswith("TiedTranspose(2 -> 3, of Linear(3 -> 2")


def test_one_step_moves_it_once_by_the_sum():
    model = twice()
    before = model.Phi.copy()
    run(model)
    nn.SGD(model, lr=0.5).step()
    assert_array_equal(model.Phi, before - 0.5 * model.dPhi)
    Y = model.forward(X)
    W, b = model[0].W, model[0].b
    assert_allclose(Y, np.tanh(np.tanh(X @ W + b) @ W + b) @ W + b, rtol=1e-13)


def test_the_state_of_one_fits_another():
    model, other = autoencoder(), autoencoder()
    model.Phi = np.linspace(-1, 1, 11)
    other.load_state_dict(model.state_dict())
    assert_array_equal(other.forward(X), model.forward(X))


def test_a_copy_of_a_tied_layer_alone_is_cut_from_its_model():
    model = twice()
    alone = copy.deepcopy(model[2])
    Y = alone.forward(X)
    model.Phi = np.zeros(12)
    assert_array_equal(alone.forward(X), Y)


@pytest.mark.parametrize("make", [autoencoder, twice, of_a_sequential, of_a_part_with_a_tie_in_it])
def test_astype(make):
    model = make()
    for dtype in np.float32, np.float64, np.float32:
        model.astype(dtype)
        Y, _, dPhi = run(model)
        assert Y.dtype == dPhi.dtype == dtype
        copied = copy.deepcopy(model)
        assert_array_equal(run(copied)[2], dPhi)
    assert nn.check_gradients(model, X).right


def test_append_after_tying():
    model = twice().append(square(1)).append(nn.tied(layer := square(2)))
    model.append(layer)
    assert nn.check_gradients(model, X).right
    model.append(nn.tied(model[0]))
    assert nn.check_gradients(model, X).right
    assert model.Phi.size == 36


def test_tied_before_the_layer_joins_a_model():
    layer = square()
    tied = nn.tied(layer)
    Y = tied.forward(X)
    model = nn.Sequential(layer, tied)
    assert_array_equal(tied.forward(X), Y)
    model.Phi *= 2
    assert_allclose(tied.forward(X), 2 * Y)


def test_a_slice_sums_its_ties_too():
    model = twice()
    part = model[:3]
    part.forward(X)
    part.backward(np.ones((4, 3)))
    whole = nn.Sequential(first := square(), nn.Tanh(), nn.tied(first))
    whole.forward(X)
    whole.backward(np.ones((4, 3)))
    assert_array_equal(part.dPhi, whole.dPhi)


def test_modes_reach_what_is_inside():
    class Modes(nn.Identity):
        def forward(self, X):
            return super().forward(X if self.training else 0 * X)

    inner = nn.Sequential(Modes())
    model = nn.Sequential(inner, nn.tied(inner))
    assert_array_equal(nn.tied(inner).eval().forward(X), 0 * X)
    assert_array_equal(model.forward(X), X)
    model.eval()
    assert not model.forward(X).any()
    assert not nn.predict(model.train(), X).any()


def test_fit_trains_a_tied_autoencoder():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 3))
    encoder = nn.Linear(3, 2, rng=1)
    model = nn.Sequential(encoder, nn.tied(encoder, transpose=True))
    history = nn.fit(model, rows, rows, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=60, verbose=0, rng=0)
    assert history["loss"][-1] < 0.02 * history["loss"][0]
    assert_allclose(
        nn.predict(model, rows), (rows @ encoder.W + encoder.b) @ encoder.W.T + model[1].b, rtol=1e-4, atol=1e-5
    )


def test_fit_of_a_model_whose_first_layer_is_tied():
    """The first layer may leave out dX; its own gradients count all the same."""
    model, by_hand = before_the_original(), before_the_original()
    nn.fit(model, X, 0 * X, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), shuffle=False, verbose=0)
    loss = nn.MSELoss()
    loss.forward(by_hand.forward(X), 0 * X)
    by_hand.backward(loss.backward())
    nn.SGD(by_hand, lr=0.1).step()
    assert_array_equal(model.Phi, by_hand.Phi)
    assert model[0].needs_dX


@over_models
def test_predict_and_evaluate_write_nothing_that_backward_reads(make):
    model, same = make(), make()
    expected = run(same)
    Y = model.forward(X)
    nn.predict(model, 2 * X)
    nn.evaluate(model, 2 * X, Y, loss=nn.MSELoss())
    model.backward(np.cos(np.arange(Y.size)).reshape(Y.shape))
    assert_array_equal(model.dPhi, expected[2])


@pytest.mark.parametrize("make", [autoencoder, twice, of_a_part_with_a_tie_in_it, in_a_graph])
def test_threads_predict(make):
    model = make()
    inputs = [X * k for k in range(8)]
    expected = [model.eval().forward(A) for A in inputs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            for Y, right in zip(pool.map(lambda A: nn.predict(model, A), inputs), expected, strict=True):
                assert_allclose(Y, right, rtol=1e-5, atol=1e-6)


def test_an_optimizer_on_a_part():
    model = autoencoder()
    before = model.Phi.copy()
    run(model)
    nn.SGD(model[0], lr=1.0).step()
    assert_array_equal(model.Phi[:8], before[:8] - model.dPhi[:8])
    assert_array_equal(model.Phi[8:], before[8:])
    nn.SGD(model[2], lr=1.0).step()
    assert_array_equal(model.Phi[8:], before[8:] - model.dPhi[8:])
    with pytest.raises(ValueError, match="has no parameters"):
        nn.SGD(twice()[2], lr=1.0)


# ------------------------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize("transpose", [False, True])
def test_a_tie_to_a_layer_outside_the_model_does_not_train(transpose):
    layer = square()
    model = nn.Sequential(nn.Linear(3, 3, dtype=np.float64), nn.tied(layer, transpose=transpose))
    with pytest.raises(
        nn.StateError,
        match=r"would not be trained in Sequential\(2 layers\): put it and the layer that it is tied to into one ",
    ):
        nn.fit(model, X, X, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0)
    assert_array_equal(nn.predict(model, X), model.forward(X))  # but it predicts


def test_a_composite_that_nobody_sums_for_does_not_train():
    model = OwnThatLeavesTheSum()
    with pytest.raises(nn.StateError, match="would not be trained in OwnThatLeavesTheSum"):
        nn.fit(model, X, X, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.tied(3), "tied: expected a Layer, got 3"),
        (lambda: nn.tied(nn.Tanh), "tied: expected a Layer, got the class itself; write Tanh(...)"),
        (lambda: nn.tied(nn.Tanh(), transpose=True), "tied: transpose: expected a Linear, got Tanh()"),
        (
            lambda: nn.tied(nn.Sequential(square()), transpose=True),
            "tied: transpose: expected a Linear, got Sequential",
        ),
        (
            lambda: nn.tied(nn.Parameter(1.0)),
            "tied: a Parameter caches nothing, so it can be used any number of times",
        ),
    ],
)
def test_what_cannot_be_tied(call, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        call()


def test_widths_are_checked():
    encoder = nn.Linear(3, 2)
    with pytest.raises(nn.ShapeError, match=r"outputs \(..., 5\).*expected 2 features, got 5"):
        nn.Sequential(encoder, nn.Linear(2, 5), nn.tied(encoder, transpose=True))
    with pytest.raises(nn.ShapeError, match=r"outputs \(..., 2\).*expected 3 features, got 2"):
        nn.Sequential(encoder, nn.tied(encoder))
    with pytest.raises(nn.ShapeError, match=r"TiedTranspose\(2 -> 3.*expected 2 features, got X of shape \(4, 3\)"):
        nn.tied(encoder, transpose=True).forward(X)


def test_order_of_calls():
    for tied in nn.tied(square()), nn.tied(square(), transpose=True):
        with pytest.raises(nn.StateError, match="backward was called before forward"):
            tied.backward(X)
