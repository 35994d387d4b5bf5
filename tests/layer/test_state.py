"""State that is not a parameter: buffers, generators, caches; inputs without a gradient; parts at any depth."""

import copy
import pickle
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.own_layers import OwnBatchNorm, OwnDropout, OwnEmbedding, OwnLoss, data, network

import nnlite as nn


class Count(nn.Layer, buffers=("forwards", "mean")):
    def __init__(self, features=2):
        self.forwards, self.mean = 0, np.zeros(features)

    def forward(self, X):
        self.forwards += 1
        self.mean = 0.5 * self.mean + 0.5 * X.mean(axis=0)
        return self.record_Y(X.copy())

    def backward(self, dY):
        return self.check_dY(dY).copy()


def trained():
    model, (X, Y) = network(), data()
    nn.fit(model, X, Y, loss=OwnLoss(), optimizer=nn.SGD(model, lr=0.1), epochs=2, verbose=0, rng=0)
    return model


# ------------------------------------------------------------------------------------------------ buffers


def test_a_buffer_is_written_through_and_is_not_in_Phi():
    layer = Count()
    held = layer.mean
    layer.forward(np.array([[2.0, 4.0]], np.float32))
    assert layer.mean is held
    assert_array_equal(held, [1, 2])
    assert layer.forwards == 1
    assert layer.Phi.size == 0
    assert [name for name, _ in nn.Sequential(layer, nn.Linear(2, 1)).named_buffers()] == ["0.forwards", "0.mean"]


def test_floating_buffers_have_the_dtype_of_the_layer_and_others_their_own():
    layer = Count()
    assert (layer.mean.dtype, layer.forwards.dtype) == (np.float32, np.int64)
    layer.astype(np.float64)
    assert (layer.mean.dtype, layer.forwards.dtype) == (np.float64, np.int64)


def test_a_floating_buffer_of_another_dtype_than_the_model_is_an_error():
    with pytest.raises(ValueError, match=r"one model, one dtype.*1.mean is float32"):
        nn.Sequential(nn.Linear(2, 2, dtype=np.float64), Count())
    nn.Sequential(nn.Linear(2, 2, dtype=np.float64), Count().astype(np.float64))


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("mean", np.zeros(3), nn.ShapeError, r"Count\(\): expected mean of shape \(2,\), got \(3,\)"),
        ("mean", ["a", "b"], TypeError, "mean: expected real numbers"),
        ("forwards", 0.5, TypeError, r"Count\(\): forwards: expected int64, as its first value was, got float64"),
    ],
)
def test_what_does_not_fit_into_a_buffer(name, value, error, message):
    layer = Count()
    with pytest.raises(error, match=message):
        setattr(layer, name, value)
    assert_array_equal(layer.mean, [0, 0])
    assert layer.forwards == 0


def test_a_buffer_may_be_absent_and_cannot_come_after_Phi():
    class Optional(nn.Layer, buffers=("mean",)):
        def __init__(self):
            self.mean = None

    layer = Optional()
    assert layer.mean is None
    assert list(layer.named_buffers()) == []
    nn.Sequential(layer)
    with pytest.raises(nn.StateError, match="mean gets its first value after Phi was made; assign it in __init__"):
        layer.mean = np.zeros(2)


@pytest.mark.parametrize(
    ("buffers", "error", "message"),
    [
        ("mean", TypeError, "buffers: expected a tuple of names, got the string 'mean'; add a comma"),
        ((1,), TypeError, "Own: buffers: expected names such as 'W', got 1"),
        (("forward",), ValueError, "Own: buffers: 'forward' is an attribute already; rename 'forward'"),
        (("W",), ValueError, "Own: buffers: 'W' is an attribute already; rename 'W'"),
    ],
)
def test_declarations_that_are_wrong(buffers, error, message):
    with pytest.raises(error, match=message):

        class Own(nn.Layer, parameters=("W",), buffers=buffers):
            pass


def test_state_dict_holds_parameters_and_buffers_of_each_layer_in_order():
    model = nn.Sequential(OwnBatchNorm(2), nn.Linear(2, 1))
    names = ["0.gamma", "0.beta", "0.running_mean", "0.running_var", "0.batches", "1.W", "1.b"]
    assert list(model.state_dict()) == names
    other = nn.Sequential(OwnBatchNorm(2), nn.Linear(2, 1))
    model[0].running_mean, model[0].batches = [3.0, 4.0], 7
    other.load_state_dict(model.state_dict())
    assert_array_equal(other[0].running_mean, [3, 4])
    assert other[0].batches == 7
    state = model.state_dict()
    del state["0.batches"]
    with pytest.raises(ValueError, match=r"0.batches: missing, expected \(\) int64"):
        other.load_state_dict(state)


