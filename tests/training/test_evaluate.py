"""evaluate: the loss and the metrics on given rows, without a trace on the model."""

from functools import partial

import numpy as np
import pytest

import nnlite as nn
from nnlite.training.batch import Batch
from nnlite.training.measurements import Measurements

X = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
Y = (X[:, :1] > 0).astype(np.float32)


@nn.mean_over_batches
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
        ({"loss": "mse"}, TypeError, r"loss: expected a Loss, got 'mse'; write loss=nnlite\.MSELoss\(\)"),
        ({"loss": nn.MSELoss(reduction="none")}, ValueError, 'loss: .*got "none"'),
        ({"metrics": [3]}, TypeError, "metrics: expected functions such as nnlite.accuracy, got 3"),
    ],
)
def test_a_bad_argument_is_named(wrong, kind, message):
    given = {"X": X, "Y": Y, "loss": nn.MSELoss(), **wrong}
    with pytest.raises(kind, match=message):
        nn.evaluate(nn.Linear(3, 1), given.pop("X"), given.pop("Y"), **given)


# ---------------------------------------------------------------------------------------------------- over all rows

RNG = np.random.default_rng(1)
CLASSES = np.arange(10) % 3
SCORES = RNG.normal(size=(10, 3)) + np.eye(3)[CLASSES]
MACRO = {
    "precision": partial(nn.precision, average="macro"),
    "recall": partial(nn.recall, average="weighted"),
    "f1": partial(nn.f1, average="macro"),
    "roc_auc": partial(nn.roc_auc, logits=True),
}


class Calls:
    """A metric that notes what it is given."""

    def __init__(self):
        self.given = []

    def __call__(self, Y_pred, Y):
        self.given.append((Y_pred, Y))
        return len(self.given)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 9, 10, 1000])
def test_metrics_over_all_rows_are_those_of_all_rows_in_batches_of_any_size(batch_size):
    result = nn.evaluate(
        nn.Identity(), SCORES, CLASSES, loss=nn.CrossEntropyLoss(), metrics=[*MACRO.values()], batch_size=batch_size
    )
    assert result == {
        "loss": pytest.approx(nn.CrossEntropyLoss().forward(SCORES, CLASSES), rel=1e-14),
        **{name: metric(SCORES, CLASSES) for name, metric in MACRO.items()},
    }
    Y_pred = SCORES + 1
    result = nn.evaluate(nn.Identity(), Y_pred, SCORES, loss=nn.MSELoss(), metrics=[nn.r2], batch_size=batch_size)
    assert result["r2"] == nn.r2(Y_pred, SCORES)


def test_they_are_called_once_on_the_rows_in_their_order():
    metric = Calls()
    nn.evaluate(nn.Linear(3, 1, rng=0), X, Y, loss=nn.MSELoss(), metrics=[metric], batch_size=4)
    [(Y_pred, targets)] = metric.given
    np.testing.assert_allclose(Y_pred, nn.Linear(3, 1, rng=0).forward(X), rtol=1e-6)
    np.testing.assert_array_equal(targets, Y)


def test_they_stand_among_the_others_in_the_order_of_the_metrics():
    metrics = [nn.r2, row_count, Calls()]
    result = nn.evaluate(nn.Identity(), X, X, loss=nn.MSELoss(), metrics=metrics, batch_size=4)
    assert result == {"loss": 0.0, "r2": 1.0, "row_count": 3.6, "Calls": 1.0}
    assert list(result) == ["loss", "r2", "row_count", "Calls"]
    assert type(result["Calls"]) is float


@pytest.mark.parametrize("form", [tuple, lambda pair: dict(zip("ab", pair, strict=True))])
def test_of_several_outputs_they_get_all_rows_of_each_in_the_form_of_the_outputs(form):
    class Two(nn.Layer):
        def forward(self, X):
            return form((X, -X))

        def backward(self, dY):
            raise NotImplementedError

    metric = Calls()
    losses = form((nn.MSELoss(), nn.MSELoss()))
    result = nn.evaluate(Two(), X, form((X, Y[:, [0, 0, 0]])), loss=losses, metrics=[metric], batch_size=4)
    assert [*result][-1] == "Calls"
    [(Y_pred, targets)] = metric.given
    for given, expected in ((Y_pred, form((X, -X))), (targets, form((X, Y[:, [0, 0, 0]])))):
        assert type(given) is type(expected)
        for key in given if isinstance(given, dict) else range(2):
            np.testing.assert_array_equal(given[key], expected[key])


