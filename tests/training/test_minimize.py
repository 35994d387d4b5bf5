"""minimize: the minima of problems with known ones by every method, callbacks, interrupts, divergence, state."""

import csv
import os
import signal

import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose, assert_array_equal

import nnlite as nn
from nnlite.training.interrupts import Interrupts
from nnlite.training.minimize import METHODS, WITH_BOUNDS

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 3))
Y = X @ [[2.0], [-1.0], [0.5]] + 0.3 + 0.1 * rng.normal(size=(20, 1))


class Value(nn.Loss):
    """The mean of the outputs themselves."""

    def forward(self, Y, target):
        Y, _ = self.check_pair(Y, target)
        self.shape = Y.shape
        return self.reduce(Y)

    def backward(self, dJ=1.0):
        return np.full(self.shape, self.scale(dJ))


class Counts(nn.Callback):
    """Records the events, the parameters at the end of each epoch, and the states."""

    def __init__(self, stop=None):
        self.events, self.path, self.states, self.stop = [], [], [], stop

    def on_epoch_end(self, state):
        self.path.append(state.model.Phi.copy())
        self.states.append(state)
        return state.epoch == self.stop and "enough"


for event in [name for name in dir(nn.Callback) if name.startswith("on_") and name != "on_epoch_end"]:
    setattr(Counts, event, lambda self, state, event=event: self.events.append((event, state.epoch)) and None)


class Breaks(nn.Layer):
    """The identity, until in its forward number ``at`` of a training it does something else."""

    def __init__(self, at, what):
        self.at, self.what, self.forwards = at, what, []

    def forward(self, X):
        self.forwards += [None] * self.training
        return self.what(X) if self.training and len(self.forwards) == self.at else X

    def backward(self, dY):
        return dY


def linear(**options):
    return nn.Linear(3, 1, dtype=np.float64, rng=0, **options)


def minimize(model, *callbacks, **options):
    options = {"loss": nn.MSELoss(), "verbose": 0, "callbacks": callbacks} | options
    return nn.minimize(model, X, Y, **options)


# ------------------------------------------------------------------------------------------------- the minima


@pytest.mark.parametrize("method", METHODS)
def test_rosenbrocks_function_of_gates(method):
    one, a, b = nn.Input("one"), nn.Parameter(-1.2, name="a"), nn.Parameter(1.0, name="b")
    valley = nn.Square()(a * one - 1) + 100 * nn.Square()(b - nn.Square()(a))
    model = nn.Graph(one, valley).astype(np.float64)
    history = nn.minimize(model, [1.0], [0.0], loss=Value(), method=method, tol=1e-9, verbose=0)
    assert_allclose(model.Phi, [1, 1], rtol=1e-4)
    assert history["loss"][-1] < 1e-8 < 1 < history["loss"][0]
    assert history.remark.startswith(f"stopped after epoch {history.epochs}: ")
    assert history.converged or method == "trust-krylov"  # whose last step may be NaN, so near the minimum


@pytest.mark.parametrize("method", WITH_BOUNDS)
def test_least_squares_without_negative_weights(method):
    model = linear(bias=False)
    expected, _ = scipy.optimize.nnls(X, Y[:, 0])
    assert expected.min() == 0
    nn.minimize(model, X, Y, loss=nn.MSELoss(), method=method, bounds=(0, None), tol=1e-12, verbose=0)
    assert_allclose(model.W[:, 0], expected, atol=1e-4)


def test_ridge_regression_without_a_penalty_on_the_bias():
    model = linear()
    history = minimize(model, weight_decay={"W": 0.5}, tol=1e-14)
    A = np.hstack([X, np.ones((20, 1))])
    expected = np.linalg.solve(2 / 20 * A.T @ A + np.diag([0.5, 0.5, 0.5, 0]), 2 / 20 * A.T @ Y)
    assert_allclose(model.Phi, expected[:, 0], rtol=1e-6)
    assert_allclose(history["penalty"][-1], 0.25 * np.sum(model.W**2))
    assert_allclose(history["loss"][-1], nn.evaluate(model, X, Y, loss=nn.MSELoss())["loss"])


