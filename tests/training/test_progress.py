"""Progress: one bar on a terminal, a few plain lines in a file, nothing where nobody looks."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
from support.sweeps import every

import nnlite as nn
from nnlite.training import progress
from nnlite.training.progress import Bar, Lines, Silent, listing

TRAIN = """
import sys
import nnlite as nn

@nn.mean_over_batches
def row_count(Y_pred, Y):
    return float(len(Y))

def wrong(Y_pred, Y):
    raise ZeroDivisionError("my metric")

def train(epochs, metrics=(row_count,), **options):
    model = nn.Linear(1, 1, rng=0)
    return nn.fit(model, [[1.0]] * 10, [[2.0]] * 10, loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.0),
                  epochs=epochs, batch_size=5, metrics=metrics, **options)
"""


def on_terminal(code, columns=100):
    """What a program writes to stderr where that is a terminal, and its exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    program = subprocess.Popen([sys.executable, "-c", TRAIN + code], stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:  # the terminal's other side is closed
        pass
    os.close(ours)
    return written.decode(), program.wait()


def in_file(code, path):
    """What a program writes to stderr where that is a file, and its exit code."""
    with open(path, "wb") as stderr:
        program = subprocess.run([sys.executable, "-c", TRAIN + code], stderr=stderr, check=False)
    return path.read_text(), program.returncode


# ------------------------------------------------------------------------------------------------ on a terminal


def test_a_terminal_shows_one_bar_that_ends_on_one_line_with_epoch_loss_and_metrics():
    written, code = on_terminal("train(3, validation_data=([[1.0]], [[2.0]]))")
    assert code == 0
    assert written.count("\n") == 1
    assert written.endswith("\r\n")
    first, *_, last = written.strip("\r\n").split("\r")
    assert "epoch 1/3" in first
    values = r"loss=[\d.]+ \(val [\d.]+\), row_count=5 \(val 1\)"
    assert re.fullmatch(rf"epoch 3/3 100%\|█+\| 00:00<00:00, {values}", last.rstrip())


@pytest.mark.parametrize("columns", [40, 80])
def test_the_bar_fits_a_narrow_terminal(columns):
    written, _ = on_terminal("train(3)", columns)
    assert max(len(line.rstrip()) for line in re.split("[\r\n]", written)) <= columns
    assert "epoch 3/3" in written
    assert "loss=" in written


@pytest.mark.parametrize("columns", every(2, [80, 40, 59, 30, 60, 70, 150, 100]))
def test_values_are_whole_or_not_on_the_bar(columns):
    code = """
@nn.mean_over_batches
def binary_accuracy(Y_pred, Y):
    return 0.9931

train(12, [binary_accuracy, row_count], validation_data=([[1.0]], [[2.0]]))
"""
    written, _ = on_terminal(code, columns)
    lines = [line.rstrip() for line in re.split("[\r\n]", written)]
    number = r"\d(\.\d{1,3})?"
    whole = [f"loss={number}", rf"loss={number} \(val {number}\)", r"binary_accuracy=0.9931( \(val 0.9931\))?",
             r"row_count=5( \(val 1\))?"]  # fmt: skip
    for line in lines:
        values = line.split(", ")[1:]
        assert len(line) <= columns
        assert all(any(re.fullmatch(form, value) for form in whole) for value in values), line
    last = [line for line in lines if line.startswith("epoch 12/12")][-1]
    assert last.count("=") == {30: 0, 40: 1, 59: 1, 60: 1, 70: 1, 80: 1, 100: 2, 150: 3}[columns], last


def test_an_error_closes_the_bar_before_its_traceback():
    written, code = on_terminal("train(3, [wrong])")
    bar, traceback = written.split("\r\nTraceback ")
    assert code == 1
    assert bar.count("\n") == 0
    assert traceback.rstrip().endswith("ZeroDivisionError: my metric")


def test_a_signal_closes_the_bar_before_it_takes_its_course():
    written, code = on_terminal("""
import os, signal

@nn.mean_over_batches
def stop(Y_pred, Y):
    os.kill(os.getpid(), signal.SIGTERM)
    return 0.0

signal.signal(signal.SIGTERM, lambda *args: print("handler", file=sys.stderr))
train(3, [stop])
""")
    assert code == 0
    assert written.count("\n") == 4
    assert written.index("stopping after this batch") < written.index("interrupted in")
    assert "interrupted in epoch 1, after batch 1\r\n" in written
    assert written.endswith("\r\nhandler\r\n")


PRINTING = """
class Print(nn.Callback):
    def on_batch_end(self, state):
        print("batch", state.batch, file=sys.stderr)

    def on_epoch_end(self, state):
        print("epoch", state.epoch, "is done", file=sys.stderr)
        if state.epoch == 2 and len(state.callbacks) == 1:
            train(1, callbacks=[Print(), lambda state: None])

before = sys.stdout, sys.stderr
train(2, callbacks=[Print()])
assert (sys.stdout, sys.stderr) == before
"""


def test_what_callbacks_print_stands_on_lines_of_its_own():
    """As of keras#9366: a bar and the lines that a callback prints, here also from a fit within another one."""
    written, code = on_terminal(PRINTING)
    assert code == 0
    lines = [re.sub(r"\x1b\[A", "", line).rstrip("\r").split("\r")[-1].rstrip() for line in written.split("\n")]
    epoch = ["batch 1", "batch 2", "epoch 1 is done"]
    assert [line for line in lines if re.fullmatch(r"(batch|epoch) \d( is done)?", line)] == [
        *epoch, *epoch[:2], "epoch 2 is done", *epoch
    ]  # fmt: skip
    assert lines[-2].startswith("epoch 2/2 100%")


def test_no_epochs_show_no_nonsense_on_a_terminal():
    written, code = on_terminal("train(0)")
    assert code == 0
    assert "1/0" not in written
    assert "?" not in written


def test_verbose_0_writes_nothing_on_a_terminal():
    assert on_terminal("train(3, verbose=0)") == ("", 0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_counts_every_batch_and_shows_the_running_epochs_means():
    stderr = Terminal()
    with Bar(2, 3, file=stderr, mininterval=0) as bar:
        assert (bar.bar.total, bar.bar.desc) == (6, "epoch 1/2")
        bar.batch(lambda: {"loss": 0.25})
        bar.batch(lambda: {"loss": 0.5})
        assert "loss=0.25" in stderr.getvalue()
        bar.batch(lambda: {"loss": 0.5})
        assert bar.bar.n == 3
        bar.epoch(1, {"loss": 0.75, "val_loss": 0.125})
        assert bar.bar.desc == "epoch 2/2"
        bar.batch(lambda: {"loss": 0.375})
        bar.batch(lambda: {"loss": 0.375})
        assert stderr.getvalue().endswith(", loss=0.375 (val 0.125)")  # the last known validation
        bar.batch(lambda: {"loss": 0.375})
        bar.epoch(2, {"loss": 0.0625})
        assert bar.bar.desc == "epoch 2/2"
        assert stderr.getvalue().rstrip().endswith(", loss=0.0625")  # the last values, drawn at once
    assert bar.bar.disable  # closed


def test_only_a_terminal_gets_what_is_printed_above_the_bar(monkeypatch):
    stdout, stderr = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(sys, "stderr", stderr)
    with Bar(1, 1):
        assert sys.stdout is stdout
        assert sys.stderr is not stderr
    assert sys.stderr is stderr
    monkeypatch.setitem(sys.modules, "ipykernel", io)
    with Bar(1, 1):
        assert sys.stderr is stderr


def test_a_bar_of_unknown_length_fits_the_line_up_to_a_billion_batches(monkeypatch):
    monkeypatch.setattr(progress, "_columns", lambda stream: 80)
    widths = []
    for length in range(1, 50):
        stderr = Terminal()
        with Bar(1, None, file=stderr, mininterval=0) as bar:
            bar.bar.n = 10**9 - 2
            bar.batch(lambda length=length: {"x" * length: 0.5})
            bar.bar.refresh()
            widths.append(len(stderr.getvalue().split("\r")[-1].rstrip()))
    assert max(widths) == 80


def test_means_are_not_computed_for_a_batch_that_is_not_drawn():
    calls = []
    with Bar(1, 1000, file=Terminal(), mininterval=1e9) as bar:
        for _ in range(1000):
            bar.batch(lambda: calls.append(1) or {})
    assert calls == []


# ------------------------------------------------------------------------------------------------ in a file


def test_a_file_gets_a_line_an_epoch_of_few_and_no_control_characters(tmp_path):
    written, code = in_file("train(3)", tmp_path / "log")
    assert code == 0
    lines = written.splitlines()
    assert [re.sub(r"loss=\d\S*,", "loss=...,", line) for line in lines] == [
        f"epoch {epoch}/3  loss=..., row_count=5" for epoch in (1, 2, 3)
    ]
    assert written.isprintable() or set(written) & set(map(chr, range(32))) == {"\n"}


def test_1000_epochs_are_at_most_25_lines_in_a_file_with_the_first_and_the_last(tmp_path):
    written, _ = in_file("train(1000)", tmp_path / "log")
    epochs = [int(re.match(r"epoch (\d+)/1000  loss=", line)[1]) for line in written.splitlines()]
    assert epochs == [1, *range(50, 1001, 50)]
    assert set(written) & set(map(chr, range(32))) == {"\n"}


def test_every_line_is_in_the_file_at_once(tmp_path):
    # The process ends without cleaning up after its first epoch, so only what is written at once is there.
    code = """
import os

@nn.mean_over_batches
def leave(Y_pred, Y):
    leave.calls += 1
    leave.calls == 3 and os._exit(7)
    return 0.0
"""
    written, returncode = in_file(code + "\nleave.calls = 0\ntrain(3, [leave])", tmp_path / "log")
    assert (written.count("\n"), returncode) == (1, 7)


def test_what_was_printed_before_comes_before_where_both_go_into_one_file(monkeypatch):
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(file))
    print("before")
    with progress.progress(1, 1, verbose=1) as lines:
        lines.epoch(1, {"loss": 0.5})
    assert file.getvalue() == b"before\nepoch 1/1  loss=0.5\n"


def test_verbose_0_writes_nothing_in_a_file(tmp_path):
    assert in_file("train(3, verbose=0)", tmp_path / "log") == ("", 0)


@pytest.mark.parametrize("epochs", [1, 19, 20, 21, 39, 40, 41, 999])
def test_lines_are_at_most_21_and_end_with_the_last_epoch(epochs, capsys):
    lines = Lines(epochs)
    for number in range(1, epochs + 1):
        lines.epoch(number, {"loss": 1.0})
    written = capsys.readouterr().err.splitlines()
    assert written[0] == f"epoch 1/{epochs}  loss=1"
    assert written[-1] == f"epoch {epochs}/{epochs}  loss=1"
    assert min(epochs, 10) <= len(written) <= 21
    assert len(set(written)) == len(written)


def test_a_slow_training_writes_a_line_a_minute(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = Lines(1000)
    for number in range(1, 11):  # 25 seconds an epoch: epoch 1, then those that end a minute or more after a line
        now[0] += 25.0
        lines.epoch(number, {"loss": 1.0})
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == [
        "1/1000",
        "4/1000",
        "7/1000",
        "10/1000",
    ]


def test_a_line_is_due_after_60_seconds_exactly(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = Lines(1000)
    for now[0], number in [(59.0, 2), (60.0, 3), (119.0, 4)]:
        lines.epoch(number, {"loss": 1.0})
    assert capsys.readouterr().err == "epoch 3/1000  loss=1\n"


# ------------------------------------------------------------------------------------------------ the choice


@pytest.mark.parametrize(
    ("stderr", "kind"), [(Terminal(), Bar), (io.StringIO(), Lines), (None, Silent)], ids=["terminal", "file", "missing"]
)
def test_stderr_decides(stderr, kind, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stderr)
    assert type(progress.progress(2, 3, verbose=1)) is kind
    assert type(progress.progress(2, 3, verbose=True)) is kind
    assert type(progress.progress(2, 3, verbose=0)) is Silent


def test_a_notebook_gets_a_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setitem(sys.modules, "ipykernel", io)
    assert type(progress.progress(2, 3, verbose=1)) is Bar


def test_a_saved_notebook_shows_the_end_of_the_bar(monkeypatch):
    """A notebook keeps the text of a stream; of a widget only the text that it had at first."""
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setitem(sys.modules, "ipykernel", io)
    model = nn.Linear(1, 1, bias=False)
    model.W = [[1.0]]
    nn.fit(model, [[1.0]], [[3.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.0), epochs=3)
    assert sys.stderr is stderr
    assert re.fullmatch(r"epoch 3/3 100%\|[█#]+\| 00:00<00:00, loss=4\s*", stderr.getvalue().split("\r")[-1])


@pytest.mark.parametrize("verbose", [5, 2, -1, "1", None])
def test_another_verbose_is_an_error(verbose):
    with pytest.raises(ValueError, match=r"verbose: expected 0 \(silent\) or 1 .*, got " + re.escape(repr(verbose))):
        progress.progress(2, 3, verbose)


@pytest.mark.parametrize("stderr", ["sys.stderr.close()", "sys.stderr = None"])
def test_a_closed_or_missing_stderr_does_no_harm(stderr, tmp_path):
    assert in_file(f"{stderr}\nassert train(3).epochs == 3", tmp_path / "log") == ("", 0)


def test_a_process_without_stderr_trains():
    code = TRAIN + "assert sys.stderr is None\nassert train(3).epochs == 3"
    program = subprocess.run(["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code], check=False)
    assert program.returncode == 0


def test_a_reader_that_has_gone_does_not_stop_the_training():
    ours, theirs = os.pipe()
    os.close(ours)
    code = TRAIN + "assert train(3).epochs == 3\nprint('trained')\nsys.stdout.flush()"
    program = subprocess.run([sys.executable, "-c", code], stderr=theirs, stdout=subprocess.PIPE, check=False)
    os.close(theirs)
    assert program.stdout == b"trained\n"


def test_a_stderr_that_only_writes_gets_lines(monkeypatch):
    class OnlyWrites:
        text = ""

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    monkeypatch.setattr(sys, "stderr", OnlyWrites())
    model = nn.Linear(1, 1)
    nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, 0.0))
    assert sys.stderr.text.startswith("epoch 1/1  loss=")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.69314718, "0.6931"),
        (0.5, "0.5"),
        (12345.678, "1.235e+04"),
        (0.000234567, "0.0002346"),  # as of keras#1203, which shows four places: 0.0002
        (1e-9, "1e-09"),
        (float("nan"), "nan"),
    ],
)
def test_values_have_four_digits(value, text):
    assert listing({"loss": value, "val_loss": value}) == f"loss={text} (val {text})"


def test_a_validation_value_stands_behind_its_own_and_one_without_its_own_alone():
    values = {"loss": 1.0, "accuracy": 2.0, "val_loss": 3.0, "val_accuracy": 4.0, "val_other": 5.0, "value": 6.0}
    assert listing(values) == "loss=1 (val 3), accuracy=2 (val 4), val_other=5, value=6"


def test_a_terminal_of_no_size_gets_lines(monkeypatch):
    ours, theirs = os.openpty()
    with open(theirs, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        for rows, kind in (0, Lines), (24, Bar):
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
            assert type(progress.progress(2, 3, verbose=1)) is kind
    os.close(ours)
