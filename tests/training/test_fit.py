"""fit: the loop itself, what it leaves behind, and what it refuses."""

import contextlib
import math

import numpy as np
import pytest
from support.own_layers import ScaledMSELoss

import nnlite as nn
from nnlite.training.progress import Silent


class Recording(nn.Layer):
    """Passes X on and notes, for each forward, the mode and the rows."""

    def __init__(self):
        self.seen = []

    def forward(self, X):
        self.seen.append((self.training, X[:, 0].tolist()))
        return X

    def backward(self, dY):
        return dY

    def batches(self, training):
        """The rows of each batch; without the first of the validation, which is tried out before training."""
        return [rows for mode, rows in self.seen if mode is training][not training :]


def data(rows=10, features=3):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, features)).astype(np.float32)
    return X, (X.sum(axis=1, keepdims=True) > 0).astype(np.float32)


def network(seed=0):
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 1, rng=rng), nn.Sigmoid())


def line(W=1.0, b=0.0):
    """The model Y = W X + b in float64."""
    model = nn.Sequential(nn.Linear(1, 1, dtype=np.float64))
    model.Phi = [W, b]
    return model


def trained(model, X, Y, *, lr=0.1, loss=None, **options):
    return nn.fit(
        model, X, Y, loss=loss or nn.MSELoss(), optimizer=nn.SGD(model, lr), verbose=0, **{"rng": 0, **options}
    )


# ---------------------------------------------------------------------------------------------------- the loop


def test_it_is_the_loop_written_by_hand_bit_for_bit():
    X, Y = data()
    model, by_hand = network(), network()
    history = nn.fit(
        model,
        X,
        Y,
        loss=nn.BCELoss(),
        optimizer=nn.SGD(model, lr=0.5, momentum=0.9),
        epochs=3,
        batch_size=4,
        verbose=0,
        rng=7,
    )

    loss, optimizer, rng, epoch_losses = (
        nn.BCELoss(),
        nn.SGD(by_hand, lr=0.5, momentum=0.9),
        np.random.default_rng(7),
        [],
    )
    for _ in range(3):
        order, total = rng.permutation(10), 0.0
        for start in (0, 4, 8):
            rows = order[start : start + 4]
            total += loss.forward(by_hand.forward(X[rows]), Y[rows]) * len(rows)
            by_hand.backward(loss.backward())
            optimizer.step()
        epoch_losses.append(total / 10)
    assert model.Phi.tobytes() == by_hand.Phi.tobytes()
    assert history["loss"] == epoch_losses


# Linear regression Y = W X + b from W = 1, b = 0 on the rows (1, 2), (2, 4), (3, 6), in batches of 2 and 1.
#   mean, lr = 1/2:  batch 1: Y = (1, 2), error (-1, -2), J = 5/2, dY = error, dW = -1 - 4 = -5, db = -3;
#                             W = 7/2, b = 3/2
#                    batch 2: Y = 12, error 6, J = 36, dY = 12, dW = 36, db = 12; W = 7/2 - 18, b = 3/2 - 6
#                    loss of the epoch: (2 * 5/2 + 1 * 36) / 3 = 41/3
#   sum, lr = 1/4:   batch 1: J = 5, dY = 2 error, dW = -10, db = -6; W = 7/2, b = 3/2
#                    batch 2: as above; W = 7/2 - 9, b = 3/2 - 3; loss of the epoch: 5 + 36 = 41
@pytest.mark.parametrize(
    ("reduction", "lr", "W", "b", "J"), [("mean", 0.5, -14.5, -4.5, 41 / 3), ("sum", 0.25, -5.5, -1.5, 41.0)]
)
def test_one_epoch_of_linear_regression_worked_by_hand(reduction, lr, W, b, J):
    model = line()
    loss = nn.MSELoss(reduction=reduction)
    history = trained(model, [[1], [2], [3]], [[2], [4], [6]], loss=loss, lr=lr, batch_size=2, shuffle=False)
    assert model.Phi.tolist() == [W, b]
    assert history == {"loss": [J]}


CLASSES = np.array([0, 1, 2, 0, 1, 2, 0, 0, 1, 2])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    ("make_loss", "Y"),
    [
        (nn.MSELoss, np.arange(30.0).reshape(10, 3) / 30),
        (nn.BCELoss, np.arange(30.0).reshape(10, 3) / 30),
        (nn.BCEWithLogitsLoss, np.arange(30.0).reshape(10, 3) / 30),
        (nn.CrossEntropyLoss, CLASSES),
        (lambda **options: nn.CrossEntropyLoss(weight=[1.0, 5.0, 20.0], **options), CLASSES),
        (lambda **options: nn.CrossEntropyLoss(ignore_index=0, **options), CLASSES),
    ],
    ids=["MSE", "BCE", "BCE with logits", "cross-entropy", "class weights", "ignore_index"],
)
def test_the_loss_of_an_epoch_with_a_short_last_batch_is_that_of_all_rows(make_loss, Y, reduction):
    X = np.random.default_rng(0).normal(size=(10, 3))
    loss = make_loss(reduction=reduction)
    model = nn.Sequential(nn.Linear(3, 3, rng=0), nn.Sigmoid()).astype(np.float64)
    exact = loss.forward(model.forward(X), Y)
    history = trained(model, X, Y, loss=loss, lr=0.0, batch_size=4, validation_data=(X, Y))
    assert history["loss"] == pytest.approx([exact], rel=1e-12)
    assert history["val_loss"] == pytest.approx([exact], rel=1e-12)
    assert nn.evaluate(model, X, Y, loss=loss, batch_size=3) == {"loss": pytest.approx(exact, rel=1e-12)}