def test_the_path_is_that_of_scipy_on_the_same_function():
    path, counts, model = [], Counts(), linear()
    A, start = np.hstack([X, np.ones((20, 1))]), model.Phi.copy()

    def function(Phi):
        error = A @ Phi - Y[:, 0]
        return np.mean(error**2) + 0.05 * Phi @ Phi, 2 / 20 * A.T @ error + 0.1 * Phi

    result = scipy.optimize.minimize(
        function,
        start,
        jac=True,
        method="L-BFGS-B",
        callback=lambda Phi: path.append(Phi.copy()),
        options={"gtol": 1e-9},
    )
    history = minimize(model, counts, weight_decay=0.1, options={"gtol": 1e-9})
    assert history.epochs == result.nit
    assert_allclose(counts.path, path, rtol=1e-9)


def test_bounds_by_name_move_the_start_and_are_kept():
    counts, model = Counts(), linear()
    model.Phi = [5.0, 5.0, 5.0, 5.0]
    minimize(model, counts, bounds={"W": (-0.25, 0.5), "b": (None, 1)})
    path = np.array(counts.path)
    assert path[:, :3].min() >= -0.25
    assert path[:, :3].max() <= 0.5
    assert path[:, 3].max() <= 1
    assert_allclose(model.W[:2, 0], [0.5, -0.25])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", WITH_BOUNDS)
def test_bounds_are_kept_exactly_in_the_dtype_of_the_model(method, dtype):
    for low, high in (-0.1, 0.3), (None, 0.1):
        model, counts = nn.Linear(3, 1, rng=0, dtype=dtype), Counts()
        minimize(model, counts, method=method, bounds=(low, high), epochs=8)
        for Phi in *counts.path, np.float64(model.Phi):
            assert (-np.inf if low is None else low) <= Phi.min()
            assert Phi.max() <= high
        assert_array_equal(model.Phi, counts.path[-1].astype(dtype))
    model = nn.Linear(3, 1, rng=0, dtype=dtype)
    minimize(model, method=method, bounds={"W": (0.1, 0.1)}, epochs=8)
    assert_array_equal(model.W, dtype(0.1))


def test_products_with_the_hessian_of_a_square_are_exact(monkeypatch):
    given = {}
    monkeypatch.setattr(scipy.optimize, "minimize", lambda fun, x0, **options: given.update(options) or stop())

    def stop():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        minimize(linear(bias=False), method="trust-ncg", weight_decay=0.5)
    p = np.array([1e3, -2e3, 1.0])
    expected = 2 / 20 * X.T @ (X @ p) + 0.5 * p
    descent = given["hessp"].__self__
    descent.interrupts = Interrupts()
    for Phi in np.ones(3), np.array([1.0, 0.0, 0.0]), np.zeros(3), np.full(3, 1e6):
        assert_allclose(given["hessp"](Phi, p), expected, rtol=1e-8)
    assert_array_equal(given["hessp"](np.ones(3), np.zeros(3)), np.zeros(3))


def test_several_outputs_tied_weights_and_weights_of_rows_and_classes():
    body = nn.Linear(3, 3, dtype=np.float64, rng=0)
    model = nn.Sequential(body, nn.Tanh(), nn.tied(body))
    nn.minimize(model, X, X, loss=nn.MSELoss(), verbose=0, epochs=30)
    minimum = nn.evaluate(model, X, X, loss=nn.MSELoss())["loss"]
    model.backward(nn.MSELoss().forward(model.forward(X), X) * 0 + 2 / X.size * (model.forward(X) - X))
    assert np.abs(model.dPhi).max() < 1e-2 * minimum + 1e-3

    x = nn.Input("x")
    both = nn.Graph(x, (nn.Linear(3, 1, rng=0)(x), nn.Linear(3, 1, rng=1)(x))).astype(np.float64)
    history = nn.minimize(both, X, (Y, -Y), loss=(nn.MSELoss(), (0.5, nn.MSELoss())), tol=1e-12, verbose=0)
    assert_allclose(both.Phi[:4], -both.Phi[4:], rtol=1e-4)
    assert_allclose(history["loss"][-1], 1.5 * history["loss_0"][-1], rtol=1e-6)

    weighted, weight = linear(), np.arange(20) % 3
    minimize(weighted, sample_weight=weight, tol=1e-14)
    A = np.hstack([X, np.ones((20, 1))]) * np.sqrt(weight)[:, None]
    assert_allclose(weighted.Phi, np.linalg.lstsq(A, Y * np.sqrt(weight)[:, None], rcond=None)[0][:, 0], rtol=1e-5)

    constant = nn.Linear(3, 1, dtype=np.float64)  # on rows of zeros the probability is the weighted share of a class
    history = nn.minimize(
        constant, X * 0, np.arange(20)[:, None] < 5, loss=nn.BCEWithLogitsLoss(), class_weight={1: 6.0}, verbose=0
    )
    assert_allclose(1 / (1 + np.exp(-constant.b)), 30 / 45, rtol=1e-4)


