"""Callbacks: when each is called, what it may do, and that nothing is lost when one fails."""

import csv
import signal

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn

X = np.random.default_rng(0).normal(size=(10, 3))
Y = X @ [[1.0], [-2.0], [0.5]]


def train(callbacks, epochs=3, *, model=None, lr=0.05, **options):
    model = model or nn.Sequential(nn.Linear(3, 1, rng=0))
    options = {"batch_size": 4, "rng": 0, "verbose": 0, "loss": nn.MSELoss()} | options
    optimizer = options.pop("optimizer", None) or nn.SGD(model, lr=lr)
    history = nn.fit(model, X, Y, optimizer=optimizer, epochs=epochs, callbacks=callbacks, **options)
    return model, history


class Recorder:
    """Notes each event with the epoch and the batch."""

    def __init__(self):
        self.seen = []

    def __getattr__(self, name):
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda state: self.seen.append((name, state.epoch, state.batch))


def test_the_events_come_in_this_order():
    recorder = Recorder()
    train([recorder], epochs=2)
    epochs = [
        [("on_epoch_begin", epoch, 0)]
        + [
            (name, epoch, batch - (name == "on_backward_end"))
            for batch in (1, 2, 3)
            for name in ("on_backward_end", "on_batch_end", "on_save")
        ]
        + [("on_epoch_end", epoch, 0), ("on_save", epoch, 0)]
        for epoch in (1, 2)
    ]
    assert recorder.seen == [("on_train_begin", 0, 0), *epochs[0], *epochs[1], ("on_train_end", 2, 0)]


def test_a_function_is_called_at_the_end_of_each_epoch_with_the_epochs_numbers():
    seen = []
    _, history = train([lambda state: seen.append((state.epoch, state.values, state.history.epochs))])
    assert [(epoch, epochs) for epoch, _, epochs in seen] == [(1, 1), (2, 2), (3, 3)]
    assert [values["loss"] for _, values, _ in seen] == history["loss"]


def test_the_state_says_what_is_going_on():
    def look(state):
        assert state.model is model
        assert state.loss is loss
        assert state.optimizers == [optimizer]
        assert (state.epochs, state.batches) == (3, 3)
        assert not state.interrupted
        seen.append(state.epoch)

    seen, loss = [], nn.MSELoss()
    model = nn.Sequential(nn.Linear(3, 1, rng=0))
    optimizer = nn.SGD(model, lr=0.05)
    train([look], model=model, optimizer=optimizer, loss=loss)
    assert seen == [1, 2, 3]


@pytest.mark.parametrize(("event", "epochs", "batches"), [("on_epoch_end", 2, 6), ("on_batch_end", 1, 5)])
def test_a_true_return_ends_the_training(event, epochs, batches):
    class Stop(nn.Callback):
        pass

    done = {"on_epoch_end": lambda self, state: state.epoch == 2,
            "on_batch_end": lambda self, state: (state.epoch, state.batch) == (2, 2)}  # fmt: skip
    setattr(Stop, event, done[event])
    recorder = Recorder()
    _, history = train([Stop(), recorder], epochs=10)
    assert history.epochs == epochs
    assert sum(name == "on_batch_end" for name, *_ in recorder.seen) == batches
    assert recorder.seen[-1][0] == "on_train_end"


def test_setting_stop_ends_it_too():
    def stop(state):
        state.stop = True

    assert train([stop])[1].epochs == 1


@pytest.mark.parametrize("event", ["on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end"])
def test_an_error_goes_up_with_the_callbacks_name_and_the_model_stays_usable(event):
    class Broken(nn.Callback):
        pass

    def fail(self, state):
        raise RuntimeError("out of luck")

    setattr(Broken, event, fail)
    model = nn.Sequential(nn.Linear(3, 1, rng=0)).eval()
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    with pytest.raises(RuntimeError, match="out of luck") as caught:
        train([Broken()], model=model)
    assert any("Broken" in note and event in note for note in caught.value.__notes__)
    assert {signum: signal.getsignal(signum) for signum in before} == before
    assert not model.training
    assert model[0].needs_dX
    train([], model=model)


