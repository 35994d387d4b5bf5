"""Layers nest 100 deep: everything works there, and deeper is an error that says what to do."""

import copy
import pickle

import numpy as np
import pytest

import nnlite as nn
from nnlite.saving.describe import check_size

X = np.ones((3, 2), np.float32)


class Wrap(nn.Layer):
    """A layer of one's own around another one."""

    def __init__(self, inner):
        self.inner = [inner]

    def forward(self, X):
        return self.record_Y(self.inner[0].forward(X))

    def backward(self, dY):
        return self.inner[0].backward(dY)


def graph(layer):
    x = nn.Input("x")
    return nn.Graph(x, layer(x))


CONTAINERS = {
    "Sequential": nn.Sequential,
    "Residual": nn.Residual,
    "Parallel": lambda layer: nn.Parallel(layer, merge=nn.Identity()),
    "Graph": graph,
    "Wrap": Wrap,
}
TEXT = r"layers nest more than 100 deep, or one contains itself; put .* into one container, Sequential\("


def nested(around, depth):
    layer = nn.Linear(2, 2, rng=0)
    layer.W = 1e-30 * layer.W  # so that 2^99 of Residual is finite
    for _ in range(depth - 1):
        layer = around(layer)
    return layer


def fit(model):
    nn.fit(model, X, X, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=1e-35), verbose=0)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("around", CONTAINERS.values(), ids=CONTAINERS)
def test_a_hundred_levels_work(around):
    model = nested(around, 100)
    Y = model.forward(X)
    for other in copy.deepcopy(model), pickled(model):
        np.testing.assert_array_equal(nn.predict(other, X), Y)
    assert repr(model).count("(\n") == 99
    fit(model)
    assert len(model.Phi) == 6


def test_a_hundred_levels_are_saved(tmp_path):
    model = nested(nn.Sequential, 100)
    nn.save(model, tmp_path / "m.npz")
    np.testing.assert_array_equal(nn.predict(nn.load(tmp_path / "m.npz"), X), nn.predict(model, X))


def test_a_file_made_by_hand_cannot_nest_deeper():
    around = [{"class": "Sequential", "arguments": {"layers": [{"layer": number}]}} for number in range(100)]
    entries = [{"class": "Tanh", "arguments": {}}, *around]
    check_size(entries[:100])
    with pytest.raises(ValueError, match="nest more than 100 deep"):
        check_size(entries)


@pytest.mark.parametrize("around", list(CONTAINERS.values())[:-1], ids=list(CONTAINERS)[:-1])
def test_a_container_around_a_hundred_levels_is_an_error(around):
    model = nested(around, 100)
    with pytest.raises(ValueError, match=TEXT):
        around(model)
    chain = nn.Sequential(nn.Linear(2, 2))
    for change in chain.append, lambda layer: chain.insert(0, layer), lambda layer: chain.extend([layer]):
        with pytest.raises(ValueError, match=TEXT):
            change(model)
    assert len(chain) == 1
    fit(model)  # as before


@pytest.mark.parametrize("depth", [101, 2000])
@pytest.mark.parametrize("use", [copy.deepcopy, pickled, repr, fit, lambda model: nn.predict(model, X),
                                 lambda model: model.Phi, lambda model: model.train(), lambda model: model.state_dict(),
                                 nn.Sequential])  # fmt: skip
def test_layers_of_ones_own_that_nest_deeper_are_an_error(use, depth):
    with pytest.raises(ValueError, match=TEXT):
        use(nested(Wrap, depth))


def test_a_layer_that_contains_itself_is_an_error():
    layer = Wrap(nn.Tanh())
    layer.inner.append(layer)
    with pytest.raises(ValueError, match=TEXT):
        nn.SGD(layer, lr=0.1)


def test_a_chain_of_a_thousand_layers_is_not_deep(tmp_path):
    model = nn.Sequential(*(nn.Tanh() for _ in range(1000)))
    nn.save(model, tmp_path / "m.npz")
    assert len(copy.deepcopy(model)) == len(nn.load(tmp_path / "m.npz")) == 1000