# ------------------------------------------------------------------------------------------- the arrays of a model


def test_a_float32_model_is_trained_in_float64_and_its_arrays_stay():
    model, exact = nn.Linear(3, 1, rng=0), linear()
    exact.Phi = model.Phi
    Phi, W, dtypes = model.Phi, model.W, []
    minimize(model, lambda state: dtypes.append(state.model.Phi.dtype))
    minimize(exact)
    assert set(dtypes) == {np.dtype(np.float64)}
    assert model.Phi is Phi
    assert np.may_share_memory(W, Phi)
    assert Phi.dtype == np.float32
    assert_array_equal(Phi, exact.Phi.astype(np.float32))


def test_what_scipy_gets_are_copies(monkeypatch):
    handed, original = [], scipy.optimize.minimize

    def spied(fun, x0, **options):
        def function(Phi):
            value, gradient = fun(Phi)
            handed.append(gradient)
            return value, gradient

        handed.append(x0)
        return original(function, x0, **options)

    monkeypatch.setattr(scipy.optimize, "minimize", spied)
    model = linear()
    minimize(model)
    assert len(handed) > 3
    assert not any(np.may_share_memory(each, own) for each in handed for own in (model.Phi, model.dPhi))
    assert len({id(each) for each in handed}) == len(handed)


@pytest.mark.parametrize("method", ["L-BFGS-B", "trust-ncg"])
def test_buffers_change_once_an_iteration_and_dropout_is_the_same_in_each_evaluation(method):
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 4, rng=0), nn.Dropout(0.5, rng=1), nn.Linear(4, 1, rng=2))
    model.astype(np.float64)
    copy = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 4), nn.Dropout(0.5, rng=1), nn.Linear(4, 1)).astype(np.float64)
    counts = Counts()
    history = minimize(model, counts, method=method, epochs=12)
    assert np.all(np.diff(history["loss"]) <= 0)
    copy.Phi = counts.path[-1]
    nn.update_bn(copy, X, batch_size=len(X))
    for (_, own), (_, expected) in zip(model.named_buffers(), copy.named_buffers(), strict=True):
        assert_allclose(own, expected)
    once = np.random.default_rng(1)
    copy[2].rng = once
    copy.forward(X)
    assert model[2].rng.bit_generator.state == once.bit_generator.state


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_running_statistics_are_those_of_the_rows_with_the_present_parameters(dtype):
    A, rows = np.tile(X + 5, (50, 1)), np.tile(Y, (50, 1))  # many, so that n / (n - 1) is near 1
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1, rng=2)).astype(dtype)
    means = []

    def look(state):
        means.append((nn.predict(state.model[0], A).mean(0), state.model[1].running_mean.copy()))

    history = nn.minimize(
        model, A, rows, loss=nn.MSELoss(), validation_data=(A, rows), epochs=8, callbacks=[look], verbose=0
    )
    assert_allclose(history["val_loss"], history["loss"], rtol=0.02)
    for expected, mean in means:
        assert_allclose(mean, expected)
    assert_allclose(model[1].running_mean, means[-1][0], rtol=1e-6)
    assert_allclose(nn.evaluate(model, A, rows, loss=nn.MSELoss())["loss"], history["val_loss"][-1], rtol=1e-3)


def test_running_statistics_of_two_places_are_refused():
    norm = nn.BatchNorm1d(3, dtype="d")
    model = nn.Sequential(norm, nn.Tanh(), nn.tied(norm), linear())
    with pytest.raises(ValueError, match=r"^minimize: .*Sequential\[2\].* a second time, .* each place, or fit$"):
        minimize(model)


