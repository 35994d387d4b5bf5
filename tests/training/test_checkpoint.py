"""Checkpoints: whatever cuts a training off, it ends in the same bytes."""

import os
import signal
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.resumed import finish, killed, start

import nnlite as nn
from nnlite.saving.archive import read_archive, write_archive
from nnlite.saving.json_values import pack, unpack
from nnlite.training.checkpoint import read

SEED = np.random.default_rng(5)
X = SEED.normal(size=(50, 4))
Y = (X[:, :1] > 0) * 1.0
EPOCHS, BATCHES = 3, 3  # 40 rows to train on, 16 a batch


class StopAt(nn.Callback):
    """Ends the training after so many batches."""

    def __init__(self, batches):
        self.batches = batches

    def on_batch_end(self, state):
        return (state.epoch - 1) * BATCHES + state.batch == self.batches


def train(epochs, *callbacks, seed=1, **options):
    """The bytes of the weights and the history of a training with all that keeps a state."""
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(4, 5, rng=rng), nn.Tanh(), nn.Linear(5, 1, rng=rng), nn.Sigmoid())
    optimizer = nn.SGD(model, lr=nn.ExponentialLR(0.3, gamma=0.9), momentum=0.9)
    stopping = nn.EarlyStopping(patience=50, restore_best_weights=False)
    options = {"batch_size": 16, "validation_split": 0.2, "metrics": [nn.binary_accuracy], "verbose": 0} | options
    history = nn.fit(model, X, Y, loss=nn.BCELoss(), optimizer=optimizer, epochs=epochs, rng=rng,
                     callbacks=[stopping, *callbacks], **options)  # fmt: skip
    return model.Phi.tobytes(), history.to_dict()


@pytest.mark.parametrize("stop", range(1, EPOCHS * BATCHES + 1))
@pytest.mark.parametrize(
    "options",
    [{}, {"accumulate_steps": 2}, {"sample_weight": SEED.random(50)}, {"class_weight": {0: 2.0}}, {"shuffle": False}],
    ids=["plain", "accumulate", "sample_weight", "class_weight", "in order"],
)
def test_stopped_after_any_batch_it_ends_in_the_same_bytes(tmp_path, stop, options):
    path = tmp_path / "c.npz"
    train(EPOCHS, nn.Checkpoint(path, unit="batch"), StopAt(stop), **options)
    rest = nn.Checkpoint(path, unit="batch")
    assert rest.epochs_done == (stop - 1) // BATCHES
    resumed = train(EPOCHS - rest.epochs_done, rest, StopAt(0), resume=path, **options)
    assert resumed == train(EPOCHS, nn.Checkpoint(path, unit="batch"), StopAt(0), **options)


@pytest.mark.parametrize("first", [1, 2, 3])
def test_n_epochs_and_m_more_are_n_plus_m(tmp_path, first):
    path = tmp_path / "c.npz"
    train(first, nn.Checkpoint(path))
    assert nn.Checkpoint(path).epochs_done == first
    assert train(5 - first, nn.Checkpoint(path), resume=str(path)) == train(5, nn.Checkpoint(path))


def test_early_stopping_counts_on_after_a_break(tmp_path):
    """A training that stops early does so after a break, too, and knows its best weights from before."""

    class Fake(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["fake"] = [3.0, 1.0, 2.0, 2.0, 2.0, 2.0][state.epoch - 1]

    def run(epochs, path, **options):
        model = nn.Sequential(nn.Linear(4, 1, rng=0))
        stopping = nn.EarlyStopping("fake", patience=3, mode="min")
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=epochs, verbose=0, rng=0,
               callbacks=[Fake(), stopping, nn.Checkpoint(path)], **options)  # fmt: skip
        return model.Phi.tobytes(), stopping.best, stopping.best_epoch

    path = tmp_path / "c.npz"
    whole = run(6, path)
    assert whole[1:] == (1.0, 2)
    run(4, path)
    assert run(2, path, resume=path) == whole


