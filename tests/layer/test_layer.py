"""Layer: what every layer inherits."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn


class Plain(nn.Layer):
    """The least a layer can be; it uses none of the checks."""

    def forward(self, X):
        self.X = X
        return 3 * X

    def backward(self, dY):
        return 3 * dY


class Named(nn.Layer, parameters=("w",)):
    def __init__(self):
        self.w = [1.0]

    def extra_repr(self):
        return "a name"


def test_the_least_layer_works_alone_and_in_a_model():
    X = np.array([[1.0, 2.0]])
    assert nn.check_gradients(Plain(), X).right
    assert nn.check_gradients(nn.Sequential(Plain(), nn.Linear(2, 1, rng=0), Plain()), X).right


def test_defaults():
    layer = Plain()
    assert layer.training is True
    assert layer.needs_dX is True
    assert layer.dtype == np.float32
    assert layer.output_shape((None, 3)) == (...,)
    assert layer.differentiable_inputs(2) == (0, 1)
    assert repr(layer) == layer.one_line() == "Plain()"
    assert repr(Named()) == "Named(a name)"
    assert list(layer.named_layers()) == [("", layer)]
    assert list(layer.named_children()) == []
    assert layer.state_dict() == {}


def test_forward_and_backward_that_are_missing_are_named():
    with pytest.raises(NotImplementedError, match="Named has no forward"):
        Named().forward(1)
    with pytest.raises(NotImplementedError, match="Named has no forward"):
        Named()(1)
    with pytest.raises(NotImplementedError, match="Named has no backward"):
        Named().backward(1)


def test_a_call_hands_everything_to_forward():
    class Two(nn.Layer):
        def forward(self, X, *, scale):
            return X * scale

    assert Two()(2, scale=3) == 6


def test_what_forward_keeps_is_there_after_forward():
    layer = Plain()
    with pytest.raises(AttributeError, match=r"Plain.* has no attribute 'X'"):
        layer.X  # noqa: B018
    layer.forward(1.0)
    assert layer.X == 1


def test_train_takes_a_mode():
    layer = nn.Sequential(nn.Tanh())
    assert layer.train(False) is layer
    assert layer.training is layer[0].training is False
    assert layer.train(True)[0].training is True


def test_state_is_kept_per_layer():
    a, b = nn.Tanh(), nn.Tanh().eval()
    a.forward(np.ones(2))
    assert a.training
    assert not b.training
    assert not hasattr(b, "Y")


# ------------------------------------------------------------------------------------------- check_X


def test_check_X_hands_on_what_fits():
    X = np.ones(2, np.float32)
    assert Named().check_X(X) is X
    assert Plain().check_X(X) is X
    X64 = np.ones(2)
    assert Plain().check_X(X64) is X64


@pytest.mark.parametrize("dtype", ["f4", "f8", "g"])
def test_without_parameters_check_X_keeps_a_floating_dtype(dtype):
    assert Plain().check_X(np.ones(2, dtype)).dtype == dtype
    assert Plain().check_X(np.ones(2, dtype).astype(np.dtype(dtype).newbyteorder(">"))).dtype == dtype


@pytest.mark.parametrize("X", [[1, 2], np.array([1, 2]), np.array([1, 2], np.uint8), np.array([True, False])], ids=str)
def test_check_X_converts_whole_numbers_to_the_layers_dtype(X):
    for dtype in (np.float32, np.float64):
        for layer in (Plain().astype(dtype), Named().astype(dtype)):
            checked = layer.check_X(X)
            assert checked.dtype == dtype
            assert_array_equal(checked, X)


@pytest.mark.parametrize("X", [[1.0, 2.0], np.ones(2, "f2"), np.ones(2, "f8"), np.ones(2, ">f8")], ids=repr)
def test_with_parameters_check_X_converts_to_theirs(X):
    checked = Named().check_X(X)
    assert checked.dtype == np.float32
    assert checked.dtype.isnative
    assert_array_equal(checked, X)


def test_check_X_takes_the_plain_array_out_of_a_subclass(tmp_path):
    X = np.memmap(tmp_path / "X", np.float32, "w+", shape=(2,))
    X[:] = [1, 2]
    assert type(Plain().check_X(X)) is np.ndarray
    assert_array_equal(Plain().check_X(X), [1, 2])


def test_check_X_names_the_layer():
    with pytest.raises(TypeError, match=r"^Named\(a name\): X: expected real numbers, got str of dtype <U1"):
        Named().check_X("a")
    with pytest.raises(ValueError, match=r"^Plain\(\): X: cannot be converted to an array"):
        Plain().check_X([[1, 2], [3]])


@pytest.mark.parametrize("X", [np.eye(2).view(np.matrix), np.ma.masked_array(np.eye(2))], ids=["matrix", "masked"])
def test_the_cure_for_an_odd_array_can_be_typed_in(X):
    with pytest.raises(TypeError) as caught:
        Plain().check_X(X)
    assert str(caught.value).endswith(("pass np.asarray(X)", "fill it first: X.filled(...)"))


# ------------------------------------------------------------------------------------------ check_dY


def recorded(shape=(2, 3), dtype=np.float32):
    layer = Plain()
    layer.record_Y(np.zeros(shape, dtype))
    return layer


def test_record_Y_gives_Y_back():
    Y = np.zeros(2)
    assert Plain().record_Y(Y) is Y


def test_keep_Y_locks_it():
    layer, Y = Plain(), np.zeros((2, 3), np.float32)
    assert layer.keep_Y(Y) is Y
    assert not Y.flags.writeable
    assert layer.check_dY([[1.0] * 3] * 2).dtype == np.float32
    scalar = layer.keep_Y(np.float64(2))
    assert isinstance(scalar, np.ndarray)
    assert not scalar.flags.writeable
    assert layer.check_dY(1.0).shape == ()
    assert layer.check_dY(1.0).dtype == np.float64


def test_check_dY_hands_on_what_fits():
    dY = np.ones((2, 3), np.float32)
    assert recorded().check_dY(dY) is dY


@pytest.mark.parametrize("dY", [np.ones((2, 3)), [[1.0] * 3] * 2, np.ones((2, 3), ">f4")], ids=["f8", "list", ">f4"])
def test_check_dY_converts_to_the_dtype_of_Y(dY):
    checked = recorded().check_dY(dY)
    assert checked.dtype == np.float32
    assert checked.dtype.isnative
    assert_array_equal(checked, np.ones((2, 3)))


def test_check_dY_needs_a_forward():
    with pytest.raises(nn.StateError, match=r"^Plain\(\): backward was called before forward; call forward\(X\) first"):
        Plain().check_dY(np.ones(2))


@pytest.mark.parametrize("shape", [(), (3,), (3, 2), (2, 3, 1), (1, 3)])
def test_check_dY_wants_the_shape_of_Y(shape):
    with pytest.raises(nn.ShapeError) as caught:
        recorded().check_dY(np.ones(shape, np.float32))
    assert str(caught.value) == f"Plain(): expected dY of shape (2, 3), that of the last Y, got {shape}"


@pytest.mark.parametrize("dtype", ["i8", "u1", "?"])
def test_check_dY_wants_floating_numbers(dtype):
    with pytest.raises(TypeError, match=rf"^Plain\(\): dY: expected floating numbers, got dtype {np.dtype(dtype)}$"):
        recorded().check_dY(np.ones((2, 3), dtype))


def test_check_dY_says_what_None_means():
    with pytest.raises(TypeError, match=r"^Plain\(\): dY is None; does the backward of the next layer return its dX"):
        recorded().check_dY(None)


@pytest.mark.parametrize("dY", ["a", 1j, [[1.0, 2.0], [3.0]]], ids=["str", "complex", "ragged"])
def test_check_dY_names_the_layer(dY):
    with pytest.raises((TypeError, ValueError), match=r"^Plain\(\): dY"):
        recorded().check_dY(dY)


def test_an_output_of_no_rows_is_an_output():
    dY = np.zeros((0, 3), np.float32)
    assert recorded((0, 3)).check_dY(dY) is dY


# ------------------------------------------------------------------------------------------- threads


def test_predict_from_eight_threads_is_right():
    model = nn.Sequential(nn.Linear(3, 64, rng=0), nn.Tanh(), nn.Sequential(nn.Linear(64, 2, rng=1), nn.Softmax()))
    batches = [np.random.default_rng(seed).normal(size=(50 + seed, 3)).astype(np.float32) for seed in range(40)]
    expected = [model.evaluation_twin().forward(X) for X in batches]
    before = [dict(vars(layer)) for _, layer in model.named_layers()]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda X: nn.predict(model, X, batch_size=16), batches))
    for result, Y in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, Y, rtol=1e-5, atol=1e-7)
        assert result.flags.writeable
    after = [dict(vars(layer)) for _, layer in model.named_layers()]
    assert [{key: id(value) for key, value in each.items()} for each in before] == [
        {key: id(value) for key, value in each.items()} for each in after
    ]


# ------------------------------------------------------------------------------------- parts in containers


class Blocks(nn.Layer):
    """A chain of layers in lists, tuples and dicts."""

    def __init__(self):
        self.list = [nn.Linear(2, 2, rng=0), "not a layer"]
        self.tuple = (nn.Tanh(), nn.Linear(2, 2, rng=1))
        self.dict = {"last": nn.Linear(2, 1, rng=2)}

    def chain(self):
        return [self.list[0], *self.tuple, self.dict["last"]]

    def forward(self, X):
        for layer in self.chain():
            X = layer.forward(X)
        return X

    def backward(self, dY):
        for layer in reversed(self.chain()):
            dY = layer.backward(dY)
        return dY


def test_layers_in_lists_tuples_and_dicts_are_parts():
    model = Blocks()
    names = ["list.0.W", "list.0.b", "tuple.1.W", "tuple.1.b", "dict.last.W", "dict.last.b"]
    assert [name for name, _ in model.named_parameters()] == names
    assert model.Phi.size == 6 + 6 + 3
    assert nn.check_gradients(model, np.array([[1.0, 2.0], [-1.0, 0.5]])).right
    assert not model.eval().dict["last"].training
    before = model.Phi.copy()
    X = np.array([[1.0, 2.0]])
    nn.fit(model, X, np.zeros((1, 1)), loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), verbose=0)
    assert np.count_nonzero(model.Phi != before) > 10


def test_predict_writes_nothing_on_layers_in_lists_tuples_and_dicts():
    model = Blocks()
    nn.predict(model, np.zeros((1, 2)))
    assert not any(hasattr(layer, "X") or hasattr(layer, "Y") for layer in model.chain())


# --------------------------------------------------------------------------------------- names of parameters


@pytest.mark.parametrize("name", ["Phi", "training", "dtype", "forward", "Y_shape", "needs_dX"])
def test_a_parameter_with_the_name_of_something_else_is_an_error(name):
    with pytest.raises(ValueError, match=rf"^Own: parameters: '_?{name}' is an attribute already; rename '{name}'$"):
        type("Own", (nn.Layer,), {}, parameters=(name,))


@pytest.mark.parametrize(("parent", "names"), [(nn.Linear, ("W",)), (nn.Layer, ("W", "W")), (nn.Layer, ("W", "dW"))])
def test_a_parameter_declared_twice_is_an_error(parent, names):
    with pytest.raises(ValueError, match=r"^Own: parameters: '\w+' is an attribute already"):
        type("Own", (parent,), {}, parameters=names)


@pytest.mark.parametrize("name", ["my-w", "", 1, "two words"])
def test_a_parameter_without_a_name_is_an_error(name):
    with pytest.raises(TypeError, match=r"^Own: parameters: expected names such as 'W', got "):
        type("Own", (nn.Layer,), {}, parameters=(name,))
