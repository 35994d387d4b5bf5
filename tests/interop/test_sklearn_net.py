"""NetClassifier and NetRegressor: any network as an estimator of scikit-learn."""

import pickle
from functools import partial

import numpy as np
import pytest
from support.case import case
from support.sweeps import SWEEP

pytest.importorskip("sklearn")

from joblib import parallel_config
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nnlite as nn
from nnlite.interop.sklearn import NetClassifier, NetRegressor

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]
SIZES = np.stack([NAMES, np.where(X[:, 0] > 0, "large", "small")], axis=1)
LABELS = np.stack([y == 0, X[:, 0] > 0, X[:, 1] > 0], axis=1).astype(int)
X_REG, Y_REG = make_regression(n_targets=2, n_features=4, random_state=0)
Y_REG /= 100
QUICK = {"random_state": 0, "lr": 0.02, "epochs": 20, "hidden": (16,)}


def network(in_features, out_features, width=8, rate=0.0, rng=None):
    rng = nn.generator(rng)
    first, last = nn.Linear(in_features, width, rng=rng), nn.Linear(width, out_features, rng=rng)
    return nn.Sequential(first, nn.Tanh(), nn.Dropout(rate, rng=rng), last)


# ------------------------------------------------------------------------------------------------------- parameters


def test_parameters_of_the_function_are_those_of_the_estimator():
    net = NetClassifier(network, width=3)
    assert {"width": 3, "rate": 0.0, "network": network}.items() <= net.get_params().items()
    assert (net.width, net.rate) == (3, 0.0)
    assert "rng" not in net.get_params()
    net.width = 5
    assert net.get_params()["width"] == 5
    assert clone(net.set_params(rate=0.5, epochs=3)).get_params() == net.get_params()
    assert net.fit(X, y).model_[0].out_features == 5
    net.set_params(network=nn.Linear, bias=False)
    assert net.fit(X, y).model_.b is None
    assert "width" not in net.get_params()
    assert "Linear" in repr(net)


def test_unknown_parameters_are_errors_that_change_nothing():
    with pytest.raises(TypeError, match=r"^NetClassifier: unknown parameter 'widht'; there are .*epochs.*width, rate$"):
        NetClassifier(network, widht=3)
    net = NetClassifier(network, width=3)
    before = net.get_params()
    with pytest.raises(ValueError, match="unknown parameter 'width'; there are"):
        net.set_params(network=nn.Linear, epochs=2, width=3)
    assert net.get_params() == before


def test_a_grid_search_over_widths_in_a_pipeline_by_several_workers():
    steps = make_pipeline(StandardScaler(), NetClassifier(**QUICK))
    grid = {"netclassifier__hidden": [(1,), (32, 16)], "netclassifier__activation": [nn.Tanh]}
    with parallel_config(backend="threading" if SWEEP == 1 else "loky"):
        search = GridSearchCV(steps, grid, cv=3, n_jobs=2).fit(X, NAMES)
    assert search.best_params_["netclassifier__hidden"] == (32, 16)
    assert search.best_estimator_[-1].model_[0].out_features == 32
    assert search.score(X, NAMES) > 0.9
    assert set(search.predict(X)) == set(NAMES)


def test_metadata_routing():
    weight = np.where(y == 2, 0.0, 1.0)
    with config_context(enable_metadata_routing=True):
        net = NetClassifier(**QUICK).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(net, {"lr": [0.02]}, cv=3).fit(X, NAMES, sample_weight=weight)
        assert "virginica" not in search.predict(X)
        assert search.best_score_ > 0.9  # a class without weight does not count


# ---------------------------------------------------------------------------------------------------------- targets


def test_targets_of_every_kind():
    for target, loss, shape in [
        (NAMES, None, (150, 3)),
        (NAMES == "setosa", None, (150, 2)),
        (NAMES == "setosa", nn.BCEWithLogitsLoss(), (150, 2)),
        (NAMES, nn.BCEWithLogitsLoss(), (150, 3)),
        (NAMES, nn.CrossEntropyLoss(label_smoothing=0.1), (150, 3)),
        (LABELS, None, (150, 3)),
        (csr_array(LABELS), None, (150, 3)),
        (pytest.importorskip("pandas").Series(NAMES), None, (150, 3)),
    ]:
        with case(f"{type(target)} {np.shape(target)} {loss}"):
            net = NetClassifier(loss=loss, **QUICK).fit(X, target)
            P = net.predict_proba(X)
            assert P.shape == shape
            assert net.score(X, target) > 0.85
            np.testing.assert_allclose(net.predict_log_proba(X), np.log(P), rtol=1e-12)
            if np.ndim(target) < 2 and not hasattr(target, "toarray"):
                np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-12)
                np.testing.assert_array_equal(net.classes_[P.argmax(axis=1)], net.predict(X))
            else:
                np.testing.assert_array_equal(P > 0.5, net.predict(X))


