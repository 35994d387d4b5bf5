"""A training by several processes, one of which is killed at a random moment, again and again: then it is resumed.

    python tests/support/parallel_kills.py               20 kills of one of two processes
    python tests/support/parallel_kills.py 50 --ranks 3  50 of one of three

Each time all processes end within seconds, and at the end the training is, to the last bit, the undisturbed one.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from support.mpi import ended, start

import nnlite as nn

EPOCHS, BATCHES = 100, 8


def train(file: Path) -> None:
    """As one rank: train to the end, from the checkpoint if there is one, and write the parameters."""
    parallel = nn.DataParallel()
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(8 * BATCHES, 5)), rng.integers(0, 3, 8 * BATCHES)
    layers = nn.Linear(5, 8, rng=1), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3, rng=2), nn.Linear(8, 3, rng=3)
    model = nn.Sequential(*layers)

    class Slowly(nn.Callback):
        def on_batch_end(self, state: Any) -> None:
            if state.batch == 1:
                sys.stdout.write(f"{os.getpid()}\n")  # in one piece, beside those of other ranks
                sys.stdout.flush()
            time.sleep(0.01)

    done = nn.Checkpoint(file).epochs_done
    history = nn.fit(
        model, X, Y, loss=nn.CrossEntropyLoss(), optimizer=nn.Adam(model), epochs=EPOCHS - done, batch_size=8, rng=0,
        metrics=[nn.accuracy], verbose=0, resume=file if file.exists() else None,
        callbacks=[parallel, nn.Checkpoint(file, every=3, unit="batch"), Slowly()],
    )  # fmt: skip
    if parallel.rank == 0:
        np.savez(file.with_suffix(".done.npz"), Phi=model.Phi, **dict(model.named_buffers()), **history.to_dict())


def main(kills: int, ranks: int, seed: int) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, file = Path(folder, "whole.npz"), Path(folder, "file.npz")
        code, _, error = ended(start(ranks, Path(__file__), "--rank", whole))
        assert code == 0, error
        killed, slowest = 0, 0.0
        while killed < kills:
            process = start(ranks, Path(__file__), "--rank", file)
            pids = {int(process.stdout.readline()) for _ in range(ranks)}  # type: ignore[union-attr]
            time.sleep(chance.uniform(0, 0.4))
            os.kill(chance.choice(sorted(pids)), signal.SIGKILL)
            begin = time.monotonic()
            code, _, error = ended(process)
            assert code != 0, "it had ended before"
            while any(Path(f"/proc/{pid}").exists() for pid in pids):
                assert time.monotonic() < begin + 10, "a process is left"
                time.sleep(0.01)
            slowest = max(slowest, time.monotonic() - begin)
            killed += 1
            epochs = nn.Checkpoint(file).epochs_done
            print(f"{killed}: killed in epoch {epochs + 1}, all had ended after {slowest:.1f} s at most", flush=True)
        code, _, error = ended(start(ranks, Path(__file__), "--rank", file))
        assert code == 0, error
        with np.load(whole.with_suffix(".done.npz")) as expected, np.load(file.with_suffix(".done.npz")) as found:
            assert {*expected} == {*found}
            assert all(expected[name].tobytes() == found[name].tobytes() for name in expected)
        print("the resumed training is the undisturbed one, to the last bit")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, nargs="?", default=20)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rank", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    train(options.rank) if options.rank else main(options.kills, options.ranks, options.seed)
