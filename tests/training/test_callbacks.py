"""Callbacks: when each is called, what it may do, and that nothing is lost when one fails."""

import signal

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.linear_regression import X, Y, train

import nnlite as nn


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
        + [("on_evaluation_begin", epoch, 3), ("on_epoch_end", epoch, 0), ("on_evaluation_end", epoch, 0)]
        + [("on_save", epoch, 0)]
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
    says = r"callbacks: expected callbacks( or functions|, got the class itself; write Early)"
    with pytest.raises(TypeError, match=says):
        train([wrong], model=model)
    assert_array_equal(model.Phi, Phi)


def test_extra_numbers_of_callbacks_stand_in_the_history():
    class Count(nn.Callback):
        def on_epoch_begin(self, state):
            state.extra["count"] = 10 * state.epoch

    assert train([Count()])[1]["count"] == [10, 20, 30]


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


# ------------------------------------------------------------------------------------ hooks that are never called


class Misspelt(nn.Callback):
    def on_epoch_ends(self, state):
        pass


class OfKeras:
    def on_train_batch_end(self, batch, logs=None):
        pass


class Hooks:
    """A callback with one method of any signature."""

    def __init__(self, event, method):
        setattr(self, event, method)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Misspelt(), "has a method on_epoch_ends, which is never called; did you mean on_epoch_end?"),
        (OfKeras(), "has a method on_train_batch_end, which is never called"),
        (Hooks("on_epoch_end", lambda epoch, logs=None: None), "expected on_epoch_end.self, state., got on_epoch_end"),
        (Hooks("on_train_begin", lambda logs=None: None), "expected on_train_begin.self, state., got on_train_begin"),
        (Hooks("on_batch_end", lambda: None), "expected on_batch_end.self, state., got on_batch_end"),
        (Hooks("on_batch_end", lambda batch, state: None), "expected on_batch_end.self, state., got on_batch_end"),
        (lambda: None, "expected on_epoch_end.self, state., got on_epoch_end"),
    ],
)
def test_a_hook_that_would_never_be_called_or_with_the_wrong_thing_is_an_error_before_training(wrong, message):
    """Hooks that are misspelt, or of Keras or Lightning: a hook that is not called is a penalty that is not there."""
    model = nn.Sequential(nn.Linear(3, 1, rng=0))
    Phi = model.Phi.copy()
    with pytest.raises(TypeError, match=message):
        train([wrong], model=model)
    assert_array_equal(model.Phi, Phi)


def test_hooks_of_any_signature_that_take_the_state_are_called():
    seen = []
    hooks = {
        "on_train_begin": lambda *args: seen.append(len(args)),
        "on_epoch_begin": lambda state, *, option=1: seen.append(option),
        "on_batch_end": lambda state, stop=7: seen.append(stop),
        "on_epoch_end": seen.append,  # written in C
    }
    train([Hooks(event, method) for event, method in hooks.items()], epochs=1, batch_size=10)
    assert seen[:3] == [1, 1, 7]
    assert seen[3].epoch == 1


def test_hooks_set_on_an_instance_are_called():
    seen = []
    callback = nn.Callback()
    callback.on_epoch_end = lambda state: seen.append(state.epoch)

    class InConstructor(nn.Callback):
        def __init__(self):
            self.on_batch_end = lambda state: seen.append("batch")

    train([callback, InConstructor()], epochs=2, batch_size=10)
    assert seen == ["batch", 1, "batch", 2]


def test_values_added_at_the_end_of_the_first_epoch_are_in_its_history():
    class Norm(nn.Callback):
        def on_epoch_end(self, state):
            state.extra["norm"] = float(state.epoch)

    seen = []
    save = Hooks("on_save", lambda state: None if state.batch else seen.append(state.values["norm"]))
    assert train([save, Norm()])[1]["norm"] == seen == [1.0, 2.0, 3.0]


def test_on_train_end_is_for_callbacks_that_have_begun():
    ends = []

    class Named(nn.Callback):
        def __init__(self, name, fails=False):
            self.name, self.fails = name, fails

        def on_train_begin(self, state):
            if self.fails:
                raise RuntimeError

        def on_train_end(self, state):
            ends.append(self.name)

    with pytest.raises(RuntimeError):
        train([Named("a"), Named("b"), Named("c", fails=True), Named("d")])
    assert ends == ["b", "a"]
    ends.clear()
    with pytest.raises(ValueError, match="no 'val_loss'"):
        train([Named("a"), nn.EarlyStopping(), Named("b")])
    assert ends == ["a"]
    ends.clear()
    with pytest.raises(FileNotFoundError):
        train([Named("a")], resume="nowhere.npz")
    assert ends == []


# ------------------------------------------------------------------------------------------- why it ended


def test_a_reason_is_said_and_in_the_history(capsys):
    reason = lambda state: state.epoch == 2 and "the moon is full"  # noqa: E731
    _, history = train([reason], epochs=100, verbose=1)
    assert history.remark == "stopped after epoch 2: the moon is full"
    assert capsys.readouterr().err.splitlines()[1:] == [
        f"epoch 2/100  loss={history['loss'][1]:.4g}",
        "stopped after epoch 2: the moon is full",
    ]
    inside = Hooks("on_batch_end", lambda state: (state.epoch, state.batch) == (2, 1) and "enough")
    assert train([inside])[1].remark == "stopped in epoch 2, after batch 1: enough"
    assert train([])[1].remark == ""


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_the_epochs_before_an_error_are_not_lost(error):
    """keras issue 122"""

    def fail(state):
        if state.epoch == 3:
            raise error

    with pytest.raises(error) as caught:
        train([fail], epochs=9)
    assert caught.value.history.epochs == 3
    rows, bad = X.copy(), nn.Sequential(nn.Linear(3, 1, rng=0))
    spoil = lambda state: rows.fill(np.nan) if state.epoch == 2 else None  # noqa: E731
    with pytest.raises(nn.DivergenceError) as caught:
        nn.fit(bad, rows, Y, loss=nn.MSELoss(), optimizer=nn.SGD(bad, 0.1), epochs=9, verbose=0, callbacks=[spoil])
    assert caught.value.history.epochs == 2
