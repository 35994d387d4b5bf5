"""EarlyStopping: end a training that no longer improves, and restore the best weights."""

import math
from typing import Any

import numpy as np

from nnlite.basics.arrays import Array
from nnlite.basics.checks import finite, non_negative, number, whole
from nnlite.errors import CheckpointError
from nnlite.optim.monitor import Monitor
from nnlite.training.callbacks import Callback
from nnlite.training.checkpoint import check_reached
from nnlite.training.training_state import Training


class EarlyStopping(Callback):
    """End the training when a value has not improved for some epochs, and restore the best weights.

    The weights are the parameters and the buffers of the model.

    Args:
        monitor: the value to watch.
        min_delta: the least difference that counts as an improvement.
        patience: the number of epochs without improvement after which training ends; 0 is the same as 1.
        mode: "min" if lower values are better, "max" if higher ones are, or "auto", by the name: higher is better for
            accuracy, precision, recall, f1, auc, r2 and the like, lower for loss, error, mse and the like.
        baseline: values that are not better than it do not count as improvements for ``patience``.
        restore_best_weights: restore the weights of the best epoch when training ends, whatever ends it.
        start_from_epoch: the number of epochs to wait before watching.

    Attributes:
        best: the best value so far; None before the first.
        best_epoch: the epoch of it.

    Raises:
        ValueError: an argument is out of range; the name does not tell the mode; or, before training, a value of the
            validation is watched, and there are no validation data; or training ends before it begins.
        KeyError: at the end of the first epoch, there is no such value.

    Source: Prechelt, Early stopping - but when?, 1998.

    >>> import nnlite as nn
    >>> stopping = EarlyStopping("loss", patience=2)
    >>> model = nn.Sequential(nn.Linear(1, 1, rng=0))
    >>> history = nn.fit(model, [[1.0]], [[2.0]], loss=nn.MSELoss(), optimizer=nn.SGD(model, lr=0.5), epochs=100,
    ...                  callbacks=[stopping], verbose=0)
    >>> history.epochs < 100 and stopping.best == min(history["loss"])
    True
    """

    may_differ = ("patience",)  # as epochs may: it says how long to train, and the best value so far stays what it is

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        min_delta: float = 0.0,
        patience: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        self.min_delta = non_negative(min_delta, "EarlyStopping: min_delta")
        self.monitor = monitor
        self.watched = Monitor("EarlyStopping", monitor, mode, self.min_delta)
        self.mode = self.watched.mode
        self.patience = whole(patience, "EarlyStopping: patience", least=0)
        self.baseline = None if baseline is None else finite(baseline, "EarlyStopping: baseline")
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = whole(start_from_epoch, "EarlyStopping: start_from_epoch", least=0)
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.best_epoch = self.best_averaged = self.waited = 0
        self.best_Phi: Array | None = None
        self.best_buffers: dict[str, Array] = {}

    def on_train_begin(self, state: Training) -> str | None:
        """Start again; where a training is resumed that had been stopped, stop it again."""
        self.watched.check(state)
        first = self.start_from_epoch + 1
        check_reached(state, first, f"EarlyStopping: start_from_epoch={self.start_from_epoch}: it begins")
        if state.epoch == state.batch == 0:
            self._forget()
        elif self.best_Phi is not None:
            own = {"Phi": state.model.Phi, **dict(state.model.named_buffers())}
            for name, best in {"Phi": self.best_Phi, **self.best_buffers}.items():
                if name not in own or best.shape != own[name].shape:
                    raise CheckpointError(f"EarlyStopping: best weights: {name} does not fit {state.model.one_line()}")
        return self._reason() if self.waited >= max(self.patience, 1) and state.batch == 0 else None

    def _reason(self) -> str:
        return f"{self.monitor} has not improved for {self.waited} epoch{'s' * (self.waited != 1)}"

    def on_epoch_end(self, state: Training) -> str | None:
        """Keep the weights if they are the best; stop after too many epochs that were not."""
        value = self.watched.value(state)
        if state.epoch <= self.start_from_epoch:
            return None
        self.waited += 1
        if math.isfinite(value) and (self.best is None or self.watched.is_better(value, self.best)):
            self.best, self.best_epoch = value, state.epoch
            if self.restore_best_weights:
                self.best_Phi, self.best_averaged = state.model.Phi.copy(), state.averaged
                self.best_buffers = {name: buffer.copy() for name, buffer in state.model.named_buffers()}
            if self.baseline is None or self.watched.is_better(value, self.baseline):
                self.waited = 0
            return None
        return self._reason() if self.waited >= self.patience else None

    def on_train_end(self, state: Training) -> None:
        """Restore the best weights."""
        if self.best_Phi is not None:
            state.model.Phi = self.best_Phi
            for name, buffer in state.model.named_buffers():
                if name in self.best_buffers:  # a state from before buffers were kept has none
                    buffer[...] = self.best_buffers[name]
            state.restored, state.averaged = True, self.best_averaged
            if state.batch or self.best_epoch != state.epoch:
                state.remarks.append(f"restored epoch {self.best_epoch} ({self.monitor} {self.best:.4g})")

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs."""
        names = "best", "best_epoch", "best_averaged", "waited", "best_Phi", "best_buffers"
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            TypeError, ValueError: a name is missing or unknown, or a value is not a number or array; nothing is loaded.
        """
        added: dict[str, Any] = {"best_buffers": {}, "best_averaged": 0}  # which older states do not have
        state = added | state
        own = self.state_dict()
        if own.keys() != state.keys():
            raise ValueError(f"EarlyStopping: expected a state with {', '.join(own)}, got {', '.join(state)}")
        arrays = [*([] if state["best_Phi"] is None else [state["best_Phi"]]), *state["best_buffers"].values()]
        if not all(isinstance(array, np.ndarray) for array in arrays):
            raise TypeError("EarlyStopping: best_Phi, best_buffers: expected arrays")
        best = None if state["best"] is None else number(state["best"], "EarlyStopping: best")
        whole(state["best_epoch"], "EarlyStopping: best_epoch", least=0)
        whole(state["best_averaged"], "EarlyStopping: best_averaged", least=0)
        whole(state["waited"], "EarlyStopping: waited", least=0)
        vars(self).update(state, best=best)

    def __repr__(self) -> str:
        return f"EarlyStopping({self.monitor!r}, patience={self.patience})"
