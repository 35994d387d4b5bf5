"""One training in several processes is that in one, but for rounding; and errors, signals and kills end all of them."""

import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from support import parallel_cases
from support.mpi import ended, start
from support.sweeps import SWEEP

import nnlite as nn
from nnlite.training.interrupts import Interrupts

CASES = Path(parallel_cases.__file__)
FAILURES = CASES.with_name("parallel_failures.py")


def arrays(folder, ranks):
    """What each rank has found."""
    for rank in range(ranks):
        with np.load(folder / f"{rank} of {ranks}.npz") as file:
            yield dict(file)


def test_the_number_of_ranks_changes_nothing_but_rounding(tmp_path):
    for ranks in (1, 2, 3) if SWEEP == 1 else (1, 2, 3, 4, 5):
        code, _, error = ended(start(ranks, CASES, tmp_path))
        assert code == 0, error
        for found in arrays(tmp_path, ranks):
            if ranks == 1:
                alone = {name: value for name, value in found.items() if not name.startswith("stopped by")}
            for name, value in found.items():
                if name.startswith("one process, "):  # without DataParallel
                    assert value.tobytes() == found[name.removeprefix("one process, ")].tobytes(), name
                elif name.startswith("pieces of "):  # a checkpoint has the states of the sequences of all ranks
                    undisturbed = alone[f"pieces: {name.partition('resumed: ')[2]}"]
                    assert_allclose(value, undisturbed, rtol=1e-12, atol=1e-12, err_msg=f"{ranks} ranks, {name}")
                elif name in alone:
                    assert_allclose(value, alone[name], rtol=1e-12, atol=1e-12, err_msg=f"{ranks} ranks, {name}")
    undisturbed = parallel_cases.interrupted([])
    for ranks in 1, 2, 3:
        for found in arrays(tmp_path, ranks):
            for stopped in range(1, ranks + 1):  # those that had been stopped by then
                for name, value in undisturbed.items():
                    assert_allclose(found[f"stopped by {stopped}: {name}"], value, rtol=1e-12, atol=1e-12)
        resumed = parallel_cases.interrupted([], resumed=tmp_path / f"stopped by {ranks}.npz")
        assert_allclose(resumed["Phi"], undisturbed["Phi"], rtol=1e-12, atol=1e-12)


# How many epochs a training has ended that a callback stops in the second one, if it can.
STOPS = {
    "on_train_begin": "0",
    "on_epoch_begin": "1",
    "on_backward_end": "1",
    "on_batch_end": "1",
    "on_save": "1",
    "on_evaluation_begin": "2",
    "on_epoch_end": "2",
    "on_evaluation_end": "2",
}