def test_zero_epochs_train_nothing():
    model = network()
    before = model.Phi.tobytes()
    history = trained(model, *data(), epochs=0)
    assert model.Phi.tobytes() == before
    assert (history.epochs, dict(history)) == (0, {})


def test_defaults_are_one_epoch_of_batches_of_32():
    model = nn.Sequential(Recording(), nn.Linear(3, 1))
    trained(model, *data(40))
    assert [len(rows) for rows in model[0].batches(training=True)] == [32, 8]


def test_a_batch_larger_than_the_data_is_all_of_it():
    model = nn.Sequential(Recording(), nn.Linear(3, 1))
    trained(model, *data(10), batch_size=1000)
    assert [len(rows) for rows in model[0].batches(training=True)] == [10]


# ---------------------------------------------------------------------------------------------------- optimizers


def test_several_optimizers_each_move_their_own_part_and_a_part_without_one_stays():
    X, Y = data()
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Linear(4, 4, rng=rng), nn.Linear(4, 1, rng=rng))
    before = [part.Phi.copy() for part in model]
    optimizers = [nn.SGD(model[0], lr=0.5), nn.SGD(model[2], lr=0.125)]
    nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=optimizers, batch_size=10, verbose=0)
    assert np.array_equal(model[0].Phi, before[0] - 0.5 * model[0].dPhi)
    assert np.array_equal(model[1].Phi, before[1])
    assert np.array_equal(model[2].Phi, before[2] - 0.125 * model[2].dPhi)
    assert model[1].dPhi.any()


def test_a_tuple_of_optimizers_is_taken_as_well():
    model = line()
    nn.fit(model, [[1.0]], [[0.0]], loss=nn.MSELoss(), optimizer=(nn.SGD(model[0], 0.25),), verbose=0)
    assert model.Phi.tolist() == [0.5, -0.5]  # error 1, dW = db = 2


def test_an_optimizer_may_move_the_parameters_of_the_loss():
    model, loss = line(), ScaledMSELoss()
    nn.fit(model, [[1.0]], [[0.0]], loss=loss, optimizer=[nn.SGD(model, 0.0), nn.SGD(loss, 0.25)], verbose=0)
    assert loss.a.tolist() == [0.75]


# ---------------------------------------------------------------------------------------------------- the order of rows

ROWS = np.arange(20.0)[:, None]


def recorded(epochs, **options):
    """The batches of row numbers of each epoch, in training, of 20 rows in batches of 6."""
    model = nn.Sequential(Recording(), nn.Linear(1, 1))
    trained(model, ROWS, np.zeros((20, 1)), lr=0.0, epochs=epochs, batch_size=6, **options)
    batches = model[0].batches(training=True)
    return [batches[epoch * 4 : epoch * 4 + 4] for epoch in range(epochs)]


def flat(batches):
    return [row for rows in batches for row in rows]


def test_without_shuffle_the_rows_come_in_their_order():
    assert [flat(batches) for batches in recorded(2, shuffle=False)] == [list(range(20))] * 2


def test_shuffle_takes_every_row_once_an_epoch_in_a_new_order():
    first, second = recorded(2)
    assert [len(rows) for rows in first] == [6, 6, 6, 2]
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(20))
    assert flat(first) != flat(second)


def test_shuffle_mixes_rows_and_not_only_batches():
    for batches in recorded(3):
        assert all(max(rows) - min(rows) >= len(rows) for rows in batches)  # else they would be neighbours


def test_X_and_Y_are_shuffled_together():
    model = line(W=2.0, b=1.0)
    assert trained(model, ROWS, 2 * ROWS + 1, batch_size=6, lr=0.0) == {"loss": [0.0]}


def test_the_seed_decides_the_order():
    assert recorded(2, rng=3) == recorded(2, rng=3) == recorded(2, rng=np.random.default_rng(3))
    assert recorded(2, rng=3) != recorded(2, rng=4)
    assert recorded(1, rng=None) != recorded(1, rng=None)


def test_without_rng_manual_seed_decides_and_the_seed_of_numpy_does_not():
    """keras#5710: np.random.seed(42) and three runs, three results. Right: the same bytes, as with one rng for all."""

    def run(seed):
        seed(42)
        model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
        trained(model, ROWS, ROWS, epochs=2, rng=None)
        return model.Phi.tobytes()

    assert run(nn.manual_seed) == run(nn.manual_seed)
    assert run(np.random.seed) != run(np.random.seed)
    with pytest.raises(TypeError, match=r"fit: rng: expected a seed .*, got the module numpy\.random; pass rng="):
        trained(line(), ROWS, ROWS, rng=np.random)


def test_the_global_generator_of_numpy_is_not_touched():
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    recorded(1, rng=None)
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002


