"""Trainings by two processes that go wrong.

    mpiexec -n 2 python tests/support/parallel_failures.py common         errors that all ranks raise, which it prints
    mpiexec -n 2 python tests/support/parallel_failures.py HOW FILE       rank 1 alone fails in the third epoch
    mpiexec -n 2 python tests/support/parallel_failures.py endless FILE   trains until a signal comes

with checkpoints in FILE: of each epoch, of the endless one only at its end.
"""

import os
import signal
import sys
from typing import Any

import numpy as np

import nnlite as nn

RANK = nn.DataParallel().rank
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))


def network(width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, width, rng=1), nn.BatchNorm1d(width), nn.Tanh(), nn.Linear(width, 1, rng=2))


def train(callbacks: Any = (), model: Any = None, X: Any = X, Y: Any = Y, lr: Any = 0.1, **options: Any) -> nn.Layer:
    model = network() if model is None else model
    optimizer = nn.SGD(model, lr=lr, momentum=0.5)
    for _ in range(options.pop("steps", 0)):
        optimizer.step()
    options = {"loss": nn.MSELoss(), "batch_size": 8, "rng": 3, "verbose": 0} | options
    nn.fit(model, X, Y, optimizer=optimizer, callbacks=[nn.DataParallel(), *callbacks], **options)
    return model


def told(name: str, train: Any = train, **options: Any) -> None:
    """Train, and print the error of this rank."""
    model = options.setdefault("model", network())
    before = model.Phi.copy()
    try:
        train(**options)
    except Exception as error:
        notes = " ".join(getattr(error, "__notes__", []))
        kept = np.array_equal(model.Phi, before)
        sys.stdout.write(f"{RANK} {name}: {type(error).__name__} {kept}: {error} {notes}".replace("\n", " ") + "\n")


def other_parameters(state: Any) -> None:
    state.model.Phi *= 1 + RANK


def compressed() -> str:
    """How far sums by float16 are from the exact ones, in shares of the largest number; "differ" if ranks do."""
    from mpi4py import MPI

    from nnlite.parallel.float16_sums import add_up_in_float16
    from nnlite.parallel.ranks import ranks_of

    ranks, own, worst = ranks_of(), np.random.default_rng(RANK), 0.0
    for size in 1, 2, 7, 1000:
        for scale in 1e-38, 1e-20, 1.0, 1e38:
            for dtype in np.float32, np.float64:
                mine = (own.uniform(-1, 1, size) * scale).astype(dtype)
                each, total = MPI.COMM_WORLD.allgather(mine.astype(float) / scale), mine.copy()
                with np.errstate(over="raise"):
                    add_up_in_float16(ranks, total)
                if len(set(MPI.COMM_WORLD.allgather(total.tobytes()))) > 1:
                    return "differ"
                worst = max(
                    worst, np.abs(total / scale - sum(each)).max() / max(np.abs(np.concatenate(each)).max(), 1e-9)
                )
    special = np.array([1.0, np.nan, np.inf, -1.0])
    add_up_in_float16(ranks, special)
    zeros = np.zeros(3)
    add_up_in_float16(ranks, zeros)
    return f"{worst} {special.tolist()} {zeros.tolist()}"


class Stopping:
    """Stops the training of one rank in one of the methods of callbacks, from the second epoch on if there is one."""

    def __init__(self, hook: str, who: int) -> None:
        self.hook, self.who = hook, who
        setattr(self, hook, self.stop)

    def stop(self, state: Any) -> bool:
        return bool(self.who == RANK and (state.epoch > 1 or self.hook == "on_train_begin"))


def common() -> None:
    wrong = X.copy()
    wrong[14, 2] = np.nan
    own_seeds = nn.Sequential(nn.Linear(3, 4, rng=RANK), nn.Dropout(0.5, rng=RANK), nn.Linear(4, 1, rng=RANK))
    train(model=own_seeds, rng=RANK, epochs=2)
    sys.stdout.write(f"{RANK} seeds: {own_seeds.Phi.tolist()}\n")
    from mpi4py import MPI

    same, alone = nn.DataParallel(comm=MPI.COMM_WORLD), nn.DataParallel(comm=MPI.COMM_SELF)
    sys.stdout.write(f"{RANK} comm: {same.rank == RANK} {same.ranks} {alone.ranks}\n")
    for hook in nn.Callback.__dict__:
        for who in (0, 1) if hook.startswith("on_") and hook != "on_train_end" else ():
            stopping = Stopping(hook, who)
            history = nn.fit(model := network(), X, Y, loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.1), batch_size=8,
                             epochs=4, rng=3, verbose=0, callbacks=[nn.DataParallel(), stopping])  # fmt: skip
            found = f"{len(history.to_dict().get('loss', []))} epochs {model.Phi.sum()!r}"
            sys.stdout.write(f"{RANK} {hook}-{who}: {found} {history.remark if who != RANK else ''}\n")
    sys.stdout.write(f"{RANK} compressed: {compressed()}\n")
    exact = train(epochs=3).Phi
    halves, options = network(), {"loss": nn.MSELoss(), "epochs": 3, "batch_size": 8, "rng": 3, "verbose": 0}
    nn.fit(
        halves,
        X,
        Y,
        optimizer=nn.SGD(halves, lr=0.1, momentum=0.5),
        callbacks=[nn.DataParallel(compress=True)],
        **options,
    )
    sys.stdout.write(f"{RANK} halves: {np.abs(halves.Phi - exact).max()}\n")
    told("layers", model=network(4 + RANK))
    told("data", X=X + (RANK == 1))
    told("options", lr=0.1 + 0.1 * RANK)
    told("states", steps=RANK)
    told("nan", X=wrong, shuffle=False, batch_size=20)
    told("overflow", lr=1e30, epochs=50)
    told("shapes", X=X[:, :2])
    count = 2 + RANK
    told("batches", X=lambda: ((X[:6], Y[:6]) for _ in range(count)), Y=None)
    told("replicas", callbacks=[other_parameters])
    told("compiled", compiled=True)
    options = {"X": X, "Y": Y, "loss": nn.MSELoss(), "callbacks": [nn.DataParallel()], "verbose": 0}
    told("minimize", train=nn.minimize, model=nn.Linear(3, 1), **options)
    model = network()
    options |= {"callbacks": [nn.EarlyStopping("loss"), nn.DataParallel()], "optimizer": nn.SGD(model, lr=0.1)}
    told("second", train=nn.fit, model=model, **options)


def main(how: str, path: str) -> None:
    def on_epoch_end(state: Any) -> None:
        if how == "endless" and state.epoch == 3 and RANK == 0:
            print("trains", flush=True)
        if state.epoch == 3 and RANK == 1:
            if how == "raise":
                raise LookupError("the reason")
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)

    if how == "before" and RANK == 1:
        raise LookupError("the reason")
    if how == "caught" and RANK == 1:
        return
    checkpoint = nn.Checkpoint(path, every=10**9 if how == "endless" else 1)
    try:
        train([checkpoint, on_epoch_end], epochs=10**6, verbose=int(how == "endless"))
    except SystemExit as end:
        sys.stdout.write(f"ends {end.code}\n")  # in one piece, beside those of other ranks
        raise


if __name__ == "__main__":
    common() if sys.argv[1] == "common" else main(*sys.argv[1:])