def test_the_state_of_a_float32_model_is_written_back():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.1, rng=1), nn.Linear(3, 1, rng=0))
    minimize(model, epochs=3)
    assert model[0].num_batches_tracked == 1
    assert model[0].running_mean.dtype == np.float32
    assert np.all(model[0].running_mean != 0)
    assert model[1].rng.bit_generator.state != np.random.default_rng(1).bit_generator.state


def test_rows_of_float32_are_converted_first():
    rows, paths = np.float32(X), []
    for given in rows, np.float64(rows):
        model, counts = nn.Sequential(nn.Exp(), linear()), Counts()
        nn.minimize(model, given, np.float32(Y), loss=nn.MSELoss(), epochs=3, callbacks=[counts], verbose=0)
        paths.append(counts.path)
    assert_array_equal(paths[0], paths[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_state_of_a_loss_changes_as_that_of_a_model(dtype):
    class Counting(nn.MSELoss, buffers=("calls",)):
        def __init__(self):
            super().__init__()
            self.calls = np.zeros(1)

        def forward(self, Y, target):
            self.calls += 1
            return super().forward(Y, target)

    loss = Counting().astype(dtype)
    history = minimize(nn.Linear(3, 1, rng=0, dtype=dtype), loss=loss, validation_data=(X, Y))
    assert loss.calls == history.epochs > 1
    assert loss.calls.dtype == dtype


# --------------------------------------------------------------------------------------------------- callbacks


def test_the_events_of_an_iteration_are_those_of_an_epoch():
    counts = Counts()
    history = minimize(linear(), counts, epochs=2)
    epoch = ["on_epoch_begin", "on_backward_end", "on_batch_end", "on_evaluation_begin", "on_evaluation_end", "on_save"]
    expected = [("on_train_begin", 0), *((event, 1) for event in epoch), *((event, 2) for event in epoch)]
    assert counts.events == [*expected, ("on_save", 2), ("on_train_end", 2)]
    step = counts.states[-1].step
    assert (step.count, step.batch) == (0, None)  # no step is begun
    assert history.epochs == 2
    assert history.remark == ""
    assert history.converged is False


def test_a_callback_ends_it_and_early_stopping_restores_the_best():
    counts, model = Counts(stop=2), linear()
    history = minimize(model, counts)
    assert (history.epochs, history.remark) == (2, "stopped after epoch 2: enough")
    assert_array_equal(model.Phi, counts.path[-1])

    X_val, Y_val = -X[:5], Y[:5]  # a validation on which all gets worse
    for dtype in np.float64, np.float32:
        model, counts = nn.Linear(3, 1, dtype=dtype, rng=0), Counts()
        stopping = nn.EarlyStopping(patience=2)
        history = minimize(model, counts, stopping, validation_data=(X_val, Y_val))
        assert history.epochs == stopping.best_epoch + 2
        assert_array_equal(model.Phi, counts.path[stopping.best_epoch - 1].astype(dtype))
        assert f"restored epoch {stopping.best_epoch}" in history.remark


def test_history_has_the_values_at_the_end_of_each_iteration():
    counts, model, (A, B) = Counts(), linear(), (X[:5] + 1, Y[:5])
    history = minimize(model, counts, validation_data=(A, B), metrics=[nn.r2], epochs=4)
    assert list(history) == ["loss", "r2", "val_loss", "val_r2"]
    for epoch, Phi in enumerate(counts.path):
        model.Phi = Phi
        for name, rows in ("", (X, Y)), ("val_", (A, B)):
            values = nn.evaluate(model, *rows, loss=nn.MSELoss(), metrics=[nn.r2])
            for key, value in values.items():
                assert_allclose(history[name + key][epoch], value)


def test_the_rows_that_are_held_back_are_those_of_fit():
    history, model = minimize(linear(), validation_split=0.25, epochs=1), linear()
    fitted = nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), validation_split=0.25, verbose=0)
    assert_array_equal(history.validation_rows, fitted.validation_rows)


def test_diagnostics_see_the_updates():
    diagnostics, counts, model = nn.Diagnostics(), Counts(), linear()
    before = model.Phi.copy()
    minimize(model, diagnostics, counts, epochs=2)
    steps = np.diff([before, *counts.path], axis=0)
    expected = [
        np.linalg.norm(step) / np.linalg.norm(P) for step, P in zip(steps, [before, counts.path[0]], strict=True)
    ]
    assert_allclose(diagnostics.updates[""], expected)


