"""sanity: each verdict on a model or data with that very fault, and none on what is healthy."""

import pickle
import re
from functools import cache

import numpy as np
import pytest
from support.sweeps import seeds

import nnlite as nn
from nnlite.diagnostics.sanity_checks.correctness import correct_gradients, independent_rows
from nnlite.diagnostics.sanity_checks.data import finite_data, input_scale
from nnlite.diagnostics.sanity_checks.initialization import active_units, unequal_units
from nnlite.diagnostics.sanity_checks.overfitting import overfits_small_batch
from nnlite.diagnostics.sanity_checks.rehearsal import Rehearsal
from nnlite.diagnostics.sanity_checks.targets import initial_loss, targets_in_range

zeros, he_uniform = nn.initializers.zeros, nn.initializers.he_uniform
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4))
Y = (X[:, :1] + X[:, 1:2] ** 2 > 1) * 1.0
labels = np.argmax(X[:, :3], axis=1)


def checked(name, model, loss, X, Y):
    """The result of one of the checks alone, which is cheaper than ``nn.sanity(...)`` with all of them."""
    checks = {
        "data": finite_data,
        "scale": input_scale,
        "targets": targets_in_range,
        "initial_loss": initial_loss,
        "gradients": lambda run: correct_gradients(run, np.random.default_rng(0)),
        "rows": lambda run: independent_rows(run, np.random.default_rng(0)),
        "units": active_units,
        "symmetry": unequal_units,
        "overfitting": lambda run: overfits_small_batch(run, np.random.default_rng(0)),
    }
    with np.errstate(all="ignore"):
        return checks[name](Rehearsal(model, loss, X, Y))


def network(*last, rng=0, width=8, hidden=nn.Tanh, **options):
    rng = np.random.default_rng(rng)
    last = last or (nn.Linear(width, 1, rng=rng), nn.Sigmoid())
    return nn.Sequential(nn.Linear(4, width, rng=rng, **options), hidden(), *last)


def scores(**options):
    return network(nn.Linear(8, 3, rng=1), **options)


@cache
def load(name):
    dataset = getattr(nn.datasets, name)()
    for array in dataset:
        array.setflags(write=False)
    return dataset


def breast_cancer(seed):
    rng, (X, Y) = np.random.default_rng(seed), load("breast_cancer")
    layers = nn.Linear(30, 16, rng=rng), nn.Tanh(), nn.Linear(16, 8, rng=rng), nn.Sigmoid(), nn.Linear(8, 1, rng=rng)
    model = nn.Sequential(*layers, nn.Sigmoid())
    return model, nn.BCELoss(), (X - X.mean(axis=0)) / X.std(axis=0), Y, nn.SGD(model, lr=0.02, momentum=0.9)


def digits(seed):
    rng, (X, Y) = np.random.default_rng(seed), load("digits")
    model = nn.Sequential(nn.Linear(64, 128, weight_init=he_uniform, rng=rng), nn.ReLU(), nn.Linear(128, 10, rng=rng))
    return model, nn.CrossEntropyLoss(label_smoothing=0.1), X / 16, Y, nn.SGD(model, lr=0.1, momentum=0.9)


def xor(seed):
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(2, 5, rng=rng), nn.Tanh(), nn.Linear(5, 1, rng=rng), nn.Sigmoid())
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    return model, nn.BCELoss(), X, np.array([[0], [1], [1], [0]]), nn.SGD(model, lr=0.5, momentum=0.9)


# ------------------------------------------------------------------------------------------------ what is healthy


@pytest.mark.parametrize("task", [breast_cancer, digits, xor])
@pytest.mark.parametrize("seed", seeds(2))
def test_no_false_alarm_on_the_examples(task, seed):
    model, loss, X, Y, optimizer = task(seed)
    for given in optimizer, None:
        report = nn.sanity(model, loss, X, Y, optimizer=given)
        assert report.right, report
        assert all(check.right for check in report.checks.values()), report


def test_it_prints_ten_lines_each_with_a_verdict_and_a_cure_below_what_is_wrong():
    model, loss, X, Y, optimizer = digits(0)
    text = str(nn.sanity(model, loss, X, Y, optimizer=optimizer))
    assert len([line for line in text.splitlines() if line.startswith("right  ")]) == 10
    assert all(line.startswith(("right  ", 22 * " ")) for line in text.splitlines())
    report = nn.sanity(model, loss, 160 * X, Y)
    lines = [line for line in repr(report).splitlines() if not line.startswith(22 * " ")]
    assert lines[1].startswith("WRONG  input scale")
    assert lines[2].startswith("       -> standardize: X = (X - X.mean(axis=0)) / X.std(axis=0) (training rows)")
    assert report.wrong[0] == "scale"
    assert not report.right


def test_it_prints_lines_of_80_columns():
    model, loss, X, Y, _ = digits(0)
    report = nn.sanity(model, loss, 160 * X, Y)
    assert max(map(len, str(report).splitlines())) <= 80
    assert report.scale.found in " ".join(str(report).split())
    assert report.scale.cure in " ".join(str(report).split())


