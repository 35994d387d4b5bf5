"""ReduceLROnPlateau: by hand, as PyTorch, its state, its place among callbacks, and what it refuses."""

import math
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

import nnlite as nn


def sgd(lr=1.0):
    return nn.SGD(nn.Linear(1, 1), lr=lr)


def path(values, lr=1.0, **options):
    """The learning rate after each value."""
    optimizer = sgd(lr)
    plateau = nn.ReduceLROnPlateau(optimizer, **options)
    rates = []
    for value in values:
        assert plateau.step(value) is None
        rates.append(optimizer.lr)
    return rates


# --------------------------------------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("options", "values", "rates"),
    [
        # the third value in a row that is not better; the two after it are counted anew
        ({"patience": 2, "factor": 0.5}, [5, 5, 5, 5, 5, 5, 5], [1, 1, 1, 0.5, 0.5, 0.5, 0.25]),
        # a better one in between begins the count anew
        ({"patience": 1, "factor": 0.5}, [5, 5, 4, 4, 4], [1, 1, 1, 1, 0.5]),
        ({"patience": 0, "factor": 0.5}, [5, 4, 4, 6], [1, 1, 0.5, 0.25]),
        ({"patience": 0, "factor": 0.5, "mode": "max"}, [5, 6, 5, 7], [1, 1, 0.5, 0.5]),
        # better than 8 is below 8 * 0.75 = 6, or below 8 - 2
        ({"patience": 0, "factor": 0.5, "threshold": 0.25}, [8, 6], [1, 0.5]),
        ({"patience": 0, "factor": 0.5, "threshold": 0.25}, [8, 5.9], [1, 1]),
        ({"patience": 0, "factor": 0.5, "threshold": 2, "threshold_mode": "abs"}, [8, 6], [1, 0.5]),
        ({"patience": 0, "factor": 0.5, "threshold": 2, "threshold_mode": "abs"}, [8, 5.9], [1, 1]),
        # and above 8 * 1.25 = 10, or above 8 + 2
        ({"patience": 0, "factor": 0.5, "threshold": 0.25, "mode": "max"}, [8, 10], [1, 0.5]),
        ({"patience": 0, "factor": 0.5, "threshold": 0.25, "mode": "max"}, [8, 10.1], [1, 1]),
        (
            {"patience": 0, "factor": 0.5, "threshold": 2, "mode": "max", "threshold_mode": "abs"},
            [8, 10, 10.1],
            [1, 0.5, 0.5],
        ),
        # two epochs after the fall do not count
        ({"patience": 0, "factor": 0.5, "cooldown": 2}, [5, 5, 5, 5, 5], [1, 0.5, 0.5, 0.5, 0.25]),
        # but the best among them does
        ({"patience": 0, "factor": 0.5, "cooldown": 1}, [5, 5, 3, 4], [1, 0.5, 0.5, 0.25]),
        ({"patience": 0, "factor": 0.5, "min_lr": 0.4}, [5, 5, 5, 5], [1, 0.5, 0.4, 0.4]),
        ({"patience": 0, "factor": 0, "min_lr": 0.25}, [5, 5], [1, 0.25]),
        # a fall from 0.5 to 0.25 is by no more than eps
        ({"patience": 0, "factor": 0.5, "eps": 0.25}, [5, 5, 5, 5], [1, 0.5, 0.5, 0.5]),
        ({"patience": 0, "factor": 0.5}, [math.nan, 5, math.nan, math.inf, 4], [0.5, 0.5, 0.25, 0.125, 0.125]),
        ({}, [1.0] * 12, [1] * 11 + [0.1]),
        ({}, [1.0, *[0.9999] * 11], [1] * 11 + [0.1]),  # better by a ten-thousandth is not better
        ({}, [1.0, *[0.9998] * 11], [1] * 12),
    ],
)
def test_by_hand(options, values, rates):
    assert path(values, **options) == pytest.approx(rates, rel=1e-15)


# ------------------------------------------------------------------------------------------- as PyTorch


