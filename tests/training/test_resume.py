"""Resuming: what does not fit is an error before the first step, and changes nothing."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_equal
from support import archives, kept_files
from support.sweeps import SWEEP
from support.trainings import EPOCHS, StopAt, X, Y, network, train

import nnlite as nn
from nnlite.basics.generators import default_generator
from nnlite.saving.archive import read_archive, write_archive
from nnlite.saving.json_values import pack, unpack


@pytest.fixture
def path(tmp_path):
    """A checkpoint of the second epoch's first batch."""
    path = tmp_path / "c.npz"
    train(EPOCHS, nn.Checkpoint(path), StopAt(4))
    return path


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        train(1, resume=tmp_path / "c.npz")


def test_a_model_is_no_training(tmp_path):
    nn.save(nn.Tanh(), tmp_path / "m.npz")
    with pytest.raises(nn.CheckpointError, match=r"m\.npz: expected the checkpoint of a training; nnlite\.load"):
        train(1, resume=tmp_path / "m.npz")


def test_damage_is_a_checkpoint_error(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(nn.CheckpointError, match=r"c\.npz: it is damaged"):
        train(1, nn.Checkpoint(path), resume=path)


# ------------------------------------------------------------------------------------------- another training


def relu(seed=1):
    model = network(seed)
    model[1] = nn.ReLU()
    return model


def wider():
    return nn.Sequential(nn.Linear(4, 6, rng=0), nn.Tanh(), nn.Linear(6, 1, rng=0), nn.Sigmoid())


def two(model):
    return [nn.SGD(model[0], lr=nn.ExponentialLR(0.3, gamma=0.9), momentum=0.9), nn.SGD(model[2], lr=0.1)]


class Counter(nn.Callback):
    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


SCHEDULE = "ExponentialLR(lr=0.3, gamma={})"


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({"model": relu}, ["layer 1: Tanh in the file, ReLU here"]),
        (
            {"model": wider},
            [
                "layer 0: out_features: 5 in the file, 6 here",
                "layer 2: in_features: 5 in the file, 6 here",
            ],
        ),
        ({"loss": lambda: nn.BCELoss(reduction="sum")}, ["loss: reduction: 'mean' in the file, 'sum' here"]),
        ({"loss": nn.MSELoss}, ["loss: BCELoss in the file, MSELoss here"]),
        (
            {"optimizer": lambda: lambda model: nn.SGD(model, lr=0.3, momentum=0.8)},
            [
                f"optimizer: lr: {SCHEDULE.format(0.9)} in the file, 0.3 here",
                "optimizer: momentum: 0.9 in the file, 0.8 here",
            ],
        ),
        (
            {"optimizer": lambda: lambda model: nn.SGD(model, lr=nn.ExponentialLR(0.3, gamma=0.8), momentum=0.9)},
            [f"optimizer: lr: {SCHEDULE.format(0.9)} in the file, {SCHEDULE.format(0.8)} here"],
        ),
        (
            {"optimizer": lambda: two},
            [
                "optimizer: SGD of model in the file, SGD of layer 0 here",
                "optimizer 2: nothing in the file, SGD of layer 2 here",
            ],
        ),
        ({"metrics": lambda: [nn.f1]}, ["metrics: binary_accuracy in the file, f1 here"]),
        ({"metrics": list}, ["metrics: binary_accuracy in the file, nothing here"]),
        ({"callbacks": lambda: [nn.Checkpoint("x.npz")]}, ["callbacks: EarlyStopping in the file, nothing here"]),
        (
            {"callbacks": lambda: [nn.EarlyStopping(restore_best_weights=False), Counter()]},
            ["callbacks: EarlyStopping in the file, Counter, EarlyStopping here"],
        ),
        (
            {"validation_split": lambda: 0.5},
            [
                "training rows: 40 of a split in the file, 25 of a split here",
                "validation rows: 10 of a split in the file, 25 of a split here",
                "batches in an epoch: 3 in the file, 2 here",
            ],
        ),
        (
            {"validation_split": lambda: 0.0, "validation_data": lambda: (X[:10], Y[:10])},
            [
                "training rows: 40 of a split in the file, 50 here",
                "validation rows: 10 of a split in the file, 10 here",
                "batches in an epoch: 3 in the file, 4 here",
            ],
        ),
        ({"batch_size": lambda: 15}, ["batch_size: 16 in the file, 15 here"]),
        ({"shuffle": lambda: False}, ["shuffle: True in the file, False here"]),
        ({"accumulate_steps": lambda: 2}, ["accumulate_steps: 1 in the file, 2 here"]),
        ({"clip_norm": lambda: 1.0}, ["clip_norm: None in the file, 1.0 here"]),
        ({"clip_value": lambda: 1.0}, ["clip_value: None in the file, 1.0 here"]),
        (
            {"class_weight": lambda: {0: 2.0}},
            [
                "loss: BCELoss in the file, WeightedLoss here",
                "loss loss: nothing in the file, BCELoss here",
            ],
        ),
        (
            {"sample_weight": lambda: np.ones(50)},
            [
                "loss: BCELoss in the file, WeightedLoss here",
                "row weights: False in the file, True here",
                "loss loss: nothing in the file, BCELoss here",
            ],
        ),
        (
            {"model": relu, "metrics": list, "batch_size": lambda: 8},
            [
                "layer 1: Tanh in the file, ReLU here",
                "metrics: binary_accuracy in the file, nothing here",
                "batches in an epoch: 3 in the file, 5 here",
                "batch_size: 16 in the file, 8 here",
            ],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_other_settings_are_listed_all_at_once_and_nothing_is_changed(path, change, lines):
    options = {name: make() for name, make in change.items()}
    model = options.pop("model", None) or network(2)
    Phi, stopping = model.Phi.copy(), nn.EarlyStopping(patience=50, restore_best_weights=False)
    before = copy.deepcopy(stopping.state_dict())
    with pytest.raises(nn.CheckpointError) as caught:
        train(1, model=model, **{"callbacks": [stopping]} | options, resume=path)
    assert str(caught.value).splitlines() == [
        f"{path}: the settings of this training differ from those in the file, nothing was changed:",
        *("  " + line for line in lines),
        "use the same ones; or to train on with others, begin a new training of nnlite.load(path)",
    ]
    assert_equal(model.Phi, Phi)
    assert stopping.state_dict() == before


def test_options_of_a_layer_and_wires_of_a_graph_are_settings(tmp_path):
    class Power(nn.Layer):
        def __init__(self, exponent, table):
            self.exponent, self.table = exponent, table

        def forward(self, X):
            self.X = self.check_X(X)
            return self.record_Y(self.X**self.exponent)

        def backward(self, dY):
            return self.check_dY(dY) * self.exponent * self.X ** (self.exponent - 1)

    def run(exponent=2, table=(1, 2), turned=False, **options):
        x = nn.Input("x")
        h = nn.Linear(4, 1, rng=0)(x)
        ends = (Power(exponent, np.array(table))(h), h)
        model = nn.Graph(x, nn.Subtract()(*ends[:: -1 if turned else 1]))
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0, rng=0, **options)

    path = tmp_path / "c.npz"
    with pytest.warns(UserWarning, match="the class Power is unregistered"):
        run(callbacks=[nn.Checkpoint(path)])
    run(resume=path)
    with pytest.raises(nn.CheckpointError, match="layer 1: exponent: 2 in the file, 3 here"):
        run(exponent=3, resume=path)
    with pytest.raises(nn.CheckpointError, match=r"layer 1: table: \[1, 2\] in the file, \[1, 3\] here"):
        run(table=(1, 3), resume=path)
    with pytest.raises(nn.CheckpointError, match=r"model: takes: \[.* in the file, \[.* here"):
        run(turned=True, resume=path)


@pytest.mark.parametrize("make", [nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d], ids=lambda make: make.__name__)
def test_trained_weights_are_no_setting_where_a_layer_is_saved_by_them(make, tmp_path):
    def run(model, **options):
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), verbose=0, rng=0, **options)

    path = tmp_path / "c.npz"
    trained, new = (nn.Sequential(make(4), nn.Linear(4, 1, rng=0)) for _ in range(2))
    run(trained, callbacks=[nn.Checkpoint(path)])
    run(trained, resume=path)
    run(new, resume=path)
    assert_equal(trained.Phi, new.Phi)


