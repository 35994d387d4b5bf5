"""What is left of a file when the process that replaces it is killed, or the disk is full, at any byte.

    python tests/support/killed.py               every number of bytes, of a small file and a larger one: minutes
    python tests/support/killed.py --step 97     every 97th

A process of its own, with one thread, so that it can fork. In each child RLIMIT_FSIZE ends the file after n bytes: by
SIGXFSZ, which kills the process, or where that is ignored, by the error that a full disk gives.
"""

import argparse
import errno
import os
import resource
import signal
import tempfile

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

import nnlite as nn


def saved_by_a_child(model: nn.Layer, path: str, limit: int, action: signal.Handlers) -> int:
    """The child's status, as waitpid gives it; 1 as its exit code says that the disk was full."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            signal.signal(signal.SIGXFSZ, action)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            nn.save(model, path)
            code = 0
        except OSError as error:
            code = 1 if error.errno == errno.EFBIG else 2
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def sweep(old: nn.Layer, new: nn.Layer, step: int) -> int:
    """Save ``new`` over ``old`` with room for n bytes, for every n; returns how many."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.npz")
        nn.save(new, path)
        new_bytes = content(path)
        nn.save(old, path)
        old_bytes = content(path)
        assert old_bytes != new_bytes
        limits = sorted({*range(0, len(new_bytes), step), len(new_bytes) - 1, len(new_bytes)})
        for limit in limits:
            whole = limit == len(new_bytes)
            for action in signal.SIG_DFL, signal.SIG_IGN:
                status = saved_by_a_child(new, path, limit, action)
                killed = action is signal.SIG_DFL and not whole
                if killed:
                    assert os.WIFSIGNALED(status), (limit, status)
                    assert os.WTERMSIG(status) == signal.SIGXFSZ, (limit, status)
                else:
                    assert os.waitstatus_to_exitcode(status) == (0 if whole else 1), (limit, status)
                assert content(path) == (new_bytes if whole else old_bytes), limit
                left = sorted(os.listdir(folder))
                assert left[-1:] == ["model.npz"], limit
                assert len(left) == 1 + killed, (limit, left)  # the next one removes what was left by this one
            if whole or limit % (40 * step) == 0:  # what a killed one left is in nobody's way
                nn.save(old, path)
                assert content(path) == old_bytes
                assert os.listdir(folder) == ["model.npz"]
        return len(limits)


def models(width: int) -> list[nn.Layer]:
    return [nn.Sequential(nn.Linear(width, 1, rng=seed), nn.Tanh()) for seed in range(2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1)
    step = parser.parse_args().step
    np.seterr(all="raise")
    print("small:", sweep(*models(1), step), "sizes; of several writes:", sweep(*models(5000), step), "sizes")


if __name__ == "__main__":
    main()