def test_tied_layers_share_buffers():
    layer = OwnBatchNorm(2)
    model = nn.Sequential(layer, nn.Tanh(), nn.tied(layer))
    model.forward(np.array([[1.0, 2.0], [3.0, 5.0]], np.float32))
    assert layer.batches == 2
    assert [name for name, _ in model.named_buffers()] == ["0.running_mean", "0.running_var", "0.batches"]
    model.astype(np.float64).forward(np.array([[1.0, 2.0], [3.0, 5.0]]))
    assert layer.batches == 4
    assert layer.running_mean.dtype == np.float64


# ------------------------------------------------------------------------------------------------ copies


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_has_buffers_and_generators_and_goes_on_like_the_original(copied):
    model, (X, Y) = trained(), data()
    other = copied(model)
    assert_array_equal(nn.predict(other, X), nn.predict(model, X))
    for each in model, other:
        nn.fit(each, X, Y, loss=OwnLoss(), optimizer=nn.SGD(each, lr=0.1), epochs=2, verbose=0, rng=0)
    assert model.Phi.tobytes() == other.Phi.tobytes()
    assert model[3].running_var.tobytes() == other[3].running_var.tobytes()
    assert model[5].rng.random() == other[5].rng.random()
    assert model[5].rng is not other[5].rng


def test_what_is_converted_predicts_the_same_to_rounding():
    model, (X, _) = trained(), data()
    before = nn.predict(model, X)
    np.testing.assert_allclose(nn.predict(model.astype(np.float64), X), before, rtol=1e-5, atol=1e-6)


def test_named_generators():
    model = trained()
    assert dict(model.named_generators()) == {"5.rng": model[5].rng}


# ------------------------------------------------------------------------------------------------ caches


def all_kinds():
    layer = nn.Linear(3, 3, rng=0)
    x = nn.Input("x")
    return [
        (nn.Sequential(nn.Linear(3, 3, rng=0), nn.Tanh(), nn.Softmax()), 1),
        (nn.Sequential(layer, nn.Tanh(), nn.tied(layer)), 1),
        (nn.Graph(x, nn.Tanh()(x) * nn.Exp()(x)), 1),
        (nn.Residual(nn.Linear(3, 3, rng=0)), 1),
        (nn.Parallel(nn.Tanh(), nn.Sigmoid()), 2),
    ]


@pytest.mark.parametrize("make", [lambda: OwnBatchNorm(3), lambda: nn.Sequential(OwnBatchNorm(3))], ids=["alone", "in"])
def test_a_model_that_another_process_gets_read_only_learns(make):
    """As of scikit-learn#5956: joblib passes large arrays on as read-only memory, as pickle's protocol 5 can."""
    buffers, model = [], make()
    pickled = pickle.dumps(model, protocol=5, buffer_callback=buffers.append)
    there = pickle.loads(pickled, buffers=[bytes(buffer.raw()) for buffer in buffers])
    assert buffers
    for each in model, there:
        for named in each.named_parameters, each.named_gradients, each.named_buffers:
            for _, array in named():
                array += 2
        each.Phi += each.dPhi
    assert len(set(map(float, model.Phi))) == 2
    for name, array in model.state_dict().items():
        assert_array_equal(there.state_dict()[name], array)


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("done", ["deepcopy", "pickle", "clear_cache"])
def test_a_cache_is_in_no_copy_and_can_be_dropped(kind, done):
    """torch7#411: a model of 77 kB took 25.8 MB after a forward, with rows of the training in it."""
    model, wider = all_kinds()[kind]
    X, dY = np.ones((1000, 3), np.float32), np.ones((1000, 3 * wider), np.float32)
    small = len(pickle.dumps(model))
    Y = model.forward(X)
    assert len(pickle.dumps(model)) < small + 1000  # a cached X alone has 12,000 bytes
    other = copy.deepcopy(model) if done == "deepcopy" else pickle.loads(pickle.dumps(model))
    if done == "clear_cache":
        other = model
        other.clear_cache()
    with pytest.raises(nn.StateError, match="backward was called before forward"):
        other.backward(dY)
    assert_array_equal(other.forward(X), Y)
    other.backward(dY)