def test_several_columns_of_classes():
    net = NetClassifier(**QUICK).fit(X, SIZES)
    assert [own.tolist() for own in net.classes_] == [["setosa", "versicolor", "virginica"], ["large", "small"]]
    assert [P.shape for P in net.predict_proba(X)] == [(150, 3), (150, 2)]
    assert (net.predict(X) == SIZES).mean(axis=0).min() > 0.9
    assert net.score(X, SIZES) == np.all(net.predict(X) == SIZES, axis=1).mean()
    assert set(net.history_) == {"loss", "loss_0", "loss_1"}


def test_losses_without_probabilities_have_no_predict_proba():
    for loss in nn.MultiMarginLoss(), nn.MSELoss():
        net = NetClassifier(loss=loss, **QUICK).fit(X, NAMES)
        assert net.score(X, NAMES) > 0.9
        assert not hasattr(net, "predict_proba")
    assert hasattr(NetClassifier(), "predict_proba")


def test_one_class_alone_is_always_predicted():
    for loss in None, nn.BCEWithLogitsLoss():
        net = NetClassifier(loss=loss, **QUICK).fit(X, ["a"] * 150)
        assert set(net.predict(X)) == {"a"}
        np.testing.assert_array_equal(net.predict_proba(X), np.ones((150, 1)))


def test_regression_of_one_and_several_outputs():
    for target, shape in (Y_REG[:, 0], (100,)), (Y_REG, (100, 2)):
        net = NetRegressor(nn.Linear, optimizer=nn.SGD, lr=0.1, random_state=0).fit(X_REG, target)
        assert net.predict(X_REG).shape == shape
        assert net.score(X_REG, target) > 0.999
    huber = NetRegressor(loss=nn.HuberLoss(), **QUICK).fit(X_REG, Y_REG)
    assert isinstance(huber.loss_, nn.HuberLoss)


def test_class_weights_are_scikit_learns():
    rare = np.concatenate([np.flatnonzero(y != 2), np.flatnonzero(y == 2)[:5]])
    balanced = NetClassifier(class_weight="balanced", batch_size=200, **QUICK).fit(X[rare], NAMES[rare])
    counts = {"setosa": 50, "versicolor": 50, "virginica": 5}
    weights = {name: 105 / (3 * count) for name, count in counts.items()}
    by_label = NetClassifier(class_weight=weights, batch_size=200, **QUICK).fit(X[rare], NAMES[rare])
    by_row = NetClassifier(batch_size=200, **QUICK)
    by_row.fit(X[rare], NAMES[rare], sample_weight=[weights[name] for name in NAMES[rare]])
    for other in by_label, by_row:
        np.testing.assert_array_equal(other.model_.Phi, balanced.model_.Phi)
    with pytest.raises(ValueError, match='"balanced" needs all rows, which partial_fit does not have'):
        NetClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])


# --------------------------------------------------------------------------------------------------------- training


def test_it_is_nn_fit_with_all_its_options(tmp_path):
    net = NetClassifier(
        network, optimizer=partial(nn.SGD, momentum=0.9), lr=nn.StepLR(0.1, step_size=10, gamma=0.5), epochs=3,
        batch_size=16, accumulate_steps=2, clip_norm=1.0, clip_value=0.5, shuffle=False, metrics=[nn.accuracy],
        callbacks=[nn.EarlyStopping(patience=5)], random_state=0, width=6, rate=0.1,
    )  # fmt: skip
    net.fit(X[::2], NAMES[::2], validation_data=(X[1::2], NAMES[1::2]))
    rng = np.random.default_rng(np.random.RandomState(0).randint(2**31, size=4))
    model = network(4, 3, width=6, rate=0.1, rng=rng)
    optimizer = nn.SGD(model, lr=nn.StepLR(0.1, step_size=10, gamma=0.5), momentum=0.9)
    history = nn.fit(
        model, X[::2], y[::2], loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=3, batch_size=16,
        accumulate_steps=2, clip_norm=1.0, clip_value=0.5, shuffle=False, metrics=[nn.accuracy],
        callbacks=[nn.EarlyStopping(patience=5)], validation_data=(X[1::2], y[1::2]), verbose=0, rng=rng,
    )  # fmt: skip
    assert net.history_.to_dict() == history.to_dict()
    np.testing.assert_array_equal(net.model_.Phi, model.Phi)


