"""MLPClassifier and MLPRegressor: the results of scikit-learn's, its interface, and what nnlite promises beside it."""

import pickle
import warnings

import numpy as np
import pytest
from support.case import case

pytest.importorskip("sklearn")

from scipy.sparse import csr_array
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import nnlite as nn
from nnlite.interop import sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
W = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
X_REG, Y_REG = make_regression(n_targets=3, n_features=6, random_state=0)
Y_REG /= 100
X_MULTI, Y_MULTI = make_multilabel_classification(random_state=0)
COUNTS = np.abs(Y_REG[:, 0] * 3).round()
FITTED = ["best_loss_", "loss_", "n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"]


def pair(name, data, weight=None, **parameters):
    parameters = {"random_state": 3, "max_iter": 40, "hidden_layer_sizes": (9, 5)} | parameters
    return [getattr(module, name)(**parameters).fit(*data, sample_weight=weight) for module in (theirs, ours)]


def check_equal(one, other, rtol=1e-9):
    for name in FITTED:
        if hasattr(one, name):
            expected = getattr(one, name)
            assert getattr(other, name) == (
                pytest.approx(expected, rtol) if isinstance(expected, float) else expected
            ), name
    for name in "coefs_", "intercepts_", "loss_curve_", "validation_scores_":
        if getattr(one, name, None) is not None:
            for expected, found in zip(getattr(one, name), getattr(other, name), strict=True):
                np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("weight", [None, W], ids=["", "weights"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.2},
        {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.5, "tol": 1e-2},
        {"solver": "sgd", "nesterovs_momentum": False, "activation": "tanh", "batch_size": 64},
        {"solver": "sgd", "momentum": 0, "activation": "logistic", "alpha": 1.0},
        {"solver": "adam", "alpha": 0.1, "batch_size": 7, "shuffle": False},
        {"solver": "adam", "early_stopping": True, "activation": "identity", "alpha": 0},
        {"solver": "lbfgs", "alpha": 0.1},
    ],
    ids=lambda parameters: "-".join(str(each) for each in parameters.values()),
)
def test_equal_seeds_give_the_weights_and_the_losses_of_scikit_learn(parameters, weight):
    check_equal(*pair("MLPClassifier", (X, y), weight, **parameters), 1e-6 if parameters["solver"] == "lbfgs" else 1e-9)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_so_they_do_for_every_kind_of_target(solver):
    rtol = 1e-6 if solver == "lbfgs" else 1e-9
    for name, data, parameters in [
        ("MLPClassifier", (X, y > 0), {}),
        ("MLPClassifier", (X_MULTI, Y_MULTI), {}),
        ("MLPRegressor", (X_REG, Y_REG[:, 0]), {}),
        ("MLPRegressor", (X_REG, COUNTS), {"loss": "poisson"}),
        *([] if solver == "lbfgs" else [("MLPRegressor", (X_REG, Y_REG), {"early_stopping": True})]),
    ]:
        with case(f"{name} {np.shape(data[1])} {parameters}"):
            one, other = pair(name, data, solver=solver, **parameters)
            check_equal(one, other, rtol)
            np.testing.assert_allclose(other.predict(data[0]), one.predict(data[0]), rtol=1e-5, atol=1e-8)
            assert other.predict(data[0]).dtype == one.predict(data[0]).dtype


@pytest.mark.parametrize("several", [True, False])
def test_lbfgs_of_probabilities_that_are_clipped(several):
    """On rows that are not scaled, steps of its line search give probabilities of 0, whose logarithm counts there."""
    rows, labels = load_iris(return_X_y=True)
    labels = labels if several else labels > 1
    parameters = {"hidden_layer_sizes": (10, 5), "solver": "lbfgs", "max_iter": 30, "random_state": 0}
    check_equal(*pair("MLPClassifier", (rows, labels), **parameters), 1e-6)


def test_partial_fit_and_warm_start_go_on_as_there():
    for module in (theirs, ours):
        mlp = module.MLPClassifier(
            (5,), solver="sgd", learning_rate="invscaling", learning_rate_init=0.1, random_state=0
        )
        for start in 0, 50, 100:
            mlp.partial_fit(X[start : start + 50], y[start : start + 50], classes=[0, 1, 2])
        warm = module.MLPRegressor(hidden_layer_sizes=(5,), warm_start=True, max_iter=5, random_state=0)
        warm.fit(X_REG, Y_REG).fit(X_REG, Y_REG)
        found = [mlp, warm]
        if module is theirs:
            expected = found
    check_equal(expected[0], found[0])
    check_equal(expected[1], found[1])