def test_long_arrays_among_the_options_are_compared_too(tmp_path):
    def run(last, **options):
        loss = nn.BCEWithLogitsLoss(weight=[*range(1, 50), last])
        model = nn.Linear(4, 50, rng=0)
        nn.fit(model, X, np.repeat(Y, 50, axis=1), loss=loss, optimizer=nn.SGD(model, lr=0.1), verbose=0, **options)

    run(50, callbacks=[nn.Checkpoint(tmp_path / "c.npz")])
    run(50, resume=tmp_path / "c.npz")
    with pytest.raises(nn.CheckpointError, match=r"loss: weight: array of shape \(50,\), CRC \w{8} in the file"):
        run(51, resume=tmp_path / "c.npz")


def test_what_may_differ(path, tmp_path, capsys):
    """epochs, verbose, on_nan, the seed, initial weights, checkpoints, stateless callbacks and the patience."""
    rest = 3 - nn.Checkpoint(path).epochs_done
    seen = []
    callbacks = [
        nn.Checkpoint(tmp_path / "first.npz", every=2),
        nn.Checkpoint(tmp_path / "second.npz", unit="batch"),
        nn.EarlyStopping(patience=40, restore_best_weights=False),
        seen.append,
    ]
    found = train(rest, callbacks=callbacks, seed=9, verbose=1, on_nan="stop", resume=path)
    assert found == train(3, StopAt(0))
    assert len(seen) == 2


