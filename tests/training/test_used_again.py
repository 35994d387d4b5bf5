"""Callback objects used in a second training begin afresh, whatever the first one saw and however it ended."""

import inspect
import itertools
import os
import pathlib
import signal
from contextlib import nullcontext

import numpy as np
import pytest
from support.sweeps import every

import nnlite as nn

X = np.random.default_rng(0).normal(size=(40, 3))
Y = X @ [[1.0], [-2.0], [0.5]] + 0.1 * np.random.default_rng(1).normal(size=(40, 1))
MAKERS = {
    "EarlyStopping": lambda optimizer: nn.EarlyStopping(patience=2),
    "EarlyStopping of the loss": lambda optimizer: nn.EarlyStopping("loss", patience=2, min_delta=0.05, baseline=0.5),
    "ReduceLROnPlateau": lambda optimizer: nn.ReduceLROnPlateau(optimizer, patience=0, cooldown=1, threshold=0.3),
    "Checkpoint": lambda optimizer: nn.Checkpoint("c.npz", every=2),
    "Checkpoint of batches": lambda optimizer: nn.Checkpoint("c.npz", every=4, unit="batch"),
    "Checkpoint of the best": lambda optimizer: nn.Checkpoint("c.npz", best_only=True),
    "CSVLogger": lambda optimizer: nn.CSVLogger("log.csv"),
    "CSVLogger that appends": lambda optimizer: nn.CSVLogger("log.csv", append=True),
    "LearningRateLogger": lambda optimizer: nn.LearningRateLogger(),
    "Diagnostics": lambda optimizer: nn.Diagnostics(),
    "WeightAverage": lambda optimizer: nn.WeightAverage(0.9, every=3, use_buffers=True),
    "WeightAverage of epochs": lambda optimizer: nn.WeightAverage(start_from_epoch=1, every=2),
}


class At(nn.Callback):
    """Calls a function in the middle of the second epoch, or at the begin or the end of training."""

    def __init__(self, action, event="on_batch_end"):
        def act(state):
            if event.startswith("on_train") or (state.epoch, state.batch) == (2, 3):
                return action(state)
            return None

        setattr(self, event, act)


def fail(state):
    raise RuntimeError("failed")


def interrupt(state):
    os.kill(os.getpid(), signal.SIGINT)


def diverge(state):
    state.model.dPhi[0] = np.nan


ENDINGS = {
    "finished": ([], None),
    "failed": ([At(fail)], RuntimeError),
    "failed while saving": ([At(fail, "on_save")], RuntimeError),
    "failed before the first step": ([At(fail, "on_train_begin")], RuntimeError),
    "failed at the end": ([At(fail, "on_train_end")], RuntimeError),
    "interrupted": ([At(interrupt)], KeyboardInterrupt),
    "diverged": ([At(diverge, "on_backward_end")], nn.DivergenceError),
}


def network():
    rng = np.random.default_rng(3)
    model = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1, rng=rng))
    return model, nn.SGD(model, lr=0.05, momentum=0.5)


def fit(model, optimizer, callbacks, Y=Y, epochs=7, **options):
    return nn.fit(
        model,
        X,
        Y,
        loss=nn.MSELoss(),
        optimizer=optimizer,
        epochs=epochs,
        batch_size=8,
        validation_split=0.2,
        callbacks=callbacks,
        rng=0,
        **options,
    )


def plain(callback):
    """The attributes of a callback, without the optimizer and what watches a value."""
    return {name: value for name, value in vars(callback).items() if name not in ("optimizer", "watched")}


def outcome(callback, model, optimizer, capsys, before=(), **options):
    """All that a training leaves: parameters, optimizer, history, callback, files, text."""
    capsys.readouterr()
    history = fit(model, optimizer, [*before, callback], **options)
    return {
        "Phi": model.Phi.tobytes(),
        "optimizer": optimizer.state_dict(),
        "history": history.to_dict(),
        "remark": history.remark,
        "callback": plain(callback),
        "files": {path.name: path.read_bytes() for path in sorted(pathlib.Path().iterdir())},
        "text": capsys.readouterr().err,
    }


def put_back(model, optimizer, before):
    model.load_state_dict(before[0])
    optimizer.load_state_dict(before[1])


def test_all_callbacks_are_here():
    public = {name: getattr(nn, name) for name in nn.__all__ if inspect.isclass(getattr(nn, name))}
    callbacks = {name for name, cls in public.items() if any(event.startswith("on_") for event in dir(cls))}
    assert {name.split()[0] for name in MAKERS} == callbacks - {
        "Callback",
        "DataParallel",
    }  # which holds nothing of a training


@pytest.mark.parametrize(("name", "ending"), every(3, itertools.product(MAKERS, ENDINGS)))
def test_a_second_training_is_that_of_a_new_object(name, ending, tmp_path, monkeypatch, capsys):
    results = []
    for used in False, True:
        folder = tmp_path / str(used)
        folder.mkdir()
        monkeypatch.chdir(folder)
        model, optimizer = network()
        callback, before = MAKERS[name](optimizer), (model.state_dict(), optimizer.state_dict())
        if used:  # on easier targets, so that the best values of the first training are better
            others, error = ENDINGS[ending]
            with pytest.raises(error) if error else nullcontext():
                fit(model, optimizer, [callback, *others], Y=0.01 * Y)
            put_back(model, optimizer, before)
            if "appends" in name:  # to what is there, as it is meant to
                pathlib.Path("log.csv").unlink(missing_ok=True)
        results.append(outcome(callback, model, optimizer, capsys))
    np.testing.assert_equal(results[1], results[0])


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"ReduceLROnPlateau"}))
def test_a_second_training_may_be_that_of_another_model(name, tmp_path, monkeypatch, capsys):
    results = []
    for used in False, True:
        folder = tmp_path / str(used)
        folder.mkdir()
        monkeypatch.chdir(folder)
        callback = MAKERS[name](None)
        if used:
            other = nn.Sequential(nn.Linear(3, 1, rng=0), nn.Tanh())
            fit(other, nn.SGD(other, lr=0.1), [callback])
            pathlib.Path("log.csv").unlink(missing_ok=True)
        results.append(outcome(callback, *network(), capsys))
    np.testing.assert_equal(results[1], results[0])


@pytest.mark.parametrize(
    ("name", "is_new"), [*((name, False) for name in MAKERS), *((name, True) for name in MAKERS if "Check" in name)]
)
def test_a_resumed_training_is_that_of_a_new_object(name, is_new, tmp_path, monkeypatch, capsys):
    """Also of a checkpoint that was not yet there when the file was written."""
    results = []
    for used in False, True:
        folder = tmp_path / str(used)
        folder.mkdir()
        monkeypatch.chdir(folder)
        model, optimizer = network()
        callback, before = MAKERS[name](optimizer), (model.state_dict(), optimizer.state_dict())
        checkpoint = nn.Checkpoint(tmp_path / "first.npz")
        in_the_file = [checkpoint] if is_new else [checkpoint, MAKERS[name](optimizer)]
        fit(model, optimizer, [*in_the_file, At(lambda state: True)])
        put_back(model, optimizer, before)
        for path in folder.iterdir():
            path.unlink()
        if used:
            with pytest.raises(RuntimeError):
                fit(model, optimizer, [callback, At(fail)], Y=0.01 * Y)
            put_back(model, optimizer, before)
            for path in folder.iterdir():
                path.unlink()
        others = [nn.Checkpoint(tmp_path / "other.npz")]
        results.append(outcome(callback, model, optimizer, capsys, others, resume=checkpoint.path, epochs=6))
    np.testing.assert_equal(results[1], results[0])
