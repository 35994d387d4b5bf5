"""What layers and losses say of themselves for the tools, so that these keep no table of classes."""

import numpy as np
import pytest

import nnlite as nn
from nnlite.diagnostics.unit_activity import activities


@pytest.mark.parametrize(
    ("layer", "shape", "always"),
    [
        (nn.Softmax(), (4, 1), 1.0),
        (nn.Softmax(), (4, 2), None),
        (nn.Softmax(dim=0), (4, 1), None),
        (nn.LogSoftmax(), (4, 1), 0.0),
        (nn.Softmin(), (4, 1), 1.0),
        (nn.Tanh(), (4, 1), None),
    ],
    ids=str,
)
def test_a_constant_output(layer, shape, always):
    Y = layer.forward(np.random.default_rng(0).normal(size=shape))
    assert layer.constant_output(Y) == always
    assert (np.ptp(Y) == 0) == (always is not None)


class Constant(nn.Layer):
    """A user's layer that is always 2, and says so."""

    def forward(self, X):
        return self.record_Y(np.full(X.shape, 2.0))

    def backward(self, dY):
        return 0 * dY

    def constant_output(self, Y):
        return 2.0


def test_fit_refuses_a_users_layer_that_says_that_it_is_constant():
    model = nn.Sequential(nn.Linear(2, 1), Constant())
    with pytest.raises(ValueError, match=r"Constant\(\) of a single output is always 2, so nothing is learnt"):
        nn.fit(model, np.ones((4, 2)), np.ones((4, 1)), loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0)


def test_units_are_looked_for_where_a_layer_has_them():
    class Swapped(nn.Layer):
        has_units = False

        def forward(self, X):
            return self.record_Y(X[::-1].copy())

        def backward(self, dY):
            return dY[::-1].copy()

    X = np.random.default_rng(0).normal(size=(3, 3))
    model = nn.Sequential(nn.Tanh(), nn.Reshape(-1, 3), nn.Transpose(0, 1), nn.Softmax(), nn.Identity(), Swapped())
    assert [each.layer for each in activities(model, X)] == ["Tanh()"]


def test_predictions_that_favour_no_class():
    Y = np.random.default_rng(0).normal(size=(4, 3))
    assert (nn.BCELoss().uniform_prediction(Y) == 0.5).all()
    assert not nn.CrossEntropyLoss().uniform_prediction(Y).any()
    np.testing.assert_allclose(np.exp(nn.NLLLoss().uniform_prediction(Y)), 1 / 3)
    assert nn.MSELoss().uniform_prediction(Y) is None


@pytest.mark.parametrize(
    ("loss", "positive", "bounded"),
    [
        (nn.CrossEntropyLoss(), True, False),  # differences of outputs of both signs can be logits
        (nn.BCEWithLogitsLoss(), True, True),
        (nn.SoftMarginLoss(), True, True),
        (nn.MultiLabelSoftMarginLoss(), True, True),
        (nn.BCELoss(), False, False),
        (nn.MSELoss(), False, False),
    ],
    ids=str,
)
def test_which_outputs_are_no_logits(loss, positive, bounded):
    assert loss.too_narrow(0.0, np.inf) is positive
    assert loss.too_narrow(-1.0, 1.0) is bounded
    assert loss.too_narrow(-np.inf, np.inf) is False


def test_the_best_predictions():
    target = np.array([[0.0], [0.5], [1.0]])
    loss = nn.BCELoss()
    best = loss.forward(loss.best_prediction(target, constant=False), target)
    constant = loss.forward(loss.best_prediction(target, constant=True), target)
    assert best == pytest.approx(np.log(2) / 3)
    assert constant == pytest.approx(np.log(2))