def test_a_checkpoint_is_resumed(tmp_path):
    path = tmp_path / "net.npz"
    whole = NetClassifier(network, epochs=6, random_state=0).fit(X, y)
    NetClassifier(network, epochs=4, random_state=0, callbacks=[nn.Checkpoint(path)]).fit(X, y)
    resumed = NetClassifier(network, epochs=2, random_state=5, callbacks=[nn.Checkpoint(path)]).fit(X, y, resume=path)
    np.testing.assert_array_equal(resumed.model_.Phi, whole.model_.Phi)
    assert resumed.history_.epochs == 6


def test_callbacks_of_the_optimizer_and_several_optimizers():
    net = NetClassifier(
        network,
        optimizer=lambda model: [nn.SGD(model[0], lr=1e-3), nn.SGD(model[3], lr=1e-1)],
        callbacks=lambda optimizers: [nn.ReduceLROnPlateau(optimizers[1], monitor="loss", patience=0, threshold=0.9)],
        epochs=5,
    ).fit(X, y)
    assert net.optimizer_[1].lr < 1e-1
    assert net.optimizer_[0].lr == 1e-3


def test_a_fit_does_not_change_the_parameters_and_repeats_itself():
    stopping, model = nn.EarlyStopping("loss", patience=2), network(4, 3, rng=0)
    before = model.Phi.copy()
    net = NetClassifier(model, callbacks=[stopping], random_state=0, epochs=3).fit(X, y)
    first = net.model_.Phi.copy()
    np.testing.assert_array_equal(model.Phi, before)
    assert stopping.best is None
    assert net.callbacks_[0].best is not None
    np.testing.assert_array_equal(net.fit(X, y).model_.Phi, first)


def test_partial_fit_and_warm_start_go_on():
    steps = NetClassifier(network, random_state=0, shuffle=False, lr=0.01)
    for start in 0, 50, 100:
        steps.partial_fit(X[start : start + 50], NAMES[start : start + 50], classes=np.unique(NAMES))
    assert steps.optimizer_.steps == 6
    assert steps.classes_.tolist() == sorted(set(NAMES))
    warm = NetClassifier(network, random_state=0, shuffle=False, epochs=2, warm_start=True).fit(X, y)
    whole = NetClassifier(network, random_state=0, shuffle=False, epochs=4).fit(X, y)
    np.testing.assert_array_equal(warm.fit(X, y).model_.Phi, whole.model_.Phi)
    with pytest.raises(ValueError, match=r"y: expected labels among \[0, 1, 2\], got \[7\]"):
        warm.fit(X, np.where(y == 2, 7, y))
    regressor = NetRegressor(network, random_state=0).partial_fit(X_REG, Y_REG).partial_fit(X_REG, Y_REG)
    assert regressor.optimizer_.steps == 8


def test_what_is_trained_further_cannot_be_made_of_other_parameters():
    """A new learning rate or width that has no effect would go unnoticed."""
    net = NetClassifier(network, width=3, lr=0.01, epochs=1, warm_start=True, random_state=0).fit(X, y)
    before = net.model_.Phi.copy()
    for name, value in {"width": 4, "lr": 0.1, "optimizer": nn.SGD, "loss": nn.MSELoss(), "network": nn.Linear}.items():
        with case(name):
            other = pickle.loads(pickle.dumps(net)).set_params(**{name: value})
            for go_on in other.fit, other.partial_fit:
                with pytest.raises(ValueError, match=f"^{name}: expected .* as in the last call, .* warm_start=False"):
                    go_on(X, y)
            np.testing.assert_array_equal(other.model_.Phi, before)
            other.set_params(warm_start=False).fit(X, y)
    net.optimizer_.lr = 0.0
    np.testing.assert_array_equal(net.set_params(epochs=2, batch_size=10).fit(X, y).model_.Phi, before)
    lists = NetClassifier(hidden=[3], epochs=1, warm_start=True).fit(X, y)
    assert lists.set_params(hidden=np.array([3])).fit(X, y).optimizer_.steps == 10


