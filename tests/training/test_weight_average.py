"""WeightAverage: what is averaged and when, what is evaluated, and what the model has when training ends."""

import copy
import os
import pickle
import signal

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal, assert_equal

import nnlite as nn
from nnlite.saving.archive import read_archive, write_archive
from nnlite.training.resume import read

X = np.random.default_rng(0).normal(size=(22, 3))
Y = X @ [[1.0], [-2.0], [0.5]] + 0.3 * np.random.default_rng(1).normal(size=(22, 1))
VALIDATION = X[:6] + 0.1, Y[:6]
BATCHES = 3


def network(dtype=np.float64):
    rng = np.random.default_rng(3)
    norm = nn.BatchNorm1d(5, dtype=dtype)
    layers = nn.Linear(3, 5, dtype=dtype, rng=rng), norm, nn.Tanh(), nn.Dropout(0.2, rng=rng)
    return nn.Sequential(*layers, nn.Linear(5, 1, dtype=dtype, rng=rng))


class Look(nn.Callback):
    """Copies of what the model has at each event."""

    def __init__(self):
        self.Phi, self.buffers = {}, {}

    def __getattribute__(self, name):
        if not name.startswith("on_"):
            return super().__getattribute__(name)
        return lambda state: self.keep(name, state)

    def keep(self, event, state):
        place = event, state.epoch, state.batch
        self.Phi[place] = state.model.Phi.copy()
        self.buffers[place] = {name: buffer.copy() for name, buffer in state.model.named_buffers()}


def train(*callbacks, epochs=4, model=None, **options):
    """Epochs of three batches of at most 8 rows; what a callback at the end of the list has seen, and the history."""
    model, look = network() if model is None else model, Look()
    options = {"optimizer": nn.SGD(model, lr=0.1, momentum=0.5), "batch_size": 8, "rng": 0} | options
    options = {"validation_data": VALIDATION, "loss": nn.MSELoss(), "verbose": 0} | options
    history = nn.fit(model, X, Y, epochs=epochs, callbacks=[*callbacks, look], **options)
    return model, look, history


def after_batches(look, epochs=4):
    return [look.Phi["on_batch_end", epoch, batch] for epoch in range(1, epochs + 1) for batch in range(1, BATCHES + 1)]


# ------------------------------------------------------------------------------------------------- the average


def updated(values, **options):
    """The average after each of these values of a single weight."""
    model, average, found = nn.Linear(1, 1, bias=False, dtype=np.float64), nn.WeightAverage(**options), []
    for value in values:
        model.W = [[value]]
        average.update(model)
        found.append(average.Phi[0])
    return found


def test_averages_by_hand():
    assert updated([8.0, 4.0, 16.0], decay=0.5) == [8.0, 6.0, 11.0]  # the first is a copy
    assert updated([8.0, 4.0], decay=0.75) == [8.0, 7.0]
    assert updated([8.0, 4.0, 3.0, 1.0]) == [8.0, 6.0, 5.0, 4.0]
    assert updated([8.0, 4.0], decay=1.0) == [8.0, 8.0]
    assert updated([8.0, 4.0], decay=0.0) == [8.0, 4.0]


def test_a_warm_up_of_the_decay_by_hand():
    """The decays are 2/11, 3/12, 4/13 ... until they are above the one that is asked for."""
    expected = [11.0]
    for decay, value in (2 / 11, 0.0), (3 / 12, 8.0), (0.3, 1.0), (0.3, 7.0):
        expected.append(decay * expected[-1] + (1 - decay) * value)
    assert_allclose(updated([11.0, 0.0, 8.0, 1.0, 7.0], decay=0.3, warmup=True), expected, rtol=1e-14)


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("decay", [None, 0.9])
def test_buffers_are_averaged_or_the_models_own(decay, use_buffers):
    model, average = network(), nn.WeightAverage(decay, use_buffers=use_buffers)
    average.update(model)
    model[1].running_mean, model[1].num_batches_tracked = np.full(5, 10.0), np.array(7)
    average.update(model)
    model[1].running_mean, model[1].num_batches_tracked = np.full(5, 20.0), np.array(8)
    average.apply(model)
    weight = 0.5 if decay is None else 0.1
    assert_allclose(model[1].running_mean, 10 * weight if use_buffers else 20.0, rtol=1e-14)
    assert model[1].num_batches_tracked == (7 if use_buffers else 8)
    assert average.buffers.keys() == (dict(model.named_buffers()).keys() if use_buffers else set())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_average_has_the_models_dtype(dtype):
    model, average = network(dtype), nn.WeightAverage(0.9, use_buffers=True)
    for _ in range(3):
        average.update(model)
    assert average.Phi.dtype == average.buffers["1.running_var"].dtype == dtype
    assert_array_equal(average.Phi, model.Phi)  # the average of equal numbers