# ---------------------------------------------------------------------------------------------------- validation


def test_validation_split_holds_rows_back_that_are_never_trained_on():
    model = nn.Sequential(Recording(), nn.Linear(1, 1))
    trained(model, ROWS, np.zeros((20, 1)), lr=0.0, epochs=3, batch_size=6, validation_split=0.25)
    training, validation = model[0].batches(training=True), model[0].batches(training=False)
    assert [len(rows) for rows in training] == [6, 6, 3] * 3
    assert [len(rows) for rows in validation] == [5] * 3
    held_back = set(validation[0])
    assert set(validation[1]) == set(validation[2]) == held_back
    assert {row for rows in training for row in rows} == set(range(20)) - held_back
    for epoch in range(3):
        assert len(set(flat(training[epoch * 3 : epoch * 3 + 3]))) == 15


def test_validation_split_shuffles_first_so_that_sorted_rows_land_on_both_sides():
    """keras#8346, keras#4298: rows sorted by class, of which the last fifth was one class alone."""
    model = nn.Sequential(Recording(), nn.Linear(1, 1))
    trained(model, ROWS, np.zeros((20, 1)), lr=0.0, validation_split=0.5)
    (held_back,) = model[0].batches(training=False)
    assert 0 < sum(row < 10 for row in held_back) < 10


def test_validation_split_without_shuffle_holds_back_the_last_rows():
    """As for a time series (keras issue 6422): 45 ... 49 of 50."""
    model, rows = nn.Sequential(Recording(), nn.Linear(1, 1)), np.arange(50.0)[:, None]
    history = trained(model, rows, rows, lr=0.0, validation_split=0.1, shuffle=False)
    assert flat(model[0].batches(training=False)) == [45, 46, 47, 48, 49]
    assert flat(model[0].batches(training=True)) == list(range(45))
    assert history.validation_rows.tolist() == [45, 46, 47, 48, 49]


def test_validation_split_depends_on_the_rows_alone_and_the_history_says_which():
    """scikeras#289: drawn anew, rows held back in one training were trained on in the next."""

    def held_back(rng, **options):
        model = nn.Sequential(Recording(), nn.Linear(1, 1))
        history = trained(model, ROWS, np.zeros((20, 1)), lr=0.0, validation_split=0.25, rng=rng, **options)
        assert set(flat(model[0].batches(training=False))) == set(history.validation_rows)
        return history.validation_rows.tolist()

    rng = np.random.default_rng(3)
    assert held_back(1) == held_back(2) == held_back(rng) == held_back(rng) == held_back(None, epochs=3, batch_size=3)
    assert trained(line(), [[1.0]], [[0.0]]).validation_rows is None