def test_batches_of_several_outputs_are_put_together_by_their_names():
    metric = Calls()
    means = Measurements(nn.MSELoss(), {"calls": metric})
    batch = Batch(None, np.array([0]), count=1)
    means.add(batch, 0.0, {"a": np.array([1]), "b": np.array([2])})
    means.add(batch, 0.0, {"b": np.array([20]), "a": np.array([10])})
    means.values()
    assert {key: value.tolist() for key, value in metric.given[0][0].items()} == {"a": [1, 10], "b": [2, 20]}


def test_a_model_that_fills_the_same_array_again_does_not_spoil_them():
    class Reusing(nn.Layer):
        kept = np.empty((2, 3), np.float32)

        def forward(self, X):
            self.kept[:] = X
            return self.kept

        def backward(self, dY):
            return dY

    assert nn.evaluate(Reusing(), X, X, loss=nn.MSELoss(), metrics=[nn.r2], batch_size=2) == {"loss": 0.0, "r2": 1.0}


def test_a_stream_that_fills_the_same_targets_again_does_not_spoil_them():
    metric, Y = Calls(), np.array([1])
    means = Measurements(nn.MSELoss(), {"calls": metric})
    means.add(Batch(None, Y, count=1), 0.0, np.array([0]))
    Y[0] = 2
    means.add(Batch(None, Y, count=1), 0.0, np.array([0]))
    means.values()
    assert metric.given[0][1].tolist() == [1, 2]


def test_so_far_leaves_them_out_and_does_not_call_them():
    metric = Calls()
    means = Measurements(nn.MSELoss(), {"calls": metric, "row_count": row_count})
    for count in (3, 1):
        means.add(Batch(None, np.zeros(count), count), 2.0, np.zeros(count))
        assert set(means.so_far()) == {"loss", "row_count"}
    assert means.so_far() == {"loss": 2.0, "row_count": (9 + 1) / 4}
    assert metric.given == []
    assert means.values() == {"loss": 2.0, "calls": 1.0, "row_count": 2.5}


def test_rows_are_kept_only_where_a_metric_asks_for_them():
    means = Measurements(nn.MSELoss(), {"row_count": row_count})
    means.add(Batch(None, np.zeros(1), count=1), 0.0, np.zeros(1))
    assert means.kept == []


@pytest.mark.parametrize("value", [None, "1", np.ones(1)])
def test_over_batches_too_a_metric_returns_a_number(value):
    @nn.mean_over_batches
    def odd(Y_pred, Y):
        return value

    with pytest.raises(TypeError, match="metrics: expected odd to return a number, got"):
        nn.evaluate(nn.Identity(), X, X, loss=nn.MSELoss(), metrics=[odd])


def test_a_confusion_matrix_is_no_series():
    with pytest.raises(TypeError, match="metrics: expected confusion_matrix to return a number, got array"):
        nn.evaluate(
            nn.Identity(), SCORES, CLASSES, loss=nn.CrossEntropyLoss(), metrics=[nn.confusion_matrix], batch_size=4
        )


def test_the_state_of_means_is_only_for_the_same_metrics():
    state = Measurements(nn.MSELoss(), {"a": row_count, "f1": nn.f1}).state_dict()
    Measurements(nn.MSELoss(), {"f1": nn.f1, "a": row_count}).load_state_dict(state)
    unmarked = {"a": row_count, "f1": row_count}
    for metrics in ({"f1": nn.f1}, {"a": row_count}, {"b": row_count, "f1": nn.f1}, unmarked, {}):
        with pytest.raises(ValueError, match=r"metrics: expected those of the interrupted epoch, \['a', 'f1'\], got "):
            Measurements(nn.MSELoss(), metrics).load_state_dict(state)


def test_the_state_of_means_holds_all_that_it_has_taken_in():
    metrics = {"calls": nn.r2, "row_count": row_count}
    one, other = Measurements(nn.MSELoss(), metrics), Measurements(nn.MSELoss(), dict(reversed(metrics.items())))
    one.add(Batch(None, np.arange(3) ** 2, count=3), 2.0, np.arange(3))
    other.load_state_dict(one.state_dict())
    for means in (one, other):
        means.add(Batch(None, np.ones(1), count=1), 4.0, np.zeros(1))
    assert other.values() == one.values()


def test_batches_that_weigh_less_than_1_are_weighed_all_the_same():
    scores, labels = np.random.default_rng(0).normal(size=(6, 2)), np.array([0, 1, 1, 0, 0, 1])
    loss = nn.CrossEntropyLoss(weight=[0.01, 0.03])
    whole = nn.CrossEntropyLoss(weight=[0.01, 0.03]).forward(scores, labels)
    found = nn.evaluate(nn.Identity(), scores, labels, loss=loss, batch_size=2)
    assert found["loss"] == pytest.approx(whole, rel=1e-12)