def test_a_loop_by_hand():
    model, average = network(), nn.WeightAverage(0.5)
    with pytest.raises(nn.StateError, match=r"nothing has been averaged; call update\(model\) first"):
        average.apply(model)
    first = model.Phi.copy()
    average.update(model)
    model.Phi += 1.0
    average.update(model)
    average.apply(model)
    assert_allclose(model.Phi, first + 0.5, rtol=1e-14)
    with pytest.raises(
        nn.StateError, match=r"expected parameters of shape \(36,\) and float64, as in the first update"
    ):
        average.update(nn.Linear(1, 1))
    with pytest.raises(nn.StateError, match=r"got \(36,\) and float32; use a new WeightAverage"):
        average.update(network(np.float32))


# -------------------------------------------------------------------------------------------- when it is updated


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({"decay": 0.9}, range(12)),
        ({"decay": 0.9, "every": 5}, [4, 9]),  # also across the ends of epochs
        ({"decay": 0.9, "start_from_epoch": 2}, range(6, 12)),
        ({"decay": 0.9, "start_from_epoch": 1, "every": 2}, [4, 6, 8, 10]),
        ({"decay": 0.9, "unit": "epoch"}, [2, 5, 8, 11]),
        ({}, [2, 5, 8, 11]),
        ({"start_from_epoch": 1}, [5, 8, 11]),
        ({"start_from_epoch": 1, "every": 2}, [8]),
        ({"unit": "step", "start_from_epoch": 3}, [9, 10, 11]),
    ],
)
def test_steps_and_epochs_that_are_averaged(options, taken):
    average = nn.WeightAverage(**options)
    model, look, _ = train(average)
    by_hand, path = nn.WeightAverage(average.decay), after_batches(look)
    for index in taken:
        model.Phi = path[index]
        by_hand.update(model)
    assert average.updates == by_hand.updates == len(taken)
    assert_array_equal(average.Phi, by_hand.Phi)


def test_batches_that_are_accumulated_are_one_step():
    """Three batches an epoch, two by two: the second step of an epoch comes after its last batch."""
    average = nn.WeightAverage(0.9)
    _, look, _ = train(average, epochs=3, accumulate_steps=2)
    assert average.updates == 6
    steps = [place for epoch in (1, 2, 3) for place in (("on_batch_end", epoch, 2), ("on_save", epoch, 0))]
    expected = look.Phi[steps[0]]
    for place in steps[1:]:
        expected = 0.9 * expected + 0.1 * look.Phi[place]
    assert_allclose(average.Phi, expected, rtol=1e-12)
    assert_allclose(look.Phi["on_epoch_end", 3, 0], expected, rtol=1e-12)


# ----------------------------------------------------------------------------------------- what is evaluated


@pytest.mark.parametrize("decay", [None, 0.8])
def test_training_itself_is_not_changed(decay, tmp_path):
    """Also where the pass over the rows for running statistics draws the masks of a Dropout."""
    checkpoint = nn.Checkpoint(tmp_path / "c.npz")
    model, look, history = train(nn.WeightAverage(decay), checkpoint)
    plain, same, expected = train()
    assert history["loss"] == expected["loss"]
    for place in same.Phi:
        if place[0] in ("on_backward_end", "on_batch_end", "on_save"):
            assert_array_equal(look.Phi[place], same.Phi[place])
            for name, buffer in same.buffers[place].items():
                assert_array_equal(look.buffers[place][name], buffer)
    assert_equal(read(checkpoint.path)["model"], plain.state_dict())
    assert_equal(nn.load(checkpoint.path).state_dict(), model.state_dict())
    assert not np.array_equal(model.Phi, plain.Phi)
    assert str(model[3].rng.bit_generator.state) == str(plain[3].rng.bit_generator.state)