def test_targets_of_noise_are_never_learnt_however_often_a_training_is_repeated():
    """scikeras issue 289: no model predicts noise better than its mean does, so val_loss is about Var(Y) or above."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 10)), rng.normal(size=(40, 1))
    model = nn.Sequential(nn.Linear(10, 32, rng=rng), nn.Tanh(), nn.Linear(32, 1, rng=rng))
    for _ in range(4):
        history = trained(model, X, Y, lr=0.1, epochs=60, validation_split=0.25, rng=rng)
    assert history["loss"][-1] < 0.1
    assert history["val_loss"][-1] > 0.8 * np.var(Y[history.validation_rows])


@pytest.mark.parametrize("form", ["indices", "one-hot", "column"])
@pytest.mark.parametrize(("rare", "share", "least", "most"), [(5, 0.25, 1, 2), (20, 0.1, 2, 2), (40, 0.5, 20, 20)])
def test_each_class_has_its_share_of_the_rows_held_back(form, rare, share, least, most):
    """keras issue 796: 5 of 200 rows are of a class, and many random splits hold none of them back."""
    labels = np.random.default_rng(0).permutation(np.arange(200) < rare).astype(int)
    Y = {"indices": labels, "one-hot": np.eye(2)[labels], "column": labels[:, None]}[form]
    loss, width = (nn.BCEWithLogitsLoss(), 1) if form == "column" else (nn.CrossEntropyLoss(), 2)
    model = nn.Linear(1, width)
    history = trained(model, np.zeros((200, 1)), Y, loss=loss, validation_split=share)
    assert len(history.validation_rows) == 200 * share
    assert least <= labels[history.validation_rows].sum() <= most


@pytest.mark.parametrize(("share", "held_back"), [(0.05, 1), (0.13, 3), (np.float32(0.25), 5), (0.95, 19)])
def test_validation_split_rounds_to_the_nearest_number_of_rows(share, held_back):
    model = nn.Sequential(Recording(), nn.Linear(1, 1))
    trained(model, ROWS, np.zeros((20, 1)), lr=0.0, validation_split=share)
    assert sum(map(len, model[0].batches(training=False))) == held_back
    assert sum(map(len, model[0].batches(training=True))) == 20 - held_back


def test_validation_data_is_evaluated_after_each_epoch_with_the_weights_of_then():
    # W = 1, b = 0; the row (1, 0) has error 1 and gradient (2, 2); lr = 1/4 gives W = 1/2, b = -1/2:
    # error 0 from then on. The validation row (3, 0) then has the prediction 3/2 - 1/2 = 1.
    history = trained(line(), [[1.0]], [[0.0]], lr=0.25, epochs=2, validation_data=([[3.0]], [[0.0]]))
    assert history == {"loss": [1.0, 0.0], "val_loss": [1.0, 1.0]}


def test_validation_goes_in_batches_of_the_same_size():
    model = nn.Sequential(Recording(), nn.Linear(1, 1))
    trained(model, ROWS, np.zeros((20, 1)), batch_size=6, validation_data=[ROWS[:15], np.zeros((15, 1))])
    assert [len(rows) for rows in model[0].batches(training=False)] == [6, 6, 3]


# ---------------------------------------------------------------------------------------------------- metrics


@nn.mean_over_batches
def row_count(Y_pred, Y):
    return float(len(Y))


def test_metrics_are_means_by_rows_under_the_names_of_their_functions():
    X, Y = data(10)
    history = trained(
        network(), X, Y, batch_size=4, metrics=[row_count, nn.binary_accuracy], validation_data=(X[:7], Y[:7])
    )
    assert list(history) == ["loss", "row_count", "binary_accuracy", "val_loss", "val_row_count", "val_binary_accuracy"]
    assert history["row_count"] == [(4 * 4 + 4 * 4 + 2 * 2) / 10]
    assert history["val_row_count"] == [(4 * 4 + 3 * 3) / 7]


def test_metrics_see_the_predictions_from_before_the_step():
    def prediction(Y_pred, Y):
        return float(Y_pred[0, 0])

    # W = 1, b = 0 on the row (1, 0); after one step with lr = 1/4 W = 1/2, b = -1/2.
    assert trained(line(), [[1.0]], [[0.0]], lr=0.25, epochs=2, metrics=[prediction])["prediction"] == [1.0, 0.0]


def test_an_error_in_a_metric_goes_up_and_leaves_the_model_usable(capsys):
    def wrong(Y_pred, Y):
        raise KeyError("my metric")

    model = network()
    with pytest.raises(KeyError, match="my metric"):
        trained(model, *data(), metrics=[wrong])
    assert model.training
    assert model.needs_dX
    assert trained(model, *data()).epochs == 1


# ---------------------------------------------------------------------------------------------------- modes, dX


def counting(*sizes):
    """A Linear that notes what each backward returns."""
    layer = nn.Linear(*sizes, rng=0)
    backward = layer.backward
    layer.returned = []

    def noted(dY):
        layer.returned.append(backward(dY))
        return layer.returned[-1]

    layer.backward = noted
    return layer


@pytest.mark.parametrize("nested", [False, True])
def test_the_first_layers_dX_is_not_computed_and_the_others_are(nested):
    first, second = counting(3, 4), counting(4, 1)
    model = nn.Sequential(nn.Sequential(first, nn.Tanh()) if nested else first, second)
    trained(model, *data(), batch_size=4)
    assert first.returned == [None] * 3
    assert [dX.shape for dX in second.returned] == [(4, 4), (4, 4), (2, 4)]
    assert model.needs_dX
    assert first.needs_dX
    model.forward(data()[0])
    assert model.backward(np.ones((10, 1))).shape == (10, 3)


def test_a_single_layer_is_trained_without_dX_too():
    model = counting(3, 1)
    trained(model, *data())
    assert model.returned == [None]
    assert model.needs_dX


def test_training_mode_in_training_and_evaluation_mode_in_validation():
    model = nn.Sequential(Recording(), nn.Linear(1, 1))
    trained(model.eval(), ROWS, np.zeros((20, 1)), epochs=2, validation_data=(ROWS[:5], np.zeros((5, 1))))
    assert [mode for mode, _ in model[0].seen] == [False] + [True, False] * 2  # the first is the trying out


@pytest.mark.parametrize("mode", [True, False])
def test_the_mode_is_as_it_was_also_after_an_error(mode):
    model = network().train(mode)
    trained(model, *data())
    assert [layer.training for _, layer in model.named_layers()] == [mode] * 5
    with pytest.raises(nn.ShapeError):
        trained(model, data()[0][:, :2], data()[1])
    assert [layer.training for _, layer in model.named_layers()] == [mode] * 5
    assert model.needs_dX
    assert model[0].needs_dX


def test_the_mode_of_each_part_is_as_it_was():
    model = network()
    model[1].eval()
    trained(model, *data())
    assert [layer.training for layer in model] == [True, False, True, True]


def test_needs_dX_stays_off_where_it_was_off():
    model = network()
    model.needs_dX = False
    trained(model, *data())
    assert not model.needs_dX


# ---------------------------------------------------------------------------------------------------- divergence


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.BCELoss()])
def test_nan_in_X_raises_at_its_batch_with_the_parameters_from_before(loss):
    X, Y = data(10)
    model, until_then = network(), network()
    trained(until_then, X[:8], Y[:8], loss=loss, batch_size=4, shuffle=False)
    X[9, 1] = np.nan
    with pytest.raises(nn.DivergenceError, match=r"the loss is nan in epoch 1, batch 3: X\[9, 1\] is nan"):
        trained(model, X, Y, loss=loss, batch_size=4, shuffle=False)
    assert model.Phi.tobytes() == until_then.Phi.tobytes()
    assert model.training
    assert model.needs_dX


def test_infinity_in_X_makes_the_loss_infinite():
    with pytest.raises(nn.DivergenceError, match=r"the loss is inf in epoch 1, batch 2: X\[1, 0\] is inf"):
        trained(line(), [[1.0], [np.inf]], [[0.0], [0.0]], batch_size=1, shuffle=False)


def test_nan_in_Y_raises_at_its_batch_with_the_parameters_from_before():
    X, Y = data(10)
    model, until_then = network(), network()
    trained(until_then, X[:8], Y[:8], batch_size=4, shuffle=False)
    Y[9] = np.nan
    with pytest.raises(nn.DivergenceError, match=r"the loss is nan in epoch 1, batch 3: Y\[9, 0\] is nan"):
        trained(model, X, Y, batch_size=4, shuffle=False)
    assert model.Phi.tobytes() == until_then.Phi.tobytes()


def test_nan_in_Y_is_named_by_a_loss_that_checks_its_targets():
    X, Y = data(10)
    Y[9] = np.nan
    with pytest.raises(ValueError, match=r"expected each target from 0 to 1, got nan at index \(1, 0\)"):
        trained(network(), X, Y, loss=nn.BCELoss(), batch_size=4, shuffle=False)


def test_an_exploding_learning_rate_overflows_the_loss():
    # W = 1, b = 0 on the row (1, 0): error 1, gradient (2, 2); with lr = 1e200 the next error squared is above 1e308.
    model = line()
    with pytest.raises(nn.DivergenceError, match="the loss is inf in epoch 2, batch 1"):
        trained(model, [[1.0]], [[0.0]], lr=1e200, epochs=3)
    assert model.Phi.tolist() == [1 - 2e200, -2e200]


def exploding():
    """Two rows of two classes on Y = sigmoid(0): dW = -1/2, db = 0, so that with lr = inf W is inf and b NaN."""
    return (
        nn.Sequential(nn.Linear(1, 1, weight_init=nn.initializers.zeros), nn.Sigmoid()),
        [[1.0], [-1.0]],
        [[1.0], [0.0]],
    )


def test_an_exploding_learning_rate_names_the_first_layer_that_is_not_finite_and_the_step_is_not_made():
    model, X, Y = exploding()
    message = (
        r"the step overflows in epoch 1, batch 1, with the learning rate 1e\+300: after it W of "
        r"Sequential\[0\] Linear\(1 -> 1\) is not finite"
    )
    with pytest.raises(nn.DivergenceError, match=message):
        trained(model, X, Y, loss=nn.BCELoss(), lr=1e300, epochs=3, batch_size=2)
    assert model.Phi.tolist() == [0.0, 0.0]


def test_divergence_names_a_later_layer_where_that_is_the_first():
    model = nn.Sequential(nn.Linear(1, 1, rng=0), nn.Linear(1, 1, rng=0))
    model[1].b = [np.nan]
    with pytest.raises(nn.DivergenceError, match=r"b of Sequential\[1\] Linear\(1 -> 1\) is not finite"):
        trained(model, [[1.0]], [[1.0]])


def test_divergence_that_validation_meets_first_is_a_divergence_too():
    model, X, Y = exploding()
    with pytest.raises(nn.DivergenceError, match=r"epoch [12]"):
        trained(model, X, Y, loss=nn.BCELoss(), lr=1e300, epochs=3, batch_size=2, validation_data=(X, Y))


@pytest.mark.parametrize(("epoch", "scale"), [(1, np.nan), (2, 1.0)])
def test_on_nan_stop_warns_and_returns_the_epochs_so_far(epoch, scale):
    model = line()
    with pytest.warns(RuntimeWarning, match=f"the loss is (inf|nan) in epoch {epoch}, batch 1"):
        history = trained(model, [[scale]], [[0.0]], lr=1e200, epochs=3, on_nan="stop")
    assert history.epochs == epoch - 1
    assert model.training
    assert model.Phi.tolist() == ([1.0, 0.0] if epoch == 1 else [1 - 2e200, -2e200])


def test_on_nan_stop_warns_at_the_callers_line():
    model = line()
    with pytest.warns(RuntimeWarning) as warned:
        nn.fit(model, [[np.nan]], [[0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), verbose=0, on_nan="stop")
    assert warned[0].filename == __file__


def test_an_error_of_the_loss_that_is_no_divergence_stays_what_it_is():
    X, Y = data()
    with pytest.raises(nn.ShapeError, match=r"pass target\[..., None\]"):
        trained(network(), X, Y[:, 0])
    with pytest.raises(ValueError, match=r"expected each target from 0 to 1, got 2\.0"):
        trained(network(), X, Y * 2, loss=nn.BCELoss())


# ---------------------------------------------------------------------------------------------------- bad arguments

REFUSED = [
    ({"X": np.zeros((10, 3)), "Y": np.zeros((9, 1))}, ValueError, "got 10 rows in X and 9 in Y"),
    ({"X": np.zeros((0, 3)), "Y": np.zeros((0, 1))}, ValueError, "X: expected at least one row, got none"),
    ({"X": [], "Y": []}, ValueError, "X: expected at least one row, got none"),
    ({"X": [["a", "b", "c"]], "Y": [[1]]}, TypeError, "X: expected real numbers"),
    ({"X": 3.0}, TypeError, "X: expected one row per sample, got a single number"),
    ({"batch_size": 0}, ValueError, "batch_size: expected at least 1, got 0"),
    ({"batch_size": -1}, ValueError, "batch_size: expected at least 1, got -1"),
    ({"batch_size": 1.5}, TypeError, "batch_size: expected a whole number, got 1.5"),
    ({"batch_size": "4"}, TypeError, "batch_size: expected a whole number, got '4'"),
    ({"batch_size": None}, TypeError, "batch_size: expected a whole number, got None"),
    ({"epochs": -1}, ValueError, "epochs: expected at least 0, got -1"),
    ({"epochs": 2.0}, TypeError, "epochs: expected a whole number, got 2.0"),
    ({"loss": nn.MSELoss(reduction="none")}, ValueError, 'loss: .*reduction="mean" or "sum", got "none"'),
    ({"loss": "mse"}, TypeError, r"loss: expected a Loss, got 'mse'; write loss=nnlite\.MSELoss\(\)"),
    ({"loss": "cross_entropy"}, TypeError, r"write loss=nnlite\.CrossEntropyLoss\(\)"),
    ({"loss": nn.MSELoss}, TypeError, r"loss: expected a Loss, got the class itself; write MSELoss\(\)"),
    ({"loss": nn.Tanh()}, TypeError, r"loss: expected a Loss such as .*, got Tanh\(\); .* subclass nnlite\.Loss"),
    ({"loss": lambda Y, target: 0.0}, TypeError, r"loss: expected a Loss .*subclass nnlite\.Loss"),
    ({"optimizer": "sgd"}, TypeError, "optimizer: expected one such as SGD.*got 'sgd'"),
    ({"optimizer": nn.SGD}, TypeError, "optimizer: expected one such as SGD.*got <class"),
    ({"optimizer": []}, ValueError, "optimizer: expected at least one, got an empty list"),
    ({"optimizer": nn.SGD(network(), 0.1)}, ValueError, "optimizer: .*not in Sequential.*make it from this model"),
    ({"validation_split": 1.0}, ValueError, "validation_split: expected a share from 0 to below 1, got 1.0"),
    ({"validation_split": -0.1}, ValueError, "validation_split: expected a share from 0 to below 1, got -0.1"),
    ({"validation_split": math.nan}, ValueError, "validation_split: expected a share from 0 to below 1, got nan"),
    ({"validation_split": "0.1"}, ValueError, "validation_split: expected a share from 0 to below 1, got '0.1'"),
    ({"validation_split": 0.01}, ValueError, "0.01 of 10 rows leaves 0 to validate on and 10 to train on"),
    ({"validation_split": 0.99}, ValueError, "0.99 of 10 rows leaves 10 to validate on and 0 to train on"),
    (
        {"validation_split": 0.1, "validation_data": data(4)},
        ValueError,
        "validation_split: expected 0 where validation_",
    ),
    ({"validation_data": data(4)[0]}, TypeError, r"validation_data: expected a pair \(X, Y\)"),
    ({"validation_data": (*data(4), 1)}, TypeError, r"validation_data: expected a pair \(X, Y\)"),
    ({"validation_data": (data(4)[0], data(3)[1])}, ValueError, "got 4 rows in validation X and 3 in validation Y"),
    ({"validation_data": ([], [])}, ValueError, "validation X: expected at least one row"),
    ({"metrics": [nn.accuracy, nn.accuracy]}, ValueError, "metrics: there are two series called 'accuracy'"),
    ({"metrics": ["accuracy"]}, TypeError, "metrics: expected functions such as nnlite.accuracy, got 'accuracy'"),
    ({"metrics": nn.accuracy}, TypeError, "metrics: expected"),
    ({"verbose": 5}, ValueError, "verbose: expected 0 .* or 1 .*, got 5"),
    ({"on_nan": "ignore"}, ValueError, "on_nan: expected 'raise' or 'stop', got 'ignore'"),
]


@pytest.mark.parametrize(("wrong", "kind", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_a_bad_argument_is_named_and_nothing_is_trained(wrong, kind, message):
    model = network()
    before = model.Phi.tobytes()
    X, Y = data(10)
    given = {"X": X, "Y": Y, "loss": nn.MSELoss(), "optimizer": nn.SGD(model, 0.1), "verbose": 0, **wrong}
    with pytest.raises(kind, match=message) as caught:
        nn.fit(model, given.pop("X"), given.pop("Y"), **given)
    assert type(caught.value) is kind
    assert model.Phi.tobytes() == before
    assert model.training


# ------------------------------------------------------------------------------------- before anything is trained


def untouched(model, message, *args, **kwargs):
    """A fit that ends in the error ``message``, its notes included, and leaves the model as it was."""
    before = model.state_dict()
    with pytest.raises((TypeError, ValueError), match=message):
        trained(model, *args, **kwargs)
    for name, P in model.named_parameters():
        np.testing.assert_array_equal(P, before[name])


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ((data()[0][:, :2], data()[1]), "expected 3 features, got 2"),
        ((data()[0], data()[1][:, 0]), r"expected a target of Y's shape \(10, 1\), got \(10,\)"),
    ],
)
def test_validation_data_that_do_not_fit_are_an_error_before_training(validation, message):
    untouched(network(), message, *data(), validation_data=validation)
    untouched(network(), "on the validation data, tried before training", *data(), validation_data=validation)


def test_metrics_over_all_rows_are_tried_out_on_all_of_them():
    X = np.linspace(-1, 1, 8).reshape(-1, 1)  # the first batch is of one class, which no ROC curve can be drawn of
    model, Y = nn.Sequential(nn.Linear(1, 1, rng=0), nn.Sigmoid()), (X > 0) * 1
    options = {"loss": nn.BCELoss(), "batch_size": 2, "metrics": [nn.roc_auc], "validation_data": (X, Y)}
    assert len(trained(model, X, Y, **options)["val_roc_auc"]) == 1


@pytest.mark.parametrize("value", [None, "1", np.ones(1), [0.5]])
def test_a_metric_that_returns_no_number_is_an_error_before_the_first_step(value):
    def odd(Y_pred, Y):
        return value

    untouched(network(), "metrics: expected odd to return a number, got ", *data(), metrics=[odd])


def test_an_optimizer_of_a_larger_model_is_an_error():
    model = network()
    optimizer = nn.SGD(model, lr=0.1)
    before = model.Phi.copy()
    with pytest.raises(ValueError, match=r"optimizer: SGD.* moves parameters that are not in Sequential\(1 layers\)"):
        nn.fit(model[:1], data()[0], np.zeros((10, 4)), loss=nn.MSELoss(), optimizer=optimizer)
    np.testing.assert_array_equal(model.Phi, before)


@pytest.mark.parametrize("name", ["requires_grad", "trainable"])
def test_a_layer_frozen_in_the_way_of_another_library_is_an_error_and_one_in_no_optimizer_is_frozen(name):
    model = network()
    setattr(model[0], name, False)
    untouched(model, rf"optimizer: 0.{name} = False has no effect, and Linear.* is trained; ", *data())
    before = model[0].Phi.copy(), model[2].Phi.copy()
    nn.fit(model, *data(), loss=nn.MSELoss(), optimizer=nn.SGD(model[2], lr=0.1), verbose=0)
    np.testing.assert_array_equal(model[0].Phi, before[0])
    assert (model[2].Phi != before[1]).any()
    setattr(model[0], name, True)
    trained(model, *data())


def test_two_optimizers_on_one_part_are_an_error():
    model = network()
    optimizers = [nn.SGD(model, lr=0.1), nn.SGD(model[0], lr=0.2)]
    with pytest.raises(ValueError, match=r"optimizer: SGD\(.*lr=0.1\) and SGD\(.*lr=0.2\) move the same parameters"):
        nn.fit(model, *data(), loss=nn.BCELoss(), optimizer=optimizers)


@pytest.mark.parametrize("model", [[nn.Tanh()], nn.Tanh, None, np.zeros(3)])
def test_what_is_no_model_is_an_error(model):
    X, Y = data()
    for use in (
        lambda: nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(network(), 0.1)),
        lambda: nn.evaluate(model, X, Y, loss=nn.MSELoss()),
        lambda: nn.predict(model, X),
        lambda: nn.summary(model, 3),
        lambda: nn.profile(model, X),
        lambda: nn.check_gradients(model, X),
    ):
        with pytest.raises(TypeError, match=r"^(model|layer): expected a Layer, got "):
            use()


def test_a_part_put_in_after_Phi_was_made_is_an_error():
    model = network()
    optimizer = nn.SGD(model, lr=0.1)
    model.layers[0] = nn.Linear(3, 4)
    for use in (lambda: nn.fit(model, *data(), loss=nn.BCELoss(), optimizer=optimizer), lambda: nn.SGD(model, lr=0.1)):
        with pytest.raises(nn.StateError, match=r"0\.W is not in Phi: its layer was added after Phi was made"):
            use()


class Residual(nn.Sequential):
    def forward(self, X):
        return X + super().forward(X)

    def backward(self, dY):
        return dY + super().backward(dY)


@pytest.mark.parametrize("whole", [False, True])
def test_a_backward_that_builds_on_another_ones_dX_gets_it(whole):
    residual = Residual(nn.Linear(3, 3, rng=0), nn.Tanh())
    model = residual if whole else nn.Sequential(residual, nn.Linear(3, 1, rng=0))
    X, _ = data()
    before = model.Phi.copy()
    nn.fit(model, X, np.zeros((10, 3 if whole else 1)), loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), verbose=0)
    assert not np.array_equal(model.Phi, before)
    assert model.needs_dX


def test_a_layers_own_needs_dX_is_as_it_was():
    model = network()
    model[0].needs_dX = False
    trained(model, *data())
    assert not model[0].needs_dX
    assert model.needs_dX


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_layer_that_works_in_place_does_not_reach_the_users_rows(shuffle):
    class InPlace(nn.Layer):
        def forward(self, X):
            X -= 1
            return X

        def backward(self, dY):
            return dY

    X, Y = data()
    before = X.copy()
    model = nn.Sequential(InPlace(), nn.Linear(3, 1))
    for use in (
        lambda: nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), shuffle=shuffle, verbose=0),
        lambda: nn.predict(model, X),
        lambda: nn.predict(model, X, batch_size=3),
    ):
        with contextlib.suppress(ValueError):  # output array is read-only
            use()
        np.testing.assert_array_equal(X, before)


def test_an_overflow_in_the_very_last_step_is_a_divergence():
    model = nn.Sequential(nn.Linear(1, 1, rng=0))
    with pytest.raises(nn.DivergenceError, match=r"W of .* is not finite"):
        trained(model, np.full((4, 1), 1e18), np.zeros((4, 1)), loss=nn.MSELoss(), lr=1e3)


# ---------------------------------------------------------------------------------------------------- over all rows


def spread_of_rows(Y_pred, Y):
    """What no mean over batches gives."""
    return float(Y_pred.max() - Y_pred.min()) + 100 * len(Y)


@pytest.mark.parametrize("batch_size", [3, 4, 7, 10])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_metric_over_all_rows_does_not_depend_on_the_batches(batch_size, shuffle):
    """keras#11705, torchmetrics#845: the right value is the metric of all rows at once."""
    X, Y = data(10)
    model = network()
    P = model.forward(X).astype(np.float64)
    metrics = [nn.f1, nn.roc_auc, nn.r2, spread_of_rows, nn.binary_accuracy]
    history = trained(
        model, X, Y, lr=0.0, epochs=2, batch_size=batch_size, shuffle=shuffle, metrics=metrics,
        validation_data=(X[::-1], Y[::-1]),
    )  # fmt: skip
    names = [metric.__name__ for metric in metrics]
    assert list(history) == ["loss", *names, "val_loss", *(f"val_{name}" for name in names)]
    for metric in metrics:
        expected = [pytest.approx(metric(P, Y), rel=1e-6)] * 2
        assert history[metric.__name__] == expected
        assert history[f"val_{metric.__name__}"] == expected


