"""Divergence: found at once, placed, with likely causes; the parameters are those from before."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.own_layers import OwnBatchNorm, OwnDropout

import nnlite as nn


def model():
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 1, rng=rng))


def train(net, X, Y, lr=0.1, loss=None, **options):
    options = {"verbose": 0, "shuffle": False, "batch_size": 2} | options
    return nn.fit(net, X, Y, loss=loss or nn.MSELoss(), optimizer=nn.SGD(net, lr=lr), **options)


X = np.random.default_rng(1).normal(size=(6, 3))
Y = X[:, :1].copy()


def test_a_bad_number_in_X_is_found_at_its_batch():
    bad, net = X.copy(), model()
    bad[4, 1] = np.nan
    Phi = []
    with pytest.raises(nn.DivergenceError) as caught:
        train(net, bad, Y, callbacks=[type("Keep", (), {"on_batch_end": lambda self, s: Phi.append(net.Phi.copy())})()])
    assert "the loss is nan in epoch 1, batch 3: X[4, 1] is nan. The step was not made" in str(caught.value)
    assert "remove or fill the rows that are not finite" in str(caught.value)
    assert "learning rate" not in str(caught.value)
    assert_array_equal(net.Phi, Phi[1])


@pytest.mark.parametrize("row", range(6))
def test_a_bad_number_is_named_by_its_row_in_the_users_own_array(row):
    """neuralforecast#186: one bad number in thousands of rows; the right place is where it was put."""
    bad = Y.copy()
    bad[row, 0] = -np.inf
    for options in {"shuffle": True}, {"validation_split": 0.4, "shuffle": True}, {"batch_size": 4}:
        with pytest.raises(nn.DivergenceError, match=rf": Y\[{row}, 0\] is -inf"):
            train(model(), X, bad, rng=3, **options)


def test_a_bad_number_in_a_stream_is_named_by_its_row_in_the_batch():
    bad = X.copy()
    bad[4, 1] = np.nan
    batches = [(bad[:3], Y[:3]), (bad[3:], Y[3:])]
    with pytest.raises(nn.DivergenceError, match=r"epoch 1, batch 2: X\[1, 1\] is nan"):
        train(model(), batches, None)


def test_columns_of_X_that_are_not_standardized_are_named_the_largest_first():
    large = X * [1.0, 2e4, 5e3]
    with pytest.raises(nn.DivergenceError) as caught:
        train(nn.Sequential(nn.Linear(3, 1, rng=0)), large, Y, lr=1e6, epochs=50, batch_size=6)
    rms = np.sqrt(np.mean(large**2, axis=0))
    cure = f"standardize X: column 1 has RMS {rms[1]:.3g}, column 2 has RMS {rms[2]:.3g}; a smaller learning rate"
    assert cure in str(caught.value)


def test_three_columns_are_named_at_most():
    large = X[:, :1] * [1e4, 5e4, 2e4, 4e4, 3e4]
    with pytest.raises(nn.DivergenceError) as caught:
        train(nn.Sequential(nn.Linear(5, 1, rng=0)), large, Y, lr=1e6, epochs=50, batch_size=6)
    rms = [f"column {column} has RMS {value:.3g}" for column, value in enumerate(np.sqrt(np.mean(large**2, axis=0)))]
    assert f"standardize X: {rms[1]}, {rms[3]}, {rms[4]}; a smaller" in str(caught.value)


def test_targets_that_are_not_standardized_are_the_cause_where_X_is_standardized():
    # as in a regression of house prices (dl-keras-tf issue 9): X has mean 0 and deviation 1, Y is 150,000 +- 60,000
    prices = 150_000 + 60_000 * X[:, :1]
    with pytest.raises(nn.DivergenceError) as caught:
        train(nn.Sequential(nn.Linear(3, 1, rng=0)), X, prices, lr=10.0, epochs=50, batch_size=6)
    rms = np.sqrt(np.mean(prices**2))
    assert f"What may help: standardize Y: column 0 has RMS {rms:.3g}; a smaller" in str(caught.value)
    assert "standardize X" not in str(caught.value)


def test_standardized_data_are_not_named():
    with pytest.raises(nn.DivergenceError) as caught:
        train(nn.Sequential(nn.Linear(3, 1, rng=0)), X, Y, lr=1e30, epochs=50)
    cures = str(caught.value).partition("What may help: ")[2].split("; ")
    assert cures[:2] == ["a smaller learning rate", "clip_norm=1.0"]
    assert cures[2].startswith("nnlite.sanity(model, loss, X, Y)")


def far(column):
    rows = X.copy()
    rows[:, column] = 5 + 0.001 * rows[:, column]
    return rows


