"""Ctrl-C and SIGTERM: the batch in hand is finished, then the signal takes its course."""

import gc
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import nnlite as nn
from nnlite.training.interrupts import Interrupts

# A layer that counts its forwards in training and may send signals to its own process in one of them.
TRAIN = """
import os, signal, sys
import numpy as np
import nnlite as nn

class Signals(nn.Layer):
    def __init__(self, *signals, at=5):
        self.forwards, self.signals, self.at = 0, signals, at

    def forward(self, X):
        if self.training:
            self.forwards += 1
            if self.forwards == self.at:
                for signum in self.signals:
                    os.kill(os.getpid(), signum)
        return X

    def backward(self, dY):
        return dY

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(64, 3)), rng.normal(size=(64, 1))

def train(signals, epochs=10**9, verbose=0):
    model = nn.Sequential(signals, nn.Linear(3, 1, rng=0))
    optimizer = nn.SGD(model, 1e-3)
    try:
        return model, nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=optimizer, epochs=epochs, batch_size=8,
                             shuffle=False, verbose=verbose)
    finally:
        train.model = model

def after(steps):
    model = nn.Sequential(nn.Linear(3, 1, rng=0))
    loss, optimizer = nn.MSELoss(), nn.SGD(model, 1e-3)
    for step in range(steps):
        rows = slice(step % 8 * 8, step % 8 * 8 + 8)
        loss.forward(model.forward(X[rows]), Y[rows])
        model.backward(loss.backward())
        optimizer.step()
    return model.Phi.tobytes()
"""


def run(code):
    """(stdout, stderr, exit code) of a program."""
    program = subprocess.run(
        [sys.executable, "-c", TRAIN + code], capture_output=True, text=True, timeout=60, check=False
    )
    return program.stdout, program.stderr, program.returncode


def test_ctrl_c_from_outside_ends_after_a_whole_number_of_steps():
    code = """
class Says(Signals):
    def forward(self, X):
        if self.forwards == 20:
            print("training", flush=True)
        return super().forward(X)

try:
    train(Says())
except KeyboardInterrupt:
    steps = train.model[0].forwards
    print(steps > 20, train.model.Phi.tobytes() == after(steps), train.model.training, train.model.needs_dX)
"""
    program = subprocess.Popen([sys.executable, "-c", TRAIN + code], stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "training\n"
    program.send_signal(signal.SIGINT)
    rest, _ = program.communicate(timeout=60)
    assert (rest, program.returncode) == ("True True True True\n", 0)


@pytest.mark.parametrize(("signum", "error"), [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "SystemExit")])
def test_the_batch_in_hand_is_the_last(signum, error):
    stdout, stderr, _ = run(f"""
try:
    train(Signals(signal.{signum}))
except {error} as caught:
    print(train.model[0].forwards, train.model.Phi.tobytes() == after(5), getattr(caught, "code", None))
""")
    assert (stdout, stderr) == (f"5 True {143 if signum == 'SIGTERM' else None}\n", "")


def test_ctrl_c_that_nobody_catches_ends_without_a_traceback():
    # Python ends itself with SIGINT then: -2 here, which a shell calls 130.
    assert run("train(Signals(signal.SIGINT))") == ("", "", -signal.SIGINT)


def test_a_shell_sees_130():
    shell = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, TRAIN + "train(Signals(signal.SIGINT))"]
    assert subprocess.run(shell, capture_output=True, check=False).returncode == 130


def test_sigterm_exits_143_without_a_traceback():
    assert run("train(Signals(signal.SIGTERM))") == ("", "", 143)


def test_ctrl_c_where_python_left_it_to_the_system_exits_130():
    code = "signal.signal(signal.SIGINT, signal.SIG_DFL)\ntrain(Signals(signal.SIGINT))"
    assert run(code) == ("", "", 130)


def test_a_second_ctrl_c_acts_at_once():
    stdout, stderr, _ = run("""
try:
    train(Signals(signal.SIGINT, signal.SIGINT))
except KeyboardInterrupt:
    print(train.model[0].forwards, train.model.Phi.tobytes() == after(4), train.model.training, train.model.needs_dX)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
""")
    assert (stdout, stderr) == ("5 True True True\nTrue\n", "")  # the fifth step was not made


def test_a_second_sigterm_acts_at_once():
    assert run("train(Signals(signal.SIGTERM, signal.SIGTERM))") == ("", "", -signal.SIGTERM)