def test_a_learning_rate_that_a_callback_has_lowered_is_no_other_setting(tmp_path):
    path = tmp_path / "c.npz"

    def run(epochs, **options):
        model = network()
        optimizer = nn.SGD(model, lr=0.1)
        nn.fit(model, X, Y, loss=nn.BCELoss(), optimizer=optimizer, epochs=epochs, verbose=0, rng=0,
               callbacks=[Halve(), nn.Checkpoint(path)], **options)  # fmt: skip
        return model.Phi.tobytes(), optimizer.lr

    class Halve(nn.Callback):
        def on_train_begin(self, state):
            state.optimizers[0].lr = state.optimizers[0].lr * 0.5 if state.epoch == 0 else state.optimizers[0].lr

        def on_epoch_end(self, state):
            state.optimizers[0].lr *= 0.5

    whole = run(4)
    assert whole[1] == 0.1 / 2**5
    run(2)
    run(1, resume=path)
    assert run(1, resume=path) == whole


def test_a_file_of_version_1_is_compared_by_what_it_holds(tmp_path):
    old = kept_files.FOLDER / "training-1.npz"
    with pytest.raises(nn.CheckpointError, match="batches in an epoch: 2 in the file, 1 here"):
        kept_files.train(tmp_path / "c.npz", resume=old, batch_size=4)
    with pytest.raises(nn.CheckpointError, match="callbacks: EarlyStopping in the file, Counter, EarlyStopping here"):
        kept_files.train(tmp_path / "c.npz", Counter(), resume=old)


# ------------------------------------------------------------------------------------------- nothing is changed


class Broken(nn.Callback):
    """Cannot be put into its old state, and notices only when half of it is done."""

    def __init__(self):
        self.count, self.list, self.array = 0, [], np.zeros(2)

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = 1000
        self.list.append(1)
        self.array += 1
        raise KeyError("what is missing")