@pytest.mark.parametrize(("mode", "threshold_mode"), [*product(["min", "max"], ["rel", "abs"])])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"factor": 0.5, "patience": 0},
        {"factor": 0.7, "patience": 2, "threshold": 0.05},
        {"factor": 0.3, "patience": 1, "cooldown": 3, "min_lr": 1e-3},
        {"factor": 0.5, "patience": 1, "eps": 0.05},
        {"factor": 0.9, "patience": 0, "threshold": 0.0, "cooldown": 1},
    ],
)
def test_torch_takes_the_same_steps(mode, threshold_mode, options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    trend = np.exp(-np.arange(120) / 20) * (1 if mode == "min" else -1)
    values = trend + rng.normal(scale=0.05, size=120)
    values[[17, 60]] = math.nan
    options = options | {"mode": mode, "threshold_mode": threshold_mode}
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    expected = []
    for value in values:
        scheduler.step(value)
        expected.append(theirs.param_groups[0]["lr"])
    assert expected[-1] < 1  # it does fall
    assert path(values, **options) == expected


# ------------------------------------------------------------------------------------------------ state


def test_its_state_is_all_that_the_next_steps_need():
    values = np.random.default_rng(0).normal(size=60).tolist()
    options = {"factor": 0.9, "patience": 1, "cooldown": 2}
    for stop in range(60):
        optimizer, again = sgd(), sgd()
        first = nn.ReduceLROnPlateau(optimizer, **options)
        for value in values[:stop]:
            first.step(value)
        state, saved = first.state_dict(), optimizer.state_dict()
        assert {type(value) for value in state.values()} <= {int, float}
        first.step(0.0)  # what was saved stays as it is
        second = nn.ReduceLROnPlateau(again, **options)
        again.load_state_dict(saved)
        second.load_state_dict(state)
        rates = []
        for value in values[stop:]:
            second.step(value)
            rates.append(again.lr)
        assert rates == path(values, **options)[stop:]


def test_a_state_that_does_not_fit_changes_nothing_and_lists_what_is_wrong():
    plateau = nn.ReduceLROnPlateau(sgd())
    plateau.step(3.0)
    plateau.step(4.0)
    before = plateau.state_dict()
    with pytest.raises(ValueError, match=r"^ReduceLROnPlateau: the state does not fit, nothing was loaded:\n") as error:
        plateau.load_state_dict({"best": "1", "bad_epochs": -1, "lr": 1})
    assert str(error.value).split("\n  ")[1:] == [
        "cooldown_left: missing",
        "best: expected a number, got '1'",
        "bad_epochs: expected at least 0, got -1",
        "lr: unknown",
    ]
    with pytest.raises(ValueError, match=r"\n  bad_epochs: expected a whole number, got 1.5$"):
        plateau.load_state_dict({"best": 1.0, "bad_epochs": 1.5, "cooldown_left": 0})
    assert plateau.state_dict() == before == {"best": 3.0, "bad_epochs": 1, "cooldown_left": 0}


# --------------------------------------------------------------------------------------- among callbacks


def test_at_the_end_of_an_epoch_it_steps_with_the_monitored_number():
    optimizer = sgd()
    plateau = nn.ReduceLROnPlateau(optimizer, monitor="accuracy", mode="max", patience=0, factor=0.5)
    for accuracy, rate in [(0.5, 1), (0.75, 1), (0.75, 0.5)]:
        state = SimpleNamespace(values={"loss": 1.0, "accuracy": accuracy})
        assert plateau.on_epoch_end(state) is None  # a true value would stop the training
        assert optimizer.lr == rate


def test_it_monitors_val_loss_by_default():
    optimizer = sgd()
    plateau = nn.ReduceLROnPlateau(optimizer, patience=0)
    for val_loss in 1.0, 2.0:
        plateau.on_epoch_end(SimpleNamespace(values={"loss": 0.0, "val_loss": val_loss}))
    assert optimizer.lr == 0.1


def test_a_number_that_is_not_there_is_an_error_that_lists_those_that_are():
    plateau = nn.ReduceLROnPlateau(sgd())
    message = "ReduceLROnPlateau: monitor: there is no 'val_loss' among ['loss', 'accuracy']"
    with pytest.raises(KeyError) as error:
        plateau.on_epoch_end(SimpleNamespace(values={"loss": 1.0, "accuracy": 0.5}))
    assert error.value.args == (message,)


def test_it_starts_again_with_each_training_but_not_where_one_is_resumed():
    optimizer = sgd()
    plateau = nn.ReduceLROnPlateau(optimizer, monitor="loss")
    start = plateau.state_dict()
    for epoch, batch in (0, 0), (0, 2), (3, 0):
        plateau.step(1.0)
        plateau.step(1.0)
        before = plateau.state_dict()
        state = SimpleNamespace(epoch=epoch, batch=batch, optimizers=[sgd(), optimizer])
        state.means, state.validation, state.extra = SimpleNamespace(names=["loss"]), None, {}
        plateau.on_train_begin(state)
        assert start != before
        assert plateau.state_dict() == (start if epoch == batch == 0 else before)


def test_the_learning_rate_may_be_set_in_between():
    optimizer = sgd()
    plateau = nn.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    plateau.step(1)
    optimizer.lr = 8
    plateau.step(1)
    assert optimizer.lr == 4


# ------------------------------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mode": "best"}, ValueError, "mode: expected 'min' or 'max' or 'auto', got 'best'"),
        ({"threshold_mode": "relative"}, ValueError, "threshold_mode: expected 'rel' or 'abs', got 'relative'"),
        ({"factor": 1}, ValueError, "factor: expected a number below 1, got 1"),
        ({"factor": -0.1}, ValueError, "factor: expected a number >= 0, got -0.1"),
        ({"factor": math.nan}, ValueError, "factor: expected a finite number, got nan"),
        ({"factor": "0.1"}, TypeError, "factor: expected a number, got '0.1'"),
        ({"patience": -1}, ValueError, "patience: expected at least 0, got -1"),
        ({"patience": 1.5}, TypeError, "patience: expected a whole number, got 1.5"),
        ({"cooldown": -1}, ValueError, "cooldown: expected at least 0, got -1"),
        ({"cooldown": None}, TypeError, "cooldown: expected a whole number, got None"),
        ({"threshold": -1e-4}, ValueError, "threshold: expected a number >= 0, got -0.0001"),
        ({"min_lr": -1}, ValueError, "min_lr: expected a number >= 0, got -1"),
        ({"min_lr": [0.1]}, TypeError, r"min_lr: expected a number, got \[0.1\]"),
        ({"eps": -1}, ValueError, "eps: expected a number >= 0, got -1"),
        ({"monitor": None}, TypeError, "monitor: expected a name such as 'val_loss', got None"),
    ],
)
def test_a_wrong_option_is_an_error(options, error, message):
    with pytest.raises(error, match=f"^ReduceLROnPlateau: {message}"):
        nn.ReduceLROnPlateau(sgd(), **options)