def test_sparse_rows_give_what_dense_ones_give():
    dense, sparse = (NetClassifier(**QUICK).fit(rows, NAMES) for rows in (X, csr_array(X)))
    np.testing.assert_allclose(sparse.model_.Phi, dense.model_.Phi, rtol=1e-9)
    np.testing.assert_allclose(sparse.predict_proba(csr_array(X)), dense.predict_proba(X), rtol=1e-9)


def test_feature_names_are_remembered():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    net = NetClassifier(**QUICK).fit(frame, NAMES)
    assert net.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names should match"):
        net.predict(frame[["b", "a", "c", "d"]])


def test_a_pickled_one_predicts_and_trains_on_as_itself():
    net = NetClassifier(network, rate=0.5, random_state=0, shuffle=False).partial_fit(
        X, NAMES, classes=np.unique(NAMES)
    )
    copy = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(copy.predict_proba(X), net.predict_proba(X))
    for each in net, copy:
        each.partial_fit(X, NAMES)
    np.testing.assert_array_equal(copy.model_.Phi, net.model_.Phi)


def test_random_states_of_every_kind():
    nets = [NetRegressor(random_state=state, epochs=1) for state in (3, np.random.RandomState(3))]
    first, second = (net.fit(X_REG, Y_REG).model_.Phi for net in nets)
    np.testing.assert_array_equal(first, second)
    nn.manual_seed(0)
    third = NetRegressor(epochs=1).fit(X_REG, Y_REG).model_.Phi
    nn.manual_seed(0)
    np.testing.assert_array_equal(NetRegressor(epochs=1).fit(X_REG, Y_REG).model_.Phi, third)
    fourth = NetRegressor(epochs=1, random_state=np.random.default_rng(7)).fit(X_REG, Y_REG).model_.Phi
    assert len({Phi.tobytes() for Phi in (first, third, fourth)}) == 3
    assert cross_val_score(NetRegressor(**QUICK), X_REG, Y_REG, cv=2).min() > 0.5


# ----------------------------------------------------------------------------------------------------------- errors


def clash(in_features, out_features, epochs=3):
    return nn.Linear(in_features, out_features)


def needs(in_features, out_features, width):
    return nn.Linear(in_features, out_features)


def nothing(in_features, out_features):
    nn.Linear(in_features, out_features)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"network": nothing}, TypeError, r"network: expected nothing\(4, 3\) to return a Layer, got None"),
        ({"network": lambda rows: rows}, TypeError, "network: expected a model, or a function such as def network"),
        ({"network": 3}, TypeError, "network: expected a model, or a function such as def network"),
        ({"network": clash}, TypeError, "epochs is a parameter of clash and of NetClassifier; rename it"),
        ({"network": needs}, TypeError, r"needs needs width; pass them to the estimator, width=\.\.\."),
        (
            {"network": lambda i, o: nn.Linear(i, 2)},
            ValueError,
            r"expected an output of shape \(rows, 3\) for these targets with Cross.+, got \(rows, 2\) from Linear",
        ),
        ({"network": nn.Linear(3, 3)}, nn.ShapeError, "expected 3 features, got 4"),
        ({"loss": "mse"}, TypeError, r"loss: expected a loss such as nnlite.CrossEntropyLoss\(\), or None for it"),
        ({"optimizer": nn.SGD}, TypeError, "missing 1 required positional argument: 'lr'"),
        ({"optimizer": nn.SGD(nn.Linear(1, 1), lr=1)}, TypeError, "such as nnlite.SGD or .* got the optimizer itself"),
        ({"optimizer": "adam"}, TypeError, "optimizer: expected what makes one of a model, .* got 'adam'"),
        ({"class_weight": "balance"}, ValueError, "class_weight: expected a dict .*, got 'balance'"),
        ({"class_weight": [1, 2, 3]}, ValueError, r"class_weight: expected a dict .*, got \[1, 2, 3\]"),
        ({"hidden": None}, TypeError, r"hidden: expected the widths of the hidden layers, such as \(16, 8\), got None"),
        ({"hidden": "16"}, TypeError, "hidden: expected the widths of the hidden layers, .* got '16'"),
        ({"hidden": (16, 0)}, ValueError, "hidden: expected at least 1, got 0"),
        ({"activation": "relu"}, TypeError, "activation: expected what makes one, such as nnlite.ReLU, got 'relu'"),
        ({"activation": nn.Tanh()}, TypeError, r"activation: expected what makes one, .* got Tanh\(\)"),
        ({"optimizer": lambda model: "adam"}, TypeError, "optimizer: expected one such as"),
        ({"epochs": -1}, ValueError, "epochs: expected"),
        ({"lr": 1e30, "optimizer": nn.SGD}, nn.DivergenceError, "the loss is"),
    ],
)
def test_a_failed_fit_leaves_nothing(parameters, error, message):
    net = NetClassifier(**parameters)
    with pytest.raises(error, match=message):
        net.fit(X, y)
    assert not [name for name in vars(net) if name.endswith("_") and not name.startswith("_")]
    with pytest.raises(NotFittedError):
        net.predict(X)


