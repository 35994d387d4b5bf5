"""Functions that the processes of nnlite.parallel.map call."""

import os
import signal
import sys
import time

import numpy as np

import nnlite as nn


class NeedsTwoError(Exception):
    """An exception that pickle cannot make again."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def train(seed, lr):
    """The last loss of a small training, and the number of threads that BLAS was told."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(20, 3))
    model = nn.Linear(3, 1, rng=rng)
    optimizer = nn.SGD(model, lr=lr)
    history = nn.fit(model, X, X[:, :1], loss=nn.MSELoss(), optimizer=optimizer, epochs=2, verbose=0, rng=rng)
    return history["loss"][-1], os.environ["OPENBLAS_NUM_THREADS"]


def raises(number):
    """Fail for 1, in a way that cannot be sent for 2, and with a result that cannot be sent for 3."""
    if number == 1:
        raise ValueError("one is wrong")
    if number == 2:
        raise NeedsTwoError("this", "that")
    return (lambda: 0) if number == 3 else number


def killed(number, folder):
    """Note the call in a file of its own, and be killed for 1, like a process that needs too much memory."""
    with open(os.path.join(folder, f"{number}"), "a") as file:
        file.write("x")
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return number


def ends(number: int) -> int:
    if number == 1:
        sys.exit("no data")
    return number