def test_it_needs_an_optimizer():
    for wrong in nn.Linear(1, 1), None, nn.SGD, [sgd()]:
        with pytest.raises(TypeError, match=r"^ReduceLROnPlateau: optimizer: expected one such as SGD"):
            nn.ReduceLROnPlateau(wrong)


def test_a_schedule_and_a_plateau_do_not_go_together():
    message = r"^ReduceLROnPlateau: optimizer: expected a learning rate that is a number, got the schedule Exponential"
    with pytest.raises(ValueError, match=message):
        nn.ReduceLROnPlateau(sgd(nn.ExponentialLR(1, 0.9)))
    optimizer = sgd()
    plateau = nn.ReduceLROnPlateau(optimizer)
    optimizer.lr = nn.ExponentialLR(1, 0.9)
    with pytest.raises(ValueError, match=message):
        plateau.step(1.0)
    assert plateau.best == math.inf


def test_a_value_that_is_no_number_is_an_error():
    plateau = nn.ReduceLROnPlateau(sgd(), monitor="loss")
    with pytest.raises(TypeError, match=r"^ReduceLROnPlateau: loss: expected a number, got '1'"):
        plateau.step("1")
    plateau.step(np.float32(1.5))
    assert plateau.best == 1.5


def test_repr():
    shown = repr(nn.ReduceLROnPlateau(sgd(), monitor="accuracy", mode="max"))
    assert shown == "ReduceLROnPlateau(SGD(Linear(1 -> 1), lr=1.0), monitor='accuracy', mode='max')"
