"""CSVLogger and LearningRateLogger."""

import csv
import subprocess
import sys

import pytest
from numpy.testing import assert_array_equal
from support.linear_regression import X, Y, train

import nnlite as nn


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


# ------------------------------------------------------------------------------------------- logs are data


def rows_of(path, separator=","):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=separator))


def test_names_with_commas_quotes_and_line_ends_stay_one_column(tmp_path):
    """As RFC 4180 quotes them."""

    def odd(Y_pred, Y):
        return 1.0

    for name in "a,b", 'say "a"', "a\nb", "Größe":
        odd.__name__ = name
        train([nn.CSVLogger(tmp_path / "a.csv")], metrics=[odd])
        rows = rows_of(tmp_path / "a.csv")
        assert [len(row) for row in rows] == [3] * 4
        assert rows[0] == ["epoch", "loss", name]
        assert [row[2] for row in rows[1:]] == ["1.0"] * 3


def test_a_training_that_fails_before_its_first_epoch_is_done_leaves_the_log_of_the_last_one(tmp_path):
    path = tmp_path / "a.csv"
    train([nn.CSVLogger(path)])
    before = path.read_bytes()

    class Fails(nn.Callback):
        def on_train_begin(self, state):
            raise RuntimeError

    class FailsLater(nn.Callback):
        def on_batch_end(self, state):
            raise RuntimeError

    for wrong in Fails(), FailsLater():
        with pytest.raises(RuntimeError):
            train([nn.CSVLogger(path), wrong])
        with pytest.raises(RuntimeError):
            train([wrong, nn.CSVLogger(path)])
    with pytest.raises(TypeError):
        train([nn.CSVLogger(path), 3])
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]


def test_what_callbacks_add_at_the_end_of_the_first_epoch_is_in_the_log_whatever_their_order(tmp_path):
    class Norm(nn.Callback):
        def on_epoch_end(self, state):
            state.extra["norm"] = 2.0 * state.epoch

    for number, callbacks in enumerate(([Norm()], [])):
        path = tmp_path / f"{number}.csv"
        _, history = train([*callbacks, nn.CSVLogger(path), *([] if callbacks else [Norm()])])
        assert history["norm"] == [2.0, 4.0, 6.0]
        assert [row[2] for row in rows_of(path)] == ["norm", "2.0", "4.0", "6.0"]


def test_a_value_that_begins_later_is_a_new_column(tmp_path):
    class Late(nn.Callback):
        def on_epoch_end(self, state):
            if state.epoch == 2:
                state.extra["late"] = 7.0

    _, history = train([nn.CSVLogger(tmp_path / "a.csv"), Late()])
    assert str(history["late"]) == "[nan, 7.0, 7.0]"
    assert [row[2] for row in rows_of(tmp_path / "a.csv")] == ["late", "", "7.0", "7.0"]


def test_appending_keeps_what_is_there_also_with_other_columns_and_a_cut_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("epoch,loss,größe\n1,0.5,3\n2,0.2".encode())  # the last line was cut by a full disk
    train([nn.CSVLogger(path, append=True)], epochs=1, metrics=[nn.r2])
    rows = rows_of(path)
    assert rows[:3] == [["epoch", "loss", "größe", "r2"], ["1", "0.5", "3", ""], ["2", "0.2", "", ""]]
    assert rows[3][0] == "1"
    assert rows[3][2] == ""
    path.write_bytes(b"epoch,gr\xf6\xdfe\n1,3\n")  # in another encoding
    train([nn.CSVLogger(path, append=True)], epochs=2)
    assert path.read_bytes().startswith(b"epoch,gr\xf6\xdfe,loss\n1,3,\n1,,")


def test_appending_to_a_file_that_a_spreadsheet_saved_keeps_its_columns(tmp_path):
    """As of pandas#4793: it begins with a byte order mark, which is no part of the first column's name."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfepoch,loss\r\n1,0.5\r\n")
    train([nn.CSVLogger(path, append=True)], epochs=2)
    assert [row[:1] for row in rows_of(path)] == [["epoch"], ["1"], ["1"], ["2"]]
    assert rows_of(path)[:2] == [["epoch", "loss"], ["1", "0.5"]]


def test_appending_to_an_empty_file_or_none_writes_the_names_once(tmp_path):
    """As of ray#15106, rows without names, and fastai#2443, names again in the middle."""
    path = tmp_path / "a.csv"
    for begun in True, False:
        if begun:
            path.touch()  # of a training that was ended before its first epoch was done
        else:
            path.unlink()
        for _ in range(2):
            train([nn.CSVLogger(path, append=True)], epochs=2)
        assert [row[0] for row in rows_of(path)] == ["epoch", "1", "2", "1", "2"]


def test_a_resumed_training_repairs_its_log(tmp_path):
    """Whatever was lost or cut of it: the checkpoint has the rows of the epochs that are done."""
    log, path = tmp_path / "a.csv", tmp_path / "c.npz"
    callbacks = [nn.CSVLogger(log), nn.Checkpoint(path)]
    train(callbacks, epochs=5)
    whole = log.read_bytes()
    train(callbacks, epochs=3)
    for damaged in whole, whole[:-60], b"", b"epoch,loss\n1,0.", None:
        log.unlink(missing_ok=True)
        if damaged is not None:
            log.write_bytes(damaged)
        train([nn.CSVLogger(log)], epochs=2, resume=path)
        assert log.read_bytes() == whole


@pytest.mark.parametrize("separator", [", ", "", None, 3])
def test_a_separator_is_one_character(separator):
    with pytest.raises(TypeError, match="CSVLogger: separator: expected one character, got"):
        nn.CSVLogger("a.csv", separator=separator)


FULL_DISK = """
import os, resource, signal, sys
import nnlite as nn

class Full(nn.Callback):
    def on_epoch_begin(self, state):
        if state.epoch == 3:  # room for a part of a line
            size = os.path.getsize(path) + 5
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
model, path = nn.Linear(1, 1, rng=0), sys.argv[1]
nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), epochs=5, verbose=0,
       callbacks=[nn.CSVLogger(path), Full()])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk_leaves_whole_lines(tmp_path):
    path = tmp_path / "a.csv"
    program = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=False)
    assert "OSError: [Errno 28] No space left on device" in program.stderr
    assert path.read_bytes().endswith(b"\n")
    assert [row[0] for row in rows_of(path)] == ["epoch", "1", "2"]