def test_the_model_the_loss_and_the_optimizer_stay_as_they_are():
    model, loss, X, Y, optimizer = xor(0)
    nn.fit(model, X, Y, loss=loss, optimizer=optimizer, epochs=3, verbose=0)
    model[0].training = False
    Phi, dPhi, velocity = model.Phi, model.dPhi, optimizer.velocity
    X.flags.writeable = Y.flags.writeable = False
    before = pickle.dumps((model, loss, optimizer.state_dict()))
    nn.sanity(model, loss, X, Y, optimizer=optimizer)
    assert pickle.dumps((model, loss, optimizer.state_dict())) == before
    assert model.Phi is Phi
    assert model.dPhi is dPhi
    assert optimizer.velocity is velocity
    assert optimizer.layer is model


def test_the_same_seed_gives_the_same_report():
    model, loss, X, Y, _ = digits(0)
    assert str(nn.sanity(model, loss, X, Y, rng=3)) == str(nn.sanity(model, loss, X, Y, rng=3))


def test_layers_of_ones_own_graphs_ties_and_several_outputs():
    class PReLU(nn.Layer, parameters=("alpha",)):
        def __init__(self, features):
            self.alpha = np.full(features, 0.25)

        def forward(self, X):
            self.X = X
            return np.where(X > 0, X, self.alpha * X)

        def backward(self, dY):
            self.dalpha = np.sum(dY * np.minimum(self.X, 0), axis=0)
            return np.where(self.X > 0, dY, self.alpha * dY)

    rng = np.random.default_rng(0)
    a, b = nn.Input("a"), nn.Input("b")
    first = nn.Linear(4, 4, rng=rng)
    h = PReLU(4)(nn.tied(first)(nn.Tanh()(first(a))) + b)
    outputs = {"label": nn.Linear(4, 3, rng=rng)(h), "value": nn.Linear(4, 1, rng=rng)(h)}
    model = nn.Graph({"a": a, "b": b}, outputs)
    losses = {"label": nn.CrossEntropyLoss(), "value": nn.MSELoss()}
    report = nn.sanity(model, losses, {"a": X, "b": X}, {"label": labels, "value": Y})
    assert report.right, report
    assert report.gradients.right, report
    assert "PReLU" in report.units.found
    assert report.initial_loss.right is None
    losses["value"] = nn.BCEWithLogitsLoss()
    report = nn.sanity(model, losses, {"a": X, "b": X}, {"label": labels, "value": Y})
    assert report.initial_loss.right, report  # ln 3 + ln 2
    assert "expected 1.79 for uniform" in report.initial_loss.found


def test_batch_normalization_and_dropout_are_no_fault():
    class Normalized(nn.Layer):
        """By its batch while it trains, and by what it has seen elsewhere."""

        def forward(self, X):
            return (X - X.mean(axis=0)) * np.random.default_rng().normal(size=X.shape) if self.training else X

        def backward(self, dY):
            return dY

    assert nn.sanity(network(Normalized(), nn.Linear(8, 1, rng=0), nn.Sigmoid()), nn.BCELoss(), X, Y).right


# ---------------------------------------------------------------------------------------------------- the data


def spoilt(values, index, value):
    values = np.array(values)
    values[index] = value
    return values


@pytest.mark.parametrize(("X", "Y", "found"), [
    (spoilt(X, (17, 2), np.nan), Y, r"X\[17, 2\] is nan"),
    (spoilt(X, (3, 0), -np.inf), Y, r"X\[3, 0\] is -inf"),
    (X, spoilt(Y, (5, 0), np.nan), r"Y\[5, 0\] is nan"),
    (np.ones_like(X), Y, "all 200 rows of X are equal"),
])  # fmt: skip
def test_data(X, Y, found):
    check = checked("data", network(nn.Linear(8, 1, rng=0)), nn.MSELoss(), X, Y)
    assert check.right is False
    assert check.found.startswith(found.replace("\\", ""))
    assert check.cure


def test_one_value_that_is_not_finite_is_found_in_many_rows():
    X = np.random.default_rng(0).normal(size=(5000, 4))
    report = nn.sanity(network(), nn.BCELoss(), spoilt(X, (4321, 1), np.nan), (X[:, :1] > 0) * 1)
    assert report.data.found == "X[4321, 1] is nan"


def test_rows_of_X_with_two_targets_are_a_remark():
    twice = np.concatenate([X, X[:3]])
    model, loss = network(), nn.BCELoss()
    assert checked("data", model, loss, twice, np.concatenate([Y, Y[:3]])).right
    check = checked("data", model, loss, twice, np.concatenate([Y, 1 - Y[:3]]))
    assert check.right is None
    assert "6 of 203 rows equal another row in X but have a different target: no model can fit both" in check.found


def test_an_X_of_zeros_is_no_vanishing_gradient():
    report = nn.sanity(network(), nn.BCELoss(), 0 * X, Y)
    assert report.data.found == "all 200 rows of X are equal, all zeros"
    assert report.updates.right is None
    assert report.updates.found.startswith("skipped: X is all zeros")


