"""A short training that can fail at every place where a user's code runs, and where files are written."""

import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from support.own_layers import OwnBatchNorm, OwnDropout

import nnlite as nn

EPOCHS, BATCHES = 3, 5
SEED = np.random.default_rng(3)
X, Y = SEED.normal(size=(18, 3)), SEED.normal(size=(18, 1))
VALIDATION = SEED.normal(size=(6, 3)), SEED.normal(size=(6, 1))
EVENTS = [name for name in dir(nn.Callback) if name.startswith("on_")]
VALUES = {"nan": np.nan, "inf": np.inf}
IN_STEP = ("X", "Y", "forward", "backward", "loss", "loss backward", "metric of batches", "schedule", "stream")
FILES = ("log", "checkpoint")


class PlantedError(Exception):
    """The exception that is planted."""


class Attack:
    """What fails where, at which call; without a kind nothing does, and what is expected of attacks is recorded."""

    current: "Attack"
    slow = False

    def __init__(self, kind: str = "", place: str = "", call: int = 0) -> None:
        self.kind, self.place, self.call = kind, place, call
        self.calls: dict[str, int] = {}
        self.expected: dict[tuple[str, int], tuple[dict, str]] = {}  # the state after an attack, and where it is
        self.evaluating = self.begun = False

    def __str__(self) -> str:
        return f"{self.kind} at call {self.call} of {self.place}"

    def at(self, place: str, value=None):
        """The value of this place, or what the attack makes of it."""
        number = self.calls[place] = self.calls.get(place, 0) + 1
        self.evaluating &= place not in ("X", "stream")
        if not self.kind:
            in_step = not self.evaluating and (place in IN_STEP or place.endswith("on_backward_end"))
            before = getattr(self, "saved", None) if in_step else None
            where = self.run.where() if in_step or not self.begun else ""
            self.expected[place, number] = before or self.run.state(), where
        elif place == self.place and number == self.call and self.kind in ("exception", "interrupt"):
            raise PlantedError(str(self)) if self.kind == "exception" else KeyboardInterrupt(str(self))
        elif place == self.place and number >= self.call and self.kind in VALUES:
            return value * 0 + VALUES[self.kind]
        return value

    @contextmanager
    def disk(self, place: str, path: Path) -> Iterator[None]:
        """While this file is written the disk may be full, or the folder read-only, also for the superuser."""
        self.at(place)
        attacked = (place, self.calls[place]) == (self.place, self.call)
        limits, user = resource.getrlimit(resource.RLIMIT_FSIZE), os.geteuid()
        try:
            if attacked and self.kind == "full disk":
                size = path.stat().st_size + 3 if place == "log" and self.call > 1 else 10
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
            if attacked and self.kind == "read-only folder":
                path.parent.chmod(0o555)
                if user == 0:
                    os.seteuid(65534)
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            os.seteuid(user)
            path.parent.chmod(0o755)


@nn.register
class AttackedLayer(nn.Layer):
    """The identity."""

    def forward(self, X):
        Attack.current.evaluating = not self.training
        return self.record_Y(Attack.current.at("forward", self.check_X(X) * 1.0))

    def backward(self, dY):
        return Attack.current.at("backward", self.check_dY(dY) * 1.0)


class AttackedLoss(nn.MSELoss):
    """The mean squared error."""

    def forward(self, Y, target):
        return Attack.current.at("loss", super().forward(Y, target))

    def backward(self, dJ=1.0):
        return Attack.current.at("loss backward", super().backward(dJ))


class Rows:
    """Rows that are read a batch at a time."""

    def __init__(self, name, values):
        self.name, self.values = name, values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        return Attack.current.at(self.name, self.values[rows])


def stream():
    """The same batches in each epoch."""
    for start in range(0, len(X), 4):
        yield Attack.current.at("stream", X[start : start + 4]), Y[start : start + 4]


def schedule(step):
    return Attack.current.at("schedule", 0.2 * 0.9**step)


@nn.mean_over_batches
def of_batches(Y_pred, Y):
    return Attack.current.at("metric of batches", float(abs(Y_pred - Y).mean()))


def of_all_rows(Y_pred, Y):
    return Attack.current.at("metric of all rows", float(abs(Y_pred - Y).max()))