@pytest.mark.parametrize(("name", "event"), [("gradient", "on_backward_end"), ("parameters", "on_epoch_end")])
def test_a_callback_that_changes_the_gradient_or_the_parameters_is_an_error(name, event):
    class Penalty(nn.Callback):
        pass

    def change(self, state):
        state.model.dPhi += 1
        state.model.Phi += event == "on_epoch_end"

    setattr(Penalty, event, change)
    model = linear()
    before = model.Phi.copy()
    with pytest.raises(ValueError, match=f"^callbacks: one has changed the {name} of the model"):
        minimize(model, Penalty())
    assert name == "parameters" or np.array_equal(model.Phi, before)


def test_callbacks_of_learning_rates_are_errors():
    model = linear()
    optimizer = nn.SGD(model, lr=0.1)
    with pytest.raises(ValueError, match=r"^ReduceLROnPlateau: optimizer: expected one of this training, got SGD"):
        minimize(model, nn.ReduceLROnPlateau(optimizer, monitor="loss"))
    with pytest.raises(ValueError, match=r"^LearningRateLogger: there is no optimizer"):
        minimize(model, nn.LearningRateLogger())


def test_the_last_iteration_is_saved_and_logged_once(tmp_path):
    model = linear()
    callbacks = nn.Checkpoint(tmp_path / "c.npz", every=1000), nn.CSVLogger(tmp_path / "log.csv")
    history = minimize(model, *callbacks)
    assert callbacks[0].epochs_done == history.epochs
    assert_array_equal(nn.load(tmp_path / "c.npz").Phi, model.Phi)
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == history["loss"]


def test_a_checkpoint_is_continued(tmp_path):
    model, other = nn.Linear(3, 1, rng=0), nn.Linear(3, 1, rng=1)
    first = minimize(model, nn.Checkpoint(tmp_path / "c.npz"), epochs=2)
    history = minimize(other, resume=tmp_path / "c.npz", epochs=0)
    assert_array_equal(other.Phi, model.Phi)
    history = minimize(other, resume=tmp_path / "c.npz")
    assert history["loss"][:2] == first["loss"]
    assert history.epochs > 2
    assert_allclose(other.W[:, 0], [2, -1, 0.5], atol=0.1)
    with pytest.raises(nn.CheckpointError, match="method: 'L-BFGS-B' in the file, 'CG' here"):
        minimize(other, resume=tmp_path / "c.npz", method="CG")


# --------------------------------------------------------------------------------------- interrupts and divergence


def interrupted(X):
    os.kill(os.getpid(), signal.SIGINT)
    return X


@pytest.mark.parametrize(("method", "dtype"), [("L-BFGS-B", "d"), ("TNC", "d"), ("trust-krylov", "d"), ("CG", "f")])
@pytest.mark.parametrize(("signal", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
@pytest.mark.filterwarnings("ignore:Checkpoint")
def test_a_signal_leaves_the_parameters_of_the_last_iteration(signal, error, method, dtype, tmp_path):
    def interrupted(X):
        os.kill(os.getpid(), signal)
        return X

    counts, checkpoint = Counts(), nn.Checkpoint(tmp_path / "c.npz", every=1000)
    log = nn.CSVLogger(tmp_path / "log.csv")
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), Breaks(15, interrupted), nn.Linear(4, 1, rng=1))
    model.astype(dtype)
    with pytest.raises(error):
        minimize(model, counts, checkpoint, log, method=method)
    epochs, state = len(counts.path), counts.states[0]
    assert checkpoint.epochs_done == state.history.epochs == epochs >= 1
    assert state.history.remark == f"interrupted after epoch {epochs}"
    assert state.interrupted
    assert_array_equal(model.Phi, counts.path[-1].astype(dtype))
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 1 + epochs
    assert ("on_save", epochs) in counts.events


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("method", ["L-BFGS-B", "TNC", "Newton-CG"])
def test_divergence_leaves_the_state_of_the_last_iteration(method, dtype):
    counts = Counts()
    layers = nn.BatchNorm1d(3), nn.Linear(3, 4, rng=0), nn.Tanh(), Breaks(11, lambda X: X * np.inf)
    model = nn.Sequential(*layers, nn.Linear(4, 1, rng=1)).astype(dtype).eval()
    with pytest.raises(
        nn.DivergenceError, match=r"^the loss is nan in epoch \d+: .* smaller initial weights;"
    ) as caught:
        minimize(model, counts, method=method)
    epochs = len(counts.path)
    assert caught.value.history.epochs == epochs >= 1
    assert f"in epoch {epochs + 1}:" in str(caught.value)
    assert_array_equal(model.Phi, counts.path[-1].astype(dtype))
    assert model[0].num_batches_tracked == 1  # as after each iteration
    assert not model.training