def test_a_resume_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "c.npz"

    def parts():
        model = network()
        optimizer = nn.SGD(model, lr=0.1, momentum=0.9)
        plateau = nn.ReduceLROnPlateau(optimizer, monitor="loss", patience=0)
        callbacks = [nn.EarlyStopping(), plateau, Broken(), nn.Checkpoint(path)]
        return model, optimizer, callbacks, np.random.default_rng(3)

    def run(model, optimizer, callbacks, rng, **options):
        nn.fit(model, X, Y, loss=nn.BCELoss(), optimizer=optimizer, epochs=3, validation_split=0.2, rng=rng,
               callbacks=callbacks, verbose=0, **options)  # fmt: skip

    run(*parts())
    model, optimizer, callbacks, rng = parts()
    nn.manual_seed(5)
    default = default_generator().bit_generator.state
    before = [{name: copy.copy(value) for name, value in vars(each).items()} for each in callbacks]
    objects = [dict(vars(each)) for each in callbacks]
    Phi, state, drawn = model.Phi.copy(), optimizer.state_dict(), np.random.default_rng(3)
    with pytest.raises(nn.CheckpointError, match=r"c\.npz: its state does not fit this training, nothing was"):
        run(model, optimizer, callbacks, rng, resume=path)
    assert_equal(model.Phi, Phi)
    assert optimizer.state_dict() == state
    for each, was, same in zip(callbacks, before, objects, strict=True):
        assert vars(each).keys() == was.keys()
        for name, value in vars(each).items():
            if isinstance(value, list | dict | np.ndarray):
                assert_equal(value, was[name])
            else:
                assert value is same[name], name
    assert rng.bit_generator.state == drawn.bit_generator.state
    assert default_generator().bit_generator.state == default


def test_callbacks_that_are_ready_only_when_training_begins_can_be_resumed(tmp_path):
    class Late(nn.Callback):
        def on_train_begin(self, state):
            self.seen = getattr(self, "seen", 0)

        def on_batch_end(self, state):
            self.seen += 1

        def state_dict(self):
            return {"seen": self.seen}

        def load_state_dict(self, state):
            self.seen = state["seen"]

    path = tmp_path / "c.npz"
    train(1, nn.Checkpoint(path), Late())
    late = Late()
    train(1, nn.Checkpoint(path), late, resume=path)
    assert late.seen == 6


# ------------------------------------------------------------------------------------------- made by hand

TOP = ("settings", "epoch", "batch", "model", "loss", "optimizers", "callbacks", "generators", "rows", "order", "means",
       "update", "extra", "history")  # fmt: skip
VALUES = (None, True, 3, -1, 2**70, 1e300, "x", [], [1], {}, {"a": 2})
VALUES += (np.zeros(3), np.full(40, 10**6), np.zeros((2, 2)))


def rewritten(path, content):
    """The checkpoint with other content."""
    arrays = {}
    manifest = {"kind": "checkpoint", "model": None, "training": pack(content, arrays, "training")}
    write_archive(path, manifest, arrays)


def content_of(path):
    manifest, arrays = read_archive(path)
    content = unpack(manifest["training"], arrays)
    return content | {"model": {name: arrays[name] for name in manifest["model"]["parameters"]}}


def resumes(path):
    """Whether training goes on; if not, the error is the right one."""
    try:
        train(2, StopAt(0), resume=path)
    except nn.CheckpointError:
        return False
    return True


@pytest.mark.parametrize("name", TOP)
def test_wrong_values_in_a_checkpoint_are_a_checkpoint_error(path, name):
    content = content_of(path)
    assert set(content) == set(TOP)
    for value in VALUES:
        rewritten(path, content | {name: value})
        if resumes(path):
            assert name in ("batch", "epoch", "order", "means", "extra", "loss", "history"), value
    rewritten(path, {key: value for key, value in content.items() if key != name})
    assert not resumes(path)


@pytest.mark.parametrize("name", ["optimizers", "callbacks", "generators", "rows", "means", "update", "history"])
def test_wrong_values_deep_in_a_checkpoint_are_a_checkpoint_error(path, name):
    content = content_of(path)
    for number, place in enumerate(archives.places(content[name])):
        values = VALUES if SWEEP > 1 else VALUES[number % 5 :: 5]  # each place with a fifth of them
        for value in values if place else ():
            changed = copy.deepcopy(content)
            holder = changed[name]
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = value
            rewritten(path, changed)
            resumes(path)