class Checkpoint(nn.Checkpoint):
    def on_save(self, state):
        if self.due or state.stop:
            with Attack.current.disk("checkpoint", self.path):
                super().on_save(state)


class CSVLogger(nn.CSVLogger):
    def on_save(self, state):
        if state.batch == 0:
            with Attack.current.disk("log", Path(self.path)):
                super().on_save(state)


class Counts(nn.Callback):
    """A callback with a state, all of whose hooks are attacked."""

    def __init__(self, place):
        self.place, self.count = place, 0

    def called(self, state, event):
        self.training, Attack.current.begun = state, True
        if Attack.slow:
            time.sleep(0.005)
            if event == "on_train_begin":
                print("begins", flush=True)
        dPhi = Attack.current.at(f"{self.place} callback, {event}", state.model.dPhi)
        if event == "on_backward_end":
            state.model.dPhi = dPhi
        self.count += event in ("on_batch_end", "on_epoch_end")
        if self.place == "last" and event in ("on_epoch_begin", "on_save"):
            Attack.current.saved = Attack.current.run.state()

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


for event in EVENTS:
    setattr(Counts, event, lambda self, state, event=event: self.called(state, event))


class Run:
    """A training with everything that has a state, of which nothing is shared with another one."""

    def __init__(self, folder: Path, attack: Attack, seed: int = 0, streamed: bool = False) -> None:
        Attack.current, attack.run = attack, self
        nn.manual_seed(seed)
        self.log, self.checkpoint, self.streamed = folder / "log.csv", folder / "training.npz", streamed
        self.rng = np.random.default_rng(seed)
        layers = [nn.Linear(3, 6, rng=self.rng), OwnBatchNorm(6), nn.Tanh(), OwnDropout(0.25, rng=seed)]
        layers += [AttackedLayer(), OwnDropout(0.1), nn.Linear(6, 1, rng=self.rng)]
        self.model = nn.Sequential(*layers).eval()
        self.optimizer = nn.SGD(self.model, lr=schedule, momentum=0.9)
        self.stopping = nn.EarlyStopping(patience=9)
        files = CSVLogger(self.log), Checkpoint(self.checkpoint, unit="batch")
        self.counts = Counts("last")
        self.callbacks = [Counts("first"), self.stopping, *files, self.counts]

    def fit(self, resume: bool = False) -> nn.History:
        done = nn.Checkpoint(self.checkpoint).epochs_done if resume else 0
        options = {"epochs": EPOCHS - done, "resume": self.checkpoint if resume else None, "callbacks": self.callbacks}
        options |= {"optimizer": self.optimizer, "loss": AttackedLoss(), "metrics": [of_batches, of_all_rows]}
        options |= {"accumulate_steps": 2, "clip_norm": 1.0, "batch_size": 4, "validation_data": VALIDATION}
        rows = (stream,) if self.streamed else (Rows("X", X), Rows("Y", Y))
        return nn.fit(self.model, *rows, **options, rng=self.rng, verbose=0)

    def where(self) -> str:
        """The epoch and the batch; the last step of an epoch comes after its last batch."""
        if not Attack.current.begun:
            return "before the training"
        training = self.counts.training
        return f"epoch {training.epoch}, batch {min(training.batch + 1, BATCHES)}"

    def state(self) -> dict:
        """Everything that a user has after a training, in a form to compare."""
        generators = dict(self.model.named_generators()) | {"fit": self.rng}
        return {
            "parameters": plain(self.model.Phi),
            "buffers": plain(dict(self.model.named_buffers())),
            "generators": {name: plain(each.bit_generator.state) for name, each in generators.items()},
            "optimizer": plain(self.optimizer.state_dict()),
            "callbacks": [plain(each.state_dict()) for each in self.callbacks if hasattr(each, "state_dict")],
            "log": self.log.read_bytes(),
            "checkpoint": self.checkpoint.read_bytes(),
            "folder": sorted(os.listdir(self.log.parent)),
        }


def plain(value):
    """The value in a form in which NaN is equal to NaN."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else repr(value)


def slow_training(folder: Path) -> None:
    """A training without an attack that prints a line when it begins, and can be interrupted anywhere."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Attack.slow = True
    Run(folder, Attack("none")).fit()