def test_divergence_at_the_start_and_of_a_gradient():
    model, counts = linear(), Counts()
    before = model.Phi.copy()
    with pytest.raises(nn.DivergenceError, match=r"^the loss is nan in epoch 1: Y\[0, 0\] is nan"):
        nn.minimize(model, X, Y * np.nan, loss=nn.MSELoss(), callbacks=[counts], verbose=0)
    assert_array_equal(model.Phi, before)
    assert counts.events == [("on_train_begin", 0), ("on_train_end", 0)]
    root = nn.Sequential(nn.BatchNorm1d(3, dtype="d"), model, nn.Abs(), nn.Sqrt())
    root.Phi = 0 * root.Phi
    with pytest.raises(nn.DivergenceError, match=r"^the gradient is not finite in epoch 1: .*Sqrt.*weight_decay"):
        minimize(root)
    assert_array_equal(root.Phi, 0)
    assert_array_equal(root[0].running_mean, 0)


@pytest.mark.parametrize("remark", [[], ["averaged"]])
def test_what_callbacks_do_after_an_error_is_in_its_notes(remark, monkeypatch):
    class Remarks(nn.Callback):
        def on_train_end(self, state):
            state.remarks += remark

    with pytest.raises(nn.DivergenceError) as caught:
        nn.minimize(linear(), X, Y * np.nan, loss=nn.MSELoss(), callbacks=[Remarks()], verbose=0)
    assert getattr(caught.value, "__notes__", []) == [f"afterwards: {each}" for each in remark]

    def stop(fun, x0, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(scipy.optimize, "minimize", stop)
    with pytest.raises(KeyboardInterrupt) as stopped:
        minimize(linear(), Remarks())
    assert not hasattr(stopped.value, "__notes__")


def test_an_error_of_a_layer_names_the_place_and_leaves_the_last_iteration():
    def fails(X):
        raise TypeError("here")

    counts = Counts()
    model = nn.Sequential(nn.Linear(3, 4, rng=0, dtype="d"), Breaks(9, fails), nn.Linear(4, 1, rng=1, dtype="d"))
    with pytest.raises(TypeError, match="here") as caught:
        minimize(model, counts)
    assert any("Sequential[1]" in note for note in caught.value.__notes__)
    assert_array_equal(model.Phi, counts.path[-1])
    assert caught.value.history.epochs == len(counts.path)


# ------------------------------------------------------------------------------------- how a method may behave


def scipy_that(monkeypatch, does):
    """Let SciPy's minimize do this with the function, the start and the callback."""
    monkeypatch.setattr(scipy.optimize, "minimize", lambda fun, x0, **options: does(fun, x0, options["callback"]))


def result(x, fun):
    return scipy.optimize.OptimizeResult(x=x, fun=fun, message="done")


def test_a_method_that_ends_outside_the_bounds_has_no_iteration_more(monkeypatch):
    outside = np.full(4, 1 + 1e-12)

    def leaves(fun, x0, callback):
        callback(outside)
        return result(outside, -1.0)

    scipy_that(monkeypatch, leaves)
    model, counts = linear(), Counts()
    assert minimize(model, counts, bounds=(None, 1)).epochs == 1
    assert_array_equal(model.Phi, counts.path[0])
    assert_array_equal(model.Phi, 1)


def test_a_method_may_end_within_an_iteration(monkeypatch):
    better = np.linalg.lstsq(np.hstack([X, np.ones((20, 1))]), Y, rcond=None)[0][:, 0]
    scipy_that(monkeypatch, lambda fun, x0, callback: result(better, fun(better)[0]))
    model = linear()
    history = minimize(model)
    assert_array_equal(model.Phi, better)
    assert (history.epochs, history.remark) == (1, "stopped after epoch 1: done")

    def tries(fun, x0, callback):
        callback(better)
        fun(x0)
        return result(better, fun(better)[0])

    scipy_that(monkeypatch, tries)
    assert minimize(linear()).epochs == 1


def test_a_method_that_only_tries_changes_nothing(monkeypatch):
    scipy_that(monkeypatch, lambda fun, x0, callback: result(x0, fun(x0 + 100) and fun(x0)[0]))
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1, rng=0)).astype(np.float64)
    before = model.state_dict()
    history = minimize(model)
    for name, array in model.state_dict().items():
        assert_array_equal(array, before[name])
    assert (history.epochs, history.remark) == (0, "stopped after epoch 0: done")