def test_units_are_not_looked_at_where_X_is_not_finite():
    check = checked("units", network(), nn.BCELoss(), spoilt(X, (17, 2), np.nan), Y)
    assert (check.right, check.found) == (None, "skipped: X is not finite")


def test_one_row_is_neither_constant_nor_equal_to_others():
    report = nn.sanity(network(), nn.BCELoss(), X[:1], Y[:1])
    assert (report.data.right, report.data.found) == (True, "1 row, all finite")
    assert report.targets.right, report


def test_constant_columns_are_a_remark():
    report = nn.sanity(network(), nn.BCELoss(), spoilt(X, (slice(None), 1), 0.5), Y)
    assert report.data.right
    assert report.data.found.endswith("; column 1 of X is constant")
    little = spoilt(X, (slice(None), 1), 0.5)
    little[7, 1] = np.nextafter(0.5, 1)
    assert checked("data", network(), nn.BCELoss(), little, Y).found == "200 rows, all finite"


@pytest.mark.parametrize(("factor", "shift", "found"), [
    ([1, 1, 50, 1], 0, "column 2 of X has RMS "),
    ([100, 100, 50, 100], 0, " (and 3 other columns) has RMS "),
    ([1, 1, 1, 1], [0, 2000, 0, 0], "column 1 of X has RMS 2e+03, mean 2e+03, standard deviation 0.9"),
    ([1, 0.01, 1, 1], [0, 5, 0, 0], "column 1 of X has RMS 5, mean 5, standard deviation 0.009"),
    ([1, 1e-9, 1, 1], [0, 5, 0, 0], "column 1 of X has RMS 5, mean 5, standard deviation 9"),
    ([0.001, 0.002, 0.0003, 0.001], 0, "no column of X has an RMS above 0.0019"),
])  # fmt: skip
def test_input_scale(factor, shift, found):
    check = checked("scale", network(), nn.BCELoss(), X * factor + shift, Y)
    assert check.right is False
    assert found in check.found
    assert check.cure


def test_indices_have_no_scale():
    class Embedding(nn.Layer, parameters=("W",)):
        def __init__(self):
            self.W = np.random.default_rng(0).normal(size=(1000, 4))

        without_gradient = ("X",)

        def forward(self, X):
            self.X = X[:, 0]
            return self.W[self.X]

        def backward(self, dY):
            self.dW = np.zeros_like(self.W)
            np.add.at(self.dW, self.X, dY)

    class Model(nn.Layer):
        without_gradient = ("X",)

        def __init__(self):
            self.words, self.head = Embedding(), network()

        def forward(self, X):
            return self.head.forward(self.words.forward(X))

        def backward(self, dY):
            self.words.backward(self.head.backward(dY))

    X = np.random.default_rng(0).integers(0, 1000, size=(200, 1))
    report = nn.sanity(Model(), nn.BCELoss(), X, Y)
    assert report.scale.right is None
    assert report.gradients.right
    assert report.right, report
    assert "skipped" not in nn.sanity(Model(), nn.BCELoss(), 0 * X, Y).updates.found


# ------------------------------------------------------------------------------------------------- the targets


@pytest.mark.parametrize(("model", "loss", "Y", "found"), [
    (network(), nn.BCELoss(), 2 * Y - 1, "expected each target from 0 to 1, got -1.0 at index"),
    (network(), nn.BCELoss(), Y[:, 0], "expected a target of Y's shape (200, 1), got (200,)"),
    (scores(), nn.CrossEntropyLoss(), labels + 1, "expected class indices from 0 to 2, got 3 at"),
    (scores(), nn.CrossEntropyLoss(), labels * 1.0, "expected class indices of a whole-number dtype"),
    (network(nn.Linear(8, 1, rng=0)), nn.CrossEntropyLoss(), 0 * labels, "expected logits of at least 2 classes"),
    (network(nn.Linear(8, 1, rng=0)), nn.BCELoss(), Y, "put a Sigmoid before it, or use BCEWithLogitsLoss"),
    (network(), nn.MSELoss(), 25 * Y, "Y ranges from 0 to 25, the last layer Sigmoid() from 0 to 1"),
    (network(nn.Linear(8, 1), nn.ReLU()), nn.MSELoss(), Y - 0.5, "the last layer ReLU() from 0 to inf"),
    (network(nn.Sequential(nn.Linear(8, 1), nn.Tanh())), nn.MSELoss(), 2 * Y, "the last layer Tanh() from -1 to 1"),
    (network(nn.Linear(8, 3), nn.Softmax()), nn.CrossEntropyLoss(), labels,
     "CrossEntropyLoss expects logits, but the last layer is Softmax(dim=-1)"),
    (network(), nn.BCEWithLogitsLoss(), Y, "BCEWithLogitsLoss expects logits, but the last layer is Sigmoid()"),
    (network(nn.Linear(8, 1), nn.ReLU()), nn.BCEWithLogitsLoss(), Y, "expects logits, but the last layer is ReLU()"),
    (network(), nn.BCELoss(), np.ones_like(Y), "every target in Y is [1.]"),
])  # fmt: skip
def test_targets(model, loss, Y, found):
    check = checked("targets", model, loss, X, Y)
    assert check.right is False
    assert found in check.found
    assert check.cure