def test_the_constructors_are_scikit_learns():
    for name in "MLPClassifier", "MLPRegressor":
        assert getattr(ours, name)().get_params() == getattr(theirs, name)().get_params()
        assert repr(getattr(ours, name)(alpha=1)) == repr(getattr(theirs, name)(alpha=1))
    assert ours.MLPClassifier((3,), "tanh").hidden_layer_sizes == (3,)
    assert ours.MLPRegressor("poisson", (3,), "tanh").loss == "poisson"


def test_entries_and_arrays_put_into_coefs_count():
    mlp = ours.MLPRegressor(hidden_layer_sizes=(4,), random_state=0, max_iter=5, solver="sgd").fit(X_REG, Y_REG[:, 0])
    before = mlp.predict(X_REG)
    mlp.coefs_[0][:] = 0
    mlp.intercepts_[0][:] = 0
    np.testing.assert_allclose(mlp.predict(X_REG), mlp.intercepts_[1][0])
    mlp.coefs_[0] = np.ones((6, 4))
    assert np.ptp(mlp.predict(X_REG)) > 0
    assert np.ptp(before) > 0
    mlp.partial_fit(X_REG, Y_REG[:, 0])  # with the momentum of the fit
    assert np.shares_memory(mlp.coefs_[0], mlp.model_.Phi)
    assert mlp.optimizer_.layer is mlp.model_


def test_a_warm_start_goes_on_with_other_parameters():
    mlp = ours.MLPClassifier((4,), solver="lbfgs", max_iter=3, warm_start=True, random_state=0).fit(X, y)
    before = mlp.predict_proba(X)
    assert (mlp.set_params(activation="identity").predict_proba(X) != before).any()  # as scikit-learn's
    assert len(mlp.model_) == 2
    mlp.set_params(activation="relu", solver="adam").fit(X, y)
    assert len(mlp.model_) == 3
    assert len(mlp.loss_curve_) == 3
    mlp.set_params(early_stopping=True).fit(X, y)
    assert len(mlp.validation_scores_) == 3
    mlp.set_params(early_stopping=False, solver="sgd").fit(X, y)
    assert mlp.best_loss_ == min(mlp.loss_curve_)