def test_parameters_that_are_not_finite_end_it(monkeypatch):
    scipy_that(monkeypatch, lambda fun, x0, callback: fun(x0 * np.nan))
    model = linear()
    before = model.Phi.copy()
    history = minimize(model)
    assert history.remark == "stopped after epoch 0: the method tried parameters that are not finite"
    assert_array_equal(model.Phi, before)


def test_tol_and_options_and_limits_are_scipys(monkeypatch):
    given = {}

    def spied(fun, x0, **options):
        given.update(options)
        return result(x0, fun(x0)[0])

    monkeypatch.setattr(scipy.optimize, "minimize", spied)
    minimize(linear(), tol=0.5, options={"maxiter": 7, "gtol": 0.25})
    assert given["tol"] == 0.5
    assert given["options"] == {"maxiter": 7, "maxfun": 2**31 - 1, "gtol": 0.25}
    assert given["bounds"] is given["hessp"] is None
    minimize(linear(), method="TNC")
    assert given["options"] == {"maxfun": 2**31 - 1}
    minimize(linear(), method="CG")
    assert given["options"] == {"maxiter": 2**31 - 1}


# -------------------------------------------------------------------------------------------- what a user sees


def test_no_epochs_no_training():
    model = linear()
    before = model.Phi.copy()
    assert minimize(model, epochs=0).epochs == 0
    assert_array_equal(model.Phi, before)


def test_progress_in_lines(capsys):
    history = nn.minimize(linear(), X, Y, loss=nn.MSELoss(), epochs=3)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert lines[-1].endswith(f"loss={history['loss'][-1]:.4g}")
    history = nn.minimize(linear(), X, Y, loss=nn.MSELoss())
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("epoch 1/1000  loss=")
    assert lines[-1] == history.remark


def test_warnings_point_to_the_line_that_calls_minimize(tmp_path):
    class Lost(nn.Layer, parameters=("W",)):
        def __init__(self):
            self.W = np.ones(1)

        def forward(self, X):
            return X

        def backward(self, dY):
            return dY

    for dtype in np.float32, np.float64:
        model = nn.Sequential(Lost(), nn.Linear(3, 1, rng=0)).astype(dtype)
        checkpoint = nn.Checkpoint(tmp_path / "c.npz")
        with pytest.warns(UserWarning, match="stores|architecture") as caught:
            nn.minimize(model, X, Y, loss=nn.MSELoss(), verbose=0, epochs=1, callbacks=[checkpoint])
        assert {each.filename for each in caught} == {__file__}
        assert "stores no gradient for 0.W" in str(caught[0].message)
        assert "will not hold the architecture" in str(caught[1].message)


