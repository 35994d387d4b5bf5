"""A training is attacked at every place where a user's code runs, at every batch or epoch in turn.

    python tests/support/attacked.py              every attack, and 40 interrupts of real processes: some minutes
    python tests/support/attacked.py --every 20   every 20th attack, and 2 interrupts

Each place raises an exception, is interrupted as by a second Ctrl-C, or returns NaN or infinity; the disk is full, or
the folder read-only, at each file that is written. Afterwards parameters, buffers, generators, the states of optimizer
and callbacks, checkpoint and log must be those of an undisturbed training that has come as far, without the step that
failed; the message must be true; what ``fit`` changes in the process and in the layers must be put back; and a
training with other initial weights that resumes from the checkpoint must end in the same bytes as the undisturbed one.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from support.attacked_training import FILES, IN_STEP, VALUES, Attack, PlantedError, Run, slow_training

import nnlite as nn


def surroundings(run: Run) -> list:
    """What ``fit`` changes and must put back."""
    modes = [(layer.training, layer.needs_dX) for _, layer in run.model.named_layers()]
    return [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.excepthook, np.geterr(), modes]


def differences(one: dict, other: dict) -> list[str]:
    return [name for name in one if one[name] != other[name]]


class Attacked:
    """The undisturbed training, and the attacks on trainings like it."""

    def __init__(self, folder: Path, streamed: bool = False) -> None:
        self.folder, self.streamed, self.faults = folder, streamed, []
        self.attack = Attack()
        run = self.start(self.attack)
        self.history = run.fit()
        self.end = run.state()

    def start(self, attack: Attack, **options) -> Run:
        """A training where there are files of an older one."""
        for name in "log.csv", "training.npz":
            (self.folder / name).write_bytes(b"old")
        return Run(self.folder, attack, streamed=self.streamed, **options)

    def attacks(self) -> list[Attack]:
        """One for each place, call and kind."""
        found = []
        for (place, call), (_, where) in self.attack.expected.items():
            kinds = ["full disk", "read-only folder"] if place in FILES else ["exception", "interrupt"]
            if where != "before the training" and (
                place in (*IN_STEP, "metric of all rows") or place.endswith("on_backward_end")
            ):
                kinds += VALUES
            found += [Attack(kind, place, call) for kind in kinds]
        return found

    def run(self, attack: Attack) -> list[str]:
        """What does not hold after the attack."""
        run, error, history = self.start(attack), None, None
        before = surroundings(run)
        try:
            history = run.fit()
        except (Exception, KeyboardInterrupt) as raised:
            error = raised
        state = run.state()
        wrong = ["it does not put everything back"] if surroundings(run) != before else []
        if attack.place.startswith("metric") and attack.kind in VALUES:  # that is not a failure
            name = "of_batches" if attack.place == "metric of batches" else "of_all_rows"
            values = [] if history is None else history[name] + history[f"val_{name}"]
            wrong += [f"{error!r}"] if error else [] if not np.isfinite(values).all() else ["no value is recorded"]
            return wrong + [name for name in ("parameters", "buffers") if state[name] != self.end[name]]
        expected, where = self.attack.expected[attack.place, attack.call]
        stopping = expected["callbacks"][1]
        restored = stopping["best_Phi"] != "None"
        if restored:
            expected = expected | {"parameters": stopping["best_Phi"], "buffers": stopping["best_buffers"]}
        wrong += [f"another state: {', '.join(each)}"] if (each := differences(expected, state)) else []
        wrong += untrue(attack, error, where, f"restored epoch {stopping['best_epoch']}" if restored else "")
        return wrong + self.resume()

    def resume(self) -> list[str]:
        """What is another end, with other initial weights, after a resume without a fault."""
        begun = (self.folder / "training.npz").read_bytes() != b"old"
        run = Run(self.folder, Attack("none"), seed=7 if begun else 0, streamed=self.streamed)
        run.fit(resume=begun)
        return [f"another end: {', '.join(each)}"] if (each := differences(self.end, run.state())) else []


def untrue(attack: Attack, error: BaseException | None, where: str, restored: str) -> list[str]:
    """What is not true, or missing, in the message."""
    text = "\n".join([f"{error}", *getattr(error, "__notes__", ())])
    hook = attack.place.partition("callback, ")[2]
    must = ["in the callback", hook] if hook and attack.kind == "exception" else [hook]
    if attack.kind in VALUES:
        kind = ValueError if attack.place == "schedule" else nn.DivergenceError
        must += {"X": ["X["], "Y": ["Y["], "stream": ["X["], "schedule": ["schedule"]}.get(attack.place, [])
        if kind is nn.DivergenceError:
            must += (
                [where + ":", "those from before it"] if where else [", validation", "the end of this epoch", restored]
            )
            must += ["AttackedLayer"] if attack.place in ("forward", "backward") else []
            must += [restored]
    else:
        kind = {"exception": PlantedError, "interrupt": KeyboardInterrupt}.get(attack.kind, OSError)
    if not isinstance(error, kind):
        return [f"raised {error!r}"]
    return [f"the message does not say {each!r}: {text}" for each in must if each not in text]


def interrupted(attacked: Attacked, rng: np.random.Generator) -> list[str]:
    """What does not hold after one or two signals to a real process, at random times."""
    attacked.start(Attack("none"))
    command = [sys.executable, "-W", "error", __file__, "--child", str(attacked.folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()  # the training begins
    signum = signal.SIGINT if rng.random() < 0.5 else signal.SIGTERM
    for delay in [rng.uniform(0, 0.4), rng.exponential(0.002)][: rng.integers(1, 3)]:
        time.sleep(delay)
        process.send_signal(signum)
    error = process.communicate(timeout=60)[1]
    status = {signal.SIGINT: -signal.SIGINT, signal.SIGTERM: 143}[signum]
    wrong = [] if process.returncode in (0, status, -signum) else [f"exit code {process.returncode}"]
    wrong += [f"printed {error}"] if "Error" in error.replace("KeyboardInterrupt", "") else []
    log = (attacked.folder / "log.csv").read_bytes()
    wrong += (
        ["the log is not a part of the undisturbed one"]
        if not attacked.end["log"].startswith(log) and log != b"old"
        else []
    )
    return wrong + attacked.resume()


def main(every: int) -> int:
    """Run every so many attacks; returns how many places, and how many attacks found a fault."""
    faults, rng = 0, np.random.default_rng()
    os.fsync = lambda file: None  # nothing here cuts the power
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for streamed in False, True:
            attacked = Attacked(Path(folder), streamed)
            attacks = attacked.attacks()[streamed::every]
            found = {str(attack): wrong for attack in attacks if (wrong := attacked.run(attack))}
            for attack, wrong in found.items():
                print(attack, *wrong, sep="\n    ")
            print(f"{'batches' if streamed else 'rows'}: {len(attacks)} attacks, {len(found)} with a fault", flush=True)
            faults += len(found)
        count = -(-40 // every)
        attacked = Attacked(Path(folder))
        found = [wrong for _ in range(count) if (wrong := interrupted(attacked, rng))]
        print(*found, f"{count} interrupted processes, {len(found)} with a fault", sep="\n")
    return faults + len(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        slow_training(options.child)
    else:
        sys.exit(main(options.every) > 0)