@pytest.mark.parametrize(("model", "loss", "Y", "found"), [
    (network(nn.Linear(8, 1, rng=0), nn.Softmax()), nn.BCELoss(), Y, "Softmax(dim=-1) of a single output is always 1"),
])  # fmt: skip
def test_one_output_where_several_classes_are_meant(model, loss, Y, found):
    report = nn.sanity(model, loss, X, Y)  # the gradient of a softmax of one number is 0, and so is ln 1
    assert report.targets.right is False
    assert report.targets.found == found
    assert report.targets.cure
    assert report.updates.found == "every gradient is 0"


def test_targets_that_are_not_scaled():
    targets = 3e5 * X[:, :1] + 1e6
    model = network(nn.Linear(8, 1, rng=0))
    check = checked("targets", model, nn.MSELoss(), X, targets)
    assert check.right is False
    assert check.found.startswith("Y has RMS 1.04e+06, the initial outputs of the model 1.3")
    assert check.cure == "standardize: Y = (Y - Y.mean(axis=0)) / Y.std(axis=0) (training rows)"
    model[2].b = [1e6]
    assert checked("targets", model, nn.MSELoss(), X, targets).right


def test_a_loss_for_each_output_of_a_model_of_one():
    report = nn.sanity(network(), (nn.BCELoss(), nn.BCELoss()), X, Y)
    assert report.wrong == ["targets"]
    assert (
        "expected a loss for each output, got a tuple of 2; the model's outputs are one array" in report.targets.found
    )
    x = nn.Input("x")
    model = nn.Graph(x, {"a": nn.Linear(4, 1, rng=0)(x), "b": nn.Linear(4, 1, rng=1)(x)})
    for losses in {"a": nn.MSELoss(), "c": nn.MSELoss()}, nn.MSELoss():
        report = nn.sanity(model, losses, X, {"a": Y, "b": Y})
        assert report.wrong == ["targets"]
        assert report.targets.found


def test_the_last_layer_of_a_graph():
    x = nn.Input("x")
    model = nn.Graph(x, nn.Sigmoid()(nn.Linear(4, 1, rng=0)(x)))
    assert "the last layer" in checked("targets", model, nn.MSELoss(), X, 2 * Y).found
    x = nn.Input("x")
    model = nn.Graph(x, nn.Sigmoid()(nn.Linear(4, 1, rng=0)(x)) * 3)
    assert checked("targets", model, nn.MSELoss(), X, 2 * Y).right


def test_one_target_out_of_range_is_found_in_many_rows():
    X = np.random.default_rng(0).normal(size=(5000, 4))
    labels = spoilt(np.argmax(X[:, :3], axis=1), 4321, 3)
    report = nn.sanity(scores(), nn.CrossEntropyLoss(), X, labels)
    assert "expected class indices from 0 to 2, got 3 at (4321,)" in report.targets.found


def test_classes_that_never_occur_are_a_remark():
    check = checked("targets", scores(), nn.CrossEntropyLoss(), X, np.minimum(labels, 1))
    assert check.right is None
    assert check.found == "only 2 of the 3 classes occur in Y: 0, 1"


def test_where_the_loss_refuses_the_targets_what_needs_it_is_not_done():
    report = nn.sanity(network(), nn.BCELoss(), X, 2 * Y - 1)
    assert report.wrong == ["targets"]
    assert [name for name, check in report.checks.items() if check.right is None] == [
        "initial_loss", "gradients", "symmetry", "updates", "overfitting"
    ]  # fmt: skip
    assert report.rows.right
    assert report.units.right


# ------------------------------------------------------------------------------------------- the loss at first


def with_weights(model, factor):
    model.Phi = factor * model.Phi
    return model


@pytest.mark.parametrize(("loss", "Y", "words"), [
    (nn.BCEWithLogitsLoss(), Y, "ln 2 = 0.693"),
    (nn.BCEWithLogitsLoss(reduction="sum"), Y, f"expected {200 * np.log(2):.3g}"),
    (nn.BCEWithLogitsLoss(pos_weight=3.0), Y, f"expected {np.log(2) * (1 + 2 * Y.mean()):.3g}"),
    (nn.CrossEntropyLoss(), labels, "ln 3 = 1.1"),
    (nn.CrossEntropyLoss(weight=[1.0, 5.0, 2.0], label_smoothing=0.2), np.eye(3)[labels], "for uniform probabilities"),
])  # fmt: skip
def test_the_loss_at_first(loss, Y, words):
    model = network(nn.Linear(8, Y.shape[1] if Y.ndim > 1 else 3, rng=1))
    check = checked("initial_loss", model, loss, X, Y)
    assert check.right, check
    assert words in check.found
    check = checked("initial_loss", with_weights(model, 10), loss, X, Y)
    assert check.right is False
    assert "confident wrong predictions" in check.found
    assert check.cure


