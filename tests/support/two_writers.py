"""Two processes that save to one path again and again, while a third one loads what is there.

    python tests/support/two_writers.py                  1,000 saves by each of the two
    python tests/support/two_writers.py --saves 10000

Each file that is loaded is whole, one of the two that are written; no save fails, and no temporary file is left.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import nnlite as nn

WRITER = """
import sys
import numpy as np, nnlite as nn
path, number, saves = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
state = {"a": np.full(3000 * (number + 1), number), "b": np.float32(number)}
for _ in range(saves):
    nn.save(state, path)
"""


def hammered(path: Path, saves: int) -> int:
    """How often the file was loaded while two processes saved to it."""
    nn.save({"a": np.zeros(3000), "b": np.float32(0)}, path)
    command = [sys.executable, "-W", "error", "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, str(number), str(saves)]) for number in range(2)]
    loads = 0
    while any(writer.poll() is None for writer in writers):
        state = nn.load(path)
        number = int(state["b"])
        assert state["a"].shape == (3000 * (number + 1),)
        assert (state["a"] == number).all()
        loads += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert os.listdir(path.parent) == [path.name]
    return loads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saves", type=int, default=1000)
    saves = parser.parse_args().saves
    with tempfile.TemporaryDirectory() as folder:
        loads = hammered(Path(folder, "model.npz"), saves)
    print(f"{2 * saves} saves by 2 processes, {loads} loads: each file whole")


if __name__ == "__main__":
    main()
