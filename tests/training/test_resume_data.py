"""Resuming on other data or with other options of callbacks is an error that says what differs."""

import zlib

import numpy as np
import pytest
import scipy.sparse

import nnlite as nn
from nnlite.training.fingerprint import fingerprint
from nnlite.training.rows import Rows

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 3))
Y = X[:, :1] * 2
CLASSES = np.arange(50) % 2


def other(array, row):
    """The array with another value in a row."""
    array = array.copy()
    array[row] += 1
    return array


def train(X=X, Y=Y, model=None, **options):
    model = model or nn.Linear(3, 1, rng=0)
    options = {"loss": nn.MSELoss(), "verbose": 0, "rng": 0} | options
    nn.fit(model, X, Y, optimizer=nn.SGD(model, lr=0.1), **options)
    return model.Phi.tolist()


def differences(path, before, after):
    """The lines of the error when a training with some arguments is resumed with others."""
    train(**before | {"callbacks": [*before.get("callbacks", ()), nn.Checkpoint(path)]})
    train(**before | {"resume": path})  # with the same ones it goes on
    with pytest.raises(nn.CheckpointError) as caught:
        train(**before | after | {"resume": path})
    return [line.strip().split(" in the file, ")[0] for line in str(caught.value).splitlines()[1:-1]]


def crc(array):
    return f"{zlib.crc32(np.asarray(array).astype('<f8').tobytes()):08x}"


VALIDATION = {"validation_data": (X, Y)}
SPLIT = {"validation_split": 0.2}


@pytest.mark.parametrize(
    ("before", "after", "name", "values"),
    [
        ({}, {"X": other(X, 17)}, "X", X),
        ({}, {"Y": other(Y, 17)}, "Y", Y),
        ({}, {"X": X[::-1], "Y": Y[::-1]}, "X", X),
        (SPLIT, {"Y": other(Y, 3)}, "Y", Y),
        (VALIDATION, {"validation_data": (other(X, 49), Y)}, "validation X", X),
        (VALIDATION, {"validation_data": (X, other(Y, 0))}, "validation Y", Y),
        ({"sample_weight": CLASSES}, {"sample_weight": 1 - CLASSES}, "sample_weight", CLASSES),
        ({"X": scipy.sparse.csr_array(X)}, {"X": scipy.sparse.csr_array(other(X, 17))}, "X", X),
    ],
)  # fmt: skip
def test_other_values_of_as_many_rows_are_an_error(tmp_path, before, after, name, values):
    lines = differences(tmp_path / "c.npz", before, after)
    assert lines[0] == f"values of {name}: shape {values.shape}, CRC {crc(values)}"
    assert len(lines) == (2 if {"X", "Y"} <= after.keys() else 1)


def test_each_input_and_output_is_compared(tmp_path):
    a, b = nn.Input("a"), nn.Input("b")
    inputs = {"a": X, "b": X}

    def graph():
        return nn.Graph({"a": a, "b": b}, nn.Linear(3, 1, rng=0)(a + b))

    train(inputs, model=graph(), callbacks=[nn.Checkpoint(tmp_path / "c.npz")])
    train(inputs, model=graph(), resume=tmp_path / "c.npz")
    with pytest.raises(nn.CheckpointError, match=r"values of X\['b'\]: shape \(50, 3\), CRC \w{8} in the file, shape"):
        train({"a": X, "b": other(X, 1)}, model=graph(), resume=tmp_path / "c.npz")


def test_other_class_weights_are_an_error(tmp_path):
    options = {"Y": CLASSES[:, None], "loss": nn.BCEWithLogitsLoss()}
    before, after = options | {"class_weight": {1: 2.0}}, {"class_weight": {1: 3.0}}
    assert differences(tmp_path / "c.npz", before, after) == ["loss: class_weight: {1: 2.0}"]


def test_the_same_values_in_another_form_are_the_same_rows(tmp_path):
    small = rng.integers(0, 3, (50, 3))
    train(small, callbacks=[nn.Checkpoint(tmp_path / "c.npz")])
    for same in (small.tolist(), small.astype(np.float32), np.asfortranarray(small, ">f8"), small.astype(np.int8)):
        train(same, Y.tolist(), resume=tmp_path / "c.npz")
    train(scipy.sparse.csc_array(small), resume=tmp_path / "c.npz")


class ArrayLike:
    """As h5py's datasets: row numbers must ascend. Counts the rows that are read."""

    def __init__(self, rows):
        self.rows, self.shape, self.dtype, self.read = rows, rows.shape, rows.dtype, 0

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, numbers):
        found = self.rows[numbers]
        self.read += len(found)
        assert isinstance(numbers, slice) or (np.diff(numbers) > 0).all()
        return found