def test_the_loss_at_first_of_a_model_that_has_learnt():
    model = with_weights(network(nn.Linear(8, 1, rng=0)), 0.0)
    model[2].b = [-100.0]
    check = checked("initial_loss", model, nn.BCEWithLogitsLoss(), X, spoilt(np.zeros_like(Y), (0, 0), 0.001))
    assert check.right is None
    assert "the model is already trained, or X contains the target" in check.found


def test_the_loss_at_first_of_another_loss():
    check = checked("initial_loss", network(), nn.MSELoss(), X, Y)
    assert check.right is None
    assert "the expected value is known only for classification" in check.found


def test_the_loss_at_first_is_infinite():
    report = nn.sanity(with_weights(network(nn.Linear(8, 1, rng=0)), 1e30), nn.MSELoss(), X, Y)
    assert report.initial_loss.right is False
    assert report.initial_loss.found == "inf"
    assert report.gradients.right is None


# ------------------------------------------------------------------------------------------ gradients and rows


class Wrong(nn.Layer):
    """A derivative with the wrong sign."""

    def forward(self, X):
        self.X = X
        return np.sin(X)

    def backward(self, dY):
        return -dY * np.cos(self.X)


class Broken(nn.Tanh):
    def backward(self, dY):
        return dY.no_such_thing


def test_gradients():
    report = nn.sanity(network(hidden=Wrong), nn.BCELoss(), X, Y)
    assert report.gradients.right is False
    assert report.gradients.found.startswith("Sequential[1] Wrong(): dX: wrong sign")
    report = nn.sanity(network(hidden=Broken), nn.BCELoss(), X, Y)
    assert report.gradients.right is False
    assert "backward fails: AttributeError" in report.gradients.found
    assert report.overfitting.right is None


class Penalized(nn.Loss):
    """The squared error and reg / 2 times the sum of the squared weights of a model, as in cs231n, assignment 1."""

    def __init__(self, model, reg):
        super().__init__()
        self.model, self.reg, self.error = model, reg, nn.MSELoss()

    def forward(self, Y, target):
        weights = [P for _, P in self.model.named_parameters() if P.ndim > 1]
        return self.error.forward(Y, target) + self.reg / 2 * sum(float(np.sum(W * W)) for W in weights)

    def backward(self, dJ=1.0):
        return self.error.backward(dJ)


class Decayed(nn.Linear):
    """Adds the gradient of the penalty."""

    def backward(self, dY):
        dX = super().backward(dY)
        self.dW += 0.1 * self.W
        return dX


def test_the_gradient_of_a_penalty_that_the_loss_computes_from_the_model():
    for layer, right in (nn.Linear, False), (Decayed, True):
        model = nn.Sequential(layer(4, 5, rng=0), nn.Tanh(), layer(5, 1, rng=1))
        report = nn.sanity(model, Penalized(model, 0.1), X, X[:, :1])
        assert report.gradients.right is right, report
        assert report.overfitting.right, report