def test_an_error_of_all_ranks_is_raised_on_all_and_says_what_differs():
    code, out, error = ended(start(2, FAILURES, "common"))
    assert code == 0, error
    lines = sorted(out.splitlines())
    told = {rank: {line.split()[1]: line for line in lines if line.startswith(rank)} for rank in "01"}
    expected = {
        "layers": ("ValueError True", "layer 0: out_features: 4 on rank 0, 5 on rank 1"),
        "data": ("ValueError True", "values of X: shape (20, 3), CRC", "on rank 1"),
        "options": ("ValueError True", "optimizer: lr: 0.1 on rank 0, 0.2 on rank 1"),
        "states": ("ValueError True", "state of optimizer 1: CRC"),
        "nan": ("DivergenceError True", "on rank 1 of 2: the loss is nan in epoch 1, batch 1: X[14, 2] is nan"),
        "overflow": ("DivergenceError False", "What may help: a smaller learning rate"),
        "shapes": ("ShapeError True", "expected 3 features, got 2"),
        "batches": ("ValueError False", "1 of 2 ranks have no further batch"),
        "replicas": ("ValueError False", "after epoch 1 the parameters of rank 1 and of rank 0 differ"),
        "second": ("ValueError True", "pass [nn.DataParallel(), ...]"),
        "compiled": ("ValueError True", "compiled: expected False"),
        "minimize": ("ValueError True", "train with nnlite.fit"),
    }
    assert told["0"].pop("seeds:")[1:] == told["1"].pop("seeds:")[1:]  # those of rank 0 are used
    for hook, epochs in STOPS.items():
        for who, other in ("01", "10"):
            stopped, told_of = (told[rank].pop(f"{hook}-{who}:").split(maxsplit=5) for rank in (who, other))
            assert stopped[2] == epochs, (hook, who)
            assert stopped[2:] == told_of[2:5], (hook, who)
            assert told_of[5].startswith("stopped ")
            assert told_of[5].endswith(" by a callback of another rank")
    for rank in "01":
        worst, *others = told[rank].pop("compressed:").split(maxsplit=3)[2:]
        assert 0 < float(worst) < 2**-9  # each of two numbers, and their mean, rounded to 11 bits
        assert others == ["[2.0, nan, inf, -2.0] [0.0, 0.0, 0.0]"]
        assert 0 < float(told[rank].pop("halves:").split()[2]) < 1e-2
        assert told[rank].pop("comm:") == f"{rank} comm: True 2 1"
        assert told[rank].keys() == {f"{name}:" for name in expected}
        for name, (what, *parts) in expected.items():
            line = told[rank][f"{name}:"]
            assert line.startswith(f"{rank} {name}: {what}:"), line
            assert all(part in line for part in parts), line


@pytest.mark.parametrize("how", ["raise", "kill", "before"][: 2 if SWEEP == 1 else 3])
def test_an_error_of_one_rank_ends_all_and_the_checkpoint_stands(how, tmp_path):
    code, out, error = ended(start(2, FAILURES, how, tmp_path / "c.npz"))  # MPI alone would wait for ever
    assert code != 0
    assert "ends" not in out
    if how == "kill":
        assert "signal 9" in out + error
    else:
        assert "rank 1 of 2 ended all ranks, by this error:\nTraceback" in error
        assert error.count("LookupError: the reason") == 1
    if how != "before":
        assert nn.Checkpoint(tmp_path / "c.npz").epochs_done in (2, 3)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no such signal")
@pytest.mark.parametrize("name", ["SIGUSR1", "SIGINT", "SIGTERM"])
def test_a_signal_to_mpiexec_stops_all_ranks_after_the_same_batch(name, tmp_path):
    process = start(2, FAILURES, "endless", tmp_path / "c.npz")
    while process.stdout.readline() not in ("trains\n", ""):
        pass
    process.send_signal(getattr(signal, name))
    code, out, error = ended(process)
    assert code == 128 + signal.Signals[name]
    assert nn.Checkpoint(tmp_path / "c.npz").epochs_done >= 3  # written by the interrupt alone
    own = [line for line in out.splitlines() if not line.startswith("[mpiexec")]  # MPICH has a line for Ctrl-C
    assert own == [f"ends {code}"] * 2
    assert error.count("stopping after this batch") == error.count("interrupted ") == 1


def test_a_rank_that_has_ended_without_training_ends_those_that_wait_for_it(tmp_path):
    code, _, error = ended(start(2, FAILURES, "caught", tmp_path / "c.npz"))
    assert code != 0
    assert "rank 1 has ended, or ends, where rank 0 begins a training" in error


def test_without_mpi4py_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError) as caught:
        nn.DataParallel()
    assert "install nnlite's extra 'mpi'" in caught.value.__notes__[0]


def test_a_second_signal_is_left_to_mpiexec_where_there_are_several_processes():
    """It may send several; alone, a second Ctrl-C ends the program at once."""
    done = []

    def train():
        with Interrupts(several=True) as interrupts:
            for _ in range(3):
                signal.raise_signal(signal.SIGINT)
            interrupts.tell(signal.SIGTERM)
            done.append(interrupts.received)

    with pytest.raises(KeyboardInterrupt) as caught:
        train()
    assert done == [signal.SIGINT]
    assert caught.value.code == 130  # with which the process ends, not by the signal, which mpiexec takes for a crash