def test_training_ends_for_callbacks_also_after_an_error():
    recorder = Recorder()

    def fail(state):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        train([recorder, fail])
    assert recorder.seen[-1] == ("on_train_end", 1, 0)


@pytest.mark.parametrize("wrong", [3, nn.EarlyStopping, "loss", None])
def test_what_is_no_callback_is_an_error_before_training(wrong):
    model = nn.Sequential(nn.Linear(3, 1, rng=0))
    Phi = model.Phi.copy()
    with pytest.raises(TypeError, match="callbacks: expected callbacks or functions"):
        train([wrong], model=model)
    assert_array_equal(model.Phi, Phi)


def test_extra_numbers_of_callbacks_stand_in_the_history():
    class Count(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["count"] = 10 * state.epoch

    assert train([Count()])[1]["count"] == [10, 20, 30]


# ----------------------------------------------------------------------------------------------- EarlyStopping


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

    stopping = nn.EarlyStopping("fake", patience=2)
    model, _ = train([Fake(), Keep(), stopping], epochs=4)
    assert (stopping.best, stopping.best_epoch) == (3.0, 2)
    assert_array_equal(model.Phi, kept[2])
    assert not np.array_equal(kept[2], kept[4])

    model, _ = train([Fake(), Keep(), nn.EarlyStopping("fake", patience=2, restore_best_weights=False)], epochs=4)
    assert_array_equal(model.Phi, kept[4])


def test_the_best_weights_come_back_however_training_ends():
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
        train([keep, Fake(), nn.EarlyStopping("fake", patience=9), Fail()], model=model)
    assert_array_equal(model.Phi, best[0])


def test_early_stopping_forgets_between_two_trainings():
    stopping = nn.EarlyStopping("loss", patience=3)
    train([stopping], epochs=4)
    first = stopping.best
    train([stopping], epochs=1)  # another model, whose first epoch is worse
    assert stopping.best > first
    assert stopping.best_epoch == 1


@pytest.mark.parametrize(
    ("monitor", "up"),
    [("val_loss", False), ("val_accuracy", True), ("binary_accuracy", True), ("f1", True), ("val_r2", True),
     ("roc_auc", True), ("mean_error", False)],
)  # fmt: skip
def test_mode_auto_goes_by_the_name(monitor, up):
    better = nn.EarlyStopping(monitor).is_better
    assert (better(2, 1), better(1, 2)) == (up, not up)


def test_a_monitor_that_is_not_there_is_an_error_that_lists_what_is():
    with pytest.raises(KeyError, match=r"no 'val_loss' among \['loss'\]"):
        train([nn.EarlyStopping()])


@pytest.mark.parametrize("wrong", [{"mode": "best"}, {"patience": -1}, {"min_delta": -0.1}, {"start_from_epoch": -1}])
def test_bad_options_of_early_stopping(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        nn.EarlyStopping(**wrong)


# ----------------------------------------------------------------------------------------------- the loggers


def test_csv_logger_writes_what_the_history_has(tmp_path):
    path = tmp_path / "training.csv"
    _, history = train([nn.CSVLogger(path)], validation_data=(X, Y))
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [int(row.pop("epoch")) for row in rows] == [1, 2, 3]
    assert [{name: float(value) for name, value in row.items()} for row in rows] == [
        {name: series[epoch] for name, series in history.items()} for epoch in range(3)
    ]


def test_csv_logger_starts_anew_or_appends(tmp_path):
    path = tmp_path / "training.csv"
    train([nn.CSVLogger(path, separator=";")])
    train([nn.CSVLogger(path, separator=";")], epochs=1)
    assert len(path.read_text().splitlines()) == 2
    train([nn.CSVLogger(path, separator=";", append=True)], epochs=2)
    lines = path.read_text().splitlines()
    assert len(lines) == 4
    assert [line.split(";")[0] for line in lines] == ["epoch", "1", "1", "2"]


def test_a_missing_folder_is_an_error_before_training(tmp_path):
    model = nn.Sequential(nn.Linear(3, 1, rng=0))
    Phi = model.Phi.copy()
    for callback in nn.CSVLogger(tmp_path / "no" / "a.csv"), nn.Checkpoint(tmp_path / "no" / "a.npz"):
        with pytest.raises(FileNotFoundError, match="no"):
            train([callback], model=model)
    assert_array_equal(model.Phi, Phi)


def test_learning_rate_logger_of_several_optimizers():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Linear(2, 1, rng=1))
    optimizers = [nn.SGD(model[0], lr=nn.StepLR(0.1, step_size=3, gamma=0.5)), nn.SGD(model[1], lr=0.01)]
    _, history = train([nn.LearningRateLogger()], model=model, optimizer=optimizers)
    assert history["lr_0"] == [0.1, 0.05, 0.025]  # three batches an epoch
    assert history["lr_1"] == [0.01] * 3


def test_every_callback_is_told_of_the_end_also_after_an_error_in_one_of_them():
    class Wrong(nn.Callback):
        def on_train_end(self, state):
            raise RuntimeError("out of luck")

    recorder = Recorder()
    with pytest.raises(RuntimeError, match="out of luck"):
        train([Wrong(), recorder])
    assert recorder.seen[-1][0] == "on_train_end"

    class Never(nn.Callback):
        def on_train_begin(self, state):
            raise RuntimeError("not even begun")

    recorder = Recorder()
    with pytest.raises(RuntimeError, match="not even begun"):
        train([recorder, Never()])
    assert [name for name, *_ in recorder.seen] == ["on_train_begin", "on_train_end"]


@pytest.mark.parametrize("event", ["on_train_begin", "on_epoch_begin"])
def test_a_true_return_before_the_first_batch_trains_nothing(event):
    model = nn.Sequential(nn.Linear(3, 1, rng=0))
    Phi = model.Phi.copy()
    _, history = train([type("Stop", (), {event: lambda self, state: True})()], model=model)
    assert history.epochs == 0
    assert_array_equal(model.Phi, Phi)


def test_an_epoch_does_not_begin_where_training_is_stopped_before():
    class Stop(nn.Callback):
        def on_train_begin(self, state):
            return True

    recorder = Recorder()
    train([Stop(), recorder])
    assert [name for name, *_ in recorder.seen] == ["on_train_begin", "on_train_end"]


def test_the_state_says_that_a_signal_has_come():
    seen = []

    class Look(nn.Callback):
        def on_batch_end(self, state):
            if state.batch == 2:
                signal.raise_signal(signal.SIGINT)
            seen.append(state.interrupted)

    with pytest.raises(KeyboardInterrupt):
        train([Look()])
    assert seen == [False, False, True]  # the signal came after the second batch


def test_callbacks_come_in_a_list():
    with pytest.raises(TypeError, match=r"callbacks: expected a list, such as \[nnlite"):
        train(nn.EarlyStopping("loss"))


@pytest.mark.parametrize("name", ["val_f1_score", "accuracy_score", "acc", "AUC", "val_auc_score"])
def test_what_is_called_a_score_is_better_when_larger(name):
    assert nn.EarlyStopping(name).is_better(2, 1)


def test_csv_logger_goes_on_after_the_epochs_that_are_done(tmp_path):
    csv_path, path = tmp_path / "a.csv", tmp_path / "c.npz"

    def run(epochs, *more, **options):
        train([nn.CSVLogger(csv_path), nn.Checkpoint(path, every=3), *more], epochs=epochs, **options)

    class Crash(nn.Callback):
        def on_batch_end(self, state):
            if state.epoch == 6:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        run(9, Crash())
    with open(csv_path, "a") as file:
        file.write("6,0.1")  # and a line that was cut off
    run(6, resume=path)
    assert [line.split(",")[0] for line in csv_path.read_text().splitlines()] == ["epoch", *"123456789"]