@pytest.mark.parametrize(
    ("shape", "rows"), [((16_384,), 16_384), ((16_385,), 64), ((10**6, 100), 64), ((500, 1000), 16), ((9, 100_000), 2)]
)
def test_a_sample_of_many_rows_is_read_from_the_first_to_the_last(shape, rows):
    one_row = np.zeros(shape[1:])
    source = ArrayLike(np.broadcast_to(one_row, shape))
    before = fingerprint(Rows(source))["X"]
    assert source.read == rows
    assert before.startswith(f"shape {shape}, CRC ")
    assert before.endswith(f" of {rows} rows") == (rows < shape[0])
    if shape[0] < 10**5:
        for place in 0, -1:
            values = np.zeros(shape)
            values[place] = 1
            assert fingerprint(Rows(values))["X"] != before
        assert fingerprint(Rows(np.zeros(shape)))["X"] == before


class Samples:
    """A dataset that draws: each sample that is read before training would change it."""

    def __init__(self):
        self.rng, self.read = np.random.default_rng(0), 0

    def __len__(self):
        return 50

    def __getitem__(self, number):
        self.read += 1
        return X[number] + self.rng.normal(size=3), Y[number]


def test_samples_and_streams_are_not_read_before_training_and_not_compared(tmp_path):
    data = Samples()
    seen = []

    class Begin(nn.Callback):
        def on_epoch_begin(self, state):
            seen.append((data.read, [name for name in state.settings if name.startswith("values")]))

    train(data, None, callbacks=[Begin(), nn.Checkpoint(tmp_path / "c.npz")])
    assert seen == [(0, [])]
    train(Samples(), None, resume=tmp_path / "c.npz")
    train(resume=tmp_path / "c.npz")
    train([(X, Y)], None, callbacks=[nn.Checkpoint(tmp_path / "d.npz")])
    train([(other(X, 1), Y)], None, resume=tmp_path / "d.npz")


# ------------------------------------------------------------------------------------------- options of callbacks


class Decay(nn.Callback):
    """A callback of one's own with a state, and an option that may differ."""

    may_differ = ("shown",)

    def __init__(self, rate=0.5, shown=True, count=0):
        self.rate, self.shown, self.count = rate, shown, count

    def on_epoch_end(self, state):
        self.count += 1

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def stopping(**options):
    return nn.EarlyStopping(**{"monitor": "loss", "patience": 5} | options)


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (stopping(), stopping(monitor="r2", mode="min"), "EarlyStopping: monitor: 'loss'"),
        (stopping(), stopping(mode="max"), "EarlyStopping: mode: 'min'"),
        (stopping(), stopping(min_delta=0.25), "EarlyStopping: min_delta: 0.0"),
        (stopping(), stopping(baseline=1), "EarlyStopping: baseline: None"),
        (stopping(), stopping(start_from_epoch=2), "EarlyStopping: start_from_epoch: 0"),
        (stopping(restore_best_weights=False), stopping(), "EarlyStopping: restore_best_weights: False"),
        (Decay(0.5), Decay(0.25), "Decay: rate: 0.5"),
    ],
)
def test_another_option_of_a_callback_is_an_error(tmp_path, before, after, line):
    assert differences(tmp_path / "c.npz", {"callbacks": [before]}, {"callbacks": [after]}) == [line]


def test_options_of_a_schedule_by_plateau_are_compared(tmp_path):
    def run(factor, **options):
        model = nn.Linear(3, 1, rng=0)
        optimizer = nn.SGD(model, lr=0.1)
        plateau = nn.ReduceLROnPlateau(optimizer, monitor="loss", factor=factor)
        nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=optimizer, verbose=0, rng=0,
               callbacks=[plateau, nn.Checkpoint(tmp_path / "c.npz")], **options)  # fmt: skip

    run(0.5)
    run(0.5, resume=tmp_path / "c.npz")
    with pytest.raises(nn.CheckpointError, match=r"\n  ReduceLROnPlateau: factor: 0.5 in the file, 0.25 here\n"):
        run(0.25, resume=tmp_path / "c.npz")


def test_options_of_callbacks_that_may_differ(tmp_path):
    """The patience, what may_differ names, and what is state: the same object may be passed again."""
    decay = Decay(shown=True)
    train(callbacks=[stopping(), decay, nn.Diagnostics(X), nn.Checkpoint(tmp_path / "c.npz", every=2)])
    assert decay.count == 1
    decay.shown = False
    callbacks = [stopping(patience=50), decay, nn.Diagnostics(X[:9]), nn.Checkpoint(tmp_path / "d.npz")]
    train(callbacks=callbacks, resume=tmp_path / "c.npz")
    assert decay.count == 2


def test_a_callback_whose_name_begins_as_a_checkpoint_is_no_checkpoint(tmp_path):
    class CheckpointCounter(Decay):
        pass

    train(callbacks=[nn.Checkpoint(tmp_path / "c.npz")])
    with pytest.raises(nn.CheckpointError, match="callbacks: nothing in the file, CheckpointCounter here"):
        train(callbacks=[CheckpointCounter()], resume=tmp_path / "c.npz")