@pytest.mark.parametrize(
    ("options", "averaged"),
    [
        ({"decay": None}, True),
        ({"decay": None, "unit": "step"}, True),
        ({"decay": 0.8}, True),
        ({"decay": 0.8, "use_buffers": True}, True),
        ({"decay": 0.8, "evaluate": False}, False),
        ({"decay": 0.8, "start_from_epoch": 3}, False),
    ],
)
def test_the_model_in_a_checkpoint_is_the_one_that_was_evaluated(options, averaged, tmp_path):
    """With best_only it is the one with the best val_loss, whatever weights were trained."""
    best, last = tmp_path / "best.npz", tmp_path / "last.npz"
    average = nn.WeightAverage(**options)
    end = lambda state: state.epoch == 3  # noqa: E731
    _, look, history = train(average, nn.Checkpoint(best, best_only=True), nn.Checkpoint(last), end)
    for path, epoch in (best, int(np.argmin(history["val_loss"])) + 1), (last, 3):
        place = "on_epoch_end", epoch, 0
        assert_array_equal(nn.load(path).Phi, look.Phi[place])
        assert_equal(dict(nn.load(path).named_buffers()), look.buffers[place])
        measured = nn.evaluate(nn.load(path), *VALIDATION, loss=nn.MSELoss())["loss"]
        assert measured == pytest.approx(history["val_loss"][epoch - 1], rel=1e-12)
    assert np.array_equal(look.Phi["on_epoch_end", 3, 0], look.Phi["on_batch_end", 3, 3]) != averaged


def test_in_the_middle_of_an_epoch_a_checkpoint_has_the_average_up_to_there(tmp_path):
    average = nn.WeightAverage(0.8)
    stop = nn.Checkpoint(tmp_path / "c.npz", every=1, unit="batch")

    class Look(nn.Callback):
        def on_save(self, state):
            assert_array_equal(nn.load(stop.path).Phi, average.Phi)

    train(average, stop, Look(), epochs=2)


def test_averages_in_a_file_that_do_not_fit_are_an_error(tmp_path):
    checkpoint = nn.Checkpoint(tmp_path / "c.npz")
    train(nn.WeightAverage(0.8), checkpoint)
    content, arrays = read_archive(checkpoint.path)
    for evaluated in (
        {"dict": [["9.W", {"array": "evaluated.0.W"}]]},
        {"dict": [["0.W", {"array": "evaluated.0.b"}]]},
        {"dict": [["0.W", 3]]},
        {"array": "evaluated.0.W"},
        {"array": "none"},
        None,
        7,
    ):
        write_archive(checkpoint.path, content | {"evaluated": evaluated}, arrays)
        with pytest.raises(nn.CheckpointError):
            nn.load(checkpoint.path)


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("decay", [None, 0.8])
def test_the_validation_and_the_end_of_an_epoch_see_the_average(decay, use_buffers):
    _, look, history = train(nn.WeightAverage(decay, use_buffers=use_buffers))
    by_hand, model = nn.WeightAverage(decay, use_buffers=use_buffers), network()
    for epoch in 1, 2, 3, 4:
        for batch in [3] if decay is None else [1, 2, 3]:
            model.Phi = look.Phi["on_batch_end", epoch, batch]
            for name, buffer in model.named_buffers():
                buffer[...] = look.buffers["on_batch_end", epoch, batch][name]
            by_hand.update(model)
        evaluated = copy.deepcopy(model)
        by_hand.apply(evaluated)
        if decay is None and not use_buffers:
            statistics = look.buffers["on_epoch_end", epoch, 0]  # computed with the masks of the training's Dropout
            assert statistics["1.num_batches_tracked"] == BATCHES
            evaluated[1].running_mean, evaluated[1].running_var = (
                statistics["1.running_mean"],
                statistics["1.running_var"],
            )
            first = copy.deepcopy(evaluated)
            nn.update_bn(first, X, batch_size=8)  # in front of the norm there is no Dropout
            assert_allclose(first[1].running_mean, evaluated[1].running_mean, rtol=1e-12)
            assert_allclose(first[1].running_var, evaluated[1].running_var, rtol=1e-12)
        assert_array_equal(look.Phi["on_epoch_end", epoch, 0], evaluated.Phi)
        val_loss = nn.evaluate(evaluated, *VALIDATION, loss=nn.MSELoss())["loss"]
        assert history["val_loss"][epoch - 1] == pytest.approx(val_loss, rel=1e-12)