def test_an_input_at_the_kink_of_a_relu_is_no_fault():
    model = network(hidden=nn.ReLU)
    assert checked("gradients", model, nn.BCELoss(), spoilt(X, slice(100), 0), Y).right


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_maxima_over_a_constant_part_of_an_image_are_no_fault(dtype):
    rng = np.random.default_rng(0)
    images = np.zeros((20, 1, 12, 12), dtype)
    images[:, :, 4:8, 4:8] = rng.integers(1, 256, (20, 1, 4, 4))
    layers = (
        nn.Conv2d(1, 4, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(144, 3, rng=rng),
    )
    check = checked("gradients", nn.Sequential(*layers), nn.CrossEntropyLoss(), images, rng.integers(3, size=20))
    assert check.right, check


def test_the_cure_of_unscaled_images_is_for_channels_and_works_with_a_constant_border():
    rng = np.random.default_rng(0)
    images = np.zeros((20, 3, 8, 8), np.uint8)
    images[..., 2:6, 2:6] = rng.integers(256, size=(20, 3, 4, 4))
    model = nn.Sequential(nn.Conv2d(3, 4, 3, rng=rng), nn.Tanh(), nn.Flatten(), nn.Linear(144, 1, rng=rng))
    check = checked("scale", model, nn.MSELoss(), images, np.ones((20, 1)))
    assert check.right is False
    names = {"X": images}
    exec(check.cure.removeprefix("standardize each channel: ").removesuffix(" (training rows)"), names)
    assert checked("scale", model, nn.MSELoss(), names["X"], np.ones((20, 1))).right


def test_gradients_that_cannot_be_compared():
    class Random(nn.Layer):
        """Noise also in evaluation mode."""

        def forward(self, X):
            return X + np.random.default_rng().normal(size=X.shape)

        def backward(self, dY):
            return dY

    check = checked("gradients", network(Random(), nn.Linear(8, 1, rng=0)), nn.MSELoss(), X, Y)
    assert check.right is None
    assert "forward is random" in check.found


class Neighbours(nn.Layer):
    """Each row gets something of the one before it."""

    def forward(self, X):
        return X + 0.1 * np.roll(X, 1, axis=0)

    def backward(self, dY):
        return dY + 0.1 * np.roll(dY, -1, axis=0)


@pytest.mark.parametrize(("layer", "found"), [
    (Neighbours(), r"Sequential[2] Neighbours(): the output for a sample depends on the other samples"),
    (nn.Softmax(dim=0), r"Sequential[2] Softmax(dim=0): the output for a sample depends on the other samples"),
])  # fmt: skip
def test_rows(layer, found):
    check = checked("rows", network(layer, nn.Linear(8, 1, rng=0)), nn.MSELoss(), X, Y)
    assert check.right is False
    assert found in check.found
    assert check.cure


def test_an_output_that_is_not_one_per_row():
    model = network(nn.Mean(dim=0, keepdim=True), nn.Linear(8, 1))
    assert "expected one row of output for each of the 200 samples" in checked("rows", model, nn.MSELoss(), X, Y).found


# ------------------------------------------------------------------------------------------------------- units


def test_dead_units():
    model = network(hidden=nn.ReLU)
    model[0].b = np.where(np.arange(8) < 5, -100, 0)
    check = checked("units", model, nn.BCELoss(), X, Y)
    assert check.right is False
    assert "1 ReLU(): 5 of 8 units dead" in check.found
    assert check.cure
    model[0].b = np.where(np.arange(8) < 4, -100, 0)
    check = checked("units", model, nn.BCELoss(), X, Y)
    assert check.right
    assert "1 ReLU(): 4 of 8 units dead" in check.found


@pytest.mark.parametrize("hidden", [nn.Tanh, nn.Sigmoid])
def test_saturated_units(hidden):
    check = checked("units", network(hidden=hidden), nn.BCELoss(), 100 * X, Y)
    assert check.right is False
    assert "% saturated" in check.found
    assert checked("units", network(hidden=hidden), nn.BCELoss(), X, Y).right


def test_a_model_without_activations():
    report = nn.sanity(nn.Linear(4, 1, rng=0), nn.MSELoss(), X, Y)
    assert (report.units.right, report.units.found) == (None, "the model has no activation")
    assert report.symmetry.found == "no layer has several units"


@pytest.mark.parametrize("init", [zeros, lambda shape, dtype, rng: np.full(shape, 0.1, dtype)])
def test_symmetry(init):
    model = network(nn.Linear(8, 1, weight_init=init), nn.Sigmoid(), weight_init=init)
    check = checked("symmetry", model, nn.BCELoss(), X, Y)
    assert check.right is False
    assert check.found == "0.W: 8 of 8 units are equal to another and will stay equal"
    assert check.cure


def test_symmetry_of_two_units():
    model = network()
    model[0].W[:, 6], model[2].W[6] = model[0].W[:, 1], model[2].W[1]
    check = checked("symmetry", model, nn.BCELoss(), X, Y)
    assert check.found == "0.W: 2 of 8 units are equal to another and will stay equal"


def test_gradients_that_differ_by_rounding_keep_units_equal():
    class Rounded(nn.Linear):
        def backward(self, dY):
            dX = super().backward(dY)
            self.dW[:, 6] *= 1 + 1e-6
            return dX

    model = nn.Sequential(Rounded(4, 8, rng=0), *network()[1:])
    model[0].W[:, 6], model[2].W[6] = model[0].W[:, 1], model[2].W[1]
    check = checked("symmetry", model, nn.BCELoss(), X, Y)
    assert check.found == "0.W: 2 of 8 units are equal to another and will stay equal"


def test_units_that_differ_in_the_last_digit_are_not_equal():
    model = network()
    model[0].W[:, 6], model[2].W[6] = model[0].W[:, 1], model[2].W[1]
    model[0].W[0, 6] = np.nextafter(model[0].W[0, 6], np.float32(np.inf))
    assert checked("symmetry", model, nn.BCELoss(), X, Y).right


def test_a_vector_is_no_row_of_units():
    class Scale(nn.Layer, parameters=("gamma",)):
        def __init__(self):
            self.gamma = np.ones(4)

        def forward(self, X):
            self.X = X
            return self.record_Y(X * self.gamma)

        def backward(self, dY):
            self.dgamma = (self.check_dY(dY) * self.X).sum(axis=0)
            return dY * self.gamma

    same = np.repeat(X[:, :1], 4, axis=1)  # the gradients are equal as well
    check = checked("symmetry", Scale(), nn.MSELoss(), same, 2 * same)
    assert (check.right, check.found) == (True, "no layer has several units")


def test_equal_weights_that_will_not_stay_so_are_no_fault():
    last = nn.Linear(8, 3, weight_init=zeros)
    report = nn.sanity(network(last), nn.CrossEntropyLoss(), X, labels)
    assert report.right, report
    report = nn.sanity(network(weight_init=zeros), nn.BCELoss(), X, Y)
    assert report.right, report


# ----------------------------------------------------------------------------------------------------- updates


def test_updates_by_hand():
    layer = nn.Linear(1, 1)
    layer.W, layer.b = [[2.0]], [0.0]
    # Y = 2, dJ/dY = 2 (2 - 1) = 2: the step (-0.02, -0.02) is 0.014 of |W| = 2
    check = nn.sanity(layer, nn.MSELoss(), [[1.0]], [[1.0]], optimizer=nn.SGD(layer, lr=0.01)).updates
    assert check.right
    assert check.found == "relative update 0.01 in the model"
    check = nn.sanity(layer, nn.MSELoss(), [[1.0]], [[1.0]]).updates
    assert check.found == "without an optimizer: lr=0.0007 gives relative updates of about 0.001"


@pytest.mark.parametrize(("lr", "right", "found", "cure"), [
    (0.01, True, "in layer 2", ""),
    (100.0, False, "in layer 2: too large", "divide lr by about"),
    (1e-7, False, "in layer 2: too small", "multiply lr by about"),
])  # fmt: skip
def test_updates(lr, right, found, cure):
    model = network()
    check = nn.sanity(model, nn.BCELoss(), X, Y, optimizer=nn.SGD(model, lr=lr, momentum=0.9)).updates
    assert check.right is right
    assert check.found.endswith(found)
    assert cure in check.cure


def test_a_vanishing_gradient():
    rng = np.random.default_rng(0)
    blocks = [layer for _ in range(10) for layer in (nn.Linear(8, 8, rng=rng), nn.Sigmoid())]
    model = network(*blocks, nn.Linear(8, 1, rng=rng))
    for optimizer in (), nn.SGD(model, lr=0.1):
        check = nn.sanity(model, nn.BCEWithLogitsLoss(), X, Y, optimizer=optimizer).updates
        assert check.right is False
        what = "relative update" if optimizer else r"\|gradient\| / \|weights\| is"
        assert re.match(rf"{what} \S+ in layer \d+, \S+ in layer 22$", check.found), check
        assert check.cure.startswith("vanishing gradient: ")


def test_updates_of_several_optimizers_on_parts_of_a_model():
    model = network()
    optimizers = [nn.SGD(model[2:], lr=0.01), nn.SGD(model[0], lr=0.0)]
    check = nn.sanity(model, nn.BCELoss(), X, Y, optimizer=optimizers).updates
    assert check.right
    assert check.found.startswith("relative update ")
    assert "layer 0" not in check.found


def test_a_schedule_that_begins_low_is_no_fault():
    model = network()
    optimizer = nn.SGD(model, lr=nn.LinearLR(0.1, start_factor=1e-6, total_iters=100))
    assert nn.sanity(model, nn.BCELoss(), X, Y, optimizer=optimizer).updates.right
    assert optimizer.steps == 0


def test_a_learning_rate_of_0_at_the_first_step():
    model = network()
    for lr in (lambda step: 0.01 * step), 0.0:
        check = nn.sanity(model, nn.BCELoss(), X, Y, optimizer=nn.SGD(model, lr=lr)).updates
        assert (check.right, check.found) == (None, "skipped: the learning rate is 0 at the first step")


def test_an_optimizer_of_another_model():
    model = network()
    with pytest.raises(ValueError, match="updates parameters that are not in Sequential"):
        nn.sanity(model, nn.BCELoss(), X, Y, optimizer=nn.SGD(network(), lr=0.1))
    with pytest.raises(TypeError, match="optimizer: expected one such as"):
        nn.sanity(model, nn.BCELoss(), X, Y, optimizer=0.1)


# ------------------------------------------------------------------------------------------------- overfitting


class Blind(nn.Layer):
    """Lets nothing of X through."""

    def forward(self, X):
        return X * 0

    def backward(self, dY):
        return dY * 0


@pytest.mark.parametrize(("model", "loss", "Y"), [
    (network(Blind(), nn.Linear(8, 1, rng=0)), nn.MSELoss(), Y),
    (network(Blind(), nn.Linear(8, 1, rng=0)), nn.BCEWithLogitsLoss(), Y),
    (network(Blind(), nn.Linear(8, 1, rng=0), nn.Sigmoid()), nn.BCELoss(), Y),
    (network(Blind(), nn.Linear(8, 1, rng=0), nn.Sigmoid()), nn.BCELoss(), (np.arange(200)[:, None] == 7) * 1),
    (network(Blind(), nn.Linear(8, 3, rng=0)), nn.CrossEntropyLoss(), labels),
    (network(), nn.MSELoss(), 100 * Y + 50),
    (network(hidden=Wrong), nn.MSELoss(), Y),
])  # fmt: skip
def test_overfitting(model, loss, Y):
    check = checked("overfitting", model, loss, X, Y)
    assert check.right is False
    assert check.found.startswith("cannot overfit 2 rows: loss from")
    assert check.cure


def test_predicting_the_mean_of_the_targets_is_not_overfitting():
    model = network(Blind(), nn.Linear(8, 1, rng=0))
    check = checked("overfitting", model, nn.MSELoss(), X, X[:, :1] + 10)
    assert check.right is False, check
    assert re.search(r"; a constant prediction has [\d.]+$", check.found)


def test_a_small_model_need_not_learn_eight_rows():
    X = np.linspace(-3, 3, 50)[:, None]
    check = checked("overfitting", nn.Linear(1, 1, rng=0), nn.MSELoss(), X, np.sin(5 * X))
    assert check.right, check
    assert "; with 8 rows only to" in check.found


def test_soft_targets_cannot_be_learnt_to_a_loss_of_0():
    Y = np.random.default_rng(0).uniform(0.3, 0.7, size=(200, 1))
    for model, loss in (network(), nn.BCELoss()), (network(nn.Linear(8, 1, rng=0)), nn.BCEWithLogitsLoss()):
        check = checked("overfitting", model, loss, X, Y)
        assert check.right, check
        assert "(minimum 0.6" in check.found


def test_rows_that_are_alike_are_not_asked_for_two_answers():
    X4 = np.repeat(X[:3], 20, axis=0)
    Y4 = np.random.default_rng(0).normal(size=(60, 1))
    check = checked("overfitting", network(nn.Linear(8, 1, rng=0)), nn.MSELoss(), X4, Y4)
    assert check.right
    assert check.found.startswith("3 rows: ")


def test_a_model_without_parameters():
    report = nn.sanity(nn.Tanh(), nn.MSELoss(), X, np.tanh(X) / 2)
    assert report.overfitting.found == report.updates.found == "the model has no parameters"
    assert report.right


# ------------------------------------------------------------------------------------------------ bad arguments


def test_bad_arguments():
    with pytest.raises(nn.ShapeError, match="Y: expected 200 rows, one per sample, got 100"):
        nn.sanity(network(), nn.BCELoss(), X, Y[:100])
    with pytest.raises(ValueError, match="X: expected at least one row, got none"):
        nn.sanity(network(), nn.BCELoss(), X[:0], Y[:0])
    with pytest.raises(nn.ShapeError, match="expected 4 features, got 3"):
        nn.sanity(network(), nn.BCELoss(), X[:, :3], Y)
    with pytest.raises(TypeError, match="model: expected a Layer"):
        nn.sanity(3, nn.BCELoss(), X, Y)
    with pytest.raises(TypeError, match=r"loss: expected a Loss, got .bce.; write loss=nnlite.BCELoss"):
        nn.sanity(network(), "bce", X, Y)
    with pytest.raises(ValueError, match='expected one number per batch, so reduction="mean" or "sum"'):
        nn.sanity(network(), nn.BCELoss(reduction="none"), X, Y)
    with pytest.raises(ValueError, match="batch_size"):
        nn.sanity(network(), nn.BCELoss(), X, Y, batch_size=0)


def sanity_of_xor(lr):
    """Two hidden units, four rows: the network for which the learning rate matters."""
    X, Y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[0], [1], [1], [0]])
    model = nn.Sequential(nn.Linear(2, 2, rng=1), nn.Tanh(), nn.Linear(2, 1, rng=2), nn.Sigmoid())
    return nn.sanity(model, nn.BCELoss(), X, Y, optimizer=nn.SGD(model, lr=lr))