def test_a_loss_that_does_not_go_with_the_targets():
    with pytest.raises(ValueError, match="for several labels of a row expected a loss of 0 and 1"):
        NetClassifier(loss=nn.CrossEntropyLoss()).fit(X, LABELS)
    with pytest.raises(ValueError, match="for several columns of classes expected a loss of class indices"):
        NetClassifier(loss=nn.BCEWithLogitsLoss()).fit(X, SIZES)


def test_after_a_failed_call_that_went_on_it_is_as_before():
    net = NetClassifier(network, random_state=0, lr=0.1, optimizer=partial(nn.SGD, momentum=0.9))
    net.partial_fit(X, y, classes=[0, 1, 2])
    twin = pickle.loads(pickle.dumps(net))
    with pytest.raises(nn.DivergenceError):
        net.partial_fit(np.concatenate([X, X * 1e200]), np.concatenate([y, y]))
    with pytest.raises(ValueError, match="classes: expected those of the last call"):
        net.partial_fit(X, y, classes=[0, 1])
    for each in net, twin:
        each.partial_fit(X, y)
    np.testing.assert_array_equal(net.model_.Phi, twin.model_.Phi)


def test_ctrl_c_leaves_what_was_trained():
    def interrupt(state):
        if state.epoch == 2:
            raise KeyboardInterrupt

    net = NetClassifier(callbacks=[interrupt], **QUICK)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y)
    assert net.history_.epochs == 2
    assert net.score(X, y) > 0.3


class Images:
    """Images of 8 x 8 with one channel, which are brighter on the left or on the right."""

    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    X = rng.normal(size=(60, 1, 8, 8)).astype(np.float32) / 4
    X[y == 0, :, :, :4] += 1
    X[y == 1, :, :, 4:] += 1

    @staticmethod
    def network(in_features, out_features, rng=None):
        return nn.Sequential(
            *(nn.Conv2d(in_features, 2, 3, rng=rng), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
            nn.Linear(18, out_features, rng=rng),
        )


def test_images_where_the_network_takes_them():
    net = NetClassifier(Images.network, random_state=0, lr=0.01, epochs=10, validation_split=0.2, verbose=0)
    assert net.fit(Images.X, Images.y).score(Images.X, Images.y) > 0.9
    assert (net.n_features_in_, net.row_shape_) == (1, (1, 8, 8))
    assert net.predict_proba(Images.X[:3]).shape == (3, 2)
    with pytest.raises(ValueError, match=r"X: expected rows of shape \(1, 8, 8\), as in fit, got \(1, 8, 9\)"):
        net.predict(np.ones((2, 1, 8, 9)))
    regressor = NetRegressor(Images.network, random_state=0, epochs=2, verbose=0).fit(Images.X, Images.y)
    assert regressor.predict(Images.X[:3]).shape == (3,)
    search = GridSearchCV(net, {"lr": [0.01, 0.02]}, cv=2).fit(Images.X, Images.y)
    assert search.best_score_ > 0.8


def test_a_network_that_does_not_take_images():
    with pytest.raises(nn.ShapeError, match="expected 1 features, got 8"):
        NetClassifier(verbose=0).fit(Images.X, Images.y)


def test_what_is_neither_true_nor_false():
    for wrong in {"shuffle": "no"}, {"warm_start": "no"}:
        (name,) = wrong
        with pytest.raises(TypeError, match=f"{name}: expected True or False, got 'no'"):
            NetClassifier(verbose=0, **wrong).fit(X, y)
