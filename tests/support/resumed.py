"""A real training script that is killed and started again ends in the very bytes of the one that nobody disturbed.

python tests/support/resumed.py              thirty kills at random moments, in ten trainings: a minute or two
python tests/support/resumed.py --kills 300
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SCRIPT = """
import sys, time
from pathlib import Path
import numpy as np, nnlite as nn

path, slow = Path(sys.argv[1]), float(sys.argv[2])
X = np.random.default_rng(0).normal(size=(200, 4))
Y = (X[:, :1] > 0) * 1.0
rng = np.random.default_rng(1)
model = nn.Sequential(nn.Linear(4, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng), nn.Sigmoid())
class Slow(nn.Callback):
    def on_batch_end(self, state):
        time.sleep(slow)
checkpoint = nn.Checkpoint(path, unit="batch")
nn.fit(model, X, Y, loss=nn.BCELoss(), optimizer=nn.SGD(model, lr=0.5, momentum=0.9), batch_size=20, rng=rng, verbose=0,
       validation_split=0.1, epochs=6 - checkpoint.epochs_done, resume=path if path.exists() else None,
       callbacks=[nn.EarlyStopping(patience=9, restore_best_weights=False), checkpoint, Slow()])
sys.stdout.write(model.Phi.tobytes().hex())
"""


def start(path: Path, slow: float) -> subprocess.Popen:
    """The script, which sleeps after each batch."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(path), str(slow)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(path: Path) -> str:
    """The weights, as hexadecimal digits, when the script has come to its end."""
    out, err = start(path, 0).communicate(timeout=60)
    assert err == ""
    return out


def killed(path: Path, times: int, rng: np.random.Generator) -> str:
    """The weights of a training that is killed so many times, each at a random moment after it has got further."""
    for _ in range(times):
        process = start(path, 0.004)
        deadline = time.monotonic() + 20
        before = path.stat().st_mtime_ns if path.exists() else 0
        while time.monotonic() < deadline and (path.stat().st_mtime_ns if path.exists() else 0) == before:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
    return finish(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    options = parser.parse_args()
    rng, done = np.random.default_rng(), 0
    with tempfile.TemporaryDirectory() as folder:
        whole = finish(Path(folder, "whole.npz"))
        while done < options.kills:
            path = Path(folder, f"killed{done}.npz")
            if killed(path, 3, rng) != whole:
                sys.exit(f"another end after the kills {done + 1} to {done + 3}")
            done += 3
            print(f"{done} kills, the same bytes each time")


if __name__ == "__main__":
    main()