def test_the_trained_weights_may_be_evaluated():
    model, look, history = train(nn.WeightAverage(0.8, evaluate=False))
    _, _, expected = train()
    assert history["val_loss"] == expected["val_loss"]
    assert_array_equal(look.Phi["on_epoch_end", 4, 0], look.Phi["on_batch_end", 4, 3])
    assert not np.array_equal(model.Phi, look.Phi["on_batch_end", 4, 3])


def test_before_the_first_update_the_trained_weights_are_evaluated():
    _, _, history = train(nn.WeightAverage(start_from_epoch=2))
    _, _, expected = train()
    assert history["val_loss"][:2] == expected["val_loss"][:2]


@pytest.mark.parametrize(
    ("callback", "first"),
    [
        (nn.WeightAverage(start_from_epoch=3), 4),
        (nn.WeightAverage(0.9, start_from_epoch=3, every=2), 4),
        (nn.WeightAverage(start_from_epoch=1, every=3), 4),
        (nn.EarlyStopping(start_from_epoch=3), 4),
    ],
    ids=str,
)
def test_a_training_that_ends_before_a_callback_begins_is_an_error(callback, first, tmp_path):
    model = network()
    before = model.Phi.copy()
    message = f"start_from_epoch=.*in epoch {first}, but training ends after epoch 3; train for more epochs"
    with pytest.raises(ValueError, match=message):
        train(callback, epochs=3, model=model)
    assert_array_equal(model.Phi, before)
    train(callback, epochs=first)
    checkpoint = nn.Checkpoint(tmp_path / "training.npz")  # from which it may go on
    history = train(callback, checkpoint, epochs=3)[2]
    assert history.remark == ""
    train(callback, checkpoint, epochs=1, resume=checkpoint.path)
    options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, 0.1), "steps": 2, "batch_size": 32}
    if isinstance(callback, nn.WeightAverage):  # in which no epochs are given
        nn.lr_finder(model, X, Y, callbacks=[callback], **options)


def test_diagnostics_see_the_steps_of_the_training():
    averaged, plain = nn.Diagnostics(), nn.Diagnostics()
    train(nn.WeightAverage(0.5), averaged, accumulate_steps=2)
    train(plain, accumulate_steps=2)
    assert averaged.updates == plain.updates
    assert averaged.gradients == plain.gradients


def test_the_penalty_is_that_of_the_trained_weights():
    model, other = network(), network()
    options = {"optimizer": nn.SGD(model, lr=0.1, weight_decay=0.1)}
    _, _, history = train(nn.WeightAverage(0.5), model=model, **options)
    _, _, expected = train(model=other, optimizer=nn.SGD(other, lr=0.1, weight_decay=0.1))
    assert history["penalty"] == expected["penalty"]


# ----------------------------------------------------------------------------------------- when training ends


