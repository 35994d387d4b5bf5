"""EarlyStopping: when it ends a training, and what it restores."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.linear_regression import train

import nnlite as nn


def watched(values, **options):
    """How many epochs a training has whose validation loss takes these values, and the callback."""
    stopping = nn.EarlyStopping("fake", mode="min", **options)

    class Fake(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["fake"] = values[state.epoch - 1]

    model, history = train([Fake(), stopping], epochs=len(values))
    return history.epochs, stopping, model


@pytest.mark.parametrize(
    ("values", "options", "epochs"),
    [
        ([5, 4, 3, 2, 1], {}, 5),
        ([5, 4, 4, 3, 2], {}, 3),  # equal is no improvement
        ([5, 4, 4, 3, 2], {"patience": 1}, 3),
        ([5, 4, 4, 3, 3, 3, 1], {"patience": 2}, 6),
        ([5, 4.5, 4.1, 3.9, 1], {"min_delta": 1.0, "patience": 2}, 3),
        ([5, 9, 9, 4, 5], {"start_from_epoch": 3}, 5),
        ([5, 4, 4, 3, 2], {"baseline": 3.5, "patience": 3}, 3),  # better at first, but not than the baseline
        ([5, 3, 3, 3, 1], {"baseline": 3.5, "patience": 2}, 4),
        ([float("nan"), float("nan"), 1], {"patience": 2}, 2),
    ],
)
def test_early_stopping_waits_as_long_as_it_is_told(values, options, epochs):
    assert watched(values, **options)[0] == epochs


def test_early_stopping_goes_back_to_the_best_epoch():
    kept = {}

    class Keep(nn.Callback):
        def on_epoch_end(self, state):
            kept[state.epoch] = state.model.Phi.copy()

    class Fake(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["fake"] = [5.0, 3.0, 4.0, 4.0][state.epoch - 1]

    stopping = nn.EarlyStopping("fake", patience=2, mode="min")
    model, _ = train([Fake(), Keep(), stopping], epochs=4)
    assert (stopping.best, stopping.best_epoch) == (3.0, 2)
    assert_array_equal(model.Phi, kept[2])
    assert not np.array_equal(kept[2], kept[4])

    model, _ = train(
        [Fake(), Keep(), nn.EarlyStopping("fake", patience=2, mode="min", restore_best_weights=False)], epochs=4
    )
    assert_array_equal(model.Phi, kept[4])


def test_the_best_weights_come_back_however_training_ends():
    """keras#12511, tensorflow#35634: also where the last epoch comes before patience has run out."""

    class Fail(nn.Callback):
        def on_batch_end(self, state):
            if state.epoch == 3:
                raise RuntimeError

    best = []
    keep = lambda state: best.append(state.model.Phi.copy()) if state.epoch == 1 else None  # noqa: E731

    class Fake(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["fake"] = float(state.epoch)

    model = nn.Sequential(nn.Linear(3, 1, rng=0))
    with pytest.raises(RuntimeError):
        train([keep, Fake(), nn.EarlyStopping("fake", patience=9, mode="min"), Fail()], model=model)
    assert_array_equal(model.Phi, best[0])


def test_early_stopping_forgets_between_two_trainings():
    """keras#20521, keras#3000: the best value of another training is none to beat."""
    stopping = nn.EarlyStopping("loss", patience=3)
    train([stopping], epochs=4)
    first = stopping.best
    train([stopping], epochs=1)  # another model, whose first epoch is worse
    assert stopping.best > first
    assert stopping.best_epoch == 1


def test_a_monitor_that_is_not_there_is_an_error_that_lists_what_is():
    with pytest.raises(KeyError, match=r"no 'val_accuracy' among \['loss'\]"):
        train([nn.EarlyStopping("val_accuracy")])


def test_a_value_of_the_validation_without_validation_data_is_an_error_before_training():
    """Without validation data there is no val_loss to wait for: an error before the first epoch, not after it."""
    model = nn.Sequential(nn.Linear(3, 1, rng=0))
    before = model.Phi.copy()
    for callback in nn.EarlyStopping(), nn.ReduceLROnPlateau(nn.SGD(model, lr=0.1)):
        with pytest.raises(ValueError, match=r"no 'val_loss' without validation data; pass validation_split=0\.2 or"):
            train([callback], model=model)
    assert_array_equal(model.Phi, before)


def test_a_callback_may_announce_a_value_of_the_validation_of_its_own():
    class Validation(nn.Callback):
        def on_train_begin(self, state):
            state.extra["val_loss"] = np.nan

        def on_epoch_end(self, state):
            state.values["val_loss"] = float(state.epoch)

    stopping = nn.EarlyStopping(patience=1)
    assert train([Validation(), stopping])[1].epochs == 2
    assert stopping.best == 1.0


@pytest.mark.parametrize("wrong", [{"mode": "best"}, {"patience": -1}, {"min_delta": -0.1}, {"start_from_epoch": -1}])
def test_bad_options_of_early_stopping(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        nn.EarlyStopping(**wrong)


# ------------------------------------------------------------------------------------------- buffers, copies, states


class RunningMean(nn.Layer, buffers=("mean", "steps")):
    """Subtracts the running mean of its inputs: a layer with buffers, floating and integer."""

    def __init__(self, features):
        self.mean = np.zeros(features)
        self.steps = np.zeros(1, np.int64)

    def forward(self, X):
        if self.training:
            self.steps += 1
            self.mean = 0.5 * self.mean + 0.5 * X.mean(axis=0)
        return self.record_Y(X - self.mean)

    def backward(self, dY):
        return self.check_dY(dY).copy()


def with_buffers():
    return nn.Sequential(RunningMean(3), nn.Linear(3, 1, rng=0))


class Fake(nn.Callback):
    """A value that is best in the second epoch."""

    def on_epoch_begin(self, state):
        state.extra["fake_loss"] = [5.0, 3.0, 4.0, 4.5, 5.0][state.epoch - 1]


def test_the_buffers_go_back_to_the_best_epoch_with_the_parameters():
    kept = {}
    keep = lambda state: kept.update({state.epoch: state.model.state_dict()})  # noqa: E731
    model, history = train([Fake(), keep, nn.EarlyStopping("fake_loss", patience=2)], model=with_buffers(), epochs=5)
    assert history.epochs == 4
    for name, value in model.state_dict().items():
        assert_array_equal(value, kept[2][name])
        assert not np.array_equal(kept[2][name], kept[4][name])
    assert model[0].steps.dtype == np.int64


def test_the_state_holds_the_best_buffers_and_one_from_before_they_were_kept_loads():
    stopping = nn.EarlyStopping("fake_loss", patience=9)
    train([Fake(), stopping], model=with_buffers(), epochs=3)
    state = stopping.state_dict()
    other = nn.EarlyStopping("fake_loss", patience=9)
    other.load_state_dict(state)
    assert other.best_buffers.keys() == {"0.mean", "0.steps"}
    old = {name: value for name, value in state.items() if name not in ("best_buffers", "best_averaged")}
    other.load_state_dict(old)
    assert other.best_buffers == {}
    for wrong in {**state, "patience": 3}, {"best": 1.0}:
        with pytest.raises(ValueError, match="EarlyStopping: expected a state with best, best_epoch"):
            other.load_state_dict(wrong)
    for name, value, message in (
        ("best_epoch", -1, "best_epoch: expected at least 0, got -1"),
        ("waited", 0.5, "waited: expected a whole number, got 0.5"),
        ("best", "3", "best: expected a number, got '3'"),
        ("best_Phi", [1.0], "best_Phi, best_buffers: expected arrays"),
        ("best_buffers", {"0.mean": 1.0}, "best_Phi, best_buffers: expected arrays"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"^EarlyStopping: {message}"):
            other.load_state_dict({**state, name: value})
    assert (other.patience, other.best) == (9, 3.0)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda callback: pickle.loads(pickle.dumps(callback))])
def test_callbacks_that_watch_a_value_can_be_copied_and_pickled(duplicate):
    """keras issue 4274"""
    for callback in (
        nn.EarlyStopping("val_f1", min_delta=0.1),
        nn.Checkpoint("c.npz", best_only=True),
        nn.ReduceLROnPlateau(nn.SGD(nn.Linear(1, 1), lr=0.1)),
    ):
        other = duplicate(callback)
        assert repr(other) == repr(callback)
        assert (other.watched.name, other.watched.mode) == (callback.watched.name, callback.watched.mode)
    assert duplicate(nn.EarlyStopping("val_f1", min_delta=0.1)).watched.is_better(0.75, 0.5)


@pytest.mark.parametrize(
    ("options", "epochs", "remark"),
    [
        ({"patience": 2}, 5, "stopped after epoch 4: fake_loss has not improved for 2 epochs; restored epoch 2 "
         "(fake_loss 3)"),
        ({"patience": 1, "restore_best_weights": False}, 5, "stopped after epoch 3: fake_loss has not improved for 1 "
         "epoch"),
        ({"patience": 9}, 5, "restored epoch 2 (fake_loss 3)"),
        ({"patience": 9}, 2, ""),
    ],
)  # fmt: skip
def test_it_says_why_training_ended_and_which_epoch_was_restored(options, epochs, remark, capsys):
    """The numbers are those that the callback gives."""
    _, history = train([Fake(), nn.EarlyStopping("fake_loss", **options)], epochs=epochs, verbose=1)
    assert history.remark == remark
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == remark or lines[-1].startswith("epoch 2/2")
    assert lines[-1 - bool(remark)].startswith(f"epoch {history.epochs}/{epochs}")