def test_a_metric_over_all_rows_sees_the_predictions_from_before_each_step():
    seen = []

    def note(Y_pred, Y):
        seen.append((Y_pred.tolist(), Y.tolist()))
        return 0.0

    # W = 1, b = 0 on the row (1, 0); after one step with lr = 1/4 W = 1/2, b = -1/2, so that 2 becomes 1/2.
    trained(line(), [[1.0], [2.0]], [[0.0], [3.0]], lr=0.25, batch_size=1, shuffle=False, metrics=[note])
    assert seen[1:] == [([[1.0], [0.5]], [[0.0], [3.0]])]  # after it has been tried on the first batch


class Asking(Silent):
    """A progress that asks for the values after each batch."""

    def batch(self, values):
        assert list(values()) == ["loss"]


def test_a_metric_over_all_rows_is_called_once_an_epoch_also_where_a_bar_is_shown(monkeypatch):
    monkeypatch.setattr("nnlite.training.fit.progress", lambda *args, **options: Asking())
    calls = []

    def count(Y_pred, Y):
        calls.append(len(Y))
        return 0.0

    trained(network(), *data(10), batch_size=3, epochs=2, metrics=[count])
    assert calls == [3, 10, 10]  # it is tried on the first batch, before the first step


def test_an_error_in_a_layer_of_ones_own_has_the_line_that_names_its_cause():
    """A transpose that is missing, or a parameter without a value: NumPy's message about matmul names neither."""

    class Wrong(nn.Layer, parameters=("W",)):
        def __init__(self, value=1.0):
            if value:
                self.W = np.full((3, 2), value)

        def forward(self, X):
            self.X = X
            return X @ self.W

        def backward(self, dY):
            self.dW = self.X.T @ dY
            return dY @ self.W  # W.T is right

    X, Y, loss = np.ones((6, 3)), np.ones((6, 2)), nn.MSELoss()
    model = nn.Sequential(nn.Linear(3, 3, dtype=np.float64), nn.Sequential(Wrong().astype(np.float64)))
    with pytest.raises(ValueError, match="matmul") as caught:
        nn.fit(model, X, Y, loss=loss, optimizer=nn.SGD(model, lr=0.1), verbose=0)
    assert "in Sequential[0] Wrong()" in caught.value.__notes__
    (line,) = [note for note in caught.value.__notes__ if note.startswith("nnlite.check_gradients(")]
    with pytest.raises(ValueError, match="matmul") as caught:
        eval(line.split(" names")[0], {"nnlite": nn, "model": model, "X": X, "Y": Y, "loss": loss})
    assert any("These products fit: dY (5, 2) @ W.T (2, 3)" in note for note in caught.value.__notes__)

    def metric(Y_pred, Y):  # not the code of a layer
        raise ValueError("mine")

    model = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="mine") as caught:
        nn.fit(model, X, Y, loss=loss, optimizer=nn.SGD(model, lr=0.1), metrics=[metric], verbose=0)
    assert not any("check_gradients" in note for note in getattr(caught.value, "__notes__", ()))
