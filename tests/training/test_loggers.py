"""CSVLogger and LearningRateLogger."""

import csv

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