def test_every_so_many_epochs_and_the_last(tmp_path):
    path = tmp_path / "c.npz"
    assert done_before_each(path, 5, nn.Checkpoint(path, every=2)) == [0, 0, 2, 2, 4, 5]


def done_before_each(path, epochs, *callbacks):
    """How many epochs the file has behind it before each epoch, and in the end."""
    seen = []

    class Look(nn.Callback):
        def on_epoch_begin(self, state):
            seen.append(nn.Checkpoint(path).epochs_done)

    train(epochs, *callbacks, Look())
    return [*seen, nn.Checkpoint(path).epochs_done]


def test_every_so_many_batches(tmp_path):
    path, seen = tmp_path / "c.npz", []

    class Look(nn.Callback):
        def on_batch_end(self, state):
            seen.append(path.exists() and path.stat().st_mtime_ns)

    train(2, nn.Checkpoint(path, every=4, unit="batch"), Look())
    assert [bool(each) for each in seen] == [False] * 4 + [True] * 2  # it is written after all callbacks


def test_best_only_keeps_the_best_epoch(tmp_path):
    path = tmp_path / "c.npz"

    class Fake(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["fake"] = [3.0, 1.0, 2.0, 0.5, 0.7][state.epoch - 1]

    checkpoint = nn.Checkpoint(path, best_only=True, monitor="fake", mode="min")
    assert done_before_each(path, 5, Fake(), checkpoint) == [0, 1, 2, 2, 4, 4]
    path.unlink()
    assert done_before_each(path, 1, Fake(), checkpoint) == [0, 1]  # it starts anew with each training


def test_resume_goes_on_with_history_and_epoch_numbers(tmp_path, capsys):
    path = tmp_path / "c.npz"
    train(2, nn.Checkpoint(path))
    _, history = train(2, nn.Checkpoint(path), resume=path, verbose=1)
    assert len(history["loss"]) == 4
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["3/4", "4/4"]


class Noise(nn.Layer):
    """Noise, in evaluation too."""

    def __init__(self):
        self.rng = np.random.default_rng(3)

    def forward(self, X):
        return self.record_Y(X + self.rng.normal(size=X.shape) * 0.1)

    def backward(self, dY):
        return self.check_dY(dY).copy()


def test_generators_of_layers_go_on_too(tmp_path):
    def run(epochs, **options):
        model = nn.Sequential(Noise(), nn.Linear(4, 1, rng=0))
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=epochs, verbose=0, rng=0,
               callbacks=[nn.Checkpoint(tmp_path / "c.npz")], **options)  # fmt: skip
        return model.Phi.tobytes()

    whole = run(4)
    run(2)
    assert run(2, resume=tmp_path / "c.npz") == whole


def test_streams_go_on_in_the_middle(tmp_path):
    def batches():
        return ((X[start : start + 10], Y[start : start + 10]) for start in range(0, 50, 10))

    def run(epochs, *callbacks, **options):
        model = nn.Sequential(nn.Linear(4, 1, rng=0))
        optimizer = nn.SGD(model, lr=0.1, momentum=0.9)
        callbacks = [nn.Checkpoint(tmp_path / "c.npz", unit="batch"), *callbacks]
        nn.fit(model, batches, loss=nn.MSELoss(), optimizer=optimizer, epochs=epochs, verbose=0, callbacks=callbacks,
               **options)  # fmt: skip
        return model.Phi.tobytes()

    whole = run(2)
    for stop in range(1, 11):
        run(2, lambda state: None, type("Stop", (), {"on_batch_end": lambda self, state, stop=stop: (
            (state.epoch - 1) * 5 + state.batch == stop)})())  # fmt: skip
        done = nn.Checkpoint(tmp_path / "c.npz").epochs_done
        assert run(2 - done, resume=tmp_path / "c.npz") == whole


# ------------------------------------------------------------------------------------------- what does not fit


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        train(1, resume=tmp_path / "c.npz")