def test_what_a_constructor_sets_and_a_user_sets_is_no_cache():
    class Own(nn.Layer):
        def __init__(self):
            self.scale = np.ones(2)

        def forward(self, X):
            self.X = self._scaled(X)
            return self.X.copy()

        def _scaled(self, X):
            self.factor = 2 * self.scale
            return X * self.factor

    layer = Own()
    layer.note = np.arange(3)
    layer.forward(np.ones(2))
    other = copy.deepcopy(layer)
    assert_array_equal(other.scale, [1, 1])
    assert_array_equal(other.note, [0, 1, 2])
    assert not hasattr(other, "X")
    assert not hasattr(other, "factor")


# ---------------------------------------------------------------------------------- inputs without a gradient


class Masked(nn.Layer):
    """Y = X where mask, else 0; the mask has no gradient."""

    without_gradient = ("mask",)

    def forward(self, X, mask):
        self.mask = mask
        return self.record_Y(np.where(mask, X, 0))

    def backward(self, dY):
        return np.where(self.mask, self.check_dY(dY), 0)


def test_the_positions_that_have_a_gradient():
    assert Masked().differentiable_inputs(2) == (0,)
    assert nn.tied(Masked()).differentiable_inputs(2) == (0,)
    assert OwnEmbedding(3, 2).differentiable_inputs(1) == ()
    assert nn.Sequential(OwnEmbedding(3, 2), nn.Tanh()).differentiable_inputs(1) == ()
    x, mask = nn.Input("x"), nn.Input("mask")
    assert nn.Graph([mask, x], Masked()(x, mask)).differentiable_inputs(2) == (1,)


def test_a_name_that_forward_does_not_have_is_an_error():
    class Wrong(Masked):
        without_gradient = ("masks",)

    with pytest.raises(TypeError, match=r"Wrong\(\): without_gradient: forward has no argument 'masks', only X, mask"):
        Wrong().differentiable_inputs(2)
    with pytest.raises(TypeError, match="without_gradient: expected a tuple of names, got a string; add a comma"):

        class Text(Masked):
            without_gradient = "mask"


def test_a_graph_returns_the_other_gradients_in_order_and_keeps_booleans():
    x, mask, z = nn.Input("x"), nn.Input("mask"), nn.Input("z")
    masked = Masked()
    graph = nn.Graph([x, mask, z], masked(x, mask) * z)
    keep = np.array([True, False])
    assert_array_equal(graph.forward(np.array([2.0, 3.0]), keep, np.array([5.0, 7.0])), [10, 0])
    assert masked.mask.dtype == bool
    dx, dz = graph.backward(np.ones(2))
    assert_array_equal(dx, [5, 0])
    assert_array_equal(dz, [2, 0])
    by_name = nn.Graph({"a": (a := nn.Input()), "m": (m := nn.Input())}, Masked()(a, m))
    by_name.forward(a=np.ones(2), m=keep)
    assert list(by_name.backward(np.ones(2))) == ["a"]


def test_a_sequential_of_indices_trains_and_returns_no_dX():
    model = nn.Sequential(OwnEmbedding(5, 2, rng=0), nn.Linear(2, 1, rng=0))
    model.forward(np.array([1, 1, 4]))
    assert model.backward(np.ones((3, 1), np.float32)) is None
    W = model[1].W[:, 0]
    assert_array_equal(model[0].dW, [[0, 0], 2 * W, [0, 0], [0, 0], W])


def test_a_layer_that_no_gradient_reaches_is_an_error():
    with pytest.raises(
        ValueError,
        match=re.escape("Sequential[0] Linear(2 -> 2) would not be trained: Sequential[1] OwnEmbedding() has no"),
    ):
        nn.Sequential(nn.Linear(2, 2), OwnEmbedding(3, 2))
    x = nn.Input("x")
    with pytest.raises(ValueError, match=r"Linear\(2 -> 2\) .* would never be trained: its output is used only"):
        nn.Graph(x, OwnEmbedding(3, 2)(nn.Linear(2, 2)(x)))
    with pytest.raises(ValueError, match=r"Masked\(\) has no gradient for some of its 2 inputs; .* nnlite.Graph"):
        nn.Sequential(nn.Split([1, 1]), Masked())
    assert len(nn.Sequential(nn.Identity(), OwnEmbedding(3, 2))) == 2


# ------------------------------------------------------------------------------------------ parts, declarations