def test_the_model_has_the_average_when_training_ends():
    average = nn.WeightAverage()
    model, look, history = train(average)
    assert_array_equal(model.Phi, average.Phi)
    assert_allclose(average.Phi, np.mean([look.Phi["on_batch_end", epoch, 3] for epoch in (1, 2, 3, 4)], axis=0))
    assert history.remark == "averaged weights (4 updates)"
    assert train(nn.WeightAverage(), epochs=1)[2].remark == "averaged weights (1 update)"
    for name, buffer in model.named_buffers():  # the statistics of the last evaluation
        assert_array_equal(buffer, look.buffers["on_epoch_end", 4, 0][name])


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("decay", [None, 0.8])
def test_early_stopping_restores_the_best_average_in_any_order(decay, order):
    class Fake(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["fake"] = [5.0, 3.0, 4.0, 6.0][state.epoch - 1]

    callbacks = [nn.EarlyStopping("fake", mode="min", patience=9), nn.WeightAverage(decay)][::order]
    model, look, history = train(Fake(), *callbacks)
    assert_array_equal(model.Phi, look.Phi["on_epoch_end", 2, 0])
    for name, buffer in model.named_buffers():
        assert_array_equal(buffer, look.buffers["on_epoch_end", 2, 0][name])
    assert history.remark == f"restored epoch 2 (fake 3); averaged weights ({2 if decay is None else 6} updates)"
    assert not np.array_equal(model.Phi, callbacks[order > 0].Phi)
    keeps = nn.EarlyStopping("fake", mode="min", patience=9, restore_best_weights=False)
    average = nn.WeightAverage(decay)
    model, _, _ = train(Fake(), *[keeps, average][::order])
    assert_array_equal(model.Phi, average.Phi)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("options", "best", "remark"),
    [
        ({}, 4, "averaged weights (4 updates)"),  # the last epoch is the best one
        ({"evaluate": False}, 4, ""),  # trained weights are the best ones
        ({"start_from_epoch": 2}, 1, "restored epoch 1 (fake 0)"),  # before the first update
    ],
)
def test_the_remark_says_which_weights_the_model_has_in_any_order(options, best, remark, order):
    class Fake(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["fake"] = float(state.epoch != best)

    callbacks = [nn.EarlyStopping("fake", mode="min", patience=9), nn.WeightAverage(**options)][::order]
    assert train(Fake(), *callbacks)[2].remark == remark


class At(nn.Callback):
    """Calls a function at an event in the second batch of the third epoch, or at its end."""

    def __init__(self, event, action):
        def act(state):
            if state.epoch == 3 and (event not in ("on_batch_end", "on_backward_end", "on_save") or state.batch == 2):
                action(state)

        setattr(self, event, act)


def fail(state):
    raise RuntimeError("out of luck")


ENDINGS = {
    "Ctrl-C": (At("on_batch_end", lambda state: os.kill(os.getpid(), signal.SIGINT)), KeyboardInterrupt, 9),
    "an error": (At("on_save", fail), RuntimeError, 8),
    "divergence": (At("on_backward_end", lambda state: state.model.dPhi.fill(np.nan)), nn.DivergenceError, 8),
    "an error in the evaluation": (At("on_evaluation_begin", fail), RuntimeError, 9),
    "an error after it": (At("on_epoch_end", fail), RuntimeError, 9),
    "an error where the weights are put back": (At("on_evaluation_end", fail), RuntimeError, 9),
}


@pytest.mark.parametrize("options", [{"decay": 0.9}, {"unit": "step"}, {}], ids=str)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("first", [False, True])
def test_the_model_has_the_average_whatever_ends_the_training(ending, options, first):
    callback, error, steps = ENDINGS[ending]
    model, average, look = network(), nn.WeightAverage(**options), Look()
    callbacks = [callback, average] if first else [average, callback]
    with pytest.raises(error) as caught:
        train(look, *callbacks, model=model)
    assert_array_equal(model.Phi, average.Phi)
    assert average.updates in ((steps,) if average.unit == "step" else (2, 3))
    remark = f"averaged weights ({average.updates} updates)"
    assert caught.value.history.remark.endswith(remark)
    if error is not KeyboardInterrupt:
        assert any(remark in note for note in caught.value.__notes__)
    if not average.buffers:
        last = max((place for place in look.buffers if place[0] == "on_batch_end"), key=lambda place: place[1:])
        assert_array_equal(model[1].running_mean, look.buffers[last]["1.running_mean"])
    for name, buffer in average.buffers.items():
        assert_array_equal(dict(model.named_buffers())[name], buffer)
    assert bool(average.buffers) == (average.decay is None)


def test_statistics_that_are_not_finite_leave_the_trained_weights():
    rows = X.copy()
    model, average = network(), nn.WeightAverage(unit="step")
    spoil = At("on_batch_end", lambda state: rows.__setitem__((20, 1), np.nan))
    look = Look()
    with pytest.raises(nn.DivergenceError) as caught:
        nn.fit(model, rows, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=3, batch_size=8, rng=0,
               callbacks=[average, look, spoil], verbose=0)  # fmt: skip
    assert any("WeightAverage" in note for note in caught.value.__notes__)
    last = max((place for place in look.Phi if place[0] == "on_batch_end"), key=lambda place: place[1:])
    assert_array_equal(model.Phi, look.Phi[last])
    assert np.isfinite(model[1].running_mean).all()


class Counted:
    """Rows that count how many batches are read."""

    def __init__(self):
        self.batches = 0

    def __len__(self):
        return len(X)

    def __getitem__(self, rows):
        self.batches += 1
        return X[rows]


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({}, 4 + 4),  # one more for each evaluation, none at the end
        ({"evaluate": False}, 4 + 1),
        ({"every": 2}, 4 + 2),  # none where nothing has been averaged
        ({"start_from_epoch": 3}, 4 + 1),
        ({"use_buffers": True}, 4),
        ({"decay": 0.9}, 4),
    ],
)
def test_how_often_the_rows_are_read_for_running_statistics(options, passes):
    rows, model = Counted(), network()
    nn.fit(model, rows, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=4, batch_size=8, rng=0, verbose=0,
           callbacks=[nn.WeightAverage(**options)])  # fmt: skip
    assert rows.batches == passes * BATCHES