def test_a_pickled_one_trains_on_as_itself():
    mlp = ours.MLPClassifier((4,), solver="sgd", random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    copy = pickle.loads(pickle.dumps(mlp))
    for each in mlp, copy:
        each.partial_fit(X[::-1], y[::-1])
    np.testing.assert_array_equal(copy.model_.Phi, mlp.model_.Phi)
    assert np.shares_memory(copy.coefs_[0], copy.model_.Phi)
    assert not hasattr(clone(copy), "coefs_")


def test_sparse_rows_and_text_labels():
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    dense = ours.MLPClassifier((4,), random_state=0, max_iter=10).fit(X, names)
    sparse = ours.MLPClassifier((4,), random_state=0, max_iter=10).fit(csr_array(X), names)
    np.testing.assert_allclose(sparse.model_.Phi, dense.model_.Phi, rtol=1e-12)
    assert sparse.predict(csr_array(X)).tolist() == dense.predict(X).tolist()
    assert set(dense.predict(X)) <= set(names)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_after_a_failed_fit_it_is_not_fitted(solver):
    mlp = ours.MLPRegressor(hidden_layer_sizes=(4,), solver=solver, random_state=0, max_iter=5).fit(X_REG, Y_REG)
    with pytest.raises(ValueError, match="non-finite"):
        mlp.fit(X_REG * 1e300, Y_REG)
    assert not [name for name in vars(mlp) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        mlp.predict(X_REG)
    assert np.isfinite(mlp.fit(X_REG, Y_REG).loss_)


def test_after_a_failed_partial_fit_it_is_as_before():
    mlp = ours.MLPRegressor(hidden_layer_sizes=(4,), solver="sgd", random_state=0).partial_fit(X_REG, Y_REG)
    twin = pickle.loads(pickle.dumps(mlp))
    with pytest.raises(ValueError, match="non-finite"):
        mlp.partial_fit(X_REG * 1e300, Y_REG)
    assert (mlp.n_iter_, mlp.t_, mlp.loss_curve_) == (1, 100, twin.loss_curve_)
    for each in mlp, twin:
        each.partial_fit(X_REG, Y_REG)
    np.testing.assert_array_equal(mlp.model_.Phi, twin.model_.Phi)


def test_a_divergence_with_early_stopping_restores_the_best_parameters():
    options = {"solver": "sgd", "learning_rate_init": 30.0, "early_stopping": True, "random_state": 0}
    mlp = ours.MLPRegressor(hidden_layer_sizes=(9,), **options)
    with pytest.warns(RuntimeWarning, match="training ended at the loss nan: the loss is"):
        mlp.fit(X_REG, Y_REG)
    assert np.isnan(mlp.validation_scores_[-1])
    assert np.isfinite(mlp.model_.Phi).all()


def test_ctrl_c_ends_the_training_and_leaves_the_network_whole(monkeypatch):
    from nnlite.interop.sklearn.mlp_progress import MLPProgress

    original = MLPProgress.on_epoch_end

    def interrupt(self, state):
        if state.epoch == 3:
            raise KeyboardInterrupt
        return original(self, state)

    monkeypatch.setattr(MLPProgress, "on_epoch_end", interrupt)
    mlp = ours.MLPClassifier((4,), random_state=0)
    with pytest.warns(UserWarning, match="training was interrupted"):
        mlp.fit(X, y)
    assert mlp.n_iter_ == 2
    assert mlp.score(X, y) > 0


def test_what_does_not_converge_says_so():
    for solver, text in {"adam": "after max_iter=2 epochs", "lbfgs": "after 2 iterations"}.items():
        mlp = ours.MLPClassifier((4,), solver=solver, max_iter=2, random_state=0)
        with case(solver), pytest.warns(ConvergenceWarning, match=f"{solver} has not converged.*{text}"):
            mlp.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mlp = ours.MLPClassifier((4,), solver="lbfgs", alpha=1, max_iter=2000, random_state=0).fit(X, y)
    assert mlp.history_.converged is True


def test_the_network_is_there_for_everything_else():
    mlp = ours.MLPClassifier((4,), random_state=0, max_iter=3).fit(X, y)
    assert "(0): Linear(4 -> 4, dtype=float64)" in repr(mlp.model_)
    logits = nn.predict(mlp.model_, X)
    np.testing.assert_array_equal(logits.argmax(axis=1), mlp.predict(X))
    assert mlp.history_.epochs == 3
    assert isinstance(mlp.optimizer_, nn.Adam)


def test_wrong_parameters_are_named():
    for parameters, message in [
        ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must be > 0, got \[3, 0\]"),
        ({"activation": "gelu"}, "activation: expected"),
        ({"solver": "newton"}, "solver: expected"),
        ({"batch_size": 0}, "batch_size: expected"),
        ({"learning_rate_init": 0.0}, "learning_rate_init: expected a number above 0"),
        ({"beta_1": 1.0}, "beta_1: expected a number from 0 to below 1, got 1"),
        ({"tol": float("nan")}, "tol: expected a number >= 0, got nan"),
    ]:
        with case(parameters), pytest.raises(ValueError, match=message):
            ours.MLPClassifier(**parameters).fit(X, y)
    with pytest.raises(ValueError, match="loss: expected"):
        ours.MLPRegressor("absolute").fit(X, y)
    with pytest.raises(ValueError, match="for several columns of classes use NetClassifier"):
        ours.MLPClassifier().fit(X, np.stack([y, y], axis=1))
    with pytest.raises(ValueError, match=r"y: expected labels among \[0 1 2\], got \[7\]"):
        ours.MLPClassifier((4,)).partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X[:1], [7])


@pytest.mark.parametrize("name", ["shuffle", "warm_start", "nesterovs_momentum", "early_stopping"])
def test_what_is_neither_true_nor_false(name):
    with pytest.raises(TypeError, match=f"{name}: expected True or False, got 'no'"):
        ours.MLPClassifier(**{name: "no"}).fit(X, y)
