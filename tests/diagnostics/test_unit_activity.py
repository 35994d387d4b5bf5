"""activities: dead units and saturated entries of every kind of activation."""

import pickle

import numpy as np
import pytest
from support.own_layers import OwnBatchNorm, OwnEmbedding

import nnlite as nn
from nnlite.diagnostics.unit_activity import activities

X = np.array([[-5.0, 0.1], [-4.0, -3.5], [-3.5, 4.0]])


def test_of_a_tanh_by_hand():
    # the slope 1 - tanh(x)^2 is below 0.01 from |x| = 2.994 on: at all of column 0, and two of column 1
    (found,) = activities(nn.Tanh(), X)
    assert (found.units, found.dead, found.saturated) == (2, 1, 5 / 6)


def test_of_a_sigmoid_by_hand():
    # Y (1 - Y) is below 0.01 from |x| = 4.585 on
    (found,) = activities(nn.Sigmoid(), X)
    assert (found.units, found.dead, found.saturated) == (2, 0, 1 / 6)


def test_of_a_relu_by_hand():
    (found,) = activities(nn.ReLU(), X)
    assert (found.dead, found.saturated) == (1, 4 / 6)


def test_the_features_are_the_last_axis():
    (found,) = activities(nn.ReLU(), np.array([[[1.0, -1, -1], [-1, 1, -1]]]))
    assert (found.units, found.dead) == (3, 1)
    (found,) = activities(nn.ReLU(), np.array([1.0, -1.0]))
    assert (found.units, found.dead) == (1, 0)


def test_only_activations_are_looked_at_wherever_they_stand():
    block = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Tanh())
    x = nn.Input("x")
    graph = nn.Graph(x, nn.ReLU()(x) + nn.Softmax()(x) * nn.LogSoftmax()(x))
    model = nn.Sequential(nn.Residual(block), nn.Flatten(), graph, nn.Transpose())
    assert [(each.path, each.layer) for each in activities(model, X)] == [("0.0.1", "Tanh()"), ("2.0", "ReLU()")]


def test_a_tied_activation():
    tanh = nn.Tanh()
    found = activities(nn.Sequential(tanh, nn.tied(tanh)), X)
    assert [each.layer for each in found] == ["Tanh()", "Tied(Tanh())"]
    assert found[1].saturated == 0


def test_a_linear_is_none_even_if_its_weights_are_0():
    assert activities(nn.Linear(2, 2, weight_init=nn.initializers.zeros), X) == []


def test_a_layer_that_runs_twice_is_looked_at_each_time():
    class Own(nn.Layer):
        def __init__(self):
            self.tanh = nn.Tanh()

        def forward(self, X):
            return self.tanh(X) + self.tanh(0 * X)

    assert [each.saturated for each in activities(Own(), X)] == [5 / 6, 0]


def test_a_layer_of_ones_own_with_and_without_parameters():
    class Clip(nn.Layer):
        def forward(self, X):
            self.X = X
            return np.clip(X, -3.6, 3.6)

        def backward(self, dY):
            return dY * (np.abs(self.X) < 3.6)

    class Slopes(nn.Layer, parameters=("alpha",)):
        def __init__(self):
            self.alpha = np.array([0.0, 1.0])

        def forward(self, X):
            self.X = X
            return X * self.alpha

        def backward(self, dY):
            self.dalpha = np.sum(dY * self.X, axis=0)
            return dY * self.alpha

    clip, slopes = activities(nn.Sequential(Clip(), Slopes()), X)
    assert (clip.dead, clip.saturated) == (0, 3 / 6)
    assert (slopes.dead, slopes.saturated) == (1, 3 / 6)


def test_it_looks_in_evaluation_mode():
    class Drop(nn.Layer):
        def forward(self, X):
            return X * (not self.training)

        def backward(self, dY):
            return dY * (not self.training)

    (found,) = activities(Drop(), X)
    assert found.dead == 0


def test_the_model_stays_as_it_is():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh())
    model.forward(X)
    before = pickle.dumps(model)
    activities(model, -X)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("X", [np.zeros((0, 2)), np.array([[np.nan, 1.0]])])
def test_no_rows_and_nan(X):
    with np.errstate(invalid="ignore"):
        assert len(activities(nn.Tanh(), X)) <= 1


def test_a_layer_that_only_scales_is_no_activation():
    norm = OwnBatchNorm(4)
    norm.running_var = np.full(4, 1e6)  # a derivative of 1e-3
    model = nn.Sequential(nn.Linear(3, 4, rng=0), norm, nn.Tanh())
    assert [each.path for each in activities(model, np.random.default_rng(0).normal(size=(9, 3)))] == ["2"]


def test_indices_have_no_activity():
    class Next(nn.Layer):
        without_gradient = ("indices",)

        def forward(self, indices):
            return indices + 1

        def backward(self, dY):
            raise AssertionError("backward was called")

    assert activities(nn.Sequential(Next(), OwnEmbedding(9, 2, rng=0)), np.arange(8)) == []