def test_columns_of_a_frame_are_remembered():
    pandas = pytest.importorskip("pandas")
    frame, model = pandas.DataFrame(X, columns=["a", "b", "c"]), nn.Linear(3, 1)
    nn.minimize(model, frame, Y, loss=nn.MSELoss(), epochs=1, verbose=0)
    assert model.feature_names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "method: expected 'L-BFGS-B' or .*, got 'Nelder-Mead'", {"method": "Nelder-Mead"}),
        (ValueError, "method: expected .*, got 'trust-exact'", {"method": "trust-exact"}),
        (ValueError, 'bounds: the method "BFGS" has none; use one of L-BFGS-B', {"method": "BFGS", "bounds": (0, 1)}),
        (TypeError, r"bounds: expected a pair \(low, high\), .*, got 3", {"bounds": 3}),
        (TypeError, r"bounds\['W'\]: expected a pair", {"bounds": {"W": 3}}),
        (TypeError, "bounds: expected a number, got 'a'", {"bounds": ("a", 1)}),
        (ValueError, r"bounds: expected low <= high, got \(1, 0\)", {"bounds": (1, 0)}),
        (ValueError, r"bounds: expected low <= high, got \(nan, 0\)", {"bounds": (np.nan, 0)}),
        (ValueError, r"bounds: 'V' names no parameter of Linear\(3 -> 1.*are W, b", {"bounds": {"V": (0, 1)}}),
        (ValueError, "weight_decay: expected a number >= 0, got -1", {"weight_decay": -1}),
        (ValueError, "weight_decay: 'V' names no parameter", {"weight_decay": {"V": 1}}),
        (ValueError, "epochs: expected at least 0", {"epochs": -1}),
        (TypeError, "metrics: expected", {"metrics": 3}),
        (TypeError, "callbacks: expected", {"callbacks": [nn.EarlyStopping]}),
        (ValueError, "validation_split: expected a share", {"validation_split": 2}),
        (ValueError, "EarlyStopping: monitor: there is no 'val_loss'", {"callbacks": [nn.EarlyStopping()]}),
        (TypeError, "loss: expected", {"loss": 3}),
        (ValueError, "tol: expected a number >= 0, got -1", {"tol": -1}),
        (ValueError, "tol: expected a finite number, got nan", {"tol": np.nan}),
        (TypeError, "tol: expected a number, got 'a'", {"tol": "a"}),
        (TypeError, "options: expected a dict by names, .*, got 3", {"options": 3}),
        (TypeError, r"options\['gtol'\]: expected a number, got 'a'", {"options": {"gtol": "a"}}),
        (ValueError, r"options\['ftol'\]: expected a number >= 0, got -1", {"options": {"ftol": -1}}),
        (ValueError, r"options\['ftol'\]: .*finite.* nan", {"options": {"ftol": np.nan}, "method": "TNC"}),
        (TypeError, r"options\['maxiter'\]: expected a number, got 'a'", {"options": {"maxiter": "a"}}),
        (ValueError, "options: 'callback' is no option .*; leave it out", {"options": {"callback": 3}}),
        (ValueError, "options: .* does not accept them: keywords must be strings", {"options": {3: 3}}),
    ],
)
def test_wrong_arguments_are_errors_and_nothing_is_trained(error, message, options):
    for dtype in np.float32, np.float64:
        model = nn.Linear(3, 1, rng=0, dtype=dtype)
        before = model.Phi.copy()
        with pytest.raises(error, match=f"^{message}"):
            minimize(model, **{"bounds": None if "method" in options else (5, 6)} | options)
        assert_array_equal(model.Phi, before)


@pytest.mark.parametrize("method", METHODS)
def test_an_option_that_the_method_does_not_know_is_an_error_before_training(method):
    model, counts = linear(), Counts()
    with pytest.raises(ValueError, match=rf'^options: the method "{method}" does not accept them: .*foo.*show_options'):
        minimize(model, counts, method=method, options={"foo": 1})
    assert not counts.events
    minimize(model, counts, method=method, options={"maxfun" if method == "TNC" else "maxiter": 9})
    assert counts.events.count(("on_train_begin", 0)) == 1


def test_equal_bounds_of_two_names_of_one_parameter_are_no_conflict():
    model = nn.Sequential(linear())
    minimize(model, bounds={"W": (0, 1), "0": (0, 1)}, epochs=1)
    with pytest.raises(ValueError, match=r"^bounds: 'W' and '0' both name 0.W, with different values"):
        minimize(model, bounds={"W": (0, 1), "0": (0, 2)}, epochs=1)


def test_a_model_without_parameters_and_batches_are_errors():
    with pytest.raises(ValueError, match=r"^model: Tanh\(\) has no parameters"):
        minimize(nn.Tanh())
    with pytest.raises(TypeError, match=r"^model: expected a Layer"):
        minimize(3)
    with pytest.raises(TypeError, match=r"^X: expected rows X and Y, got batches"):
        nn.minimize(linear(), [(X, Y)], loss=nn.MSELoss())