def test_a_handler_of_the_programs_own_is_called_once_training_is_over_and_put_back():
    stdout, stderr, code = run("""
def own(signum, frame):
    print("own", signum == signal.SIGTERM, steps.forwards, steps.training)

signal.signal(signal.SIGTERM, own)
steps = Signals(signal.SIGTERM)
model, history = train(steps)
print(history.epochs, model.Phi.tobytes() == after(5), signal.getsignal(signal.SIGTERM) is own)
""")
    assert (stdout, stderr, code) == ("own True 5 True\n0 True True\n", "", 0)


def test_a_signal_that_the_program_ignores_stays_ignored():
    stdout, stderr, code = run("""
signal.signal(signal.SIGINT, signal.SIG_IGN)
steps = Signals(signal.SIGINT)
model, history = train(steps, epochs=2)
print(history.epochs, steps.forwards, signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
""")
    assert (stdout, stderr, code) == ("2 16 True\n", "", 0)


def test_a_signal_during_an_error_is_not_lost():
    stdout, _, code = run("""
class Wrong(Signals):
    def backward(self, dY):
        raise ZeroDivisionError

def fails():
    model = nn.Sequential(nn.Linear(3, 3, rng=0), Wrong(signal.SIGTERM, at=1), nn.Linear(3, 1, rng=0))
    nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, 1e-3), verbose=0)

try:
    fails()
except ZeroDivisionError:
    print("went on as if there had been no signal")
""")
    assert (stdout, code) == ("", 143)


def test_interrupted_while_trying_the_validation_out_nothing_is_trained():
    stdout, _, _ = run("""
class InValidation(Signals):
    def forward(self, X):
        if not self.training:
            os.kill(os.getpid(), signal.SIGINT)
        return super().forward(X)

steps = InValidation()
model = nn.Sequential(steps, nn.Linear(3, 1, rng=0))
try:
    nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, 1e-3), epochs=5, batch_size=8, verbose=0,
           validation_data=(X[:1], Y[:1]))
except KeyboardInterrupt:
    print(steps.forwards)
""")
    assert stdout == "0\n"


def test_the_handlers_are_put_back():
    handlers = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    with Interrupts() as interrupted:
        assert interrupted.received is None
        assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] != handlers
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == handlers
    with pytest.raises(ZeroDivisionError), Interrupts():
        raise ZeroDivisionError
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_another_thread_trains_and_installs_nothing():
    handlers = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    seen, histories = [], []

    def metric(Y_pred, Y):
        seen.append([signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)])
        return 0.0

    def train():
        model = nn.Linear(1, 1)
        options = {"loss": nn.MSELoss(), "optimizer": nn.SGD(model, 0.1), "metrics": [metric], "verbose": 0}
        histories.append(nn.fit(model, np.ones((4, 1)), np.ones((4, 1)), **options))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert histories[0].epochs == 1
    assert seen
    assert all(each == handlers for each in seen)


@pytest.mark.parametrize(("signum", "code"), [("SIGINT", -signal.SIGINT), ("SIGTERM", 143)])
def test_the_user_is_told_at_once_and_when_the_batch_is_done(signum, code):
    _, err, returned = run(f"train(Signals(signal.{signum}), verbose=1)")
    assert returned == code
    told, done = err.splitlines()[-2:]
    assert (
        told
        == "stopping after this batch; "
        + {
            "SIGINT": "press Ctrl-C again to stop now",
            "SIGTERM": "a second signal stops it now",
        }[signum]
    )
    assert re.fullmatch(r"interrupted in epoch \d+, after batch \d+", done)
    assert all(line.startswith("epoch ") for line in err.splitlines()[:-2])


def test_another_error_after_a_caught_interrupt_shows_its_traceback():
    _, err, code = run("""
try:
    train(Signals(signal.SIGINT), verbose=1)
except KeyboardInterrupt:
    pass
1 / 0
""")
    assert code == 1
    assert "\ninterrupted in epoch 1, after batch 5\nTraceback" in err
    assert err.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize(("signum", "error"), [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "SystemExit")])