def test_an_optimizer_that_hardly_reduces_the_loss_is_a_warning():
    check = sanity_of_xor(0.01).overfitting
    assert check.right is None
    assert "with 4 rows your optimizer only reaches 0.70" in check.found
    assert "larger learning rate" in check.cure
    assert sanity_of_xor(1.0).overfitting.right


class HalvedInTraining(nn.Layer):
    """``Y = X / 2`` in training mode, where backward forgets the factor."""

    def forward(self, X):
        return self.record_Y(X * (0.5 if self.training else 1.0))

    def backward(self, dY):
        return dY * 1.0


def test_gradients_are_checked_in_training_mode_where_it_computes_something_else():
    X = np.random.default_rng(0).normal(size=(20, 3))
    model = nn.Sequential(nn.Linear(3, 4, rng=0), HalvedInTraining(), nn.Tanh(), nn.Linear(4, 1, rng=1))
    check = checked("gradients", model, nn.MSELoss(), X, X[:, :1])
    assert check.right is False
    assert check.found.startswith("in training mode: Sequential[1] HalvedInTraining(): dX: 2 times the true gradient")


def test_dropout_and_batch_normalization_are_right_in_training_mode():
    X = np.random.default_rng(0).normal(size=(20, 3))
    model = nn.Sequential(
        nn.Linear(3, 8, rng=0), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(rng=0), nn.Linear(8, 1, rng=1)
    )
    before = model.state_dict()
    result = nn.sanity(model, nn.MSELoss(), X, X[:, :1])
    assert result.gradients.right
    assert all(np.array_equal(before[name], value) for name, value in model.state_dict().items())