def test_a_model_is_no_training(tmp_path):
    nn.save(nn.Tanh(), tmp_path / "m.npz")
    with pytest.raises(nn.CheckpointError, match="expected the checkpoint of a training"):
        train(1, resume=tmp_path / "m.npz")


def test_damage_is_a_checkpoint_error_and_changes_nothing(tmp_path):
    path = tmp_path / "c.npz"
    train(1, nn.Checkpoint(path))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(nn.CheckpointError, match=r"c\.npz"):
        train(1, nn.Checkpoint(path), resume=path)


@pytest.mark.parametrize("wrong", ["model", "optimizers", "callbacks", "split", "rows"])
def test_another_training_is_an_error_and_changes_nothing(tmp_path, wrong):
    path = tmp_path / "c.npz"
    train(2, nn.Checkpoint(path, unit="batch"), StopAt(4))
    model = nn.Sequential(nn.Linear(4, 6 if wrong == "model" else 5, rng=0), nn.Tanh(), nn.Linear(
        6 if wrong == "model" else 5, 1, rng=0), nn.Sigmoid())  # fmt: skip
    Phi = model.Phi.copy()
    optimizer = [nn.SGD(model, lr=nn.ExponentialLR(0.3, gamma=0.9), momentum=0.9)]
    if wrong == "optimizers":
        optimizer = [nn.SGD(model[0], lr=0.1), nn.SGD(model[2], lr=0.1)]
    callbacks = [nn.EarlyStopping(patience=50, restore_best_weights=False), nn.Checkpoint(path)]
    rows = slice(0, 45 if wrong == "rows" else 50)
    with pytest.raises(ValueError, match=r"expected|does not fit") as caught:
        nn.fit(model, X[rows], Y[rows], loss=nn.BCELoss(), optimizer=optimizer, batch_size=16, verbose=0, rng=0,
               callbacks=callbacks[wrong == "callbacks" :], validation_split=0.0 if wrong == "split" else 0.2,
               resume=path)  # fmt: skip
    assert any("nothing was changed" in note for note in caught.value.__notes__)
    assert_array_equal(model.Phi, Phi)


@pytest.mark.parametrize("wrong", [{"every": 0}, {"unit": "hour"}, {"mode": "best"}, {"best_only": True, "every": 2}])
def test_bad_options(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        nn.Checkpoint("c.npz", **wrong)


# ------------------------------------------------------------------------------------------- real processes


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_an_interrupt_writes_a_checkpoint_and_the_rest_ends_in_the_same_bytes(tmp_path, signum, code):
    whole = finish(tmp_path / "whole.npz")
    path = tmp_path / "c.npz"
    process = start(path, 0.01)
    while not path.exists():
        time.sleep(0.01)
    process.send_signal(signum)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert (out, err) == ("", "")
    assert finish(path) == whole


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_killed_again_and_again_it_ends_in_the_same_bytes(tmp_path):
    """Three kills; ``python tests/resumed.py`` does thirty."""
    assert killed(tmp_path / "killed.npz", 3, np.random.default_rng(0)) == finish(tmp_path / "whole.npz")


# ------------------------------------------------------------------------------------------- what else is in it


def test_load_gives_the_model_of_a_checkpoint(tmp_path):
    path, model = tmp_path / "c.npz", nn.Sequential(nn.Linear(4, 1, rng=0), nn.Sigmoid())
    nn.fit(model, X, Y, loss=nn.BCELoss(), optimizer=nn.SGD(model, lr=0.1), callbacks=[nn.Checkpoint(path)], verbose=0)
    assert_array_equal(nn.predict(nn.load(path), X), nn.predict(model, X))


def test_a_model_of_ones_own_layers_is_resumed_without_being_registered(tmp_path):
    class Scale(nn.Layer, parameters=("gamma",)):
        def __init__(self):
            self.gamma = np.ones(4)

        def forward(self, X):
            self.X = self.check_X(X)
            return self.record_Y(self.X * self.gamma)

        def backward(self, dY):
            dY = self.check_dY(dY)
            self.dgamma = np.sum(dY * self.X, axis=0)
            return dY * self.gamma

    def run(epochs, **options):
        model = nn.Sequential(Scale(), nn.Linear(4, 1, rng=0))
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=epochs, verbose=0, rng=0,
               callbacks=[nn.Checkpoint(tmp_path / "c.npz")], **options)  # fmt: skip
        return model.Phi.tobytes()

    whole = run(4)
    run(3)
    assert run(1, resume=tmp_path / "c.npz") == whole
    with pytest.raises(nn.CheckpointError, match=r"its model has unregistered layers; use nnlite\.fit"):
        nn.load(tmp_path / "c.npz")


