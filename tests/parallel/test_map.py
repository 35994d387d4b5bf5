"""map: results in order, failures kept, threads limited, processes that are killed."""

import math
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest
from support.mapped import ends, killed, raises, train

import nnlite as nn


def test_trainings_are_those_of_a_loop_in_order_and_processes_have_one_thread(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    seeds, rates = [3, 1, 2], [0.1, 0.2, 0.01]
    results = nn.parallel.map(train, seeds, rates, workers=2, threads=1, verbose=0)
    assert results == [(train(seed, lr)[0], "1") for seed, lr in zip(seeds, rates, strict=True)]


def test_failures_are_kept_in_their_places():
    results = nn.parallel.map(raises, range(5), workers=1, verbose=0)
    assert [results[0], results[4]] == [0, 4]
    one, two, three = results[1:4]
    assert isinstance(one.error, ValueError)
    assert one.arguments == (1,)
    assert "in raises" in one.traceback
    assert repr(one) == "Failure(1 -> ValueError: one is wrong)"
    assert str(two.error) == "NeedsTwoError: this and that"
    assert "pickle" in str(three.error)


def test_sys_exit_in_a_call_ends_that_call_only():
    zero, one, two = nn.parallel.map(ends, range(3), workers=1, verbose=0)
    assert (zero, two) == (0, 2)
    assert repr(one) == "Failure(1 -> SystemExit: no data)"


def test_a_killed_process_costs_its_own_call_only(tmp_path):
    results = nn.parallel.map(killed, range(6), [str(tmp_path)] * 6, workers=2, verbose=0)
    assert [result for number, result in enumerate(results) if number != 1] == [0, 2, 3, 4, 5]
    assert isinstance(results[1].error, BrokenProcessPool)
    calls = [len((tmp_path / str(number)).read_text()) for number in range(6)]
    assert calls[1] == max(calls) == 2  # once beside others, and once alone


def test_another_executor_is_used_and_stays_open():
    with ThreadPoolExecutor(2) as executor:
        assert nn.parallel.map(math.sqrt, [4.0, 9.0], executor=executor) == [2.0, 3.0]
        assert nn.parallel.map(lambda x, y: x + y, [1, 2], [3, 4], executor=executor) == [4, 6]
        assert isinstance(nn.parallel.map(math.sqrt, [-1.0], executor=executor)[0], nn.parallel.Failure)


INTERRUPTED = """
import sys, time
import nnlite as nn

def tell(state):
    if state.epoch == 2:
        print(1, flush=True)

def work(number):
    if number == 1:
        model = nn.Linear(1, 1, rng=0)
        nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), epochs=10**7, verbose=0,
               callbacks=[nn.Checkpoint(sys.argv[1], every=10**9), tell])
    if number:
        print(number, flush=True)
        time.sleep(100)
    return number

if __name__ == "__main__":
    try:
        nn.parallel.map(work, range(4), workers=2, verbose=0)
    except KeyboardInterrupt as interrupt:
        print(interrupt.results)
"""


@pytest.mark.parametrize("to", [os.killpg, os.kill])
def test_ctrl_c_leaves_what_is_done(to, tmp_path):
    """A terminal sends SIGINT to all processes, a notebook to one."""
    program = tmp_path / "search.py"
    program.write_text(INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "c.npz")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert sorted(process.stdout.readline() for _ in range(2)) == ["1\n", "2\n"]
    to(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    failures = [f"Failure({number} -> KeyboardInterrupt: )" for number in (1, 2, 3)]
    assert out.splitlines()[-1] == f"[0, {', '.join(failures)}]"
    assert nn.Checkpoint(tmp_path / "c.npz").epochs_done >= 2  # of the training that was running


def test_ctrl_c_drops_what_waits_in_another_executor():
    begun, released = [], threading.Event()

    def work(number):
        begun.append(number)
        if number == 1:
            raise KeyboardInterrupt
        if number == 2:
            released.wait(60)
        return number

    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(KeyboardInterrupt) as caught:
            nn.parallel.map(work, range(9), executor=executor, verbose=0)
        released.set()
    assert begun in ([0, 1], [0, 1, 2])
    assert caught.value.results[0] == 0
    assert all(isinstance(each, nn.parallel.Failure) for each in caught.value.results[1:])


def test_nothing_to_do():
    assert nn.parallel.map(math.sqrt, [], verbose=0) == []


def test_a_program_without_a_guard_is_told_the_line(tmp_path):
    program = tmp_path / "search.py"
    program.write_text("import math, nnlite as nn\nnn.parallel.map(math.sqrt, [4.0], verbose=0)\n")
    run = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert 'RuntimeError: map: no process could start; call map below if __name__ == "__main__":' in run.stderr


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((3, [1]), {}, TypeError, "map: expected a function, got 3"),
        ((lambda x: x, [1]), {}, TypeError, "define it with def at the top level of a module"),
        ((math.pow, [1, 2], [3]), {}, ValueError, r"iterables of one length, got lengths \[1, 2\]"),
        ((math.sqrt, [1]), {"workers": 0}, ValueError, "map: workers"),
        ((math.sqrt, [1]), {"threads": 1.5}, TypeError, "map: threads"),
        ((math.sqrt, [1]), {"verbose": 2}, ValueError, "verbose: expected 0"),
        ((math.sqrt,), {}, TypeError, "map: expected at least one iterable"),
    ],
)
def test_bad_arguments(arguments, options, error, message):
    with pytest.raises(error, match=message):
        nn.parallel.map(*arguments, **options)