class Blocks(nn.Layer):
    """(keras: a list of lists of layers) every one of them is a part."""

    def __init__(self):
        self.blocks = [[nn.Linear(4, 4, rng=0), nn.Tanh()], {"a": (nn.Linear(4, 4, rng=1), [nn.Tanh()])}]

    def forward(self, X):
        (a, b), (c, (d,)) = self.blocks[0], self.blocks[1]["a"]
        return d.forward(c.forward(b.forward(a.forward(X))))

    def backward(self, dY):
        (a, b), (c, (d,)) = self.blocks[0], self.blocks[1]["a"]
        return a.backward(b.backward(c.backward(d.backward(dY))))


def test_parts_are_found_at_any_depth():
    layer = Blocks()
    names = ["blocks.0.0.W", "blocks.0.0.b", "blocks.1.a.0.W", "blocks.1.a.0.b"]
    assert [name for name, _ in layer.named_parameters()] == names
    assert layer.Phi.size == 40
    assert [path for path, _ in layer.named_layers()][-1] == "blocks.1.a.1.0"
    X = np.ones((2, 4), np.float32)
    Y = layer.forward(X)
    twin = layer.evaluation_twin()
    assert_array_equal(twin.forward(np.zeros((5, 4), np.float32)).shape, (5, 4))
    layer.backward(np.ones_like(Y))  # the twin has not touched the cache of any part


def test_the_gradient_of_an_undeclared_parameter_is_an_error_at_the_first_backward():
    class Dense(nn.Layer):
        def __init__(self):
            self.W = np.ones((2, 2), np.float32)

        def forward(self, X):
            self.X = X
            return X @ self.W

        def backward(self, dY):
            self.dW = self.X.T @ dY
            return dY @ self.W.T

    model = nn.Sequential(Dense())
    model.forward(np.ones((1, 2), np.float32))
    whole = nn.Sequential(Dense(), nn.Linear(2, 2))  # in which fit would not call its backward
    cure = re.escape('not declared, so it would not be trained; write class Dense(nnlite.Layer, parameters=("W",))')
    with pytest.raises(TypeError, match=cure):
        model.backward(np.ones((1, 2), np.float32))
    with pytest.raises(TypeError, match=cure):
        nn.SGD(whole, lr=0.1)


def test_a_cached_X_beside_dX_is_no_parameter():
    class Square(nn.Layer):
        def __init__(self):
            self.X = np.zeros(1)

        def forward(self, X):
            self.X = X
            return X * X

        def backward(self, dY):
            self.dX = 2 * self.X * dY
            return self.dX

    layer = Square()
    layer.forward(np.ones(2))
    assert_array_equal(layer.backward(np.ones(2)), [2, 2])


def test_no_layer_of_nnlite_needs_the_check():
    wrapped = [name for name in nn.__all__ if hasattr(getattr(getattr(nn, name), "backward", None), "__wrapped__")]
    assert wrapped == []


def test_dropout_is_off_in_evaluation_mode_and_draws_nothing():
    layer = OwnDropout(rng=0).eval()
    layer.forward(np.ones(5))
    assert layer.rng.random() == np.random.default_rng(0).random()


def test_the_gradient_of_a_loss_is_that_of_its_prediction_only():
    assert nn.Loss.without_gradient == ("target",)
    assert OwnLoss().differentiable_inputs(2) == nn.tied(OwnLoss()).differentiable_inputs(2) == (0,)


def test_a_twin_is_made_while_the_layer_gets_new_attributes():
    """As when another thread trains: "dictionary changed size during iteration"."""

    class Slow(nn.Tanh):
        def evaluation_twin(self):
            outer.cached = np.ones(1)
            return super().evaluation_twin()

    class Outer(nn.Layer):
        def __init__(self):
            self.inner = Slow()

        def forward(self, X):
            return self.inner.forward(X)

    outer = Outer()
    assert_array_equal(outer.evaluation_twin().forward(np.zeros(2)), [0, 0])
    assert not hasattr(outer.inner, "Y")


def test_a_twin_writes_into_no_buffer_of_the_model():
    model = nn.Sequential(Count(), nn.Linear(2, 1, rng=0))
    nn.predict(model, np.ones((3, 2)))
    nn.evaluate(model, np.ones((3, 2)), np.ones((3, 1)), loss=nn.MSELoss())
    assert model[0].forwards == 0
    assert_array_equal(model[0].mean, [0, 0])


def test_generators_in_lists_and_dicts_are_found():
    class Several(nn.Layer):
        def __init__(self):
            self.rngs = [np.random.default_rng(0), {"b": np.random.default_rng(1)}]

    layer = Several()
    assert dict(nn.Sequential(layer).named_generators()) == {
        "0.rngs.0": layer.rngs[0],
        "0.rngs.1.b": layer.rngs[1]["b"],
    }