@pytest.mark.parametrize("lost", ["epoch", "model", "optimizers", "history", "rows", "generators", "callbacks"])
@pytest.mark.parametrize("value", [None, 3, "x", [1], {"a": 2}])
def test_a_file_made_by_hand_is_a_checkpoint_error_or_does_not_fit(tmp_path, lost, value):
    path = tmp_path / "c.npz"
    train(1, nn.Checkpoint(path))
    manifest, arrays = read_archive(path)
    content = unpack(manifest["training"], arrays)
    parameters = {name: arrays[name] for name in manifest["model"]["parameters"]}
    content |= {"model": parameters, lost: value}
    if lost == "epoch" and value == 3:  # which would do
        del content["epoch"]
    arrays = {}
    write_archive(path, {"kind": "checkpoint", "model": None, "training": pack(content, arrays, "training")}, arrays)
    with pytest.raises(ValueError, match=r"c\.npz|expected|does not fit"):  # a CheckpointError is one
        train(1, nn.Checkpoint(path), resume=path)


def test_metrics_over_all_rows_go_on_in_the_middle_of_an_epoch(tmp_path):
    path = tmp_path / "c.npz"
    options = {"metrics": [nn.binary_accuracy, nn.f1]}
    whole = train(2, nn.Checkpoint(path, unit="batch"), **options)
    train(2, nn.Checkpoint(path, unit="batch"), StopAt(2), **options)
    assert train(2, nn.Checkpoint(path, unit="batch"), resume=path, **options) == whole


# ------------------------------------------------------------------------------------------- beside other callbacks


def scored(epochs, path, before, after, scores, **options):
    """A training whose epochs have these scores, with callbacks before and after the checkpoint in the list."""

    class Score(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["score"] = scores[state.epoch - 1]

    model = nn.Sequential(nn.Linear(4, 1, rng=0))
    optimizer = nn.SGD(model, lr=0.1, momentum=0.5)
    made = [[make(optimizer) for make in makers] for makers in (before, after)]
    history = nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=optimizer, epochs=epochs, verbose=0, rng=0,
                     callbacks=[Score(), *made[0], nn.Checkpoint(path), *made[1]], **options)  # fmt: skip
    return model.Phi.tobytes(), history.to_dict()


def patient(optimizer):
    return nn.EarlyStopping("score", mode="min", patience=2)


def plateau(optimizer):
    return nn.ReduceLROnPlateau(optimizer, monitor="score", mode="min", patience=1)


@pytest.mark.parametrize("make", [patient, plateau])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("cut", range(1, 8))
def test_the_order_of_the_callbacks_makes_no_difference(tmp_path, make, first, cut):
    scores = [5.0, 4.0, 4.5, 3.0, 3.5, 3.6, 3.7, 3.8]
    callbacks = ([make], []) if first else ([], [make])
    whole = scored(8, tmp_path / "whole.npz", *callbacks, scores)
    scored(cut, tmp_path / "c.npz", *callbacks, scores)
    assert scored(8 - cut, tmp_path / "c.npz", *callbacks, scores, resume=tmp_path / "c.npz") == whole