def test_a_generator_cannot_be_read_once_more():
    model = network()
    batches = [(X[start : start + 8], Y[start : start + 8]) for start in (0, 8)]
    options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, lr=0.1), "verbose": 0}
    before = model.Phi.copy()
    with pytest.raises(ValueError, match="need one more pass over X, and a generator can be read only once"):
        nn.fit(model, iter(batches), callbacks=[nn.WeightAverage()], **options)
    assert_array_equal(model.Phi, before)
    nn.fit(model, iter(batches), callbacks=[nn.WeightAverage(use_buffers=True)], **options)
    nn.fit(model, lambda: iter(batches), callbacks=[nn.WeightAverage()], epochs=2, **options)
    assert model[1].num_batches_tracked == 2
    plain = nn.Sequential(nn.Linear(3, 1))
    nn.fit(plain, iter(batches), callbacks=[nn.WeightAverage()], loss=nn.MSELoss(), optimizer=nn.SGD(plain, 0.1),
           verbose=0)  # fmt: skip


def test_iterations_of_minimize_are_epochs():
    model, average, look = nn.Sequential(nn.Linear(3, 1, rng=0)), nn.WeightAverage(0.5, unit="epoch"), Look()
    options = {"loss": nn.MSELoss(), "method": "CG", "epochs": 3, "verbose": 0}
    nn.minimize(model, X, Y, callbacks=[average, look], **options)
    first, second, third = (look.Phi["on_save", epoch, 0] for epoch in (1, 2, 3))
    assert_allclose(average.Phi, first / 4 + second / 4 + third / 2, rtol=1e-12)
    assert_allclose(model.Phi, average.Phi, rtol=1e-6)  # a float32 model
    with pytest.raises(ValueError, match='unit: there are no steps of optimizers; pass unit="epoch"'):
        nn.minimize(model, X, Y, callbacks=[nn.WeightAverage(0.5)], **options)


# ------------------------------------------------------------------------------------------------------ its state


class StopAt(nn.Callback):
    def __init__(self, batches):
        self.batches = batches

    def on_batch_end(self, state):
        return (state.epoch - 1) * BATCHES + state.batch == self.batches


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize(
    "options", [{"decay": 0.9, "every": 2, "use_buffers": True}, {"start_from_epoch": 1}, {"unit": "step"}], ids=str
)
def test_a_resumed_training_is_the_same_to_the_byte(options, steps, tmp_path):
    best = lambda: nn.EarlyStopping(patience=9, restore_best_weights=False)  # noqa: E731
    whole, _, expected = train(nn.WeightAverage(**options), best(), accumulate_steps=steps)
    for stop in 1, 4, 5, 6, 8, 12:
        path = tmp_path / f"{stop}.npz"
        with_file = [nn.WeightAverage(**options), best(), nn.Checkpoint(path)]
        train(*with_file, StopAt(stop), accumulate_steps=steps)
        done = nn.Checkpoint(path).epochs_done
        average, other = nn.WeightAverage(**options), network()
        model, _, history = train(
            average, best(), model=other, epochs=4 - done, resume=path, rng=99, accumulate_steps=steps
        )
        assert model.Phi.tobytes() == whole.Phi.tobytes()
        for (name, buffer), (_, there) in zip(model.named_buffers(), whole.named_buffers(), strict=True):
            assert buffer.tobytes() == there.tobytes(), name
        assert history.to_dict() == expected.to_dict()
        assert history.remark == expected.remark


