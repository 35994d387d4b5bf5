"""A loss of the user's own, on the public base class: it works wherever the built-in ones do."""

import math

import numpy as np
import pytest

import nnlite as nn


class LogCoshLoss(nn.Loss):
    """As in the docstring of nnlite.Loss."""

    def forward(self, Y, target):
        Y, target = self.check_pair(Y, target)
        self.error = Y - target
        return self.reduce(np.logaddexp(self.error, -self.error) - math.log(2))

    def backward(self, dJ=1.0):
        return self.scale(dJ) * np.tanh(self.error)


nn.register(LogCoshLoss)

Y = np.array([[1.0, -0.5], [3.0, 0.25], [0.0, 2.0]])
TARGET = np.array([[1.0, 0.5], [1.0, 0.25], [-1.0, 0.0]])
ELEMENTS = np.log(np.cosh(Y - TARGET))


@pytest.mark.parametrize(
    ("reduction", "J"), [("mean", ELEMENTS.sum() / 6), ("sum", ELEMENTS.sum()), ("none", ELEMENTS)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_reduction(reduction, J, dtype):
    loss = LogCoshLoss(reduction=reduction)
    np.testing.assert_allclose(loss.forward(Y.astype(dtype), TARGET), J, rtol=1e-5 if dtype == np.float32 else 1e-14)
    dJ = np.arange(1.0, 7.0).reshape(3, 2) if reduction == "none" else 2.0
    dY = loss.backward(dJ)
    n = 6 if reduction == "mean" else 1
    assert dY.dtype == dtype
    np.testing.assert_allclose(dY, dJ * np.tanh(Y - TARGET) / n, rtol=1e-5 if dtype == np.float32 else 1e-14)
    assert nn.check_gradients(LogCoshLoss(reduction=reduction), Y, target=TARGET)


def test_the_error_messages_are_those_of_every_loss():
    with pytest.raises(ValueError, match=r"^LogCoshLoss: reduction: expected 'mean', 'sum' or 'none', got 'avg'$"):
        LogCoshLoss(reduction="avg")
    with pytest.raises(nn.StateError, match=r"^LogCoshLoss\(\): backward was called before forward"):
        LogCoshLoss().backward()
    with pytest.raises(nn.ShapeError, match=r"^LogCoshLoss\(\): expected a target of Y's shape \(3, 1\), got \(3,\)"):
        LogCoshLoss().forward(np.zeros((3, 1)), np.zeros(3))
    with pytest.raises(ValueError, match=r"^LogCoshLoss\(\): empty batch"):
        LogCoshLoss().forward(np.zeros((0, 1)), np.zeros((0, 1)))


def test_a_constructor_without_super_has_the_mean():
    class Own(LogCoshLoss):
        def __init__(self, factor):
            self.factor = factor

    assert Own(2.0).forward(Y, TARGET) == pytest.approx(ELEMENTS.mean())


def test_a_sample_weight_of_2_is_the_same_as_the_row_twice_and_one_of_0_as_the_row_left_out():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 3))
    weight = np.repeat([0, 1, 2], 8)

    def trained(X, **options):
        model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1)).astype(np.float64)
        optimizer = nn.SGD(model, lr=0.1)
        loss, rows = LogCoshLoss(), len(X)
        nn.fit(
            model, X, np.sin(X[:, :1]), loss=loss, optimizer=optimizer, batch_size=rows, epochs=3, verbose=0, **options
        )
        return model.Phi

    Phi = trained(X, sample_weight=weight)
    np.testing.assert_allclose(Phi, trained(np.repeat(X, weight, axis=0)), rtol=1e-12)
    assert np.abs(Phi - trained(X)).max() > 1e-3


def test_in_a_graph_it_is_a_layer_of_two_inputs():
    x, t = nn.Input("x"), nn.Input("t")
    linear = nn.Linear(2, 2, rng=0).astype(np.float64)
    graph = nn.Graph([x, t], LogCoshLoss()(linear(x), t))
    assert graph.forward(Y, TARGET) == pytest.approx(np.log(np.cosh(Y @ linear.W - TARGET)).mean())
    (dX,) = graph.backward()  # none for the target
    np.testing.assert_allclose(dX, np.tanh(Y @ linear.W - TARGET) @ linear.W.T / 6, rtol=1e-12)
    np.testing.assert_allclose(linear.dW, Y.T @ np.tanh(Y @ linear.W - TARGET) / 6, rtol=1e-12)
    assert nn.check_gradients(graph, (Y, TARGET))
    assert (nn.MSELoss()(x, t) + 1).shape == ()


def test_a_model_that_contains_it_is_saved_and_loaded(tmp_path):
    x, t = nn.Input("x"), nn.Input("t")
    graph = nn.Graph([x, t], LogCoshLoss(reduction="sum")(nn.Linear(2, 2, rng=0)(x), t))
    nn.save(graph, tmp_path / "graph.npz")
    loaded = nn.load(tmp_path / "graph.npz")
    assert loaded.forward(Y, TARGET) == graph.forward(Y, TARGET)
    assert "reduction='sum'" in repr(loaded)


class ByRows(LogCoshLoss):
    reductions = ("mean", "batchmean", "sum", "none")


def test_a_loss_with_the_reduction_batchmean_divides_by_the_rows():
    loss = ByRows(reduction="batchmean")
    assert loss.forward(Y, TARGET) == pytest.approx(ELEMENTS.sum() / 3, rel=1e-14)
    np.testing.assert_allclose(loss.backward(), np.tanh(Y - TARGET) / 3, rtol=1e-14)
    with pytest.raises(ValueError, match="empty batch: the mean over no rows"):
        loss.forward(Y[:0], TARGET[:0])


def test_losses_know_which_probabilities_predictions_stand_for():
    P = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    for loss, predictions in [
        (nn.CrossEntropyLoss(), np.log(P) + 7),
        (nn.NLLLoss(), np.log(P)),
        (nn.BCELoss(), P),
        (nn.BCEWithLogitsLoss(), np.log(P / (1 - P))),
    ]:
        np.testing.assert_allclose(loss.probabilities(predictions), P, rtol=1e-14, err_msg=repr(loss))
    images = np.log(P).reshape(1, 2, 3).transpose(0, 2, 1)  # classes along axis 1
    np.testing.assert_allclose(nn.CrossEntropyLoss().probabilities(images)[0].T, P, rtol=1e-14)
    assert nn.MSELoss().probabilities(P) is None