@pytest.mark.parametrize(
    ("rows", "targets", "named"),
    [
        (X, Y, []),
        (X * [1, 30, 1], Y, ["standardize X: column 1 has RMS"]),
        (np.rint(X * [1, 3000, 1]).astype(int), Y, ["standardize X: column 1 has RMS"]),
        (far(2), Y, ["standardize X: column 2 has mean 5, standard deviation 0.000"]),
        (X, 40 * Y, []),
        (X, np.rint(1e5 * Y).astype(int), ["standardize Y: column 0 has RMS"]),
        (X * 50, 1e4 * Y, ["standardize X: column", "standardize Y: column"]),
    ],
)
@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.MSELoss(reduction="sum")])
def test_the_error_and_sanity_find_the_same_cause(rows, targets, named, loss):
    # neuralforecast#186: what is large there are targets; whole numbers, as prices are; a column with a mean far from 0
    net = nn.Sequential(nn.Linear(3, 1, rng=0))
    found = nn.sanity(net, loss, rows, targets)
    with pytest.raises(nn.DivergenceError) as caught:
        train(net, rows, targets, lr=1e6, epochs=99, batch_size=6, loss=loss)
    causes = [cure for cure in str(caught.value).split("What may help: ")[1].split("; ") if "standardize" in cure]
    assert len(causes) == len(named)
    assert all(cause.startswith(start) for cause, start in zip(sorted(causes), named, strict=True))
    assert (found.scale.right is False) == any("X" in start for start in named)
    assert (found.targets.right is False) == any("Y" in start for start in named)


def test_indices_of_classes_and_words_are_not_to_be_standardized():
    net = nn.Sequential(nn.Linear(3, 200, rng=0))
    classes = np.array([199, 150, 120, 111, 180, 100])
    with pytest.raises(nn.DivergenceError) as caught:
        train(net, X, classes, lr=1e300, epochs=50, loss=nn.CrossEntropyLoss())
    assert "standardize" not in str(caught.value)


def test_inputs_of_several_are_named():
    a, b = nn.Input("a"), nn.Input("b")
    net = nn.Graph({"a": a, "b": b}, nn.Linear(3, 1, rng=0)(a + b))
    with pytest.raises(nn.DivergenceError, match=r"standardize X\['b'\]: column \d has RMS"):
        nn.fit(net, {"a": X, "b": X * 1e5}, Y, loss=nn.MSELoss(), optimizer=nn.SGD(net, lr=1e6), epochs=50, verbose=0)


def test_stop_warns_and_returns_what_there_is():
    bad, net = X.copy(), model()
    bad[4, 1] = np.nan
    with pytest.warns(RuntimeWarning, match="batch 3"):
        history = train(net, bad, Y, on_nan="stop", epochs=3)
    assert history.epochs == 0
    assert np.isfinite(net.Phi).all()


def test_early_stopping_gives_the_best_weights_back_also_then():
    rows, net, kept = X.copy(), model(), {}

    def spoil(state):
        kept[state.epoch] = net.Phi.copy()
        if state.epoch == 3:
            rows[:] = np.nan

    with pytest.raises(nn.DivergenceError, match="epoch 4, batch 1"):
        train(net, rows, Y, epochs=9, callbacks=[spoil, nn.EarlyStopping("loss", patience=5)])
    assert_array_equal(net.Phi, kept[3])


def test_a_step_that_is_not_made_leaves_buffers_and_generators_as_they_were():
    net = nn.Sequential(nn.Linear(3, 4, rng=0), OwnBatchNorm(4), OwnDropout(0.5, rng=1))
    bad = np.concatenate([X, [[np.nan] * 3]])

    def states():
        return [array.tolist() for _, array in net.named_buffers()], net[2].rng.bit_generator.state

    seen = []
    callback = type("", (), {"on_batch_end": lambda self, state: seen.append(states())})()
    with pytest.raises(nn.DivergenceError, match=r"epoch 1, batch 2: X\[6, 0\] is nan"):
        train(net, bad, np.ones((7, 4)), batch_size=4, callbacks=[callback])
    assert [states()] == seen


def test_a_buffer_that_the_failed_batch_spoiled_is_not_named_as_the_cause():
    net = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Exp(), OwnBatchNorm(4), nn.Linear(4, 1, rng=0))
    with pytest.raises(nn.DivergenceError, match=r"Sequential\[1\] Exp\(\) is the first layer whose output is not"):
        train(net, 1e9 * X, Y)


def test_the_error_says_which_weights_early_stopping_has_restored():
    batches = [(X, Y)], [(X, Y)], [(X * np.nan, Y)]
    epochs = iter(batches)
    stopping = nn.EarlyStopping("loss", patience=9)
    with pytest.raises(nn.DivergenceError, match="epoch 3, batch 1") as caught:
        train(model(), lambda: next(epochs), None, epochs=3, callbacks=[stopping])
    assert caught.value.__notes__ == [f"afterwards: restored epoch 2 (loss {stopping.best:.4g})"]


def test_the_step_of_the_batches_that_are_left_is_in_the_last_batch():
    def spoil(state):
        if state.batch == 3:
            state.model.dPhi *= np.nan

    callback = type("", (), {"on_backward_end": lambda self, state: spoil(state)})()
    with pytest.raises(nn.DivergenceError, match="the gradient is not finite in epoch 1, batch 3:"):
        train(model(), X, Y, accumulate_steps=2, callbacks=[callback])