def test_the_best_weights_come_back_after_a_signal(signum, error):
    stdout, stderr, _ = run(f"""
model = nn.Sequential(Signals(signal.{signum}, at=8 * 4 + 3), nn.Linear(3, 1, rng=0))
optimizer, Phi = nn.SGD(model, 1e-3), []

class Worse(nn.Callback):
    def on_epoch_end(self, state):
        Phi.append(model.Phi.tobytes())
        state.values["loss"] = abs(state.epoch - 2)  # the second epoch is the best

stopping = nn.EarlyStopping("loss", patience=99)
try:
    nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=optimizer, epochs=10**9, batch_size=8, verbose=0,
           callbacks=[Worse(), stopping])
except {error}:
    print(len(Phi), stopping.best_epoch, model.Phi.tobytes() == Phi[1])
""")
    assert (stdout, stderr) == ("4 2 True\n", "")


def test_ctrl_c_while_a_source_hangs_is_answered_at_once():
    """The line comes before the batch ends."""
    code = """
import time

def source():
    yield X[:8], Y[:8]
    print("hangs", flush=True)
    time.sleep(600)

model = nn.Linear(3, 1)
nn.fit(model, source, loss=nn.MSELoss(), optimizer=nn.SGD(model, 1e-3))
"""
    program = subprocess.Popen(
        [sys.executable, "-c", TRAIN + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout.readline() == "hangs\n"
    program.send_signal(signal.SIGINT)
    assert program.stderr.readline() == "stopping after this batch; press Ctrl-C again to stop now\n"
    program.send_signal(signal.SIGINT)
    program.communicate(timeout=60)
    assert program.returncode == -signal.SIGINT


def interrupted():
    """A fit that is interrupted; the interrupt is caught."""
    model = nn.Linear(1, 1)
    send = type("Send", (), {"on_batch_end": lambda self, state: signal.raise_signal(signal.SIGINT)})()
    with pytest.raises(KeyboardInterrupt):
        nn.fit(model, np.ones((4, 1)), np.ones((4, 1)), loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), epochs=9,
               batch_size=2, callbacks=[send], verbose=0)  # fmt: skip


def test_the_hook_of_uncaught_exceptions_is_put_back():
    before = sys.excepthook
    for _ in range(3):
        interrupted()
    gc.collect()  # of the interrupts, which the hook lasts as long as
    assert sys.excepthook is before


def test_many_interrupts_that_are_not_yet_dropped_share_one_hook():
    """Their tracebacks are cycles, which the garbage collector finds late: a hook around each would nest too deeply."""
    gc.collect()
    before, printed = sys.excepthook, []
    sys.excepthook = print_error = lambda *error: printed.append(error[1])
    gc.disable()
    try:
        for _ in range(1000):
            interrupted()
        error = ValueError("an error of the program")
        sys.excepthook(ValueError, error, None)
        assert printed == [error]
    finally:
        gc.enable()
        gc.collect()
        restored, sys.excepthook = sys.excepthook, before
    assert restored is print_error


def test_a_handler_that_is_left_installed_passes_signals_on():
    """An exception between any two bytecodes, as from a handler of SIGALRM, may leave it so."""
    seen = []
    before = signal.signal(signal.SIGTERM, lambda signum, frame: seen.append(signum))
    own = signal.getsignal(signal.SIGTERM)
    try:
        interrupts = Interrupts()
        with interrupts:
            left = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, left)
        signal.raise_signal(signal.SIGTERM)
        assert seen == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is own
        signal.raise_signal(signal.SIGTERM)
        assert seen == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_second_signal_within_the_handler_of_the_first_is_not_swallowed():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda signum, frame: seen.append("own"))
    try:
        with Interrupts(lambda line: signal.raise_signal(signal.SIGTERM) if not seen else None) as interrupts:
            signal.raise_signal(signal.SIGTERM)
            assert interrupts.received == signal.SIGTERM
            assert seen == ["own"]  # the second one, at once
        assert seen == ["own", "own"]  # the first one, at the end
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_fit_within_a_callback_of_another_fit_ends_both():
    order = []

    class Inner(nn.Callback):
        def on_epoch_begin(self, state):
            try:
                interrupted()
            finally:
                order.append(signal.getsignal(signal.SIGINT))

    model = nn.Linear(1, 1)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        nn.fit(model, [[1.0]], [[1.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.1), epochs=9, verbose=0,
               callbacks=[Inner()])  # fmt: skip
    assert signal.getsignal(signal.SIGINT) is before


def test_a_line_that_cannot_be_written_is_no_reason_to_fail():
    def broken(line):
        raise RuntimeError("reentrant call")

    with pytest.raises(KeyboardInterrupt), Interrupts(broken):
        signal.raise_signal(signal.SIGINT)