def test_a_training_that_early_stopping_has_ended_is_not_taken_up_again(tmp_path):
    scores = [5.0, 4.0, 4.5, 4.6, 1.0, 1.0]
    path = tmp_path / "c.npz"
    ended = scored(6, path, [patient], [], scores)
    assert len(ended[1]["loss"]) == 4
    for _ in range(2):
        rest = 6 - nn.Checkpoint(path).epochs_done
        assert scored(rest, path, [patient], [], scores, resume=path) == ended


def test_the_best_file_survives_a_break_beside_the_last(tmp_path):
    best, last = tmp_path / "best.npz", tmp_path / "last.npz"
    scores = [0.5, 0.1, 0.3, 0.4]
    for order in (1, -1):

        def keep(optimizer):
            return nn.Checkpoint(best, best_only=True, monitor="score", mode="min")

        before, after = ([keep], [])[::order]
        scored(2, last, before, after, scores)
        scored(2, last, before, after, scores, resume=last)
        assert nn.Checkpoint(best).epochs_done == 2


@pytest.mark.parametrize(("stop", "done", "batch"), [("on_batch_end", 1, 2), ("on_epoch_end", 2, 0)])
def test_whatever_ends_training_there_is_a_checkpoint(tmp_path, stop, done, batch):
    path = tmp_path / "c.npz"
    where = {"on_batch_end": (2, 2), "on_epoch_end": (2, 0)}[stop]
    callback = type("Stop", (), {stop: lambda self, state: (state.epoch, state.batch) == where})()
    train(9, nn.Checkpoint(path, every=7), callback)
    content = read(path)
    assert (content["epoch"], content["batch"]) == (done, batch)


def test_other_batches_in_the_middle_of_an_epoch_are_an_error(tmp_path):
    path = tmp_path / "c.npz"
    train(2, nn.Checkpoint(path, unit="batch"), StopAt(2))
    with pytest.raises(ValueError, match="expected 3 batches in an epoch, as before, got 5"):
        train(2, nn.Checkpoint(path, unit="batch"), resume=path, batch_size=8)


def test_validation_is_tried_out_before_the_generators_are_taken_up(tmp_path):
    def run(epochs, **options):
        model = nn.Sequential(Noise(), nn.Linear(4, 1, rng=0))
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=epochs, verbose=0, rng=0,
               callbacks=[nn.Checkpoint(tmp_path / "c.npz")], validation_data=(X, Y), **options)  # fmt: skip
        return model.Phi.tobytes()

    whole = run(4)
    run(2)
    assert run(2, resume=tmp_path / "c.npz") == whole


def test_a_folder_in_place_of_the_file_is_an_error_before_training(tmp_path):
    with pytest.raises(IsADirectoryError):
        train(1, nn.Checkpoint(tmp_path))


def test_the_rows_keep_to_their_sides_of_the_split_also_with_another_seed(tmp_path):
    path = tmp_path / "c.npz"
    train(2, nn.Checkpoint(path), StopAt(4))
    assert train(2, nn.Checkpoint(path), StopAt(0), seed=99, resume=path) == train(3, nn.Checkpoint(path), StopAt(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"batch_size": 8}, "batches in an epoch"), ({"validation_split": 0.5}, "rows to be split as before")],
)
def test_a_training_of_other_batches_or_rows_is_not_taken_up(tmp_path, change, message):
    path = tmp_path / "c.npz"
    train(1, nn.Checkpoint(path))
    with pytest.raises(ValueError, match=message):
        train(1, nn.Checkpoint(path), resume=path, **change)


def test_a_training_of_fewer_rows_is_not_taken_up(tmp_path):
    model, path = nn.Linear(4, 1, rng=0), tmp_path / "c.npz"
    options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, 0.1), "verbose": 0, "batch_size": 64}
    nn.fit(model, X, Y, callbacks=[nn.Checkpoint(path)], **options)
    with pytest.raises(ValueError, match="expected 50 training rows, as before, got 20"):
        nn.fit(model, X[:20], Y[:20], resume=path, **options)
