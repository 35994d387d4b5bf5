"""evaluate: the loss and the metrics on given rows, without a trace on the model."""

from functools import partial

import numpy as np
import pytest

import nnlite as nn

X = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
Y = (X[:, :1] > 0).astype(np.float32)


def row_count(Y_pred, Y):
    return len(Y)


def test_it_gives_the_loss_and_the_metrics_by_name():
    model = nn.Sequential(nn.Linear(3, 1, rng=0), nn.Sigmoid())
    result = nn.evaluate(model, X, Y, loss=nn.MSELoss(), metrics=[nn.binary_accuracy])
    P = model.forward(X)
    assert list(result) == ["loss", "binary_accuracy"]
    assert result["loss"] == pytest.approx(np.mean((P.astype(np.float64) - Y) ** 2), rel=1.3e-6)
    assert result["binary_accuracy"] == np.mean((P > 0.5) == Y)


def test_metrics_are_means_by_rows():
    result = nn.evaluate(nn.Identity(), X, X, loss=nn.MSELoss(), metrics=[row_count], batch_size=4)
    assert result == {"loss": 0.0, "row_count": (4 * 4 + 4 * 4 + 2 * 2) / 10}
    assert type(result["row_count"]) is float


def test_batches_are_of_1024_rows_unless_told_otherwise():
    long = np.zeros((1030, 1))
    result = nn.evaluate(nn.Identity(), long, long, loss=nn.MSELoss(), metrics=[row_count])
    assert result["row_count"] == (1024 * 1024 + 6 * 6) / 1030


def test_it_is_in_evaluation_mode_and_writes_nothing_on_the_model_or_the_loss():
    class Mode(nn.Layer):
        def forward(self, X):
            self.X = X
            return X * 0 + self.training

        def backward(self, dY):
            return dY

    model, loss = nn.Sequential(Mode(), nn.Tanh()), nn.MSELoss()
    before = [dict(vars(layer)) for _, layer in model.named_layers()], dict(vars(loss))
    assert nn.evaluate(model, X, X * 0, loss=loss) == {"loss": 0.0}
    assert ([dict(vars(layer)) for _, layer in model.named_layers()], dict(vars(loss))) == before
    assert model.training


class Share:
    """A metric that is an object."""

    def __call__(self, Y_pred, Y):
        return 0.25


def test_partial_functions_and_objects_are_metrics_under_their_own_names():
    metrics = [partial(nn.binary_accuracy, threshold=0.0), Share(), row_count]
    result = nn.evaluate(nn.Identity(), Y - 0.25, Y, loss=nn.MSELoss(), metrics=metrics)
    assert list(result) == ["loss", "binary_accuracy", "Share", "row_count"]
    assert result["binary_accuracy"] == 1.0  # -0.25 and 0.75 lie on the right sides of 0
    assert result["Share"] == 0.25


def loss(Y_pred, Y):
    return 0.0


@pytest.mark.parametrize(
    ("metrics", "name"),
    [
        ([nn.accuracy, nn.accuracy], "accuracy"),
        ([partial(nn.binary_accuracy, threshold=0.1), nn.binary_accuracy], "binary_accuracy"),
        ([loss], "loss"),
    ],
)
def test_two_series_of_one_name_are_an_error(metrics, name):
    with pytest.raises(ValueError, match=f"metrics: there are two series called '{name}'; give one function another"):
        nn.evaluate(nn.Identity(), X, X, loss=nn.MSELoss(), metrics=metrics)


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ({"Y": Y[:9]}, ValueError, "got 10 rows in X and 9 in Y"),
        ({"X": [], "Y": []}, ValueError, "X: expected at least one row, got none"),
        ({"batch_size": 0}, ValueError, "batch_size: expected at least 1, got 0"),
        ({"batch_size": 2.5}, TypeError, "batch_size: expected a whole number, got 2.5"),
        ({"loss": "mse"}, TypeError, r"loss: expected a loss such as nnlite.MSELoss\(\), got 'mse'"),
        ({"loss": nn.MSELoss(reduction="none")}, ValueError, 'loss: .*got "none"'),
        ({"metrics": [3]}, TypeError, "metrics: expected functions such as nnlite.accuracy, got 3"),
    ],
)
def test_a_bad_argument_is_named(wrong, kind, message):
    given = {"X": X, "Y": Y, "loss": nn.MSELoss(), **wrong}
    with pytest.raises(kind, match=message):
        nn.evaluate(nn.Linear(3, 1), given.pop("X"), given.pop("Y"), **given)