def test_a_training_that_ended_is_resumed_to_go_on(tmp_path):
    checkpoint = nn.Checkpoint(tmp_path / "c.npz")
    train(nn.WeightAverage(0.9), checkpoint, epochs=2)
    model, _, _ = train(nn.WeightAverage(0.9), epochs=2, resume=checkpoint.path)
    assert_array_equal(model.Phi, train(nn.WeightAverage(0.9))[0].Phi)
    average, expected = nn.WeightAverage(0.9), train(nn.WeightAverage(0.9), epochs=2)[0]
    model, _, _ = train(average, epochs=0, resume=checkpoint.path)  # nothing but the average
    assert_array_equal(model.Phi, expected.Phi)
    with pytest.raises(nn.CheckpointError, match=r"WeightAverage: decay: 0\.9 in the file, 0\.8 here"):
        train(nn.WeightAverage(0.8), resume=checkpoint.path)


def test_a_state_that_does_not_fit_is_an_error():
    average = nn.WeightAverage(0.9)
    average.update(network())
    state = average.state_dict()
    for wrong, error in (
        (
            {**state, "more": 1},
            "expected a state with Phi, buffers, updates, waited, got Phi, buffers, updates, waited,",
        ),
        ({"Phi": None}, "expected a state with"),
        ({**state, "Phi": [1.0]}, "Phi, buffers: expected arrays"),
        ({**state, "buffers": {"a": 1.0}}, "Phi, buffers: expected arrays"),
        ({**state, "updates": -1}, "updates: expected at least 0"),
        ({**state, "waited": 0.5}, "waited: expected a whole number"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"^WeightAverage: {error}"):
            average.load_state_dict(wrong)
    assert average.updates == 1
    nn.WeightAverage().load_state_dict(nn.WeightAverage().state_dict())


@pytest.mark.parametrize("name", ["Phi", "buffers"])
def test_an_average_of_another_model_in_a_checkpoint_is_an_error(name, tmp_path, monkeypatch):
    checkpoint = nn.Checkpoint(tmp_path / "c.npz")
    average = nn.WeightAverage(0.9, use_buffers=True)
    wrong = {"Phi": np.zeros(3)} if name == "Phi" else {"buffers": {"1.running_mean": np.zeros(2)}}
    original = average.state_dict
    monkeypatch.setattr(average, "state_dict", lambda: original() | wrong)
    train(average, checkpoint, epochs=1)
    with pytest.raises(nn.CheckpointError, match=r"WeightAverage: \S+ does not fit Sequential\(5 layers\)"):
        train(nn.WeightAverage(0.9, use_buffers=True), resume=checkpoint.path)


def test_its_state_is_a_copy():
    model, average = network(), nn.WeightAverage(0.9)
    average.update(model)
    state, before = average.state_dict(), average.Phi.copy()
    model.Phi += 1.0
    average.update(model)
    assert_array_equal(state["Phi"], before)
    other = nn.WeightAverage(0.9)
    other.load_state_dict(state)
    other.update(model)
    assert_array_equal(state["Phi"], before)
    assert_array_equal(other.Phi, average.Phi)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_goes_on_by_itself(copied):
    model, average = network(), nn.WeightAverage(0.9, use_buffers=True)
    average.update(model)
    other = copied(average)
    model.Phi += 1.0
    other.update(model)
    assert (average.updates, other.updates) == (1, 2)
    assert not np.array_equal(average.Phi, other.Phi)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.WeightAverage(1.5), ValueError, "decay: expected a number from 0 to 1, got 1.5"),
        (lambda: nn.WeightAverage("0.9"), TypeError, "decay: expected a number, got '0.9'"),
        (lambda: nn.WeightAverage(warmup=True), ValueError, "warmup: expected a decay, such as decay=0.999, got None"),
        (lambda: nn.WeightAverage(every=0), ValueError, "every: expected at least 1, got 0"),
        (lambda: nn.WeightAverage(start_from_epoch=-1), ValueError, "start_from_epoch: expected at least 0, got -1"),
        (lambda: nn.WeightAverage(unit="batch"), ValueError, "unit: expected 'step' or 'epoch', got 'batch'"),
        (lambda: train(nn.WeightAverage(), nn.WeightAverage(0.9)), ValueError, "the model can have one average when"),
    ],
)
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=f"^WeightAverage: {message}"):
        make()


def test_it_shows_its_arguments():
    assert repr(nn.WeightAverage(0.9)) == "WeightAverage(decay=0.9, every=1 step)"
    assert repr(nn.WeightAverage(every=2)) == "WeightAverage(every=2 epoch)"
